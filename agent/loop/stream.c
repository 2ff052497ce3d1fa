/*
 * A stream's life, its reading and its writing. Whoever got the stream owns it and frees it; the
 * memory goes with the last reference, which libuv's close callback holds.
 */
#include "agent/loop/stream.h"

#include "agent/loop/stream_state.h"
#include "agent/loop/tls_session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Write requests kept for use again: more than are under way in the long run. */
#define SPARE_WRITES_MAX 64

/* A peer that vanished without a word is noticed within some minutes, also when nothing is sent. */
#define KEEPALIVE_DELAY_S 60

int tly_stream_new(struct tly_loop *loop, struct tly_stream **ret_stream)
{
    struct tly_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        return -ENOMEM;
    }
    stream->loop = loop;
    stream->refs = 1;
    stream->last_write_at = &stream->first_write;
    tly_loop_attach(loop);
    *ret_stream = stream;
    return 0;
}

void tly_stream_ref(struct tly_stream *stream)
{
    stream->refs++;
}

void tly_stream_unref(struct tly_stream *stream)
{
    assert(stream->refs > 0);
    if (--stream->refs > 0) {
        return;
    }
    stream->loop->alive--;
    tly_tls_session_free(stream->tls);
    free(stream->connect);
    free(stream);
}

int tly_stream_open_handle(struct tly_stream *stream, bool is_unix)
{
    uv_loop_t *uv = &stream->loop->uv;
    int rc = is_unix ? uv_pipe_init(uv, &stream->handle.pipe, 0)
                     : uv_tcp_init(uv, &stream->handle.tcp);
    if (rc < 0) {
        return rc;
    }
    stream->handle.any.data = stream;
    stream->handle_open = true;
    tly_stream_ref(stream);
    return 0;
}

void tly_stream_close_handle(struct tly_stream *stream, uv_close_cb closed)
{
    if (stream->handle_open) {
        stream->handle_open = false;
        uv_close(&stream->handle.any, closed);
    }
}

static void stream_closed(uv_handle_t *handle)
{
    tly_stream_unref(handle->data);
}

/* ---- reading ---- */

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    (void)suggested;
    struct tly_stream *stream = handle->data;
    *ret_buf = uv_buf_init(stream->loop->read_buffer, sizeof(stream->loop->read_buffer));
}

static void stream_read(uv_stream_t *handle, ssize_t count, const uv_buf_t *buf)
{
    struct tly_stream *stream = handle->data;
    if (stream->tls && (count > 0 || count == UV_EOF)) {
        size_t len = count > 0 ? (size_t)count : 0;
        tly_tls_session_read(stream, (struct tly_text){buf->base, len});
    } else if (count == UV_EOF) {
        tly_stream_end(stream, 0, "closed by the peer");
    } else if (count < 0) {
        tly_stream_end(stream, (int)count, "reading failed");
    } else if (count > 0 && stream->events.received) {
        stream->events.received(stream->arg, (struct tly_text){buf->base, (size_t)count});
    }
}

int tly_stream_start_reading(struct tly_stream *stream)
{
    int rc = uv_read_start(&stream->handle.stream, lend_buffer, stream_read);
    return rc == UV_EALREADY ? 0 : rc;
}

/* From the handle, or first what TLS has kept of it. */
static int go_on_reading(struct tly_stream *stream)
{
    if (stream->tls && tly_tls_session_resume(stream)) {
        return 0;
    }
    return tly_stream_start_reading(stream);
}

void tly_stream_pause(struct tly_stream *stream)
{
    stream->paused = true;
    if (stream->state == TLY_STREAM_OPEN) {
        (void)uv_read_stop(&stream->handle.stream); /* always 0 */
    }
}

int tly_stream_resume(struct tly_stream *stream)
{
    if (stream->state >= TLY_STREAM_ENDED) {
        return TLY_E_CLOSED;
    }
    stream->paused = false;
    return stream->state == TLY_STREAM_OPEN ? go_on_reading(stream) : 0;
}

void tly_stream_tune(struct tly_stream *stream)
{
    if (stream->handle.any.type == UV_TCP) {
        /* Frames and acks go out at once. A kernel that refuses either option still sends. */
        (void)uv_tcp_nodelay(&stream->handle.tcp, 1);
        (void)uv_tcp_keepalive(&stream->handle.tcp, 1, KEEPALIVE_DELAY_S);
    }
}

