/*
 * Characters that are safe to show; see glyph.h.
 */
#include "agent/top/glyph.h"

#include <wchar.h>

#define UNSAFE    '?'
#define ASCII_MAX 0x7e
#define C1_END    0xa0

/* Our own signs, and what stands for them where there is only ASCII. */
static const struct {
    uint32_t code;
    char plain;
} signs[] = {
    {0x2013, '-'}, /* en dash */
    {0x2212, '-'}, /* minus */
    {0x2026, '~'}, /* ellipsis */
    {0x00b7, '|'}, /* middle dot */
    {0x2193, '<'}, /* arrow down: received */
    {0x2191, '>'}, /* arrow up: sent */
    {0x2581, '_'}, {0x2582, '.'}, {0x2583, '.'}, {0x2584, ':'}, {0x2585, ':'},
    {0x2586, '|'}, {0x2587, '|'}, {0x2588, '#'}, {0x2500, '-'}, /* line */
};

/* The scalar value at the start of `rest`, which it takes off; UNSAFE for a byte that begins none.
 * RFC 3629. */
static uint32_t decode(struct tly_text *rest)
{
    const unsigned char *at = (const unsigned char *)rest->at;
    const uint32_t payload = 0x3f;
    size_t len = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    uint32_t code = UNSAFE;
    if (len > rest->len || tly_text_utf8_prefix((struct tly_text){rest->at, len}) != len) {
        len = 1;
    } else if (len == 1) {
        code = at[0];
    } else {
        code = at[0] & (0x7fU >> len);
        for (size_t i = 1; i < len; i++) {
            code = code << 6 | (at[i] & payload);
        }
    }
    rest->at += len;
    rest->len -= len;
    return code;
}

static uint32_t plain_of(uint32_t code)
{
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (signs[i].code == code) {
            return (unsigned char)signs[i].plain;
        }
    }
    return UNSAFE;
}

/* Marks that turn or join what stands around them, some of which have a width. */
static bool steers(uint32_t code)
{
    return code == 0xad || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
           code == 0xfeff || (code >= 0xfff9 && code <= 0xfffb) || code >= 0xe0000;
}

uint32_t tly_glyph_next(struct tly_text *rest, bool ascii, size_t *ret_width)
{
    uint32_t code = decode(rest);
    *ret_width = 1;
    if (code < ' ' || (code > ASCII_MAX && code < C1_END)) {
        return UNSAFE;
    }
    if (code <= ASCII_MAX) {
        return code;
    }
    if (ascii) {
        return plain_of(code);
    }
    int width = steers(code) ? 0 : wcwidth((wchar_t)code);
    if (width <= 0) {
        return UNSAFE;
    }
    *ret_width = (size_t)width;
    return code;
}

size_t tly_glyph_width(struct tly_text text, bool ascii)
{
    size_t sum = 0;
    while (text.len > 0) {
        size_t width = 0;
        (void)tly_glyph_next(&text, ascii, &width); /* its width is what matters */
        sum += width;
    }
    return sum;
}

size_t tly_glyph_write(uint32_t code, char to[TLY_GLYPH_BYTES_MAX])
{
    const uint32_t payload = 0x3f;
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        to[i] = (char)(0x80 | (code & payload));
        code >>= 6;
    }
    to[0] = (char)((0xf00U >> len & 0xff) | code);
    return len;
}

int tly_glyph_append(struct tly_buf *buf, struct tly_text text, bool ascii, bool joined)
{
    int rc = 0;
    while (text.len > 0 && rc == 0) {
        char bytes[TLY_GLYPH_BYTES_MAX];
        size_t width = 0;
        uint32_t code = tly_glyph_next(&text, ascii, &width);
        if (joined && (code == ' ' || code == C1_END)) {
            code = '_';
        }
        rc = tly_buf_append(buf, bytes, tly_glyph_write(code, bytes));
    }
    return rc;
}
