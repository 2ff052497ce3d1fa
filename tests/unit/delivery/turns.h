/*
 * Turning the loop in tests: a few turns, or until a condition holds. No sleeping: a condition that
 * never holds ends in a failed assertion after a generous time.
 */
#ifndef TLY_TESTS_DELIVERY_TURNS_H
#define TLY_TESTS_DELIVERY_TURNS_H

#include "agent/base/error.h"
#include "agent/loop/loop.h"

#include <stdbool.h>

#define TURNS_TIMEOUT_MS 20000

struct turns {
    struct tly_loop *loop;
    bool (*holds)(void *arg);
    void *arg;
    int64_t end_ms;
    bool held;
};

static inline void turns_look(void *arg)
{
    struct turns *turns = arg;
    turns->held = turns->holds(turns->arg);
    if (turns->held || tly_loop_now_ms(turns->loop) >= turns->end_ms) {
        tly_loop_stop(turns->loop);
    }
}

/* Runs the loop until `holds` answers true, which it is asked every millisecond. */
static inline bool turns_until(struct tly_loop *loop, bool (*holds)(void *arg), void *arg)
{
    struct tly_timer *timer;
    struct turns turns = {loop, holds, arg, tly_loop_now_ms(loop) + TURNS_TIMEOUT_MS, false};
    if (tly_timer_new(loop, turns_look, &turns, &timer) < 0) {
        return false;
    }
    tly_timer_start(timer, 0, 1);
    tly_loop_run(loop);
    tly_timer_free(timer);
    return turns.held;
}

static inline bool turns_counted(void *arg)
{
    int *left = arg;
    return (*left)-- <= 0;
}

/* A few turns: enough for every deferred call that is waiting. */
static inline bool turns_few(struct tly_loop *loop)
{
    int left = 3;
    return turns_until(loop, turns_counted, &left);
}

#endif
