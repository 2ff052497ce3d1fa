/*
 * A scrape: ask for fresh readings, wait for them as long as the scraper's patience allows, take a
 * snapshot, write it on a worker, answer. Compressed, the whole answer is made there; uncompressed
 * it is only measured there, and written once more, block by block, as the client takes it, so that
 * tens of megabytes are never held. What is not read by then is left out and counted. Scrapes
 * may overlap; those that come while readings are under way share them. The loop never waits: a
 * slow collector costs its own samples, a slow scraper only its own connection.
 */
#include "outputs/prometheus/scrape.h"

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/codec/accept.h"
#include "agent/codec/gzip.h"
#include "outputs/prometheus/selection.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define HTTP_OK           200
#define HTTP_BAD_REQUEST  400
#define HTTP_SERVER_ERROR 500
#define HTTP_UNAVAILABLE  503

/* Readings younger than this are fresh: two Prometheus servers share them, a rate is not blurred.
 */
#define FRESH_MS 1000
/* What is left of the scraper's time-out for writing and sending. */
#define RESERVE_MS 500
/* Prometheus's default, for a scraper that does not name its own, and bounds for one that does. */
#define TIMEOUT_DEFAULT_MS 10000
#define TIMEOUT_MAX_MS     300000
/* On workers at a time: other work needs the pool too. */
#define RENDERING_MAX 2
/* A host with 10,000 containers and long labels stays below this. */
#define BODY_MAX (512U << 20)
/* The fastest: level 6 takes three times as long for a body a third smaller. */
#define GZIP_LEVEL 1

/* What is being written, and how far; outlives the scrape while a client takes it. */
struct rendering {
    struct tly_snapshot *snapshot;
    struct tly_exposition exposition;
    struct tly_exposition_blocks *blocks; /* for a client that takes it uncompressed */
};

struct tly_scrape {
    TAILQ_ENTRY(tly_scrape) link;
    struct tly_prometheus *prometheus; /* NULL: answered, only the refresh calls back yet */
    struct tly_http_request *request;
    struct tly_selection selection;
    enum tly_exposition_format format;
    bool gzip;
    bool refreshing; /* the inventory will call back */
    bool waiting;    /* in the list of that name */
    int64_t start_ns;
    struct tly_timer *deadline;

    uint32_t late; /* slots whose readings did not come in time, as bits */

    /* The worker's, while it renders. */
    struct rendering *rendering;
    struct tly_gzip_parts *parts; /* NULL: compressed as a whole */
    struct tly_buf body;          /* compressed */
    struct tly_exposition_stats stats;
    size_t left_out; /* samples, at the bound */
    int64_t render_ns;
    int rc;
};

static struct rendering *rendering_new(struct tly_inventory *inventory)
{
    struct rendering *rendering = calloc(1, sizeof(*rendering));
    if (rendering != NULL) {
        tly_exposition_init(&rendering->exposition);
        rendering->snapshot = tly_inventory_snapshot(inventory);
    }
    if (rendering != NULL && rendering->snapshot == NULL) {
        free(rendering);
        return NULL;
    }
    return rendering;
}

static void rendering_free(void *arg)
{
    struct rendering *rendering = arg;
    if (rendering != NULL) {
        tly_exposition_blocks_free(rendering->blocks);
        tly_exposition_done(&rendering->exposition);
        tly_snapshot_unref(rendering->snapshot);
        free(rendering);
    }
}

/* The request was answered; the memory stays as long as the refresh may call back. */
static void scrape_end(struct tly_scrape *scrape)
{
    struct tly_prometheus *prometheus = scrape->prometheus;
    tly_timer_free(scrape->deadline);
    scrape->deadline = NULL;
    rendering_free(scrape->rendering);
    scrape->rendering = NULL;
    tly_buf_done(&scrape->body);
    scrape->request = NULL;
    prometheus->count--;
    if (!scrape->refreshing) {
        free(scrape);
    }
    tly_prometheus_settle(prometheus);
}

