/*
 * The engine over snapshots: states, what is told of them, reloads, bounds.
 */
#include "tests/unit/rules/minutes.h"
#include "tests/unit/rules/one_container.h"

static void test_states(void **state)
{
    (void)state;
    struct tly_engine *engine = start(ALERT);
    expect_minute(engine, 0, 50, "");
    expect_minute(engine, 1, 150, "P");
    expect_minute(engine, 2, 50, ""); /* it never fired */
    expect_minute(engine, 3, 150, "P");
    expect_minute(engine, 4, 150, "");
    struct tly_verdict *verdict = minute(engine, 5, 150);
    assert_int_equal(verdict->news_count, 1);
    const struct tly_alert *alert = verdict->news[0].alert;
    assert_int_equal(verdict->news[0].news, TLY_ALERT_CHANGED | TLY_ALERT_DUE);
    assert_int_equal(alert->active_at_ms, START_MS + 3 * MINUTE_MS);
    assert_int_equal(alert->fired_at_ms, START_MS + 5 * MINUTE_MS);
    assert_int_equal(alert->valid_until_ms, START_MS + 9 * MINUTE_MS);
    assert_string_equal(alert->annotations[0].value.at, "we\"b");
    assert_true(tly_text_equal(tly_alert_label(alert, TLY_TEXT("id")), TLY_TEXT("/a")));
    assert_null(tly_alert_label(alert, TLY_TEXT("__name__")).at);
    assert_int_equal(verdict->firing, 1);
    tly_verdict_unref(verdict);
    expect_minute(engine, 6, 150, ""); /* the delay has to pass, not only to be reached */
    expect_minute(engine, 7, 150, "!");
    expect_minute(engine, 8, 0, "I!"); /* the container has gone */
    for (int i = 9; i <= 23; i++) {
        expect_minute(engine, i, 0, i % 2 == 0 ? "!" : "");
    }
    expect_minute(engine, 24, 0, ""); /* a quarter of an hour has passed */
    expect_minute(engine, 26, 0, "");
    tly_engine_free(engine);
}

/* Rules that are found again keep their states and what they need of the past. */
static void test_reload(void **state)
{
    (void)state;
    struct tly_engine *engine = start(ALERT);
    expect_minute(engine, 0, 150, "P");
    load(engine, ALERT "  - {alert: Grows, expr: 'delta(container_memory_working_set_bytes[10m]) > "
                       "0'}\n");
    expect_minute(engine, 1, 150, "");
    expect_minute(engine, 2, 200, "F!F!");
    load(engine, "groups: [{name: other}]");
    assert_int_equal(tly_history_stats(tly_engine_history(engine)).series, 0);
    load(engine, ALERT);
    expect_minute(engine, 4, 150, "I!I!P"); /* without their rules both had ended */
    load(engine, "groups: [{name: g}]");
    load(engine, ALERT);
    expect_minute(engine, 5, 150, "P"); /* a pending one is not told of */
    tly_engine_free(engine);
}

static void expect_error(const char *text, const char *says)
{
    struct tly_engine *engine = start(text);
    struct tly_verdict *verdict = minute(engine, 0, 150);
    const struct tly_verdict_rule *rule = &verdict->groups[0].rules[0];
    assert_int_equal(rule->health, TLY_RULE_BAD);
    assert_int_equal(rule->failures, 1);
    if (!strstr(rule->error, says)) {
        fail_msg("%s", rule->error);
    }
    /* The next rule is none the worse for it. */
    assert_int_equal(verdict->groups[0].rules[1].health, TLY_RULE_OK);
    tly_verdict_unref(verdict);
    tly_engine_free(engine);
}

#define PAIR(rule)                                                                                 \
    "groups:\n- name: g\n  limit: 1\n  rules:\n  - " rule "\n  - {record: ok, expr: 1}\n"
