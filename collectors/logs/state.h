/*
 * What the files of this collector share: the collector itself, and what it keeps per destination.
 * Owned by collector.c.
 */
#ifndef TLY_LOGS_STATE_H
#define TLY_LOGS_STATE_H

#include "agent/base/buf.h"
#include "agent/base/map.h"
#include "agent/delivery/delivery.h"
#include "agent/loop/log.h"
#include "agent/model/sample.h"
#include "agent/registry.h"
#include "collectors/logs/feeds.h"
#include "collectors/logs/lost.h"
#include "collectors/logs/settings.h"
#include "collectors/logs/shape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_log_reader;
struct tly_log_source;
struct tly_pods;
struct tly_watcher;

/* One destination, from the readers' side. */
struct tly_log_target {
    struct tly_destination *destination;
    bool first_run;      /* nothing was ever kept for it: `from` decides where to begin */
    uint64_t generation; /* see below, as of when it came */
    bool full;           /* somebody waits for room: nobody else tries before there is some */
    /* Inflating takes memory, so only a few readers do it at once; the others wait in line. */
    unsigned gzip_open;
    struct tly_log_reader *gzip_waiting, *gzip_waiting_last;
    uint64_t read_bytes; /* of files, also what is read a second time after a restart */
    uint64_t lines;
    uint64_t malformed; /* lines that are none */
    uint64_t split;     /* parts of lines that are too long for one record */
    uint64_t truncations;
    uint64_t dropped[TLY_DROPPED_COUNT]; /* of these lines */
    struct tly_log_shape_counts shape;
    uint64_t joined; /* of these lines, to the one before */
    uint64_t lost[TLY_LOST_COUNT];
    uint64_t lost_bytes[TLY_LOST_COUNT]; /* where it is known */
};

struct tly_logs {
    const struct tly_context *context;
    const struct tly_logs_settings *settings;
    struct tly_log_target *targets;
    size_t target_count;
    struct tly_map *sources; /* by key */
    struct tly_log_shape *shape;
    struct tly_config *config; /* a reference, for the settings and the shape */
    /* As before the last reload, as long as a source may use it; else NULL. */
    struct tly_log_shape *old_shape;
    struct tly_config *old_config;
    uint64_t generation; /* grows with every reload: who is of an earlier one was there before */
    /* Tells of bytes written. Its own, so that these events can gather, and so that a flood of them
     * pushes none out of the queue that tells of files made and removed. */
    struct tly_watcher *writes;

    /* discovery.c */
    char *root; /* DATA_ROOT/containers */
    struct tly_watch *root_watch;
    bool root_seen;    /* it was read once, or is not there */
    bool root_missing; /* it is not there */
    bool outside_said; /* that the sandbox withholds some */
    bool unseen_said;  /* that logs of which the engine tells cannot be seen from here */
    bool root_holds;   /* it had containers in it */
    bool settled;      /* the first look at everything is done */
    bool pruned;       /* positions of containers that are gone were dropped */

    struct tly_pods *pods; /* NULL: switched off */
    struct tly_log_feeds feeds;

    int64_t started_ns; /* when it began to look; realtime */
    uint64_t published_tick;

    /* the queues: see collector.c */
    struct tly_defer *turn;
    struct tly_timer *tick;
    struct tly_timer *closing; /* see tly_log_source_close */
    int64_t closing_ms;
    uint64_t ticks;
    struct tly_log_source *stale, *stale_last;
    struct tly_log_reader *ready, *ready_last;

    struct tly_buf block;   /* what was read last, of whichever file */
    struct tly_buf scratch; /* one line's text on its way */
    uint64_t join_bytes;    /* in the pieces of all readers */
    uint64_t held_bytes;    /* deleted files that are held open, as of the last tick */
    bool looked;            /* every source that was there at the start was looked at */

    unsigned slot; /* of the inventory */
    struct tly_samples samples;
    struct tly_run_stats stats;
    struct tly_log_limit lost_limit, error_limit, watch_limit, dropped_limit;
};

/* Puts a source in line to look at its directory, a reader to read. Each stands there once. */
void tly_logs_stale(struct tly_logs *logs, struct tly_log_source *source);
void tly_logs_ready(struct tly_logs *logs, struct tly_log_reader *reader);

/* Takes a source out of everything and frees it. */
void tly_logs_forget(struct tly_logs *logs, struct tly_log_source *source);

/* ---- books.c ---- */

/* Counts a gap of a container that has no reader, and says so, not too often. `bytes`: how many, 0
 * if nobody knows. */
void tly_logs_lost(struct tly_logs *logs, struct tly_log_target *target, enum tly_log_lost reason,
                   uint64_t bytes, const char *id);

/* Says, not too often, that lines are dropped for coming too fast. */
void tly_logs_over_rate(struct tly_logs *logs, const struct tly_log_target *target, const char *id);

/* A failure of one container's files: counted and said, not too often. */
void tly_logs_error(struct tly_logs *logs, const char *id, const char *what, int code);

/* Gives the inventory every container's figures, where they changed. */
void tly_logs_publish(struct tly_logs *logs);

/* The samples of the tallyman_logs_* families: a tly_meter_fn whose argument is the collector. */
void tly_logs_meter(void *arg, struct tly_samples *samples);

#endif
