/*
 * Requests: from the daemon to a route's handler and back. A request that is not answered at once
 * suspends its connection, and the answer resumes it. It has two owners, the daemon's connection
 * and the handler; whoever lets go last frees it, so that a client that left, or a server that
 * stopped, does the handler no harm.
 */
#include "agent/base/clock.h"
#include "agent/web/server.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_HEADERS_MAX 8

const unsigned tly_web_codes[TLY_WEB_CODES] = {200, 304, 400, 401, 404, 405, 429, 500, 503, 0};

struct answer_header {
    char *name, *value; /* owned */
};

struct tly_http_request {
    struct tly_web *web;
    struct MHD_Connection *mhd; /* NULL: the connection is gone, or was taken away */
    struct tly_web_connection *connection;
    const char *path; /* the daemon's, while `mhd` is there */
    struct answer_header headers[ANSWER_HEADERS_MAX];
    size_t header_count;
    bool dispatched; /* it was given to a handler, or waits for its password to be checked */
    bool suspended;
    bool answered;
    bool cut; /* the connection is to be closed without an answer */
    bool post;
    unsigned status;
    struct MHD_Response *response; /* answered, and not yet given to the daemon */
};

static void request_free(struct tly_http_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        free(request->headers[i].name);
        free(request->headers[i].value);
    }
    if (request->response != NULL) {
        MHD_destroy_response(request->response);
    }
    free(request);
}

/* ---- what handlers may ask ---- */

bool tly_http_is_post(const struct tly_http_request *request)
{
    return request->post;
}

static struct tly_text lookup(const struct tly_http_request *request, enum MHD_ValueKind kind,
                              const char *name)
{
    const char *value = NULL;
    size_t len = 0;
    if (request->mhd == NULL ||
        MHD_lookup_connection_value_n(request->mhd, kind, name, strlen(name), &value, &len) !=
            MHD_YES) {
        return (struct tly_text){NULL, 0};
    }
    return (struct tly_text){value, value == NULL ? 0 : len};
}

struct tly_text tly_http_path(const struct tly_http_request *request)
{
    return tly_text_of(request->mhd == NULL ? NULL : request->path);
}

struct tly_text tly_http_header(const struct tly_http_request *request, const char *name)
{
    return lookup(request, MHD_HEADER_KIND, name);
}

struct tly_text tly_http_query(const struct tly_http_request *request, const char *name)
{
    return lookup(request, MHD_GET_ARGUMENT_KIND, name);
}

struct each {
    struct tly_text name;
    void (*fn)(void *arg, struct tly_text value);
    void *arg;
};

static enum MHD_Result each_value(void *cls, enum MHD_ValueKind kind, const char *key,
                                  size_t key_size, const char *value, size_t value_size)
{
    (void)kind;
    const struct each *each = cls;
    if (tly_text_equal(each->name, (struct tly_text){key, key_size})) {
        each->fn(each->arg, (struct tly_text){value, value == NULL ? 0 : value_size});
    }
    return MHD_YES;
}

void tly_http_query_each(const struct tly_http_request *request, const char *name,
                         void (*fn)(void *arg, struct tly_text value), void *arg)
{
    struct each each = {.name = tly_text_of(name), .fn = fn, .arg = arg};
    if (request->mhd != NULL) {
        (void)MHD_get_connection_values_n(request->mhd, MHD_GET_ARGUMENT_KIND, each_value, &each);
    }
}

/* ---- answering ---- */

int tly_http_answer_header(struct tly_http_request *request, const char *name, const char *value)
{
    if (request->header_count == ANSWER_HEADERS_MAX) {
        return TLY_E_LIMIT;
    }
    struct answer_header header = {strdup(name), strdup(value)};
    if (header.name == NULL || header.value == NULL) {
        free(header.name);
        free(header.value);
        return -ENOMEM;
    }
    request->headers[request->header_count++] = header;
    return 0;
}

/* The value that the web configuration file gives a header; NULL: none. */
static const char *policy_header(const struct tly_web_policy *policy, size_t which)
{
    const char *value = policy != NULL ? policy->http->headers.values[which] : NULL;
    return value != NULL && *value != '\0' ? value : NULL;
}

static bool policy_sets(const struct tly_web_policy *policy, const char *name)
{
    for (size_t i = 0; i < TLY_WEB_HEADERS; i++) {
        if (strcmp(tly_web_header_names[i], name) == 0) {
            return policy_header(policy, i) != NULL;
        }
    }
    return false;
}

