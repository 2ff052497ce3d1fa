/*
 * Aggregations: elements are dealt to groups by the labels that by or without leave, then each
 * group is reduced. Groups come in the order of their first element.
 */
#include "agent/rules/evaluation.h"

#include "agent/rules/number.h"

#include <stdlib.h>

struct group {
    struct tly_labels labels;
    double count;
    double value;
    struct tly_sum sum;
    struct tly_mean mean;
    double welford_mean; /* of stddev and stdvar */
    uint32_t from, used; /* its members' places, for what needs all values */
};

struct grouping {
    struct tly_evaluation *eval;
    const struct tly_node *node;
    struct tly_vector vector;
    struct tly_name_set names;
    struct tly_key_table table;
    struct group *groups;
    uint32_t *group_of; /* for each element */
    uint32_t count;
};

static int grouping_init(struct tly_evaluation *eval, const struct tly_node *node,
                         struct tly_vector vector, struct grouping *grouping)
{
    *grouping = (struct grouping){.eval = eval, .node = node, .vector = vector};
    int rc = tly_eval_names(eval, node, node->aggregate.grouping, &grouping->names);
    rc = rc != 0 ? rc : tly_key_table_init(eval, node, vector.count, &grouping->table);
    if (rc != 0) {
        return rc;
    }
    grouping->group_of = tly_arena_alloc_raw(eval->arena,
                                             vector.count * sizeof(*grouping->group_of) + 1);
    grouping->groups = tly_arena_alloc_raw(eval->arena, vector.count * sizeof(struct group) + 1);
    return grouping->group_of && grouping->groups ? 0 : tly_eval_no_memory(eval, node);
}

static uint64_t group_key(const struct grouping *grouping, struct tly_labels labels)
{
    if (!grouping->node->aggregate.without) {
        return tly_name_set_hash(&grouping->names, labels);
    }
    labels = tly_labels_nameless(labels);
    return labels.hash - tly_name_set_hash(&grouping->names, labels);
}

/* Deals the elements to groups and gives each group its labels. */
static int deal(struct grouping *grouping)
{
    struct tly_arena *arena = grouping->eval->arena;
    for (uint32_t i = 0; i < grouping->vector.count; i++) {
        struct tly_labels labels = grouping->vector.at[i].labels;
        uint64_t key = group_key(grouping, labels);
        uint32_t number = tly_key_table_put(&grouping->table, key, grouping->count);
        grouping->group_of[i] = number;
        if (number < grouping->count) {
            continue;
        }
        struct tly_labels own = grouping->node->aggregate.without
                                    ? tly_name_set_drop(arena, &grouping->names, labels, true)
                                    : tly_name_set_keep(arena, &grouping->names, labels);
        if (!own.at && labels.count > 0 && own.count == 0) {
            return tly_eval_no_memory(grouping->eval, grouping->node);
        }
        grouping->groups[number] = (struct group){.labels = own};
        grouping->count++;
    }
    return 0;
}

/* ---- what can be reduced one value at a time ---- */

static void spread_add(struct group *group, double value)
{
    if (group->count == 1) {
        group->welford_mean = value;
        group->value = isfinite(value) ? 0 : NAN;
        return;
    }
    double delta = value - group->welford_mean;
    group->welford_mean += delta / group->count;
    group->value += delta * (value - group->welford_mean);
}

static void reduce(enum tly_token_kind op, struct group *group, double value)
{
    group->count++;
    bool first = group->count == 1;
    switch (op) {
    case TLY_TOKEN_SUM:
        /* The first value is taken as it is: -0 stays -0. */
        if (first) {
            group->sum.sum = value;
        } else {
            tly_sum_add(&group->sum, value);
        }
        break;
    case TLY_TOKEN_AVG:
        tly_mean_add(&group->mean, value);
        break;
    case TLY_TOKEN_MIN:
        group->value = first || group->value > value || isnan(group->value) ? value : group->value;
        break;
    case TLY_TOKEN_MAX:
        group->value = first || group->value < value || isnan(group->value) ? value : group->value;
        break;
    case TLY_TOKEN_STDDEV:
    case TLY_TOKEN_STDVAR:
        spread_add(group, value);
        break;
    default: /* count and group need no value */
        break;
    }
}

static double reduced(enum tly_token_kind op, const struct group *group)
{
    switch (op) {
    case TLY_TOKEN_SUM:
        return group->sum.sum + group->sum.lost;
    case TLY_TOKEN_AVG:
        return tly_mean_value(&group->mean);
    case TLY_TOKEN_COUNT:
        return group->count;
    case TLY_TOKEN_GROUP:
        return 1;
    case TLY_TOKEN_STDDEV:
        return sqrt(group->value / group->count);
    case TLY_TOKEN_STDVAR:
        return group->value / group->count;
    default:
        return group->value;
    }
}

