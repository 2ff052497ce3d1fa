/*
 * A loop for tests: every run is bounded by an alarm, so that what never happens fails the test
 * instead of hanging it.
 */
#ifndef TLY_TESTS_UNIT_LOOP_RUNNING_H
#define TLY_TESTS_UNIT_LOOP_RUNNING_H

#include "agent/loop/loop.h"
#include "tests/unit/unit.h"

#include <unistd.h>

/* Far more than any test needs, valgrind included. */
#define GUARD_S 30

static struct tly_loop *loop;

static inline int make_loop(void **state)
{
    (void)state;
    return tly_loop_new(&loop);
}

static inline int free_loop(void **state)
{
    (void)state;
    tly_loop_free(loop);
    loop = NULL;
    return 0;
}

/* Runs until the loop is stopped or has nothing to do. */
static inline void run(void)
{
    (void)alarm(GUARD_S); /* ends the process */
    tly_loop_run(loop);
    (void)alarm(0);
}

static inline void stop_due(void *arg)
{
    (void)arg;
    tly_loop_stop(loop);
}

/* Runs for some turns and a little while, for what must not happen. */
static inline void run_briefly(void)
{
    struct tly_timer *timer;
    assert_int_equal(tly_timer_new(loop, stop_due, NULL, &timer), 0);
    tly_timer_start(timer, 30, 0);
    tly_loop_run(loop);
    tly_timer_free(timer);
}

#endif
