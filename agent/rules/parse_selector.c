/*
 * The parser's other half: selectors with their matchers, the ranges, offsets and times behind
 * them, and literals. Everything goes to the expression's arena; regular expressions to its list.
 */
#include "agent/rules/parse.h"

#include "agent/rules/number.h"
#include "agent/rules/unquote.h"

#include <errno.h>
#include <math.h>

#define MS_PER_S 1000.0
/* Leaves room in 63 bits of milliseconds for offsets and ranges before and behind. */
#define AT_SECONDS_MAX 9e15

/* ---- literals ---- */

bool tly_parse_string(struct tly_parser *parser, struct tly_text *ret_text)
{
    struct tly_text quoted = tly_parser_text(parser, parser->token);
    if (tly_string_unquote(&parser->expr->arena, quoted, ret_text) < 0) {
        (void)tly_parser_no_memory(parser);
        return false;
    }
    tly_parser_next(parser);
    return true;
}

bool tly_parse_number(struct tly_parser *parser, double *ret_value)
{
    struct tly_text text = tly_parser_text(parser, parser->token);
    int64_t ms = 0;
    bool duration = parser->token.kind == TLY_TOKEN_DURATION;
    int rc = duration ? tly_duration_parse(text, &ms) : tly_number_parse(text, ret_value);
    if (rc < 0) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, parser->token.start,
                               rc == -ERANGE ? "%s \"%.*s\" is out of range"
                                             : "%s \"%.*s\" is not valid",
                               duration ? "the duration" : "the number", (int)text.len, text.at);
        return false;
    }
    if (duration) {
        *ret_value = (double)ms / MS_PER_S;
    }
    tly_parser_next(parser);
    return true;
}

/* A timestamp: a number or duration with an optional sign. */
static bool parse_timestamp(struct tly_parser *parser, double *ret_seconds)
{
    bool minus = parser->token.kind == TLY_TOKEN_SUB;
    if (minus || parser->token.kind == TLY_TOKEN_ADD) {
        tly_parser_next(parser);
    }
    if (parser->token.kind != TLY_TOKEN_NUMBER && parser->token.kind != TLY_TOKEN_DURATION) {
        tly_parser_unexpected(parser, "@", "a timestamp, start() or end()");
        return false;
    }
    if (!tly_parse_number(parser, ret_seconds)) {
        return false;
    }
    *ret_seconds = minus ? -*ret_seconds : *ret_seconds;
    return true;
}

/* ---- names ---- */

static bool names_add(struct tly_parser *parser, struct tly_names *names, size_t *cap,
                      struct tly_text name)
{
    if (names->count == *cap) {
        *cap = *cap > 0 ? *cap * 2 : 4;
        struct tly_text *grown = tly_arena_alloc(&parser->expr->arena, *cap * sizeof(*grown));
        if (!grown) {
            (void)tly_parser_no_memory(parser);
            return false;
        }
        for (size_t i = 0; i < names->count; i++) {
            grown[i] = names->at[i];
        }
        names->at = grown;
    }
    names->at[names->count++] = name;
    return true;
}

static bool parse_name(struct tly_parser *parser, struct tly_text *ret_name)
{
    uint32_t start = parser->token.start;
    if (parser->token.kind == TLY_TOKEN_STRING) {
        if (!tly_parse_string(parser, ret_name)) {
            return false;
        }
    } else if (tly_token_is_word(parser->token.kind)) {
        *ret_name = tly_parser_text(parser, parser->token);
        tly_parser_next(parser);
    } else {
        tly_parser_unexpected(parser, "grouping options", "a label");
        return false;
    }
    if (ret_name->len == 0 || tly_text_utf8_prefix(*ret_name) != ret_name->len) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, start,
                               "invalid label name for grouping: \"%.*s\"", (int)ret_name->len,
                               ret_name->at);
        return false;
    }
    return true;
}

