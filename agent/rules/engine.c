/*
 * The engine as a whole: which rules are in force, which groups are due, and the verdict that goes
 * to others.
 */
#include "agent/rules/engine.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/rules/engine_state.h"

#include <errno.h>
#include <stdlib.h>

/* One rule's alerts with their annotations. */
#define ARENA_BYTES_MAX  ((size_t)64 * 1024 * 1024)
#define ARENA_BYTES_KEPT ((size_t)4 * 1024 * 1024)
/* A clock that was set back by more is taken for right. */
#define BACK_MAX_MS ((int64_t)5 * 60 * 1000)

/* ---- the object ---- */

static int history_make(struct tly_engine *engine)
{
    tly_feed_free(engine->feed);
    tly_history_free(engine->history);
    engine->feed = NULL;
    engine->history = tly_history_new(engine->symbols, engine->spec.history_bytes_max);
    if (engine->history) {
        engine->feed = tly_feed_new(engine->history, engine->symbols);
    }
    if (!engine->feed) {
        return -ENOMEM;
    }
    if (engine->spec.keep_all) {
        tly_history_keep_all(engine->history);
        tly_feed_forget(engine->feed);
    }
    engine->last_ms = 0;
    return 0;
}

struct tly_engine *tly_engine_new(const struct tly_engine_spec *spec)
{
    struct tly_engine *engine = calloc(1, sizeof(*engine));
    if (!engine) {
        return NULL;
    }
    engine->spec = *spec;
    tly_arena_init(&engine->arena, ARENA_BYTES_MAX);
    tly_arena_init(&engine->saved_arena, ARENA_BYTES_MAX);
    /* The history counts the label texts that are kept into its own bound. */
    engine->symbols = tly_symbols_new(spec->history_bytes_max);
    if (engine->symbols) {
        engine->evaluator = tly_evaluator_new(engine->symbols, spec->bounds);
        engine->asker = tly_evaluator_new(engine->symbols, spec->bounds);
    }
    if (!engine->evaluator || !engine->asker || history_make(engine) < 0) {
        tly_engine_free(engine);
        return NULL;
    }
    tly_evaluator_set_step(engine->evaluator, spec->interval_ms);
    tly_evaluator_set_step(engine->asker, spec->interval_ms);
    return engine;
}

void tly_engine_configure(struct tly_engine *engine, const struct tly_engine_spec *spec)
{
    struct tly_engine_spec own = *spec;
    own.history_bytes_max = engine->spec.history_bytes_max;
    own.alerts_max = engine->spec.alerts_max;
    own.bounds = engine->spec.bounds;
    own.keep_all = engine->spec.keep_all;
    engine->spec = own;
    tly_evaluator_set_step(engine->evaluator, own.interval_ms);
    tly_evaluator_set_step(engine->asker, own.interval_ms);
}

static void rule_run_done(struct tly_engine *engine, struct tly_rule_run *run)
{
    for (size_t i = 0; i < run->active_count; i++) {
        tly_active_done(engine, &run->active[i]);
    }
    free(run->active);
    free(run->error);
    tly_outputs_done(&run->outputs);
}

static void groups_free(struct tly_engine *engine, struct tly_group_run *groups, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < groups[i].count; k++) {
            rule_run_done(engine, &groups[i].rules[k]);
        }
        free(groups[i].rules);
    }
    free(groups);
}

static void queries_free(struct tly_engine *engine)
{
    for (size_t i = 0; i < engine->query_count; i++) {
        tly_expr_free(engine->queries[i]);
    }
    free(engine->queries);
    engine->queries = NULL;
    engine->query_count = 0;
}

static void news_clear(struct tly_engine *engine)
{
    for (size_t i = 0; i < engine->news_count; i++) {
        tly_alert_unref(engine->news[i].alert);
    }
    engine->news_count = 0;
}

void tly_engine_free(struct tly_engine *engine)
{
    if (!engine) {
        return;
    }
    if (engine->symbols) {
        groups_free(engine, engine->groups, engine->count);
        tly_feed_free(engine->feed);
        tly_history_free(engine->history);
    }
    queries_free(engine);
    news_clear(engine);
    free(engine->news);
    free(engine->saved);
    tly_rule_set_unref(engine->set);
    tly_evaluator_free(engine->evaluator);
    tly_evaluator_free(engine->asker);
    tly_arena_done(&engine->arena);
    tly_arena_done(&engine->saved_arena);
    tly_symbols_free(engine->symbols);
    free(engine);
}

struct tly_history *tly_engine_history(struct tly_engine *engine)
{
    return engine->history;
}

struct tly_symbols *tly_engine_symbols(struct tly_engine *engine)
{
    return engine->symbols;
}

struct tly_evaluator *tly_engine_evaluator(struct tly_engine *engine)
{
    return engine->evaluator;
}

