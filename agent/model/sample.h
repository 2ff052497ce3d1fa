/*
 * Samples, in sets: what one collector found out about one container (or the host, or the agent) in
 * one run. A set is built once, then never changed, counted by references that any thread may take
 * and give back; so a snapshot holds sets without copying them.
 */
#ifndef TLY_MODEL_SAMPLE_H
#define TLY_MODEL_SAMPLE_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/model/family.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLY_DIM_NONE UINT16_MAX

struct tly_sample {
    uint16_t family; /* enum tly_family_id */
    uint16_t dim;    /* index of the set's dimensions, or TLY_DIM_NONE */
    int64_t raw;     /* value = raw * 10^family.exponent */
};

struct tly_sample_set; /* opaque, immutable, counted */

size_t tly_sample_set_count(const struct tly_sample_set *set);
/* Sorted by family, then in the order of adding. */
const struct tly_sample *tly_sample_set_at(const struct tly_sample_set *set);
/* The labels of a dimension as the exporter writes them: `device="/dev/sda",operation="Read"`,
 * values escaped and valid UTF-8. Empty for TLY_DIM_NONE. */
struct tly_text tly_sample_set_dim(const struct tly_sample_set *set, uint16_t dim);
/* How many samples and dimensions its builder refused while it was built. */
size_t tly_sample_set_refused(const struct tly_sample_set *set);
struct tly_sample_set *tly_sample_set_ref(struct tly_sample_set *set);
void tly_sample_set_unref(struct tly_sample_set *set); /* NULL is fine */

/* Whether both have the same dimensions in the same order, so that indexes mean the same. */
bool tly_sample_set_same_dims(const struct tly_sample_set *a, const struct tly_sample_set *b);
/* A copy with one reference, or NULL when memory is out. Until it is shared, its only holder may
 * change the raw values through `tly_sample_set_edit`. */
struct tly_sample_set *tly_sample_set_clone(const struct tly_sample_set *set);
struct tly_sample *tly_sample_set_edit(struct tly_sample_set *clone);
/* The samples whose family has `flag`, as a set of their own; NULL if there is none or memory is
 * out. */
struct tly_sample_set *tly_sample_set_filter(const struct tly_sample_set *set, unsigned flag);
/* Takes the reference of `set` over and returns what is left of it without the families for which
 * `hidden` says so: the same set where it has none of them. NULL when memory is out. */
struct tly_sample_set *tly_sample_set_without(struct tly_sample_set *set,
                                              const bool hidden[TLY_FAMILY_COUNT]);

/* The builder: embedded; after a failed call the builder stays usable without that sample. */
/* Per set: a container with thousands of devices is cut, and counted. */
#define TLY_SAMPLES_MAX 16384
struct tly_samples {
    struct tly_sample *at;
    size_t count, cap;
    struct tly_buf dim_text;
    uint32_t *dim_end;
    uint16_t *dim_index; /* a hash table over the dimensions, 2 * dims_cap slots */
    size_t dims, dims_cap;
    size_t refused;        /* samples and dimensions over the maximum, or out of memory */
    size_t refused_before; /* of them, those before the last `take` */
};

void tly_samples_init(struct tly_samples *samples);
void tly_samples_done(struct tly_samples *samples);

/*
 * Adds a dimension and returns its index, or TLY_DIM_NONE (counted in `refused`) when there is no
 * room. `names` and `values` have `count` entries; values are escaped here and bytes that are not
 * UTF-8 become U+FFFD. An equal dimension that was added before is found again.
 */
uint16_t tly_samples_dim(struct tly_samples *samples, const char *const *names,
                         const struct tly_text *values, size_t count);
uint16_t tly_samples_dim1(struct tly_samples *samples, const char *name, struct tly_text value);

/* For dimensions that come again and again: the text of one, made once and appended to `buf`, and
 * its use, which is the same as that of tly_samples_dim with these names and values. A text of
 * constant labels may be written down as it is: `cpu="total"`. -ENOMEM, TLY_E_LIMIT. */
int tly_dim_text_append(struct tly_buf *buf, const char *const *names,
                        const struct tly_text *values, size_t count) TLY_CHECK;
uint16_t tly_samples_dim_text(struct tly_samples *samples, struct tly_text text);

void tly_samples_add(struct tly_samples *samples, enum tly_family_id family, uint16_t dim,
                     int64_t raw);

/* Forgets what was added; memory and `refused` stay. */
void tly_samples_clear(struct tly_samples *samples);

/* Turns what was added into a set with one reference and clears the builder. NULL: out of memory.
 */
struct tly_sample_set *tly_samples_take(struct tly_samples *samples);

/* Appends `value` as a label value: backslash, quote and newline escaped, invalid UTF-8 and NUL
 * replaced by U+FFFD (Prometheus text format 0.0.4). Shared with the base labels. */
int tly_label_value_append(struct tly_buf *buf, struct tly_text value) TLY_CHECK;

#endif
