/*
 * The disk collector: what containers, their log files and local volumes take on disk, by rounds of
 * walks in the background, a slice of entries at each tick; and how full the host's file systems
 * are. It knows of containers by the inventory alone. With its group off it starts nothing. The
 * runner starts and stops it.
 */
#include "collectors/disk/collector.h"

#include "agent/base/clock.h"
#include "agent/base/map.h"
#include "agent/loop/log.h"
#include "agent/loop/rounds.h"
#include "collectors/disk/filesystems.h"
#include "collectors/disk/round.h"
#include "collectors/disk/samples.h"
#include "collectors/disk/settings.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WHO "disk"

/* Where every distribution's package keeps it. */
#define DATA_ROOT_DEFAULT "/var/lib/docker"

/* Between two slices of a round. */
#define TICK_MS  100
#define MS_PER_S 1000
/* Until the containers of a host are known, as a rule; more come with the next round. */
#define FIRST_ROUND_MS 5000
/* How full file systems are changes slowly, and each must be asked. */
#define FILESYSTEMS_MS_MIN 10000

struct volume {
    struct tly_disk_result result;
    uint64_t round; /* the last that found it */
};

struct collector {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    const struct tly_disk_settings *settings;
    const char *data_root; /* as configured, or NULL */
    unsigned slot;
    bool on;

    struct tly_timer *due;        /* at each interval */
    struct tly_timer *tick;       /* during a round */
    struct tly_disk_round *round; /* NULL: none under way */
    bool slicing;                 /* the round is the worker's */
    bool more;                    /* ... and what it says of the round */
    bool wanted;                  /* a round fell due while one was under way */
    uint64_t rounds_begun;
    int64_t began_ns, round_ns; /* of the present one; how long the last one took */

    struct tly_rounds *asking;           /* of file systems */
    struct tly_buf mountinfo;            /* the worker's during such a round, as are */
    struct tly_disk_filesystems answers; /* what it was told */
    int answers_rc;
    struct tly_disk_filesystems found; /* the last that was told */

    struct tly_map *volumes; /* by name, struct volume */
    struct tly_samples samples;
    struct tly_disk_counts counts;
    uint64_t volumes_skipped; /* in the last round */
    struct tly_run_stats stats;
    struct tly_log_limit limit;
    bool ready;
    unsigned parts; /* that have to end before it is stopped */
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- what is published ---- */

static void host_publish(struct collector *self)
{
    struct tly_map_entry entry;
    tly_disk_filesystems_write(&self->found, &self->samples);
    for (void *at = NULL; tly_map_next(self->volumes, &at, &entry);) {
        const struct volume *volume = entry.value;
        tly_disk_volume_write(entry.key, &volume->result, &self->samples);
    }
    bool any = self->samples.count > 0;
    struct tly_sample_set *set = tly_samples_take(&self->samples);
    if (!any) {
        tly_sample_set_unref(set);
        set = NULL;
    }
    tly_inventory_publish_host(self->inventory, self->slot, set);
}

static void container_publish(struct collector *self, const struct tly_disk_job *job)
{
    tly_disk_container_write(job, &self->samples);
    bool any = self->samples.count > 0;
    struct tly_sample_set *set = tly_samples_take(&self->samples);
    if (!any) {
        tly_sample_set_unref(set);
        set = NULL;
    }
    tly_inventory_publish(self->inventory, self->slot, tly_text_of(job->name), 0, set);
}

static void volume_keep(struct collector *self, const struct tly_disk_job *job)
{
    struct tly_text name = tly_text_of(job->name);
    struct volume *volume = tly_map_get(self->volumes, name);
    if (job->layer.rc < 0) {
        free(tly_map_remove(self->volumes, name));
        return;
    }
    if (!volume) {
        volume = calloc(1, sizeof(*volume));
        if (!volume || tly_map_put(self->volumes, name, volume, NULL) < 0) {
            free(volume);
            self->stats.errors++;
            return;
        }
    }
    volume->result = job->layer;
    volume->round = self->rounds_begun;
}

/* What is not there has no size; all else is worth a word. */
static void complain(struct collector *self, const char *what, const char *name, int rc)
{
    uint64_t held = 0;
    if (rc == 0 || rc == -ENOENT || rc == -ENOTDIR || rc == -EXDEV) {
        return;
    }
    self->stats.errors++;
    if (tly_log_limit_pass(&self->limit, tly_loop_now_ms(self->loop), &held)) {
        tly_log_warn(WHO, "%s %.64s can't be measured: %s; its size is left out%s", what, name,
                     tly_error_name(rc), tly_log_held(held).text);
    }
}

static void job_publish(struct collector *self, const struct tly_disk_job *job)
{
    if (job->is_volume) {
        volume_keep(self, job);
        complain(self, "volume", job->name, job->layer.rc);
        return;
    }
    container_publish(self, job);
    complain(self, "the writable layer of container", job->name, job->layer.rc);
    complain(self, "the log files of container", job->name, job->logs.rc);
}

/* ---- rounds of walks ---- */

static void round_begin(struct collector *self);

static void counts_take(struct collector *self)
{
    struct tly_disk_counts *from = &self->round->counts;
    self->counts.walks += from->walks;
    self->counts.entries += from->entries;
    self->counts.unreadable += from->unreadable;
    self->counts.volumes_skipped += from->volumes_skipped;
    for (size_t i = 0; i < TLY_DISK_CUTS; i++) {
        self->counts.cuts[i] += from->cuts[i];
    }
    *from = (struct tly_disk_counts){0};
}

static void round_end(struct collector *self)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(self->volumes, &at, &entry);) {
        const struct volume *volume = entry.value;
        if (volume->round != self->rounds_begun) {
            free(tly_map_remove(self->volumes, entry.key));
        }
    }
    host_publish(self);
    self->volumes_skipped = self->counts.volumes_skipped;
    self->round_ns = tly_clock_monotonic_ns() - self->began_ns;
    self->stats.duration_ns = self->round_ns;
    self->stats.success = true;
    tly_timer_stop(self->tick);
    tly_disk_round_free(self->round);
    self->round = NULL;
    if (self->wanted) {
        round_begin(self);
    }
}

