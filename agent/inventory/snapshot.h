/*
 * The inventory at one moment: immutable, counted, readable from any thread. It holds references on
 * the containers and sample sets, no copies.
 */
#ifndef TLY_INVENTORY_SNAPSHOT_H
#define TLY_INVENTORY_SNAPSHOT_H

#include "agent/base/text.h"
#include "agent/model/container.h"
#include "agent/model/sample.h"

#include <stddef.h>
#include <stdint.h>

#define TLY_SLOTS_MAX 12

struct tly_snapshot_row {
    struct tly_container *container; /* NULL for the host's and the agent's rows */
    /* The base labels, prepared: `id="/docker/..",image="..",name=".."` and the chosen container
     * labels, without braces; empty for host and agent. */
    struct tly_text labels;
    struct tly_sample_set *sets[TLY_SLOTS_MAX]; /* NULL where there is none */
};

struct tly_snapshot {
    unsigned refs;    /* only through ref and unref */
    int64_t taken_ns; /* realtime */
    size_t slots;     /* entries of `sets` in use, the same for every row */
    size_t count;
    struct tly_snapshot_row
        *rows; /* the containers in a stable order, then the host, then the agent */
};

struct tly_snapshot *tly_snapshot_ref(struct tly_snapshot *snapshot);
void tly_snapshot_unref(struct tly_snapshot *snapshot); /* NULL is fine */

#endif
