/*
 * The judge on the loop. While a worker has the engine nobody else touches it; a tick that comes
 * meanwhile is left out and counted, a reload waits.
 */
#include "agent/judge/judge.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/judge/judge_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_NAME "rules"
/* States are saved when one changed, and while there are any, this often: the time of the last one
 * counts as the moment at which the agent went down. */
#define SAVE_EVERY_MS    30000
#define SAVED_BYTES_MAX  ((size_t)64 * 1024 * 1024)
#define STATE_MODE       0640
#define RECORD_BYTES_MAX ((size_t)1024 * 1024)

/* ---- states on disk ---- */

static int save(const struct tly_engine *engine, int dir_fd, int64_t now_ms)
{
    struct tly_buf buf;
    tly_buf_init(&buf, SAVED_BYTES_MAX);
    int rc = tly_engine_save(engine, now_ms, &buf);
    rc = rc < 0 ? rc : tly_file_replace(dir_fd, TLY_JUDGE_STATE_FILE, STATE_MODE, buf.at, buf.len);
    tly_buf_done(&buf);
    return rc;
}

static void restore(struct tly_judge *judge)
{
    struct tly_buf buf;
    struct tly_error err = {0};
    tly_buf_init(&buf, SAVED_BYTES_MAX);
    int rc = tly_file_read(judge->spec.state_dir_fd, TLY_JUDGE_STATE_FILE, &buf);
    if (rc == 0) {
        rc = tly_engine_restore(judge->engine, tly_buf_text(&buf), &err);
    } else {
        (void)tly_error_set(&err, rc, "%s", tly_error_name(rc)); /* rc is looked at */
    }
    tly_buf_done(&buf);
    if (rc < 0 && rc != -ENOENT) {
        tly_log_warn(LOG_NAME,
                     "the states of alerts cannot be taken up from %s in the state "
                     "folder: %s; alerts begin anew",
                     TLY_JUDGE_STATE_FILE, err.text);
    }
}

/* ---- the worker ---- */

static bool changed(const struct tly_verdict *verdict)
{
    for (size_t i = 0; i < verdict->news_count; i++) {
        if (verdict->news[i].news & TLY_ALERT_CHANGED) {
            return true;
        }
    }
    return false;
}

static void work(void *arg)
{
    struct tly_judge_job *job = arg;
    int64_t started_ns = tly_clock_monotonic_ns();
    int64_t at_ms = job->snapshot->taken_ns / TLY_NS_PER_MS;
    job->rc = tly_engine_observe(job->engine, job->snapshot);
    if (job->rc == 0) {
        job->rc = tly_engine_evaluate(job->engine, at_ms, false, &job->verdict);
    }
    tly_engine_trim(job->engine);
    job->save_rc = 0;
    if (job->verdict && job->state_dir_fd >= 0) {
        bool active = job->verdict->pending + job->verdict->firing > 0;
        bool due = active != job->saved_active || changed(job->verdict) ||
                   (active && (at_ms - job->saved_ms >= SAVE_EVERY_MS || at_ms < job->saved_ms));
        if (due) {
            job->save_rc = save(job->engine, job->state_dir_fd, at_ms);
            job->saved_ms = at_ms;
            job->saved_active = active;
        }
    }
    job->duration_ns = tly_clock_monotonic_ns() - started_ns;
}

/* ---- what comes back ---- */

static void emit(struct tly_judge *judge, const struct tly_alert *alert, int64_t at_ms)
{
    struct tly_buf buf;
    tly_buf_init(&buf, RECORD_BYTES_MAX);
    if (tly_judge_record(&buf, alert, at_ms) == 0) {
        tly_delivery_emit(judge->spec.delivery, TLY_TEXT(TLY_JUDGE_TAG), tly_buf_text(&buf));
    }
    tly_buf_done(&buf);
}

static void publish(struct tly_judge *judge, struct tly_verdict *verdict, int64_t at_ms)
{
    tly_verdict_unref(judge->verdict);
    judge->verdict = verdict;
    for (size_t i = 0; i < verdict->news_count; i++) {
        const struct tly_verdict_news *news = &verdict->news[i];
        if (news->news & TLY_ALERT_CHANGED) {
            emit(judge, news->alert, at_ms);
        }
        tly_alert_feed_tell(judge->spec.feed, news->alert, news->news);
    }
}

