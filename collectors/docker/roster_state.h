/*
 * Private to roster.c, which decides which containers are due, and inspect.c, which asks for them.
 */
#ifndef TLY_COLLECTORS_DOCKER_ROSTER_STATE_H
#define TLY_COLLECTORS_DOCKER_ROSTER_STATE_H

#include "agent/base/map.h"
#include "agent/loop/log.h"
#include "collectors/docker/roster.h"

/* Why a container is due: in order of importance, each with its own delay. */
enum tly_docker_due {
    TLY_DOCKER_DUE_NOW,    /* it appeared or died: a moment later it may be gone */
    TLY_DOCKER_DUE_EVENT,  /* something changed: events come in bursts, one look serves them all */
    TLY_DOCKER_DUE_LISTED, /* a list or the age of its health asks for it */
    TLY_DOCKER_DUE_AGAIN,  /* it failed: later, and never more than a few of these at a time */
    TLY_DOCKER_DUE_COUNT,
    TLY_DOCKER_DUE_NOT = TLY_DOCKER_DUE_COUNT
};

struct tly_docker_entry {
    char id[TLY_CONTAINER_ID_MAX + 1];
    struct tly_docker_roster *roster;

    /* What the last good look said. */
    int64_t looked_ms; /* loop time; 0: none yet */
    int64_t known_ns;  /* monotonic time of the newest word of it, list or inspect */
    enum tly_container_health health;
    bool checked;          /* runs, with a health check */
    bool doubtful;         /* ... that is starting, unhealthy or has failed probes */
    bool forges_exit_code; /* has a label that hides the exit code of its events */

    bool probed;       /* a probe may have ended since */
    int64_t exit_code; /* of its last end, as far as it is known */
    int64_t exit_ns;   /* the engine's realtime of that end */

    /* What lists said. */
    uint64_t list_number; /* the last list that had it */
    uint64_t fingerprint;
    struct tly_container *partial; /* owned; until the inspect that it makes due */
    int64_t partial_ns;

    /* Its place in the queues. */
    enum tly_docker_due due; /* NOT: in none */
    int64_t due_ms;
    struct tly_docker_entry *next, *previous;

    /* Its inspect under way. */
    struct tly_docker_get *get; /* NULL: none */
    int64_t asked_ms, asked_ns;
    bool slow;                     /* holds one of the places for those that failed */
    enum tly_docker_due once_more; /* it became due meanwhile; NOT: it did not */
    unsigned fails;                /* in a row */
};

struct tly_docker_queue {
    struct tly_docker_entry *first, *last; /* by due_ms */
};

struct tly_docker_roster {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    struct tly_docker_engine *engine;
    struct tly_docker_counts *counts;
    struct tly_docker_roster_limits limits;
    struct tly_docker_roster_events events;
    void *arg;
    struct tly_timer *timer;
    struct tly_map *entries; /* id to struct tly_docker_entry, owned */
    struct tly_docker_queue queues[TLY_DOCKER_DUE_COUNT];
    size_t queued, under_way, slow_under_way;
    bool paused;
    bool busy;   /* since it last was idle something was due */
    bool denied; /* inspects are, since the last list began */
    uint64_t list_number;
    int64_t list_began_ns;
    uint64_t errors;
    struct tly_log_limit full_limit, fail_limit;
};

/* ---- roster.c ---- */

/* The engine has no such container any more: the inventory forgets it, and the entry is freed. */
void tly_docker_entry_gone(struct tly_docker_roster *roster, struct tly_docker_entry *entry,
                           int64_t observed_ns);

/* ---- inspect.c ---- */

/* Makes the entry due, or due sooner. */
void tly_docker_entry_queue(struct tly_docker_roster *roster, struct tly_docker_entry *entry,
                            enum tly_docker_due due);
void tly_docker_entry_unqueue(struct tly_docker_roster *roster, struct tly_docker_entry *entry);
/* Its inspect is over or will be cancelled: its place is free. */
void tly_docker_entry_ended(struct tly_docker_roster *roster, struct tly_docker_entry *entry);
/* Starts what is due, as far as there are places. */
void tly_docker_roster_pump(struct tly_docker_roster *roster);
/* The timer's function; `arg` is the roster. */
void tly_docker_roster_due(void *arg);

#endif