static bool policy_headers_add(const struct tly_web_policy *policy, struct MHD_Response *response)
{
    static const char *const no_sniffing = "X-Content-Type-Options";
    bool ok = policy_sets(policy, no_sniffing) ||
              MHD_add_response_header(response, no_sniffing, "nosniff") == MHD_YES;
    for (size_t i = 0; i < TLY_WEB_HEADERS && ok; i++) {
        const char *value = policy_header(policy, i);
        ok = value == NULL ||
             MHD_add_response_header(response, tly_web_header_names[i], value) == MHD_YES;
    }
    return ok;
}

/* NULL when memory is out; the bytes are freed then. */
static struct MHD_Response *bytes_response(char *bytes, size_t len)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, bytes,
                                                                    MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(bytes);
    }
    return response;
}

/* False when memory is out. */
static bool headers_add(const struct tly_http_request *request, const char *content_type,
                        struct MHD_Response *response)
{
    const struct tly_web *web = request->web;
    bool ok = policy_headers_add(web->policy, response);
    if (content_type != NULL) {
        ok = ok && MHD_add_response_header(response, "Content-Type", content_type) == MHD_YES;
    }
    /* Who came under an older configuration is to come again under the new one. */
    if (web->stopping || request->connection->policy != web->policy) {
        ok = ok && MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    }
    for (size_t i = 0; i < request->header_count; i++) {
        const struct answer_header *header = &request->headers[i];
        ok = ok && (policy_sets(web->policy, header->name) ||
                    MHD_add_response_header(response, header->name, header->value) == MHD_YES);
    }
    return ok;
}

static void answer_count(struct tly_web *web, unsigned status)
{
    size_t i = 0;
    while (tly_web_codes[i] != 0 && tly_web_codes[i] != status) {
        i++;
    }
    web->answered[i]++;
}

/* Lets the daemon call tly_web_handle again in its next run, which it does not ask for itself. */
static void resume(struct tly_http_request *request)
{
    if (request->suspended) {
        request->suspended = false;
        MHD_resume_connection(request->mhd);
        tly_timer_start(request->web->run_timer, 0, 0);
    }
}

/* Lets the daemon send the response; NULL: memory is out, and the connection is closed. */
static void answer(struct tly_http_request *request, unsigned status, const char *content_type,
                   struct MHD_Response *response, size_t len)
{
    struct tly_web *web = request->web;
    if (response != NULL && !headers_add(request, content_type, response)) {
        MHD_destroy_response(response);
        response = NULL;
    }
    request->status = status;
    request->response = response;
    if (response == NULL) {
        request->cut = true;
    } else {
        request->connection->answer_bytes = len;
        web->answer_bytes += len;
    }
    tly_web_connection_enter(request->connection, TLY_WEB_SENDING);
    resume(request);
}

static void answer_busy(struct tly_http_request *request)
{
    static const char busy[] = "too many answers are being sent\n";
    char *bytes = strdup(busy);
    size_t len = bytes == NULL ? 0 : strlen(busy);
    answer(request, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain; charset=utf-8",
           bytes_response(bytes, len), len);
}

void tly_http_answer(struct tly_http_request *request, unsigned status, const char *content_type,
                     struct tly_buf *body)
{
    assert(!request->answered);
    size_t len = 0;
    char *bytes = body == NULL ? NULL : tly_buf_take(body, &len);
    request->answered = true;
    if (request->mhd == NULL) {
        free(bytes);
        request_free(request);
    } else if (!tly_web_answer_fits(request->web, len)) {
        free(bytes);
        answer_busy(request);
    } else {
        answer(request, status, content_type, bytes_response(bytes, len), len);
    }
}

void tly_http_answer_from(struct tly_http_request *request, unsigned status,
                          const char *content_type, size_t len,
                          const struct tly_http_source *source)
{
    assert(!request->answered);
    request->answered = true;
    if (request->mhd == NULL) {
        source->done(source->arg);
        request_free(request);
    } else if (!tly_web_answer_fits(request->web, len)) {
        source->done(source->arg);
        answer_busy(request);
    } else {
        answer(request, status, content_type, tly_web_source_response(source, len), len);
    }
}

void tly_web_request_cut(struct tly_http_request *request)
{
    request->cut = true;
    resume(request);
}

/* ---- the daemon's side ---- */

static enum MHD_Result response_queue(struct tly_http_request *request)
{
    enum MHD_Result result = MHD_queue_response(request->mhd, request->status, request->response);
    MHD_destroy_response(request->response); /* the daemon has its own reference */
    request->response = NULL;
    answer_count(request->web, request->status);
    return result;
}

