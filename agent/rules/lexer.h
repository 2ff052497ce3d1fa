/*
 * The expression language's tokens, cut off the text one at a time. What a character means depends
 * on the brackets around it: inside braces every word is a label's name, inside square brackets a
 * colon stands alone.
 */
#ifndef TLY_RULES_LEXER_H
#define TLY_RULES_LEXER_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tly_token_kind {
    TLY_TOKEN_END,
    TLY_TOKEN_ERROR, /* the lexer's `fault` says what is wrong; the next token is the end */
    TLY_TOKEN_LEFT_PAREN,
    TLY_TOKEN_RIGHT_PAREN,
    TLY_TOKEN_LEFT_BRACE,
    TLY_TOKEN_RIGHT_BRACE,
    TLY_TOKEN_LEFT_BRACKET,
    TLY_TOKEN_RIGHT_BRACKET,
    TLY_TOKEN_COMMA,
    TLY_TOKEN_COLON,
    TLY_TOKEN_ASSIGN, /* = */
    TLY_TOKEN_MATCH,  /* =~ */
    TLY_TOKEN_REFUSE, /* !~ */
    TLY_TOKEN_AT,
    TLY_TOKEN_STRING,
    TLY_TOKEN_NUMBER,
    TLY_TOKEN_DURATION,
    TLY_TOKEN_IDENTIFIER,        /* a word without a colon that is no keyword */
    TLY_TOKEN_METRIC_IDENTIFIER, /* a word with a colon */
    /* Operators */
    TLY_TOKEN_ADD,
    TLY_TOKEN_SUB,
    TLY_TOKEN_MUL,
    TLY_TOKEN_DIV,
    TLY_TOKEN_MOD,
    TLY_TOKEN_POW,
    TLY_TOKEN_ATAN2,
    TLY_TOKEN_EQUAL,
    TLY_TOKEN_NOT_EQUAL,
    TLY_TOKEN_LESS,
    TLY_TOKEN_LESS_EQUAL,
    TLY_TOKEN_GREATER,
    TLY_TOKEN_GREATER_EQUAL,
    TLY_TOKEN_AND,
    TLY_TOKEN_OR,
    TLY_TOKEN_UNLESS,
    /* Aggregations */
    TLY_TOKEN_SUM,
    TLY_TOKEN_AVG,
    TLY_TOKEN_COUNT,
    TLY_TOKEN_MIN,
    TLY_TOKEN_MAX,
    TLY_TOKEN_GROUP,
    TLY_TOKEN_STDDEV,
    TLY_TOKEN_STDVAR,
    TLY_TOKEN_TOPK,
    TLY_TOKEN_BOTTOMK,
    TLY_TOKEN_COUNT_VALUES,
    TLY_TOKEN_QUANTILE,
    TLY_TOKEN_LIMITK,      /* known, and refused: experimental in Prometheus */
    TLY_TOKEN_LIMIT_RATIO, /* likewise */
    /* Keywords */
    TLY_TOKEN_OFFSET,
    TLY_TOKEN_BY,
    TLY_TOKEN_WITHOUT,
    TLY_TOKEN_ON,
    TLY_TOKEN_IGNORING,
    TLY_TOKEN_GROUP_LEFT,
    TLY_TOKEN_GROUP_RIGHT,
    TLY_TOKEN_BOOL,
    TLY_TOKEN_START,
    TLY_TOKEN_FINISH, /* end */
};

struct tly_token {
    enum tly_token_kind kind;
    uint32_t start, len; /* bytes of the text; for an error where it was noticed */
};

struct tly_lexer {
    struct tly_text text; /* borrowed */
    uint32_t at;
    unsigned parens;             /* open ones */
    bool in_braces, in_brackets; /* neither nests */
    bool colon_seen;             /* since the bracket opened */
    const char *fault;           /* a constant */
    char fault_char[8];          /* the character that it is about, or "" */
};

void tly_lexer_init(struct tly_lexer *lexer, struct tly_text text);
void tly_lexer_next(struct tly_lexer *lexer, struct tly_token *ret_token);

static inline bool tly_token_is_aggregation(enum tly_token_kind kind)
{
    return kind >= TLY_TOKEN_SUM && kind <= TLY_TOKEN_LIMIT_RATIO;
}
static inline bool tly_token_is_comparison(enum tly_token_kind kind)
{
    return kind >= TLY_TOKEN_EQUAL && kind <= TLY_TOKEN_GREATER_EQUAL;
}
static inline bool tly_token_is_set_operator(enum tly_token_kind kind)
{
    return kind >= TLY_TOKEN_AND && kind <= TLY_TOKEN_UNLESS;
}
static inline bool tly_token_is_word(enum tly_token_kind kind)
{
    return kind == TLY_TOKEN_IDENTIFIER || kind == TLY_TOKEN_METRIC_IDENTIFIER ||
           kind == TLY_TOKEN_ATAN2 || kind >= TLY_TOKEN_AND;
}

/* How an operator, an aggregation or a keyword is written; NULL for other kinds. */
const char *tly_token_text(enum tly_token_kind kind);

#endif
