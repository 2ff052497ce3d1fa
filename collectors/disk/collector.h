/*
 * The disk collector: sizes on disk, by walks in the background. See collector.c.
 */
#ifndef TLY_COLLECTORS_DISK_COLLECTOR_H
#define TLY_COLLECTORS_DISK_COLLECTOR_H

#include "agent/registry.h"

extern const struct tly_collector tly_collector_disk;

#endif
