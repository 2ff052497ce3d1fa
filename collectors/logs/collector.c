/*
 * The logs collector: its queues and its life. Two lines stand here: sources that have to look at
 * their directory, and readers that may read. A turn takes from both for a few milliseconds and
 * then lets the loop go on; a second's tick does what no event tells of.
 */
#include "agent/base/clock.h"
#include "agent/loop/log.h"
#include "agent/registry.h"
#include "collectors/logs/discovery.h"
#include "collectors/logs/feeds.h"
#include "collectors/logs/reload.h"
#include "collectors/logs/source.h"
#include "collectors/logs/state.h"

#include <errno.h>
#include <stdlib.h>

#define WHO "logs"

#define TICK_MS 1000

/* Bytes that containers write gather for so long before they are read: little beside the age at
 * which a chunk is sent, and much where a line comes every few microseconds. */
#define GATHER_MS 10

/* How long a runtime may go on writing to a log that the kubelet has renamed: milliseconds, if it
 * is well. */
#define CLOSING_MS 1000

/* A turn ends after this time: what else is on the loop, a scrape say, waits no longer. */
#define TURN_NS (2 * TLY_NS_PER_MS)

/* ---- the lines ---- */

void tly_logs_stale(struct tly_logs *logs, struct tly_log_source *source)
{
    if (source->stale) {
        return;
    }
    source->stale = true;
    source->next_stale = NULL;
    if (logs->stale_last) {
        logs->stale_last->next_stale = source;
    } else {
        logs->stale = source;
    }
    logs->stale_last = source;
    tly_defer_call(logs->turn);
}

/* Whose turn it is keeps it for so many blocks, so that chunks fill up one after the other: many
 * that are half full take the memory of a few that are full, and cost more each. */
#define BLOCKS_IN_A_ROW 8

static void ready_next(struct tly_logs *logs, struct tly_log_reader *reader)
{
    if (reader->state != TLY_READER_IDLE || ++reader->blocks % BLOCKS_IN_A_ROW == 0) {
        tly_logs_ready(logs, reader);
        return;
    }
    reader->state = TLY_READER_READY;
    reader->next = logs->ready;
    logs->ready = reader;
    logs->ready_last = logs->ready_last ? logs->ready_last : reader;
}

void tly_logs_ready(struct tly_logs *logs, struct tly_log_reader *reader)
{
    if (reader->state != TLY_READER_IDLE) {
        return;
    }
    reader->state = TLY_READER_READY;
    reader->next = NULL;
    if (logs->ready_last) {
        logs->ready_last->next = reader;
    } else {
        logs->ready = reader;
    }
    logs->ready_last = reader;
    tly_defer_call(logs->turn);
}

static struct tly_log_source *stale_take(struct tly_logs *logs)
{
    struct tly_log_source *source = logs->stale;
    if (source) {
        logs->stale = source->next_stale;
        logs->stale_last = logs->stale ? logs->stale_last : NULL;
        source->stale = false;
    }
    return source;
}

static struct tly_log_reader *ready_take(struct tly_logs *logs)
{
    struct tly_log_reader *reader = logs->ready;
    if (reader) {
        logs->ready = reader->next;
        logs->ready_last = logs->ready ? logs->ready_last : NULL;
        reader->next = NULL;
        reader->state = TLY_READER_IDLE;
    }
    return reader;
}

static void stale_remove(struct tly_logs *logs, struct tly_log_source *source)
{
    struct tly_log_source *previous = NULL;
    struct tly_log_source *at = logs->stale;
    while (at && at != source) {
        previous = at;
        at = at->next_stale;
    }
    if (!at) {
        return;
    }
    if (previous) {
        previous->next_stale = source->next_stale;
    } else {
        logs->stale = source->next_stale;
    }
    if (logs->stale_last == source) {
        logs->stale_last = previous;
    }
}

void tly_logs_forget(struct tly_logs *logs, struct tly_log_source *source)
{
    struct tly_text key = tly_text_of(source->key);
    stale_remove(logs, source);
    if (tly_map_get(logs->sources, key) == source) {
        (void)tly_map_remove(logs->sources, key); /* is `source` */
        if (!source->pod) {
            tly_inventory_publish(logs->context->inventory, logs->slot, tly_text_of(source->id), 0,
                                  NULL);
        }
    }
    tly_log_source_free(source);
}

/* ---- the turn ---- */

