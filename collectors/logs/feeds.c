/*
 * The containers whose log the engine has to tell, and the connections for it; see feeds.h.
 */
#include "collectors/logs/feeds.h"

#include "agent/base/clock.h"
#include "agent/loop/log.h"
#include "collectors/logs/feed.h"
#include "collectors/logs/source.h"
#include "collectors/logs/state.h"

#include <inttypes.h>
#include <string.h>

#define WHO "logs"

const struct tly_log_pace tly_log_pace_default = {
    .retry_first = 500,
    .retry_max = 30000,
    .pause_max = 2000,
    .quiet = 15000,
    .search = 60000,
    .turn = 10000,
    .turn_search = 120000,
};

/* ---- which containers ---- */

static bool has_files(const char *driver)
{
    return strcmp(driver, "json-file") == 0 || strcmp(driver, "local") == 0 ||
           strcmp(driver, "none") == 0;
}

bool tly_log_feeds_accept(const struct tly_logs *logs, const char *driver)
{
    const struct tly_strings *except = &logs->settings->api_except;
    if (!logs->settings->api || !driver || has_files(driver)) {
        return false;
    }
    for (size_t i = 0; i < except->count; i++) {
        if (strcmp(except->at[i], driver) == 0) {
            return false;
        }
    }
    return true;
}

bool tly_log_feeds_want(const struct tly_logs *logs, const char *driver)
{
    const char *host = logs->context->docker->host;
    return host && host[0] != '\0' && tly_log_feeds_accept(logs, driver);
}

bool tly_log_feeds_began(const struct tly_log_source *source)
{
    const struct tly_logs *logs = source->logs;
    for (size_t i = 0; i < logs->target_count; i++) {
        struct tly_position kept;
        struct tly_log_anchor anchor;
        if (tly_delivery_position(logs->context->delivery, logs->targets[i].destination,
                                  tly_text_of(source->key), &kept) &&
            tly_log_anchor_of(&kept, &anchor)) {
            return true;
        }
    }
    return false;
}

void tly_log_feeds_use(struct tly_log_source *source)
{
    source->api = true;
    tly_log_source_let_go(source);
}

/* ---- readers ---- */

/* Where a destination begins in a log that it never had anything of. */
static struct tly_log_anchor begin_anew(const struct tly_log_source *source,
                                        const struct tly_log_target *target)
{
    const struct tly_logs *logs = source->logs;
    bool now = tly_log_source_is_old(source, target) && logs->settings->from == TLY_LOGS_FROM_NOW;
    int64_t from_ns = target->generation > 0 ? tly_clock_realtime_ns() : logs->started_ns;
    return (struct tly_log_anchor){.time_ns = now ? from_ns : 0, .newest_ns = now ? from_ns : 0};
}

static int begin(struct tly_log_source *source, struct tly_log_target *target,
                 struct tly_log_reader *reader)
{
    struct tly_position kept = {.offset = 0};
    struct tly_log_anchor from;
    bool known = tly_delivery_position(source->logs->context->delivery, target->destination,
                                       tly_text_of(source->key), &kept) &&
                 tly_log_anchor_of(&kept, &from);
    if (!known) {
        from = begin_anew(source, target);
        kept = (struct tly_position){.offset = 0};
    }
    reader->held = kept.held;
    reader->ahead_until = kept.held > 0 ? kept.ahead : 0;
    int rc = tly_log_feed_new(reader, &from);
    if (rc == 0 && !known) {
        tly_log_feed_position(reader->feed, &kept);
        tly_cursor_advance(reader->cursor, &kept); /* so that a restart knows that it began */
    }
    return rc;
}

/* A reader for each target that wants one, and none for the others. */
static int make_readers(struct tly_log_source *source)
{
    struct tly_logs *logs = source->logs;
    for (size_t i = 0; i < logs->target_count; i++) {
        if (!source->wanted[i]) {
            tly_log_reader_free(source->readers[i]);
            source->readers[i] = NULL;
            continue;
        }
        if (source->readers[i]) {
            continue;
        }
        struct tly_log_reader *reader = NULL;
        int rc = tly_log_reader_new(source, &logs->targets[i], &reader);
        rc = rc < 0 ? rc : begin(source, &logs->targets[i], reader);
        if (rc < 0) {
            tly_log_reader_free(reader);
            return rc;
        }
        source->readers[i] = reader;
    }
    source->begun = true;
    return 0;
}

bool tly_log_feeds_look(struct tly_log_source *source)
{
    bool all_ended = true;
    int rc = make_readers(source);
    if (rc < 0) {
        tly_logs_error(source->logs, source->id, "cannot follow its log", rc);
        return false;
    }
    for (size_t i = 0; i < source->logs->target_count; i++) {
        struct tly_log_reader *reader = source->readers[i];
        if (reader && reader->state != TLY_READER_ENDED) {
            all_ended = false;
            tly_log_feed_look(reader->feed);
        }
    }
    return source->gone && all_ended;
}

void tly_log_feeds_tick(struct tly_log_source *source)
{
    if (source->facts_stale || !source->begun) {
        tly_logs_stale(source->logs, source);
    }
    for (size_t i = 0; i < source->logs->target_count; i++) {
        struct tly_log_reader *reader = source->readers[i];
        if (!reader || reader->state == TLY_READER_ENDED) {
            continue;
        }
        tly_log_feed_tick(reader->feed);
        if (reader->retry || tly_log_reader_has_pieces(reader)) {
            tly_logs_ready(source->logs, reader);
        }
    }
}

