/* The collector that audits continuously. */
#ifndef TLY_COLLECTORS_POSTURE_COLLECTOR_H
#define TLY_COLLECTORS_POSTURE_COLLECTOR_H

#include "agent/registry.h"

extern const struct tly_collector tly_collector_posture;

#endif
