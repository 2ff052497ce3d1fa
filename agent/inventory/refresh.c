/*
 * Freshness on demand. A run asks every refresher once; callers who come while a run is under way
 * wait for that same run, so that ten scrapers cost one reading.
 */
#include "agent/base/clock.h"
#include "agent/inventory/inventory.h"
#include "agent/inventory/table.h"

#include <errno.h>
#include <stdlib.h>

int tly_inventory_refresher(struct tly_inventory *inventory, tly_refresh_fn refresh, void *arg)
{
    for (size_t i = 0; i < TLY_REFRESHERS_MAX; i++) {
        struct tly_refresher *refresher = &inventory->refreshers[i];
        if (refresher->refresh == NULL && !refresher->waiting) {
            *refresher = (struct tly_refresher){
                .inventory = inventory, .refresh = refresh, .arg = arg};
            return 0;
        }
    }
    return TLY_E_LIMIT;
}

void tly_inventory_feeds(struct tly_inventory *inventory, tly_refresh_fn refresh, const void *arg,
                         unsigned slot)
{
    _Static_assert(TLY_SLOTS_MAX <= 32, "slots fit into the bits of a word");
    for (size_t i = 0; i < TLY_REFRESHERS_MAX; i++) {
        struct tly_refresher *refresher = &inventory->refreshers[i];
        if (refresher->refresh == refresh && refresher->arg == arg) {
            refresher->feeds |= UINT32_C(1) << slot;
        }
    }
}

uint32_t tly_inventory_late(const struct tly_inventory *inventory)
{
    uint32_t late = 0;
    for (size_t i = 0; i < TLY_REFRESHERS_MAX; i++) {
        const struct tly_refresher *refresher = &inventory->refreshers[i];
        late |= refresher->waiting ? refresher->feeds : 0;
    }
    return late;
}

/* One less to wait for; the last one ends the run. */
static void run_step(struct tly_inventory *inventory)
{
    if (--inventory->refreshing > 0) {
        return;
    }
    inventory->refreshed_ns = inventory->refresh_started_ns;
    /* Detached first: a waiter may ask for the next run at once. */
    struct tly_refresh_waiter *waiter = inventory->waiters;
    inventory->waiters = NULL;
    while (waiter != NULL) {
        struct tly_refresh_waiter *next = waiter->next;
        waiter->done(waiter->arg);
        free(waiter);
        waiter = next;
    }
}

static void refresher_done(void *token)
{
    struct tly_refresher *refresher = token;
    if (refresher->waiting) {
        refresher->waiting = false;
        run_step(refresher->inventory);
    }
}

void tly_inventory_unrefresher(struct tly_inventory *inventory, tly_refresh_fn refresh, void *arg)
{
    for (size_t i = 0; i < TLY_REFRESHERS_MAX; i++) {
        struct tly_refresher *refresher = &inventory->refreshers[i];
        if (refresher->refresh == refresh && refresher->arg == arg) {
            refresher->refresh = NULL;
            refresher_done(refresher);
            return;
        }
    }
}

static void run_start(struct tly_inventory *inventory)
{
    inventory->refresh_started_ns = tly_clock_monotonic_ns();
    /* One for ourselves, so that refreshers that are done at once don't end the run too early. */
    inventory->refreshing = 1;
    for (size_t i = 0; i < TLY_REFRESHERS_MAX; i++) {
        struct tly_refresher *refresher = &inventory->refreshers[i];
        if (refresher->refresh != NULL) {
            refresher->waiting = true;
            inventory->refreshing++;
            refresher->refresh(refresher->arg, refresher_done, refresher);
        }
    }
    run_step(inventory);
}

int tly_inventory_refresh(struct tly_inventory *inventory, int64_t max_age_ms,
                          void (*done)(void *arg), void *arg)
{
    int64_t oldest_ns = tly_clock_monotonic_ns() - max_age_ms * TLY_NS_PER_MS;
    if (inventory->refreshing == 0 && inventory->refreshed_ns != INT64_MIN &&
        inventory->refreshed_ns >= oldest_ns) {
        done(arg);
        return 0;
    }
    struct tly_refresh_waiter *waiter = malloc(sizeof(*waiter));
    if (waiter == NULL) {
        return -ENOMEM;
    }
    *waiter = (struct tly_refresh_waiter){.done = done, .arg = arg, .next = inventory->waiters};
    inventory->waiters = waiter;
    if (inventory->refreshing == 0) {
        run_start(inventory);
    }
    return 0;
}

void tly_refresh_done(struct tly_inventory *inventory)
{
    while (inventory->waiters != NULL) {
        struct tly_refresh_waiter *waiter = inventory->waiters;
        inventory->waiters = waiter->next;
        free(waiter);
    }
}
