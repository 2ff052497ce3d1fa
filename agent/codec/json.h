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

/* The same for a text whose outermost value may be an array, too. */
int tly_json_parse_any(struct tly_text text, json_t **ret_root, struct tly_error *err) TLY_CHECK;
void tly_json_free(json_t *root); /* NULL is fine */

/* The value at a path of names with points between them ("HostConfig.Memory"), borrowed; NULL when
 * it is absent or null. Names that hold a point themselves can't be reached so. */
const json_t *tly_json_at(const json_t *root, const char *path);
/* The same, as text; {NULL, 0} when it is no string. */
struct tly_text tly_json_text_at(const json_t *root, const char *path);
/* 1 for true, 0 for false, -1 for all else. */
int tly_json_truth_at(const json_t *root, const char *path);
/* False when there is no integer that fits. */
bool tly_json_int_at(const json_t *root, const char *path, int64_t *ret_value);

/* Elements of an array or members of an object; 0 for all else, NULL too. */
size_t tly_json_count(const json_t *value);
/* An element of an array; NULL behind its end. */
const json_t *tly_json_item(const json_t *array, size_t index);
/* Walks the members of an object in the text's order: `void *at = NULL; while
 * (tly_json_next(object, &at, &key, &value))`. Anything but an object has none. */
bool tly_json_next(const json_t *object, void **at, const char **ret_key, const json_t **ret_value);
/* A new array that holds these values, too; NULL when memory is out. */
json_t *tly_json_array_of(json_t *const *values, size_t count);
bool tly_json_is_array(const json_t *value);
bool tly_json_is_object(const json_t *value);

/* The string member, borrowed from the tree; {NULL, 0} when there is none. May hold NUL bytes. */
struct tly_text tly_json_text(const json_t *object, const char *key);
struct tly_text tly_json_string(const json_t *value);

/* The integer member (also one written as 1e3 or 5.0); false when there is none that fits. */
bool tly_json_int(const json_t *object, const char *key, int64_t *ret_value);

/* The number, whole or not; false for all else. */
bool tly_json_number(const json_t *value, double *ret_value);

/* The member is the literal true. */
bool tly_json_true(const json_t *object, const char *key);

#endif
