/*
 * The files of a process and of a thread.
 */
#include "agent/codec/task.h"
#include "tests/unit/unit.h"

static void states(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        char state; /* 0: malformed */
    } rows[] = {
        {"12 (sh) S 1 12 12 0", 'S'},
        {"12 (a) R (b) Z 1", 'Z'},
        {"12 (a b) D", 'D'},
        {"12 (sh) ", 0},
        {"12 (sh)S", 0},
        {"12 sh S", 0},
        {"", 0},
        {")", 0},
        {"1 (\n) x) T 5", 'T'},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char found = 0;
        (void)!tly_task_state_parse(tly_text_of(rows[i].text), &found);
        assert_int_equal(found, rows[i].state);
    }
}

static void schedules(void **state)
{
    (void)state;
    struct tly_task_schedule schedule = {0, 0, 0};
    assert_int_equal(tly_task_schedule_parse(TLY_TEXT("1120389 4012800 3\n"), &schedule), 0);
    assert_int_equal(schedule.run_ns, 1120389);
    assert_int_equal(schedule.wait_ns, 4012800);
    assert_int_equal(schedule.periods, 3);
    assert_int_equal(tly_task_schedule_parse(TLY_TEXT("1 2 3 4 of a newer kernel"), &schedule), 0);
    static const char *const malformed[] = {"", "1", "1 2", "1  2 3", "-1 2 3", "1 2 x"};
    for (size_t i = 0; i < ROWS(malformed); i++) {
        assert_int_equal(tly_task_schedule_parse(tly_text_of(malformed[i]), &schedule),
                         TLY_E_MALFORMED);
    }
}

static void limits(void **state)
{
    (void)state;
    struct tly_text rest = TLY_TEXT(
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max cpu time              unlimited            unlimited            seconds   \n"
        "Max open files            1024                 524288               files     \n"
        "Max open files            1024\n"
        "Max open files            -5                   7                    files     \n"
        "Max nice priority         0                    0                    \n");
    struct tly_task_limit limit;
    assert_true(tly_task_limit_next(&rest, &limit));
    expect_text(limit.name, "Max cpu time");
    assert_int_equal(limit.soft, TLY_TASK_UNLIMITED);
    assert_int_equal(limit.hard, TLY_TASK_UNLIMITED);
    assert_true(tly_task_limit_next(&rest, &limit));
    expect_text(limit.name, "Max open files");
    assert_int_equal(limit.soft, 1024);
    assert_int_equal(limit.hard, 524288);
    assert_true(tly_task_limit_next(&rest, &limit));
    expect_text(limit.name, "Max nice priority");
    assert_false(tly_task_limit_next(&rest, &limit));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states),
        cmocka_unit_test(schedules),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests_name("task", tests, NULL, NULL);
}
