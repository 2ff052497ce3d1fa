/* promtool's notation of series. What it writes as a metric is a selector of equalities. */
#include "agent/rules/series_values.h"

#include "agent/rules/expr.h"
#include "agent/rules/number.h"

#include <errno.h>
#include <stdlib.h>

struct values {
    struct tly_series_value *at;
    size_t count, cap;
};

static int add(struct values *values, struct tly_series_value value)
{
    if (values->count == TLY_SERIES_VALUES_MAX) {
        return TLY_E_LIMIT;
    }
    if (values->count == values->cap) {
        size_t cap = values->cap > 0 ? values->cap * 2 : 32;
        struct tly_series_value *at = reallocarray(values->at, cap, sizeof(*at));
        if (!at) {
            return -ENOMEM;
        }
        values->at = at;
        values->cap = cap;
    }
    values->at[values->count++] = value;
    return 0;
}

static int read_value(struct tly_text text, double *ret_value)
{
    if (tly_text_equal(text, TLY_TEXT("stale"))) {
        *ret_value = tly_stale_nan();
        return 0;
    }
    return text.len > 0 ? tly_float_parse(text, ret_value) : TLY_E_MALFORMED;
}

/* Where the increment of `a+bxn` begins: a sign that is neither the first nor an exponent's. */
static size_t sign_of(struct tly_text item)
{
    for (size_t i = 1; i < item.len; i++) {
        bool exponent = item.at[i - 1] == 'e' || item.at[i - 1] == 'E';
        if ((item.at[i] == '+' || item.at[i] == '-') && !exponent) {
            return i;
        }
    }
    return item.len;
}

static int add_item(struct values *values, struct tly_text item)
{
    struct tly_text times = item;
    struct tly_text body = tly_text_cut(&times, 'x');
    uint64_t more = 0;
    int rc = times.at ? tly_text_u64(times, &more) : 0;
    if (rc < 0) {
        return TLY_E_MALFORMED;
    }
    if (tly_text_equal(body, TLY_TEXT("_"))) {
        for (uint64_t i = 0; rc == 0 && i < (times.at ? more : 1); i++) {
            rc = add(values, (struct tly_series_value){0, true});
        }
        return rc;
    }
    size_t sign = sign_of(body);
    double value = 0;
    double by = 0;
    rc = read_value((struct tly_text){body.at, sign}, &value);
    if (rc == 0 && sign < body.len) {
        rc = times.at ? read_value((struct tly_text){body.at + sign, body.len - sign}, &by)
                      : TLY_E_MALFORMED;
    }
    for (uint64_t i = 0; rc == 0 && i <= more; i++, value += by) {
        rc = add(values, (struct tly_series_value){value, false});
    }
    return rc;
}

int tly_series_values_parse(struct tly_text text, struct tly_series_value **ret_values,
                            size_t *ret_count, struct tly_error *err)
{
    struct values values = {NULL, 0, 0};
    struct tly_text rest = text.at ? text : TLY_TEXT("");
    int rc = 0;
    while (rest.at && rc == 0) {
        /* Any blank separates. */
        rest = tly_text_trim(rest);
        size_t len = 0;
        while (len < rest.len && !strchr(" \t\r\n", rest.at[len])) {
            len++;
        }
        struct tly_text item = {rest.at, len};
        if (len == 0) {
            break;
        }
        rc = add_item(&values, item);
        if (rc == TLY_E_MALFORMED && memchr(item.at, '{', item.len)) {
            rc = TLY_E_REFUSED;
        }
        if (rc < 0) {
            (void)tly_error_set(err, rc,
                                rc == TLY_E_REFUSED ? "`%.*s`: native histograms are left out"
                                : rc == TLY_E_LIMIT
                                    ? "`%.*s`: too many values"
                                    : "`%.*s` is no value; write 1, 1+2x3, 5x2, _ or "
                                      "stale",
                                (int)(item.len < 40 ? item.len : 40), item.at); /* rc goes on */
        }
        rest = (struct tly_text){rest.at + len, rest.len - len};
    }
    if (rc < 0) {
        free(values.at);
        return rc;
    }
    *ret_values = values.at;
    *ret_count = values.count;
    return 0;
}

static int labels_of(struct tly_symbols *symbols, const struct tly_selector *selector,
                     struct tly_labels *ret_labels)
{
    struct tly_label_pair pairs[TLY_MATCHERS_MAX];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < selector->matcher_count; i++) {
        const struct tly_matcher *matcher = &selector->matchers[i];
        rc = matcher->kind == TLY_MATCH_EQUAL ? 0 : TLY_E_MALFORMED;
        rc = rc < 0 ? rc : tly_symbols_add(symbols, matcher->name, &pairs[i].name);
        rc = rc < 0 ? rc : tly_symbols_add(symbols, matcher->value, &pairs[i].value);
    }
    return rc < 0 ? rc
                  : tly_labels_keep(symbols, tly_labels_make(pairs, selector->matcher_count),
                                    ret_labels);
}

int tly_series_labels_parse(struct tly_symbols *symbols, struct tly_text text,
                            struct tly_labels *ret_labels, struct tly_error *err)
{
    struct tly_text bare = tly_text_trim(text.at ? text : TLY_TEXT(""));
    if (bare.len == 0 || tly_text_equal(bare, TLY_TEXT("{}"))) {
        int kept = tly_labels_keep(symbols, (struct tly_labels){NULL, 0, 0}, ret_labels);
        return kept < 0 ? tly_error_set(err, kept, "out of memory") : 0;
    }
    struct tly_expr *expr = NULL;
    int rc = tly_expr_parse(bare, &expr, NULL, err);
    if (rc < 0) {
        return rc;
    }
    const struct tly_node *root = expr->root;
    if (root->kind != TLY_NODE_SELECTOR || root->selector.range_ms > 0 ||
        root->selector.shift.at != TLY_AT_NONE || root->selector.shift.offset_ms != 0 ||
        root->selector.matcher_count > TLY_MATCHERS_MAX) {
        rc = TLY_E_MALFORMED;
    } else {
        rc = labels_of(symbols, &root->selector, ret_labels);
    }
    tly_expr_free(expr);
    return rc < 0 ? tly_error_set(err, rc, "`%.*s` is no series; write name{label=\"value\"}",
                                  (int)(bare.len < 80 ? bare.len : 80), bare.at)
                  : 0;
}
