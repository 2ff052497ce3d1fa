/*
 * The continuous audit. A container is judged again when the inventory or the engine's events tell
 * of a change, everything in a slow sweep; verdicts become samples, records and /api/v1/findings.
 * The runner starts and stops it.
 */
#include "collectors/posture/collector.h"

#include "agent/base/clock.h"
#include "agent/base/map.h"
#include "agent/loop/log.h"
#include "agent/registry.h"
#include "collectors/posture/audit.h"
#include "collectors/posture/report.h"
#include "collectors/posture/telling.h"
#include "collectors/posture/told.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHO "posture"

#define FIRST_SWEEP_MS    1000 /* the other collectors find containers meanwhile */
#define GATHER_MS         1000 /* changes of one container come in bursts */
#define RETRY_MS          30000
#define BATCH_MAX         64   /* containers that are judged together */
#define EARLY_SWEEP_MS    5000 /* after a pull, a tag, a reload */
#define REPORT_BYTES_MAX  ((size_t)512 << 20)
#define SOCKETS_BUDGET_NS (50 * TLY_NS_PER_MS)
#define INSTANCE          1 /* nothing of it is carried */

struct collector {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    struct tly_delivery *delivery;
    struct tly_posture_settings settings; /* with what this agent does itself */
    const struct tly_docker_settings *docker;
    size_t containers_max;
    struct tly_audit *audit; /* NULL: switched off, or no engine */
    struct tly_timer *timer;
    struct tly_telling *telling; /* NULL: changes are not told */
    unsigned slot;

    struct tly_map *subjects; /* tly_told_key() -> struct tly_subject */
    struct tly_map *changed;  /* id -> itself: containers to be judged again */
    char *batch[BATCH_MAX];   /* owned; those of the audit under way */
    size_t batch_count;
    bool sweeping;        /* the audit under way is a whole one */
    struct tly_map *seen; /* keys of the present sweep; values are not used */
    struct tly_map *gone; /* ids of containers that went during the audit; values are not used */
    int64_t next_sweep_ms;
    bool stale; /* the sums: a container went */

