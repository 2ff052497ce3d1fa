/* The descriptor of the processes collector, for the registry. */
#ifndef TLY_COLLECTORS_CGROUP_PROCESSES_H
#define TLY_COLLECTORS_CGROUP_PROCESSES_H

#include "agent/registry.h"

extern const struct tly_collector tly_collector_processes;

#endif
