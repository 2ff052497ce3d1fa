/*
 * One connection to the engine's log of a container; see feed.h. What the engine sends is kept
 * until it is the reader's turn, up to a bound, and a request that is over is looked at only when
 * all that came with it was taken.
 */
#include "collectors/logs/feed.h"

#include "agent/base/clock.h"
#include "agent/loop/log.h"
#include "collectors/logs/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define WHO "logs"

/* Kept before the connection is paused. With what libcurl and the socket hold, some 200 KiB. */
#define CARRY_BYTES ((size_t)64 << 10)
/* The longest frame behind that, and what comes at a time. */
#define CARRY_MAX (TLY_ENGINE_FRAME_MAX + 2 * CARRY_BYTES)

/* As in collectors/docker: two versions that contradict each other must not make a loop. */
#define RENEGOTIATIONS_MAX 3

/* When nobody else tells of a container, the engine is asked all the same after this time. */
#define UNKNOWN_MS 10000

/* The last piece of a terminal's line may have no end: it has one when so long nothing comes. */
#define TAIL_MS 2000

#define PATH_BYTES (TLY_CONTAINER_ID_MAX + 128)

static int64_t now_of(const struct tly_log_feed *feed)
{
    return tly_loop_now_ms(feed->logs->context->loop);
}

/* ---- life ---- */

int tly_log_feed_new(struct tly_log_reader *reader, const struct tly_log_anchor *from)
{
    struct tly_log_feed *feed = calloc(1, sizeof(*feed));
    if (!feed) {
        return -ENOMEM;
    }
    feed->reader = reader;
    feed->logs = reader->logs;
    feed->resume.place = *from;
    feed->owed = true;
    tly_buf_init(&feed->carry, CARRY_MAX);
    const struct tly_log_pace *pace = feed->logs->feeds.pace;
    tly_backoff_init(&feed->backoff, pace->retry_first, pace->retry_max);
    reader->feed = feed;
    return 0;
}

void tly_log_feed_free(struct tly_log_feed *feed)
{
    if (feed) {
        tly_log_feed_close(feed, TLY_FEED_PARKED);
        tly_buf_done(&feed->carry);
        free(feed);
    }
}

void tly_log_feed_position(const struct tly_log_feed *feed, struct tly_position *ret_position)
{
    tly_log_anchor_position(&feed->resume.place, ret_position);
}

bool tly_log_feed_is_behind(const struct tly_log_feed *feed)
{
    bool waits = feed->state == TLY_FEED_OPEN || feed->state == TLY_FEED_DRAINED ||
                 feed->state == TLY_FEED_REFUSED;
    return !waits || feed->carry.len > 0;
}

/* ---- connections ---- */

void tly_log_feed_want(struct tly_log_feed *feed)
{
    if (feed->state == TLY_FEED_WANTS || feed->state == TLY_FEED_OPEN ||
        feed->state == TLY_FEED_ENDED || feed->reader->state == TLY_READER_ENDED) {
        return;
    }
    feed->state = TLY_FEED_WANTS;
    tly_log_feeds_wait(feed->logs, feed);
}

static void rest(struct tly_log_feed *feed)
{
    feed->due_ms = now_of(feed) + tly_backoff_next_ms(&feed->backoff);
    feed->state = TLY_FEED_RESTS;
}

static void let_go(struct tly_log_feed *feed)
{
    feed->get = NULL;
    feed->paused_ms = 0;
    feed->logs->feeds.open--;
    tly_log_feeds_pump(feed->logs);
}

void tly_log_feed_close(struct tly_log_feed *feed, enum tly_log_feed_state state)
{
    if (feed->state == TLY_FEED_WANTS) {
        tly_log_feeds_unwait(feed->logs, feed);
    }
    feed->state = state;
    tly_buf_done(&feed->carry);
    tly_buf_init(&feed->carry, CARRY_MAX);
    if (feed->get) {
        tly_docker_engine_cancel(feed->get);
        let_go(feed);
    }
}

