/*
 * /api/v1/overview and /api/v1/history. What was remembered of each container belongs to one worker
 * at a time: whoever asks meanwhile waits for the next turn, and all who wait are served by one
 * snapshot. Nobody waits for collectors: who asks gets what was read last, and asking lets them
 * read anew for the next time.
 */
#include "agent/web/overview.h"

#include "agent/base/clock.h"
#include "agent/codec/accept.h"
#include "agent/codec/gzip.h"
#include "agent/codec/record_json.h"
#include "agent/web/overview_json.h"
#include "agent/web/server.h"
#include "agent/web/trend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX 32
/* 10,000 containers with long names. */
#define BODY_MAX       (32U << 20)
#define GZIP_LEVEL     1
#define HEAD_MAX       (64U << 10)
#define CONTAINERS_MAX 4096 /* that have a history: 2.5 MiB */
#define POINT_EVERY    3    /* intervals */
#define FIRST_MS       1000
#define MS_PER_S       1e3
/* Whose history one request may ask for. */
#define WHO_MAX       64
#define WHO_BYTES_MAX (8U << 10)

static const struct tly_json_style plain = {.raw_bytes = false};

/* Somebody who asks. */
struct asking {
    TAILQ_ENTRY(asking) link;
    struct tly_http_request *request;
    bool history, gzip;
    struct tly_buf who; /* keys with a newline behind each */
    size_t who_count;

    /* The worker's. */
    struct tly_buf body;
    int rc;
};

TAILQ_HEAD(askers, asking);

struct tly_web_overview {
    unsigned refs;
    struct tly_web *web; /* NULL: the server has gone */
    struct tly_timer *timer;
    int64_t point_ms; /* 0: not started */
    bool point_due;
    struct askers waiting;
    size_t waiting_count;

    /* The worker's while it is busy. */
    bool busy;
    bool point;
    struct tly_trend *trend;
    struct tly_snapshot *snapshot;
    struct askers served;
    struct tly_buf head; /* what the snapshot does not have, as members */
};

static void turn(struct tly_web_overview *overview);

static void overview_unref(struct tly_web_overview *overview)
{
    if (--overview->refs == 0) {
        tly_trend_free(overview->trend);
        tly_buf_done(&overview->head);
        free(overview);
    }
}

static void asking_free(struct asking *asking)
{
    tly_buf_done(&asking->who);
    tly_buf_done(&asking->body);
    free(asking);
}