int tly_stream_stand(struct tly_stream *stream)
{
    stream->state = TLY_STREAM_OPEN;
    if (!stream->paused) {
        return go_on_reading(stream);
    }
    (void)uv_read_stop(&stream->handle.stream); /* always 0; a TLS handshake was reading */
    return 0;
}

int tly_stream_attach(struct tly_stream *stream, const struct tly_stream_events *events, void *arg)
{
    if (stream->state != TLY_STREAM_OPEN) {
        return TLY_E_CLOSED;
    }
    stream->events = *events;
    stream->arg = arg;
    stream->paused = false;
    return go_on_reading(stream);
}

/* ---- writing ---- */

static struct tly_write *take_write(struct tly_loop *loop)
{
    struct tly_write *write = loop->spare_writes;
    if (!write) {
        return malloc(sizeof(*write));
    }
    loop->spare_writes = write->next;
    loop->spare_write_count--;
    return write;
}

static void give_write_back(struct tly_loop *loop, struct tly_write *write)
{
    if (loop->spare_write_count >= SPARE_WRITES_MAX) {
        free(write);
        return;
    }
    write->next = loop->spare_writes;
    loop->spare_writes = write;
    loop->spare_write_count++;
}

void tly_loop_drop_spare_writes(struct tly_loop *loop)
{
    while (loop->spare_writes) {
        free(take_write(loop));
    }
}

static struct tly_write *first_write_off(struct tly_stream *stream)
{
    struct tly_write *write = stream->first_write;
    if (write) {
        stream->first_write = write->next;
        if (!stream->first_write) {
            stream->last_write_at = &stream->first_write;
        }
    }
    return write;
}

static void tell_first_write(struct tly_stream *stream, int status)
{
    struct tly_write *first = first_write_off(stream);
    void (*written)(void *arg, int code) = first->written;
    void *arg = first->arg;
    give_write_back(stream->loop, first);
    if (written) {
        written(arg, status);
    }
}

void tly_stream_first_written(struct tly_stream *stream)
{
    tell_first_write(stream, 0);
}

static void write_done(uv_write_t *uv, int status)
{
    struct tly_write *write = uv->data;
    struct tly_stream *stream = write->stream;
    if (write->told) {
        give_write_back(stream->loop, write);
        return;
    }
    assert(stream->first_write == write); /* libuv finishes them in order */
    /* The handle, not closed before this returns, keeps the stream even if it is freed here. */
    tell_first_write(stream, status);
    if (status < 0) {
        tly_stream_end(stream, status, "writing failed");
    }
}

/* libuv only reads what it writes out; its buffers have no const. */
static uv_buf_t buf_of(struct tly_text text)
{
    union {
        const char *from;
        char *at;
    } bytes = {.from = text.at};
    return uv_buf_init(bytes.at, (unsigned)text.len);
}

/* The runs that are not empty; at least one, so that an empty write is one too. */
static int bufs_of(const struct tly_text *runs, size_t count, uv_buf_t bufs[TLY_STREAM_RUNS_MAX],
                   unsigned *ret_count)
{
    unsigned used = 0;
    if (count > TLY_STREAM_RUNS_MAX) {
        return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        if (runs[i].len > UINT32_MAX) {
            return TLY_E_LIMIT; /* more than uv_buf_init can say */
        }
        if (runs[i].len > 0) {
            bufs[used++] = buf_of(runs[i]);
        }
    }
    if (used == 0) {
        bufs[used++] = buf_of((struct tly_text){0});
    }
    *ret_count = used;
    return 0;
}

static void append_write(struct tly_stream *stream, struct tly_write *write)
{
    *stream->last_write_at = write;
    stream->last_write_at = &write->next;
}

static void write_encrypted(struct tly_stream *stream, struct tly_write *write,
                            const struct tly_text *runs, size_t count)
{
    memcpy(write->runs, runs, count * sizeof(runs[0]));
    write->run_count = count;
    append_write(stream, write);
    tly_tls_session_write(stream, write);
}