bool tly_parse_names(struct tly_parser *parser, struct tly_names *ret_names)
{
    size_t cap = 0;
    if (!tly_parser_take(parser, TLY_TOKEN_LEFT_PAREN)) {
        tly_parser_unexpected(parser, "grouping options", "`(`");
        return false;
    }
    while (parser->token.kind != TLY_TOKEN_RIGHT_PAREN) {
        struct tly_text name;
        if (!parse_name(parser, &name) || !names_add(parser, ret_names, &cap, name)) {
            return false;
        }
        if (parser->token.kind != TLY_TOKEN_RIGHT_PAREN &&
            !tly_parser_take(parser, TLY_TOKEN_COMMA)) {
            tly_parser_unexpected(parser, "grouping options", "`,` or `)`");
            return false;
        }
    }
    tly_parser_next(parser);
    return true;
}

/* ---- matchers ---- */

static bool matcher_add(struct tly_parser *parser, struct tly_selector *selector, size_t *cap,
                        struct tly_matcher matcher)
{
    if (selector->matcher_count == TLY_MATCHERS_MAX) {
        (void)tly_parser_fault(parser, TLY_E_LIMIT, parser->token.start,
                               "a selector has at most %d matchers", TLY_MATCHERS_MAX);
        return false;
    }
    if (selector->matcher_count == *cap) {
        *cap = *cap > 0 ? *cap * 2 : 4;
        struct tly_matcher *grown = tly_arena_alloc(&parser->expr->arena, *cap * sizeof(*grown));
        if (!grown) {
            (void)tly_parser_no_memory(parser);
            return false;
        }
        for (size_t i = 0; i < selector->matcher_count; i++) {
            grown[i] = selector->matchers[i];
        }
        selector->matchers = grown;
    }
    selector->matchers[selector->matcher_count++] = matcher;
    return true;
}

static bool matcher_compile(struct tly_parser *parser, struct tly_matcher *matcher, uint32_t start)
{
    struct tly_regex *regex;
    size_t at;
    struct tly_error err = {.code = 0};
    int rc = tly_regex_new(matcher->value, &regex, &at, &err);
    if (rc < 0) {
        /* Escapes make a string longer than what it means: the place is that of the string. */
        (void)tly_parser_fault(parser, rc, start,
                               "invalid regular expression \"%.*s\": %s at its byte %zu",
                               (int)matcher->value.len, matcher->value.at, err.text, at + 1);
        return false;
    }
    tly_regex_push(&parser->expr->regexes, regex);
    matcher->regex = regex;
    return true;
}

static bool match_kind(enum tly_token_kind token, enum tly_match *ret_kind)
{
    switch (token) {
    case TLY_TOKEN_ASSIGN:
        *ret_kind = TLY_MATCH_EQUAL;
        return true;
    case TLY_TOKEN_NOT_EQUAL:
        *ret_kind = TLY_MATCH_NOT_EQUAL;
        return true;
    case TLY_TOKEN_MATCH:
        *ret_kind = TLY_MATCH_REGEX;
        return true;
    case TLY_TOKEN_REFUSE:
        *ret_kind = TLY_MATCH_NOT_REGEX;
        return true;
    default:
        return false;
    }
}

