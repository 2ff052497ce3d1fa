/* The table of the `rules` section. */
#include "agent/judge/settings.h"

#include <errno.h>
#include <string.h>

#define SECOND_MS 1000LL
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define MIB       (1024LL * 1024)

static int verify_label(const char *value, struct tly_error *err)
{
    size_t name = strcspn(value, "=");
    for (size_t i = 0; i < name; i++) {
        char c = value[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) {
            name = 0;
        }
    }
    if (name == 0 || value[name] != '=') {
        return tly_error_set(err, -EINVAL, "`%.60s` is no label; write name=value", value);
    }
    return 0;
}

static const struct tly_option rows[] = {
    {.key = "files",
     .type = TLY_OPTION_PATHS,
     .offset = offsetof(struct tly_rules_settings, files),
     .fallback = "[" TLY_CONFIG_DIR "/rules/*.yml, " TLY_CONFIG_DIR "/rules/*.yaml]",
     .help = "Prometheus rule files, as paths with `*` and `?`. A file with a mistake is left out "
             "and said in the log; `tallyman check` says the same beforehand. A reload reads them "
             "anew; a mistake in any of them then refuses all of it."},
    {.key = "builtin",
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct tly_rules_settings, builtin),
     .fallback = "true",
     .help = "Whether the rules that come with the agent are in force, too."},
    {.key = "interval",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_rules_settings, interval_ms),
     .fallback = "10s",
     .min = SECOND_MS,
     .max = 24 * HOUR_MS,
     .help = "How often groups are evaluated that have no `interval` of their own. No group is "
             "evaluated more often than `collect.interval`, at which the samples come."},
    {.key = "external_labels",
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct tly_rules_settings, external_labels),
     .verify = verify_label,
     .help =
         "Labels as `name=value` that every alert gets on its way to Alertmanagers and webhooks "
         "which has none of that name, as Prometheus's own external_labels; templates know them "
         "as `$externalLabels`. ALERTS and `/api/v1/alerts` are without them."},
    {.key = "external_url",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct tly_rules_settings, external_url),
     .help = "The address under which people reach this agent: `$externalURL` in templates."},
    {.key = "resend_delay",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_rules_settings, resend_delay_ms),
     .fallback = "1m",
     .min = SECOND_MS,
     .max = HOUR_MS,
     .help = "How long until an alert that still fires is sent again to Alertmanagers."},
    {.key = "for_outage_tolerance",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_rules_settings, outage_tolerance_ms),
     .fallback = "1h",
     .max = 7 * 24 * HOUR_MS,
     .help = "After a longer time without the agent, the states of alerts begin anew."},
    {.key = "for_grace_period",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_rules_settings, grace_period_ms),
     .fallback = "10m",
     .max = 24 * HOUR_MS,
     .help = "Least time that a pending alert still waits after a restart. Alerts with a shorter "
             "`for` begin anew."},
    {.key = "history_max",
     .restart = true,
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct tly_rules_settings, history_bytes_max),
     .fallback = "64MiB",
     .min = MIB,
     .max = 64 * 1024 * MIB,
     .help = "Most memory for the samples that rules look back at, and for their labels. At the "
             "bound old samples go early, first those of containers that are gone, and until "
             "there is room new series are left out: tallyman_rule_history_shortened_total and "
             "tallyman_rule_history_refused_total."},
    {.key = "alerts_max",
     .restart = true,
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_rules_settings, alerts_max),
     .fallback = "1000",
     .min = 1,
     .max = 100000,
     .help = "Most alerts of one rule; with more its evaluation fails, and its alerts stay as they "
             "were."},
    {.key = "samples_max",
     .restart = true,
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_rules_settings, samples_max),
     .fallback = "20000000",
     .min = 1000,
     .max = 1000000000,
     .help = "Most samples that the evaluation of one rule may touch, the steps of subqueries "
             "included; beyond it the rule fails, and no other."},
    {.key = NULL},
};

const struct tly_section tly_rules_section = {
    .key = "rules",
    .type = TLY_OPTION_SECTION,
    .options = rows,
    .size = sizeof(struct tly_rules_settings),
    .help = "Prometheus rule files, judged on this host: alerts go out as metrics, as records "
            "tagged `tallyman.alert`, and to those whom `alertmanagers` names.",
};
