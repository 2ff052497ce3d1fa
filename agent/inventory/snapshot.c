/*
 * Taking a snapshot: one block with a row for each container, the host and the agent, and a
 * reference on everything that they point to. No text is copied.
 */
#include "agent/inventory/snapshot.h"

#include "agent/base/clock.h"
#include "agent/inventory/inventory.h"
#include "agent/inventory/table.h"

#include <stdlib.h>

#define HOST_AND_AGENT 2

/* The snapshot, and what keeps the label texts of its rows alive. */
struct holder {
    struct tly_snapshot snapshot; /* first: a pointer to it is a pointer to the holder */
    struct tly_base_labels **labels;
    size_t label_count;
};

static void row_take(struct holder *holder, struct tly_snapshot_row *to, const struct tly_row *row)
{
    struct tly_base_labels *labels = tly_base_labels_ref(row->labels);
    holder->labels[holder->label_count++] = labels;
    to->container = tly_container_ref(row->merged);
    to->labels = (struct tly_text){labels->at, labels->len};
    for (size_t slot = 0; slot < holder->snapshot.slots; slot++) {
        to->sets[slot] = row->sets[slot] == NULL ? NULL : tly_sample_set_ref(row->sets[slot]);
    }
}

static void host_take(const struct tly_inventory *inventory, struct tly_snapshot_row *to)
{
    for (size_t slot = 0; slot < inventory->slots; slot++) {
        to->sets[slot] = inventory->host[slot] == NULL ? NULL
                                                       : tly_sample_set_ref(inventory->host[slot]);
    }
}

static void agent_take(struct tly_inventory *inventory, struct tly_snapshot_row *to)
{
    struct tly_samples *samples = &inventory->scratch;
    tly_inventory_measure(inventory, samples);
    for (size_t i = 0; i < TLY_METERS_MAX; i++) {
        const struct tly_meter *meter = &inventory->meters[i];
        if (meter->read != NULL) {
            meter->read(meter->arg, samples);
        }
    }
    to->sets[TLY_SLOT_FACTS] = tly_samples_take(samples);
}

struct tly_snapshot *tly_inventory_snapshot(struct tly_inventory *inventory)
{
    size_t containers = tly_map_count(inventory->rows);
    struct holder *holder = calloc(1, sizeof(*holder));
    if (holder == NULL) {
        return NULL;
    }
    struct tly_snapshot *snapshot = &holder->snapshot;
    snapshot->refs = 1;
    snapshot->taken_ns = tly_clock_realtime_ns();
    snapshot->slots = inventory->slots;
    snapshot->rows = calloc(containers + HOST_AND_AGENT, sizeof(*snapshot->rows));
    holder->labels = calloc(containers + 1, sizeof(struct tly_base_labels *));
    if (snapshot->rows == NULL || holder->labels == NULL) {
        tly_snapshot_unref(snapshot);
        return NULL;
    }
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(inventory->rows, &at, &entry);) {
        row_take(holder, &snapshot->rows[snapshot->count++], entry.value);
    }
    host_take(inventory, &snapshot->rows[snapshot->count++]);
    agent_take(inventory, &snapshot->rows[snapshot->count++]);
    return snapshot;
}

struct tly_snapshot *tly_snapshot_ref(struct tly_snapshot *snapshot)
{
    __atomic_add_fetch(&snapshot->refs, 1, __ATOMIC_RELAXED);
    return snapshot;
}

void tly_snapshot_unref(struct tly_snapshot *snapshot)
{
    if (snapshot == NULL || __atomic_sub_fetch(&snapshot->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    struct holder *holder = (struct holder *)snapshot;
    for (size_t i = 0; i < snapshot->count; i++) {
        tly_container_unref(snapshot->rows[i].container);
        for (size_t slot = 0; slot < snapshot->slots; slot++) {
            tly_sample_set_unref(snapshot->rows[i].sets[slot]);
        }
    }
    for (size_t i = 0; i < holder->label_count; i++) {
        tly_base_labels_unref(holder->labels[i]);
    }
    free(snapshot->rows);
    free(holder->labels);
    free(holder);
}
