/*
 * Label sets, made cheap: each distinct name and value is a symbol, a small number, so that a label
 * set is a short run of number pairs and its hash a sum over them. Two sets are equal if their
 * pairs are; dropping the metric's name moves a pointer; a grouping key is a sum over a few pairs.
 *
 * A table of symbols belongs to one thread at a time.
 */
#ifndef TLY_RULES_LABELS_H
#define TLY_RULES_LABELS_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Symbols that every table has. __name__ is the smallest name, so that it stands first in a set. */
enum {
    TLY_SYMBOL_EMPTY, /* "", which is the same as an absent label */
    TLY_SYMBOL_NAME,  /* "__name__" */
    TLY_SYMBOL_LE,    /* "le" */
    TLY_SYMBOLS_FIXED
};

struct tly_symbols; /* opaque */

/* `max_bytes` bounds the texts and what they take to keep. NULL when memory is out. */
struct tly_symbols *tly_symbols_new(size_t max_bytes);
void tly_symbols_free(struct tly_symbols *symbols);

/* The symbol of a text, added if need be. It is valid until the next trim, or as long as a label
 * set that was kept holds it. TLY_E_LIMIT over the maximum, -ENOMEM. */
int tly_symbols_add(struct tly_symbols *symbols, struct tly_text text,
                    uint32_t *ret_symbol) TLY_CHECK;
/* Whether the text is known, and as what. */
bool tly_symbols_find(const struct tly_symbols *symbols, struct tly_text text,
                      uint32_t *ret_symbol);
/* Borrowed until the symbol goes. */
struct tly_text tly_symbols_text(const struct tly_symbols *symbols, uint32_t symbol);

size_t tly_symbols_count(const struct tly_symbols *symbols);
size_t tly_symbols_bytes(const struct tly_symbols *symbols);

/* Forgets every symbol that no kept label set holds. */
void tly_symbols_trim(struct tly_symbols *symbols);
/* Forgets one symbol, if no kept label set holds it. */
void tly_symbols_forget(struct tly_symbols *symbols, uint32_t symbol);

struct tly_label_pair {
    uint32_t name, value; /* symbols; no pair has an empty value */
};

/* A value, copied freely; `at` is borrowed from whoever made the set. */
struct tly_labels {
    const struct tly_label_pair *at; /* sorted by name, each name once */
    uint32_t count;
    uint64_t hash; /* the sum of its pairs' hashes */
};

/* A scrambled number for a pair; sums of them tell sets apart. */
static inline uint64_t tly_label_hash(struct tly_label_pair pair)
{
    uint64_t x = ((uint64_t)pair.name << 32 | pair.value) + 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

/* Sorts the pairs in place, drops those with an empty value, keeps the last of equal names, and
 * makes a set of them. */
struct tly_labels tly_labels_make(struct tly_label_pair *pairs, size_t count);

/* The value's symbol, or TLY_SYMBOL_EMPTY. */
static inline uint32_t tly_labels_get(struct tly_labels labels, uint32_t name)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        if (labels.at[i].name >= name) {
            return labels.at[i].name == name ? labels.at[i].value : TLY_SYMBOL_EMPTY;
        }
    }
    return TLY_SYMBOL_EMPTY;
}

static inline bool tly_labels_equal(struct tly_labels a, struct tly_labels b)
{
    return a.hash == b.hash && a.count == b.count &&
           (a.count == 0 || memcmp(a.at, b.at, a.count * sizeof(*a.at)) == 0);
}

/* The same set without __name__, as a view. */
static inline struct tly_labels tly_labels_nameless(struct tly_labels labels)
{
    if (labels.count == 0 || labels.at[0].name != TLY_SYMBOL_NAME) {
        return labels;
    }
    return (struct tly_labels){labels.at + 1, labels.count - 1,
                               labels.hash - tly_label_hash(labels.at[0])};
}

/* A copy on the heap that holds its symbols, for `drop` to give back. -ENOMEM. */
int tly_labels_keep(struct tly_symbols *symbols, struct tly_labels labels,
                    struct tly_labels *ret_kept) TLY_CHECK;
void tly_labels_drop(struct tly_symbols *symbols, struct tly_labels *kept);

/* Prometheus's order of label sets: by names and values as texts. Negative, 0, positive. */
int tly_labels_compare(const struct tly_symbols *symbols, struct tly_labels a, struct tly_labels b);

/* Appends the set as Prometheus writes it: `name{a="b", c="d"}`, names in order, quoted where they
 * are no plain names; `{}` if it is empty. */
int tly_labels_append(const struct tly_symbols *symbols, struct tly_labels labels,
                      struct tly_buf *buf) TLY_CHECK;

/* Appends a text as a Go string literal, and tells whether a text is a plain label name. */
int tly_quoted_append(struct tly_buf *buf, struct tly_text text) TLY_CHECK;
bool tly_label_name_plain(struct tly_text name);

#endif
