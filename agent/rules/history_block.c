/*
 * Blocks: a straight line and offsets to it. The line through the first and the last sample leaves
 * little of a counter that grows steadily, nothing of a constant. When a sample is too far from the
 * line the block is written anew, with the line through its own samples and room on both sides.
 */
#include "agent/rules/history_block.h"

#include "agent/rules/history.h"

#include <errno.h>
#include <stdlib.h>

/* Offsets are read eight bytes at a time, so that many follow the last one. */
#define PADDING 8
/* How many samples more there is room for when a block grows. */
#define GROWTH      8
#define HEAP_HEADER 8

static size_t block_size(unsigned width, unsigned cap)
{
    return sizeof(struct tly_block) + (width > 0 ? (size_t)width * cap + PADDING : 0);
}

size_t tly_block_bytes(const struct tly_block *block)
{
    return block_size(block->width, block->cap) + HEAP_HEADER;
}

struct tly_block *tly_block_new(uint32_t tick, int64_t raw, int exponent)
{
    struct tly_block *block = malloc(block_size(0, 0));
    if (block) {
        *block = (struct tly_block){
            .tick = tick, .count = 1, .exponent = (int8_t)exponent, .base = raw};
    }
    return block;
}

void tly_block_read(const struct tly_block *block, unsigned from, unsigned to, int64_t *ret_raws)
{
    uint64_t slope = (uint64_t)block->slope;
    uint64_t line = (uint64_t)block->base + slope * from;
    unsigned width = block->width;
    if (width == 0) {
        for (unsigned i = from; i < to; i++, line += slope) {
            ret_raws[i - from] = (int64_t)line;
        }
        return;
    }
    uint64_t mask = tly_block_mask(width);
    const unsigned char *at = block->offsets + (size_t)width * from;
    for (unsigned i = from; i < to; i++, line += slope, at += width) {
        uint64_t offset;
        memcpy(&offset, at, sizeof(offset)); /* little-endian, as all of these machines are */
        ret_raws[i - from] = (int64_t)(line + (offset & mask));
    }
}

static void offset_write(struct tly_block *block, unsigned index, uint64_t offset)
{
    unsigned char *to = block->offsets + (size_t)block->width * index;
    for (unsigned i = 0; i < block->width; i++) {
        to[i] = (unsigned char)(offset >> (8 * i));
    }
}

static unsigned width_of(uint64_t range)
{
    unsigned width = 0;
    while (width < 8 && range > tly_block_mask(width)) {
        width++;
    }
    return width;
}

/* The least of the samples' distances to a line of that slope, and how far they spread. */
static uint64_t spread(const int64_t *raws, unsigned count, int64_t slope, int64_t *ret_base)
{
    int64_t least = INT64_MAX;
    uint64_t most = 0;
    for (unsigned i = 0; i < count; i++) {
        int64_t rest = (int64_t)((uint64_t)raws[i] - (uint64_t)slope * i);
        least = rest < least ? rest : least;
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t offset = (uint64_t)raws[i] - (uint64_t)slope * i - (uint64_t)least;
        most = offset > most ? offset : most;
    }
    *ret_base = least;
    return most;
}

/* Writes the block anew with those samples. */
static int rewrite(struct tly_block **block, const int64_t *raws, unsigned count)
{
    int64_t base;
    int64_t slope = 0;
    uint64_t range = spread(raws, count, 0, &base);
    if (count > 1 && (*block)->exponent <= 0) {
        int64_t rise = (int64_t)((uint64_t)raws[count - 1] - (uint64_t)raws[0]);
        int64_t steep = rise / (int64_t)(count - 1);
        int64_t steep_base;
        uint64_t steep_range = spread(raws, count, steep, &steep_base);
        if (width_of(steep_range) < width_of(range)) {
            range = steep_range;
            base = steep_base;
            slope = steep;
        }
    }
    unsigned width = width_of(range);
    unsigned cap = count + GROWTH < TLY_BLOCK_SAMPLES ? count + GROWTH : TLY_BLOCK_SAMPLES;
    struct tly_block *moved = realloc(*block, block_size(width, cap));
    if (!moved) {
        return -ENOMEM;
    }
    if (width > 0 && width < 8) {
        base = (int64_t)((uint64_t)base -
                         (tly_block_mask(width) - range) / 2); /* room on both sides */
    }
    moved->width = (uint8_t)width;
    moved->cap = (uint8_t)cap;
    moved->base = base;
    moved->slope = slope;
    moved->count = (uint8_t)count;
    for (unsigned i = 0; i < count; i++) {
        offset_write(moved, i, (uint64_t)raws[i] - (uint64_t)slope * i - (uint64_t)base);
    }
    *block = moved;
    return 0;
}

/* Whether a sample at that tick continues the block's rhythm. */
static bool in_rhythm(const struct tly_block *block, uint32_t tick)
{
    if (block->count == 1) {
        return tick - block->tick <= UINT16_MAX;
    }
    return tick == block->tick + (uint32_t)block->stride * block->count;
}

int tly_block_append(struct tly_block **block, uint32_t tick, int64_t raw, int exponent)
{
    struct tly_block *at = *block;
    if (at->exponent != exponent || at->exponent == TLY_BLOCK_MARKER ||
        at->count == TLY_BLOCK_SAMPLES || !in_rhythm(at, tick)) {
        return 0;
    }
    uint16_t stride = at->count == 1 ? (uint16_t)(tick - at->tick) : at->stride;
    uint64_t line = (uint64_t)at->base + (uint64_t)at->slope * at->count;
    uint64_t offset = (uint64_t)raw - line;
    if (offset > tly_block_mask(at->width)) {
        int64_t raws[TLY_BLOCK_SAMPLES];
        tly_block_read(at, 0, at->count, raws);
        raws[at->count] = raw;
        int rc = rewrite(block, raws, at->count + 1U);
        if (rc < 0) {
            return rc;
        }
    } else {
        if (at->width > 0 && at->count == at->cap) {
            unsigned cap = at->cap + GROWTH < TLY_BLOCK_SAMPLES ? at->cap + GROWTH
                                                                : TLY_BLOCK_SAMPLES;
            at = realloc(at, block_size(at->width, cap));
            if (!at) {
                return -ENOMEM;
            }
            at->cap = (uint8_t)cap;
            *block = at;
        }
        offset_write(at, at->count, offset);
        at->count++;
    }
    (*block)->stride = stride;
    return 1;
}
