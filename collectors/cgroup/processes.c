/*
 * The processes collector: rounds of the census at the interval, where a group is on that needs it.
 * No scrape waits for it. It knows of containers by the inventory alone. The runner starts and
 * stops it.
 */
#include "collectors/cgroup/processes.h"

#include "agent/base/clock.h"
#include "agent/loop/log.h"
#include "agent/loop/rounds.h"
#include "collectors/cgroup/census.h"
#include "collectors/cgroup/settings.h"

#include <errno.h>
#include <stdlib.h>

#define WHO "processes"

struct settings {
    int64_t budget_ms;
};

static const struct tly_option rows[] = {
    {.key = "budget",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct settings, budget_ms),
     .fallback = "100ms",
     .min = 1,
     .max = 10000,
     .help =
         "How long one walk may take, at each collect.interval. Containers that it did not come "
         "to are looked at in the next one. The search for processes that entered a container from "
         "outside, through all those of the host, may take as long again."},
    {.key = NULL},
};

static const struct tly_section section = {
    .key = "processes",
    .type = TLY_OPTION_SECTION,
    .options = rows,
    .size = sizeof(struct settings),
    .help =
        "The walk through the containers' processes in procfs. It takes place only where one of "
        "the groups `process`, `sched`, `cpuLoad` and `suspects` is on.",
};

