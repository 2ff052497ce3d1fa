/*
 * From the text of a scalar to a value, and from numbers back to the text that a person would have
 * written. All pure, but for tly_expand, which reads the environment.
 */
#ifndef TLY_CONFIG_SCALAR_H
#define TLY_CONFIG_SCALAR_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/config/option.h"

#include <stdbool.h>
#include <stdint.h>

/* true/false, yes/no, on/off in any case. TLY_E_MALFORMED. */
int tly_scalar_bool(struct tly_text text, bool *ret_value) TLY_CHECK;

/* Bytes: digits, then nothing or one of tly_size_units. TLY_E_MALFORMED, -ERANGE. */
int tly_scalar_size(struct tly_text text, int64_t *ret_bytes) TLY_CHECK;

/* Milliseconds: digits and unit (ms, s, m, h, d, w), again with smaller units; or 0.
 * TLY_E_MALFORMED, -ERANGE. */
int tly_scalar_duration(struct tly_text text, int64_t *ret_ms) TLY_CHECK;

#define TLY_SCALAR_TEXT_MAX 64
/* The shortest exact text: 65536 is "64KiB", 90000 is "1m30s". */
void tly_size_format(int64_t bytes, char to[TLY_SCALAR_TEXT_MAX]);
void tly_option_duration_format(int64_t ms, char to[TLY_SCALAR_TEXT_MAX]);

/* A number as it is written for an option of type INT, SIZE or DURATION. */
void tly_option_number_format(enum tly_option_type type, int64_t value,
                              char to[TLY_SCALAR_TEXT_MAX]);

/*
 * Appends `text` with ${NAME} and ${NAME:-default} replaced from the environment (the default also
 * where the variable is empty) and `$$` by `$`; any other `$` stays. TLY_E_MALFORMED with `err` for
 * a variable that is not set and for other forms; the buffer's own errors.
 */
int tly_expand(struct tly_text text, struct tly_buf *buf, struct tly_error *err) TLY_CHECK;

#endif
