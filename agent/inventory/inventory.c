/*
 * The table of containers: what each source said, merged by trust, and who is told of changes. The
 * runner owns the one inventory of the agent; everything here happens on the loop's thread.
 */
#include "agent/inventory/inventory.h"

#include "agent/base/file.h"
#include "agent/inventory/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Late word of a container that is gone comes within seconds (a list that was under way, a walk of
 * the cgroup tree); at 100 removals per second this remembers for 40 s. */
#define FORGOTTEN_MAX     4096
#define FORGOTTEN_KEEP_NS ((int64_t)300 * 1000 * 1000 * 1000)

static void row_free(void *value)
{
    struct tly_row *row = value;
    for (size_t source = 0; source < TLY_SOURCE_COUNT; source++) {
        tly_container_unref(row->said[source]);
    }
    for (size_t slot = 0; slot < TLY_SLOTS_MAX; slot++) {
        tly_sample_set_unref(row->sets[slot]);
        tly_carry_done(&row->carries[slot]);
    }
    tly_container_unref(row->merged);
    tly_base_labels_unref(row->labels);
    free(row->last_path);
    free(row);
}

static int globs_copy(struct tly_label_choice *choice, const char *const *globs, size_t count)
{
    choice->globs = calloc(count + 1, sizeof(*choice->globs));
    if (choice->globs == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        choice->globs[i] = tly_text_dup(tly_text_of(globs[i]));
        if (choice->globs[i] == NULL) {
            return -ENOMEM;
        }
        choice->glob_count++;
    }
    return 0;
}

static void globs_free(struct tly_label_choice *choice)
{
    for (size_t i = 0; i < choice->glob_count; i++) {
        free(choice->globs[i]);
    }
    free(choice->globs);
}

int tly_inventory_new(const struct tly_inventory_limits *limits, const char *const *label_globs,
                      size_t label_glob_count, struct tly_inventory **ret_inventory)
{
    struct tly_inventory *inventory = calloc(1, sizeof(*inventory));
    if (inventory == NULL) {
        return -ENOMEM;
    }
    inventory->limits = *limits;
    inventory->choice.value_bytes_max = limits->label_value_bytes_max;
    inventory->choice.labels_max = limits->labels_max;
    inventory->slots = TLY_SLOT_FACTS + 1;
    inventory->refreshed_ns = INT64_MIN;
    tly_samples_init(&inventory->scratch);
    inventory->rows = tly_map_new();
    inventory->forgotten = tly_map_new();
    if (inventory->rows == NULL || inventory->forgotten == NULL ||
        globs_copy(&inventory->choice, label_globs, label_glob_count) < 0) {
        tly_inventory_free(inventory);
        return -ENOMEM;
    }
    *ret_inventory = inventory;
    return 0;
}

void tly_inventory_free(struct tly_inventory *inventory)
{
    if (inventory == NULL) {
        return;
    }
    tly_refresh_done(inventory);
    if (inventory->rows != NULL) {
        tly_map_free(inventory->rows, row_free);
    }
    if (inventory->forgotten != NULL) {
        tly_map_free(inventory->forgotten, free);
    }
    for (size_t slot = 0; slot < TLY_SLOTS_MAX; slot++) {
        tly_sample_set_unref(inventory->host[slot]);
    }
    globs_free(&inventory->choice);
    tly_samples_done(&inventory->scratch);
    tly_inventory_scans_free(inventory);
    free(inventory->data_root);
    free(inventory);
}

static void tell(const struct tly_inventory *inventory, enum tly_change change,
                 const struct tly_container *container)
{
    for (size_t i = 0; i < TLY_LISTENERS_MAX; i++) {
        const struct tly_listener *listener = &inventory->listeners[i];
        if (listener->changed != NULL) {
            listener->changed(listener->arg, change, container);
        }
    }
}

static size_t rise(size_t before, size_t now)
{
    return now > before ? now - before : 0;
}

/* Counts what the bounds cost: labels that are made again with the same loss don't count again.
 * `before` may be NULL. */