/* The first rule that fails is named; the API has them all. */
static void say_failures(struct tly_judge *judge, const struct tly_verdict *verdict)
{
    for (size_t i = 0; i < verdict->count; i++) {
        for (size_t k = 0; k < verdict->groups[i].count; k++) {
            const struct tly_verdict_rule *rule = &verdict->groups[i].rules[k];
            uint64_t held;
            if (rule->health == TLY_RULE_BAD &&
                tly_log_limit_pass(&judge->rule_failures, tly_clock_monotonic_ns() / TLY_NS_PER_MS,
                                   &held)) {
                tly_log_warn(LOG_NAME,
                             "%.*s: the rule %.*s fails: %s; its alerts stay as they were, and "
                             "/api/v1/rules shows every rule that fails",
                             (int)verdict->groups[i].group->file.len,
                             verdict->groups[i].group->file.at, (int)rule->rule->name.len,
                             rule->rule->name.at, rule->error ? rule->error : "out of memory");
                return;
            }
        }
    }
}

static void say_job(struct tly_judge *judge, const struct tly_judge_job *job)
{
    int64_t now_ms = tly_clock_monotonic_ns() / TLY_NS_PER_MS;
    uint64_t held;
    if (job->rc < 0 && tly_log_limit_pass(&judge->failures, now_ms, &held)) {
        tly_log_error(LOG_NAME, "rules cannot be evaluated: %s; the next tick tries again",
                      tly_error_name(job->rc));
    }
    if (job->save_rc < 0 && tly_log_limit_pass(&judge->save_failures, now_ms, &held)) {
        tly_log_warn(LOG_NAME,
                     "the states of alerts cannot be saved: %s; after a restart alerts begin anew",
                     tly_error_name(job->save_rc));
    }
}

static void take_next(struct tly_judge *judge);

static void finish_stop(struct tly_judge *judge)
{
    int rc = 0;
    if (judge->spec.state_dir_fd >= 0 && judge->verdict) {
        rc = save(judge->engine, judge->spec.state_dir_fd, tly_clock_realtime_ns() / TLY_NS_PER_MS);
    }
    if (rc < 0) {
        tly_log_warn(LOG_NAME, "the states of alerts cannot be saved: %s", tly_error_name(rc));
    }
    judge->stopped(judge->stopped_arg);
}

static void done(void *arg)
{
    struct tly_judge_job *job = arg;
    struct tly_judge *judge = (void *)((char *)job - offsetof(struct tly_judge, job));
    int64_t at_ms = job->snapshot->taken_ns / TLY_NS_PER_MS;
    struct tly_verdict *verdict = job->verdict;
    tly_snapshot_unref(job->snapshot);
    job->snapshot = NULL;
    job->verdict = NULL;
    judge->busy = false;
    judge->duration_ns = job->duration_ns;
    say_job(judge, job);
    if (verdict) {
        say_failures(judge, verdict);
        publish(judge, verdict, at_ms);
    }
    if (judge->stopped) {
        finish_stop(judge);
    } else if (judge->next) {
        take_next(judge);
    }
}

static void tick(void *arg)
{
    struct tly_judge *judge = arg;
    if (judge->busy) {
        judge->skipped++;
        return;
    }
    judge->job.snapshot = tly_inventory_snapshot(judge->spec.inventory);
    judge->job.engine = judge->engine;
    judge->job.state_dir_fd = judge->spec.state_dir_fd;
    int rc = judge->job.snapshot ? tly_worker_submit(judge->spec.loop, work, done, &judge->job)
                                 : -ENOMEM;
    if (rc < 0) {
        tly_snapshot_unref(judge->job.snapshot);
        judge->job.snapshot = NULL;
        judge->skipped++;
        return;
    }
    judge->busy = true;
}

/* ---- rules ---- */

/* Puts a plan in force, and takes it over. -ENOMEM: the engine is without rules. */
static int apply(struct tly_judge *judge, struct tly_judge_plan *plan)
{
    struct tly_verdict *verdict = NULL;
    const struct tly_engine_spec spec = tly_judge_plan_spec(plan);
    tly_engine_configure(judge->engine, &spec);
    int rc = tly_engine_load(judge->engine, plan->set);
    rc = rc < 0 ? rc : tly_engine_show(judge->engine, &verdict);
    if (rc == 0) {
        publish(judge, verdict, tly_clock_realtime_ns() / TLY_NS_PER_MS);
        tly_judge_plan_say(plan);
    }
    judge->spec.feed->external = (struct tly_alert_external){plan->external, plan->external_count};
    tly_judge_abandon(judge->plan); /* the engine has nothing of it any more */
    judge->plan = plan;
    return rc;
}

