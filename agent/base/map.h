/*
 * A map from bytes to pointers, over uthash. Keys are copied; values belong to the caller.
 * Iteration follows the order of insertion. Bounded by the caller, who can ask for the count.
 */
#ifndef TLY_BASE_MAP_H
#define TLY_BASE_MAP_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stddef.h>

struct tly_map; /* opaque */
struct tly_map_entry {
    struct tly_text key; /* borrowed until the entry is removed */
    void *value;
};

struct tly_map *tly_map_new(void);                                  /* NULL when memory is out */
void tly_map_free(struct tly_map *map, void (*free_value)(void *)); /* free_value may be NULL */
size_t tly_map_count(const struct tly_map *map);

/* The value, or NULL. */
void *tly_map_get(const struct tly_map *map, struct tly_text key);

/* Adds or replaces. The old value (or NULL) goes to `ret_old`, which may be NULL. -ENOMEM. */
int tly_map_put(struct tly_map *map, struct tly_text key, void *value, void **ret_old) TLY_CHECK;

/* Removes and returns the value, or NULL. */
void *tly_map_remove(struct tly_map *map, struct tly_text key);

/*
 * Walks: `struct tly_map_entry e; for (void *at = NULL; tly_map_next(map, &at, &e);) ...`. The
 * current entry may be removed during the walk, no other one, and nothing may be added.
 */
bool tly_map_next(const struct tly_map *map, void **at, struct tly_map_entry *ret_entry);

#endif
