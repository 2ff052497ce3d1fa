/*
 * An expression from text to tree and back to nothing, and what all of the parser stands on: faults
 * with their places, the next token, new nodes.
 */
#include "agent/rules/expr.h"

#include "agent/rules/parse.h"

#include <errno.h>
#include <stdlib.h>

const char *tly_type_name(enum tly_type type)
{
    static const char *const names[] = {"scalar", "string", "instant vector", "range vector"};
    return names[type];
}

static struct tly_place place_of(struct tly_text text, uint32_t at)
{
    struct tly_place place = {1, 1};
    for (uint32_t i = 0; i < at && i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c == '\n') {
            place.line++;
            place.column = 1;
        } else {
            place.column += (c & 0xc0) != 0x80;
        }
    }
    return place;
}

int tly_parser_fault(struct tly_parser *parser, int code, uint32_t at, const char *format, ...)
{
    if (parser->failed) {
        return parser->code;
    }
    parser->failed = true;
    parser->code = code;
    struct tly_place place = place_of(parser->expr->text, at);
    if (parser->fault) {
        *parser->fault = place;
    }
    va_list args;
    va_start(args, format);
    (void)tly_error_vset(parser->err, code, format, args);
    va_end(args);
    tly_error_prefix(parser->err, "%u:%u", place.line, place.column);
    return code;
}

int tly_parser_no_memory(struct tly_parser *parser)
{
    return tly_parser_fault(parser, TLY_E_LIMIT, parser->token.start,
                            "the expression is too large");
}

void tly_parser_unexpected(struct tly_parser *parser, const char *context, const char *expected)
{
    struct tly_token token = parser->token;
    const char *in = context ? " in " : "";
    const char *wanted = expected ? ", expected " : "";
    context = context ? context : "";
    expected = expected ? expected : "";
    if (token.kind == TLY_TOKEN_ERROR) {
        const struct tly_lexer *lexer = &parser->lexer;
        bool shown = lexer->fault_char[0] > ' ';
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, token.start, "%s%s%s%s", lexer->fault,
                               shown ? ": '" : "", shown ? lexer->fault_char : "",
                               shown ? "'" : "");
    } else if (token.kind == TLY_TOKEN_END) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, token.start,
                               "unexpected end of input%s%s%s%s", in, context, wanted, expected);
    } else {
        struct tly_text text = tly_parser_text(parser, token);
        const int most = 40; /* of the token's bytes are shown */
        bool cut = text.len > (size_t)most;
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, token.start, "unexpected `%.*s%s`%s%s%s%s",
                               cut ? most : (int)text.len, text.at, cut ? "..." : "", in, context,
                               wanted, expected);
    }
}

void tly_parser_next(struct tly_parser *parser)
{
    parser->last_end = parser->token.start + parser->token.len;
    tly_lexer_next(&parser->lexer, &parser->token);
}

bool tly_parser_take(struct tly_parser *parser, enum tly_token_kind kind)
{
    if (parser->token.kind != kind) {
        return false;
    }
    tly_parser_next(parser);
    return true;
}

struct tly_node *tly_parser_node(struct tly_parser *parser, enum tly_node_kind kind, uint32_t start)
{
    struct tly_node *node = tly_arena_alloc(&parser->expr->arena, sizeof(*node));
    if (!node) {
        (void)tly_parser_no_memory(parser);
        return NULL;
    }
    node->kind = kind;
    node->start = start;
    node->end = parser->last_end;
    node->depth = 1;
    return node;
}

bool tly_parser_adopt(struct tly_parser *parser, struct tly_node *node,
                      const struct tly_node *child)
{
    if (child->depth >= node->depth) {
        node->depth = child->depth + 1;
    }
    if (node->depth > TLY_EXPR_DEPTH_MAX) {
        (void)tly_parser_fault(parser, TLY_E_LIMIT, node->start,
                               "the expression nests deeper than %d levels", TLY_EXPR_DEPTH_MAX);
        return false;
    }
    return true;
}

/* ---- the whole ---- */

static int parse_all(struct tly_parser *parser)
{
    tly_lexer_init(&parser->lexer, parser->expr->text);
    tly_parser_next(parser);
    if (parser->token.kind == TLY_TOKEN_END) {
        return tly_parser_fault(parser, TLY_E_MALFORMED, 0, "no expression found in input");
    }
    parser->expr->root = tly_parse_expression(parser);
    if (parser->expr->root && parser->token.kind != TLY_TOKEN_END) {
        tly_parser_unexpected(parser, NULL, NULL);
    }
    return parser->failed ? parser->code : tly_expr_check(parser);
}

int tly_expr_parse(struct tly_text text, struct tly_expr **ret_expr, struct tly_place *fault,
                   struct tly_error *err)
{
    if (text.len > TLY_EXPR_LEN_MAX) {
        return tly_error_set(err, TLY_E_LIMIT, "the expression is longer than %d bytes",
                             TLY_EXPR_LEN_MAX);
    }
    struct tly_expr *expr = calloc(1, sizeof(*expr));
    if (!expr) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    tly_arena_init(&expr->arena, TLY_EXPR_BYTES_MAX);
    expr->text = tly_arena_text(&expr->arena, text);
    struct tly_parser parser = {.expr = expr, .fault = fault, .err = err};
    int rc = expr->text.at ? parse_all(&parser) : tly_error_set(err, -ENOMEM, "out of memory");
    if (rc < 0) {
        tly_expr_free(expr);
        return rc;
    }
    *ret_expr = expr;
    return 0;
}

void tly_expr_free(struct tly_expr *expr)
{
    if (!expr) {
        return;
    }
    tly_regex_list_free(&expr->regexes);
    tly_arena_done(&expr->arena);
    free(expr);
}
