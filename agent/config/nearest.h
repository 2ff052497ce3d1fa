/*
 * "Did you mean": the one of several names that a misspelt one most likely stands for.
 */
#ifndef TLY_CONFIG_NEAREST_H
#define TLY_CONFIG_NEAREST_H

#include "agent/base/text.h"

struct tly_nearest {
    struct tly_text wanted;
    const char *name; /* borrowed from the caller; NULL: none is near enough */
    unsigned distance;
};

/* A name counts as near when at most a third of what was written is wrong, at most 3 letters. */
void tly_nearest_init(struct tly_nearest *nearest, struct tly_text wanted);
void tly_nearest_try(struct tly_nearest *nearest, const char *name);

#endif
