/*
 * Functions of labels and of order: label_replace, label_join, absent and its like, sort. New label
 * values become symbols, which the next trim takes away unless somebody keeps them.
 */
#include "agent/rules/evaluation.h"
#include "agent/rules/functions.h"

#include <stdlib.h>

/* A label's value that is made here; longer ones are no labels that a person reads. */
#define VALUE_MAX ((size_t)64 * 1024)

static int symbol(struct tly_evaluation *eval, const struct tly_node *node, struct tly_text text,
                  uint32_t *ret_symbol)
{
    int rc = tly_symbols_add(eval->symbols, text.at ? text : TLY_TEXT(""), ret_symbol);
    if (rc != 0) {
        (void)tly_eval_fail(eval, rc, node, "too many new label values: %s", tly_error_name(rc));
    }
    return rc;
}

static struct tly_text argument(const struct tly_node *node, size_t index)
{
    return tly_node_bare(node->call.args[index])->string;
}

/* The value of a label by name, empty where there is none. */
static struct tly_text label_value(const struct tly_evaluation *eval, struct tly_labels labels,
                                   struct tly_text name)
{
    uint32_t known;
    if (!tly_symbols_find(eval->symbols, name, &known)) {
        return TLY_TEXT("");
    }
    return tly_symbols_text(eval->symbols, tly_labels_get(labels, known));
}

/* Sets one label of an element. */
static int relabel(struct tly_evaluation *eval, const struct tly_node *node, uint32_t name,
                   struct tly_text value, struct tly_element *element)
{
    struct tly_label_pair pair = {.name = name};
    int rc = symbol(eval, node, value, &pair.value);
    if (rc != 0 || tly_labels_get(element->labels, name) == pair.value) {
        return rc;
    }
    struct tly_labels labels = tly_labels_with(eval->arena, element->labels, pair);
    if (!labels.at) {
        return tly_eval_no_memory(eval, node);
    }
    element->labels = labels;
    return 0;
}

static int value_failed(struct tly_evaluation *eval, const struct tly_node *node, int rc)
{
    return tly_eval_fail(eval, rc, node, "a label's new value is longer than %zu bytes", VALUE_MAX);
}

/* Arguments: vector, destination, replacement, source, pattern. */
int tly_function_label_replace(struct tly_evaluation *eval, const struct tly_node *node,
                               struct tly_value *ret_value)
{
    uint32_t name;
    struct tly_vector *vector = &ret_value->vector;
    int rc = tly_eval_vector(eval, node->call.args[0], vector);
    rc = rc != 0 ? rc : symbol(eval, node, argument(node, 1), &name);
    struct tly_buf buf;
    tly_buf_init(&buf, VALUE_MAX);
    for (size_t i = 0; rc == 0 && i < vector->count; i++) {
        struct tly_element *element = &vector->at[i];
        struct tly_text source = label_value(eval, element->labels, argument(node, 3));
        tly_buf_clear(&buf);
        int matches = tly_regex_expand(node->call.regex, source, argument(node, 2), &buf);
        if (matches < 0) {
            rc = value_failed(eval, node, matches);
        } else if (matches > 0) {
            rc = relabel(eval, node, name, tly_buf_text(&buf), element);
        }
    }
    tly_buf_done(&buf);
    return rc != 0 ? rc : tly_eval_unique(eval, node, vector);
}

static int join(const struct tly_evaluation *eval, const struct tly_node *node,
                struct tly_labels labels, struct tly_buf *buf)
{
    int rc = 0;
    for (size_t i = 3; rc == 0 && i < node->call.count; i++) {
        rc = i > 3 ? tly_buf_append_text(buf, argument(node, 2)) : 0;
        rc = rc != 0 ? rc : tly_buf_append_text(buf, label_value(eval, labels, argument(node, i)));
    }
    return rc;
}

/* Arguments: vector, destination, separator, sources. */
int tly_function_label_join(struct tly_evaluation *eval, const struct tly_node *node,
                            struct tly_value *ret_value)
{
    uint32_t name;
    struct tly_vector *vector = &ret_value->vector;
    int rc = tly_eval_vector(eval, node->call.args[0], vector);
    rc = rc != 0 ? rc : symbol(eval, node, argument(node, 1), &name);
    struct tly_buf buf;
    tly_buf_init(&buf, VALUE_MAX);
    for (size_t i = 0; rc == 0 && i < vector->count; i++) {
        tly_buf_clear(&buf);
        rc = join(eval, node, vector->at[i].labels, &buf);
        rc = rc < 0 ? value_failed(eval, node, rc)
                    : relabel(eval, node, name, tly_buf_text(&buf), &vector->at[i]);
    }
    tly_buf_done(&buf);
    return rc != 0 ? rc : tly_eval_unique(eval, node, vector);
}

