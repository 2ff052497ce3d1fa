/*
 * What whoever asks the Docker engine counts of its requests, and the samples made of it. Embedded
 * in the collector that asks.
 */
#ifndef TLY_ENGINE_REQUESTS_H
#define TLY_ENGINE_REQUESTS_H

#include "agent/model/sample.h"

#include <stddef.h>
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
    TLY_DOCKER_LOGS,
    TLY_DOCKER_API_COUNT
};

/* Different statuses that are told apart for each endpoint; further ones count as "other". */
#define TLY_DOCKER_CODES_MAX 12

struct tly_docker_code_count {
    int code; /* a status, or a negative code */
    uint64_t count;
};

#define TLY_DOCKER_VERSION_MAX 16 /* "1.41" */

/* All zero at first. */
struct tly_docker_requests {
    char api_version[TLY_DOCKER_VERSION_MAX]; /* they are made with; empty: not agreed yet */
    struct {
        struct tly_docker_code_count codes[TLY_DOCKER_CODES_MAX];
        size_t code_count;
        uint64_t other;
    } at[TLY_DOCKER_API_COUNT];
};

/* `code`: the HTTP status, or the negative code of a request without a reply. */
void tly_docker_requests_count(struct tly_docker_requests *requests, enum tly_docker_api api,
                               int code);

/* Samples of the family tallyman_docker_api_requests_total. */
void tly_docker_requests_meter(const struct tly_docker_requests *requests,
                               struct tly_samples *samples);

#endif
