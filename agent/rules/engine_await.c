/*
 * What can't be said of an alert yet. History begins with the process (or anew, after a step of the
 * clock), and alerts that were taken up from before may fire by samples that it lacks: such an
 * alert is awaited, which is to say kept as it is, until its rule's expression has as much history
 * as it looks back at, and until samples are there that make it, or as long as a selector looks
 * back for one. It ends earlier where a part of the expression that has its history says so: of `a
 * > 1 and b` only `a > 1` has to be known.
 */
#include "agent/rules/engine_state.h"
#include "agent/rules/function.h"
#include "agent/rules/functions.h"
#include "agent/rules/parse.h"

#include <errno.h>

/* ---- how far back a rule looks ---- */

static int64_t node_lookback(struct tly_engine *engine, const struct tly_node *node);

/* Kept with the rule, since rules read what rules write. */
static int64_t run_lookback(struct tly_engine *engine, const struct tly_group_run *group,
                            struct tly_rule_run *run)
{
    if (run->lookback_ms < 0) {
        run->lookback_ms = 0; /* as long as it is looked for: for rules that read themselves */
        run->lookback_ms = node_lookback(engine, run->rule->expr->root) +
                           group->group->query_offset_ms;
    }
    return run->lookback_ms;
}

static bool writes(const struct tly_rule *rule, const struct tly_need *need)
{
    if (!rule->alerting) {
        return tly_matchers_allow_name(need->matchers, need->matcher_count, rule->name);
    }
    return tly_matchers_allow_name(need->matchers, need->matcher_count, TLY_TEXT("ALERTS")) ||
           tly_matchers_allow_name(need->matchers, need->matcher_count,
                                   TLY_TEXT("ALERTS_FOR_STATE"));
}

struct looking {
    struct tly_engine *engine;
    int64_t lookback_ms;
};

/* A series that a rule writes is whole when that rule's expression was, an evaluation ago. */
static int look_back(void *arg, const struct tly_need *need)
{
    struct looking *looking = arg;
    struct tly_engine *engine = looking->engine;
    int64_t inputs_ms = 0;
    for (size_t i = 0; i < engine->count; i++) {
        struct tly_group_run *group = &engine->groups[i];
        for (size_t k = 0; k < group->count; k++) {
            if (writes(group->rules[k].rule, need)) {
                int64_t ms = run_lookback(engine, group, &group->rules[k]) + group->interval_ms;
                inputs_ms = ms > inputs_ms ? ms : inputs_ms;
            }
        }
    }
    int64_t ms = need->lookback_ms + inputs_ms;
    looking->lookback_ms = ms > looking->lookback_ms ? ms : looking->lookback_ms;
    return 0;
}

static int64_t node_lookback(struct tly_engine *engine, const struct tly_node *node)
{
    struct looking looking = {engine, 0};
    int rc = tly_node_needs(node, look_back, &looking);
    (void)rc; /* that of look_back, which is 0 */
    return looking.lookback_ms;
}

/* ---- what a part of the expression says ---- */

/* Other forms of an expression, made in the engine's arena. */
struct forming {
    struct tly_engine *engine;
    int64_t known_ms; /* of history */
    bool no_memory;
};

static struct tly_node *copy_node(struct forming *forming, const struct tly_node *node)
{
    struct tly_node *copy = tly_arena_alloc_raw(&forming->engine->arena, sizeof(*copy));
    if (copy) {
        *copy = *node;
    }
    forming->no_memory = forming->no_memory || !copy;
    return copy;
}

static struct tly_node *with_operands(struct forming *forming, const struct tly_node *node,
                                      struct tly_node *left, struct tly_node *right)
{
    struct tly_node *copy = copy_node(forming, node);
    if (copy) {
        copy->binary.left = left;
        copy->binary.right = right;
        tly_node_foresee(copy);
    }
    return copy;
}

/* NULL: nothing is known. */
static struct tly_node *bound(struct forming *forming, struct tly_node *node);