    struct tly_run_stats stats;
    struct tly_log_limit limit;
    uint64_t judged, incomplete, cpu_ns;
    int64_t sweep_ended_ns; /* realtime; 0: never */
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- subjects ---- */

static void subject_free(void *subject)
{
    tly_subject_free(subject);
}

static struct tly_sample_set *make_set(const struct tly_subject *subject)
{
    static const char *const names[] = {"check", "severity"};
    struct tly_samples samples;
    tly_samples_init(&samples);
    for (size_t k = 0; k < 2; k++) {
        enum tly_status status = k == 0 ? TLY_STATUS_FAIL : TLY_STATUS_WAIVED;
        for (size_t i = 0; i < subject->count; i++) {
            const struct tly_finding *finding = &subject->findings[i];
            const struct tly_text values[] = {
                tly_text_of(tly_posture_checks[finding->check].id),
                tly_text_of(tly_severity_names[finding->severity]),
            };
            if (finding->status == status) {
                tly_samples_add(&samples,
                                k == 0 ? TLY_F_posture_check_failed : TLY_F_posture_check_waived,
                                tly_samples_dim(&samples, names, values, 2), 1);
            }
        }
    }
    struct tly_sample_set *set = tly_samples_take(&samples);
    tly_samples_done(&samples);
    return set;
}

static void publish(struct collector *self, const struct tly_subject *subject)
{
    if (subject->target == TLY_TARGET_CONTAINER) {
        tly_inventory_publish(self->inventory, self->slot, tly_text_of(subject->id), INSTANCE,
                              make_set(subject));
    }
}

static void add_image(struct tly_samples *samples, const struct tly_subject *subject)
{
    static const char *const names[] = {"image", "image_id"};
    const struct tly_text values[] = {tly_text_of(subject->name), tly_text_of(subject->id)};
    if (subject->target == TLY_TARGET_IMAGE && subject->created_ns >= 0) {
        tly_samples_add(samples, TLY_F_image_created_timestamp_seconds,
                        tly_samples_dim(samples, names, values, 2),
                        subject->created_ns / TLY_NS_PER_MS);
    }
}

static void publish_host(struct collector *self)
{
    static const char *const names[] = {"target", "status", "severity"};
    struct tly_finding_counts counts[TLY_TARGET_COUNT] = {0};
    struct tly_finding_counts all = {0};
    struct tly_samples samples;
    struct tly_map_entry entry;
    tly_samples_init(&samples);
    for (void *at = NULL; tly_map_next(self->subjects, &at, &entry);) {
        const struct tly_subject *subject = entry.value;
        tly_subject_count(subject, &counts[subject->target]);
        tly_subject_count(subject, &all);
        add_image(&samples, subject);
    }
    for (size_t t = 0; t < TLY_TARGET_COUNT; t++) {
        for (size_t i = 0; i < TLY_STATUS_COUNT; i++) {
            for (size_t k = 0; k < TLY_SEVERITY_COUNT; k++) {
                const struct tly_text values[] = {tly_text_of(tly_target_names[t]),
                                                  tly_text_of(tly_status_names[i]),
                                                  tly_text_of(tly_severity_names[k])};
                tly_samples_add(&samples, TLY_F_posture_checks,
                                tly_samples_dim(&samples, names, values, 3),
                                (int64_t)counts[t].at[i][k]);
            }
        }
    }
    tly_samples_add(&samples, TLY_F_posture_score, TLY_DIM_NONE, tly_finding_score(&all));
    if (self->sweep_ended_ns > 0) {
        tly_samples_add(&samples, TLY_F_posture_last_sweep_timestamp_seconds, TLY_DIM_NONE,
                        self->sweep_ended_ns / TLY_NS_PER_MS);
    }
    tly_inventory_publish_host(self->inventory, self->slot, tly_samples_take(&samples));
    self->stale = false;
    tly_samples_done(&samples);
}

/* ---- what the audit says ---- */

static void audit_judged(void *arg, struct tly_subject *subject)
{
    struct collector *self = arg;
    char text[TLY_TOLD_KEY_MAX];
    void *before = NULL;
    struct tly_text key = tly_told_key(text, subject->target, tly_text_of(subject->id));
    if (subject->target == TLY_TARGET_CONTAINER &&
        tly_map_get(self->gone, tly_text_of(subject->id))) {
        tly_subject_free(subject); /* or it would stay */
        return;
    }
    self->judged++;
    if (tly_map_put(self->subjects, key, subject, &before) < 0) {
        self->stats.errors++;
        tly_subject_free(subject);
        return;
    }
    if (self->sweeping && tly_map_put(self->seen, key, self, NULL) < 0) {
        self->stats.errors++;
    }
    if (self->telling) {
        self->stats.errors += tly_telling_compare(self->telling, subject, before);
    }
    tly_subject_free(before);
    publish(self, subject);
}

static void forget(struct collector *self, struct tly_text id)
{
    char text[TLY_TOLD_KEY_MAX];
    struct tly_text key = tly_told_key(text, TLY_TARGET_CONTAINER, id);
    tly_subject_free(tly_map_remove(self->subjects, key));
    if (self->telling) {
        tly_telling_forget(self->telling, key);
    }
    free(tly_map_remove(self->changed, id));
    if (tly_audit_running(self->audit) && tly_map_put(self->gone, id, self, NULL) < 0) {
        self->stats.errors++;
    }
    self->stale = true;
}

static void audit_gone(void *arg, struct tly_text id)
{
    forget(arg, id);
}

/* What a whole sweep has not seen is no more. */
static void forget_unseen(struct collector *self)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(self->subjects, &at, &entry);) {
        if (!tly_map_get(self->seen, entry.key)) {
            struct tly_subject *subject = entry.value;
            (void)tly_map_remove(self->subjects, entry.key); /* it is `subject` */
            tly_subject_free(subject);
        }
    }
}

static void batch_clear(struct collector *self)
{
    for (size_t i = 0; i < self->batch_count; i++) {
        free(self->batch[i]);
    }
    self->batch_count = 0;
}

static void wait(struct collector *self)
{
    int64_t left_ms = self->next_sweep_ms - tly_loop_now_ms(self->loop);
    if ((tly_map_count(self->changed) > 0 || self->stale) && left_ms > GATHER_MS) {
        left_ms = GATHER_MS;
    }
    tly_timer_start(self->timer, left_ms > 0 ? left_ms : 0, 0);
}

static void say_failure(struct collector *self, const struct tly_audit_summary *summary)
{
    uint64_t held;
    if (tly_log_limit_pass(&self->limit, tly_loop_now_ms(self->loop), &held)) {
        tly_log_warn(WHO, "%s; what was last found stays, and it is tried again%s", summary->error,
                     tly_log_held(held).text);
    }
}

