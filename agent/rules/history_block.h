/*
 * A block of one series' samples. Private to the history.
 */
#ifndef TLY_RULES_HISTORY_BLOCK_H
#define TLY_RULES_HISTORY_BLOCK_H

#include "agent/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* More would make a block outlive its oldest samples for too long, fewer would make headers weigh.
 */
#define TLY_BLOCK_SAMPLES 64
#define TLY_BLOCK_MARKER  2 /* in place of an exponent: the end of the series */

struct tly_block {
    struct tly_block *next, *before; /* newer, older */
    uint32_t tick;                   /* of the first sample */
    uint16_t stride;                 /* ticks from one sample to the next */
    uint8_t count, cap;              /* samples; room for them at this width */
    uint8_t width;                   /* bytes of each offset */
    int8_t exponent;
    int64_t base, slope; /* sample i is base + slope * i + its offset, modulo 2^64 */
    unsigned char offsets[];
};

/* A block of one sample. NULL when memory is out. */
struct tly_block *tly_block_new(uint32_t tick, int64_t raw, int exponent);

/* Appends to `*block`, which may move. 0: it does not fit in here, begin another one; 1: done;
 * -ENOMEM, with the block as it was. */
int tly_block_append(struct tly_block **block, uint32_t tick, int64_t raw, int exponent) TLY_CHECK;

/* The samples from index `from` up to, not with, `to`. */
void tly_block_read(const struct tly_block *block, unsigned from, unsigned to, int64_t *ret_raws);

/* The bits that an offset of so many bytes has. */
static inline uint64_t tly_block_mask(unsigned width)
{
    return width >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * width)) - 1;
}

/* The sample of that index. */
static inline int64_t tly_block_at(const struct tly_block *block, unsigned index)
{
    uint64_t line = (uint64_t)block->base + (uint64_t)block->slope * index;
    if (block->width == 0) {
        return (int64_t)line;
    }
    uint64_t offset; /* little-endian, as all of these machines are */
    memcpy(&offset, block->offsets + (size_t)block->width * index, sizeof(offset));
    return (int64_t)(line + (offset & tly_block_mask(block->width)));
}

static inline uint32_t tly_block_last_tick(const struct tly_block *block)
{
    return block->tick + (uint32_t)block->stride * (block->count - 1U);
}

/* What it takes of the heap, about. */
size_t tly_block_bytes(const struct tly_block *block);

#endif
