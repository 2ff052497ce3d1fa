/*
 * One log file of a container: the one being written, or one that was rotated away. A container's
 * files form a chain from the oldest that somebody still has to read to the newest. The descriptor
 * is held from the moment that the file is found, so that renaming and unlinking it take nothing
 * away. Owned by a log source.
 */
#ifndef TLY_LOGS_FILE_H
#define TLY_LOGS_FILE_H

#include "agent/base/error.h"
#include "agent/delivery/chunk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How much of a file's beginning tells it from another. Docker's lines have their time in
 * nanoseconds; most lines, and so at least one time, fit into this. */
#define TLY_LOG_HEAD_MAX 1024

struct tly_log_file {
    struct tly_log_file *newer;
    int fd;
    bool gzip;  /* compressed; offsets count the bytes inside */
    bool final; /* its name is gone or it is rotated: nobody writes to it any more */
    int64_t
        closing_ms; /* renamed, but its writer may not have noticed: until this loop time; or 0 */
    uint32_t instance; /* which start of the container wrote it, where that has a file of its own */
    bool cut;          /* truncated in place: what it held is gone */
    bool cut_due;      /* the same, and nobody could look yet where it may still be read */
    bool deleted;      /* no name is left: its blocks are freed when the descriptor is closed */
    uint64_t device, inode;
    uint64_t head_hash;
    uint32_t head_len;
    uint64_t size;    /* as last seen; of a compressed file, the compressed bytes */
    unsigned readers; /* that are at this file */
};

/* Opens `name` in the directory and looks at it. -errno (-ENOENT: no such file), -EINVAL for what
 * is not a regular file. */
int tly_log_file_open(int dir_fd, const char *name, bool gzip,
                      struct tly_log_file **ret_file) TLY_CHECK;
void tly_log_file_free(struct tly_log_file *file); /* NULL is fine */

/* Size, names and head anew. -errno. */
int tly_log_file_look(struct tly_log_file *file) TLY_CHECK;

/* Whether the file no longer is what was read up to `offset`: shorter, or another beginning. */
bool tly_log_file_was_cut(struct tly_log_file *file, uint64_t offset);

/* Whether a position of this identity lies in this file. */
bool tly_log_file_matches(const struct tly_log_file *file, const struct tly_position *position);

/* The identity parts of a position, and `offset`. */
void tly_log_file_position(const struct tly_log_file *file, uint64_t offset,
                           struct tly_position *ret_position);

/* Of any bytes; the same on every host of the same byte order. */
uint64_t tly_log_hash(const char *at, size_t len);

#endif
