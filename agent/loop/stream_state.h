/*
 * Private to this room: a stream's inside, shared by stream.c (its life, reading and writing),
 * connect.c (how it comes to stand) and listener.c (how it is accepted). A stream counts its
 * references: one of its owner, one for the open libuv handle, one for a lookup under way, one for
 * each of our own frames that calls back. Bytes cross the handle in two places only, `stream_read`
 * and tly_stream_write_runs: that is where TLS stands between wire and owner (tls_session.c).
 */
#ifndef TLY_LOOP_STREAM_STATE_H
#define TLY_LOOP_STREAM_STATE_H

#include "agent/loop/handle.h"
#include "agent/loop/stream.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum tly_stream_state {
    TLY_STREAM_CONNECTING,
    TLY_STREAM_OPEN,
    TLY_STREAM_ENDED, /* the owner was told, or is about to be */
    TLY_STREAM_FREED, /* the owner has let go: no callback any more */
};

struct tly_write {
    uv_write_t uv;
    struct tly_stream *stream; /* borrowed: the open handle keeps it */
    struct tly_write *next;
    void (*written)(void *arg, int code);
    void *arg;
    bool told; /* `written` was called ahead of libuv, at the end of the stream */
    /* With TLS the runs wait here to be encrypted, and `uv` is not used. */
    struct tly_text runs[TLY_STREAM_RUNS_MAX];
    size_t run_count;
};

struct tly_tls_session; /* see tls_session.h */

struct tly_connect; /* see connect.c */

struct tly_stream {
    struct tly_loop *loop;
    unsigned refs;
    enum tly_stream_state state;
    bool paused;
    bool handle_open; /* initialised and not closing */
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } handle;
    struct tly_stream_events events; /* each may be NULL */
    void *arg;
    struct tly_connect *connect;                    /* owned; NULL for an accepted stream */
    struct tly_tls_session *tls;                    /* owned; NULL: plain bytes */
    struct tly_write *first_write, **last_write_at; /* under way, in order */
    char peer[TLY_ADDRESS_TEXT_MAX];
};

/* A stream without a handle, with its owner's reference. */
int tly_stream_new(struct tly_loop *loop, struct tly_stream **ret_stream) TLY_CHECK;
void tly_stream_ref(struct tly_stream *stream);
void tly_stream_unref(struct tly_stream *stream);

/* The handle, for a Unix socket or TCP. `closed` runs once, also if the stream was freed, and ends
 * in tly_stream_unref. */
int tly_stream_open_handle(struct tly_stream *stream, bool is_unix) TLY_CHECK;
void tly_stream_close_handle(struct tly_stream *stream, uv_close_cb closed);

/* Sets the socket's options, once it is connected. */
void tly_stream_tune(struct tly_stream *stream);
/* The stream stands: it is open, and is read from unless it is paused. */
int tly_stream_stand(struct tly_stream *stream) TLY_CHECK;
/* Reads from the handle, whatever the state. */
int tly_stream_start_reading(struct tly_stream *stream) TLY_CHECK;
/* Tells the first write under way that the kernel has it. May free the stream: hold a reference. */
void tly_stream_first_written(struct tly_stream *stream);

/* Ends the stream and tells the owner. Does nothing if it has ended. */
void tly_stream_end(struct tly_stream *stream, int code, const char *what);
/* The same, where the code does not say why: `why` stands in its place. */
void tly_stream_end_saying(struct tly_stream *stream, int code, const char *what, const char *why);

/* Lets go of what connecting still holds; see connect.c. */
void tly_connect_stop(struct tly_connect *connect);

void tly_loop_drop_spare_writes(struct tly_loop *loop);

union tly_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Whether the host is written as an IP address, which needs no lookup; if so, the address. */
bool tly_address_literal(const struct tly_address *address, union tly_sockaddr *ret_address);

/* "1.2.3.4:5" or "[::1]:5". */
void tly_sockaddr_format(const union tly_sockaddr *address, char to[TLY_ADDRESS_TEXT_MAX]);

#endif
