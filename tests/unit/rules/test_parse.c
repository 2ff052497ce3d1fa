/* Expressions, parsed and printed again in canonical form; faults with their places; what selectors
 * need of the past. The rows agree with Prometheus 3's own parser. */
#include "agent/rules/expr.h"

#include "agent/rules/function.h"
#include "tests/unit/unit.h"

/* Parses what must be right; the caller frees it. */
static struct tly_expr *parse(const char *text)
{
    struct tly_expr *expr = NULL;
    struct tly_error err = {.code = 0};
    if (tly_expr_parse(tly_text_of(text), &expr, NULL, &err) < 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return expr;
}

static void expect_printed(const char *text, const char *printed)
{
    struct tly_expr *expr = parse(text);
    struct tly_buf buf;
    tly_buf_init(&buf, 4096);
    assert_int_equal(tly_expr_print(expr, &buf), 0);
    expect_text(tly_buf_text(&buf), printed);
    tly_buf_done(&buf);
    tly_expr_free(expr);
}

static void test_print(void **state)
{
    (void)state;
    /* NULL: as it is. */
    static const struct {
        const char *text, *printed;
    } rows[] = {
        {"1", NULL},
        {"-1", NULL},
        {"--1", "1"},
        {"+Inf", NULL},
        {"+inf ^ 2", "+Inf ^ 2"},
        {"inf ^ 2", "Inf ^ 2"},
        {"nan", "NaN"},
        {"0x1f", "31"},
        {"1e3", "1000"},
        {"5m", NULL},
        {"-90m", "-1h30m"},
        {"'it\\'s'", "\"it's\""},
        {"1 + 2 * 3 ^ 4 ^ 5", NULL},
        {"-1 ^ 2", NULL},
        {"-(1)", NULL},
        {"a+b-c", "a + b - c"},
        {"a or b and c unless d", NULL},
        {"a == bool 1", NULL},
        {"up", NULL},
        {"up{}", "up"},
        {"up{b='2',a=\"1\",}", "up{a=\"1\",b=\"2\"}"},
        {"{__name__=\"up\"}", NULL},
        {"{\"my.metric\", \"l.x\"=\"1\"}", "{\"l.x\"=\"1\",__name__=\"my.metric\"}"},
        {"up{a!=\"1\",b=~\"x.*\",c!~\"y|z\"}", NULL},
        {"sum", NULL},
        {"by + on_x + offset", NULL},
        {"start{a=\"b\"}", NULL},
        {"up offset 5m", NULL},
        {"up offset -1h", NULL},
        {"up offset 90", "up offset 1m30s"},
        {"up offset (2m - 30)", "up offset 1m30s"},
        {"up offset -(1m * 2)", "up offset -2m"},
        {"up offset 5m + 1", "up offset 5m + 1"},
        {"up[1h / 2 - -2 ^ 2 ^ 0.5 * 10s]", "up[30m26s651ms]"},
        {"rate(up[(1m + 4m)])[1h % 7m:2 * 30s]", "rate(up[5m])[4m:1m]"},
        {"up @ 1.5", "up @ 1.500"},
        {"up @ -10 offset 1m", "up @ -10.000 offset 1m"},
        {"up offset 1m @ start()", "up @ start() offset 1m"},
        {"up[5m]", NULL},
        {"up[300]", "up[5m]"},
        {"up{a=\"b\"}[1h30m] @ end() offset 2d", NULL},
        {"rate(up[5m])[30m:1m]", NULL},
        {"max_over_time(rate(up[5m])[30m:] @ 100 offset 5m)",
         "max_over_time(rate(up[5m])[30m:] @ 100.000 offset 5m)"},
        {"sum(up)", NULL},
        {"SUM BY (a,b,) (up)", "sum by (a, b) (up)"},
        {"sum(up) without(a)", "sum without (a) (up)"},
        {"sum without() (up)", "sum without () (up)"},
        {"sum by() (up)", "sum(up)"},
        {"sum by (by, \"a.b\", bool) (up)", "sum by (by, \"a.b\", bool) (up)"},
        {"topk(5, up)", NULL},
        {"quantile by (a) (0.9, up)", NULL},
        {"count_values(\"v\", up)", NULL},
        {"a * on(x) b", "a * on (x) b"},
        {"a * on() b", "a * on () b"},
        {"a * ignoring(x, y) group_left b", "a * ignoring (x, y) group_left () b"},
        {"a > bool on(x) group_right(y) b", "a > bool on (x) group_right (y) b"},
        {"a and on(x) b", "a and on (x) b"},
        {"a atan2 b", NULL},
        {"time()", NULL},
        {"hour()", NULL},
        {"round(up)", NULL},
        {"round(up, 5)", NULL},
        {"clamp(up, 0, 1)", NULL},
        {"label_replace(up, \"a\", \"$1\", \"b\", \"(.*)\")", NULL},
        {"label_join(up, \"a\", \",\")", NULL},
        {"label_join(up, \"a\", \",\", \"b\", \"c\")", NULL},
        {"histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))", NULL},
        {"# why\nup > 1 # because\n", "up > 1"},
        {"absent((up))", NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const char *printed = rows[i].printed ? rows[i].printed : rows[i].text;
        expect_printed(rows[i].text, printed);
        expect_printed(printed, printed);
    }
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fault;
    } rows[] = {
        {"", "1:1: no expression found in input"},
        {" # only this", "1:1: no expression found in input"},
        {"1 +", "1:4: unexpected end of input, expected an expression"},
        {"1 + * 2", "1:5: unexpected `*`, expected an expression"},
        {"up up", "1:4: unexpected `up`"},
        {"up smoothed", "1:4: unexpected `smoothed`"},
        {"a\n  + +\n  )", "3:3: unexpected right parenthesis: ')'"},
        {"(1", "1:3: unclosed left parenthesis"},
        {"1 == 1", "1:3: comparisons between scalars must use BOOL modifier"},
        {"1 + bool 2", "1:3: bool modifier can only be used on comparison operators"},
        {"up and 1", "1:1: set operator \"and\" not allowed in binary scalar expression"},
        {"up + on(x) 1", "1:1: vector matching only allowed between instant vectors"},
        {"a or on(x) group_left b", "1:1: no grouping allowed for \"or\" operation"},
        {"a * on(x) group_left(x) b",
         "1:3: label \"x\" must not occur in ON and GROUP clause at once"},
        {"a + group_left(x) b", "1:5: unexpected `group_left`, expected an expression"},
        {"a * on(1) b", "1:8: unexpected `1` in grouping options, expected a label"},
        {"sum by (a b) (up)", "1:11: unexpected `b` in grouping options, expected `,` or `)`"},
        {"sum()", "1:1: no arguments for aggregate expression provided"},
        {"sum(a, b)", "1:1: wrong number of arguments for aggregate expression provided, expected "
                      "1, got 2"},
        {"topk(up)", "1:1: wrong number of arguments for aggregate expression provided, expected "
                     "2, got 1"},
        {"topk(\"x\", up)", "1:6: expected type scalar in aggregation parameter, got string"},
        {"count_values(1, up)", "1:14: expected type string in aggregation parameter, got scalar"},
        {"count_values(\"\\xff\", up)",
         "1:14: invalid result label name in count_values(): \"\xff\""},
        {"sum(up[5m])",
         "1:5: expected type instant vector in aggregation expression, got range vector"},
        {"rate(up)", "1:6: expected type range vector in call to function \"rate\", got instant "
                     "vector"},
        {"rate(up[5m], 1)", "1:1: expected 1 argument(s) in call to \"rate\", got 2"},
        {"round()", "1:1: expected at least 1 argument(s) in call to \"round\", got 0"},
        {"round(up, 1, 2)", "1:1: expected at most 2 argument(s) in call to \"round\", got 3"},
        {"abs(up,)", "1:7: trailing commas are not allowed in arguments"},
        {"foo(up)", "1:1: unknown function with name \"foo\""},
        {"1 + histogram_count(up)", "1:5: the function \"histogram_count\" is left out: it works "
                                    "on native histograms, which are not supported"},
        {"mad_over_time(up[5m])",
         "1:1: the function \"mad_over_time\" is left out: it is experimental in Prometheus"},
        {"limitk(1, up)", "1:1: limitk() is left out: it is experimental in Prometheus"},
        {"-\"a\"", "1:1: unary expression only allowed on expressions of type scalar or instant "
                   "vector, got \"string\""},
        {"up + \"a\"", "1:6: binary expression must contain only scalar and instant vector types"},
        {"up[5m] + 1", "1:1: binary expression must contain only scalar and instant vector types"},
        {"{}", "1:1: vector selector must contain at least one non-empty matcher"},
        {"{a=~\".*\",b!=\"x\"}",
         "1:1: vector selector must contain at least one non-empty matcher"},
        {"up{__name__=\"x\"}", "1:1: metric name must not be set twice: \"up\" or \"x\""},
        {"up{a}", "1:5: unexpected `}` in label matching, expected a label matching operator"},
        {"up{a=1}", "1:6: unexpected character inside braces: '1'"},
        {"up{a=b}", "1:6: unexpected `b` in label matching, expected a string"},
        {"up{a=\"b\" c=\"d\"}", "1:10: unexpected `c` in label matching, expected `,` or `}`"},
        {"up{a=~\"b(?=c)\"}", "1:7: invalid regular expression \"b(?=c)\": lookahead is not "
                              "supported (RE2 has none) at its byte 2"},
        {"label_replace(up, \"a\", \"b\", \"c\", \"(\")",
         "1:34: invalid regular expression in label_replace(): missing closing ) at its byte 1"},
        {"label_replace(up, \"\", \"b\", \"c\", \"d\")",
         "1:19: invalid destination label name in label_replace(): \"\""},
        {"up[0]", "1:4: duration must be greater than 0 (a millisecond at least)"},
        {"up[1m - 60s]", "1:4: duration must be greater than 0 (a millisecond at least)"},
        {"up[1m / 0]", "1:7: division by zero"},
        {"up[5m % (1 - 1)]", "1:7: modulo by zero"},
        {"up[10 ^ 300]", "1:4: duration out of range"},
        {"up offset (1m", "1:14: unclosed left parenthesis"},
        {"up offset (up)", "1:12: unexpected `up` in offset, expected a number or a duration"},
        {"up[5m + step()]", "1:9: unexpected character: 's'"},
        {"up @ 1e17", "1:6: timestamp out of bounds for @ modifier"},
        {"up[5q]", "1:4: bad number or duration syntax: '5'"},
        {"up[1m1h]", "1:4: the duration \"1m1h\" is not valid"},
        {"up[300y]", "1:4: the duration \"300y\" is out of range"},
        {"(up)[5m]", "1:5: ranges only allowed for vector selectors"},
        {"up offset 5m [5m]", "1:14: no offset modifiers allowed before range"},
        {"up @ 5 [5m]", "1:8: no @ modifiers allowed before range"},
        {"up[5m][5m:]",
         "1:1: subquery is only allowed on instant vector, got range vector instead"},
        {"1[5m:]", "1:1: subquery is only allowed on instant vector, got scalar instead"},
        {"up offset", "1:10: unexpected end of input in offset, expected a number or a duration"},
        {"up offset 1m offset 2m", "1:1: offset may not be set multiple times"},
        {"1 offset 5m", "1:1: offset modifier must be preceded by an instant vector selector or "
                        "range vector selector or a subquery"},
        {"up @ 1 @ 2", "1:1: @ <timestamp> may not be set multiple times"},
        {"up @ start", "1:11: unexpected end of input in @, expected `()`"},
        {"up @ NaN", "1:6: timestamp out of bounds for @ modifier"},
        {"99999999999999999999999999999999999999e999",
         "1:1: the number \"99999999999999999999999999999999999999e999\" is out of range"},
        {"\"\xc3\xa9\" + up",
         "1:1: binary expression must contain only scalar and instant vector types"},
        {"(\"\xc3\xa9\" + up", "1:10: unclosed left parenthesis"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_expr *expr = NULL;
        struct tly_error err = {.code = 0};
        struct tly_place place = {0, 0};
        int rc = tly_expr_parse(tly_text_of(rows[i].text), &expr, &place, &err);
        if (rc >= 0) {
            tly_expr_free(expr);
            fail_msg("%s is taken", rows[i].text);
        }
        assert_int_equal(rc, err.code);
        expect_text(tly_text_of(err.text), rows[i].fault);
        char *end;
        unsigned line = (unsigned)strtoul(rows[i].fault, &end, 10);
        unsigned column = (unsigned)strtoul(end + 1, NULL, 10);
        assert_int_equal(place.line, line);
        assert_int_equal(place.column, column);
    }
}

/* Texts that nest as deeply as they are long. */
static void test_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *first, *then;
    } rows[] = {
        {"", "("},     {"", "-"},  {"", "a+"},     {"", "sum("}, {"", "abs("},
        {"", "a or "}, {"", "2^"}, {"a", "[1:1]"}, {"a[", "("},  {"a[", "-"},
    };
    static char text[TLY_EXPR_LEN_MAX + 2];
    for (size_t i = 0; i < ROWS(rows); i++) {
        size_t len = strlen(rows[i].then);
        size_t used = strlen(rows[i].first);
        memcpy(text, rows[i].first, used);
        for (; used + len <= TLY_EXPR_LEN_MAX; used += len) {
            memcpy(text + used, rows[i].then, len);
        }
        struct tly_expr *expr = NULL;
        struct tly_error err = {.code = 0};
        int rc = tly_expr_parse((struct tly_text){text, used}, &expr, NULL, &err);
        assert_true(rc < 0);
        if (!strstr(err.text, "nests deeper than 500 levels")) {
            fail_msg("%s: %s", rows[i].then, err.text);
        }
    }
    struct tly_expr *expr = NULL;
    memset(text, '1', sizeof(text));
    assert_int_equal(tly_expr_parse((struct tly_text){text, sizeof(text)}, &expr, NULL, NULL),
                     TLY_E_LIMIT);
}

