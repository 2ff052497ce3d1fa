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

/* ---- in parts ---- */

static int parts_left, turns;

/* One in each turn; looks that are asked for come after them. */
static bool take(void *arg)
{
    (void)arg;
    assert_true(tly_rounds_running(rounds));
    assert_int_equal(ended, 0);
    return --parts_left > 0;
}

/* Runs in every turn of the loop. */
static void turn(void *arg)
{
    turns++;
    tly_defer_call(*(struct tly_defer **)arg);
}

static const struct tly_rounds_ops ops_in_parts = {
    .begin = begin, .work = work, .take = take, .end = end};

static void what_was_found_is_taken_over_many_turns(void **state)
{
    (void)state;
    struct tly_defer *defer;
    assert_int_equal(tly_defer_new(loop, turn, (void *)&defer, &defer), 0);
    assert_int_equal(tly_rounds_new(loop, &ops_in_parts, NULL, NEVER_MS, &rounds), 0);
    parts_left = 20;
    turns = 0;
    rounds_wanted = 1;
    tly_defer_call(defer);
    tly_rounds_ask(rounds, answer, NULL);
    run();
    assert_int_equal(parts_left, 0);
    assert_true(turns >= 19); /* each had its turn between two parts */
    assert_int_equal(answered, 1);
    tly_defer_free(defer);
    tly_rounds_stop(rounds, stop_said, NULL);
    assert_int_equal(stopped, 1);
}

static void stop_due_to_part(void *arg)
{
    (void)arg;
    tly_rounds_stop(rounds, stop_said, NULL);
}

static bool take_for_ever(void *arg)
{
    struct tly_defer **defer = arg;
    if (++parts_left == 3) {
        tly_defer_call(*defer);
    }
    return true;
}

static void a_stop_between_two_parts_ends_it(void **state)
{
    (void)state;
    static const struct tly_rounds_ops endless = {
        .begin = begin, .work = work, .take = take_for_ever, .end = end};
    struct tly_defer *defer;
    assert_int_equal(tly_defer_new(loop, stop_due_to_part, NULL, &defer), 0);
    assert_int_equal(tly_rounds_new(loop, &endless, (void *)&defer, NEVER_MS, &rounds), 0);
    parts_left = 0;
    tly_rounds_ask(rounds, answer, NULL);
    run();
    assert_int_equal(stopped, 1);
    assert_int_equal(ended, 0);
    assert_int_equal(answered, 0);
    tly_defer_free(defer);
}

/* ---- looks ---- */

static int looks;

static void end_of_look(void *arg, bool did)
{
    if (tly_rounds_is_look(rounds)) {
        looks++;
        assert_int_equal(answered, 0);
    }
    end(arg, did);
}

static const struct tly_rounds_ops ops_with_looks = {
    .begin = begin, .work = work, .end = end_of_look};

/* Many changes are one look; who asks meanwhile gets a round after it. */
static void a_look_answers_nobody(void **state)
{
    (void)state;
    assert_int_equal(tly_rounds_new(loop, &ops_with_looks, NULL, NEVER_MS, &rounds), 0);
    looks = 0;
    rounds_wanted = 1;
    tly_rounds_look(rounds);
    tly_rounds_look(rounds);
    run();
    assert_int_equal(looks, 1);

    tly_rounds_look(rounds);
    assert_false(tly_rounds_running(rounds)); /* the gap */
    rounds_wanted = 2;
    run();
    assert_int_equal(looks, 2);
    tly_rounds_stop(rounds, stop_said, NULL);
    assert_int_equal(begun, 2);
}

static void ask_during_look(void *arg)
{
    begin(arg);
    if (tly_rounds_is_look(rounds)) {
        tly_rounds_ask(rounds, answer, NULL);
        tly_rounds_look(rounds);
    }
}

/* A round that comes first makes the look needless. */
static void a_round_is_a_look_too(void **state)
{
    (void)state;
    static const struct tly_rounds_ops asking = {
        .begin = ask_during_look, .work = work, .end = end_of_look};
    assert_int_equal(tly_rounds_new(loop, &asking, NULL, NEVER_MS, &rounds), 0);
    looks = 0;
    rounds_wanted = 2;
    tly_rounds_look(rounds);
    run();
    assert_int_equal(looks, 1);
    assert_int_equal(answered, 1);
    run_briefly();
    assert_int_equal(begun, 2);
    tly_rounds_stop(rounds, stop_said, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(come_at_the_interval, make_rounds, free_loop),
        cmocka_unit_test_setup_teardown(one_serves_all_who_ask_meanwhile, make_rounds, free_loop),
        cmocka_unit_test_setup_teardown(whoever_asks_from_inside_gets_another, make_rounds,
                                        free_loop),
        cmocka_unit_test_setup_teardown(a_stop_waits_for_the_worker_alone, make_rounds, free_loop),
        cmocka_unit_test_setup_teardown(what_was_found_is_taken_over_many_turns, make_rounds,
                                        free_loop),
        cmocka_unit_test_setup_teardown(a_stop_between_two_parts_ends_it, make_rounds, free_loop),
        cmocka_unit_test_setup_teardown(a_look_answers_nobody, make_rounds, free_loop),
        cmocka_unit_test_setup_teardown(a_round_is_a_look_too, make_rounds, free_loop),
    };
    return cmocka_run_group_tests_name("rounds", tests, NULL, NULL);
}
