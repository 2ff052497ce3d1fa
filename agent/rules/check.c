/*
 * The check that follows parsing: types, numbers of arguments, and the rules that the grammar does
 * not hold, in Prometheus's words. It also settles what can only be known from the whole tree: the
 * types of nodes, set operators being many-to-many, the patterns of label_replace.
 */
#include "agent/rules/function.h"
#include "agent/rules/parse.h"

#include <stdio.h>

static bool check_node(struct tly_parser *parser, struct tly_node *node);

/* Checks a child and that it has the type that its place wants. */
static bool expect(struct tly_parser *parser, struct tly_node *node, enum tly_type wanted,
                   const char *context)
{
    if (!check_node(parser, node)) {
        return false;
    }
    if (node->type != wanted) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                               "expected type %s in %s, got %s", tly_type_name(wanted), context,
                               tly_type_name(node->type));
        return false;
    }
    return true;
}

static bool check_selector(struct tly_parser *parser, struct tly_node *node)
{
    const struct tly_selector *selector = &node->selector;
    node->type = selector->range_ms > 0 ? TLY_TYPE_RANGE : TLY_TYPE_VECTOR;
    bool selective = false;
    for (size_t i = 0; i < selector->matcher_count; i++) {
        const struct tly_matcher *matcher = &selector->matchers[i];
        bool own = selector->metric.len > 0 && i + 1 == selector->matcher_count;
        if (selector->metric.len > 0 && !own &&
            tly_text_equal(matcher->name, TLY_TEXT("__name__"))) {
            (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                                   "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                                   (int)selector->metric.len, selector->metric.at,
                                   (int)matcher->value.len, matcher->value.at);
            return false;
        }
        selective = selective || !tly_matcher_accepts(matcher, TLY_TEXT(""));
    }
    if (!selective) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                               "vector selector must contain at least one non-empty matcher");
        return false;
    }
    return true;
}

static bool check_subquery(struct tly_parser *parser, struct tly_node *node)
{
    node->type = TLY_TYPE_RANGE;
    if (!check_node(parser, node->subquery.expr)) {
        return false;
    }
    if (node->subquery.expr->type != TLY_TYPE_VECTOR) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                               "subquery is only allowed on instant vector, got %s instead",
                               tly_type_name(node->subquery.expr->type));
        return false;
    }
    return true;
}

static bool check_unary(struct tly_parser *parser, struct tly_node *node)
{
    if (!check_node(parser, node->unary.expr)) {
        return false;
    }
    node->type = node->unary.expr->type;
    if (node->type != TLY_TYPE_SCALAR && node->type != TLY_TYPE_VECTOR) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                               "unary expression only allowed on expressions of type scalar or "
                               "instant vector, got \"%s\"",
                               tly_type_name(node->type));
        return false;
    }
    return true;
}

/* The place of the operator itself: it stands between the operands, behind blanks and comments. */
static uint32_t operator_place(const struct tly_parser *parser, const struct tly_node *node)
{
    struct tly_lexer lexer;
    struct tly_token token;
    struct tly_text text = parser->expr->text;
    uint32_t from = node->binary.left->end;
    tly_lexer_init(&lexer, (struct tly_text){text.at + from, text.len - from});
    tly_lexer_next(&lexer, &token);
    return from + token.start;
}

static bool check_bool(struct tly_parser *parser, const struct tly_node *node)
{
    bool comparison = tly_token_is_comparison(node->binary.op);
    const char *fault = NULL;
    if (node->binary.returns_bool && !comparison) {
        fault = "bool modifier can only be used on comparison operators";
    } else if (comparison && !node->binary.returns_bool &&
               node->binary.left->type == TLY_TYPE_SCALAR &&
               node->binary.right->type == TLY_TYPE_SCALAR) {
        fault = "comparisons between scalars must use BOOL modifier";
    }
    if (fault) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, operator_place(parser, node), "%s", fault);
    }
    return !fault;
}

