/*
 * The table of containers. Several sources report what they know; the table merges it by trust
 * (API over files over cgroup tree), keeps the samples that collectors publish, and hands out
 * snapshots that any thread may read. All functions are for the loop's thread.
 */
#ifndef TLY_INVENTORY_INVENTORY_H
#define TLY_INVENTORY_INVENTORY_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/inventory/snapshot.h"
#include "agent/model/container.h"
#include "agent/model/group.h"
#include "agent/model/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In order of trust, least first. */
enum tly_source { TLY_SOURCE_CGROUP, TLY_SOURCE_FILES, TLY_SOURCE_API, TLY_SOURCE_COUNT };

struct tly_inventory;

struct tly_inventory_limits {
    size_t containers_max;        /* more are refused and counted */
    size_t label_value_bytes_max; /* longer label values are cut at a UTF-8 boundary and counted */
    size_t labels_max;            /* per container, as metric labels */
};

/* `label_globs` are the container labels that become metric labels; copied. */
int tly_inventory_new(const struct tly_inventory_limits *limits, const char *const *label_globs,
                      size_t label_glob_count, struct tly_inventory **ret_inventory) TLY_CHECK;
/* Those who still wait for a refresh are not called. NULL is fine. */
void tly_inventory_free(struct tly_inventory *inventory);

/* Another choice of labels, for the containers that are known, too. -ENOMEM: everything is as it
 * was, but for a container for which memory was out, until it next changes. */
int tly_inventory_relabel(struct tly_inventory *inventory, size_t labels_max,
                          size_t value_bytes_max, const char *const *label_globs,
                          size_t label_glob_count) TLY_CHECK;

/* Which groups of families are shown, from now on. Without a call: all. What was not published
 * before comes with the next publishing. */
void tly_inventory_choose(struct tly_inventory *inventory, const struct tly_group_choice *groups);

/*
 * A source's present knowledge of a container, replacing what it said before. Takes one reference
 * over. `observed_ns` (monotonic) is when the source looked: word that is older than a `forget` of
 * that id is ignored. -ENOMEM: it is seen when this or another source speaks again, also when it
 * says the same; TLY_E_LIMIT over containers_max.
 */
int tly_inventory_put(struct tly_inventory *inventory, enum tly_source source,
                      struct tly_container *container, int64_t observed_ns) TLY_CHECK;

/* The source no longer knows it. The row goes when no source is left. */
void tly_inventory_withdraw(struct tly_inventory *inventory, enum tly_source source,
                            struct tly_text id);

/* It is gone for certain (the engine destroyed it): the row goes whatever other sources last said.
 */
void tly_inventory_forget(struct tly_inventory *inventory, struct tly_text id, int64_t observed_ns);

/* Everything that a source said becomes void, as when the engine restarted or is another one;
 * ids that the caller puts again before `end` stay without a change being seen. */
void tly_inventory_relist_begin(struct tly_inventory *inventory, enum tly_source source);
void tly_inventory_relist_end(struct tly_inventory *inventory, enum tly_source source);

/* Merged view, borrowed until the next change; NULL if unknown. */
const struct tly_container *tly_inventory_find(const struct tly_inventory *inventory,
                                               struct tly_text id);
/* What one source alone said; NULL if nothing. */
const struct tly_container *tly_inventory_find_from(const struct tly_inventory *inventory,
                                                    enum tly_source source, struct tly_text id);
size_t tly_inventory_count(const struct tly_inventory *inventory);
/* Calls for each merged row; the inventory must not be changed meanwhile. */
void tly_inventory_each(const struct tly_inventory *inventory,
                        void (*fn)(void *arg, const struct tly_container *container), void *arg);

/* ---- those who want to know ---- */

enum tly_change { TLY_CHANGE_ADDED, TLY_CHANGE_UPDATED, TLY_CHANGE_REMOVED };
/* `container` is the merged view after the change (before it, for REMOVED). Called at once, from
 * inside put, withdraw and forget; a listener must not change the inventory. */
typedef void (*tly_change_fn)(void *arg, enum tly_change change,
                              const struct tly_container *container);
int tly_inventory_listen(struct tly_inventory *inventory, tly_change_fn changed,
                         void *arg) TLY_CHECK;
void tly_inventory_unlisten(struct tly_inventory *inventory, tly_change_fn changed, void *arg);

/* What the engine told that changes no container of the inventory: of networks, execs, images, the
 * engine itself. Borrowed during the call. */
struct tly_engine_news {
    struct tly_text type, action; /* Docker's words: "network", "connect" */
    struct tly_text id;           /* of what it is about */
    struct tly_text container;    /* for a network: who joined or left; else empty */
};
typedef void (*tly_news_fn)(void *arg, const struct tly_engine_news *news);
int tly_inventory_news(struct tly_inventory *inventory, tly_news_fn told, void *arg) TLY_CHECK;
void tly_inventory_unnews(struct tly_inventory *inventory, tly_news_fn told, void *arg);
/* By the source that hears of it; also of what does change a container. */
void tly_inventory_tell(struct tly_inventory *inventory, const struct tly_engine_news *news);