/* ---- what curl says ---- */

static void opened(void *arg)
{
    struct tly_log_feed *feed = arg;
    feed->logs->feeds.opened++;
    feed->renegotiations = 0;
    feed->answered = feed->owed = true;
}

static void came(void *arg, struct tly_text bytes)
{
    struct tly_log_feed *feed = arg;
    feed->came_ms = now_of(feed);
    if (tly_buf_append_text(&feed->carry, bytes) < 0) {
        tly_log_feed_close(feed, TLY_FEED_RESTS); /* and soon anew, from the last frame taken */
        rest(feed);
        return;
    }
    if (feed->carry.len >= CARRY_BYTES) {
        tly_docker_engine_pause(feed->get);
        feed->paused_ms = now_of(feed);
    }
    tly_logs_ready(feed->logs, feed->reader);
}

static void say_failed(struct tly_log_feed *feed, const struct tly_docker_reply *reply)
{
    uint64_t held;
    feed->logs->stats.errors++;
    if (tly_log_limit_pass(&feed->logs->error_limit, now_of(feed), &held)) {
        tly_log_warn(WHO,
                     "container %.12s: cannot read its log from the engine: %s; trying again%s",
                     feed->reader->source->id, reply->why, tly_log_held(held).text);
    }
}

static void say_refused(struct tly_log_feed *feed)
{
    struct tly_log_source *source = feed->reader->source;
    if (!source->told) {
        source->told = true;
        tly_log_warn(WHO,
                     "container %.12s: its log driver writes no file, and the engine cannot read "
                     "from it: its lines are not forwarded; give the container another driver, or "
                     "the engine its cache (log-opt cache-disabled)",
                     source->id);
    }
}

static void done(void *arg, const struct tly_docker_reply *reply)
{
    struct tly_log_feed *feed = arg;
    feed->state = TLY_FEED_ENDED;
    feed->outcome = reply->outcome;
    if (reply->outcome == TLY_DOCKER_FAILED && reply->code == 0) {
        say_failed(feed,
                   reply); /* a broken connection is the engine's restart, or a proxy's limit */
    } else if (reply->outcome == TLY_DOCKER_UNREADABLE) {
        say_refused(feed);
    }
    let_go(feed);
    tly_logs_ready(feed->logs, feed->reader);
}

/* ---- asking ---- */

static void path_of(const struct tly_log_feed *feed, char path[PATH_BYTES])
{
    int64_t since_ns = tly_log_anchor_since_ns(&feed->resume.place);
    int len = snprintf(path, PATH_BYTES,
                       "/containers/%s/logs?follow=1&stdout=1&stderr=1&timestamps=1",
                       feed->reader->source->id);
    if (since_ns > 0) {
        (void)snprintf(path + len, PATH_BYTES - (size_t)len, "&since=%lld.%09lld",
                       (long long)(since_ns / TLY_NS_PER_S),
                       (long long)(since_ns % TLY_NS_PER_S)); /* fits */
    }
}

static int ask(struct tly_log_feed *feed)
{
    char path[PATH_BYTES];
    struct tly_docker_engine *engine;
    const struct tly_docker_request request = {
        .api = TLY_DOCKER_LOGS,
        .path = path,
        .opened = opened,
        .chunk = came,
        .done = done,
        .arg = feed,
    };
    path_of(feed, path);
    int rc = tly_log_feeds_engine(feed->logs, &engine);
    return rc < 0 ? rc : tly_docker_engine_get(engine, &request, &feed->get);
}

void tly_log_feed_open(struct tly_log_feed *feed)
{
    const struct tly_log_source *source = feed->reader->source;
    struct tly_log_anchor place = feed->resume.place;
    int rc = ask(feed);
    if (rc < 0) {
        tly_logs_error(feed->logs, source->id, "cannot ask the engine for its log", rc);
        rest(feed);
        return;
    }
    feed->state = TLY_FEED_OPEN;
    feed->ever = true;
    tly_buf_clear(&feed->carry); /* half a frame of the last one */
    feed->frames = (struct tly_engine_frames){.kind = TLY_ENGINE_FRAME_UNTOLD};
    feed->asked = (struct tly_log_run){source->started_ns, source->stopped};
    feed->opened_ms = feed->came_ms = now_of(feed);
    feed->asked_walked = feed->reader->walked;
    feed->answered = false;
    tly_log_resume_begin(&feed->resume, &place);
    feed->logs->feeds.open++;
}

