/* Operators, matching of vectors, and aggregations. */
#include "tests/unit/rules/evaluate.h"

#define MINUTE 60000

static void test_scalars(void **state)
{
    (void)state;
    static const struct result_row rows[] = {
        {0, "1 + 2 * 3", "7"},
        {0, "2 ^ 3 ^ 2", "512"},
        {0, "-2 ^ 2", "-4"},
        {0, "7 % 3 - -7 % 3", "2"},
        {0, "1 / 0", "+Inf"},
        {0, "0 / 0", "NaN"},
        {0, "NaN == bool NaN", "0"},
        {0, "NaN != bool NaN", "1"},
        {0, "1 < bool 2", "1"},
        {0, "1 >= bool 2", "0"},
        {0, "1 atan2 1", "0.7853981633974483"},
        {1500, "time()", "1.5"},
        {0, "pi()", "3.141592653589793"},
        {0, "5m", "300"},
        {0, "'text'", "text"},
        {0, "scalar(vector(5)) + 1", "6"},
        {0, "scalar(nope)", "NaN"},
    };
    expect_rows(MINUTE, (const char *const[]){NULL}, rows, ROWS(rows));
}

static const char *const containers[] = {
    "cpu{id=\"1\",image=\"x\"} 10",
    "cpu{id=\"2\",image=\"x\"} 20",
    "cpu{id=\"3\",image=\"y\"} 30",
    "limit{id=\"1\"} 5",
    "limit{id=\"2\"} 0",
    "limit{id=\"4\"} 8",
    "info{image=\"x\",v=\"1.0\"} 1",
    "info{image=\"y\",v=\"2.0\"} 1",
    NULL,
};

static void test_vector_and_scalar(void **state)
{
    (void)state;
    static const struct result_row rows[] = {
        {0, "cpu * 2",
         "{id=\"1\", image=\"x\"} 20; {id=\"2\", image=\"x\"} 40; {id=\"3\", "
         "image=\"y\"} 60"},
        {0, "100 - limit", "{id=\"1\"} 95; {id=\"2\"} 100; {id=\"4\"} 92"},
        {0, "limit > 4", "limit{id=\"1\"} 5; limit{id=\"4\"} 8"},
        {0, "6 > limit", "limit{id=\"1\"} 5; limit{id=\"2\"} 0"},
        {0, "limit > bool 4", "{id=\"1\"} 1; {id=\"2\"} 0; {id=\"4\"} 1"},
        {0, "limit == NaN", ""},
        {0, "limit != 0 > 5", "limit{id=\"4\"} 8"},
    };
    expect_rows(MINUTE, containers, rows, ROWS(rows));
}

