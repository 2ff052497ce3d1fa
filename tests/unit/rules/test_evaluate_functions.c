/* Functions of values, dates, labels and histograms. */
#include "tests/unit/rules/evaluate.h"

#include "agent/rules/functions.h"

#define MINUTE 60000

static void test_values(void **state)
{
    (void)state;
    static const char *const series[] = {"v{a=\"1\"} -1.5", "v{a=\"2\"} 2.5", "n NaN", "e Inf",
                                         NULL};
    static const struct result_row rows[] = {
        {0, "abs(v)", "{a=\"1\"} 1.5; {a=\"2\"} 2.5"},
        {0, "ceil(v)", "{a=\"1\"} -1; {a=\"2\"} 3"},
        {0, "floor(v)", "{a=\"1\"} -2; {a=\"2\"} 2"},
        {0, "round(v)", "{a=\"1\"} -1; {a=\"2\"} 3"},
        {0, "round(v, 0.1)", "{a=\"1\"} -1.5; {a=\"2\"} 2.5"},
        {0, "round(vector(0.123), 0.1)", "{} 0.1"},
        {0, "sgn(v)", "{a=\"1\"} -1; {a=\"2\"} 1"},
        {0, "sqrt(vector(16))", "{} 4"},
        {0, "ln(vector(0))", "{} -Inf"},
        {0, "log2(vector(8)) + log10(vector(1000))", "{} 6"},
        {0, "exp(vector(0))", "{} 1"},
        {0, "deg(vector(pi()))", "{} 180"},
        {0, "rad(vector(180)) - pi()", "{} 0"},
        {0, "clamp(v, -1, 2)", "{a=\"1\"} -1; {a=\"2\"} 2"},
        {0, "clamp(v, 2, -1)", ""},
        {0, "clamp_min(v, 0)", "{a=\"1\"} 0; {a=\"2\"} 2.5"},
        {0, "clamp_max(v, 0)", "{a=\"1\"} -1.5; {a=\"2\"} 0"},
        {0, "clamp(n, 0, 1)", "{} NaN"},
        {0, "clamp_min(v, NaN)", "{a=\"1\"} NaN; {a=\"2\"} NaN"},
        {0, "clamp_min(e, NaN)", "{} +Inf"},
        {0, "scalar(v)", "NaN"},
        {0, "scalar(v{a=\"1\"})", "-1.5"},
        {2 * MINUTE, "timestamp(v{a=\"1\"})", "{a=\"1\"} 0"},
        {2 * MINUTE, "timestamp((v{a=\"1\"}))", "{a=\"1\"} 0"},
        {2 * MINUTE, "timestamp(v{a=\"1\"} + 0)", "{a=\"1\"} 120"},
    };
    expect_rows(MINUTE, series, rows, ROWS(rows));
}

static void test_dates(void **state)
{
    (void)state;
    static const struct result_row rows[] = {
        /* 2024-02-29T23:59:59.999Z, a Thursday */
        {1709251199999, "hour()", "{} 23"},         {1709251199999, "minute()", "{} 59"},
        {1709251199999, "day_of_month()", "{} 29"}, {1709251199999, "day_of_week()", "{} 4"},
        {1709251199999, "day_of_year()", "{} 60"},  {1709251199999, "days_in_month()", "{} 29"},
        {1709251199999, "month()", "{} 2"},         {1709251199999, "year()", "{} 2024"},
        {0, "year(vector(1709251200))", "{} 2024"}, {0, "day_of_year(vector(1709251200))", "{} 61"},
        {0, "month(vector(-1))", "{} 12"},          {0, "year(vector(-1))", "{} 1969"},
        {0, "day_of_week(vector(-86400))", "{} 3"}, {0, "day_of_week(vector(-1))", "{} 3"},
        {0, "hour(vector(NaN))", "{} NaN"},         {0, "hour(vector(1e300))", "{} NaN"},
    };
    expect_rows(MINUTE, (const char *const[]){NULL}, rows, ROWS(rows));
    struct tly_date date;
    /* 2000-02-29, 1900-02-28, and the days around them */
    static const struct {
        double seconds;
        int64_t year;
        int month, day, month_days, yearday;
    } days[] = {
        {951782400, 2000, 2, 29, 29, 60},      {951868800, 2000, 3, 1, 31, 61},
        {-2203977600, 1900, 2, 28, 28, 59},    {-2203891200, 1900, 3, 1, 31, 60},
        {-62135596800, 1, 1, 1, 31, 1},        {-62135596801, 0, 12, 31, 31, 366},
        {253402300799, 9999, 12, 31, 31, 365},
    };
    for (size_t i = 0; i < ROWS(days); i++) {
        assert_true(tly_date_of(days[i].seconds, &date));
        assert_true(date.year == days[i].year);
        assert_int_equal(date.month, days[i].month);
        assert_int_equal(date.day, days[i].day);
        assert_int_equal(date.month_days, days[i].month_days);
        assert_int_equal(date.yearday, days[i].yearday);
    }
    static const double none[] = {NAN, INFINITY, -INFINITY, 1e300};
    for (size_t i = 0; i < ROWS(none); i++) {
        assert_false(tly_date_of(none[i], &date));
    }
}