/* On the worker. Reading ahead of nobody else's: the idle class of ioprio_set(2), of this thread
 * alone, which goes back to the pool as it was. */
static void slice_work(void *arg)
{
    struct collector *self = arg;
    size_t entries = (size_t)(self->settings->entries_per_second * TICK_MS / MS_PER_S);
    long before = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
                  IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)); /* without it only less polite */
    self->more = tly_disk_round_work(self->round, entries > 0 ? entries : 1);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, before >= 0 ? before : 0);
}

static void part_ended(struct collector *self);

static void slice_done(void *arg)
{
    struct collector *self = arg;
    self->slicing = false;
    if (self->stopped) {
        part_ended(self);
        return;
    }
    counts_take(self);
    bool volumes = false;
    for (; self->round->published < self->round->next; self->round->published++) {
        const struct tly_disk_job *job = &self->round->jobs[self->round->published];
        job_publish(self, job);
        volumes = volumes || job->is_volume;
    }
    if (!self->more) {
        round_end(self);
    } else if (volumes) {
        host_publish(self);
    }
}

static void ticked(void *arg)
{
    struct collector *self = arg;
    if (self->slicing || !self->round) {
        return; /* the disk is slower than the budget */
    }
    self->slicing = tly_worker_submit(self->loop, slice_work, slice_done, self) == 0;
    self->stats.errors += self->slicing ? 0 : 1; /* the next tick tries again */
}

struct gathering {
    struct collector *self;
    const char *data_root; /* found in what is known of a container; points into it */
    size_t data_root_len;
    int rc;
};

/* Docker's own folder, by the path of a log file in it: DATA_ROOT/containers/ID/... */
static void data_root_seek(void *arg, const struct tly_container *container)
{
    struct gathering *gathering = arg;
    char part[sizeof("/containers//") + TLY_CONTAINER_ID_MAX];
    if (gathering->data_root || !container->log_path) {
        return;
    }
    (void)snprintf(part, sizeof(part), "/containers/%s/", container->id); /* fits */
    const char *at = strstr(container->log_path, part);
    if (at && at > container->log_path) {
        gathering->data_root = container->log_path;
        gathering->data_root_len = (size_t)(at - container->log_path);
    }
}