void tly_engine_trim(struct tly_engine *engine)
{
    tly_symbols_trim(engine->symbols);
    tly_evaluator_trim(engine->evaluator);
    tly_evaluator_trim(engine->asker);
    tly_arena_done(&engine->arena);
}

/* ---- loading ---- */

static int query_keep(void *arg, struct tly_text text)
{
    struct tly_engine *engine = arg;
    struct tly_expr *expr = NULL;
    struct tly_error err = {0};
    int rc = tly_expr_parse(text, &expr, NULL, &err);
    if (rc < 0) {
        return rc == -ENOMEM ? rc : 0; /* the template says so when it is expanded */
    }
    struct tly_expr **queries = reallocarray(engine->queries, engine->query_count + 1,
                                             sizeof(struct tly_expr *));
    if (!queries) {
        tly_expr_free(expr);
        return -ENOMEM;
    }
    engine->queries = queries;
    engine->queries[engine->query_count++] = expr;
    return 0;
}

static int pairs_ask(struct tly_engine *engine, const struct tly_rule_pair *pairs, size_t count)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = pairs[i].expands ? tly_template_queries(pairs[i].expands, query_keep, engine) : 0;
    }
    return rc;
}

/* Says to the history what the rules will read. */
static int needs_say(struct tly_engine *engine)
{
    int rc = 0;
    tly_history_needs_begin(engine->history);
    queries_free(engine);
    for (size_t i = 0; rc == 0 && i < engine->count; i++) {
        const struct tly_group_run *group = &engine->groups[i];
        int64_t lag_ms = group->group->query_offset_ms;
        size_t before = engine->query_count;
        for (size_t k = 0; rc == 0 && k < group->count; k++) {
            const struct tly_rule *rule = group->rules[k].rule;
            group->rules[k].lookback_ms = -1;
            rc = tly_history_needs_add(engine->history, rule->expr, lag_ms);
            rc = rc < 0 ? rc : pairs_ask(engine, rule->labels, rule->label_count);
            rc = rc < 0 ? rc : pairs_ask(engine, rule->annotations, rule->annotation_count);
        }
        for (size_t k = before; rc == 0 && k < engine->query_count; k++) {
            rc = tly_history_needs_add(engine->history, engine->queries[k], lag_ms);
        }
    }
    tly_feed_forget(engine->feed); /* which lets go of what is not needed any more */
    tly_history_needs_end(engine->history);
    return rc;
}

static bool pairs_equal(const struct tly_rule *a, const struct tly_rule *b)
{
    bool equal = a->label_count == b->label_count;
    for (size_t i = 0; equal && i < a->label_count; i++) {
        equal = tly_text_equal(a->labels[i].name, b->labels[i].name) &&
                tly_text_equal(a->labels[i].text, b->labels[i].text);
    }
    return equal;
}

/* Moves the states of a group's rules over to rules of the same name and labels. */
static void states_move(struct tly_group_run *from, struct tly_group_run *to)
{
    for (size_t i = 0; i < to->count; i++) {
        for (size_t k = 0; k < from->count; k++) {
            struct tly_rule_run *old = &from->rules[k];
            if (!old->rule || old->rule->alerting != to->rules[i].rule->alerting ||
                !tly_text_equal(old->rule->name, to->rules[i].rule->name) ||
                !pairs_equal(old->rule, to->rules[i].rule)) {
                continue;
            }
            const struct tly_rule *rule = to->rules[i].rule;
            bool same = tly_text_equal(old->rule->query, rule->query);
            to->rules[i] = *old;
            to->rules[i].rule = rule;
            to->rules[i].since_ms = same ? old->since_ms : 0; /* it reads another history */
            *old = (struct tly_rule_run){0};
            break;
        }
    }
    to->evaluations = from->evaluations;
    to->missed = from->missed;
    to->evaluated_ms = from->evaluated_ms;
    to->next_ms = from->next_ms;
}

static int group_make(const struct tly_engine *engine, const struct tly_rule_group *group,
                      struct tly_group_run *run)
{
    *run = (struct tly_group_run){.group = group,
                                  .interval_ms = group->interval_ms > 0 ? group->interval_ms
                                                                        : engine->spec.interval_ms};
    run->rules = calloc(group->count + 1, sizeof(*run->rules));
    if (!run->rules) {
        return -ENOMEM;
    }
    run->count = group->count;
    for (size_t i = 0; i < group->count; i++) {
        run->rules[i].rule = &group->rules[i];
        /* What was saved is for the rules of the start, not for one that comes back later. */
        run->rules[i].restored = engine->count > 0;
    }
    return 0;
}

/* Tells that alerts have ended whose rules were not found again: nobody would, otherwise. What also
 * fires by one of the new groups goes on: others know an alert by its labels alone. */