static void test_matching(void **state)
{
    (void)state;
    static const struct result_row rows[] = {
        {0, "cpu / on(id) limit", "{id=\"1\"} 2; {id=\"2\"} +Inf"},
        {0, "cpu / ignoring(image) limit", "{id=\"1\"} 2; {id=\"2\"} +Inf"},
        {0, "cpu > on(id) limit", "{id=\"1\"} 10; {id=\"2\"} 20"},
        {0, "cpu > ignoring(image) limit", "cpu{id=\"1\"} 10; cpu{id=\"2\"} 20"},
        {0, "cpu > bool on(id) limit", "{id=\"1\"} 1; {id=\"2\"} 1"},
        {0, "cpu / on(id) (limit > 0)", "{id=\"1\"} 2"},
        {0, "cpu + cpu",
         "{id=\"1\", image=\"x\"} 20; {id=\"2\", image=\"x\"} 40; {id=\"3\", "
         "image=\"y\"} 60"},
        {0, "cpu + limit", ""},
        {0, "cpu + nope", ""},
        {0, "cpu * on(image) group_left(v) info",
         "{id=\"1\", image=\"x\", v=\"1.0\"} 10; {id=\"2\", image=\"x\", v=\"1.0\"} 20; "
         "{id=\"3\", image=\"y\", v=\"2.0\"} 30"},
        {0, "info * on(image) group_right cpu",
         "{id=\"1\", image=\"x\"} 10; {id=\"2\", image=\"x\"} 20; {id=\"3\", image=\"y\"} 30"},
        {0, "info < on(image) group_right(v) cpu",
         "cpu{id=\"1\", image=\"x\", v=\"1.0\"} 1; cpu{id=\"2\", image=\"x\", v=\"1.0\"} 1; "
         "cpu{id=\"3\", image=\"y\", v=\"2.0\"} 1"},
        {0, "cpu - on(image) group_left(id) info",
         "1:1: multiple matches for labels: grouping labels must ensure unique matches"},
        {0, "cpu * on(image) info",
         "1:1: multiple matches for labels: many-to-one matching must be explicit "
         "(group_left/group_right)"},
        {0, "info * on(image) cpu",
         "1:1: many-to-many matching not allowed: matching labels must be unique on one side; "
         "found duplicate series for the match group {image=\"x\"} on the right hand-side of the "
         "operation: [cpu{id=\"1\", image=\"x\"}, cpu{id=\"2\", image=\"x\"}]"},
        {0, "cpu * on(image) group_right info",
         "1:1: many-to-many matching not allowed: matching labels must be unique on one side; "
         "found duplicate series for the match group {image=\"x\"} on the left hand-side of the "
         "operation: [cpu{id=\"1\", image=\"x\"}, cpu{id=\"2\", image=\"x\"}]"},
        /* A comparison that lets one of several through is not ambiguous. */
        {0, "cpu > on(image) (info + 8)",
         "1:1: multiple matches for labels: many-to-one matching must be explicit "
         "(group_left/group_right)"},
        {0, "cpu{image=\"x\"} > on(image) (info + 14)", "{image=\"x\"} 20"},
        {0, "cpu * on() group_left() scalar(limit{id=\"1\"})",
         "{id=\"1\", image=\"x\"} 50; {id=\"2\", image=\"x\"} 100; {id=\"3\", image=\"y\"} 150"},
        {0, "cpu * on(nope) group_left vector(2)",
         "{id=\"1\", image=\"x\"} 20; {id=\"2\", image=\"x\"} 40; {id=\"3\", image=\"y\"} 60"},
        {0, "vector(1) + vector(2)", "{} 3"},
    };
    expect_rows(MINUTE, containers, rows, ROWS(rows));
}

static void test_sets(void **state)
{
    (void)state;
    static const struct result_row rows[] = {
        {0, "cpu and on(id) limit", "cpu{id=\"1\", image=\"x\"} 10; cpu{id=\"2\", image=\"x\"} 20"},
        {0, "cpu and limit", ""},
        {0, "cpu and ignoring(image) limit > 0", "cpu{id=\"1\", image=\"x\"} 10"},
        {0, "cpu unless on(id) limit", "cpu{id=\"3\", image=\"y\"} 30"},
        {0, "limit or on(id) cpu",
         "cpu{id=\"3\", image=\"y\"} 30; limit{id=\"1\"} 5; limit{id=\"2\"} 0; limit{id=\"4\"} 8"},
        {0, "limit{id=\"1\"} or vector(9)", "{} 9; limit{id=\"1\"} 5"},
        {0, "limit{id=\"9\"} or on() vector(9)", "{} 9"},
        {0, "limit{id=\"1\"} or on() vector(9)", "limit{id=\"1\"} 5"},
        {0, "limit unless nope", "limit{id=\"1\"} 5; limit{id=\"2\"} 0; limit{id=\"4\"} 8"},
        {0, "nope unless limit", ""},
        {0, "limit{id=\"1\"} or limit{id=\"2\"} and limit{id=\"3\"}", "limit{id=\"1\"} 5"},
    };
    expect_rows(MINUTE, containers, rows, ROWS(rows));
}

