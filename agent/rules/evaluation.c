/*
 * Nodes and their values: dispatch, literals, signs, and the helpers for names and keys that the
 * other files of an evaluation need.
 */
#include "agent/rules/evaluation.h"

#include <errno.h>
#include <stdlib.h>

/* ---- failures and bounds ---- */

static void place_prefix(struct tly_evaluation *eval, const struct tly_node *node)
{
    unsigned line = 1;
    unsigned column = 1;
    for (uint32_t i = 0; i < node->start; i++) {
        unsigned char c = (unsigned char)eval->expr->text.at[i];
        line += c == '\n';
        column = c == '\n' ? 1 : column + ((c & 0xc0) != 0x80);
    }
    tly_error_prefix(eval->err, "%u:%u", line, column);
}

int tly_eval_fail(struct tly_evaluation *eval, int code, const struct tly_node *node,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)tly_error_vset(eval->err, code, format, args);
    va_end(args);
    if (eval->err) {
        place_prefix(eval, node);
    }
    return code;
}

void tly_eval_say_no_memory(struct tly_evaluation *eval, const struct tly_node *node)
{
    (void)tly_eval_fail(eval, TLY_E_LIMIT, node, "the results need more than %zu MiB of memory",
                        eval->arena->max >> 20);
}

int tly_eval_touch(struct tly_evaluation *eval, const struct tly_node *node, size_t samples)
{
    eval->touched += samples;
    if (eval->touched <= eval->touched_max) {
        return 0;
    }
    (void)tly_eval_fail(eval, TLY_E_LIMIT, node,
                        "the evaluation touches more than %zu samples and was stopped",
                        eval->touched_max);
    return TLY_E_LIMIT;
}

int tly_eval_room(struct tly_evaluation *eval, const struct tly_node *node, size_t count,
                  struct tly_vector *ret_vector)
{
    struct tly_element *at = tly_arena_alloc_raw(eval->arena, count * sizeof(*at));
    if (!at) {
        return tly_eval_no_memory(eval, node);
    }
    *ret_vector = (struct tly_vector){at, 0};
    return 0;
}

/* ---- keys ---- */

int tly_key_table_init(struct tly_evaluation *eval, const struct tly_node *node, size_t entries,
                       struct tly_key_table *ret_table)
{
    uint32_t slots = 8;
    while (slots < entries * 2) {
        slots *= 2;
    }
    ret_table->mask = slots - 1;
    ret_table->slots = tly_arena_alloc(eval->arena, slots * sizeof(*ret_table->slots));
    return ret_table->slots ? 0 : tly_eval_no_memory(eval, node);
}

uint32_t tly_key_table_put(struct tly_key_table *table, uint64_t key, uint32_t number)
{
    uint32_t slot = (uint32_t)(key ^ (key >> 32)) & table->mask;
    for (; table->slots[slot].number != 0; slot = (slot + 1) & table->mask) {
        if (table->slots[slot].key == key) {
            return table->slots[slot].number - 1;
        }
    }
    if (number != TLY_KEY_ABSENT) {
        table->slots[slot] = (struct tly_key_slot){key, number + 1};
    }
    return number;
}

int tly_eval_unique(struct tly_evaluation *eval, const struct tly_node *node,
                    const struct tly_vector *vector)
{
    struct tly_key_table table;
    int rc = tly_key_table_init(eval, node, vector->count, &table);
    for (uint32_t i = 0; rc == 0 && i < vector->count; i++) {
        if (tly_key_table_put(&table, vector->at[i].labels.hash, i) != i) {
            rc = tly_eval_fail(eval, TLY_E_REFUSED, node,
                               "vector cannot contain metrics with the same labelset");
        }
    }
    return rc;
}

int tly_eval_drop_names(struct tly_evaluation *eval, const struct tly_node *node,
                        struct tly_vector *vector)
{
    bool mixed = false;
    uint32_t first = vector->count > 0 ? tly_labels_get(vector->at[0].labels, TLY_SYMBOL_NAME) : 0;
    for (size_t i = 0; i < vector->count; i++) {
        struct tly_labels *labels = &vector->at[i].labels;
        mixed = mixed || tly_labels_get(*labels, TLY_SYMBOL_NAME) != first;
        *labels = tly_labels_nameless(*labels);
    }
    /* Sets that differed and had one name still differ. */
    return mixed ? tly_eval_unique(eval, node, vector) : 0;
}

/* ---- sets of names ---- */

