/*
 * rules: which rule files are in force, and the bounds of what they may cost.
 */
#ifndef TLY_JUDGE_SETTINGS_H
#define TLY_JUDGE_SETTINGS_H

#include "agent/config/option.h"

struct tly_rules_settings {
    struct tly_strings files; /* globs */
    bool builtin;
    int64_t interval_ms;
    struct tly_strings external_labels; /* name=value */
    char *external_url;
    int64_t resend_delay_ms, outage_tolerance_ms, grace_period_ms;
    int64_t history_bytes_max, alerts_max, samples_max;
};

extern const struct tly_section tly_rules_section;

#endif
