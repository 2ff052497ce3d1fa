/*
 * The last events: bounded in all and for each container, without noise and without commands.
 */
#include "collectors/docker/recent.h"

#include "agent/base/clock.h"
#include "tests/unit/unit.h"

#include <string.h>

#define NOW_NS (1787444910 * TLY_NS_PER_S)
#define TIME   "{\"time\":\"2026-08-23T00:28:30.000000000Z\","
#define JSON   4096

static struct tly_docker_recent *recent;
static struct tly_buf buf;

static int setup(void **state)
{
    (void)state;
    tly_buf_init(&buf, 8 << 20);
    return tly_docker_recent_new(&recent);
}

static int teardown(void **state)
{
    (void)state;
    tly_docker_recent_free(recent);
    tly_buf_done(&buf);
    return 0;
}

/* `more` are attributes, with a comma before each. */
static void add(const char *type, const char *action, const char *id, const char *more,
                bool health_check, bool commands)
{
    char json[JSON];
    struct tly_docker_event event;
    (void)snprintf(json, sizeof(json),
                   "{\"Type\":\"%s\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\","
                   "\"Attributes\":{\"name\":\"n\"%s}}}",
                   type, action, id, more);
    assert_int_equal(tly_docker_event_parse(tly_text_of(json), &event, NULL), 0);
    tly_docker_recent_add(recent, &event, health_check, commands, NOW_NS);
    tly_docker_event_done(&event);
}

static void expect(const char *container, const char *expected)
{
    tly_buf_clear(&buf);
    assert_int_equal(tly_docker_recent_json(recent, tly_text_of(container), &buf), 0);
    expect_text(tly_buf_text(&buf), expected);
}

static size_t count(const char *container)
{
    size_t found = 0;
    tly_buf_clear(&buf);
    assert_int_equal(tly_docker_recent_json(recent, tly_text_of(container), &buf), 0);
    struct tly_text rest = tly_buf_text(&buf);
    for (const char *at; (at = memmem(rest.at, rest.len, "\"time\"", 6)) != NULL; found++) {
        rest.len -= (size_t)(at + 6 - rest.at);
        rest.at = at + 6;
    }
    return found;
}

static void test_what_is_told(void **state)
{
    (void)state;
    expect("", "{\"events\":[]}\n");
    add("container", "die", "ab12", ",\"exitCode\":\"137\"", false, false);
    add("container", "kill", "cd34", ",\"signal\":\"9\"", false, false);
    add("network", "connect", "ffff", ",\"container\":\"ab12\"", false, false);
    add("image", "pull", "busybox", ",\"container\":\"ab12\"", false, false); /* a label */
    expect("ab", "{\"events\":[\n" TIME "\"type\":\"network\",\"action\":\"connect\",\"id\":"
                 "\"ab12\",\"name\":\"n\"},\n" TIME "\"type\":\"container\",\"action\":\"die\","
                 "\"id\":\"ab12\",\"name\":\"n\",\"exit_code\":\"137\"}]}\n");
    expect("cd34", "{\"events\":[\n" TIME "\"type\":\"container\",\"action\":\"kill\",\"id\":"
                   "\"cd34\",\"name\":\"n\",\"signal\":\"9\"}]}\n");
    assert_int_equal(count(""), 4);
    assert_int_equal(count("nobody"), 0);
}

static void test_noise(void **state)
{
    (void)state;
    add("container", "exec_create: sh -c x", "ab", "", false, false);
    add("container", "exec_start: sh -c x", "ab", "", true, false);
    add("container", "exec_die", "ab", "", false, false);
    add("container", "health_status: healthy", "ab", "", false, false);
    add("container", "health_status: healthy", "ab", "", false, false); /* once more */
    assert_int_equal(count("ab"), 1);
    add("container", "health_status: unhealthy", "ab", "", false, false);
    add("container", "health_status: healthy", "cd", "", false, false);
    add("container", "start", "ab", "", false, false);
    add("container", "health_status: unhealthy", "ab", "", false, false); /* of another run */
    assert_int_equal(count("ab"), 4);
    assert_int_equal(count("cd"), 1);
}

static void test_commands(void **state)
{
    (void)state;
    add("container", "exec_start: mysql -psecret", "ab", "", false, false);
    expect("", "{\"events\":[\n" TIME "\"type\":\"container\",\"action\":\"exec_start\",\"id\":"
               "\"ab\",\"name\":\"n\"}]}\n");
    add("container", "exec_start: mysql -psecret", "cd", "", false, true);
    expect("cd", "{\"events\":[\n" TIME "\"type\":\"container\",\"action\":\"exec_start\",\"id\":"
                 "\"cd\",\"name\":\"n\",\"detail\":\"mysql -psecret\"}]}\n");
}

static void test_bounds(void **state)
{
    (void)state;
    char id[32];
    add("container", "create", "quiet", "", false, false);
    for (int i = 0; i < 3 * TLY_DOCKER_RECENT_MAX; i++) { /* one that restarts and restarts */
        add("container", i % 2 == 0 ? "start" : "die", "loud", "", false, false);
    }
    assert_int_equal(count("loud"), TLY_DOCKER_RECENT_CONTAINER_MAX);
    assert_int_equal(count("quiet"), 1);
    for (int i = 0; i < 2 * TLY_DOCKER_RECENT_MAX; i++) {
        (void)snprintf(id, sizeof(id), "c%d", i);
        add("container", "start", id, "", false, false);
    }
    assert_int_equal(count(""), TLY_DOCKER_RECENT_MAX);
    assert_int_equal(count("quiet"), 0);
    assert_int_equal(count("c2047"), 1);
}

static void test_hostile(void **state)
{
    (void)state;
    char more[JSON / 2];
    int len = snprintf(more, sizeof(more), ",\"exitCode\":\"\\u0000\\n<b>\\\"");
    memset(more + len, 'x', 1000);
    (void)snprintf(more + len + 1000, sizeof(more) - (size_t)len - 1000, "\"");
    add("container", "die", "a\\\"b\\u0000c", more, false, false);
    tly_buf_clear(&buf);
    assert_int_equal(tly_docker_recent_json(recent, TLY_TEXT(""), &buf), 0);
    assert_in_range(buf.len, 1, 1000);
    assert_null(memchr(buf.at, '\0', buf.len));
    struct tly_buf small;
    tly_buf_init(&small, 20);
    assert_int_equal(tly_docker_recent_json(recent, TLY_TEXT(""), &small), TLY_E_LIMIT);
    tly_buf_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_noise, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