static void labels_count(struct tly_inventory *inventory, const struct tly_base_labels *before,
                         const struct tly_base_labels *now)
{
    static const struct tly_base_labels none;
    before = before == NULL ? &none : before;
    inventory->cut += rise(before->cut, now->cut);
    inventory->dropped += rise(before->dropped, now->dropped);
    inventory->collisions += rise(before->collisions, now->collisions);
}

/* The value of the label `id`: the cgroup path, as cAdvisor has it; for a container that has none
 * at present the last one; for one that was never seen running the path that Docker would give it.
 */
static int labels_make(struct tly_inventory *inventory, struct tly_row *row,
                       const struct tly_container *merged, struct tly_base_labels **ret_labels)
{
    char fallback[sizeof("/docker/") + TLY_CONTAINER_ID_MAX];
    if (merged->cgroup_path != NULL) {
        int rc = tly_container_set(&row->last_path, tly_text_of(merged->cgroup_path));
        if (rc < 0) {
            return rc;
        }
    }
    struct tly_text path = tly_text_of(row->last_path);
    if (row->last_path == NULL) {
        memcpy(fallback, "/docker/", sizeof("/docker/"));
        strcat(fallback, merged->id);
        path = tly_text_of(fallback);
    }
    return tly_base_labels_new(merged, path, &inventory->choice, ret_labels);
}

/* Limits that the kernel enforces are the truth while there is a cgroup: the engine's word on them
 * may be older than an update. Its cpu.weight is the exception, a rounded form of the shares. */
static void limits_from_cgroup(struct tly_container *view, const struct tly_container *cgroup)
{
    const int64_t *from[] = {&cgroup->memory_limit_bytes,      &cgroup->memory_reservation_bytes,
                             &cgroup->memory_swap_limit_bytes, &cgroup->cpu_quota_us,
                             &cgroup->cpu_period_us,           &cgroup->pids_limit};
    int64_t *to[] = {&view->memory_limit_bytes,      &view->memory_reservation_bytes,
                     &view->memory_swap_limit_bytes, &view->cpu_quota_us,
                     &view->cpu_period_us,           &view->pids_limit};
    for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
        if (*from[i] != TLY_UNKNOWN) {
            *to[i] = *from[i];
        }
    }
}

/* The view that trusts the best source for each field; a reference, or NULL when memory is out. */
static struct tly_container *sources_merge(const struct tly_row *row)
{
    struct tly_container *view = NULL;
    for (int source = TLY_SOURCE_COUNT - 1; source >= 0; source--) {
        struct tly_container *said = row->said[source];
        if (said == NULL) {
            continue;
        }
        struct tly_container *next = view == NULL ? tly_container_ref(said)
                                                  : tly_container_merge(view, said);
        tly_container_unref(view);
        if (next == NULL) {
            return NULL;
        }
        view = next;
    }
    const struct tly_container *cgroup = row->said[TLY_SOURCE_CGROUP];
    if (cgroup != NULL && view != NULL && view != cgroup) {
        limits_from_cgroup(view, cgroup); /* `view` was made here and is nobody else's yet */
    }
    return view;
}

static int row_merge(struct tly_inventory *inventory, struct tly_row *row)
{
    struct tly_container *merged = sources_merge(row);
    if (merged == NULL) {
        return -ENOMEM;
    }
    if (row->merged != NULL && tly_container_equal(row->merged, merged)) {
        tly_container_unref(merged);
        return 0;
    }
    struct tly_base_labels *labels = NULL;
    int rc = labels_make(inventory, row, merged, &labels);
    if (rc < 0) {
        tly_container_unref(merged);
        return rc;
    }
    labels_count(inventory, row->labels, labels);
    tly_base_labels_unref(row->labels);
    row->labels = labels;
    enum tly_change change = row->merged == NULL ? TLY_CHANGE_ADDED : TLY_CHANGE_UPDATED;
    tly_container_unref(row->merged);
    row->merged = merged;
    tly_row_publish_facts(inventory, row);
    tell(inventory, change, merged);
    return 0;
}

