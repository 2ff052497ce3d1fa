/*
 * Series as promtool's unit tests write them (prometheus.io/docs/prometheus/latest/configuration/
 * unit_testing_rules): a metric with its labels, and values in shorthand.
 */
#ifndef TLY_RULES_SERIES_VALUES_H
#define TLY_RULES_SERIES_VALUES_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/rules/labels.h"

#include <stdbool.h>
#include <stddef.h>

/* Of one series, shorthand unfolded. */
#define TLY_SERIES_VALUES_MAX 1000000

struct tly_series_value {
    double value;
    bool absent; /* `_` */
};

/* `1+2x3`, `5x2`, `_`, `_x3`, `stale`, in any order; owned by the caller (free). TLY_E_MALFORMED,
 * TLY_E_REFUSED for histograms, TLY_E_LIMIT, -ENOMEM. */
int tly_series_values_parse(struct tly_text text, struct tly_series_value **ret_values,
                            size_t *ret_count, struct tly_error *err) TLY_CHECK;

/* `name{a="b"}`, `{a="b"}`, `{}` or nothing, kept (tly_labels_drop). TLY_E_MALFORMED, TLY_E_LIMIT,
 * -ENOMEM. */
int tly_series_labels_parse(struct tly_symbols *symbols, struct tly_text text,
                            struct tly_labels *ret_labels, struct tly_error *err) TLY_CHECK;

#endif
