/*
 * Lines on their way to a descriptor that may be slow: a disk, a pipe whose reader pauses. They
 * collect in one buffer while a worker writes the one before; so the loop never waits, and what
 * collected meanwhile goes out, and to disk, in one piece.
 */
#ifndef TLY_COMMAND_LINE_WRITER_H
#define TLY_COMMAND_LINE_WRITER_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>

struct tly_line_writer;

struct tly_line_writer_spec {
    struct tly_loop *loop;
    int fd;    /* borrowed; blocking is fine */
    bool sync; /* fdatasync(2) after each piece */
    size_t lines_bytes_max;
    /* The piece is written (and synced): 0, or the negative errno after which the descriptor is
     * given up. */
    void (*written)(void *arg, int code);
    void *arg;
};

int tly_line_writer_new(const struct tly_line_writer_spec *spec,
                        struct tly_line_writer **ret_writer) TLY_CHECK;
/* Only while nothing is being written. */
void tly_line_writer_free(struct tly_line_writer *writer);

/* The collecting buffer, to append to. */
struct tly_buf *tly_line_writer_lines(struct tly_line_writer *writer);
bool tly_line_writer_busy(const struct tly_line_writer *writer);

/* Hands what has collected to the worker; only while it is not busy. -ENOMEM. */
int tly_line_writer_flush(struct tly_line_writer *writer) TLY_CHECK;

#endif
