/*
 * Numbers and durations as Prometheus reads and writes them, that is as Go does: strconv's
 * ParseInt, ParseFloat and FormatFloat, fmt's %v, and durations from `0s` to years.
 */
#ifndef TLY_RULES_NUMBER_H
#define TLY_RULES_NUMBER_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number of the expression language: decimal, 0x hexadecimal, 0 octal, 0b binary, float, with
 * underscores between digits of prefixed forms, Inf and NaN in any case; no sign. TLY_E_MALFORMED,
 * or -ERANGE. */
int tly_number_parse(struct tly_text text, double *ret_value) TLY_CHECK;

/* A float as ParseFloat reads it, whole text, sign allowed: for `le` labels. TLY_E_MALFORMED; what
 * is too large is an error as well, -ERANGE. */
int tly_float_parse(struct tly_text text, double *ret_value) TLY_CHECK;

/* The shortest digits that read back as the same number, never with an exponent: FormatFloat(v,
 * 'f', -1). Writes a NUL and returns the length. */
#define TLY_NUMBER_TEXT_MAX 352 /* 5e-324 takes 326 */
size_t tly_number_format(double value, char to[TLY_NUMBER_TEXT_MAX]);

/* The same digits, with an exponent below 1e-04 and from 1e+06 on: %v, which is FormatFloat(v, 'g',
 * -1). */
size_t tly_number_format_general(double value, char to[TLY_NUMBER_TEXT_MAX]);

/* `1h30m`, `5m`, `2w`, `10ms`: each unit once, largest first. Milliseconds. TLY_E_MALFORMED, or
 * -ERANGE over 292 years. */
int tly_duration_parse(struct tly_text text, int64_t *ret_ms) TLY_CHECK;

/* The text of a duration of at least 0 ms, with years and weeks only where they divide it. */
#define TLY_DURATION_TEXT_MAX 48
size_t tly_duration_format(int64_t ms, char to[TLY_DURATION_TEXT_MAX]);

/* The NaN that marks the end of a series. Any other NaN is an ordinary value. */
#define TLY_STALE_NAN_BITS 0x7ff0000000000002U
static inline bool tly_is_stale(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits == TLY_STALE_NAN_BITS;
}
static inline double tly_stale_nan(void)
{
    uint64_t bits = TLY_STALE_NAN_BITS;
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

#endif
