/*
 * The log, read back from a socket that keeps each write(2) apart as one message: one line, one
 * write, whatever the text holds.
 */
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/loop/log.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static int reader = -1;
static int real_stderr = -1;

static int catch_stderr(void **state)
{
    (void)state;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
        return -1;
    }
    reader = ends[0];
    real_stderr = dup(STDERR_FILENO);
    int rc = dup2(ends[1], STDERR_FILENO);
    (void)close(ends[1]);
    tly_log_set_level(TLY_LOG_INFO);
    return rc < 0 ? -1 : 0;
}

static int release_stderr(void **state)
{
    (void)state;
    int rc = dup2(real_stderr, STDERR_FILENO);
    tly_fd_close(&real_stderr);
    tly_fd_close(&reader);
    return rc < 0 ? -1 : 0;
}

static char line[8192];

/* The next message without its time, which is checked; empty if there is none. */
static const char *next_line(void)
{
    ssize_t len = read(reader, line, sizeof(line) - 1);
    if (len < 0) {
        assert_int_equal(errno, EAGAIN);
        return "";
    }
    line[len] = '\0';
    assert_int_equal(line[len - 1], '\n');
    assert_null(memchr(line, '\n', (size_t)len - 1));
    line[len - 1] = '\0';
    assert_memory_equal(line, "ts=", 3);
    const size_t time_len = sizeof("2026-08-23T00:28:30.123Z") - 1;
    int64_t ns;
    assert_int_equal(tly_time_parse((struct tly_text){line + 3, time_len}, &ns), 0);
    int64_t age = tly_clock_realtime_ns() - ns;
    assert_true(age >= 0 && age < 60 * TLY_NS_PER_S);
    assert_int_equal(line[3 + time_len], ' ');
    return line + 3 + time_len + 1;
}

static void writes_one_line(void **state)
{
    (void)state;
    tly_log_info("forward", "sent %d chunks to %s", 3, "central");
    tly_log_warn("logs", "lost");
    tly_log_error("docker", "gone");
    assert_string_equal(next_line(), "level=info who=forward msg=\"sent 3 chunks to central\"");
    assert_string_equal(next_line(), "level=warn who=logs msg=\"lost\"");
    assert_string_equal(next_line(), "level=error who=docker msg=\"gone\"");
    assert_string_equal(next_line(), "");
}

static void keeps_to_its_level(void **state)
{
    (void)state;
    tly_log_debug("x", "not said");
    assert_string_equal(next_line(), "");
    tly_log_set_level(TLY_LOG_DEBUG);
    assert_int_equal(tly_log_get_level(), TLY_LOG_DEBUG);
    tly_log_debug("x", "said");
    assert_string_equal(next_line(), "level=debug who=x msg=\"said\"");
    tly_log_set_level(TLY_LOG_ERROR);
    tly_log_warn("x", "not said");
    assert_string_equal(next_line(), "");
}

static void escapes_what_would_break_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *msg;
    } rows[] = {
        {"", "\"\""},
        {"a \"quoted\" word", "\"a \\\"quoted\\\" word\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"two\nlines\r\n\ttab", "\"two\\nlines\\r\\n\\ttab\""},
        {"\x01\x1b[31m\x7f", "\"\\u0001\\u001b[31m\\u007f\""},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xb3",
         "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xb3\""},
        {"bad \xff\xc3 bytes\xe2\x82", "\"bad \\ufffd\\ufffd bytes\\ufffd\\ufffd\""},
        {"key=value", "\"key=value\""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        tly_log_info("x", "%s", rows[i].text);
        char expected[256];
        (void)snprintf(expected, sizeof(expected), "level=info who=x msg=%s", rows[i].msg);
        assert_string_equal(next_line(), expected);
    }
    tly_log_info("output \"a\"=\n", "x");
    assert_string_equal(next_line(), "level=info who=\"output \\\"a\\\"=\\n\" msg=\"x\"");
    tly_log_info("", "x");
    assert_string_equal(next_line(), "level=info who=\"\" msg=\"x\"");
}

