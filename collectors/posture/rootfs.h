/*
 * Looking into the file system that a container sees. Whoever runs there may have made it hostile:
 * every path is resolved within that root by openat2(2), so that no symbolic link leads out; what
 * is opened is a regular file or a folder, never a device or a pipe; and files, depth and time have
 * bounds. May run on a worker. Nothing is executed.
 */
#ifndef TLY_POSTURE_ROOTFS_H
#define TLY_POSTURE_ROOTFS_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "collectors/posture/facts.h"

#include <stdint.h>

/* The root of the process whose folder in procfs is `process_fd`. -errno; `why` says it to a
 * person. */
int tly_rootfs_open(int process_fd, int *ret_root_fd, char why[160]) TLY_CHECK;

/* A path within the root; a descriptor by O_PATH. -errno, -ENOSYS before Linux 5.6. */
int tly_rootfs_find(int root_fd, const char *path, int *ret_fd) TLY_CHECK;
/* A regular file of at most the buffer's maximum, within the root. */
int tly_rootfs_read(int root_fd, const char *path, struct tly_buf *buf) TLY_CHECK;

/* What is of the image: distribution, tools. */
void tly_rootfs_look_image(int root_fd, struct tly_rootfs_facts *facts);

struct tly_rootfs_limits {
    int64_t inodes_max;
    int64_t walk_ms;
    const struct tly_fact_names *remote; /* mount points that are not touched; or NULL */
    const struct tly_strings *expected;  /* patterns of set-user-id files to pass over; or NULL */
};
/* Walks through the root's own file system, for modes. Sets `walked`, `setuid`, `world_writable`.
 */
void tly_rootfs_walk(int root_fd, const struct tly_rootfs_limits *limits,
                     struct tly_rootfs_facts *facts);

/* Whether it can be told of each path if it is remote. */
bool tly_rootfs_remote_is_known(const struct tly_fact_names *remote);

/* Whether a path is at or below one of the remote mounts, or that cannot be told of them. */
bool tly_rootfs_is_remote(const struct tly_fact_names *remote, struct tly_text path);

/* What is of the container: secrets below /run/secrets and in the working folder, without touching
 * remote mounts. */
void tly_rootfs_look_container(int root_fd, const char *working_folder,
                               const struct tly_fact_names *remote, struct tly_rootfs_facts *facts);

#endif
