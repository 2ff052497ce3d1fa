/*
 * Memory for jansson, of every thread; see json_memory.h. Each block has links before it, by which
 * those of the read that is under way hang together. They mean nothing once it has come to its end.
 */
#include "agent/codec/json_memory.h"

#include "agent/base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct block {
    _Alignas(max_align_t) struct block *next;
    struct block *previous;
};

/* The read of this thread. It outlives the jump, which values of a function need not. */
static _Thread_local struct {
    bool goes_on;
    struct block made; /* the ring of what it has made and not freed */
    jmp_buf out;
} reading;

static void *block_new(size_t size)
{
    struct block *block = size > SIZE_MAX - sizeof(*block) ? NULL : malloc(sizeof(*block) + size);
    if (block == NULL) {
        if (reading.goes_on) {
            longjmp(reading.out, 1);
        }
        return NULL;
    }
    if (reading.goes_on) {
        block->next = reading.made.next;
        block->previous = &reading.made;
        block->next->previous = block;
        reading.made.next = block;
    }
    return block + 1;
}

/* jansson calls nobody while it reads, so that all that it frees meanwhile is of this read. */
static void block_free(void *at)
{
    if (at == NULL) {
        return;
    }
    struct block *block = (struct block *)at - 1;
    if (reading.goes_on) {
        block->previous->next = block->next;
        block->next->previous = block->previous;
    }
    free(block);
}

/* Before anybody has made a value. */
static __attribute__((constructor)) void memory_set(void)
{
    json_set_alloc_funcs(block_new, block_free);
}

int tly_json_load(struct tly_text text, size_t flags, json_t **ret_root, json_error_t *ret_failure)
{
    reading.made = (struct block){&reading.made, &reading.made};
    if (setjmp(reading.out) != 0) {
        reading.goes_on = false;
        for (struct block *block = reading.made.next; block != &reading.made;) {
            struct block *next = block->next;
            free(block);
            block = next;
        }
        return -ENOMEM;
    }
    reading.goes_on = true;
    json_t *root = json_loadb(text.at, text.len, flags, ret_failure);
    reading.goes_on = false;
    if (root == NULL) {
        return TLY_E_MALFORMED;
    }
    *ret_root = root;
    return 0;
}
