/*
 * A report as JSON and as SARIF 2.1.0 (OASIS Standard, 27 March 2020); see report.h.
 */
#include "agent/base/clock.h"
#include "agent/codec/json_writer.h"
#include "collectors/posture/report.h"

#include <string.h>

#define SARIF_SCHEMA                                                                               \
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

static void put_text(struct tly_json_writer *writer, const char *text)
{
    tly_json_put_text(writer, tly_text_of(text));
}

/* `"key":"value"` with what stands before it. */
static void put_pair(struct tly_json_writer *writer, const char *before, const char *key,
                     const char *value)
{
    tly_json_put(writer, before);
    put_text(writer, key);
    tly_json_put(writer, ":");
    put_text(writer, value);
}

/* "A3 B1" as an array. */
static void put_words(struct tly_json_writer *writer, const char *words)
{
    tly_json_put(writer, "[");
    const char *before = "";
    for (struct tly_text rest = tly_text_of(words); rest.at && rest.len > 0; before = ",") {
        struct tly_text word = tly_text_cut(&rest, ' ');
        tly_json_put(writer, before);
        if (writer->rc == 0) {
            writer->rc = tly_buf_printf(writer->buf, "\"%.*s\"", (int)word.len, word.at);
        }
    }
    tly_json_put(writer, "]");
}

/* ---- JSON ---- */

static void put_row(struct tly_json_writer *writer, const struct tly_subject *subject,
                    const struct tly_finding *finding)
{
    const struct tly_posture_check *check = &tly_posture_checks[finding->check];
    put_pair(writer, "{", "check", check->id);
    put_pair(writer, ",", "cis", check->cis);
    put_pair(writer, ",", "severity", tly_severity_names[finding->severity]);
    put_pair(writer, ",", "target", tly_target_names[subject->target]);
    put_pair(writer, ",", "id", subject->id);
    put_pair(writer, ",", "name", subject->name);
    put_pair(writer, ",", "image", subject->image);
    put_pair(writer, ",", "status", tly_status_names[finding->status]);
    put_pair(writer, ",", "message", finding->message);
    put_pair(writer, ",", "remediation", check->mend);
    tly_json_put(writer, ",\"practices\":");
    put_words(writer, check->practices);
    if (finding->status == TLY_STATUS_WAIVED) {
        put_pair(writer, ",\"waiver\":{", "reason", finding->reason);
        if (finding->expires) {
            put_pair(writer, ",", "expires", finding->expires);
        }
        tly_json_put(writer, "}");
    }
    tly_json_put(writer, "}");
}

static void put_summary(struct tly_json_writer *writer, const struct tly_finding_counts *counts)
{
    tly_json_put(writer, "\"summary\":{");
    for (size_t i = 0; i < TLY_STATUS_COUNT; i++) {
        tly_json_put(writer, i > 0 ? ",\n  " : "\n  ");
        put_text(writer, tly_status_names[i]);
        tly_json_put(writer, ":{");
        for (size_t k = 0; k < TLY_SEVERITY_COUNT; k++) {
            tly_json_put(writer, k > 0 ? "," : "");
            put_text(writer, tly_severity_names[k]);
            tly_json_put(writer, ":");
            tly_json_put_decimal(writer, (int64_t)counts->at[i][k], 0);
        }
        tly_json_put(writer, "}");
    }
    tly_json_put(writer, "}");
}

static bool is_asked_for(const struct tly_report *report, const struct tly_subject *subject,
                         const struct tly_finding *finding)
{
    return (report->id.len == 0 || tly_text_starts(tly_text_of(subject->id), report->id)) &&
           (report->status.len == 0 ||
            tly_text_equal(tly_text_of(tly_status_names[finding->status]), report->status));
}

static void put_rows(struct tly_json_writer *writer, const struct tly_report *report)
{
    size_t count = 0;
    tly_json_put(writer, ",\n\"findings\":[");
    for (size_t i = 0; i < report->count; i++) {
        const struct tly_subject *subject = report->subjects[i];
        for (size_t k = 0; k < subject->count; k++) {
            if (!is_asked_for(report, subject, &subject->findings[k])) {
                continue;
            }
            count++;
            if (report->findings_max == 0 || count <= report->findings_max) {
                tly_json_put(writer, count > 1 ? ",\n" : "\n");
                put_row(writer, subject, &subject->findings[k]);
            }
        }
    }
    tly_json_put(writer, "]");
    if (report->findings_max > 0 && count > report->findings_max) {
        tly_json_put(writer, ",\n\"left_out\":");
        tly_json_put_decimal(writer, (int64_t)(count - report->findings_max), 0);
    }
}

