/*
 * The two buffers of the line writer. While `busy`, the worker owns `leaving` and the loop owns
 * `lines`; at the start of each piece they change places.
 */
#include "agent/command/line_writer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* A buffer that a burst made larger than this is given back. */
#define KEEP_BYTES_MAX (4UL * 1024 * 1024)

struct tly_line_writer {
    struct tly_line_writer_spec spec;
    struct tly_buf lines;
    struct tly_buf leaving;
    bool busy;
    int code; /* of the piece under way; the worker's while busy */
};

/* As tly_file_write_fd, but waits where somebody has made a shared standard output non-blocking. */
static int write_all(int fd, struct tly_text bytes)
{
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.at, bytes.len);
        if (put < 0 && errno == EAGAIN) {
            struct pollfd writable = {.fd = fd, .events = POLLOUT};
            (void)poll(&writable, 1, -1); /* whatever it says, the next write tells */
            continue;
        }
        if (put < 0 && errno != EINTR) {
            return -errno;
        }
        bytes.at += put > 0 ? put : 0;
        bytes.len -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

static void write_piece(void *arg)
{
    struct tly_line_writer *writer = arg;
    writer->code = write_all(writer->spec.fd, tly_buf_text(&writer->leaving));
    if (writer->code == 0 && writer->spec.sync && fdatasync(writer->spec.fd) < 0 &&
        errno != EINVAL && errno != EROFS) { /* these two: nothing that can be synced, as a pipe */
        writer->code = -errno;
    }
}

static void piece_done(void *arg)
{
    struct tly_line_writer *writer = arg;
    writer->busy = false;
    tly_buf_clear(&writer->leaving);
    if (writer->leaving.cap > KEEP_BYTES_MAX) {
        tly_buf_done(&writer->leaving);
    }
    writer->spec.written(writer->spec.arg, writer->code); /* may free the writer */
}

int tly_line_writer_new(const struct tly_line_writer_spec *spec,
                        struct tly_line_writer **ret_writer)
{
    struct tly_line_writer *writer = calloc(1, sizeof(*writer));
    if (!writer) {
        return -ENOMEM;
    }
    writer->spec = *spec;
    tly_buf_init(&writer->lines, spec->lines_bytes_max);
    tly_buf_init(&writer->leaving, spec->lines_bytes_max);
    *ret_writer = writer;
    return 0;
}

void tly_line_writer_free(struct tly_line_writer *writer)
{
    if (writer) {
        tly_buf_done(&writer->lines);
        tly_buf_done(&writer->leaving);
        free(writer);
    }
}

struct tly_buf *tly_line_writer_lines(struct tly_line_writer *writer)
{
    return &writer->lines;
}

bool tly_line_writer_busy(const struct tly_line_writer *writer)
{
    return writer->busy;
}

int tly_line_writer_flush(struct tly_line_writer *writer)
{
    struct tly_buf lines = writer->lines;
    writer->lines = writer->leaving;
    writer->leaving = lines;
    int rc = tly_worker_submit(writer->spec.loop, write_piece, piece_done, writer);
    if (rc < 0) {
        writer->leaving = writer->lines;
        writer->lines = lines;
        return rc;
    }
    writer->busy = true;
    return 0;
}
