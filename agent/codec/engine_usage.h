/*
 * What GET /system/df says the engine's objects take on disk, in the sums of `docker system df`.
 * Engine API: https://docs.docker.com/reference/api/engine/ (SystemDataUsage). Up to 1.51 the reply
 * lists every object and the client adds up; from 1.52 on the engine does. Pure.
 */
#ifndef TLY_CODEC_ENGINE_USAGE_H
#define TLY_CODEC_ENGINE_USAGE_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdint.h>

enum tly_usage_kind {
    TLY_USAGE_IMAGES,
    TLY_USAGE_CONTAINERS,
    TLY_USAGE_VOLUMES,
    TLY_USAGE_BUILD_CACHE,
    TLY_USAGE_KINDS
};

struct tly_engine_usage {
    /* -1 where the reply says nothing. Active: used by a container, running, in use. */
    struct {
        int64_t total, active, bytes, reclaimable_bytes;
    } of[TLY_USAGE_KINDS];
};

/* TLY_E_MALFORMED for what is no JSON object, -ENOMEM. */
int tly_engine_usage_parse(struct tly_text json, struct tly_engine_usage *ret_usage,
                           struct tly_error *err) TLY_CHECK;

#endif
