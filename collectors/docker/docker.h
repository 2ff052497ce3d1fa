/*
 * The Docker collector: which containers there are and how they fare, from the Docker API or, where
 * that may not or cannot be used, from the engine's own files; and the engine's events as records.
 *
 *   session   when to connect, to list, to ping, to wait, over agent/engine
 *   stream    the events: cut, queued, told from repeats
 *   roster    which containers are to be inspected, and when
 *   files     data_root/containers, watched and read on a worker
 *   record    an event as a record for the log pipeline
 *   counts    what the collector counts, as samples
 */
#ifndef TLY_COLLECTORS_DOCKER_H
#define TLY_COLLECTORS_DOCKER_H

#include "agent/config/option.h"
#include "agent/registry.h"

#include <stdbool.h>

extern const struct tly_collector tly_collector_docker;

/* docker_events: */
struct tly_docker_events_settings {
    bool records;
    bool exec_commands;
};
extern const struct tly_section tly_docker_events_section;

#endif
