/*
 * The cgroup collector: which containers run by the kernel's word, and what they use. A run through
 * the tree takes place on a worker: all of it at each tick and before each scrape, a quick look at
 * what changed when inotify says so. The runner starts and stops it.
 */
#include "collectors/cgroup/collector.h"

#include "agent/base/clock.h"
#include "agent/loop/log.h"
#include "agent/loop/rounds.h"
#include "collectors/cgroup/settings.h"
#include "collectors/cgroup/tree.h"
#include "collectors/cgroup/watching.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define WHO "cgroup"

#define MS_PER_S 1000

/* The collector's part of the descriptors that the process may have: sockets and logs need theirs.
 */
#define DESCRIPTORS_SHARE 2

struct collector {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    unsigned slot;
    struct tly_cgroup_tree *tree;
    struct tly_cgroup_watching *watching;
    struct tly_rounds *rounds;
    int64_t interval_ms;
    bool walk_wanted; /* directories came or went */
    bool walks;       /* the round or look under way does */
    void *take_at;    /* in the tree's nodes */

    struct tly_run_stats stats;
    uint64_t tree_errors; /* of the tree's, those counted in `stats` */
    bool ready;
    bool inherited; /* what a collector before this one said is held against the tree */
    bool was_nested, full_said;
    struct tly_log_limit failure_limit;
    /* Copied from the tree after each run, for the meter. */
    size_t directories, descriptors, descriptors_max;
    uint64_t skipped;

    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- results ---- */

/* Whether another directory speaks for this id already: two that took turns would look like a
 * container that restarts at each tick. */
static bool id_is_taken(const struct collector *self, const struct tly_cgroup_node *node)
{
    const struct tly_container *said = tly_inventory_find_from(self->inventory, TLY_SOURCE_CGROUP,
                                                               tly_text_of(node->id));
    return said != NULL && strcmp(said->cgroup_path, node->path) != 0 &&
           tly_map_get(self->tree->nodes, tly_text_of(said->cgroup_path)) != NULL;
}

static void node_take(struct collector *self, struct tly_cgroup_node *node)
{
    struct tly_text id = tly_text_of(node->id);
    struct tly_sample_set *set = node->set;
    node->set = NULL;
    node->fresh = false;
    if (node->facts == NULL || id_is_taken(self, node)) {
        tly_sample_set_unref(set);
        return;
    }
    if (set != NULL) {
        int rc = tly_inventory_put(self->inventory, TLY_SOURCE_CGROUP,
                                   tly_container_ref(node->facts), self->tree->run_ns);
        if (rc == -ENOMEM) {
            self->stats.errors++;
        }
    }
    tly_inventory_publish(self->inventory, self->slot, id, node->files.inode, set);
}

static void node_leave(struct collector *self, struct tly_cgroup_node *node)
{
    tly_cgroup_watching_drop(self->watching, node);
    if (node->facts != NULL && !id_is_taken(self, node)) {
        struct tly_text id = tly_text_of(node->id);
        tly_inventory_publish(self->inventory, self->slot, id, node->files.inode, NULL);
        tly_inventory_withdraw(self->inventory, TLY_SOURCE_CGROUP, id);
    }
    tly_cgroup_node_free(self->tree, node);
}

static void gone_take(struct collector *self)
{
    struct tly_cgroup_tree *tree = self->tree;
    for (size_t i = 0; i < tree->gone_count; i++) {
        node_leave(self, tree->gone[i]);
    }
    tree->gone_count = 0;
}

/* A part of the nodes at each call; what left the tree comes first, or an id that moved would be
 * withdrawn after it was put. */
static bool round_take(void *arg)
{
    struct collector *self = arg;
    if (self->take_at == NULL) {
        gone_take(self);
    }
    struct tly_map_entry entry;
    size_t taken = 0;
    while (taken < TLY_ROUNDS_PART && tly_map_next(self->tree->nodes, &self->take_at, &entry)) {
        struct tly_cgroup_node *node = entry.value;
        if (node->fresh) {
            node_take(self, node);
            taken++;
        }
    }
    return taken == TLY_ROUNDS_PART;
}

/* ---- what a collector before this one said ---- */

struct orphans {
    const struct collector *self;
    const struct tly_container **at; /* what was said of each; borrowed from the inventory */
    size_t count;
};

static void orphan_note(void *arg, const struct tly_container *container)
{
    struct orphans *orphans = arg;
    const struct collector *self = orphans->self;
    const struct tly_container *said = tly_inventory_find_from(self->inventory, TLY_SOURCE_CGROUP,
                                                               tly_text_of(container->id));
    if (said == NULL) {
        return;
    }
    const struct tly_cgroup_node *node = tly_map_get(self->tree->nodes,
                                                     tly_text_of(said->cgroup_path));
    if (node == NULL || node->facts == NULL) {
        orphans->at[orphans->count++] = said;
    }
}

/* The inventory outlives the collector, which a reload stops and starts again: a cgroup that went
 * meanwhile is in no tree that it could leave. */
static int inheritance_settle(struct collector *self)
{
    size_t rows = tly_inventory_count(self->inventory);
    struct orphans orphans = {.self = self};
    orphans.at = calloc(rows + 1, sizeof(struct tly_container *));
    if (orphans.at == NULL) {
        return -ENOMEM;
    }
    tly_inventory_each(self->inventory, orphan_note, &orphans);
    for (size_t i = 0; i < orphans.count; i++) {
        struct tly_text id = tly_text_of(orphans.at[i]->id);
        tly_inventory_publish(self->inventory, self->slot, id, 0, NULL);
        tly_inventory_withdraw(self->inventory, TLY_SOURCE_CGROUP, id);
    }
    free(orphans.at);
    return 0;
}

/* ---- rounds ---- */

static void outcome_say(struct collector *self)
{
    const struct tly_cgroup_tree *tree = self->tree;
    uint64_t held = 0;
    if (tree->failure < 0) {
        if (tly_log_limit_pass(&self->failure_limit, tly_loop_now_ms(self->loop), &held)) {
            tly_log_warn(WHO,
                         "cannot read the cgroup tree %s: %s; no resource metrics until it can, "
                         "looking again every %" PRId64 " s%s",
                         tree->config.root != NULL ? tree->config.root : "(cgroup2 mount)",
                         tly_error_name(tree->failure), self->interval_ms / MS_PER_S,
                         tly_log_held(held).text);
        }
        return;
    }
    self->failure_limit = (struct tly_log_limit){0};
    if (tree->nested && !self->was_nested) {
        tly_log_warn(WHO,
                     "%s is not the root of the host's cgroup tree: only containers below it are "
                     "seen; in a container, run the agent with --cgroupns=host",
                     tree->root);
    }
    self->was_nested = tree->nested;
    const struct tly_cgroup_budget *budget = &tree->reader.budget;
    if (budget->held >= budget->max && !self->full_said) {
        self->full_said = true;
        tly_log_info(WHO,
                     "%zu cgroup files are held open, as many as cgroup.descriptors_max and the "
                     "process's limit allow; the others are opened at each reading, which costs "
                     "some CPU time",
                     budget->held);
    }
}

static void stats_take(struct collector *self)
{
    const struct tly_cgroup_tree *tree = self->tree;
    self->stats.errors += tree->errors - self->tree_errors;
    self->tree_errors = tree->errors;
    self->directories = tly_map_count(tree->nodes);
    self->descriptors = tree->reader.budget.held;
    self->descriptors_max = tree->reader.budget.max;
    self->skipped = tree->skipped;
    if (!tly_rounds_is_look(self->rounds)) {
        self->stats.duration_ns = tree->duration_ns;
        self->stats.success = tree->failure == 0;
        self->ready = true;
    }
}

static void round_begin(void *arg)
{
    struct collector *self = arg;
    self->walks = self->walk_wanted || !tly_rounds_is_look(self->rounds);
    self->walk_wanted = false;
    self->take_at = NULL;
    tly_cgroup_watching_mark(self->watching);
}

static void round_work(void *arg)
{
    struct collector *self = arg;
    tly_cgroup_tree_run(self->tree, self->walks, !tly_rounds_is_look(self->rounds));
}

static void round_end(void *arg, bool worked)
{
    struct collector *self = arg;
    if (!worked) {
        self->stats.errors++;
        self->stats.success = false;
        self->walk_wanted |= self->walks;
        return; /* with what there is; the next tick tries again */
    }
    if (!tly_rounds_is_look(self->rounds)) {
        tly_inventory_publish_host(self->inventory, self->slot, self->tree->host_set);
        self->tree->host_set = NULL;
        if (!self->inherited && self->tree->failure == 0) {
            self->inherited = inheritance_settle(self) == 0; /* else after the next round */
        }
    }
    outcome_say(self);
    stats_take(self);
    if (self->walks && tly_cgroup_watching_sync(self->watching, self->tree)) {
        self->walk_wanted = true; /* what came between the walk and the watch */
    }
    self->walk_wanted |= self->tree->lost;
    if (self->walk_wanted || tly_cgroup_watching_touched(self->watching)) {
        tly_rounds_look(self->rounds);
    }
}

static const struct tly_rounds_ops rounds_ops = {
    .begin = round_begin, .work = round_work, .take = round_take, .end = round_end};

static void tree_changed(void *arg, bool walk)
{
    struct collector *self = arg;
    self->walk_wanted |= walk;
    tly_rounds_look(self->rounds);
}

static void measure(void *arg, struct tly_samples *samples)
{
    const struct collector *self = arg;
    tly_samples_add(samples, TLY_F_tallyman_cgroup_directories, TLY_DIM_NONE,
                    (int64_t)self->directories);
    tly_samples_add(samples, TLY_F_tallyman_cgroup_directories_skipped_total, TLY_DIM_NONE,
                    (int64_t)self->skipped);
    tly_samples_add(samples, TLY_F_tallyman_cgroup_descriptors, TLY_DIM_NONE,
                    (int64_t)self->descriptors);
    tly_samples_add(samples, TLY_F_tallyman_cgroup_descriptors_max, TLY_DIM_NONE,
                    (int64_t)self->descriptors_max);
}

/* ---- life ---- */

static void collector_free(struct collector *self)
{
    if (self == NULL) {
        return;
    }
    tly_cgroup_watching_free(self->watching);
    tly_cgroup_tree_free(self->tree);
    free(self);
}

static void withdraw(struct collector *self)
{
    tly_inventory_unrefresher(self->inventory, tly_rounds_ask, self->rounds);
    tly_inventory_unmeter(self->inventory, measure, self);
}

static size_t descriptors_allowed(const struct tly_cgroup_settings *settings)
{
    struct rlimit limit;
    size_t max = (size_t)settings->descriptors_max;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) {
        return max;
    }
    size_t share = limit.rlim_cur / DESCRIPTORS_SHARE;
    return max < share ? max : share;
}

