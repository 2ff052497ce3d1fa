/*
 * HTTP over libcurl's multi interface, driven by the loop: curl says which sockets and which time
 * to wait for, the loop's polls and one timer call it back. Whoever called tly_fetcher_new owns the
 * fetcher; a request belongs to it from start until `done` was called.
 *
 * curl must not be re-entered from its own callbacks, which call ours: while it runs (`busy`),
 * starting, cancelling and freeing are only noted, and done afterwards in `settle`.
 */
#include "agent/loop/fetch.h"

#include "agent/loop/fetch_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Idle connections that are kept for the next request. */
#define IDLE_CONNECTIONS_MAX 16L

/* A socket that curl wants watched. */
struct watched {
    struct tly_fetcher *fetcher;
    struct tly_poll *poll;
    curl_socket_t fd;
};

/* ---- ends ---- */

static void fetch_free(struct tly_fetch *fetch)
{
    const struct tly_curl *curl = fetch->fetcher->curl;
    if (fetch->easy) {
        curl->easy_cleanup(fetch->easy);
    }
    curl->slist_free_all(fetch->headers);
    tly_buf_done(&fetch->body);
    free(fetch);
}

static void fetch_unlink(struct tly_fetch *fetch)
{
    struct tly_fetcher *fetcher = fetch->fetcher;
    if (fetch->previous) {
        fetch->previous->next = fetch->next;
    } else {
        fetcher->fetches = fetch->next;
    }
    if (fetch->next) {
        fetch->next->previous = fetch->previous;
    }
}

/* Takes the request from curl and from the list. Not while curl runs. */
static void fetch_detach(struct tly_fetch *fetch)
{
    const struct tly_fetcher *fetcher = fetch->fetcher;
    if (fetch->added) {
        (void)fetcher->curl->multi_remove_handle(fetcher->multi, fetch->easy); /* it is in there */
        fetch->added = false;
    }
    fetch_unlink(fetch);
}

static void wipe_free(char *secret)
{
    if (secret) {
        explicit_bzero(secret, strlen(secret));
        free(secret);
    }
}

static void fetcher_release(struct tly_fetcher *fetcher)
{
    /* curl's last callbacks come from here. */
    fetcher->busy++;
    while (fetcher->fetches) {
        struct tly_fetch *fetch = fetcher->fetches;
        fetch_detach(fetch);
        fetch_free(fetch);
    }
    if (fetcher->multi) {
        (void)fetcher->curl->multi_cleanup(fetcher->multi); /* no request is left in it */
    }
    tly_timer_free(fetcher->timer);
    tly_defer_free(fetcher->defer);
    free(fetcher->base_url);
    free(fetcher->unix_socket);
    free(fetcher->ca_file);
    free(fetcher->cert_file);
    free(fetcher->key_file);
    wipe_free(fetcher->basic_auth);
    wipe_free(fetcher->bearer);
    free(fetcher);
}

void tly_fetcher_free(struct tly_fetcher *fetcher)
{
    if (!fetcher) {
        return;
    }
    fetcher->freed = true;
    for (struct tly_fetch *fetch = fetcher->fetches; fetch; fetch = fetch->next) {
        fetch->cancelled = true;
    }
    if (fetcher->busy == 0) {
        fetcher_release(fetcher);
    }
}

/* ---- outcome ---- */

/* Why it could not connect; 0 if curl can't say, as where there was no descriptor for a socket. */
static int os_code(const struct tly_fetch *fetch)
{
    long os_errno = 0;
    /* It is then 0. */
    (void)TLY_CURL_CHECKED(fetch->fetcher->curl, easy_getinfo, fetch->easy, CURLINFO_OS_ERRNO,
                           &os_errno);
    return os_errno > 0 ? (int)-os_errno : 0;
}

