/*
 * The machine collector: numbers of the host itself, read at the interval and before each scrape.
 * What hardly ever changes is read once a minute and published on its own. The runner starts and
 * stops it.
 */
#include "collectors/machine/collector.h"

#include "agent/base/clock.h"
#include "agent/loop/log.h"
#include "agent/loop/rounds.h"
#include "collectors/machine/machine.h"

#include <errno.h>
#include <stdlib.h>

#define WHO "machine"

/* CPUs and memory can be plugged in, and are not often. */
#define TOPOLOGY_AGE_NS (60 * TLY_NS_PER_S)

struct collector {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    unsigned use_slot, topology_slot;
    struct tly_group_choice groups;
    struct tly_rounds *rounds;
    struct tly_run_stats stats;
    struct tly_log_limit limit;
    bool ready;

    /* The worker's, during a round. */
    struct tly_machine machine;
    struct tly_samples samples;
    int64_t topology_ns;             /* when it was read, monotonic; INT64_MIN: never */
    struct tly_sample_set *use;      /* moved out by the loop */
    struct tly_sample_set *topology; /* NULL: not read in this round */
    int topology_rc, use_rc;         /* of the last reading */
    int64_t duration_ns;
    size_t refused; /* of the samples, those counted in the stats */

    void (*stopped)(void *arg);
    void *stopped_arg;
};

static void round_begin(void *arg)
{
    (void)arg; /* the worker needs nothing of the loop */
}

static void round_work(void *arg)
{
    struct collector *self = arg;
    int64_t start_ns = tly_clock_monotonic_ns();
    if (self->topology_ns == INT64_MIN || start_ns - self->topology_ns >= TOPOLOGY_AGE_NS) {
        self->topology_ns = start_ns;
        self->topology_rc = tly_machine_topology_write(&self->machine, &self->groups,
                                                       &self->samples);
        self->topology = tly_samples_take(&self->samples);
    }
    self->use_rc = tly_machine_use_write(&self->machine, &self->groups, &self->samples);
    bool failed = self->use_rc < 0 || self->topology_rc < 0;
    tly_samples_add(&self->samples, TLY_F_machine_scrape_error,
                    tly_machine_dim(&self->machine, &self->samples, NULL, 0), failed);
    self->use = tly_samples_take(&self->samples);
    self->duration_ns = tly_clock_monotonic_ns() - start_ns;
}

static void outcome_say(struct collector *self)
{
    uint64_t held = 0;
    int rc = self->use_rc < 0 ? self->use_rc : self->topology_rc;
    if (rc == 0) {
        self->limit = (struct tly_log_limit){0};
    } else if (tly_log_limit_pass(&self->limit, tly_loop_now_ms(self->loop), &held)) {
        tly_log_warn(WHO, "cannot read %s: %s; no metrics of that, all others go on%s",
                     self->use_rc < 0 ? "/proc/meminfo" : "/sys/devices/system/cpu",
                     tly_error_name(rc), tly_log_held(held).text);
    }
}

static void round_end(void *arg, bool worked)
{
    struct collector *self = arg;
    self->stats.success = worked && self->use_rc == 0 && self->topology_rc == 0;
    self->stats.errors += !self->stats.success;
    if (!worked) {
        return;
    }
    tly_inventory_publish_host(self->inventory, self->use_slot, self->use);
    self->use = NULL;
    if (self->topology != NULL) {
        tly_inventory_publish_host(self->inventory, self->topology_slot, self->topology);
        self->topology = NULL;
    }
    self->stats.errors += self->samples.refused - self->refused;
    self->refused = self->samples.refused;
    self->stats.duration_ns = self->duration_ns;
    self->ready = true;
    outcome_say(self);
}

static const struct tly_rounds_ops rounds_ops = {
    .begin = round_begin, .work = round_work, .end = round_end};

/* ---- life ---- */

static void collector_free(struct collector *self)
{
    tly_machine_done(&self->machine);
    tly_samples_done(&self->samples);
    tly_sample_set_unref(self->use);
    tly_sample_set_unref(self->topology);
    free(self);
}

static int parts_make(struct collector *self, const struct tly_context *context)
{
    int rc = tly_rounds_new(context->loop, &rounds_ops, self, context->collect->interval_ms,
                            &self->rounds);
    if (rc == 0) {
        rc = tly_inventory_slot(self->inventory, WHO, &self->use_slot);
    }
    if (rc == 0) {
        rc = tly_inventory_slot(self->inventory, "machine topology", &self->topology_slot);
    }
    if (rc == 0) {
        rc = tly_inventory_refresher(self->inventory, tly_rounds_ask, self->rounds);
    }
    return rc;
}

static int collector_start(const struct tly_context *context, void **ret_self,
                           struct tly_error *err)
{
    struct collector *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return tly_error_set(err, -ENOMEM, "cannot set up the machine collector: out of memory");
    }
    self->loop = context->loop;
    self->inventory = context->inventory;
    self->groups = *context->groups;
    self->topology_ns = INT64_MIN;
    tly_machine_init(&self->machine, "/proc", "/sys", "/etc");
    tly_samples_init(&self->samples);
    int rc = parts_make(self, context);
    if (rc < 0) {
        tly_rounds_free(self->rounds);
        collector_free(self);
        return tly_error_set(err, rc, "cannot set up the machine collector: %s",
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
    tly_inventory_unrefresher(self->inventory, tly_rounds_ask, self->rounds);
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

const struct tly_collector tly_collector_machine = {
    .name = WHO,
    .summary = "the host that the containers run on: CPU, memory, pressure, disks, topology",
    .follows = TLY_FOLLOWS_INTERVAL | TLY_FOLLOWS_GROUPS,
    .start = collector_start,
    .stop = collector_stop,
    .stats = collector_stats,
    .ready = collector_ready,
};