static void container_add(void *arg, const struct tly_container *container)
{
    struct gathering *gathering = arg;
    if (gathering->rc == 0) {
        gathering->rc = tly_disk_round_add(gathering->self->round, container);
    }
}

static int round_make(struct collector *self)
{
    struct gathering gathering = {.self = self};
    struct tly_disk_round_config config = {
        .proc = "/proc",
        .limits = {.entries_max = (uint64_t)self->settings->entries_max,
                   .memory_bytes_max = (size_t)self->settings->memory_bytes_max},
        .volumes_max = (size_t)self->settings->volumes_max,
    };
    char *found = NULL;
    if (!self->data_root) {
        tly_inventory_each(self->inventory, data_root_seek, &gathering);
        found = gathering.data_root
                    ? tly_text_dup((struct tly_text){gathering.data_root, gathering.data_root_len})
                    : NULL;
    }
    config.data_root = self->data_root ? self->data_root : found ? found : DATA_ROOT_DEFAULT;
    int rc = tly_disk_round_new(&config, &self->round);
    free(found);
    if (rc == 0) {
        tly_inventory_each(self->inventory, container_add, &gathering);
        rc = gathering.rc;
    }
    return rc;
}

static void round_begin(struct collector *self)
{
    if (self->round) {
        self->wanted = true;
        return;
    }
    self->wanted = false;
    self->rounds_begun++;
    self->began_ns = tly_clock_monotonic_ns();
    self->counts.volumes_skipped = 0;
    int rc = round_make(self);
    if (rc < 0) {
        self->stats.errors++;
        self->stats.success = false;
        tly_disk_round_free(self->round);
        self->round = NULL; /* at the next interval again */
        return;
    }
    tly_timer_start(self->tick, 0, TICK_MS);
}

static void round_due(void *arg)
{
    round_begin(arg);
}

/* ---- file systems ---- */

static void asking_begin(void *arg)
{
    (void)arg;
}

static void asking_work(void *arg)
{
    struct collector *self = arg;
    self->answers_rc = tly_disk_mountinfo_read("/proc", &self->mountinfo);
    if (self->answers_rc == 0) {
        self->answers_rc = tly_disk_filesystems_ask(tly_buf_text(&self->mountinfo), &self->answers);
    }
}

static void asking_end(void *arg, bool worked)
{
    struct collector *self = arg;
    self->ready = true;
    complain(self, "the list of", "mounts", worked ? self->answers_rc : -EAGAIN);
    tly_disk_filesystems_done(&self->found);
    self->found = self->answers;
    self->answers = (struct tly_disk_filesystems){0};
    host_publish(self);
}

static const struct tly_rounds_ops asking_ops = {
    .begin = asking_begin, .work = asking_work, .end = asking_end};

/* ---- figures ---- */

static void measure(void *arg, struct tly_samples *samples)
{
    static const char *const reasons[TLY_DISK_CUTS] = {"entries", "memory", "depth", "links"};
    const struct collector *self = arg;
    tly_samples_add(samples, TLY_F_tallyman_disk_walks_total, TLY_DIM_NONE,
                    (int64_t)self->counts.walks);
    tly_samples_add(samples, TLY_F_tallyman_disk_entries_total, TLY_DIM_NONE,
                    (int64_t)self->counts.entries);
    for (size_t i = 0; i < TLY_DISK_CUTS; i++) {
        uint16_t dim = tly_samples_dim1(samples, "reason", tly_text_of(reasons[i]));
        tly_samples_add(samples, TLY_F_tallyman_disk_walks_cut_total, dim,
                        (int64_t)self->counts.cuts[i]);
    }
    tly_samples_add(samples, TLY_F_tallyman_disk_unreadable_entries_total, TLY_DIM_NONE,
                    (int64_t)self->counts.unreadable);
    tly_samples_add(samples, TLY_F_tallyman_disk_volumes_skipped, TLY_DIM_NONE,
                    (int64_t)self->volumes_skipped);
    if (self->round_ns > 0) {
        tly_samples_add(samples, TLY_F_tallyman_disk_round_duration_seconds, TLY_DIM_NONE,
                        self->round_ns);
    }
}