/* Merges a row anew, and tells of it if the view changed. On failure the old view stays, until a
 * source speaks again. */
static int row_update(struct tly_inventory *inventory, struct tly_row *row)
{
    int rc = row_merge(inventory, row);
    row->unmerged = rc < 0;
    return rc;
}

int tly_inventory_relabel(struct tly_inventory *inventory, size_t labels_max,
                          size_t value_bytes_max, const char *const *label_globs,
                          size_t label_glob_count)
{
    struct tly_label_choice choice = {.value_bytes_max = value_bytes_max, .labels_max = labels_max};
    if (globs_copy(&choice, label_globs, label_glob_count) < 0) {
        globs_free(&choice);
        return -ENOMEM;
    }
    globs_free(&inventory->choice);
    inventory->choice = choice;
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(inventory->rows, &walk, &at);) {
        struct tly_row *row = at.value;
        struct tly_base_labels *labels = NULL;
        if (row->merged != NULL && labels_make(inventory, row, row->merged, &labels) == 0) {
            labels_count(inventory, row->labels, labels);
            tly_base_labels_unref(row->labels);
            row->labels = labels;
        }
    }
    return 0;
}

static void row_remove(struct tly_inventory *inventory, struct tly_text id)
{
    struct tly_row *row = tly_map_remove(inventory->rows, id);
    if (row->merged != NULL) {
        tell(inventory, TLY_CHANGE_REMOVED, row->merged);
    }
    row_free(row);
}

static bool row_known(const struct tly_row *row)
{
    for (size_t source = 0; source < TLY_SOURCE_COUNT; source++) {
        if (row->said[source] != NULL) {
            return true;
        }
    }
    return false;
}

/* After a source fell silent: removes the row that nobody vouches for, else merges it anew. */
static void row_settle(struct tly_inventory *inventory, struct tly_row *row, struct tly_text id)
{
    if (!row_known(row)) {
        row_remove(inventory, id);
        return;
    }
    (void)row_update(inventory, row); /* else at a source's next word */
}

/* Whether this word is older than the removal of its container. */
static bool word_is_late(const struct tly_inventory *inventory, struct tly_text id,
                         int64_t observed_ns)
{
    const int64_t *gone_ns = tly_map_get(inventory->forgotten, id);
    return gone_ns != NULL && observed_ns <= *gone_ns;
}

static int row_find_or_add(struct tly_inventory *inventory, struct tly_text id,
                           struct tly_row **ret_row)
{
    struct tly_row *row = tly_map_get(inventory->rows, id);
    if (row == NULL) {
        if (tly_map_count(inventory->rows) >= inventory->limits.containers_max) {
            inventory->refused++;
            return TLY_E_LIMIT;
        }
        row = calloc(1, sizeof(*row));
        if (row == NULL) {
            return -ENOMEM;
        }
        int rc = tly_map_put(inventory->rows, id, row, NULL);
        if (rc < 0) {
            free(row);
            return rc;
        }
    }
    *ret_row = row;
    return 0;
}

int tly_inventory_put(struct tly_inventory *inventory, enum tly_source source,
                      struct tly_container *container, int64_t observed_ns)
{
    struct tly_text id = tly_text_of(container->id);
    struct tly_row *row = NULL;
    if (word_is_late(inventory, id, observed_ns)) {
        tly_container_unref(container);
        return 0;
    }
    int rc = row_find_or_add(inventory, id, &row);
    if (rc < 0) {
        tly_container_unref(container);
        return rc;
    }
    row->stale[source] = false;
    bool same = row->said[source] == container; /* a source may repeat itself at no cost */
    tly_container_unref(row->said[source]);
    row->said[source] = container;
    rc = same && row->merged != NULL && !row->unmerged ? 0 : row_update(inventory, row);
    if (rc < 0 && row->merged == NULL) {
        row_remove(inventory, id);
    }
    return rc;
}

