/*
 * Finding the containers that have logs: below Docker's data root, and wherever the inventory says.
 * Part of the collector.
 */
#ifndef TLY_LOGS_DISCOVERY_H
#define TLY_LOGS_DISCOVERY_H

#include "agent/base/error.h"
#include "collectors/logs/state.h"

int tly_logs_discovery_start(struct tly_logs *logs) TLY_CHECK;
void tly_logs_discovery_stop(struct tly_logs *logs);

struct tly_log_origin;

/* Makes a source, unless there is one of that key. What goes wrong is counted and said. */
void tly_logs_add(struct tly_logs *logs, const struct tly_log_origin *origin);

/* At every tick: looks at the root if it is not watched, or now and then all the same. */
void tly_logs_discovery_tick(struct tly_logs *logs);

#endif
