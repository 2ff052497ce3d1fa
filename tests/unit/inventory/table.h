/*
 * An inventory for tests, and containers to put into it.
 */
#ifndef TLY_TESTS_UNIT_INVENTORY_TABLE_H
#define TLY_TESTS_UNIT_INVENTORY_TABLE_H

#include "agent/inventory/inventory.h"
#include "tests/unit/unit.h"

#define CONTAINERS_MAX 4

static struct tly_inventory *inventory;

static inline int make_inventory(void **state)
{
    (void)state;
    static const struct tly_inventory_limits limits = {
        .containers_max = CONTAINERS_MAX, .label_value_bytes_max = 64, .labels_max = 8};
    static const char *const globs[] = {"com.docker.compose.*"};
    return tly_inventory_new(&limits, globs, 1, &inventory);
}

static inline int free_inventory(void **state)
{
    (void)state;
    tly_inventory_free(inventory);
    inventory = NULL;
    return 0;
}

/* A container with a name (or NULL) and a state. */
static inline struct tly_container *container_of(const char *id, const char *name,
                                                 enum tly_container_state condition)
{
    struct tly_container *container = tly_container_new(tly_text_of(id));
    assert_non_null(container);
    if (name != NULL) {
        assert_int_equal(tly_container_set(&container->name, tly_text_of(name)), 0);
    }
    container->state = condition;
    return container;
}

static inline void put(enum tly_source source, const char *id, const char *name,
                       enum tly_container_state condition)
{
    assert_int_equal(tly_inventory_put(inventory, source, container_of(id, name, condition), 1), 0);
}

/* The raw value of a family (without a dimension, or with the text `dim`) in a set; -999 if there
 * is none. */
#define NONE (-999)
static inline int64_t raw_of(const struct tly_sample_set *set, enum tly_family_id family,
                             const char *dim)
{
    for (size_t i = 0; set != NULL && i < tly_sample_set_count(set); i++) {
        const struct tly_sample *sample = &tly_sample_set_at(set)[i];
        if (sample->family == family &&
            tly_text_equal(tly_sample_set_dim(set, sample->dim), tly_text_of(dim))) {
            return sample->raw;
        }
    }
    return NONE;
}

#endif