int tly_stream_write_runs(struct tly_stream *stream, const struct tly_text *runs, size_t count,
                          void (*written)(void *arg, int code), void *arg)
{
    if (stream->state == TLY_STREAM_CONNECTING) {
        return -ENOTCONN;
    }
    if (stream->state != TLY_STREAM_OPEN) {
        return TLY_E_CLOSED;
    }
    uv_buf_t bufs[TLY_STREAM_RUNS_MAX];
    unsigned buf_count;
    int rc = bufs_of(runs, count, bufs, &buf_count);
    if (rc < 0) {
        return rc;
    }
    struct tly_write *write = take_write(stream->loop);
    if (!write) {
        return -ENOMEM;
    }
    *write = (struct tly_write){.stream = stream, .written = written, .arg = arg};
    write->uv.data = write;
    if (stream->tls) {
        write_encrypted(stream, write, runs, count);
        return 0;
    }

    /* With nothing queued before it, uv_write tries the socket at once and queues only the rest;
     * its callback comes in a later turn either way, and four buffers need no allocation. */
    rc = uv_write(&write->uv, &stream->handle.stream, bufs, buf_count, write_done);
    if (rc < 0) {
        give_write_back(stream->loop, write);
        return rc;
    }
    append_write(stream, write);
    return 0;
}

int tly_stream_write(struct tly_stream *stream, struct tly_text head, struct tly_text body,
                     void (*written)(void *arg, int code), void *arg)
{
    const struct tly_text runs[] = {head, body};
    return tly_stream_write_runs(stream, runs, sizeof(runs) / sizeof(runs[0]), written, arg);
}

size_t tly_stream_queued(const struct tly_stream *stream)
{
    if (!stream->handle_open) {
        return 0;
    }
    return stream->tls ? tly_tls_session_queued(stream->tls)
                       : uv_stream_get_write_queue_size(&stream->handle.stream);
}

/* Tells the writes under way that they won't be. The requests stay libuv's until its close; those
 * of TLS never were. */
static void fail_writes(struct tly_stream *stream, int code)
{
    struct tly_write *write;
    while (stream->tls && stream->first_write) {
        tell_first_write(stream, code);
    }
    while ((write = first_write_off(stream))) {
        write->told = true;
        if (write->written) {
            write->written(write->arg, code);
        }
    }
}

/* ---- the end ---- */

void tly_stream_end(struct tly_stream *stream, int code, const char *what)
{
    char reason[TLY_CODE_TEXT_MAX];
    tly_loop_code_text(code, reason);
    tly_stream_end_saying(stream, code, what, code < 0 ? reason : NULL);
}

void tly_stream_end_saying(struct tly_stream *stream, int code, const char *what, const char *why)
{
    if (stream->state >= TLY_STREAM_ENDED) {
        return;
    }
    tly_stream_ref(stream); /* every callback below may free it */
    stream->state = TLY_STREAM_ENDED;
    if (stream->connect) {
        tly_connect_stop(stream->connect);
    }
    tly_tls_session_stop(stream->tls);
    tly_stream_close_handle(stream, stream_closed);
    fail_writes(stream, code < 0 ? code : TLY_E_CLOSED);
    if (stream->state != TLY_STREAM_FREED && stream->events.ended) {
        char text[TLY_ADDRESS_TEXT_MAX + TLY_ERROR_TEXT_MAX];
        (void)snprintf(text, sizeof(text), "%s: %s%s%s", stream->peer, what, why ? ": " : "",
                       why ? why : "");
        stream->events.ended(stream->arg, code, text);
    }
    tly_stream_unref(stream);
}

const char *tly_stream_peer(const struct tly_stream *stream)
{
    return stream->peer;
}

void tly_stream_free(struct tly_stream *stream)
{
    if (!stream || stream->state == TLY_STREAM_FREED) {
        return; /* the second case: from a `written` that this very call made */
    }
    if (stream->tls && stream->state == TLY_STREAM_OPEN) {
        tly_tls_session_close(stream);
    }
    stream->state = TLY_STREAM_FREED;
    if (stream->connect) {
        tly_connect_stop(stream->connect);
    }
    tly_tls_session_stop(stream->tls);
    tly_stream_close_handle(stream, stream_closed);
    stream->loop->attached--;
    fail_writes(stream, TLY_E_CLOSED);
    tly_stream_unref(stream);
}
