/*
 * Telling a peer of alerts: what it is sent, tries after failures, refusals, and the end. The
 * configuration is parsed as the agent does, the peer is an HTTP server of the tests; a real
 * Alertmanager is in tests/engine.
 */
#include "agent/config/option.h"
#include "outputs/alertmanager/alertmanager.h"
#include "outputs/alertmanager/notifier.h"
#include "tests/unit/alertmanager/alerts.h"
#include "tests/unit/delivery/turns.h"
#include "tests/unit/docker/http_peer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS_MAX 8

struct house {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    struct tly_alert_feed feed;
    struct tly_config *config;
    const struct tly_output *output;
    void *self;
    bool stopped;
    struct http_peer *peer;
    pthread_mutex_t lock; /* of what follows */
    int statuses[REQUESTS_MAX];
    size_t reply_bytes; /* 0: a short one */
    struct http_request requests[REQUESTS_MAX];
    size_t request_count;
};

static bool answer(void *arg, struct http_talk *talk, const struct http_request *request)
{
    struct house *house = arg;
    int status = 200;
    pthread_mutex_lock(&house->lock);
    if (house->request_count < REQUESTS_MAX) {
        status = house->statuses[house->request_count] ? house->statuses[house->request_count]
                                                       : 200;
        house->requests[house->request_count++] = *request;
    }
    pthread_mutex_unlock(&house->lock);
    if (status < 0) {
        http_hang(talk);
        return false;
    }
    if (house->reply_bytes > 0) {
        char *reply = calloc(1, house->reply_bytes);
        bool sent = reply && http_reply_bytes(talk, status, "", reply, house->reply_bytes);
        free(reply);
        return sent;
    }
    return http_reply(talk, status, "", status == 200 ? "{}" : "no such thing\n");
}

static int set_up(void **state)
{
    static const struct tly_inventory_limits limits = {
        .containers_max = 1, .label_value_bytes_max = 64, .labels_max = 1};
    struct house *house = calloc(1, sizeof(*house));
    assert_non_null(house);
    assert_int_equal(pthread_mutex_init(&house->lock, NULL), 0);
    assert_int_equal(tly_loop_new(&house->loop), 0);
    assert_int_equal(tly_inventory_new(&limits, NULL, 0, &house->inventory), 0);
    house->peer = http_peer_start(NULL, answer, house);
    *state = house;
    return 0;
}

static void note_stopped(void *arg)
{
    struct house *house = arg;
    house->stopped = true;
}

static bool is_stopped(void *arg)
{
    const struct house *house = arg;
    return house->stopped;
}

static void stop(struct house *house, int64_t within_ms)
{
    house->output->stop(house->self, tly_loop_now_ms(house->loop) + within_ms, note_stopped, house);
    assert_true(turns_until(house->loop, is_stopped, house));
    house->self = NULL;
}

static int tear_down(void **state)
{
    struct house *house = *state;
    if (house->self) {
        stop(house, 0);
    }
    http_peer_stop(house->peer);
    tly_inventory_free(house->inventory);
    tly_loop_free(house->loop);
    tly_config_free(house->config);
    pthread_mutex_destroy(&house->lock);
    free(house);
    return 0;
}

/* The peer, by one or more ways: each is the path of its URL and the YAML behind it. */
static struct tly_config *configure(const struct house *house, const struct tly_output *output,
                                    const char *const *ways, size_t count)
{
    char text[1024];
    struct tly_complaints complaints;
    struct tly_config *config = NULL;
    size_t len = (size_t)snprintf(text, sizeof(text), "%s:\n", output->section->key);
    for (size_t i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "- {url: 'http://127.0.0.1:%u%s'%s}\n", http_peer_port(house->peer),
                                ways[2 * i], ways[2 * i + 1]);
    }
    if (tly_config_parse(&output->section, 1, text, len, &complaints, &config) < 0) {
        fail_msg("%s", complaints.at[0].text);
    }
    return config;
}

static struct tly_context context_of(struct house *house)
{
    return (struct tly_context){.loop = house->loop,
                                .inventory = house->inventory,
                                .config = house->config,
                                .alerts = &house->feed};
}

