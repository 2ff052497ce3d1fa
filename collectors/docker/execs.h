/*
 * Asking the engine about execs of users: the events tell neither the user nor the privileges, and
 * the engine forgets an exec minutes after its end, so each is asked for at once. A few requests
 * run at a time and a bounded number waits; beyond that an exec counts without being told more of.
 * Owned by the roster.
 */
#ifndef TLY_COLLECTORS_DOCKER_EXECS_H
#define TLY_COLLECTORS_DOCKER_EXECS_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/engine_json.h"
#include "agent/engine/engine.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_docker_execs;

/* What the engine told of an exec of that container; NULL when it told nothing, or told of another
 * container. Maybe from inside `ask`. */
typedef void (*tly_docker_exec_fn)(void *arg, struct tly_text container_id,
                                   const struct tly_engine_exec *exec);

int tly_docker_execs_new(struct tly_docker_engine *engine, int64_t timeout_ms,
                         tly_docker_exec_fn told, void *arg,
                         struct tly_docker_execs **ret_execs) TLY_CHECK;
void tly_docker_execs_free(struct tly_docker_execs *execs); /* those that wait are not told of */

/* Both ids are those of an event, and may be anything. */
void tly_docker_execs_ask(struct tly_docker_execs *execs, struct tly_text container_id,
                          struct tly_text exec_id);

/* After a refusal none is asked for until this says that it may have been allowed since. */
void tly_docker_execs_hope(struct tly_docker_execs *execs);

#endif
