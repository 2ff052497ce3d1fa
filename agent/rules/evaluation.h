/*
 * What the evaluator's files share: one evaluation under way. Private to them.
 *
 * Functions return 0, or a negative number after eval_fail said why. Results live in `arena`, which
 * inside a subquery is that of the step.
 */
#ifndef TLY_RULES_EVALUATION_H
#define TLY_RULES_EVALUATION_H

#include "agent/rules/evaluator.h"
#include "agent/rules/function.h"

#include <math.h>

/* What a selector found, once for all steps of an evaluation. */
struct tly_selection {
    struct tly_series_list list;
    int64_t from_ms, to_ms;
    bool ready;
};

struct tly_evaluation {
    struct tly_symbols *symbols;
    const struct tly_storage *storage;
    const struct tly_expr *expr;
    struct tly_arena *arena;
    struct tly_selection *selections; /* by the selectors' indexes */
    struct tly_points *scratch;
    int64_t start_ms; /* the rule's own time, @ start() */
    int64_t at_ms;    /* the time of the step under way */
    int64_t step_ms;  /* of subqueries that name none */
    size_t touched, touched_max;
    struct tly_error *err;
};

/* ---- evaluation.c ---- */

int tly_eval_fail(struct tly_evaluation *eval, int code, const struct tly_node *node,
                  const char *format, ...) TLY_PRINTF(4, 5);
void tly_eval_say_no_memory(struct tly_evaluation *eval, const struct tly_node *node);
static inline int tly_eval_no_memory(struct tly_evaluation *eval, const struct tly_node *node)
{
    tly_eval_say_no_memory(eval, node);
    return TLY_E_LIMIT;
}
/* Counts samples against the bound. */
int tly_eval_touch(struct tly_evaluation *eval, const struct tly_node *node,
                   size_t samples) TLY_CHECK;
int tly_eval_node(struct tly_evaluation *eval, const struct tly_node *node,
                  struct tly_value *ret_value) TLY_CHECK;
int tly_eval_scalar(struct tly_evaluation *eval, const struct tly_node *node,
                    double *ret_value) TLY_CHECK;
int tly_eval_vector(struct tly_evaluation *eval, const struct tly_node *node,
                    struct tly_vector *ret_vector) TLY_CHECK;
/* Room for `count` elements, none of them in use yet. */
int tly_eval_room(struct tly_evaluation *eval, const struct tly_node *node, size_t count,
                  struct tly_vector *ret_vector) TLY_CHECK;
/* Drops the name of every element; equal label sets that remain are a failure. */
int tly_eval_drop_names(struct tly_evaluation *eval, const struct tly_node *node,
                        struct tly_vector *vector) TLY_CHECK;
/* Equal label sets are a failure. */
int tly_eval_unique(struct tly_evaluation *eval, const struct tly_node *node,
                    const struct tly_vector *vector) TLY_CHECK;

/* Names as symbols, sorted; those that no label has are left out. */
struct tly_name_set {
    uint32_t *at;
    size_t count;
};
int tly_eval_names(struct tly_evaluation *eval, const struct tly_node *node, struct tly_names names,
                   struct tly_name_set *ret_set) TLY_CHECK;
/* The sum of the hashes of those pairs that the set names. */
uint64_t tly_name_set_hash(const struct tly_name_set *set, struct tly_labels labels);
/* The set's labels only, or all but those and the metric's name. at == NULL: no memory. */
struct tly_labels tly_name_set_keep(struct tly_arena *arena, const struct tly_name_set *set,
                                    struct tly_labels labels);
struct tly_labels tly_name_set_drop(struct tly_arena *arena, const struct tly_name_set *set,
                                    struct tly_labels labels, bool drop_metric);
/* The labels with one set anew; an empty value takes it away. at == NULL: no memory. */
struct tly_labels tly_labels_with(struct tly_arena *arena, struct tly_labels labels,
                                  struct tly_label_pair pair);

/* A hash table from 64-bit keys to numbers, with room for as many entries as it was made for. Keys
 * are sums of scrambled symbols, so that equal keys mean equal label sets for all practical
 * purposes (as in Prometheus). */
struct tly_key_table {
    struct tly_key_slot {
        uint64_t key;
        uint32_t number; /* + 1; 0: free */
    } * slots;
    uint32_t mask;
};
int tly_key_table_init(struct tly_evaluation *eval, const struct tly_node *node, size_t entries,
                       struct tly_key_table *ret_table) TLY_CHECK;
/* The number of a key that is there; else `number`, which is entered unless it is TLY_KEY_ABSENT.
 */
#define TLY_KEY_ABSENT UINT32_MAX
uint32_t tly_key_table_put(struct tly_key_table *table, uint64_t key, uint32_t number);

/* ---- evaluation_range.c ---- */

int tly_eval_selector(struct tly_evaluation *eval, const struct tly_node *node, bool timestamps,
                      struct tly_vector *ret_vector) TLY_CHECK;

/* A range vector, read one series at a time. */
struct tly_range {
    const struct tly_node *node;
    int64_t after_ms, to_ms; /* the window, its begin excluded */
    size_t count;
    const struct tly_series *series; /* of a selector */
    struct tly_range_element *at;    /* of a subquery */
};
int tly_eval_range(struct tly_evaluation *eval, const struct tly_node *node,
                   struct tly_range *ret_range) TLY_CHECK;
/* The samples of one series, without markers; valid until the next call. */
int tly_range_read(struct tly_evaluation *eval, const struct tly_range *range, size_t index,
                   struct tly_labels *ret_labels, struct tly_window *ret_window) TLY_CHECK;
/* Their digest instead. */
int tly_range_digest(struct tly_evaluation *eval, const struct tly_range *range, size_t index,
                     enum tly_digest_part part, struct tly_labels *ret_labels,
                     struct tly_digest *ret_digest) TLY_CHECK;

/* ---- the other files ---- */

int tly_eval_binary(struct tly_evaluation *eval, const struct tly_node *node,
                    struct tly_value *ret_value) TLY_CHECK;
int tly_eval_aggregate(struct tly_evaluation *eval, const struct tly_node *node,
                       struct tly_vector *ret_vector) TLY_CHECK;
int tly_eval_call(struct tly_evaluation *eval, const struct tly_node *node,
                  struct tly_value *ret_value) TLY_CHECK;

/* ---- arithmetic that several files need ---- */

/* Kahan-Neumaier summation: the sum, and what rounding lost so far. The loss of one addition is
 * exact by Knuth's formula, which needs no comparison of the two. */
struct tly_sum {
    double sum, lost;
};
static inline void tly_sum_add(struct tly_sum *sum, double value)
{
    double total = sum->sum + value;
    double added = total - sum->sum;
    double loss = (sum->sum - (total - added)) + (value - added);
    sum->lost = isinf(total) ? 0 : sum->lost + loss;
    sum->sum = total;
}

/* A mean by sums as long as they do not overflow, then step by step. Begins with {.count = 0}. */
struct tly_mean {
    struct tly_sum sum;
    double count;
    bool stepwise;
};
void tly_mean_add(struct tly_mean *mean, double value);
double tly_mean_value(const struct tly_mean *mean);

/* The q-quantile; sorts the values, NaN first. */
double tly_quantile(double q, double *values, size_t count);

#endif
