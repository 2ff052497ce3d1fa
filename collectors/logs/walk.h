/*
 * Finding a container's log files on disk: BASE, BASE.1, BASE.2 ..., of which the rotated ones may
 * be compressed (BASE.2.gz). Docker renames them upwards while we look; see its rotate() in
 * daemon/logger/loggerutils/logfile.go.
 */
#ifndef TLY_LOGS_WALK_H
#define TLY_LOGS_WALK_H

#include "agent/base/error.h"
#include "collectors/logs/file.h"

#include <stdbool.h>
#include <stddef.h>

struct tly_log_walk {
    struct tly_log_file *oldest, *newest; /* linked by `newer`; the caller's to free */
    bool met_known;                       /* a known one was found: the list begins behind it */
    bool has_current;                     /* BASE exists; it is `newest`, unless it is known */
};

/* A file that needs no opening, because it was in the chain before. */
struct tly_log_known {
    struct tly_position identity;
    bool held; /* it is open, so that its inode can't have become another file's */
};

/*
 * Opens all files, oldest first; but only those that are newer than every one of `known`. The files
 * are those of one moment: if a rotation comes between, it looks again. -errno of reading the
 * directory, -ENOMEM.
 */
int tly_log_walk(int dir_fd, const char *base, const struct tly_log_known *known,
                 size_t known_count, struct tly_log_walk *ret_walk) TLY_CHECK;

/* Opens the rotated file that has what `position` points into, other than the file of that inode
 * itself: the copy that copytruncate made. -ENOENT. */
int tly_log_walk_find(int dir_fd, const char *base, const struct tly_position *position,
                      struct tly_log_file **ret_file) TLY_CHECK;

void tly_log_walk_done(struct tly_log_walk *walk); /* frees what is in the list */

#endif
