/*
 * What others see of a verdict: metrics, with ALERTS as Prometheus writes them, and records for the
 * log stream.
 */
#include "agent/base/clock.h"
#include "agent/codec/record.h"
#include "agent/judge/judge_state.h"
#include "agent/rules/labels.h"

#include <string.h>

/* A scrape is no list of thousands of alerts; a sample set has its own bound besides. */
#define ALERTS_SHOWN 2000
#define LABELS_SHOWN 64
#define NAME_LEN_MAX 256

/* ---- metrics ---- */

/* Labels that the text formats can have: plain names. */
static uint16_t dim_of(struct tly_samples *samples, const struct tly_alert *alert, bool with_state)
{
    const char *names[LABELS_SHOWN];
    struct tly_text values[LABELS_SHOWN];
    size_t count = 0;
    for (size_t i = 0; i < alert->label_count && count + 1 < LABELS_SHOWN; i++) {
        if (tly_label_name_plain(alert->labels[i].name) &&
            alert->labels[i].name.len <= NAME_LEN_MAX &&
            !(with_state && tly_text_equal(alert->labels[i].name, TLY_TEXT("alertstate")))) {
            names[count] = alert->labels[i].name.at;
            values[count++] = alert->labels[i].value;
        }
    }
    if (with_state) {
        names[count] = "alertstate";
        values[count++] = tly_text_of(tly_alert_state_names[alert->state]);
    }
    return tly_samples_dim(samples, names, values, count);
}

static void meter_alerts(const struct tly_verdict *verdict, struct tly_samples *samples)
{
    size_t shown = 0;
    size_t hidden = 0;
    for (size_t i = 0; i < verdict->count; i++) {
        for (size_t k = 0; k < verdict->groups[i].count; k++) {
            const struct tly_verdict_rule *rule = &verdict->groups[i].rules[k];
            for (size_t n = 0; n < rule->alert_count; n++) {
                const struct tly_alert *alert = rule->alerts[n];
                if (shown == ALERTS_SHOWN) {
                    hidden++;
                    continue;
                }
                shown++;
                tly_samples_add(samples, TLY_F_ALERTS, dim_of(samples, alert, true), 1);
                tly_samples_add(samples, TLY_F_ALERTS_FOR_STATE, dim_of(samples, alert, false),
                                alert->active_at_ms / 1000);
            }
        }
    }
    tly_samples_add(samples, TLY_F_tallyman_rule_alerts,
                    tly_samples_dim1(samples, "state", TLY_TEXT("pending")),
                    (int64_t)verdict->pending);
    tly_samples_add(samples, TLY_F_tallyman_rule_alerts,
                    tly_samples_dim1(samples, "state", TLY_TEXT("firing")),
                    (int64_t)verdict->firing);
    tly_samples_add(samples, TLY_F_tallyman_rule_alerts_hidden, TLY_DIM_NONE, (int64_t)hidden);
}

/* As Prometheus names groups in its own metrics: "file;group". */
static void meter_group(const struct tly_verdict_group *group, struct tly_samples *samples)
{
    struct tly_buf name;
    tly_buf_init(&name, (size_t)8 * 1024);
    if (tly_buf_append_text(&name, group->group->file) < 0 || tly_buf_append(&name, ";", 1) < 0 ||
        tly_buf_append_text(&name, group->group->name) < 0) {
        tly_buf_done(&name); /* longer than any path: without metrics */
        return;
    }
    uint64_t failures = 0;
    for (size_t i = 0; i < group->count; i++) {
        failures += group->rules[i].failures;
    }
    uint16_t dim = tly_samples_dim1(samples, "rule_group", tly_buf_text(&name));
    tly_buf_done(&name);
    tly_samples_add(samples, TLY_F_tallyman_rule_evaluations_total, dim,
                    (int64_t)group->evaluations);
    tly_samples_add(samples, TLY_F_tallyman_rule_evaluation_failures_total, dim, (int64_t)failures);
    tly_samples_add(samples, TLY_F_tallyman_rule_group_missed_total, dim, (int64_t)group->missed);
    tly_samples_add(samples, TLY_F_tallyman_rule_group_duration_seconds, dim, group->duration_ns);
    if (group->evaluated_ms > 0) {
        tly_samples_add(samples, TLY_F_tallyman_rule_group_last_evaluation_timestamp_seconds, dim,
                        group->evaluated_ms);
    }
}

