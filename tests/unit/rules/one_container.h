/*
 * What tests of the engine of rules share: a snapshot that has one container in it.
 */
#ifndef TLY_TESTS_UNIT_RULES_ONE_CONTAINER_H
#define TLY_TESTS_UNIT_RULES_ONE_CONTAINER_H

#include "agent/rules/engine.h"

#include "agent/base/clock.h"
#include "tests/unit/unit.h"

/* The engine sees a container with these labels and so many bytes of working set; with 0 none. */
static inline void observe_one(struct tly_engine *engine, int64_t taken_ms, struct tly_text labels,
                               int64_t bytes)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_samples_add(&samples, TLY_F_container_memory_working_set_bytes, TLY_DIM_NONE, bytes);
    struct tly_sample_set *set = tly_samples_take(&samples);
    struct tly_snapshot_row row = {.labels = labels, .sets = {set}};
    struct tly_snapshot snapshot = {
        .refs = 1,
        .taken_ns = taken_ms * TLY_NS_PER_MS,
        .slots = 1,
        .count = bytes > 0 ? 1 : 0,
        .rows = &row,
    };
    assert_int_equal(tly_engine_observe(engine, &snapshot), 0);
    tly_sample_set_unref(set);
    tly_samples_done(&samples);
}

#endif
