/*
 * The listener: binds, accepts, and hands each connection over as a stream, which then belongs to
 * the receiver. The listener belongs to whoever made it.
 */
#include "agent/base/file.h"
#include "agent/loop/log.h"
#include "agent/loop/stream_state.h"
#include "agent/loop/tls_session.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The kernel cuts it to net.core.somaxconn. */
#define BACKLOG 511
/* Owner and group may connect to a Unix socket, others not. */
#define UNIX_MODE 0660
/* Out of memory for a new stream, the connection waits in the kernel for as long as this. */
#define RETRY_MS 1000

/* A TLS handshake takes a few round trips; one that takes this long is somebody who wastes our
 * time. And as many at once may do so before the next is turned away. */
#define HANDSHAKE_MS   20000
#define HANDSHAKES_MAX 1024

/* An accepted stream whose TLS handshake is under way: the listener's until it is done. */
struct handshake {
    struct tly_listener *listener;
    struct tly_stream *stream;
    struct tly_timer *timer;
    struct handshake *next, *previous;
};

struct tly_listener {
    struct tly_loop *loop;
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } handle;
    bool is_unix;
    struct tly_timer *retry;
    struct tly_address address;
    void (*accepted)(void *arg, struct tly_stream *stream);
    void *arg;
    struct handshake *handshakes;
    size_t handshake_count;
};

static void name_peer(struct tly_listener *listener, struct tly_stream *stream)
{
    union tly_sockaddr peer = {.v6 = {.sin6_family = AF_UNSPEC}};
    int len = sizeof(peer);
    if (listener->is_unix || uv_tcp_getpeername(&stream->handle.tcp, &peer.any, &len) < 0) {
        /* A Unix peer has no address; a TCP peer that is gone again has none any more. */
        tly_address_format(&listener->address, stream->peer);
        return;
    }
    tly_sockaddr_format(&peer, stream->peer);
}

/* ---- TLS ---- */

static void handshake_end(struct handshake *handshake)
{
    struct tly_listener *listener = handshake->listener;
    if (handshake->previous) {
        handshake->previous->next = handshake->next;
    } else {
        listener->handshakes = handshake->next;
    }
    if (handshake->next) {
        handshake->next->previous = handshake->previous;
    }
    listener->handshake_count--;
    tly_timer_free(handshake->timer);
    free(handshake);
}

static void handshake_fail(void *arg)
{
    struct handshake *handshake = arg;
    tly_stream_free(handshake->stream);
    handshake_end(handshake);
}

static void handshake_ended(void *arg, int code, const char *text)
{
    (void)code; /* said in `text` */
    tly_log_debug("listener", "%s", text);
    handshake_fail(arg);
}

static void handshake_done(struct tly_stream *stream)
{
    struct handshake *handshake = stream->arg;
    struct tly_listener *listener = handshake->listener;
    handshake_end(handshake);
    stream->events = (struct tly_stream_events){.ended = NULL};
    if (tly_stream_stand(stream) < 0) {
        tly_stream_free(stream);
        return;
    }
    listener->accepted(listener->arg, stream);
}

static int handshake_start(struct tly_listener *listener, struct tly_stream *stream)
{
    if (listener->handshake_count == HANDSHAKES_MAX) {
        return TLY_E_LIMIT;
    }
    struct handshake *handshake = calloc(1, sizeof(*handshake));
    if (!handshake) {
        return -ENOMEM;
    }
    int rc = tly_timer_new(listener->loop, handshake_fail, handshake, &handshake->timer);
    if (rc < 0) {
        free(handshake);
        return rc;
    }
    handshake->listener = listener;
    handshake->stream = stream;
    handshake->next = listener->handshakes;
    if (handshake->next) {
        handshake->next->previous = handshake;
    }
    listener->handshakes = handshake;
    listener->handshake_count++;
    tly_timer_start(handshake->timer, HANDSHAKE_MS, 0);
    stream->state = TLY_STREAM_CONNECTING;
    stream->events = (struct tly_stream_events){.ended = handshake_ended};
    stream->arg = handshake;
    rc = tly_tls_session_start(stream, listener->address.tls, "", handshake_done);
    if (rc < 0) {
        handshake_end(handshake);
    }
    return rc;
}

