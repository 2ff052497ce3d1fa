/*
 * The inside of the inventory, for this room's files only: the table, its rows and the lists of
 * those who listen, measure and refresh.
 */
#ifndef TLY_INVENTORY_TABLE_H
#define TLY_INVENTORY_TABLE_H

#include "agent/base/map.h"
#include "agent/inventory/base_labels.h"
#include "agent/inventory/carry.h"
#include "agent/inventory/inventory.h"

/* Modules register at start, so that these bound the number of modules, not of containers. */
#define TLY_LISTENERS_MAX  16
#define TLY_METERS_MAX     32
#define TLY_REFRESHERS_MAX 16

#define TLY_SLOT_FACTS 0 /* the inventory's own slot */

struct tly_row {
    struct tly_container *said[TLY_SOURCE_COUNT]; /* NULL: this source knows nothing */
    bool stale[TLY_SOURCE_COUNT];                 /* said before the relist that is under way */
    struct tly_container *merged;
    bool unmerged; /* memory was out: not all that was said is in `merged` */
    struct tly_base_labels *labels;
    char *last_path; /* the cgroup path that was known last, for a container that stopped */
    struct tly_sample_set *sets[TLY_SLOTS_MAX];
    struct tly_carry carries[TLY_SLOTS_MAX];
    bool live[TLY_SLOTS_MAX]; /* the set's source is there */
    int64_t oom_settled_ns;   /* end of the last run whose kill for lack of memory was counted */
};

struct tly_listener {
    tly_change_fn changed; /* NULL: free */
    void *arg;
};

struct tly_hearer {
    tly_news_fn told; /* NULL: free */
    void *arg;
};

struct tly_meter {
    tly_meter_fn read; /* NULL: free */
    void *arg;
};

struct tly_refresher {
    struct tly_inventory *inventory;
    tly_refresh_fn refresh; /* NULL: free */
    void *arg;
    bool waiting;   /* asked in the present run and not done */
    uint32_t feeds; /* slots, as bits */
};

struct tly_refresh_waiter {
    void (*done)(void *arg);
    void *arg;
    struct tly_refresh_waiter *next;
};

struct tly_inventory {
    struct tly_inventory_limits limits;
    struct tly_label_choice choice;
    struct tly_map *rows;      /* id to struct tly_row */
    struct tly_map *forgotten; /* id to int64_t *, when it was observed to be gone */
    unsigned slots;
    const char *slot_names[TLY_SLOTS_MAX];
    struct tly_sample_set *host[TLY_SLOTS_MAX];
    struct tly_samples scratch; /* for facts and meters */
    bool hidden[TLY_FAMILY_COUNT];

    struct tly_listener listeners[TLY_LISTENERS_MAX];
    struct tly_hearer hearers[TLY_LISTENERS_MAX];
    char *data_root;       /* the engine's; NULL: not told */
    struct tly_map *scans; /* image id -> struct tly_image_scan; NULL: nobody collects them */
    struct tly_meter meters[TLY_METERS_MAX];

    struct tly_refresher refreshers[TLY_REFRESHERS_MAX];
    size_t refreshing; /* refreshers that the present run waits for, and one while it starts */
    int64_t refresh_started_ns;
    int64_t refreshed_ns; /* start of the last whole run, monotonic; INT64_MIN: never */
    struct tly_refresh_waiter *waiters;

    uint64_t refused;                  /* containers */
    uint64_t samples_refused;          /* by the builders of what was published */
    uint64_t cut, dropped, collisions; /* of labels, see struct tly_base_labels */
};

/* Puts the facts of a row into its slot anew. */
void tly_row_publish_facts(struct tly_inventory *inventory, struct tly_row *row);
/* The inventory's own figures. */
void tly_inventory_measure(const struct tly_inventory *inventory, struct tly_samples *samples);
void tly_refresh_done(struct tly_inventory *inventory); /* frees what waits; calls nobody */

/* Of scans.c, for the inventory's end. */
void tly_inventory_scans_free(struct tly_inventory *inventory);

#endif
