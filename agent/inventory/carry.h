/*
 * Totals that outlive the kernel's counters. A container's cgroup is made anew at each start and
 * its counters begin at 0; a device may vanish from io.stat and come back. The carry remembers what
 * had been counted and adds it to what is counted now, so that a total never goes down. One per
 * container and slot, embedded; zero-initialised means empty.
 */
#ifndef TLY_INVENTORY_CARRY_H
#define TLY_INVENTORY_CARRY_H

#include "agent/model/sample.h"

#include <stddef.h>
#include <stdint.h>

struct tly_carry_entry;

struct tly_carry {
    struct tly_sample_set *raw; /* what came last; NULL: nothing yet */
    uint64_t instance;          /* of `raw` */
    /* Only of counters that were reset or went away; most containers never have one. */
    struct tly_carry_entry *at;
    size_t count;
};

void tly_carry_done(struct tly_carry *carry);

/*
 * Takes the reference of `set` over and returns the set to show, with one reference: the same one
 * where nothing was carried so far, else a copy with the totals. NULL when memory is out.
 *
 * A counter of a new `instance` starts at 0. Within one instance a counter that fell below half of
 * what it was has been reset; one that went down by less is jitter in the kernel's sums (cpu.stat
 * scales user and system time), and the total stays where it was.
 */
struct tly_sample_set *tly_carry_apply(struct tly_carry *carry, uint64_t instance,
                                       struct tly_sample_set *set);

#endif
