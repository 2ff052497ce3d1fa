/*
 * Accessors for jansson's trees; see json.h. Every API codec goes through these, so that what is
 * tolerated is decided in one place.
 */
#include "agent/codec/json.h"

#include <errno.h>
#include <math.h>

/* Engines pass on labels and commands of users: NUL is legal in them. */
#define DECODE_FLAGS JSON_ALLOW_NUL

static int error_of(const json_error_t *failure, struct tly_error *err)
{
    if (json_error_code(failure) == json_error_out_of_memory) {
        return tly_error_set(err, -ENOMEM, "out of memory while reading JSON");
    }
    return tly_error_set(err, TLY_E_MALFORMED, "not the JSON that was expected: %s at byte %d",
                         failure->text, failure->position);
}

int tly_json_parse(struct tly_text text, json_t **ret_root, struct tly_error *err)
{
    json_error_t failure = {0};
    if (text.len == 0) {
        return tly_error_set(err, TLY_E_MALFORMED, "empty instead of JSON");
    }
    json_t *root = json_loadb(text.at, text.len, DECODE_FLAGS, &failure);
    if (!root && json_error_code(&failure) == json_error_numeric_overflow) {
        root = json_loadb(text.at, text.len, DECODE_FLAGS | JSON_DECODE_INT_AS_REAL, &failure);
    }
    if (!root) {
        return error_of(&failure, err);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return tly_error_set(err, TLY_E_MALFORMED, "JSON, but not an object");
    }
    *ret_root = root;
    return 0;
}

struct tly_text tly_json_string(const json_t *value)
{
    if (!json_is_string(value)) {
        return (struct tly_text){NULL, 0};
    }
    return (struct tly_text){json_string_value(value), json_string_length(value)};
}

struct tly_text tly_json_text(const json_t *object, const char *key)
{
    return tly_json_string(json_object_get(object, key));
}

bool tly_json_int(const json_t *object, const char *key, int64_t *ret_value)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value)) {
        *ret_value = json_integer_value(value);
        return true;
    }
    if (json_is_real(value)) {
        double real = json_real_value(value);
        /* 2^63 is exact as a double, INT64_MAX is not: hence the strict upper bound. */
        if (real >= -0x1p63 && real < 0x1p63 && real == trunc(real)) {
            *ret_value = (int64_t)real;
            return true;
        }
    }
    return false;
}

bool tly_json_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}
