/*
 * The roster: every container that the API told of, and which of them are to be inspected when.
 * What an event or a list says only ever makes a container due; its facts come from an inspect,
 * because the attributes of events can be forged by labels and lists are terse. A few inspects run
 * at a time, those for fresh events first. Results go to the inventory. Owned by the session.
 *
 * Health checks need one more rule, as the engine tells only changes of health: a running container
 * with a check is inspected again every minute, and every ten seconds while it is starting,
 * unhealthy or has failed probes; so the load on the engine does not depend on who looks.
 */
#ifndef TLY_COLLECTORS_DOCKER_ROSTER_H
#define TLY_COLLECTORS_DOCKER_ROSTER_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/container_json.h"
#include "agent/codec/docker_event.h"
#include "agent/engine/engine.h"
#include "agent/inventory/inventory.h"
#include "agent/loop/loop.h"
#include "collectors/docker/counts.h"
#include "collectors/docker/pace.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_docker_roster;

struct tly_docker_roster_events {
    /* Nothing is due or under way any more. */
    void (*idle)(void *arg);
    /* An inspect was refused of a container of which no list told either: one is wanted. Called
     * from inside the functions below, and must not call them. */
    void (*list_wanted)(void *arg);
};

struct tly_docker_roster_limits {
    size_t containers_max;
    int64_t timeout_ms; /* of one inspect */
    const struct tly_docker_pace *pace;
    bool tally; /* ends and execs are counted for each container */
};

int tly_docker_roster_new(struct tly_loop *loop, struct tly_inventory *inventory,
                          struct tly_docker_engine *engine, struct tly_docker_counts *counts,
                          const struct tly_docker_roster_limits *limits,
                          const struct tly_docker_roster_events *events, void *arg,
                          struct tly_docker_roster **ret_roster) TLY_CHECK;
void tly_docker_roster_free(struct tly_docker_roster *roster);

/* While the engine does not answer nothing is asked; what is due waits. */
void tly_docker_roster_pause(struct tly_docker_roster *roster);
void tly_docker_roster_resume(struct tly_docker_roster *roster);

/* An event of a container. */
void tly_docker_roster_event(struct tly_docker_roster *roster,
                             const struct tly_docker_event *event);

/*
 * A list: begin, each row (whose container is taken over), end. `whole`: those that the list did
 * not have are gone. `all`: every one is to be inspected, because events may have been missed.
 */
void tly_docker_roster_list_begin(struct tly_docker_roster *roster);
void tly_docker_roster_list_row(struct tly_docker_roster *roster, struct tly_container_row *row);
void tly_docker_roster_list_end(struct tly_docker_roster *roster, bool whole, bool all);

/* Makes every one due. */
void tly_docker_roster_all(struct tly_docker_roster *roster);

/* Makes the containers due whose health is to be looked at again; called about once a second. */
void tly_docker_roster_tick(struct tly_docker_roster *roster);

/* Everything that the API said is void. */
void tly_docker_roster_forget_all(struct tly_docker_roster *roster);

bool tly_docker_roster_idle(const struct tly_docker_roster *roster);
/* Failed inspects and containers that found no room, in all. */
uint64_t tly_docker_roster_errors(const struct tly_docker_roster *roster);

#endif