static int simple(struct grouping *grouping, struct tly_vector *ret_vector)
{
    enum tly_token_kind op = grouping->node->aggregate.op;
    for (uint32_t i = 0; i < grouping->vector.count; i++) {
        reduce(op, &grouping->groups[grouping->group_of[i]], grouping->vector.at[i].value);
    }
    int rc = tly_eval_room(grouping->eval, grouping->node, grouping->count, ret_vector);
    for (uint32_t i = 0; rc == 0 && i < grouping->count; i++) {
        const struct group *group = &grouping->groups[i];
        ret_vector->at[ret_vector->count++] = (struct tly_element){group->labels,
                                                                   reduced(op, group)};
    }
    return rc;
}

/* ---- what needs a group's values together ---- */

/* The elements' places, group after group, in their order within each. */
static int gather(struct grouping *grouping, uint32_t **ret_places)
{
    size_t bytes = grouping->vector.count * sizeof(uint32_t);
    uint32_t *places = tly_arena_alloc_raw(grouping->eval->arena, bytes + 1);
    if (!places) {
        return tly_eval_no_memory(grouping->eval, grouping->node);
    }
    for (uint32_t i = 0; i < grouping->vector.count; i++) {
        grouping->groups[grouping->group_of[i]].count++;
    }
    uint32_t from = 0;
    for (uint32_t i = 0; i < grouping->count; i++) {
        grouping->groups[i].from = from;
        from += (uint32_t)grouping->groups[i].count;
    }
    for (uint32_t i = 0; i < grouping->vector.count; i++) {
        struct group *group = &grouping->groups[grouping->group_of[i]];
        places[group->from + group->used++] = i;
    }
    *ret_places = places;
    return 0;
}

static int quantile(struct grouping *grouping, double q, struct tly_vector *ret_vector)
{
    uint32_t *places = NULL;
    int rc = gather(grouping, &places);
    rc = rc != 0 ? rc : tly_eval_room(grouping->eval, grouping->node, grouping->count, ret_vector);
    if (rc != 0) {
        return rc;
    }
    size_t bytes = grouping->vector.count * sizeof(double);
    double *values = tly_arena_alloc_raw(grouping->eval->arena, bytes + 1);
    if (!values) {
        return tly_eval_no_memory(grouping->eval, grouping->node);
    }
    for (uint32_t i = 0; i < grouping->count; i++) {
        const struct group *group = &grouping->groups[i];
        for (uint32_t k = 0; k < group->used; k++) {
            values[k] = grouping->vector.at[places[group->from + k]].value;
        }
        ret_vector->at[ret_vector->count++] = (struct tly_element){
            group->labels, tly_quantile(q, values, group->used)};
    }
    return 0;
}

struct ranked {
    double value;
    uint32_t place;
};

/* Largest first, NaN last; what is equal keeps its order. */
static int largest_first(const void *a, const void *b)
{
    const struct ranked *left = a;
    const struct ranked *right = b;
    if (isnan(left->value) != isnan(right->value)) {
        return isnan(left->value) ? 1 : -1;
    }
    if (left->value != right->value && !isnan(left->value)) {
        return left->value > right->value ? -1 : 1;
    }
    return left->place < right->place ? -1 : 1;
}

static int smallest_first(const void *a, const void *b)
{
    struct ranked left = *(const struct ranked *)a;
    struct ranked right = *(const struct ranked *)b;
    left.value = -left.value;
    right.value = -right.value;
    return largest_first(&left, &right);
}

/* topk and bottomk pass elements on as they are, at most `k` of each group. */
static int pick(struct grouping *grouping, double k, struct tly_vector *ret_vector)
{
    *ret_vector = (struct tly_vector){NULL, 0};
    if (isnan(k) || k > (double)INT64_MAX || k < (double)INT64_MIN) {
        return tly_eval_fail(grouping->eval, TLY_E_REFUSED, grouping->node,
                             "scalar value %g overflows int64", k);
    }
    if (k < 1) {
        return 0;
    }
    bool top = grouping->node->aggregate.op == TLY_TOKEN_TOPK;
    uint32_t *places = NULL;
    int rc = gather(grouping, &places);
    rc = rc < 0 ? rc
                : tly_eval_room(grouping->eval, grouping->node, grouping->vector.count, ret_vector);
    if (rc != 0) {
        return rc;
    }
    size_t bytes = grouping->vector.count * sizeof(struct ranked);
    struct ranked *ranked = tly_arena_alloc_raw(grouping->eval->arena, bytes + 1);
    if (!ranked) {
        return tly_eval_no_memory(grouping->eval, grouping->node);
    }
    for (uint32_t i = 0; i < grouping->count; i++) {
        const struct group *group = &grouping->groups[i];
        for (uint32_t j = 0; j < group->used; j++) {
            uint32_t place = places[group->from + j];
            ranked[j] = (struct ranked){grouping->vector.at[place].value, place};
        }
        qsort(ranked, group->used, sizeof(*ranked), top ? largest_first : smallest_first);
        for (uint32_t j = 0; j < group->used && (double)j < floor(k); j++) {
            ret_vector->at[ret_vector->count++] = grouping->vector.at[ranked[j].place];
        }
    }
    return 0;
}

