/*
 * What the files of the runner share. Private to runner.c, which starts and stops, and reload.c.
 */
#ifndef TLY_RUNNER_STATE_H
#define TLY_RUNNER_STATE_H

#include "agent/judge/judge.h"
#include "agent/process.h"
#include "agent/registry.h"
#include "agent/runner.h"
#include "agent/web/web.h"

#define TLY_HOST_NAME_MAX_BYTES 256

enum tly_stage {
    TLY_STAGE_RUNNING,
    TLY_STAGE_COLLECTORS,
    TLY_STAGE_OUTPUTS,
    TLY_STAGE_WEB,
    TLY_STAGE_STOPPED
};

/* One module that was started. */
struct tly_unit {
    struct tly_runner *runner;
    const struct tly_collector *collector; /* either this */
    const struct tly_output *output;       /* or this */
    void *self;
    struct tly_config *config; /* a reference: what it was started with, or adopted */
    bool stopped;
    bool restarting;  /* a reload stops it, and starts it again then */
    bool began_again; /* by a reload: it has had its first look before */

    /* While a reload is being prepared. */
    bool concerned;
    void *plan; /* of `reload`; of an output without: the instance that is to follow */
    struct tly_retiring *retiring; /* for the one that it replaces */
};

/* What a reload is made of, beside the modules' plans. */
struct tly_reload {
    struct tly_config *config; /* the new one, a reference */
    struct tly_context next;
    struct tly_group_choice groups;
    struct tly_judge_plan *judge;
    bool interval, labels, groups_differ, outputs;
    bool sections[TLY_SECTIONS_MAX];      /* that differ, as tly_sections has them */
    char refused[TLY_ERROR_TEXT_MAX / 2]; /* names of options that need a restart */
    size_t refused_count;
};

struct tly_runner {
    struct tly_context context;
    struct tly_process process;
    struct tly_group_choice groups;
    struct tly_alert_feed alerts;
    struct tly_config *config; /* in force; a reference */
    struct tly_web *web;       /* NULL: only collectors run */
    struct tly_judge *judge;   /* NULL: only collectors run */
    char host_name[TLY_HOST_NAME_MAX_BYTES];
    struct tly_unit *units; /* owned; outputs first */
    size_t unit_count;
    bool web_started;

    enum tly_stage stage;
    struct tly_defer *advance; /* to the next stage, once nothing of this one is pending */
    struct tly_timer *guard;
    bool web_pending, judge_pending;
    bool left_behind;
    void (*stopped)(void *arg, bool clean);
    void *stopped_arg;

    /* reload.c */
    const struct tly_runner_events *events;
    void *events_arg;
    size_t restarting, retiring; /* units that stop to begin again; outputs that were replaced */
    struct tly_timer *reload_guard;
    struct tly_defer *ask;           /* for the request below */
    struct tly_http_request *asking; /* POST /-/reload; NULL: none */
    bool reload_failed;              /* the last one */
    int64_t reloaded_ms;             /* realtime */
};

/* ---- runner.c ---- */

/* Starts a unit's module with the context as it is, and offers its routes. */
int tly_unit_start(struct tly_unit *unit, struct tly_error *err) TLY_CHECK;
int tly_unit_offer(const struct tly_unit *unit, struct tly_error *err) TLY_CHECK;
const char *tly_unit_name(const struct tly_unit *unit);
void tly_runner_set_page(struct tly_runner *runner);
/* In a later turn: to the next stage of stopping, if there is nothing left to do in this one. */
void tly_runner_advance(struct tly_runner *runner);

/* ---- reload.c ---- */

int tly_runner_reload_init(struct tly_runner *runner) TLY_CHECK;
void tly_runner_reload_done(struct tly_runner *runner);
void tly_runner_reload_meter(const struct tly_runner *runner, struct tly_samples *samples);
/* The agent stops: nothing begins again. */
void tly_runner_reload_stop(struct tly_runner *runner);

extern const struct tly_route tly_runner_routes[]; /* ends in a row with path NULL */

#endif