static void refuse(struct tly_http_request *request, unsigned status, const char *text)
{
    struct tly_buf body;
    tly_buf_init(&body, TLY_ERROR_TEXT_MAX + 2);
    if (tly_buf_append_text(&body, tly_text_of(text)) < 0) {
        tly_buf_clear(&body); /* the status alone has to do */
    }
    tly_http_answer(request, status, "text/plain; charset=utf-8", &body);
    tly_buf_done(&body);
}

static void refuse_error(struct tly_http_request *request, const struct tly_error *err)
{
    char text[TLY_ERROR_TEXT_MAX + 2];
    (void)snprintf(text, sizeof(text), "%s\n", err->text); /* it fits */
    refuse(request, HTTP_BAD_REQUEST, text);
}

static void scrape_fail(struct tly_scrape *scrape, unsigned status, const char *text)
{
    scrape->prometheus->failed++;
    refuse(scrape->request, status, text);
    scrape_end(scrape);
}

/* ---- rendering ---- */

static int gzip_sink(void *arg, struct tly_text block)
{
    return tly_gzip_add(arg, block);
}

static int render_gzip(struct tly_scrape *scrape)
{
    struct tly_exposition *exposition = &scrape->rendering->exposition;
    struct tly_gzip *gzip;
    int rc = tly_gzip_new(&scrape->body, GZIP_LEVEL, &gzip);
    if (rc < 0) {
        return rc;
    }
    rc = tly_exposition_stream(exposition, scrape->format, gzip_sink, gzip, &scrape->stats);
    if (rc == 0) {
        rc = tly_gzip_finish(gzip);
    }
    tly_gzip_free(gzip);
    return rc;
}

/* What did not change since the last scrape is not compressed again. */
static int render_parts(struct tly_scrape *scrape)
{
    struct tly_exposition_blocks *blocks = NULL;
    struct tly_text part = {NULL, 0};
    uint64_t key = 0;
    int rc = tly_gzip_parts_begin(scrape->parts, &scrape->body);
    if (rc == 0) {
        rc = tly_exposition_blocks_new(&scrape->rendering->exposition, scrape->format, &blocks);
    }
    if (rc < 0) {
        return rc;
    }
    do {
        rc = tly_exposition_blocks_part(blocks, &part, &key);
        if (rc == 0) {
            rc = tly_gzip_parts_add(scrape->parts, key, part);
        }
    } while (rc == 0 && part.len > 0);
    scrape->stats = *tly_exposition_blocks_stats(blocks);
    tly_exposition_blocks_free(blocks);
    return rc < 0 ? rc : tly_gzip_parts_finish(scrape->parts);
}

static int measure_sink(void *arg, struct tly_text block)
{
    (void)arg;
    (void)block;
    return 0; /* the writer counts */
}

/* Once for its length, then from the beginning for who takes it. */
static int render_plain(struct tly_scrape *scrape)
{
    struct rendering *rendering = scrape->rendering;
    int rc = tly_exposition_stream(&rendering->exposition, scrape->format, measure_sink, NULL,
                                   &scrape->stats);
    return rc < 0 ? rc
                  : tly_exposition_blocks_new(&rendering->exposition, scrape->format,
                                              &rendering->blocks);
}

/* Adds the row's sets, without those that are late: what they held is no reading of this scrape. */
static int row_add(struct tly_exposition *exposition, const struct tly_snapshot_row *row,
                   size_t slots, uint32_t late)
{
    if (late == 0) {
        return tly_exposition_add(exposition, row->labels, row->sets, slots);
    }
    struct tly_sample_set *sets[TLY_SLOTS_MAX] = {NULL};
    for (size_t i = 0; i < slots; i++) {
        sets[i] = late >> i & 1 ? NULL : row->sets[i];
    }
    return tly_exposition_add(exposition, row->labels, sets, slots);
}

static size_t row_samples(const struct tly_snapshot_row *row, size_t slots)
{
    size_t count = 0;
    for (size_t i = 0; i < slots; i++) {
        count += row->sets[i] == NULL ? 0 : tly_sample_set_count(row->sets[i]);
    }
    return count;
}