static bool check_names(struct tly_parser *parser, const struct tly_node *node)
{
    const struct tly_matching *matching = &node->binary.matching;
    for (size_t i = 0; matching->on && i < matching->labels.count; i++) {
        for (size_t k = 0; k < matching->include.count; k++) {
            struct tly_text name = matching->labels.at[i];
            if (tly_text_equal(name, matching->include.at[k])) {
                (void)tly_parser_fault(
                    parser, TLY_E_MALFORMED, operator_place(parser, node),
                    "label \"%.*s\" must not occur in ON and GROUP clause at once", (int)name.len,
                    name.at);
                return false;
            }
        }
    }
    return true;
}

static bool check_matching(struct tly_parser *parser, struct tly_node *node)
{
    struct tly_matching *matching = &node->binary.matching;
    bool set = tly_token_is_set_operator(node->binary.op);
    bool vectors = node->binary.left->type == TLY_TYPE_VECTOR &&
                   node->binary.right->type == TLY_TYPE_VECTOR;
    const char *op = tly_token_text(node->binary.op);
    if (!vectors && matching->labels.count > 0) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                               "vector matching only allowed between instant vectors");
        return false;
    }
    if (set && !vectors) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                               "set operator \"%s\" not allowed in binary scalar expression", op);
        return false;
    }
    if (set && matching->card != TLY_CARD_ONE_TO_ONE) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                               "no grouping allowed for \"%s\" operation", op);
        return false;
    }
    if (set) {
        matching->card = TLY_CARD_MANY_TO_MANY;
    }
    if (!vectors) {
        *matching = (struct tly_matching){.card = TLY_CARD_ONE_TO_ONE};
    }
    return true;
}

static bool check_binary(struct tly_parser *parser, struct tly_node *node)
{
    struct tly_node *sides[] = {node->binary.left, node->binary.right};
    for (int i = 0; i < 2; i++) {
        if (!check_node(parser, sides[i])) {
            return false;
        }
        if (sides[i]->type != TLY_TYPE_SCALAR && sides[i]->type != TLY_TYPE_VECTOR) {
            (void)tly_parser_fault(
                parser, TLY_E_MALFORMED, sides[i]->start,
                "binary expression must contain only scalar and instant vector types");
            return false;
        }
    }
    bool scalar = sides[0]->type == TLY_TYPE_SCALAR && sides[1]->type == TLY_TYPE_SCALAR;
    node->type = scalar ? TLY_TYPE_SCALAR : TLY_TYPE_VECTOR;
    return check_bool(parser, node) && check_names(parser, node) && check_matching(parser, node);
}

/* Whether a string argument can be a label's name. */
static bool label_name(struct tly_parser *parser, const struct tly_node *node, const char *what,
                       const char *function)
{
    struct tly_text name = tly_node_bare(node)->string;
    if (name.len > 0 && tly_text_utf8_prefix(name) == name.len) {
        return true;
    }
    (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                           "invalid %s label name in %s(): \"%.*s\"", what, function, (int)name.len,
                           name.at);
    return false;
}

static bool check_aggregate(struct tly_parser *parser, struct tly_node *node)
{
    node->type = TLY_TYPE_VECTOR;
    if (!expect(parser, node->aggregate.expr, TLY_TYPE_VECTOR, "aggregation expression")) {
        return false;
    }
    struct tly_node *param = node->aggregate.param;
    if (!param) {
        return true;
    }
    bool values = node->aggregate.op == TLY_TOKEN_COUNT_VALUES;
    if (!expect(parser, param, values ? TLY_TYPE_STRING : TLY_TYPE_SCALAR,
                "aggregation parameter")) {
        return false;
    }
    return !values || label_name(parser, param, "result", "count_values");
}

/* ---- calls ---- */