static void test_errors(void **state)
{
    (void)state;
    expect_error(PAIR("{alert: A, expr: 'label_replace(vector(1),\"a\",\"1\",\"\",\"\") or "
                      "vector(2)', labels: {a: b}}"),
                 "same labelset after applying alert labels");
    expect_error(PAIR("{record: A, expr: 'label_replace(vector(1),\"a\",\"1\",\"\",\"\") or "
                      "vector(2)', labels: {a: b}}"),
                 "same labelset after applying rule labels");
    expect_error(PAIR("{alert: A, expr: 'label_replace(vector(1),\"a\",\"1\",\"\",\"\") or "
                      "vector(2)'}"),
                 "exceeded limit of 1 with 2 alerts");
    expect_error(PAIR("{record: A, expr: 'label_replace(vector(1),\"a\",\"1\",\"\",\"\") or "
                      "vector(2)'}"),
                 "exceeded limit of 1 with 2 series");
    /* What would explode is stopped: nothing to be found, but a hundred billion steps. */
    expect_error(PAIR("{record: A, expr: 'max_over_time(nothing[3y:1ms])'}"), "samples");
    expect_error(PAIR("{record: A, expr: 'count_over_time(vector(1)[1y:1s])'}"),
                 "64 MiB of memory");
}

/* A rule that fails and works again, by turns, tells of a failure only while there is one. */
static void test_recovery(void **state)
{
    (void)state;
    struct tly_engine *engine = start(
        PAIR("{record: A, expr: 'container_memory_working_set_bytes > 100 or vector(1)'}"));
    for (int number = 0; number < 8; number++) {
        bool fails = number % 3 == 0;
        struct tly_verdict *verdict = minute(engine, number, fails ? 150 : 50);
        const struct tly_verdict_rule *rule = &verdict->groups[0].rules[0];
        assert_int_equal(rule->health, fails ? TLY_RULE_BAD : TLY_RULE_OK);
        assert_true(fails ? strstr(rule->error, "exceeded limit") != NULL : rule->error == NULL);
        tly_verdict_unref(verdict);
    }
    tly_engine_free(engine);
}

/* Containers that follow one another, with labels of 10 kB that no other has: the bound is used for
 * them as a whole, those that are gone make room, however long rules look back, and who finds none
 * is counted. */
static void test_large_labels(void **state)
{
    (void)state;
    enum { MINUTES = 4000, LIFE_MINUTES = 5, LABEL_BYTES = 10000, HISTORY_BYTES = 2 << 20 };
    static char labels[LABEL_BYTES + 32];
    struct tly_engine_spec small = minutes_spec;
    small.history_bytes_max = HISTORY_BYTES;
    struct tly_engine *engine = tly_engine_new(&small);
    assert_non_null(engine);
    load(engine, "groups:\n- name: g\n  rules:\n  - {alert: Full, for: 1h, expr: "
                 "'container_memory_working_set_bytes > 100 and "
                 "max_over_time(container_memory_working_set_bytes[5d]) > 100'}\n");
    int judged = 0;
    size_t most = 0;
    for (int i = 0; i < MINUTES; i++) {
        (void)snprintf(labels, sizeof(labels), "id=\"%0*d\"", (int)LABEL_BYTES, i / LIFE_MINUTES);
        int64_t now_ms = START_MS + (int64_t)i * MINUTE_MS;
        observe_one(engine, now_ms, tly_text_of(labels), 150);
        struct tly_verdict *verdict = NULL;
        assert_int_equal(tly_engine_evaluate(engine, now_ms, false, &verdict), 0);
        tly_engine_trim(engine);
        assert_non_null(verdict);
        assert_int_equal(verdict->groups[0].rules[0].health, TLY_RULE_OK);
        judged += verdict->pending > 0;
        tly_verdict_unref(verdict);
        size_t bytes = tly_history_stats(tly_engine_history(engine)).bytes;
        most = bytes > most ? bytes : most;
    }
    assert_in_range(most, HISTORY_BYTES * 9 / 10, HISTORY_BYTES);
    struct tly_history_stats stats = tly_history_stats(tly_engine_history(engine));
    assert_true(stats.refused > 0 && stats.shortened > 0);
    if (judged < MINUTES * 9 / 10) {
        fail_msg("%d of %d minutes were judged", judged, MINUTES);
    }
    tly_engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),       cmocka_unit_test(test_reload),
        cmocka_unit_test(test_errors),       cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_large_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
