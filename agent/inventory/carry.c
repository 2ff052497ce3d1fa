/*
 * The carry. The common case, a container that has run once and shows the same counters as before,
 * is one walk over two arrays; the ledger of entries is only for what was reset or went away.
 */
#include "agent/inventory/carry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tly_carry_entry {
    uint16_t family;
    char *dim; /* owned, `dim_len` bytes */
    size_t dim_len;
    int64_t base;   /* counted before the present reset */
    int64_t absent; /* what the counter showed when it went away; 0 while it is there */
};

static bool carried(const struct tly_sample *sample)
{
    return (tly_families[sample->family].flags & TLY_FAMILY_CARRIED) != 0;
}

void tly_carry_done(struct tly_carry *carry)
{
    tly_sample_set_unref(carry->raw);
    for (size_t i = 0; i < carry->count; i++) {
        free(carry->at[i].dim);
    }
    free(carry->at);
    *carry = (struct tly_carry){0};
}

/* Finds a counter in a set, which is sorted by family. */
static const struct tly_sample *set_find(const struct tly_sample_set *set, uint16_t family,
                                         struct tly_text dim)
{
    const struct tly_sample *at = tly_sample_set_at(set);
    size_t count = tly_sample_set_count(set);
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (at[middle].family < family) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < count && at[low].family == family; low++) {
        if (tly_text_equal(tly_sample_set_dim(set, at[low].dim), dim)) {
            return &at[low];
        }
    }
    return NULL;
}

/* Where a counter's entry stands in the ledger, which is sorted by family, or would stand. */
static size_t ledger_place(const struct tly_carry *carry, uint16_t family, struct tly_text dim,
                           bool *ret_found)
{
    size_t low = 0;
    size_t high = carry->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (carry->at[middle].family < family) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_found = false;
    for (; low < carry->count && carry->at[low].family == family; low++) {
        const struct tly_carry_entry *entry = &carry->at[low];
        if (tly_text_equal((struct tly_text){entry->dim, entry->dim_len}, dim)) {
            *ret_found = true;
            break;
        }
    }
    return low;
}

/* The entry of a counter, made if need be; NULL when memory is out or the ledger is full. */
static struct tly_carry_entry *ledger_take(struct tly_carry *carry, uint16_t family,
                                           struct tly_text dim)
{
    bool found = false;
    size_t place = ledger_place(carry, family, dim, &found);
    if (found) {
        return &carry->at[place];
    }
    if (carry->count >= TLY_SAMPLES_MAX) {
        return NULL;
    }
    struct tly_carry_entry made = {
        .family = family, .dim = malloc(dim.len + 1), .dim_len = dim.len};
    if (made.dim == NULL) {
        return NULL;
    }
    if (dim.len > 0) {
        memcpy(made.dim, dim.at, dim.len);
    }
    /* Grown at each power of two, so that the capacity need not be kept. */
    if ((carry->count & (carry->count - 1)) == 0) {
        size_t cap = carry->count == 0 ? 1 : carry->count * 2;
        struct tly_carry_entry *grown = realloc(carry->at, cap * sizeof(*grown));
        if (grown == NULL) {
            free(made.dim);
            return NULL;
        }
        carry->at = grown;
    }
    memmove(&carry->at[place + 1], &carry->at[place], (carry->count - place) * sizeof(*carry->at));
    carry->at[place] = made;
    carry->count++;
    return &carry->at[place];
}

/* Sums that stay at the greatest number rather than overflow. */
static int64_t sum(int64_t a, int64_t b)
{
    int64_t both = 0;
    return __builtin_add_overflow(a, b, &both) ? INT64_MAX : both;
}

/* What must be added to the total when a counter showed `before` and now shows `now`. */
static int64_t lost(int64_t before, int64_t now)
{
    if (now >= before) {
        return 0;
    }
    return now < before / 2 ? before : before - now;
}

