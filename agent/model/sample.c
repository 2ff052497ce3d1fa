/*
 * Sets of samples and their builder. A set is one block of memory, so that thousands of them cost
 * little to make, hold and drop; the builder keeps its memory from one set to the next.
 */
#include "agent/model/sample.h"

#include "agent/base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* All label texts of one set: far above what a host's devices need, and a bound on hostile ones. */
#define DIM_TEXT_MAX (4U << 20)

#define SAMPLES_FIRST 64
#define DIMS_FIRST    8

struct tly_sample_set {
    unsigned refs;
    size_t count;
    size_t dims;
    size_t refused;        /* by the builder */
    struct tly_sample *at; /* these three lie behind the struct, in its own block */
    uint32_t *dim_end;
    char *dim_text;
};

size_t tly_sample_set_count(const struct tly_sample_set *set)
{
    return set->count;
}

const struct tly_sample *tly_sample_set_at(const struct tly_sample_set *set)
{
    return set->at;
}

size_t tly_sample_set_refused(const struct tly_sample_set *set)
{
    return set->refused;
}

struct tly_text tly_sample_set_dim(const struct tly_sample_set *set, uint16_t dim)
{
    if (dim >= set->dims) {
        return (struct tly_text){NULL, 0};
    }
    uint32_t start = dim == 0 ? 0 : set->dim_end[dim - 1];
    return (struct tly_text){set->dim_text + start, set->dim_end[dim] - start};
}

struct tly_sample_set *tly_sample_set_ref(struct tly_sample_set *set)
{
    __atomic_add_fetch(&set->refs, 1, __ATOMIC_RELAXED);
    return set;
}