static struct tly_node *bound_set_operator(struct forming *forming, struct tly_node *node,
                                           bool whole_sets)
{
    struct tly_node *left = bound(forming, node->binary.left);
    struct tly_node *right = bound(forming, node->binary.right);
    switch (node->binary.op) {
    case TLY_TOKEN_AND:
        if (left && right) {
            return with_operands(forming, node, left, right);
        }
        return left || !whole_sets ? left : right;
    case TLY_TOKEN_UNLESS:
        /* Only the operand itself takes away, and not more than it has. */
        return left && right == node->binary.right ? with_operands(forming, node, left, right)
                                                   : left;
    default: /* or */
        return left && right && whole_sets ? with_operands(forming, node, left, right) : NULL;
    }
}

static struct tly_node *bound_binary(struct forming *forming, struct tly_node *node)
{
    const struct tly_matching *matching = &node->binary.matching;
    struct tly_node *left = node->binary.left;
    struct tly_node *right = node->binary.right;
    bool whole_sets = !matching->on && matching->labels.count == 0;
    if (tly_token_is_set_operator(node->binary.op)) {
        return bound_set_operator(forming, node, whole_sets);
    }
    if (left->type != TLY_TYPE_VECTOR || right->type != TLY_TYPE_VECTOR) {
        return bound(forming, left->type == TLY_TYPE_VECTOR ? left : right);
    }
    if (matching->include.count > 0) {
        return NULL;
    }
    /* Results have the labels of the side that may have several. */
    struct tly_node *many = NULL;
    if (whole_sets || matching->card == TLY_CARD_MANY_TO_ONE) {
        many = bound(forming, left);
    }
    if (!many && (whole_sets || matching->card == TLY_CARD_ONE_TO_MANY)) {
        many = bound(forming, right);
    }
    return many;
}

/* An expression with enough history whose result has, names apart, all label sets that `node` would
 * have with as much history as it looks back at. */
static struct tly_node *bound(struct forming *forming, struct tly_node *node)
{
    if (forming->known_ms >= node_lookback(forming->engine, node)) {
        return node;
    }
    switch (node->kind) {
    case TLY_NODE_PAREN:
        return bound(forming, node->paren);
    case TLY_NODE_UNARY:
        return bound(forming, node->unary.expr);
    case TLY_NODE_BINARY:
        return bound_binary(forming, node);
    default:
        return NULL;
    }
}

/* ---- whether there are samples ---- */

static struct tly_node *looked_at(struct forming *forming, struct tly_node *node);

static struct tly_node *looked_at_binary(struct forming *forming, struct tly_node *node)
{
    struct tly_node *left = node->binary.left;
    struct tly_node *right = node->binary.right;
    if (left->type != TLY_TYPE_VECTOR || node->binary.op == TLY_TOKEN_UNLESS) {
        return looked_at(forming, left->type != TLY_TYPE_VECTOR ? right : left);
    }
    left = looked_at(forming, left);
    right = left && right->type == TLY_TYPE_VECTOR ? looked_at(forming, right) : NULL;
    if (!left || node->binary.right->type != TLY_TYPE_VECTOR) {
        return left;
    }
    struct tly_node *copy = right ? with_operands(forming, node, left, right) : NULL;
    if (copy && tly_token_is_comparison(copy->binary.op)) {
        copy->binary.op = TLY_TOKEN_ADD;
        copy->binary.returns_bool = false;
        tly_node_foresee(copy);
    }
    return copy;
}

static struct tly_node *looked_at_aggregate(struct forming *forming, struct tly_node *node)
{
    struct tly_node *expr = looked_at(forming, node->aggregate.expr);
    if (!expr || node->aggregate.op == TLY_TOKEN_TOPK || node->aggregate.op == TLY_TOKEN_BOTTOMK) {
        return expr;
    }
    struct tly_node *copy = copy_node(forming, node);
    if (copy) {
        copy->aggregate.expr = expr;
        tly_node_foresee(copy);
    }
    return copy;
}

