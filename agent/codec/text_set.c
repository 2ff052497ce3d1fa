/*
 * A hash table with open addressing, never more than half full.
 */
#include "agent/codec/text_set.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 4

struct tly_text_slot {
    struct tly_text text;
    size_t number; /* 0: free */
};

int tly_text_set_init(struct tly_text_set *set, size_t count)
{
    size_t slots = SLOTS_MIN;
    while (slots < count * 2) {
        slots *= 2;
    }
    set->slots = calloc(slots, sizeof(*set->slots));
    set->mask = slots - 1;
    return set->slots == NULL ? -ENOMEM : 0;
}

void tly_text_set_done(struct tly_text_set *set)
{
    free(set->slots);
    *set = (struct tly_text_set){0};
}

/* In the manner of FNV-1a, but eight bytes a step: label texts are long. */
static uint64_t hash_of(struct tly_text text)
{
    uint64_t hash = 14695981039346656037U;
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= text.len; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text.at + at, sizeof(word));
        hash = (hash ^ word) * 1099511628211U;
        hash ^= hash >> 29;
    }
    for (; at < text.len; at++) {
        hash = (hash ^ (unsigned char)text.at[at]) * 1099511628211U;
    }
    return hash ^ (hash >> 32);
}

size_t tly_text_set_put(struct tly_text_set *set, struct tly_text text, size_t number)
{
    size_t at = hash_of(text) & set->mask;
    while (set->slots[at].number != 0 && !tly_text_equal(set->slots[at].text, text)) {
        at = (at + 1) & set->mask;
    }
    if (set->slots[at].number == 0) {
        set->slots[at] = (struct tly_text_slot){text, number};
    }
    return set->slots[at].number;
}
