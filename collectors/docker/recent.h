/*
 * What the engine told lately, for people: the last events of each container, and of everything.
 * /api/v1/events shows them. Owned by the collector; for the loop's thread.
 */
#ifndef TLY_COLLECTORS_DOCKER_RECENT_H
#define TLY_COLLECTORS_DOCKER_RECENT_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/docker_event.h"

#include <stdint.h>

/* In all, and of one container: a container that restarts again and again leaves the others
 * theirs. About 250 bytes each. */
#define TLY_DOCKER_RECENT_MAX           1024
#define TLY_DOCKER_RECENT_CONTAINER_MAX 16

/* Longer texts are cut. */
#define TLY_DOCKER_RECENT_TEXT_MAX 128

struct tly_docker_recent;

int tly_docker_recent_new(struct tly_docker_recent **ret_recent) TLY_CHECK; /* -ENOMEM */
void tly_docker_recent_free(struct tly_docker_recent *recent);              /* NULL is fine */

/*
 * Keeps an event; `now_ns` (realtime) stands in where it has no time. Left out are what comes with
 * every exec but its start, a health status that is the one before, and execs of the health check
 * (`health_check`). The command of an exec is kept only with `commands`: it may hold secrets.
 * Networks and volumes that a container joins or leaves count as its events. Where memory is out
 * the event is not kept.
 */
void tly_docker_recent_add(struct tly_docker_recent *recent, const struct tly_docker_event *event,
                           bool health_check, bool commands, int64_t now_ns);

/*
 * Appends {"events":[…]}, the newest first, of the container whose id begins with `container`, or
 * of all if that is empty: each `time`, `type`, `action`, `id` (of the container, else of what it
 * is about), `name`, and where it has them `detail`, `exit_code` and `signal`. TLY_E_LIMIT,
 * -ENOMEM.
 */
int tly_docker_recent_json(const struct tly_docker_recent *recent, struct tly_text container,
                           struct tly_buf *buf) TLY_CHECK;

#endif