struct collector {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    unsigned slot;
    struct tly_census *census; /* NULL: no group needs it */
    struct tly_rounds *rounds;
    struct tly_defer *look; /* at what runs, after a change and between rounds */
    bool look_wanted;
    void *take_at; /* in the census's nodes */
    struct tly_run_stats stats;
    struct tly_log_limit limit;
    bool ready;
    /* Copied from the census after each round, for the meter. */
    int64_t oldest_ns, budget_ns;
    size_t over;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- what runs ---- */

static void container_seen(void *arg, const struct tly_container *container)
{
    struct collector *self = arg;
    self->stats.errors += tly_census_see(self->census, container) < 0;
}

static void node_gone(void *arg, const struct tly_census_node *node)
{
    struct collector *self = arg;
    tly_inventory_publish(self->inventory, self->slot, tly_text_of(node->id), node->inode, NULL);
}

/* What has stopped loses its numbers at once. */
static void look(void *arg)
{
    struct collector *self = arg;
    if (tly_rounds_running(self->rounds)) {
        self->look_wanted = true;
        return;
    }
    self->look_wanted = false;
    tly_census_look_begin(self->census);
    tly_inventory_each(self->inventory, container_seen, self);
    tly_census_look_end(self->census, node_gone, self);
}

static void container_changed(void *arg, enum tly_change change,
                              const struct tly_container *container)
{
    struct collector *self = arg;
    (void)change;
    (void)container;
    tly_defer_call(self->look);
}

/* ---- rounds ---- */

static void round_begin(void *arg)
{
    struct collector *self = arg;
    self->take_at = NULL;
    look(self);
}

static void round_work(void *arg)
{
    struct collector *self = arg;
    tly_census_run(self->census);
}

static bool round_take(void *arg)
{
    struct collector *self = arg;
    struct tly_map_entry entry;
    size_t taken = 0;
    for (; taken < TLY_ROUNDS_PART && tly_map_next(self->census->nodes, &self->take_at, &entry);
         taken++) {
        struct tly_census_node *node = entry.value;
        if (node->fresh) {
            node->fresh = false;
            tly_inventory_publish(self->inventory, self->slot, tly_text_of(node->id), node->inode,
                                  node->set);
            node->set = NULL;
        }
    }
    return taken == TLY_ROUNDS_PART;
}

static void outcome_say(struct collector *self)
{
    uint64_t held = 0;
    int rc = self->census->failure;
    if (rc == 0) {
        self->limit = (struct tly_log_limit){0};
    } else if (tly_log_limit_pass(&self->limit, tly_loop_now_ms(self->loop), &held)) {
        tly_log_warn(
            WHO,
            "cannot open the cgroup tree: %s; no metrics of processes until it can, trying "
            "again at each interval%s",
            tly_error_name(rc), tly_log_held(held).text);
    }
}

static void round_end(void *arg, bool worked)
{
    struct collector *self = arg;
    struct tly_census *census = self->census;
    self->stats.success = worked && census->failure == 0;
    if (!worked) {
        self->stats.errors++;
        return;
    }
    self->stats.errors += census->errors;
    census->errors = 0;
    self->stats.duration_ns = census->duration_ns;
    self->oldest_ns = census->oldest_ns;
    self->over = census->over;
    self->ready = true;
    outcome_say(self);
    if (self->look_wanted) {
        look(self);
    }
}

static const struct tly_rounds_ops rounds_ops = {
    .begin = round_begin, .work = round_work, .take = round_take, .end = round_end};

static void measure(void *arg, struct tly_samples *samples)
{
    const struct collector *self = arg;
    tly_samples_add(samples, TLY_F_tallyman_processes_oldest_reading_seconds, TLY_DIM_NONE,
                    self->oldest_ns);
    tly_samples_add(samples, TLY_F_tallyman_processes_containers_over_budget, TLY_DIM_NONE,
                    (int64_t)self->over);
    tly_samples_add(samples, TLY_F_tallyman_processes_budget_seconds, TLY_DIM_NONE,
                    self->budget_ns);
}

/* ---- life ---- */

static void collector_free(struct collector *self)
{
    tly_defer_free(self->look);
    tly_census_free(self->census);
    free(self);
}

static void withdraw(struct collector *self)
{
    tly_inventory_unrefresher(self->inventory, tly_rounds_ask, self->rounds);
    tly_inventory_unmeter(self->inventory, measure, self);
    tly_inventory_unlisten(self->inventory, container_changed, self);
}

static int parts_make(struct collector *self, const struct tly_context *context)
{
    const struct settings *settings = tly_config_section(context->config, &section);
    const struct tly_cgroup_settings *cgroup = tly_config_section(context->config,
                                                                  &tly_cgroup_section);
    const struct tly_census_config config = {
        .root = cgroup->root,
        .proc = "/proc",
        .groups = *context->groups,
        .budget_ns = settings->budget_ms * TLY_NS_PER_MS,
    };
    self->budget_ns = config.budget_ns;
    int rc = tly_census_new(&config, &self->census);
    if (rc == 0) {
        rc = tly_rounds_new(context->loop, &rounds_ops, self, context->collect->interval_ms,
                            &self->rounds);
    }
    if (rc == 0) {
        rc = tly_defer_new(context->loop, look, self, &self->look);
    }
    if (rc == 0) {
        rc = tly_inventory_slot(self->inventory, WHO, &self->slot);
    }
    if (rc == 0) {
        rc = tly_inventory_refresher(self->inventory, tly_rounds_ask, self->rounds);
    }
    if (rc == 0) {
        rc = tly_inventory_meter(self->inventory, measure, self);
    }
    if (rc == 0) {
        rc = tly_inventory_listen(self->inventory, container_changed, self);
    }
    return rc;
}

static bool needed(const struct tly_group_choice *groups)
{
    return groups->on[TLY_G_process] || groups->on[TLY_G_sched] || groups->on[TLY_G_cpuLoad] ||
           groups->on[TLY_G_suspects];
}

static int collector_start(const struct tly_context *context, void **ret_self,
                           struct tly_error *err)
{
    struct collector *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return tly_error_set(err, -ENOMEM, "cannot set up the processes collector: out of memory");
    }
    self->loop = context->loop;
    self->inventory = context->inventory;
    if (!needed(context->groups)) {
        self->stats.success = true;
        self->ready = true;
        *ret_self = self;
        return 0;
    }
    int rc = parts_make(self, context);
    if (rc < 0) {
        withdraw(self);
        tly_rounds_free(self->rounds);
        collector_free(self);
        return tly_error_set(err, rc, "cannot set up the processes collector: %s",
                             tly_error_name(rc));
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
    self->stopped = stopped;
    self->stopped_arg = stopped_arg;
    if (self->census == NULL) {
        rounds_stopped(self);
        return;
    }
    withdraw(self);
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

const struct tly_collector tly_collector_processes = {
    .name = WHO,
    .summary = "processes, descriptors, sockets, zombies and threads of containers, from procfs",
    .section = &section,
    .follows = TLY_FOLLOWS_INTERVAL | TLY_FOLLOWS_GROUPS,
    .start = collector_start,
    .stop = collector_stop,
    .stats = collector_stats,
    .ready = collector_ready,
};