/* The rows, up to the bound of samples: a container is left out as a whole, so that no sum over its
 * families is wrong, and the same ones in every scrape; the host and the agent never are. */
static int rows_add(struct tly_scrape *scrape)
{
    struct tly_exposition *exposition = &scrape->rendering->exposition;
    const struct tly_snapshot *snapshot = scrape->rendering->snapshot;
    size_t max = scrape->prometheus->samples_max;
    size_t room = max == 0 ? SIZE_MAX : max;
    int rc = 0;
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct tly_snapshot_row *row = &snapshot->rows[i];
        size_t count = row->container == NULL ? row_samples(row, snapshot->slots) : 0;
        room -= count < room ? count : room;
    }
    for (size_t i = 0; i < snapshot->count && rc == 0; i++) {
        const struct tly_snapshot_row *row = &snapshot->rows[i];
        size_t count = row->container == NULL ? 0 : row_samples(row, snapshot->slots);
        if (count > room) {
            scrape->left_out += count;
            continue;
        }
        room -= count;
        rc = row_add(exposition, row, snapshot->slots, scrape->late);
    }
    return rc;
}

/* On a worker. */
static void render(void *arg)
{
    struct tly_scrape *scrape = arg;
    int64_t start_ns = tly_clock_monotonic_ns();
    bool *hidden = scrape->rendering->exposition.hidden;
    memcpy(hidden, scrape->selection.hidden, sizeof(scrape->selection.hidden));
    int rc = rows_add(scrape);
    if (rc == 0) {
        rc = scrape->parts != NULL ? render_parts(scrape)
             : scrape->gzip        ? render_gzip(scrape)
                                   : render_plain(scrape);
    }
    if (scrape->gzip || rc < 0) {
        rendering_free(
            scrape->rendering); /* here rather than on the loop: it is thousands of sets */
        scrape->rendering = NULL;
    }
    scrape->rc = rc;
    scrape->render_ns = tly_clock_monotonic_ns() - start_ns;
}

static int block_next(void *arg, struct tly_text *ret_block)
{
    struct rendering *rendering = arg;
    return tly_exposition_blocks_next(rendering->blocks, ret_block);
}

static void answer(struct tly_scrape *scrape)
{
    const char *type = tly_exposition_content_types[scrape->format];
    if (scrape->gzip) {
        tly_http_answer(scrape->request, HTTP_OK, type, &scrape->body);
        return;
    }
    const struct tly_http_source source = {
        .next = block_next, .done = rendering_free, .arg = scrape->rendering};
    scrape->rendering = NULL; /* the source's */
    tly_http_answer_from(scrape->request, HTTP_OK, type, scrape->stats.bytes, &source);
}

/* ---- what is remembered from one scrape to the next ---- */

static enum tly_scrape_kind kind_of(const struct tly_scrape *scrape)
{
    bool openmetrics = scrape->format == TLY_EXPOSITION_OPENMETRICS_0_0_1 ||
                       scrape->format == TLY_EXPOSITION_OPENMETRICS_1_0_0;
    return openmetrics ? TLY_SCRAPE_OPENMETRICS : TLY_SCRAPE_TEXT;
}

/* For a scrape of everything, one at a time of each kind; another one meanwhile goes without. */
static void parts_take(struct tly_scrape *scrape)
{
    struct tly_prometheus *prometheus = scrape->prometheus;
    enum tly_scrape_kind kind = kind_of(scrape);
    if (!scrape->gzip || scrape->selection.any || prometheus->remembered[kind].out) {
        return;
    }
    scrape->parts = prometheus->remembered[kind].parts;
    prometheus->remembered[kind].parts = NULL;
    if (scrape->parts == NULL &&
        tly_gzip_parts_new(GZIP_LEVEL, TLY_SCRAPE_REMEMBERED_MAX, &scrape->parts) < 0) {
        return; /* no memory: it goes without */
    }
    prometheus->remembered[kind].out = true;
}