/* ---- count_values ---- */

/* The group's labels with the value's text as one more. */
static int value_labels(struct grouping *grouping, uint32_t name, const struct tly_element *element,
                        struct tly_labels *ret_labels)
{
    struct tly_evaluation *eval = grouping->eval;
    char text[TLY_NUMBER_TEXT_MAX];
    size_t len = tly_number_format(element->value, text);
    struct tly_label_pair pair = {.name = name};
    int rc = tly_symbols_add(eval->symbols, (struct tly_text){text, len}, &pair.value);
    if (rc != 0) {
        (void)tly_eval_fail(eval, rc, grouping->node, "too many distinct values: %s",
                            tly_error_name(rc));
        return rc;
    }
    bool without = grouping->node->aggregate.without;
    struct tly_labels labels = element->labels;
    struct tly_labels own = without ? labels
                                    : tly_name_set_keep(eval->arena, &grouping->names, labels);
    own = own.at || own.count == 0 ? tly_labels_with(eval->arena, own, pair) : own;
    if (without && own.at) {
        own = tly_name_set_drop(eval->arena, &grouping->names, own, true);
    }
    *ret_labels = own;
    return own.at ? 0 : tly_eval_no_memory(eval, grouping->node);
}

static int count_values(struct grouping *grouping, struct tly_vector *ret_vector)
{
    struct tly_evaluation *eval = grouping->eval;
    const struct tly_node *node = grouping->node;
    uint32_t name;
    int rc = tly_symbols_add(eval->symbols, tly_node_bare(node->aggregate.param)->string, &name);
    if (rc != 0) {
        return tly_eval_fail(eval, rc, node, "too many distinct values: %s", tly_error_name(rc));
    }
    /* Now that the new label's name is known, since the grouping may have it. */
    rc = tly_eval_names(eval, node, node->aggregate.grouping, &grouping->names);
    rc = rc != 0 ? rc : tly_eval_room(eval, node, grouping->vector.count, ret_vector);
    for (size_t i = 0; rc == 0 && i < grouping->vector.count; i++) {
        struct tly_labels labels;
        rc = value_labels(grouping, name, &grouping->vector.at[i], &labels);
        if (rc != 0) {
            return rc;
        }
        uint32_t number = tly_key_table_put(&grouping->table, labels.hash,
                                            (uint32_t)ret_vector->count);
        if (number == ret_vector->count) {
            ret_vector->at[ret_vector->count++] = (struct tly_element){labels, 0};
        }
        ret_vector->at[number].value++;
    }
    return rc;
}

int tly_eval_aggregate(struct tly_evaluation *eval, const struct tly_node *node,
                       struct tly_vector *ret_vector)
{
    struct tly_vector vector;
    double param = 0;
    enum tly_token_kind op = node->aggregate.op;
    bool scalar = node->aggregate.param && op != TLY_TOKEN_COUNT_VALUES;
    int rc = scalar ? tly_eval_scalar(eval, node->aggregate.param, &param) : 0;
    rc = rc != 0 ? rc : tly_eval_vector(eval, node->aggregate.expr, &vector);
    rc = rc != 0 ? rc : tly_eval_touch(eval, node, vector.count);
    struct grouping grouping;
    rc = rc != 0 ? rc : grouping_init(eval, node, vector, &grouping);
    if (rc == 0 && op == TLY_TOKEN_COUNT_VALUES) {
        return count_values(&grouping, ret_vector);
    }
    rc = rc != 0 ? rc : deal(&grouping);
    if (rc != 0) {
        return rc;
    }
    if (op == TLY_TOKEN_QUANTILE) {
        return quantile(&grouping, param, ret_vector);
    }
    if (op == TLY_TOKEN_TOPK || op == TLY_TOKEN_BOTTOMK) {
        return pick(&grouping, param, ret_vector);
    }
    return simple(&grouping, ret_vector);
}