static int parts_make(struct collector *self, const struct tly_context *context,
                      const struct tly_cgroup_settings *settings)
{
    const struct tly_cgroup_config config = {
        .root = settings->root,
        .proc = "/proc",
        .sys = "/sys",
        .all = settings->scope == TLY_CGROUP_SCOPE_ALL,
        .groups = *context->groups,
        .descriptors_max = descriptors_allowed(settings),
    };
    int rc = tly_cgroup_tree_new(&config, &self->tree);
    if (rc == 0) {
        rc = tly_cgroup_watching_new(context->watcher, tree_changed, self, &self->watching);
    }
    if (rc == 0) {
        rc = tly_rounds_new(self->loop, &rounds_ops, self, self->interval_ms, &self->rounds);
    }
    if (rc == 0) {
        rc = tly_inventory_slot(self->inventory, WHO, &self->slot);
    }
    if (rc == 0) {
        rc = tly_inventory_refresher(self->inventory, tly_rounds_ask, self->rounds);
    }
    if (rc == 0) {
        tly_inventory_feeds(self->inventory, tly_rounds_ask, self->rounds, self->slot);
        rc = tly_inventory_meter(self->inventory, measure, self);
    }
    return rc;
}

static int collector_start(const struct tly_context *context, void **ret_self,
                           struct tly_error *err)
{
    const struct tly_cgroup_settings *settings = tly_config_section(context->config,
                                                                    &tly_cgroup_section);
    struct collector *self = calloc(1, sizeof(*self));
    int rc = self == NULL ? -ENOMEM : 0;
    if (rc == 0) {
        self->loop = context->loop;
        self->inventory = context->inventory;
        self->interval_ms = context->collect->interval_ms;
        rc = parts_make(self, context, settings);
    }
    if (rc < 0) {
        if (self != NULL) {
            withdraw(self);
            tly_rounds_free(self->rounds);
        }
        collector_free(self);
        return tly_error_set(err, rc, "cannot set up the cgroup collector: %s", tly_error_name(rc));
    }
    *ret_self = self;
    tly_rounds_start(self->rounds);
    return 0;
}

static void rounds_stopped(void *arg)
{
    struct collector *self = arg;
    void (*stopped)(void *arg) = self->stopped;
    void *stopped_arg = self->stopped_arg;
    collector_free(self);
    stopped(stopped_arg);
}

static void collector_stop(void *arg, void (*stopped)(void *arg), void *stopped_arg)
{
    struct collector *self = arg;
    withdraw(self);
    self->stopped = stopped;
    self->stopped_arg = stopped_arg;
    tly_rounds_stop(self->rounds, rounds_stopped, self);
}

static const struct tly_run_stats *collector_stats(const void *arg)
{
    const struct collector *self = arg;
    return &self->stats;
}

static bool collector_ready(const void *arg)
{
    const struct collector *self = arg;
    return self->ready;
}

const struct tly_collector tly_collector_cgroup = {
    .name = WHO,
    .summary = "CPU, memory, I/O, pressure and tasks of containers, from cgroup v2",
    .section = &tly_cgroup_section,
    .follows = TLY_FOLLOWS_INTERVAL | TLY_FOLLOWS_GROUPS,
    .start = collector_start,
    .stop = collector_stop,
    .stats = collector_stats,
    .ready = collector_ready,
};
