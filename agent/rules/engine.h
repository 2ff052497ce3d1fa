/*
 * The engine of rules: takes snapshots into the history, evaluates the groups that are due, keeps
 * the states of alerts as Prometheus does
 * (github.com/prometheus/compliance alert_generator/specification.md), and says what came of it. It
 * knows no loop and no clock but for durations; it belongs to one thread at a time.
 */
#ifndef TLY_RULES_ENGINE_H
#define TLY_RULES_ENGINE_H

#include "agent/inventory/snapshot.h"
#include "agent/rules/evaluator.h"
#include "agent/rules/rule_set.h"

/* How long a resolved alert is still reported, by Prometheus's constant. */
#define TLY_RESOLVED_RETENTION_MS (15 * 60 * 1000)

struct tly_engine_spec {
    size_t history_bytes_max;
    size_t alerts_max;           /* of one rule; more are an error of it */
    int64_t interval_ms;         /* of groups that name none */
    int64_t resend_delay_ms;     /* a firing alert is due again after it */
    int64_t outage_tolerance_ms; /* a state that is older than this is not taken up again */
    int64_t grace_period_ms;     /* least time that a restored pending alert waits */
    struct tly_evaluator_bounds bounds;
    bool keep_all; /* for tests of rules: history without end */
    /* For templates; borrowed as long as the engine lives. */
    const struct tly_alert_pair *external_labels;
    size_t external_label_count;
    struct tly_text external_url;
};

struct tly_engine; /* opaque */

/* NULL when memory is out. */
struct tly_engine *tly_engine_new(const struct tly_engine_spec *spec);
void tly_engine_free(struct tly_engine *engine); /* NULL is fine */

/* Other intervals, labels and URL, from the next evaluation on; what bounds memory stays. */
void tly_engine_configure(struct tly_engine *engine, const struct tly_engine_spec *spec);

/* Puts other rules in force; takes a reference. History that is still needed stays, and so do the
 * states of rules that are found again by file, group, name and labels. What fires by others ends,
 * which the next verdict tells. -ENOMEM: the engine may then be without rules. */
int tly_engine_load(struct tly_engine *engine, struct tly_rule_set *set) TLY_CHECK;

/* Takes the snapshot's samples, at the time of the snapshot. A clock that was set back is waited
 * for, or, by more than some minutes, makes the history begin anew; alerts go on, with their times
 * set back, too. -ENOMEM. */
int tly_engine_observe(struct tly_engine *engine, const struct tly_snapshot *snapshot) TLY_CHECK;

/* For tests of rules: the history and its symbols, to be filled by other means. */
struct tly_history *tly_engine_history(struct tly_engine *engine);
struct tly_symbols *tly_engine_symbols(struct tly_engine *engine);
struct tly_evaluator *tly_engine_evaluator(struct tly_engine *engine);
/* Groups in the order of these names; others first, as promtool has it. */
void tly_engine_order(struct tly_engine *engine, const struct tly_text *names, size_t count);
/* Frees what evaluations left: symbols, and the memory that they shared. For the end of a round. */
void tly_engine_trim(struct tly_engine *engine);

/*
 * Evaluates the groups that are due at `at_ms`, which is the time of the newest tick; with `all`
 * all of them. *ret_verdict is NULL if none was. -ENOMEM. What goes wrong in a rule is its own
 * affair: its health says so.
 */
int tly_engine_evaluate(struct tly_engine *engine, int64_t at_ms, bool all,
                        struct tly_verdict **ret_verdict) TLY_CHECK;

/* A verdict without an evaluation: the rules in force, and what is known of them. -ENOMEM. */
int tly_engine_show(struct tly_engine *engine, struct tly_verdict **ret_verdict) TLY_CHECK;

/* ---- across restarts ---- */

/* Appends the states of pending and firing alerts, as of `now_ms`. */
int tly_engine_save(const struct tly_engine *engine, int64_t now_ms, struct tly_buf *buf) TLY_CHECK;
/* Takes up what was saved, when the rules that it belongs to are first evaluated. TLY_E_MALFORMED
 * for what is no such text, or damaged: nothing is taken then. -ENOMEM. */
int tly_engine_restore(struct tly_engine *engine, struct tly_text saved,
                       struct tly_error *err) TLY_CHECK;

#endif
