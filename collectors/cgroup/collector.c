/*
 * The cgroup collector: which containers run by the kernel's word, and what they use. A run through
 * the tree takes place on a worker: all of it at each tick and before each scrape, a quick look at
 * what changed when inotify says so. The runner starts and stops it.
 */
#include "collectors/cgroup/collector.h"

#include "agent/base/clock.h"
#include "agent/loop/log.h"
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

/* Between two looks: a storm of containers that start and stop costs at most fifty a second. */
#define LOOK_GAP_MS 20

/* The collector's part of the descriptors that the process may have: sockets and logs need theirs.
 */
#define DESCRIPTORS_SHARE 2

struct waiter {
    void (*done)(void *token);
    void *token;
};

struct collector {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    unsigned slot;
    struct tly_cgroup_tree *tree;
    struct tly_cgroup_watching *watching;
    int64_t interval_ms;
    struct tly_timer *tick;
    struct tly_timer *look;
    int64_t looked_ms; /* end of the last run, loop time */

    bool running; /* the tree is the worker's */
    bool run_walks, run_reads_all;
    bool walk_wanted, all_wanted;

    struct waiter *waiters; /* for the end of the next run that reads all */
    size_t waiter_count, waiter_cap;

    struct tly_run_stats stats;
    uint64_t tree_errors; /* of the tree's, those counted in `stats` */
    bool ready;
    bool was_nested;
    struct tly_log_limit failure_limit;
    /* Copied from the tree after each run, for the meter. */
    size_t directories, descriptors, descriptors_max;
    uint64_t skipped;

    void (*stopped)(void *arg);
    void *stopped_arg;
};

static void wake(struct collector *self);

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

static void results_take(struct collector *self)
{
    struct tly_cgroup_tree *tree = self->tree;
    for (size_t i = 0; i < tree->gone_count; i++) {
        node_leave(self, tree->gone[i]);
    }
    tree->gone_count = 0;
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(tree->nodes, &at, &entry);) {
        struct tly_cgroup_node *node = entry.value;
        if (node->fresh) {
            node_take(self, node);
        }
    }
    if (self->run_reads_all) {
        tly_inventory_publish_host(self->inventory, self->slot, tree->host_set);
        tree->host_set = NULL;
    }
}

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
    if (self->run_reads_all) {
        self->stats.duration_ns = tree->duration_ns;
        self->stats.success = tree->failure == 0;
        self->ready = true;
    }
}

static void waiters_call(struct collector *self)
{
    /* Detached first: who is called may ask for the next run at once. */
    struct waiter *waiters = self->waiters;
    size_t count = self->waiter_count;
    self->waiters = NULL;
    self->waiter_count = 0;
    self->waiter_cap = 0;
    for (size_t i = 0; i < count; i++) {
        waiters[i].done(waiters[i].token);
    }
    free(waiters);
}

/* ---- runs ---- */

static void collector_free(struct collector *self)
{
    if (self == NULL) {
        return;
    }
    tly_timer_free(self->tick);
    tly_timer_free(self->look);
    tly_cgroup_watching_free(self->watching);
    tly_cgroup_tree_free(self->tree);
    free(self->waiters);
    free(self);
}

static void stop_finish(struct collector *self)
{
    void (*stopped)(void *arg) = self->stopped;
    void *arg = self->stopped_arg;
    collector_free(self);
    stopped(arg);
}

static void run_work(void *arg)
{
    struct collector *self = arg;
    tly_cgroup_tree_run(self->tree, self->run_walks, self->run_reads_all);
}

static void run_done(void *arg)
{
    struct collector *self = arg;
    self->running = false;
    if (self->stopped != NULL) {
        stop_finish(self);
        return;
    }
    self->looked_ms = tly_loop_now_ms(self->loop);
    results_take(self);
    outcome_say(self);
    stats_take(self);
    if (self->run_walks && tly_cgroup_watching_sync(self->watching, self->tree)) {
        self->walk_wanted = true; /* what came between the walk and the watch */
    }
    self->walk_wanted |= self->tree->lost;
    if (self->run_reads_all) {
        waiters_call(self);
    }
    wake(self);
}

