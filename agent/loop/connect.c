/*
 * How a stream comes to stand: the name is looked up on a worker, then the addresses are tried one
 * after the other, each for its share of the time that is left, until one answers. A literal
 * address needs no worker and so never waits behind a slow lookup. The state belongs to the stream
 * and goes with it.
 */
#include "agent/loop/stream_state.h"
#include "agent/loop/tls_session.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

/* Names with more addresses than this exist; that many dead ones in a row hardly do. */
#define CANDIDATES_MAX 16

struct tly_connect {
    struct tly_stream *stream; /* the owner of this */
    struct tly_address address;
    struct tly_timer *timer;
    int64_t deadline_ms;
    uv_getaddrinfo_t lookup; /* holds a reference to the stream while under way */
    bool looking_up;
    bool begun;         /* false: the timer is there to begin, in the first turn of the loop */
    bool shaking_hands; /* TCP stands, TLS does not yet */
    uv_connect_t request;
    union tly_sockaddr candidates[CANDIDATES_MAX];
    unsigned count;
    unsigned next; /* the candidate to try next */
    int error;     /* of the latest try */
};

static void try_next(struct tly_connect *connect);

void tly_connect_stop(struct tly_connect *connect)
{
    tly_timer_free(connect->timer);
    connect->timer = NULL;
    if (connect->looking_up) {
        (void)uv_cancel((uv_req_t *)&connect->lookup); /* or it runs on, and nobody listens */
    }
}

/* A try's handle is closed: only now may its memory serve the next one. */
static void try_closed(uv_handle_t *handle)
{
    struct tly_stream *stream = handle->data;
    if (stream->state == TLY_STREAM_CONNECTING) {
        try_next(stream->connect);
    }
    tly_stream_unref(stream);
}

static void try_failed(struct tly_connect *connect, int code)
{
    connect->error = code;
    tly_timer_stop(connect->timer);
    tly_stream_close_handle(connect->stream, try_closed);
}

/* Nothing is left to wait for: the owner gets the stream. */
static void stand(struct tly_stream *stream)
{
    tly_connect_stop(stream->connect);
    int rc = tly_stream_stand(stream);
    if (rc < 0) {
        tly_stream_end(stream, rc, "reading failed");
    } else if (stream->events.connected) {
        stream->events.connected(stream->arg);
    }
}

/* The peer that answered is the one, whatever comes of it: its handshake has all the time that is
 * left. */
static void shake_hands(struct tly_connect *connect)
{
    struct tly_stream *stream = connect->stream;
    int64_t left_ms = connect->deadline_ms - tly_loop_now_ms(stream->loop);
    connect->shaking_hands = true;
    tly_timer_start(connect->timer, left_ms > 0 ? left_ms : 0, 0);
    int rc = tly_tls_session_start(stream, connect->address.tls, connect->address.host, stand);
    if (rc < 0) {
        tly_stream_end(stream, rc, "the TLS handshake failed");
    }
}

static void try_done(uv_connect_t *request, int status)
{
    struct tly_connect *connect = request->data;
    struct tly_stream *stream = connect->stream;
    if (stream->state != TLY_STREAM_CONNECTING || !stream->handle_open) {
        return; /* closed meanwhile, which is why libuv calls */
    }
    if (status < 0) {
        try_failed(connect, status);
        return;
    }
    tly_stream_tune(stream);
    if (connect->address.tls) {
        shake_hands(connect);
    } else {
        stand(stream);
    }
}

static void try_next(struct tly_connect *connect)
{
    struct tly_stream *stream = connect->stream;
    bool is_unix = connect->address.path[0] != '\0';
    if (connect->next == connect->count) {
        tly_stream_end(stream, connect->error, "connecting failed");
        return;
    }
    int64_t left_ms = connect->deadline_ms - tly_loop_now_ms(stream->loop);
    if (left_ms <= 0) {
        tly_stream_end(stream, TLY_E_TIMEOUT, "connecting failed");
        return;
    }
    int rc = tly_stream_open_handle(stream, is_unix);
    if (rc < 0) {
        tly_stream_end(stream, rc, "connecting failed");
        return;
    }
    tly_timer_start(connect->timer, left_ms / (connect->count - connect->next), 0);
    const union tly_sockaddr *candidate = &connect->candidates[connect->next++];
    connect->request.data = connect;
    if (is_unix) {
        uv_pipe_connect(&connect->request, &stream->handle.pipe, connect->address.path, try_done);
        return;
    }
    rc = uv_tcp_connect(&connect->request, &stream->handle.tcp, &candidate->any, try_done);
    if (rc < 0) {
        try_failed(connect, rc);
    }
}

