/*
 * Lines of the json-file driver: Docker's own form, other forms of the same, and what is torn.
 */
#include "agent/codec/docker_line.h"

#include "agent/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TIME    "\"time\":\"2026-08-23T00:28:30.123456Z\""
#define TIME_NS 1787444910123456000LL

struct row {
    const char *line;
    const char *log; /* NULL: malformed */
    size_t log_len;  /* where the text has a NUL; 0: its string length */
    const char *stream;
    const char *attrs;
    bool whole;
    int64_t time_ns;
};

static const struct row rows[] = {
    {"{\"log\":\"hello\\n\",\"stream\":\"stdout\"," TIME "}", "hello", 0, "stdout", "", true,
     TIME_NS},
    {"{\"log\":\"a piece\",\"stream\":\"stderr\"," TIME "}", "a piece", 0, "stderr", "", false,
     TIME_NS},
    {"{\"log\":\"\\n\",\"stream\":\"stdout\"," TIME "}", "", 0, "stdout", "", true, TIME_NS},
    {"{\"stream\":\"stdout\"," TIME "}", "", 0, "stdout", "", false, TIME_NS},
    {"{\"log\":\"x\\n\",\"stream\":\"stdout\",\"attrs\":{\"k\":\"v}\\\"\"}," TIME "}", "x", 0,
     "stdout", "{\"k\":\"v}\\\"\"}", true, TIME_NS},
    {"{\"log\":\"x\\n\",\"stream\":\"stdout\",\"attrs\":{}," TIME "}", "x", 0, "stdout", "{}", true,
     TIME_NS},
    {"{\"log\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\n\",\"stream\":\"stdout\"," TIME "}",
     "\"\\/\b\f\n\r\t", 0, "stdout", "", true, TIME_NS},
    {"{\"log\":\"\\u0000\\u0009\\u003c\\u00e9\\u20AC\",\"stream\":\"stdout\"," TIME "}",
     "\0\t<\xc3\xa9\xe2\x82\xac", 8, "stdout", "", false, TIME_NS},
    {"{\"log\":\"\\ud83d\\udc33 \\ud83d \\udc33 \\ud83dx "
     "\\ud83d\\u0041\",\"stream\":\"stdout\"," TIME "}",
     "\xf0\x9f\x90\xb3 \xef\xbf\xbd \xef\xbf\xbd \xef\xbf\xbdx \xef\xbf\xbd"
     "A",
     0, "stdout", "", false, TIME_NS},
    {"{\"log\":\"raw \x01\x7f\xff bytes, longer than sixteen of them, "
     "\xe2\x82\xac\\n\",\"stream\":\"stdout\"," TIME "}",
     "raw \x01\x7f\xff bytes, longer than sixteen of them, \xe2\x82\xac", 0, "stdout", "", true,
     TIME_NS},
    /* other writers */
    {" { " TIME " , \"stream\" : \"stdout\", \"log\" : \"any order\\n\" } ", "any order", 0,
     "stdout", "", true, TIME_NS},
    {"{\"log\":\"x\",\"more\":[1,{\"a\":[true,null,\"]\"]},-2.5e3],\"stream\":\"other\"," TIME "}",
     "x", 0, "other", "", false, TIME_NS},
    {"{\"log\":\"no time\",\"stream\":\"stdout\"}", "no time", 0, "stdout", "", false, 0},
    {"{\"log\":5,\"stream\":[],\"time\":{}}", "", 0, "", "", false, 0},
    {"{}", "", 0, "", "", false, 0},
    {"{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"2026-08-23T02:28:30.123456+02:00\"}", "x", 0,
     "stdout", "", false, TIME_NS},
    {"{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"2026-08-23T00:28:30Z\"}", "x", 0, "stdout",
     "", false, TIME_NS - 123456000},
    /* torn and broken */
    {"", NULL, 0, NULL, NULL, false, 0},
    {"\0\0\0\0", NULL, 0, NULL, NULL, false, 0},
    {"{", NULL, 0, NULL, NULL, false, 0},
    {"{\"log\":\"torn", NULL, 0, NULL, NULL, false, 0},
    {"{\"log\":\"torn\\", NULL, 0, NULL, NULL, false, 0},
    {"{\"log\":\"torn\\u12", NULL, 0, NULL, NULL, false, 0},
    {"{\"log\":\"x\\q\",\"stream\":\"stdout\"," TIME "}", NULL, 0, NULL, NULL, false, 0},
    {"{\"log\":\"x\\u12g4\",\"stream\":\"stdout\"," TIME "}", NULL, 0, NULL, NULL, false, 0},
    {"{\"log\":\"x\",\"stream\":\"stdout\"," TIME, NULL, 0, NULL, NULL, false, 0},
    {"{\"log\":\"x\",\"stream\":\"stdout\"," TIME "}}", NULL, 0, NULL, NULL, false, 0},
    {"{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"yesterday\"}", NULL, 0, NULL, NULL, false, 0},
    {"{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"2026-13-23T00:28:30Z\"}", NULL, 0, NULL, NULL,
     false, 0},
    {"{\"a\":[}]}", NULL, 0, NULL, NULL, false, 0},
    {"{\"a\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}", NULL, 0, NULL, NULL, false, 0},
    {"[\"log\"]", NULL, 0, NULL, NULL, false, 0},
    {"not JSON at all", NULL, 0, NULL, NULL, false, 0},
};