static bool check_count(struct tly_parser *parser, const struct tly_node *node)
{
    const struct tly_function *function = node->call.function;
    size_t count = node->call.count;
    size_t most = (size_t)function->arg_count;
    size_t least = most;
    if (function->variadic != 0) {
        least = most - 1;
        most = function->variadic > 0 ? least + (size_t)function->variadic : SIZE_MAX;
    }
    if (count >= least && count <= most) {
        return true;
    }
    const char *bound = least == most ? "" : count < least ? "at least " : "at most ";
    (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                           "expected %s%zu argument(s) in call to \"%s\", got %zu", bound,
                           count < least ? least : most, function->name, count);
    return false;
}

/* label_replace's pattern is compiled here, once; Prometheus finds its faults when it evaluates. */
static bool check_label_replace(struct tly_parser *parser, struct tly_node *node)
{
    const struct tly_node *pattern = tly_node_bare(node->call.args[4]);
    if (!label_name(parser, node->call.args[1], "destination", "label_replace")) {
        return false;
    }
    struct tly_error err = {.code = 0};
    size_t at;
    struct tly_regex *regex;
    int rc = tly_regex_new(pattern->string, &regex, &at, &err);
    if (rc < 0) {
        (void)tly_parser_fault(parser, rc, pattern->start,
                               "invalid regular expression in label_replace(): %s at its byte %zu",
                               err.text, at + 1);
        return false;
    }
    tly_regex_push(&parser->expr->regexes, regex);
    node->call.regex = regex;
    return true;
}

static bool check_label_join(struct tly_parser *parser, const struct tly_node *node)
{
    for (size_t i = 3; i < node->call.count; i++) {
        if (!label_name(parser, node->call.args[i], "source", "label_join")) {
            return false;
        }
    }
    return label_name(parser, node->call.args[1], "destination", "label_join");
}

static bool check_call(struct tly_parser *parser, struct tly_node *node)
{
    const struct tly_function *function = node->call.function;
    node->type = function->returns;
    if (!check_count(parser, node)) {
        return false;
    }
    char context[64];
    (void)snprintf(context, sizeof(context), "call to function \"%s\"", function->name);
    for (size_t i = 0; i < node->call.count; i++) {
        size_t known = (size_t)function->arg_count - 1;
        if (!expect(parser, node->call.args[i], function->args[i < known ? i : known], context)) {
            return false;
        }
    }
    struct tly_text name = tly_text_of(function->name);
    if (tly_text_equal(name, TLY_TEXT("label_replace"))) {
        return check_label_replace(parser, node);
    }
    return !tly_text_equal(name, TLY_TEXT("label_join")) || check_label_join(parser, node);
}

static bool check_kind(struct tly_parser *parser, struct tly_node *node)
{
    switch (node->kind) {
    case TLY_NODE_NUMBER:
        node->type = TLY_TYPE_SCALAR;
        return true;
    case TLY_NODE_STRING:
        node->type = TLY_TYPE_STRING;
        return true;
    case TLY_NODE_SELECTOR:
        return check_selector(parser, node);
    case TLY_NODE_SUBQUERY:
        return check_subquery(parser, node);
    case TLY_NODE_PAREN:
        if (!check_node(parser, node->paren)) {
            return false;
        }
        node->type = node->paren->type;
        return true;
    case TLY_NODE_UNARY:
        return check_unary(parser, node);
    case TLY_NODE_BINARY:
        return check_binary(parser, node);
    case TLY_NODE_AGGREGATE:
        return check_aggregate(parser, node);
    case TLY_NODE_CALL:
        break;
    }
    return check_call(parser, node);
}

static bool check_node(struct tly_parser *parser, struct tly_node *node)
{
    if (!check_kind(parser, node)) {
        return false;
    }
    tly_node_foresee(node);
    return true;
}

int tly_expr_check(struct tly_parser *parser)
{
    return check_node(parser, parser->expr->root) ? 0 : parser->code;
}
