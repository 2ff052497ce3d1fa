/*
 * What the Docker collector counts about itself and its engine, and the samples made of it. Owned
 * by the collector; the other parts add to it. Zero-initialised means nothing was counted.
 */
#ifndef TLY_COLLECTORS_DOCKER_COUNTS_H
#define TLY_COLLECTORS_DOCKER_COUNTS_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/engine/requests.h"
#include "agent/model/sample.h"
#include "collectors/docker/action.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_docker_counts {
    bool api;         /* an API is configured */
    bool up;          /* it answered when last asked */
    bool stream;      /* the events stand */
    char version[64]; /* of the engine */
    struct tly_docker_requests requests;
    uint64_t reconnects, gaps;
    uint64_t events, repeated, malformed, oversized, overflowed;
    uint64_t queued_bytes;
    uint64_t inspects_pending;
    uint64_t actions[TLY_DOCKER_ACTIONS];
};

/* One event that was handled. */
void tly_docker_counts_event(struct tly_docker_counts *counts, struct tly_text type,
                             struct tly_text action);

/* A tly_meter_fn; `arg` is the counts. */
void tly_docker_counts_meter(void *arg, struct tly_samples *samples);

#endif
