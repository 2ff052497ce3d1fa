/*
 * The collector's own figures; see counts.h.
 */
#include "collectors/docker/counts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const api_names[TLY_DOCKER_API_COUNT] = {
    [TLY_DOCKER_PING] = "ping",       [TLY_DOCKER_INFO] = "info",
    [TLY_DOCKER_EVENTS] = "events",   [TLY_DOCKER_LIST] = "list",
    [TLY_DOCKER_INSPECT] = "inspect", [TLY_DOCKER_EXEC] = "exec",
    [TLY_DOCKER_USAGE] = "system_df", [TLY_DOCKER_NETWORKS] = "networks",
};

/* Why there was no reply, in the words of the label `code`. */
static const struct reason {
    int code;
    const char *word;
} reasons[] = {
    {TLY_E_TIMEOUT, "timeout"},     {TLY_E_CLOSED, "closed"},   {TLY_E_LIMIT, "too_long"},
    {TLY_E_MALFORMED, "malformed"}, {-ENOENT, "absent"},        {-ECONNREFUSED, "absent"},
    {-EHOSTUNREACH, "absent"},      {-EACCES, "no_permission"}, {-EIO, "failed"},
};

/* The first reason with the same word as the code's; the last, where the code has none. */
static const struct reason *reason_of(int code)
{
    const struct reason *last = &reasons[sizeof(reasons) / sizeof(reasons[0]) - 1];
    const struct reason *found = reasons;
    while (found < last && found->code != code) {
        found++;
    }
    const struct reason *first = reasons;
    while (strcmp(first->word, found->word) != 0) {
        first++;
    }
    return first;
}

void tly_docker_counts_request(struct tly_docker_counts *counts, enum tly_docker_api api, int code)
{
    code = code > 0 ? code : reason_of(code)->code;
    for (size_t i = 0; i < counts->requests[api].code_count; i++) {
        if (counts->requests[api].codes[i].code == code) {
            counts->requests[api].codes[i].count++;
            return;
        }
    }
    if (counts->requests[api].code_count == TLY_DOCKER_CODES_MAX) {
        counts->requests[api].other++;
        return;
    }
    size_t new = counts->requests[api].code_count++;
    counts->requests[api].codes[new] = (struct tly_docker_code_count){.code = code, .count = 1};
}

void tly_docker_counts_event(struct tly_docker_counts *counts, struct tly_text type,
                             struct tly_text action)
{
    counts->events++;
    counts->actions[tly_docker_action_find(type, action)]++;
}

static void meter_request(struct tly_samples *samples, const char *endpoint, const char *code,
                          uint64_t count)
{
    static const char *const names[] = {"endpoint", "code"};
    struct tly_text values[] = {tly_text_of(endpoint), tly_text_of(code)};
    tly_samples_add(samples, TLY_F_tallyman_docker_api_requests_total,
                    tly_samples_dim(samples, names, values, 2), (int64_t)count);
}

static void meter_requests(const struct tly_docker_counts *counts, struct tly_samples *samples)
{
    for (size_t api = 0; api < TLY_DOCKER_API_COUNT; api++) {
        for (size_t i = 0; i < counts->requests[api].code_count; i++) {
            const struct tly_docker_code_count *at = &counts->requests[api].codes[i];
            char status[16];
            (void)snprintf(status, sizeof(status), "%d", at->code); /* fits */
            meter_request(samples, api_names[api],
                          at->code > 0 ? status : reason_of(at->code)->word, at->count);
        }
        if (counts->requests[api].other > 0) {
            meter_request(samples, api_names[api], "other", counts->requests[api].other);
        }
    }
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
    if (counts->api_version[0]) {
        static const char *const names[] = {"version", "api_version"};
        struct tly_text values[] = {tly_text_of(counts->version), tly_text_of(counts->api_version)};
        tly_samples_add(samples, TLY_F_tallyman_docker_info,
                        tly_samples_dim(samples, names, values, 2), 1);
    }
    tly_samples_add(samples, TLY_F_tallyman_docker_events_connected, TLY_DIM_NONE, counts->stream);
    tly_samples_add(samples, TLY_F_tallyman_docker_reconnects_total, TLY_DIM_NONE,
                    (int64_t)counts->reconnects);
    meter_requests(counts, samples);
    meter_events(counts, samples);
    tly_samples_add(samples, TLY_F_tallyman_docker_inspects_pending, TLY_DIM_NONE,
                    (int64_t)counts->inspects_pending);
    meter_actions(counts, samples);
}
