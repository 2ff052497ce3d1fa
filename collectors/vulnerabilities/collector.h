/* The collector of vulnerability reports. */
#ifndef TLY_COLLECTORS_VULNERABILITIES_COLLECTOR_H
#define TLY_COLLECTORS_VULNERABILITIES_COLLECTOR_H

#include "agent/registry.h"

extern const struct tly_collector tly_collector_vulnerabilities;

#endif