int tly_eval_names(struct tly_evaluation *eval, const struct tly_node *node, struct tly_names names,
                   struct tly_name_set *ret_set)
{
    uint32_t *at = tly_arena_alloc_raw(eval->arena, (names.count + 1) * sizeof(*at));
    if (!at) {
        return tly_eval_no_memory(eval, node);
    }
    *ret_set = (struct tly_name_set){at, 0};
    for (size_t i = 0; i < names.count; i++) {
        uint32_t symbol;
        if (!tly_symbols_find(eval->symbols, names.at[i], &symbol)) {
            continue;
        }
        size_t place = ret_set->count;
        while (place > 0 && at[place - 1] >= symbol) {
            place--;
        }
        if (place < ret_set->count && at[place] == symbol) {
            continue;
        }
        memmove(at + place + 1, at + place, (ret_set->count - place) * sizeof(*at));
        at[place] = symbol;
        ret_set->count++;
    }
    return 0;
}

uint64_t tly_name_set_hash(const struct tly_name_set *set, struct tly_labels labels)
{
    uint64_t hash = 0;
    uint32_t at = 0;
    for (size_t i = 0; i < set->count; i++) {
        while (at < labels.count && labels.at[at].name < set->at[i]) {
            at++;
        }
        if (at < labels.count && labels.at[at].name == set->at[i]) {
            hash += tly_label_hash(labels.at[at]);
        }
    }
    return hash;
}

static bool name_set_has(const struct tly_name_set *set, uint32_t name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->at[i] == name) {
            return true;
        }
    }
    return false;
}

/* The pairs whose names are in the set, or those that are not. */
static struct tly_labels filtered(struct tly_arena *arena, const struct tly_name_set *set,
                                  struct tly_labels labels, bool wanted)
{
    struct tly_label_pair *at = tly_arena_alloc_raw(arena, labels.count * sizeof(*at) + 1);
    if (!at) {
        return (struct tly_labels){NULL, 0, 0};
    }
    struct tly_labels kept = {at, 0, 0};
    for (uint32_t i = 0; i < labels.count; i++) {
        if (name_set_has(set, labels.at[i].name) == wanted) {
            at[kept.count++] = labels.at[i];
            kept.hash += tly_label_hash(labels.at[i]);
        }
    }
    return kept;
}

struct tly_labels tly_name_set_keep(struct tly_arena *arena, const struct tly_name_set *set,
                                    struct tly_labels labels)
{
    return filtered(arena, set, labels, true);
}

struct tly_labels tly_name_set_drop(struct tly_arena *arena, const struct tly_name_set *set,
                                    struct tly_labels labels, bool drop_metric)
{
    labels = drop_metric ? tly_labels_nameless(labels) : labels;
    if (tly_name_set_hash(set, labels) == 0 && labels.at) {
        return labels; /* none of them is there */
    }
    return filtered(arena, set, labels, false);
}

struct tly_labels tly_labels_with(struct tly_arena *arena, struct tly_labels labels,
                                  struct tly_label_pair pair)
{
    struct tly_label_pair *at = tly_arena_alloc_raw(arena, (labels.count + 1) * sizeof(*at));
    if (!at) {
        return (struct tly_labels){NULL, 0, 0};
    }
    if (labels.count > 0) {
        memcpy(at, labels.at, labels.count * sizeof(*at));
    }
    at[labels.count] = pair;
    return tly_labels_make(at, labels.count + 1);
}

/* ---- arithmetic ---- */

void tly_mean_add(struct tly_mean *mean, double value)
{
    mean->count++;
    if (!mean->stepwise) {
        struct tly_sum sum = mean->sum;
        tly_sum_add(&sum, value);
        if (mean->count == 1 || !isinf(sum.sum)) {
            mean->sum = sum;
            return;
        }
        /* From here on the sum field is the mean. */
        mean->stepwise = true;
        mean->sum.sum /= mean->count - 1;
        mean->sum.lost /= mean->count - 1;
    }
    double share = (mean->count - 1) / mean->count;
    mean->sum.sum *= share;
    mean->sum.lost *= share;
    tly_sum_add(&mean->sum, value / mean->count);
}

double tly_mean_value(const struct tly_mean *mean)
{
    if (mean->stepwise) {
        return mean->sum.sum + mean->sum.lost;
    }
    return mean->sum.sum / mean->count + mean->sum.lost / mean->count;
}

static int nan_first(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    if (isnan(left) || isnan(right)) {
        return (isnan(right) != 0) - (isnan(left) != 0);
    }
    return (left > right) - (left < right);
}