static void turn(void *arg)
{
    struct tly_logs *logs = arg;
    int64_t begun_ns = tly_clock_monotonic_ns();
    int64_t now_ns = begun_ns;
    struct tly_log_source *source;
    struct tly_log_reader *reader;
    /* Looking comes first: a file that is not open yet may vanish. */
    while (now_ns - begun_ns < TURN_NS && (source = stale_take(logs))) {
        if (tly_log_source_look(source)) {
            tly_logs_forget(logs, source);
        }
        now_ns = tly_clock_monotonic_ns();
    }
    logs->looked = logs->looked || !logs->stale;
    while (now_ns - begun_ns < TURN_NS && (reader = ready_take(logs))) {
        if (tly_log_reader_run(reader)) {
            ready_next(logs, reader);
        }
        now_ns = tly_clock_monotonic_ns();
    }
    logs->stats.duration_ns = now_ns - begun_ns;
    if (logs->stale || logs->ready) {
        tly_defer_call(logs->turn);
    }
}

/* ---- the tick ---- */

/* Keeps what is held within its bound: the container that holds most gives up its oldest file. */
static void bound_held(struct tly_logs *logs)
{
    uint64_t max = (uint64_t)logs->settings->held_max_bytes;
    struct tly_map_entry at;
    uint64_t held;
    for (;;) {
        struct tly_log_source *greediest = NULL;
        uint64_t most = 0;
        held = 0;
        for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
            uint64_t bytes = tly_log_source_held(at.value);
            held += bytes;
            if (bytes > most) {
                most = bytes;
                greediest = at.value;
            }
        }
        if (held <= max || !greediest || tly_log_source_give_up(greediest) == 0) {
            break;
        }
    }
    logs->held_bytes = held;
}

static void tick(void *arg)
{
    struct tly_logs *logs = arg;
    struct tly_map_entry at;
    logs->ticks++;
    if (!logs->root) {
        tly_logs_look_for_sources(logs);
        return;
    }
    if (logs->old_shape) {
        tly_logs_forget_old(logs);
    }
    tly_logs_discovery_tick(logs);
    for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
        tly_log_source_tick(at.value);
    }
    tly_log_feeds_share(logs);
    bound_held(logs);
    tly_log_blocks_settle(logs);
    /* Also for those who ask for nothing: the rules, where nobody scrapes. */
    int64_t since_ms = (int64_t)(logs->ticks - logs->published_tick) * TICK_MS;
    if (since_ms >= logs->context->collect->interval_ms) {
        logs->published_tick = logs->ticks;
        tly_logs_publish(logs);
    }
}

void tly_logs_look_for_sources(struct tly_logs *logs)
{
    if (logs->root || logs->target_count == 0) {
        return;
    }
    int rc = tly_logs_discovery_start(logs);
    if (rc < 0) {
        if (logs->root) {
            tly_logs_discovery_stop(logs);
        }
        tly_logs_error(logs, "", "cannot look for log files", rc); /* the next tick tries again */
    }
    tly_timer_start(logs->tick, TICK_MS, TICK_MS);
}

static void close_renamed(void *arg)
{
    struct tly_logs *logs = arg;
    struct tly_map_entry at;
    bool more = false;
    for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
        more = tly_log_source_close(at.value) || more;
    }
    if (more) {
        tly_timer_start(logs->closing, logs->closing_ms, 0);
    }
}

static void refresh(void *arg, void (*done)(void *token), void *token)
{
    tly_logs_publish(arg);
    done(token);
}

/* ---- life ---- */

static void forget_all(struct tly_logs *logs)
{
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
        tly_logs_forget(logs, at.value);
    }
    tly_map_free(logs->sources, NULL);
}

/* In the reverse of the order in which they were made; also of a collector made by half. */
static void logs_free(struct tly_logs *logs)
{
    if (logs->root) {
        tly_logs_discovery_stop(logs);
    }
    tly_inventory_unrefresher(logs->context->inventory, refresh, logs);
    tly_inventory_unmeter(logs->context->inventory, tly_logs_meter, logs);
    if (logs->sources) {
        forget_all(logs);
    }
    tly_log_feeds_done(logs);
    tly_watcher_free(logs->writes);
    tly_timer_free(logs->tick);
    tly_timer_free(logs->closing);
    tly_defer_free(logs->turn);
    tly_samples_done(&logs->samples);
    tly_log_shape_free(logs->shape);
    tly_log_shape_free(logs->old_shape);
    tly_config_free(logs->config);
    tly_config_free(logs->old_config);
    tly_buf_done(&logs->block);
    tly_buf_done(&logs->scratch);
    free(logs->targets);
    free(logs);
}