int tly_report_json(const struct tly_report *report, struct tly_buf *buf)
{
    struct tly_json_writer writer = {.buf = buf};
    struct tly_finding_counts counts;
    char time[TLY_TIME_TEXT_MAX];
    tly_report_count(report, &counts);
    tly_time_format(report->time_ns, time);
    tly_json_put(&writer, "{\"version\":");
    tly_json_put_decimal(&writer, TLY_REPORT_VERSION, 0);
    put_pair(&writer, ",\n\"tool\":{", "name", "tallyman");
    put_pair(&writer, ",", "version", TLY_VERSION);
    put_pair(&writer, "},\n", "time", time);
    tly_json_put(&writer, ",\n\"score\":");
    tly_json_put_decimal(&writer, tly_finding_score(&counts), -2);
    tly_json_put(&writer, ",\n");
    put_summary(&writer, &counts);
    put_rows(&writer, report);
    tly_json_put(&writer, "}\n");
    return writer.rc;
}

/* ---- SARIF ---- */

static const char *level_of(enum tly_severity severity)
{
    static const char *const levels[TLY_SEVERITY_COUNT] = {"note", "note", "warning", "error",
                                                           "error"};
    return levels[severity];
}

/* What code hosts sort by: CVSS-like, as text. */
static const char *weight_of(enum tly_severity severity)
{
    static const char *const weights[TLY_SEVERITY_COUNT] = {"0.0", "3.0", "5.5", "8.0", "9.5"};
    return weights[severity];
}

static void put_rule(struct tly_json_writer *writer, const struct tly_posture_check *check)
{
    put_pair(writer, "{", "id", check->id);
    put_pair(writer, ",\"shortDescription\":{", "text", check->passes);
    put_pair(writer, "},\"fullDescription\":{", "text", check->why);
    put_pair(writer, "},\"help\":{", "text", check->mend);
    put_pair(writer, "},\"defaultConfiguration\":{", "level", level_of(check->severity));
    tly_json_put(writer, "},\"properties\":{\"tags\":");
    put_words(writer, check->practices);
    if (*check->cis) {
        put_pair(writer, ",", "cis", check->cis);
    }
    put_pair(writer, ",", "security-severity", weight_of(check->severity));
    tly_json_put(writer, "}}");
}

/* "container/web": a place that a code host can show, and that stays over runs. */
static void put_place(struct tly_json_writer *writer, const struct tly_subject *subject)
{
    static const char hex[] = "0123456789ABCDEF";
    tly_json_put(writer, "\"");
    tly_json_put(writer, tly_target_names[subject->target]);
    tly_json_put(writer, "/");
    for (const char *at = *subject->name ? subject->name : subject->id; *at && writer->rc == 0;
         at++) {
        unsigned char byte = (unsigned char)*at;
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= 'a' && byte <= 'z') || strchr("-._~/", *at);
        char text[4] = {plain ? *at : '%', '\0', '\0', '\0'};
        if (!plain) {
            text[1] = hex[byte >> 4];
            text[2] = hex[byte & 15];
        }
        tly_json_put(writer, text);
    }
    tly_json_put(writer, "\"");
}

