/*
 * The Prometheus output: one route, and the figures about its own work. It has no configuration:
 * the address is the web server's, what is collected the collectors' matter.
 */
#include "outputs/prometheus/prometheus.h"

#include "outputs/prometheus/scrape.h"

#include <errno.h>
#include <stdlib.h>

static void meter(void *arg, struct tly_samples *samples)
{
    const struct tly_prometheus *prometheus = arg;
    tly_samples_add(samples, TLY_F_tallyman_scrape_duration_seconds, TLY_DIM_NONE,
                    prometheus->last_duration_ns);
    tly_samples_add(samples, TLY_F_tallyman_scrape_render_duration_seconds, TLY_DIM_NONE,
                    prometheus->last_render_ns);
    tly_samples_add(samples, TLY_F_tallyman_scrape_samples, TLY_DIM_NONE,
                    (int64_t)prometheus->last.samples);
    tly_samples_add(samples, TLY_F_tallyman_scrape_bytes, TLY_DIM_NONE,
                    (int64_t)prometheus->last.bytes);
    size_t remembered = 0;
    for (size_t i = 0; i < TLY_SCRAPE_KINDS; i++) {
        remembered += prometheus->remembered[i].bytes;
    }
    tly_samples_add(samples, TLY_F_tallyman_scrape_same_bytes, TLY_DIM_NONE,
                    (int64_t)prometheus->last_same_bytes);
    tly_samples_add(samples, TLY_F_tallyman_scrape_remembered_bytes, TLY_DIM_NONE,
                    (int64_t)remembered);
    tly_samples_add(samples, TLY_F_tallyman_scrape_remembered_max_bytes, TLY_DIM_NONE,
                    (int64_t)(TLY_SCRAPE_REMEMBERED_MAX * TLY_SCRAPE_KINDS));
    tly_samples_add(samples, TLY_F_tallyman_scrapes_under_way, TLY_DIM_NONE,
                    (int64_t)prometheus->count);
    tly_samples_add(samples, TLY_F_tallyman_scrapes_under_way_max, TLY_DIM_NONE,
                    (int64_t)prometheus->max);
    tly_samples_add(samples, TLY_F_tallyman_scrapes_total, TLY_DIM_NONE,
                    (int64_t)prometheus->scrapes);
    tly_samples_add(samples, TLY_F_tallyman_scrapes_failed_total, TLY_DIM_NONE,
                    (int64_t)prometheus->failed);
    tly_samples_add(samples, TLY_F_tallyman_scrapes_late_total, TLY_DIM_NONE,
                    (int64_t)prometheus->late);
    for (unsigned slot = 0; slot < TLY_SLOTS_MAX; slot++) {
        const char *name = tly_inventory_slot_name(prometheus->inventory, slot);
        if (prometheus->late_of[slot] > 0) {
            tly_samples_add(samples, TLY_F_tallyman_scrape_collector_late_total,
                            tly_samples_dim1(samples, "collector", tly_text_of(name)),
                            (int64_t)prometheus->late_of[slot]);
        }
    }
    tly_samples_add(samples, TLY_F_tallyman_scrape_left_out_samples_total, TLY_DIM_NONE,
                    (int64_t)prometheus->left_out);
    if (prometheus->samples_max > 0) {
        tly_samples_add(samples, TLY_F_tallyman_scrape_samples_max, TLY_DIM_NONE,
                        (int64_t)prometheus->samples_max);
    }
    tly_samples_add(samples, TLY_F_tallyman_scrape_duplicates_total, TLY_DIM_NONE,
                    (int64_t)prometheus->duplicates);
}

static void prometheus_free(struct tly_prometheus *prometheus)
{
    tly_scrapes_forget(prometheus);
    free(prometheus);
}

