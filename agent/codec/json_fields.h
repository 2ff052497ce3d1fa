/*
 * A line of log that is a JSON object (RFC 8259), as the packed members of a msgpack map: in one
 * pass and without a tree, since a container may write a million of them.
 */
#ifndef TLY_CODEC_JSON_FIELDS_H
#define TLY_CODEC_JSON_FIELDS_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stdint.h>

#define TLY_JSON_FIELDS_DEPTH_MAX  32 /* objects and arrays in each other */
#define TLY_JSON_FIELDS_NUMBER_MAX 63 /* digits, points and signs of a number */

struct tly_json_fields {
    uint32_t count;    /* pairs of name and value that were packed */
    uint32_t left_out; /* members of the object whose names were taken */
};

/* Whether a member of the object must be left out, because something else has its name. */
typedef bool (*tly_json_taken_fn)(const void *arg, struct tly_text name);

/*
 * Appends the members of the one object in `line` to `to`. Whole numbers that 64 bits hold stay
 * whole, with or without sign; all others become a float. Names that come twice are packed twice.
 *
 * TLY_E_MALFORMED: the line is no object, or something stands behind it. TLY_E_LIMIT: it is deeper,
 * a number longer or larger, or the packed text larger than there is room for. -ENOMEM. In each of
 * these cases `to` is as it was.
 */
int tly_json_fields_pack(struct tly_text line, tly_json_taken_fn taken, const void *arg,
                         struct tly_buf *to, struct tly_json_fields *ret_fields) TLY_CHECK;

#endif
