/*
 * The msgpack writer. Everything is big-endian; the prefix byte says form and, for the short forms,
 * the length or value itself.
 */
#include "agent/codec/record.h"

#include "agent/base/clock.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* The last second that is neither out of range nor one of Fluent Bit's group marks. */
#define EVENT_TIME_SECONDS_MAX 0xfffffffdLL

static char *put_u8(char *at, unsigned value)
{
    *at = (char)(unsigned char)value;
    return at + 1;
}

static char *put_u16(char *at, uint16_t value)
{
    return put_u8(put_u8(at, value >> 8), value & 0xff);
}

static char *put_u32(char *at, uint32_t value)
{
    uint32_t big = htobe32(value);
    memcpy(at, &big, sizeof(big));
    return at + sizeof(big);
}

static char *put_u64(char *at, uint64_t value)
{
    return put_u32(put_u32(at, (uint32_t)(value >> 32)), (uint32_t)value);
}

/* Arrays and maps: a short form up to 15, then 16 and 32 bits of count. */
static char *put_count(char *at, uint32_t count, unsigned fix, unsigned form16)
{
    if (count < 16) {
        return put_u8(at, fix | count);
    }
    if (count <= UINT16_MAX) {
        return put_u16(put_u8(at, form16), (uint16_t)count);
    }
    return put_u32(put_u8(at, form16 + 1), count);
}

/* str and bin: forms with 8, 16 and 32 bits of length, numbered in a row. */
static char *put_length(char *at, uint32_t len, unsigned form8)
{
    if (len <= UINT8_MAX) {
        return put_u8(put_u8(at, form8), len);
    }
    if (len <= UINT16_MAX) {
        return put_u16(put_u8(at, form8 + 1), (uint16_t)len);
    }
    return put_u32(put_u8(at, form8 + 2), len);
}

char *tly_record_put_array(char *at, uint32_t count)
{
    return put_count(at, count, 0x90, 0xdc);
}

char *tly_record_put_map(char *at, uint32_t pairs)
{
    return put_count(at, pairs, 0x80, 0xde);
}

char *tly_record_put_str_head(char *at, uint32_t len)
{
    return len < 32 ? put_u8(at, 0xa0 | len) : put_length(at, len, 0xd9);
}

char *tly_record_put_bin_head(char *at, uint32_t len)
{
    return put_length(at, len, 0xc4);
}

static char *put_negative(char *at, int64_t value)
{
    if (value >= -32) {
        return put_u8(at, (unsigned)value & 0xff);
    }
    if (value >= INT8_MIN) {
        return put_u8(put_u8(at, 0xd0), (unsigned)value & 0xff);
    }
    if (value >= INT16_MIN) {
        return put_u16(put_u8(at, 0xd1), (uint16_t)value);
    }
    if (value >= INT32_MIN) {
        return put_u32(put_u8(at, 0xd2), (uint32_t)value);
    }
    return put_u64(put_u8(at, 0xd3), (uint64_t)value);
}

char *tly_record_put_uint(char *at, uint64_t value)
{
    if (value < 128) {
        return put_u8(at, (unsigned)value);
    }
    if (value <= UINT8_MAX) {
        return put_u8(put_u8(at, 0xcc), (unsigned)value);
    }
    if (value <= UINT16_MAX) {
        return put_u16(put_u8(at, 0xcd), (uint16_t)value);
    }
    if (value <= UINT32_MAX) {
        return put_u32(put_u8(at, 0xce), (uint32_t)value);
    }
    return put_u64(put_u8(at, 0xcf), value);
}

char *tly_record_put_int(char *at, int64_t value)
{
    return value < 0 ? put_negative(at, value) : tly_record_put_uint(at, (uint64_t)value);
}

char *tly_record_put_float(char *at, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return put_u64(put_u8(at, 0xcb), bits);
}

char *tly_record_put_bool(char *at, bool value)
{
    return put_u8(at, value ? 0xc3 : 0xc2);
}

char *tly_record_put_nil(char *at)
{
    return put_u8(at, 0xc0);
}

void tly_record_put_wide_head(char *at, bool is_map, uint32_t count)
{
    (void)put_u32(put_u8(at, is_map ? 0xdf : 0xdd), count);
}

char *tly_record_put_time(char *at, int64_t ns)
{
    int64_t seconds = ns > 0 ? ns / TLY_NS_PER_S : 0;
    int64_t rest = ns > 0 ? ns % TLY_NS_PER_S : 0;

    if (seconds > EVENT_TIME_SECONDS_MAX) {
        seconds = EVENT_TIME_SECONDS_MAX;
        rest = 0;
    }
    at = put_u8(put_u8(at, 0xd7), 0);
    return put_u32(put_u32(at, (uint32_t)seconds), (uint32_t)rest);
}

/* Counts what was written from the reserved place on; for use right after a successful reserve. */
static int advance(struct tly_buf *buf, const char *end)
{
    buf->len = (size_t)(end - buf->at);
    return 0;
}

int tly_record_array(struct tly_buf *buf, uint32_t count)
{
    char *at;
    int rc = tly_buf_reserve(buf, TLY_RECORD_HEAD_MAX, &at);

    return rc < 0 ? rc : advance(buf, tly_record_put_array(at, count));
}

int tly_record_map(struct tly_buf *buf, uint32_t pairs)
{
    char *at;
    int rc = tly_buf_reserve(buf, TLY_RECORD_HEAD_MAX, &at);

    return rc < 0 ? rc : advance(buf, tly_record_put_map(at, pairs));
}

static int append_bytes(struct tly_buf *buf, struct tly_text text,
                        char *(*put_head)(char *at, uint32_t len))
{
    char *at;
    int rc;

    if (text.len > UINT32_MAX) {
        return -EMSGSIZE;
    }
    rc = tly_buf_reserve(buf, TLY_RECORD_HEAD_MAX + text.len, &at);
    if (rc < 0) {
        return rc;
    }
    at = put_head(at, (uint32_t)text.len);
    if (text.len > 0) {
        memcpy(at, text.at, text.len);
    }
    return advance(buf, at + text.len);
}

int tly_record_str(struct tly_buf *buf, struct tly_text text)
{
    return append_bytes(buf, text, tly_record_put_str_head);
}

int tly_record_bin(struct tly_buf *buf, struct tly_text bytes)
{
    return append_bytes(buf, bytes, tly_record_put_bin_head);
}

int tly_record_int(struct tly_buf *buf, int64_t value)
{
    char *at;
    int rc = tly_buf_reserve(buf, TLY_RECORD_INT_MAX, &at);

    return rc < 0 ? rc : advance(buf, tly_record_put_int(at, value));
}

int tly_record_float(struct tly_buf *buf, double value)
{
    char *at;
    int rc = tly_buf_reserve(buf, TLY_RECORD_INT_MAX, &at);

    return rc < 0 ? rc : advance(buf, tly_record_put_float(at, value));
}

int tly_record_bool(struct tly_buf *buf, bool value)
{
    char *at;
    int rc = tly_buf_reserve(buf, 1, &at);

    return rc < 0 ? rc : advance(buf, tly_record_put_bool(at, value));
}

int tly_record_nil(struct tly_buf *buf)
{
    char *at;
    int rc = tly_buf_reserve(buf, 1, &at);

    return rc < 0 ? rc : advance(buf, tly_record_put_nil(at));
}

int tly_record_time(struct tly_buf *buf, int64_t ns)
{
    char *at;
    int rc = tly_buf_reserve(buf, TLY_RECORD_TIME_MAX, &at);

    return rc < 0 ? rc : advance(buf, tly_record_put_time(at, ns));
}