/* Ends what the loop knows of; the memory may have to stay for a refresh that calls back. */
static void detach(struct tly_prometheus *prometheus)
{
    tly_inventory_unmeter(prometheus->inventory, meter, prometheus);
    tly_timer_free(prometheus->stop_timer);
    tly_defer_free(prometheus->stopped_defer);
    prometheus->stop_timer = NULL;
    prometheus->stopped_defer = NULL;
}

static void say_stopped(struct tly_prometheus *prometheus)
{
    void (*stopped)(void *arg) = prometheus->stopped;
    void *arg = prometheus->stopped_arg;
    prometheus->stopped = NULL;
    detach(prometheus);
    if (prometheus->refreshing == 0) {
        prometheus_free(prometheus);
    }
    stopped(arg);
}

static void stopped_due(void *arg)
{
    say_stopped(arg);
}

void tly_prometheus_settle(struct tly_prometheus *prometheus)
{
    if (!prometheus->stopping || prometheus->count > 0 || prometheus->refreshing > 0) {
        return;
    }
    if (prometheus->stopped == NULL) {
        prometheus_free(prometheus); /* the last refresh came after the deadline */
    } else {
        tly_defer_call(prometheus->stopped_defer);
    }
}

/* A refresh has not called back in time. Workers are waited for all the same: they only compute. */
static void stop_due(void *arg)
{
    struct tly_prometheus *prometheus = arg;
    if (prometheus->count > 0) {
        tly_timer_start(prometheus->stop_timer, 10, 0);
    } else {
        say_stopped(prometheus);
    }
}

static void prometheus_stop(void *self, int64_t deadline_ms, void (*stopped)(void *arg), void *arg)
{
    struct tly_prometheus *prometheus = self;
    prometheus->stopping = true;
    prometheus->stopped = stopped;
    prometheus->stopped_arg = arg;
    tly_timer_start(prometheus->stop_timer, deadline_ms - tly_loop_now_ms(prometheus->loop), 0);
    tly_scrapes_refuse(prometheus);
    tly_prometheus_settle(prometheus);
}

static size_t scrapes_max(const struct tly_context *context)
{
    const struct tly_web_settings *web = context->config
                                             ? tly_config_section(context->config, &tly_web_section)
                                             : NULL;
    return web && web->scrapes_max > 0 ? (size_t)web->scrapes_max : TLY_SCRAPES_MAX;
}

static int prometheus_start(const struct tly_context *context, void **ret_self,
                            struct tly_error *err)
{
    struct tly_prometheus *prometheus = calloc(1, sizeof(*prometheus));
    if (prometheus == NULL) {
        return tly_error_set(err, -ENOMEM, "no memory for the Prometheus output");
    }
    prometheus->loop = context->loop;
    prometheus->inventory = context->inventory;
    prometheus->groups = context->groups;
    prometheus->max = scrapes_max(context);
    prometheus->samples_max = context->collect ? (size_t)context->collect->samples_max : 0;
    TAILQ_INIT(&prometheus->waiting);
    TAILQ_INIT(&prometheus->queued);
    int rc = tly_timer_new(context->loop, stop_due, prometheus, &prometheus->stop_timer);
    if (rc == 0) {
        rc = tly_defer_new(context->loop, stopped_due, prometheus, &prometheus->stopped_defer);
    }
    if (rc == 0) {
        rc = tly_inventory_meter(context->inventory, meter, prometheus);
    }
    if (rc < 0) {
        detach(prometheus);
        prometheus_free(prometheus);
        return tly_error_set(err, rc, "can't start the Prometheus output: %s", tly_error_name(rc));
    }
    *ret_self = prometheus;
    return 0;
}

static const struct tly_route routes[] = {
    {.path = "/metrics", .handle = tly_scrape_handle, .title = "Metrics, for Prometheus"},
    {.path = NULL},
};

const struct tly_output tly_output_prometheus = {
    .name = "prometheus",
    .summary = "serves metrics to Prometheus at /metrics",
    .start = prometheus_start,
    .stop = prometheus_stop,
    .routes = routes,
};
