/*
 * What collectors publish: a place for each of them in every row, the totals carried over restarts,
 * and the agent's own figures.
 */
#include "agent/inventory/facts.h"
#include "agent/inventory/inventory.h"
#include "agent/inventory/table.h"

#include <string.h>

int tly_inventory_slot(struct tly_inventory *inventory, const char *collector, unsigned *ret_slot)
{
    for (unsigned slot = TLY_SLOT_FACTS + 1; slot < inventory->slots; slot++) {
        if (strcmp(inventory->slot_names[slot], collector) == 0) {
            *ret_slot = slot;
            return 0;
        }
    }
    if (inventory->slots >= TLY_SLOTS_MAX) {
        return TLY_E_LIMIT;
    }
    inventory->slot_names[inventory->slots] = collector;
    *ret_slot = inventory->slots++;
    return 0;
}

static void set_clear(struct tly_sample_set **set)
{
    tly_sample_set_unref(*set);
    *set = NULL;
}

void tly_inventory_slot_clear(struct tly_inventory *inventory, const char *collector)
{
    unsigned slot = TLY_SLOT_FACTS + 1;
    struct tly_map_entry at;
    while (slot < inventory->slots && strcmp(inventory->slot_names[slot], collector) != 0) {
        slot++;
    }
    if (slot >= inventory->slots) {
        return;
    }
    for (void *walk = NULL; tly_map_next(inventory->rows, &walk, &at);) {
        struct tly_row *row = at.value;
        set_clear(&row->sets[slot]);
        row->live[slot] = false;
    }
    set_clear(&inventory->host[slot]);
}

const char *tly_inventory_slot_name(const struct tly_inventory *inventory, unsigned slot)
{
    return inventory->slot_names[slot];
}

void tly_inventory_choose(struct tly_inventory *inventory, const struct tly_group_choice *groups)
{
    for (size_t i = 0; i < TLY_FAMILY_COUNT; i++) {
        inventory->hidden[i] = !tly_family_chosen(groups, (enum tly_family_id)i);
    }
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(inventory->rows, &walk, &at);) {
        struct tly_row *row = at.value;
        for (size_t slot = 0; slot < TLY_SLOTS_MAX; slot++) {
            struct tly_sample_set *set = row->sets[slot];
            row->sets[slot] = set == NULL ? NULL : tly_sample_set_without(set, inventory->hidden);
        }
        if (row->merged != NULL) {
            tly_row_publish_facts(inventory, row);
        }
    }
    for (size_t slot = 0; slot < TLY_SLOTS_MAX; slot++) {
        struct tly_sample_set *set = inventory->host[slot];
        inventory->host[slot] = set == NULL ? NULL : tly_sample_set_without(set, inventory->hidden);
    }
}

/* Puts `set` (moved; NULL: the source is gone) into a row's slot. */
static void row_publish(struct tly_row *row, unsigned slot, uint64_t instance,
                        struct tly_sample_set *set)
{
    struct tly_sample_set *shown = NULL;
    if (set != NULL) {
        shown = tly_carry_apply(&row->carries[slot], instance, set);
    } else if (row->sets[slot] != NULL) {
        shown = tly_sample_set_filter(row->sets[slot], TLY_FAMILY_KEPT);
    }
    tly_sample_set_unref(row->sets[slot]);
    row->sets[slot] = shown;
    row->live[slot] = set != NULL;
}

void tly_inventory_publish(struct tly_inventory *inventory, unsigned slot, struct tly_text id,
                           uint64_t instance, struct tly_sample_set *set)
{
    struct tly_row *row = tly_map_get(inventory->rows, id);
    if (row == NULL || slot >= inventory->slots) {
        tly_sample_set_unref(set);
        return;
    }
    if (set != NULL) {
        inventory->samples_refused += tly_sample_set_refused(set);
        set = tly_sample_set_without(set, inventory->hidden);
    }
    row_publish(row, slot, instance, set);
}

void tly_inventory_publish_host(struct tly_inventory *inventory, unsigned slot,
                                struct tly_sample_set *set)
{
    if (slot >= inventory->slots) {
        tly_sample_set_unref(set);
        return;
    }
    tly_sample_set_unref(inventory->host[slot]);
    if (set != NULL) {
        inventory->samples_refused += tly_sample_set_refused(set);
        set = tly_sample_set_without(set, inventory->hidden);
    }
    inventory->host[slot] = set;
}

