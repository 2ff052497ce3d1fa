/*
 * What the parser's two files share, and the check that follows. Private to the room's parser.
 */
#ifndef TLY_RULES_PARSE_H
#define TLY_RULES_PARSE_H

#include "agent/rules/expr.h"

struct tly_parser {
    struct tly_expr *expr;
    struct tly_lexer lexer;
    struct tly_token token; /* the next one */
    uint32_t last_end;      /* of the token before it */
    unsigned depth;         /* of calls under way */
    bool failed;            /* the first fault is the one that is told */
    int code;
    struct tly_place *fault;
    struct tly_error *err;
};

/* Records a fault at a byte of the text, unless there was one before. Returns its code. */
int tly_parser_fault(struct tly_parser *parser, int code, uint32_t at, const char *format, ...)
    TLY_PRINTF(4, 5);
/* "unexpected <the next token> in <context>, expected <expected>"; NULL leaves a part out. */
void tly_parser_unexpected(struct tly_parser *parser, const char *context, const char *expected);
int tly_parser_no_memory(struct tly_parser *parser);

void tly_parser_next(struct tly_parser *parser);
/* Moves on if the next token is of that kind. */
bool tly_parser_take(struct tly_parser *parser, enum tly_token_kind kind);
static inline struct tly_text tly_parser_text(const struct tly_parser *parser,
                                              struct tly_token token)
{
    return (struct tly_text){parser->expr->text.at + token.start, token.len};
}

/* A node that starts at a byte and ends behind the last token. NULL when memory is out. */
struct tly_node *tly_parser_node(struct tly_parser *parser, enum tly_node_kind kind,
                                 uint32_t start);

/* Puts `child` below `node`. false if the tree becomes too deep to walk. */
bool tly_parser_adopt(struct tly_parser *parser, struct tly_node *node,
                      const struct tly_node *child);

/* An expression up to what can't be part of it. NULL on a fault. */
struct tly_node *tly_parse_expression(struct tly_parser *parser);
/* `name{...}`, the next token being the name or the brace. NULL on a fault. */
struct tly_node *tly_parse_selector(struct tly_parser *parser);
/* `[5m]`, `[5m:1m]`, `offset 5m`, `@ 1` behind `node`. NULL on a fault. */
struct tly_node *tly_parse_suffixes(struct tly_parser *parser, struct tly_node *node);
/* `(a, b)` behind by, without, on, ignoring, group_left, group_right. false on a fault. */
bool tly_parse_names(struct tly_parser *parser, struct tly_names *ret_names);
/* A quoted string's meaning, the next token being the string. false on a fault. */
bool tly_parse_string(struct tly_parser *parser, struct tly_text *ret_text);
/* What stands in brackets, more than nothing, and behind offset, in milliseconds; `context` is for
 * the fault. false on a fault. */
bool tly_parse_length(struct tly_parser *parser, const char *context, int64_t *ret_ms);
bool tly_parse_offset(struct tly_parser *parser, int64_t *ret_ms);
/* A number or a duration in seconds, the next token. false on a fault. */
bool tly_parse_number(struct tly_parser *parser, double *ret_value);

/* Settles `one_name` and `sure` of a node whose children have them. */
void tly_node_foresee(struct tly_node *node);

/* Types and everything else that Prometheus checks once the syntax is right. */
int tly_expr_check(struct tly_parser *parser) TLY_CHECK;

#endif
