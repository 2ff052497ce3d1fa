/*
 * An audit's findings in the forms that people and tools read. Pure: everything is written to a
 * buffer.
 */
#ifndef TLY_POSTURE_REPORT_H
#define TLY_POSTURE_REPORT_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "collectors/posture/finding.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The shape of the JSON form; it grows when a member changes its meaning or goes. */
#define TLY_REPORT_VERSION 1

struct tly_report {
    struct tly_subject **subjects; /* borrowed, in the order in which they are shown */
    size_t count;
    int64_t time_ns; /* realtime */
    /* Of the JSON form: only findings with this status, of subjects whose ids begin with this, and
     * at most so many; empty or 0: all. The summary is of everything. */
    struct tly_text status, id;
    size_t findings_max;
};

/* Containers, images, engine, host; within each by name. */
void tly_report_sort(struct tly_report *report);

void tly_report_count(const struct tly_report *report, struct tly_finding_counts *ret_counts);
/* Findings that fail with at least this severity; `info` counts as `low`, since it is never a
 * reason to fail. */
size_t tly_report_failed(const struct tly_report *report, enum tly_severity least);

struct tly_report_style {
    bool colour;
    bool all;     /* also what passes, is not applicable, or could not be decided */
    size_t width; /* columns to write within */
};

/* All append to `buf`; its own errors. */
int tly_report_table(const struct tly_report *report, struct tly_report_style style,
                     struct tly_buf *buf) TLY_CHECK;
/*
 * {"version":1,"tool":{"name","version"},"time","score","summary":{STATUS:{SEVERITY:n}},"findings":[…]},
 * one row for each check and subject: check, cis, severity, target, id, name, image, status,
 * message, remediation, practices, and for what is waived `waiver` with reason and expires. Where
 * findings_max left some out, "left_out" says how many.
 */
int tly_report_json(const struct tly_report *report, struct tly_buf *buf) TLY_CHECK;
/* SARIF 2.1.0: one run, each check a rule, each failure a result; what is waived is suppressed. */
int tly_report_sarif(const struct tly_report *report, struct tly_buf *buf) TLY_CHECK;
/* JUnit's XML as CI systems read it: a suite for each subject, a case for each check. */
int tly_report_junit(const struct tly_report *report, struct tly_buf *buf) TLY_CHECK;

#endif
