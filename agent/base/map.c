/*
 * A map from bytes to pointers over uthash. The key lies behind its entry in one allocation. The
 * map owns its entries; the values belong to the caller.
 */
#include "agent/base/map.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Out of memory is an answer for the caller, not the end of the process. uthash then leaves the
 * new entry out and runs this statement. */
#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->lost = true)
#include <uthash.h>

struct entry {
    UT_hash_handle hh;
    void *value;
    bool lost; /* uthash found no memory to add it */
    size_t key_len;
    char key[];
};

struct tly_map {
    struct entry *head;
};

/* Where a walk stands when it has nothing left; NULL means that it has not begun. */
static char walk_end;

struct tly_map *tly_map_new(void)
{
    return calloc(1, sizeof(struct tly_map));
}

void tly_map_free(struct tly_map *map, void (*free_value)(void *))
{
    if (!map) {
        return;
    }
    struct entry *entry = map->head;
    HASH_CLEAR(hh, map->head); /* frees uthash's table; the entries keep their chain */
    while (entry) {
        struct entry *next = entry->hh.next;
        if (free_value) {
            free_value(entry->value);
        }
        free(entry);
        entry = next;
    }
    free(map);
}

size_t tly_map_count(const struct tly_map *map)
{
    return HASH_COUNT(map->head);
}

static struct entry *find(const struct tly_map *map, struct tly_text key)
{
    struct entry *entry = NULL;
    if (key.len <= UINT_MAX) {
        const char *at = key.len > 0 ? key.at : "";
        HASH_FIND(hh, map->head, at, (unsigned)key.len, entry);
    }
    return entry;
}

void *tly_map_get(const struct tly_map *map, struct tly_text key)
{
    const struct entry *entry = find(map, key);
    return entry ? entry->value : NULL;
}

int tly_map_put(struct tly_map *map, struct tly_text key, void *value, void **ret_old)
{
    if (key.len > UINT_MAX) {
        return TLY_E_LIMIT; /* uthash counts a key's bytes in an unsigned */
    }
    struct entry *entry = find(map, key);
    void *old = NULL;
    if (entry) {
        old = entry->value;
        entry->value = value;
    } else {
        entry = calloc(1, sizeof(*entry) + key.len);
        if (!entry) {
            return -ENOMEM;
        }
        entry->value = value;
        entry->key_len = key.len;
        if (key.len > 0) {
            memcpy(entry->key, key.at, key.len);
        }
        HASH_ADD_KEYPTR(hh, map->head, entry->key, (unsigned)key.len, entry);
        if (entry->lost) {
            free(entry);
            return -ENOMEM;
        }
    }
    if (ret_old) {
        *ret_old = old;
    }
    return 0;
}

void *tly_map_remove(struct tly_map *map, struct tly_text key)
{
    struct entry *entry = find(map, key);
    if (!entry) {
        return NULL;
    }
    void *value = entry->value;
    HASH_DEL(map->head, entry);
    free(entry);
    return value;
}

bool tly_map_next(const struct tly_map *map, void **at, struct tly_map_entry *ret_entry)
{
    /* `at` holds the entry to come, so that the one just handed out may be removed. */
    struct entry *entry = *at ? *at : map->head;
    if (!entry || *at == &walk_end) {
        return false;
    }
    *at = entry->hh.next ? entry->hh.next : &walk_end;
    *ret_entry = (struct tly_map_entry){{entry->key, entry->key_len}, entry->value};
    return true;
}
