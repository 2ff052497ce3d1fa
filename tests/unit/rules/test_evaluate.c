/* Selectors, windows, offsets, subqueries, functions over windows, and the evaluator's bounds. */
#include "tests/unit/rules/evaluate.h"

#include "agent/rules/functions.h"

#define MINUTE 60000

static void test_selectors(void **state)
{
    (void)state;
    static const char *const series[] = {
        "up{job=\"a\",id=\"1\"} 1 2 3 4 5 stale _ 8",
        "up{job=\"b\",id=\"2\"} 10 _x9",
        "down{job=\"a\"} 7 7 7 7 7",
        NULL,
    };
    static const struct result_row rows[] = {
        {0, "up", "up{id=\"1\", job=\"a\"} 1; up{id=\"2\", job=\"b\"} 10"},
        {-1, "up", ""},
        {MINUTE - 1, "up{job=\"a\"}", "up{id=\"1\", job=\"a\"} 1"},
        {MINUTE, "up{job=\"a\"}", "up{id=\"1\", job=\"a\"} 2"},
        /* Five minutes of lookback, its begin excluded; a marker ends it at once. */
        {5 * MINUTE - 1, "up{job=\"b\"}", "up{id=\"2\", job=\"b\"} 10"},
        {5 * MINUTE, "up{job=\"b\"}", ""},
        {5 * MINUTE - 1, "up{job=\"a\"}", "up{id=\"1\", job=\"a\"} 5"},
        {5 * MINUTE, "up{job=\"a\"}", ""},
        {6 * MINUTE, "up{job=\"a\"}", ""},
        {7 * MINUTE, "up{job=\"a\"}", "up{id=\"1\", job=\"a\"} 8"},
        /* Matchers */
        {0, "{job=\"a\"}", "down{job=\"a\"} 7; up{id=\"1\", job=\"a\"} 1"},
        {0, "{__name__=~\"u.|d.+\",job=\"a\"}", "down{job=\"a\"} 7; up{id=\"1\", job=\"a\"} 1"},
        {0, "up{id!=\"1\"}", "up{id=\"2\", job=\"b\"} 10"},
        {0, "up{id=~\"1|3\",nope=\"\"}", "up{id=\"1\", job=\"a\"} 1"},
        {0, "up{id!~\"1|3\",nope!=\"x\"}", "up{id=\"2\", job=\"b\"} 10"},
        {0, "up{nope!=\"\"}", ""},
        {0, "nope", ""},
        /* Offsets and fixed times */
        {2 * MINUTE, "up{job=\"a\"} offset 1m", "up{id=\"1\", job=\"a\"} 2"},
        {2 * MINUTE, "up{job=\"a\"} offset -1m", "up{id=\"1\", job=\"a\"} 4"},
        {9 * MINUTE, "up{job=\"a\"} @ 60", "up{id=\"1\", job=\"a\"} 2"},
        {9 * MINUTE, "up{job=\"a\"} @ 60 offset -1m", "up{id=\"1\", job=\"a\"} 3"},
        {2 * MINUTE, "up{job=\"a\"} @ end() offset 1m", "up{id=\"1\", job=\"a\"} 2"},
        /* Windows are open on the left and skip markers. */
        {2 * MINUTE, "up{job=\"a\"}[2m]", "up{id=\"1\", job=\"a\"} 60000:2 120000:3"},
        {7 * MINUTE, "up{job=\"a\"}[4m]", "up{id=\"1\", job=\"a\"} 240000:5 420000:8"},
        {2 * MINUTE + 1, "up{job=\"a\"}[1m]", "up{id=\"1\", job=\"a\"} 120000:3"},
        {9 * MINUTE, "up[1m] offset 1h", ""},
        {3 * MINUTE, "up{job=\"a\"}[2m] @ 60 offset -1m",
         "up{id=\"1\", job=\"a\"} 60000:2 120000:3"},
        /* Subqueries: steps at multiples of their length, their window open on the left too. */
        {2 * MINUTE, "up{job=\"a\"}[2m:1m]", "up{id=\"1\", job=\"a\"} 60000:2 120000:3"},
        {2 * MINUTE + 30000, "up{job=\"a\"}[2m:1m]", "up{id=\"1\", job=\"a\"} 60000:2 120000:3"},
        {3 * MINUTE, "up{job=\"a\"}[1m:20s] offset 1m",
         "up{id=\"1\", job=\"a\"} 80000:2 100000:2 120000:3"},
        {3 * MINUTE, "(-up{job=\"a\"})[2m:]", "{id=\"1\", job=\"a\"} 120000:-3 180000:-4"},
        {4 * MINUTE, "max_over_time(rate(up{job=\"a\"}[2m])[3m:1m])",
         "{id=\"1\", job=\"a\"} 0.016666666666666666"},
        {3 * MINUTE, "sum_over_time(up{job=\"a\"}[2m:1m] @ 120)", "{id=\"1\", job=\"a\"} 5"},
        {3 * MINUTE, "sum_over_time(time()[3m:1m] )",
         "1:15: subquery is only allowed on instant "
         "vector, got scalar instead"},
        {3 * MINUTE, "sum_over_time(vector(time())[3m:1m])", "{} 360"},
        {5 * MINUTE, "up{job=\"a\"}[6m:1m]",
         "up{id=\"1\", job=\"a\"} 0:1 60000:2 120000:3 180000:4 240000:5"},
    };
    expect_rows(MINUTE, series, rows, ROWS(rows));
}