static void cuts_at_a_bound(void **state)
{
    (void)state;
    static char text[20000];
    static const struct {
        const char *unit; /* repeated; each grows differently when escaped */
        const char *shown;
    } rows[] = {
        {"x", "x"},
        {"\"", "\\\""},
        {"\x01", "\\u0001"},
        {"\xff", "\\ufffd"},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"\xf0\x9f\x90\xb3", "\xf0\x9f\x90\xb3"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        size_t unit = strlen(rows[i].unit);
        for (size_t shift = 0; shift < 4; shift++) {
            memset(text, 's', shift);
            size_t len = shift;
            while (len + unit < sizeof(text)) {
                memcpy(text + len, rows[i].unit, unit);
                len += unit;
            }
            text[len] = '\0';
            tly_log_info("x", "%s", text);
            const char *got = next_line();
            assert_in_range(strlen(line), 1900, 4095);
            assert_string_equal(got + strlen(got) - 4, "...\"");
            /* Whole units up to the end: the cut goes through no letter and no escape. */
            const char *at = strstr(got, "msg=\"") + 5 + shift;
            size_t shown = strlen(rows[i].shown);
            while (strcmp(at, "...\"") != 0) {
                assert_memory_equal(at, rows[i].shown, shown);
                at += shown;
            }
        }
    }
    tly_log_info(text, "who is bounded too");
    const char *got = next_line();
    assert_true(strlen(got) < 200);
    assert_non_null(strstr(got, "msg=\"who is bounded too\""));
}

static void leaves_errno_alone(void **state)
{
    (void)state;
    errno = EXDEV;
    tly_log_info("x", "%m");
    assert_int_equal(errno, EXDEV);
    assert_string_equal(next_line(), "level=info who=x msg=\"Invalid cross-device link\"");
}

static void holds_back_repeats(void **state)
{
    (void)state;
    const int64_t minute = 60000;
    static const struct {
        int64_t at_s;
        bool pass;
        uint64_t held;
    } rows[] = {
        {1000, true, 0},   {1000, false, 0},  {1059, false, 0}, {1060, true, 2}, /* one minute */
        {1061, false, 0},  {1179, false, 0},  {1180, true, 2},                   /* two */
        {1420, true, 0},                                                         /* four */
        {1900, true, 0},                                                         /* eight */
        {2860, true, 0},                                                         /* sixteen */
        {4780, true, 0},                                                         /* thirty-two */
        {8379, false, 0}, /* an hour from here on */
        {8380, true, 1},   {11979, false, 0}, {11980, true, 1}, {15580, true, 0},
        {22780, true, 0}, /* an hour after it might have been said again: a new story */
        {22839, false, 0}, {22840, true, 1},
    };
    struct tly_log_limit limit = {0};
    for (size_t i = 0; i < ROWS(rows); i++) {
        uint64_t held = 0;
        bool pass = tly_log_limit_pass(&limit, rows[i].at_s * 1000, &held);
        if (pass != rows[i].pass || held != rows[i].held) {
            fail_msg("at %lld s: %d, held %llu", (long long)rows[i].at_s, pass,
                     (unsigned long long)held);
        }
    }
    struct tly_log_limit fresh = {0};
    assert_true(tly_log_limit_pass(&fresh, 0, NULL));
    assert_false(tly_log_limit_pass(&fresh, minute - 1, NULL));
    assert_true(tly_log_limit_pass(&fresh, minute, NULL));

    assert_string_equal(tly_log_held(0).text, "");
    assert_string_equal(tly_log_held(3).text, " (3 like it before)");
    assert_string_equal(tly_log_held(UINT64_MAX).text, " (18446744073709551615 like it before)");
}

int main(void)
{
#define CAUGHT(test) cmocka_unit_test_setup_teardown(test, catch_stderr, release_stderr)
    const struct CMUnitTest tests[] = {
        CAUGHT(writes_one_line),
        CAUGHT(keeps_to_its_level),
        CAUGHT(escapes_what_would_break_the_line),
        CAUGHT(cuts_at_a_bound),
        CAUGHT(leaves_errno_alone),
        cmocka_unit_test(holds_back_repeats),
    };
    return cmocka_run_group_tests_name("loop:log", tests, NULL, NULL);
}
