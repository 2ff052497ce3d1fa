/*
 * The engine over snapshots: states, what is told of them, restarts, reloads, bounds.
 */
#include "agent/rules/engine.h"

#include "agent/base/clock.h"
#include "tests/unit/rules/one_container.h"

#define MINUTE_MS 60000
#define START_MS  1700000000000

static const struct tly_engine_spec spec = {
    .history_bytes_max = 1 << 24,
    .alerts_max = 100,
    .interval_ms = MINUTE_MS,
    .resend_delay_ms = MINUTE_MS,
    .outage_tolerance_ms = 60 * MINUTE_MS,
    .grace_period_ms = 10 * MINUTE_MS,
};

static struct tly_rule_set *rules(const char *text)
{
    static struct tly_complaints complaints; /* too large for a stack frame */
    struct tly_rule_file *file = NULL;
    if (tly_rule_file_parse(tly_text_of(text), "f.yml", &complaints, &file) < 0) {
        fail_msg("%s", complaints.at[0].text);
    }
    struct tly_rule_set *set = tly_rule_set_new();
    assert_int_equal(tly_rule_set_add(set, file), 0);
    return set;
}

static void load(struct tly_engine *engine, const char *text)
{
    struct tly_rule_set *set = rules(text);
    assert_int_equal(tly_engine_load(engine, set), 0);
    tly_rule_set_unref(set);
}

static struct tly_engine *start(const char *text)
{
    struct tly_engine *engine = tly_engine_new(&spec);
    assert_non_null(engine);
    load(engine, text);
    return engine;
}

/* One evaluation at a minute, with containers that use so many bytes; 0: there is none. */
static struct tly_verdict *minute(struct tly_engine *engine, int number, int64_t bytes)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_samples_add(&samples, TLY_F_container_memory_working_set_bytes, TLY_DIM_NONE, bytes);
    struct tly_sample_set *set = tly_samples_take(&samples);
    struct tly_snapshot_row row = {.labels = TLY_TEXT("id=\"/a\",name=\"we\\\"b\""), .sets = {set}};
    struct tly_snapshot snapshot = {
        .refs = 1,
        .taken_ns = (START_MS + (int64_t)number * MINUTE_MS) * TLY_NS_PER_MS,
        .slots = 1,
        .count = bytes > 0 ? 1 : 0,
        .rows = &row,
    };
    struct tly_verdict *verdict = NULL;
    assert_int_equal(tly_engine_observe(engine, &snapshot), 0);
    assert_int_equal(
        tly_engine_evaluate(engine, snapshot.taken_ns / TLY_NS_PER_MS, false, &verdict), 0);
    tly_engine_trim(engine);
    tly_sample_set_unref(set);
    tly_samples_done(&samples);
    assert_non_null(verdict);
    return verdict;
}

/* What a verdict tells: "P" pending, "F" firing, "I" resolved, with "!" where it is due. */
static void expect_minute(struct tly_engine *engine, int number, int64_t bytes,
                          const char *expected)
{
    struct tly_verdict *verdict = minute(engine, number, bytes);
    char told[64] = "";
    size_t len = 0;
    for (size_t i = 0; i < verdict->news_count && len < sizeof(told) - 3; i++) {
        unsigned news = verdict->news[i].news;
        if (news & TLY_ALERT_CHANGED) {
            told[len++] = "IPF"[verdict->news[i].alert->state];
        }
        if (news & TLY_ALERT_DUE) {
            told[len++] = '!';
        }
        told[len] = '\0';
    }
    if (strcmp(told, expected) != 0) {
        fail_msg("minute %d: %s, not %s (%s)", number, told, expected,
                 verdict->groups[0].rules[0].error ? verdict->groups[0].rules[0].error : "");
    }
    tly_verdict_unref(verdict);
}

#define ALERT                                                                                      \
    "groups:\n- name: g\n  rules:\n  - {alert: Full, expr: container_memory_working_set_bytes > "  \
    "100, for: 2m, annotations: {a: '{{ $labels.name }}'}}\n"

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

static void save(struct tly_engine *engine, int number, struct tly_buf *buf)
{
    tly_buf_init(buf, 1 << 20);
    assert_int_equal(tly_engine_save(engine, START_MS + (int64_t)number * MINUTE_MS, buf), 0);
}

