/*
 * How the collector takes another configuration. Internal to it.
 */
#ifndef TLY_LOGS_RELOAD_H
#define TLY_LOGS_RELOAD_H

#include "agent/registry.h"
#include "collectors/logs/state.h"

extern const struct tly_reload_ops tly_logs_reload;

/* Fills in what is kept for a destination that was not among the targets. -ENOMEM, TLY_E_LIMIT: it
 * will count as new again after a restart. */
int tly_logs_target_begin(struct tly_logs *logs, struct tly_log_target *target,
                          struct tly_destination *destination) TLY_CHECK;

/* Frees what the configuration before left, once no source uses it. */
void tly_logs_forget_old(struct tly_logs *logs);

/* ---- collector.c ---- */

/* Begins to look for sources, where there is somebody to send to and that has not begun. */
void tly_logs_look_for_sources(struct tly_logs *logs);

#endif
