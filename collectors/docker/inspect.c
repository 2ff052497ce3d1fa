/*
 * Asking for the containers that are due: queues, places, results. See roster.h for the whole and
 * roster_state.h for who calls what.
 */
#include "collectors/docker/roster_state.h"

#include "agent/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define WHO "docker"

/* At a time: enough to hide the engine's latency, few enough that its other clients don't feel it.
 */
#define PLACES 8
/* Of these, for containers whose last inspect failed: one that hangs holds its place until its time
 * is over, and a host may have several. */
#define SLOW_PLACES 2
/* Of the time between tries of one that fails: then it stays, at some minutes. */
#define AGAIN_DOUBLINGS_MAX 6
/* The largest inspects known have some hundred KiB, mostly labels and mounts. */
#define INSPECT_BYTES_MAX ((size_t)4 << 20)
/* Between the time of a `die` event and FinishedAt in the inspect that follows. */
#define SAME_END_NS (2 * TLY_NS_PER_S)

/* ---- queues ---- */

static int64_t delay_of(const struct tly_docker_entry *entry, enum tly_docker_due due)
{
    const struct tly_docker_pace *pace = entry->roster->limits.pace;
    unsigned doublings = entry->fails > 0 ? entry->fails - 1 : 0;
    switch (due) {
    case TLY_DOCKER_DUE_EVENT:
        return pace->event_delay;
    case TLY_DOCKER_DUE_AGAIN:
        return pace->again_first << (doublings < AGAIN_DOUBLINGS_MAX ? doublings
                                                                     : AGAIN_DOUBLINGS_MAX);
    default:
        return 0;
    }
}

void tly_docker_entry_unqueue(struct tly_docker_roster *roster, struct tly_docker_entry *entry)
{
    if (entry->due == TLY_DOCKER_DUE_NOT) {
        return;
    }
    struct tly_docker_queue *queue = &roster->queues[entry->due];
    *(entry->previous ? &entry->previous->next : &queue->first) = entry->next;
    *(entry->next ? &entry->next->previous : &queue->last) = entry->previous;
    entry->next = entry->previous = NULL;
    entry->due = TLY_DOCKER_DUE_NOT;
    roster->queued--;
}

/* Behind all that are due no later: with a constant delay that is the end of the queue. */
static void insert(struct tly_docker_roster *roster, struct tly_docker_entry *entry,
                   enum tly_docker_due due, int64_t due_ms)
{
    struct tly_docker_queue *queue = &roster->queues[due];
    struct tly_docker_entry *before = queue->last;
    while (before && before->due_ms > due_ms) {
        before = before->previous;
    }
    entry->due = due;
    entry->due_ms = due_ms;
    entry->previous = before;
    entry->next = before ? before->next : queue->first;
    *(before ? &before->next : &queue->first) = entry;
    *(entry->next ? &entry->next->previous : &queue->last) = entry;
    roster->queued++;
    roster->busy = true;
}

/* Sets the timer to when the next one is due, if there is a place for it. */
static void arm(struct tly_docker_roster *roster)
{
    int64_t next_ms = INT64_MAX;
    for (size_t due = 0; due < TLY_DOCKER_DUE_COUNT; due++) {
        bool place = due != TLY_DOCKER_DUE_AGAIN || roster->slow_under_way < SLOW_PLACES;
        const struct tly_docker_entry *first = roster->queues[due].first;
        if (first && place && first->due_ms < next_ms) {
            next_ms = first->due_ms;
        }
    }
    if (next_ms == INT64_MAX || roster->paused || roster->under_way >= PLACES) {
        tly_timer_stop(roster->timer);
    } else {
        tly_timer_start(roster->timer, next_ms - tly_loop_now_ms(roster->loop), 0);
    }
}

void tly_docker_entry_queue(struct tly_docker_roster *roster, struct tly_docker_entry *entry,
                            enum tly_docker_due due)
{
    if (entry->get) {
        /* The reply under way may be older than what makes it due. */
        entry->once_more = due < entry->once_more ? due : entry->once_more;
        return;
    }
    int64_t due_ms = tly_loop_now_ms(roster->loop) + delay_of(entry, due);
    if (entry->fails > 0) {
        due = TLY_DOCKER_DUE_AGAIN;
    }
    if (entry->due != TLY_DOCKER_DUE_NOT) {
        if (entry->due_ms <= due_ms && entry->due <= due) {
            return;
        }
        due_ms = entry->due_ms < due_ms ? entry->due_ms : due_ms;
        due = entry->due < due && entry->fails == 0 ? entry->due : due;
    }
    tly_docker_entry_unqueue(roster, entry);
    insert(roster, entry, due, due_ms);
    arm(roster);
}

