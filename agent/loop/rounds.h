/*
 * Rounds: the same work again and again on a worker, at an interval and whenever somebody asks, one
 * at a time. What the work uses belongs to the worker while it works, and to the loop before and
 * after. Between rounds there may be looks: smaller ones, for what is said to have changed, which
 * nobody waits for.
 */
#ifndef TLY_LOOP_ROUNDS_H
#define TLY_LOOP_ROUNDS_H

#include "agent/base/error.h"
#include "agent/loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

/* Containers whose numbers are a part for `take`: a fraction of a millisecond. */
#define TLY_ROUNDS_PART 256

/* In the order in which they are called; all but `work` on the loop. */
struct tly_rounds_ops {
    void (*begin)(void *arg);
    void (*work)(void *arg); /* on the worker */
    /* Takes a part of what the work found; true: there is more, for the next turn of the loop, so
     * that however much it is, nothing else waits long. NULL: `end` takes it all. */
    bool (*take)(void *arg);
    void (*end)(void *arg, bool worked); /* false: no worker could be had, nothing was taken */
};

struct tly_rounds;

/* `ops` is borrowed. */
int tly_rounds_new(struct tly_loop *loop, const struct tly_rounds_ops *ops, void *arg,
                   int64_t interval_ms, struct tly_rounds **ret_rounds) TLY_CHECK;

/* The first round, now; the next ones each `interval_ms` after the start of the last. */
void tly_rounds_start(struct tly_rounds *rounds);

/* Whether a round or a look is under way. */
bool tly_rounds_running(const struct tly_rounds *rounds);

/* Calls `done(token)` at the end of the round that is under way, or of one that begins now, or
 * after the look that is under way. Fits the inventory's refreshers: `arg` is a struct tly_rounds.
 */
void tly_rounds_ask(void *arg, void (*done)(void *token), void *token);

/* A look, at the earliest TLY_ROUNDS_GAP_MS after the end of what was last under way, unless a
 * round comes first: a storm of changes costs at most fifty of them a second. */
#define TLY_ROUNDS_GAP_MS 20
void tly_rounds_look(struct tly_rounds *rounds);

/* From `begin` to `end`: whether this is a look and not a round. */
bool tly_rounds_is_look(const struct tly_rounds *rounds);

/*
 * No round begins any more, and nobody who asked is called. Frees the rounds and calls `stopped`,
 * maybe from inside: when the worker is done with the round under way, whose `end` is left out.
 */
void tly_rounds_stop(struct tly_rounds *rounds, void (*stopped)(void *arg), void *arg);
void tly_rounds_free(struct tly_rounds *rounds); /* only without a round under way; NULL is fine */

#endif
