/*
 * The network collector: which container lives in which network namespace, and what it sends and
 * receives. It knows of containers by the inventory alone. The runner starts and stops it.
 */
#include "collectors/network/collector.h"

#include "agent/loop/rounds.h"
#include "collectors/network/table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#define WHO "network"

/* The collector's part of the descriptors that the process may have. */
#define DESCRIPTORS_SHARE 8

struct collector {
    struct tly_inventory *inventory;
    unsigned slot;
    struct tly_network_table *table;
    struct tly_rounds *rounds;
    struct tly_defer *look; /* at what runs, after a change and between rounds */
    bool look_wanted;
    void *take_at; /* in the table's nodes */
    struct tly_run_stats stats;
    bool ready;
    size_t places[TLY_NETWORK_PLACES]; /* of the table's last round, for the meter */
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- what runs ---- */

static void container_seen(void *arg, const struct tly_container *container)
{
    struct collector *self = arg;
    self->stats.errors += tly_network_see(self->table, container) < 0;
}

static void node_gone(void *arg, struct tly_network_node *node)
{
    struct collector *self = arg;
    if (node->published) {
        tly_inventory_publish(self->inventory, self->slot, tly_text_of(node->id),
                              tly_network_instance(node), NULL);
    }
}

/* Lets go at once of what has stopped: an open descriptor would keep its namespace. */
static void look(void *arg)
{
    struct collector *self = arg;
    if (tly_rounds_running(self->rounds)) {
        self->look_wanted = true;
        return;
    }
    self->look_wanted = false;
    tly_network_look_begin(self->table);
    tly_inventory_each(self->inventory, container_seen, self);
    tly_network_look_end(self->table, node_gone, self);
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
    tly_network_table_run(self->table);
}

static bool round_take(void *arg)
{
    struct collector *self = arg;
    struct tly_map_entry entry;
    size_t taken = 0;
    for (; taken < TLY_ROUNDS_PART && tly_map_next(self->table->nodes, &self->take_at, &entry);
         taken++) {
        struct tly_network_node *node = entry.value;
        struct tly_sample_set *set = node->set;
        node->set = NULL;
        if (set != NULL || node->published) {
            node->published = set != NULL;
            tly_inventory_publish(self->inventory, self->slot, tly_text_of(node->id),
                                  tly_network_instance(node), set);
        }
    }
    return taken == TLY_ROUNDS_PART;
}

static void round_end(void *arg, bool worked)
{
    struct collector *self = arg;
    struct tly_network_table *table = self->table;
    self->stats.success = worked;
    if (!worked) {
        self->stats.errors++;
        return;
    }
    tly_inventory_publish_host(self->inventory, self->slot, table->host_set);
    table->host_set = NULL;
    for (size_t i = 0; i < TLY_NETWORK_PLACES; i++) {
        self->places[i] = table->places[i];
    }
    self->stats.errors += table->errors;
    table->errors = 0;
    self->stats.duration_ns = table->duration_ns;
    self->ready = true;
    if (self->look_wanted) {
        look(self);
    }
}

static const struct tly_rounds_ops rounds_ops = {
    .begin = round_begin, .work = round_work, .take = round_take, .end = round_end};

static void measure(void *arg, struct tly_samples *samples)
{
    static const struct {
        const char *reason;
        enum tly_network_place place;
    } rows[] = {
        {"host", TLY_NETWORK_HOST},
        {"shared", TLY_NETWORK_SHARED},
        {"unreadable", TLY_NETWORK_UNREADABLE},
    };
    const struct collector *self = arg;
    tly_samples_add(samples, TLY_F_tallyman_network_namespaces, TLY_DIM_NONE,
                    (int64_t)self->places[TLY_NETWORK_OWN]);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint16_t dim = tly_samples_dim1(samples, "reason", tly_text_of(rows[i].reason));
        tly_samples_add(samples, TLY_F_tallyman_network_containers_without, dim,
                        (int64_t)self->places[rows[i].place]);
    }
}

/* ---- life ---- */

static void collector_free(struct collector *self)
{
    if (self == NULL) {
        return;
    }
    tly_defer_free(self->look);
    tly_network_table_free(self->table);
    free(self);
}

static size_t descriptors_allowed(void)
{
    struct rlimit limit;
    const size_t fallback = 1024; /* what a process has at least */
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) {
        return fallback;
    }
    return limit.rlim_cur / DESCRIPTORS_SHARE;
}

static void withdraw(struct collector *self)
{
    tly_inventory_unrefresher(self->inventory, tly_rounds_ask, self->rounds);
    tly_inventory_unmeter(self->inventory, measure, self);
    tly_inventory_unlisten(self->inventory, container_changed, self);
}

static int parts_make(struct collector *self, const struct tly_context *context)
{
    int rc = tly_network_table_new("/proc", context->groups, descriptors_allowed(), &self->table);
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
        tly_inventory_feeds(self->inventory, tly_rounds_ask, self->rounds, self->slot);
        rc = tly_inventory_meter(self->inventory, measure, self);
    }
    if (rc == 0) {
        rc = tly_inventory_listen(self->inventory, container_changed, self);
    }
    return rc;
}

static int collector_start(const struct tly_context *context, void **ret_self,
                           struct tly_error *err)
{
    struct collector *self = calloc(1, sizeof(*self));
    int rc = self == NULL ? -ENOMEM : 0;
    if (rc == 0) {
        self->inventory = context->inventory;
        rc = parts_make(self, context);
    }
    if (rc < 0) {
        if (self != NULL) {
            withdraw(self);
            tly_rounds_free(self->rounds);
        }
        collector_free(self);
        return tly_error_set(err, rc, "cannot set up the network collector: %s",
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

const struct tly_collector tly_collector_network = {
    .name = WHO,
    .summary = "what containers send and receive, for each interface of their network namespace",
    .follows = TLY_FOLLOWS_INTERVAL | TLY_FOLLOWS_GROUPS,
    .start = collector_start,
    .stop = collector_stop,
    .stats = collector_stats,
    .ready = collector_ready,
};