static void audit_done(void *arg, const struct tly_audit_summary *summary)
{
    struct collector *self = arg;
    self->cpu_ns += (uint64_t)summary->cpu_ns;
    self->incomplete += summary->failed;
    self->stats.errors += summary->failed;
    self->stats.success = summary->code == 0;
    self->stats.duration_ns = summary->duration_ns;
    if (summary->code < 0) {
        say_failure(self, summary);
        self->next_sweep_ms = tly_loop_now_ms(self->loop) + RETRY_MS;
    } else if (self->sweeping) {
        self->sweep_ended_ns = tly_clock_realtime_ns();
        if (summary->unseen == 0) {
            forget_unseen(self);
            if (self->telling) {
                tly_telling_settle(self->telling);
            }
        }
    }
    self->sweeping = false;
    batch_clear(self);
    publish_host(self);
    wait(self);
}

/* ---- beginning ---- */

/* Of a map whose values are not used. */
static void map_empty(struct tly_map *map)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(map, &at, &entry);) {
        (void)tly_map_remove(map, entry.key); /* nothing is owned */
    }
}

static int run(struct collector *self, const struct tly_audit_scope *scope)
{
    map_empty(self->gone);
    return tly_audit_run(self->audit, scope);
}

static int begin_sweep(struct collector *self)
{
    const struct tly_audit_scope everything = {.containers = NULL};
    map_empty(self->seen);
    self->next_sweep_ms = tly_loop_now_ms(self->loop) + self->settings.sweep_ms;
    self->sweeping = true;
    return run(self, &everything);
}

static int begin_batch(struct collector *self)
{
    struct tly_map_entry entry;
    for (void *at = NULL;
         self->batch_count < BATCH_MAX && tly_map_next(self->changed, &at, &entry);) {
        self->batch[self->batch_count++] = entry.value;
        (void)tly_map_remove(self->changed, entry.key); /* now the batch's */
    }
    const struct tly_audit_scope scope = {
        .containers = (const char *const *)self->batch,
        .container_count = self->batch_count,
        .containers_only = true,
    };
    return run(self, &scope);
}

static void due(void *arg)
{
    struct collector *self = arg;
    if (tly_audit_running(self->audit)) {
        return; /* its end begins the next */
    }
    int rc = 0;
    if (self->stale) {
        publish_host(self);
    }
    if (tly_loop_now_ms(self->loop) >= self->next_sweep_ms) {
        rc = begin_sweep(self);
    } else if (tly_map_count(self->changed) > 0) {
        rc = begin_batch(self);
    } else {
        wait(self);
        return;
    }
    if (rc < 0) {
        self->sweeping = false;
        self->stats.errors++;
        self->next_sweep_ms = tly_loop_now_ms(self->loop) + RETRY_MS;
        batch_clear(self);
        wait(self);
    }
}

/* ---- changes ---- */

static void mark(struct collector *self, struct tly_text id)
{
    if (tly_map_get(self->changed, id) || tly_map_count(self->changed) >= self->containers_max) {
        return;
    }
    char *copy = tly_text_dup(id);
    if (!copy || tly_map_put(self->changed, id, copy, NULL) < 0) {
        free(copy);
        self->stats.errors++;
        return;
    }
    if (!tly_audit_running(self->audit)) {
        wait(self);
    }
}

static void container_changed(void *arg, enum tly_change change,
                              const struct tly_container *container)
{
    struct collector *self = arg;
    if (change == TLY_CHANGE_REMOVED) {
        forget(self, tly_text_of(container->id));
        if (!tly_audit_running(self->audit)) {
            wait(self);
        }
    } else {
        mark(self, tly_text_of(container->id));
    }
}

static void sweep_early(struct collector *self)
{
    int64_t soon_ms = tly_loop_now_ms(self->loop) + EARLY_SWEEP_MS;
    if (soon_ms < self->next_sweep_ms) {
        self->next_sweep_ms = soon_ms;
        if (!tly_audit_running(self->audit)) {
            wait(self);
        }
    }
}

/* What the inventory does not show: networks, execs, images, the engine's own settings. */
static void engine_told(void *arg, const struct tly_engine_news *news)
{
    struct collector *self = arg;
    if (tly_text_equal(news->type, TLY_TEXT("network")) && news->container.len > 0) {
        mark(self, news->container);
    } else if (tly_text_equal(news->type, TLY_TEXT("container")) &&
               (tly_text_equal(news->action, TLY_TEXT("exec_start")) ||
                tly_text_equal(news->action, TLY_TEXT("update")))) {
        /* Health checks are execs, too, and come all the time. */
        const struct tly_container *container = tly_inventory_find(self->inventory, news->id);
        bool probed = container && container->health > TLY_HEALTH_NONE;
        if (!probed || tly_text_equal(news->action, TLY_TEXT("update"))) {
            mark(self, news->id);
        }
    } else if (tly_text_equal(news->type, TLY_TEXT("daemon")) ||
               (tly_text_equal(news->type, TLY_TEXT("image")) &&
                !tly_text_equal(news->action, TLY_TEXT("delete")))) {
        sweep_early(self);
    }
}

