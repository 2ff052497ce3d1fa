/*
 * The engine across restarts and steps of the clock: what was saved is taken up, and an alert ends
 * only when there is enough history again to say so.
 */
#include "tests/unit/rules/minutes.h"

static void save(struct tly_engine *engine, int number, struct tly_buf *buf)
{
    tly_buf_init(buf, 1 << 20);
    assert_int_equal(tly_engine_save(engine, START_MS + (int64_t)number * MINUTE_MS, buf), 0);
}

/* What an engine saves whose alert has just begun to fire. */
static void save_firing(struct tly_buf *buf)
{
    struct tly_engine *engine = start(ALERT);
    expect_minute(engine, 0, 150, "P");
    expect_minute(engine, 1, 150, "");
    expect_minute(engine, 2, 150, "F!");
    save(engine, 2, buf);
    tly_engine_free(engine);
}

/* What fired goes on firing; when its condition ended meanwhile, it is resolved. */
static void test_restart_firing(void **state)
{
    (void)state;
    struct tly_buf saved;
    struct tly_error err = {0};
    save_firing(&saved);
    struct tly_engine *engine = start(ALERT);
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

/* The agent ends at that minute; another process takes up what it saved. */
static struct tly_engine *restart(struct tly_engine *engine, const char *text, int number)
{
    struct tly_buf saved;
    struct tly_error err = {0};
    save(engine, number, &saved);
    tly_engine_free(engine);
    engine = start(text);
    assert_int_equal(tly_engine_restore(engine, tly_buf_text(&saved), &err), 0);
    tly_buf_done(&saved);
    return engine;
}

#define RULES(text)                "groups:\n- name: g\n  rules:\n" text
#define EXPR(name, expr)           "  - {alert: " name ", expr: '" expr "'}\n"
#define EXPR_FOR(name, time, expr) "  - {alert: " name ", for: " time ", expr: '" expr "'}\n"

/* What a container uses at a minute, as long as it grows, and once it has stopped to. */
static int64_t grown(int number)
{
    return 1000 + 100 * (int64_t)number;
}

/* Evaluations over minutes of growth; the alert fires in the last one. */
static struct tly_engine *grow_until_fired(const char *text, int last)
{
    struct tly_engine *engine = start(text);
    for (int i = 0; i <= last; i++) {
        struct tly_verdict *verdict = minute(engine, i, grown(i));
        if (i == last) {
            assert_int_equal(verdict->firing, 1);
        }
        tly_verdict_unref(verdict);
    }
    return engine;
}

/* Evaluations in which the container uses so much; what all of them tell of changes. */
static void expect_minutes(struct tly_engine *engine, int first, int last, int64_t bytes,
                           const char *expected)
{
    char told[64] = "";
    size_t len = 0;
    struct tly_text query = TLY_TEXT("");
    for (int i = first; i <= last; i++) {
        struct tly_verdict *verdict = minute(engine, i, bytes);
        for (size_t k = 0; k < verdict->news_count && len < sizeof(told) - 1; k++) {
            if (verdict->news[k].news & TLY_ALERT_CHANGED) {
                told[len++] = "IPF"[verdict->news[k].alert->state];
                told[len] = '\0';
            }
        }
        query = verdict->groups[0].rules[0].rule->query; /* the engine has it */
        tly_verdict_unref(verdict);
    }
    if (strcmp(told, expected) != 0) {
        fail_msg("%.*s, minutes %d to %d: %s, not %s", (int)query.len, query.at, first, last, told,
                 expected);
    }
}

/* What fires stays as it is as long as samples of before the restart could make it fire, and ends
 * then. */
static void test_look_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes; /* after the restart; 0: the container is gone */
        int ends_after;
    } rows[] = {
        {RULES(EXPR("A", "delta(container_memory_working_set_bytes[5m]) > 100")), 2000, 5},
        {RULES(EXPR("A", "delta(container_memory_working_set_bytes[5m]) > 100")), 0, 5},
        {RULES(EXPR("A", "delta(container_memory_working_set_bytes[5m] offset 2m) > 100")), 2000,
         7},
        {RULES(EXPR("A", "container_memory_working_set_bytes > 100 + "
                         "container_memory_working_set_bytes offset 4m")),
         2000, 4},
        {RULES(EXPR("A", "max_over_time(delta(container_memory_working_set_bytes[5m])[3m:1m]) > "
                         "100")),
         2000, 8},
        {RULES(EXPR("A", "sum(delta(container_memory_working_set_bytes[5m])) > 100 or vector(0) > "
                         "1")),
         2000, 5},
        /* A recorded series begins anew as well, and is a minute old. */
        {RULES("  - {record: r, expr: 'delta(container_memory_working_set_bytes[5m])'}\n" EXPR(
             "A", "max_over_time(r[3m]) > 100")),
         2000, 9},
        {RULES(EXPR("A", "max_over_time(r[3m]) > 100") "  - {record: r, expr: "
                                                       "'delta(container_memory_working_set_bytes["
                                                       "5m]) or r'}\n"),
         2000, 9},
        /* Without a look back the newest sample says all, also that of the missing one. */
        {RULES(EXPR("A", "container_memory_working_set_bytes > 1100")), 1000, 0},
        {RULES(EXPR("A", "absent(container_memory_working_set_bytes > 9000)")), 9900, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_engine *engine = grow_until_fired(rows[i].text, 20);
        engine = restart(engine, rows[i].text, 20);
        expect_minutes(engine, 22, 22 + rows[i].ends_after - 1, rows[i].bytes, "");
        expect_minutes(engine, 22 + rows[i].ends_after, 22 + rows[i].ends_after, rows[i].bytes,
                       "I");
        tly_engine_free(engine);
    }
}

