/*
 * How a failure travels. A function returns 0 or a negative number: an errno value, negated, or one
 * of the few codes below, which lie outside errno's and libuv's range. Where a person will read the
 * failure, the caller also lends a struct tly_error; it has a fixed size, so reporting an error
 * never allocates and can never fail itself.
 */
#ifndef TLY_BASE_ERROR_H
#define TLY_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    TLY_E_MORE = -20001,      /* the input ends in the middle: call again with more bytes */
    TLY_E_MALFORMED = -20002, /* the input can never become valid */
    TLY_E_LIMIT = -20003,     /* a configured maximum would be passed */
    TLY_E_CLOSED = -20004,    /* the peer or the owner ended it */
    TLY_E_REFUSED = -20005,   /* the peer understood and said no */
    TLY_E_TIMEOUT = -20006,   /* the time allowed ran out */
};

#define TLY_ERROR_TEXT_MAX 512

struct tly_error {
    int code;                      /* 0, or the negative number that the function returned */
    char text[TLY_ERROR_TEXT_MAX]; /* one sentence without a full stop; cut, never overrun */
};

/* An unused return value of type int is a defect: every one must be looked at or cast away. */
#define TLY_CHECK                     __attribute__((warn_unused_result))
#define TLY_PRINTF(text_at, first_at) __attribute__((format(printf, text_at, first_at)))

/*
 * Writes `code` and the text to `err` (which may be NULL) and returns `code`, so that a failing
 * function ends in `return tly_error_set(err, -EINVAL, "...")`.
 */
int tly_error_set(struct tly_error *err, int code, const char *format, ...) TLY_PRINTF(3, 4);
int tly_error_vset(struct tly_error *err, int code, const char *format, va_list args)
    TLY_PRINTF(3, 0);

/* Puts "text: " before what `err` already says. */
void tly_error_prefix(struct tly_error *err, const char *format, ...) TLY_PRINTF(2, 3);

/* Whether a failure says something of this process or host (no descriptor, no memory is left) and
 * nothing of what was asked for: that may well be there, and be found the next time. */
bool tly_error_lacks_means(int code);

/* A short name for any code: errno's text, or ours. Never NULL; a constant or a static buffer per
 * thread, valid until the thread's next call. */
const char *tly_error_name(int code);

#endif