/* Where the left side is empty, the right one is left alone, unless it would fail. */
static void test_spared(void **state)
{
    (void)state;
    static const char *const series[] = {"cpu{id=\"1\",image=\"x\"} 10",
                                         "cpu{id=\"2\",image=\"x\"} 20",
                                         "limit{id=\"1\"} 5",
                                         "limit{id=\"2\"} 7",
                                         "info{image=\"x\"} 1",
                                         "twin{id=\"1\"} 1",
                                         NULL};
    static const struct {
        const char *text, *expected;
        bool spared;
    } rows[] = {
        {"cpu > 99 and sum_over_time(cpu[5m]) > 1", "", true},
        {"cpu > 99 unless cpu / (cpu > 0)", "", true},
        {"cpu > 99 > on(id) topk(1, last_over_time(cpu[5m]))", "", true},
        {"(cpu > 99) * scalar(sum by (image) (rate(cpu[5m:1m])))", "", true},
        {"cpu > 99 and stddev(avg without (id) (abs(-cpu)))", "", true},
        {"cpu > 99 or cpu < 11", "cpu{id=\"1\", image=\"x\"} 10", false},
        {"cpu > 9 and cpu < 11", "cpu{id=\"1\", image=\"x\"} 10", false},
        {"cpu > 99 and on() cpu * on(image) info",
         "1:19: multiple matches for labels: many-to-one matching must be explicit "
         "(group_left/group_right)",
         false},
        {"cpu > 99 and -{id=\"1\",image=\"\"}",
         "1:14: vector cannot contain metrics with the same labelset", false},
        {"cpu > 99 and {id=\"1\",image=\"\"} + 1",
         "1:14: vector cannot contain metrics with the same labelset", false},
        {"cpu > 99 and abs({id=\"1\",image=\"\"} or limit)",
         "1:14: vector cannot contain metrics with the same labelset", false},
        {"cpu > 99 and rate({id=\"1\",image=\"\"}[5m:1m] offset -5m)",
         "1:14: vector cannot contain metrics with the same labelset", false},
        {"cpu > 99 and abs(sum by (__name__) ({id=\"1\",image=\"\"}))",
         "1:14: vector cannot contain metrics with the same labelset", false},
        {"cpu > 99 and topk(NaN, cpu)", "1:14: scalar value nan overflows int64", false},
        {"cpu > 99 and label_replace(limit, \"id\", \"\", \"\", \"\")",
         "1:14: vector cannot contain metrics with the same labelset", false},
    };
    struct bench bench;
    bench_init(&bench, MINUTE, series);
    for (size_t i = 0; i < ROWS(rows); i++) {
        expect_result(&bench, 0, rows[i].text, rows[i].expected);
        /* The nodes of the left side with the two samples that each finds, and little more. */
        if ((tly_evaluator_touched(bench.evaluator) <= 9) != rows[i].spared) {
            fail_msg("%s: %zu samples", rows[i].text, tly_evaluator_touched(bench.evaluator));
        }
    }
    bench_done(&bench);
}