static const char *const services[] = {"up{job=\"api\",instance=\"a:80\"} 1",
                                       "up{job=\"web\",instance=\"b:81\"} 0", NULL};

static void test_labels(void **state)
{
    (void)state;
    static const struct result_row rows[] = {
        {0, "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
         "up{host=\"a\", instance=\"a:80\", job=\"api\"} 1; up{host=\"b\", instance=\"b:81\", "
         "job=\"web\"} 0"},
        {0, "label_replace(up, \"job\", \"${x}-\", \"job\", \"(?P<x>a.*)\")",
         "up{instance=\"a:80\", job=\"api-\"} 1; up{instance=\"b:81\", job=\"web\"} 0"},
        {0, "label_replace(up{job=\"api\"}, \"job\", \"\", \"job\", \".*\")",
         "up{instance=\"a:80\"} 1"},
        {0, "label_replace(up{job=\"api\"}, \"new\", \"x\", \"nope\", \"\")",
         "up{instance=\"a:80\", job=\"api\", new=\"x\"} 1"},
        {0, "label_replace(up{job=\"api\"}, \"__name__\", \"${1}_x\", \"__name__\", \"(.*)\")",
         "up_x{instance=\"a:80\", job=\"api\"} 1"},
        {0,
         "label_replace(label_replace(up, \"instance\", \"\", \"nope\", \"\"), \"job\", \"\", "
         "\"nope\", \"\")",
         "1:1: vector cannot contain metrics with the same labelset"},
        {0, "label_join(up{job=\"api\"}, \"both\", \"-\", \"job\", \"nope\", \"instance\")",
         "up{both=\"api--a:80\", instance=\"a:80\", job=\"api\"} 1"},
        {0, "label_join(up{job=\"api\"}, \"job\", \"-\")", "up{instance=\"a:80\"} 1"},
        {0, "sum by (fresh) (label_join(up, \"fresh\", \"\", \"job\"))",
         "{fresh=\"api\"} 1; {fresh=\"web\"} 0"},
        {0, "absent(up)", ""},
        {0, "absent(nope)", "{} 1"},
        {0,
         "absent(nope{a=\"1\",b!=\"2\",c=~\"3\",d=\"4\",d=\"5\",e=\"6\",e!=\"7\",f!=\"8\",f=\"9\"}"
         ")",
         "{a=\"1\", f=\"9\"} 1"},
        {0, "absent(sum(nope{a=\"1\"}))", "{} 1"},
        {0, "absent((nope{a=\"1\"}))", "{a=\"1\"} 1"},
        {0, "sort(up)",
         "up{instance=\"b:81\", job=\"web\"} 0; up{instance=\"a:80\", job=\"api\"} 1"},
    };
    expect_rows(MINUTE, services, rows, ROWS(rows));
}

