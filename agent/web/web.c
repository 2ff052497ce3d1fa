/*
 * The server's life: made, given routes, started, stopped. The daemons run on the loop's thread:
 * their epoll descriptors are watched, and whenever that is ready, or a connection has been handed
 * to one, it works off what it can without waiting.
 */
#include "agent/web/web.h"

#include "agent/base/file.h"
#include "agent/web/server.h"
#include "agent/web/tls.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT 10191

/* Per connection, for the request's header and the answer's: a longer request gets 431 or 414. */
#define CONNECTION_BYTES (32U << 10)
/* Connections that are closing still count for the daemon, which must not refuse newcomers for
 * their sake. */
#define CLOSING_MAX 1024
/* Runs of the daemon in a row before the loop has its turn. */
#define RUNS_MAX 8

static const struct tly_web_limits default_limits = {
    .header_ms = 10000,
    .idle_ms = 120000,   /* longer than any usual scrape interval */
    .sending_ms = 60000, /* longer than any usual scrape time-out */
    .stalled_ms = 2000,
    .stop_ms = TLY_WEB_STOP_MS,
    .answer_bytes_max = 256U << 20,
};

static int64_t chosen(int64_t setting, int64_t fallback)
{
    return setting > 0 ? setting : fallback;
}

static void settings_take(struct tly_web *web, const struct tly_web_settings *settings)
{
    web->limits = default_limits;
    web->limits.header_ms = chosen(settings->header_ms, web->limits.header_ms);
    web->limits.idle_ms = chosen(settings->idle_ms, web->limits.idle_ms);
    web->limits.sending_ms = chosen(settings->sending_ms, web->limits.sending_ms);
    web->limits.answer_bytes_max = (size_t)chosen(settings->answer_bytes_max,
                                                  (int64_t)web->limits.answer_bytes_max);
    web->connections_max = (size_t)chosen(settings->connections_max, 1);
    web->header_bytes_max = (size_t)chosen(settings->header_bytes_max, CONNECTION_BYTES);
}

/* "systemd" or "systemd:NAME"; else an address. */
static int listener_parse(struct tly_web *web, const char *text, struct tly_error *err)
{
    static const char systemd[] = "systemd";
    struct tly_web_listener *listener = &web->listeners[web->listener_count++];
    *listener = (struct tly_web_listener){.web = web, .fd = -1};
    size_t len = strlen(systemd);
    if (strncmp(text, systemd, len) == 0 && (text[len] == '\0' || text[len] == ':')) {
        listener->inherited = true;
        const char *name = text[len] == ':' ? text + len + 1 : "";
        if (strlen(name) >= sizeof(listener->wanted)) {
            return tly_error_set(err, -ENAMETOOLONG, "web.listen: %.100s: the name is too long",
                                 text);
        }
        memcpy(listener->wanted, name, strlen(name) + 1);
        return 0;
    }
    int rc = tly_address_parse(tly_text_of(text), DEFAULT_PORT, &listener->address, err);
    if (rc < 0) {
        tly_error_prefix(err, "web.listen: %.100s", text);
    }
    return rc;
}

int tly_web_new(struct tly_loop *loop, const struct tly_web_settings *settings,
                struct tly_web **ret_web, struct tly_error *err)
{
    if (settings->listen.count > TLY_WEB_LISTENERS_MAX) {
        return tly_error_set(err, TLY_E_LIMIT, "web.listen: at most %d addresses",
                             TLY_WEB_LISTENERS_MAX);
    }
    struct tly_web *web = calloc(1, sizeof(*web));
    if (web == NULL) {
        return tly_error_set(err, -ENOMEM, "no memory for the web server");
    }
    web->loop = loop;
    settings_take(web, settings);
    TAILQ_INIT(&web->connections);
    TAILQ_INIT(&web->retired);
    web->peers = tly_map_new();
    int rc = web->peers == NULL ? -ENOMEM : tly_web_auth_new(loop, &web->auth);
    rc = rc < 0 ? rc : tly_web_api_new(&web->api);
    rc = rc < 0 ? rc : tly_web_overview_new(web, &web->overview);
    if (rc < 0) {
        (void)tly_error_set(err, rc, "no memory for the web server"); /* rc is returned below */
    }
    for (size_t i = 0; i < settings->listen.count && rc == 0; i++) {
        rc = listener_parse(web, settings->listen.at[i], err);
    }
    if (rc == 0 && settings->config_file != NULL) {
        rc = tly_web_policy_begin(web, settings->config_file, err);
    }
    for (const struct tly_route *page = tly_web_pages; page->path != NULL && rc == 0; page++) {
        rc = tly_web_add(web, page, web);
    }
    if (rc < 0) {
        tly_web_free(web);
        return rc;
    }
    *ret_web = web;
    return 0;
}