static void test_aggregations(void **state)
{
    (void)state;
    static const struct result_row rows[] = {
        {0, "sum(cpu)", "{} 60"},
        {0, "sum by (image) (cpu)", "{image=\"x\"} 30; {image=\"y\"} 30"},
        {0, "sum without (id) (cpu)", "{image=\"x\"} 30; {image=\"y\"} 30"},
        {0, "sum by (nope) (cpu)", "{} 60"},
        {0, "sum by (__name__, image) ({id=~\"1|2\"})", "cpu{image=\"x\"} 30; limit 5"},
        {0, "sum without () (cpu)",
         "{id=\"1\", image=\"x\"} 10; {id=\"2\", image=\"x\"} 20; {id=\"3\", image=\"y\"} 30"},
        {0, "avg by (image) (cpu)", "{image=\"x\"} 15; {image=\"y\"} 30"},
        {0, "min(cpu)", "{} 10"},
        {0, "max(cpu)", "{} 30"},
        {0, "count by (image) (cpu)", "{image=\"x\"} 2; {image=\"y\"} 1"},
        {0, "group by (image) (cpu)", "{image=\"x\"} 1; {image=\"y\"} 1"},
        {0, "stdvar(limit)", "{} 10.888888888888891"},
        {0, "stddev by (image) (cpu)", "{image=\"x\"} 5; {image=\"y\"} 0"},
        {0, "sum(nope)", ""},
        {0, "quantile(0.5, cpu)", "{} 20"},
        {0, "quantile by (image) (0.25, cpu)", "{image=\"x\"} 12.5; {image=\"y\"} 30"},
        {0, "quantile(2, cpu)", "{} +Inf"},
        {0, "topk(2, cpu)", "cpu{id=\"3\", image=\"y\"} 30; cpu{id=\"2\", image=\"x\"} 20"},
        {0, "bottomk(1, cpu)", "cpu{id=\"1\", image=\"x\"} 10"},
        {0, "topk by (image) (1, cpu)",
         "cpu{id=\"2\", image=\"x\"} 20; cpu{id=\"3\", image=\"y\"} 30"},
        {0, "topk(0, cpu)", ""},
        {0, "topk(1.9, cpu)", "cpu{id=\"3\", image=\"y\"} 30"},
        {0, "topk(NaN, cpu)", "1:1: scalar value nan overflows int64"},
        {0, "topk(scalar(limit{id=\"4\"}), limit)",
         "limit{id=\"4\"} 8; limit{id=\"1\"} 5; limit{id=\"2\"} 0"},
        {0, "count_values(\"v\", info)", "{v=\"1\"} 2"},
        {0, "count_values by (image) (\"n\", cpu / 8)",
         "{image=\"x\", n=\"1.25\"} 1; {image=\"x\", n=\"2.5\"} 1; {image=\"y\", n=\"3.75\"} 1"},
        {0, "count_values without (id) (\"image\", limit)",
         "{image=\"0\"} 1; {image=\"5\"} 1; {image=\"8\"} 1"},
        {0, "count_values without (fresh) (\"fresh\", info{v=\"1.0\"})",
         "{image=\"x\", v=\"1.0\"} 1"},
    };
    expect_rows(MINUTE, containers, rows, ROWS(rows));
}

static void test_odd_values(void **state)
{
    (void)state;
    static const char *const series[] = {"v{a=\"1\"} NaN",
                                         "v{a=\"2\"} 5",
                                         "v{a=\"3\"} Inf",
                                         "v{a=\"4\"} -3",
                                         "h{a=\"1\"} 1e308",
                                         "h{a=\"2\"} 1e308",
                                         "l{a=\"1\"} 1e16",
                                         "l{a=\"2\"} 1",
                                         "l{a=\"3\"} -1e16",
                                         "n NaN",
                                         NULL};
    static const struct result_row rows[] = {
        {0, "min(v)", "{} -3"},
        {0, "max(v)", "{} +Inf"},
        {0, "max(n)", "{} NaN"},
        {0, "sum(v)", "{} NaN"},
        {0, "stddev(v)", "{} NaN"},
        {0, "sum(l)", "{} 1"},
        {0, "avg(h)", "{} 1e+308"},
        {0, "sum(h)", "{} +Inf"},
        {0, "v > 0", "v{a=\"2\"} 5; v{a=\"3\"} +Inf"},
        {0, "v != v", "v{a=\"1\"} NaN"},
        {0, "topk(3, v)", "v{a=\"3\"} +Inf; v{a=\"2\"} 5; v{a=\"4\"} -3"},
        {0, "bottomk(4, v)", "v{a=\"4\"} -3; v{a=\"2\"} 5; v{a=\"3\"} +Inf; v{a=\"1\"} NaN"},
        {0, "sort(v)", "v{a=\"4\"} -3; v{a=\"2\"} 5; v{a=\"3\"} +Inf; v{a=\"1\"} NaN"},
        {0, "sort_desc(v)", "v{a=\"3\"} +Inf; v{a=\"2\"} 5; v{a=\"4\"} -3; v{a=\"1\"} NaN"},
        {0, "quantile(0, v)", "{} NaN"},
    };
    expect_rows(MINUTE, series, rows, ROWS(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),    cmocka_unit_test(test_vector_and_scalar),
        cmocka_unit_test(test_matching),   cmocka_unit_test(test_sets),
        cmocka_unit_test(test_spared),     cmocka_unit_test(test_aggregations),
        cmocka_unit_test(test_odd_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
