/*
 * A stream's life, its reading and its writing. Whoever got the stream owns it and frees it; the
 * memory goes with the last reference, which libuv's close callback holds.
 */
#include "agent/loop/stream.h"

#include "agent/loop/stream_state.h"

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
    if (count == UV_EOF) {
        tly_stream_end(stream, 0, "closed by the peer");
    } else if (count < 0) {
        tly_stream_end(stream, (int)count, "reading failed");
    } else if (count > 0 && stream->events.received) {
        stream->events.received(stream->arg, (struct tly_text){buf->base, (size_t)count});
    }
}

static int start_reading(struct tly_stream *stream)
{
    int rc = uv_read_start(&stream->handle.stream, lend_buffer, stream_read);
    return rc == UV_EALREADY ? 0 : rc;
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
    return stream->state == TLY_STREAM_OPEN ? start_reading(stream) : 0;
}

int tly_stream_stand(struct tly_stream *stream)
{
    stream->state = TLY_STREAM_OPEN;
    if (stream->handle.any.type == UV_TCP) {
        /* Frames and acks go out at once. A kernel that refuses either option still sends. */
        (void)uv_tcp_nodelay(&stream->handle.tcp, 1);
        (void)uv_tcp_keepalive(&stream->handle.tcp, 1, KEEPALIVE_DELAY_S);
    }
    return stream->paused ? 0 : start_reading(stream);
}

int tly_stream_attach(struct tly_stream *stream, const struct tly_stream_events *events, void *arg)
{
    if (stream->state != TLY_STREAM_OPEN) {
        return TLY_E_CLOSED;
    }
    stream->events = *events;
    stream->arg = arg;
    stream->paused = false;
    return start_reading(stream);
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

static void write_done(uv_write_t *uv, int status)
{
    struct tly_write *write = uv->data;
    struct tly_stream *stream = write->stream;
    if (write->told) {
        give_write_back(stream->loop, write);
        return;
    }
    struct tly_write *first = first_write_off(stream);
    assert(first == write); /* libuv finishes them in order */
    void (*written)(void *arg, int code) = first->written;
    void *arg = first->arg;
    give_write_back(stream->loop, first);

    /* The handle, not closed before this returns, keeps the stream even if it is freed here. */
    if (written) {
        written(arg, status);
    }
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

    /* With nothing queued before it, uv_write tries the socket at once and queues only the rest;
     * its callback comes in a later turn either way, and four buffers need no allocation. */
    rc = uv_write(&write->uv, &stream->handle.stream, bufs, buf_count, write_done);
    if (rc < 0) {
        give_write_back(stream->loop, write);
        return rc;
    }
    *stream->last_write_at = write;
    stream->last_write_at = &write->next;
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
    return stream->handle_open ? uv_stream_get_write_queue_size(&stream->handle.stream) : 0;
}

/* Tells the writes under way that they won't be. The requests stay libuv's until its close. */
static void fail_writes(struct tly_stream *stream, int code)
{
    struct tly_write *write;
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
    if (stream->state >= TLY_STREAM_ENDED) {
        return;
    }
    tly_stream_ref(stream); /* every callback below may free it */
    stream->state = TLY_STREAM_ENDED;
    if (stream->connect) {
        tly_connect_stop(stream->connect);
    }
    tly_stream_close_handle(stream, stream_closed);
    fail_writes(stream, code < 0 ? code : TLY_E_CLOSED);
    if (stream->state != TLY_STREAM_FREED && stream->events.ended) {
        char reason[TLY_CODE_TEXT_MAX];
        char text[TLY_ADDRESS_TEXT_MAX + 2 * TLY_CODE_TEXT_MAX];
        if (code < 0) {
            tly_loop_code_text(code, reason);
            (void)snprintf(text, sizeof(text), "%s: %s: %s", stream->peer, what, reason);
        } else {
            (void)snprintf(text, sizeof(text), "%s: %s", stream->peer, what);
        }
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
    stream->state = TLY_STREAM_FREED;
    if (stream->connect) {
        tly_connect_stop(stream->connect);
    }
    tly_stream_close_handle(stream, stream_closed);
    stream->loop->attached--;
    fail_writes(stream, TLY_E_CLOSED);
    tly_stream_unref(stream);
}