int tly_web_add(struct tly_web *web, const struct tly_route *route, void *self)
{
    for (size_t i = 0; i < web->route_count; i++) {
        bool same = strcmp(web->routes[i].route->path, route->path) == 0;
        if (same && web->routes[i].withdrawn) {
            web->routes[i].route = route;
            web->routes[i].self = self;
            web->routes[i].withdrawn = false;
            return 0;
        }
        if (same) {
            return -EEXIST;
        }
    }
    if (web->route_count == TLY_WEB_ROUTES_MAX) {
        return TLY_E_LIMIT;
    }
    web->routes[web->route_count].route = route;
    web->routes[web->route_count].self = self;
    web->route_count++;
    return 0;
}

void tly_web_withdraw(struct tly_web *web, const void *self)
{
    for (size_t i = 0; i < web->route_count; i++) {
        web->routes[i].withdrawn = web->routes[i].withdrawn || web->routes[i].self == self;
    }
}

void tly_web_set_ready(struct tly_web *web, bool (*ready)(void *arg, struct tly_buf *missing),
                       void *arg)
{
    web->ready = ready;
    web->ready_arg = arg;
}

void tly_web_set_snapshots(struct tly_web *web, struct tly_snapshot *(*take)(void *arg), void *arg)
{
    web->snapshot_take = take;
    web->snapshot_arg = arg;
}

void tly_web_set_page(struct tly_web *web, const struct tly_web_page *page)
{
    web->page = *page;
    tly_web_overview_start(web->overview, page->interval_ms);
}

uint16_t tly_web_port(const struct tly_web *web, size_t listener)
{
    return listener < web->listener_count ? web->listeners[listener].port : 0;
}

/* ---- the daemon on the loop ---- */

/* False: there is nothing to do until its descriptor is ready. */
static bool daemon_run(struct MHD_Daemon *mhd)
{
    for (int i = 0; i < RUNS_MAX; i++) {
        (void)MHD_run(mhd); /* MHD_NO only for a daemon with threads, or stopped */
        MHD_UNSIGNED_LONG_LONG wait_ms;
        if (MHD_get_timeout(mhd, &wait_ms) != MHD_YES) {
            return false;
        }
    }
    return true;
}

void tly_web_run(struct tly_web *web)
{
    bool more = false;
    for (int i = 0; i < TLY_WEB_DAEMONS; i++) {
        if (web->daemons[i].mhd != NULL) {
            more = daemon_run(web->daemons[i].mhd) || more;
        }
    }
    tly_web_bury(web);
    if (more) {
        tly_timer_start(web->run_timer, 0, 0);
    }
}

static void run_due(void *arg)
{
    tly_web_run(arg);
}

static void daemon_ready(void *arg, int error, int events)
{
    (void)error; /* the daemon finds out itself */
    (void)events;
    tly_web_run(arg);
}

static void sweep_due(void *arg)
{
    tly_web_sweep(arg);
}

static void listener_ready(void *arg, int error, int events)
{
    (void)error; /* accept says it too */
    (void)events;
    tly_web_accept(arg);
}