static void check_row(const struct row *row, struct tly_line_clock *clock)
{
    struct tly_text line = tly_text_of(row->line);
    char *to = malloc(line.len + 1); /* exact, so that a sanitizer sees one byte too many */
    assert_non_null(to);
    struct tly_docker_line parsed;
    int rc = tly_docker_line_parse(line, clock, to, &parsed);
    if (row->log == NULL) {
        assert_int_equal(rc, TLY_E_MALFORMED);
    } else {
        assert_int_equal(rc, 0);
        size_t log_len = row->log_len > 0 ? row->log_len : strlen(row->log);
        assert_int_equal(parsed.log_len, log_len);
        assert_memory_equal(to, row->log, log_len);
        assert_true(tly_text_equal(parsed.stream, tly_text_of(row->stream)));
        assert_true(tly_text_equal(parsed.attrs, tly_text_of(row->attrs)));
        assert_int_equal(parsed.whole, row->whole);
        assert_int_equal(parsed.time_ns, row->time_ns);
    }
    free(to);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_line_clock fresh = {0};
        check_row(&rows[i], &fresh);
    }
}

static void test_rows_with_a_clock_that_knows_the_second(void **state)
{
    (void)state;
    struct tly_line_clock clock = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row(&rows[i], &clock);
    }
}

/* Every fraction that Docker writes, on a known and on an unknown second. */
static void test_fractions(void **state)
{
    (void)state;
    static const char *const texts[] = {"", ".1", ".12", ".120000001", ".999999999"};
    static const int64_t fractions_ns[] = {0, 100000000, 120000000, 120000001, 999999999};
    struct tly_line_clock clock = {0};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            char line[160];
            char to[sizeof(line)];
            int len = snprintf(line, sizeof(line),
                               "{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"2026-08-23T00:28:"
                               "30%sZ\"}",
                               texts[i]);
            struct tly_docker_line parsed;
            assert_int_equal(
                tly_docker_line_parse((struct tly_text){line, (size_t)len}, &clock, to, &parsed),
                0);
            assert_int_equal(parsed.time_ns, TIME_NS - 123456000 + fractions_ns[i]);
        }
    }
}

/* A quote or backslash at every place relative to the blocks of 16. */
static void test_escapes_at_every_offset(void **state)
{
    (void)state;
    for (size_t before = 0; before < 40; before++) {
        char line[200];
        char to[sizeof(line)];
        int len = snprintf(line, sizeof(line),
                           "{\"log\":\"%.*s\\\"%.*s\\n\",\"stream\":\"stdout\"," TIME "}",
                           (int)before, "0123456789012345678901234567890123456789",
                           (int)(40 - before), "abcdefghijklmnopqrstuvwxyzabcdefghijklmn");
        struct tly_line_clock clock = {0};
        struct tly_docker_line parsed;
        assert_int_equal(
            tly_docker_line_parse((struct tly_text){line, (size_t)len}, &clock, to, &parsed), 0);
        assert_int_equal(parsed.log_len, 41);
        assert_int_equal(to[before], '"');
        assert_true(parsed.whole);
    }
}

static void member_collect(void *arg, struct tly_text key, struct tly_text value)
{
    struct tly_buf *all = arg;
    assert_int_equal(
        tly_buf_printf(all, "%.*s=%.*s;", (int)key.len, key.at, (int)value.len, value.at), 0);
}

static void test_attrs(void **state)
{
    (void)state;
    static const struct {
        const char *attrs;
        const char *members;
        int rc;
    } cases[] = {
        {"{\"a\":\"1\",\"b\\n\":\"t\\u00e9\"}", "a=1;b\n=t\xc3\xa9;", 0},
        {"{}", "", 0},
        {"{\"n\":5,\"o\":{\"p\":\"q\"},\"s\":\"t\"}", "s=t;", 0},
        {"", "", TLY_E_MALFORMED},
        {"{\"a\":\"1\",", "a=1;", TLY_E_MALFORMED},
        {"{\"a\\q\":\"1\"}", "", TLY_E_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tly_buf all;
        char scratch[100];
        tly_buf_init(&all, 1000);
        assert_int_equal(
            tly_docker_line_attrs(tly_text_of(cases[i].attrs), scratch, member_collect, &all),
            cases[i].rc);
        assert_true(tly_text_equal(tly_buf_text(&all), tly_text_of(cases[i].members)));
        tly_buf_done(&all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_with_a_clock_that_knows_the_second),
        cmocka_unit_test(test_fractions),
        cmocka_unit_test(test_escapes_at_every_offset),
        cmocka_unit_test(test_attrs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
