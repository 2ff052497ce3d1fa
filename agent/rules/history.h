/*
 * What rules need of the past: samples of the series that their selectors name, as long as they
 * look back, and nothing else. All series share one line of times (the ticks), so that a sample is
 * a value alone; values lie in blocks of offsets to a straight line, as many bytes wide as the
 * block needs, which makes constant and steadily growing series next to free and reading fast.
 *
 * One thread at a time, that of its symbols.
 */
#ifndef TLY_RULES_HISTORY_H
#define TLY_RULES_HISTORY_H

#include "agent/base/error.h"
#include "agent/rules/expr.h"
#include "agent/rules/labels.h"
#include "agent/rules/storage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_history;        /* opaque */
struct tly_history_series; /* opaque */

/* The exponent of values that are doubles, given as their bits. */
#define TLY_HISTORY_FLOAT 1

struct tly_history_stats {
    size_t series, bytes, bytes_max; /* bytes: label texts included, also in the bound */
    uint64_t refused;                /* new series, for lack of room */
    uint64_t shortened;              /* blocks dropped before their time, for lack of room */
    int64_t oldest_ms;               /* the earliest time that any series can have; 0: none */
};

/* `symbols` is borrowed. NULL when memory is out. */
struct tly_history *tly_history_new(struct tly_symbols *symbols, size_t bytes_max);
void tly_history_free(struct tly_history *history); /* NULL is fine */

/* Keeps everything for ever instead of what is needed: for tests of rules. */
void tly_history_keep_all(struct tly_history *history);

/*
 * What is needed is said anew whenever the rules change: between begin and end, every expression
 * that will be evaluated, `lag_ms` before the newest tick at most. The expressions are borrowed
 * until the next begin. What was collected and is still needed stays. -ENOMEM.
 */
void tly_history_needs_begin(struct tly_history *history);
int tly_history_needs_add(struct tly_history *history, const struct tly_expr *expr,
                          int64_t lag_ms) TLY_CHECK;
void tly_history_needs_end(struct tly_history *history);

/* Whether any series of that name may be needed. */
bool tly_history_wants(const struct tly_history *history, struct tly_text name);

/* The time of the samples to come: later than that of every tick before. -ERANGE, -ENOMEM. Now and
 * then also the moment at which what is too old is forgotten. */
int tly_history_tick(struct tly_history *history, int64_t at_ms) TLY_CHECK;

/* The series of a label set, made where it is missing. *ret_series is NULL if no rule needs it.
 * TLY_E_LIMIT when there is no room (counted), -ENOMEM. A series lives as long as it has samples,
 * or somebody holds it. */
int tly_history_series(struct tly_history *history, struct tly_labels labels,
                       struct tly_history_series **ret_series) TLY_CHECK;
/* Counts a series as refused that was not even asked for, since its label texts found no room. */
void tly_history_refuse(struct tly_history *history);
void tly_history_hold(struct tly_history_series *series);
void tly_history_release(struct tly_history_series *series);
/* Between `true` and `false`, holds that were let go of are taken anew: where room is wanting, no
 * series counts as one that nobody adds to. */
void tly_history_rehold(struct tly_history *history, bool awaited);

/* A sample at the present tick: raw * 10^exponent (from -9 to 0), or the bits of a double. The
 * first one of a tick counts, as in Prometheus; false: there is one. */
bool tly_history_add(struct tly_history *history, struct tly_history_series *series, int64_t raw,
                     int exponent);
bool tly_history_add_value(struct tly_history *history, struct tly_history_series *series,
                           double value);
/* The series ends here. */
void tly_history_end(struct tly_history *history, struct tly_history_series *series);

/* For the evaluator; valid as long as the history. */
const struct tly_storage *tly_history_storage(struct tly_history *history);

struct tly_history_stats tly_history_stats(const struct tly_history *history);

#endif