static int listeners_poll(struct tly_web *web)
{
    for (size_t i = 0; i < web->listener_count; i++) {
        int rc = tly_poll_start(web->listeners[i].poll, TLY_READABLE);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* The pause after a lack of descriptors is over. */
static void accept_due(void *arg)
{
    struct tly_web *web = arg;
    int rc = listeners_poll(web);
    if (rc < 0) {
        tly_log_error("web", "can't watch the listening sockets: %s; trying again in a second",
                      tly_error_name(rc));
        tly_timer_start(web->accept_timer, 1000, 0);
    }
}

/* What the daemon has to say concerns single connections: for debugging. */
static void daemon_log(void *arg, const char *format, va_list args) TLY_PRINTF(2, 0);

static void daemon_log(void *arg, const char *format, va_list args)
{
    (void)arg;
    if (tly_log_get_level() > TLY_LOG_DEBUG) {
        return;
    }
    char text[256];
    int len = vsnprintf(text, sizeof(text), format, args);
    if (len > 0) {
        struct tly_text line = tly_text_trim(tly_text_of(text));
        tly_log_debug("web", "libmicrohttpd: %.*s", (int)line.len, line.at);
    }
}

/* ---- start ---- */

static void stop_due(void *arg);
static void stopped_due(void *arg);

/* Gives everything back that start took; what is not there is left out. */
static void close_all(struct tly_web *web)
{
    for (size_t i = 0; i < web->listener_count; i++) {
        tly_web_unlisten(&web->listeners[i]);
    }
    tly_timer_free(web->run_timer);
    tly_timer_free(web->sweep_timer);
    tly_timer_free(web->accept_timer);
    tly_timer_free(web->stop_timer);
    tly_defer_free(web->stopped_defer);
    web->run_timer = NULL;
    web->sweep_timer = NULL;
    web->accept_timer = NULL;
    web->stop_timer = NULL;
    web->stopped_defer = NULL;
    for (int i = 0; i < TLY_WEB_DAEMONS; i++) {
        tly_poll_free(web->daemons[i].poll);
        web->daemons[i].poll = NULL;
        if (web->daemons[i].mhd != NULL) {
            MHD_stop_daemon(web->daemons[i].mhd);
            web->daemons[i].mhd = NULL;
        }
    }
    tly_web_bury(web);
}

/* Never called with effect: each session gets its certificates before its handshake. It is here,
 * because the daemon wants to know where they come from. */
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int count,
                          const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                          gnutls_pcert_st **ret_chain, unsigned *ret_count,
                          gnutls_privkey_t *ret_key)
{
    (void)session;
    (void)authorities;
    (void)count;
    (void)algorithms;
    (void)algorithm_count;
    (void)ret_chain;
    (void)ret_count;
    (void)ret_key;
    return -1;
}

int tly_web_daemon_start(struct tly_web *web, int which)
{
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_USE_ERROR_LOG;
    union { /* the array takes a function for a pointer */
        gnutls_certificate_retrieve_function2 *function;
        void *pointer;
    } callback = {.function = no_certificate};
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, callback.pointer},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_Daemon *mhd = MHD_start_daemon(
        which == TLY_WEB_TLS ? flags | MHD_USE_TLS : flags, 0, NULL, NULL, tly_web_handle, web,
        MHD_OPTION_EXTERNAL_LOGGER, daemon_log, NULL, MHD_OPTION_NOTIFY_CONNECTION,
        tly_web_notify_connection, web, MHD_OPTION_NOTIFY_COMPLETED, tly_web_notify_completed, web,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)web->connections_max + CLOSING_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, web->header_bytes_max, MHD_OPTION_CONNECTION_TIMEOUT,
        0U, MHD_OPTION_ARRAY, which == TLY_WEB_TLS ? tls : &tls[1], MHD_OPTION_END);
    web->daemons[which].mhd = mhd;
    if (mhd == NULL) {
        return -ENOMEM;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(mhd, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL) {
        return -ENOTSUP;
    }
    int rc = tly_poll_new(web->loop, info->epoll_fd, daemon_ready, web, &web->daemons[which].poll);
    return rc < 0 ? rc : tly_poll_start(web->daemons[which].poll, TLY_READABLE);
}

static int handles_new(struct tly_web *web)
{
    int rc = tly_timer_new(web->loop, run_due, web, &web->run_timer);
    if (rc == 0) {
        rc = tly_timer_new(web->loop, sweep_due, web, &web->sweep_timer);
    }
    if (rc == 0) {
        rc = tly_timer_new(web->loop, accept_due, web, &web->accept_timer);
    }
    if (rc == 0) {
        rc = tly_timer_new(web->loop, stop_due, web, &web->stop_timer);
    }
    if (rc == 0) {
        rc = tly_defer_new(web->loop, stopped_due, web, &web->stopped_defer);
    }
    rc = rc < 0 ? rc : tly_web_daemon_start(web, TLY_WEB_PLAIN);
    if (rc == 0 && web->policy != NULL && web->policy->tls != NULL) {
        rc = tly_web_daemon_start(web, TLY_WEB_TLS);
    }
    return rc;
}

