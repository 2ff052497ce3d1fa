/*
 * What only events tell of a container: each end with its exit code, who asked for it, and execs.
 * Inspects fill in for events that were missed. Part of the roster, whose entries it keeps.
 */
#include "collectors/docker/roster_state.h"

#include "agent/base/clock.h"

#include <stdlib.h>
#include <string.h>

/* By how much the time of a `die` may lie before FinishedAt, of an engine with another order. */
#define SLACK_NS (2 * TLY_NS_PER_S)
/* How long after FinishedAt the `die` of that end may come, at the latest. */
#define LATE_NS (10 * TLY_NS_PER_S)

/* The signals by which people stop a container, by kill(1)'s usual choice; others (HUP, USR1) tell
 * its process something else. signal(7). */
static const char *const stop_signals[] = {"2", "3", "9", "15"};

static const struct tly_container *known(const struct tly_docker_entry *entry)
{
    return tly_inventory_find_from(entry->roster->inventory, TLY_SOURCE_API,
                                   tly_text_of(entry->id));
}

/* ---- ends ---- */

static void told_die(struct tly_docker_entry *entry, const struct tly_docker_event *event)
{
    int64_t code = 0;
    struct tly_text text = tly_docker_event_attribute(event, TLY_TEXT("exitCode"));
    int64_t late_ns = event->time_ns - entry->foretold_ns;
    bool told = tly_text_i64(text, &code) == 0;
    if (entry->foretold_ns > 0 && late_ns > -SLACK_NS && late_ns < LATE_NS) {
        entry->foretold_ns = 0; /* counted by then */
    } else if (entry->looked_ms > 0 && !entry->forges_exit_code && told) {
        tly_docker_tally_exit(&entry->tally, code);
    } else {
        entry->codeless++;
        entry->told_code = told ? code : TLY_UNKNOWN;
    }
    if (event->time_ns > entry->ended_ns) {
        entry->ended_ns = event->time_ns;
    }
}

static bool is_stop_signal(struct tly_text number)
{
    for (size_t i = 0; i < sizeof(stop_signals) / sizeof(stop_signals[0]); i++) {
        if (tly_text_equal(number, tly_text_of(stop_signals[i]))) {
            return true;
        }
    }
    return false;
}

/* Ends of which no event told the code, and such as no event told at all. */
static void count_ends(struct tly_docker_entry *entry, const struct tly_container *container)
{
    bool forged = tly_container_label(container, "exitCode") != NULL;
    int64_t code = container->exit_code != TLY_UNKNOWN || forged ? container->exit_code
                                                                 : entry->told_code;
    for (; entry->codeless > 0; entry->codeless--) {
        tly_docker_tally_exit(&entry->tally, code);
    }
    if (container->finished_ns <= entry->ended_ns + SLACK_NS) {
        return;
    }
    if (entry->looked_ms > 0) { /* before the first look it was another agent's */
        tly_docker_tally_exit(&entry->tally, container->exit_code);
        entry->foretold_ns = container->finished_ns;
    }
    entry->ended_ns = container->finished_ns;
}

/* ---- execs ---- */

static void exec_count(struct tly_docker_entry *entry, const struct tly_container *container,
                       struct tly_text command, struct tly_text exec_id)
{
    if (tly_docker_is_health_check(container, command)) {
        entry->tally.health_execs++;
    } else {
        tly_docker_execs_ask(entry->roster->execs, tly_text_of(entry->id), exec_id);
    }
}

void tly_docker_roster_exec_told(void *arg, struct tly_text container_id,
                                 const struct tly_engine_exec *exec)
{
    struct tly_docker_roster *roster = arg;
    struct tly_docker_entry *entry = tly_map_get(roster->entries, container_id);
    const struct tly_container *container = entry ? known(entry) : NULL;
    if (container) {
        tly_docker_tally_exec(&entry->tally, container, exec);
        tly_docker_entry_show(entry);
    }
}

/* Keeps it until the container was looked at. */
static void exec_keep(struct tly_docker_entry *entry, struct tly_text command,
                      struct tly_text exec_id)
{
    struct tly_docker_early_exec *early = &entry->early[entry->early_count];
    if (entry->early_count == TLY_DOCKER_EARLY_EXECS) {
        entry->tally.unknown_execs++;
        return;
    }
    early->command = tly_text_dup(command);
    early->exec_id = exec_id.at ? tly_text_dup(exec_id) : NULL;
    if (!early->command) {
        free(early->exec_id);
        entry->tally.unknown_execs++;
        return;
    }
    entry->early_count++;
}

static void early_done(struct tly_docker_early_exec *early)
{
    free(early->command);
    free(early->exec_id);
}

void tly_docker_entry_forget_execs(struct tly_docker_entry *entry)
{
    for (size_t i = 0; i < entry->early_count; i++) {
        early_done(&entry->early[i]);
    }
    entry->early_count = 0;
}

static void told_exec(struct tly_docker_entry *entry, const struct tly_docker_event *event)
{
    struct tly_text exec_id = tly_docker_event_attribute(event, TLY_TEXT("execID"));
    const struct tly_container *container = known(entry);
    if (entry->looked_ms > 0 && container) {
        exec_count(entry, container, event->detail, exec_id);
        tly_docker_entry_show(entry);
    } else {
        exec_keep(entry, event->detail, exec_id);
    }
}

/* ---- all ---- */

void tly_docker_entry_show(struct tly_docker_entry *entry)
{
    struct tly_docker_roster *roster = entry->roster;
    const struct tly_container *container = known(entry);
    if (!roster->limits.tally || !container || entry->looked_ms == 0) {
        return;
    }
    while (entry->early_count > 0) {
        struct tly_docker_early_exec early = entry->early[--entry->early_count];
        exec_count(entry, container, tly_text_of(early.command), tly_text_of(early.exec_id));
        early_done(&early);
    }
    tly_docker_tally_write(&entry->tally, container, &roster->samples);
    struct tly_sample_set *set = tly_samples_take(&roster->samples);
    if (set) {
        tly_inventory_publish(roster->inventory, roster->slot, tly_text_of(entry->id), 0, set);
    } /* else memory is out: the counts are shown with the next change */
}

void tly_docker_entry_told(struct tly_docker_entry *entry, const struct tly_docker_event *event)
{
    if (tly_text_equal(event->action, TLY_TEXT("die"))) {
        told_die(entry, event);
        tly_docker_entry_show(entry);
    } else if (tly_text_equal(event->action, TLY_TEXT("start"))) {
        entry->stopped = 0;
    } else if (tly_text_equal(event->action, TLY_TEXT("stop")) ||
               (tly_text_equal(event->action, TLY_TEXT("kill")) &&
                is_stop_signal(tly_docker_event_attribute(event, TLY_TEXT("signal"))))) {
        entry->stopped = 1;
    } else if (entry->roster->limits.tally &&
               tly_text_equal(event->action, TLY_TEXT("exec_start"))) {
        told_exec(entry, event);
    }
}

void tly_docker_entry_looked(struct tly_docker_entry *entry, struct tly_container *container)
{
    bool running = container->state == TLY_STATE_RUNNING || container->state == TLY_STATE_PAUSED;
    count_ends(entry, container);
    if (!entry->roster->counts->stream) {
        entry->stopped = TLY_UNKNOWN; /* nobody would tell that it was stopped */
    } else if (running && entry->stopped == TLY_UNKNOWN) {
        entry->stopped = 0;
    }
    container->desired_running = tly_container_desired(container, entry->stopped);
    container->restarts = tly_docker_tally_restarts(&entry->tally, container->restarts);
}
