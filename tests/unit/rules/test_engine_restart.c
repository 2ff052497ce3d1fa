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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart_firing),
        cmocka_unit_test(test_restart_pending),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