static int alerts_end(struct tly_engine *engine, const struct tly_group_run *groups, size_t made)
{
    int rc = 0;
    for (size_t i = 0; i < engine->count; i++) {
        const struct tly_group_run *group = &engine->groups[i];
        for (size_t k = 0; k < group->count; k++) {
            if (rc == 0 && group->rules[k].rule) {
                rc = tly_rule_end(engine, group, &group->rules[k], groups, made);
            }
        }
    }
    return rc;
}

int tly_engine_load(struct tly_engine *engine, struct tly_rule_set *set)
{
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        count += set->files[i]->count;
    }
    struct tly_group_run *groups = calloc(count + 1, sizeof(*groups));
    size_t made = 0;
    int rc = groups ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < set->count; i++) {
        for (size_t k = 0; rc == 0 && k < set->files[i]->count; k++) {
            rc = group_make(engine, &set->files[i]->groups[k], &groups[made++]);
        }
    }
    for (size_t i = 0; rc == 0 && i < made; i++) {
        for (size_t k = 0; k < engine->count; k++) {
            if (tly_text_equal(groups[i].group->file, engine->groups[k].group->file) &&
                tly_text_equal(groups[i].group->name, engine->groups[k].group->name)) {
                states_move(&engine->groups[k], &groups[i]);
                break;
            }
        }
    }
    rc = rc < 0 ? rc : alerts_end(engine, groups, made);
    groups_free(engine, engine->groups, engine->count);
    tly_rule_set_unref(engine->set);
    engine->set = tly_rule_set_ref(set);
    engine->groups = groups;
    engine->count = made;
    return rc < 0 ? rc : needs_say(engine);
}

static size_t order_of(const struct tly_group_run *run, const struct tly_text *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tly_text_equal(run->group->name, names[i])) {
            return i;
        }
    }
    return 0;
}

void tly_engine_order(struct tly_engine *engine, const struct tly_text *names, size_t count)
{
    for (size_t i = 1; i < engine->count; i++) { /* stable, and there are few */
        struct tly_group_run run = engine->groups[i];
        size_t at = i;
        for (; at > 0 &&
               order_of(&engine->groups[at - 1], names, count) > order_of(&run, names, count);
             at--) {
            engine->groups[at] = engine->groups[at - 1];
        }
        engine->groups[at] = run;
    }
}

/* ---- samples ---- */

/* The clock says so much less than it did: history begins anew, and what is known of alerts is
 * moved to the new time. */
static int clock_set_back(struct tly_engine *engine, int64_t by_ms)
{
    for (size_t i = 0; i < engine->count; i++) {
        engine->groups[i].next_ms = 0;
        for (size_t k = 0; k < engine->groups[i].count; k++) {
            tly_outputs_done(&engine->groups[i].rules[k].outputs); /* they are the history's */
        }
    }
    int rc = history_make(engine);
    if (rc < 0) {
        return rc; /* the next snapshot finds the clock set back, too */
    }
    for (size_t i = 0; i < engine->count; i++) {
        for (size_t k = 0; k < engine->groups[i].count; k++) {
            tly_rule_set_back(&engine->groups[i].rules[k], by_ms);
        }
    }
    return needs_say(engine);
}

int tly_engine_observe(struct tly_engine *engine, const struct tly_snapshot *snapshot)
{
    int64_t at_ms = snapshot->taken_ns / TLY_NS_PER_MS;
    int rc = 0;
    if (engine->last_ms - at_ms > BACK_MAX_MS) {
        /* A moment has passed since the newest tick, too. */
        rc = clock_set_back(engine, engine->last_ms - at_ms + 1);
    }
    rc = rc < 0 ? rc : tly_history_tick(engine->history, at_ms);
    if (rc == -ERANGE) {
        return 0; /* the clock was set back a little: wait until it has caught up */
    }
    if (rc == 0) {
        engine->last_ms = at_ms;
        rc = tly_feed_snapshot(engine->feed, snapshot);
    }
    return rc;
}

/* ---- evaluating ---- */

static void rule_evaluate(struct tly_engine *engine, const struct tly_group_run *group,
                          struct tly_rule_run *run, int64_t at_ms)
{
    struct tly_error err = {0};
    int64_t started_ns = tly_clock_monotonic_ns();
    if (engine->arena.bytes > ARENA_BYTES_KEPT) {
        tly_arena_done(&engine->arena);
    } else {
        tly_arena_clear(&engine->arena);
    }
    int rc = 0;
    run->since_ms = run->since_ms > 0 ? run->since_ms : at_ms;
    if (run->rule->alerting && !run->restored) {
        rc = tly_rule_restore(engine, group, run, at_ms);
        run->restored = rc == 0;
    }
    if (rc < 0) {
        (void)tly_error_set(&err, rc, "out of memory"); /* looked at below */
    } else if (run->rule->alerting) {
        rc = tly_rule_alert(engine, group, run, at_ms, &err);
    } else {
        rc = tly_rule_record(engine, group, run, at_ms, &err);
    }
    tly_free(&run->error);
    run->health = rc < 0 ? TLY_RULE_BAD : TLY_RULE_OK;
    if (rc < 0) {
        run->failures++;
        run->error = strdup(err.text); /* without memory it stays unsaid */
    }
    run->evaluated_ms = at_ms;
    run->duration_ns = tly_clock_monotonic_ns() - started_ns;
}

