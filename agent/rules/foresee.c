/*
 * What can be said of a node's evaluation beforehand: whether data can make it fail, by matching
 * that is not unique or by label sets that become equal. What can't fail need not be evaluated
 * where its value does not matter: `a > 1e9 and <much work>` costs little while nothing is above.
 */
#include "agent/rules/function.h"
#include "agent/rules/functions.h"
#include "agent/rules/parse.h"

#include <math.h>

/* A selector of one metric; its label sets differ in more than the name. */
static bool selects_one_name(const struct tly_selector *selector)
{
    for (size_t i = 0; i < selector->matcher_count; i++) {
        if (selector->matchers[i].kind == TLY_MATCH_EQUAL &&
            tly_text_equal(selector->matchers[i].name, TLY_TEXT("__name__"))) {
            return true;
        }
    }
    return false;
}

static void foresee_binary(struct tly_node *node)
{
    const struct tly_node *left = node->binary.left;
    const struct tly_node *right = node->binary.right;
    const struct tly_matching *matching = &node->binary.matching;
    enum tly_token_kind op = node->binary.op;
    node->sure = left->sure && right->sure;
    if (tly_token_is_set_operator(op)) {
        node->one_name = left->one_name && op != TLY_TOKEN_OR;
        return;
    }
    bool vectors = left->type == TLY_TYPE_VECTOR && right->type == TLY_TYPE_VECTOR;
    bool one_name = left->one_name && right->one_name;
    if (vectors) {
        /* Whole label sets match at most once if names don't tell them apart. */
        node->one_name = one_name;
        node->sure = node->sure && one_name && !matching->on && matching->labels.count == 0 &&
                     matching->card == TLY_CARD_ONE_TO_ONE;
        return;
    }
    node->one_name = one_name;
    bool filters = tly_token_is_comparison(op) && !node->binary.returns_bool;
    node->sure = node->sure && (filters || one_name);
}

static void foresee_aggregate(struct tly_node *node)
{
    enum tly_token_kind op = node->aggregate.op;
    const struct tly_node *param = node->aggregate.param;
    bool picks = param && (op == TLY_TOKEN_TOPK || op == TLY_TOKEN_BOTTOMK);
    node->sure = node->aggregate.expr->sure && (!param || param->sure);
    node->one_name = picks ? node->aggregate.expr->one_name : true;
    /* NaN elements are refused, and new label values have a bound. */
    if ((picks && (param->kind != TLY_NODE_NUMBER || !isfinite(param->number.value))) ||
        op == TLY_TOKEN_COUNT_VALUES) {
        node->sure = false;
    }
    for (size_t i = 0; i < node->aggregate.grouping.count && !picks; i++) {
        if (tly_text_equal(node->aggregate.grouping.at[i], TLY_TEXT("__name__"))) {
            node->one_name = false;
        }
    }
}

static void foresee_call(struct tly_node *node)
{
    const struct tly_function *function = node->call.function;
    bool all_one = true;
    node->sure = true;
    for (size_t i = 0; i < node->call.count; i++) {
        node->sure = node->sure && node->call.args[i]->sure;
        all_one = all_one && node->call.args[i]->one_name;
    }
    node->one_name = all_one;
    bool simple = function->of_digest || function->over_window || function->of_value ||
                  function->of_date || function->call == tly_function_scalar ||
                  function->call == tly_function_time || function->call == tly_function_vector;
    node->sure = node->sure && simple && all_one;
}

void tly_node_foresee(struct tly_node *node)
{
    switch (node->kind) {
    case TLY_NODE_NUMBER:
    case TLY_NODE_STRING:
        node->one_name = node->sure = true;
        break;
    case TLY_NODE_SELECTOR:
        node->one_name = selects_one_name(&node->selector);
        node->sure = true;
        break;
    case TLY_NODE_SUBQUERY:
        /* Steps of one series may differ in what they find: names stay those of the inside. */
        node->one_name = node->subquery.expr->one_name;
        node->sure = node->subquery.expr->sure;
        break;
    case TLY_NODE_PAREN:
        node->one_name = node->paren->one_name;
        node->sure = node->paren->sure;
        break;
    case TLY_NODE_UNARY:
        node->one_name = node->unary.expr->one_name;
        node->sure = node->unary.expr->sure && node->one_name;
        break;
    case TLY_NODE_BINARY:
        foresee_binary(node);
        break;
    case TLY_NODE_AGGREGATE:
        foresee_aggregate(node);
        break;
    case TLY_NODE_CALL:
        foresee_call(node);
        break;
    }
}
