/* The collector's descriptor, for the registry. */
#ifndef TLY_COLLECTORS_MACHINE_COLLECTOR_H
#define TLY_COLLECTORS_MACHINE_COLLECTOR_H

#include "agent/registry.h"

extern const struct tly_collector tly_collector_machine;

#endif