/* Where the engine says that its data is, as it sees it; copied. By the source that asks it. */
int tly_inventory_put_data_root(struct tly_inventory *inventory, const char *path) TLY_CHECK;
/* NULL: not told yet. Borrowed until the next put. */
const char *tly_inventory_data_root(const struct tly_inventory *inventory);

/* ---- scans of images ---- */

/* What a scanner reported of an image, as far as judging it goes. */
struct tly_image_scan {
    bool scanned;       /* false: no report is about it, and nothing below holds */
    int64_t scanned_ns; /* realtime */
    int64_t critical_fixable, high_fixable;
    int end_of_life; /* of the distribution in it: 1, 0, -1 not told */
};

/* By the collector of reports: forgets of which images there are any, and says that there is such a
 * collector. */
void tly_inventory_scans_begin(struct tly_inventory *inventory);
int tly_inventory_put_scan(struct tly_inventory *inventory, struct tly_text image_id,
                           const struct tly_image_scan *scan) TLY_CHECK; /* -ENOMEM */
/* Whether reports are collected at all. */
bool tly_inventory_scans_known(const struct tly_inventory *inventory);
/* NULL: nobody looked for its reports yet. Borrowed until the next begin. */
const struct tly_image_scan *tly_inventory_scan(const struct tly_inventory *inventory,
                                                struct tly_text image_id);

/* ---- samples ---- */

/* A place for one collector's sets: at most TLY_SLOTS_MAX are given out, at start (TLY_E_LIMIT);
 * the first is the inventory's own. `collector` is a constant; the same name gets the same slot
 * again. */
int tly_inventory_slot(struct tly_inventory *inventory, const char *collector,
                       unsigned *ret_slot) TLY_CHECK;

/* Everything that the collector published vanishes, of containers and of the host, as where it was
 * switched off; carried totals are kept. Nothing, if it has no slot. */
void tly_inventory_slot_clear(struct tly_inventory *inventory, const char *collector);

/*
 * Replaces the collector's set for a container; takes the reference over. NULL: there is no longer
 * a source (the container stopped), its samples vanish but for the TLY_FAMILY_KEPT ones, and its
 * carried totals are kept for the next run. `instance` tells one run of the container from the next
 * (the cgroup's inode): when it changes, or a carried counter is reset, the last raw value is added
 * to the total. An unknown id is ignored. Where a source says that a run ended for lack of memory,
 * counters of such kills are at least 1 for that run, whether or not anybody could still read them.
 */
void tly_inventory_publish(struct tly_inventory *inventory, unsigned slot, struct tly_text id,
                           uint64_t instance, struct tly_sample_set *set);
/* The same for what belongs to the host; nothing is carried there. Samples of the root cgroup have
 * the dimension `id="/"`. */
void tly_inventory_publish_host(struct tly_inventory *inventory, unsigned slot,
                                struct tly_sample_set *set);

/* Called when a snapshot is taken, to add samples of scope TLY_PER_AGENT. */
typedef void (*tly_meter_fn)(void *arg, struct tly_samples *samples);
int tly_inventory_meter(struct tly_inventory *inventory, tly_meter_fn read, void *arg) TLY_CHECK;
void tly_inventory_unmeter(struct tly_inventory *inventory, tly_meter_fn read, void *arg);

/* One reference on the present state; NULL when memory is out. */
struct tly_snapshot *tly_inventory_snapshot(struct tly_inventory *inventory);

/* ---- freshness ---- */

/* A collector's offer to read anew: starts a run that ends in `done(token)`, at the latest when its
 * own time limit has passed; also when one was under way already. */
typedef void (*tly_refresh_fn)(void *arg, void (*done)(void *token), void *token);
int tly_inventory_refresher(struct tly_inventory *inventory, tly_refresh_fn refresh,
                            void *arg) TLY_CHECK;
void tly_inventory_unrefresher(struct tly_inventory *inventory, tly_refresh_fn refresh, void *arg);

/* Says into which slot a refresher's readings go, so that a scrape can leave out what is not
 * there in time. */
void tly_inventory_feeds(struct tly_inventory *inventory, tly_refresh_fn refresh, const void *arg,
                         unsigned slot);
/* The slots, as bits, whose refreshers were asked and are not done. */
uint32_t tly_inventory_late(const struct tly_inventory *inventory);
/* The collector's name, as given to tly_inventory_slot. */
const char *tly_inventory_slot_name(const struct tly_inventory *inventory, unsigned slot);

/* Lets all refreshers run unless that was done within `max_age_ms`, then calls `done`, maybe from
 * inside this call. For a scrape, so that a rate over scrapes is not blurred by our own interval.
 */
int tly_inventory_refresh(struct tly_inventory *inventory, int64_t max_age_ms,
                          void (*done)(void *arg), void *arg) TLY_CHECK;

#endif