/* Where the rest of the condition says enough, nothing is waited for. */
static void test_look_back_in_part(void **state)
{
    (void)state;
#define USES  "container_memory_working_set_bytes"
#define GROWS "delta(" USES "[30m]) > 100"
    static const struct {
        const char *expr;
        bool waits; /* while the container uses 2000, which is below 2500 */
    } rows[] = {
        {USES " > 2500 and " GROWS, false},
        {USES " > 1500 and " GROWS, true},
        {GROWS " and " USES " > 2500", false},
        {GROWS " and " USES " > 1500", true},
        {"(" USES " > 2500 and " GROWS ") and " GROWS, false},
        {GROWS " and on (id) " USES " > 2500", true},
        {USES " > 2500 unless " USES " < 1 - " USES " offset 30m", false},
        {USES " > 1500 unless " USES " < 1 - " USES " offset 30m", true}, /* it still holds */
        {"(" USES " > 2500) * 2 > 0.1 * (" USES " offset 30m)", false},
        {"(" USES " > 2500) * 2 > on (id) group_left () 0.1 * (" USES " offset 30m)", false},
        {"(" USES " > 1500) * 2 > on (id) group_left () 0.1 * (" USES " offset 30m)", true},
        {"(" USES " > 1500) * 2 > on (id) 0.1 * (" USES " offset 30m)", true},
        {"- (" USES " > 2500 and " GROWS ")", false},
        {USES " > 2500 and " GROWS " or " USES " > 2700 and " GROWS, false},
        {USES " > 2500 and " GROWS " or " GROWS, true},
        {"sum(" USES " > 2500 and " GROWS ")", true},
        /* What is looked at is there, and says no. */
        {USES " > 2500", false},
        {"2500 < " USES, false},
        {"sum by (name) (" USES " > 2500) > 1", false},
        {USES " / (" USES " > 2500) > 0.5", false},
        {USES " > on (id) group_left () (0 * " USES " + 2500)", false},
        {USES " > 2500 unless " USES " > 9000", false},
        {"(" USES " > 2500 or " USES " > 2600) > 1", false},
        {"topk(1, " USES " > 2500)", false},
        {"absent(" USES " < 2500)", false},
        {"vector(1) and on () " USES " > 2500", false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text),
                       RULES("  - {alert: A, expr: '%s', labels: {id: "
                             "fixed}}\n"),
                       rows[i].expr);
        struct tly_engine *engine = grow_until_fired(text, 40);
        engine = restart(engine, text, 40);
        expect_minutes(engine, 41, 41, 2000, rows[i].waits ? "" : "I");
        tly_engine_free(engine);
    }
}

