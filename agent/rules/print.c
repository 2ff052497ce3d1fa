/*
 * Expressions in canonical form, as Prometheus's own printer writes them: the API shows rules so,
 * and what is printed parses to the same tree.
 */
#include "agent/rules/expr.h"
#include "agent/rules/function.h"
#include "agent/rules/number.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* An escaped byte takes four characters. */
#define MATCHERS_TEXT_MAX (TLY_EXPR_LEN_MAX * 5)

/* Keeps the first failure, so that writing needs no check at each step. */
struct printer {
    struct tly_buf *buf;
    int rc;
};

static void put(struct printer *printer, const char *text)
{
    if (printer->rc == 0) {
        printer->rc = tly_buf_append(printer->buf, text, strlen(text));
    }
}

static void put_text(struct printer *printer, struct tly_text text)
{
    if (printer->rc == 0) {
        printer->rc = tly_buf_append_text(printer->buf, text);
    }
}

static void put_quoted(struct printer *printer, struct tly_text text)
{
    if (printer->rc == 0) {
        printer->rc = tly_quoted_append(printer->buf, text);
    }
}

static void put_duration(struct printer *printer, int64_t ms)
{
    char text[TLY_DURATION_TEXT_MAX];
    (void)tly_duration_format(ms, text);
    put(printer, text);
}

static void put_name(struct printer *printer, struct tly_text name)
{
    if (tly_label_name_plain(name)) {
        put_text(printer, name);
    } else {
        put_quoted(printer, name);
    }
}

static void put_names(struct printer *printer, struct tly_names names)
{
    put(printer, "(");
    for (size_t i = 0; i < names.count; i++) {
        put(printer, i > 0 ? ", " : "");
        put_name(printer, names.at[i]);
    }
    put(printer, ")");
}

static void put_shift(struct printer *printer, const struct tly_shift *shift)
{
    if (shift->at == TLY_AT_TIME && printer->rc == 0) {
        int64_t ms = shift->at_ms;
        printer->rc = tly_buf_printf(printer->buf, " @ %s%lld.%03d", ms < 0 ? "-" : "",
                                     (long long)llabs(ms / 1000), (int)llabs(ms % 1000));
    } else if (shift->at != TLY_AT_NONE) {
        put(printer, shift->at == TLY_AT_START ? " @ start()" : " @ end()");
    }
    if (shift->offset_ms != 0) {
        put(printer, shift->offset_ms < 0 ? " offset -" : " offset ");
        put_duration(printer, llabs(shift->offset_ms));
    }
}

static void put_matcher(struct printer *printer, const struct tly_matcher *matcher)
{
    put_name(printer, matcher->name);
    put(printer, tly_match_text(matcher->kind));
    put_quoted(printer, matcher->value);
}

/* A matcher's text within a buffer that holds several. */
struct part {
    size_t at, len;
};

