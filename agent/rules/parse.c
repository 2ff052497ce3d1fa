/*
 * The parser: expressions by the precedence of their operators (Pratt), calls and aggregations.
 * Selectors and what stands behind them are in parse_selector.c. Nodes belong to the expression's
 * arena; a NULL node means that a fault was recorded.
 */
#include "agent/rules/parse.h"

#include "agent/rules/function.h"

/* How tightly operators bind; all but the last associate to the left. */
enum { BIND_OR = 1, BIND_AND, BIND_COMPARE, BIND_ADD, BIND_MUL, BIND_POW };

static int binding(enum tly_token_kind op)
{
    switch (op) {
    case TLY_TOKEN_OR:
        return BIND_OR;
    case TLY_TOKEN_AND:
    case TLY_TOKEN_UNLESS:
        return BIND_AND;
    case TLY_TOKEN_ADD:
    case TLY_TOKEN_SUB:
        return BIND_ADD;
    case TLY_TOKEN_MUL:
    case TLY_TOKEN_DIV:
    case TLY_TOKEN_MOD:
    case TLY_TOKEN_ATAN2:
        return BIND_MUL;
    case TLY_TOKEN_POW:
        return BIND_POW;
    default:
        return tly_token_is_comparison(op) ? BIND_COMPARE : 0;
    }
}

static struct tly_node *parse_expr(struct tly_parser *parser, int least);

/* ---- calls and aggregations ---- */

/* `(a, b)`; the nodes go to an array in the arena. */
static bool parse_args(struct tly_parser *parser, struct tly_node *owner, struct tly_node ***ret_at,
                       size_t *ret_count)
{
    struct tly_node **at = NULL;
    size_t count = 0;
    size_t cap = 0;
    if (!tly_parser_take(parser, TLY_TOKEN_LEFT_PAREN)) {
        tly_parser_unexpected(parser, "arguments", "`(`");
        return false;
    }
    while (parser->token.kind != TLY_TOKEN_RIGHT_PAREN || count > 0) {
        struct tly_node *arg = parse_expr(parser, BIND_OR);
        if (!arg || !tly_parser_adopt(parser, owner, arg)) {
            return false;
        }
        if (count == cap) {
            cap = cap > 0 ? cap * 2 : 4;
            struct tly_node **grown = tly_arena_alloc(&parser->expr->arena,
                                                      cap * sizeof(struct tly_node *));
            if (!grown) {
                (void)tly_parser_no_memory(parser);
                return false;
            }
            for (size_t i = 0; i < count; i++) {
                grown[i] = at[i];
            }
            at = grown;
        }
        at[count++] = arg;
        if (parser->token.kind == TLY_TOKEN_RIGHT_PAREN) {
            break;
        }
        uint32_t comma = parser->token.start;
        if (!tly_parser_take(parser, TLY_TOKEN_COMMA)) {
            tly_parser_unexpected(parser, "arguments", "`,` or `)`");
            return false;
        }
        if (parser->token.kind == TLY_TOKEN_RIGHT_PAREN) {
            (void)tly_parser_fault(parser, TLY_E_MALFORMED, comma,
                                   "trailing commas are not allowed in arguments");
            return false;
        }
    }
    tly_parser_next(parser);
    *ret_at = at;
    *ret_count = count;
    return true;
}

static struct tly_node *parse_call(struct tly_parser *parser, struct tly_token name)
{
    struct tly_text text = tly_parser_text(parser, name);
    const struct tly_function *function = tly_function_find(text);
    if (!function) {
        const char *refusal = tly_function_refusal(text);
        (void)tly_parser_fault(parser, refusal ? TLY_E_REFUSED : TLY_E_MALFORMED, name.start,
                               refusal ? "the function \"%.*s\" is left out: %s"
                                       : "unknown function with name \"%.*s\"%s",
                               (int)text.len, text.at, refusal ? refusal : "");
        return NULL;
    }
    struct tly_node *node = tly_parser_node(parser, TLY_NODE_CALL, name.start);
    if (!node || !parse_args(parser, node, &node->call.args, &node->call.count)) {
        return NULL;
    }
    node->call.function = function;
    node->end = parser->last_end;
    return node;
}

static bool parse_grouping(struct tly_parser *parser, struct tly_node *node)
{
    bool by = parser->token.kind == TLY_TOKEN_BY;
    if (!by && parser->token.kind != TLY_TOKEN_WITHOUT) {
        return true;
    }
    tly_parser_next(parser);
    node->aggregate.without = !by;
    return tly_parse_names(parser, &node->aggregate.grouping);
}

