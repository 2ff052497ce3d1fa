/*
 * What an expression needs of the past, selector by selector, so that history keeps that and no
 * more. Times are relative to the evaluation: `from` and `to` milliseconds before it.
 */
#include "agent/rules/expr.h"

/* The span of evaluation times that a node is evaluated at, before the rule's own. */
struct span {
    int64_t from_ms, to_ms;
    bool pinned;
    int64_t pinned_ms;
};

struct walk {
    int (*visit)(void *arg, const struct tly_need *need);
    void *arg;
};

/* What a shift makes of the span. @ start() and @ end() both mean the rule's evaluation. */
static struct span shifted(struct span span, const struct tly_shift *shift)
{
    if (shift->at != TLY_AT_NONE) {
        span = (struct span){.pinned = shift->at == TLY_AT_TIME, .pinned_ms = shift->at_ms};
    }
    span.from_ms += shift->offset_ms;
    span.to_ms += shift->offset_ms;
    return span;
}

static int visit_selector(const struct walk *walk, const struct tly_selector *selector,
                          struct span span)
{
    span = shifted(span, &selector->shift);
    bool instant = selector->range_ms == 0;
    struct tly_need need = {
        .matchers = selector->matchers,
        .matcher_count = selector->matcher_count,
        .from_ms = span.from_ms + (instant ? TLY_LOOKBACK_MS : selector->range_ms),
        .to_ms = span.to_ms,
        .lookback_ms = span.from_ms + selector->range_ms,
        .ranged = !instant || span.from_ms != 0 || span.to_ms != 0,
        .pinned = span.pinned,
        .pinned_ms = span.pinned_ms,
        .selector = selector->index,
    };
    return walk->visit(walk->arg, &need);
}

static int walk_node(const struct walk *walk, const struct tly_node *node, struct span span)
{
    int rc = 0;
    switch (node->kind) {
    case TLY_NODE_NUMBER:
    case TLY_NODE_STRING:
        return 0;
    case TLY_NODE_SELECTOR:
        return visit_selector(walk, &node->selector, span);
    case TLY_NODE_SUBQUERY:
        span = shifted(span, &node->subquery.shift);
        span.from_ms += node->subquery.range_ms;
        return walk_node(walk, node->subquery.expr, span);
    case TLY_NODE_PAREN:
        return walk_node(walk, node->paren, span);
    case TLY_NODE_UNARY:
        return walk_node(walk, node->unary.expr, span);
    case TLY_NODE_BINARY:
        rc = walk_node(walk, node->binary.left, span);
        return rc != 0 ? rc : walk_node(walk, node->binary.right, span);
    case TLY_NODE_AGGREGATE:
        rc = node->aggregate.param ? walk_node(walk, node->aggregate.param, span) : 0;
        return rc != 0 ? rc : walk_node(walk, node->aggregate.expr, span);
    case TLY_NODE_CALL:
        for (size_t i = 0; rc == 0 && i < node->call.count; i++) {
            rc = walk_node(walk, node->call.args[i], span);
        }
        break;
    }
    return rc;
}

int tly_node_needs(const struct tly_node *node,
                   int (*visit)(void *arg, const struct tly_need *need), void *arg)
{
    struct walk walk = {.visit = visit, .arg = arg};
    return walk_node(&walk, node, (struct span){.pinned = false});
}

int tly_expr_needs(const struct tly_expr *expr,
                   int (*visit)(void *arg, const struct tly_need *need), void *arg)
{
    return tly_node_needs(expr->root, visit, arg);
}
