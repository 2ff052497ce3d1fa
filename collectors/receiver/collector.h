/*
 * The receiver of the forward protocol, as the runner sees it.
 */
#ifndef TLY_RECEIVER_COLLECTOR_H
#define TLY_RECEIVER_COLLECTOR_H

#include "agent/registry.h"

extern const struct tly_collector tly_collector_receiver;

#endif