static bool has_param(enum tly_token_kind op)
{
    return op == TLY_TOKEN_TOPK || op == TLY_TOKEN_BOTTOMK || op == TLY_TOKEN_QUANTILE ||
           op == TLY_TOKEN_COUNT_VALUES;
}

static struct tly_node *parse_aggregate(struct tly_parser *parser, struct tly_token op)
{
    if (op.kind == TLY_TOKEN_LIMITK || op.kind == TLY_TOKEN_LIMIT_RATIO) {
        (void)tly_parser_fault(parser, TLY_E_REFUSED, op.start,
                               "%s() is left out: it is experimental in Prometheus",
                               tly_token_text(op.kind));
        return NULL;
    }
    struct tly_node *node = tly_parser_node(parser, TLY_NODE_AGGREGATE, op.start);
    bool grouped = parser->token.kind != TLY_TOKEN_LEFT_PAREN;
    struct tly_node **args;
    size_t count;
    if (!node || !parse_grouping(parser, node) || !parse_args(parser, node, &args, &count) ||
        (!grouped && !parse_grouping(parser, node))) {
        return NULL;
    }
    node->end = parser->last_end;
    node->aggregate.op = op.kind;
    size_t wanted = has_param(op.kind) ? 2 : 1;
    if (count == 0) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, op.start,
                               "no arguments for aggregate expression provided");
        return NULL;
    }
    if (count != wanted) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, op.start,
                               "wrong number of arguments for aggregate expression provided, "
                               "expected %zu, got %zu",
                               wanted, count);
        return NULL;
    }
    node->aggregate.param = wanted == 2 ? args[0] : NULL;
    node->aggregate.expr = args[wanted - 1];
    return node;
}

/* ---- what an expression starts with ---- */

static struct tly_node *parse_number_node(struct tly_parser *parser)
{
    struct tly_token token = parser->token;
    double value;
    if (!tly_parse_number(parser, &value)) {
        return NULL;
    }
    struct tly_node *node = tly_parser_node(parser, TLY_NODE_NUMBER, token.start);
    if (node) {
        node->number.value = value;
        node->number.duration = token.kind == TLY_TOKEN_DURATION;
    }
    return node;
}

static struct tly_node *parse_string_node(struct tly_parser *parser)
{
    uint32_t start = parser->token.start;
    struct tly_text text;
    if (!tly_parse_string(parser, &text)) {
        return NULL;
    }
    struct tly_node *node = tly_parser_node(parser, TLY_NODE_STRING, start);
    if (node) {
        node->string = text;
    }
    return node;
}

static struct tly_node *parse_paren(struct tly_parser *parser)
{
    uint32_t start = parser->token.start;
    tly_parser_next(parser);
    struct tly_node *inner = parse_expr(parser, BIND_OR);
    if (!inner) {
        return NULL;
    }
    if (!tly_parser_take(parser, TLY_TOKEN_RIGHT_PAREN)) {
        tly_parser_unexpected(parser, "parentheses", "`)`");
        return NULL;
    }
    struct tly_node *node = tly_parser_node(parser, TLY_NODE_PAREN, start);
    if (!node || !tly_parser_adopt(parser, node, inner)) {
        return NULL;
    }
    node->paren = inner;
    return node;
}

/* A sign binds like a multiplication: -a^b is -(a^b), and -a*b is (-a)*b. */
static struct tly_node *parse_unary(struct tly_parser *parser)
{
    struct tly_token sign = parser->token;
    tly_parser_next(parser);
    struct tly_node *inner = parse_expr(parser, BIND_POW);
    if (!inner) {
        return NULL;
    }
    if (inner->kind == TLY_NODE_NUMBER) {
        if (sign.kind == TLY_TOKEN_SUB) {
            inner->number.value = -inner->number.value;
        }
        inner->start = sign.start;
        return inner;
    }
    struct tly_node *node = tly_parser_node(parser, TLY_NODE_UNARY, sign.start);
    if (!node || !tly_parser_adopt(parser, node, inner)) {
        return NULL;
    }
    node->unary.op = sign.kind;
    node->unary.expr = inner;
    return node;
}

/* Looks one token further than the parser does. */
static enum tly_token_kind kind_behind(const struct tly_parser *parser)
{
    struct tly_lexer ahead = parser->lexer;
    struct tly_token token;
    tly_lexer_next(&ahead, &token);
    return token.kind;
}

