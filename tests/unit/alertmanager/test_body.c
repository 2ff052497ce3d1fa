/*
 * Messages about alerts: both forms, the labels that are added, hostile texts, no room.
 */
#include "outputs/alertmanager/body.h"
#include "tests/unit/alertmanager/alerts.h"

#include <stdio.h>

static void body_is(struct tly_buf *body, const char *expected)
{
    assert_int_equal(tly_buf_append(body, "", 1), 0);
    assert_string_equal(body->at, expected);
    tly_buf_done(body);
}

static void test_items(void **state)
{
    (void)state;
    static const struct {
        enum tly_alert_state state;
        const char *ends_at;
    } rows[] = {
        {TLY_ALERT_FIRING, "2023-11-14T22:17:20.000000000Z"},
        {TLY_ALERT_INACTIVE, "2023-11-14T22:18:20.000000000Z"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_alert *alert = alert_make("Burns", "web\n\xff", rows[i].state);
        const struct tly_alert_extra none = {0};
        struct tly_buf body;
        char expected[512];
        (void)snprintf(expected, sizeof(expected),
                       "{\"labels\":{\"alertname\":\"Burns\",\"name\":\"web\\n\xef\xbf\xbd\"},"
                       "\"annotations\":{\"summary\":\"it \\\"burns\\\"\"},"
                       "\"startsAt\":\"2023-11-14T22:13:20.123000000Z\",\"endsAt\":\"%s\"}",
                       rows[i].ends_at);
        tly_buf_init(&body, 4096);
        assert_int_equal(tly_alert_body_item(&body, alert, &none), 0);
        body_is(&body, expected);
        tly_alert_unref(alert);
    }
}

/* What the alert says itself counts, then what all alerts get, then what the peer wants; a label
 * without a value is none. */
static void test_added_labels(void **state)
{
    (void)state;
    static const struct tly_alert_pair labels[] = {
        {TLY_TEXT("instance"), TLY_TEXT("host-1")},
        {TLY_TEXT("name"), TLY_TEXT("another")},
        {TLY_TEXT("empty"), TLY_TEXT("")},
        {TLY_TEXT("site"), TLY_TEXT("the peer's own")},
    };
    static const struct tly_alert_pair everywhere[] = {
        {TLY_TEXT("site"), TLY_TEXT("here")},
        {TLY_TEXT("name"), TLY_TEXT("another")},
        {TLY_TEXT("instance"), TLY_TEXT("")},
        {TLY_TEXT("tier"), TLY_TEXT("")},
    };
    const struct tly_alert_extra extra = {{everywhere, 4}, labels, 4};
    struct tly_alert *alert = alert_make("Burns", "web", TLY_ALERT_FIRING);
    struct tly_buf body;
    tly_buf_init(&body, 4096);
    assert_int_equal(tly_alert_body_item(&body, alert, &extra), 0);
    static const struct tly_text wanted = TLY_TEXT(
        "\"name\":\"web\",\"site\":\"here\",\"instance\":\"host-1\"}");
    assert_non_null(memmem(body.at, body.len, wanted.at, wanted.len));
    assert_null(memmem(body.at, body.len, "another", 7));
    assert_null(memmem(body.at, body.len, "empty", 5));
    assert_null(memmem(body.at, body.len, "tier", 4));
    tly_buf_done(&body);
    tly_alert_unref(alert);
}

static void test_webhooks(void **state)
{
    (void)state;
    const struct tly_alert_extra none = {0};
    struct tly_alert *alert = alert_make("Burns", "web", TLY_ALERT_FIRING);
    struct tly_buf body;
    tly_buf_init(&body, 4096);
    assert_int_equal(tly_alert_body_webhook_head(&body, "on \"call\"", true), 0);
    assert_int_equal(tly_alert_body_webhook_item(&body, alert, &none), 0);
    body_is(&body, "{\"version\":\"4\",\"groupKey\":\"{}\",\"truncatedAlerts\":0,"
                   "\"status\":\"firing\",\"receiver\":\"on \\\"call\\\"\",\"groupLabels\":{},"
                   "\"commonLabels\":{},\"commonAnnotations\":{},\"externalURL\":\"\",\"alerts\":["
                   "{\"status\":\"firing\",\"labels\":{\"alertname\":\"Burns\",\"name\":\"web\"},"
                   "\"annotations\":{\"summary\":\"it \\\"burns\\\"\"},"
                   "\"startsAt\":\"2023-11-14T22:13:20.123000000Z\","
                   "\"endsAt\":\"0001-01-01T00:00:00Z\",\"generatorURL\":\"\","
                   "\"fingerprint\":\"e69bf2b954b1ef1f\"}");
    tly_alert_unref(alert);
}

static void test_bounds(void **state)
{
    (void)state;
    const struct tly_alert_extra none = {0};
    struct tly_alert *alert = alert_make("Burns", "web", TLY_ALERT_FIRING);
    for (size_t max = 0; max < 150; max += 7) {
        struct tly_buf body;
        tly_buf_init(&body, max);
        assert_int_equal(tly_alert_body_item(&body, alert, &none), TLY_E_LIMIT);
        tly_buf_done(&body);
    }
    tly_alert_unref(alert);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_added_labels),
        cmocka_unit_test(test_webhooks),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
