/*
 * Rounds: at an interval, when asked, one at a time, and stopped in the midst of one.
 */
#include "agent/loop/rounds.h"
#include "tests/unit/loop/running.h"

/* No test waits for it. */
#define NEVER_MS (3600 * 1000)

static struct tly_rounds *rounds;
static int begun, worked, ended, answered, stopped;
static int rounds_wanted; /* the loop stops after this many */

static void begin(void *arg)
{
    (void)arg;
    begun++;
}

static void work(void *arg)
{
    (void)arg;
    worked++;
}

static void end(void *arg, bool did)
{
    (void)arg;
    assert_true(did);
    ended++;
    if (ended == rounds_wanted) {
        tly_loop_stop(loop);
    }
}

static const struct tly_rounds_ops ops = {.begin = begin, .work = work, .end = end};

static int make_rounds(void **state)
{
    begun = worked = ended = answered = stopped = 0;
    rounds_wanted = 0;
    return make_loop(state);
}

static void rounds_make(int64_t interval_ms)
{
    assert_int_equal(tly_rounds_new(loop, &ops, NULL, interval_ms, &rounds), 0);
}

static void stop_said(void *arg)
{
    (void)arg;
    stopped++;
    tly_loop_stop(loop);
}

static void answer(void *token)
{
    answered++;
    if (token != NULL) { /* asks again from inside */
        tly_rounds_ask(rounds, answer, NULL);
    }
}

static void come_at_the_interval(void **state)
{
    (void)state;
    rounds_make(1);
    rounds_wanted = 3;
    tly_rounds_start(rounds);
    run();
    assert_int_equal(ended, 3);
    assert_true(worked >= 3);
    tly_rounds_stop(rounds, stop_said, NULL);
    if (stopped == 0) {
        run();
    }
    assert_int_equal(stopped, 1);
}

static void one_serves_all_who_ask_meanwhile(void **state)
{
    (void)state;
    rounds_make(NEVER_MS);
    tly_rounds_start(rounds);
    tly_rounds_ask(rounds, answer, NULL);
    tly_rounds_ask(rounds, answer, NULL);
    assert_true(tly_rounds_running(rounds));
    rounds_wanted = 1;
    run();
    assert_int_equal(begun, 1);
    assert_int_equal(answered, 2);
    assert_false(tly_rounds_running(rounds));
    tly_rounds_stop(rounds, stop_said, NULL);
    assert_int_equal(stopped, 1);
}

static void whoever_asks_from_inside_gets_another(void **state)
{
    (void)state;
    rounds_make(NEVER_MS);
    tly_rounds_ask(rounds, answer, rounds);
    rounds_wanted = 2;
    run();
    assert_int_equal(worked, 2);
    assert_int_equal(answered, 2);
    tly_rounds_stop(rounds, stop_said, NULL);
}

static void a_stop_waits_for_the_worker_alone(void **state)
{
    (void)state;
    rounds_make(NEVER_MS);
    tly_rounds_ask(rounds, answer, NULL);
    tly_rounds_stop(rounds, stop_said, NULL);
    assert_int_equal(stopped, 0);
    run();
    assert_int_equal(stopped, 1);
    assert_int_equal(worked, 1);
    assert_int_equal(ended, 0);
    assert_int_equal(answered, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(come_at_the_interval, make_rounds, free_loop),
        cmocka_unit_test_setup_teardown(one_serves_all_who_ask_meanwhile, make_rounds, free_loop),
        cmocka_unit_test_setup_teardown(whoever_asks_from_inside_gets_another, make_rounds,
                                        free_loop),
        cmocka_unit_test_setup_teardown(a_stop_waits_for_the_worker_alone, make_rounds, free_loop),
    };
    return cmocka_run_group_tests_name("rounds", tests, NULL, NULL);
}