/* The index of the route of this path; one that ends in `*` stands for all below it. -1: none. */
static ssize_t route_find(const struct tly_web *web, struct tly_text path)
{
    ssize_t found = -1;
    size_t best = 0;
    for (size_t i = 0; i < web->route_count; i++) {
        struct tly_text pattern = tly_text_of(web->routes[i].route->path);
        bool prefix = tly_text_ends(pattern, TLY_TEXT("*"));
        pattern.len -= prefix ? 1 : 0;
        if (!prefix && tly_text_equal(path, pattern)) {
            return (ssize_t)i;
        }
        if (prefix && tly_text_starts(path, pattern) && pattern.len >= best) {
            found = (ssize_t)i;
            best = pattern.len;
        }
    }
    return found;
}

/* The header is whole: what can be refused without reading on is refused here. Answers from here
 * make the daemon close the connection, because it has not looked for a body yet. */
static void request_check(struct tly_http_request *request, const char *method)
{
    ssize_t found = route_find(request->web, tly_text_of(request->path));
    bool takes_post = found >= 0 && request->web->routes[found].route->post;
    request->post = takes_post && strcmp(method, "POST") == 0;
    if (!request->post && strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        if (tly_http_answer_header(request, "Allow", "GET, HEAD") < 0) {
            request->cut = true;
            return;
        }
        tly_web_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are understood\n");
        return;
    }
    struct tly_text length = tly_http_header(request, "Content-Length");
    struct tly_text encoding = tly_http_header(request, "Transfer-Encoding");
    /* Present is enough: a value of NULs looks empty here, and is a body to the daemon. */
    if ((length.at != NULL && !tly_text_equal(length, TLY_TEXT("0"))) || encoding.at != NULL) {
        tly_web_refuse(request, MHD_HTTP_BAD_REQUEST, "a request here has no body\n");
    }
}

/* The first call for a request. */
static struct tly_http_request *request_new(struct tly_web *web, struct MHD_Connection *mhd,
                                            const char *url)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct tly_http_request *request = calloc(1, sizeof(*request));
    if (request == NULL || info == NULL) {
        free(request);
        return NULL;
    }
    request->web = web;
    request->mhd = mhd;
    request->connection = info->socket_context;
    request->path = url;
    request->connection->request = request;
    return request;
}

static void request_dispatch(struct tly_web *web, struct tly_http_request *request)
{
    ssize_t found = route_find(web, tly_text_of(request->path));
    if (found < 0) {
        tly_web_refuse(request, MHD_HTTP_NOT_FOUND, "no such page; / lists what there is\n");
    } else if (web->routes[found].withdrawn) {
        tly_web_refuse(
            request, MHD_HTTP_SERVICE_UNAVAILABLE,
            "the agent is stopping, or beginning anew with another configuration; try again\n");
    } else {
        request->dispatched = true;
        tly_web_connection_enter(request->connection, TLY_WEB_HANDLING);
        web->routes[found].route->handle(web->routes[found].self, request);
    }
}

/* ---- who may come in ---- */

/* Takes one request off the limit; false where there is none left. As if each request took an
 * interval to serve, and `burst` of them could wait. */
static bool rate_take(struct tly_web *web)
{
    const struct tly_web_rate_settings *rate = web->policy->rate;
    int64_t now_ns = tly_clock_monotonic_ns();
    int64_t interval_ns = rate->interval_ms * TLY_NS_PER_MS;
    int64_t due_ns = web->rate_ns > now_ns ? web->rate_ns : now_ns;
    if (interval_ns > 0 && due_ns - now_ns > (rate->burst - 1) * interval_ns) {
        return false;
    }
    web->rate_ns = due_ns + interval_ns;
    return true;
}

static void refuse_with(struct tly_http_request *request, unsigned status, const char *name,
                        const char *value, const char *text)
{
    if (tly_http_answer_header(request, name, value) < 0) {
        status = MHD_HTTP_SERVICE_UNAVAILABLE; /* no memory for it */
    }
    tly_web_refuse(request, status, text);
}

static void deny(struct tly_web *web, struct tly_http_request *request)
{
    char peer[INET6_ADDRSTRLEN] = "a local client";
    uint64_t held;
    web->denied++;
    /* A first request without credentials is how browsers learn that they need some. */
    if (tly_http_header(request, "Authorization").at != NULL &&
        tly_log_limit_pass(&web->denials, tly_loop_now_ms(web->loop), &held)) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(
            request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        if (info != NULL && info->client_addr != NULL && info->client_addr->sa_family != AF_UNIX) {
            (void)getnameinfo(info->client_addr, sizeof(struct sockaddr_in6), peer, sizeof(peer),
                              NULL, 0, NI_NUMERICHOST); /* then "a local client" stays */
        }
        tly_log_warn("web", "refused a request from %s: no such user, or a wrong password%s", peer,
                     tly_log_held(held).text);
    }
    refuse_with(request, MHD_HTTP_UNAUTHORIZED, "WWW-Authenticate",
                "Basic realm=\"tallyman\", charset=\"UTF-8\"",
                "a name and a password are needed\n");
}

