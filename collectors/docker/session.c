/*
 * The conversation with the engine; see session.h.
 */
#include "collectors/docker/session.h"

#include "agent/base/clock.h"
#include "agent/codec/container_json.h"
#include "agent/codec/engine_json.h"
#include "agent/codec/json_split.h"
#include "agent/loop/backoff.h"
#include "agent/loop/log.h"
#include "collectors/docker/engine.h"
#include "collectors/docker/roster.h"
#include "collectors/docker/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHO "docker"

#define TICK_MS 1000
/* Between tries to connect. Knocking on one's own host costs next to nothing, and an engine that is
 * back is to be seen within two seconds; a remote one is spared. */
#define RETRY_FIRST_MS      500
#define RETRY_LOCAL_MAX_MS  1500
#define RETRY_REMOTE_MAX_MS 30000
/* A silent stream proves nothing: an idle engine sends no events, a hung one neither. */
#define PING_EVERY_MS 10000
/* An engine whose reader was slow skips events and says nothing of it: a list finds out. */
#define LIST_EVERY_MS 300000
/* After a list was refused or failed. */
#define LIST_RETRY_MS 30000
/* What opens no sooner than this is not waited for. */
#define OPEN_MAX_MS 5000
/* A stream that ends sooner after it opened does not count as one: somebody cuts it. */
#define STREAM_LIFE_MIN_MS 1000
/* To open events again where they were refused. */
#define OPEN_RETRY_MS 60000
/* A connection that stood this long starts the waiting times anew. */
#define STEADY_MS 10000
/* Events without end of an engine that is only read from may make a list due at most this often. */
#define LIST_SPACING_MS 1000

/* A list may be large (10,000 containers: 20 MB), one row of it not. */
#define ROW_BYTES_MAX  ((size_t)1 << 20)
#define LIST_BYTES_MAX ((size_t)256 << 20)
#define INFO_BYTES_MAX ((size_t)1 << 20)
#define PING_BYTES_MAX 4096

enum state { STATE_DOWN, STATE_PINGING, STATE_OPENING, STATE_STANDING };

struct tly_docker_session {
    struct tly_loop *loop;
    struct tly_docker_counts *counts;
    struct tly_docker_session_events events;
    void *arg;
    int64_t timeout_ms, poll_ms;
    struct tly_docker_engine *engine;
    struct tly_docker_stream *stream;
    struct tly_docker_roster *roster;
    struct tly_timer *wait; /* in DOWN: to the next try; in OPENING: to giving up */
    struct tly_timer *tick; /* in STANDING */
    struct tly_backoff backoff;
    enum state state;

    struct tly_docker_get *ping, *info, *open, *list; /* under way; NULL: not */
    bool streaming;                                   /* `open` has opened */
    int64_t opened_ms;                                /* when it did */
    bool hung;          /* the engine does not answer pings, the stream stands */
    bool lost;          /* events were lost: the next list looks at everything */
    bool renegotiating; /* a request was refused for its version, and is repeated once */

    int64_t ping_due_ms, list_due_ms, open_due_ms;
    int64_t standing_ms; /* since when */

    struct tly_json_split split; /* of the list under way */
    size_t list_bytes;
    bool list_whole; /* every row of it could be read */
    int64_t sync_began_ns;
    bool syncing; /* the list is there, inspects follow */
    bool synced;  /* once */

    uint64_t errors;
    struct tly_log_limit down_limit, list_limit;
};

static void go_down(struct tly_docker_session *session, const char *why);
static void start_ping(struct tly_docker_session *session);
static void start_open(struct tly_docker_session *session);
static void start_list(struct tly_docker_session *session);

static int64_t now_of(const struct tly_docker_session *session)
{
    return tly_loop_now_ms(session->loop);
}

static void set_up(struct tly_docker_session *session, bool up)
{
    session->counts->up = up;
}

/* ---- info ---- */

static void info_done(void *arg, const struct tly_docker_reply *reply)
{
    struct tly_docker_session *session = arg;
    struct tly_engine_info info;
    session->info = NULL;
    if (reply->outcome != TLY_DOCKER_OK) {
        return; /* it is said by the engine if it was refused, and asked again when reconnecting */
    }
    if (tly_engine_info_parse(reply->body, &info, NULL) < 0) {
        session->errors++;
        return;
    }
    (void)snprintf(session->counts->version, sizeof(session->counts->version), "%s",
                   info.version); /* as long */
    if (info.data_root[0] == '/') {
        session->events.data_root(session->arg, info.data_root);
    }
}

