/*
 * Evaluates expressions at a moment, as Prometheus 3 does: left-open windows, five minutes of
 * lookback, staleness, extrapolation, and the same errors. An evaluator keeps its memory from one
 * evaluation to the next. It belongs to one thread at a time, as its symbols do.
 */
#ifndef TLY_RULES_EVALUATOR_H
#define TLY_RULES_EVALUATOR_H

#include "agent/base/error.h"
#include "agent/rules/expr.h"
#include "agent/rules/labels.h"
#include "agent/rules/storage.h"

#include <stddef.h>
#include <stdint.h>

struct tly_element {
    struct tly_labels labels;
    double value;
};

struct tly_vector {
    struct tly_element *at;
    size_t count;
};

struct tly_range_element {
    struct tly_labels labels;
    struct tly_window window;
};

struct tly_value {
    enum tly_type type;
    union {
        double scalar;
        struct tly_text string;
        struct tly_vector vector; /* in no order, unless sort, topk or bottomk made one */
        struct {
            struct tly_range_element *at;
            size_t count;
        } range;
    };
};

/* What one evaluation may cost; 0 takes the default. */
struct tly_evaluator_bounds {
    size_t series;  /* that one selector may find; default 100000 */
    size_t samples; /* read, and computed on the way; default 20 million, under a second */
    size_t bytes;   /* of memory for results; default 64 MiB */
};

struct tly_evaluator; /* opaque */

/* NULL when memory is out. `symbols` is borrowed and must be that of the storages' label sets. */
struct tly_evaluator *tly_evaluator_new(struct tly_symbols *symbols,
                                        struct tly_evaluator_bounds bounds);
void tly_evaluator_free(struct tly_evaluator *evaluator);

/* Frees what evaluations left to be used again: for the end of a round of them. */
void tly_evaluator_trim(struct tly_evaluator *evaluator);

/* The step of subqueries that name none; a minute at first. */
void tly_evaluator_set_step(struct tly_evaluator *evaluator, int64_t step_ms);

/*
 * The expression's value at `at_ms`, valid until the evaluator's next call or the next trim of it
 * or of its symbols. On failure `err` says what and where. TLY_E_REFUSED: the data do not fit the
 * expression (matching that is not unique, equal label sets in a result); TLY_E_LIMIT: a bound was
 * reached; what the storage returned; -ENOMEM.
 */
int tly_evaluate(struct tly_evaluator *evaluator, const struct tly_expr *expr,
                 const struct tly_storage *storage, int64_t at_ms, struct tly_value *ret_value,
                 struct tly_error *err) TLY_CHECK;

/* How many samples the last evaluation touched, by the measure of the bound. */
size_t tly_evaluator_touched(const struct tly_evaluator *evaluator);

#endif