static int make_targets(struct tly_logs *logs)
{
    struct tly_delivery *delivery = logs->context->delivery;
    size_t count = tly_delivery_count(delivery);
    logs->targets = calloc(count + 1, sizeof(*logs->targets));
    if (!logs->targets) {
        return -ENOMEM;
    }
    logs->target_count = count;
    for (size_t i = 0; i < count; i++) {
        int rc = tly_logs_target_begin(logs, &logs->targets[i], tly_delivery_at(delivery, i));
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int make_parts(struct tly_logs *logs)
{
    const struct tly_context *context = logs->context;
    logs->sources = tly_map_new();
    int rc = logs->sources ? make_targets(logs) : -ENOMEM;
    if (rc == 0) {
        rc = tly_watcher_new_gathering(context->loop, GATHER_MS, &logs->writes);
    }
    if (rc == 0) {
        rc = tly_defer_new(context->loop, turn, logs, &logs->turn);
    }
    if (rc == 0) {
        rc = tly_timer_new(context->loop, tick, logs, &logs->tick);
    }
    if (rc == 0) {
        rc = tly_timer_new(context->loop, close_renamed, logs, &logs->closing);
    }
    if (rc == 0) {
        rc = tly_inventory_slot(context->inventory, WHO, &logs->slot);
    }
    if (rc == 0) {
        rc = tly_inventory_refresher(context->inventory, refresh, logs);
    }
    if (rc == 0) {
        tly_inventory_feeds(context->inventory, refresh, logs, logs->slot);
        rc = tly_inventory_meter(context->inventory, tly_logs_meter, logs);
    }
    return rc;
}

static int start(const struct tly_context *context, void **ret_self, struct tly_error *err)
{
    struct tly_logs *logs = calloc(1, sizeof(*logs));
    if (!logs) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    logs->context = context;
    logs->config = tly_config_ref(context->config);
    logs->settings = tly_config_section(context->config, &tly_logs_section);
    logs->closing_ms = CLOSING_MS;
    logs->feeds.pace = &tly_log_pace_default;
    tly_samples_init(&logs->samples);
    tly_buf_init(&logs->block, SIZE_MAX);
    tly_buf_init(&logs->scratch, SIZE_MAX);
    int rc = tly_log_shape_new(logs->settings, &logs->shape, err);
    if (rc == 0) {
        rc = make_parts(logs);
    }
    if (rc == 0 && logs->target_count > 0) {
        rc = tly_logs_discovery_start(logs);
        tly_timer_start(logs->tick, TICK_MS, TICK_MS);
    } else if (rc == 0) {
        tly_log_info(WHO, "no destination is configured: container logs are not read");
        logs->looked = true;
        logs->stats.success = true;
    }
    if (rc < 0) {
        logs_free(logs);
        return tly_error_set(err, rc, "cannot set up the logs collector: %s", tly_error_name(rc));
    }
    *ret_self = logs;
    tly_defer_call(logs->turn); /* also without a source: to have looked */
    return 0;
}

static void stop(void *self, void (*stopped)(void *arg), void *arg)
{
    logs_free(self);
    stopped(arg);
}

static const struct tly_run_stats *stats(const void *self)
{
    const struct tly_logs *logs = self;
    return &logs->stats;
}

static bool ready(const void *self)
{
    const struct tly_logs *logs = self;
    return logs->looked;
}

static void needs(const struct tly_config *config, struct tly_needs *needs)
{
    const struct tly_logs_settings *settings = tly_config_section(config, &tly_logs_section);
    if (settings->pods_root != NULL && *settings->pods_root != '\0') {
        tly_needs_folder(needs, settings->pods_root, TLY_ACCESS_READ);
    }
}

const struct tly_collector tly_collector_logs = {
    .name = WHO,
    .summary = "Log lines of containers, from the files of Docker's json-file and local drivers "
               "and of Kubernetes' runtimes, and from the engine for other drivers",
    .section = &tly_logs_section,
    .follows = TLY_FOLLOWS_OUTPUTS,
    .reload = &tly_logs_reload,
    .start = start,
    .stop = stop,
    .stats = stats,
    .ready = ready,
    .needs = needs,
};