/* ---- the end of a request ---- */

void tly_log_feed_give_up(struct tly_log_feed *feed)
{
    tly_log_reader_lost(feed->reader, TLY_LOST_ROTATED, 0);
    tly_log_resume_give_up(&feed->resume);
    feed->reader->ahead_until = 0;
}

/* The engine has told all that there was when it ended its reply. */
static int drained(struct tly_log_feed *feed)
{
    const struct tly_log_source *source = feed->reader->source;
    feed->owed = false;
    if (feed->reader->walked != feed->asked_walked) {
        tly_backoff_clear(&feed->backoff);
    }
    if (!feed->resume.reached && feed->resume.skipped > 0) {
        tly_log_feed_give_up(feed);
        feed->state = TLY_FEED_RESTS;
        tly_log_feed_want(feed);
        return 0;
    }
    bool same = feed->asked.started_ns == source->started_ns;
    if (feed->asked.stopped && source->stopped && same) {
        feed->state = TLY_FEED_DRAINED;
        return tly_log_reader_flush(feed->reader, true);
    }
    /* It ended while it was asked, maybe just before its last line; or nobody knows that yet. */
    rest(feed);
    if (source->stopped || !same) {
        tly_log_feed_want(feed);
    }
    return 0;
}

static bool is_known(const struct tly_log_feed *feed)
{
    return tly_inventory_find(feed->logs->context->inventory,
                              tly_text_of(feed->reader->source->id)) != NULL;
}

static int container_gone(struct tly_log_feed *feed)
{
    struct tly_log_reader *reader = feed->reader;
    if (is_known(feed)) { /* it is being made; or going, and that will be told */
        rest(feed);
        return 0;
    }
    if (feed->owed) {
        tly_log_reader_lost(feed->reader, TLY_LOST_REMOVED, 0);
        feed->owed = false;
    }
    reader->source->gone = true;
    int rc = tly_log_reader_end(reader);
    if (rc == 0) {
        feed->state = TLY_FEED_DRAINED;
    }
    return rc;
}

/* All that came with the last request is taken. 0, or as of tly_log_frames_take. */
static int conclude(struct tly_log_feed *feed)
{
    switch (feed->outcome) {
    case TLY_DOCKER_OK:
        return drained(feed);
    case TLY_DOCKER_GONE:
        return container_gone(feed);
    case TLY_DOCKER_UNREADABLE:
        feed->state = TLY_FEED_REFUSED;
        feed->owed = false;
        return tly_log_reader_flush(feed->reader, true);
    case TLY_DOCKER_VERSION:
        rest(feed);
        if (feed->renegotiations++ < RENEGOTIATIONS_MAX) {
            tly_log_feed_want(feed);
        }
        return 0;
    case TLY_DOCKER_DENIED:
    case TLY_DOCKER_FAILED:
    case TLY_DOCKER_SILENT:
    case TLY_DOCKER_ABSENT:
        break;
    }
    feed->logs->feeds.torn += feed->answered ? 1 : 0;
    rest(feed);
    return 0;
}

/* ---- turns ---- */

/* No log stream, or no memory for it. */
static void broke(struct tly_log_feed *feed, int rc)
{
    tly_logs_error(feed->logs, feed->reader->source->id, "its log from the engine is none", rc);
    tly_log_reader_lost(feed->reader, TLY_LOST_UNREADABLE, 0);
    tly_log_feed_close(feed, TLY_FEED_RESTS);
    rest(feed);
}

