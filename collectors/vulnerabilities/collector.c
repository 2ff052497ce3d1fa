/*
 * The collector of vulnerability reports: looks at their folder on a worker, asks the engine which
 * digests its images have, and publishes what was found of the images that containers use. The
 * runner starts and stops it.
 */
#include "collectors/vulnerabilities/collector.h"

#include "agent/base/clock.h"
#include "agent/base/map.h"
#include "agent/engine/endpoint.h"
#include "agent/loop/log.h"
#include "agent/loop/rounds.h"
#include "collectors/vulnerabilities/settings.h"
#include "collectors/vulnerabilities/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WHO "vulnerabilities"

#define LIST_BYTES_MAX ((size_t)32 << 20)
#define SETTLE_MS      1000 /* a scanner writes its report in many pieces */
#define IMAGES_MAX     10000

struct collector {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    const struct tly_vulnerabilities_settings *settings;
    const struct tly_docker_settings *docker;
    struct tly_scan_store *store; /* NULL: switched off */
    struct tly_rounds *rounds;
    struct tly_timer *settle;
    struct tly_watch *watch;     /* NULL: the interval alone */
    struct tly_fetcher *fetcher; /* NULL: no API */
    bool asking;                 /* the engine, for its images */
    json_t *images;              /* owned: GET /images/json; NULL unknown */
    unsigned slot;
    int look_rc;
    bool looked; /* the folder was read once: what is not there is known */
    int64_t started_ns;
    struct tly_run_stats stats;
    struct tly_log_limit folder_limit;
    size_t reports;
    uint64_t refused;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- images of containers ---- */

struct publishing {
    struct collector *self;
    struct tly_map *seen; /* image ids; values are not used */
    struct tly_samples samples;
};

static const json_t *listed(const struct collector *self, struct tly_text image_id)
{
    for (size_t i = 0; i < tly_json_count(self->images); i++) {
        const json_t *image = tly_json_item(self->images, i);
        if (tly_text_equal(tly_json_text_at(image, "Id"), image_id)) {
            return image;
        }
    }
    return NULL;
}

static void add_counts(struct tly_samples *samples, struct tly_text image, struct tly_text id,
                       const struct tly_scan_report *report)
{
    static const char *const names[] = {"image", "image_id", "severity", "fixable"};
    for (size_t i = 0; i < TLY_VULNERABILITY_SEVERITIES; i++) {
        for (size_t fixable = 0; fixable < 2; fixable++) {
            const struct tly_text values[] = {image, id, tly_text_of(tly_vulnerability_names[i]),
                                              fixable ? TLY_TEXT("true") : TLY_TEXT("false")};
            uint16_t dim = tly_samples_dim(samples, names, values, 4);
            tly_samples_add(samples, TLY_F_image_vulnerabilities, dim,
                            (int64_t)report->unique[i][fixable]);
            tly_samples_add(samples, TLY_F_image_vulnerability_rows, dim,
                            (int64_t)report->rows[i][fixable]);
        }
    }
}

static void add_scan(struct tly_samples *samples, struct tly_text image, struct tly_text id,
                     const struct tly_scan_report *report, enum tly_scan_match match)
{
    static const char *const names[] = {"image", "image_id", "scanner", "version", "match"};
    const struct tly_text values[] = {image, id, tly_text_of(tly_scanner_names[report->scanner]),
                                      tly_text_of(report->version),
                                      tly_text_of(tly_scan_match_names[match])};
    tly_samples_add(samples, TLY_F_image_scan_timestamp_seconds,
                    tly_samples_dim(samples, names, values, 2), report->time_ns / TLY_NS_PER_MS);
    tly_samples_add(samples, TLY_F_image_scan_info, tly_samples_dim(samples, names, values, 5), 1);
}

static void note_scan(struct collector *self, struct tly_text id,
                      const struct tly_scan_report *report)
{
    struct tly_image_scan scan = {.scanned = report != NULL};
    if (report) {
        scan.scanned_ns = report->time_ns;
        scan.critical_fixable = (int64_t)report->unique[TLY_VULNERABILITY_CRITICAL][1];
        scan.high_fixable = (int64_t)report->unique[TLY_VULNERABILITY_HIGH][1];
        scan.end_of_life = report->end_of_life;
    }
    self->stats.errors += tly_inventory_put_scan(self->inventory, id, &scan) < 0;
}

static void add_image(void *arg, const struct tly_container *container)
{
    struct publishing *publishing = arg;
    struct collector *self = publishing->self;
    static const char *const names[] = {"image", "image_id"};
    struct tly_text id = tly_text_of(container->image_id ? container->image_id : "");
    struct tly_text image = tly_text_of(container->image ? container->image : "");
    enum tly_scan_match match = TLY_SCAN_BY_TAG;
    if (id.len == 0 || tly_map_get(publishing->seen, id) ||
        tly_map_count(publishing->seen) >= IMAGES_MAX) {
        return;
    }
    if (tly_map_put(publishing->seen, id, self, NULL) < 0) {
        self->stats.errors++;
        return;
    }
    const struct tly_scan_report *report = tly_scan_store_find(self->store, id, image,
                                                               listed(self, id), &match);
    const struct tly_text values[] = {image, id};
    tly_samples_add(&publishing->samples, TLY_F_image_unscanned,
                    tly_samples_dim(&publishing->samples, names, values, 2), report == NULL);
    note_scan(self, id, report);
    if (report) {
        add_counts(&publishing->samples, image, id, report);
        add_scan(&publishing->samples, image, id, report, match);
    }
}

static void publish(struct collector *self)
{
    if (!self->looked) {
        return;
    }
    struct publishing publishing = {.self = self, .seen = tly_map_new()};
    if (!publishing.seen) {
        self->stats.errors++;
        return;
    }
    tly_samples_init(&publishing.samples);
    tly_inventory_scans_begin(self->inventory);
    tly_inventory_each(self->inventory, add_image, &publishing);
    tly_inventory_publish_host(self->inventory, self->slot, tly_samples_take(&publishing.samples));
    tly_samples_done(&publishing.samples);
    tly_map_free(publishing.seen, NULL);
}

/* ---- the engine's images ---- */

static void images_told(void *arg, const struct tly_response *response)
{
    struct collector *self = arg;
    json_t *images = NULL;
    self->asking = false;
    if (response->code == 0 && response->status == 200 &&
        tly_json_parse_any(response->body, &images, NULL) == 0) {
        tly_json_free(self->images);
        self->images = images;
    } /* else what was last told serves; ids and names join without it */
    if (!tly_rounds_running(self->rounds)) {
        publish(self);
    }
}

static void ask_images(struct collector *self)
{
    const struct tly_request_spec spec = {
        .path = "/images/json",
        .timeout_ms = self->docker->timeout_ms,
        .body_max = LIST_BYTES_MAX,
        .done = images_told,
        .arg = self,
    };
    if (self->asking) {
        return;
    }
    if (!self->fetcher || tly_fetch_start(self->fetcher, &spec, NULL) < 0) {
        publish(self);
        return;
    }
    self->asking = true;
}

/* ---- looks ---- */

static void look_begin(void *arg)
{
    struct collector *self = arg;
    self->started_ns = tly_clock_monotonic_ns();
}

static void look_work(void *arg)
{
    struct collector *self = arg;
    self->look_rc = tly_scan_store_look(self->store);
}

/* Once for each version of a file: the store tells of it once. */
static void say_refused(void *arg, const char *name, const char *reason)
{
    struct collector *self = arg;
    self->refused++;
    tly_log_warn(WHO, "%s/%s: %s; it is left out", self->settings->directory, name, reason);
}

static void look_end(void *arg, bool worked)
{
    struct collector *self = arg;
    uint64_t held;
    int rc = worked ? self->look_rc : -ENOMEM;
    self->looked = self->looked || rc == 0;
    self->stats.success = rc == 0;
    self->stats.duration_ns = tly_clock_monotonic_ns() - self->started_ns;
    if (rc < 0) {
        self->stats.errors++;
        if (tly_log_limit_pass(&self->folder_limit, tly_loop_now_ms(self->loop), &held)) {
            tly_log_warn(WHO, "cannot read vulnerabilities.directory %s: %s; no scans are known%s",
                         self->settings->directory, tly_error_name(rc), tly_log_held(held).text);
        }
    }
    tly_scan_store_each_refused(self->store, say_refused, self);
    self->reports = tly_scan_store_count(self->store);
    ask_images(self);
}

static const struct tly_rounds_ops rounds_ops = {
    .begin = look_begin, .work = look_work, .end = look_end};

static void asked(void *token)
{
    (void)token; /* the round's own end does the work */
}

static void settled(void *arg)
{
    struct collector *self = arg;
    tly_rounds_ask(self->rounds, asked, self);
}

static void folder_changed(void *arg, unsigned events, struct tly_text name)
{
    struct collector *self = arg;
    (void)events;
    (void)name;
    tly_timer_start(self->settle, SETTLE_MS, 0);
}

static void container_changed(void *arg, enum tly_change change,
                              const struct tly_container *container)
{
    struct collector *self = arg;
    /* A row that the cgroup walk made gets its image later. */
    bool same = change == TLY_CHANGE_UPDATED &&
                (!self->looked || !container->image_id ||
                 tly_inventory_scan(self->inventory, tly_text_of(container->image_id)));
    if (!same && !tly_timer_active(self->settle)) {
        tly_timer_start(self->settle, SETTLE_MS, 0);
    }
}

/* ---- life ---- */

static void measure(void *arg, struct tly_samples *samples)
{
    const struct collector *self = arg;
    tly_samples_add(samples, TLY_F_tallyman_vulnerabilities_reports, TLY_DIM_NONE,
                    (int64_t)self->reports);
    tly_samples_add(samples, TLY_F_tallyman_vulnerabilities_reports_max, TLY_DIM_NONE,
                    self->settings->reports_max);
    tly_samples_add(samples, TLY_F_image_scan_parse_errors_total, TLY_DIM_NONE,
                    (int64_t)self->refused);
}

static void withdraw(struct collector *self)
{
    tly_inventory_unlisten(self->inventory, container_changed, self);
    tly_inventory_unmeter(self->inventory, measure, self);
    tly_watch_free(self->watch);
    tly_timer_free(self->settle);
    if (self->fetcher) {
        tly_fetcher_free(self->fetcher);
    }
}

static void collector_free(struct collector *self)
{
    tly_scan_store_free(self->store);
    tly_json_free(self->images);
    free(self);
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
    withdraw(self);
    if (self->rounds) {
        tly_rounds_stop(self->rounds, rounds_stopped, self);
    } else {
        rounds_stopped(self);
    }
}

static int parts_make(struct collector *self, const struct tly_context *context,
                      struct tly_error *err)
{
    bool local = false;
    const struct tly_vulnerabilities_settings *settings = self->settings;
    int rc = tly_scan_store_new(settings->directory, (size_t)settings->reports_max,
                                (uint64_t)settings->report_bytes_max, &self->store);
    rc = rc < 0 ? rc : tly_timer_new(self->loop, settled, self, &self->settle);
    rc = rc < 0
             ? rc
             : tly_rounds_new(self->loop, &rounds_ops, self, settings->interval_ms, &self->rounds);
    rc = rc < 0 ? rc : tly_inventory_slot(self->inventory, WHO, &self->slot);
    rc = rc < 0 ? rc : tly_inventory_meter(self->inventory, measure, self);
    rc = rc < 0 ? rc : tly_inventory_listen(self->inventory, container_changed, self);
    if (rc < 0) {
        return tly_error_set(err, rc, "cannot set up the vulnerability reports: %s",
                             tly_error_name(rc));
    }
    if (self->docker->host && *self->docker->host) {
        rc = tly_engine_fetcher_new(self->loop, self->docker, &self->fetcher, &local, err);
    }
    /* A folder that is not there yet is found by the interval. */
    if (rc == 0 && tly_watch_new(context->watcher, settings->directory,
                                 TLY_WATCH_CREATED | TLY_WATCH_GONE | TLY_WATCH_MODIFIED,
                                 folder_changed, self, &self->watch) < 0) {
        self->watch = NULL;
    }
    return rc;
}

static int collector_start(const struct tly_context *context, void **ret_self,
                           struct tly_error *err)
{
    struct collector *self = calloc(1, sizeof(*self));
    if (!self) {
        return tly_error_set(err, -ENOMEM, "out of memory for the vulnerability reports");
    }
    self->loop = context->loop;
    self->inventory = context->inventory;
    self->docker = context->docker;
    self->settings = tly_config_section(context->config, &tly_vulnerabilities_section);
    self->stats.success = true;
    int rc = self->settings->directory ? parts_make(self, context, err) : 0;
    if (rc < 0) {
        withdraw(self);
        tly_rounds_free(self->rounds);
        collector_free(self);
        return rc;
    }
    *ret_self = self;
    if (self->rounds) {
        tly_inventory_scans_begin(self->inventory);
        tly_rounds_start(self->rounds);
    }
    return 0;
}

static const struct tly_run_stats *collector_stats(const void *arg)
{
    const struct collector *self = arg;
    return &self->stats;
}

static bool collector_ready(const void *arg)
{
    (void)arg;
    return true; /* nobody waits for reports */
}

const struct tly_collector tly_collector_vulnerabilities = {
    .name = WHO,
    .summary = "what scanners found in the images of containers",
    .section = &tly_vulnerabilities_section,
    .start = collector_start,
    .stop = collector_stop,
    .stats = collector_stats,
    .ready = collector_ready,
};