static void start_info(struct tly_docker_session *session)
{
    struct tly_docker_request request = {
        .api = TLY_DOCKER_INFO,
        .path = "/info",
        .timeout_ms = session->timeout_ms,
        .body_max = INFO_BYTES_MAX,
        .done = info_done,
        .arg = session,
    };
    if (!session->info && tly_docker_engine_get(session->engine, &request, &session->info) < 0) {
        session->errors++;
    }
}

/* ---- list ---- */

static int list_row(void *arg, struct tly_text json)
{
    struct tly_docker_session *session = arg;
    struct tly_container_row row;
    if (tly_container_parse_row(json, &row, NULL) < 0) {
        session->errors++;
        session->list_whole = false; /* whose row it is can't be known: nobody is missing then */
        return 0;
    }
    tly_docker_roster_list_row(session->roster, &row);
    return 0;
}

static void list_chunk(void *arg, struct tly_text bytes)
{
    struct tly_docker_session *session = arg;
    session->list_bytes += bytes.len;
    if (session->list_bytes > LIST_BYTES_MAX ||
        tly_json_split_feed(&session->split, bytes, list_row, session) < 0) {
        session->list_whole = false;
    }
}

/* The sync ends when nothing is to be inspected any more. */
static void sync_ended(struct tly_docker_session *session)
{
    if (session->syncing && tly_docker_roster_idle(session->roster)) {
        session->syncing = false;
        session->synced = true;
        session->events.synced(session->arg, tly_clock_monotonic_ns() - session->sync_began_ns);
    }
}

static void list_taken(struct tly_docker_session *session)
{
    bool whole = session->list_whole && tly_json_split_complete(&session->split) &&
                 session->split.malformed == 0 && session->split.oversized == 0;
    if (!whole) {
        session->errors++;
    }
    session->syncing = true;
    tly_docker_roster_list_end(session->roster, whole);
    session->list_due_ms = now_of(session) +
                           (session->streaming ? LIST_EVERY_MS : session->poll_ms);
    sync_ended(session);
}

static void list_failed(struct tly_docker_session *session, const char *why)
{
    uint64_t held = 0;
    session->errors++;
    session->list_due_ms = now_of(session) + LIST_RETRY_MS;
    if (tly_log_limit_pass(&session->list_limit, now_of(session), &held)) {
        tly_log_warn(WHO,
                     "the containers can't be listed (%s); what is known stays, next try in "
                     "%d s",
                     why, LIST_RETRY_MS / 1000);
    }
    if (!session->synced) {
        session->events.unusable(session->arg, false);
    }
}

static void list_done(void *arg, const struct tly_docker_reply *reply)
{
    struct tly_docker_session *session = arg;
    session->list = NULL;
    switch (reply->outcome) {
    case TLY_DOCKER_OK:
        list_taken(session);
        break;
    case TLY_DOCKER_DENIED:
        session->list_due_ms = now_of(session) + LIST_RETRY_MS;
        session->synced = false;
        tly_docker_roster_forget_all(session->roster);
        session->events.unusable(session->arg, true);
        break;
    case TLY_DOCKER_VERSION:
        session->list_due_ms = now_of(session); /* the next tick */
        break;
    case TLY_DOCKER_ABSENT:
        go_down(session, reply->why);
        break;
    default:
        list_failed(session, reply->why);
        break;
    }
}

static void start_list(struct tly_docker_session *session)
{
    struct tly_docker_request request = {
        .api = TLY_DOCKER_LIST,
        .path = "/containers/json?all=1",
        .timeout_ms = session->timeout_ms,
        .chunk = list_chunk,
        .done = list_done,
        .arg = session,
    };
    if (session->list) {
        return;
    }
    tly_json_split_done(&session->split);
    tly_json_split_init(&session->split, TLY_JSON_ELEMENTS, ROW_BYTES_MAX);
    session->list_bytes = 0;
    session->list_whole = true;
    session->sync_began_ns = tly_clock_monotonic_ns();
    session->list_due_ms = INT64_MAX; /* set anew when this one is done */
    bool missed = session->lost ||
                  (session->streaming && !tly_docker_stream_resumed(session->stream));
    (void)missed;
    tly_docker_roster_list_begin(session->roster, session->lost);
    session->lost = false;
    int rc = tly_docker_engine_get(session->engine, &request, &session->list);
    if (rc < 0) {
        list_failed(session, tly_error_name(rc));
    }
}
