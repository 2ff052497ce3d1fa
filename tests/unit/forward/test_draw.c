/*
 * The draw by weights: every point of the line belongs to the one it should; and a sender whose
 * servers have weights goes to another when the drawn one fails.
 */
#include "outputs/forward/draw.h"
#include "tests/unit/forward/house.h"

static void test_shares(void **state)
{
    (void)state;
    static const uint32_t weights[] = {3, 0, 1, 6};
    size_t drawn[ROWS(weights)] = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        size_t index = tly_forward_draw(weights, ROWS(weights), i);
        assert_true(index < ROWS(weights));
        drawn[index]++;
    }
    assert_int_equal(drawn[0], 300);
    assert_int_equal(drawn[1], 0);
    assert_int_equal(drawn[2], 100);
    assert_int_equal(drawn[3], 600);
    static const uint32_t large[] = {UINT32_MAX, UINT32_MAX};
    assert_int_equal(tly_forward_draw(large, 2, (uint64_t)UINT32_MAX - 1), 0);
    assert_int_equal(tly_forward_draw(large, 2, UINT32_MAX), 1);
}

static void test_nobody(void **state)
{
    (void)state;
    static const uint32_t none[] = {0, 0};
    assert_int_equal(tly_forward_draw(none, 2, 7), 2);
    assert_int_equal(tly_forward_draw(none, 0, 7), 0);
}

static void test_weighted_fail_over(void **state)
{
    struct house *house = *state;
    house_add_server(house, &house->first, false);
    house_add_server(house, &house->second, false);
    house->servers[0].weight = 1000;
    house->servers[1].weight = 1;
    peer_stop(&house->first);
    house_send(house);
    house_append_numbers(house, 3);
    assert_true(turns_until(house->loop, house_is_empty, house));
    expect_text(tly_buf_text(&house->second.heard), "t:0 t:1 t:2 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test_setup_teardown(test_weighted_fail_over, house_set_up, house_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
