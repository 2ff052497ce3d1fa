/*
 * The host's file systems: how full they are, and which device is behind a file. Only those on
 * block devices of this host are asked, as a file server that is away would hold the asker. Read on
 * a worker; owned by the collector.
 */
#ifndef TLY_COLLECTORS_DISK_FILESYSTEMS_H
#define TLY_COLLECTORS_DISK_FILESYSTEMS_H

#include "agent/base/buf.h"
#include "agent/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* More than any host mounts; further ones are left out. */
#define TLY_DISK_FILESYSTEMS_MAX 256
#define TLY_DISK_DEVICE_MAX      256

struct tly_disk_filesystem {
    char device[TLY_DISK_DEVICE_MAX]; /* "/dev/sda1", as it was mounted */
    uint64_t bytes, used_bytes;
    uint64_t inodes, inodes_free; /* 0: it has no fixed number */
};

struct tly_disk_filesystems {
    struct tly_disk_filesystem *at; /* owned */
    size_t count;
};

void tly_disk_filesystems_done(struct tly_disk_filesystems *filesystems);

/* Reads `proc`/self/mountinfo into `ret_mountinfo`, replacing what it held. -errno. */
int tly_disk_mountinfo_read(const char *proc, struct tly_buf *ret_mountinfo) TLY_CHECK;
#define TLY_DISK_MOUNTINFO_MAX ((size_t)16 << 20) /* of a host with 10,000 overlay mounts */

/* Asks each file system once, however often it is mounted. What can't be asked is left out. -ENOMEM
 */
int tly_disk_filesystems_ask(struct tly_text mountinfo,
                             struct tly_disk_filesystems *ret_filesystems) TLY_CHECK;

/* The device behind the mount with that id, or, with an id of 0, behind the first one with these
 * numbers. -ENOENT. */
int tly_disk_device_find(struct tly_text mountinfo, uint64_t mount_id, uint32_t major,
                         uint32_t minor, char to[TLY_DISK_DEVICE_MAX]) TLY_CHECK;

#endif