static void run_start(struct collector *self)
{
    self->run_reads_all = self->all_wanted;
    self->run_walks = self->all_wanted || self->walk_wanted;
    self->all_wanted = false;
    self->walk_wanted = false;
    if (self->run_reads_all) {
        /* The next tick counts from here: a scrape a moment ago makes it needless. */
        tly_timer_start(self->tick, self->interval_ms, self->interval_ms);
    }
    tly_cgroup_watching_mark(self->watching);
    self->running = true;
    if (tly_worker_submit(self->loop, run_work, run_done, self) < 0) {
        self->running = false;
        self->stats.errors++;
        self->stats.success = false;
        waiters_call(self); /* with what there is; the next tick tries again */
    }
}

/* Starts what is wanted, now or a little later; nothing while a run is under way: its end comes
 * back here. */
static void wake(struct collector *self)
{
    if (self->running || self->stopped != NULL) {
        return;
    }
    if (self->all_wanted) {
        run_start(self);
        return;
    }
    if (self->walk_wanted || tly_cgroup_watching_touched(self->watching)) {
        int64_t wait_ms = self->looked_ms + LOOK_GAP_MS - tly_loop_now_ms(self->loop);
        if (!tly_timer_active(self->look)) {
            tly_timer_start(self->look, wait_ms > 0 ? wait_ms : 0, 0);
        }
    }
}

static void tick_fired(void *arg)
{
    struct collector *self = arg;
    self->all_wanted = true;
    wake(self);
}

static void look_fired(void *arg)
{
    struct collector *self = arg;
    if (!self->running) {
        run_start(self);
    }
}

static void tree_changed(void *arg, bool walk)
{
    struct collector *self = arg;
    self->walk_wanted |= walk;
    wake(self);
}

static void refresh(void *arg, void (*done)(void *token), void *token)
{
    struct collector *self = arg;
    if (self->waiter_count == self->waiter_cap) {
        size_t cap = self->waiter_cap == 0 ? 4 : self->waiter_cap * 2;
        struct waiter *grown = realloc(self->waiters, cap * sizeof(*grown));
        if (grown == NULL) {
            done(token);
            return;
        }
        self->waiters = grown;
        self->waiter_cap = cap;
    }
    self->waiters[self->waiter_count++] = (struct waiter){.done = done, .token = token};
    if (!self->running || !self->run_reads_all) {
        self->all_wanted = true;
        wake(self);
    }
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
        rc = tly_timer_new(self->loop, tick_fired, self, &self->tick);
    }
    if (rc == 0) {
        rc = tly_timer_new(self->loop, look_fired, self, &self->look);
    }
    if (rc == 0) {
        rc = tly_inventory_slot(self->inventory, WHO, &self->slot);
    }
    if (rc == 0) {
        rc = tly_inventory_refresher(self->inventory, refresh, self);
    }
    if (rc == 0) {
        tly_inventory_feeds(self->inventory, refresh, self, self->slot);
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
            tly_inventory_unrefresher(self->inventory, refresh, self);
        }
        collector_free(self);
        return tly_error_set(err, rc, "cannot set up the cgroup collector: %s", tly_error_name(rc));
    }
    *ret_self = self;
    tick_fired(self);
    return 0;
}

static void collector_stop(void *arg, void (*stopped)(void *arg), void *stopped_arg)
{
    struct collector *self = arg;
    tly_inventory_unrefresher(self->inventory, refresh, self);
    tly_inventory_unmeter(self->inventory, measure, self);
    tly_timer_stop(self->tick);
    tly_timer_stop(self->look);
    self->stopped = stopped;
    self->stopped_arg = stopped_arg;
    if (!self->running) {
        stop_finish(self);
    }
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
    .start = collector_start,
    .stop = collector_stop,
    .stats = collector_stats,
    .ready = collector_ready,
};