static void meter_rules(const struct tly_rule_set *set, struct tly_samples *samples)
{
    int64_t counts[2] = {0, 0};
    for (size_t i = 0; i < set->count; i++) {
        for (size_t k = 0; k < set->files[i]->count; k++) {
            const struct tly_rule_group *group = &set->files[i]->groups[k];
            for (size_t n = 0; n < group->count; n++) {
                counts[group->rules[n].alerting ? 1 : 0]++;
            }
        }
    }
    tly_samples_add(samples, TLY_F_tallyman_rules,
                    tly_samples_dim1(samples, "type", TLY_TEXT("recording")), counts[0]);
    tly_samples_add(samples, TLY_F_tallyman_rules,
                    tly_samples_dim1(samples, "type", TLY_TEXT("alerting")), counts[1]);
}

void tly_judge_meter(void *arg, struct tly_samples *samples)
{
    const struct tly_judge *judge = arg;
    const struct tly_verdict *verdict = judge->verdict;
    meter_rules(judge->plan->set, samples);
    tly_samples_add(samples, TLY_F_tallyman_rule_reloads_failed_total, TLY_DIM_NONE,
                    (int64_t)judge->reloads_failed);
    tly_samples_add(samples, TLY_F_tallyman_rule_ticks_skipped_total, TLY_DIM_NONE,
                    (int64_t)judge->skipped);
    tly_samples_add(samples, TLY_F_tallyman_rule_history_bytes_max, TLY_DIM_NONE,
                    judge->plan->settings->history_bytes_max);
    if (!verdict) {
        return;
    }
    meter_alerts(verdict, samples);
    for (size_t i = 0; i < verdict->count; i++) {
        meter_group(&verdict->groups[i], samples);
    }
    tly_samples_add(samples, TLY_F_tallyman_rule_tick_duration_seconds, TLY_DIM_NONE,
                    judge->duration_ns);
    tly_samples_add(samples, TLY_F_tallyman_rule_history_series, TLY_DIM_NONE,
                    (int64_t)verdict->history.series);
    tly_samples_add(samples, TLY_F_tallyman_rule_history_bytes, TLY_DIM_NONE,
                    (int64_t)verdict->history.bytes);
    tly_samples_add(samples, TLY_F_tallyman_rule_history_refused_total, TLY_DIM_NONE,
                    (int64_t)verdict->history.refused);
    tly_samples_add(samples, TLY_F_tallyman_rule_history_shortened_total, TLY_DIM_NONE,
                    (int64_t)verdict->history.shortened);
}

/* ---- records ---- */

static int put_pairs(struct tly_buf *buf, const char *key, const struct tly_alert_pair *pairs,
                     size_t count)
{
    int rc = tly_record_str(buf, tly_text_of(key));
    rc = rc < 0 ? rc : tly_record_map(buf, (uint32_t)count);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = tly_record_str(buf, pairs[i].name);
        rc = rc < 0 ? rc : tly_record_str(buf, pairs[i].value);
    }
    return rc;
}

static int put_text(struct tly_buf *buf, const char *key, struct tly_text value)
{
    int rc = tly_record_str(buf, tly_text_of(key));
    return rc < 0 ? rc : tly_record_str(buf, value);
}

static int put_time(struct tly_buf *buf, const char *key, int64_t ms)
{
    char text[TLY_TIME_TEXT_MAX];
    if (ms <= 0) {
        return 0;
    }
    tly_time_format(ms * TLY_NS_PER_MS, text);
    return put_text(buf, key, tly_text_of(text));
}

int tly_judge_record(struct tly_buf *buf, const struct tly_alert *alert, int64_t at_ms)
{
    static const char *const states[] = {"resolved", "pending", "firing"};
    uint32_t times = 1U + (alert->fired_at_ms > 0 ? 1 : 0) + (alert->resolved_at_ms > 0 ? 1 : 0);
    int rc = tly_record_array(buf, 2);
    rc = rc < 0 ? rc : tly_record_time(buf, at_ms * TLY_NS_PER_MS);
    rc = rc < 0 ? rc : tly_record_map(buf, 7 + times);
    rc = rc < 0 ? rc : put_text(buf, "alertname", alert->rule);
    rc = rc < 0 ? rc : put_text(buf, "state", tly_text_of(states[alert->state]));
    rc = rc < 0 ? rc : put_pairs(buf, "labels", alert->labels, alert->label_count);
    rc = rc < 0 ? rc : put_pairs(buf, "annotations", alert->annotations, alert->annotation_count);
    rc = rc < 0 ? rc : tly_record_str(buf, TLY_TEXT("value"));
    rc = rc < 0 ? rc : tly_record_float(buf, alert->value);
    rc = rc < 0 ? rc : put_text(buf, "group", alert->group);
    rc = rc < 0 ? rc : put_text(buf, "file", alert->file);
    rc = rc < 0 ? rc : put_time(buf, "active_at", alert->active_at_ms);
    rc = rc < 0 ? rc : put_time(buf, "starts_at", alert->fired_at_ms);
    return rc < 0 ? rc : put_time(buf, "ends_at", alert->resolved_at_ms);
}
