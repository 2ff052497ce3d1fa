/*
 * A byte stream to one peer over TCP or a Unix socket, and the listener that accepts them. Names
 * are resolved off the loop. TLS (tls.h) is a property of the address, not of the caller.
 */
#ifndef TLY_LOOP_STREAM_H
#define TLY_LOOP_STREAM_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/loop/loop.h"

#include <stdint.h>

struct tly_tls;

/* "host:port", "[v6]:port", ":port", or "unix:///path". */
struct tly_address {
    char host[256]; /* empty for a Unix socket, and for "any" when listening */
    uint16_t port;
    char path[108];      /* of a Unix socket; longer ones are refused, not cut */
    struct tly_tls *tls; /* borrowed; NULL: plain bytes. Parsing leaves it NULL */
};

/* TLY_E_MALFORMED, or -ENAMETOOLONG for a Unix path. `default_port` is used where the text names
 * none; 0 makes the port mandatory. */
int tly_address_parse(struct tly_text text, uint16_t default_port, struct tly_address *ret_address,
                      struct tly_error *err) TLY_CHECK;
/* "host:port" or "unix:///path" into `to`, always terminated. */
#define TLY_ADDRESS_TEXT_MAX 300
void tly_address_format(const struct tly_address *address, char to[TLY_ADDRESS_TEXT_MAX]);

struct tly_stream;

/* Each may be NULL. The stream may be freed from inside any of them. */
struct tly_stream_events {
    /* The connection stands. Not called for accepted streams. */
    void (*connected)(void *arg);
    /* Bytes arrived; borrowed until the call returns. */
    void (*received)(void *arg, struct tly_text bytes);
    /* The stream ended: 0 for an orderly end, else the negative code; `text` says it for a person.
     * Called once, after `written` of every write under way; the owner still has to free the
     * stream. */
    void (*ended)(void *arg, int code, const char *text);
};

/* Starts connecting; the outcome comes as `connected` or `ended`, never from inside this call.
 * `timeout_ms` (above 0) bounds resolution, connect and TLS handshake together. A name with several
 * addresses is connected to the first that answers. -EINVAL, -ENOMEM, or libuv's code for an
 * impossible name. */
int tly_stream_connect(struct tly_loop *loop, const struct tly_address *address, int64_t timeout_ms,
                       const struct tly_stream_events *events, void *arg,
                       struct tly_stream **ret_stream) TLY_CHECK;

/*
 * Queues two runs of bytes as one write; either may be empty. The bytes are borrowed until
 * `written` runs (code 0 or negative), never from inside this call; writes end in order. When the
 * stream is freed first, it runs with TLY_E_CLOSED from inside tly_stream_free, for every write
 * under way. `written` may be NULL. -ENOTCONN before `connected`, TLY_E_CLOSED after the end.
 */
int tly_stream_write(struct tly_stream *stream, struct tly_text head, struct tly_text body,
                     void (*written)(void *arg, int code), void *arg) TLY_CHECK;

/* The same for up to TLY_STREAM_RUNS_MAX runs; the array itself is read during the call only. */
#define TLY_STREAM_RUNS_MAX 4
int tly_stream_write_runs(struct tly_stream *stream, const struct tly_text *runs, size_t count,
                          void (*written)(void *arg, int code), void *arg) TLY_CHECK;

/* Bytes queued and not yet taken by the kernel, as the owner counts them: before encryption. */
size_t tly_stream_queued(const struct tly_stream *stream);

/* Stops and resumes `received`: back-pressure on the peer. While paused, the end of the stream is
 * noticed only by a write. */
void tly_stream_pause(struct tly_stream *stream);
int tly_stream_resume(struct tly_stream *stream) TLY_CHECK;

/* The peer, for messages: the address that was asked for, or where an accepted one comes from.
 * Borrowed. */
const char *tly_stream_peer(const struct tly_stream *stream);
void tly_stream_free(struct tly_stream *stream);

struct tly_listener;
/* `accepted` takes ownership of the stream and attaches its events with tly_stream_attach, then or
 * later; nothing is read before. A Unix socket's file gets mode 0660; one that nobody listens on
 * any more is replaced, one in use is -EADDRINUSE. With TLS a stream is handed over once its
 * handshake is done; those that fail or take long are closed without a word to the owner. */
int tly_listener_new(struct tly_loop *loop, const struct tly_address *address,
                     void (*accepted)(void *arg, struct tly_stream *stream), void *arg,
                     struct tly_listener **ret_listener, struct tly_error *err) TLY_CHECK;
/* TLY_E_CLOSED if the stream has ended. */
int tly_stream_attach(struct tly_stream *stream, const struct tly_stream_events *events,
                      void *arg) TLY_CHECK;
/* The port in use, which the kernel chose where the address said 0. */
uint16_t tly_listener_port(const struct tly_listener *listener);
void tly_listener_free(struct tly_listener *listener);

#endif
