/*
 * The server's own pages: the landing page with a link to each titled route, and the two questions
 * that supervisors ask. Handlers' `self` is the server.
 */
#include "agent/web/server.h"

#include <errno.h>

#define PAGE_MAX (64U << 10)

#define TEXT_PLAIN "text/plain; charset=utf-8"
#define TEXT_HTML  "text/html; charset=utf-8"

/* The page is plain HTML: it loads nothing, runs nothing and is shown in no frame. */
#define CONTENT_SECURITY_POLICY                                                                    \
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

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

static int html_append(struct tly_buf *body, const char *text)
{
    int rc = 0;
    for (; *text != '\0' && rc == 0; text++) {
        switch (*text) {
        case '&':
            rc = tly_buf_append(body, "&amp;", 5);
            break;
        case '<':
            rc = tly_buf_append(body, "&lt;", 4);
            break;
        case '"':
            rc = tly_buf_append(body, "&quot;", 6);
            break;
        default:
            rc = tly_buf_append(body, text, 1);
        }
    }
    return rc;
}

static int link_append(struct tly_buf *body, const struct tly_route *route)
{
    int rc = tly_buf_printf(body, "<li><a href=\"");
    rc = rc < 0 ? rc : html_append(body, route->path);
    rc = rc < 0 ? rc : tly_buf_printf(body, "\">");
    rc = rc < 0 ? rc : html_append(body, route->title);
    return rc < 0 ? rc : tly_buf_printf(body, "</a></li>\n");
}

static int landing_write(const struct tly_web *web, struct tly_buf *body)
{
    int rc = tly_buf_printf(body, "<!DOCTYPE html>\n"
                                  "<html lang=\"en\">\n"
                                  "<head>\n"
                                  "<meta charset=\"utf-8\">\n"
                                  "<meta name=\"viewport\" content=\"width=device-width\">\n"
                                  "<meta name=\"color-scheme\" content=\"light dark\">\n"
                                  "<title>Tallyman</title>\n"
                                  "</head>\n"
                                  "<body>\n"
                                  "<h1>Tallyman</h1>\n"
                                  "<p>Version " TLY_VERSION
                                  ". Counts what every container on this host uses, notes "
                                  "its condition and forwards its log.</p>\n"
                                  "<ul>\n");
    for (size_t i = 0; i < web->route_count && rc == 0; i++) {
        if (web->routes[i].route->title != NULL) {
            rc = link_append(body, web->routes[i].route);
        }
    }
    return rc < 0 ? rc : tly_buf_printf(body, "</ul>\n</body>\n</html>\n");
}

static void landing_handle(void *self, struct tly_http_request *request)
{
    struct tly_buf body;
    tly_buf_init(&body, PAGE_MAX);
    int rc = landing_write(self, &body);
    if (rc == 0) {
        rc = tly_http_answer_header(request, "Content-Security-Policy", CONTENT_SECURITY_POLICY);
    }
    if (rc == 0) {
        rc = tly_http_answer_header(request, "Referrer-Policy", "no-referrer");
    }
    page_answer(request, TEXT_HTML, rc, &body);
}

const struct tly_route tly_web_pages[] = {
    {.path = "/", .handle = landing_handle},
    {.path = "/api/v1/containers",
     .handle = tly_web_containers_handle,
     .title = "Containers with their numbers, as JSON"},
    {.path = "/-/healthy", .handle = healthy_handle, .title = "Health: that the agent is alive"},
    {.path = "/-/ready", .handle = ready_handle, .title = "Readiness: what the agent waits for"},
    {.path = NULL},
};