static bool counts_oom_kills(const struct tly_sample *sample)
{
    return sample->family == TLY_F_container_oom_events_total ||
           sample->family == TLY_F_container_memory_events_oom_kill_total;
}

/* A copy of `raw` in which one kill is counted; NULL where one is already, or nothing counts them,
 * or memory is out. */
static struct tly_sample_set *oom_raise(const struct tly_sample_set *raw)
{
    struct tly_sample_set *copy = NULL;
    for (size_t i = 0; i < tly_sample_set_count(raw); i++) {
        const struct tly_sample *sample = &tly_sample_set_at(raw)[i];
        if (!counts_oom_kills(sample) || sample->raw > 0) {
            continue;
        }
        if (copy == NULL) {
            copy = tly_sample_set_clone(raw);
        }
        if (copy == NULL) {
            return NULL;
        }
        tly_sample_set_edit(copy)[i].raw = 1;
    }
    return copy;
}

/*
 * The kernel counts a kill and removes the counter in the same moment, when it was the container's
 * first process that was killed. So a run that the engine says ended for lack of memory has one
 * kill at least. Once for each run: the counter that is seen next may be another run's.
 */
static void oom_settle(struct tly_row *row)
{
    const struct tly_container *merged = row->merged;
    bool ended = merged->state == TLY_STATE_EXITED || merged->state == TLY_STATE_RESTARTING ||
                 merged->state == TLY_STATE_DEAD;
    if (!ended || merged->oom_killed != 1 || merged->finished_ns == row->oom_settled_ns) {
        return;
    }
    row->oom_settled_ns = merged->finished_ns;
    for (unsigned slot = TLY_SLOT_FACTS + 1; slot < TLY_SLOTS_MAX; slot++) {
        const struct tly_carry *carry = &row->carries[slot];
        struct tly_sample_set *raised = carry->raw == NULL ? NULL : oom_raise(carry->raw);
        if (raised == NULL) {
            continue;
        }
        bool live = row->live[slot];
        row_publish(row, slot, carry->instance, raised);
        if (!live) {
            row_publish(row, slot, carry->instance, NULL);
        }
    }
}

void tly_row_publish_facts(struct tly_inventory *inventory, struct tly_row *row)
{
    tly_facts_write(row->merged, &inventory->scratch);
    /* The engine's count of restarts has no instance of its own: it is carried when it falls. */
    row_publish(row, TLY_SLOT_FACTS, 0, tly_samples_take(&inventory->scratch));
    oom_settle(row);
}

int tly_inventory_meter(struct tly_inventory *inventory, tly_meter_fn read, void *arg)
{
    for (size_t i = 0; i < TLY_METERS_MAX; i++) {
        if (inventory->meters[i].read == NULL) {
            inventory->meters[i] = (struct tly_meter){.read = read, .arg = arg};
            return 0;
        }
    }
    return TLY_E_LIMIT;
}

void tly_inventory_unmeter(struct tly_inventory *inventory, tly_meter_fn read, void *arg)
{
    for (size_t i = 0; i < TLY_METERS_MAX; i++) {
        if (inventory->meters[i].read == read && inventory->meters[i].arg == arg) {
            inventory->meters[i] = (struct tly_meter){0};
            return;
        }
    }
}

void tly_inventory_measure(const struct tly_inventory *inventory, struct tly_samples *samples)
{
    tly_samples_add(samples, TLY_F_tallyman_inventory_containers, TLY_DIM_NONE,
                    (int64_t)tly_inventory_count(inventory));
    tly_samples_add(samples, TLY_F_tallyman_inventory_containers_max, TLY_DIM_NONE,
                    (int64_t)inventory->limits.containers_max);
    tly_samples_add(samples, TLY_F_tallyman_inventory_containers_refused_total, TLY_DIM_NONE,
                    (int64_t)inventory->refused);
    tly_samples_add(samples, TLY_F_tallyman_inventory_label_values_cut_total, TLY_DIM_NONE,
                    (int64_t)inventory->cut);
    tly_samples_add(samples, TLY_F_tallyman_inventory_labels_dropped_total, TLY_DIM_NONE,
                    (int64_t)inventory->dropped);
    tly_samples_add(samples, TLY_F_tallyman_inventory_label_collisions_total, TLY_DIM_NONE,
                    (int64_t)inventory->collisions);
    tly_samples_add(samples, TLY_F_tallyman_inventory_samples_refused_total, TLY_DIM_NONE,
                    (int64_t)inventory->samples_refused);
}