void tly_log_feeds_doubt(struct tly_log_source *source)
{
    bool any = false;
    for (size_t i = 0; i < source->logs->target_count; i++) {
        if (source->readers[i]) {
            any = true;
            tly_log_feed_want(source->readers[i]->feed);
        }
    }
    if (!any) {
        source->gone = true;
        tly_logs_stale(source->logs, source);
    }
}

/* ---- connections ---- */

int tly_log_feeds_engine(struct tly_logs *logs, struct tly_docker_engine **ret_engine)
{
    struct tly_log_feeds *feeds = &logs->feeds;
    struct tly_error err;
    int rc = 0;
    if (!feeds->engine) {
        /* The docker collector has said what is wrong with the address, and does not start. */
        rc = tly_docker_engine_new(logs->context->loop, logs->context->docker, WHO,
                                   &feeds->requests, &feeds->engine, &err);
    }
    if (rc == 0) {
        *ret_engine = feeds->engine;
    }
    return rc;
}

void tly_log_feeds_wait(struct tly_logs *logs, struct tly_log_feed *feed)
{
    struct tly_log_feeds *feeds = &logs->feeds;
    feed->next = NULL;
    if (feeds->waiting_last) {
        feeds->waiting_last->next = feed;
    } else {
        feeds->waiting = feed;
    }
    feeds->waiting_last = feed;
    feeds->waits++;
    tly_log_feeds_pump(logs);
}

void tly_log_feeds_unwait(struct tly_logs *logs, struct tly_log_feed *feed)
{
    struct tly_log_feeds *feeds = &logs->feeds;
    struct tly_log_feed *previous = NULL;
    struct tly_log_feed *at = feeds->waiting;
    while (at && at != feed) {
        previous = at;
        at = at->next;
    }
    if (!at) {
        return;
    }
    if (previous) {
        previous->next = feed->next;
    } else {
        feeds->waiting = feed->next;
    }
    if (feeds->waiting_last == feed) {
        feeds->waiting_last = previous;
    }
    feeds->waits--;
}

void tly_log_feeds_pump(struct tly_logs *logs)
{
    struct tly_log_feeds *feeds = &logs->feeds;
    uint64_t most = (uint64_t)logs->settings->api_streams_max;
    while (feeds->waiting && feeds->open < most) {
        struct tly_log_feed *feed = feeds->waiting;
        tly_log_feeds_unwait(logs, feed);
        tly_log_feed_open(feed);
    }
    if (feeds->waiting && !feeds->said_max) {
        feeds->said_max = true;
        tly_log_warn(WHO,
                     "more logs are to be read from the engine than logs.api_streams_max (%" PRIu64
                     ") allows at once: they take turns, and their lines come later; raise it",
                     most);
    }
}

static bool had_its_turn(const struct tly_log_feed *feed, int64_t now_ms)
{
    const struct tly_log_pace *pace = feed->logs->feeds.pace;
    return feed->state == TLY_FEED_OPEN &&
           now_ms - feed->opened_ms >= (feed->resume.reached ? pace->turn : pace->turn_search);
}

/* Of those that had their turn, the one that had it longest. */
static struct tly_log_feed *longest(struct tly_logs *logs, int64_t now_ms)
{
    struct tly_log_feed *found = NULL;
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
        const struct tly_log_source *source = at.value;
        for (size_t i = 0; source->api && i < logs->target_count; i++) {
            struct tly_log_feed *feed = source->readers[i] ? source->readers[i]->feed : NULL;
            if (feed && had_its_turn(feed, now_ms) &&
                (!found || feed->opened_ms < found->opened_ms)) {
                found = feed;
            }
        }
    }
    return found;
}

void tly_log_feeds_share(struct tly_logs *logs)
{
    int64_t now_ms = tly_loop_now_ms(logs->context->loop);
    for (uint64_t n = logs->feeds.waits; n > 0; n--) {
        struct tly_log_feed *feed = longest(logs, now_ms);
        if (!feed) {
            break;
        }
        tly_log_feed_close(feed, TLY_FEED_RESTS); /* whose turn it is goes first */
        tly_log_feed_want(feed);
    }
}

/* ---- figures and end ---- */

static uint64_t refused(const struct tly_logs *logs)
{
    uint64_t count = 0;
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
        const struct tly_log_source *source = at.value;
        for (size_t i = 0; source->api && i < logs->target_count; i++) {
            const struct tly_log_feed *feed = source->readers[i] ? source->readers[i]->feed : NULL;
            if (feed && feed->state == TLY_FEED_REFUSED) {
                count++;
                break;
            }
        }
    }
    return count;
}

void tly_log_feeds_meter(const struct tly_logs *logs, struct tly_samples *samples)
{
    const struct tly_log_feeds *feeds = &logs->feeds;
    const struct {
        enum tly_family_id family;
        int64_t value;
    } rows[] = {
        {TLY_F_tallyman_logs_api_streams, (int64_t)feeds->open},
        {TLY_F_tallyman_logs_api_streams_max, logs->settings->api_streams_max},
        {TLY_F_tallyman_logs_api_waiting, (int64_t)feeds->waits},
        {TLY_F_tallyman_logs_api_opened_total, (int64_t)feeds->opened},
        {TLY_F_tallyman_logs_api_torn_total, (int64_t)feeds->torn},
        {TLY_F_tallyman_logs_api_skipped_frames_total, (int64_t)feeds->skipped},
        {TLY_F_tallyman_logs_api_unreadable, (int64_t)refused(logs)},
    };
    if (!logs->settings->api) {
        return;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tly_samples_add(samples, rows[i].family, TLY_DIM_NONE, rows[i].value);
    }
    tly_docker_requests_meter(&feeds->requests, samples);
}

void tly_log_feeds_done(struct tly_logs *logs)
{
    tly_docker_engine_free(logs->feeds.engine);
    logs->feeds.engine = NULL;
}
