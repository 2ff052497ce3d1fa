/*
 * The labels that every series of a container carries, as the exporter writes them: cAdvisor's
 * `id`, `image` and `name`, then the chosen container labels. Built once per change of the
 * container; counted, so that snapshots hold the text without copying it.
 */
#ifndef TLY_INVENTORY_BASE_LABELS_H
#define TLY_INVENTORY_BASE_LABELS_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/model/container.h"

#include <stddef.h>

struct tly_base_labels {
    unsigned refs; /* only through ref and unref */
    size_t cut;    /* values shortened to value_bytes_max */
    /* Chosen labels over labels_max, or with a name over LABEL_NAME_MAX; and those that the
     * container itself left out. */
    size_t dropped;
    size_t collisions; /* chosen labels whose metric name an earlier one had */
    size_t len;
    char at[];
};

struct tly_label_choice {
    char **globs; /* of container label keys */
    size_t glob_count;
    size_t value_bytes_max;
    size_t labels_max;
};

/*
 * `path` is the cgroup path to show as `id`. An unknown image or name and an absent container label
 * give no label at all. A key becomes `container_label_` and the key with every byte outside
 * [a-zA-Z0-9_] replaced by `_`, as cAdvisor does it; of several keys with the same result the first
 * in byte order wins. -ENOMEM.
 */
int tly_base_labels_new(const struct tly_container *container, struct tly_text path,
                        const struct tly_label_choice *choice,
                        struct tly_base_labels **ret_labels) TLY_CHECK;
struct tly_base_labels *tly_base_labels_ref(struct tly_base_labels *labels);
void tly_base_labels_unref(struct tly_base_labels *labels); /* NULL is fine */

#endif
