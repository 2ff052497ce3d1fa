/*
 * FNV-1a with 64 bits (draft-eastlake-fnv): tells changes, cut-off files and keys of small tables
 * apart, against no adversary.
 */
#ifndef TLY_BASE_HASH_H
#define TLY_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Of no bytes. */
#define TLY_HASH_FIRST UINT64_C(0xcbf29ce484222325)

/* Of what `hash` stands for, followed by these bytes. */
static inline uint64_t tly_hash_add(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

#endif
