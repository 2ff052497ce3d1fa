/*
 * The pace of work that repeats on a worker. Lives on the loop; owned by the collector that made
 * it.
 */
#include "agent/loop/rounds.h"

#include <errno.h>
#include <stdlib.h>

struct asker {
    void (*done)(void *token);
    void *token;
};

struct tly_rounds {
    struct tly_loop *loop;
    const struct tly_rounds_ops *ops;
    void *arg;
    int64_t interval_ms;
    struct tly_timer *tick;
    struct tly_timer *gap;   /* until the next look may begin */
    struct tly_defer *taker; /* takes the next part */
    bool running;            /* from `begin` to the last part */
    bool calling;            /* `begin` or `end` */
    bool look;               /* the one under way, or the last one, is a look */
    bool round_wanted, look_wanted;
    int64_t ended_ms;
    struct asker *askers; /* for the end of a round */
    size_t asker_count, asker_cap;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

static void tick_due(void *arg);
static void gap_over(void *arg);
static void take_part(void *arg);

int tly_rounds_new(struct tly_loop *loop, const struct tly_rounds_ops *ops, void *arg,
                   int64_t interval_ms, struct tly_rounds **ret_rounds)
{
    struct tly_rounds *rounds = calloc(1, sizeof(*rounds));
    if (rounds == NULL) {
        return -ENOMEM;
    }
    *rounds = (struct tly_rounds){.loop = loop, .ops = ops, .arg = arg, .interval_ms = interval_ms};
    int rc = tly_timer_new(loop, tick_due, rounds, &rounds->tick);
    if (rc == 0) {
        rc = tly_timer_new(loop, gap_over, rounds, &rounds->gap);
    }
    if (rc == 0) {
        rc = tly_defer_new(loop, take_part, rounds, &rounds->taker);
    }
    if (rc < 0) {
        tly_rounds_free(rounds);
        return rc;
    }
    *ret_rounds = rounds;
    return 0;
}

void tly_rounds_free(struct tly_rounds *rounds)
{
    if (rounds == NULL) {
        return;
    }
    tly_timer_free(rounds->tick);
    tly_timer_free(rounds->gap);
    tly_defer_free(rounds->taker);
    free(rounds->askers);
    free(rounds);
}

bool tly_rounds_running(const struct tly_rounds *rounds)
{
    return rounds->running;
}

bool tly_rounds_is_look(const struct tly_rounds *rounds)
{
    return rounds->look;
}

static void askers_call(struct tly_rounds *rounds)
{
    /* Detached first: who is called may ask again at once. */
    struct asker *askers = rounds->askers;
    size_t count = rounds->asker_count;
    rounds->askers = NULL;
    rounds->asker_count = 0;
    rounds->asker_cap = 0;
    for (size_t i = 0; i < count; i++) {
        askers[i].done(askers[i].token);
    }
    free(askers);
}

static void wake(struct tly_rounds *rounds);

static void finish(struct tly_rounds *rounds, bool worked)
{
    rounds->running = false;
    rounds->ended_ms = tly_loop_now_ms(rounds->loop);
    rounds->calling = true; /* what is asked for from inside comes afterwards */
    rounds->ops->end(rounds->arg, worked);
    if (!rounds->look) {
        askers_call(rounds);
    }
    rounds->calling = false;
    wake(rounds);
}

static void round_work(void *arg)
{
    struct tly_rounds *rounds = arg;
    rounds->ops->work(rounds->arg);
}

/* The worker has ended, or a part was taken in an earlier turn. */
static void take_part(void *arg)
{
    struct tly_rounds *rounds = arg;
    if (rounds->stopped != NULL) {
        void (*stopped)(void *arg) = rounds->stopped;
        void *stopped_arg = rounds->stopped_arg;
        tly_rounds_free(rounds);
        stopped(stopped_arg);
    } else if (rounds->ops->take != NULL && rounds->ops->take(rounds->arg)) {
        tly_defer_call(rounds->taker);
    } else {
        finish(rounds, true);
    }
}

static void begin(struct tly_rounds *rounds, bool look)
{
    rounds->look = look;
    rounds->look_wanted = false; /* a round sees what a look would have seen */
    if (!look) {
        rounds->round_wanted = false;
        /* The next tick counts from here: a round that somebody asked for makes it needless. */
        tly_timer_start(rounds->tick, rounds->interval_ms, rounds->interval_ms);
    }
    rounds->calling = true;
    rounds->ops->begin(rounds->arg);
    rounds->calling = false;
    rounds->running = true;
    if (tly_worker_submit(rounds->loop, round_work, take_part, rounds) < 0) {
        finish(rounds, false);
    }
}

/* Begins what is wanted, now or a little later; nothing while something is under way: its end comes
 * back here. */
static void wake(struct tly_rounds *rounds)
{
    if (rounds->running || rounds->calling) {
        return;
    }
    if (rounds->round_wanted) {
        begin(rounds, false);
    } else if (rounds->look_wanted && !tly_timer_active(rounds->gap)) {
        int64_t wait_ms = rounds->ended_ms + TLY_ROUNDS_GAP_MS - tly_loop_now_ms(rounds->loop);
        tly_timer_start(rounds->gap, wait_ms > 0 ? wait_ms : 0, 0);
    }
}

static void tick_due(void *arg)
{
    tly_rounds_start(arg);
}

static void gap_over(void *arg)
{
    struct tly_rounds *rounds = arg;
    if (rounds->look_wanted && !rounds->running) {
        begin(rounds, true);
    }
}

void tly_rounds_start(struct tly_rounds *rounds)
{
    rounds->round_wanted = rounds->look || !rounds->running;
    wake(rounds);
}

void tly_rounds_look(struct tly_rounds *rounds)
{
    rounds->look_wanted = true;
    wake(rounds);
}

void tly_rounds_ask(void *arg, void (*done)(void *token), void *token)
{
    struct tly_rounds *rounds = arg;
    if (rounds->asker_count == rounds->asker_cap) {
        size_t cap = rounds->asker_cap == 0 ? 4 : rounds->asker_cap * 2;
        struct asker *grown = realloc(rounds->askers, cap * sizeof(*grown));
        if (grown == NULL) {
            done(token);
            return;
        }
        rounds->askers = grown;
        rounds->asker_cap = cap;
    }
    rounds->askers[rounds->asker_count++] = (struct asker){.done = done, .token = token};
    tly_rounds_start(rounds);
}

void tly_rounds_stop(struct tly_rounds *rounds, void (*stopped)(void *arg), void *arg)
{
    tly_timer_stop(rounds->tick);
    tly_timer_stop(rounds->gap);
    if (rounds->running) {
        rounds->stopped = stopped;
        rounds->stopped_arg = arg;
        return;
    }
    tly_rounds_free(rounds);
    stopped(arg);
}
