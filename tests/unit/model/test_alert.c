/* Alerts as objects, and the feed that tells of them. */
#include "agent/model/alert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct tly_alert *make(void)
{
    char severity[] = "warning";
    struct tly_alert_pair labels[] = {
        {TLY_TEXT("severity"), tly_text_of(severity)},
        {TLY_TEXT("alertname"), TLY_TEXT("Busy")},
        {TLY_TEXT("id"), TLY_TEXT("/docker/a")},
    };
    struct tly_alert_pair annotations[] = {{TLY_TEXT("summary"), TLY_TEXT("")}};
    struct tly_alert from = {
        .labels = labels,
        .label_count = 3,
        .annotations = annotations,
        .annotation_count = 1,
        .rule = TLY_TEXT("Busy"),
        .group = TLY_TEXT("g"),
        .file = TLY_TEXT("f.yml"),
        .query = TLY_TEXT("up"),
        .state = TLY_ALERT_FIRING,
    };
    struct tly_alert *alert = tly_alert_new(&from);
    assert_non_null(alert);
    memset(severity, 'x', sizeof(severity)); /* nothing is borrowed */
    return alert;
}

static void test_copy(void **state)
{
    (void)state;
    struct tly_alert *alert = make();
    assert_string_equal(alert->labels[0].name.at, "alertname");
    assert_string_equal(alert->labels[1].name.at, "id");
    assert_string_equal(alert->labels[2].value.at, "warning");
    assert_string_equal(alert->annotations[0].value.at, "");
    assert_string_equal(alert->query.at, "up");
    assert_true(tly_text_equal(tly_alert_label(alert, TLY_TEXT("id")), TLY_TEXT("/docker/a")));
    assert_null(tly_alert_label(alert, TLY_TEXT("i")).at);
    assert_ptr_equal(tly_alert_ref(alert), alert);
    tly_alert_unref(alert);
    tly_alert_unref(alert);
    tly_alert_unref(NULL);
}

struct heard {
    size_t count;
    unsigned news;
};

static void hear(void *arg, struct tly_alert *alert, unsigned news)
{
    struct heard *heard = arg;
    (void)alert;
    heard->count++;
    heard->news = news;
}

static void test_feed(void **state)
{
    (void)state;
    struct tly_alert_feed feed = {.count = 0};
    struct heard heard[TLY_ALERT_LISTENERS_MAX + 1] = {0};
    for (size_t i = 0; i < TLY_ALERT_LISTENERS_MAX; i++) {
        assert_int_equal(tly_alert_feed_listen(&feed, hear, &heard[i]), 0);
    }
    assert_int_equal(tly_alert_feed_listen(&feed, hear, &heard[TLY_ALERT_LISTENERS_MAX]),
                     TLY_E_LIMIT);
    tly_alert_feed_unlisten(&feed, hear, &heard[0]);
    tly_alert_feed_unlisten(&feed, hear, &heard[0]);
    struct tly_alert *alert = make();
    tly_alert_feed_tell(&feed, alert, TLY_ALERT_CHANGED | TLY_ALERT_DUE);
    for (size_t i = 0; i <= TLY_ALERT_LISTENERS_MAX; i++) {
        bool told = i > 0 && i < TLY_ALERT_LISTENERS_MAX;
        assert_int_equal(heard[i].count, told ? 1 : 0);
        assert_int_equal(heard[i].news, told ? TLY_ALERT_CHANGED | TLY_ALERT_DUE : 0);
    }
    tly_alert_unref(alert);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_feed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