/* ---- absent ---- */

/* Whether an equality says what its label would be: nothing behind it asks for the same label, and
 * no other equality does. */
static bool tells_label(const struct tly_selector *selector, size_t index)
{
    const struct tly_matcher *matcher = &selector->matchers[index];
    for (size_t i = 0; i < selector->matcher_count; i++) {
        const struct tly_matcher *other = &selector->matchers[i];
        if (i != index && (i > index || other->kind == TLY_MATCH_EQUAL) &&
            tly_text_equal(other->name, matcher->name)) {
            return false;
        }
    }
    return matcher->kind == TLY_MATCH_EQUAL && !tly_text_equal(matcher->name, TLY_TEXT("__name__"));
}

/* One element of value 1, with the labels that a selector's equalities ask for. */
static int absent_result(struct tly_evaluation *eval, const struct tly_node *node,
                         struct tly_vector *ret_vector)
{
    const struct tly_node *arg = tly_node_bare(node->call.args[0]);
    size_t most = arg->kind == TLY_NODE_SELECTOR ? arg->selector.matcher_count : 0;
    struct tly_label_pair *pairs = tly_arena_alloc_raw(eval->arena, most * sizeof(*pairs) + 1);
    int rc = pairs ? tly_eval_room(eval, node, 1, ret_vector) : tly_eval_no_memory(eval, node);
    size_t count = 0;
    for (size_t i = 0; rc == 0 && i < most; i++) {
        const struct tly_matcher *matcher = &arg->selector.matchers[i];
        if (!tells_label(&arg->selector, i)) {
            continue;
        }
        rc = symbol(eval, node, matcher->name, &pairs[count].name);
        rc = rc != 0 ? rc : symbol(eval, node, matcher->value, &pairs[count].value);
        count++;
    }
    if (rc == 0) {
        ret_vector->at[ret_vector->count++] = (struct tly_element){tly_labels_make(pairs, count),
                                                                   1};
    }
    return rc;
}

int tly_function_absent(struct tly_evaluation *eval, const struct tly_node *node,
                        struct tly_value *ret_value)
{
    struct tly_vector vector;
    int rc = tly_eval_vector(eval, node->call.args[0], &vector);
    if (rc != 0 || vector.count > 0) {
        ret_value->vector = (struct tly_vector){NULL, 0};
        return rc;
    }
    return absent_result(eval, node, &ret_value->vector);
}

int tly_function_absent_over_time(struct tly_evaluation *eval, const struct tly_node *node,
                                  struct tly_value *ret_value)
{
    struct tly_range range;
    int rc = tly_eval_range(eval, node->call.args[0], &range);
    ret_value->vector = (struct tly_vector){NULL, 0};
    for (size_t i = 0; rc == 0 && i < range.count; i++) {
        struct tly_labels labels;
        struct tly_window window;
        rc = tly_range_read(eval, &range, i, &labels, &window);
        if (rc == 0 && window.count > 0) {
            return 0;
        }
    }
    return rc != 0 ? rc : absent_result(eval, node, &ret_value->vector);
}

/* ---- sort ---- */

static int by_value(double left, double right)
{
    if (isnan(left) || isnan(right)) {
        return (isnan(left) != 0) - (isnan(right) != 0);
    }
    return (left > right) - (left < right);
}

static int ascending(const void *a, const void *b)
{
    const struct tly_element *left = a;
    const struct tly_element *right = b;
    return by_value(left->value, right->value);
}

static int descending(const void *a, const void *b)
{
    const struct tly_element *left = a;
    const struct tly_element *right = b;
    return by_value(-left->value, -right->value);
}

static int sort(struct tly_evaluation *eval, const struct tly_node *node,
                int (*order)(const void *, const void *), struct tly_vector *vector)
{
    int rc = tly_eval_vector(eval, node->call.args[0], vector);
    if (rc == 0 && vector->count > 1) {
        qsort(vector->at, vector->count, sizeof(*vector->at), order);
    }
    return rc;
}

int tly_function_sort(struct tly_evaluation *eval, const struct tly_node *node,
                      struct tly_value *ret_value)
{
    return sort(eval, node, ascending, &ret_value->vector);
}

int tly_function_sort_desc(struct tly_evaluation *eval, const struct tly_node *node,
                           struct tly_value *ret_value)
{
    return sort(eval, node, descending, &ret_value->vector);
}
