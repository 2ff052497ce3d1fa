/*
 * How long the turns of the loop take. A check handle runs once in each turn, behind the events; of
 * the time since the turn before, libuv says how much was spent waiting, and the rest is work.
 */
#include "agent/base/clock.h"
#include "agent/loop/handle.h"

const int64_t tly_turn_bounds_ms[TLY_TURN_BOUNDS] = {1, 2, 5, 20, 100};

static void turn_ended(uv_check_t *uv)
{
    struct tly_loop *loop = uv->loop->data;
    int64_t now_ns = (int64_t)uv_hrtime();
    int64_t idle_ns = (int64_t)uv_metrics_idle_time(&loop->uv);
    int64_t busy_ns = (now_ns - loop->turn_ended_ns) - (idle_ns - loop->turn_idle_ns);
    loop->turn_ended_ns = now_ns;
    loop->turn_idle_ns = idle_ns;
    if (busy_ns <= 0) {
        return; /* the clocks are not read in the same moment */
    }
    loop->turns.busy_ns += busy_ns;
    for (size_t i = 0; i < TLY_TURN_BOUNDS && busy_ns > tly_turn_bounds_ms[i] * TLY_NS_PER_MS;
         i++) {
        loop->turns.longer[i]++;
    }
}

int tly_loop_turns_init(struct tly_loop *loop)
{
    int rc = uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME);
    if (rc < 0) {
        return rc;
    }
    (void)uv_check_init(&loop->uv, &loop->turn_check); /* always 0 */
    return 0;
}

void tly_loop_turns_begin(struct tly_loop *loop)
{
    loop->turn_ended_ns = (int64_t)uv_hrtime();
    loop->turn_idle_ns = (int64_t)uv_metrics_idle_time(&loop->uv);
    (void)uv_check_start(&loop->turn_check, turn_ended); /* fails only without a function */
    uv_unref((uv_handle_t *)&loop->turn_check);          /* keeps no loop alive */
}

void tly_loop_turns_end(struct tly_loop *loop)
{
    (void)uv_check_stop(&loop->turn_check); /* always 0 */
}

const struct tly_turns *tly_loop_turns(const struct tly_loop *loop)
{
    return &loop->turns;
}
