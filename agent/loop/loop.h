/*
 * The one event loop, which owns all state of the agent, and the handles that live on it. This room
 * is the only place that includes <uv.h>. Every handle here follows one life: `new` allocates and
 * attaches it, `free` detaches it at once (no callback comes after it) and releases the memory when
 * libuv has closed the handle. `free(NULL)` is fine. All functions are for the loop's thread only.
 */
#ifndef TLY_LOOP_LOOP_H
#define TLY_LOOP_LOOP_H

#include "agent/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_loop; /* opaque */

/* Also makes the process ignore SIGPIPE and SIGXFSZ: a peer that went away is an error of that
 * stream alone, and a file that may not grow an error of that write. */
int tly_loop_new(struct tly_loop **ret_loop) TLY_CHECK;

/* Runs until nothing can happen any more (no handle is started, no job is under way), or until
 * `stop`. */
void tly_loop_run(struct tly_loop *loop);
void tly_loop_stop(struct tly_loop *loop);

/* Runs what is still closing, then frees. Every handle must have been freed before; a handle that
 * was forgotten is a defect and aborts in debug builds. */
void tly_loop_free(struct tly_loop *loop);

/* Monotonic time as of this turn of the loop, in milliseconds. */
int64_t tly_loop_now_ms(const struct tly_loop *loop);

/* How long turns of the loop took, the waiting for events left out: whatever becomes due meanwhile
 * waits so long. Counted while the loop runs. */
#define TLY_TURN_BOUNDS 5
extern const int64_t tly_turn_bounds_ms[TLY_TURN_BOUNDS]; /* rising */
struct tly_turns {
    int64_t busy_ns;
    uint64_t longer[TLY_TURN_BOUNDS]; /* turns that took longer than each bound */
};
/* Borrowed as long as the loop is there. */
const struct tly_turns *tly_loop_turns(const struct tly_loop *loop);

/* ---- timer ---- */

struct tly_timer;
typedef void (*tly_timer_fn)(void *arg);

int tly_timer_new(struct tly_loop *loop, tly_timer_fn fire, void *arg,
                  struct tly_timer **ret_timer) TLY_CHECK;
/* Fires once after `after_ms`, then every `repeat_ms` (0: not again). Restarts a running timer. */
void tly_timer_start(struct tly_timer *timer, int64_t after_ms, int64_t repeat_ms);
void tly_timer_stop(struct tly_timer *timer);
bool tly_timer_active(const struct tly_timer *timer);
void tly_timer_free(struct tly_timer *timer);

/* ---- descriptor readiness ---- */

enum { TLY_READABLE = 1, TLY_WRITABLE = 2, TLY_HANGUP = 4 };

struct tly_poll;
/* `error` is 0 or the negative code that libuv reported; `events` is a set of the flags above. */
typedef void (*tly_poll_fn)(void *arg, int error, int events);

/* The descriptor stays the caller's, who closes it after `free`. */
int tly_poll_new(struct tly_loop *loop, int fd, tly_poll_fn ready, void *arg,
                 struct tly_poll **ret_poll) TLY_CHECK;
int tly_poll_start(struct tly_poll *poll, int events) TLY_CHECK;
void tly_poll_stop(struct tly_poll *poll);
void tly_poll_free(struct tly_poll *poll);

/* ---- worker ---- */

/*
 * Slow work on a thread of libuv's pool. `work` runs there and may touch only what `arg` owns; then
 * `done` runs on the loop. A job once submitted always ends in `done`, also while the loop drains.
 */
int tly_worker_submit(struct tly_loop *loop, void (*work)(void *arg), void (*done)(void *arg),
                      void *arg) TLY_CHECK;

/* Starts the threads that jobs run on, which otherwise begin with the first job: they are then as
 * the calling thread is now, with what it may do. Returns when all of them run. */
int tly_loop_start_workers(struct tly_loop *loop) TLY_CHECK;

/* ---- signal ---- */

struct tly_signal;
int tly_signal_new(struct tly_loop *loop, int signum, void (*caught)(void *arg, int signum),
                   void *arg, struct tly_signal **ret_signal) TLY_CHECK;
void tly_signal_free(struct tly_signal *signal);

/* ---- deferred call ---- */

/* Calls `fn` once in the next turn of the loop, before it waits. For breaking re-entrancy. */
struct tly_defer;
int tly_defer_new(struct tly_loop *loop, void (*fn)(void *arg), void *arg,
                  struct tly_defer **ret_defer) TLY_CHECK;
void tly_defer_call(struct tly_defer *defer); /* several calls before the turn count as one */
void tly_defer_free(struct tly_defer *defer);

#endif
