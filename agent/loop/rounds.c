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
    bool running;
    struct asker *askers; /* for the end of the round under way */
    size_t asker_count, asker_cap;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

static void round_start(void *arg);

int tly_rounds_new(struct tly_loop *loop, const struct tly_rounds_ops *ops, void *arg,
                   int64_t interval_ms, struct tly_rounds **ret_rounds)
{
    struct tly_rounds *rounds = calloc(1, sizeof(*rounds));
    if (rounds == NULL) {
        return -ENOMEM;
    }
    *rounds = (struct tly_rounds){.loop = loop, .ops = ops, .arg = arg, .interval_ms = interval_ms};
    int rc = tly_timer_new(loop, round_start, rounds, &rounds->tick);
    if (rc < 0) {
        free(rounds);
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
    free(rounds->askers);
    free(rounds);
}

bool tly_rounds_running(const struct tly_rounds *rounds)
{
    return rounds->running;
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

static void round_work(void *arg)
{
    struct tly_rounds *rounds = arg;
    rounds->ops->work(rounds->arg);
}

static void round_done(void *arg)
{
    struct tly_rounds *rounds = arg;
    rounds->running = false;
    if (rounds->stopped != NULL) {
        void (*stopped)(void *arg) = rounds->stopped;
        void *stopped_arg = rounds->stopped_arg;
        tly_rounds_free(rounds);
        stopped(stopped_arg);
        return;
    }
    rounds->ops->end(rounds->arg, true);
    askers_call(rounds);
}

static void round_start(void *arg)
{
    struct tly_rounds *rounds = arg;
    if (rounds->running) {
        return;
    }
    /* The next tick counts from here: a round that somebody asked for makes it needless. */
    tly_timer_start(rounds->tick, rounds->interval_ms, rounds->interval_ms);
    rounds->ops->begin(rounds->arg);
    rounds->running = true;
    if (tly_worker_submit(rounds->loop, round_work, round_done, rounds) < 0) {
        rounds->running = false;
        rounds->ops->end(rounds->arg, false);
        askers_call(rounds);
    }
}

void tly_rounds_start(struct tly_rounds *rounds)
{
    round_start(rounds);
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
    round_start(rounds);
}

void tly_rounds_stop(struct tly_rounds *rounds, void (*stopped)(void *arg), void *arg)
{
    tly_timer_stop(rounds->tick);
    if (rounds->running) {
        rounds->stopped = stopped;
        rounds->stopped_arg = arg;
        return;
    }
    tly_rounds_free(rounds);
    stopped(arg);
}
