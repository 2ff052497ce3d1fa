/*
 * The size of a tree of files, looked at a few entries at a time. The tree belongs to somebody
 * else, who may be hostile and changes it meanwhile: nothing outside of it is ever looked at (no
 * symbolic link is followed, no mount entered), only one directory is open at a time and never
 * needed open, depth, number and memory are bounded, and what vanishes is simply gone. Reading
 * never stands in the way of removing the tree. Used on a worker; owned by one round of the
 * collector.
 */
#ifndef TLY_COLLECTORS_DISK_WALK_H
#define TLY_COLLECTORS_DISK_WALK_H

#include "agent/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a tree was not looked at as a whole; a set of flags. */
enum {
    TLY_DISK_CUT_ENTRIES = 1, /* more than entries_max */
    TLY_DISK_CUT_MEMORY = 2,  /* more directories at once than fit memory_bytes_max */
    TLY_DISK_CUT_DEPTH = 4,   /* a path longer than the kernel takes */
    TLY_DISK_CUT_LINKS = 8,   /* more files with several names than are told apart */
};
#define TLY_DISK_CUTS 4

struct tly_disk_limits {
    uint64_t entries_max;
    size_t memory_bytes_max;
    /* Entries of the top folder whose names begin with one of these are summed up apart, with what
     * lies below them; ends in NULL. May be NULL. Borrowed for the life of the walk. */
    const char *const *marks;
    bool plain_open; /* for tests: as on kernels before openat2(2) */
};

struct tly_disk_size {
    uint64_t bytes;  /* on disk, directories included, hard links counted once, as du(1) has it */
    uint64_t inodes; /* the same things counted, the top folder included */
    uint64_t marked_bytes; /* of those, files below a mark */
    uint64_t unreadable;   /* entries and directories that could not be looked at */
    unsigned cut;          /* set of TLY_DISK_CUT_* */
    uint64_t fs_bytes;     /* the size of the file system, or of a quota on the folder */
    uint64_t fs_inodes;    /* 0: it has no fixed number */
    uint64_t fs_inodes_free;
    uint64_t mount_id;     /* as in mountinfo; 0 on kernels before 5.8 */
    uint32_t major, minor; /* of the file system */
};

struct tly_disk_walk;

/*
 * Begins at the folder `root`, an absolute path whose last part may not be a symbolic link. -ENOENT
 * when it is not there, -EXDEV when it is a mount point of its own, -ENOTDIR, -EACCES, -ENOMEM.
 */
int tly_disk_walk_new(const char *root, const struct tly_disk_limits *limits,
                      struct tly_disk_walk **ret_walk) TLY_CHECK;
void tly_disk_walk_free(struct tly_disk_walk *walk); /* NULL is fine */

/* Looks at up to `entries` more; `ret_done` is how many it did, more than that after a folder that
 * lies deep, as it costs more. False: the walk is over. */
bool tly_disk_walk_step(struct tly_disk_walk *walk, size_t entries, size_t *ret_done) TLY_CHECK;

/* So far, or of the whole tree when the walk is over; borrowed. The top folder may have gone since:
 * then `inodes` is 0. */
const struct tly_disk_size *tly_disk_walk_size(const struct tly_disk_walk *walk);

#endif