static int listener_start(struct tly_web_listener *listener, struct tly_error *err)
{
    int rc = 0;
    if (!listener->inherited) {
        rc = tly_web_listen(&listener->address, &listener->fd, &listener->port, err);
    }
    if (rc < 0) {
        tly_error_prefix(err, "web.listen");
        return rc;
    }
    rc = tly_poll_new(listener->web->loop, listener->fd, listener_ready, listener, &listener->poll);
    return rc < 0 ? tly_error_set(err, rc, "can't watch a listening socket: %s", tly_error_name(rc))
                  : 0;
}

static void listener_announce(const struct tly_web_listener *listener)
{
    struct tly_address address = listener->address;
    address.port = listener->port;
    char text[TLY_ADDRESS_TEXT_MAX];
    if (listener->inherited) {
        tly_web_socket_name(listener->fd, text);
    } else {
        tly_address_format(&address, text);
    }
    tly_log_info("web", "listening on %s%s", text, listener->inherited ? ", from systemd" : "");
}

int tly_web_start(struct tly_web *web, struct tly_error *err)
{
    int rc = handles_new(web);
    if (rc < 0) {
        rc = tly_error_set(err, rc, "can't start the web server: %s", tly_error_name(rc));
    }
    if (rc == 0) {
        rc = tly_web_inherit(web, err);
    }
    for (size_t i = 0; i < web->listener_count && rc == 0; i++) {
        rc = listener_start(&web->listeners[i], err);
    }
    if (rc == 0) {
        rc = listeners_poll(web);
        if (rc < 0) {
            rc = tly_error_set(err, rc, "can't watch the listening sockets: %s",
                               tly_error_name(rc));
        }
    }
    if (rc < 0) {
        close_all(web);
        return rc;
    }
    for (size_t i = 0; i < web->listener_count; i++) {
        listener_announce(&web->listeners[i]);
    }
    tly_web_warn_exposed(web);
    if (web->listener_count == 0) {
        tly_log_info("web", "web.listen is empty: nothing is served");
    }
    return 0;
}

/* ---- stop ---- */

/* Nothing is under way any more. */
static void stopped_due(void *arg)
{
    struct tly_web *web = arg;
    void (*stopped)(void *arg) = web->stopped;
    void *stopped_arg = web->stopped_arg;
    close_all(web);
    stopped(stopped_arg);
}

/* The time for requests under way has passed. */
static void stop_due(void *arg)
{
    struct tly_web *web = arg;
    struct tly_web_connection *at;
    TAILQ_FOREACH(at, &web->connections, link)
    {
        tly_web_connection_cut(at);
        if (at->phase == TLY_WEB_HANDLING) {
            tly_web_request_cut(at->request);
        }
    }
    tly_web_run(web);
}

void tly_web_stop(struct tly_web *web, void (*stopped)(void *arg), void *arg)
{
    web->stopping = true;
    web->stopped = stopped;
    web->stopped_arg = arg;
    tly_timer_stop(web->accept_timer);
    for (size_t i = 0; i < web->listener_count; i++) {
        tly_web_unlisten(&web->listeners[i]);
    }
    struct tly_web_connection *at;
    TAILQ_FOREACH(at, &web->connections, link)
    {
        if (at->phase == TLY_WEB_WAITING) {
            tly_web_connection_cut(at);
        }
    }
    tly_timer_start(web->stop_timer, web->limits.stop_ms, 0);
    if (TAILQ_EMPTY(&web->connections)) {
        tly_defer_call(web->stopped_defer);
    }
}

void tly_web_free(struct tly_web *web)
{
    if (web == NULL) {
        return;
    }
    close_all(web);
    tly_web_auth_free(web->auth);
    tly_web_api_unref(web->api);
    tly_web_overview_free(web->overview);
    tly_map_free(web->peers, free);
    tly_web_policy_unref(web->policy);
    free(web->policy_path);
    free(web);
}

