/*
 * Which files with several names were counted already. Embedded in a walk; zero-initialised means
 * none. Bounded: beyond that a file may count once for each of its names.
 */
#ifndef TLY_COLLECTORS_DISK_LINKS_H
#define TLY_COLLECTORS_DISK_LINKS_H

#include "agent/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* 4 MiB of them in all. */
#define TLY_DISK_LINKS_MAX ((size_t)1 << 17)

struct tly_disk_link {
    uint64_t device, inode; /* inode 0: a free slot; no file has it */
};

struct tly_disk_links {
    struct tly_disk_link *slots; /* open addressing */
    size_t count, cap;           /* cap is a power of two, at least twice the count */
};

/* Adds a file, unless it is known. TLY_E_LIMIT at the bound, -ENOMEM. */
int tly_disk_links_add(struct tly_disk_links *links, dev_t device, uint64_t inode,
                       bool *ret_known) TLY_CHECK;
void tly_disk_links_done(struct tly_disk_links *links);

#endif
