/*
 * /proc/<pid>/mountinfo: what is mounted where, in one mount namespace. Pure; paths in it are
 * chosen by users, and a line that is none is passed over.
 *
 * Format: Linux kernel, Documentation/filesystems/proc.rst, section 3.5.
 */
#ifndef TLY_CODEC_MOUNTINFO_H
#define TLY_CODEC_MOUNTINFO_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Texts are borrowed, and as they stand there: blanks and backslashes as octal escapes. */
struct tly_mount {
    uint64_t id; /* STATX_MNT_ID */
    uint32_t major, minor;
    struct tly_text root;    /* what of the file system is mounted: "/" unless it is a bind mount */
    struct tly_text point;   /* where */
    struct tly_text type;    /* "ext4", "overlay", "cgroup2" */
    struct tly_text source;  /* "/dev/sda1", or a word */
    struct tly_text options; /* of the file system: "rw,lowerdir=...,upperdir=..." */
};

/* The next mount of `rest`, which starts as the whole text; false at its end. */
bool tly_mount_next(struct tly_text *rest, struct tly_mount *ret_mount);

/* Undoes the escapes, with a closing NUL. TLY_E_LIMIT when it does not fit. */
int tly_mount_unescape(struct tly_text text, char *to, size_t size) TLY_CHECK;

/*
 * The writable layer of the process to which the text belongs: the upper directory of the overlay
 * that is its root. -ENOENT when its root is no overlay, or one that is named by a relative path;
 * TLY_E_LIMIT when the name does not fit.
 */
int tly_mount_upper_dir(struct tly_text mountinfo, char *to, size_t size) TLY_CHECK;

#endif
