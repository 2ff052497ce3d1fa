/*
 * Memory that lives as long as a batch: a parsed expression, or one evaluation. Bounded; nothing is
 * freed singly. Embedded: init before use, done at the end.
 */
#ifndef TLY_RULES_ARENA_H
#define TLY_RULES_ARENA_H

#include "agent/base/text.h"

#include <stddef.h>

struct tly_arena_block; /* private */

struct tly_arena {
    struct tly_arena_block *first, *current; /* owned */
    size_t bytes;                            /* allocated from the heap */
    size_t max;                              /* `bytes` never passes this */
};

void tly_arena_init(struct tly_arena *arena, size_t max);
void tly_arena_done(struct tly_arena *arena);  /* frees; the arena may be init-ed again */
void tly_arena_clear(struct tly_arena *arena); /* forgets what was handed out, keeps the memory */

/* `bytes` of zeroed memory, aligned for any type; NULL over the maximum or when memory is out. */
void *tly_arena_alloc(struct tly_arena *arena, size_t bytes);

/* The same for memory that the caller fills completely. */
void *tly_arena_alloc_raw(struct tly_arena *arena, size_t bytes);

/* A copy of the bytes, not terminated; at == NULL when there is no memory. */
struct tly_text tly_arena_text(struct tly_arena *arena, struct tly_text text);

#endif
