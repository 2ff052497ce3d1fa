/*
 * A stream of events, or of list elements, cut at a place that the first bytes choose: the values
 * that come out must not depend on the cut, and each goes through the parser of events.
 */
#include "agent/codec/docker_event.h"
#include "agent/codec/json_split.h"

#include <stdlib.h>

#define VALUE_MAX 512 /* small, so that the limit is reached */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    uint64_t hash;
    size_t count;
};

static int take(void *arg, struct tly_text json)
{
    struct sum *sum = arg;
    struct tly_docker_event event;
    sum->count++;
    for (size_t i = 0; i < json.len; i++) {
        sum->hash = sum->hash * 31 + (unsigned char)json.at[i];
    }
    if (json.len > VALUE_MAX || (json.at[0] != '{' && json.at[0] != '[')) {
        abort();
    }
    if (tly_docker_event_parse(json, &event, NULL) == 0) {
        if (event.type.len == 0 || event.action.len == 0 || event.time_ns < 0) {
            abort();
        }
        tly_docker_event_done(&event);
    }
    return 0;
}

static struct sum run(enum tly_json_split_form form, struct tly_text bytes, size_t piece)
{
    struct sum sum = {0};
    struct tly_json_split split;
    tly_json_split_init(&split, form, VALUE_MAX);
    for (size_t at = 0; at < bytes.len; at += piece) {
        size_t count = bytes.len - at < piece ? bytes.len - at : piece;
        if (tly_json_split_feed(&split, (struct tly_text){bytes.at + at, count}, take, &sum) < 0) {
            break; /* a value that never ends */
        }
    }
    sum.count += split.malformed + split.oversized;
    tly_json_split_done(&split);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    enum tly_json_split_form form = data[0] == 'e' ? TLY_JSON_ELEMENTS : TLY_JSON_VALUES;
    struct tly_text bytes = {(const char *)data + 1, size - 1};
    struct sum whole = run(form, bytes, bytes.len);
    struct sum cut = run(form, bytes, 1 + data[1] % 7);
    /* Only a stream longer than what the splitter gives up on may differ. */
    if (size < (size_t)VALUE_MAX * TLY_JSON_SPLIT_RUNAWAY &&
        (whole.hash != cut.hash || whole.count != cut.count)) {
        abort();
    }
    return 0;
}