int tly_judge_prepare(struct tly_judge *judge, struct tly_config *config, int64_t tick_ms,
                      struct tly_judge_plan **ret_plan, struct tly_error *err)
{
    struct tly_judge_plan *plan = NULL;
    size_t failed = 0;
    int rc = tly_judge_plan_new(config, tick_ms, &plan, &failed, err);
    if (rc < 0) {
        judge->reloads_failed++;
        return tly_error_set(err, rc, "cannot read the rules: %s", tly_error_name(rc));
    }
    if (failed > 0) {
        judge->reloads_failed++;
        tly_judge_abandon(plan);
        return TLY_E_MALFORMED;
    }
    *ret_plan = plan;
    return 0;
}

static void take_next(struct tly_judge *judge)
{
    struct tly_judge_plan *plan = judge->next;
    bool other_pace = plan->tick_ms != judge->plan->tick_ms;
    judge->next = NULL;
    int rc = apply(judge, plan);
    if (rc < 0) {
        judge->reloads_failed++;
        tly_log_error(LOG_NAME, "there are no rules in force, until they are reloaded: %s",
                      tly_error_name(rc));
        return;
    }
    if (other_pace) {
        tly_timer_stop(judge->timer);
    }
    tly_judge_start(judge);
}

void tly_judge_adopt(struct tly_judge *judge, struct tly_judge_plan *plan)
{
    tly_judge_abandon(judge->next);
    judge->next = plan;
    if (!judge->busy && !judge->stopped) {
        take_next(judge);
    }
}

/* ---- the object ---- */

static int make(struct tly_judge *judge)
{
    struct tly_judge_plan *plan = NULL;
    size_t failed = 0;
    struct tly_error first = {0}; /* it was said in the log */
    int rc = tly_judge_plan_new(judge->spec.config, judge->spec.tick_ms, &plan, &failed, &first);
    if (rc < 0) {
        return rc;
    }
    const struct tly_engine_spec spec = tly_judge_plan_spec(plan);
    judge->engine = tly_engine_new(&spec);
    if (!judge->engine) {
        tly_judge_abandon(plan);
        return -ENOMEM;
    }
    rc = apply(judge, plan);
    rc = rc < 0 ? rc : tly_timer_new(judge->spec.loop, tick, judge, &judge->timer);
    return rc < 0 ? rc : tly_inventory_meter(judge->spec.inventory, tly_judge_meter, judge);
}

int tly_judge_new(const struct tly_judge_spec *spec, struct tly_judge **ret_judge,
                  struct tly_error *err)
{
    struct tly_judge *judge = calloc(1, sizeof(*judge));
    int rc = -ENOMEM;
    if (judge) {
        judge->spec = *spec;
        rc = make(judge);
    }
    if (rc < 0) {
        tly_judge_free(judge);
        return tly_error_set(err, rc, "cannot start the rules: %s", tly_error_name(rc));
    }
    if (spec->state_dir_fd >= 0) {
        restore(judge);
    }
    *ret_judge = judge;
    return 0;
}

void tly_judge_start(struct tly_judge *judge)
{
    int64_t tick_ms = judge->plan->tick_ms;
    if (tly_judge_plan_rules(judge->plan) == 0) {
        tly_timer_stop(judge->timer);
    } else if (!tly_timer_active(judge->timer)) {
        tly_timer_start(judge->timer, tick_ms, tick_ms);
    }
}

void tly_judge_stop(struct tly_judge *judge, void (*stopped)(void *arg), void *arg)
{
    tly_timer_stop(judge->timer);
    judge->stopped = stopped;
    judge->stopped_arg = arg;
    if (!judge->busy) {
        finish_stop(judge);
    }
}

void tly_judge_free(struct tly_judge *judge)
{
    if (!judge) {
        return;
    }
    tly_inventory_unmeter(judge->spec.inventory, tly_judge_meter, judge);
    judge->spec.feed->external = (struct tly_alert_external){NULL, 0};
    tly_timer_free(judge->timer);
    tly_verdict_unref(judge->verdict);
    tly_engine_free(judge->engine);
    tly_judge_abandon(judge->plan);
    tly_judge_abandon(judge->next);
    free(judge);
}