static void parts_give_back(struct tly_scrape *scrape)
{
    struct tly_prometheus *prometheus = scrape->prometheus;
    enum tly_scrape_kind kind = kind_of(scrape);
    if (scrape->parts != NULL) {
        struct tly_gzip_parts_stats stats = tly_gzip_parts_stats(scrape->parts);
        prometheus->remembered[kind].parts = scrape->parts;
        prometheus->remembered[kind].out = false;
        prometheus->remembered[kind].bytes = stats.remembered_bytes;
        prometheus->last_same_bytes = stats.same_bytes;
        scrape->parts = NULL;
    }
}

void tly_scrapes_forget(struct tly_prometheus *prometheus)
{
    for (size_t i = 0; i < TLY_SCRAPE_KINDS; i++) {
        tly_gzip_parts_free(prometheus->remembered[i].parts);
        prometheus->remembered[i].parts = NULL;
    }
}

static void queue_work_off(struct tly_prometheus *prometheus);

static int headers_add(struct tly_http_request *request, bool gzip)
{
    int rc = tly_http_answer_header(request, "Vary", "Accept, Accept-Encoding");
    if (rc == 0 && gzip) {
        rc = tly_http_answer_header(request, "Content-Encoding", "gzip");
    }
    return rc;
}

static void rendered(void *arg)
{
    struct tly_scrape *scrape = arg;
    struct tly_prometheus *prometheus = scrape->prometheus;
    prometheus->rendering--;
    parts_give_back(scrape);
    if (scrape->rc == 0) {
        scrape->rc = headers_add(scrape->request, scrape->gzip);
    }
    if (scrape->rc < 0) {
        uint64_t held;
        if (tly_log_limit_pass(&prometheus->failures, tly_loop_now_ms(prometheus->loop), &held)) {
            tly_log_error("prometheus",
                          "a scrape could not be written: %s; it was answered with "
                          "500 (%llu more since the last such line)",
                          tly_error_name(scrape->rc), (unsigned long long)held);
        }
        scrape_fail(scrape, HTTP_SERVER_ERROR, "the metrics could not be written\n");
    } else {
        prometheus->scrapes++;
        prometheus->last = scrape->stats;
        prometheus->duplicates += scrape->stats.duplicates;
        prometheus->left_out += scrape->left_out;
        prometheus->last_render_ns = scrape->render_ns;
        prometheus->last_duration_ns = tly_clock_monotonic_ns() - scrape->start_ns;
        answer(scrape);
        scrape_end(scrape);
    }
    queue_work_off(prometheus);
}

/* Gives a worker to those whose turn it is. The snapshot is taken at the last moment. */
static void queue_work_off(struct tly_prometheus *prometheus)
{
    while (prometheus->rendering < RENDERING_MAX && !TAILQ_EMPTY(&prometheus->queued)) {
        struct tly_scrape *scrape = TAILQ_FIRST(&prometheus->queued);
        TAILQ_REMOVE(&prometheus->queued, scrape, link);
        scrape->rendering = rendering_new(prometheus->inventory);
        parts_take(scrape);
        if (scrape->rendering == NULL ||
            tly_worker_submit(prometheus->loop, render, rendered, scrape) < 0) {
            parts_give_back(scrape);
            scrape_fail(scrape, HTTP_UNAVAILABLE, "out of memory\n");
            continue;
        }
        prometheus->rendering++;
    }
}

/* ---- waiting for fresh readings ---- */

static void readings_done(struct tly_scrape *scrape)
{
    struct tly_prometheus *prometheus = scrape->prometheus;
    TAILQ_REMOVE(&prometheus->waiting, scrape, link);
    scrape->waiting = false;
    TAILQ_INSERT_TAIL(&prometheus->queued, scrape, link);
    queue_work_off(prometheus);
}

static void refreshed(void *arg)
{
    struct tly_scrape *scrape = arg;
    struct tly_prometheus *prometheus = scrape->prometheus;
    scrape->refreshing = false;
    prometheus->refreshing--;
    if (scrape->request == NULL) {
        free(scrape);
        tly_prometheus_settle(prometheus);
    } else if (scrape->waiting) {
        readings_done(scrape);
    }
}

