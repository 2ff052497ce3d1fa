/*
 * The collector's own figures; see counts.h.
 */
#include "collectors/docker/counts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tly_docker_counts_event(struct tly_docker_counts *counts, struct tly_text type,
                             struct tly_text action)
{
    counts->events++;
    counts->actions[tly_docker_action_find(type, action)]++;
}

static void meter_events(const struct tly_docker_counts *counts, struct tly_samples *samples)
{
    const struct {
        const char *reason;
        uint64_t count;
    } skipped[] = {
        {"repeated", counts->repeated},
        {"malformed", counts->malformed},
        {"oversized", counts->oversized},
        {"overflowed", counts->overflowed},
    };
    tly_samples_add(samples, TLY_F_tallyman_docker_events_total, TLY_DIM_NONE,
                    (int64_t)counts->events);
    for (size_t i = 0; i < sizeof(skipped) / sizeof(skipped[0]); i++) {
        uint16_t dim = tly_samples_dim1(samples, "reason", tly_text_of(skipped[i].reason));
        tly_samples_add(samples, TLY_F_tallyman_docker_events_skipped_total, dim,
                        (int64_t)skipped[i].count);
    }
    tly_samples_add(samples, TLY_F_tallyman_docker_events_gap_total, TLY_DIM_NONE,
                    (int64_t)counts->gaps);
    tly_samples_add(samples, TLY_F_tallyman_docker_events_queued_bytes, TLY_DIM_NONE,
                    (int64_t)counts->queued_bytes);
}

/* All of them, those that never came at 0: increase() does not see a series that is born at 1. */
static void meter_actions(const struct tly_docker_counts *counts, struct tly_samples *samples)
{
    static const char *const names[] = {"type", "action"};
    for (size_t i = 0; i < TLY_DOCKER_ACTIONS; i++) {
        struct tly_text values[] = {tly_text_of(tly_docker_actions[i].type),
                                    tly_text_of(tly_docker_actions[i].action)};
        tly_samples_add(samples, TLY_F_docker_events_total,
                        tly_samples_dim(samples, names, values, 2), (int64_t)counts->actions[i]);
    }
}

void tly_docker_counts_meter(void *arg, struct tly_samples *samples)
{
    const struct tly_docker_counts *counts = arg;
    if (!counts->api) {
        return;
    }
    tly_samples_add(samples, TLY_F_tallyman_docker_up, TLY_DIM_NONE, counts->up);
    if (counts->requests.api_version[0]) {
        static const char *const names[] = {"version", "api_version"};
        struct tly_text values[] = {tly_text_of(counts->version),
                                    tly_text_of(counts->requests.api_version)};
        tly_samples_add(samples, TLY_F_tallyman_docker_info,
                        tly_samples_dim(samples, names, values, 2), 1);
    }
    tly_samples_add(samples, TLY_F_tallyman_docker_events_connected, TLY_DIM_NONE, counts->stream);
    tly_samples_add(samples, TLY_F_tallyman_docker_reconnects_total, TLY_DIM_NONE,
                    (int64_t)counts->reconnects);
    tly_docker_requests_meter(&counts->requests, samples);
    meter_events(counts, samples);
    tly_samples_add(samples, TLY_F_tallyman_docker_inspects_pending, TLY_DIM_NONE,
                    (int64_t)counts->inspects_pending);
    meter_actions(counts, samples);
}
