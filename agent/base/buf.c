/*
 * The growable buffer with a mandatory maximum, and the writing of decimal numbers, which is the
 * exporter's hot path. A buffer belongs to the structure it is embedded in.
 */
#include "agent/base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first allocation: malloc's overhead makes anything smaller as dear. */
#define CAP_FIRST 64

void tly_buf_init(struct tly_buf *buf, size_t max)
{
    *buf = (struct tly_buf){.max = max};
}

void tly_buf_done(struct tly_buf *buf)
{
    free(buf->at);
    tly_buf_init(buf, buf->max);
}

void tly_buf_clear(struct tly_buf *buf)
{
    buf->len = 0;
}

/* Makes the capacity at least `need`. The maximum bounds what is stored; the memory may have one
 * byte more, for the NUL that vsnprintf writes. */
static int grow(struct tly_buf *buf, size_t need)
{
    if (need <= buf->cap) {
        return 0;
    }
    size_t most = buf->max < SIZE_MAX ? buf->max + 1 : SIZE_MAX;
    size_t cap = buf->cap < CAP_FIRST / 2 ? CAP_FIRST / 2 : buf->cap;
    cap = cap > most / 2 ? most : cap * 2;
    if (cap < need) {
        cap = need;
    }
    char *at = realloc(buf->at, cap);
    if (!at) {
        return -ENOMEM;
    }
    buf->at = at;
    buf->cap = cap;
    return 0;
}

int tly_buf_reserve(struct tly_buf *buf, size_t extra, char **ret_at)
{
    if (extra > buf->max - buf->len) {
        return TLY_E_LIMIT;
    }
    /* At least one byte, so that the result is a pointer even for nothing. */
    int rc = grow(buf, buf->len + extra > 0 ? buf->len + extra : 1);
    if (rc < 0) {
        return rc;
    }
    *ret_at = buf->at + buf->len;
    return 0;
}

int tly_buf_append(struct tly_buf *buf, const void *bytes, size_t len)
{
    if (len == 0) {
        return 0;
    }
    char *to;
    int rc = tly_buf_reserve(buf, len, &to);
    if (rc < 0) {
        return rc;
    }
    memcpy(to, bytes, len);
    buf->len += len;
    return 0;
}

int tly_buf_append_text(struct tly_buf *buf, struct tly_text text)
{
    return tly_buf_append(buf, text.at, text.len);
}

int tly_buf_printf(struct tly_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    size_t room = buf->cap - buf->len;
    int printed = vsnprintf(room > 0 ? buf->at + buf->len : NULL, room, format, args);
    va_end(args);

    int rc = 0;
    size_t len = printed > 0 ? (size_t)printed : 0;
    if (printed < 0) {
        rc = -EINVAL;
    } else if (len > buf->max - buf->len) {
        rc = TLY_E_LIMIT;
    } else if (len >= room) {
        rc = grow(buf, buf->len + len + 1);
        if (rc == 0) {
            (void)vsnprintf(buf->at + buf->len, len + 1, format, again); /* as just measured */
        }
    }
    va_end(again);
    if (rc == 0) {
        buf->len += len;
    }
    return rc;
}

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

/* Writes the digits of `value` so that they end before `end`; the number of digits. All divisors
 * are constants, which the compiler turns into multiplications, and two digits fall per step. */
static size_t digits_before(char *end, uint64_t value)
{
    char *at = end;
    while (value >= 10000) {
        uint64_t rest = value / 10000;
        unsigned four = (unsigned)(value - rest * 10000);
        at -= 4;
        memcpy(at, digit_pairs + (size_t)(four / 100) * 2, 2);
        memcpy(at + 2, digit_pairs + (size_t)(four % 100) * 2, 2);
        value = rest;
    }
    unsigned low = (unsigned)value;
    if (low >= 100) {
        at -= 2;
        memcpy(at, digit_pairs + (size_t)(low % 100) * 2, 2);
        low /= 100;
    }
    if (low >= 10) {
        at -= 2;
        memcpy(at, digit_pairs + (size_t)low * 2, 2);
    } else {
        *--at = (char)('0' + low);
    }
    return (size_t)(end - at);
}

size_t tly_decimal_write(char *to, int64_t raw, int exponent)
{
    enum { DIGITS_MAX = 20, EXPONENT_MAX = 9, SLACK = 16 };
    assert(exponent <= 0 && exponent >= -EXPONENT_MAX);

    char *out = to;
    uint64_t magnitude = (uint64_t)raw;
    if (raw < 0) {
        *out++ = '-';
        magnitude = 0 - magnitude;
    }
    if (exponent == 0) {
        char digits[DIGITS_MAX];
        size_t count = digits_before(digits + DIGITS_MAX, magnitude);
        memcpy(out, digits + DIGITS_MAX - count, count);
        return (size_t)(out - to) + count;
    }

    /* The digits stand once, on a ground of zeros: the fraction is the last `places` of them, and
     * what lies before it the whole part, at least one zero. No division by a power of ten. */
    char digits[DIGITS_MAX + SLACK];
    memset(digits, '0', sizeof(digits));
    const char *end = digits + DIGITS_MAX;
    size_t places = (size_t)-exponent;
    size_t count = digits_before(digits + DIGITS_MAX, magnitude);
    count = count > places ? count : places + 1;
    size_t whole = count - places;
    while (places > 0 && end[-1] == '0') {
        end--;
        places--;
    }
    memcpy(out, digits + DIGITS_MAX - count, whole);
    out += whole;
    if (places > 0) {
        *out++ = '.';
        memcpy(out, end - places, EXPONENT_MAX); /* constant: one move, past the end */
        out += places;
    }
    return (size_t)(out - to);
}

void tly_buf_consume(struct tly_buf *buf, size_t count)
{
    assert(count <= buf->len);
    if (count == 0) {
        return;
    }
    buf->len -= count;
    memmove(buf->at, buf->at + count, buf->len);
}

char *tly_buf_take(struct tly_buf *buf, size_t *ret_len)
{
    if (buf->len == 0) {
        *ret_len = 0;
        return NULL;
    }
    char *at = buf->at;
    *ret_len = buf->len;
    tly_buf_init(buf, buf->max);
    return at;
}
