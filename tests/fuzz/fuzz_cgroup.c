/*
 * Every parser of cgroup v2 files on the same bytes: none may read past the end, overflow, or find
 * more devices than there are words.
 */
#include "agent/codec/cgroup.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct numbers {
    int64_t usage, anon, populated;
};

static void flat(struct tly_text text)
{
    static const struct tly_cgroup_key keys[] = {
        TLY_CGROUP_KEY("usage_usec", struct numbers, usage),
        TLY_CGROUP_KEY("anon", struct numbers, anon),
        TLY_CGROUP_KEY("populated", struct numbers, populated),
    };
    struct numbers numbers = {TLY_CGROUP_ABSENT, TLY_CGROUP_ABSENT, TLY_CGROUP_ABSENT};
    size_t found = tly_cgroup_flat_parse(text, keys, 3, &numbers);
    if (found > 3 || numbers.usage < TLY_CGROUP_ABSENT || numbers.anon < TLY_CGROUP_ABSENT) {
        abort();
    }
}

static void io_stat(struct tly_text text)
{
    struct tly_cgroup_io io;
    size_t devices = 0;
    while (tly_cgroup_io_next(&text, &io)) {
        devices++;
        if (io.rbytes < TLY_CGROUP_ABSENT || io.cost_wait_us < TLY_CGROUP_ABSENT) {
            abort();
        }
    }
    if (devices > 0 && text.len != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of just this size, so that the sanitizer sees a read past the end. */
    char *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    struct tly_text text = {copy, size};
    int64_t a = 0;
    int64_t b = 0;
    struct tly_cgroup_pressure pressure;
    flat(text);
    io_stat(text);
    if (tly_cgroup_value_parse(text, &a) == 0 && a < 0) {
        abort();
    }
    if (tly_cgroup_cpu_max_parse(text, &a, &b) == 0 && (a < 0 || b < 0)) {
        abort();
    }
    int64_t nodes[4];
    if (tly_cgroup_numa_parse(text, TLY_TEXT("anon"), nodes, 4) > 4 ||
        nodes[3] < TLY_CGROUP_ABSENT) {
        abort();
    }
    if (tly_cgroup_pressure_parse(text, &pressure) > 0) {
        abort();
    }
    free(copy);
    return 0;
}
