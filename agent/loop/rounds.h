/*
 * Rounds: the same work again and again on a worker, at an interval and whenever somebody asks, one
 * at a time. What the work uses belongs to the worker during a round and to the loop between them.
 */
#ifndef TLY_LOOP_ROUNDS_H
#define TLY_LOOP_ROUNDS_H

#include "agent/base/error.h"
#include "agent/loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_rounds_ops {
    void (*begin)(void *arg);            /* on the loop, before each round */
    void (*work)(void *arg);             /* on the worker */
    void (*end)(void *arg, bool worked); /* on the loop; false: no worker could be had */
};

struct tly_rounds;

/* `ops` is borrowed. */
int tly_rounds_new(struct tly_loop *loop, const struct tly_rounds_ops *ops, void *arg,
                   int64_t interval_ms, struct tly_rounds **ret_rounds) TLY_CHECK;

/* The first round, now; the next ones each `interval_ms` after the start of the last. */
void tly_rounds_start(struct tly_rounds *rounds);

/* Whether a round is under way. */
bool tly_rounds_running(const struct tly_rounds *rounds);

/* Calls `done(token)` at the end of the round that is under way, or of one that begins now. Fits
 * the inventory's refreshers: `arg` is a struct tly_rounds. */
void tly_rounds_ask(void *arg, void (*done)(void *token), void *token);

/*
 * No round begins any more, and nobody who asked is called. Frees the rounds and calls `stopped`,
 * maybe from inside: when the worker is done with the round under way, whose `end` is left out.
 */
void tly_rounds_stop(struct tly_rounds *rounds, void (*stopped)(void *arg), void *arg);
void tly_rounds_free(struct tly_rounds *rounds); /* only without a round under way; NULL is fine */

#endif
