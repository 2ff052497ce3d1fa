/*
 * A growable run of bytes with a mandatory maximum. It never passes the maximum, and a failed call
 * leaves the contents as they were. Embedded: init before use, done at the end.
 */
#ifndef TLY_BASE_BUF_H
#define TLY_BASE_BUF_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stddef.h>
#include <stdint.h>

struct tly_buf {
    char *at;   /* owned; NULL until the first byte */
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
    size_t max; /* len never passes this */
};

void tly_buf_init(struct tly_buf *buf, size_t max);
void tly_buf_done(struct tly_buf *buf);  /* frees; the buffer may be init-ed again */
void tly_buf_clear(struct tly_buf *buf); /* len = 0, memory kept */

/*
 * Makes room for `extra` bytes behind `len` and returns where they go, without counting them: the
 * writer adds to `buf->len` what it wrote. Grows by doubling. TLY_E_LIMIT over the maximum,
 * -ENOMEM.
 */
int tly_buf_reserve(struct tly_buf *buf, size_t extra, char **ret_at) TLY_CHECK;

int tly_buf_append(struct tly_buf *buf, const void *bytes, size_t len) TLY_CHECK;
int tly_buf_append_text(struct tly_buf *buf, struct tly_text text) TLY_CHECK;
int tly_buf_printf(struct tly_buf *buf, const char *format, ...) TLY_CHECK TLY_PRINTF(2, 3);

/* Decimal digits of `raw` * 10^`exponent`, exact and without an exponent: (1234567, -6) is
 * "1.234567", (5, 0) is "5", (1500000, -6) is "1.5". `exponent` from -9 to 0. Writes at most
 * TLY_DECIMAL_MAX bytes to `to` and returns how many; the hot path of the exporter. */
#define TLY_DECIMAL_MAX 32
size_t tly_decimal_write(char *to, int64_t raw, int exponent);

/* Drops the first `count` bytes (count <= len) and moves the rest to the front. */
void tly_buf_consume(struct tly_buf *buf, size_t count);

/* Hands the bytes over: the caller owns the result (free), the buffer is empty. NULL if empty. */
char *tly_buf_take(struct tly_buf *buf, size_t *ret_len);

static inline struct tly_text tly_buf_text(const struct tly_buf *buf)
{
    return (struct tly_text){buf->at, buf->len};
}

#endif