static void test_rates(void **state)
{
    (void)state;
    static const char *const series[] = {
        "steady 0+60x10",     "reset 0 60 120 30 90 150",
        "late _x5 10 70 130", "one _x5 10",
        "flat 5x10",          NULL,
    };
    static const struct result_row rows[] = {
        /* Five samples over four minutes, stretched to five: the zero is 2.5 minutes away. */
        {5 * MINUTE, "rate(steady[5m])", "{} 1"},
        {5 * MINUTE, "increase(steady[5m])", "{} 300"},
        {5 * MINUTE, "delta(steady[5m])", "{} 300"},
        /* Half a distance at most where a series begins. */
        {8 * MINUTE, "delta(late[5m])", "{} 210"},
        /* A counter reaches back no farther than its zero, 10 seconds. */
        {8 * MINUTE, "increase(late[5m])", "{} 190"},
        {8 * MINUTE, "rate(one[5m])", ""},
        {7 * MINUTE, "increase(one[5m]) or vector(7)", "{} 7"},
        {5 * MINUTE, "increase(reset[5m])", "{} 262.5"},
        {5 * MINUTE, "resets(reset[10m])", "{} 1"},
        {5 * MINUTE, "changes(reset[10m])", "{} 5"},
        {5 * MINUTE, "changes(flat[10m])", "{} 0"},
        {3 * MINUTE, "irate(reset[5m])", "{} 0.5"},
        {3 * MINUTE, "idelta(reset[5m])", "{} -90"},
        {0, "irate(reset[5m])", ""},
        {5 * MINUTE, "rate(flat[5m])", "{} 0"},
        {10 * MINUTE, "deriv(steady[5m])", "{} 1"},
        {10 * MINUTE, "deriv(flat[5m])", "{} 0"},
        {10 * MINUTE, "predict_linear(steady[5m], 600)", "{} 1200"},
        {12 * MINUTE, "predict_linear(steady[5m], 600)", "{} 1320"},
        {12 * MINUTE, "predict_linear(steady[5m] offset 2m, 600)", "{} 1320"},
        {0, "deriv(steady[5m])", ""},
    };
    expect_rows(MINUTE, series, rows, ROWS(rows));
}