/* What curl's result means in our codes. */
static int code_of(const struct tly_fetch *fetch, CURLcode result)
{
    if (fetch->code < 0) {
        return fetch->code;
    }
    switch (result) {
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return TLY_E_TIMEOUT;
    case CURLE_COULDNT_CONNECT:
        return os_code(fetch) < 0 ? os_code(fetch) : -EIO;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return -EHOSTUNREACH;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return TLY_E_CLOSED;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return TLY_E_REFUSED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return TLY_E_MALFORMED;
    default:
        return -EIO;
    }
}

static void say_why(const struct tly_fetch *fetch, CURLcode result, int code,
                    char to[TLY_ERROR_TEXT_MAX])
{
    const struct tly_fetcher *fetcher = fetch->fetcher;
    const char *text = fetch->error[0] ? fetch->error : fetcher->curl->easy_strerror(result);
    if (code == 0) {
        to[0] = '\0';
    } else if (code == TLY_E_LIMIT) {
        (void)snprintf(to, TLY_ERROR_TEXT_MAX, "the reply is longer than %zu bytes",
                       fetch->spec.body_max);     /* cut to fit, like the others */
    } else if (result == CURLE_COULDNT_CONNECT) { /* whom it asked the caller says */
        (void)snprintf(
            to, TLY_ERROR_TEXT_MAX, "%s%s%s", fetcher->unix_socket ? fetcher->unix_socket : "",
            fetcher->unix_socket ? ": " : "", os_code(fetch) < 0 ? tly_error_name(code) : text);
    } else {
        (void)snprintf(to, TLY_ERROR_TEXT_MAX, "%s", text);
    }
}

/* The request is over: tells its owner and frees it. It is in no list any more. */
static void fetch_finish(struct tly_fetch *fetch, CURLcode result)
{
    char why[TLY_ERROR_TEXT_MAX];
    int code = code_of(fetch, result);
    if (!fetch->cancelled) {
        say_why(fetch, result, code, why);
        struct tly_response response = {
            .code = code,
            .status = fetch->status,
            .body = tly_buf_text(&fetch->body),
            .error = why,
            .content_type = tly_text_of(fetch->content_type),
            .api_version = tly_text_of(fetch->api_version),
        };
        fetch->spec.done(fetch->spec.arg, &response);
    }
    fetch_free(fetch);
}

/* ---- driving curl ---- */

static void take_finished(struct tly_fetcher *fetcher)
{
    const struct tly_curl *curl = fetcher->curl;
    int left = 0;
    for (CURLMsg *message = NULL; (message = curl->multi_info_read(fetcher->multi, &left));) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode result = message->data.result; /* the message goes with the handle */
        struct tly_fetch *fetch = NULL;
        /* We set it. */
        (void)TLY_CURL_CHECKED(curl, easy_getinfo, message->easy_handle, CURLINFO_PRIVATE, &fetch);
        fetch_detach(fetch);
        fetch_finish(fetch, result);
    }
}

/* Lets curl hand on what it held, from inside this call, and go on reading. */
static void unhold(struct tly_fetch *fetch)
{
    fetch->held = false;
    /* Fails only for want of memory; then the connection ends, which take_finished sees. */
    (void)fetch->fetcher->curl->easy_pause(fetch->easy, CURLPAUSE_CONT);
}

/* Does what was only noted while curl ran. */
static void settle(struct tly_fetcher *fetcher)
{
    for (struct tly_fetch *fetch = fetcher->fetches; fetch; fetch = fetch->next) {
        if (fetch->held && !fetch->paused && !fetch->cancelled && fetch->added) {
            unhold(fetch);
        }
    }
    for (struct tly_fetch *fetch = fetcher->fetches, *next = NULL; fetch; fetch = next) {
        next = fetch->next;
        if (fetch->cancelled) {
            fetch_detach(fetch);
            fetch_free(fetch);
        } else if (!fetch->added) {
            /* Fails for want of memory only; the timer that curl sets now carries it on. */
            if (fetcher->curl->multi_add_handle(fetcher->multi, fetch->easy) == CURLM_OK) {
                fetch->added = true;
            } else {
                fetch_detach(fetch);
                fetch_finish(fetch, CURLE_OUT_OF_MEMORY);
                next = fetcher->fetches; /* its owner may have changed the list */
            }
        } else if (fetch->unwatched) {
            fetch_detach(fetch);
            fetch_finish(fetch, CURLE_OUT_OF_MEMORY);
            next = fetcher->fetches;
        }
    }
}

