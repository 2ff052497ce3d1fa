/*
 * What can't be said of an alert yet. History begins with the process (or anew, after a step of the
 * clock), and alerts that were taken up from before may fire by samples that it lacks: such an
 * alert is awaited, which is to say kept as it is, until its rule's expression has as much history
 * as it looks back at. It ends earlier where a part of the expression that has its history says so:
 * of `a > 1 and b` only `a > 1` has to be known.
 */
#include "agent/base/file.h"
#include "agent/rules/engine_state.h"
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

struct bounding {
    struct tly_engine *engine;
    int64_t known_ms; /* of history */
    bool no_memory;
};

/* NULL: nothing is known. */
static struct tly_node *bound(struct bounding *bounding, struct tly_node *node);

static struct tly_node *with_operands(struct bounding *bounding, const struct tly_node *node,
                                      struct tly_node *left, struct tly_node *right)
{
    struct tly_node *copy = tly_arena_alloc_raw(&bounding->engine->arena, sizeof(*copy));
    if (!copy) {
        bounding->no_memory = true;
        return NULL;
    }
    *copy = *node;
    copy->binary.left = left;
    copy->binary.right = right;
    tly_node_foresee(copy);
    return copy;
}

static struct tly_node *bound_set_operator(struct bounding *bounding, struct tly_node *node,
                                           bool whole_sets)
{
    struct tly_node *left = bound(bounding, node->binary.left);
    struct tly_node *right = bound(bounding, node->binary.right);
    switch (node->binary.op) {
    case TLY_TOKEN_AND:
        if (left && right) {
            return with_operands(bounding, node, left, right);
        }
        return left || !whole_sets ? left : right;
    case TLY_TOKEN_UNLESS:
        /* Only the operand itself takes away, and not more than it has. */
        return left && right == node->binary.right ? with_operands(bounding, node, left, right)
                                                   : left;
    default: /* or */
        return left && right && whole_sets ? with_operands(bounding, node, left, right) : NULL;
    }
}

static struct tly_node *bound_binary(struct bounding *bounding, struct tly_node *node)
{
    const struct tly_matching *matching = &node->binary.matching;
    struct tly_node *left = node->binary.left;
    struct tly_node *right = node->binary.right;
    bool whole_sets = !matching->on && matching->labels.count == 0;
    if (tly_token_is_set_operator(node->binary.op)) {
        return bound_set_operator(bounding, node, whole_sets);
    }
    if (left->type != TLY_TYPE_VECTOR || right->type != TLY_TYPE_VECTOR) {
        return bound(bounding, left->type == TLY_TYPE_VECTOR ? left : right);
    }
    if (matching->include.count > 0) {
        return NULL;
    }
    /* Results have the labels of the side that may have several. */
    struct tly_node *many = NULL;
    if (whole_sets || matching->card == TLY_CARD_MANY_TO_ONE) {
        many = bound(bounding, left);
    }
    if (!many && (whole_sets || matching->card == TLY_CARD_ONE_TO_MANY)) {
        many = bound(bounding, right);
    }
    return many;
}

/* An expression with enough history whose result has, names apart, all label sets that `node` would
 * have with as much history as it looks back at. */
static struct tly_node *bound(struct bounding *bounding, struct tly_node *node)
{
    if (bounding->known_ms >= node_lookback(bounding->engine, node)) {
        return node;
    }
    switch (node->kind) {
    case TLY_NODE_PAREN:
        return bound(bounding, node->paren);
    case TLY_NODE_UNARY:
        return bound(bounding, node->unary.expr);
    case TLY_NODE_BINARY:
        return bound_binary(bounding, node);
    default:
        return NULL;
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
    tly_outputs_done(&run->outputs);
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

/* Awaited alerts end here whose element is among these sets; or, the other way round, is not. */
static int settle_awaited(struct tly_engine *engine, struct tly_rule_run *run,
                          const struct tly_labels *sets, size_t count, bool among)
{
    struct tly_label_index index;
    int rc = tly_label_index_init(&engine->arena, count, &index);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        (void)tly_label_index_put(&index, sets, sizeof(*sets), sets[i], i); /* an equal one does */
    }
    for (size_t i = 0; rc == 0 && i < run->active_count; i++) {
        struct tly_labels labels;
        rc = run->active[i].awaited
                 ? element_labels(engine, run->rule, run->active[i].labels, &labels)
                 : 0;
        if (rc == 0 && run->active[i].awaited) {
            bool found = tly_label_index_put(&index, sets, sizeof(*sets), labels, UINT32_MAX) !=
                         UINT32_MAX;
            run->active[i].awaited = found != among;
        }
    }
    return rc;
}

/* Where labels are made of values, an element may have become another alert. */
static int settle_replaced(struct tly_engine *engine, struct tly_rule_run *run)
{
    size_t count = 0;
    struct tly_labels *sets = tly_arena_alloc_raw(&engine->arena,
                                                  (run->active_count + 1) * sizeof(*sets));
    int rc = sets ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < run->active_count; i++) {
        if (run->active[i].present) {
            rc = element_labels(engine, run->rule, run->active[i].labels, &sets[count++]);
        }
    }
    return rc < 0 ? rc : settle_awaited(engine, run, sets, count, true);
}

static int settle_by_part(struct tly_engine *engine, const struct tly_group_run *group,
                          struct tly_rule_run *run, int64_t at_ms)
{
    struct bounding bounding = {engine, at_ms - run->since_ms - group->group->query_offset_ms,
                                false};
    struct tly_expr part = *run->rule->expr;
    struct tly_error err = {0};
    struct tly_value value;
    part.root = bound(&bounding, part.root);
    if (bounding.no_memory) {
        return -ENOMEM;
    }
    if (!part.root || part.root->type != TLY_TYPE_VECTOR ||
        tly_evaluate(engine->evaluator, &part, tly_history_storage(engine->history),
                     at_ms - group->group->query_offset_ms, &value, &err) < 0) {
        return 0; /* then they are awaited */
    }
    struct tly_vector vector = value.vector;
    struct tly_labels *sets = tly_arena_alloc_raw(&engine->arena,
                                                  (vector.count + 1) * sizeof(*sets));
    int rc = sets ? 0 : -ENOMEM;
    for (uint32_t i = 0; rc == 0 && i < vector.count; i++) {
        rc = element_labels(engine, run->rule, vector.at[i].labels, &sets[i]);
    }
    return rc < 0 ? rc : settle_awaited(engine, run, sets, vector.count, false);
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
    if (!any_awaited(run)) {
        return 0;
    }
    if (at_ms - run->since_ms >= run_lookback(engine, group, run)) {
        for (size_t i = 0; i < run->active_count; i++) {
            run->active[i].awaited = false;
        }
        return 0;
    }
    int rc = settle_replaced(engine, run);
    return rc < 0 ? rc : settle_by_part(engine, group, run, at_ms);
}