static int part_order(const struct tly_buf *buf, struct part a, struct part b)
{
    int order = memcmp(buf->at + a.at, buf->at + b.at, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Writes the matchers one after the other into `text` and sorts their places by what was written:
 * Prometheus's order, in which a quoted name comes before a plain one. */
static int matchers_sorted(const struct tly_selector *selector, size_t count, struct tly_buf *text,
                           struct part *parts)
{
    struct printer printer = {.buf = text};
    for (size_t i = 0; i < count; i++) {
        struct part part = {.at = text->len};
        put_matcher(&printer, &selector->matchers[i]);
        if (printer.rc < 0) {
            return printer.rc;
        }
        part.len = text->len - part.at;
        size_t at = i;
        for (; at > 0 && part_order(text, parts[at - 1], part) > 0; at--) {
            parts[at] = parts[at - 1];
        }
        parts[at] = part;
    }
    return 0;
}

static void put_matchers(struct printer *printer, const struct tly_selector *selector)
{
    size_t count = selector->matcher_count - (selector->metric.len > 0 ? 1 : 0);
    if (count == 0 || printer->rc < 0) {
        return;
    }
    struct part *parts = calloc(count, sizeof(*parts));
    struct tly_buf text;
    tly_buf_init(&text, MATCHERS_TEXT_MAX);
    printer->rc = parts ? matchers_sorted(selector, count, &text, parts) : -ENOMEM;
    for (size_t i = 0; printer->rc == 0 && i < count; i++) {
        put(printer, i > 0 ? "," : "{");
        put_text(printer, (struct tly_text){text.at + parts[i].at, parts[i].len});
    }
    put(printer, "}");
    tly_buf_done(&text);
    free(parts);
}

static void put_selector(struct printer *printer, const struct tly_selector *selector)
{
    put_text(printer, selector->metric);
    put_matchers(printer, selector);
    if (selector->range_ms > 0) {
        put(printer, "[");
        put_duration(printer, selector->range_ms);
        put(printer, "]");
    }
    put_shift(printer, &selector->shift);
}

static void put_node(struct printer *printer, const struct tly_node *node);

static void put_number(struct printer *printer, const struct tly_node *node)
{
    double value = node->number.value;
    if (node->number.duration) {
        put(printer, value < 0 ? "-" : "");
        put_duration(printer, (int64_t)llround(fabs(value) * 1000));
        return;
    }
    char text[TLY_NUMBER_TEXT_MAX];
    (void)tly_number_format(value, text);
    put(printer, text);
}

static void put_aggregate(struct printer *printer, const struct tly_node *node)
{
    put(printer, tly_token_text(node->aggregate.op));
    if (node->aggregate.without || node->aggregate.grouping.count > 0) {
        put(printer, node->aggregate.without ? " without " : " by ");
        put_names(printer, node->aggregate.grouping);
        put(printer, " ");
    }
    put(printer, "(");
    if (node->aggregate.param) {
        put_node(printer, node->aggregate.param);
        put(printer, ", ");
    }
    put_node(printer, node->aggregate.expr);
    put(printer, ")");
}

static void put_binary(struct printer *printer, const struct tly_node *node)
{
    const struct tly_matching *matching = &node->binary.matching;
    bool grouped = matching->card == TLY_CARD_MANY_TO_ONE || matching->card == TLY_CARD_ONE_TO_MANY;
    const struct tly_node *left = node->binary.left;
    if (node->binary.op == TLY_TOKEN_POW && left->kind == TLY_NODE_NUMBER &&
        isinf(left->number.value) && left->number.value > 0) {
        put(printer, "Inf"); /* the sign of +Inf would be that of the power */
    } else {
        put_node(printer, left);
    }
    put(printer, " ");
    put(printer, tly_token_text(node->binary.op));
    put(printer, node->binary.returns_bool ? " bool" : "");
    if (matching->on || matching->labels.count > 0 || grouped) {
        put(printer, matching->on ? " on " : " ignoring ");
        put_names(printer, matching->labels);
    }
    if (grouped) {
        put(printer, matching->card == TLY_CARD_MANY_TO_ONE ? " group_left " : " group_right ");
        put_names(printer, matching->include);
    }
    put(printer, " ");
    put_node(printer, node->binary.right);
}

static void put_node(struct printer *printer, const struct tly_node *node)
{
    switch (node->kind) {
    case TLY_NODE_NUMBER:
        put_number(printer, node);
        break;
    case TLY_NODE_STRING:
        put_quoted(printer, node->string);
        break;
    case TLY_NODE_SELECTOR:
        put_selector(printer, &node->selector);
        break;
    case TLY_NODE_SUBQUERY:
        put_node(printer, node->subquery.expr);
        put(printer, "[");
        put_duration(printer, node->subquery.range_ms);
        put(printer, ":");
        if (node->subquery.step_ms > 0) {
            put_duration(printer, node->subquery.step_ms);
        }
        put(printer, "]");
        put_shift(printer, &node->subquery.shift);
        break;
    case TLY_NODE_PAREN:
        put(printer, "(");
        put_node(printer, node->paren);
        put(printer, ")");
        break;
    case TLY_NODE_UNARY:
        put(printer, tly_token_text(node->unary.op));
        put_node(printer, node->unary.expr);
        break;
    case TLY_NODE_BINARY:
        put_binary(printer, node);
        break;
    case TLY_NODE_AGGREGATE:
        put_aggregate(printer, node);
        break;
    case TLY_NODE_CALL:
        put(printer, node->call.function->name);
        put(printer, "(");
        for (size_t i = 0; i < node->call.count; i++) {
            put(printer, i > 0 ? ", " : "");
            put_node(printer, node->call.args[i]);
        }
        put(printer, ")");
        break;
    }
}

int tly_expr_print(const struct tly_expr *expr, struct tly_buf *buf)
{
    struct printer printer = {.buf = buf};
    put_node(&printer, expr->root);
    return printer.rc;
}
