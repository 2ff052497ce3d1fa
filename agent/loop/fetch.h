/*
 * HTTP requests on the loop, over libcurl's multi interface: the Docker API on its Unix socket or
 * TCP with TLS, and Alertmanager. Nothing here blocks; name resolution runs on curl's own thread.
 */
#ifndef TLY_LOOP_FETCH_H
#define TLY_LOOP_FETCH_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

/* Where a family of requests goes. Strings are copied. */
struct tly_endpoint {
    const char *base_url;    /* "http://docker" or "https://host:2376"; no slash at the end */
    const char *unix_socket; /* path, or NULL */
    const char *ca_file, *cert_file, *key_file; /* PEM, or NULL */
    bool any_name;                              /* the certificate may bear any name */
    const char *basic_auth;                     /* "user:password", or NULL */
    const char *bearer;                         /* token, or NULL */
};

struct tly_fetcher;
/*
 * The first one of the process loads libcurl: -ELIBACC where it is not installed, and `err` names
 * its packages. -ENOMEM; -ENOTSUP for a libcurl that lacks what is needed of it.
 */
int tly_fetcher_new(struct tly_loop *loop, const struct tly_endpoint *endpoint,
                    struct tly_fetcher **ret_fetcher, struct tly_error *err) TLY_CHECK;
/* Cancels every request under way without calling back. */
void tly_fetcher_free(struct tly_fetcher *fetcher);

struct tly_response {
    int code;             /* 0, or negative: no (whole) reply; `error` says why */
    long status;          /* HTTP status, 0 if none came */
    struct tly_text body; /* borrowed until the callback returns; what did not go to `chunk` */
    const char *error;    /* for a person, never NULL */
    struct tly_text content_type;
    struct tly_text api_version; /* the header Api-Version, or empty */
};

struct tly_request_spec {
    const char *path;      /* with query, below the base URL; copied */
    const char *post_body; /* NULL: GET. The Docker collector never sets it. Copied. */
    int64_t timeout_ms;    /* for the whole request; 0: none, as for an endless stream */
    size_t body_max;       /* a longer reply ends in TLY_E_LIMIT */
    /* If set, bytes of a 2xx reply come here as they arrive and are not kept. */
    void (*chunk)(void *arg, struct tly_text bytes);
    /* If set: the status line and headers of a 2xx reply have arrived (an event stream stands). */
    void (*opened)(void *arg);
    void (*done)(void *arg, const struct tly_response *response);
    void *arg;
};

struct tly_fetch; /* one request under way; gone when `done` was called */
/* Starts it; `done` comes later exactly once, unless it is cancelled. `ret_fetch` may be NULL. */
int tly_fetch_start(struct tly_fetcher *fetcher, const struct tly_request_spec *spec,
                    struct tly_fetch **ret_fetch) TLY_CHECK;
void tly_fetch_cancel(struct tly_fetch *fetch);

/*
 * No more bytes come to `chunk`, nor are they read from the peer, until `resume`: what curl holds
 * meanwhile is one buffer of some 16 KiB. Also from inside `chunk`, whose bytes count as taken.
 * `done` may come all the same, when the connection breaks.
 */
void tly_fetch_pause(struct tly_fetch *fetch);
void tly_fetch_resume(struct tly_fetch *fetch); /* bytes come in a later turn of the loop */

#endif
