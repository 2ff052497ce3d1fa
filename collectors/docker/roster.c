/*
 * The roster of containers; see roster.h. This file decides who is due; inspect.c asks.
 */
#include "collectors/docker/roster.h"

#include "agent/base/clock.h"
#include "agent/loop/log.h"
#include "collectors/docker/roster_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHO "docker"

/* A row in this state for at most this long may hide a restart since the last list. */
#define YOUNG_S 120
/* The rounding of ages, and clocks of two hosts. */
#define AGE_SLACK_S 30

/* ---- entries ---- */

static struct tly_docker_entry *entry_find(const struct tly_docker_roster *roster,
                                           struct tly_text id)
{
    return tly_map_get(roster->entries, id);
}

static struct tly_docker_entry *entry_add(struct tly_docker_roster *roster, struct tly_text id)
{
    if (id.len == 0 || id.len > TLY_CONTAINER_ID_MAX ||
        tly_map_count(roster->entries) >= roster->limits.containers_max) {
        roster->errors++;
        uint64_t held = 0;
        if (tly_log_limit_pass(&roster->full_limit, tly_loop_now_ms(roster->loop), &held)) {
            tly_log_warn(WHO,
                         "more than %zu containers; the rest is left out until some go "
                         "(collect.containers_max)",
                         roster->limits.containers_max);
        }
        return NULL;
    }
    struct tly_docker_entry *entry = calloc(1, sizeof(*entry));
    if (!entry) {
        roster->errors++;
        return NULL;
    }
    memcpy(entry->id, id.at, id.len);
    entry->roster = roster;
    entry->due = entry->once_more = TLY_DOCKER_DUE_NOT;
    entry->known_ns = tly_clock_monotonic_ns();
    entry->health = TLY_HEALTH_UNKNOWN;
    entry->exit_code = entry->stopped = TLY_UNKNOWN;
    if (tly_map_put(roster->entries, id, entry, NULL) < 0) {
        roster->errors++;
        free(entry);
        return NULL;
    }
    return entry;
}

static void entry_free(void *value)
{
    struct tly_docker_entry *entry = value;
    tly_docker_engine_cancel(entry->get);
    tly_container_unref(entry->partial);
    tly_docker_entry_forget_execs(entry);
    free(entry);
}

/* Takes the entry out of everything. `id` may be the entry's own. */
static void entry_drop(struct tly_docker_roster *roster, struct tly_docker_entry *entry)
{
    tly_docker_entry_unqueue(roster, entry);
    if (entry->get) {
        tly_docker_entry_ended(roster, entry);
    }
    (void)tly_map_remove(roster->entries, tly_text_of(entry->id)); /* it is `entry` */
    entry_free(entry);
}

void tly_docker_entry_gone(struct tly_docker_roster *roster, struct tly_docker_entry *entry,
                           int64_t observed_ns)
{
    tly_inventory_forget(roster->inventory, tly_text_of(entry->id), observed_ns);
    entry_drop(roster, entry);
}

/* ---- events ---- */

enum duty { DUTY_NONE, DUTY_LOOK, DUTY_PROBE, DUTY_GONE };

/* What an action of a container asks for. Actions not listed here, also those that do not exist
 * yet, may change any fact: one look too many is the lesser harm. */
static const struct {
    const char *action;
    enum duty duty;
} duties[] = {
    {"destroy", DUTY_GONE},     {"exec_die", DUTY_PROBE},    {"health_status", DUTY_PROBE},
    {"exec_create", DUTY_NONE}, {"exec_start", DUTY_NONE},   {"exec_detach", DUTY_NONE},
    {"attach", DUTY_NONE},      {"detach", DUTY_NONE},       {"resize", DUTY_NONE},
    {"top", DUTY_NONE},         {"copy", DUTY_NONE},         {"export", DUTY_NONE},
    {"commit", DUTY_NONE},      {"archive-path", DUTY_NONE}, {"extract-to-dir", DUTY_NONE},
    {"mount", DUTY_NONE},       {"unmount", DUTY_NONE},      {"checkpoint", DUTY_NONE},
};

static enum duty duty_of(struct tly_text action)
{
    for (size_t i = 0; i < sizeof(duties) / sizeof(duties[0]); i++) {
        if (tly_text_equal(action, tly_text_of(duties[i].action))) {
            return duties[i].duty;
        }
    }
    return DUTY_LOOK;
}

/* Keeps the exit code that a `die` tells: after a quick restart an inspect no longer does. A
 * container with a label of that name could have forged it. */
static void note_exit(struct tly_docker_entry *entry, const struct tly_docker_event *event)
{
    int64_t code = 0;
    struct tly_text text = tly_docker_event_attribute(event, TLY_TEXT("exitCode"));
    if (entry->looked_ms > 0 && !entry->forges_exit_code && tly_text_i64(text, &code) == 0) {
        entry->exit_code = code;
        entry->exit_ns = event->time_ns;
    }
}