static void group_evaluate(struct tly_engine *engine, struct tly_group_run *group, int64_t at_ms)
{
    int64_t started_ns = tly_clock_monotonic_ns();
    if (group->next_ms > 0 && at_ms >= group->next_ms) {
        group->missed += (uint64_t)((at_ms - group->next_ms) / group->interval_ms);
    }
    for (size_t i = 0; i < group->count; i++) {
        rule_evaluate(engine, group, &group->rules[i], at_ms);
    }
    /* On its own grid, however late this one was. */
    int64_t next_ms = group->next_ms > 0 ? group->next_ms : at_ms;
    group->next_ms = next_ms + ((at_ms - next_ms) / group->interval_ms + 1) * group->interval_ms;
    group->evaluated_ms = at_ms;
    group->evaluations++;
    group->duration_ns = tly_clock_monotonic_ns() - started_ns;
}

static int verdict_rule(const struct tly_engine *engine, const struct tly_group_run *group,
                        const struct tly_rule_run *run, struct tly_verdict *verdict,
                        struct tly_verdict_rule *to)
{
    *to = (struct tly_verdict_rule){
        .rule = run->rule,
        .health = run->health,
        .error = run->error ? strdup(run->error) : NULL,
        .evaluated_ms = run->evaluated_ms,
        .duration_ns = run->duration_ns,
        .failures = run->failures,
    };
    to->alerts = calloc(run->active_count + 1, sizeof(struct tly_alert *));
    if (!to->alerts || (run->error && !to->error)) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < run->active_count; i++) {
        const struct tly_active *active = &run->active[i];
        if (active->state == TLY_ALERT_INACTIVE) {
            continue;
        }
        struct tly_alert *alert = tly_active_show(engine, group, run, active);
        if (!alert) {
            return -ENOMEM;
        }
        to->alerts[to->alert_count++] = alert;
        verdict->firing += active->state == TLY_ALERT_FIRING;
        verdict->pending += active->state == TLY_ALERT_PENDING;
    }
    return 0;
}

static int verdict_group(const struct tly_engine *engine, const struct tly_group_run *run,
                         struct tly_verdict *verdict, struct tly_verdict_group *to)
{
    *to = (struct tly_verdict_group){
        .group = run->group,
        .interval_ms = run->interval_ms,
        .evaluated_ms = run->evaluated_ms,
        .duration_ns = run->duration_ns,
        .evaluations = run->evaluations,
        .missed = run->missed,
        .rules = calloc(run->count + 1, sizeof(struct tly_verdict_rule)),
    };
    int rc = to->rules ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < run->count; i++) {
        to->count++;
        rc = verdict_rule(engine, run, &run->rules[i], verdict, &to->rules[i]);
    }
    return rc;
}

static int verdict_make(struct tly_engine *engine, struct tly_verdict **ret_verdict)
{
    struct tly_verdict *verdict = calloc(1, sizeof(*verdict));
    if (!verdict) {
        return -ENOMEM;
    }
    verdict->refs = 1;
    verdict->set = tly_rule_set_ref(engine->set);
    verdict->history = tly_history_stats(engine->history);
    verdict->groups = calloc(engine->count + 1, sizeof(*verdict->groups));
    int rc = verdict->groups ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < engine->count; i++) {
        verdict->count++;
        rc = verdict_group(engine, &engine->groups[i], verdict, &verdict->groups[i]);
    }
    if (rc < 0) {
        tly_verdict_unref(verdict);
        return rc;
    }
    verdict->news = engine->news;
    verdict->news_count = engine->news_count;
    engine->news = NULL;
    engine->news_count = engine->news_cap = 0;
    *ret_verdict = verdict;
    return 0;
}

int tly_engine_evaluate(struct tly_engine *engine, int64_t at_ms, bool all,
                        struct tly_verdict **ret_verdict)
{
    bool any = false;
    *ret_verdict = NULL;
    for (size_t i = 0; i < engine->count; i++) {
        struct tly_group_run *group = &engine->groups[i];
        if (all || at_ms >= group->next_ms) {
            group_evaluate(engine, group, at_ms);
            any = true;
        }
    }
    return any ? verdict_make(engine, ret_verdict) : 0;
}

int tly_engine_show(struct tly_engine *engine, struct tly_verdict **ret_verdict)
{
    return verdict_make(engine, ret_verdict);
}
