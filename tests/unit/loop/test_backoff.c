/*
 * Waiting times: within the upper half of each step, spread, bounded, and back at the start after a
 * success.
 */
#include "agent/loop/backoff.h"
#include "tests/unit/unit.h"

#include <limits.h>

static void doubles_within_the_upper_half(void **state)
{
    (void)state;
    static const int64_t steps[] = {100, 200, 400, 800, 1600, 3000, 3000, 3000};
    bool low[ROWS(steps)] = {false};
    bool high[ROWS(steps)] = {false};
    for (int round = 0; round < 1000; round++) {
        struct tly_backoff backoff;
        tly_backoff_init(&backoff, 100, 3000);
        for (size_t i = 0; i < ROWS(steps); i++) {
            int64_t wait = tly_backoff_next_ms(&backoff);
            assert_in_range(wait, steps[i] / 2, steps[i]);
            low[i] |= wait < steps[i] * 5 / 8;
            high[i] |= wait > steps[i] * 7 / 8;
        }
    }
    for (size_t i = 0; i < ROWS(steps); i++) {
        assert_true(low[i] && high[i]);
    }
}

static void begins_anew_after_a_success(void **state)
{
    (void)state;
    struct tly_backoff backoff;
    tly_backoff_init(&backoff, 10, 100000);
    for (int i = 0; i < 10; i++) {
        assert_true(tly_backoff_next_ms(&backoff) > 0);
    }
    tly_backoff_clear(&backoff);
    assert_in_range(tly_backoff_next_ms(&backoff), 5, 10);
}

static void stays_sane_at_the_edges(void **state)
{
    (void)state;
    static const struct {
        int64_t first, max, least, most;
    } rows[] = {
        {0, 0, 0, 1},
        {-5, -7, 0, 1},
        {1, 1, 0, 1},
        {500, 100, 250, 500}, /* a maximum below the start: the start counts */
        {INT64_MAX / 2 + 1, INT64_MAX, INT64_MAX / 4, INT64_MAX},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_backoff backoff;
        tly_backoff_init(&backoff, rows[i].first, rows[i].max);
        for (int n = 0; n < 200; n++) {
            assert_in_range(tly_backoff_next_ms(&backoff), rows[i].least, rows[i].most);
        }
    }
    struct tly_backoff backoff;
    tly_backoff_init(&backoff, 1, 1000);
    backoff.tries = UINT_MAX;
    assert_in_range(tly_backoff_next_ms(&backoff), 500, 1000);
    assert_int_equal(backoff.tries, UINT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_within_the_upper_half),
        cmocka_unit_test(begins_anew_after_a_success),
        cmocka_unit_test(stays_sane_at_the_edges),
    };
    return cmocka_run_group_tests_name("loop:backoff", tests, NULL, NULL);
}