/* Bytes stand there that may be the unmarked end of a line. */
static bool has_tail(const struct tly_log_feed *feed)
{
    return feed->state == TLY_FEED_OPEN && feed->frames.full && feed->carry.len > 0 &&
           feed->paused_ms == 0 && now_of(feed) - feed->came_ms >= TAIL_MS;
}

bool tly_log_feed_run(struct tly_log_reader *reader)
{
    struct tly_log_feed *feed = reader->feed;
    reader->retry = false;
    if (reader->target->full) {
        return tly_log_reader_stopped_by(reader, -EAGAIN);
    }
    if (feed->state == TLY_FEED_PARKED) {
        tly_log_feed_want(feed);
    }
    bool ended = (feed->state == TLY_FEED_ENDED && feed->outcome == TLY_DOCKER_OK) ||
                 has_tail(feed);
    int rc = tly_log_frames_take(feed, ended);
    if (rc == TLY_E_MALFORMED) {
        broke(feed, rc);
        return false;
    }
    if (rc == -ESTALE) {
        tly_log_feed_close(feed, TLY_FEED_RESTS);
        tly_log_feed_want(feed);
        return false;
    }
    if (rc == 0 && feed->paused_ms > 0) {
        feed->paused_ms = 0;
        tly_docker_engine_resume(feed->get);
    }
    if (rc == 0 && feed->state == TLY_FEED_ENDED) {
        rc = conclude(feed);
    }
    if (rc == 0 && reader->state != TLY_READER_ENDED) {
        rc = tly_log_reader_flush(reader, feed->state == TLY_FEED_DRAINED);
    }
    return rc < 0 ? tly_log_reader_stopped_by(reader, rc) : false;
}

void tly_log_feed_look(struct tly_log_feed *feed)
{
    const struct tly_log_source *source = feed->reader->source;
    bool another = feed->asked.started_ns != source->started_ns ||
                   feed->asked.stopped != source->stopped;
    bool waits = feed->state == TLY_FEED_RESTS || feed->state == TLY_FEED_DRAINED ||
                 feed->state == TLY_FEED_REFUSED;
    if (feed->due_ms == 0 && !is_known(feed)) {
        /* Its directory comes before the engine itself knows of it. */
        feed->due_ms = now_of(feed) + UNKNOWN_MS;
    } else if (waits && (feed->ever ? another : is_known(feed))) {
        feed->owed = feed->owed || feed->state == TLY_FEED_DRAINED;
        tly_log_feed_want(feed);
    }
}

/* The frame that was looked for did not come. */
static bool is_lost(const struct tly_log_feed *feed, int64_t now_ms)
{
    const struct tly_log_pace *pace = feed->logs->feeds.pace;
    return !feed->resume.reached && feed->resume.skipped > 0 && feed->paused_ms == 0 &&
           (now_ms - feed->came_ms >= pace->quiet || now_ms - feed->opened_ms >= pace->search);
}

void tly_log_feed_tick(struct tly_log_feed *feed)
{
    int64_t now_ms = now_of(feed);
    int64_t pause_max = feed->logs->feeds.pace->pause_max;
    if (feed->state == TLY_FEED_RESTS && now_ms >= feed->due_ms) {
        tly_log_feed_want(feed);
    } else if (feed->paused_ms > 0 && now_ms - feed->paused_ms >= pause_max) {
        tly_log_feed_close(feed, TLY_FEED_PARKED);
    } else if (feed->state == TLY_FEED_OPEN && is_lost(feed, now_ms)) {
        tly_log_feed_give_up(feed);
        tly_log_feed_close(feed, TLY_FEED_RESTS);
        tly_log_feed_want(feed);
    }
    if (has_tail(feed)) {
        tly_logs_ready(feed->logs, feed->reader);
    }
    if (feed->carry.len == 0 && feed->carry.cap > 0 && now_ms - feed->came_ms >= pause_max) {
        tly_buf_done(&feed->carry);
        tly_buf_init(&feed->carry, CARRY_MAX);
    }
}