/* ---- /api/v1/findings ---- */

#define SCORE "\"score\":"

static void answer_findings(void *arg, struct tly_http_request *request)
{
    const struct collector *self = arg;
    struct tly_report report = {
        .time_ns = tly_clock_realtime_ns(),
        .status = tly_http_query(request, "status"),
        .id = tly_http_query(request, "id"),
    };
    uint64_t most = 0;
    if (tly_text_u64(tly_http_query(request, "limit"), &most) == 0) {
        report.findings_max = (size_t)most; /* anything else is no limit */
    }
    struct tly_map_entry entry;
    struct tly_buf body;
    tly_buf_init(&body, REPORT_BYTES_MAX);
    size_t count = self->subjects ? tly_map_count(self->subjects) : 0;
    report.subjects = calloc(count + 1, sizeof(struct tly_subject *));
    for (void *at = NULL;
         report.subjects && count > 0 && tly_map_next(self->subjects, &at, &entry);) {
        report.subjects[report.count++] = entry.value;
    }
    int rc = report.subjects ? 0 : -ENOMEM;
    if (rc == 0) {
        tly_report_sort(&report);
        rc = tly_report_json(&report, &body);
    }
    free(report.subjects);
    if (rc < 0) {
        tly_buf_clear(&body);
        tly_http_answer(request, 503, "text/plain", &body);
    } else {
        /* Behind the time, which is another one at each look. */
        const char *said = memmem(body.at, body.len, SCORE, strlen(SCORE));
        tly_http_answer_tagged(request, "application/json", &body,
                               said ? (size_t)(said - body.at) : 0);
    }
    tly_buf_done(&body);
}

static const struct tly_route routes[] = {
    {.path = "/api/v1/findings", .handle = answer_findings, .title = "Findings of the audit"},
    {.path = NULL},
};

/* ---- life ---- */

static void measure(void *arg, struct tly_samples *samples)
{
    const struct collector *self = arg;
    const struct {
        enum tly_family_id family;
        int64_t value;
    } rows[] = {
        {TLY_F_tallyman_posture_subjects, (int64_t)tly_map_count(self->subjects)},
        {TLY_F_tallyman_posture_pending, (int64_t)tly_map_count(self->changed)},
        {TLY_F_tallyman_posture_judged_total, (int64_t)self->judged},
        {TLY_F_tallyman_posture_incomplete_total, (int64_t)self->incomplete},
        {TLY_F_tallyman_posture_cpu_seconds_total, (int64_t)self->cpu_ns},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tly_samples_add(samples, rows[i].family, TLY_DIM_NONE, rows[i].value);
    }
}

static void withdraw(struct collector *self)
{
    tly_inventory_unlisten(self->inventory, container_changed, self);
    tly_inventory_unnews(self->inventory, engine_told, self);
    tly_inventory_unmeter(self->inventory, measure, self);
}

static void collector_free(void *arg)
{
    struct collector *self = arg;
    void (*stopped)(void *arg) = self->stopped;
    void *stopped_arg = self->stopped_arg;
    tly_timer_free(self->timer);
    batch_clear(self);
    if (self->subjects) {
        tly_map_free(self->subjects, subject_free);
    }
    if (self->changed) {
        tly_map_free(self->changed, free);
    }
    tly_map_free(self->seen, NULL);
    tly_map_free(self->gone, NULL);
    free(self);
    if (stopped) {
        stopped(stopped_arg);
    }
}

static void audit_freed(void *arg)
{
    struct collector *self = arg;
    tly_telling_free(self->telling, collector_free, self);
}

static void collector_stop(void *arg, void (*stopped)(void *arg), void *stopped_arg)
{
    struct collector *self = arg;
    withdraw(self);
    self->stopped = stopped;
    self->stopped_arg = stopped_arg;
    tly_audit_free(self->audit, audit_freed, self);
}

static void scan_of(void *arg, struct tly_text image_id, const json_t *image,
                    struct tly_scan_facts *ret_scan)
{
    const struct collector *self = arg;
    const struct tly_image_scan *scan = tly_inventory_scan(self->inventory, image_id);
    (void)image;
    ret_scan->enabled = tly_inventory_scans_known(self->inventory);
    ret_scan->awaited = ret_scan->enabled && !scan;
    if (scan && scan->scanned) {
        ret_scan->scanned = true;
        ret_scan->scanned_ns = scan->scanned_ns;
        ret_scan->critical_fixable = scan->critical_fixable;
        ret_scan->high_fixable = scan->high_fixable;
        ret_scan->end_of_life = (tly_tristate)scan->end_of_life;
    }
}