/* Samples that come late are waited for as long as a selector looks back for one. */
static void test_late_samples(void **state)
{
    (void)state;
    static const char text[] = RULES(EXPR("A", "sum by (id) (container_memory_working_set_bytes > "
                                               "1100) > 1100"));
    struct tly_engine *engine = grow_until_fired(text, 5);
    engine = restart(engine, text, 5);
    expect_minutes(engine, 6, 9, 0, "");
    expect_minutes(engine, 10, 20, 1500, "");
    engine = restart(engine, text, 20);
    expect_minutes(engine, 21, 25, 0, "");
    expect_minutes(engine, 26, 26, 0, "I");
    tly_engine_free(engine);
}

/* A pending alert waits for the rest of its time from when its condition is known to hold. */
static void test_look_back_pending(void **state)
{
    (void)state;
    static const char text[] = RULES(
        EXPR_FOR("A", "30m", "delta(container_memory_working_set_bytes[5m]) > 100"));
    struct tly_engine *engine = start(text);
    for (int i = 0; i <= 11; i++) {
        expect_minute(engine, i, grown(i), i == 1 ? "P" : "");
    }
    engine = restart(engine, text, 11); /* after ten minutes */
    expect_minute(engine, 15, grown(15), "P");
    engine = restart(engine, text, 15); /* and once more, before anything is known */
    expect_minute(engine, 18, grown(18), "P");
    for (int i = 19; i <= 37; i++) {
        expect_minute(engine, i, grown(i), "");
    }
    expect_minute(engine, 38, grown(38), "F!"); /* eight minutes are unknown */
    tly_engine_free(engine);
    /* When the condition has ended, so does the alert, and the next one is another one. */
    engine = start(text);
    for (int i = 0; i <= 11; i++) {
        expect_minute(engine, i, grown(i), i == 1 ? "P" : "");
    }
    engine = restart(engine, text, 11);
    expect_minutes(engine, 12, 17, grown(11), "P");
    expect_minutes(engine, 18, 18, 4000, "P");
    expect_minutes(engine, 19, 19, 4000, "");
    tly_engine_free(engine);
}

/* Each restart begins the look back anew, since it forgets what was seen, too. */
static void test_restart_again(void **state)
{
    (void)state;
    static const char text[] = RULES(
        EXPR("A", "delta(container_memory_working_set_bytes[5m]) > 100"));
    struct tly_engine *engine = grow_until_fired(text, 10);
    engine = restart(engine, text, 10);
    expect_minutes(engine, 11, 14, 2000, "");
    engine = restart(engine, text, 14);
    expect_minutes(engine, 15, 19, 2000, "");
    expect_minutes(engine, 20, 20, 2000, "I");
    tly_engine_free(engine);
    /* What was found to be over is not waited for. */
    static const char kept[] = RULES("  - {alert: A, keep_firing_for: 10m, expr: "
                                     "'delta(container_memory_working_set_bytes[5m]) > 100'}\n");
    engine = grow_until_fired(kept, 10);
    expect_minutes(engine, 11, 16, grown(10), ""); /* over since minute 14 */
    engine = restart(engine, kept, 16);
    expect_minutes(engine, 17, 23, grown(10), "");
    expect_minutes(engine, 24, 24, grown(10), "I");
    tly_engine_free(engine);
}