static void start(struct house *house, const struct tly_output *output, const char *path,
                  const char *more)
{
    struct tly_error err = {0};
    const char *const way[] = {path, more};
    house->config = configure(house, output, way, 1);
    const struct tly_context context = context_of(house);
    house->output = output;
    assert_int_equal(output->start(&context, &house->self, &err), 0);
}

/* As the agent does: what the section was before is gone afterwards. */
static void reload(struct house *house, const char *const *ways, size_t count)
{
    struct tly_error err = {0};
    void *plan = NULL;
    struct tly_config *before = house->config;
    const struct tly_reload_ops *ops = house->output->reload;
    assert_non_null(ops);
    house->config = configure(house, house->output, ways, count);
    const struct tly_context context = context_of(house);
    assert_int_equal(ops->prepare(house->self, &context, &plan, &err), 0);
    ops->abandon(house->self, plan);
    assert_int_equal(ops->prepare(house->self, &context, &plan, &err), 0);
    ops->adopt(house->self, &context, plan);
    tly_config_free(before);
}

static void tell(struct house *house, const char *container, enum tly_alert_state state,
                 unsigned news)
{
    struct tly_alert *alert = alert_make("Burns", container, state);
    tly_alert_feed_tell(&house->feed, alert, news);
    tly_alert_unref(alert);
}

static int64_t metric(const struct house *house, enum tly_family_id family)
{
    int64_t value = -1;
    struct tly_snapshot *snapshot = tly_inventory_snapshot(house->inventory);
    assert_non_null(snapshot);
    const struct tly_snapshot_row *agent = &snapshot->rows[snapshot->count - 1];
    for (size_t slot = 0; slot < snapshot->slots; slot++) {
        const struct tly_sample_set *set = agent->sets[slot];
        for (size_t i = 0; set && i < tly_sample_set_count(set); i++) {
            const struct tly_sample *sample = &tly_sample_set_at(set)[i];
            value = sample->family == family ? sample->raw : value;
        }
    }
    tly_snapshot_unref(snapshot);
    return value;
}

struct awaited {
    const struct house *house;
    enum tly_family_id family;
    int64_t value;
};

static bool has_value(void *arg)
{
    const struct awaited *awaited = arg;
    return metric(awaited->house, awaited->family) >= awaited->value;
}

static void await_metric(struct house *house, enum tly_family_id family, int64_t value)
{
    struct awaited awaited = {house, family, value};
    assert_true(turns_until(house->loop, has_value, &awaited));
    assert_int_equal(metric(house, family), value);
}

static size_t requests_seen(struct house *house)
{
    pthread_mutex_lock(&house->lock);
    size_t count = house->request_count;
    pthread_mutex_unlock(&house->lock);
    return count;
}

struct answered {
    struct house *house;
    size_t requests;
};

static bool has_answered(void *arg)
{
    const struct answered *answered = arg;
    return requests_seen(answered->house) >= answered->requests;
}

static void test_an_alertmanager_is_told(void **state)
{
    struct house *house = *state;
    start(house, &tly_output_alertmanager, "/prefix",
          ", username: us, password: pass, labels: [{name: site, value: north}]");
    tell(house, "a", TLY_ALERT_PENDING, TLY_ALERT_CHANGED);
    tell(house, "b", TLY_ALERT_FIRING, TLY_ALERT_CHANGED);
    tell(house, "c", TLY_ALERT_FIRING, TLY_ALERT_CHANGED | TLY_ALERT_DUE);
    tell(house, "d", TLY_ALERT_INACTIVE, TLY_ALERT_DUE);
    await_metric(house, TLY_F_tallyman_notifications_sent_total, 2);
    assert_int_equal(requests_seen(house), 1); /* one message for both */
    const struct http_request *request = &house->requests[0];
    assert_string_equal(request->method, "POST");
    assert_string_equal(request->target, "/prefix/api/v2/alerts");
    assert_non_null(strstr(request->head, "Content-Type: application/json"));
    assert_non_null(strstr(request->head, "Authorization: Basic dXM6cGFzcw=="));
    assert_non_null(strstr(request->body, "[{\"labels\":{\"alertname\":\"Burns\",\"name\":\"c\","
                                          "\"site\":\"north\"}"));
    assert_non_null(strstr(request->body, "\"name\":\"d\""));
    assert_null(strstr(request->body, "\"name\":\"a\""));
    assert_null(strstr(request->body, "\"name\":\"b\""));
    assert_int_equal(request->body[strlen(request->body) - 1], ']');
}