/* ---- figures ---- */

/* Of the web configuration file; absent without one. */
static void policy_meter(const struct tly_web *web, struct tly_samples *samples)
{
    if (web->policy == NULL) {
        return;
    }
    tly_samples_add(samples, TLY_F_tallyman_http_config_last_reload_successful, TLY_DIM_NONE,
                    !web->policy_failed);
    tly_samples_add(samples, TLY_F_tallyman_http_config_last_reload_success_timestamp_seconds,
                    TLY_DIM_NONE, web->policy_loaded_s);
    tly_samples_add(samples, TLY_F_tallyman_http_config_reload_failures_total, TLY_DIM_NONE,
                    (int64_t)web->policy_failures);
    tly_samples_add(samples, TLY_F_tallyman_http_requests_denied_total, TLY_DIM_NONE,
                    (int64_t)web->denied);
    tly_samples_add(samples, TLY_F_tallyman_http_requests_limited_total, TLY_DIM_NONE,
                    (int64_t)web->limited);
    tly_samples_add(samples, TLY_F_tallyman_http_password_checks_pending, TLY_DIM_NONE,
                    (int64_t)tly_web_auth_pending(web->auth));
    tly_samples_add(samples, TLY_F_tallyman_http_password_checks_pending_max, TLY_DIM_NONE,
                    TLY_AUTH_QUEUE_MAX);
    int64_t expiry_s = web->policy->tls != NULL ? tly_web_tls_expiry_s(web->policy->tls) : 0;
    if (expiry_s > 0) {
        tly_samples_add(samples, TLY_F_tallyman_http_certificate_expiry_timestamp_seconds,
                        TLY_DIM_NONE, expiry_s);
    }
}

void tly_web_meter(void *arg, struct tly_samples *samples)
{
    static const char *const cuts[TLY_WEB_CUT_COUNT] = {
        [TLY_WEB_CUT_LIMIT] = "limit", [TLY_WEB_CUT_SLOW] = "slow", [TLY_WEB_CUT_IDLE] = "idle"};
    const struct tly_web *web = arg;
    tly_samples_add(samples, TLY_F_tallyman_http_connections, TLY_DIM_NONE, (int64_t)web->live);
    tly_samples_add(samples, TLY_F_tallyman_http_connections_max, TLY_DIM_NONE,
                    (int64_t)web->connections_max);
    tly_samples_add(samples, TLY_F_tallyman_http_connections_accepted_total, TLY_DIM_NONE,
                    (int64_t)web->accepted);
    tly_samples_add(samples, TLY_F_tallyman_http_connections_refused_total, TLY_DIM_NONE,
                    (int64_t)web->refused);
    tly_samples_add(samples, TLY_F_tallyman_http_connections_broken_total, TLY_DIM_NONE,
                    (int64_t)web->broken);
    tly_samples_add(samples, TLY_F_tallyman_http_answers_bytes, TLY_DIM_NONE,
                    (int64_t)web->answer_bytes);
    tly_samples_add(samples, TLY_F_tallyman_http_answers_max_bytes, TLY_DIM_NONE,
                    (int64_t)web->limits.answer_bytes_max);
    tly_samples_add(samples, TLY_F_tallyman_http_header_max_bytes, TLY_DIM_NONE,
                    (int64_t)web->header_bytes_max);
    policy_meter(web, samples);
    for (size_t i = 0; i < TLY_WEB_CUT_COUNT; i++) {
        tly_samples_add(samples, TLY_F_tallyman_http_connections_cut_total,
                        tly_samples_dim1(samples, "reason", tly_text_of(cuts[i])),
                        (int64_t)web->cut[i]);
    }
    for (size_t i = 0; i < TLY_WEB_CODES; i++) {
        char code[8];
        (void)snprintf(code, sizeof(code), "%u", tly_web_codes[i]); /* three digits */
        tly_samples_add(
            samples, TLY_F_tallyman_http_requests_total,
            tly_samples_dim1(samples, "code", tly_text_of(tly_web_codes[i] == 0 ? "other" : code)),
            (int64_t)web->answered[i]);
    }
}