static void test_histograms(void **state)
{
    (void)state;
    static const char *const series[] = {
        "h_bucket{le=\"0.1\",x=\"1\"} 10",  "h_bucket{le=\"0.2\",x=\"1\"} 30",
        "h_bucket{le=\"+Inf\",x=\"1\"} 40", "h_bucket{le=\"0.1\",x=\"2\"} 0",
        "h_bucket{le=\"+Inf\",x=\"2\"} 0",  "h_bucket{le=\"1\",x=\"3\"} 5",
        "h_bucket{le=\"bad\",x=\"1\"} 5",   "h_bucket{x=\"1\"} 5",
        "down_bucket{le=\"1\"} 5",          "down_bucket{le=\"2\"} 4",
        "down_bucket{le=\"+Inf\"} 10",      "twice_bucket{le=\"1\"} 2",
        "twice_bucket{le=\"1.0\"} 2",       "twice_bucket{le=\"+Inf\"} 8",
        "minus_bucket{le=\"-1\"} 3",        "minus_bucket{le=\"+Inf\"} 4",
        "only_bucket{le=\"+Inf\"} 4",       NULL,
    };
    static const struct result_row rows[] = {
        {0, "histogram_quantile(0.5, h_bucket)",
         "{x=\"1\"} 0.15000000000000002; {x=\"2\"} NaN; {x=\"3\"} NaN"},
        {0, "histogram_quantile(0.9, h_bucket{x=\"1\"})", "{x=\"1\"} 0.2"},
        {0, "histogram_quantile(0.125, h_bucket{x=\"1\"})", "{x=\"1\"} 0.05"},
        {0, "histogram_quantile(0, h_bucket{x=\"1\"})", "{x=\"1\"} 0"},
        {0, "histogram_quantile(-1, h_bucket{x=\"1\"})", "{x=\"1\"} -Inf"},
        {0, "histogram_quantile(2, h_bucket{x=\"1\"})", "{x=\"1\"} +Inf"},
        {0, "histogram_quantile(NaN, h_bucket{x=\"1\"})", "{x=\"1\"} NaN"},
        {0, "histogram_quantile(0.5, sum by (le) (h_bucket{x=\"1\"}))", "{} 0.15000000000000002"},
        /* Counts that fall are lifted: 5, 5, 10. */
        {0, "histogram_quantile(0.5, down_bucket)", "{} 1"},
        {0, "histogram_quantile(0.6, down_bucket)", "{} 2"},
        {0, "histogram_quantile(0.25, twice_bucket)", "{} 0.5"},
        {0, "histogram_quantile(0.5, minus_bucket)", "{} -1"},
        {0, "histogram_quantile(0.5, only_bucket)", "{} NaN"},
        /* 10 below 0.1, 20 more below 0.2 */
        {0, "histogram_fraction(0, 0.1, h_bucket{x=\"1\"})", "{x=\"1\"} 0.25"},
        {0, "histogram_fraction(0.05, 0.15, h_bucket{x=\"1\"})", "{x=\"1\"} 0.3749999999999999"},
        {0, "histogram_fraction(-1, +Inf, h_bucket{x=\"1\"})", "{x=\"1\"} 1"},
        {0, "histogram_fraction(1, 0, h_bucket{x=\"1\"})", "{x=\"1\"} 0"},
        {0, "histogram_fraction(NaN, 0, h_bucket{x=\"1\"})", "{x=\"1\"} NaN"},
        {0, "histogram_fraction(0, 1, h_bucket{x=~\"2|3\"})", "{x=\"2\"} NaN; {x=\"3\"} NaN"},
        {0, "histogram_fraction(-5, -1, minus_bucket)", "{} 0"},
        {0, "histogram_fraction(-1, 7, minus_bucket)", "{} 0"},
        {0, "histogram_quantile(0.5, {__name__=~\"(down|twice)_bucket\"})",
         "1:1: vector cannot contain metrics with the same labelset"},
    };
    expect_rows(MINUTE, series, rows, ROWS(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_histograms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
