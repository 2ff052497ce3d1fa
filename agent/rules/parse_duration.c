/*
 * Lengths of time in brackets and behind offset: numbers of seconds, durations, and arithmetic with
 * them as far as it is constant. (step() and range() belong to range queries, which rules are not.)
 */
#include "agent/rules/parse.h"

#include "agent/rules/number.h"

#include <math.h>

/* Go keeps durations in nanoseconds in 63 bits. */
#define SECONDS_MAX 9223372036.0

/* How tightly the operators bind, as in expressions. */
enum { BIND_ADD = 1, BIND_MUL, BIND_POW };

static int binding(enum tly_token_kind op)
{
    switch (op) {
    case TLY_TOKEN_ADD:
    case TLY_TOKEN_SUB:
        return BIND_ADD;
    case TLY_TOKEN_MUL:
    case TLY_TOKEN_DIV:
    case TLY_TOKEN_MOD:
        return BIND_MUL;
    case TLY_TOKEN_POW:
        return BIND_POW;
    default:
        return 0;
    }
}

static bool parse_sum(struct tly_parser *parser, const char *context, int least,
                      double *ret_seconds);

static bool parse_paren(struct tly_parser *parser, const char *context, double *ret_seconds)
{
    tly_parser_next(parser);
    if (!parse_sum(parser, context, BIND_ADD, ret_seconds)) {
        return false;
    }
    if (!tly_parser_take(parser, TLY_TOKEN_RIGHT_PAREN)) {
        tly_parser_unexpected(parser, context, "`)`");
        return false;
    }
    return true;
}

/* A literal or parentheses. */
static bool parse_plain(struct tly_parser *parser, const char *context, double *ret_seconds)
{
    switch (parser->token.kind) {
    case TLY_TOKEN_NUMBER:
    case TLY_TOKEN_DURATION:
        return tly_parse_number(parser, ret_seconds);
    case TLY_TOKEN_LEFT_PAREN:
        return parse_paren(parser, context, ret_seconds);
    default:
        tly_parser_unexpected(parser, context, "a number or a duration");
        return false;
    }
}

/* A sign binds like a multiplication: -2 ^ 2 is -(2 ^ 2). */
static bool parse_signed(struct tly_parser *parser, const char *context, double *ret_seconds)
{
    bool minus = parser->token.kind == TLY_TOKEN_SUB;
    if (!minus && parser->token.kind != TLY_TOKEN_ADD) {
        return parse_plain(parser, context, ret_seconds);
    }
    tly_parser_next(parser);
    if (!parse_sum(parser, context, BIND_POW, ret_seconds)) {
        return false;
    }
    *ret_seconds = minus ? -*ret_seconds : *ret_seconds;
    return true;
}

/* Applies an operator; false where it has no result. */
static bool apply(struct tly_parser *parser, struct tly_token op, double right, double *value)
{
    if (right == 0 && (op.kind == TLY_TOKEN_DIV || op.kind == TLY_TOKEN_MOD)) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, op.start,
                               op.kind == TLY_TOKEN_DIV ? "division by zero" : "modulo by zero");
        return false;
    }
    switch (op.kind) {
    case TLY_TOKEN_ADD:
        *value += right;
        break;
    case TLY_TOKEN_SUB:
        *value -= right;
        break;
    case TLY_TOKEN_MUL:
        *value *= right;
        break;
    case TLY_TOKEN_DIV:
        *value /= right;
        break;
    case TLY_TOKEN_MOD:
        *value = fmod(*value, right);
        break;
    default:
        *value = pow(*value, right);
        break;
    }
    return true;
}

static bool parse_sum(struct tly_parser *parser, const char *context, int least,
                      double *ret_seconds)
{
    if (++parser->depth > TLY_EXPR_DEPTH_MAX) {
        (void)tly_parser_fault(parser, TLY_E_LIMIT, parser->token.start,
                               "the expression nests deeper than %d levels", TLY_EXPR_DEPTH_MAX);
        return false;
    }
    bool good = parse_signed(parser, context, ret_seconds);
    while (good) {
        struct tly_token op = parser->token;
        int bind = binding(op.kind);
        if (bind == 0 || bind < least) {
            break;
        }
        tly_parser_next(parser);
        double right;
        good = parse_sum(parser, context, bind == BIND_POW ? bind : bind + 1, &right) &&
               apply(parser, op, right, ret_seconds);
    }
    parser->depth--;
    return good;
}

/* Whole milliseconds. Prometheus rounds to nanoseconds and cuts those off: 0.0999999999 s are 100
 * ms. */
static bool to_ms(struct tly_parser *parser, uint32_t start, double seconds, int64_t *ret_ms)
{
    if (!(fabs(seconds) < SECONDS_MAX)) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, start, "duration out of range");
        return false;
    }
    *ret_ms = (int64_t)(round(seconds * 1e9) / 1e6);
    return true;
}

bool tly_parse_length(struct tly_parser *parser, const char *context, int64_t *ret_ms)
{
    uint32_t start = parser->token.start;
    double seconds;
    if (!parse_sum(parser, context, BIND_ADD, &seconds) || !to_ms(parser, start, seconds, ret_ms)) {
        return false;
    }
    if (*ret_ms <= 0) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, start,
                               "duration must be greater than 0 (a millisecond at least)");
        return false;
    }
    return true;
}

/* Arithmetic only in parentheses: `x offset 5m + 1` adds to x. */
bool tly_parse_offset(struct tly_parser *parser, int64_t *ret_ms)
{
    uint32_t start = parser->token.start;
    bool minus = parser->token.kind == TLY_TOKEN_SUB;
    double seconds;
    if (minus || parser->token.kind == TLY_TOKEN_ADD) {
        tly_parser_next(parser);
    }
    return parse_plain(parser, "offset", &seconds) &&
           to_ms(parser, start, minus ? -seconds : seconds, ret_ms);
}
