/* Numbers and durations: Go's forms, read and written, with what Go refuses. */
#include "agent/rules/number.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <math.h>

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        double value;
    } rows[] = {
        {"0", 0, 0},
        {"10", 0, 10},
        {"010", 0, 8},
        {"08", 0, 8},
        {"0o17", 0, 15},
        {"0b11", 0, 3},
        {"0x1F", 0, 31},
        {"0x_1f", 0, 31},
        {"1_000", 0, 1000},
        {"0_1", 0, 1},
        {"1_0.5", 0, 10.5},
        {"1_000e3", 0, 1e6},
        {".5", 0, 0.5},
        {"5.", 0, 5},
        {"1e-3", 0, 0.001},
        {"1e-400", 0, 0},
        {"9223372036854775808", 0, 9223372036854775808.0},
        {"0x1p3", 0, 8},
        {"Inf", 0, INFINITY},
        {"iNF", 0, INFINITY},
        {"", TLY_E_MALFORMED, 0},
        {"1__0", TLY_E_MALFORMED, 0},
        {"0_", TLY_E_MALFORMED, 0},
        {"1_", TLY_E_MALFORMED, 0},
        {"1e", TLY_E_MALFORMED, 0},
        {"1e_5", TLY_E_MALFORMED, 0},
        {"0x1.8", TLY_E_MALFORMED, 0},
        {"0xFFFFFFFFFFFFFFFF", TLY_E_MALFORMED, 0},
        {"12a", TLY_E_MALFORMED, 0},
        {" 1", TLY_E_MALFORMED, 0},
        {"1e400", -ERANGE, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        double value = -1;
        int rc = tly_number_parse(tly_text_of(rows[i].text), &value);
        if (rc != rows[i].rc || (rc == 0 && value != rows[i].value)) {
            fail_msg("%s: %d, %.17g", rows[i].text, rc, value);
        }
    }
    double nan_value = 0;
    assert_int_equal(tly_number_parse(TLY_TEXT("NaN"), &nan_value), 0);
    assert_true(isnan(nan_value));
}

static void test_float(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        double value;
    } rows[] = {
        {"+Inf", 0, INFINITY},
        {"-Inf", 0, -INFINITY},
        {"-0.5", 0, -0.5},
        {"+1e3", 0, 1000},
        {"010", 0, 10},
        {"infinity", 0, INFINITY},
        {"+", TLY_E_MALFORMED, 0},
        {"--1", TLY_E_MALFORMED, 0},
        {"+-1", TLY_E_MALFORMED, 0},
        {"0x10", TLY_E_MALFORMED, 0},
        {"1 ", TLY_E_MALFORMED, 0},
        {"-1e999", -ERANGE, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        double value = -1;
        int rc = tly_float_parse(tly_text_of(rows[i].text), &value);
        if (rc != rows[i].rc || (rc == 0 && value != rows[i].value)) {
            fail_msg("%s: %d, %.17g", rows[i].text, rc, value);
        }
    }
}

static void test_format(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *plain, *general;
    } rows[] = {
        {0, "0", "0"},
        {-0.0, "-0", "-0"},
        {1, "1", "1"},
        {-1.5, "-1.5", "-1.5"},
        {0.1, "0.1", "0.1"},
        {1.0 / 3, "0.3333333333333333", "0.3333333333333333"},
        {100000, "100000", "100000"},
        {1e6, "1000000", "1e+06"},
        {1234567, "1234567", "1.234567e+06"},
        {123456789012345680000.0, "123456789012345680000", "1.2345678901234568e+20"},
        {0.0001, "0.0001", "0.0001"},
        {0.00001, "0.00001", "1e-05"},
        {-1.5e-7, "-0.00000015", "-1.5e-07"},
        {12.25, "12.25", "12.25"},
        {INFINITY, "+Inf", "+Inf"},
        {-INFINITY, "-Inf", "-Inf"},
        {NAN, "NaN", "NaN"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char text[TLY_NUMBER_TEXT_MAX];
        size_t len = tly_number_format(rows[i].value, text);
        assert_int_equal(len, strlen(text));
        assert_string_equal(text, rows[i].plain);
        len = tly_number_format_general(rows[i].value, text);
        assert_int_equal(len, strlen(text));
        assert_string_equal(text, rows[i].general);
    }
    char text[TLY_NUMBER_TEXT_MAX];
    assert_int_equal(tly_number_format(-5e-324, text), 327);
    assert_int_equal(tly_number_format(1.7976931348623157e308, text), 309);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        int64_t ms;
        const char *printed;
    } rows[] = {
        {"5m", 0, 300000, "5m"},
        {"1h30m", 0, 5400000, "1h30m"},
        {"90m", 0, 5400000, "1h30m"},
        {"0", 0, 0, "0s"},
        {"0s", 0, 0, "0s"},
        {"10ms", 0, 10, "10ms"},
        {"1s500ms", 0, 1500, "1s500ms"},
        {"1y2w3d4h5m6s7ms", 0, 33019506007, "382d4h5m6s7ms"},
        {"14d", 0, 1209600000, "2w"},
        {"365d", 0, 31536000000, "1y"},
        {"", TLY_E_MALFORMED, 0, NULL},
        {"5", TLY_E_MALFORMED, 0, NULL},
        {"m", TLY_E_MALFORMED, 0, NULL},
        {"5x", TLY_E_MALFORMED, 0, NULL},
        {"1m1h", TLY_E_MALFORMED, 0, NULL},
        {"1m1m", TLY_E_MALFORMED, 0, NULL},
        {"-5m", TLY_E_MALFORMED, 0, NULL},
        {"293y", -ERANGE, 0, NULL},
        {"99999999999999999999s", -ERANGE, 0, NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t ms = -1;
        int rc = tly_duration_parse(tly_text_of(rows[i].text), &ms);
        if (rc != rows[i].rc || (rc == 0 && ms != rows[i].ms)) {
            fail_msg("%s: %d, %lld", rows[i].text, rc, (long long)ms);
        }
        if (rc == 0) {
            char text[TLY_DURATION_TEXT_MAX];
            assert_int_equal(tly_duration_format(ms, text), strlen(rows[i].printed));
            assert_string_equal(text, rows[i].printed);
        }
    }
}

static void test_stale(void **state)
{
    (void)state;
    assert_true(tly_is_stale(tly_stale_nan()));
    assert_true(isnan(tly_stale_nan()));
    assert_false(tly_is_stale(NAN));
    assert_false(tly_is_stale(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),  cmocka_unit_test(test_float),
        cmocka_unit_test(test_format), cmocka_unit_test(test_durations),
        cmocka_unit_test(test_stale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
