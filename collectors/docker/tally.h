/*
 * What the collector counts of one container by itself, because no reply of the engine tells it:
 * ends of runs by exit code, execs by who asked for them, restarts over the engine's own resets.
 * Every label set is there from the start, at 0: increase() never sees a series that is born at 1.
 * Embedded in the roster's entry; zero-initialised means nothing was counted.
 */
#ifndef TLY_COLLECTORS_DOCKER_TALLY_H
#define TLY_COLLECTORS_DOCKER_TALLY_H

#include "agent/codec/engine_json.h"
#include "agent/model/container.h"
#include "agent/model/sample.h"

#include <stdbool.h>
#include <stdint.h>

/* Success, failure, misuse, not executable, not found, SIGABRT, SIGKILL, SIGSEGV, SIGTERM; and all
 * others as one. Each costs a series per container. */
#define TLY_DOCKER_EXIT_CODES 10

enum tly_docker_exec_user {
    TLY_DOCKER_EXEC_ROOT,
    TLY_DOCKER_EXEC_OWN, /* the container's own user, where that is not root */
    TLY_DOCKER_EXEC_OTHER,
    TLY_DOCKER_EXEC_USERS
};

struct tly_docker_tally {
    uint64_t exits[TLY_DOCKER_EXIT_CODES];
    uint64_t execs[TLY_DOCKER_EXEC_USERS][2][2]; /* by user, tty, privileged */
    uint64_t unknown_execs, health_execs;
    int64_t restarts, restarts_seen; /* in all; as the engine said last */
    bool restarts_known;
};

/* TLY_UNKNOWN counts as one of the other codes. */
void tly_docker_tally_exit(struct tly_docker_tally *tally, int64_t code);

/* An exec that a user of the API made; `exec` is NULL when the engine didn't tell more of it. */
void tly_docker_tally_exec(struct tly_docker_tally *tally, const struct tly_container *container,
                           const struct tly_engine_exec *exec);

/* Whether the command of an exec event is that of the container's health check. */
bool tly_docker_is_health_check(const struct tly_container *container, struct tly_text command);

/* Takes the engine's number of restarts, which a start by hand sets back to 0, and returns the
 * number of all since the container was first seen, those before included. */
int64_t tly_docker_tally_restarts(struct tly_docker_tally *tally, int64_t restarts);

/* In the order of families.def. */
void tly_docker_tally_write(const struct tly_docker_tally *tally,
                            const struct tly_container *container, struct tly_samples *samples);

#endif
