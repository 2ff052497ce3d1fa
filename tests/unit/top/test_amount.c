/*
 * Amounts: the same text as the status page's for the same number.
 */
#include "agent/top/amount.h"
#include "tests/unit/unit.h"

struct row {
    double number;
    const char *text;
};

static void check_rows(struct tly_amount (*write)(double), const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tly_amount amount = write(rows[i].number);
        expect_text(tly_text_of(amount.text), rows[i].text);
    }
}

static void test_bytes(void **state)
{
    const struct row rows[] = {
        {NAN, "\u2013"},
        {0, "0 B"},
        {1, "1 B"},
        {999, "999 B"},
        {1000, "0.98 KiB"},
        {1024, "1.00 KiB"},
        {1179648, "1.13 MiB"},
        {104857600, "100 MiB"},
        {1047527424, "999 MiB"},
        {1048576000, "0.98 GiB"},
        {33567350784, "31.3 GiB"},
        {1e15, "909 TiB"},
        {1e20, "88818 PiB"},
        {102345678, "97.6 MiB"},
    };
    (void)state;
    check_rows(tly_amount_bytes, rows, ROWS(rows));
}

static void test_rate(void **state)
{
    const struct row rows[] = {{NAN, "\u2013"}, {0, "0"}, {912, "912 B/s"}, {2048, "2.00 KiB/s"}};
    (void)state;
    check_rows(tly_amount_rate, rows, ROWS(rows));
}

static void test_percent(void **state)
{
    const struct row rows[] = {
        {NAN, "\u2013"},  {0, "0 %"},      {0.0004, "0.0 %"}, {0.0021, "0.2 %"}, {0.0994, "9.9 %"},
        {0.0996, "10 %"}, {0.125, "13 %"}, {0.0115, "1.1 %"}, {1, "100 %"},      {32, "3200 %"},
    };
    (void)state;
    check_rows(tly_amount_percent, rows, ROWS(rows));
}

static void test_cpus(void **state)
{
    const struct row rows[] = {
        {NAN, "\u2013"}, {1, "1 CPU"}, {0.1, "0.1 CPUs"}, {1.999, "2 CPUs"}, {1.5, "1.5 CPUs"}};
    (void)state;
    check_rows(tly_amount_cpus, rows, ROWS(rows));
}

static void test_count(void **state)
{
    const struct row rows[] = {
        {NAN, "\u2013"},        {0, "0"},          {999, "999"},         {1000, "1,000"},
        {1234567, "1,234,567"}, {-1000, "-1,000"}, {INFINITY, "\u2013"}, {1e300, "\u2013"},
    };
    (void)state;
    check_rows(tly_amount_count, rows, ROWS(rows));
    expect_text(tly_text_of(tly_amount_many(1, "alert").text), "1 alert");
    expect_text(tly_text_of(tly_amount_many(2000, "alert").text), "2,000 alerts");
    expect_text(tly_text_of(tly_amount_many(NAN, "alert").text), "\u2013");
}

static void test_span(void **state)
{
    const struct row rows[] = {
        {NAN, "\u2013"},     {-5, "0 s"},         {0, "0 s"},       {0.2, "< 1 s"},
        {1, "1 s"},          {59.9, "59 s"},      {60, "1 min"},    {75.5, "1 min 15 s"},
        {179, "2 min 59 s"}, {180, "3 min"},      {3600, "1 h"},    {3700, "1 h 1 min"},
        {86400, "1 d"},      {100000, "1 d 3 h"}, {864000, "10 d"},
    };
    (void)state;
    check_rows(tly_amount_span, rows, ROWS(rows));
    expect_text(tly_text_of(tly_amount_ago(1).text), "just now");
    expect_text(tly_text_of(tly_amount_ago(61).text), "1 min 1 s ago");
}

/* Whatever the number, the text ends in its room. */
static void test_extremes(void **state)
{
    const double numbers[] = {INFINITY, -INFINITY, 1e308, -1e308, 5e-324, -0.0};
    struct tly_amount (*const writers[])(double) = {
        tly_amount_figures, tly_amount_bytes, tly_amount_rate, tly_amount_percent,
        tly_amount_cpus,    tly_amount_count, tly_amount_span, tly_amount_ago,
    };
    (void)state;
    for (size_t i = 0; i < ROWS(numbers); i++) {
        for (size_t k = 0; k < ROWS(writers); k++) {
            struct tly_amount amount = writers[k](numbers[i]);
            assert_in_range(strnlen(amount.text, sizeof(amount.text)), 1, TLY_AMOUNT_MAX - 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),    cmocka_unit_test(test_rate),
        cmocka_unit_test(test_percent),  cmocka_unit_test(test_cpus),
        cmocka_unit_test(test_count),    cmocka_unit_test(test_span),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
