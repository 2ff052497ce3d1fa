/* The collector's descriptor, for the registry. */
#ifndef TLY_COLLECTORS_CGROUP_COLLECTOR_H
#define TLY_COLLECTORS_CGROUP_COLLECTOR_H

#include "agent/registry.h"

extern const struct tly_collector tly_collector_cgroup;

#endif