static int parts_make(struct collector *self, struct tly_error *err)
{
    static const struct tly_audit_events events = {
        .judged = audit_judged, .gone = audit_gone, .done = audit_done};
    const struct tly_audit_config config = {
        .loop = self->loop,
        .docker = self->docker,
        .settings = &self->settings,
        .containers_max = self->containers_max,
        .proc = "/proc",
        .sockets_budget_ns = SOCKETS_BUDGET_NS,
        .scan = scan_of,
        .scan_arg = self,
    };
    self->subjects = tly_map_new();
    self->changed = tly_map_new();
    self->seen = tly_map_new();
    self->gone = tly_map_new();
    if (!self->subjects || !self->changed || !self->seen || !self->gone) {
        return tly_error_set(err, -ENOMEM, "out of memory for the audit");
    }
    if (!self->settings.enabled || !self->docker->host || !*self->docker->host) {
        tly_inventory_slot_clear(self->inventory, WHO); /* it was on before a reload */
        return 0; /* without an engine there is nothing to ask */
    }
    int rc = tly_audit_new(&config, &events, self, &self->audit, err);
    if (rc < 0) {
        return rc;
    }
    rc = tly_timer_new(self->loop, due, self, &self->timer);
    rc = rc < 0 ? rc : tly_inventory_slot(self->inventory, WHO, &self->slot);
    rc = rc < 0 ? rc : tly_inventory_meter(self->inventory, measure, self);
    rc = rc < 0 ? rc : tly_inventory_listen(self->inventory, container_changed, self);
    rc = rc < 0 ? rc : tly_inventory_news(self->inventory, engine_told, self);
    return rc < 0 ? tly_error_set(err, rc, "cannot set up the audit: %s", tly_error_name(rc)) : 0;
}

static int telling_make(struct collector *self, int state_dir_fd, struct tly_error *err)
{
    const struct tly_telling_config config = {
        .loop = self->loop,
        .delivery = self->delivery,
        .state_dir_fd = state_dir_fd,
        .subjects = self->subjects,
        .subjects_max = 2 * self->containers_max, /* and their images */
    };
    return tly_telling_new(&config, &self->telling, err);
}

static int collector_start(const struct tly_context *context, void **ret_self,
                           struct tly_error *err)
{
    const struct tly_posture_settings *settings = tly_config_section(context->config,
                                                                     &tly_posture_section);
    struct collector *self = calloc(1, sizeof(*self));
    if (!self) {
        return tly_error_set(err, -ENOMEM, "out of memory for the audit");
    }
    self->loop = context->loop;
    self->inventory = context->inventory;
    self->delivery = context->delivery;
    self->settings = *settings;
    self->settings.forwards = tly_delivery_count(context->delivery) > 0;
    self->docker = context->docker;
    self->containers_max = (size_t)context->collect->containers_max;
    self->stats.success = true;
    int rc = parts_make(self, err);
    if (rc == 0 && self->audit && settings->records && self->settings.forwards) {
        rc = telling_make(self, context->state_dir_fd, err);
    }
    if (rc < 0) {
        withdraw(self);
        tly_audit_free(self->audit, audit_freed, self);
        return rc;
    }
    if (self->audit) {
        self->next_sweep_ms = tly_loop_now_ms(self->loop) + FIRST_SWEEP_MS;
        wait(self);
    }
    *ret_self = self;
    return 0;
}

static const struct tly_run_stats *collector_stats(const void *arg)
{
    const struct collector *self = arg;
    return &self->stats;
}

/* Nobody waits for an audit: numbers and lines are what readiness is about. */
static bool collector_ready(const void *arg)
{
    (void)arg;
    return true;
}

static void collector_needs(const struct tly_config *config, struct tly_needs *needs)
{
    const struct tly_posture_settings *settings = tly_config_section(config, &tly_posture_section);
    needs->looks_into_processes = needs->looks_into_processes || settings->enabled;
}

const struct tly_collector tly_collector_posture = {
    .name = WHO,
    .summary = "whether containers, images and the engine are set up safely",
    .section = &tly_posture_section,
    .follows = TLY_FOLLOWS_OUTPUTS,
    .start = collector_start,
    .stop = collector_stop,
    .stats = collector_stats,
    .ready = collector_ready,
    .routes = routes,
    .needs = collector_needs,
};
