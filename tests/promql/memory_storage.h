/*
 * A storage in memory, for tests: series given as promtool's unit tests write them, kept as plain
 * arrays of points. Failures end the program, since in a test nothing else is left to do.
 */
#ifndef TLY_TESTS_PROMQL_MEMORY_STORAGE_H
#define TLY_TESTS_PROMQL_MEMORY_STORAGE_H

#include "agent/rules/labels.h"
#include "agent/rules/storage.h"

struct memory_storage; /* opaque */

struct memory_storage *memory_storage_new(struct tly_symbols *symbols);
void memory_storage_free(struct memory_storage *storage);

/* One line `name{a="b"} 0+10x3 _ 5 stale NaN`: values from `start_ms` on, `step_ms` apart; `a+bxn`
 * and `a-bxn` are n further values, `axn` n repeated ones, `_` and `_xn` none. An empty text adds
 * nothing. */
void memory_storage_load(struct memory_storage *storage, int64_t start_ms, int64_t step_ms,
                         const char *line);

/* One sample; times of a series ascend. */
void memory_storage_add(struct memory_storage *storage, struct tly_labels labels, int64_t t_ms,
                        double value);

/* The labels of a selector made of equalities, `name{a="b"}`, kept as long as the storage. */
struct tly_labels memory_storage_labels(struct memory_storage *storage, const char *selector);

/* Borrowed; reads what was loaded so far. */
const struct tly_storage *memory_storage_view(struct memory_storage *storage);

#endif