/* A probe ended, maybe: an exec_die may also be that of a user's `docker exec`. */
static void note_probe(struct tly_docker_roster *roster, struct tly_docker_entry *entry,
                       const struct tly_docker_event *event)
{
    if (tly_text_equal(event->action, TLY_TEXT("health_status"))) {
        /* Docker tells changes only, Podman every probe. */
        const char *known = tly_container_health_names[entry->health];
        if (entry->doubtful || !tly_text_equal(event->detail, tly_text_of(known))) {
            entry->probed = true;
            tly_docker_entry_queue(roster, entry, TLY_DOCKER_DUE_EVENT);
        }
        return;
    }
    struct tly_text code = tly_docker_event_attribute(event, TLY_TEXT("exitCode"));
    if (!code.at) {
        code = tly_docker_event_attribute(event, TLY_TEXT("containerExitCode")); /* Podman */
    }
    if (entry->checked && (entry->doubtful || !tly_text_equal(code, TLY_TEXT("0")))) {
        entry->probed = true;
    }
}

void tly_docker_roster_event(struct tly_docker_roster *roster, const struct tly_docker_event *event)
{
    enum duty duty = duty_of(event->action);
    struct tly_docker_entry *entry = entry_find(roster, event->id);
    if (duty == DUTY_GONE) {
        if (entry) {
            tly_docker_entry_gone(roster, entry, tly_clock_monotonic_ns());
        } else {
            tly_inventory_forget(roster->inventory, event->id, tly_clock_monotonic_ns());
        }
        tly_docker_roster_pump(roster); /* a place may be free now */
        return;
    }
    if (entry) {
        tly_docker_entry_told(entry, event);
    }
    if (duty == DUTY_PROBE && entry) {
        note_probe(roster, entry, event);
    }
    if (duty != DUTY_LOOK) {
        return;
    }
    bool died = tly_text_equal(event->action, TLY_TEXT("die"));
    if (entry && died) {
        note_exit(entry, event);
    }
    bool urgent = died || !entry; /* soon gone, or not seen yet */
    if (!entry && (entry = entry_add(roster, event->id))) {
        tly_docker_entry_told(entry, event);
    }
    if (entry) {
        tly_docker_entry_queue(roster, entry, urgent ? TLY_DOCKER_DUE_NOW : TLY_DOCKER_DUE_EVENT);
    }
}

/* ---- lists ---- */

void tly_docker_roster_list_begin(struct tly_docker_roster *roster)
{
    roster->list_number++;
    roster->denied = false; /* it may have been allowed since */
    tly_docker_execs_hope(roster->execs);
    roster->list_began_ns = tly_clock_monotonic_ns();
}

/* Whether the row's state began after the state that is known: a restart that no event told. */
static bool is_newer(const struct tly_docker_roster *roster, const struct tly_docker_entry *entry,
                     const struct tly_container_row *row)
{
    const struct tly_container *known = tly_inventory_find_from(roster->inventory, TLY_SOURCE_API,
                                                                tly_text_of(entry->id));
    if (row->age_max_s == TLY_UNKNOWN || !known) {
        return false;
    }
    int64_t began_ns = row->container->state == TLY_STATE_EXITED ? known->finished_ns
                                                                 : known->started_ns;
    int64_t age_s = (tly_clock_realtime_ns() - began_ns) / TLY_NS_PER_S;
    return began_ns > 0 && age_s > row->age_max_s + AGE_SLACK_S;
}

static bool is_changed(const struct tly_docker_roster *roster, const struct tly_docker_entry *entry,
                       const struct tly_container_row *row)
{
    bool young = row->age_max_s != TLY_UNKNOWN && row->age_max_s <= YOUNG_S;
    return entry->looked_ms == 0 || entry->fails > 0 || young ||
           entry->fingerprint != row->fingerprint || is_newer(roster, entry, row);
}

void tly_docker_roster_list_row(struct tly_docker_roster *roster, struct tly_container_row *row)
{
    struct tly_text id = tly_text_of(row->container->id);
    struct tly_docker_entry *entry = entry_find(roster, id);
    entry = entry ? entry : entry_add(roster, id);
    if (!entry) {
        tly_container_row_done(row);
        return;
    }
    bool changed = is_changed(roster, entry, row);
    if (changed) {
        tly_docker_entry_queue(roster, entry, TLY_DOCKER_DUE_LISTED);
    }
    entry->list_number = roster->list_number;
    entry->fingerprint = row->fingerprint;
    tly_container_unref(entry->partial);
    entry->partial = NULL;
    if (changed) { /* an inspect follows, which may be refused */
        entry->partial = row->container;
        entry->partial_ns = roster->list_began_ns;
        row->container = NULL;
    }
    tly_container_row_done(row);
}

