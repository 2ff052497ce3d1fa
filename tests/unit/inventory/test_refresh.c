/*
 * Freshness: one reading for all who ask at once, none while the last is young enough, and an end
 * also when a refresher leaves in the middle.
 */
#include "tests/unit/inventory/table.h"

#define HOUR_MS 3600000

/* A refresher that ends when the test says so. */
struct slow {
    int runs;
    void (*done)(void *token);
    void *token;
};

static void slow_refresh(void *arg, void (*done)(void *token), void *token)
{
    struct slow *slow = arg;
    slow->runs++;
    slow->done = done;
    slow->token = token;
}

static void quick_refresh(void *arg, void (*done)(void *token), void *token)
{
    ++*(int *)arg;
    done(token);
}

static void count(void *arg)
{
    ++*(int *)arg;
}

static void refresh(int64_t max_age_ms, int *calls)
{
    assert_int_equal(tly_inventory_refresh(inventory, max_age_ms, count, calls), 0);
}

static void ends_at_once_without_refreshers(void **state)
{
    (void)state;
    int calls = 0;
    refresh(0, &calls);
    assert_int_equal(calls, 1);
}

static void callers_share_a_run(void **state)
{
    (void)state;
    struct slow a = {0};
    int b = 0;
    int calls = 0;
    assert_int_equal(tly_inventory_refresher(inventory, slow_refresh, &a), 0);
    assert_int_equal(tly_inventory_refresher(inventory, quick_refresh, &b), 0);
    refresh(HOUR_MS, &calls);
    refresh(0, &calls);
    assert_int_equal(calls, 0);
    assert_int_equal(a.runs, 1);
    assert_int_equal(b, 1);
    a.done(a.token);
    assert_int_equal(calls, 2);
    a.done(a.token); /* once too often: does no harm */
    assert_int_equal(calls, 2);

    refresh(HOUR_MS, &calls); /* still young */
    assert_int_equal(calls, 3);
    assert_int_equal(a.runs, 1);
    refresh(-1, &calls); /* nothing is that young */
    assert_int_equal(a.runs, 2);
    assert_int_equal(calls, 3);
    a.done(a.token);
    assert_int_equal(calls, 4);
}

struct again {
    int calls;
    int rounds;
};

static void ask_again(void *arg)
{
    struct again *again = arg;
    again->calls++;
    if (again->rounds-- > 0) {
        assert_int_equal(tly_inventory_refresh(inventory, -1, ask_again, again), 0);
    }
}

static void a_caller_may_ask_again_from_its_call(void **state)
{
    (void)state;
    int runs = 0;
    struct again again = {.rounds = 3};
    assert_int_equal(tly_inventory_refresher(inventory, quick_refresh, &runs), 0);
    assert_int_equal(tly_inventory_refresh(inventory, -1, ask_again, &again), 0);
    assert_int_equal(again.calls, 4);
    assert_int_equal(runs, 4);
}

static void a_refresher_may_leave_during_a_run(void **state)
{
    (void)state;
    struct slow a = {0};
    struct slow b = {0};
    int calls = 0;
    assert_int_equal(tly_inventory_refresher(inventory, slow_refresh, &a), 0);
    assert_int_equal(tly_inventory_refresher(inventory, slow_refresh, &b), 0);
    refresh(0, &calls);
    tly_inventory_unrefresher(inventory, slow_refresh, &a);
    assert_int_equal(calls, 0);
    tly_inventory_unrefresher(inventory, slow_refresh, &b);
    assert_int_equal(calls, 1);
    a.done(a.token); /* late */
    assert_int_equal(calls, 1);
    refresh(-1, &calls);
    assert_int_equal(calls, 2);
    assert_int_equal(a.runs, 1);
}

/* Those who wait when everything ends are let go, without a call into what is gone. */
static void nobody_is_called_at_the_end(void **state)
{
    (void)state;
    struct slow a = {0};
    static int calls;
    assert_int_equal(tly_inventory_refresher(inventory, slow_refresh, &a), 0);
    refresh(0, &calls);
    tly_inventory_free(inventory);
    inventory = NULL;
    assert_int_equal(calls, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_inventory, free_inventory)
    const struct CMUnitTest tests[] = {
        TEST(ends_at_once_without_refreshers),      TEST(callers_share_a_run),
        TEST(a_caller_may_ask_again_from_its_call), TEST(a_refresher_may_leave_during_a_run),
        TEST(nobody_is_called_at_the_end),
    };
    return cmocka_run_group_tests_name("refresh", tests, NULL, NULL);
}