static void drive(struct tly_fetcher *fetcher, curl_socket_t fd, int flags)
{
    int running = 0;
    fetcher->busy++;
    /* What fails, fails per request, and take_finished reads it. */
    (void)fetcher->curl->multi_socket_action(fetcher->multi, fd, flags, &running);
    take_finished(fetcher);
    settle(fetcher);
    fetcher->busy--;
    if (fetcher->busy == 0 && fetcher->freed) {
        fetcher_release(fetcher);
    }
}

static void timer_due(void *arg)
{
    drive(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* The next turn after a start or a cancel. */
static void turn_due(void *arg)
{
    struct tly_fetcher *fetcher = arg;
    fetcher->busy++;
    settle(fetcher);
    fetcher->busy--;
    if (fetcher->busy == 0 && fetcher->freed) {
        fetcher_release(fetcher);
    }
}

static void socket_ready(void *arg, int error, int events)
{
    struct watched *watched = arg;
    int flags = (error < 0 ? CURL_CSELECT_ERR : 0) | (events & TLY_READABLE ? CURL_CSELECT_IN : 0) |
                (events & TLY_WRITABLE ? CURL_CSELECT_OUT : 0);
    drive(watched->fetcher, watched->fd, flags);
}

/* curl wants to know when its timer is due. CURLMOPT_TIMERFUNCTION. */
static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct tly_fetcher *fetcher = arg;
    (void)multi;
    if (timeout_ms < 0) {
        tly_timer_stop(fetcher->timer);
    } else {
        tly_timer_start(fetcher->timer, timeout_ms, 0);
    }
    return 0;
}

/* NULL when memory is out. */
static struct watched *watch_new(struct tly_fetcher *fetcher, curl_socket_t fd)
{
    struct watched *watched = calloc(1, sizeof(*watched));
    if (!watched) {
        return NULL;
    }
    *watched = (struct watched){.fetcher = fetcher, .fd = fd};
    if (tly_poll_new(fetcher->loop, fd, socket_ready, watched, &watched->poll) < 0) {
        free(watched);
        return NULL;
    }
    (void)fetcher->curl->multi_assign(fetcher->multi, fd, watched); /* the socket is known */
    return watched;
}

/* The request ends once curl has returned. To tell curl would be worse: it then takes no request at
 * all until none is left (and 7.88 falls over those). */
static void give_up(struct tly_fetcher *fetcher, CURL *easy)
{
    struct tly_fetch *fetch = NULL;
    if (TLY_CURL_CHECKED(fetcher->curl, easy_getinfo, easy, CURLINFO_PRIVATE, &fetch) == CURLE_OK &&
        fetch) {
        fetch->unwatched = true;
        tly_defer_call(fetcher->defer);
    }
}

/* curl wants a socket watched, or no longer. CURLMOPT_SOCKETFUNCTION. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct tly_fetcher *fetcher = arg;
    struct watched *watched = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (watched) {
            tly_poll_free(watched->poll);
            free(watched);
            (void)fetcher->curl->multi_assign(fetcher->multi, fd, NULL); /* the socket is known */
        }
        return 0;
    }
    watched = watched ? watched : watch_new(fetcher, fd);
    int events = (what & CURL_POLL_IN ? TLY_READABLE : 0) |
                 (what & CURL_POLL_OUT ? TLY_WRITABLE : 0);
    if (!watched || tly_poll_start(watched->poll, events) < 0) {
        give_up(fetcher, easy);
    }
    return 0;
}

/* ---- making ---- */