/* The password was looked at. */
static void request_decided(void *arg, bool ok)
{
    struct tly_http_request *request = arg;
    if (request->mhd == NULL) {
        request_free(request); /* the client has left */
        return;
    }
    request->dispatched = false;
    if (ok) {
        request_dispatch(request->web, request);
    } else {
        deny(request->web, request);
    }
}

/* Whether a connection from before a reload may still be judged by the new policy: passwords are
 * looked at for each request, but a handshake is over, and with it the question for certificates.
 */
static bool handshake_holds(const struct tly_web_policy *then, const struct tly_web_policy *now)
{
    return then == now || ((then->tls != NULL) == (now->tls != NULL) &&
                           now->tls_settings->client_auth == TLY_WEB_NO_CLIENT_CERT);
}

/* What stands before every route: the limit of requests, then who it is. */
static void request_admit(struct tly_web *web, struct tly_http_request *request)
{
    if (request->connection->closing) {
        request->cut = true; /* was sent behind an earlier one, and nobody will read the answer */
        return;
    }
    tly_web_policy_look(web);
    if (!handshake_holds(request->connection->policy, web->policy)) {
        request->cut = true; /* the client comes again, as after any idle connection's end */
        return;
    }
    if (web->policy != NULL && !rate_take(web)) {
        web->limited++;
        refuse_with(request, MHD_HTTP_TOO_MANY_REQUESTS, "Retry-After", "1",
                    "too many requests; rate_limit in the web configuration file says how many "
                    "there may be\n");
        return;
    }
    enum tly_web_verdict verdict = TLY_WEB_YES;
    if (web->policy != NULL && web->policy->users->count > 0) {
        const struct tly_web_peer *peer = &request->connection->peer;
        struct tly_text key = peer->family == AF_UNSPEC ? TLY_TEXT("") : tly_web_peer_key(peer);
        verdict = tly_web_auth_check(web->auth, web->policy, key,
                                     tly_http_header(request, "Authorization"), request_decided,
                                     request);
    }
    switch (verdict) {
    case TLY_WEB_YES:
        request_dispatch(web, request);
        break;
    case TLY_WEB_NO:
        deny(web, request);
        break;
    case TLY_WEB_LATER:
        request->dispatched = true;
        tly_web_connection_enter(request->connection, TLY_WEB_HANDLING);
        break;
    default:
        refuse_with(request, MHD_HTTP_SERVICE_UNAVAILABLE, "Retry-After", "1",
                    "too many passwords are being checked\n");
        break;
    }
}

enum MHD_Result tly_web_handle(void *cls, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **context)
{
    (void)version;
    (void)upload;
    struct tly_web *web = cls;
    struct tly_http_request *request = *context;
    bool first = request == NULL;
    if (first) {
        request = request_new(web, mhd, url);
        if (request == NULL) {
            return MHD_NO;
        }
        *context = request;
        request_check(request, method);
        if (!request->answered && !request->cut) {
            return MHD_YES; /* to be called again when the daemon has seen that no body comes */
        }
    } else if (!request->dispatched && !request->answered && !request->cut) {
        *upload_size = 0;
        request_admit(web, request);
    }
    if (request->cut) {
        return MHD_NO;
    }
    if (request->response != NULL) {
        return response_queue(request);
    }
    MHD_suspend_connection(mhd);
    request->suspended = true;
    return MHD_YES;
}

void tly_web_notify_completed(void *cls, struct MHD_Connection *mhd, void **context,
                              enum MHD_RequestTerminationCode code)
{
    (void)mhd;
    (void)code;
    struct tly_web *web = cls;
    struct tly_http_request *request = *context;
    if (request == NULL) {
        return;
    }
    *context = NULL;
    struct tly_web_connection *connection = request->connection;
    connection->request = NULL;
    web->answer_bytes -= connection->answer_bytes;
    connection->answer_bytes = 0;
    connection->served = true;
    tly_web_connection_enter(connection, TLY_WEB_WAITING);
    if (web->stopping || tly_web_client_is_done(connection)) {
        tly_web_connection_cut(connection);
    }
    request->mhd = NULL;
    request->connection = NULL;
    if (!request->dispatched || request->answered) {
        request_free(request);
    }
}
