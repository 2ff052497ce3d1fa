/*
 * `docker system df`; see usage.h. A reply names every object of the host and may have megabytes,
 * so it is read on a worker.
 */
#include "collectors/docker/usage.h"

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/codec/engine_usage.h"
#include "agent/codec/json_split.h"

#include <errno.h>
#include <stdlib.h>

#define WHO "docker"

/* The engine walks through every layer and volume: minutes, on a slow disk. */
#define TIMEOUT_MS (10 * 60 * 1000)
/* 10,000 containers with long labels. */
#define REPLY_BYTES_MAX ((size_t)64 << 20)
/* One network, with all that is attached to it. */
#define NETWORK_BYTES_MAX ((size_t)4 << 20)

/* A reply on its way through the worker. It outlives its owner, who may go meanwhile. */
struct reading {
    struct tly_docker_usage *owner; /* NULL: gone; the loop's */
    struct tly_buf body;
    struct tly_engine_usage usage;
    int rc;
};

struct tly_docker_usage {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    struct tly_docker_engine *engine;
    int64_t interval_ms, due_ms;
    unsigned slot;
    struct tly_docker_get *get;    /* under way, of either question; NULL: none */
    struct reading *reading;       /* on the worker; NULL: none */
    struct tly_engine_usage usage; /* the last reply */
    int64_t measured_ns;           /* its realtime; 0: none yet */
    int64_t networks;              /* -1: unknown */
    struct tly_json_split split;   /* of the list of networks */
    struct tly_samples samples;
    uint64_t errors;
};

/* ---- what is published ---- */

static void kind_write(struct tly_samples *samples, const char *type, int64_t total, int64_t active,
                       int64_t bytes, int64_t reclaimable)
{
    const struct {
        enum tly_family_id family;
        int64_t value;
    } rows[] = {
        {TLY_F_docker_system_df_objects, total},
        {TLY_F_docker_system_df_active_objects, active},
        {TLY_F_docker_system_df_size_bytes, bytes},
        {TLY_F_docker_system_df_reclaimable_bytes, reclaimable},
    };
    uint16_t dim = tly_samples_dim1(samples, "type", tly_text_of(type));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].value >= 0 && dim != TLY_DIM_NONE) {
            tly_samples_add(samples, rows[i].family, dim, rows[i].value);
        }
    }
}

static void publish(struct tly_docker_usage *usage)
{
    static const char *const types[TLY_USAGE_KINDS] = {
        [TLY_USAGE_IMAGES] = "images",
        [TLY_USAGE_CONTAINERS] = "containers",
        [TLY_USAGE_VOLUMES] = "volumes",
        [TLY_USAGE_BUILD_CACHE] = "build_cache",
    };
    for (size_t kind = 0; kind < TLY_USAGE_KINDS; kind++) {
        kind_write(&usage->samples, types[kind], usage->usage.of[kind].total,
                   usage->usage.of[kind].active, usage->usage.of[kind].bytes,
                   usage->usage.of[kind].reclaimable_bytes);
    }
    kind_write(&usage->samples, "networks", usage->networks, -1, -1, -1);
    tly_samples_add(&usage->samples, TLY_F_docker_system_df_measured_timestamp_seconds,
                    TLY_DIM_NONE, usage->measured_ns / TLY_NS_PER_MS);
    tly_inventory_publish_host(usage->inventory, usage->slot, tly_samples_take(&usage->samples));
}

/* ---- networks ---- */

static int network_count(void *arg, struct tly_text json)
{
    struct tly_docker_usage *usage = arg;
    (void)json;
    usage->networks++;
    return 0;
}

static void networks_chunk(void *arg, struct tly_text bytes)
{
    struct tly_docker_usage *usage = arg;
    if (usage->networks >= 0 &&
        tly_json_split_feed(&usage->split, bytes, network_count, usage) < 0) {
        usage->networks = -1;
    }
}

static void networks_done(void *arg, const struct tly_docker_reply *reply)
{
    struct tly_docker_usage *usage = arg;
    usage->get = NULL;
    if (reply->outcome != TLY_DOCKER_OK || !tly_json_split_complete(&usage->split)) {
        usage->errors += reply->outcome == TLY_DOCKER_DENIED ? 0 : 1; /* that is said */
        usage->networks = -1;
    }
    publish(usage);
}

