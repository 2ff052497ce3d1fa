/*
 * JSON lines as fields: what is packed is as many whole values as were counted, and no object that
 * a JSON library accepts is refused, except over the bounds.
 */
#include "agent/codec/json_fields.h"
#include "agent/codec/record_reader.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

static bool is_taken(const void *arg, struct tly_text name)
{
    (void)arg;
    return tly_text_equal(name, TLY_TEXT("log"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_buf pairs;
    struct tly_json_fields fields = {0};
    char *line = malloc(size + 1); /* of exactly this length, so that a sanitizer sees its end */
    insist(line != NULL);
    memcpy(line, data, size);
    tly_buf_init(&pairs, 1U << 24);
    int rc = tly_json_fields_pack((struct tly_text){line, size}, is_taken, NULL, &pairs, &fields);
    struct tly_text rest = tly_buf_text(&pairs);
    for (uint32_t i = 0; rc == 0 && i < 2 * fields.count; i++) {
        struct tly_value value;
        struct tly_text bytes;
        insist(tly_value_whole(&rest, &value, &bytes) == 0);
        insist(i % 2 == 1 ||
               (value.type == TLY_VALUE_STR && !tly_text_equal(value.bytes, TLY_TEXT("log"))));
    }
    insist(rest.len == 0);
    /* The library takes a NUL between values for an end. */
    json_t *known = memchr(line, '\0', size)
                        ? NULL
                        : json_loadb(line, size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(known)) {
        insist(rc == TLY_E_LIMIT ||
               (rc == 0 && fields.count + fields.left_out == json_object_size(known)));
    }
    json_decref(known);
    tly_buf_done(&pairs);
    free(line);
    return 0;
}