static void test_over_time(void **state)
{
    (void)state;
    static const char *const series[] = {
        "mixed{a=\"1\"} 1 5 3 NaN 2",
        "plain 2 4 4 4 5 5 7 9",
        "huge 1e308 1e308 1e308",
        "large 1e16 1 -1e16",
        "undefined NaN NaN",
        "endless Inf Inf",
        NULL,
    };
    static const struct result_row rows[] = {
        {10 * MINUTE, "min_over_time(mixed[20m])", "{a=\"1\"} 1"},
        {10 * MINUTE, "max_over_time(mixed[20m])", "{a=\"1\"} 5"},
        {10 * MINUTE, "max_over_time(undefined[20m])", "{} NaN"},
        {10 * MINUTE, "sum_over_time(mixed[20m])", "{a=\"1\"} NaN"},
        {2 * MINUTE, "sum_over_time(mixed[20m])", "{a=\"1\"} 9"},
        {2 * MINUTE, "avg_over_time(mixed[20m])", "{a=\"1\"} 3"},
        {10 * MINUTE, "count_over_time(mixed[20m])", "{a=\"1\"} 5"},
        {10 * MINUTE, "present_over_time(mixed[20m])", "{a=\"1\"} 1"},
        {10 * MINUTE, "last_over_time(mixed[20m])", "mixed{a=\"1\"} 2"},
        {10 * MINUTE, "first_over_time(mixed[20m])", "mixed{a=\"1\"} 1"},
        {10 * MINUTE, "stdvar_over_time(plain[20m])", "{} 4"},
        {10 * MINUTE, "stddev_over_time(plain[20m])", "{} 2"},
        {10 * MINUTE, "quantile_over_time(0.5, plain[20m])", "{} 4.5"},
        {10 * MINUTE, "quantile_over_time(0, plain[20m])", "{} 2"},
        {10 * MINUTE, "quantile_over_time(1, plain[20m])", "{} 9"},
        {10 * MINUTE, "quantile_over_time(-1, plain[20m])", "{} -Inf"},
        {10 * MINUTE, "quantile_over_time(2, plain[20m])", "{} +Inf"},
        {10 * MINUTE, "quantile_over_time(NaN, plain[20m])", "{} NaN"},
        {10 * MINUTE, "quantile_over_time(0.5, endless[20m])", "{} +Inf"},
        /* NaN counts as less than any number. */
        {10 * MINUTE, "quantile_over_time(0.5, mixed[20m])", "{a=\"1\"} 2"},
        {10 * MINUTE, "avg_over_time(huge[20m])", "{} 1e+308"},
        {10 * MINUTE, "sum_over_time(huge[20m])", "{} +Inf"},
        {10 * MINUTE, "sum_over_time(large[20m])", "{} 1"},
        {10 * MINUTE, "changes(undefined[20m])", "{} 0"},
        {10 * MINUTE, "absent_over_time(plain[20m])", ""},
        {10 * MINUTE, "absent_over_time(plain{a=\"b\",c=~\"d.*\",e!=\"f\"}[20m])", "{a=\"b\"} 1"},
        {10 * MINUTE, "absent_over_time(nope[20m:1m])", "{} 1"},
    };
    expect_rows(MINUTE, series, rows, ROWS(rows));
}

/* Names are dropped, and what then looks the same is an error. */
static void test_names(void **state)
{
    (void)state;
    static const char *const series[] = {"a{x=\"1\"} 1+1x5", "b{x=\"1\"} 2+1x5", "b{x=\"2\"} 3+1x5",
                                         NULL};
    static const char *const same = "vector cannot contain metrics with the same labelset";
    static const struct result_row rows[] = {
        {MINUTE, "rate({__name__=~\"a|b\",x=\"2\"}[5m])", "{x=\"2\"} 0.005"},
        {MINUTE, "abs(b)", "{x=\"1\"} 3; {x=\"2\"} 4"},
        {MINUTE, "-b", "{x=\"1\"} -3; {x=\"2\"} -4"},
        {MINUTE, "+b", "b{x=\"1\"} 3; b{x=\"2\"} 4"},
    };
    expect_rows(MINUTE, series, rows, ROWS(rows));
    static const char *const failing[] = {"rate({__name__=~\"a|b\"}[5m])",
                                          "abs({__name__=~\"a|b\"})", "-{__name__=~\"a|b\"}",
                                          "1 * {__name__=~\"a|b\"}", "hour({__name__=~\"a|b\"})"};
    struct bench bench;
    bench_init(&bench, MINUTE, series);
    for (size_t i = 0; i < ROWS(failing); i++) {
        char expected[128];
        (void)snprintf(expected, sizeof(expected), "1:1: %s", same);
        expect_result(&bench, MINUTE, failing[i], expected);
    }
    bench_done(&bench);
}

