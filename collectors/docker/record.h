/*
 * An engine event as a record for the log pipeline, tag "docker.events".
 */
#ifndef TLY_COLLECTORS_DOCKER_RECORD_H
#define TLY_COLLECTORS_DOCKER_RECORD_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/codec/docker_event.h"

#include <stdbool.h>
#include <stdint.h>

#define TLY_DOCKER_EVENTS_TAG "docker.events"

/*
 * Appends [EventTime, map] with type, action, id, name, image, scope (each where the event has it)
 * and attributes, a map of strings. The action is Docker's own text ("health_status: healthy"), but
 * the command of exec_create and exec_start is left out unless `commands`: it may hold secrets.
 * `now_ns` (realtime) stands in where the event has no time. TLY_E_LIMIT, -ENOMEM; `buf` is then as
 * it was.
 */
int tly_docker_record_write(struct tly_buf *buf, const struct tly_docker_event *event,
                            bool commands, int64_t now_ns) TLY_CHECK;

#endif
