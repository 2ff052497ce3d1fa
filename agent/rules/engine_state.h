/*
 * What the engine's files share. Private to them.
 */
#ifndef TLY_RULES_ENGINE_STATE_H
#define TLY_RULES_ENGINE_STATE_H

#include "agent/rules/engine.h"
#include "agent/rules/feed.h"

/* The series in the history that a rule wrote in its last evaluation, held. */
struct tly_outputs {
    struct tly_history_series **at;
    size_t count, cap;
};

/* An alert of a rule, by Prometheus's fields. Times in ms since 1970; 0: never. */
struct tly_active {
    struct tly_labels labels;           /* kept */
    struct tly_alert_pair *annotations; /* owned, one block with the values */
    size_t annotation_count;
    enum tly_alert_state state, told; /* told: as of the last evaluation */
    double value;
    int64_t active_at_ms, fired_at_ms, resolved_at_ms, keep_since_ms, sent_ms, valid_until_ms;
    bool present; /* the expression had it this time */
    bool gone;    /* to be forgotten */
    bool awaited; /* from before the history: whether its condition ended is not known */
};

struct tly_rule_run {
    const struct tly_rule *rule;
    enum tly_rule_health health;
    char *error; /* owned */
    int64_t evaluated_ms, duration_ns;
    uint64_t failures;
    struct tly_active *active;
    size_t active_count, active_cap;
    struct tly_outputs outputs;
    bool restored;       /* its saved states were taken up */
    int64_t since_ms;    /* its first evaluation in this history; 0: it is to come */
    int64_t lookback_ms; /* how far back its expression looks; -1: it was not asked */
};

struct tly_group_run {
    const struct tly_rule_group *group;
    int64_t interval_ms, next_ms, evaluated_ms, duration_ns;
    uint64_t evaluations, missed;
    struct tly_rule_run *rules;
    size_t count;
};

/* A state that was saved. */
struct tly_saved {
    struct tly_text file, group, rule;
    struct tly_alert_pair *labels, *annotations;
    size_t label_count, annotation_count;
    enum tly_alert_state state;
    double value;
    int64_t active_at_ms, fired_at_ms, keep_since_ms;
};

struct tly_engine {
    struct tly_engine_spec spec;
    struct tly_symbols *symbols;
    struct tly_history *history;
    struct tly_feed *feed;
    struct tly_evaluator *evaluator, *asker; /* asker: for templates, while results are in use */
    struct tly_rule_set *set;
    struct tly_expr **queries; /* owned: what templates ask, so that history keeps it */
    size_t query_count;
    struct tly_group_run *groups;
    size_t count;
    struct tly_arena arena;        /* for one rule's evaluation */
    struct tly_verdict_news *news; /* of the round under way */
    size_t news_count, news_cap;
    int64_t last_ms; /* of the newest tick */
    struct tly_arena saved_arena;
    struct tly_saved *saved;
    size_t saved_count;
    int64_t saved_ms; /* when that was */
};

/* ---- engine_record.c ---- */

/* Evaluates the rule's expression to a vector. Fails with `err`. */
int tly_rule_query(struct tly_engine *engine, const struct tly_group_run *group,
                   const struct tly_rule_run *run, int64_t at_ms, struct tly_vector *ret_vector,
                   struct tly_error *err) TLY_CHECK;
int tly_rule_record(struct tly_engine *engine, const struct tly_group_run *group,
                    struct tly_rule_run *run, int64_t at_ms, struct tly_error *err) TLY_CHECK;

/* What a rule writes: begin, then each series, then end, which ends those that are missing. */
struct tly_output_round {
    struct tly_outputs next;
};
int tly_outputs_put(struct tly_engine *engine, struct tly_output_round *round,
                    struct tly_labels labels, double value) TLY_CHECK;
void tly_outputs_end(struct tly_engine *engine, struct tly_outputs *outputs,
                     struct tly_output_round *round);
/* Lets go of everything without ending it. */
void tly_outputs_done(struct tly_outputs *outputs);

/* Finds label sets that are equal. */
struct tly_label_index {
    uint32_t *slots; /* index + 1 */
    uint32_t mask;
};
int tly_label_index_init(struct tly_arena *arena, size_t entries,
                         struct tly_label_index *ret_index) TLY_CHECK;
/* The index of an equal one among `sets`, of which `stride` bytes lie apart; else `index`, which is
 * entered unless it is UINT32_MAX. */
uint32_t tly_label_index_put(struct tly_label_index *table, const void *sets, size_t stride,
                             struct tly_labels labels, uint32_t index);

/* ---- engine_alert.c ---- */

int tly_rule_alert(struct tly_engine *engine, const struct tly_group_run *group,
                   struct tly_rule_run *run, int64_t at_ms, struct tly_error *err) TLY_CHECK;
/* Alerts that fire end with their rule, and are told of, but those that also fire by one of the
 * `others`. -ENOMEM. */
int tly_rule_end(struct tly_engine *engine, const struct tly_group_run *group,
                 struct tly_rule_run *run, const struct tly_group_run *others,
                 size_t count) TLY_CHECK;
/* The alert as others see it; NULL when memory is out. */
struct tly_alert *tly_active_show(const struct tly_engine *engine,
                                  const struct tly_group_run *group, const struct tly_rule_run *run,
                                  const struct tly_active *active);
void tly_active_done(struct tly_engine *engine, struct tly_active *active);
/* Appends one; zeroed. NULL when memory is out. */
struct tly_active *tly_active_add(struct tly_rule_run *run);
int tly_active_annotate(struct tly_active *active, const struct tly_alert_pair *pairs,
                        size_t count) TLY_CHECK;

/* ---- engine_await.c ---- */

/* Decides which of the awaited alerts still are, once it is known which are present. -ENOMEM. */
int tly_rule_await(struct tly_engine *engine, const struct tly_group_run *group,
                   struct tly_rule_run *run, int64_t at_ms) TLY_CHECK;

/* The clock was set back, and history begins anew. */
void tly_rule_set_back(struct tly_rule_run *run, int64_t by_ms);

/* ---- engine_save.c ---- */

/* Alerts that were saved become active, and awaited; before the rule's first evaluation. -ENOMEM */
int tly_rule_restore(struct tly_engine *engine, const struct tly_group_run *group,
                     struct tly_rule_run *run, int64_t at_ms) TLY_CHECK;

#endif
