/*
 * Finding a container's log files on disk. Docker has BASE, BASE.1, BASE.2 ..., of which the
 * rotated ones may be compressed (BASE.2.gz), and renames them upwards while we look; see its
 * rotate() in daemon/logger/loggerutils/logfile.go. The kubelet has N.log, where N counts the
 * starts of the container, N.log.YYYYMMDD-HHMMSS and N.log.YYYYMMDD-HHMMSS.gz; see
 * pkg/kubelet/logs/container_log_manager.go.
 */
#ifndef TLY_LOGS_WALK_H
#define TLY_LOGS_WALK_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "collectors/logs/file.h"

#include <stdbool.h>
#include <stddef.h>

struct tly_log_walk {
    struct tly_log_file *oldest, *newest; /* linked by `newer`; the caller's to free */
    bool met_known;                       /* a known one was found: the list begins behind it */
    bool has_current;                     /* BASE exists; it is `newest`, unless it is known */
};

/* "4294967295.log.99991231-235959.gz" */
#define TLY_LOG_KUBELET_NAME_MAX 40

/* A file that needs no opening, because it was in the chain before. */
struct tly_log_known {
    struct tly_position identity;
    bool held; /* it is open, so that its inode can't have become another file's */
};

/*
 * Opens all files, oldest first; but only those that are newer than every one of `known`. The files
 * are those of one moment: if a rotation comes between, it looks again. -errno of reading the
 * directory, or of a file that is there and that the means are wanting to open: see
 * tly_error_lacks_means. `base` NULL: the kubelet's names.
 */
int tly_log_walk(int dir_fd, const char *base, const struct tly_log_known *known,
                 size_t known_count, struct tly_log_walk *ret_walk) TLY_CHECK;

/* Opens the rotated file that has what `position` points into, other than the file of that inode
 * itself: the copy that copytruncate made. -ENOENT; else, as above, nobody knows. */
int tly_log_walk_find(int dir_fd, const char *base, const struct tly_position *position,
                      struct tly_log_file **ret_file) TLY_CHECK;

/* The name of the file that the container's last start writes to, or would: there may be no file
 * under it at the moment. -ENOENT: nobody has written anything. */
int tly_log_walk_kubelet_base(int dir_fd, char ret_base[TLY_LOG_KUBELET_NAME_MAX]) TLY_CHECK;

/* Whether a file of this name is one that a start of a container writes to. */
bool tly_log_walk_is_kubelet_base(struct tly_text name);

void tly_log_walk_done(struct tly_log_walk *walk); /* frees what is in the list */

#endif