static void test_a_webhook_is_told_of_changes(void **state)
{
    struct house *house = *state;
    start(house, &tly_output_webhook, "/hook?key=1", ", name: on-call");
    tell(house, "a", TLY_ALERT_FIRING, TLY_ALERT_DUE);
    tell(house, "b", TLY_ALERT_FIRING, TLY_ALERT_CHANGED | TLY_ALERT_DUE);
    await_metric(house, TLY_F_tallyman_notifications_sent_total, 1);
    assert_string_equal(house->requests[0].target, "/hook?key=1");
    assert_non_null(strstr(house->requests[0].body, "\"receiver\":\"on-call\""));
    assert_non_null(strstr(house->requests[0].body, "\"name\":\"b\""));
    assert_null(strstr(house->requests[0].body, "\"name\":\"a\""));
}

static void test_failures_are_tried_again(void **state)
{
    struct house *house = *state;
    house->statuses[0] = 503;
    start(house, &tly_output_alertmanager, "", "");
    tell(house, "a", TLY_ALERT_FIRING, TLY_ALERT_DUE);
    await_metric(house, TLY_F_tallyman_notifications_errors_total, 1);
    assert_int_equal(metric(house, TLY_F_tallyman_notifications_queue_length), 1);
    tell(house, "a", TLY_ALERT_INACTIVE, TLY_ALERT_DUE); /* meanwhile */
    await_metric(house, TLY_F_tallyman_notifications_sent_total, 1);
    assert_non_null(strstr(house->requests[1].body, "\"endsAt\":\"2023-11-14T22:18:20"));
    assert_int_equal(metric(house, TLY_F_tallyman_notifications_queue_length), 0);
    assert_int_equal(metric(house, TLY_F_tallyman_notifications_dropped_total), 0);
}

static void test_refusals_are_dropped(void **state)
{
    struct house *house = *state;
    house->statuses[0] = 400;
    start(house, &tly_output_alertmanager, "", "");
    tell(house, "a", TLY_ALERT_FIRING, TLY_ALERT_DUE);
    await_metric(house, TLY_F_tallyman_notifications_dropped_total, 1);
    tell(house, "b", TLY_ALERT_FIRING, TLY_ALERT_DUE);
    await_metric(house, TLY_F_tallyman_notifications_sent_total, 1);
    assert_null(strstr(house->requests[1].body, "\"name\":\"a\""));
}

/* Who mends the settings of a peer that failed loses nothing of what it was to be told. */
static void test_a_reload_hands_over(void **state)
{
    struct house *house = *state;
    static const char *const mended[] = {"/right", ", name: other", "/more", ", name: new"};
    house->statuses[0] = 503;
    start(house, &tly_output_webhook, "/wrong", "");
    tell(house, "a", TLY_ALERT_FIRING, TLY_ALERT_CHANGED);
    await_metric(house, TLY_F_tallyman_notifications_errors_total, 1);
    tell(house, "b", TLY_ALERT_FIRING, TLY_ALERT_CHANGED);
    reload(house, mended, 2);
    struct answered answered = {house, 2};
    assert_true(turns_until(house->loop, has_answered, &answered));
    assert_string_equal(house->requests[1].target, "/right");
    assert_non_null(strstr(house->requests[1].body, "\"name\":\"a\""));
    assert_non_null(strstr(house->requests[1].body, "\"name\":\"b\""));
}

