/*
 * Scalars: every form that a person may write, beside those that only look like one; and the way
 * back from a number to its text.
 */
#include "agent/config/scalar.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <inttypes.h>

static void test_bool(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int expected; /* 0, 1, or an error */
    } rows[] = {
        {"true", 1},
        {"True", 1},
        {"YES", 1},
        {"on", 1},
        {"false", 0},
        {"no", 0},
        {"Off", 0},
        {"", TLY_E_MALFORMED},
        {"1", TLY_E_MALFORMED},
        {"truee", TLY_E_MALFORMED},
        {"tru", TLY_E_MALFORMED},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        bool value = false;
        int rc = tly_scalar_bool(tly_text_of(rows[i].text), &value);
        assert_int_equal(rc < 0 ? rc : value, rows[i].expected);
    }
}

struct number_row {
    const char *text;
    int rc;
    int64_t expected;
};

static void test_size(void **state)
{
    (void)state;
    static const struct number_row rows[] = {
        {"0", 0, 0},
        {"512", 0, 512},
        {"512B", 0, 512},
        {"64KiB", 0, 65536},
        {"64Ki", 0, 65536},
        {"10MiB", 0, 10485760},
        {"1GiB", 0, 1073741824},
        {"2TiB", 0, 2199023255552},
        {"1k", 0, 1000},
        {"1kB", 0, 1000},
        {"3M", 0, 3000000},
        {"1G", 0, 1000000000},
        {"9223372036854775807", 0, INT64_MAX},
        {"9223372036854775808", -ERANGE, 0},
        {"9999999TiB", -ERANGE, 0},
        {"", TLY_E_MALFORMED, 0},
        {"KiB", TLY_E_MALFORMED, 0},
        {"-1", TLY_E_MALFORMED, 0},
        {"1.5GiB", TLY_E_MALFORMED, 0},
        {"1K", TLY_E_MALFORMED, 0}, /* 1000 or 1024? */
        {"1m", TLY_E_MALFORMED, 0},
        {"1 KiB", TLY_E_MALFORMED, 0},
        {"1KiBx", TLY_E_MALFORMED, 0},
        {"99999999999999999999x", TLY_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t value = 0;
        assert_int_equal(tly_scalar_size(tly_text_of(rows[i].text), &value), rows[i].rc);
        assert_int_equal(value, rows[i].expected);
    }
}

static void test_duration(void **state)
{
    (void)state;
    static const struct number_row rows[] = {
        {"0", 0, 0},
        {"250ms", 0, 250},
        {"10s", 0, 10000},
        {"5m", 0, 300000},
        {"1h", 0, 3600000},
        {"7d", 0, 604800000},
        {"1w", 0, 604800000},
        {"1h30m", 0, 5400000},
        {"1d2h3m4s5ms", 0, 93784005},
        {"0s", 0, 0},
        {"99999999999w", -ERANGE, 0},
        {"99999999999999999999s", -ERANGE, 0},
        {"", TLY_E_MALFORMED, 0},
        {"10", TLY_E_MALFORMED, 0},
        {"s", TLY_E_MALFORMED, 0},
        {"-1s", TLY_E_MALFORMED, 0},
        {"1.5s", TLY_E_MALFORMED, 0},
        {"1s30", TLY_E_MALFORMED, 0},
        {"30m1h", TLY_E_MALFORMED, 0},
        {"1m1m", TLY_E_MALFORMED, 0},
        {"1 s", TLY_E_MALFORMED, 0},
        {"1y", TLY_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t value = 0;
        assert_int_equal(tly_scalar_duration(tly_text_of(rows[i].text), &value), rows[i].rc);
        assert_int_equal(value, rows[i].expected);
    }
}

static void test_format(void **state)
{
    (void)state;
    static const struct {
        enum tly_option_type type;
        int64_t value;
        const char *expected;
    } rows[] = {
        {TLY_OPTION_SIZE, 0, "0"},
        {TLY_OPTION_SIZE, 512, "512"},
        {TLY_OPTION_SIZE, 1000, "1kB"},
        {TLY_OPTION_SIZE, 65536, "64KiB"},
        {TLY_OPTION_SIZE, 1048577, "1048577"},
        {TLY_OPTION_SIZE, 8388608, "8MiB"},
        {TLY_OPTION_DURATION, 0, "0"},
        {TLY_OPTION_DURATION, 250, "250ms"},
        {TLY_OPTION_DURATION, 90000, "1m30s"},
        {TLY_OPTION_DURATION, 604800000, "7d"},
        {TLY_OPTION_DURATION, INT64_MAX, "106751991167d7h12m55s807ms"},
        {TLY_OPTION_INT, -5, "-5"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char text[TLY_SCALAR_TEXT_MAX];
        tly_option_number_format(rows[i].type, rows[i].value, text);
        assert_string_equal(text, rows[i].expected);
    }
}

/* What is written is read again as the same number. */
static void test_round_trip(void **state)
{
    (void)state;
    for (int64_t value = 1; value < INT64_MAX / 7; value = value * 7 + 13) {
        char text[TLY_SCALAR_TEXT_MAX];
        int64_t again = 0;
        tly_size_format(value, text);
        assert_int_equal(tly_scalar_size(tly_text_of(text), &again), 0);
        assert_int_equal(again, value);
        tly_option_duration_format(value, text);
        assert_int_equal(tly_scalar_duration(tly_text_of(text), &again), 0);
        assert_int_equal(again, value);
    }
}

static void test_expand(void **state)
{
    (void)state;
    assert_int_equal(setenv("TLY_TEST_SET", "a$b{c}", 1), 0);
    assert_int_equal(setenv("TLY_TEST_EMPTY", "", 1), 0);
    assert_int_equal(unsetenv("TLY_TEST_UNSET"), 0);
    static const struct {
        const char *text;
        const char *expected; /* NULL: refused */
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"${TLY_TEST_SET}", "a$b{c}"}, /* what comes from outside is not looked at again */
        {"x${TLY_TEST_SET}y", "xa$b{c}y"},
        {"${TLY_TEST_EMPTY}", ""},
        {"${TLY_TEST_EMPTY:-d}", "d"},
        {"${TLY_TEST_UNSET:-d e:-f}", "d e:-f"},
        {"${TLY_TEST_UNSET:-}", ""},
        {"$$", "$"},
        {"$${TLY_TEST_SET}", "${TLY_TEST_SET}"},
        {"$$$$", "$$"},
        {"a$b", "a$b"},
        {"5$", "5$"},
        {"${TLY_TEST_UNSET}", NULL},
        {"${", NULL},
        {"${}", NULL},
        {"${:-x}", NULL},
        {"${1A}", NULL},
        {"${A-b}", NULL},
        {"${A:?b}", NULL},
        {"${A B}", NULL},
        {"${A:-${B}}", NULL},
        {"ok ${TLY_TEST_SET", NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_buf buf;
        tly_buf_init(&buf, 1000);
        struct tly_error err = {0};
        int rc = tly_expand(tly_text_of(rows[i].text), &buf, &err);
        if (rows[i].expected) {
            assert_int_equal(rc, 0);
            assert_true(tly_text_equal(tly_buf_text(&buf), tly_text_of(rows[i].expected)));
        } else {
            assert_int_equal(rc, TLY_E_MALFORMED);
            assert_true(err.text[0] != '\0');
        }
        tly_buf_done(&buf);
    }
}

static void test_expand_limit(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, 4);
    struct tly_error err = {0};
    assert_int_equal(tly_expand(TLY_TEXT("12345"), &buf, &err), TLY_E_LIMIT);
    assert_non_null(strstr(err.text, "too long"));
    tly_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bool),         cmocka_unit_test(test_size),
        cmocka_unit_test(test_duration),     cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_expand),
        cmocka_unit_test(test_expand_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
