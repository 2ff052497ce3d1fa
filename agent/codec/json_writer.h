/*
 * JSON (RFC 8259) written piece by piece. After the first failure nothing is appended any more, so
 * that only the end has to be looked at: `rc` is 0, or -ENOMEM or TLY_E_LIMIT as by
 * agent/base/buf.h, and the buffer has grown by a part. Pure.
 */
#ifndef TLY_CODEC_JSON_WRITER_H
#define TLY_CODEC_JSON_WRITER_H

#include "agent/base/buf.h"
#include "agent/base/text.h"

#include <stdint.h>

struct tly_json_writer {
    struct tly_buf *buf; /* borrowed */
    int rc;
};

/* As it is: brackets, commas, keys that need no escape. */
void tly_json_put(struct tly_json_writer *writer, const char *text);

/* A string, quotes included; bytes that are not UTF-8 become U+FFFD. */
void tly_json_put_text(struct tly_json_writer *writer, struct tly_text text);

/* raw * 10^exponent, `exponent` from -9 to 0. `null` for TLY_UNKNOWN. */
void tly_json_put_decimal(struct tly_json_writer *writer, int64_t raw, int exponent);

/* "2026-08-23T00:28:30.123456789Z", quotes included. */
void tly_json_put_time(struct tly_json_writer *writer, int64_t ns);

#endif
