/*
 * The arena: a list of blocks that grow in size, filled one after the other. Clearing starts again
 * at the first block, so that an evaluation that is repeated allocates nothing from the heap.
 */
#include "agent/rules/arena.h"

#include <stdlib.h>

/* The first block, small because hundreds of templates and expressions have an arena each; each
 * further one is twice as large, up to BLOCK_MOST. */
#define BLOCK_FIRST ((size_t)256)
#define BLOCK_MOST  ((size_t)1024 * 1024)
#define ALIGNMENT   _Alignof(max_align_t)

struct tly_arena_block {
    struct tly_arena_block *next;
    size_t used, cap;
    _Alignas(max_align_t) char at[];
};

void tly_arena_init(struct tly_arena *arena, size_t max)
{
    *arena = (struct tly_arena){.max = max};
}

void tly_arena_done(struct tly_arena *arena)
{
    struct tly_arena_block *block = arena->first;
    while (block) {
        struct tly_arena_block *next = block->next;
        free(block);
        block = next;
    }
    tly_arena_init(arena, arena->max);
}

void tly_arena_clear(struct tly_arena *arena)
{
    arena->current = arena->first;
    if (arena->current) {
        arena->current->used = 0;
    }
}

/* Makes `current` a block with room for `bytes`: the next one that was kept, or a new one. */
static bool advance(struct tly_arena *arena, size_t bytes)
{
    struct tly_arena_block *current = arena->current;
    while (current && current->next) {
        current = current->next;
        current->used = 0;
        arena->current = current;
        if (current->cap >= bytes) {
            return true;
        }
    }
    size_t cap = current ? current->cap * 2 : BLOCK_FIRST;
    cap = cap > BLOCK_MOST ? BLOCK_MOST : cap;
    cap = cap < bytes ? bytes : cap;
    size_t left = arena->max - arena->bytes;
    if (cap > left) {
        cap = left;
    }
    if (cap < bytes) {
        return false;
    }
    struct tly_arena_block *block = malloc(sizeof(*block) + cap);
    if (!block) {
        return false;
    }
    block->next = NULL;
    block->used = 0;
    block->cap = cap;
    if (current) {
        current->next = block;
    } else {
        arena->first = block;
    }
    arena->current = block;
    arena->bytes += cap;
    return true;
}

void *tly_arena_alloc_raw(struct tly_arena *arena, size_t bytes)
{
    if (bytes > arena->max) {
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct tly_arena_block *block = arena->current;
    if (!block || block->cap - block->used < bytes) {
        if (!advance(arena, bytes)) {
            return NULL;
        }
        block = arena->current;
    }
    void *at = block->at + block->used;
    block->used += bytes;
    return at;
}

void *tly_arena_alloc(struct tly_arena *arena, size_t bytes)
{
    void *at = tly_arena_alloc_raw(arena, bytes);
    if (at) {
        memset(at, 0, bytes);
    }
    return at;
}

struct tly_text tly_arena_text(struct tly_arena *arena, struct tly_text text)
{
    char *at = tly_arena_alloc_raw(arena, text.len > 0 ? text.len : 1);
    if (!at) {
        return (struct tly_text){NULL, 0};
    }
    if (text.len > 0) {
        memcpy(at, text.at, text.len);
    }
    return (struct tly_text){at, text.len};
}
