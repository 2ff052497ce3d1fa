/*
 * The samples that follow from what is known of a container: its state, health, times, exit code
 * and limits. Pure.
 */
#ifndef TLY_INVENTORY_FACTS_H
#define TLY_INVENTORY_FACTS_H

#include "agent/model/container.h"
#include "agent/model/sample.h"

/* Adds them to `samples`; what is unknown has no sample. */
void tly_facts_write(const struct tly_container *container, struct tly_samples *samples);

#endif