/* ---- life ---- */

static void collector_free(struct collector *self)
{
    tly_timer_free(self->due);
    tly_timer_free(self->tick);
    tly_disk_round_free(self->round);
    tly_disk_filesystems_done(&self->found);
    tly_disk_filesystems_done(&self->answers);
    tly_buf_done(&self->mountinfo);
    if (self->volumes) {
        tly_map_free(self->volumes, free);
    }
    tly_samples_done(&self->samples);
    free(self);
}

static int parts_make(struct collector *self, const struct tly_context *context)
{
    int64_t interval_ms = context->collect->interval_ms;
    self->volumes = tly_map_new();
    int rc = self->volumes ? tly_timer_new(self->loop, round_due, self, &self->due) : -ENOMEM;
    rc = rc < 0 ? rc : tly_timer_new(self->loop, ticked, self, &self->tick);
    rc = rc < 0
             ? rc
             : tly_rounds_new(self->loop, &asking_ops, self,
                              interval_ms > FILESYSTEMS_MS_MIN ? interval_ms : FILESYSTEMS_MS_MIN,
                              &self->asking);
    rc = rc < 0 ? rc : tly_inventory_slot(self->inventory, WHO, &self->slot);
    return rc < 0 ? rc : tly_inventory_meter(self->inventory, measure, self);
}

static int collector_start(const struct tly_context *context, void **ret_self,
                           struct tly_error *err)
{
    struct collector *self = calloc(1, sizeof(*self));
    if (!self) {
        return tly_error_set(err, -ENOMEM, "out of memory for the disk collector");
    }
    self->loop = context->loop;
    self->inventory = context->inventory;
    self->settings = tly_config_section(context->config, &tly_disk_section);
    self->data_root = context->docker->data_root;
    self->on = context->groups->on[TLY_G_disk];
    tly_samples_init(&self->samples);
    tly_buf_init(&self->mountinfo, TLY_DISK_MOUNTINFO_MAX);
    self->stats.success = self->ready = !self->on;
    int rc = self->on ? parts_make(self, context) : 0;
    if (rc < 0) {
        tly_inventory_unmeter(self->inventory, measure, self);
        tly_rounds_free(self->asking);
        collector_free(self);
        return tly_error_set(err, rc, "cannot set up the disk collector: %s", tly_error_name(rc));
    }
    if (self->on) {
        int64_t interval_ms = self->settings->interval_ms;
        tly_timer_start(self->due, interval_ms < FIRST_ROUND_MS ? interval_ms : FIRST_ROUND_MS,
                        interval_ms);
        tly_rounds_start(self->asking);
    }
    *ret_self = self;
    return 0;
}

static void part_ended(struct collector *self)
{
    if (--self->parts > 0) {
        return;
    }
    void (*stopped)(void *arg) = self->stopped;
    void *stopped_arg = self->stopped_arg;
    collector_free(self);
    stopped(stopped_arg);
}

static void asking_stopped(void *arg)
{
    part_ended(arg);
}

static void collector_stop(void *arg, void (*stopped)(void *arg), void *stopped_arg)
{
    struct collector *self = arg;
    self->stopped = stopped;
    self->stopped_arg = stopped_arg;
    self->parts = 1U + (self->on ? 1U : 0U) + (self->slicing ? 1U : 0U);
    if (self->on) {
        tly_inventory_unmeter(self->inventory, measure, self);
        tly_timer_stop(self->due);
        tly_timer_stop(self->tick);
        tly_rounds_stop(self->asking, asking_stopped, self);
    }
    part_ended(self);
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

const struct tly_collector tly_collector_disk = {
    .name = WHO,
    .summary = "What containers, their log files and local volumes take on disk, and how full the "
               "host's file systems are",
    .section = &tly_disk_section,
    .follows = TLY_FOLLOWS_INTERVAL | TLY_FOLLOWS_GROUPS,
    .start = collector_start,
    .stop = collector_stop,
    .stats = collector_stats,
    .ready = collector_ready,
};
