/*
 * Finding the logs of Kubernetes' containers below the kubelet's folder of pods. Part of the
 * collector, which owns one; a root that is not there is looked for at intervals.
 */
#ifndef TLY_LOGS_PODS_H
#define TLY_LOGS_PODS_H

#include "agent/base/error.h"
#include "collectors/logs/state.h"

/* Takes a first look at `root`; "": there is none, and nothing is done. -ENOMEM. */
int tly_pods_start(struct tly_logs *logs, const char *root) TLY_CHECK;
void tly_pods_stop(struct tly_logs *logs);

/* At every tick. */
void tly_pods_tick(struct tly_logs *logs);

/* Drops the positions of containers that are gone for good. */
void tly_pods_prune(struct tly_logs *logs);

#endif
