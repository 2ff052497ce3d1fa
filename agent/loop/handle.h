/*
 * Private to this room: what is behind struct tly_loop, and the life that all its handles share. An
 * object with a libuv handle in it is `attached` from new to free and `alive` until libuv has
 * closed the handle; the loop counts both, so that it can drain before it goes and knows what was
 * forgotten.
 */
#ifndef TLY_LOOP_HANDLE_H
#define TLY_LOOP_HANDLE_H

#include "agent/loop/loop.h"

#include <stddef.h>
#include <uv.h>

/* What one read(2) of a stream may bring: as much as libuv itself suggests. */
#define TLY_READ_BUFFER_BYTES 65536

struct tly_write; /* a stream's write request, see stream_state.h */

struct tly_loop {
    uv_loop_t uv;
    size_t attached;
    size_t alive;
    size_t jobs; /* submitted to a worker, `done` not yet called */
    bool running;

    uv_check_t turn_check; /* embedded: lives as long as the loop, and keeps it from nothing */
    int64_t turn_ended_ns, turn_idle_ns;
    struct tly_turns turns;

    struct tly_write *spare_writes; /* owned; used again, so that writing does not allocate */
    size_t spare_write_count;

    /* Shared by all streams: what arrived is handed on before the next read. */
    char read_buffer[TLY_READ_BUFFER_BYTES];
};

static inline void tly_loop_attach(struct tly_loop *loop)
{
    loop->attached++;
    loop->alive++;
}

/* Detaches and closes a handle whose `data` is the heap object that it lies in; the object is freed
 * in the close callback. */
void tly_handle_free(struct tly_loop *loop, uv_handle_t *handle);

/* ---- turns.c ---- */

int tly_loop_turns_init(struct tly_loop *loop) TLY_CHECK; /* closed by tly_loop_free */
void tly_loop_turns_begin(struct tly_loop *loop);         /* with each run of the loop */
void tly_loop_turns_end(struct tly_loop *loop);

/* The text of any code, libuv's own (lookup of names, end of file) included. */
#define TLY_CODE_TEXT_MAX 128
void tly_loop_code_text(int code, char to[TLY_CODE_TEXT_MAX]);

#endif
