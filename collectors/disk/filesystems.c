/*
 * File systems by mountinfo and statvfs(3); see filesystems.h.
 */
#include "collectors/disk/filesystems.h"

#include "agent/base/file.h"
#include "agent/codec/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

/* On block devices, and writable as a rule: no image of a package (squashfs), nothing of memory. */
static const char *const types[] = {"ext2",     "ext3",     "ext4", "xfs",   "btrfs",
                                    "f2fs",     "jfs",      "zfs",  "vfat",  "exfat",
                                    "reiserfs", "bcachefs", "ntfs", "ntfs3", "nilfs2"};

void tly_disk_filesystems_done(struct tly_disk_filesystems *filesystems)
{
    free(filesystems->at);
    *filesystems = (struct tly_disk_filesystems){0};
}

int tly_disk_mountinfo_read(const char *proc, struct tly_buf *ret_mountinfo)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/self/mountinfo", proc);
    tly_buf_clear(ret_mountinfo);
    return len < (int)sizeof(path) ? tly_file_read(AT_FDCWD, path, ret_mountinfo) : -ENAMETOOLONG;
}

static bool is_local(const struct tly_mount *mount)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (tly_text_equal(mount->type, tly_text_of(types[i]))) {
            return mount->source.len > 0;
        }
    }
    return false;
}

static bool is_known(const struct tly_disk_filesystems *filesystems, const char *device)
{
    for (size_t i = 0; i < filesystems->count; i++) {
        if (strcmp(filesystems->at[i].device, device) == 0) {
            return true;
        }
    }
    return false;
}

static void ask(struct tly_disk_filesystems *filesystems, const struct tly_mount *mount)
{
    struct tly_disk_filesystem *to = &filesystems->at[filesystems->count];
    struct statvfs fs;
    char point[PATH_MAX];
    *to = (struct tly_disk_filesystem){0};
    if (tly_mount_unescape(mount->source, to->device, sizeof(to->device)) < 0 ||
        is_known(filesystems, to->device) ||
        tly_mount_unescape(mount->point, point, sizeof(point)) < 0 || statvfs(point, &fs) < 0 ||
        fs.f_blocks == 0) {
        return;
    }
    to->bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    to->used_bytes = (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize;
    to->inodes = fs.f_files;
    to->inodes_free = fs.f_ffree;
    filesystems->count++;
}

int tly_disk_filesystems_ask(struct tly_text mountinfo,
                             struct tly_disk_filesystems *ret_filesystems)
{
    struct tly_disk_filesystems filesystems = {
        .at = calloc(TLY_DISK_FILESYSTEMS_MAX, sizeof(*filesystems.at))};
    struct tly_mount mount;
    if (!filesystems.at) {
        return -ENOMEM;
    }
    while (filesystems.count < TLY_DISK_FILESYSTEMS_MAX && tly_mount_next(&mountinfo, &mount)) {
        if (is_local(&mount)) {
            ask(&filesystems, &mount);
        }
    }
    /* Most hosts have a handful, and the answer is kept. */
    struct tly_disk_filesystem *fitting = reallocarray(
        filesystems.at, filesystems.count > 0 ? filesystems.count : 1, sizeof(*fitting));
    filesystems.at = fitting != NULL ? fitting : filesystems.at;
    *ret_filesystems = filesystems;
    return 0;
}

int tly_disk_device_find(struct tly_text mountinfo, uint64_t mount_id, uint32_t major,
                         uint32_t minor, char to[TLY_DISK_DEVICE_MAX])
{
    struct tly_mount mount;
    while (tly_mount_next(&mountinfo, &mount)) {
        if (mount_id > 0 ? mount.id == mount_id : mount.major == major && mount.minor == minor) {
            return tly_mount_unescape(mount.source, to, TLY_DISK_DEVICE_MAX);
        }
    }
    return -ENOENT;
}
