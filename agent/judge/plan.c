/*
 * What the judge goes by: the rules that were read, and the settings beside them. It is made whole
 * before it is put in force, so that a mistake changes nothing.
 */
#include "agent/judge/judge_state.h"

#include <errno.h>
#include <stdlib.h>

#define LOG_NAME "rules"

/* `name=value` texts as pairs that borrow them; the table knows that they are well formed. */
static int read_external(struct tly_judge_plan *plan)
{
    const struct tly_strings *labels = &plan->settings->external_labels;
    plan->external = calloc(labels->count + 1, sizeof(*plan->external));
    if (!plan->external) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < labels->count; i++) {
        struct tly_text value = tly_text_of(labels->at[i]);
        struct tly_text name = tly_text_cut(&value, '=');
        plan->external[plan->external_count++] = (struct tly_alert_pair){name, value};
    }
    return 0;
}

int tly_judge_plan_new(struct tly_config *config, int64_t tick_ms, struct tly_judge_plan **ret_plan,
                       size_t *ret_failed, struct tly_error *first)
{
    struct tly_judge_plan *plan = calloc(1, sizeof(*plan));
    if (!plan) {
        return -ENOMEM;
    }
    plan->config = tly_config_ref(config);
    plan->settings = tly_config_section(config, &tly_rules_section);
    plan->tick_ms = tick_ms;
    int rc = read_external(plan);
    rc = rc < 0 ? rc : tly_judge_read(plan->settings, &plan->set, ret_failed, first);
    if (rc < 0) {
        tly_judge_abandon(plan);
        return rc;
    }
    *ret_plan = plan;
    return 0;
}

void tly_judge_abandon(struct tly_judge_plan *plan)
{
    if (plan) {
        tly_rule_set_unref(plan->set);
        free(plan->external);
        tly_config_free(plan->config);
        free(plan);
    }
}

size_t tly_judge_plan_rules(const struct tly_judge_plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->set->count; i++) {
        for (size_t k = 0; k < plan->set->files[i]->count; k++) {
            count += plan->set->files[i]->groups[k].count;
        }
    }
    return count;
}

struct tly_engine_spec tly_judge_plan_spec(const struct tly_judge_plan *plan)
{
    const struct tly_rules_settings *settings = plan->settings;
    return (struct tly_engine_spec){
        .history_bytes_max = (size_t)settings->history_bytes_max,
        .alerts_max = (size_t)settings->alerts_max,
        .interval_ms = settings->interval_ms,
        .resend_delay_ms = settings->resend_delay_ms,
        .outage_tolerance_ms = settings->outage_tolerance_ms,
        .grace_period_ms = settings->grace_period_ms,
        .bounds = {.samples = (size_t)settings->samples_max},
        .external_labels = plan->external,
        .external_label_count = plan->external_count,
        .external_url = tly_text_of(settings->external_url ? settings->external_url : ""),
    };
}

void tly_judge_plan_say(const struct tly_judge_plan *plan)
{
    for (size_t i = 0; i < plan->set->count; i++) {
        for (size_t k = 0; k < plan->set->files[i]->count; k++) {
            const struct tly_rule_group *group = &plan->set->files[i]->groups[k];
            if (group->interval_ms > 0 && group->interval_ms < plan->tick_ms) {
                tly_log_warn(LOG_NAME,
                             "%.*s: the group %.*s has an interval of %lld ms, which is shorter "
                             "than collect.interval; it is evaluated every %lld ms",
                             (int)group->file.len, group->file.at, (int)group->name.len,
                             group->name.at, (long long)group->interval_ms,
                             (long long)plan->tick_ms);
            }
        }
    }
    size_t count = tly_judge_plan_rules(plan);
    tly_log_info(LOG_NAME, "%zu rule%s from %zu file%s", count, count == 1 ? "" : "s",
                 plan->set->count, plan->set->count == 1 ? "" : "s");
}