static void networks_ask(struct tly_docker_usage *usage)
{
    struct tly_docker_request request = {
        .api = TLY_DOCKER_NETWORKS,
        .path = "/networks",
        .timeout_ms = TIMEOUT_MS,
        .body_max = REPLY_BYTES_MAX,
        .chunk = networks_chunk,
        .done = networks_done,
        .arg = usage,
    };
    tly_json_split_clear(&usage->split);
    usage->networks = 0;
    if (tly_docker_engine_get(usage->engine, &request, &usage->get) < 0) {
        usage->errors++;
        usage->networks = -1;
        publish(usage);
    }
}

/* ---- sizes ---- */

static void reading_free(struct reading *reading)
{
    tly_buf_done(&reading->body);
    free(reading);
}

static void reading_work(void *arg)
{
    struct reading *reading = arg;
    reading->rc = tly_engine_usage_parse(tly_buf_text(&reading->body), &reading->usage, NULL);
}

static void reading_done(void *arg)
{
    struct reading *reading = arg;
    struct tly_docker_usage *usage = reading->owner;
    if (usage) {
        usage->reading = NULL;
        if (reading->rc == 0) {
            usage->usage = reading->usage;
            usage->measured_ns = tly_clock_realtime_ns();
            networks_ask(usage);
        } else {
            usage->errors++;
        }
    }
    reading_free(reading);
}

static int reading_start(struct tly_docker_usage *usage, struct tly_text body)
{
    struct reading *reading = calloc(1, sizeof(*reading));
    if (!reading) {
        return -ENOMEM;
    }
    reading->owner = usage;
    tly_buf_init(&reading->body, REPLY_BYTES_MAX);
    int rc = tly_buf_append_text(&reading->body, body);
    rc = rc < 0 ? rc : tly_worker_submit(usage->loop, reading_work, reading_done, reading);
    if (rc < 0) {
        reading_free(reading);
        return rc;
    }
    usage->reading = reading;
    return 0;
}

static void usage_done(void *arg, const struct tly_docker_reply *reply)
{
    struct tly_docker_usage *usage = arg;
    usage->get = NULL;
    usage->due_ms = tly_loop_now_ms(usage->loop) + usage->interval_ms;
    if (reply->outcome == TLY_DOCKER_DENIED) {
        return; /* the engine has said it */
    }
    if (reply->outcome != TLY_DOCKER_OK || reading_start(usage, reply->body) < 0) {
        usage->errors++;
    }
}

void tly_docker_usage_tick(struct tly_docker_usage *usage)
{
    struct tly_docker_request request = {
        .api = TLY_DOCKER_USAGE,
        .path = "/system/df",
        .timeout_ms = TIMEOUT_MS,
        .body_max = REPLY_BYTES_MAX,
        .done = usage_done,
        .arg = usage,
    };
    if (usage->get || usage->reading || tly_loop_now_ms(usage->loop) < usage->due_ms) {
        return;
    }
    usage->due_ms = tly_loop_now_ms(usage->loop) + usage->interval_ms;
    if (tly_docker_engine_get(usage->engine, &request, &usage->get) < 0) {
        usage->errors++;
    }
}

/* ---- life ---- */

void tly_docker_usage_cancel(struct tly_docker_usage *usage)
{
    tly_docker_engine_cancel(usage->get);
    usage->get = NULL;
}

int tly_docker_usage_new(struct tly_loop *loop, struct tly_inventory *inventory,
                         struct tly_docker_engine *engine, int64_t interval_ms,
                         struct tly_docker_usage **ret_usage)
{
    struct tly_docker_usage *usage = calloc(1, sizeof(*usage));
    if (!usage) {
        return -ENOMEM;
    }
    usage->loop = loop;
    usage->inventory = inventory;
    usage->engine = engine;
    usage->interval_ms = interval_ms;
    usage->due_ms = INT64_MIN;
    usage->networks = -1;
    tly_json_split_init(&usage->split, TLY_JSON_ELEMENTS, NETWORK_BYTES_MAX);
    tly_samples_init(&usage->samples);
    int rc = tly_inventory_slot(inventory, WHO, &usage->slot);
    if (rc < 0) {
        tly_docker_usage_free(usage);
        return rc;
    }
    *ret_usage = usage;
    return 0;
}

void tly_docker_usage_free(struct tly_docker_usage *usage)
{
    if (!usage) {
        return;
    }
    tly_docker_usage_cancel(usage);
    if (usage->reading) {
        usage->reading->owner = NULL;
    }
    tly_json_split_done(&usage->split);
    tly_samples_done(&usage->samples);
    free(usage);
}

uint64_t tly_docker_usage_errors(const struct tly_docker_usage *usage)
{
    return usage->errors;
}
