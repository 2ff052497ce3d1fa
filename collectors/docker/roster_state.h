/*
 * Private to roster.c, which decides which containers are due, inspect.c, which asks for them, and
 * telling.c, which counts what only events tell.
 */
#ifndef TLY_COLLECTORS_DOCKER_ROSTER_STATE_H
#define TLY_COLLECTORS_DOCKER_ROSTER_STATE_H

#include "agent/base/map.h"
#include "agent/loop/log.h"
#include "collectors/docker/execs.h"
#include "collectors/docker/roster.h"
#include "collectors/docker/tally.h"

/* Why a container is due: in order of importance, each with its own delay. */
enum tly_docker_due {
    TLY_DOCKER_DUE_NOW,    /* it appeared or died: a moment later it may be gone */
    TLY_DOCKER_DUE_EVENT,  /* something changed: events come in bursts, one look serves them all */
    TLY_DOCKER_DUE_LISTED, /* a list or the age of its health asks for it */
    TLY_DOCKER_DUE_AGAIN,  /* it failed: later, and never more than a few of these at a time */
    TLY_DOCKER_DUE_COUNT,
    TLY_DOCKER_DUE_NOT = TLY_DOCKER_DUE_COUNT
};

/* An exec of a container that was not looked at yet, so that its health check is not known. */
struct tly_docker_early_exec {
    char *command; /* owned */
    char *exec_id; /* owned; NULL: the event named none */
};
#define TLY_DOCKER_EARLY_EXECS 8

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

    /* What only events tell, see telling.c. */
    struct tly_docker_tally tally;
    int64_t ended_ns;    /* the engine's realtime of the last end that was counted; 0: none */
    int64_t foretold_ns; /* an inspect showed this end before its event came; 0: none */
    unsigned codeless;   /* ends whose code the next inspect is to tell */
    int64_t told_code;   /* what the last of these events said, which may be forged */
    int64_t stopped;     /* 0 or 1: somebody asked for the present or coming end */
    struct tly_docker_early_exec early[TLY_DOCKER_EARLY_EXECS];
    size_t early_count;

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
    struct tly_docker_execs *execs;
    struct tly_samples samples; /* scratch */
    unsigned slot;              /* of the inventory, for what is counted */
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

/* ---- telling.c ---- */

/* An event of the entry's container, before anything else is made of it. */
void tly_docker_entry_told(struct tly_docker_entry *entry, const struct tly_docker_event *event);
/* An inspect, before it is given to the inventory: counts ends that no event told, and puts what
 * the engine does not tell into the container. */
void tly_docker_entry_looked(struct tly_docker_entry *entry, struct tly_container *container);
/* After that: what is counted goes to the inventory. */
void tly_docker_entry_show(struct tly_docker_entry *entry);
void tly_docker_entry_forget_execs(struct tly_docker_entry *entry);
/* A tly_docker_exec_fn; `arg` is the roster. */
void tly_docker_roster_exec_told(void *arg, struct tly_text container_id,
                                 const struct tly_engine_exec *exec);

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