static void refuse(struct asking *asking)
{
    tly_web_refuse(asking->request, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for the answer\n");
    asking_free(asking);
}

static void refuse_all(struct askers *askers)
{
    struct asking *asking;
    while ((asking = TAILQ_FIRST(askers)) != NULL) {
        TAILQ_REMOVE(askers, asking, link);
        refuse(asking);
    }
}

/* ---- on a worker ---- */

static int overview_write(const struct tly_web_overview *overview, struct tly_buf *body)
{
    int rc = tly_buf_append_text(body, tly_buf_text(&overview->head));
    rc = rc < 0 ? rc : tly_overview_json(overview->snapshot, overview->trend, body);
    return rc < 0 ? rc : tly_buf_printf(body, "}\n");
}

static int history_write(const struct tly_web_overview *overview, struct asking *asking)
{
    struct tly_buf *body = &asking->body;
    int rc = tly_buf_printf(body,
                            "{\"period\":%.3f,\"time\":", (double)overview->point_ms / MS_PER_S);
    rc = rc < 0 ? rc : tly_record_json_time(body, overview->snapshot->taken_ns);
    rc = rc < 0 ? rc : tly_buf_printf(body, ",\"history\":{");
    struct tly_text rest = tly_buf_text(&asking->who);
    for (bool first = true; rest.len > 0 && rc >= 0;) {
        struct tly_text who = tly_text_cut(&rest, '\n');
        size_t before = body->len;
        rc = first ? 0 : tly_buf_printf(body, ",");
        rc = rc < 0 ? rc : tly_overview_history_json(overview->trend, who, body);
        if (rc == 0) {
            body->len = before;
        } else {
            first = false;
        }
    }
    return rc < 0 ? rc : tly_buf_printf(body, "}}\n");
}

static void work(void *arg)
{
    struct tly_web_overview *overview = arg;
    tly_trend_take(overview->trend, overview->snapshot, overview->point);
    struct asking *asking;
    TAILQ_FOREACH(asking, &overview->served, link)
    {
        asking->rc = asking->history ? history_write(overview, asking)
                                     : overview_write(overview, &asking->body);
        if (asking->rc == 0 && asking->gzip) {
            asking->rc = tly_gzip_replace(&asking->body, GZIP_LEVEL);
        }
    }
}

/* ---- on the loop ---- */

static void answer(struct asking *asking)
{
    int rc = asking->rc;
    rc = rc < 0 ? rc : tly_http_answer_header(asking->request, "Cache-Control", "no-store");
    rc = rc < 0 ? rc : tly_http_answer_header(asking->request, "Vary", "Accept-Encoding");
    if (rc == 0 && asking->gzip) {
        rc = tly_http_answer_header(asking->request, "Content-Encoding", "gzip");
    }
    if (rc < 0) {
        refuse(asking);
        return;
    }
    tly_http_answer(asking->request, MHD_HTTP_OK, "application/json", &asking->body);
    asking_free(asking);
}

static void done(void *arg)
{
    struct tly_web_overview *overview = arg;
    struct asking *asking;
    overview->busy = false;
    tly_snapshot_unref(overview->snapshot);
    overview->snapshot = NULL;
    while ((asking = TAILQ_FIRST(&overview->served)) != NULL) {
        TAILQ_REMOVE(&overview->served, asking, link);
        answer(asking);
    }
    if (overview->web != NULL) {
        turn(overview);
    }
    overview_unref(overview);
}

/* `{"version":..,"name":..,` and so on: what only the server knows. */
static int head_write(const struct tly_web *web, struct tly_buf *head)
{
    const struct tly_web_page *page = &web->page;
    tly_buf_clear(head);
    int rc = tly_buf_printf(head, "{\"version\":\"" TLY_VERSION "\",\"name\":");
    rc = rc < 0 ? rc : tly_record_json_text(head, tly_text_of(page->name), plain);
    rc = rc < 0 ? rc
                : tly_buf_printf(head, ",\"interval\":%.3f,\"lacking\":[",
                                 (double)page->interval_ms / MS_PER_S);
    for (size_t i = 0; i < page->lacking_count && rc == 0; i++) {
        rc = tly_buf_printf(head, i > 0 ? ",{\"what\":" : "{\"what\":");
        rc = rc < 0 ? rc : tly_record_json_text(head, tly_text_of(page->lacking[i].what), plain);
        rc = rc < 0 ? rc : tly_buf_printf(head, ",\"lost\":");
        rc = rc < 0 ? rc : tly_record_json_text(head, tly_text_of(page->lacking[i].lost), plain);
        rc = rc < 0 ? rc : tly_buf_printf(head, "}");
    }
    rc = rc < 0 ? rc : tly_buf_printf(head, "],\n\"sandbox\":[");
    for (size_t i = 0; i < page->layer_count && rc == 0; i++) {
        rc = tly_buf_printf(head, "%s{\"layer\":\"%s\",\"on\":%s,\"why\":", i > 0 ? "," : "",
                            page->layers[i].name, page->layers[i].on ? "true" : "false");
        rc = rc < 0 ? rc : tly_record_json_text(head, tly_text_of(page->layers[i].why), plain);
        rc = rc < 0 ? rc : tly_buf_printf(head, "}");
    }
    rc = rc < 0 ? rc : tly_buf_printf(head, "],\n\"off\":[");
    for (size_t i = 0; i < page->off_count && rc == 0; i++) {
        rc = tly_buf_printf(head, "%s\"%s\"", i > 0 ? "," : "", page->off[i]);
    }
    rc = rc < 0 ? rc : tly_buf_printf(head, "],\n\"pages\":[");
    bool first = true;
    for (size_t i = 0; i < web->route_count && rc == 0; i++) {
        const struct tly_route *route = web->routes[i].route;
        if (route->title == NULL || web->routes[i].withdrawn) {
            continue;
        }
        rc = tly_buf_printf(head, first ? "{\"path\":" : ",{\"path\":");
        rc = rc < 0 ? rc : tly_record_json_text(head, tly_text_of(route->path), plain);
        rc = rc < 0 ? rc : tly_buf_printf(head, ",\"title\":");
        rc = rc < 0 ? rc : tly_record_json_text(head, tly_text_of(route->title), plain);
        rc = rc < 0 ? rc : tly_buf_printf(head, "}");
        first = false;
    }
    return rc < 0 ? rc : tly_buf_printf(head, "],\n");
}

static struct tly_snapshot *snapshot_take(const struct tly_web *web)
{
    return web->snapshot_take != NULL ? web->snapshot_take(web->snapshot_arg) : NULL;
}

/* Serves all who wait, and takes the point that is due, unless a worker is at it. */
static void turn(struct tly_web_overview *overview)
{
    if (overview->busy || (TAILQ_EMPTY(&overview->waiting) && !overview->point_due)) {
        return;
    }
    TAILQ_INIT(&overview->served);
    TAILQ_CONCAT(&overview->served, &overview->waiting, link);
    overview->waiting_count = 0;
    overview->point = overview->point_due;
    overview->point_due = false;
    overview->snapshot = head_write(overview->web, &overview->head) < 0
                             ? NULL
                             : snapshot_take(overview->web);
    if (overview->snapshot == NULL ||
        tly_worker_submit(overview->web->loop, work, done, overview) < 0) {
        tly_snapshot_unref(overview->snapshot);
        overview->snapshot = NULL;
        refuse_all(&overview->served);
        return;
    }
    overview->busy = true;
    overview->refs++;
}

static void point_time(void *arg)
{
    struct tly_web_overview *overview = arg;
    overview->point_due = true;
    turn(overview);
}

int tly_web_overview_new(struct tly_web *web, struct tly_web_overview **ret_overview)
{
    struct tly_web_overview *overview = calloc(1, sizeof(*overview));
    if (overview == NULL) {
        return -ENOMEM;
    }
    overview->refs = 1;
    overview->web = web;
    TAILQ_INIT(&overview->waiting);
    TAILQ_INIT(&overview->served);
    tly_buf_init(&overview->head, HEAD_MAX);
    int rc = tly_trend_new(CONTAINERS_MAX, &overview->trend);
    rc = rc < 0 ? rc : tly_timer_new(web->loop, point_time, overview, &overview->timer);
    if (rc < 0) {
        overview_unref(overview);
        return rc;
    }
    *ret_overview = overview;
    return 0;
}

void tly_web_overview_free(struct tly_web_overview *overview)
{
    if (overview != NULL) {
        tly_timer_free(overview->timer);
        refuse_all(&overview->waiting);
        overview->web = NULL;
        overview_unref(overview);
    }
}

void tly_web_overview_start(struct tly_web_overview *overview, int64_t interval_ms)
{
    overview->point_ms = POINT_EVERY * interval_ms;
    tly_timer_start(overview->timer, FIRST_MS, overview->point_ms);
}

/* ---- those who ask ---- */

static void who_add(void *arg, struct tly_text id)
{
    struct asking *asking = arg;
    if (asking->who_count < WHO_MAX && id.len > 0 && memchr(id.at, '\n', id.len) == NULL &&
        tly_buf_append_text(&asking->who, id) == 0 && tly_buf_append(&asking->who, "\n", 1) == 0) {
        asking->who_count++;
    } /* else it is not answered, as for somebody who is not known */
}

static void ask(struct tly_web *web, struct tly_http_request *request, bool history)
{
    struct tly_web_overview *overview = web->overview;
    struct asking *asking = NULL;
    if (overview->point_ms > 0 && overview->waiting_count < WAITING_MAX) {
        asking = calloc(1, sizeof(*asking));
    }
    if (asking == NULL) {
        tly_web_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many requests at a time\n");
        return;
    }
    asking->request = request;
    asking->history = history;
    asking->gzip = tly_accept_gzip(tly_http_header(request, "Accept-Encoding"));
    tly_buf_init(&asking->who, WHO_BYTES_MAX);
    tly_buf_init(&asking->body, BODY_MAX);
    tly_http_query_each(request, "id[]", who_add, asking);
    TAILQ_INSERT_TAIL(&overview->waiting, asking, link);
    overview->waiting_count++;
    turn(overview);
}

void tly_web_overview_handle(void *self, struct tly_http_request *request)
{
    struct tly_web *web = self;
    ask(web, request, false);
    if (web->page.look != NULL) {
        web->page.look(web->page.look_arg);
    }
}

void tly_web_history_handle(void *self, struct tly_http_request *request)
{
    ask(self, request, true);
}