/* What fired goes on firing; when its condition ended meanwhile, it is resolved. */
static void test_restart_firing(void **state)
{
    (void)state;
    struct tly_buf saved;
    struct tly_error err = {0};
    struct tly_engine *engine = start(ALERT);
    expect_minute(engine, 0, 150, "P");
    expect_minute(engine, 1, 150, "");
    expect_minute(engine, 2, 150, "F!");
    save(engine, 2, &saved);
    tly_engine_free(engine);
    engine = start(ALERT);
    assert_int_equal(tly_engine_restore(engine, tly_buf_text(&saved), &err), 0);
    expect_minute(engine, 5, 150, "!");
    expect_minute(engine, 6, 50, "I!");
    tly_engine_free(engine);
    engine = start(ALERT);
    assert_int_equal(tly_engine_restore(engine, tly_buf_text(&saved), &err), 0);
    expect_minute(engine, 5, 50, "I!");
    tly_engine_free(engine);
    /* After too long an outage nothing is taken up. */
    engine = start(ALERT);
    assert_int_equal(tly_engine_restore(engine, tly_buf_text(&saved), &err), 0);
    expect_minute(engine, 63, 150, "P");
    tly_engine_free(engine);
    tly_buf_done(&saved);
}

#define SLOW                                                                                       \
    "groups:\n- name: g\n  rules:\n  - {alert: Full, expr: container_memory_working_set_bytes > "  \
    "100, for: 30m}\n"

/* By Prometheus's formula: the outage does not count, and ten minutes at least are waited. */
static void test_restart_pending(void **state)
{
    (void)state;
    static const struct {
        int saved_at, restart_at;
        int active_at; /* as restored */
    } rows[] = {
        {10, 15, 5},  /* ten minutes spent, twenty to go */
        {25, 28, 8},  /* five to go: the grace period's ten */
        {29, 89, 69}, /* the same after an hour */
        {29, 90, 90}, /* beyond the tolerance */
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_buf saved;
        struct tly_error err = {0};
        struct tly_engine *engine = start(SLOW);
        for (int at = 0; at <= rows[i].saved_at; at++) {
            expect_minute(engine, at, 150, at == 0 ? "P" : "");
        }
        save(engine, rows[i].saved_at, &saved);
        tly_engine_free(engine);
        engine = start(SLOW);
        assert_int_equal(tly_engine_restore(engine, tly_buf_text(&saved), &err), 0);
        expect_minute(engine, rows[i].restart_at, 150, "P");
        struct tly_verdict *verdict = minute(engine, rows[i].restart_at + 1, 150);
        assert_int_equal(verdict->groups[0].rules[0].alerts[0]->active_at_ms,
                         START_MS + (int64_t)rows[i].active_at * MINUTE_MS);
        tly_verdict_unref(verdict);
        tly_engine_free(engine);
        tly_buf_done(&saved);
    }
}

static void test_damage(void **state)
{
    (void)state;
    struct tly_buf saved;
    struct tly_error err = {0};
    struct tly_engine *engine = start(ALERT);
    expect_minute(engine, 0, 150, "P");
    save(engine, 0, &saved);
    for (size_t i = 0; i < saved.len; i++) {
        saved.at[i] ^= 1;
        assert_int_equal(tly_engine_restore(engine, tly_buf_text(&saved), &err), TLY_E_MALFORMED);
        saved.at[i] ^= 1;
        assert_int_equal(tly_engine_restore(engine, (struct tly_text){saved.at, i}, &err),
                         TLY_E_MALFORMED);
    }
    assert_int_equal(tly_engine_restore(engine, tly_buf_text(&saved), &err), 0);
    tly_engine_free(engine);
    tly_buf_done(&saved);
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
    expect_minute(engine, 4, 150, "P");
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
    struct tly_engine_spec small = spec;
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
        cmocka_unit_test(test_states),          cmocka_unit_test(test_restart_firing),
        cmocka_unit_test(test_restart_pending), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_reload),          cmocka_unit_test(test_errors),
        cmocka_unit_test(test_recovery),        cmocka_unit_test(test_large_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
