/*
 * The lines of a container whose log driver keeps no file that we read, for one destination: a
 * request to the engine that never ends, and what becomes of it. Everything behind that, pieces,
 * shaping, chunks, the cursor, is the reader's, as with files. Owned by the reader.
 *
 * The engine skips lines silently for whoever reads slowly while its own files rotate, and none for
 * a request that begins anew. So a destination without room soon ends its request.
 */
#ifndef TLY_LOGS_FEED_H
#define TLY_LOGS_FEED_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/codec/engine_frame.h"
#include "agent/engine/engine.h"
#include "agent/loop/backoff.h"
#include "collectors/logs/anchor.h"
#include "collectors/logs/feeds.h"

#include <stdbool.h>
#include <stdint.h>

enum tly_log_feed_state {
    TLY_FEED_RESTS,   /* until another try: after a failure, or because the container stopped */
    TLY_FEED_WANTS,   /* in line for a connection */
    TLY_FEED_OPEN,    /* the request is under way: frames come, or are waited for */
    TLY_FEED_ENDED,   /* it is over, and what came is still to be taken */
    TLY_FEED_PARKED,  /* the destination has no room */
    TLY_FEED_DRAINED, /* the container does not run, and all it wrote is taken */
    TLY_FEED_REFUSED, /* its driver can't be read */
};

/* One run of a container, by when it started. */
struct tly_log_run {
    int64_t started_ns;
    bool stopped;
};

struct tly_log_feed {
    struct tly_log_reader *reader;
    struct tly_logs *logs;
    struct tly_log_feed *next; /* in line */
    enum tly_log_feed_state state;
    struct tly_docker_get *get; /* while OPEN */
    struct tly_buf carry;       /* what came and is not taken yet */
    struct tly_engine_frames frames;
    struct tly_log_resume resume;
    enum tly_docker_outcome outcome; /* of the last request */
    struct tly_backoff backoff;
    int64_t due_ms;           /* of the next try, in RESTS */
    int64_t opened_ms;        /* since when it is OPEN */
    int64_t came_ms;          /* the last bytes */
    int64_t paused_ms;        /* since when nothing may come; 0: it may */
    struct tly_log_run asked; /* what was known of the container when the request began */
    unsigned renegotiations;  /* of the API's version, without an answer since */
    uint64_t asked_walked;    /* the reader's frames at that time */
    bool ever;                /* there was a request at all */
    bool answered;            /* the request has a reply, of frames */
    bool owed;                /* there may be lines that nobody told yet */
};

/* Starts where `from` says. -ENOMEM. */
int tly_log_feed_new(struct tly_log_reader *reader, const struct tly_log_anchor *from) TLY_CHECK;
void tly_log_feed_free(struct tly_log_feed *feed); /* NULL is fine */

/* See tly_log_reader_run. */
bool tly_log_feed_run(struct tly_log_reader *reader);
/* There may be lines that were not taken. */
bool tly_log_feed_is_behind(const struct tly_log_feed *feed);
/* Behind the last frame that was taken. */
void tly_log_feed_position(const struct tly_log_feed *feed, struct tly_position *ret_position);

/* It gets in line for a connection, unless it has one or the destination has no room. */
void tly_log_feed_want(struct tly_log_feed *feed);
/* Something new is known of the container: if that may mean new lines, the same. */
void tly_log_feed_look(struct tly_log_feed *feed);
void tly_log_feed_tick(struct tly_log_feed *feed);

/* It is at the head of the line, and there is room for its connection. */
void tly_log_feed_open(struct tly_log_feed *feed);
/* Ends the request; what came and was not taken will come again. */
void tly_log_feed_close(struct tly_log_feed *feed, enum tly_log_feed_state state);

/* What a connection is to be taken up at is not there any more: a gap. */
void tly_log_feed_give_up(struct tly_log_feed *feed);

/* ---- frames.c ---- */

/* Takes the frames in `carry`. `ended`: nothing follows. 0: what is left is the beginning of one;
 * -EAGAIN, -ENOMEM; TLY_E_MALFORMED: this is no log stream; -ESTALE: frames were passed over that
 * have to be fetched again. */
int tly_log_frames_take(struct tly_log_feed *feed, bool ended) TLY_CHECK;

#endif