/* ---- accepting ---- */

/* An accepted connection, on its way to the receiver. */
static int hand_over(struct tly_listener *listener, struct tly_stream *stream)
{
    tly_stream_tune(stream);
    name_peer(listener, stream);
    if (listener->address.tls) {
        return handshake_start(listener, stream);
    }
    int rc = tly_stream_stand(stream);
    if (rc == 0) {
        listener->accepted(listener->arg, stream);
    }
    return rc;
}

static void accept_one(struct tly_listener *listener)
{
    struct tly_stream *stream;
    int rc = tly_stream_new(listener->loop, &stream);
    if (rc == 0) {
        stream->paused = true; /* until its events are attached */
        rc = tly_stream_open_handle(stream, listener->is_unix);
        if (rc < 0) {
            tly_stream_free(stream);
        }
    }
    if (rc < 0) {
        /* libuv holds the connection, and accepts no other, until it is taken. */
        tly_timer_start(listener->retry, RETRY_MS, 0);
        return;
    }
    if (uv_accept(&listener->handle.stream, &stream->handle.stream) < 0 ||
        hand_over(listener, stream) < 0) {
        tly_stream_free(stream); /* gone before it came */
    }
}

static void connection_came(uv_stream_t *handle, int status)
{
    if (status < 0) {
        return; /* this connection failed (ECONNABORTED, EMFILE); the next one is another matter */
    }
    accept_one(handle->data);
}

static void retry_due(void *arg)
{
    accept_one(arg);
}

/* Removes a socket that nobody listens on any more, as a killed process leaves it. */
static int remove_stale(const struct tly_address *address, struct tly_error *err)
{
    struct stat status;
    if (lstat(address->path, &status) < 0 || !S_ISSOCK(status.st_mode)) {
        return 0; /* nothing there, or something that is not ours to remove: bind will tell */
    }
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    _Static_assert(sizeof(peer.sun_path) >= sizeof(address->path), "a parsed path always fits");
    memcpy(peer.sun_path, address->path, sizeof(address->path));
    TLY_AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return tly_error_set(err, -errno, "cannot make a socket: %s", tly_error_name(-errno));
    }
    if (connect(fd, (const struct sockaddr *)&peer, sizeof(peer)) == 0 || errno != ECONNREFUSED) {
        return tly_error_set(err, -EADDRINUSE, "%s is in use by another process", address->path);
    }
    if (unlink(address->path) < 0 && errno != ENOENT) {
        return tly_error_set(err, -errno, "cannot remove the old socket %s: %s", address->path,
                             tly_error_name(-errno));
    }
    return 0;
}

static int bind_unix(struct tly_listener *listener, struct tly_error *err)
{
    const char *path = listener->address.path;
    int rc = remove_stale(&listener->address, err);
    if (rc < 0) {
        return rc;
    }
    rc = uv_pipe_bind(&listener->handle.pipe, path);
    /* Before it listens nobody can connect, so nobody slips in under the umask's mode. */
    if (rc == 0 && chmod(path, UNIX_MODE) < 0) {
        rc = -errno;
    }
    return rc < 0
               ? tly_error_set(err, rc, "cannot make the socket %s: %s", path, tly_error_name(rc))
               : 0;
}

/* Any address: IPv6, which takes IPv4 too, or IPv4 alone where the kernel has no IPv6. */
static int bind_any(struct tly_listener *listener)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons(listener->address.port),
                              .sin6_addr = in6addr_any};
    int rc = uv_tcp_bind(&listener->handle.tcp, (const struct sockaddr *)&v6, 0);
    if (rc == UV_EAFNOSUPPORT || rc == UV_EADDRNOTAVAIL) {
        struct sockaddr_in v4 = {.sin_family = AF_INET,
                                 .sin_port = htons(listener->address.port),
                                 .sin_addr = {htonl(INADDR_ANY)}};
        rc = uv_tcp_bind(&listener->handle.tcp, (const struct sockaddr *)&v4, 0);
    }
    return rc;
}