void tly_sample_set_unref(struct tly_sample_set *set)
{
    if (set != NULL && __atomic_sub_fetch(&set->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(set);
    }
}

bool tly_sample_set_same_dims(const struct tly_sample_set *a, const struct tly_sample_set *b)
{
    return a->dims == b->dims &&
           (a->dims == 0 || (memcmp(a->dim_end, b->dim_end, a->dims * sizeof(*a->dim_end)) == 0 &&
                             memcmp(a->dim_text, b->dim_text, a->dim_end[a->dims - 1]) == 0));
}

static struct tly_sample_set *set_alloc(size_t count, size_t dims, size_t text_len)
{
    size_t samples_bytes = count * sizeof(struct tly_sample);
    size_t ends_bytes = dims * sizeof(uint32_t);
    struct tly_sample_set *set = malloc(sizeof(*set) + samples_bytes + ends_bytes + text_len);
    if (set != NULL) {
        set->refs = 1;
        set->count = count;
        set->dims = dims;
        set->refused = 0;
        set->at = (struct tly_sample *)(void *)(set + 1);
        set->dim_end = (uint32_t *)(void *)((char *)set->at + samples_bytes);
        set->dim_text = (char *)set->dim_end + ends_bytes;
    }
    return set;
}

static void dims_copy(struct tly_sample_set *set, const uint32_t *ends, const char *text)
{
    if (set->dims > 0) {
        memcpy(set->dim_end, ends, set->dims * sizeof(*ends));
        memcpy(set->dim_text, text, ends[set->dims - 1]);
    }
}

struct tly_sample_set *tly_sample_set_clone(const struct tly_sample_set *set)
{
    struct tly_sample_set *clone = set_alloc(set->count, set->dims,
                                             set->dims > 0 ? set->dim_end[set->dims - 1] : 0);
    if (clone != NULL) {
        memcpy(clone->at, set->at, set->count * sizeof(*set->at));
        dims_copy(clone, set->dim_end, set->dim_text);
    }
    return clone;
}

struct tly_sample *tly_sample_set_edit(struct tly_sample_set *clone)
{
    return clone->at;
}

struct tly_sample_set *tly_sample_set_filter(const struct tly_sample_set *set, unsigned flag)
{
    struct tly_sample_set *some = tly_sample_set_clone(set);
    if (some == NULL) {
        return NULL;
    }
    some->count = 0;
    for (size_t i = 0; i < set->count; i++) {
        if ((tly_families[set->at[i].family].flags & flag) != 0) {
            some->at[some->count++] = set->at[i];
        }
    }
    if (some->count == 0) {
        free(some);
        return NULL;
    }
    return some;
}

struct tly_sample_set *tly_sample_set_without(struct tly_sample_set *set,
                                              const bool hidden[TLY_FAMILY_COUNT])
{
    size_t first = 0;
    while (first < set->count && !hidden[set->at[first].family]) {
        first++;
    }
    if (first == set->count) {
        return set;
    }
    struct tly_sample_set *rest = tly_sample_set_clone(set);
    if (rest != NULL) {
        rest->count = first;
        for (size_t i = first; i < set->count; i++) {
            if (!hidden[set->at[i].family]) {
                rest->at[rest->count++] = set->at[i];
            }
        }
    }
    tly_sample_set_unref(set);
    return rest;
}

void tly_samples_init(struct tly_samples *samples)
{
    *samples = (struct tly_samples){0};
    tly_buf_init(&samples->dim_text, DIM_TEXT_MAX);
}

void tly_samples_done(struct tly_samples *samples)
{
    free(samples->at);
    free(samples->dim_end);
    free(samples->dim_index);
    tly_buf_done(&samples->dim_text);
    *samples = (struct tly_samples){0};
}

static struct tly_text dim_text(const struct tly_samples *samples, size_t dim)
{
    uint32_t start = dim == 0 ? 0 : samples->dim_end[dim - 1];
    return (struct tly_text){samples->dim_text.at + start, samples->dim_end[dim] - start};
}

/* The slot of the index where `text` stands, or the free one where it belongs. A hostile choice of
 * device names costs time that is bounded by TLY_SAMPLES_MAX probes each. */
static size_t index_slot(const struct tly_samples *samples, struct tly_text text)
{
    size_t mask = samples->dims_cap * 2 - 1;
    size_t slot = tly_hash_add(TLY_HASH_FIRST, text.at, text.len) & mask;
    while (samples->dim_index[slot] != TLY_DIM_NONE &&
           !tly_text_equal(dim_text(samples, samples->dim_index[slot]), text)) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

/* Doubles the room for dimensions; the index always has twice as many slots. */
static int dims_grow(struct tly_samples *samples)
{
    size_t cap = samples->dims_cap == 0 ? DIMS_FIRST : samples->dims_cap * 2;
    uint32_t *ends = realloc(samples->dim_end, cap * sizeof(*ends));
    if (ends == NULL) {
        return -ENOMEM;
    }
    samples->dim_end = ends;
    uint16_t *index = malloc(cap * 2 * sizeof(*index));
    if (index == NULL) {
        return -ENOMEM;
    }
    memset(index, 0xff, cap * 2 * sizeof(*index)); /* every slot TLY_DIM_NONE */
    free(samples->dim_index);
    samples->dim_index = index;
    samples->dims_cap = cap;
    for (size_t dim = 0; dim < samples->dims; dim++) {
        index[index_slot(samples, dim_text(samples, dim))] = (uint16_t)dim;
    }
    return 0;
}

int tly_dim_text_append(struct tly_buf *buf, const char *const *names,
                        const struct tly_text *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && tly_buf_append(buf, ",", 1) < 0) {
            return -ENOMEM;
        }
        if (tly_buf_append_text(buf, tly_text_of(names[i])) < 0 ||
            tly_buf_append(buf, "=\"", 2) < 0 || tly_label_value_append(buf, values[i]) < 0 ||
            tly_buf_append(buf, "\"", 1) < 0) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* Takes what was appended to the texts since `start` as a dimension, if that is a new one. */
static uint16_t dim_settle(struct tly_samples *samples, size_t start)
{
    struct tly_text text = {samples->dim_text.at + start, samples->dim_text.len - start};
    size_t slot = index_slot(samples, text);
    uint16_t found = samples->dim_index[slot];
    if (found != TLY_DIM_NONE) {
        samples->dim_text.len = start;
        return found;
    }
    if (samples->dims >= TLY_SAMPLES_MAX) {
        samples->dim_text.len = start;
        samples->refused++;
        return TLY_DIM_NONE;
    }
    uint16_t dim = (uint16_t)samples->dims++;
    samples->dim_end[dim] = (uint32_t)samples->dim_text.len;
    samples->dim_index[slot] = dim;
    return dim;
}

static bool dims_full(const struct tly_samples *samples)
{
    return samples->dims == samples->dims_cap && samples->dims < TLY_SAMPLES_MAX;
}

uint16_t tly_samples_dim(struct tly_samples *samples, const char *const *names,
                         const struct tly_text *values, size_t count)
{
    size_t start = samples->dim_text.len;
    if (tly_dim_text_append(&samples->dim_text, names, values, count) < 0 ||
        (dims_full(samples) && dims_grow(samples) < 0)) {
        samples->dim_text.len = start;
        samples->refused++;
        return TLY_DIM_NONE;
    }
    return dim_settle(samples, start);
}

uint16_t tly_samples_dim_text(struct tly_samples *samples, struct tly_text text)
{
    size_t start = samples->dim_text.len;
    if (tly_buf_append_text(&samples->dim_text, text) < 0 ||
        (dims_full(samples) && dims_grow(samples) < 0)) {
        samples->dim_text.len = start;
        samples->refused++;
        return TLY_DIM_NONE;
    }
    return dim_settle(samples, start);
}

uint16_t tly_samples_dim1(struct tly_samples *samples, const char *name, struct tly_text value)
{
    return tly_samples_dim(samples, &name, &value, 1);
}

void tly_samples_add(struct tly_samples *samples, enum tly_family_id family, uint16_t dim,
                     int64_t raw)
{
    if (samples->count == samples->cap) {
        size_t cap = samples->cap == 0 ? SAMPLES_FIRST : samples->cap * 2;
        struct tly_sample *grown = cap > TLY_SAMPLES_MAX
                                       ? NULL
                                       : realloc(samples->at, cap * sizeof(*grown));
        if (grown == NULL) {
            samples->refused++;
            return;
        }
        samples->at = grown;
        samples->cap = cap;
    }
    samples->at[samples->count++] = (struct tly_sample){
        .family = (uint16_t)family, .dim = dim, .raw = raw};
}

void tly_samples_clear(struct tly_samples *samples)
{
    samples->count = 0;
    if (samples->dims > 0) {
        memset(samples->dim_index, 0xff, samples->dims_cap * 2 * sizeof(*samples->dim_index));
    }
    samples->dims = 0;
    tly_buf_clear(&samples->dim_text);
}

/* Copies the samples ordered by family, those of one family in the order of adding: a counting
 * sort, left out where the builder was fed in order. */
static void samples_sort(const struct tly_samples *samples, struct tly_sample *to)
{
    bool sorted = true;
    for (size_t i = 1; i < samples->count && sorted; i++) {
        sorted = samples->at[i - 1].family <= samples->at[i].family;
    }
    if (sorted) {
        if (samples->count > 0) {
            memcpy(to, samples->at, samples->count * sizeof(*to));
        }
        return;
    }
    uint32_t place[TLY_FAMILY_COUNT + 1] = {0};
    for (size_t i = 0; i < samples->count; i++) {
        place[samples->at[i].family + 1]++;
    }
    for (size_t family = 1; family <= TLY_FAMILY_COUNT; family++) {
        place[family] += place[family - 1];
    }
    for (size_t i = 0; i < samples->count; i++) {
        to[place[samples->at[i].family]++] = samples->at[i];
    }
}

struct tly_sample_set *tly_samples_take(struct tly_samples *samples)
{
    struct tly_sample_set *set = set_alloc(samples->count, samples->dims, samples->dim_text.len);
    if (set != NULL) {
        samples_sort(samples, set->at);
        dims_copy(set, samples->dim_end, samples->dim_text.at);
        set->refused = samples->refused - samples->refused_before;
        samples->refused_before = samples->refused;
    }
    tly_samples_clear(samples);
    return set;
}

/* How many bytes at the front need no escape. */
static size_t plain_prefix(struct tly_text text)
{
    size_t len = 0;
    while (len < text.len && text.at[len] != '\\' && text.at[len] != '"' && text.at[len] != '\n' &&
           text.at[len] != '\0') {
        len++;
    }
    return len;
}

static int escape_append(struct tly_buf *buf, char byte)
{
    switch (byte) {
    case '\\':
        return tly_buf_append(buf, "\\\\", 2);
    case '"':
        return tly_buf_append(buf, "\\\"", 2);
    case '\n':
        return tly_buf_append(buf, "\\n", 2);
    default: /* NUL, or a byte that is not UTF-8 */
        return tly_buf_append(buf, "\xef\xbf\xbd", 3);
    }
}

int tly_label_value_append(struct tly_buf *buf, struct tly_text value)
{
    size_t start = buf->len;
    size_t valid = 0; /* how much of the front is known to be UTF-8 */
    while (value.len > 0) {
        if (valid == 0) {
            valid = tly_text_utf8_prefix(value);
        }
        size_t used = plain_prefix((struct tly_text){value.at, valid});
        int rc = 0;
        if (used > 0) {
            rc = tly_buf_append(buf, value.at, used);
        } else {
            rc = escape_append(buf, valid > 0 ? value.at[0] : '\0');
            used = 1;
        }
        if (rc < 0) {
            buf->len = start;
            return rc;
        }
        value.at += used;
        value.len -= used;
        valid -= used < valid ? used : valid;
    }
    return 0;
}
