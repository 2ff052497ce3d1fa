/*
 * What the Docker collector counts about itself and its engine, and the samples made of it. Owned
 * by the collector; the other parts add to it. Zero-initialised means nothing was counted.
 */
#ifndef TLY_COLLECTORS_DOCKER_COUNTS_H
#define TLY_COLLECTORS_DOCKER_COUNTS_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/model/sample.h"
#include "collectors/docker/action.h"

#include <stdbool.h>
#include <stdint.h>

/* The endpoints of the API that are used; each is one value of the label `endpoint`. */
enum tly_docker_api {
    TLY_DOCKER_PING,
    TLY_DOCKER_INFO,
    TLY_DOCKER_EVENTS,
    TLY_DOCKER_LIST,
    TLY_DOCKER_INSPECT,
    TLY_DOCKER_EXEC,
    TLY_DOCKER_USAGE,
    TLY_DOCKER_NETWORKS,
    TLY_DOCKER_API_COUNT
};

/* Different statuses that are told apart for each endpoint; further ones count as "other". */
#define TLY_DOCKER_CODES_MAX 12

struct tly_docker_code_count {
    int code; /* a status, or a negative code */
    uint64_t count;
};

struct tly_docker_counts {
    bool api;    /* an API is configured */
    bool up;     /* it answered when last asked */
    bool stream; /* the events stand */
    char version[64], api_version[16];
    struct {
        struct tly_docker_code_count codes[TLY_DOCKER_CODES_MAX];
        size_t code_count;
        uint64_t other;
    } requests[TLY_DOCKER_API_COUNT];
    uint64_t reconnects, gaps;
    uint64_t events, repeated, malformed, oversized, overflowed;
    uint64_t queued_bytes;
    uint64_t inspects_pending;
    uint64_t actions[TLY_DOCKER_ACTIONS];
};

/* `code`: the HTTP status, or the negative code of a request without a reply. */
void tly_docker_counts_request(struct tly_docker_counts *counts, enum tly_docker_api api, int code);
/* One event that was handled. */
void tly_docker_counts_event(struct tly_docker_counts *counts, struct tly_text type,
                             struct tly_text action);

/* A tly_meter_fn; `arg` is the counts. */
void tly_docker_counts_meter(void *arg, struct tly_samples *samples);

#endif