double tly_quantile(double q, double *values, size_t count)
{
    if (count == 0 || isnan(q)) {
        return NAN;
    }
    if (q < 0 || q > 1) {
        return q < 0 ? -INFINITY : INFINITY;
    }
    qsort(values, count, sizeof(*values), nan_first);
    double rank = q * (double)(count - 1);
    size_t lower = (size_t)rank;
    size_t upper = lower + 1 < count ? lower + 1 : count - 1;
    double weight = rank - floor(rank);
    /* Without the test an infinity beside the value would make it NaN. */
    return weight == 0 ? values[lower] : values[lower] * (1 - weight) + values[upper] * weight;
}

/* ---- nodes ---- */

static int eval_unary(struct tly_evaluation *eval, const struct tly_node *node,
                      struct tly_value *ret_value)
{
    int rc = tly_eval_node(eval, node->unary.expr, ret_value);
    if (rc != 0 || node->unary.op == TLY_TOKEN_ADD) {
        return rc;
    }
    if (ret_value->type == TLY_TYPE_SCALAR) {
        ret_value->scalar = -ret_value->scalar;
        return 0;
    }
    for (size_t i = 0; i < ret_value->vector.count; i++) {
        ret_value->vector.at[i].value = -ret_value->vector.at[i].value;
    }
    return tly_eval_drop_names(eval, node, &ret_value->vector);
}

/* A range vector as the whole result: every window is copied, since reading the next one reuses its
 * memory. */
static int eval_range_value(struct tly_evaluation *eval, const struct tly_node *node,
                            struct tly_value *ret_value)
{
    struct tly_range range;
    int rc = tly_eval_range(eval, node, &range);
    struct tly_range_element *at = rc != 0 ? NULL
                                           : tly_arena_alloc_raw(eval->arena,
                                                                 range.count * sizeof(*at) + 1);
    if (rc == 0 && !at) {
        rc = tly_eval_no_memory(eval, node);
    }
    size_t count = 0;
    for (size_t i = 0; rc == 0 && i < range.count; i++) {
        struct tly_window window;
        rc = tly_range_read(eval, &range, i, &at[count].labels, &window);
        if (rc != 0 || window.count == 0) {
            continue;
        }
        struct tly_point *points = tly_arena_alloc_raw(eval->arena, window.count * sizeof(*points));
        if (!points) {
            return tly_eval_no_memory(eval, node);
        }
        memcpy(points, window.at, window.count * sizeof(*points));
        at[count++].window = (struct tly_window){points, window.count};
    }
    if (rc == 0) {
        ret_value->range.at = at;
        ret_value->range.count = count;
    }
    return rc;
}

int tly_eval_node(struct tly_evaluation *eval, const struct tly_node *node,
                  struct tly_value *ret_value)
{
    /* A node counts as one, so that nothing runs long by finding nothing. */
    int rc = tly_eval_touch(eval, node, 1);
    if (rc != 0) {
        return rc;
    }
    ret_value->type = node->type;
    switch (node->kind) {
    case TLY_NODE_NUMBER:
        ret_value->scalar = node->number.value;
        return 0;
    case TLY_NODE_STRING:
        ret_value->string = node->string;
        return 0;
    case TLY_NODE_SELECTOR:
        return node->type == TLY_TYPE_RANGE
                   ? eval_range_value(eval, node, ret_value)
                   : tly_eval_selector(eval, node, false, &ret_value->vector);
    case TLY_NODE_SUBQUERY:
        return eval_range_value(eval, node, ret_value);
    case TLY_NODE_PAREN:
        return tly_eval_node(eval, node->paren, ret_value);
    case TLY_NODE_UNARY:
        return eval_unary(eval, node, ret_value);
    case TLY_NODE_BINARY:
        return tly_eval_binary(eval, node, ret_value);
    case TLY_NODE_AGGREGATE:
        return tly_eval_aggregate(eval, node, &ret_value->vector);
    case TLY_NODE_CALL:
        break;
    }
    return tly_eval_call(eval, node, ret_value);
}

int tly_eval_scalar(struct tly_evaluation *eval, const struct tly_node *node, double *ret_value)
{
    struct tly_value value;
    int rc = tly_eval_node(eval, node, &value);
    if (rc == 0) {
        *ret_value = value.scalar;
    }
    return rc;
}

int tly_eval_vector(struct tly_evaluation *eval, const struct tly_node *node,
                    struct tly_vector *ret_vector)
{
    struct tly_value value;
    int rc = tly_eval_node(eval, node, &value);
    if (rc == 0) {
        *ret_vector = value.vector;
    }
    return rc;
}
