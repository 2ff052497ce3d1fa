/*
 * Calls: the three kinds of functions that work on one series, value or date at a time. Those that
 * need more have a function of their own in the table.
 */
#include "agent/rules/evaluation.h"

#include "agent/rules/functions.h"

/* The scalar argument of a function over a window, wherever it stands. */
static int window_param(struct tly_evaluation *eval, const struct tly_node *node, double *ret_param)
{
    for (size_t i = 0; i < node->call.count; i++) {
        if (node->call.args[i]->type == TLY_TYPE_SCALAR) {
            return tly_eval_scalar(eval, node->call.args[i], ret_param);
        }
    }
    return 0;
}

static const struct tly_node *window_arg(const struct tly_node *node)
{
    size_t i = 0;
    while (i + 1 < node->call.count && node->call.args[i]->type != TLY_TYPE_RANGE) {
        i++;
    }
    return node->call.args[i];
}

/* Room for the largest window's values, where a function sorts them. */
static int window_values(struct tly_evaluation *eval, const struct tly_node *node, size_t count,
                         size_t *cap, struct tly_window_call *call)
{
    if (count <= *cap) {
        return 0;
    }
    call->values = tly_arena_alloc_raw(eval->arena, count * 2 * sizeof(*call->values));
    *cap = count * 2;
    return call->values ? 0 : tly_eval_no_memory(eval, node);
}

/* A function's result for one series of the range; *ret_any tells whether there is one. */
static int of_series(struct tly_evaluation *eval, const struct tly_node *node,
                     const struct tly_range *range, size_t index, size_t *values_cap,
                     struct tly_window_call *call, struct tly_element *ret_element, bool *ret_any)
{
    const struct tly_function *function = node->call.function;
    if (function->of_digest) {
        struct tly_digest digest;
        int rc = tly_range_digest(eval, range, index, function->part, &ret_element->labels,
                                  &digest);
        *ret_any = rc == 0 && digest.count > 0 &&
                   function->of_digest(call, &digest, &ret_element->value);
        return rc;
    }
    struct tly_window window;
    int rc = tly_range_read(eval, range, index, &ret_element->labels, &window);
    rc = rc != 0 ? rc : window_values(eval, node, window.count, values_cap, call);
    *ret_any = rc == 0 && window.count > 0 &&
               function->over_window(call, window, &ret_element->value);
    return rc;
}

static int over_window(struct tly_evaluation *eval, const struct tly_node *node,
                       struct tly_vector *ret_vector)
{
    const struct tly_function *function = node->call.function;
    struct tly_window_call call = {.at_ms = eval->at_ms};
    struct tly_range range;
    int rc = window_param(eval, node, &call.param);
    rc = rc != 0 ? rc : tly_eval_range(eval, window_arg(node), &range);
    rc = rc != 0 ? rc : tly_eval_room(eval, node, range.count, ret_vector);
    if (rc != 0) {
        return rc;
    }
    call.after_ms = range.after_ms;
    call.to_ms = range.to_ms;
    size_t values_cap = 0;
    for (size_t i = 0; i < range.count; i++) {
        bool any = false;
        rc = of_series(eval, node, &range, i, &values_cap, &call,
                       &ret_vector->at[ret_vector->count], &any);
        if (rc != 0) {
            return rc;
        }
        ret_vector->count += any;
    }
    /* These are a kind of offset: the series stays what it is. */
    bool keeps_name = function->of_digest == tly_function_last ||
                      function->of_digest == tly_function_first;
    return keeps_name ? 0 : tly_eval_drop_names(eval, node, ret_vector);
}

static int of_value(struct tly_evaluation *eval, const struct tly_node *node,
                    struct tly_vector *ret_vector)
{
    int rc = tly_eval_vector(eval, node->call.args[0], ret_vector);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < ret_vector->count; i++) {
        ret_vector->at[i].value = node->call.function->of_value(ret_vector->at[i].value);
    }
    return tly_eval_drop_names(eval, node, ret_vector);
}

/* A date of each value, or of the evaluation if there is no argument. */
static int of_date(struct tly_evaluation *eval, const struct tly_node *node,
                   struct tly_vector *ret_vector)
{
    const struct tly_function *function = node->call.function;
    int rc = node->call.count > 0 ? tly_eval_vector(eval, node->call.args[0], ret_vector)
                                  : tly_eval_room(eval, node, 1, ret_vector);
    if (rc != 0) {
        return rc;
    }
    if (node->call.count == 0) {
        double now = floor((double)eval->at_ms / 1000);
        ret_vector->at[ret_vector->count++] = (struct tly_element){.value = now};
    }
    for (size_t i = 0; i < ret_vector->count; i++) {
        struct tly_date date;
        double *value = &ret_vector->at[i].value;
        *value = tly_date_of(*value, &date) ? function->of_date(&date) : NAN;
    }
    return tly_eval_drop_names(eval, node, ret_vector);
}

int tly_eval_call(struct tly_evaluation *eval, const struct tly_node *node,
                  struct tly_value *ret_value)
{
    const struct tly_function *function = node->call.function;
    if (function->of_digest || function->over_window) {
        return over_window(eval, node, &ret_value->vector);
    }
    if (function->of_value) {
        return of_value(eval, node, &ret_value->vector);
    }
    if (function->of_date) {
        return of_date(eval, node, &ret_value->vector);
    }
    return function->call(eval, node, ret_value);
}