/* A word: a call, an aggregation, or the name of a metric. */
static struct tly_node *parse_word(struct tly_parser *parser)
{
    struct tly_token word = parser->token;
    enum tly_token_kind behind = kind_behind(parser);
    if (tly_token_is_aggregation(word.kind) &&
        (behind == TLY_TOKEN_LEFT_PAREN || behind == TLY_TOKEN_BY || behind == TLY_TOKEN_WITHOUT)) {
        tly_parser_next(parser);
        return parse_aggregate(parser, word);
    }
    if (behind == TLY_TOKEN_LEFT_PAREN &&
        (word.kind == TLY_TOKEN_IDENTIFIER || word.kind == TLY_TOKEN_START ||
         word.kind == TLY_TOKEN_FINISH)) {
        tly_parser_next(parser);
        return parse_call(parser, word);
    }
    bool reserved = word.kind == TLY_TOKEN_ON || word.kind == TLY_TOKEN_IGNORING ||
                    word.kind == TLY_TOKEN_GROUP_LEFT || word.kind == TLY_TOKEN_GROUP_RIGHT ||
                    word.kind == TLY_TOKEN_BOOL || word.kind == TLY_TOKEN_ATAN2;
    if (reserved) {
        tly_parser_unexpected(parser, NULL, "an expression");
        return NULL;
    }
    return tly_parse_selector(parser);
}

static struct tly_node *parse_primary(struct tly_parser *parser)
{
    switch (parser->token.kind) {
    case TLY_TOKEN_NUMBER:
    case TLY_TOKEN_DURATION:
        return parse_number_node(parser);
    case TLY_TOKEN_STRING:
        return parse_string_node(parser);
    case TLY_TOKEN_LEFT_PAREN:
        return parse_paren(parser);
    case TLY_TOKEN_LEFT_BRACE:
        return tly_parse_selector(parser);
    case TLY_TOKEN_ADD:
    case TLY_TOKEN_SUB:
        return parse_unary(parser);
    default:
        if (tly_token_is_word(parser->token.kind)) {
            return parse_word(parser);
        }
        tly_parser_unexpected(parser, NULL, "an expression");
        return NULL;
    }
}

/* ---- operators ---- */

/* bool, on, ignoring, group_left and group_right behind an operator. */
static bool parse_matching(struct tly_parser *parser, struct tly_node *node)
{
    struct tly_matching *matching = &node->binary.matching;
    node->binary.returns_bool = tly_parser_take(parser, TLY_TOKEN_BOOL);
    matching->on = parser->token.kind == TLY_TOKEN_ON;
    if (!matching->on && parser->token.kind != TLY_TOKEN_IGNORING) {
        return true;
    }
    tly_parser_next(parser);
    if (!tly_parse_names(parser, &matching->labels)) {
        return false;
    }
    bool left = parser->token.kind == TLY_TOKEN_GROUP_LEFT;
    if (!left && parser->token.kind != TLY_TOKEN_GROUP_RIGHT) {
        return true;
    }
    tly_parser_next(parser);
    matching->card = left ? TLY_CARD_MANY_TO_ONE : TLY_CARD_ONE_TO_MANY;
    return parser->token.kind != TLY_TOKEN_LEFT_PAREN ||
           tly_parse_names(parser, &matching->include);
}

static struct tly_node *parse_binary(struct tly_parser *parser, struct tly_node *left)
{
    struct tly_token op = parser->token;
    tly_parser_next(parser);
    struct tly_node *node = tly_parser_node(parser, TLY_NODE_BINARY, left->start);
    if (!node) {
        return NULL;
    }
    node->binary.op = op.kind;
    node->binary.left = left;
    if (!parse_matching(parser, node)) {
        return NULL;
    }
    int bind = binding(op.kind);
    node->binary.right = parse_expr(parser, bind == BIND_POW ? bind : bind + 1);
    if (!node->binary.right || !tly_parser_adopt(parser, node, left) ||
        !tly_parser_adopt(parser, node, node->binary.right)) {
        return NULL;
    }
    node->end = node->binary.right->end;
    return node;
}

/* An expression whose operators bind at least as tightly as `least`. */
static struct tly_node *parse_expr(struct tly_parser *parser, int least)
{
    if (++parser->depth > TLY_EXPR_DEPTH_MAX) {
        (void)tly_parser_fault(parser, TLY_E_LIMIT, parser->token.start,
                               "the expression nests deeper than %d levels", TLY_EXPR_DEPTH_MAX);
        return NULL;
    }
    struct tly_node *node = parse_primary(parser);
    if (node) {
        node = tly_parse_suffixes(parser, node);
    }
    while (node) {
        int bind = binding(parser->token.kind);
        if (bind == 0 || bind < least) {
            break;
        }
        node = parse_binary(parser, node);
    }
    parser->depth--;
    return node;
}

struct tly_node *tly_parse_expression(struct tly_parser *parser)
{
    return parse_expr(parser, BIND_OR);
}