/* One matcher; a quoted name alone is the metric's. */
static bool parse_matcher(struct tly_parser *parser, struct tly_matcher *ret_matcher)
{
    struct tly_matcher matcher = {.kind = TLY_MATCH_EQUAL};
    bool quoted = parser->token.kind == TLY_TOKEN_STRING;
    if (quoted) {
        if (!tly_parse_string(parser, &matcher.name)) {
            return false;
        }
    } else if (parser->token.kind == TLY_TOKEN_IDENTIFIER) {
        matcher.name = tly_parser_text(parser, parser->token);
        tly_parser_next(parser);
    } else {
        tly_parser_unexpected(parser, "label matching", "a label's name or `}`");
        return false;
    }
    if (!match_kind(parser->token.kind, &matcher.kind)) {
        bool ends = parser->token.kind == TLY_TOKEN_COMMA ||
                    parser->token.kind == TLY_TOKEN_RIGHT_BRACE;
        if (!quoted || !ends) {
            tly_parser_unexpected(parser, "label matching", "a label matching operator");
            return false;
        }
        matcher.value = matcher.name;
        matcher.name = TLY_TEXT("__name__");
        *ret_matcher = matcher;
        return true;
    }
    tly_parser_next(parser);
    if (parser->token.kind != TLY_TOKEN_STRING) {
        tly_parser_unexpected(parser, "label matching", "a string");
        return false;
    }
    uint32_t start = parser->token.start;
    bool regex = matcher.kind == TLY_MATCH_REGEX || matcher.kind == TLY_MATCH_NOT_REGEX;
    if (!tly_parse_string(parser, &matcher.value) ||
        (regex && !matcher_compile(parser, &matcher, start))) {
        return false;
    }
    *ret_matcher = matcher;
    return true;
}

struct tly_node *tly_parse_selector(struct tly_parser *parser)
{
    uint32_t start = parser->token.start;
    struct tly_node *node = tly_parser_node(parser, TLY_NODE_SELECTOR, start);
    if (!node) {
        return NULL;
    }
    struct tly_selector *selector = &node->selector;
    size_t cap = 0;
    if (parser->token.kind != TLY_TOKEN_LEFT_BRACE) {
        selector->metric = tly_parser_text(parser, parser->token);
        tly_parser_next(parser);
    }
    if (tly_parser_take(parser, TLY_TOKEN_LEFT_BRACE)) {
        while (parser->token.kind != TLY_TOKEN_RIGHT_BRACE) {
            struct tly_matcher matcher;
            if (!parse_matcher(parser, &matcher) || !matcher_add(parser, selector, &cap, matcher)) {
                return NULL;
            }
            if (parser->token.kind != TLY_TOKEN_RIGHT_BRACE &&
                !tly_parser_take(parser, TLY_TOKEN_COMMA)) {
                tly_parser_unexpected(parser, "label matching", "`,` or `}`");
                return NULL;
            }
        }
        tly_parser_next(parser);
    }
    if (selector->metric.len > 0) {
        struct tly_matcher matcher = {.name = TLY_TEXT("__name__"), .value = selector->metric};
        if (!matcher_add(parser, selector, &cap, matcher)) {
            return NULL;
        }
    }
    selector->index = parser->expr->selector_count++;
    node->end = parser->last_end;
    return node;
}

/* ---- ranges, offsets, times ---- */

static bool shifted(const struct tly_shift *shift)
{
    return shift->offset_ms != 0 || shift->at != TLY_AT_NONE;
}

static struct tly_node *parse_subquery(struct tly_parser *parser, struct tly_node *inner,
                                       int64_t range_ms)
{
    struct tly_node *node = tly_parser_node(parser, TLY_NODE_SUBQUERY, inner->start);
    if (!node || !tly_parser_adopt(parser, node, inner)) {
        return NULL;
    }
    node->subquery.expr = inner;
    node->subquery.range_ms = range_ms;
    if (parser->token.kind != TLY_TOKEN_RIGHT_BRACKET &&
        !tly_parse_length(parser, "subquery", &node->subquery.step_ms)) {
        return NULL;
    }
    return node;
}

