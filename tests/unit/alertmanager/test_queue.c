/*
 * What waits for a peer: the latest of each alert, in order, bounded.
 */
#include "outputs/alertmanager/queue.h"
#include "tests/unit/alertmanager/alerts.h"

#define MAX 3

static struct tly_alert_queue *queue_make(void)
{
    struct tly_alert_queue *queue;
    assert_int_equal(tly_alert_queue_new(MAX, &queue), 0);
    return queue;
}

static void put(struct tly_alert_queue *queue, const char *container, enum tly_alert_state state,
                int expected)
{
    struct tly_alert *alert = alert_make("Burns", container, state);
    assert_int_equal(tly_alert_queue_put(queue, alert), expected);
    tly_alert_unref(alert);
}

static void takes(struct tly_alert_queue *queue, const char *container, enum tly_alert_state state)
{
    struct tly_alert *alert;
    assert_int_equal(tly_alert_queue_take(queue, 1, &alert), 1);
    assert_string_equal(tly_alert_label(alert, TLY_TEXT("name")).at, container);
    assert_int_equal(alert->state, state);
    tly_alert_unref(alert);
}

static void test_latest_state_at_the_old_place(void **state)
{
    (void)state;
    struct tly_alert_queue *queue = queue_make();
    struct tly_alert *none;
    put(queue, "a", TLY_ALERT_FIRING, 0);
    put(queue, "b", TLY_ALERT_FIRING, 0);
    put(queue, "a", TLY_ALERT_INACTIVE, 0);
    assert_int_equal(tly_alert_queue_count(queue), 2);
    takes(queue, "a", TLY_ALERT_INACTIVE);
    takes(queue, "b", TLY_ALERT_FIRING);
    assert_int_equal(tly_alert_queue_take(queue, 1, &none), 0);
    tly_alert_queue_free(queue);
}

static void test_the_oldest_goes_at_the_bound(void **state)
{
    (void)state;
    struct tly_alert_queue *queue = queue_make();
    put(queue, "a", TLY_ALERT_FIRING, 0);
    put(queue, "b", TLY_ALERT_FIRING, 0);
    put(queue, "c", TLY_ALERT_FIRING, 0);
    put(queue, "b", TLY_ALERT_FIRING, 0);
    put(queue, "d", TLY_ALERT_FIRING, 1);
    assert_int_equal(tly_alert_queue_count(queue), MAX);
    takes(queue, "b", TLY_ALERT_FIRING);
    tly_alert_queue_free(queue);
}

static void test_what_comes_back_is_older(void **state)
{
    (void)state;
    struct tly_alert_queue *queue = queue_make();
    struct tly_alert *taken[MAX];
    put(queue, "a", TLY_ALERT_FIRING, 0);
    put(queue, "b", TLY_ALERT_FIRING, 0);
    put(queue, "c", TLY_ALERT_FIRING, 0);
    assert_int_equal(tly_alert_queue_take(queue, MAX, taken), 3);
    put(queue, "a", TLY_ALERT_INACTIVE, 0);
    put(queue, "d", TLY_ALERT_FIRING, 0);
    assert_int_equal(tly_alert_queue_give_back(queue, taken[0]), 0); /* the newer one stays */
    assert_int_equal(tly_alert_queue_give_back(queue, taken[1]), 0);
    assert_int_equal(tly_alert_queue_give_back(queue, taken[2]), 1); /* no room */
    takes(queue, "a", TLY_ALERT_INACTIVE);
    takes(queue, "d", TLY_ALERT_FIRING);
    takes(queue, "b", TLY_ALERT_FIRING);
    assert_int_equal(tly_alert_queue_count(queue), 0);
    tly_alert_queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_latest_state_at_the_old_place),
        cmocka_unit_test(test_the_oldest_goes_at_the_bound),
        cmocka_unit_test(test_what_comes_back_is_older),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
