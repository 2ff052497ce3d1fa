/*
 * A set of files by device and inode; see links.h.
 */
#include "collectors/disk/links.h"

#include <errno.h>
#include <stdlib.h>

#define CAP_FIRST 256

/* Spreads consecutive inodes: the multiplier of Knuth's multiplicative hashing, for 64 bits. */
static size_t place_of(const struct tly_disk_links *links, uint64_t device, uint64_t inode)
{
    uint64_t hash = (inode ^ (device << 32)) * 0x9e3779b97f4a7c15U;
    return (size_t)(hash >> 32) & (links->cap - 1);
}

static struct tly_disk_link *slot_of(struct tly_disk_links *links, uint64_t device, uint64_t inode)
{
    size_t at = place_of(links, device, inode);
    while (links->slots[at].inode != 0 &&
           (links->slots[at].inode != inode || links->slots[at].device != device)) {
        at = (at + 1) & (links->cap - 1);
    }
    return &links->slots[at];
}

static int grow(struct tly_disk_links *links)
{
    struct tly_disk_links grown = {.cap = links->cap > 0 ? links->cap * 2 : CAP_FIRST,
                                   .count = links->count};
    grown.slots = calloc(grown.cap, sizeof(*grown.slots));
    if (!grown.slots) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < links->cap; i++) {
        if (links->slots[i].inode != 0) {
            *slot_of(&grown, links->slots[i].device, links->slots[i].inode) = links->slots[i];
        }
    }
    free(links->slots);
    *links = grown;
    return 0;
}

int tly_disk_links_add(struct tly_disk_links *links, dev_t device, uint64_t inode, bool *ret_known)
{
    *ret_known = links->cap > 0 && slot_of(links, device, inode)->inode != 0;
    if (*ret_known) {
        return 0;
    }
    if (links->count * 2 >= links->cap) {
        int rc = links->count >= TLY_DISK_LINKS_MAX ? TLY_E_LIMIT : grow(links);
        if (rc < 0) {
            return rc;
        }
    }
    *slot_of(links, device, inode) = (struct tly_disk_link){device, inode};
    links->count++;
    return 0;
}

void tly_disk_links_done(struct tly_disk_links *links)
{
    free(links->slots);
    *links = (struct tly_disk_links){0};
}