struct found {
    size_t count;
    struct tly_need needs[4];
};

static int visit(void *arg, const struct tly_need *need)
{
    struct found *found = arg;
    found->needs[found->count++] = *need;
    return found->count == ROWS(found->needs) ? 7 : 0;
}

static void test_needs(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t from_ms, to_ms;
        bool ranged, pinned;
    } rows[] = {
        {"up > 1", 300000, 0, false, false},
        {"rate(up[1m])", 60000, 0, true, false},
        {"-(up offset 1h)", 3900000, 3600000, true, false},
        {"up offset -1m", 240000, -60000, true, false},
        {"sum(rate(up[5m] offset 1m))", 360000, 60000, true, false},
        {"max_over_time(rate(up[5m])[30m:1m])", 2100000, 0, true, false},
        {"max_over_time(up[1h:] offset 10m)", 4500000, 600000, true, false},
        {"topk(scalar(up), 1 + vector(1))", 300000, 0, false, false},
        {"up @ end()", 300000, 0, false, false},
        {"up @ 100", 300000, 0, false, true},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_expr *expr = parse(rows[i].text);
        struct found found = {.count = 0};
        assert_int_equal(tly_expr_needs(expr, visit, &found), 0);
        assert_int_equal(found.count, 1);
        const struct tly_need *need = &found.needs[0];
        if (need->from_ms != rows[i].from_ms || need->to_ms != rows[i].to_ms ||
            need->ranged != rows[i].ranged || need->pinned != rows[i].pinned) {
            fail_msg("%s: %lld to %lld", rows[i].text, (long long)need->from_ms,
                     (long long)need->to_ms);
        }
        assert_int_equal(need->matcher_count, 1);
        expect_text(need->matchers[0].value, "up");
        tly_expr_free(expr);
    }
    struct tly_expr *expr = parse("a + b + c + d + e");
    struct found found = {.count = 0};
    assert_int_equal(tly_expr_needs(expr, visit, &found), 7);
    tly_expr_free(expr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