/* Labels that are made of values change, as before: nothing is waited for beside what is there. */
static void test_value_in_labels(void **state)
{
    (void)state;
    static const char text[] = RULES("  - {alert: A, expr: "
                                     "'delta(container_memory_working_set_bytes[5m]) > 100', "
                                     "labels: {value: \"{{ $value }}\"}}\n");
    struct tly_engine *engine = grow_until_fired(text, 10);
    engine = restart(engine, text, 10);
    expect_minutes(engine, 11, 11, 2000, "");
    expect_minutes(engine, 12, 12, 4000, "IF");
    tly_engine_free(engine);
}

/* Two rules of one name, told apart by labels, take up each its own. */
static void test_rules_of_one_name(void **state)
{
    (void)state;
    static const char text[] = RULES(
        "  - {alert: Full, expr: container_memory_working_set_bytes > 100, labels: {s: warning}}\n"
        "  - {alert: Full, expr: container_memory_working_set_bytes > 200, labels: {s: error}}\n");
    struct tly_engine *engine = start(text);
    expect_minute(engine, 0, 150, "F!");
    engine = restart(engine, text, 0);
    expect_minute(engine, 1, 150, "!");
    expect_minute(engine, 2, 250, "F!");
    engine = restart(engine, text, 2);
    expect_minute(engine, 3, 250, "!!");
    tly_engine_free(engine);
}

/* Durations go on over a step of the clock; what is told carries times of the new one. */
static void test_clock_set_back(void **state)
{
    (void)state;
    struct tly_engine *engine = start(ALERT);
    expect_minute(engine, 57, 150, "P");
    expect_minute(engine, 58, 150, "");
    expect_minute(engine, 59, 150, "F!");
    struct tly_verdict *verdict = minute(engine, 0, 50);
    assert_int_equal(verdict->news_count, 1);
    assert_int_equal(verdict->news[0].news, TLY_ALERT_CHANGED | TLY_ALERT_DUE);
    assert_int_equal(verdict->news[0].alert->state, TLY_ALERT_INACTIVE);
    assert_int_equal(verdict->news[0].alert->resolved_at_ms, START_MS);
    assert_in_range(verdict->news[0].alert->fired_at_ms, START_MS - MINUTE_MS, START_MS - 1);
    tly_verdict_unref(verdict);
    tly_engine_free(engine);
    engine = start(ALERT);
    expect_minute(engine, 60, 150, "P");
    expect_minute(engine, 0, 150, "");
    expect_minute(engine, 1, 150, "");
    expect_minute(engine, 2, 150, "F!");
    expect_minute(engine, 3, 150, "");
    expect_minute(engine, 4, 150, "!"); /* repeated as ever */
    tly_engine_free(engine);
}

/* History begins anew with the clock, so alerts are awaited as after a restart. */
static void test_look_back_after_a_step(void **state)
{
    (void)state;
    static const char text[] = RULES(
        EXPR("A", "delta(container_memory_working_set_bytes[5m]) > 100")
            EXPR_FOR("B", "30m", "delta(container_memory_working_set_bytes[5m]) > 100"));
    struct tly_engine *engine = grow_until_fired(text, 20);
    for (int i = 21; i <= 24; i++) {
        expect_minute(engine, i, grown(i), i % 2 == 1 ? "!" : "");
    }
    expect_minutes(engine, 0, 1, 4000, "");
    for (int i = 2; i <= 8; i++) { /* one minute is unknown */
        expect_minutes(engine, i, i, grown(100 + i), i == 8 ? "F" : "");
    }
    expect_minutes(engine, 9, 30, grown(108), "II");
    tly_engine_free(engine);
    engine = grow_until_fired(text, 20);
    expect_minutes(engine, 0, 4, 4000, "");
    expect_minutes(engine, 5, 5, 4000, "I");
    tly_engine_free(engine);
}

