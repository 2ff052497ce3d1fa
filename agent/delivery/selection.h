/*
 * Which records a destination takes: by tag, and by the container that they are of. Pure.
 */
#ifndef TLY_DELIVERY_SELECTION_H
#define TLY_DELIVERY_SELECTION_H

#include "agent/base/text.h"
#include "agent/model/container.h"

#include <stdbool.h>
#include <stddef.h>

/* Patterns with `*` and `?`; borrowed. */
struct tly_patterns {
    char *const *at;
    size_t count;
};

/* Labels: "key" or "key=value", both sides patterns. */
struct tly_selection_terms {
    struct tly_patterns tags, containers, images, labels;
};

/* All zero: everything. */
struct tly_selection {
    struct tly_selection_terms match, exclude;
};

/*
 * Whether a record with this tag is taken: every kind of pattern that `match` names has one that
 * fits, and none of `exclude` does. `container` NULL: the record is of none, so no pattern of
 * containers, images or labels fits it.
 */
bool tly_selection_takes(const struct tly_selection *selection, struct tly_text tag,
                         const struct tly_container *container);

#endif