static void put_result(struct tly_json_writer *writer, const struct tly_subject *subject,
                       const struct tly_finding *finding)
{
    const struct tly_posture_check *check = &tly_posture_checks[finding->check];
    const char *name = *subject->name ? subject->name : subject->id;
    put_pair(writer, "{", "ruleId", check->id);
    tly_json_put(writer, ",\"ruleIndex\":");
    tly_json_put_decimal(writer, (int64_t)finding->check, 0);
    put_pair(writer, ",", "level", level_of(finding->severity));
    put_pair(writer, ",", "kind", "fail");
    put_pair(writer, ",\"message\":{", "text", finding->message);
    tly_json_put(writer, "},\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{\"uri\":");
    put_place(writer, subject);
    put_pair(writer, "}},\"logicalLocations\":[{", "name", name);
    put_pair(writer, ",", "kind", tly_target_names[subject->target]);
    tly_json_put(writer, "}]}],\"partialFingerprints\":{\"checkAndName/v1\":");
    /* By name and not by id: a container that is made anew is the same finding. */
    if (writer->rc == 0) {
        writer->rc = tly_buf_printf(writer->buf, "\"%s:", check->id);
    }
    if (writer->rc == 0) {
        struct tly_buf place;
        struct tly_json_writer inner = {.buf = &place};
        tly_buf_init(&place, writer->buf->max);
        put_place(&inner, subject);
        writer->rc = inner.rc < 0 ? inner.rc
                                  : tly_buf_append(writer->buf, place.at + 1, place.len - 1);
        tly_buf_done(&place);
    }
    tly_json_put(writer, "},\"suppressions\":[");
    if (finding->status == TLY_STATUS_WAIVED) {
        put_pair(writer, "{\"kind\":\"external\",\"status\":\"accepted\",", "justification",
                 finding->reason);
        tly_json_put(writer, "}");
    }
    tly_json_put(writer, "]}");
}

static void put_results(struct tly_json_writer *writer, const struct tly_report *report)
{
    const char *before = "\n";
    for (size_t i = 0; i < report->count; i++) {
        const struct tly_subject *subject = report->subjects[i];
        for (size_t k = 0; k < subject->count; k++) {
            const struct tly_finding *finding = &subject->findings[k];
            if (finding->status == TLY_STATUS_FAIL || finding->status == TLY_STATUS_WAIVED) {
                tly_json_put(writer, before);
                put_result(writer, subject, finding);
                before = ",\n";
            }
        }
    }
}

/* What could not be decided is no result, but must not go unsaid. */
static void put_notifications(struct tly_json_writer *writer, const struct tly_report *report)
{
    const char *before = "\n";
    for (size_t i = 0; i < report->count; i++) {
        const struct tly_subject *subject = report->subjects[i];
        for (size_t k = 0; k < subject->count; k++) {
            const struct tly_finding *finding = &subject->findings[k];
            if (finding->status != TLY_STATUS_UNKNOWN) {
                continue;
            }
            tly_json_put(writer, before);
            put_pair(writer, "{\"associatedRule\":{", "id", tly_posture_checks[finding->check].id);
            tly_json_put(writer, "},\"level\":\"note\",\"locations\":[{\"physicalLocation\":"
                                 "{\"artifactLocation\":{\"uri\":");
            put_place(writer, subject);
            put_pair(writer, "}}}],\"message\":{", "text", finding->message);
            tly_json_put(writer, "}}");
            before = ",\n";
        }
    }
}

int tly_report_sarif(const struct tly_report *report, struct tly_buf *buf)
{
    struct tly_json_writer writer = {.buf = buf};
    char time[TLY_TIME_TEXT_MAX];
    tly_time_format(report->time_ns, time);
    put_pair(&writer, "{", "$schema", SARIF_SCHEMA);
    put_pair(&writer, ",\n", "version", "2.1.0");
    put_pair(&writer, ",\n\"runs\":[{\"tool\":{\"driver\":{", "name", "tallyman");
    put_pair(&writer, ",", "version", TLY_VERSION);
    tly_json_put(&writer, ",\"rules\":[");
    for (size_t i = 0; i < TLY_POSTURE_COUNT; i++) {
        tly_json_put(&writer, i > 0 ? ",\n" : "\n");
        put_rule(&writer, &tly_posture_checks[i]);
    }
    tly_json_put(&writer, "]}},\n\"invocations\":[{\"executionSuccessful\":true,");
    put_pair(&writer, "", "endTimeUtc", time);
    tly_json_put(&writer, ",\"toolExecutionNotifications\":[");
    put_notifications(&writer, report);
    tly_json_put(&writer, "]}],\n\"columnKind\":\"unicodeCodePoints\",\"results\":[");
    put_results(&writer, report);
    tly_json_put(&writer, "]}]}\n");
    return writer.rc;
}