int tly_fetch_start(struct tly_fetcher *fetcher, const struct tly_request_spec *spec,
                    struct tly_fetch **ret_fetch)
{
    struct tly_fetch *fetch = calloc(1, sizeof(*fetch));
    if (!fetch) {
        return -ENOMEM;
    }
    fetch->fetcher = fetcher;
    fetch->spec = *spec;
    fetch->spec.path = fetch->spec.post_body = NULL;
    tly_buf_init(&fetch->body, spec->body_max);
    int rc = tly_fetch_prepare(fetch, spec);
    if (rc < 0) {
        fetch_free(fetch);
        return rc;
    }
    fetch->next = fetcher->fetches;
    if (fetch->next) {
        fetch->next->previous = fetch;
    }
    fetcher->fetches = fetch;
    tly_defer_call(fetcher->defer);
    if (ret_fetch) {
        *ret_fetch = fetch;
    }
    return 0;
}

void tly_fetch_pause(struct tly_fetch *fetch)
{
    fetch->paused = true;
}

void tly_fetch_resume(struct tly_fetch *fetch)
{
    fetch->paused = false;
    if (fetch->held) {
        tly_defer_call(fetch->fetcher->defer);
    }
}

void tly_fetch_cancel(struct tly_fetch *fetch)
{
    if (!fetch) {
        return;
    }
    fetch->cancelled = true;
    if (fetch->fetcher->busy > 0) {
        tly_defer_call(fetch->fetcher->defer);
        return;
    }
    /* curl's callbacks may come from inside this, none of them ours. */
    fetch->fetcher->busy++;
    fetch_detach(fetch);
    fetch->fetcher->busy--;
    fetch_free(fetch);
}

static int copy(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -ENOMEM : 0;
}

static int fetcher_init(struct tly_fetcher *fetcher, const struct tly_endpoint *endpoint)
{
    const struct {
        char **to;
        const char *from;
    } strings[] = {
        {&fetcher->base_url, endpoint->base_url}, {&fetcher->unix_socket, endpoint->unix_socket},
        {&fetcher->ca_file, endpoint->ca_file},   {&fetcher->cert_file, endpoint->cert_file},
        {&fetcher->key_file, endpoint->key_file}, {&fetcher->basic_auth, endpoint->basic_auth},
        {&fetcher->bearer, endpoint->bearer},
    };
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        if (copy(strings[i].to, strings[i].from) < 0) {
            return -ENOMEM;
        }
    }
    fetcher->any_name = endpoint->any_name;
    int rc = tly_timer_new(fetcher->loop, timer_due, fetcher, &fetcher->timer);
    rc = rc < 0 ? rc : tly_defer_new(fetcher->loop, turn_due, fetcher, &fetcher->defer);
    if (rc < 0) {
        return rc;
    }
    const struct tly_curl *curl = fetcher->curl;
    fetcher->multi = curl->multi_init();
    if (!fetcher->multi) {
        return -ENOMEM;
    }
    CURLMcode set = curl->multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    set = set ? set : curl->multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
    set = set ? set : curl->multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    set = set ? set : curl->multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
    set = set ? set
              : curl->multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX);
    return set ? -ENOTSUP : 0;
}

int tly_fetcher_new(struct tly_loop *loop, const struct tly_endpoint *endpoint,
                    struct tly_fetcher **ret_fetcher, struct tly_error *err)
{
    const struct tly_curl *curl = NULL;
    int rc = tly_curl_load(&curl, err);
    if (rc < 0) {
        return rc;
    }
    struct tly_fetcher *fetcher = calloc(1, sizeof(*fetcher));
    if (!fetcher) {
        return tly_error_set(err, -ENOMEM, "out of memory for HTTP requests");
    }
    fetcher->curl = curl;
    fetcher->loop = loop;
    rc = fetcher_init(fetcher, endpoint);
    if (rc < 0) {
        fetcher_release(fetcher);
        return tly_error_set(err, rc, "no HTTP client: %s", tly_error_name(rc));
    }
    *ret_fetcher = fetcher;
    return 0;
}
