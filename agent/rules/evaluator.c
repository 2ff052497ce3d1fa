/*
 * The evaluator: memory and bounds around one evaluation. What the nodes of an expression mean is
 * in evaluation.c and the files beside it.
 */
#include "agent/rules/evaluator.h"

#include "agent/rules/evaluation.h"

#include <errno.h>
#include <stdlib.h>

#define SERIES_DEFAULT  100000
#define SAMPLES_DEFAULT 20000000
#define BYTES_DEFAULT   ((size_t)64 * 1024 * 1024)
/* Memory for results that is kept from one evaluation to the next; ordinary ones take less. */
#define BYTES_KEPT ((size_t)8 * 1024 * 1024)
/* Prometheus's default evaluation interval, which it takes for subqueries without a step. */
#define STEP_DEFAULT_MS 60000

struct tly_evaluator {
    struct tly_symbols *symbols; /* borrowed */
    struct tly_evaluator_bounds bounds;
    struct tly_arena arena;
    struct tly_selection *selections; /* owned, with their lists */
    size_t selection_count;
    struct tly_points scratch;
    int64_t step_ms;
    size_t touched;
};

struct tly_evaluator *tly_evaluator_new(struct tly_symbols *symbols,
                                        struct tly_evaluator_bounds bounds)
{
    struct tly_evaluator *evaluator = calloc(1, sizeof(*evaluator));
    if (!evaluator) {
        return NULL;
    }
    evaluator->symbols = symbols;
    evaluator->bounds = (struct tly_evaluator_bounds){
        .series = bounds.series > 0 ? bounds.series : SERIES_DEFAULT,
        .samples = bounds.samples > 0 ? bounds.samples : SAMPLES_DEFAULT,
        .bytes = bounds.bytes > 0 ? bounds.bytes : BYTES_DEFAULT,
    };
    evaluator->step_ms = STEP_DEFAULT_MS;
    tly_arena_init(&evaluator->arena, evaluator->bounds.bytes);
    return evaluator;
}

void tly_evaluator_trim(struct tly_evaluator *evaluator)
{
    for (size_t i = 0; i < evaluator->selection_count; i++) {
        free(evaluator->selections[i].list.at);
    }
    free(evaluator->selections);
    evaluator->selections = NULL;
    evaluator->selection_count = 0;
    tly_points_done(&evaluator->scratch);
    tly_arena_done(&evaluator->arena);
}

void tly_evaluator_free(struct tly_evaluator *evaluator)
{
    if (evaluator) {
        tly_evaluator_trim(evaluator);
        free(evaluator);
    }
}

void tly_evaluator_set_step(struct tly_evaluator *evaluator, int64_t step_ms)
{
    evaluator->step_ms = step_ms > 0 ? step_ms : STEP_DEFAULT_MS;
}

size_t tly_evaluator_touched(const struct tly_evaluator *evaluator)
{
    return evaluator->touched;
}

/* ---- selections ---- */

static int make_selections(struct tly_evaluator *evaluator, size_t count)
{
    if (count > evaluator->selection_count) {
        struct tly_selection *at = realloc(evaluator->selections, count * sizeof(*at));
        if (!at) {
            return -ENOMEM;
        }
        memset(at + evaluator->selection_count, 0,
               (count - evaluator->selection_count) * sizeof(*at));
        evaluator->selections = at;
        evaluator->selection_count = count;
    }
    for (size_t i = 0; i < count; i++) {
        evaluator->selections[i].ready = false;
        evaluator->selections[i].list.count = 0;
        evaluator->selections[i].list.max = evaluator->bounds.series;
    }
    return 0;
}

struct spans {
    struct tly_selection *selections;
    int64_t at_ms;
};

/* The span of time that a selector reads, over all steps of the subqueries around it. */
static int span_set(void *arg, const struct tly_need *need)
{
    const struct spans *spans = arg;
    struct tly_selection *selection = &spans->selections[need->selector];
    int64_t base = need->pinned ? need->pinned_ms : spans->at_ms;
    selection->from_ms = base - need->from_ms;
    selection->to_ms = base - need->to_ms;
    return 0;
}

/* ---- the whole ---- */

static int run(struct tly_evaluator *evaluator, struct tly_evaluation *eval,
               struct tly_value *ret_value)
{
    int rc = make_selections(evaluator, eval->expr->selector_count);
    if (rc < 0) {
        return tly_error_set(eval->err, rc, "out of memory");
    }
    eval->selections = evaluator->selections;
    struct spans spans = {evaluator->selections, eval->at_ms};
    rc = tly_expr_needs(eval->expr, span_set, &spans);
    return rc < 0 ? rc : tly_eval_node(eval, eval->expr->root, ret_value);
}

/* Forgets the results, and gives unusually much memory back. */
static void forget(struct tly_evaluator *evaluator)
{
    if (evaluator->arena.bytes > BYTES_KEPT) {
        tly_arena_done(&evaluator->arena);
    } else {
        tly_arena_clear(&evaluator->arena);
    }
}

int tly_evaluate(struct tly_evaluator *evaluator, const struct tly_expr *expr,
                 const struct tly_storage *storage, int64_t at_ms, struct tly_value *ret_value,
                 struct tly_error *err)
{
    forget(evaluator);
    struct tly_evaluation eval = {
        .symbols = evaluator->symbols,
        .storage = storage,
        .expr = expr,
        .arena = &evaluator->arena,
        .scratch = &evaluator->scratch,
        .start_ms = at_ms,
        .at_ms = at_ms,
        .step_ms = evaluator->step_ms,
        .touched_max = evaluator->bounds.samples,
        .err = err,
    };
    struct tly_value value;
    int rc = run(evaluator, &eval, &value);
    evaluator->touched = eval.touched;
    if (rc < 0) {
        forget(evaluator);
        return rc;
    }
    *ret_value = value;
    return 0;
}
