/*
 * What the service manager is told of the agent: when it is ready, a line on what it does, and that
 * it stops (agent/loop/notify.h has the way there). For the loop's thread only.
 */
#ifndef TLY_SUPERVISION_H
#define TLY_SUPERVISION_H

#include "agent/base/error.h"
#include "agent/loop/loop.h"
#include "agent/runner.h"

struct tly_supervision; /* opaque */

/* How long a collector may keep the agent from being called ready. Units that wait for the agent,
 * and the manager itself, shall not wait for an engine that hangs. */
#define TLY_SUPERVISION_READY_MS 30000

/* Before anything is started, so that the watchdog knows of a slow start. */
int tly_supervision_new(struct tly_loop *loop, struct tly_supervision **ret_supervision,
                        struct tly_error *err) TLY_CHECK;

/* The runner (borrowed) has started, its listeners too. The agent is ready as soon as every
 * collector has had its first look, or when TLY_SUPERVISION_READY_MS are over. */
void tly_supervision_started(struct tly_supervision *supervision, const struct tly_runner *runner);

/* It reads its configuration anew; it has done so, or has given that up. */
void tly_supervision_reloading(struct tly_supervision *supervision);
void tly_supervision_reloaded(struct tly_supervision *supervision);

/* It stops, because of `reason`. */
void tly_supervision_stopping(struct tly_supervision *supervision, const char *reason);

void tly_supervision_free(struct tly_supervision *supervision); /* NULL is fine */

#endif
