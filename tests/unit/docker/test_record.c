/*
 * Events as records: read back by the agent's own reader, as JSON.
 */
#include "collectors/docker/record.h"

#include "agent/base/clock.h"
#include "agent/codec/record_json.h"
#include "tests/unit/unit.h"

#define RECORD_MAX 4096
#define NOW_NS     (1787444910 * TLY_NS_PER_S)

static void test_records(void **state)
{
    static const struct {
        const char *event;
        bool commands;
        const char *record;
    } rows[] = {
        {"{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"ab\",\"Attributes\":{"
         "\"exitCode\":\"3\",\"image\":\"busybox\",\"name\":\"web\"}},\"scope\":\"local\","
         "\"timeNano\":1787444910123456789}",
         false,
         "[\"2026-08-23T00:28:30.123456789Z\",{\"type\":\"container\",\"id\":\"ab\","
         "\"name\":\"web\",\"image\":\"busybox\",\"scope\":\"local\",\"action\":\"die\","
         "\"attributes\":{\"exitCode\":\"3\",\"image\":\"busybox\",\"name\":\"web\"}}]"},
        /* What the event has not, the record has not; without a time it is now. */
        {"{\"Type\":\"image\",\"Action\":\"prune\"}", false,
         "[\"2026-08-23T00:28:30.000000000Z\",{\"type\":\"image\",\"action\":\"prune\","
         "\"attributes\":{}}]"},
        /* The command of an exec may hold a password; the word of a health check may not. */
        {"{\"Type\":\"container\",\"Action\":\"exec_create: mysql -psecret: x\"}", false,
         "[\"2026-08-23T00:28:30.000000000Z\",{\"type\":\"container\",\"action\":\"exec_create\","
         "\"attributes\":{}}]"},
        {"{\"Type\":\"container\",\"Action\":\"exec_start: mysql -psecret: x\"}", true,
         "[\"2026-08-23T00:28:30.000000000Z\",{\"type\":\"container\","
         "\"action\":\"exec_start: mysql -psecret: x\",\"attributes\":{}}]"},
        {"{\"Type\":\"container\",\"Action\":\"health_status: unhealthy\"}", false,
         "[\"2026-08-23T00:28:30.000000000Z\",{\"type\":\"container\","
         "\"action\":\"health_status: unhealthy\",\"attributes\":{}}]"},
        /* Podman's words become Docker's. */
        {"{\"Type\":\"container\",\"Action\":\"health_status\",\"HealthStatus\":\"healthy\"}",
         false,
         "[\"2026-08-23T00:28:30.000000000Z\",{\"type\":\"container\","
         "\"action\":\"health_status: healthy\",\"attributes\":{}}]"},
        /* Hostile labels. */
        {"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"ab\",\"Attributes\":{"
         "\"\":\"\",\"a\\\"\\n\":\"\\u0000\\u001b[0m\",\"action\":\"die\"}}}",
         false,
         "[\"2026-08-23T00:28:30.000000000Z\",{\"type\":\"container\",\"id\":\"ab\",\"action\":"
         "\"start\","
         "\"attributes\":{\"\":\"\",\"a\\\"\\n\":\"\\u0000\\u001b[0m\",\"action\":\"die\"}}]"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_docker_event event;
        struct tly_buf record;
        struct tly_buf json;
        tly_buf_init(&record, RECORD_MAX);
        tly_buf_init(&json, RECORD_MAX);
        assert_int_equal(tly_docker_event_parse(tly_text_of(rows[i].event), &event, NULL), 0);
        assert_int_equal(tly_docker_record_write(&record, &event, rows[i].commands, NOW_NS), 0);
        assert_int_equal(
            tly_record_json(&json, tly_buf_text(&record), (struct tly_json_style){false}), 0);
        expect_text(tly_buf_text(&json), rows[i].record);
        tly_docker_event_done(&event);
        tly_buf_done(&record);
        tly_buf_done(&json);
    }
}

/* Whatever the maximum: all of the record, or nothing of it. */
static void test_no_room(void **state)
{
    const char *text = "{\"Type\":\"container\",\"Action\":\"exec_create: sh\",\"Actor\":{"
                       "\"ID\":\"ab\",\"Attributes\":{\"image\":\"busybox\",\"name\":\"web\"}}}";
    struct tly_docker_event event;
    size_t whole = 0;
    (void)state;
    assert_int_equal(tly_docker_event_parse(tly_text_of(text), &event, NULL), 0);
    for (size_t max = 1; whole == 0; max++) {
        struct tly_buf record;
        tly_buf_init(&record, max);
        assert_int_equal(tly_buf_append(&record, "x", 1), 0);
        int rc = tly_docker_record_write(&record, &event, true, NOW_NS);
        if (rc < 0) {
            assert_int_equal(rc, TLY_E_LIMIT);
            expect_text(tly_buf_text(&record), "x");
        } else {
            whole = record.len;
        }
        tly_buf_done(&record);
    }
    assert_true(whole > 80);
    tly_docker_event_done(&event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