static struct tly_node *parse_range(struct tly_parser *parser, struct tly_node *node)
{
    uint32_t start = parser->token.start;
    int64_t range_ms;
    tly_parser_next(parser);
    if (!tly_parse_length(parser, "subquery or range selector", &range_ms)) {
        return NULL;
    }
    if (tly_parser_take(parser, TLY_TOKEN_COLON)) {
        node = parse_subquery(parser, node, range_ms);
        if (!node) {
            return NULL;
        }
    } else {
        const char *fault = NULL;
        if (node->kind != TLY_NODE_SELECTOR || node->selector.range_ms != 0) {
            fault = "ranges only allowed for vector selectors";
        } else if (shifted(&node->selector.shift)) {
            fault = node->selector.shift.offset_ms != 0 ? "no offset modifiers allowed before range"
                                                        : "no @ modifiers allowed before range";
        }
        if (fault) {
            (void)tly_parser_fault(parser, TLY_E_MALFORMED, start, "%s", fault);
            return NULL;
        }
        node->selector.range_ms = range_ms;
    }
    if (!tly_parser_take(parser, TLY_TOKEN_RIGHT_BRACKET)) {
        tly_parser_unexpected(parser, "subquery or range selector", "`]`");
        return NULL;
    }
    node->end = parser->last_end;
    return node;
}

/* The shift of a node that can have one; a fault otherwise. */
static struct tly_shift *shift_of(struct tly_parser *parser, struct tly_node *node,
                                  const char *modifier)
{
    if (node->kind == TLY_NODE_SELECTOR) {
        return &node->selector.shift;
    }
    if (node->kind == TLY_NODE_SUBQUERY) {
        return &node->subquery.shift;
    }
    (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                           "%s modifier must be preceded by an instant vector selector or range "
                           "vector selector or a subquery",
                           modifier);
    return NULL;
}

static bool parse_offset(struct tly_parser *parser, struct tly_node *node)
{
    int64_t offset_ms;
    tly_parser_next(parser);
    if (!tly_parse_offset(parser, &offset_ms)) {
        return false;
    }
    struct tly_shift *shift = shift_of(parser, node, "offset");
    if (!shift) {
        return false;
    }
    if (shift->offset_ms != 0) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                               "offset may not be set multiple times");
        return false;
    }
    shift->offset_ms = offset_ms;
    return true;
}

static bool parse_at(struct tly_parser *parser, struct tly_node *node)
{
    tly_parser_next(parser);
    uint32_t start = parser->token.start;
    enum tly_at at = TLY_AT_TIME;
    double seconds = 0;
    if (parser->token.kind == TLY_TOKEN_START || parser->token.kind == TLY_TOKEN_FINISH) {
        at = parser->token.kind == TLY_TOKEN_START ? TLY_AT_START : TLY_AT_END;
        tly_parser_next(parser);
        if (!tly_parser_take(parser, TLY_TOKEN_LEFT_PAREN) ||
            !tly_parser_take(parser, TLY_TOKEN_RIGHT_PAREN)) {
            tly_parser_unexpected(parser, "@", "`()`");
            return false;
        }
    } else if (!parse_timestamp(parser, &seconds)) {
        return false;
    }
    struct tly_shift *shift = shift_of(parser, node, "@");
    if (!shift) {
        return false;
    }
    if (!(fabs(seconds) < AT_SECONDS_MAX)) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, start,
                               "timestamp out of bounds for @ modifier");
        return false;
    }
    if (shift->at != TLY_AT_NONE) {
        (void)tly_parser_fault(parser, TLY_E_MALFORMED, node->start,
                               "@ <timestamp> may not be set multiple times");
        return false;
    }
    shift->at = at;
    shift->at_ms = (int64_t)round(seconds * MS_PER_S);
    return true;
}

struct tly_node *tly_parse_suffixes(struct tly_parser *parser, struct tly_node *node)
{
    while (node) {
        bool good = true;
        switch (parser->token.kind) {
        case TLY_TOKEN_LEFT_BRACKET:
            node = parse_range(parser, node);
            continue;
        case TLY_TOKEN_OFFSET:
            good = parse_offset(parser, node);
            break;
        case TLY_TOKEN_AT:
            good = parse_at(parser, node);
            break;
        default:
            return node;
        }
        if (!good) {
            return NULL;
        }
        node->end = parser->last_end;
    }
    return NULL;
}