/* What is under way to a peer whose settings change goes to it again; and its counts go on. */
static void test_a_reload_of_what_is_under_way(void **state)
{
    struct house *house = *state;
    static const char *const changed[] = {"/b", ", name: same"};
    house->statuses[1] = -1;
    start(house, &tly_output_webhook, "/a", ", name: same");
    tell(house, "a", TLY_ALERT_FIRING, TLY_ALERT_CHANGED);
    await_metric(house, TLY_F_tallyman_notifications_sent_total, 1);
    tell(house, "b", TLY_ALERT_FIRING, TLY_ALERT_CHANGED);
    struct answered answered = {house, 2};
    assert_true(turns_until(house->loop, has_answered, &answered));
    reload(house, changed, 1);
    await_metric(house, TLY_F_tallyman_notifications_sent_total, 2);
    assert_string_equal(house->requests[2].target, "/b");
    assert_non_null(strstr(house->requests[2].body, "\"name\":\"b\""));
}

/* A peer that is as before goes on, beside another one and after it. */
static void test_a_reload_leaves_others_alone(void **state)
{
    struct house *house = *state;
    static const char *const more[] = {"/b", ", name: second", "/a", ", name: first"};
    house->statuses[0] = 503;
    start(house, &tly_output_webhook, "/a", ", name: first");
    tell(house, "a", TLY_ALERT_FIRING, TLY_ALERT_CHANGED);
    await_metric(house, TLY_F_tallyman_notifications_errors_total, 1);
    reload(house, more, 2);
    struct answered answered = {house, 2};
    assert_true(turns_until(house->loop, has_answered, &answered));
    assert_string_equal(house->requests[1].target, "/a");
    reload(house, more + 2, 1);
    tell(house, "b", TLY_ALERT_FIRING, TLY_ALERT_CHANGED);
    await_metric(house, TLY_F_tallyman_notifications_sent_total, 2);
    assert_string_equal(house->requests[2].target, "/a");
    /* What waits for a peer that is taken away is let go. */
    tell(house, "c", TLY_ALERT_FIRING, TLY_ALERT_CHANGED);
    reload(house, more, 0);
    assert_int_equal(metric(house, TLY_F_tallyman_notifications_sent_total), -1);
    assert_int_equal(requests_seen(house), 3);
}

/* More than one message may have is sent in several; only what fills one by itself is dropped. */
static void test_long_alerts(void **state)
{
    enum { ALERTS = 64, BYTES = 100 << 10, TOO_LONG = 5 << 20 };
    struct house *house = *state;
    char *summary = malloc(TOO_LONG);
    assert_non_null(summary);
    memset(summary, 'x', TOO_LONG);
    start(house, &tly_output_alertmanager, "", "");
    for (int i = 0; i < ALERTS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", i);
        struct tly_alert *alert = alert_make_with(
            "Burns", name, TLY_ALERT_FIRING,
            (struct tly_text){summary, i == ALERTS / 2 ? TOO_LONG : BYTES});
        tly_alert_feed_tell(&house->feed, alert, TLY_ALERT_DUE);
        tly_alert_unref(alert);
    }
    free(summary);
    await_metric(house, TLY_F_tallyman_notifications_sent_total, ALERTS - 1);
    assert_int_equal(metric(house, TLY_F_tallyman_notifications_dropped_total), 1);
    assert_int_equal(metric(house, TLY_F_tallyman_notifications_errors_total), 0);
    assert_int_equal(metric(house, TLY_F_tallyman_notifications_queue_length), 0);
}

/* The status is the answer, however much is said behind it. */
static void test_long_answers(void **state)
{
    struct house *house = *state;
    house->reply_bytes = (size_t)70 << 10;
    house->statuses[1] = 400;
    start(house, &tly_output_alertmanager, "", "");
    tell(house, "a", TLY_ALERT_FIRING, TLY_ALERT_DUE);
    await_metric(house, TLY_F_tallyman_notifications_sent_total, 1);
    assert_int_equal(metric(house, TLY_F_tallyman_notifications_errors_total), 0);
    tell(house, "b", TLY_ALERT_FIRING, TLY_ALERT_DUE);
    await_metric(house, TLY_F_tallyman_notifications_dropped_total, 1);
    assert_int_equal(requests_seen(house), 2);
}

