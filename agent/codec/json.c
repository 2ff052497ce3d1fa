/*
 * Accessors for jansson's trees; see json.h. Every API codec goes through these, so that what is
 * tolerated is decided in one place.
 */
#include "agent/codec/json.h"

#include "agent/codec/json_memory.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Engines pass on labels and commands of users: NUL is legal in them. */
#define DECODE_FLAGS JSON_ALLOW_NUL

int tly_json_parse_any(struct tly_text text, json_t **ret_root, struct tly_error *err)
{
    json_error_t failure = {0};
    if (text.len == 0) {
        return tly_error_set(err, TLY_E_MALFORMED, "empty instead of JSON");
    }
    int rc = tly_json_load(text, DECODE_FLAGS, ret_root, &failure);
    if (rc == TLY_E_MALFORMED && json_error_code(&failure) == json_error_numeric_overflow) {
        rc = tly_json_load(text, DECODE_FLAGS | JSON_DECODE_INT_AS_REAL, ret_root, &failure);
    }
    if (rc == -ENOMEM) {
        return tly_error_set(err, rc, "out of memory while reading JSON");
    }
    return rc == 0 ? 0
                   : tly_error_set(err, rc, "not the JSON that was expected: %s at byte %d",
                                   failure.text, failure.position);
}

int tly_json_parse(struct tly_text text, json_t **ret_root, struct tly_error *err)
{
    json_t *root = NULL;
    int rc = tly_json_parse_any(text, &root, err);
    if (rc < 0) {
        return rc;
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

static bool int_of(const json_t *value, int64_t *ret_value)
{
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

bool tly_json_int(const json_t *object, const char *key, int64_t *ret_value)
{
    return int_of(json_object_get(object, key), ret_value);
}

bool tly_json_number(const json_t *value, double *ret_value)
{
    if (!json_is_number(value)) {
        return false;
    }
    *ret_value = json_number_value(value);
    return true;
}

bool tly_json_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* ---- by path ---- */

#define NAME_LEN_MAX 64 /* of one name in a path */

void tly_json_free(json_t *root)
{
    json_decref(root);
}

const json_t *tly_json_at(const json_t *root, const char *path)
{
    struct tly_text rest = tly_text_of(path);
    while (root && rest.at) {
        char name[NAME_LEN_MAX + 1];
        struct tly_text part = tly_text_cut(&rest, '.');
        if (part.len > NAME_LEN_MAX) {
            return NULL;
        }
        memcpy(name, part.at, part.len);
        name[part.len] = '\0';
        root = json_object_get(root, name);
    }
    return json_is_null(root) ? NULL : root;
}

struct tly_text tly_json_text_at(const json_t *root, const char *path)
{
    return tly_json_string(tly_json_at(root, path));
}

int tly_json_truth_at(const json_t *root, const char *path)
{
    const json_t *value = tly_json_at(root, path);
    return json_is_true(value) ? 1 : json_is_false(value) ? 0 : -1;
}

bool tly_json_int_at(const json_t *root, const char *path, int64_t *ret_value)
{
    return int_of(tly_json_at(root, path), ret_value);
}

/* ---- members ---- */

size_t tly_json_count(const json_t *value)
{
    return json_is_object(value) ? json_object_size(value) : json_array_size(value);
}

const json_t *tly_json_item(const json_t *array, size_t index)
{
    return json_array_get(array, index);
}

/* jansson's iterators take an object that may be changed; nothing here changes it. */
bool tly_json_next(const json_t *object, void **at, const char **ret_key, const json_t **ret_value)
{
    union {
        const json_t *given;
        json_t *lent;
    } members = {object};
    *at = *at ? json_object_iter_next(members.lent, *at) : json_object_iter(members.lent);
    if (!*at) {
        return false;
    }
    *ret_key = json_object_iter_key(*at);
    *ret_value = json_object_iter_value(*at);
    return true;
}

json_t *tly_json_array_of(json_t *const *values, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < count; i++) {
        if (json_array_append(array, values[i]) < 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

bool tly_json_is_array(const json_t *value)
{
    return json_is_array(value);
}

bool tly_json_is_object(const json_t *value)
{
    return json_is_object(value);
}
