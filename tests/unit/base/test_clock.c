/*
 * Date-times: rows of what Docker writes and of what it never should, every day of the calendar
 * there and back, and the clocks themselves.
 */
#include "agent/base/clock.h"
#include "tests/unit/unit.h"

#include <time.h>

static void parses_date_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns; /* -1: malformed */
    } rows[] = {
        {"2026-08-23T00:28:30.123456789Z", 1787444910123456789},
        {"2026-08-23T00:28:30Z", 1787444910000000000},
        {"2026-08-23t00:28:30z", 1787444910000000000},
        {"2026-08-23T00:28:30.1Z", 1787444910100000000},
        {"2026-08-23T00:28:30.000000001Z", 1787444910000000001},
        {"2026-08-23T02:28:30.5+02:00", 1787444910500000000},
        {"2026-08-22T18:58:30-05:30", 1787444910000000000},
        {"2026-08-23T00:28:30-00:00", 1787444910000000000},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000000001Z", 1},
        {"1969-12-31T23:00:00-01:00", 0},
        {"2000-02-29T12:00:00Z", 951825600000000000},
        {"2100-02-28T23:59:59Z", 4107542399000000000},
        {"2016-12-31T23:59:60Z", 1483228800000000000},
        {"2016-12-31T23:59:60.25Z", 1483228800250000000},
        {"2017-01-01T05:29:60+05:30", 1483228800000000000},
        {"2261-12-31T23:59:59.999999999Z", 9214646399999999999},
        {"0001-01-01T00:00:00Z", 0},
        {"0001-01-01T00:00:00.000Z", 0},

        {"", -1},
        {"2026-08-23", -1},
        {"2026-08-23T00:28:30", -1},
        {"2026-08-23 00:28:30Z", -1},
        {"2026-08-23T00:28:30.Z", -1},
        {"2026-08-23T00:28:30.1234567890Z", -1},
        {"2026-08-23T00:28:30,5Z", -1},
        {"2026-08-23T00:28:30.5", -1},
        {"2026-08-23T00:28:30.5X", -1},
        {"2026-08-23T00:28:30ZZ", -1},
        {"2026-08-23T00:28:30Z ", -1},
        {" 2026-08-23T00:28:30Z", -1},
        {"2026-08-23T00:28:30+0200", -1},
        {"2026-08-23T00:28:30+02", -1},
        {"2026-08-23T00:28:30+24:00", -1},
        {"2026-08-23T00:28:30+02:60", -1},
        {"2026-00-23T00:28:30Z", -1},
        {"2026-13-23T00:28:30Z", -1},
        {"2026-08-00T00:28:30Z", -1},
        {"2026-08-32T00:28:30Z", -1},
        {"2026-02-29T00:00:00Z", -1},
        {"2100-02-29T00:00:00Z", -1},
        {"2026-04-31T00:00:00Z", -1},
        {"2026-08-23T24:00:00Z", -1},
        {"2026-08-23T00:60:00Z", -1},
        {"2026-08-23T00:28:61Z", -1},
        {"2026-08-23T00:28:60Z", -1},
        {"2026-08-23T23:59:60+01:00", -1},
        {"-026-08-23T00:28:30Z", -1},
        {"2026-8-023T00:28:30Z", -1},
        {"1969-12-31T23:59:59Z", -1},
        {"1970-01-01T00:00:00+00:01", -1},
        {"2262-01-01T00:00:00Z", -1},
        {"2261-12-31T23:59:59-00:01", -1},
        {"9999-12-31T23:59:59Z", -1},
        {"0000-00-00T00:00:00Z", -1},
        {"0000-01-01T00:00:00Z", -1},
        {"0001-01-01T00:00:01Z", -1},
        {"0001-01-01T00:00:00+01:00", -1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t ns = -1;
        int rc = tly_time_parse(tly_text_of(rows[i].text), &ns);
        if (rc != (rows[i].ns < 0 ? TLY_E_MALFORMED : 0) || ns != rows[i].ns) {
            fail_msg("\"%s\" gave %d, %lld", rows[i].text, rc, (long long)ns);
        }
    }
}

static void reads_no_byte_beyond_the_text(void **state)
{
    (void)state;
    const char whole[] = "2026-08-23T00:28:30.123456789+02:00";
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        char *cut = malloc(len > 0 ? len : 1);
        assert_non_null(cut);
        memcpy(cut, whole, len);
        int64_t ns;
        assert_int_equal(tly_time_parse((struct tly_text){cut, len}, &ns), TLY_E_MALFORMED);
        free(cut);
    }
}

static void every_day_there_and_back(void **state)
{
    (void)state;
    const int64_t day_ns = 86400 * TLY_NS_PER_S;
    for (int64_t day = 0; day * day_ns < 9214646400 * TLY_NS_PER_S; day++) {
        int64_t ns = day * day_ns + day % day_ns;
        char text[TLY_TIME_TEXT_MAX];
        tly_time_format(ns, text);
        int64_t again;
        assert_int_equal(tly_time_parse(tly_text_of(text), &again), 0);
        assert_int_equal(again, ns);
    }
}

static void formats_times(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {1787444910123456789, "2026-08-23T00:28:30.123456789Z"},
        {0, "1970-01-01T00:00:00.000000000Z"},
        {1, "1970-01-01T00:00:00.000000001Z"},
        {-1, "1969-12-31T23:59:59.999999999Z"},
        {-1000000000, "1969-12-31T23:59:59.000000000Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145224192Z"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char text[TLY_TIME_TEXT_MAX];
        tly_time_format(rows[i].ns, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void the_clocks_run(void **state)
{
    (void)state;
    int64_t before = tly_clock_monotonic_ns();
    int64_t after = tly_clock_monotonic_ns();
    assert_true(after >= before && before > 0);
    /* The clock of time(2) ticks coarsely, so one second either way. */
    int64_t seconds = tly_clock_realtime_ns() / TLY_NS_PER_S;
    assert_in_range(seconds - (int64_t)time(NULL) + 1, 0, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_date_times),        cmocka_unit_test(reads_no_byte_beyond_the_text),
        cmocka_unit_test(every_day_there_and_back), cmocka_unit_test(formats_times),
        cmocka_unit_test(the_clocks_run),
    };
    return cmocka_run_group_tests_name("base:clock", tests, NULL, NULL);
}
