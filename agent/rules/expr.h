/*
 * A parsed expression: a tree of nodes in one arena, immutable once it was checked, and what others
 * want to know of it: its text in canonical form, and what its selectors need of the past.
 */
#ifndef TLY_RULES_EXPR_H
#define TLY_RULES_EXPR_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/rules/arena.h"
#include "agent/rules/lexer.h"
#include "agent/rules/matcher.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds of one expression. Prometheus has none; rules that people write stay far below. */
#define TLY_EXPR_LEN_MAX   65536
#define TLY_EXPR_DEPTH_MAX 500
#define TLY_EXPR_BYTES_MAX ((size_t)4 * 1024 * 1024) /* of the tree */

/* How far an instant selector looks back for a sample. */
#define TLY_LOOKBACK_MS (5 * 60 * 1000)

enum tly_type { TLY_TYPE_SCALAR, TLY_TYPE_STRING, TLY_TYPE_VECTOR, TLY_TYPE_RANGE };

/* "scalar", "string", "instant vector", "range vector": Prometheus's words. */
const char *tly_type_name(enum tly_type type);

enum tly_node_kind {
    TLY_NODE_NUMBER,
    TLY_NODE_STRING,
    TLY_NODE_SELECTOR, /* instant or, with a range, range vector */
    TLY_NODE_SUBQUERY,
    TLY_NODE_PAREN,
    TLY_NODE_UNARY,
    TLY_NODE_BINARY,
    TLY_NODE_AGGREGATE,
    TLY_NODE_CALL
};

enum tly_at { TLY_AT_NONE, TLY_AT_TIME, TLY_AT_START, TLY_AT_END };

/* `@` and `offset` behind a selector or subquery. */
struct tly_shift {
    int64_t offset_ms;
    enum tly_at at;
    int64_t at_ms; /* for TLY_AT_TIME: since 1970 */
};

struct tly_selector {
    struct tly_text metric; /* the name outside the braces, or empty */
    struct tly_matcher *matchers;
    size_t matcher_count; /* the name outside the braces has one too, the last */
    int64_t range_ms;     /* 0: instant */
    struct tly_shift shift;
    uint32_t index; /* counts the selectors of an expression */
};

enum tly_card {
    TLY_CARD_ONE_TO_ONE,
    TLY_CARD_MANY_TO_ONE, /* group_left */
    TLY_CARD_ONE_TO_MANY, /* group_right */
    TLY_CARD_MANY_TO_MANY /* and, or, unless */
};

struct tly_names {
    struct tly_text *at;
    size_t count;
};

struct tly_matching {
    enum tly_card card;
    bool on; /* else ignoring, as is the default with no names */
    struct tly_names labels;
    struct tly_names include; /* of group_left and group_right */
};

struct tly_function; /* agent/rules/function.h */

struct tly_node {
    enum tly_node_kind kind;
    enum tly_type type;
    uint32_t start, end; /* bytes of the text */
    uint32_t depth;      /* of the tree below, itself included */
    bool one_name;       /* its elements have one metric's name, or none: they differ without it */
    bool sure;           /* no data can make its evaluation fail, a bound apart */
    union {
        struct {
            double value;
            bool duration; /* written as one */
        } number;
        struct tly_text string;
        struct tly_selector selector;
        struct {
            struct tly_node *expr;
            int64_t range_ms, step_ms; /* step 0: the evaluation's default */
            struct tly_shift shift;
        } subquery;
        struct tly_node *paren;
        struct {
            enum tly_token_kind op;
            struct tly_node *expr;
        } unary;
        struct {
            enum tly_token_kind op;
            bool returns_bool;
            struct tly_node *left, *right;
            struct tly_matching matching;
        } binary;
        struct {
            enum tly_token_kind op;
            bool without;
            struct tly_names grouping;
            struct tly_node *param, *expr; /* param: NULL where there is none */
        } aggregate;
        struct {
            const struct tly_function *function;
            struct tly_node **args;
            size_t count;
            const struct tly_regex *regex; /* of label_replace */
        } call;
    };
};

/* What parentheses around a node hold. */
static inline const struct tly_node *tly_node_bare(const struct tly_node *node)
{
    while (node->kind == TLY_NODE_PAREN) {
        node = node->paren;
    }
    return node;
}

struct tly_expr {
    struct tly_arena arena;
    struct tly_text text; /* as it was written */
    struct tly_node *root;
    struct tly_regex *regexes; /* those of matchers and of label_replace, as a list */
    uint32_t selector_count;
};

/* Where a fault is: both count from 1, columns in characters as Prometheus does. */
struct tly_place {
    unsigned line, column;
};

/*
 * Parses and checks an expression; the text is copied. On failure `err` says "1:17: what", and
 * `fault` (may be NULL) has the place. TLY_E_MALFORMED, TLY_E_REFUSED for what Prometheus knows and
 * this evaluator leaves out, TLY_E_LIMIT, -ENOMEM.
 */
int tly_expr_parse(struct tly_text text, struct tly_expr **ret_expr, struct tly_place *fault,
                   struct tly_error *err) TLY_CHECK;
void tly_expr_free(struct tly_expr *expr); /* NULL is fine */

/* Appends the expression in canonical form, as Prometheus's API shows it. */
int tly_expr_print(const struct tly_expr *expr, struct tly_buf *buf) TLY_CHECK;

/* What a selector needs: samples from `from_ms` before the evaluation to `to_ms` before it
 * (negative: after it), or a fixed time if `pinned`, which history can't promise. */
struct tly_need {
    const struct tly_matcher *matchers; /* borrowed from the expression */
    size_t matcher_count;
    int64_t from_ms, to_ms;
    int64_t lookback_ms; /* how long ago the samples must begin; to the newest there is, none */
    bool ranged;         /* more than the newest sample counts */
    bool pinned;         /* by @ <time> */
    int64_t pinned_ms;   /* since 1970; the others count from there */
    uint32_t selector;   /* its index */
};

/* Calls `visit` for every selector. Stops at the first nonzero result and returns it. */
int tly_expr_needs(const struct tly_expr *expr,
                   int (*visit)(void *arg, const struct tly_need *need), void *arg) TLY_CHECK;
/* The same for a part of one, evaluated where it stands outside of subqueries. */
int tly_node_needs(const struct tly_node *node,
                   int (*visit)(void *arg, const struct tly_need *need), void *arg) TLY_CHECK;

#endif
