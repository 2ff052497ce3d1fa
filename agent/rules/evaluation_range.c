/*
 * Selectors and subqueries: from matchers and times to samples. A selector asks the storage once in
 * an evaluation and then reads from what was found, at each step of the subqueries around it.
 */
#include "agent/rules/evaluation.h"

#include "agent/rules/digest.h"
#include "agent/rules/number.h"

#include <errno.h>

/* The time that a node reads at: that of the step under way, moved by `@` and `offset`. */
static int64_t shifted(const struct tly_evaluation *eval, const struct tly_shift *shift)
{
    int64_t at = eval->at_ms;
    if (shift->at == TLY_AT_TIME) {
        at = shift->at_ms;
    } else if (shift->at != TLY_AT_NONE) {
        at = eval->start_ms;
    }
    return at - shift->offset_ms;
}

/* What a storage's failure means to a reader of rules. */
static int storage_failed(struct tly_evaluation *eval, int rc, const struct tly_node *node)
{
    if (rc == TLY_E_LIMIT) {
        (void)tly_eval_fail(eval, rc, node, "the selector finds more than %zu series",
                            eval->selections[node->selector.index].list.max);
    } else {
        (void)tly_eval_fail(eval, rc, node, "reading samples: %s", tly_error_name(rc));
    }
    return rc;
}

static int selected(struct tly_evaluation *eval, const struct tly_node *node,
                    const struct tly_series_list **ret_list)
{
    struct tly_selection *selection = &eval->selections[node->selector.index];
    if (!selection->ready) {
        int rc = eval->storage->select(eval->storage->arg, node->selector.matchers,
                                       node->selector.matcher_count, selection->from_ms,
                                       selection->to_ms, &selection->list);
        if (rc != 0) {
            return storage_failed(eval, rc, node);
        }
        selection->ready = true;
    }
    *ret_list = &selection->list;
    return tly_eval_touch(eval, node, selection->list.count);
}

int tly_eval_selector(struct tly_evaluation *eval, const struct tly_node *node, bool timestamps,
                      struct tly_vector *ret_vector)
{
    const struct tly_series_list *list = NULL;
    int rc = selected(eval, node, &list);
    if (rc == 0 && list) {
        rc = tly_eval_room(eval, node, list->count, ret_vector);
    }
    if (rc != 0) {
        return rc;
    }
    int64_t at_ms = shifted(eval, &node->selector.shift);
    struct tly_element *to = ret_vector->at;
    for (size_t i = 0; i < list->count; i++) {
        struct tly_point point;
        if (eval->storage->latest(eval->storage->arg, &list->at[i], at_ms, &point) &&
            point.t_ms > at_ms - TLY_LOOKBACK_MS && !tly_is_stale(point.value)) {
            to->labels = list->at[i].labels;
            to->value = timestamps ? (double)point.t_ms / 1000 : point.value;
            to++;
        }
    }
    ret_vector->count = (size_t)(to - ret_vector->at);
    return 0;
}

/* ---- subqueries ---- */

/* One series that a subquery's steps make, its points in memory that doubles. */
struct growing {
    struct tly_labels labels;
    struct tly_point *points;
    size_t count, cap;
};

struct growth {
    struct growing *at;
    size_t count, cap;
    struct tly_key_table table;
};

static int growth_make_room(struct tly_evaluation *eval, const struct tly_node *node,
                            struct growth *growth)
{
    size_t cap = growth->cap > 0 ? growth->cap * 2 : 16;
    struct growing *at = tly_arena_alloc_raw(eval->arena, cap * sizeof(*at));
    if (!at) {
        return tly_eval_no_memory(eval, node);
    }
    if (growth->count > 0) {
        memcpy(at, growth->at, growth->count * sizeof(*at));
    }
    growth->at = at;
    growth->cap = cap;
    int rc = tly_key_table_init(eval, node, cap, &growth->table);
    for (uint32_t i = 0; rc == 0 && i < growth->count; i++) {
        (void)tly_key_table_put(&growth->table, at[i].labels.hash, i);
    }
    return rc;
}

/* The series of a label set, which is copied out of the step's memory when it is new. */
static int growth_series(struct tly_evaluation *eval, const struct tly_node *node,
                         struct growth *growth, struct tly_labels labels,
                         struct growing **ret_series)
{
    int rc = growth->count == growth->cap ? growth_make_room(eval, node, growth) : 0;
    if (rc != 0) {
        return rc;
    }
    uint32_t number = tly_key_table_put(&growth->table, labels.hash, (uint32_t)growth->count);
    *ret_series = &growth->at[number];
    if (number < growth->count) {
        return 0;
    }
    size_t bytes = labels.count * sizeof(*labels.at);
    struct tly_label_pair *pairs = tly_arena_alloc_raw(eval->arena, bytes + 1);
    if (!pairs) {
        return tly_eval_no_memory(eval, node);
    }
    if (bytes > 0) {
        memcpy(pairs, labels.at, bytes);
    }
    **ret_series = (struct growing){.labels = {pairs, labels.count, labels.hash}};
    growth->count++;
    return 0;
}

static int growing_add(struct tly_evaluation *eval, const struct tly_node *node,
                       struct growing *series, struct tly_point point)
{
    if (series->count == series->cap) {
        size_t cap = series->cap > 0 ? series->cap * 2 : 16;
        struct tly_point *points = tly_arena_alloc_raw(eval->arena, cap * sizeof(*points));
        if (!points) {
            return tly_eval_no_memory(eval, node);
        }
        if (series->count > 0) {
            memcpy(points, series->points, series->count * sizeof(*points));
        }
        series->points = points;
        series->cap = cap;
    }
    series->points[series->count++] = point;
    return 0;
}