/* The clock was set back while the agent was away. */
static void test_restart_in_the_past(void **state)
{
    (void)state;
    struct tly_engine *engine = start(ALERT);
    expect_minutes(engine, 58, 60, 150, "PF");
    engine = restart(engine, ALERT, 60);
    struct tly_verdict *verdict = minute(engine, 0, 50);
    assert_int_equal(verdict->news_count, 1);
    assert_int_equal(verdict->news[0].alert->state, TLY_ALERT_INACTIVE);
    assert_true(verdict->news[0].alert->fired_at_ms <= verdict->news[0].alert->resolved_at_ms);
    tly_verdict_unref(verdict);
    tly_engine_free(engine);
    engine = start(SLOW);
    expect_minutes(engine, 70, 95, 150, "P");
    engine = restart(engine, SLOW, 110); /* more than its time later */
    expect_minute(engine, 0, 150, "F!");
    tly_engine_free(engine);
}

#define OTHER "groups:\n- name: g\n  rules:\n  - {alert: Other, expr: vector(0) > 1}\n"
#define FULL  "container_memory_working_set_bytes > 100, for: 2m"
#define TWICE                                                                                      \
    "groups:\n- name: g\n  rules:\n  - {alert: Full, expr: " FULL "}\n"                            \
    "- name: h\n  rules:\n  - {alert: Full, expr: " FULL "}\n"

/* What was saved is for the rules of the start: one that is taken away and comes back begins anew.
 */
static void test_rule_comes_back(void **state)
{
    (void)state;
    struct tly_buf saved;
    struct tly_error err = {0};
    save_firing(&saved);
    struct tly_engine *engine = start(ALERT);
    assert_int_equal(tly_engine_restore(engine, tly_buf_text(&saved), &err), 0);
    expect_minute(engine, 5, 150, "!");
    load(engine, OTHER);
    expect_minute(engine, 6, 150, "I!");
    load(engine, ALERT);
    expect_minute(engine, 7, 150, "P");
    tly_engine_free(engine);
    tly_buf_done(&saved);
}

/* Others know an alert by its labels alone: it goes on as long as any rule has it. */
static void test_two_rules_of_which_one_goes(void **state)
{
    (void)state;
    struct tly_engine *engine = start(TWICE);
    expect_minute(engine, 0, 150, "PP");
    expect_minute(engine, 1, 150, "");
    expect_minute(engine, 2, 150, "F!F!");
    load(engine, ALERT);
    expect_minute(engine, 3, 150, "");
    load(engine, OTHER);
    expect_minute(engine, 4, 150, "I!");
    tly_engine_free(engine);
}

/* A scalar has one alert, without the labels that were saved. */
static void test_scalar_now(void **state)
{
    (void)state;
    struct tly_buf saved;
    struct tly_error err = {0};
    save_firing(&saved);
    struct tly_engine *engine = start(
        "groups:\n- name: g\n  rules:\n  - {alert: Full, expr: 1, for: 9m}\n");
    assert_int_equal(tly_engine_restore(engine, tly_buf_text(&saved), &err), 0);
    expect_minute(engine, 5, 150, "!P");
    expect_minute(engine, 11, 150, "I!"); /* no samples come any more */
    tly_engine_free(engine);
    tly_buf_done(&saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart_firing),
        cmocka_unit_test(test_restart_pending),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_look_back),
        cmocka_unit_test(test_look_back_in_part),
        cmocka_unit_test(test_late_samples),
        cmocka_unit_test(test_look_back_pending),
        cmocka_unit_test(test_restart_again),
        cmocka_unit_test(test_value_in_labels),
        cmocka_unit_test(test_rules_of_one_name),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_look_back_after_a_step),
        cmocka_unit_test(test_restart_in_the_past),
        cmocka_unit_test(test_rule_comes_back),
        cmocka_unit_test(test_two_rules_of_which_one_goes),
        cmocka_unit_test(test_scalar_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
