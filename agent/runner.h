/*
 * Starts the rooms and modules in order, watches over them, and stops them in order. `tallyman run`
 * runs all of them, `tallyman metrics` the collectors alone.
 *
 * Outputs start before collectors, so that every destination exists when the first record comes;
 * the addresses are bound before that, so that a port in use is known before anything is read.
 */
#ifndef TLY_RUNNER_H
#define TLY_RUNNER_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/config/option.h"
#include "agent/inventory/inventory.h"
#include "agent/loop/loop.h"
#include "agent/sandbox/sandbox.h"

#include <stdbool.h>

/* How long each step of a stop may take; what is not done by then is left behind. */
#define TLY_RUNNER_COLLECTORS_STOP_MS 5000
#define TLY_RUNNER_OUTPUTS_STOP_MS    5000 /* the time that outputs have to deliver */

struct tly_runner;

/* The rooms: inventory and delivery. Of `config` a reference is taken; the descriptor (-1: nothing
 * is kept) and the sandbox that was entered (NULL: none) are borrowed for the life of the runner.
 */
int tly_runner_new(struct tly_loop *loop, struct tly_config *config, int state_dir_fd,
                   const struct tly_sandbox *sandbox, struct tly_runner **ret_runner,
                   struct tly_error *err) TLY_CHECK;

/* Starts the outputs and the web server; then the collectors. After an error of either the caller
 * must still stop the runner. */
int tly_runner_start_outputs(struct tly_runner *runner, struct tly_error *err) TLY_CHECK;
int tly_runner_start_collectors(struct tly_runner *runner, struct tly_error *err) TLY_CHECK;

/* ---- another configuration ---- */

struct tly_runner_events {
    /* POST /-/reload was asked for: read the configuration and call tly_runner_reload. The result
     * is what it gave, with err for whoever asks. */
    int (*asked)(void *arg, struct tly_error *err);
    /* A reload is in force, every module has begun again. */
    void (*settled)(void *arg);
    /* A module could not begin again: the agent cannot go on. */
    void (*broken)(void *arg, const struct tly_error *err);
};
/* `events` is borrowed. */
void tly_runner_listen(struct tly_runner *runner, const struct tly_runner_events *events,
                       void *arg);

/*
 * Puts `config` in force, whole or not at all: of it a reference is taken. First everything is
 * checked that can be: the rule files and the web configuration are read, patterns compiled,
 * destinations made. Modules that change in place do so at once; others stop and begin again, and
 * `settled` is called when they have, maybe from inside. An error says what is wrong, and nothing
 * has changed: -ENOTSUP for options that need a restart, by name; -EBUSY while an earlier reload is
 * under way, or the agent stops.
 */
int tly_runner_reload(struct tly_runner *runner, struct tly_config *config,
                      struct tly_error *err) TLY_CHECK;
/* A configuration could not even be read: the metrics say so. */
void tly_runner_reload_failed(struct tly_runner *runner);

/* Whether every collector has had its first look at the world; appends a line for each that has
 * not, as far as there is room. */
bool tly_runner_ready(const struct tly_runner *runner, struct tly_buf *missing);

struct tly_inventory *tly_runner_inventory(const struct tly_runner *runner); /* borrowed */

/*
 * Stops the collectors and the rules; flushes the delivery and stops the outputs, which have
 * TLY_RUNNER_OUTPUTS_STOP_MS to deliver what is under way; then the web server. `stopped` is never
 * called from inside. `clean` is false when something was left behind that did not stop in time:
 * then nothing may be freed any more, and the process should end.
 */
void tly_runner_stop(struct tly_runner *runner, void (*stopped)(void *arg, bool clean), void *arg);

/* After a clean stop, or without any start. NULL is fine. */
void tly_runner_free(struct tly_runner *runner);

#endif