/* Evaluates the inner expression at one step, in memory of the step's own. */
static int subquery_step(struct tly_evaluation *eval, const struct tly_node *node, int64_t at_ms,
                         struct tly_arena *step_arena, struct growth *growth)
{
    struct tly_arena *arena = eval->arena;
    int64_t outer_ms = eval->at_ms;
    struct tly_vector vector;
    tly_arena_clear(step_arena);
    eval->arena = step_arena;
    eval->at_ms = at_ms;
    int rc = tly_eval_vector(eval, node->subquery.expr, &vector);
    eval->arena = arena;
    eval->at_ms = outer_ms;
    if (rc == 0) {
        rc = tly_eval_touch(eval, node, vector.count);
    }
    for (size_t i = 0; rc == 0 && i < vector.count; i++) {
        struct growing *series;
        rc = growth_series(eval, node, growth, vector.at[i].labels, &series);
        if (rc == 0) {
            rc = growing_add(eval, node, series, (struct tly_point){at_ms, vector.at[i].value});
        }
    }
    return rc;
}

/* Steps stand at multiples of their length, whatever the time of the evaluation. */
static int eval_subquery(struct tly_evaluation *eval, const struct tly_node *node,
                         struct tly_range *range)
{
    int64_t step = node->subquery.step_ms > 0 ? node->subquery.step_ms : eval->step_ms;
    int64_t first = range->after_ms / step * step;
    if (first <= range->after_ms) {
        first += step;
    }
    struct growth growth = {.count = 0};
    struct tly_arena step_arena;
    /* Nested subqueries share the bound. */
    tly_arena_init(&step_arena, eval->arena->max - eval->arena->bytes);
    int rc = 0;
    for (int64_t at = first; rc == 0 && at <= range->to_ms; at += step) {
        rc = subquery_step(eval, node, at, &step_arena, &growth);
    }
    tly_arena_done(&step_arena);
    if (rc != 0) {
        return rc;
    }
    range->at = tly_arena_alloc_raw(eval->arena, growth.count * sizeof(*range->at) + 1);
    if (!range->at) {
        return tly_eval_no_memory(eval, node);
    }
    range->count = growth.count;
    for (size_t i = 0; i < growth.count; i++) {
        range->at[i].labels = growth.at[i].labels;
        range->at[i].window = (struct tly_window){growth.at[i].points, growth.at[i].count};
    }
    return 0;
}

/* ---- ranges ---- */

int tly_eval_range(struct tly_evaluation *eval, const struct tly_node *node,
                   struct tly_range *ret_range)
{
    node = tly_node_bare(node);
    bool subquery = node->kind == TLY_NODE_SUBQUERY;
    int64_t to_ms = shifted(eval, subquery ? &node->subquery.shift : &node->selector.shift);
    int64_t length = subquery ? node->subquery.range_ms : node->selector.range_ms;
    *ret_range = (struct tly_range){.node = node, .after_ms = to_ms - length, .to_ms = to_ms};
    if (subquery) {
        return eval_subquery(eval, node, ret_range);
    }
    const struct tly_series_list *list = NULL;
    int rc = selected(eval, node, &list);
    if (rc == 0 && list) {
        ret_range->series = list->at;
        ret_range->count = list->count;
    }
    return rc;
}

/* The window without markers: usually there are none, and the storage's view is taken as it is. */
static int without_markers(struct tly_evaluation *eval, const struct tly_node *node,
                           struct tly_window *window)
{
    size_t first = 0;
    while (first < window->count && !tly_is_stale(window->at[first].value)) {
        first++;
    }
    if (first == window->count) {
        return 0;
    }
    struct tly_point *kept = tly_arena_alloc_raw(eval->arena, window->count * sizeof(*kept));
    if (!kept) {
        return tly_eval_no_memory(eval, node);
    }
    size_t count = 0;
    for (size_t i = 0; i < window->count; i++) {
        if (!tly_is_stale(window->at[i].value)) {
            kept[count++] = window->at[i];
        }
    }
    *window = (struct tly_window){kept, count};
    return 0;
}

int tly_range_read(struct tly_evaluation *eval, const struct tly_range *range, size_t index,
                   struct tly_labels *ret_labels, struct tly_window *ret_window)
{
    if (!range->series) {
        *ret_labels = range->at[index].labels;
        *ret_window = range->at[index].window;
        return 0;
    }
    const struct tly_series *series = &range->series[index];
    eval->scratch->count = 0;
    int rc = eval->storage->window(eval->storage->arg, series, range->after_ms, range->to_ms,
                                   eval->scratch, ret_window);
    if (rc != 0) {
        return storage_failed(eval, rc, range->node);
    }
    *ret_labels = series->labels;
    rc = tly_eval_touch(eval, range->node, ret_window->count);
    return rc != 0 ? rc : without_markers(eval, range->node, ret_window);
}

int tly_range_digest(struct tly_evaluation *eval, const struct tly_range *range, size_t index,
                     enum tly_digest_part part, struct tly_labels *ret_labels,
                     struct tly_digest *ret_digest)
{
    const struct tly_storage *storage = eval->storage;
    if (range->series && storage->digest) {
        const struct tly_series *series = &range->series[index];
        int rc = storage->digest(storage->arg, series, range->count - index, range->after_ms,
                                 range->to_ms, part, ret_digest);
        if (rc < 0) {
            return storage_failed(eval, rc, range->node);
        }
        if (rc == 0) {
            *ret_labels = series->labels;
            return tly_eval_touch(eval, range->node, ret_digest->count);
        }
    }
    struct tly_window window;
    int rc = tly_range_read(eval, range, index, ret_labels, &window);
    if (rc == 0) {
        tly_digest_window(window, part, ret_digest);
    }
    return rc;
}