/* The expression without its comparisons: what it has no element for, it has no samples for. NULL
 * where that is an answer as well. */
static struct tly_node *looked_at(struct forming *forming, struct tly_node *node)
{
    switch (node->kind) {
    case TLY_NODE_PAREN:
        return looked_at(forming, node->paren);
    case TLY_NODE_UNARY:
        return looked_at(forming, node->unary.expr);
    case TLY_NODE_BINARY:
        return looked_at_binary(forming, node);
    case TLY_NODE_AGGREGATE:
        return looked_at_aggregate(forming, node);
    case TLY_NODE_CALL:
        return node->call.function->call == tly_function_absent ||
                       node->call.function->call == tly_function_absent_over_time
                   ? NULL
                   : node;
    default:
        return node;
    }
}

/* ---- awaited alerts ---- */

static void set_back(int64_t *time_ms, int64_t by_ms)
{
    if (*time_ms > 0) { /* else it is none */
        *time_ms = *time_ms > by_ms ? *time_ms - by_ms : 1;
    }
}

void tly_rule_set_back(struct tly_rule_run *run, int64_t by_ms)
{
    run->since_ms = 0;
    set_back(&run->evaluated_ms, by_ms);
    for (size_t i = 0; i < run->active_count; i++) {
        struct tly_active *active = &run->active[i];
        active->awaited = active->state != TLY_ALERT_INACTIVE && active->keep_since_ms == 0;
        set_back(&active->active_at_ms, by_ms);
        set_back(&active->fired_at_ms, by_ms);
        set_back(&active->resolved_at_ms, by_ms);
        set_back(&active->keep_since_ms, by_ms);
        set_back(&active->sent_ms, by_ms);
        set_back(&active->valid_until_ms, by_ms);
    }
}

/* The labels that come of the element, not of the rule. */
static int element_labels(struct tly_engine *engine, const struct tly_rule *rule,
                          struct tly_labels labels, struct tly_labels *ret_labels)
{
    struct tly_label_pair *pairs = tly_arena_alloc_raw(&engine->arena,
                                                       (labels.count + 1) * sizeof(*pairs));
    size_t count = 0;
    for (uint32_t i = 0; pairs && i < labels.count; i++) {
        struct tly_text name = tly_symbols_text(engine->symbols, labels.at[i].name);
        bool own = labels.at[i].name != TLY_SYMBOL_NAME &&
                   !tly_text_equal(name, TLY_TEXT("alertname"));
        for (size_t k = 0; own && k < rule->label_count; k++) {
            own = !tly_text_equal(name, rule->labels[k].name);
        }
        if (own) {
            pairs[count++] = labels.at[i];
        }
    }
    if (pairs) {
        *ret_labels = tly_labels_make(pairs, count);
    }
    return pairs ? 0 : -ENOMEM;
}

/* The elements of a vector, by the labels that an alert has of them. */
struct elements {
    struct tly_labels *at;
    size_t count;
    struct tly_label_index index;
    bool all; /* every one that there might be */
};

static int elements_init(struct tly_engine *engine, size_t count, struct elements *ret_elements)
{
    *ret_elements = (struct elements){.count = 0};
    ret_elements->at = tly_arena_alloc_raw(&engine->arena, (count + 1) * sizeof(struct tly_labels));
    return ret_elements->at ? tly_label_index_init(&engine->arena, count, &ret_elements->index)
                            : -ENOMEM;
}

static int elements_add(struct tly_engine *engine, const struct tly_rule *rule,
                        struct elements *elements, struct tly_labels labels)
{
    uint32_t number = (uint32_t)elements->count++;
    int rc = element_labels(engine, rule, labels, &elements->at[number]);
    if (rc == 0) {
        (void)tly_label_index_put(&elements->index, elements->at, sizeof(*elements->at),
                                  elements->at[number], number); /* an equal one does as well */
    }
    return rc;
}

