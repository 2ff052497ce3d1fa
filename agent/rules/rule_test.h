/*
 * Unit tests of rules in promtool's own format and with its verdicts
 * (prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules).
 */
#ifndef TLY_RULES_RULE_TEST_H
#define TLY_RULES_RULE_TEST_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/config/option.h"

#include <stdbool.h>
#include <stddef.h>

/* Longer reports are cut. */
#define TLY_RULE_TEST_REPORT_MAX ((size_t)1024 * 1024)

struct tly_rule_test_result {
    bool passed;
    size_t tests; /* comparisons made */
};

/*
 * Runs the tests of a file. What differs is appended to `report`, as promtool shows it. Mistakes in
 * the file itself are complaints (TLY_E_MALFORMED); those in the rule files that it names stand in
 * the report, and the tests have failed. -errno with `err` when the file can't be read; -ENOMEM.
 */
int tly_rule_test_run(const char *path, struct tly_complaints *complaints, struct tly_buf *report,
                      struct tly_rule_test_result *ret_result, struct tly_error *err) TLY_CHECK;

#endif