static void deadline_passed(void *arg)
{
    struct tly_scrape *scrape = arg;
    struct tly_prometheus *prometheus = scrape->prometheus;
    if (scrape->waiting) {
        prometheus->late++;
        scrape->late = tly_inventory_late(prometheus->inventory);
        for (unsigned slot = 0; slot < TLY_SLOTS_MAX; slot++) {
            prometheus->late_of[slot] += scrape->late >> slot & 1;
        }
        readings_done(scrape);
    }
}

/* How long the readings may take, from what the scraper says of its own time-out. */
static int64_t patience_ms(const struct tly_http_request *request)
{
    struct tly_text text = tly_http_header(request, "X-Prometheus-Scrape-Timeout-Seconds");
    char copy[32];
    int64_t timeout_ms = TIMEOUT_DEFAULT_MS;
    if (text.len > 0 && text.len < sizeof(copy)) {
        memcpy(copy, text.at, text.len);
        copy[text.len] = '\0';
        char *end;
        double seconds = strtod(copy, &end);
        if (*end == '\0' && isfinite(seconds) && seconds > 0) {
            timeout_ms = seconds < TIMEOUT_MAX_MS / 1000.0 ? (int64_t)(seconds * 1000)
                                                           : TIMEOUT_MAX_MS;
        }
    }
    /* Of a short time-out half stays for the readings. */
    return timeout_ms > 2 * RESERVE_MS ? timeout_ms - RESERVE_MS : timeout_ms / 2;
}

void tly_scrape_handle(void *self, struct tly_http_request *request)
{
    struct tly_prometheus *prometheus = self;
    if (prometheus->stopping || prometheus->count >= prometheus->max) {
        prometheus->failed++;
        refuse(request, HTTP_UNAVAILABLE,
               prometheus->stopping ? "the agent is stopping\n" : "too many scrapes at a time\n");
        return;
    }
    struct tly_selection selection;
    struct tly_error err;
    if (tly_selection_read(request, prometheus->groups, &selection, &err) < 0) {
        prometheus->failed++;
        refuse_error(request, &err);
        return;
    }
    struct tly_scrape *scrape = calloc(1, sizeof(*scrape));
    if (scrape == NULL ||
        tly_timer_new(prometheus->loop, deadline_passed, scrape, &scrape->deadline) < 0) {
        free(scrape);
        prometheus->failed++;
        refuse(request, HTTP_UNAVAILABLE, "out of memory\n");
        return;
    }
    scrape->prometheus = prometheus;
    scrape->request = request;
    scrape->selection = selection;
    scrape->format = tly_accept_format(tly_http_header(request, "Accept"));
    scrape->gzip = tly_accept_gzip(tly_http_header(request, "Accept-Encoding"));
    scrape->start_ns = tly_clock_monotonic_ns();
    tly_buf_init(&scrape->body, BODY_MAX);
    prometheus->count++;
    TAILQ_INSERT_TAIL(&prometheus->waiting, scrape, link);
    scrape->waiting = true;
    tly_timer_start(scrape->deadline, patience_ms(request), 0);
    scrape->refreshing = true;
    prometheus->refreshing++;
    if (tly_inventory_refresh(prometheus->inventory, FRESH_MS, refreshed, scrape) < 0) {
        refreshed(scrape); /* no memory to wait: with the readings that there are */
    }
}

void tly_scrapes_refuse(struct tly_prometheus *prometheus)
{
    struct tly_scrape *scrape;
    while ((scrape = TAILQ_FIRST(&prometheus->waiting)) != NULL) {
        TAILQ_REMOVE(&prometheus->waiting, scrape, link);
        scrape->waiting = false;
        scrape_fail(scrape, HTTP_UNAVAILABLE, "the agent is stopping\n");
    }
    while ((scrape = TAILQ_FIRST(&prometheus->queued)) != NULL) {
        TAILQ_REMOVE(&prometheus->queued, scrape, link);
        scrape_fail(scrape, HTTP_UNAVAILABLE, "the agent is stopping\n");
    }
}