static int bind_named(struct tly_listener *listener)
{
    union tly_sockaddr literal;
    if (tly_address_literal(&listener->address, &literal)) {
        return uv_tcp_bind(&listener->handle.tcp, &literal.any, 0);
    }
    /* Looked up while the caller waits: listeners are made at the start, and named by address. */
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char port[sizeof("65535")];
    (void)snprintf(port, sizeof(port), "%u", listener->address.port); /* fits every port */
    uv_getaddrinfo_t lookup;
    int rc = uv_getaddrinfo(&listener->loop->uv, &lookup, NULL, listener->address.host, port,
                            &hints);
    if (rc < 0) {
        return rc;
    }
    rc = lookup.addrinfo ? uv_tcp_bind(&listener->handle.tcp, lookup.addrinfo->ai_addr, 0)
                         : UV_EAI_NONAME;
    uv_freeaddrinfo(lookup.addrinfo);
    return rc;
}

static int bind_and_listen(struct tly_listener *listener, struct tly_error *err)
{
    char name[TLY_ADDRESS_TEXT_MAX];
    tly_address_format(&listener->address, name);
    int rc;
    if (listener->is_unix) {
        rc = bind_unix(listener, err);
        if (rc < 0) {
            return rc;
        }
    } else {
        rc = listener->address.host[0] == '\0' ? bind_any(listener) : bind_named(listener);
    }
    if (rc == 0) {
        rc = uv_listen(&listener->handle.stream, BACKLOG, connection_came);
    }
    if (rc < 0) {
        char reason[TLY_CODE_TEXT_MAX];
        tly_loop_code_text(rc, reason);
        return tly_error_set(err, rc, "cannot listen on %s: %s", name, reason);
    }
    return 0;
}

int tly_listener_new(struct tly_loop *loop, const struct tly_address *address,
                     void (*accepted)(void *arg, struct tly_stream *stream), void *arg,
                     struct tly_listener **ret_listener, struct tly_error *err)
{
    struct tly_listener *listener = calloc(1, sizeof(*listener));
    if (!listener) {
        return tly_error_set(err, -ENOMEM, "%s", tly_error_name(-ENOMEM));
    }
    listener->loop = loop;
    listener->address = *address;
    listener->is_unix = address->path[0] != '\0';
    listener->accepted = accepted;
    listener->arg = arg;
    int rc = tly_timer_new(loop, retry_due, listener, &listener->retry);
    if (rc == 0) {
        rc = listener->is_unix ? uv_pipe_init(&loop->uv, &listener->handle.pipe, 0)
                               : uv_tcp_init(&loop->uv, &listener->handle.tcp);
    }
    if (rc < 0) {
        tly_timer_free(listener->retry);
        free(listener);
        return tly_error_set(err, rc, "%s", tly_error_name(rc));
    }
    listener->handle.any.data = listener;
    tly_loop_attach(loop);
    rc = bind_and_listen(listener, err);
    if (rc < 0) {
        tly_listener_free(listener);
        return rc;
    }
    *ret_listener = listener;
    return 0;
}

uint16_t tly_listener_port(const struct tly_listener *listener)
{
    union tly_sockaddr bound = {.v6 = {.sin6_port = 0}};
    int len = sizeof(bound);
    if (listener->is_unix || uv_tcp_getsockname(&listener->handle.tcp, &bound.any, &len) < 0) {
        return 0;
    }
    return ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
}

void tly_listener_free(struct tly_listener *listener)
{
    if (listener) {
        tly_timer_free(listener->retry);
        while (listener->handshakes) {
            handshake_fail(listener->handshakes);
        }
        /* libuv removes the file of a Unix socket that it bound. */
        tly_handle_free(listener->loop, &listener->handle.any);
    }
}
