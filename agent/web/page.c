/*
 * The server's own pages: the status page (dashboards/status), and the two questions that
 * supervisors ask. Handlers' `self` is the server.
 */
#include "agent/codec/accept.h"
#include "agent/web/assets.h"
#include "agent/web/server.h"

#include <errno.h>
#include <string.h>

#define PAGE_MAX  (64U << 10)
#define ASSET_MAX (512U << 10)

#define TEXT_PLAIN "text/plain; charset=utf-8"

/* The page runs its own script and no other, asks this server alone, and is shown in no frame. */
#define CONTENT_SECURITY_POLICY                                                                    \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for "      \
    "'script'"

void tly_web_refuse(struct tly_http_request *request, unsigned status, const char *text)
{
    struct tly_buf body;
    tly_buf_init(&body, PAGE_MAX);
    if (tly_buf_append_text(&body, tly_text_of(text)) < 0) {
        tly_buf_clear(&body); /* the status alone has to do */
    }
    tly_http_answer(request, status, TEXT_PLAIN, &body);
    tly_buf_done(&body);
}

static void page_answer(struct tly_http_request *request, const char *content_type, int rc,
                        struct tly_buf *body)
{
    if (rc < 0) {
        tly_web_refuse(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory for this page\n");
    } else {
        tly_http_answer(request, MHD_HTTP_OK, content_type, body);
    }
    tly_buf_done(body);
}

static void healthy_handle(void *self, struct tly_http_request *request)
{
    (void)self;
    struct tly_buf body;
    tly_buf_init(&body, PAGE_MAX);
    page_answer(request, TEXT_PLAIN, tly_buf_printf(&body, "healthy\n"), &body);
}

static void ready_handle(void *self, struct tly_http_request *request)
{
    const struct tly_web *web = self;
    struct tly_buf missing;
    tly_buf_init(&missing, PAGE_MAX);
    struct tly_buf body;
    tly_buf_init(&body, PAGE_MAX);
    if (web->ready == NULL || web->ready(web->ready_arg, &missing)) {
        page_answer(request, TEXT_PLAIN, tly_buf_printf(&body, "ready\n"), &body);
    } else {
        int rc = tly_buf_printf(&body, "not ready\n");
        if (rc < 0 || tly_buf_append_text(&body, tly_buf_text(&missing)) < 0) {
            tly_buf_clear(&body); /* the status alone has to do */
        }
        tly_http_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE, TEXT_PLAIN, &body);
        tly_buf_done(&body);
    }
    tly_buf_done(&missing);
}

/* ---- the status page ---- */

/* The client's copy is as good as ours, or ours, compressed where it may be. */
static void asset_answer(const struct tly_web_asset *asset, struct tly_http_request *request)
{
    struct tly_text known = tly_http_header(request, "If-None-Match");
    bool same = known.len > 0 && memmem(known.at, known.len, asset->tag, strlen(asset->tag));
    bool gzip = tly_accept_gzip(tly_http_header(request, "Accept-Encoding"));
    const char *const headers[][2] = {
        {"Content-Security-Policy", CONTENT_SECURITY_POLICY},
        {"Referrer-Policy", "no-referrer"},
        {"Cache-Control", "no-cache"},
        {"ETag", asset->tag},
        {"Vary", "Accept-Encoding"},
        {"Content-Encoding", gzip && !same ? "gzip" : NULL},
    };
    struct tly_buf body;
    tly_buf_init(&body, ASSET_MAX);
    int rc = same ? 0 : tly_buf_append_text(&body, gzip ? asset->gzip : asset->plain);
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]) && rc == 0; i++) {
        if (headers[i][1] != NULL) {
            rc = tly_http_answer_header(request, headers[i][0], headers[i][1]);
        }
    }
    if (rc == 0 && same) {
        tly_http_answer(request, MHD_HTTP_NOT_MODIFIED, NULL, NULL);
    } else {
        page_answer(request, asset->type, rc, &body);
    }
    tly_buf_done(&body);
}

static void status_handle(void *self, struct tly_http_request *request)
{
    (void)self;
    struct tly_text path = tly_http_path(request);
    const struct tly_web_asset *asset = tly_web_assets;
    while (asset->path != NULL && !tly_text_equal(tly_text_of(asset->path), path)) {
        asset++;
    }
    if (asset->path != NULL) {
        asset_answer(asset, request);
    } else {
        tly_web_refuse(request, MHD_HTTP_NOT_FOUND, "no such page\n"); /* never: see the routes */
    }
}

const struct tly_route tly_web_pages[] = {
    {.path = "/", .handle = status_handle},
    {.path = "/status.css", .handle = status_handle},
    {.path = "/status.js", .handle = status_handle},
    {.path = "/api/v1/overview",
     .handle = tly_web_overview_handle,
     .title = "What this page shows, as JSON"},
    {.path = "/api/v1/history", .handle = tly_web_history_handle},
    {.path = "/api/v1/containers",
     .handle = tly_web_containers_handle,
     .title = "Containers with their numbers, as JSON"},
    {.path = "/-/healthy", .handle = healthy_handle, .title = "Health: that the agent is alive"},
    {.path = "/-/ready", .handle = ready_handle, .title = "Readiness: what the agent waits for"},
    {.path = NULL},
};
