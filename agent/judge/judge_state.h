/*
 * What the judge's files share. Private to the room.
 */
#ifndef TLY_JUDGE_STATE_H
#define TLY_JUDGE_STATE_H

#include "agent/judge/judge.h"
#include "agent/loop/log.h"
#include "agent/rules/engine.h"

/* What a worker gets and brings back. */
struct tly_judge_job {
    struct tly_engine *engine; /* the worker's alone while the job runs */
    struct tly_snapshot *snapshot;
    int state_dir_fd;
    int64_t saved_ms;  /* when states were last saved */
    bool saved_active; /* there was one then */
    struct tly_verdict *verdict;
    int rc, save_rc;
    int64_t duration_ns;
};

/* What is in force, or is to be. */
struct tly_judge_plan {
    struct tly_config *config; /* a reference, for the settings */
    const struct tly_rules_settings *settings;
    struct tly_rule_set *set;
    struct tly_alert_pair *external; /* owned, borrows the settings' texts */
    size_t external_count;
    int64_t tick_ms;
};

struct tly_judge {
    struct tly_judge_spec spec;
    struct tly_engine *engine;
    struct tly_judge_plan *plan; /* in force */
    struct tly_judge_plan *next; /* to be, when the engine is back from the worker; or NULL */
    struct tly_verdict *verdict; /* the newest; before the first evaluation what is in force */
    struct tly_timer *timer;
    struct tly_judge_job job;
    bool busy;
    uint64_t skipped, reloads_failed;
    int64_t duration_ns; /* of the last job */
    struct tly_log_limit failures, save_failures, rule_failures;
    void (*stopped)(void *arg); /* NULL: not stopping */
    void *stopped_arg;
};

/* ---- files.c ---- */

/* Rules from the files and, where wanted, the agent's own. `ret_failed` counts the files that were
 * left out, each said in the log, the first of them also in `first`. -ENOMEM. */
int tly_judge_read(const struct tly_rules_settings *settings, struct tly_rule_set **ret_set,
                   size_t *ret_failed, struct tly_error *first) TLY_CHECK;

/* ---- plan.c ---- */

/* Reads what `config` says of rules; `ret_failed` and `first` as above. -ENOMEM. */
int tly_judge_plan_new(struct tly_config *config, int64_t tick_ms, struct tly_judge_plan **ret_plan,
                       size_t *ret_failed, struct tly_error *first) TLY_CHECK;
size_t tly_judge_plan_rules(const struct tly_judge_plan *plan);
/* What the engine takes of it, borrowed. */
struct tly_engine_spec tly_judge_plan_spec(const struct tly_judge_plan *plan);
/* Says which groups want to be evaluated more often than there are samples. */
void tly_judge_plan_say(const struct tly_judge_plan *plan);

/* ---- show.c ---- */

void tly_judge_meter(void *arg, struct tly_samples *samples); /* a tly_meter_fn */
/* Appends the record of an alert: [EventTime, map]. */
int tly_judge_record(struct tly_buf *buf, const struct tly_alert *alert, int64_t at_ms) TLY_CHECK;

/* ---- api.c ---- */

int tly_judge_rules_json(const struct tly_verdict *verdict, const struct tly_http_request *request,
                         struct tly_buf *buf) TLY_CHECK;
int tly_judge_alerts_json(const struct tly_verdict *verdict, struct tly_buf *buf) TLY_CHECK;

#endif
