/*
 * Any bytes as what the engine says of itself: sizes, execs, /info, refusals. Texts fit where they
 * go, and sums are never below what "unknown" is.
 */
#include "agent/codec/engine_json.h"
#include "agent/codec/engine_usage.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_usage(struct tly_text text)
{
    struct tly_engine_usage usage;
    if (tly_engine_usage_parse(text, &usage, NULL) < 0) {
        return;
    }
    for (size_t kind = 0; kind < TLY_USAGE_KINDS; kind++) {
        if (usage.of[kind].total < -1 || usage.of[kind].active < -1 || usage.of[kind].bytes < -1 ||
            usage.of[kind].reclaimable_bytes < -1) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_text text = {(const char *)data, size};
    struct tly_engine_info info;
    struct tly_engine_exec exec;
    struct tly_api_version version;
    char message[32];
    check_usage(text);
    if (tly_engine_info_parse(text, &info, NULL) == 0 &&
        strlen(info.data_root) >= sizeof(info.data_root)) {
        abort();
    }
    if (tly_engine_exec_parse(text, &exec, NULL) == 0 && strlen(exec.user) >= sizeof(exec.user)) {
        abort();
    }
    tly_engine_message(text, message, sizeof(message));
    if (strlen(message) >= sizeof(message)) {
        abort();
    }
    if (tly_engine_wants_version(text, &version) && version.major < 0) {
        abort();
    }
    return 0;
}