static void test_bounds(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 1000,
               (const char *const[]){"a 0+1x1000", "b{x=\"1\"} 1", "b{x=\"2\"} 1", NULL});
    static const struct {
        struct tly_evaluator_bounds bounds;
        const char *text, *expected;
    } rows[] = {
        {{0, 100, 0},
         "sum_over_time(a[10m])",
         "1:15: the evaluation touches more than 100 samples and was stopped"},
        {{0, 10000, 0},
         "max_over_time(nope[1d:1s])",
         "1:15: the evaluation touches more than 10000 samples and was stopped"},
        {{1, 0, 0}, "b", "1:1: the selector finds more than 1 series"},
        {{0, 0, 1 << 20},
         "sum_over_time(a[1h:1ms])",
         "1:15: the results need more than 1 MiB of memory"},
        {{0, 1000000, 0},
         "max_over_time(max_over_time(max_over_time(a[1d:1s])[1d:1s])[1d:1s])",
         "1:43: the evaluation touches more than 1000000 samples and was stopped"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        tly_evaluator_free(bench.evaluator);
        bench.evaluator = tly_evaluator_new(bench.symbols, rows[i].bounds);
        assert_non_null(bench.evaluator);
        expect_result(&bench, 600000, rows[i].text, rows[i].expected);
        /* It goes on after a failure. */
        expect_result(&bench, 600000, "a", "a 600");
        assert_int_equal(tly_evaluator_touched(bench.evaluator), 2);
    }
    tly_evaluator_set_step(bench.evaluator, 100000);
    expect_result(&bench, 600000, "count_over_time(a[10m:])", "{} 6");
    bench_done(&bench);
}

static int failing_select(void *arg, const struct tly_matcher *matchers, size_t count,
                          int64_t from_ms, int64_t to_ms, struct tly_series_list *list)
{
    (void)matchers;
    (void)count;
    (void)list;
    int64_t *span = arg;
    span[0] = from_ms;
    span[1] = to_ms;
    return -5; /* EIO */
}

/* A storage's failure is passed on, and it is told the whole span that will be read. */
static void test_storage(void **state)
{
    (void)state;
    struct tly_symbols *symbols = tly_symbols_new(BENCH_SYMBOLS_MAX);
    struct tly_evaluator *evaluator = tly_evaluator_new(symbols,
                                                        (struct tly_evaluator_bounds){0, 0, 0});
    int64_t span[2];
    struct tly_storage storage = {.arg = span, .select = failing_select};
    static const struct {
        const char *text;
        int64_t from_ms, to_ms;
    } rows[] = {
        {"a", 700000, 1000000},
        {"rate(a[1m] offset 10s)", 930000, 990000},
        {"max_over_time(a[1m:1s] offset 10s)", 630000, 990000},
        {"a @ 5", -295000, 5000},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_expr *expr = NULL;
        struct tly_error err = {.code = 0};
        struct tly_value value;
        assert_int_equal(tly_expr_parse(tly_text_of(rows[i].text), &expr, NULL, NULL), 0);
        assert_int_equal(tly_evaluate(evaluator, expr, &storage, 1000000, &value, &err), -5);
        assert_non_null(strstr(err.text, "reading samples"));
        assert_true(span[0] == rows[i].from_ms);
        assert_true(span[1] == rows[i].to_ms);
        tly_expr_free(expr);
    }
    tly_evaluator_free(evaluator);
    tly_symbols_free(symbols);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selectors), cmocka_unit_test(test_rates),
        cmocka_unit_test(test_over_time), cmocka_unit_test(test_names),
        cmocka_unit_test(test_bounds),    cmocka_unit_test(test_storage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