static void add_candidate(struct tly_connect *connect, const void *address, size_t len)
{
    if (connect->count < CANDIDATES_MAX && len <= sizeof(union tly_sockaddr)) {
        memcpy(&connect->candidates[connect->count++], address, len);
    }
}

static void looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *list)
{
    struct tly_connect *connect = lookup->data;
    struct tly_stream *stream = connect->stream;
    connect->looking_up = false;
    if (stream->state == TLY_STREAM_CONNECTING) {
        for (const struct addrinfo *at = list; at; at = at->ai_next) {
            if (at->ai_family == AF_INET || at->ai_family == AF_INET6) {
                add_candidate(connect, at->ai_addr, at->ai_addrlen);
            }
        }
        if (status < 0 || connect->count == 0) {
            tly_stream_end(stream, status < 0 ? status : UV_EAI_NONAME, "name lookup failed");
        } else {
            try_next(connect);
        }
    }
    uv_freeaddrinfo(list);
    tly_stream_unref(stream);
}

static int look_up(struct tly_connect *connect)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[sizeof("65535")];
    (void)snprintf(port, sizeof(port), "%u", connect->address.port); /* fits every port */
    connect->lookup.data = connect;
    int rc = uv_getaddrinfo(&connect->stream->loop->uv, &connect->lookup, looked_up,
                            connect->address.host, port, &hints);
    if (rc < 0) {
        return rc;
    }
    connect->looking_up = true;
    tly_stream_ref(connect->stream);
    return 0;
}

static void timer_due(void *arg)
{
    struct tly_connect *connect = arg;
    if (!connect->begun) {
        connect->begun = true;
        try_next(connect);
    } else if (connect->shaking_hands) {
        tly_stream_end(connect->stream, TLY_E_TIMEOUT, "the TLS handshake failed");
    } else if (connect->looking_up) {
        tly_stream_end(connect->stream, TLY_E_TIMEOUT, "name lookup failed");
    } else {
        try_failed(connect, TLY_E_TIMEOUT);
    }
}

static int start(struct tly_connect *connect, int64_t timeout_ms)
{
    struct tly_loop *loop = connect->stream->loop;
    connect->deadline_ms = tly_loop_now_ms(loop) + timeout_ms;
    int rc = tly_timer_new(loop, timer_due, connect, &connect->timer);
    if (rc < 0) {
        return rc;
    }
    bool is_unix = connect->address.path[0] != '\0';
    if (!is_unix && !tly_address_literal(&connect->address, &connect->candidates[0])) {
        connect->begun = true;
        tly_timer_start(connect->timer, timeout_ms, 0);
        return look_up(connect);
    }
    connect->count = 1; /* the path, or the literal */
    tly_timer_start(connect->timer, 0, 0);
    return 0;
}

int tly_stream_connect(struct tly_loop *loop, const struct tly_address *address, int64_t timeout_ms,
                       const struct tly_stream_events *events, void *arg,
                       struct tly_stream **ret_stream)
{
    bool is_unix = address->path[0] != '\0';
    if (timeout_ms <= 0 || (!is_unix && address->host[0] == '\0')) {
        return -EINVAL;
    }
    struct tly_stream *stream;
    int rc = tly_stream_new(loop, &stream);
    if (rc < 0) {
        return rc;
    }
    stream->state = TLY_STREAM_CONNECTING;
    stream->events = *events;
    stream->arg = arg;
    tly_address_format(address, stream->peer);
    stream->connect = calloc(1, sizeof(*stream->connect));
    rc = -ENOMEM;
    if (stream->connect) {
        stream->connect->stream = stream;
        stream->connect->address = *address;
        rc = start(stream->connect, timeout_ms);
    }
    if (rc < 0) {
        tly_stream_free(stream);
        return rc;
    }
    *ret_stream = stream;
    return 0;
}
