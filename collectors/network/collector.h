/* The collector's descriptor, for the registry. */
#ifndef TLY_COLLECTORS_NETWORK_COLLECTOR_H
#define TLY_COLLECTORS_NETWORK_COLLECTOR_H

#include "agent/registry.h"

extern const struct tly_collector tly_collector_network;

#endif