static bool elements_have(struct elements *elements, struct tly_labels labels)
{
    return elements->all ||
           tly_label_index_put(&elements->index, elements->at, sizeof(*elements->at), labels,
                               UINT32_MAX) != UINT32_MAX;
}

/* Where labels are made of values, an element may have become another alert. */
static int elements_present(struct tly_engine *engine, const struct tly_rule_run *run,
                            struct elements *ret_elements)
{
    int rc = elements_init(engine, run->active_count, ret_elements);
    for (size_t i = 0; rc == 0 && i < run->active_count; i++) {
        if (run->active[i].present) {
            rc = elements_add(engine, run->rule, ret_elements, run->active[i].labels);
        }
    }
    return rc;
}

/* What an expression says, of which `root` is a form. 1: it fails, and nothing is known. */
static int elements_of(struct tly_engine *engine, const struct tly_rule *rule,
                       struct tly_node *root, int64_t at_ms, struct elements *ret_elements)
{
    struct tly_expr expr = *rule->expr;
    struct tly_error err = {0};
    struct tly_value value;
    expr.root = root;
    if (root->type != TLY_TYPE_VECTOR) { /* its one alert is present, if at all */
        return elements_init(engine, 0, ret_elements);
    }
    if (tly_evaluate(engine->evaluator, &expr, tly_history_storage(engine->history), at_ms, &value,
                     &err) < 0) {
        return 1;
    }
    int rc = elements_init(engine, value.vector.count, ret_elements);
    for (uint32_t i = 0; rc == 0 && i < value.vector.count; i++) {
        rc = elements_add(engine, rule, ret_elements, value.vector.at[i].labels);
    }
    return rc;
}

/* What is known by now. */
struct known {
    struct elements present; /* whose alerts are there */
    struct elements bound;   /* no others can be */
    struct elements samples; /* that were looked at for that */
};

static bool is_over(struct known *known, struct tly_labels labels)
{
    return elements_have(&known->present, labels) ||
           (elements_have(&known->samples, labels) && !elements_have(&known->bound, labels));
}

static int learn(struct tly_engine *engine, const struct tly_group_run *group,
                 const struct tly_rule_run *run, int64_t at_ms, struct known *ret_known)
{
    int64_t query_ms = at_ms - group->group->query_offset_ms;
    struct forming forming = {engine, query_ms - run->since_ms, false};
    struct tly_node *part = bound(&forming, run->rule->expr->root);
    struct tly_node *samples = NULL;
    if (part && forming.known_ms < TLY_LOOKBACK_MS) {
        samples = looked_at(&forming, part);
    }
    int rc = forming.no_memory ? -ENOMEM : elements_present(engine, run, &ret_known->present);
    ret_known->bound = ret_known->samples = (struct elements){.all = true};
    if (rc == 0 && part) {
        rc = elements_of(engine, run->rule, part, query_ms, &ret_known->bound);
    }
    if (rc == 0 && samples) {
        rc = elements_of(engine, run->rule, samples, query_ms, &ret_known->samples);
    }
    return rc;
}

/* Those that are present are not awaited any more; whether any still is. */
static bool any_awaited(struct tly_rule_run *run)
{
    bool any = false;
    for (size_t i = 0; i < run->active_count; i++) {
        run->active[i].awaited = run->active[i].awaited && !run->active[i].present;
        any = any || run->active[i].awaited;
    }
    return any;
}

int tly_rule_await(struct tly_engine *engine, const struct tly_group_run *group,
                   struct tly_rule_run *run, int64_t at_ms)
{
    struct known known;
    int rc = any_awaited(run) ? learn(engine, group, run, at_ms, &known) : 1;
    for (size_t i = 0; rc == 0 && i < run->active_count; i++) {
        struct tly_active *active = &run->active[i];
        struct tly_labels labels;
        if (active->awaited) {
            rc = element_labels(engine, run->rule, active->labels, &labels);
            active->awaited = rc < 0 || !is_over(&known, labels);
        }
    }
    return rc < 0 ? rc : 0;
}
