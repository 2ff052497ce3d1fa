/*
 * The conversation with the engine; see session.h.
 */
#include "collectors/docker/session.h"

#include "agent/base/clock.h"
#include "agent/codec/engine_json.h"
#include "agent/engine/engine.h"
#include "agent/loop/backoff.h"
#include "agent/loop/log.h"
#include "collectors/docker/listing.h"
#include "collectors/docker/roster.h"
#include "collectors/docker/stream.h"
#include "collectors/docker/usage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHO "docker"

/* One is enough for every engine; two that contradict each other must not make a loop. */
#define RENEGOTIATIONS_MAX 3

#define MS_PER_S 1000

#define INFO_BYTES_MAX ((size_t)1 << 20)
#define PING_BYTES_MAX 4096

enum state { STATE_DOWN, STATE_PINGING, STATE_OPENING, STATE_STANDING };

struct tly_docker_session {
    struct tly_loop *loop;
    struct tly_docker_counts *counts;
    struct tly_docker_session_events events;
    void *arg;
    int64_t timeout_ms, poll_ms;
    const struct tly_docker_pace *pace;
    struct tly_docker_engine *engine;
    struct tly_docker_stream *stream;
    struct tly_docker_roster *roster;
    struct tly_docker_listing *listing;
    struct tly_docker_usage *usage; /* NULL: not wanted */
    struct tly_timer *wait; /* to the next try, to giving up on events, on a replay: by state */
    struct tly_timer *tick; /* in STANDING */
    struct tly_backoff backoff;
    enum state state;

    struct tly_docker_get *ping, *info, *open; /* under way; NULL: not */
    bool streaming;                            /* `open` has opened */
    int64_t opened_ms;                         /* when it did */
    bool hung;          /* the engine does not answer pings, the stream stands */
    bool lost;          /* since the last list began events were lost */
    bool list_lost;     /* before it: it looks at everything */
    bool list_denied;   /* lists are: what the API told is void, and events change nothing */
    int renegotiations; /* of the API version, since the ping */
    bool fresh;         /* since the last list began the connection, or the stream, did */
    bool list_fresh;    /* before it */

    int64_t ping_due_ms, list_due_ms, open_due_ms;
    int64_t standing_ms; /* since when */

    int64_t sync_began_ns;
    bool syncing;  /* the list is there, inspects follow */
    bool doubting; /* ... but not the last event, which the stream is to repeat */
    bool synced;   /* once */

    uint64_t errors;
    struct tly_log_limit down_limit, list_limit;
};

static void go_down(struct tly_docker_session *session, const struct tly_docker_reply *reply);

