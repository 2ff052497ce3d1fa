/*
 * Containers from the engine's JSON, read as each of the three forms. What is accepted must hold
 * together: an id that may become part of a path, equal when it is read again.
 */
#include "agent/codec/container_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct tly_container *container)
{
    size_t len = strlen(container->id);
    if (len == 0 || strspn(container->id, "0123456789abcdefABCDEF") != len ||
        container->state >= TLY_STATE_COUNT || container->health >= TLY_HEALTH_COUNT ||
        container->label_count > TLY_CONTAINER_LABELS_MAX) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_text text = {(const char *)data, size};
    struct tly_container *container = NULL;
    struct tly_container *again = NULL;
    struct tly_container_row row;
    if (tly_container_parse_inspect(text, &container, NULL) == 0) {
        check(container);
        if (tly_container_parse_inspect(text, &again, NULL) < 0 ||
            !tly_container_equal(container, again)) {
            abort();
        }
        tly_container_unref(container);
        tly_container_unref(again);
    }
    if (tly_container_parse_files(text, text, &container, NULL) == 0) {
        check(container);
        tly_container_unref(container);
    }
    if (tly_container_parse_row(text, &row, NULL) == 0) {
        check(row.container);
        tly_container_row_done(&row);
    }
    return 0;
}
