/*
 * The text form of one kept position: written by positions.c after every change, read back at the
 * next start. Pure, so that the tests can tear and bend lines as they like.
 */
#include "agent/delivery/position_line.h"

#include <inttypes.h>
#include <zlib.h>

#define CHECKSUM_DIGITS 8

static uint32_t checksum(const char *at, size_t len)
{
    return (uint32_t)crc32_z(0, (const unsigned char *)at, len);
}

static int write_name(struct tly_buf *buf, struct tly_text name)
{
    static const char digits[] = "0123456789abcdef";
    char *to;
    int rc = tly_buf_reserve(buf, name.len * 3, &to);
    if (rc < 0) {
        return rc;
    }
    char *begin = to;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.at[i];
        if (byte > ' ' && byte < 0x7f && byte != '%') {
            *to++ = (char)byte;
        } else {
            *to++ = '%';
            *to++ = digits[byte >> 4];
            *to++ = digits[byte & 15];
        }
    }
    buf->len += (size_t)(to - begin);
    return 0;
}

static int write_fields(struct tly_buf *buf, struct tly_text destination, struct tly_text key,
                        const struct tly_position *position)
{
    int rc = tly_buf_append(buf, position ? "keep " : "drop ", 5);
    if (rc == 0) {
        rc = write_name(buf, destination);
    }
    if (rc == 0) {
        rc = tly_buf_append(buf, " ", 1);
    }
    if (rc == 0) {
        rc = write_name(buf, key);
    }
    if (rc == 0 && position) {
        rc = tly_buf_printf(buf,
                            " %" PRIu64 " %" PRIu64 " %016" PRIx64 " %" PRIu32 " %" PRIu64
                            " %" PRIu32 " %" PRIu64,
                            position->device, position->inode, position->head_hash,
                            position->head_len, position->offset, position->held, position->ahead);
    }
    return rc;
}

int tly_position_line_write(struct tly_buf *buf, struct tly_text destination, struct tly_text key,
                            const struct tly_position *position)
{
    if (destination.len > TLY_POSITION_NAME_MAX || key.len > TLY_POSITION_NAME_MAX) {
        return TLY_E_LIMIT;
    }
    size_t begin = buf->len;
    int rc = write_fields(buf, destination, key, position);
    if (rc == 0) {
        rc = tly_buf_printf(buf, " %08" PRIx32 "\n", checksum(buf->at + begin, buf->len - begin));
    }
    if (rc < 0) {
        buf->len = begin;
    }
    return rc;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static int parse_hex(struct tly_text text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 16) {
        return TLY_E_MALFORMED;
    }
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_value(text.at[i]);
        if (digit < 0) {
            return TLY_E_MALFORMED;
        }
        value = value << 4 | (uint64_t)digit;
    }
    *ret_value = value;
    return 0;
}

static int parse_name(struct tly_text text, char to[TLY_POSITION_NAME_MAX], size_t *ret_len)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (len == TLY_POSITION_NAME_MAX) {
            return TLY_E_MALFORMED;
        }
        char byte = text.at[i];
        if (byte == '%') {
            uint64_t value;
            if (text.len - i < 3 || parse_hex((struct tly_text){text.at + i + 1, 2}, &value) < 0) {
                return TLY_E_MALFORMED;
            }
            byte = (char)value;
            i += 2;
        }
        to[len++] = byte;
    }
    *ret_len = len;
    return 0;
}

/* Cuts the next blank-separated word off; fails when there is none. */
static int next_word(struct tly_text *rest, struct tly_text *ret_word)
{
    if (!rest->at) {
        return TLY_E_MALFORMED;
    }
    *ret_word = tly_text_cut(rest, ' ');
    return 0;
}

static int next_u64(struct tly_text *rest, uint64_t *ret_value)
{
    struct tly_text word;
    int rc = next_word(rest, &word);
    return rc < 0 ? rc : tly_text_u64(word, ret_value);
}

static int next_u32(struct tly_text *rest, uint32_t *ret_value)
{
    uint64_t value;
    int rc = next_u64(rest, &value);
    if (rc < 0 || value > UINT32_MAX) {
        return TLY_E_MALFORMED;
    }
    *ret_value = (uint32_t)value;
    return 0;
}

static int parse_position(struct tly_text *rest, struct tly_position *ret_position)
{
    struct tly_text hash;
    int rc = next_u64(rest, &ret_position->device);
    if (rc == 0) {
        rc = next_u64(rest, &ret_position->inode);
    }
    if (rc == 0) {
        rc = next_word(rest, &hash);
    }
    if (rc == 0) {
        rc = parse_hex(hash, &ret_position->head_hash);
    }
    if (rc == 0) {
        rc = next_u32(rest, &ret_position->head_len);
    }
    if (rc == 0) {
        rc = next_u64(rest, &ret_position->offset);
    }
    if (rc == 0) {
        rc = next_u32(rest, &ret_position->held);
    }
    if (rc == 0) {
        rc = next_u64(rest, &ret_position->ahead);
    }
    return rc;
}

int tly_position_line_parse(struct tly_text line, struct tly_position_line *ret_line)
{
    if (line.len <= CHECKSUM_DIGITS + 1 || line.at[line.len - CHECKSUM_DIGITS - 1] != ' ') {
        return TLY_E_MALFORMED;
    }
    struct tly_text sum = {line.at + line.len - CHECKSUM_DIGITS, CHECKSUM_DIGITS};
    struct tly_text rest = {line.at, line.len - CHECKSUM_DIGITS - 1};
    uint64_t value;
    if (parse_hex(sum, &value) < 0 || value != checksum(rest.at, rest.len)) {
        return TLY_E_MALFORMED;
    }
    struct tly_text verb;
    struct tly_text destination;
    struct tly_text key;
    struct tly_position_line parsed = {.drop = false};
    if (next_word(&rest, &verb) < 0 || next_word(&rest, &destination) < 0 ||
        next_word(&rest, &key) < 0 ||
        parse_name(destination, parsed.destination, &parsed.destination_len) < 0 ||
        parse_name(key, parsed.key, &parsed.key_len) < 0) {
        return TLY_E_MALFORMED;
    }
    parsed.drop = tly_text_equal(verb, TLY_TEXT("drop"));
    if (!parsed.drop &&
        (!tly_text_equal(verb, TLY_TEXT("keep")) || parse_position(&rest, &parsed.position) < 0)) {
        return TLY_E_MALFORMED;
    }
    if (rest.at) {
        return TLY_E_MALFORMED;
    }
    *ret_line = parsed;
    return 0;
}
