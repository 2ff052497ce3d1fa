/*
 * The conversation with one Docker engine: when to knock, to open the stream of events, to list, to
 * ping, to wait. In this order, so that nothing is missed between: ping (which tells the version),
 * events (from a little before the last one that came), list, inspects. The engine may come later
 * than the agent, restart, hang, or be another version afterwards.
 *
 *   DOWN       nobody answered; knocking again after a growing time
 *   PINGING    asking for the version
 *   OPENING    waiting until the events stand, or are refused
 *   STANDING   events flow, or lists are made at intervals where they can't; pings watch over it
 */
#ifndef TLY_COLLECTORS_DOCKER_SESSION_H
#define TLY_COLLECTORS_DOCKER_SESSION_H

#include "agent/base/error.h"
#include "agent/codec/docker_event.h"
#include "agent/config/settings.h"
#include "agent/inventory/inventory.h"
#include "agent/loop/loop.h"
#include "collectors/docker/counts.h"
#include "collectors/docker/pace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_docker_session;

struct tly_docker_session_events {
    /* Each event of the engine once, of containers and all else. */
    void (*event)(void *arg, const struct tly_docker_event *event);
    /* The containers are known: all were listed and inspected. Also after each reconnect. */
    void (*synced)(void *arg, int64_t duration_ns);
    /* The API can't be used for now: nobody answers or it may not be asked for containers. `denied`
     * tells the second. Not after `synced` while an engine merely is away for a time. */
    void (*unusable)(void *arg, bool denied);
    /* /info tells where the engine keeps its data. */
    void (*data_root)(void *arg, const char *path);
};

struct tly_docker_session_config {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    const struct tly_docker_settings *docker; /* with a host */
    const struct tly_collect_settings *collect;
    const struct tly_group_choice *groups; /* NULL: all are shown */
    struct tly_docker_counts *counts;
    const struct tly_docker_pace *pace; /* outlives the session; NULL: the default */
    size_t events_bytes_max;            /* of events that wait to be handled; 0: the default */
};

/* Starts to knock. -EINVAL with `err` for a host that can't be used, -ENOMEM. */
int tly_docker_session_new(const struct tly_docker_session_config *config,
                           const struct tly_docker_session_events *events, void *arg,
                           struct tly_docker_session **ret_session,
                           struct tly_error *err) TLY_CHECK;
/* Another interval of asking, where the engine tells of no events. */
void tly_docker_session_pace(struct tly_docker_session *session, int64_t poll_ms);

void tly_docker_session_free(struct tly_docker_session *session);

/* Requests that failed and replies that could not be read, in all. */
uint64_t tly_docker_session_errors(const struct tly_docker_session *session);

#endif