static void test_the_queue_is_bounded(void **state)
{
    struct house *house = *state;
    house->statuses[0] = 500;
    start(house, &tly_output_alertmanager, "", ", queue_max: 2");
    tell(house, "a", TLY_ALERT_FIRING, TLY_ALERT_DUE);
    await_metric(house, TLY_F_tallyman_notifications_errors_total, 1);
    tell(house, "b", TLY_ALERT_FIRING, TLY_ALERT_DUE);
    tell(house, "c", TLY_ALERT_FIRING, TLY_ALERT_DUE);
    await_metric(house, TLY_F_tallyman_notifications_sent_total, 2);
    assert_int_equal(metric(house, TLY_F_tallyman_notifications_dropped_total), 1);
    assert_null(strstr(house->requests[1].body, "\"name\":\"a\""));
}

static void test_what_waits_is_sent_at_the_end(void **state)
{
    struct house *house = *state;
    start(house, &tly_output_alertmanager, "", "");
    tell(house, "a", TLY_ALERT_INACTIVE, TLY_ALERT_DUE);
    stop(house, 10000);
    assert_int_equal(requests_seen(house), 1);
}

static void test_the_end_waits_for_no_dead_peer(void **state)
{
    struct house *house = *state;
    house->statuses[0] = -1;
    start(house, &tly_output_alertmanager, "", "");
    tell(house, "a", TLY_ALERT_FIRING, TLY_ALERT_DUE);
    stop(house, 50);
    assert_true(requests_seen(house) <= 1);
}

static void test_faulty_settings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *complaint;
    } rows[] = {
        {"alertmanagers: ['am:9093']", "write http://host:port"},
        {"alertmanagers: ['ftp://am']", "write http://host:port"},
        {"alertmanagers: ['http://']", "write http://host:port"},
        {"alertmanagers: ['http://am/']", "without the slash at the end"},
        {"alertmanagers: ['http://am/api/v2/alerts']", "without /api/v2/alerts"},
        {"alertmanagers: ['http://am?x=1']", "has no query"},
        {"alertmanagers: ['http://u:p@am']", "do not belong into the URL"},
        {"alertmanagers: ['http://am', 'http://am']", "`am` is there twice"},
        {"alertmanagers: [{url: 'http://am', username: u}]", "go together"},
        {"alertmanagers: [{url: 'http://am', key_file: k}]", "go together"},
        {"alertmanagers: [{url: 'http://am', labels: [{name: 0x, value: y}]}]",
         "`0x` is no name of a label"},
        {"webhooks: [{url: 'http://h/secret path'}]", "no blanks"},
        {"webhooks: [{url: 'http://h', username: u, password: p, bearer_token: t}]",
         "either a username or a bearer_token"},
    };
    static const struct tly_section *sections[2];
    sections[0] = tly_output_alertmanager.section;
    sections[1] = tly_output_webhook.section;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_complaints complaints;
        struct tly_config *config = NULL;
        assert_int_equal(
            tly_config_parse(sections, 2, rows[i].text, strlen(rows[i].text), &complaints, &config),
            TLY_E_MALFORMED);
        if (!strstr(complaints.at[0].text, rows[i].complaint)) {
            fail_msg("%s: %s", rows[i].text, complaints.at[0].text);
        }
        assert_null(strstr(complaints.at[0].text, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        ROW(test_an_alertmanager_is_told),
        ROW(test_a_webhook_is_told_of_changes),
        ROW(test_failures_are_tried_again),
        ROW(test_refusals_are_dropped),
        ROW(test_the_queue_is_bounded),
        ROW(test_what_waits_is_sent_at_the_end),
        ROW(test_the_end_waits_for_no_dead_peer),
        ROW(test_long_answers),
        ROW(test_long_alerts),
        ROW(test_a_reload_hands_over),
        ROW(test_a_reload_of_what_is_under_way),
        ROW(test_a_reload_leaves_others_alone),
#undef ROW
        cmocka_unit_test(test_faulty_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
