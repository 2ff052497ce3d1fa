/*
 * A set of texts that finds equal ones, of a size known beforehand: for one pass over many, then
 * thrown away. Texts are borrowed. Embedded.
 */
#ifndef TLY_CODEC_TEXT_SET_H
#define TLY_CODEC_TEXT_SET_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stddef.h>

struct tly_text_set {
    struct tly_text_slot *slots;
    size_t mask;
};

/* For at most `count` texts. -ENOMEM. */
int tly_text_set_init(struct tly_text_set *set, size_t count) TLY_CHECK;
void tly_text_set_done(struct tly_text_set *set);

/* Puts `text` as number `number` (from 1), unless an equal one is there: then returns that one's
 * number. */
size_t tly_text_set_put(struct tly_text_set *set, struct tly_text text, size_t number);

#endif
