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

/* At every tick: looks at the root if it is not watched, or now and then all the same. */
void tly_logs_discovery_tick(struct tly_logs *logs);

#endif
