/*
 * /api/v1/containers. The answer is written on a worker, from a snapshot that nobody changes; few
 * are under way at a time. A page that asks again sends the tag of what it has, and gets 304 as
 * long as nothing but the time has changed.
 */
#include "agent/base/clock.h"
#include "agent/codec/accept.h"
#include "agent/codec/gzip.h"
#include "agent/web/container_json.h"
#include "agent/web/server.h"
#include "agent/web/tag.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNDER_WAY_MAX 8
/* 10,000 containers with 80 samples of 100 bytes. */
#define BODY_MAX   (128U << 20)
#define GZIP_LEVEL 1

/* Outlives the server as long as a worker is busy. */
struct tly_web_api {
    unsigned refs;
    size_t under_way;
};

struct job {
    struct tly_web_api *api; /* a reference */
    struct tly_http_request *request;
    struct tly_snapshot *snapshot;
    struct tly_container_view view;
    char id[TLY_CONTAINER_ID_MAX + 1], name[256]; /* behind `view` */
    bool gzip;
    char known[256]; /* If-None-Match */

    /* The worker's. */
    struct tly_buf body;
    char tag[TLY_WEB_TAG_MAX];
    int rc;
};

int tly_web_api_new(struct tly_web_api **ret_api)
{
    struct tly_web_api *api = calloc(1, sizeof(*api));
    if (api == NULL) {
        return -ENOMEM;
    }
    api->refs = 1;
    *ret_api = api;
    return 0;
}

void tly_web_api_unref(struct tly_web_api *api)
{
    if (api != NULL && --api->refs == 0) {
        free(api);
    }
}

static void job_free(struct job *job)
{
    tly_snapshot_unref(job->snapshot);
    tly_buf_done(&job->body);
    job->api->under_way--;
    tly_web_api_unref(job->api);
    free(job);
}

/* ---- on a worker ---- */

static void work(void *arg)
{
    struct job *job = arg;
    int rc = tly_buf_printf(&job->body, "{\"time\":");
    char time[TLY_TIME_TEXT_MAX];
    tly_time_format(job->snapshot->taken_ns, time);
    rc = rc < 0 ? rc : tly_buf_printf(&job->body, "\"%s\",\n", time);
    size_t start = job->body.len;
    rc = rc < 0 ? rc : tly_container_json(job->snapshot, &job->view, &job->body);
    if (rc == 0) {
        struct tly_text all = tly_buf_text(&job->body);
        rc = tly_web_tag_make((struct tly_text){all.at + start, all.len - start}, job->tag);
    }
    rc = rc < 0 ? rc : tly_buf_printf(&job->body, "}\n");
    if (rc == 0 && job->gzip) {
        rc = tly_gzip_replace(&job->body, GZIP_LEVEL);
    }
    job->rc = rc;
}

/* ---- on the loop ---- */

static int headers_add(const struct job *job, bool body)
{
    int rc = tly_http_answer_header(job->request, "ETag", job->tag);
    rc = rc < 0 ? rc : tly_http_answer_header(job->request, "Cache-Control", "no-cache");
    rc = rc < 0 ? rc : tly_http_answer_header(job->request, "Vary", "Accept-Encoding");
    if (rc == 0 && body && job->gzip) {
        rc = tly_http_answer_header(job->request, "Content-Encoding", "gzip");
    }
    return rc;
}

static void done(void *arg)
{
    struct job *job = arg;
    bool same = strstr(job->known, job->tag) != NULL && job->rc == 0;
    if (job->rc == 0) {
        job->rc = headers_add(job, !same);
    }
    if (job->rc < 0) {
        tly_web_refuse(job->request, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for the answer\n");
    } else if (same) {
        tly_http_answer(job->request, MHD_HTTP_NOT_MODIFIED, NULL, NULL);
    } else {
        tly_http_answer(job->request, MHD_HTTP_OK, "application/json", &job->body);
    }
    job_free(job);
}

struct choice {
    struct tly_container_view *view;
    bool any, unknown;
};

static void metric_read(void *arg, struct tly_text name)
{
    struct choice *choice = arg;
    size_t i = 0;
    while (i < TLY_FAMILY_COUNT && !tly_text_equal(tly_text_of(tly_families[i].name), name)) {
        i++;
    }
    choice->any = true;
    choice->unknown = choice->unknown || i == TLY_FAMILY_COUNT;
    if (i < TLY_FAMILY_COUNT) {
        choice->view->shown[i] = true;
    }
}

/* Copies a header or argument that fits. */
static struct tly_text copy(char *to, size_t cap, struct tly_text text)
{
    size_t len = text.len < cap ? text.len : cap - 1;
    if (len > 0) {
        memcpy(to, text.at, len);
    }
    to[len] = '\0';
    return (struct tly_text){to, len};
}

/* False: a metric that there is not. */
static bool job_read(struct job *job)
{
    const struct tly_http_request *request = job->request;
    struct choice choice = {.view = &job->view};
    tly_http_query_each(request, "metric[]", metric_read, &choice);
    for (size_t i = 0; i < TLY_FAMILY_COUNT && !choice.any; i++) {
        job->view.shown[i] = true;
    }
    job->view.id = copy(job->id, sizeof(job->id), tly_http_query(request, "id"));
    job->view.name = copy(job->name, sizeof(job->name), tly_http_query(request, "name"));
    job->view.detail = tly_text_equal(tly_http_query(request, "detail"), TLY_TEXT("true"));
    (void)copy(job->known, sizeof(job->known), tly_http_header(request, "If-None-Match"));
    job->gzip = tly_accept_gzip(tly_http_header(request, "Accept-Encoding"));
    return !choice.unknown;
}

void tly_web_containers_handle(void *self, struct tly_http_request *request)
{
    struct tly_web *web = self;
    struct tly_web_api *api = web->api;
    struct job *job = NULL;
    if (web->snapshot_take != NULL && api->under_way < UNDER_WAY_MAX) {
        job = calloc(1, sizeof(*job));
    }
    if (job == NULL) {
        tly_web_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many requests at a time\n");
        return;
    }
    job->api = api;
    job->request = request;
    api->refs++;
    api->under_way++;
    tly_buf_init(&job->body, BODY_MAX);
    if (!job_read(job)) {
        tly_web_refuse(request, MHD_HTTP_BAD_REQUEST,
                       "metric[] names a metric that there is not; docs/metrics.md lists all\n");
        job_free(job);
        return;
    }
    job->snapshot = web->snapshot_take(web->snapshot_arg);
    if (job->snapshot == NULL || tly_worker_submit(web->loop, work, done, job) < 0) {
        tly_web_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for the answer\n");
        job_free(job);
    }
}
