/*
 * Reading JSON trees (jansson): the few accessors that every API codec needs. A member that is
 * absent or of another type reads as absent, so that a newer or odd engine costs one value and not
 * the reply.
 */
#ifndef TLY_CODEC_JSON_H
#define TLY_CODEC_JSON_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Parses one whole JSON text whose outermost value is an object. Integers that do not fit 64 bits
 * do not fail the text: all its integers are then read as reals. The caller owns the result
 * (json_decref, or json_auto_t). TLY_E_MALFORMED, -ENOMEM.
 */
int tly_json_parse(struct tly_text text, json_t **ret_root, struct tly_error *err) TLY_CHECK;

/* The string member, borrowed from the tree; {NULL, 0} when there is none. May hold NUL bytes. */
struct tly_text tly_json_text(const json_t *object, const char *key);
struct tly_text tly_json_string(const json_t *value);

/* The integer member (also one written as 1e3 or 5.0); false when there is none that fits. */
bool tly_json_int(const json_t *object, const char *key, int64_t *ret_value);

/* The member is the literal true. */
bool tly_json_true(const json_t *object, const char *key);

#endif
