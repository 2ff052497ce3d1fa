/*
 * Records as JSON (RFC 8259), one line each, for people and for tools: what `tallyman receive`
 * prints.
 */
#ifndef TLY_CODEC_RECORD_JSON_H
#define TLY_CODEC_RECORD_JSON_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_json_style {
    /* Bytes that are not UTF-8 stay as they are: the line is then no valid JSON for most readers,
     * but nothing is lost. Otherwise each becomes U+FFFD. */
    bool raw_bytes;
};

/* Appends `text` with quotes around it. */
int tly_record_json_text(struct tly_buf *buf, struct tly_text text,
                         struct tly_json_style style) TLY_CHECK;

/* Appends `"2026-08-23T00:28:30.123456789Z"`, quotes included. */
int tly_record_json_time(struct tly_buf *buf, int64_t ns) TLY_CHECK;

/*
 * Appends the msgpack value `value` as JSON. Both str and bin become strings; an EventTime its
 * date; another extension {"type":n,"data":"Base64"}; a number that JSON does not know (not a
 * number, infinite) null. Keys that are no text are written as the text of their JSON, arrays and
 * maps as keys as "[]" and "{}". TLY_E_MALFORMED and TLY_E_MORE for bytes that are no msgpack,
 * TLY_E_LIMIT over TLY_RECORD_DEPTH_MAX or the buffer's maximum, -ENOMEM; the buffer may then have
 * grown by a part.
 */
int tly_record_json(struct tly_buf *buf, struct tly_text value,
                    struct tly_json_style style) TLY_CHECK;

#endif
