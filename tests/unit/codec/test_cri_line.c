/*
 * Lines of container runtimes: whole, in pieces, with tags to come, and what is none. And the clock
 * that all lines share.
 */
#include "agent/codec/cri_line.h"

#include "agent/base/clock.h"
#include "tests/unit/unit.h"

#define TIME    "2026-08-23T00:28:30.123456789Z"
#define TIME_NS 1787444910123456789LL

static void reads_lines(void **state)
{
    static const struct {
        struct tly_text line;
        const char *text; /* NULL: malformed */
        const char *stream;
        bool whole;
        int64_t time_ns;
    } rows[] = {
        {TLY_TEXT(TIME " stdout F hello"), "hello", "stdout", true, TIME_NS},
        {TLY_TEXT(TIME " stderr P a piece "), "a piece ", "stderr", false, TIME_NS},
        {TLY_TEXT(TIME " stdout F "), "", "stdout", true, TIME_NS},
        {TLY_TEXT(TIME " stdout F"), "", "stdout", true, TIME_NS},
        {TLY_TEXT(TIME " stdout P"), "", "stdout", false, TIME_NS},
        {TLY_TEXT(TIME " stdout F  two blanks"), " two blanks", "stdout", true, TIME_NS},
        {TLY_TEXT(TIME " stdout F:more:tags x y"), "x y", "stdout", true, TIME_NS},
        {TLY_TEXT(TIME " stdout P:t"), "", "stdout", false, TIME_NS},
        {TLY_TEXT("2026-08-23T02:28:30.123456789+02:00 stdout F x"), "x", "stdout", true, TIME_NS},
        {TLY_TEXT("2026-08-22T19:28:30.1-05:00 stdout F x"), "x", "stdout", true,
         TIME_NS - 23456789},
        {TLY_TEXT("2026-08-23T00:28:30Z stdout F x"), "x", "stdout", true, TIME_NS - 123456789},
        {TLY_TEXT(TIME " stdout F \xff\x80\x01"), "\xff\x80\x01", "stdout", true, TIME_NS},
        {TLY_TEXT(""), NULL, NULL, false, 0},
        {TLY_TEXT(" "), NULL, NULL, false, 0},
        {TLY_TEXT(TIME), NULL, NULL, false, 0},
        {TLY_TEXT(TIME " stdout"), NULL, NULL, false, 0},
        {TLY_TEXT(TIME " stdout "), NULL, NULL, false, 0},
        {TLY_TEXT(TIME " stdin F x"), NULL, NULL, false, 0},
        {TLY_TEXT(TIME " stdoutF x"), NULL, NULL, false, 0},
        {TLY_TEXT(TIME " stdout X x"), NULL, NULL, false, 0},
        {TLY_TEXT(TIME " stdout Fx"), NULL, NULL, false, 0},
        {TLY_TEXT(TIME " stdout FULL x"), NULL, NULL, false, 0},
        {TLY_TEXT(TIME "  stdout F x"), NULL, NULL, false, 0},
        {TLY_TEXT("yesterday stdout F x"), NULL, NULL, false, 0},
        {TLY_TEXT("2026-08-23T00:28:30.Z stdout F x"), NULL, NULL, false, 0},
        {TLY_TEXT("2026-08-23T00:28:30.1234567890Z stdout F x"), NULL, NULL, false, 0},
        {TLY_TEXT("2026-08-23T00:28:30.1 stdout F x"), NULL, NULL, false, 0},
        {TLY_TEXT("{\"log\":\"x\\n\",\"stream\":\"stdout\"}"), NULL, NULL, false, 0},
    };
    (void)state;
    struct tly_line_clock kept = {.zone_len = 0};
    for (size_t i = 0; i < 2 * ROWS(rows); i++) {
        size_t at = i % ROWS(rows);
        struct tly_line_clock fresh = {.zone_len = 0};
        struct tly_cri_line line;
        /* The second time, as a line among others of its second. */
        int rc = tly_cri_line_parse(rows[at].line, i < ROWS(rows) ? &fresh : &kept, &line);
        if (!rows[at].text) {
            assert_int_equal(rc, TLY_E_MALFORMED);
            continue;
        }
        assert_int_equal(rc, 0);
        assert_true(tly_text_equal(line.text, tly_text_of(rows[at].text)));
        assert_true(tly_text_equal(line.stream, tly_text_of(rows[at].stream)));
        assert_int_equal(line.whole, rows[at].whole);
        assert_int_equal(line.time_ns, rows[at].time_ns);
    }
}

/* Whatever came before, a time means the same. */
static void a_clock_says_what_a_parser_says(void **state)
{
    static const char *const times[] = {
        "2026-08-23T00:28:30.123456789Z",
        "2026-08-23T00:28:30Z",
        "2026-08-23T00:28:30.5+02:00",
        "2026-08-23T00:28:30+02:00",
        "2026-08-23T00:28:30.05Z",
        "2026-08-23T00:28:30.Z",
        "2026-08-23T00:28:30.+02:00",
        "2026-08-23T00:28:30.5-02:0",
        "2026-08-23T00:28:31.999Z",
        "2026-08-23T00:28:30.98765432Z",
        "2026-08-23T00:28:30.987654321-11:30",
        "2026-08-23T00:28:30.1234567890Z",
        "2026-08-23T00:28:30.1234:6789Z",
        "2026-08-23T00:28:30.12345678:Z",
        "2026-08-23T00:28:30./23456789Z",
        "0001-01-01T00:00:00Z",
        "2026-08-23T00:28:30",
        "2026-08-23T00:28:30.5",
        "2026-08-23T00:28:30.5Zx",
        "2026-08-23T00:28:30z",
    };
    (void)state;
    for (size_t i = 0; i < ROWS(times) * ROWS(times); i++) {
        struct tly_line_clock clock = {.zone_len = 0};
        int64_t first = 0;
        int64_t second = 0;
        int64_t expected = 0;
        int rc = tly_line_clock_parse(&clock, tly_text_of(times[i / ROWS(times)]), &first);
        assert_true(rc <= 0);
        struct tly_text text = tly_text_of(times[i % ROWS(times)]);
        rc = tly_time_parse(text, &expected);
        assert_int_equal(tly_line_clock_parse(&clock, text, &second), rc);
        assert_int_equal(second, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_lines),
        cmocka_unit_test(a_clock_says_what_a_parser_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