static int64_t now_of(const struct tly_docker_session *session)
{
    return tly_loop_now_ms(session->loop);
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

/* The sync ends when nothing is to be inspected any more, nor will be. */
static void end_sync(struct tly_docker_session *session)
{
    if (session->syncing && !session->doubting && tly_docker_roster_idle(session->roster)) {
        session->syncing = false;
        session->synced = true;
        session->events.synced(session->arg, tly_clock_monotonic_ns() - session->sync_began_ns);
    }
}

/* At the next tick at the latest `after_ms` from now, or when the list under way is done. */
static void list_soon(struct tly_docker_session *session, int64_t after_ms)
{
    int64_t due_ms = now_of(session) + after_ms;
    if (session->list_due_ms > due_ms) {
        session->list_due_ms = due_ms;
    }
}

/* Whether changes were missed before this list, so that it may not tell them all. */
static bool missed_events(struct tly_docker_session *session)
{
    bool fresh = session->list_fresh;
    bool blind = fresh && !session->streaming && session->synced;
    bool missed = blind || session->list_lost;
    session->list_fresh = session->list_lost = false;
    if (fresh && session->streaming && !tly_docker_stream_resumed(session->stream)) {
        session->doubting = true;
        tly_timer_start(session->wait, session->pace->replay_wait, 0);
    }
    return missed;
}

/* The stream had time to repeat its last event. */
static void end_doubt(struct tly_docker_session *session)
{
    session->doubting = false;
    if (!tly_docker_stream_resumed(session->stream)) {
        session->counts->gaps++;
        tly_log_info(WHO, "the engine no longer remembers the last event; inspecting every "
                          "container");
        tly_docker_roster_all(session->roster);
    }
    end_sync(session);
}

static void take_list(struct tly_docker_session *session, bool whole)
{
    session->errors += whole ? 0 : 1;
    session->syncing = true;
    session->list_denied = false;
    session->list_limit = (struct tly_log_limit){0};
    list_soon(session, session->streaming ? session->pace->list_every : session->poll_ms);
    tly_docker_roster_list_end(session->roster, whole, missed_events(session));
    end_sync(session);
}

static void list_failed(struct tly_docker_session *session, const char *why)
{
    uint64_t held = 0;
    session->errors++;
    session->list_due_ms = now_of(session) + session->pace->list_retry;
    if (tly_log_limit_pass(&session->list_limit, now_of(session), &held)) {
        tly_log_warn(WHO,
                     "the containers can't be listed (%s); what is known of them stays, next try "
                     "in %" PRId64 " s%s",
                     why, session->pace->list_retry / MS_PER_S, tly_log_held(held).text);
    }
    if (!session->synced) {
        session->events.unusable(session->arg, false);
    }
}

static void list_done(void *arg, const struct tly_docker_reply *reply, bool whole)
{
    struct tly_docker_session *session = arg;
    switch (reply->outcome) {
    case TLY_DOCKER_OK:
        take_list(session, whole);
        break;
    case TLY_DOCKER_DENIED:
        session->list_due_ms = now_of(session) + session->pace->list_retry;
        session->synced = session->syncing = false;
        session->list_denied = true;
        tly_docker_roster_forget_all(session->roster);
        session->events.unusable(session->arg, true);
        break;
    case TLY_DOCKER_VERSION:
        list_soon(session, 0);
        break;
    case TLY_DOCKER_ABSENT:
        go_down(session, reply);
        break;
    default:
        list_failed(session, reply->why);
        break;
    }
}

static void start_list(struct tly_docker_session *session)
{
    session->list_due_ms = INT64_MAX; /* set when this one is done, or by what happens meanwhile */
    session->list_lost |= session->lost;
    session->list_fresh |= session->fresh;
    session->lost = session->fresh = false;
    session->sync_began_ns = tly_clock_monotonic_ns();
    int rc = tly_docker_listing_start(session->listing);
    if (rc < 0) {
        list_failed(session, tly_error_name(rc));
    }
}

/* ---- standing and falling ---- */

static void stop_asking(struct tly_docker_session *session)
{
    struct tly_docker_get **gets[] = {&session->ping, &session->info, &session->open};
    for (size_t i = 0; i < sizeof(gets) / sizeof(gets[0]); i++) {
        tly_docker_engine_cancel(*gets[i]);
        *gets[i] = NULL;
    }
    tly_docker_listing_cancel(session->listing);
    if (session->usage) {
        tly_docker_usage_cancel(session->usage);
    }
    /* A ping may have found the engine gone before the stream did. */
    session->counts->reconnects += session->streaming ? 1 : 0;
    session->streaming = session->counts->stream = false;
    session->hung = session->syncing = session->doubting = false;
    tly_timer_stop(session->tick);
    tly_docker_roster_pause(session->roster);
    session->state = STATE_DOWN;
}

/* The stream is over but nothing says that the engine is: it is asked after a short time. */
static void reconnect(struct tly_docker_session *session)
{
    stop_asking(session);
    tly_timer_start(session->wait, tly_backoff_next_ms(&session->backoff), 0);
}

static void go_down(struct tly_docker_session *session, const struct tly_docker_reply *reply)
{
    uint64_t held = 0;
    session->counts->up = false;
    if (tly_log_limit_pass(&session->down_limit, now_of(session), &held)) {
        tly_log_warn(WHO,
                     "no answer from the Docker engine at %s (%s)%s; what is known stays, and "
                     "it is tried again and again",
                     tly_docker_engine_host(session->engine), reply->why,
                     tly_docker_engine_advice(reply->code));
    }
    reconnect(session);
    if (!session->synced) {
        session->events.unusable(session->arg, false);
    }
}

/* The events stand or can't be had for now: look at what is there, then watch over it. */
static void stand(struct tly_docker_session *session)
{
    int64_t now_ms = now_of(session);
    struct tly_api_version version = tly_docker_engine_version(session->engine);
    tly_log_info(WHO, "connected to the Docker engine at %s, API %d.%d%s",
                 tly_docker_engine_host(session->engine), version.major, version.minor,
                 session->streaming ? "" : ", without events");
    session->state = STATE_STANDING;
    session->down_limit = (struct tly_log_limit){0};
    session->standing_ms = now_ms;
    session->ping_due_ms = now_ms + session->pace->ping_every;
    session->fresh = true;
    tly_timer_stop(session->wait);
    tly_timer_start(session->tick, session->pace->tick, session->pace->tick);
    tly_docker_roster_resume(session->roster);
    start_list(session);
    start_info(session);
}

/* ---- events ---- */

static void open_opened(void *arg)
{
    struct tly_docker_session *session = arg;
    session->streaming = session->counts->stream = true;
    session->opened_ms = now_of(session);
    tly_docker_stream_begin(session->stream);
    if (session->state == STATE_OPENING) {
        stand(session);
    } else {
        session->fresh = true;
        list_soon(session, 0);
    }
}

/* The stream of events is over, or never was. */
static void open_ended(struct tly_docker_session *session, const char *why)
{
    bool was_open = session->streaming;
    bool lived = was_open && now_of(session) - session->opened_ms >= session->pace->stream_life_min;
    session->open = NULL;
    session->streaming = session->counts->stream = false;
    session->counts->reconnects += was_open ? 1 : 0;
    tly_log_debug(WHO, "no stream of events (%s)", why);
    if (lived) {
        reconnect(session);
        return;
    }
    session->open_due_ms = now_of(session) + session->pace->open_retry;
    if (session->state == STATE_OPENING) {
        stand(session);
    } else {
        session->ping_due_ms = now_of(session); /* maybe the engine itself is gone */
        list_soon(session, session->pace->list_spacing);
    }
}

static void open_chunk(void *arg, struct tly_text bytes)
{
    struct tly_docker_session *session = arg;
    if (tly_docker_stream_feed(session->stream, bytes) < 0) {
        session->errors++;
        tly_docker_engine_cancel(session->open);
        open_ended(session, "it is no stream of events any more");
    }
}

static void start_open(struct tly_docker_session *session);

static void open_done(void *arg, const struct tly_docker_reply *reply)
{
    struct tly_docker_session *session = arg;
    if (reply->outcome == TLY_DOCKER_VERSION && session->renegotiations < RENEGOTIATIONS_MAX) {
        session->open = NULL;
        session->renegotiations++;
        start_open(session); /* with the version that it asked for */
        return;
    }
    if (!session->streaming && reply->outcome != TLY_DOCKER_DENIED) {
        session->errors++;
    }
    open_ended(session, reply->why);
}

static void start_open(struct tly_docker_session *session)
{
    char path[TLY_DOCKER_EVENTS_PATH_MAX];
    struct tly_docker_request request = {
        .api = TLY_DOCKER_EVENTS,
        .path = path,
        .opened = open_opened,
        .chunk = open_chunk,
        .done = open_done,
        .arg = session,
    };
    tly_docker_stream_path(session->stream, path);
    session->open_due_ms = INT64_MAX; /* set anew when this one ends */
    int rc = tly_docker_engine_get(session->engine, &request, &session->open);
    if (rc < 0) {
        open_ended(session, tly_error_name(rc));
    }
}

static void stream_event(void *arg, const struct tly_docker_event *event)
{
    struct tly_docker_session *session = arg;
    if (!session->list_denied && tly_text_equal(event->type, TLY_TEXT("container"))) {
        tly_docker_roster_event(session->roster, event);
    }
    session->events.event(session->arg, event);
}

static void stream_lost(void *arg)
{
    struct tly_docker_session *session = arg;
    if (!session->lost) {
        session->lost = true;
        session->counts->gaps++;
        tly_log_warn(WHO, "more events at once than fit the queue; inspecting every container");
    }
    list_soon(session, 0);
}

/* ---- ping ---- */

/* The engine does not answer but its connection stands: a hung engine may recover. */
static void seem_hung(struct tly_docker_session *session, const struct tly_docker_reply *reply)
{
    session->counts->up = false;
    if (!session->hung) {
        session->hung = true;
        tly_docker_roster_pause(session->roster);
        tly_log_warn(WHO, "the Docker engine at %s does not answer (%s); what is known stays",
                     tly_docker_engine_host(session->engine), reply->why);
    }
}

static void recover(struct tly_docker_session *session)
{
    session->counts->up = true;
    if (session->hung) {
        session->hung = false;
        tly_log_info(WHO, "the Docker engine answers again; listing its containers");
        tly_docker_roster_resume(session->roster);
        list_soon(session, 0);
    }
}

static void ping_done(void *arg, const struct tly_docker_reply *reply)
{
    struct tly_docker_session *session = arg;
    bool alive = reply->outcome == TLY_DOCKER_OK || reply->outcome == TLY_DOCKER_DENIED;
    session->ping = NULL;
    session->ping_due_ms = now_of(session) + session->pace->ping_every;
    session->errors += alive ? 0 : 1;
    if (alive && session->state == STATE_PINGING) {
        session->counts->up = true;
        session->renegotiations = 0;
        session->state = STATE_OPENING;
        tly_timer_start(session->wait, session->pace->open_max, 0);
        start_open(session);
    } else if (alive) {
        recover(session);
    } else if (session->state == STATE_PINGING || reply->outcome == TLY_DOCKER_ABSENT) {
        go_down(session, reply);
    } else {
        seem_hung(session, reply);
    }
}

static void start_ping(struct tly_docker_session *session)
{
    struct tly_docker_request request = {
        .api = TLY_DOCKER_PING,
        .path = "/_ping",
        .timeout_ms = session->timeout_ms,
        .body_max = PING_BYTES_MAX,
        .done = ping_done,
        .arg = session,
    };
    int rc = tly_docker_engine_get(session->engine, &request, &session->ping);
    if (rc < 0) {
        struct tly_docker_reply reply = {
            .outcome = TLY_DOCKER_ABSENT, .code = rc, .why = tly_error_name(rc)};
        go_down(session, &reply);
    }
}

/* ---- time ---- */

static void wait_over(void *arg)
{
    struct tly_docker_session *session = arg;
    if (session->state == STATE_OPENING) {
        stand(session); /* the stream may still open later */
    } else if (session->state == STATE_STANDING) {
        end_doubt(session);
    } else {
        session->state = STATE_PINGING;
        start_ping(session);
    }
}

static void ticked(void *arg)
{
    struct tly_docker_session *session = arg;
    int64_t now_ms = now_of(session);
    if (now_ms - session->standing_ms >= session->pace->steady) {
        tly_backoff_clear(&session->backoff);
    }
    if (!session->hung) {
        tly_docker_roster_tick(session->roster);
        if (!session->open && now_ms >= session->open_due_ms) {
            start_open(session);
        }
        if (now_ms >= session->list_due_ms && !tly_docker_listing_busy(session->listing)) {
            start_list(session);
        }
        if (session->usage) {
            tly_docker_usage_tick(session->usage);
        }
    }
    /* Last: it may find that nobody is there any more. */
    if (!session->ping && now_ms >= session->ping_due_ms) {
        start_ping(session);
    }
}

static void roster_idle(void *arg)
{
    end_sync(arg);
}

static void roster_list_wanted(void *arg)
{
    struct tly_docker_session *session = arg;
    list_soon(session, session->pace->list_spacing);
}

/* ---- life ---- */

static int make_parts(struct tly_docker_session *session,
                      const struct tly_docker_session_config *config)
{
    static const struct tly_docker_stream_events stream_events = {
        .event = stream_event,
        .lost = stream_lost,
    };
    static const struct tly_docker_roster_events roster_events = {
        .idle = roster_idle,
        .list_wanted = roster_list_wanted,
    };
    const struct tly_docker_roster_limits limits = {
        .containers_max = (size_t)config->collect->containers_max,
        .timeout_ms = session->timeout_ms,
        .pace = session->pace,
        .tally = !config->groups || config->groups->on[TLY_G_events],
    };
    size_t bytes_max = config->events_bytes_max > 0 ? config->events_bytes_max
                                                    : TLY_DOCKER_STREAM_BYTES_MAX;
    int rc = tly_docker_stream_new(config->loop, config->counts, bytes_max, &stream_events, session,
                                   &session->stream);
    rc = rc < 0 ? rc
                : tly_docker_roster_new(config->loop, config->inventory, session->engine,
                                        config->counts, &limits, &roster_events, session,
                                        &session->roster);
    rc = rc < 0 ? rc
                : tly_docker_listing_new(session->engine, session->roster, session->timeout_ms,
                                         list_done, session, &session->listing);
    if (rc == 0 && config->groups && config->groups->on[TLY_G_system_df]) {
        rc = tly_docker_usage_new(config->loop, config->inventory, session->engine,
                                  config->docker->system_df_interval_ms, &session->usage);
    }
    rc = rc < 0 ? rc : tly_timer_new(config->loop, wait_over, session, &session->wait);
    return rc < 0 ? rc : tly_timer_new(config->loop, ticked, session, &session->tick);
}

int tly_docker_session_new(const struct tly_docker_session_config *config,
                           const struct tly_docker_session_events *events, void *arg,
                           struct tly_docker_session **ret_session, struct tly_error *err)
{
    struct tly_docker_session *session = calloc(1, sizeof(*session));
    if (!session) {
        return tly_error_set(err, -ENOMEM, "out of memory for the Docker engine");
    }
    session->loop = config->loop;
    session->counts = config->counts;
    session->events = *events;
    session->arg = arg;
    session->pace = config->pace ? config->pace : &tly_docker_pace_default;
    session->timeout_ms = config->docker->timeout_ms;
    session->poll_ms = config->collect->interval_ms;
    session->open_due_ms = session->list_due_ms = INT64_MAX;
    int rc = tly_docker_engine_new(config->loop, config->docker, WHO, &config->counts->requests,
                                   &session->engine, err);
    if (rc == 0) {
        rc = make_parts(session, config);
        if (rc < 0) {
            (void)tly_error_set(err, rc, "cannot watch the Docker engine: %s", tly_error_name(rc));
        }
    }
    if (rc < 0) {
        tly_docker_session_free(session);
        return rc;
    }
    bool local = tly_docker_engine_is_local(session->engine);
    tly_backoff_init(&session->backoff, session->pace->retry_first,
                     local ? session->pace->retry_local_max : session->pace->retry_remote_max);
    session->counts->api = true;
    tly_timer_start(session->wait, 0, 0);
    *ret_session = session;
    return 0;
}

void tly_docker_session_pace(struct tly_docker_session *session, int64_t poll_ms)
{
    session->poll_ms = poll_ms;
}

void tly_docker_session_free(struct tly_docker_session *session)
{
    if (!session) {
        return;
    }
    tly_docker_listing_free(session->listing);
    tly_docker_usage_free(session->usage);
    tly_docker_roster_free(session->roster); /* cancels its requests: before the engine goes */
    tly_docker_engine_free(session->engine);
    tly_docker_stream_free(session->stream);
    tly_timer_free(session->wait);
    tly_timer_free(session->tick);
    free(session);
}

uint64_t tly_docker_session_errors(const struct tly_docker_session *session)
{
    return session->errors + tly_docker_roster_errors(session->roster) +
           tly_docker_listing_errors(session->listing) +
           (session->usage ? tly_docker_usage_errors(session->usage) : 0);
}