void tly_docker_roster_list_end(struct tly_docker_roster *roster, bool whole, bool all)
{
    struct tly_map_entry at_entry;
    for (void *at = NULL; tly_map_next(roster->entries, &at, &at_entry);) {
        struct tly_docker_entry *entry = at_entry.value;
        bool listed = entry->list_number == roster->list_number;
        /* One that an event brought while the list was made may be missing from it. */
        if (whole && !listed && entry->known_ns < roster->list_began_ns) {
            tly_docker_entry_gone(roster, entry, roster->list_began_ns);
        } else if (all) {
            tly_docker_entry_queue(roster, entry, TLY_DOCKER_DUE_LISTED);
        }
    }
    tly_docker_roster_pump(roster);
}

void tly_docker_roster_all(struct tly_docker_roster *roster)
{
    struct tly_map_entry at_entry;
    for (void *at = NULL; tly_map_next(roster->entries, &at, &at_entry);) {
        tly_docker_entry_queue(roster, at_entry.value, TLY_DOCKER_DUE_LISTED);
    }
    tly_docker_roster_pump(roster);
}

/* ---- health ---- */

/* Spreads the refreshes of containers that were all first seen at one moment: by up to a quarter.
 */
static int64_t spread(const struct tly_docker_entry *entry, int64_t ms)
{
    unsigned char byte = (unsigned char)entry->id[0] ^ (unsigned char)(entry->id[1] << 4);
    return ms - ms / 4 * byte / UINT8_MAX;
}

static bool is_probe_due(const struct tly_docker_entry *entry, int64_t now_ms)
{
    const struct tly_docker_pace *pace = entry->roster->limits.pace;
    int64_t age_ms = now_ms - entry->looked_ms;
    if (entry->probed) {
        return age_ms >= pace->probe_spacing;
    }
    return entry->checked && age_ms >= spread(entry, entry->doubtful ? pace->doubtful_refresh
                                                                     : pace->healthy_refresh);
}

void tly_docker_roster_tick(struct tly_docker_roster *roster)
{
    int64_t now_ms = tly_loop_now_ms(roster->loop);
    struct tly_map_entry at_entry;
    for (void *at = NULL; tly_map_next(roster->entries, &at, &at_entry);) {
        struct tly_docker_entry *entry = at_entry.value;
        if (entry->looked_ms > 0 && entry->due == TLY_DOCKER_DUE_NOT && !entry->get &&
            is_probe_due(entry, now_ms)) {
            tly_docker_entry_queue(roster, entry, TLY_DOCKER_DUE_LISTED);
        }
    }
    tly_docker_roster_pump(roster);
}

/* ---- life ---- */

int tly_docker_roster_new(struct tly_loop *loop, struct tly_inventory *inventory,
                          struct tly_docker_engine *engine, struct tly_docker_counts *counts,
                          const struct tly_docker_roster_limits *limits,
                          const struct tly_docker_roster_events *events, void *arg,
                          struct tly_docker_roster **ret_roster)
{
    struct tly_docker_roster *roster = calloc(1, sizeof(*roster));
    if (!roster) {
        return -ENOMEM;
    }
    *roster = (struct tly_docker_roster){
        .loop = loop,
        .inventory = inventory,
        .engine = engine,
        .counts = counts,
        .limits = *limits,
        .events = *events,
        .arg = arg,
        .paused = true,
        .entries = tly_map_new(),
    };
    tly_samples_init(&roster->samples);
    int rc = roster->entries ? tly_timer_new(loop, tly_docker_roster_due, roster, &roster->timer)
                             : -ENOMEM;
    rc = rc < 0 ? rc : tly_inventory_slot(inventory, WHO, &roster->slot);
    rc = rc < 0 ? rc
                : tly_docker_execs_new(engine, limits->timeout_ms, tly_docker_roster_exec_told,
                                       roster, &roster->execs);
    if (rc < 0) {
        tly_docker_roster_free(roster);
        return rc;
    }
    *ret_roster = roster;
    return 0;
}

void tly_docker_roster_free(struct tly_docker_roster *roster)
{
    if (roster) {
        if (roster->entries) {
            tly_map_free(roster->entries, entry_free);
        }
        tly_docker_execs_free(roster->execs);
        tly_samples_done(&roster->samples);
        tly_timer_free(roster->timer);
        free(roster);
    }
}

void tly_docker_roster_forget_all(struct tly_docker_roster *roster)
{
    struct tly_map_entry at_entry;
    for (void *at = NULL; tly_map_next(roster->entries, &at, &at_entry);) {
        entry_drop(roster, at_entry.value);
    }
    tly_inventory_relist_begin(roster->inventory, TLY_SOURCE_API);
    tly_inventory_relist_end(roster->inventory, TLY_SOURCE_API);
    tly_docker_roster_pump(roster); /* nothing is due any more */
}

uint64_t tly_docker_roster_errors(const struct tly_docker_roster *roster)
{
    return roster->errors;
}
