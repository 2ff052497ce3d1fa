/*
 * Private to fetch.c, which drives curl, and fetch_request.c, which sets a request up and takes in
 * what arrives for it.
 */
#ifndef TLY_LOOP_FETCH_STATE_H
#define TLY_LOOP_FETCH_STATE_H

#include "agent/base/buf.h"
#include "agent/loop/fetch.h"
#include "agent/loop/fetch_library.h"

#define TLY_FETCH_HEADER_MAX 128 /* a longer value of a header that we read is as good as none */

struct tly_fetch {
    struct tly_fetcher *fetcher;
    struct tly_fetch *next, *previous;
    struct tly_request_spec spec; /* path and post_body are curl's copies, not kept here */
    CURL *easy;
    struct curl_slist *headers;
    struct tly_buf body;
    long status;
    bool added;     /* curl has it */
    bool unwatched; /* there was no memory to watch its socket: it would wait for ever */
    bool opened;    /* the headers of a 2xx reply are complete */
    bool cancelled; /* nobody waits any more */
    bool paused;    /* its owner wants no bytes */
    bool held;      /* curl was told so, and holds some */
    int code;       /* our own reason for ending it */
    char content_type[TLY_FETCH_HEADER_MAX];
    char api_version[TLY_FETCH_HEADER_MAX];
    char error[CURL_ERROR_SIZE];
};

struct tly_fetcher {
    struct tly_loop *loop;
    const struct tly_curl *curl;
    CURLM *multi;
    struct tly_timer *timer;
    struct tly_defer *defer;
    struct tly_fetch *fetches; /* all, newest first */
    unsigned busy;             /* depth of calls into curl and of its callbacks */
    bool freed;                /* to be released as soon as it is not busy */
    bool any_name;             /* the peer's certificate may bear any name */
    char *base_url, *unix_socket, *ca_file, *cert_file, *key_file, *basic_auth, *bearer;
};

/*
 * Sets `fetch->easy` up for `spec`. -ENOMEM; -ENOTSUP when this curl was built without what the
 * endpoint needs. The caller frees the request either way.
 */
int tly_fetch_prepare(struct tly_fetch *fetch, const struct tly_request_spec *spec) TLY_CHECK;

#endif