void tly_inventory_withdraw(struct tly_inventory *inventory, enum tly_source source,
                            struct tly_text id)
{
    struct tly_row *row = tly_map_get(inventory->rows, id);
    if (row == NULL || row->said[source] == NULL) {
        return;
    }
    struct tly_container *said = row->said[source];
    row->said[source] = NULL;
    row->stale[source] = false;
    row_settle(inventory, row, id);
    tly_container_unref(said); /* last: `id` may point into it */
}

static void forgotten_add(struct tly_inventory *inventory, struct tly_text id, int64_t observed_ns)
{
    TLY_AUTO_FREE int64_t *gone_ns = malloc(sizeof(*gone_ns));
    if (gone_ns == NULL) {
        return; /* late word may then revive the row until its source looks again */
    }
    *gone_ns = observed_ns;
    void *old = NULL;
    if (tly_map_put(inventory->forgotten, id, gone_ns, &old) < 0) {
        return;
    }
    gone_ns = NULL;
    free(old);
    struct tly_map_entry oldest;
    for (void *at = NULL; tly_map_next(inventory->forgotten, &at, &oldest);) {
        const int64_t *since_ns = oldest.value;
        if (tly_map_count(inventory->forgotten) <= FORGOTTEN_MAX &&
            observed_ns - *since_ns <= FORGOTTEN_KEEP_NS) {
            break; /* those behind it came later */
        }
        free(tly_map_remove(inventory->forgotten, oldest.key)); /* it is `oldest.value` */
    }
}

void tly_inventory_forget(struct tly_inventory *inventory, struct tly_text id, int64_t observed_ns)
{
    forgotten_add(inventory, id, observed_ns);
    if (tly_map_get(inventory->rows, id) != NULL) {
        row_remove(inventory, id);
    }
}

void tly_inventory_relist_begin(struct tly_inventory *inventory, enum tly_source source)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(inventory->rows, &at, &entry);) {
        struct tly_row *row = entry.value;
        row->stale[source] = row->said[source] != NULL;
    }
}

void tly_inventory_relist_end(struct tly_inventory *inventory, enum tly_source source)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(inventory->rows, &at, &entry);) {
        struct tly_row *row = entry.value;
        if (row->stale[source]) {
            row->stale[source] = false;
            tly_container_unref(row->said[source]);
            row->said[source] = NULL;
            row_settle(inventory, row, entry.key);
        }
    }
}

const struct tly_container *tly_inventory_find(const struct tly_inventory *inventory,
                                               struct tly_text id)
{
    const struct tly_row *row = tly_map_get(inventory->rows, id);
    return row == NULL ? NULL : row->merged;
}

const struct tly_container *tly_inventory_find_from(const struct tly_inventory *inventory,
                                                    enum tly_source source, struct tly_text id)
{
    const struct tly_row *row = tly_map_get(inventory->rows, id);
    return row == NULL ? NULL : row->said[source];
}

size_t tly_inventory_count(const struct tly_inventory *inventory)
{
    return tly_map_count(inventory->rows);
}

void tly_inventory_each(const struct tly_inventory *inventory,
                        void (*fn)(void *arg, const struct tly_container *container), void *arg)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(inventory->rows, &at, &entry);) {
        const struct tly_row *row = entry.value;
        fn(arg, row->merged);
    }
}

int tly_inventory_listen(struct tly_inventory *inventory, tly_change_fn changed, void *arg)
{
    for (size_t i = 0; i < TLY_LISTENERS_MAX; i++) {
        if (inventory->listeners[i].changed == NULL) {
            inventory->listeners[i] = (struct tly_listener){.changed = changed, .arg = arg};
            return 0;
        }
    }
    return TLY_E_LIMIT;
}

void tly_inventory_unlisten(struct tly_inventory *inventory, tly_change_fn changed, void *arg)
{
    for (size_t i = 0; i < TLY_LISTENERS_MAX; i++) {
        if (inventory->listeners[i].changed == changed && inventory->listeners[i].arg == arg) {
            inventory->listeners[i] = (struct tly_listener){0};
            return;
        }
    }
}
