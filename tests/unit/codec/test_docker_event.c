/*
 * Engine events: recorded from Docker 20.10 and Podman 4.3, hand-made for the oldest and the newest
 * API, and malformed.
 */
#include "agent/codec/docker_event.h"

#include "agent/base/buf.h"
#include "agent/base/file.h"
#include "agent/codec/json_split.h"
#include "tests/unit/unit.h"

#include <fcntl.h>

#define EVENTS_MAX ((size_t)1 << 20)

/* Notes "type action[=detail]" of each event of container `id`, separated by blanks. */
struct notes {
    struct tly_buf text;
    const char *skip; /* events whose action begins like this are left out */
};

static int note(void *arg, struct tly_text json)
{
    struct notes *notes = arg;
    struct tly_docker_event event;
    assert_int_equal(tly_docker_event_parse(json, &event, NULL), 0);
    assert_true(event.time_ns > 0);
    if (tly_text_equal(event.type, TLY_TEXT("container"))) {
        assert_true(event.name.len > 0 && event.image.len > 0 && event.id.len == 64);
        if (!tly_text_starts(event.action, tly_text_of(notes->skip))) {
            assert_int_equal(tly_buf_append_text(&notes->text, event.action), 0);
            assert_int_equal(tly_buf_printf(&notes->text, event.detail.len > 0 ? "=%.*s " : "%.*s ",
                                            (int)event.detail.len,
                                            event.detail.at ? event.detail.at : ""),
                             0);
        }
    }
    tly_docker_event_done(&event);
    return 0;
}

static void expect_actions(const char *fixture, const char *skip, const char *expected)
{
    struct tly_buf buf;
    struct notes notes = {.skip = skip};
    struct tly_json_split split;
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/docker/%s", TLY_FIXTURES, fixture);
    tly_buf_init(&buf, EVENTS_MAX);
    tly_buf_init(&notes.text, EVENTS_MAX);
    assert_int_equal(tly_file_read(AT_FDCWD, path, &buf), 0);
    tly_json_split_init(&split, TLY_JSON_VALUES, EVENTS_MAX);
    assert_int_equal(tly_json_split_feed(&split, tly_buf_text(&buf), note, &notes), 0);
    assert_int_equal(split.malformed, 0);
    expect_text(tly_buf_text(&notes.text), expected);
    tly_json_split_done(&split);
    tly_buf_done(&notes.text);
    tly_buf_done(&buf);
}

static void test_recorded(void **state)
{
    (void)state;
    expect_actions("events-1.41.json", "exec_",
                   "create start create attach start die health_status=unhealthy pause unpause "
                   "update kill kill die stop start restart kill kill die stop destroy ");
}

static void test_oldest_and_newest(void **state)
{
    (void)state;
    static const char expected[] = "create start exec_create=sh -c \"echo $PASSWORD\" "
                                   "health_status=healthy oom die rename destroy ";
    expect_actions("events-1.24.json", "-", expected);
    expect_actions("events-1.52.json", "-", expected);
}

static void test_podman_speaks_docker(void **state)
{
    (void)state;
    expect_actions("events-podman-4.3.json", "-",
                   "create init start create init start attach die cleanup health_status=starting "
                   "exec_die exec_start exec_die exec_die health_status=unhealthy exec_die "
                   "exec_start exec_die rename pause unpause stop die cleanup cleanup destroy "
                   "destroy ");
}

#define EVENT(type, action, rest) "{\"Type\":\"" type "\",\"Action\":\"" action "\"" rest "}"

static void test_fields(void **state)
{
    (void)state;
    static const struct {
        const char *json, *type, *action, *detail;
        int64_t time_ns;
    } rows[] = {
        {EVENT("container", "die", ",\"time\":5"), "container", "die", "", 5000000000},
        {EVENT("container", "die", ",\"time\":5,\"timeNano\":5000000007"), "container", "die", "",
         5000000007},
        {EVENT("container", "die", ",\"timeNano\":\"7\""), "container", "die", "", 0},
        {EVENT("container", "die", ",\"timeNano\":-7"), "container", "die", "", 0},
        {EVENT("container", "exec_start: a: b", ""), "container", "exec_start", "a: b", 0},
        {EVENT("container", "exec_start:", ""), "container", "exec_start", "", 0},
        {EVENT("container", "exec_start: ", ""), "container", "exec_start", "", 0},
        {EVENT("container", "health_status", ",\"HealthStatus\":\"healthy\""), "container",
         "health_status", "healthy", 0},
        {EVENT("container", "health_status: healthy", ",\"HealthStatus\":\"x\""), "container",
         "health_status", "healthy", 0},
        {EVENT("container", "start", ",\"HealthStatus\":\"x\""), "container", "start", "", 0},
        {EVENT("container", "remove", ""), "container", "destroy", "", 0},
        {EVENT("network", "remove", ""), "network", "remove", "", 0},
        {EVENT("container", "died", ""), "container", "die", "", 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_docker_event event;
        assert_int_equal(tly_docker_event_parse(tly_text_of(rows[i].json), &event, NULL), 0);
        expect_text(event.type, rows[i].type);
        expect_text(event.action, rows[i].action);
        expect_text(event.detail, rows[i].detail);
        assert_int_equal(event.time_ns, rows[i].time_ns);
        tly_docker_event_done(&event);
    }
}

static void test_attributes(void **state)
{
    (void)state;
    static const char json[] =
        "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"ab\",\"Attributes\":{"
        "\"name\":\"n\",\"image\":\"i\",\"number\":7,\"\":\"\",\"exitCode\":\"137\"}},"
        "\"scope\":\"swarm\"}";
    struct tly_docker_event event;
    assert_int_equal(tly_docker_event_parse(TLY_TEXT(json), &event, NULL), 0);
    expect_text(event.id, "ab");
    expect_text(event.name, "n");
    expect_text(event.image, "i");
    expect_text(event.scope, "swarm");
    assert_int_equal(event.attribute_count, 4); /* the one that is no string is left out */
    expect_text(tly_docker_event_attribute(&event, TLY_TEXT("exitCode")), "137");
    assert_null(tly_docker_event_attribute(&event, TLY_TEXT("number")).at);
    assert_non_null(tly_docker_event_attribute(&event, TLY_TEXT("")).at);
    tly_docker_event_done(&event);
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "[]",
        "{}",
        "{\"Type\":\"container\"}",
        "{\"Action\":\"die\"}",
        "{\"Type\":7,\"Action\":\"die\"}",
        EVENT("", "die", ""),
        EVENT("container", "", ""),
        EVENT("container", ": x", ""),
        EVENT("container", ":", ""),
        "{\"status\":\"die\",\"id\":\"ab\"}",
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_docker_event event;
        struct tly_error err = {0};
        assert_int_equal(tly_docker_event_parse(tly_text_of(rows[i]), &event, &err),
                         TLY_E_MALFORMED);
        assert_true(err.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_oldest_and_newest),
        cmocka_unit_test(test_podman_speaks_docker),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