void tly_docker_entry_ended(struct tly_docker_roster *roster, struct tly_docker_entry *entry)
{
    roster->under_way--;
    roster->slow_under_way -= entry->slow ? 1 : 0;
    entry->slow = false;
}

/* ---- results ---- */

static void put(struct tly_docker_roster *roster, struct tly_container *container,
                int64_t observed_ns)
{
    /* Over the maximum of containers the inventory refuses, counts and says so itself. */
    if (tly_inventory_put(roster->inventory, TLY_SOURCE_API, container, observed_ns) < 0) {
        roster->errors++;
    }
}

/* Shows what the list said. */
static void put_partial(struct tly_docker_roster *roster, struct tly_docker_entry *entry)
{
    if (entry->partial) {
        struct tly_container *partial = entry->partial;
        entry->partial = NULL;
        entry->known_ns = entry->partial_ns;
        put(roster, partial, entry->partial_ns);
    }
}

/* Inspects are refused. What an earlier one said may no longer be so: from here on lists tell. */
static void deny(struct tly_docker_roster *roster, struct tly_docker_entry *entry)
{
    roster->denied = true;
    entry->looked_ms = 0;
    if (entry->partial) {
        put_partial(roster, entry);
    } else {
        roster->events.list_wanted(roster->arg);
    }
}

/* The exit code of the last end, which an inspect of a running container does not tell. */
static void carry_exit_code(struct tly_docker_entry *entry, struct tly_container *container)
{
    if (container->exit_code != TLY_UNKNOWN) {
        entry->exit_code = container->exit_code;
        entry->exit_ns = container->finished_ns;
        return;
    }
    int64_t apart_ns = container->finished_ns - entry->exit_ns;
    if (entry->exit_code != TLY_UNKNOWN && container->finished_ns > 0 && apart_ns < SAME_END_NS &&
        apart_ns > -SAME_END_NS) {
        container->exit_code = entry->exit_code;
    }
}

static void take(struct tly_docker_roster *roster, struct tly_docker_entry *entry,
                 struct tly_container *container)
{
    carry_exit_code(entry, container);
    tly_docker_entry_looked(entry, container);
    entry->looked_ms = entry->asked_ms;
    entry->known_ns = entry->asked_ns;
    entry->fails = 0;
    entry->probed = false;
    entry->health = container->health;
    entry->checked = container->health > TLY_HEALTH_NONE;
    entry->doubtful = entry->checked &&
                      (container->health != TLY_HEALTH_HEALTHY || container->failing_streak > 0);
    entry->forges_exit_code = tly_container_label(container, "exitCode") != NULL;
    tly_container_unref(entry->partial);
    entry->partial = NULL;
    put(roster, container, entry->asked_ns);
    tly_docker_entry_show(entry);
}

static void fail(struct tly_docker_roster *roster, struct tly_docker_entry *entry, const char *why)
{
    uint64_t held = 0;
    roster->errors++;
    entry->fails++;
    if (entry->looked_ms == 0) {
        put_partial(roster, entry); /* nothing better is known */
    }
    if (tly_log_limit_pass(&roster->fail_limit, tly_loop_now_ms(roster->loop), &held)) {
        tly_log_warn(WHO,
                     "container %.12s can't be inspected (%s); it keeps what is known of it and is "
                     "tried again later%s",
                     entry->id, why, tly_log_held(held).text);
    }
    tly_docker_entry_queue(roster, entry, TLY_DOCKER_DUE_AGAIN);
}

static void read_reply(struct tly_docker_roster *roster, struct tly_docker_entry *entry,
                       struct tly_text body)
{
    struct tly_container *container = NULL;
    struct tly_error err = {0};
    int rc = tly_container_parse_inspect(body, &container, &err);
    if (rc == 0 && !tly_text_equal(tly_text_of(container->id), tly_text_of(entry->id))) {
        tly_container_unref(container);
        rc = tly_error_set(&err, TLY_E_MALFORMED, "the reply is about another container");
    }
    if (rc < 0) {
        fail(roster, entry, err.text);
        return;
    }
    take(roster, entry, container);
}

