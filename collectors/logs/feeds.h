/*
 * The logs that come from the engine instead of files, all of them: which containers these are, and
 * whose turn it is to have a connection. Part of the collector.
 */
#ifndef TLY_LOGS_FEEDS_H
#define TLY_LOGS_FEEDS_H

#include "agent/engine/engine.h"
#include "agent/model/sample.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_log_feed;
struct tly_log_source;
struct tly_logs;

/* How long things take, in milliseconds; shorter in tests. */
struct tly_log_pace {
    int64_t retry_first, retry_max;
    /* A connection that is paused for longer is given up: see feed.h. */
    int64_t pause_max;
    /* The frame that a connection is taken up at comes at once, or when the engine has looked for
     * it in files of many MiB. When nothing more comes behind frames for `quiet`, or only others
     * for `search`, it is gone. */
    int64_t quiet, search;
    /* A turn, when there are more logs than connections, long enough to be worth that search; and
     * of those that are still at it. */
    int64_t turn, turn_search;
};
extern const struct tly_log_pace tly_log_pace_default;

/* All zero at first, but for `pace`. */
struct tly_log_feeds {
    const struct tly_log_pace *pace;
    struct tly_docker_engine *engine; /* NULL: nobody needed it yet */
    struct tly_docker_requests requests;
    struct tly_log_feed *waiting, *waiting_last; /* in line for a connection */
    uint64_t waits;                              /* how many these are */
    uint64_t open;                               /* connections */
    uint64_t opened;                             /* in all */
    uint64_t torn;                               /* of these, that ended in the middle */
    uint64_t skipped;                            /* frames that came once more */
    bool said_max;
};

/* Whether the configuration has the engine's copy read of what containers with this driver write,
 * be it from its files or from its API; and whether the API can be asked. */
bool tly_log_feeds_accept(const struct tly_logs *logs, const char *driver);
bool tly_log_feeds_want(const struct tly_logs *logs, const char *driver);

/* Whether a destination's kept position is one in the engine's stream: no place in a file. */
bool tly_log_feeds_began(const struct tly_log_source *source);

/* Puts the engine's log in the place of files, for the life of the source. */
void tly_log_feeds_use(struct tly_log_source *source);

/* As for sources with files. */
bool tly_log_feeds_look(struct tly_log_source *source);
void tly_log_feeds_tick(struct tly_log_source *source);

/* The inventory lost sight of it: the engine is asked whether it is gone. */
void tly_log_feeds_doubt(struct tly_log_source *source);

/* ---- connections ---- */

/* In line, and out of it again. */
void tly_log_feeds_wait(struct tly_logs *logs, struct tly_log_feed *feed);
void tly_log_feeds_unwait(struct tly_logs *logs, struct tly_log_feed *feed);
/* Those at the head of the line get what connections are free. */
void tly_log_feeds_pump(struct tly_logs *logs);
/* Once a second: whoever had a connection for long gives it to one who waits. */
void tly_log_feeds_share(struct tly_logs *logs);

/* The engine's API, made when it is first needed. -EINVAL for an address that can't be used. */
int tly_log_feeds_engine(struct tly_logs *logs, struct tly_docker_engine **ret_engine) TLY_CHECK;

void tly_log_feeds_meter(const struct tly_logs *logs, struct tly_samples *samples);
void tly_log_feeds_done(struct tly_logs *logs); /* after the last feed */

#endif