/* Everything so far becomes base: the next set starts from 0. */
static int instance_close(struct tly_carry *carry)
{
    int rc = 0;
    const struct tly_sample *at = tly_sample_set_at(carry->raw);
    for (size_t i = 0; i < tly_sample_set_count(carry->raw); i++) {
        if (!carried(&at[i]) || at[i].raw == 0) {
            continue;
        }
        struct tly_carry_entry *entry = ledger_take(carry, at[i].family,
                                                    tly_sample_set_dim(carry->raw, at[i].dim));
        if (entry == NULL) {
            rc = -ENOMEM;
            continue;
        }
        entry->base = sum(entry->base, at[i].raw);
    }
    for (size_t i = 0; i < carry->count; i++) {
        carry->at[i].base = sum(carry->at[i].base, carry->at[i].absent);
        carry->at[i].absent = 0;
    }
    return rc;
}

/* Settles each counter that went down, went away or came back between the last set and this one. */
static int instance_step(struct tly_carry *carry, const struct tly_sample_set *set)
{
    int rc = 0;
    for (size_t i = 0; i < carry->count; i++) {
        struct tly_carry_entry *entry = &carry->at[i];
        const struct tly_sample *back =
            entry->absent == 0
                ? NULL
                : set_find(set, entry->family, (struct tly_text){entry->dim, entry->dim_len});
        if (back != NULL) {
            entry->base = sum(entry->base, lost(entry->absent, back->raw));
            entry->absent = 0;
        }
    }
    const struct tly_sample *at = tly_sample_set_at(carry->raw);
    for (size_t i = 0; i < tly_sample_set_count(carry->raw); i++) {
        if (!carried(&at[i])) {
            continue;
        }
        struct tly_text dim = tly_sample_set_dim(carry->raw, at[i].dim);
        const struct tly_sample *now = set_find(set, at[i].family, dim);
        if (now != NULL && now->raw >= at[i].raw) {
            continue;
        }
        struct tly_carry_entry *entry = ledger_take(carry, at[i].family, dim);
        if (entry == NULL) {
            rc = -ENOMEM;
        } else if (now == NULL) {
            entry->absent = at[i].raw;
        } else {
            entry->base = sum(entry->base, lost(at[i].raw, now->raw));
        }
    }
    return rc;
}

/* Whether both sets hold the same counters at the same places, none of them lower than before. */
static bool plain_step(const struct tly_sample_set *before, const struct tly_sample_set *now)
{
    size_t count = tly_sample_set_count(before);
    if (count != tly_sample_set_count(now) || !tly_sample_set_same_dims(before, now)) {
        return false;
    }
    const struct tly_sample *a = tly_sample_set_at(before);
    const struct tly_sample *b = tly_sample_set_at(now);
    for (size_t i = 0; i < count; i++) {
        if (a[i].family != b[i].family || a[i].dim != b[i].dim ||
            (b[i].raw < a[i].raw && carried(&b[i]))) {
            return false;
        }
    }
    return true;
}

/* A copy of `set` with the bases added. */
static struct tly_sample_set *totals(const struct tly_carry *carry,
                                     const struct tly_sample_set *set)
{
    struct tly_sample_set *copy = tly_sample_set_clone(set);
    if (copy == NULL) {
        return NULL;
    }
    struct tly_sample *at = tly_sample_set_edit(copy);
    for (size_t i = 0; i < tly_sample_set_count(copy); i++) {
        bool found = false;
        size_t place = carried(&at[i]) ? ledger_place(carry, at[i].family,
                                                      tly_sample_set_dim(copy, at[i].dim), &found)
                                       : 0;
        if (found) {
            at[i].raw = sum(at[i].raw, carry->at[place].base);
        }
    }
    return copy;
}

struct tly_sample_set *tly_carry_apply(struct tly_carry *carry, uint64_t instance,
                                       struct tly_sample_set *set)
{
    int rc = 0;
    if (carry->raw != NULL) {
        if (carry->instance != instance) {
            rc = instance_close(carry);
        } else if (!plain_step(carry->raw, set)) {
            rc = instance_step(carry, set);
        }
    }
    tly_sample_set_unref(carry->raw);
    carry->raw = set;
    carry->instance = instance;
    if (rc < 0) {
        return NULL;
    }
    return carry->count == 0 ? tly_sample_set_ref(set) : totals(carry, set);
}