static void replied(void *arg, const struct tly_docker_reply *reply)
{
    struct tly_docker_entry *entry = arg;
    struct tly_docker_roster *roster = entry->roster;
    enum tly_docker_due once_more = entry->once_more;
    entry->get = NULL;
    entry->once_more = TLY_DOCKER_DUE_NOT;
    tly_docker_entry_ended(roster, entry);
    switch (reply->outcome) {
    case TLY_DOCKER_OK:
        read_reply(roster, entry, reply->body);
        break;
    case TLY_DOCKER_GONE:
        tly_docker_entry_gone(roster, entry, entry->asked_ns);
        tly_docker_roster_pump(roster);
        return;
    case TLY_DOCKER_DENIED:
        deny(roster, entry);
        break;
    case TLY_DOCKER_VERSION: /* later, so that an engine that contradicts itself makes no loop */
        tly_docker_entry_queue(roster, entry, TLY_DOCKER_DUE_AGAIN);
        break;
    case TLY_DOCKER_ABSENT:
        if (roster->paused) { /* no fault of this container */
            tly_docker_entry_queue(roster, entry, TLY_DOCKER_DUE_LISTED);
            break;
        }
        fail(roster, entry, reply->why);
        break;
    case TLY_DOCKER_FAILED:
    case TLY_DOCKER_SILENT:
    case TLY_DOCKER_UNREADABLE: /* of a log only */
        fail(roster, entry, reply->why);
        break;
    }
    if (once_more != TLY_DOCKER_DUE_NOT) {
        tly_docker_entry_queue(roster, entry, once_more);
    }
    tly_docker_roster_pump(roster);
}

/* ---- asking ---- */

static void ask(struct tly_docker_roster *roster, struct tly_docker_entry *entry)
{
    char path[TLY_CONTAINER_ID_MAX + 32];
    tly_docker_entry_unqueue(roster, entry);
    if (roster->denied) {
        deny(roster, entry);
        return;
    }
    (void)snprintf(path, sizeof(path), "/containers/%s/json", entry->id); /* fits */
    entry->asked_ms = tly_loop_now_ms(roster->loop);
    entry->asked_ns = tly_clock_monotonic_ns();
    entry->slow = entry->fails > 0;
    struct tly_docker_request request = {
        .api = TLY_DOCKER_INSPECT,
        .path = path,
        .timeout_ms = roster->limits.timeout_ms,
        .body_max = INSPECT_BYTES_MAX,
        .done = replied,
        .arg = entry,
    };
    int rc = tly_docker_engine_get(roster->engine, &request, &entry->get);
    if (rc < 0) {
        fail(roster, entry, tly_error_name(rc));
        return;
    }
    roster->under_way++;
    roster->slow_under_way += entry->slow ? 1 : 0;
}

/* The first that is due, by importance; NULL when there is none, or no place for it. */
static struct tly_docker_entry *next_due(const struct tly_docker_roster *roster)
{
    int64_t now_ms = tly_loop_now_ms(roster->loop);
    for (size_t due = 0; due < TLY_DOCKER_DUE_COUNT; due++) {
        bool place = due != TLY_DOCKER_DUE_AGAIN || roster->slow_under_way < SLOW_PLACES;
        struct tly_docker_entry *first = roster->queues[due].first;
        if (first && place && first->due_ms <= now_ms) {
            return first;
        }
    }
    return NULL;
}

bool tly_docker_roster_idle(const struct tly_docker_roster *roster)
{
    return !roster->queues[TLY_DOCKER_DUE_NOW].first &&
           !roster->queues[TLY_DOCKER_DUE_EVENT].first &&
           !roster->queues[TLY_DOCKER_DUE_LISTED].first &&
           roster->under_way == roster->slow_under_way;
}

void tly_docker_roster_pump(struct tly_docker_roster *roster)
{
    struct tly_docker_entry *entry = NULL;
    while (!roster->paused && roster->under_way < PLACES && (entry = next_due(roster))) {
        ask(roster, entry);
    }
    arm(roster);
    roster->counts->inspects_pending = roster->queued + roster->under_way;
    if (roster->busy && tly_docker_roster_idle(roster)) {
        roster->busy = false;
        roster->events.idle(roster->arg);
    }
}

void tly_docker_roster_due(void *arg)
{
    tly_docker_roster_pump(arg);
}

void tly_docker_roster_pause(struct tly_docker_roster *roster)
{
    roster->paused = true;
    arm(roster);
}

void tly_docker_roster_resume(struct tly_docker_roster *roster)
{
    roster->paused = false;
    tly_docker_roster_pump(roster);
}
