/*
 * A report as JUnit XML, the form that CI systems read tests in; see report.h.
 */
#include "agent/base/clock.h"
#include "collectors/posture/report.h"

struct writer {
    struct tly_buf *buf;
    int rc;
};

static void put(struct writer *writer, const char *text)
{
    if (writer->rc == 0) {
        writer->rc = tly_buf_append_text(writer->buf, tly_text_of(text));
    }
}

/* XML 1.0 knows no control characters, not even escaped, and only valid UTF-8. */
static void put_escaped(struct writer *writer, const char *text)
{
    struct tly_text rest = tly_text_of(text);
    size_t good = tly_text_utf8_prefix(rest);
    for (size_t i = 0; i < rest.len && writer->rc == 0; i++) {
        char byte = rest.at[i];
        if (i >= good || (unsigned char)byte < ' ') {
            put(writer, "?");
        } else if (byte == '&') {
            put(writer, "&amp;");
        } else if (byte == '<') {
            put(writer, "&lt;");
        } else if (byte == '>') {
            put(writer, "&gt;");
        } else if (byte == '"') {
            put(writer, "&quot;");
        } else {
            writer->rc = tly_buf_append(writer->buf, &byte, 1);
        }
    }
}

static void put_attribute(struct writer *writer, const char *name, const char *value)
{
    put(writer, " ");
    put(writer, name);
    put(writer, "=\"");
    put_escaped(writer, value);
    put(writer, "\"");
}

static void put_count(struct writer *writer, const char *name, size_t count)
{
    if (writer->rc == 0) {
        writer->rc = tly_buf_printf(writer->buf, " %s=\"%zu\"", name, count);
    }
}

static bool is_failure(const struct tly_finding *finding)
{
    return finding->status == TLY_STATUS_FAIL && finding->severity > TLY_SEVERITY_INFO;
}

static bool is_skipped(const struct tly_finding *finding)
{
    return finding->status != TLY_STATUS_PASS && !is_failure(finding);
}

static void put_case(struct writer *writer, const struct tly_subject *subject,
                     const struct tly_finding *finding)
{
    const struct tly_posture_check *check = &tly_posture_checks[finding->check];
    put(writer, "<testcase");
    put_attribute(writer, "classname", tly_target_names[subject->target]);
    put_attribute(writer, "name", check->id);
    if (finding->status == TLY_STATUS_PASS) {
        put(writer, "/>\n");
        return;
    }
    put(writer, is_failure(finding) ? "><failure" : "><skipped");
    if (is_failure(finding)) {
        put_attribute(writer, "type", tly_severity_names[finding->severity]);
    }
    put_attribute(writer, "message", finding->message);
    put(writer, ">");
    put_escaped(writer, finding->status == TLY_STATUS_WAIVED ? finding->reason
                        : finding->status == TLY_STATUS_FAIL ? check->mend
                                                             : "");
    put(writer, is_failure(finding) ? "</failure></testcase>\n" : "</skipped></testcase>\n");
}

static void put_counts(struct writer *writer, struct tly_subject *const *subjects, size_t count)
{
    size_t tests = 0;
    size_t failures = 0;
    size_t skipped = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < subjects[i]->count; k++) {
            tests++;
            failures += is_failure(&subjects[i]->findings[k]);
            skipped += is_skipped(&subjects[i]->findings[k]);
        }
    }
    put_count(writer, "tests", tests);
    put_count(writer, "failures", failures);
    put_count(writer, "errors", 0);
    put_count(writer, "skipped", skipped);
}

int tly_report_junit(const struct tly_report *report, struct tly_buf *buf)
{
    struct writer writer = {.buf = buf};
    char time[TLY_TIME_TEXT_MAX];
    tly_time_format(report->time_ns, time);
    put(&writer, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites");
    put_attribute(&writer, "name", "tallyman audit");
    put_counts(&writer, report->subjects, report->count);
    put(&writer, ">\n");
    for (size_t i = 0; i < report->count; i++) {
        const struct tly_subject *subject = report->subjects[i];
        put(&writer, "<testsuite");
        put_attribute(&writer, "name", *subject->name ? subject->name : subject->id);
        put_attribute(&writer, "timestamp", time);
        put_counts(&writer, &report->subjects[i], 1);
        put(&writer, ">\n");
        for (size_t k = 0; k < subject->count; k++) {
            put_case(&writer, subject, &subject->findings[k]);
        }
        put(&writer, "</testsuite>\n");
    }
    put(&writer, "</testsuites>\n");
    return writer.rc;
}
