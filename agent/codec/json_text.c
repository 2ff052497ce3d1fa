/*
 * Strings of JSON. Between escapes 16 bytes are moved at a time. Pure; owns nothing.
 */
#include "agent/codec/json_text.h"

#include <stddef.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct reader {
    const char *at;
    const char *end;
};

/* Copies up to the first quote, backslash or the end and returns how many bytes that were. `to` has
 * room for as many bytes as are left to read. */
static size_t copy_plain(const char *from, const char *end, char *to)
{
    const char *at = from;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    while (end - at >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        _mm_storeu_si128((__m128i *)(void *)(to + (at - from)), block);
        int found = _mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)));
        if (found != 0) {
            return (size_t)(at - from) + (size_t)__builtin_ctz((unsigned)found);
        }
        at += 16;
    }
#endif
    for (; at < end && *at != '"' && *at != '\\'; at++) {
        to[at - from] = *at;
    }
    return (size_t)(at - from);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX; negative if there are not four. */
static int hex4(const char *at, const char *end)
{
    if (end - at < 4) {
        return -1;
    }
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* UTF-8 of a code point that is no surrogate (RFC 3629); at most 4 bytes. */
static char *put_utf8(char *to, unsigned point)
{
    if (point < 0x80) {
        *to++ = (char)point;
    } else if (point < 0x800) {
        *to++ = (char)(0xc0 | point >> 6);
        *to++ = (char)(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        *to++ = (char)(0xe0 | point >> 12);
        *to++ = (char)(0x80 | (point >> 6 & 0x3f));
        *to++ = (char)(0x80 | (point & 0x3f));
    } else {
        *to++ = (char)(0xf0 | point >> 18);
        *to++ = (char)(0x80 | (point >> 12 & 0x3f));
        *to++ = (char)(0x80 | (point >> 6 & 0x3f));
        *to++ = (char)(0x80 | (point & 0x3f));
    }
    return to;
}

/* \uXXXX, from behind the `u`; a pair of surrogates is one character. Takes 6 bytes of the line and
 * more for at most 3 of text, so that text never outgrows the line. */
static char *unescape_unicode(struct reader *in, char *to)
{
    enum { HIGH = 0xd800, LOW = 0xdc00, SURROGATE_END = 0xe000, REPLACEMENT = 0xfffd };
    int first = hex4(in->at, in->end);
    if (first < 0) {
        return NULL;
    }
    in->at += 4;
    if (first < HIGH || first >= SURROGATE_END) {
        return put_utf8(to, (unsigned)first);
    }
    if (first < LOW && in->end - in->at >= 6 && in->at[0] == '\\' && in->at[1] == 'u') {
        int second = hex4(in->at + 2, in->end);
        if (second >= LOW && second < SURROGATE_END) {
            in->at += 6;
            return put_utf8(to,
                            0x10000U + (((unsigned)first - HIGH) << 10) + ((unsigned)second - LOW));
        }
    }
    return put_utf8(to, REPLACEMENT);
}

/* What stands behind a backslash. NULL: no such escape. */
static char *unescape_one(struct reader *in, char *to)
{
    static const char plain[256] = {['n'] = '\n', ['t'] = '\t', ['r'] = '\r',  ['b'] = '\b',
                                    ['f'] = '\f', ['"'] = '"',  ['\\'] = '\\', ['/'] = '/'};
    if (in->at == in->end) {
        return NULL;
    }
    unsigned char c = (unsigned char)*in->at++;
    if (plain[c] != '\0') {
        *to = plain[c];
        return to + 1;
    }
    return c == 'u' ? unescape_unicode(in, to) : NULL;
}

char *tly_json_unescape(const char **at, const char *end, char *to)
{
    struct reader in = {*at, end};
    while (to) {
        size_t plain = copy_plain(in.at, in.end, to);
        in.at += plain;
        to += plain;
        if (in.at == in.end) {
            return NULL;
        }
        if (*in.at++ == '"') {
            *at = in.at;
            return to;
        }
        to = unescape_one(&in, to);
    }
    return NULL;
}
