/*
 * The order and sums of a report, and its form for a terminal; see report.h.
 */
#include "collectors/posture/report.h"

#include <stdlib.h>
#include <string.h>

#define WIDTH_MIN     60
#define SEVERITY_WIDE 10 /* "CRITICAL" and blanks */
#define INDENT        2

static int compare_subjects(const void *left, const void *right)
{
    const struct tly_subject *a = *(struct tly_subject *const *)left;
    const struct tly_subject *b = *(struct tly_subject *const *)right;
    if (a->target != b->target) {
        return a->target < b->target ? -1 : 1;
    }
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : strcmp(a->id, b->id);
}

void tly_report_sort(struct tly_report *report)
{
    if (report->count > 0) {
        qsort(report->subjects, report->count, sizeof(struct tly_subject *), compare_subjects);
    }
}

void tly_report_count(const struct tly_report *report, struct tly_finding_counts *ret_counts)
{
    *ret_counts = (struct tly_finding_counts){0};
    for (size_t i = 0; i < report->count; i++) {
        tly_subject_count(report->subjects[i], ret_counts);
    }
}

size_t tly_report_failed(const struct tly_report *report, enum tly_severity least)
{
    struct tly_finding_counts counts;
    size_t failed = 0;
    tly_report_count(report, &counts);
    for (size_t i = least > TLY_SEVERITY_LOW ? least : TLY_SEVERITY_LOW; i < TLY_SEVERITY_COUNT;
         i++) {
        failed += counts.at[TLY_STATUS_FAIL][i];
    }
    return failed;
}

/* ---- the terminal ---- */

struct table {
    struct tly_buf *buf;
    struct tly_report_style style;
    size_t columns; /* of the widest id of a check that is shown */
    int rc;
};

enum colour { PLAIN, BOLD, DIM, RED, BRIGHT_RED, YELLOW, BLUE, GREEN };

static void put(struct table *table, const char *text)
{
    if (table->rc == 0) {
        table->rc = tly_buf_append_text(table->buf, tly_text_of(text));
    }
}

static void put_colour(struct table *table, enum colour colour)
{
    static const char *const codes[] = {
        [PLAIN] = "\033[0m", [BOLD] = "\033[1m",          [DIM] = "\033[2m",
        [RED] = "\033[31m",  [BRIGHT_RED] = "\033[1;31m", [YELLOW] = "\033[33m",
        [BLUE] = "\033[34m", [GREEN] = "\033[32m",
    };
    if (table->style.colour) {
        put(table, codes[colour]);
    }
}

static void put_blanks(struct table *table, size_t count)
{
    while (count-- > 0) {
        put(table, " ");
    }
}

/* Names come from users: nothing in them may steer the terminal. */
static void put_name(struct table *table, const char *name)
{
    for (; *name && table->rc == 0; name++) {
        unsigned char byte = (unsigned char)*name;
        char one[2] = {byte < ' ' || byte == 0x7f ? '?' : *name, '\0'};
        put(table, one);
    }
}

/* Broken between words; what follows a line break starts in column `indent`. */
static void put_wrapped(struct table *table, size_t column, size_t indent, const char *text)
{
    bool first = true;
    for (struct tly_text rest = tly_text_of(text); rest.at && table->rc == 0;) {
        struct tly_text word = tly_text_cut(&rest, ' ');
        if (!first && column + 1 + word.len > table->style.width) {
            put(table, "\n");
            put_blanks(table, indent);
            column = indent;
        } else if (!first) {
            put(table, " ");
            column++;
        }
        if (table->rc == 0) {
            table->rc = tly_buf_append_text(table->buf, word);
        }
        column += word.len;
        first = false;
    }
}

static const char *word_of(const struct tly_finding *finding)
{
    static const char *const words[TLY_SEVERITY_COUNT] = {"INFO", "LOW", "MEDIUM", "HIGH",
                                                          "CRITICAL"};
    switch (finding->status) {
    case TLY_STATUS_FAIL:
        return words[finding->severity];
    case TLY_STATUS_WAIVED:
        return "waived";
    case TLY_STATUS_UNKNOWN:
        return "unknown";
    case TLY_STATUS_NA:
        return "n/a";
    case TLY_STATUS_PASS:
    case TLY_STATUS_COUNT:
        break;
    }
    return "pass";
}

static enum colour colour_of(const struct tly_finding *finding)
{
    static const enum colour colours[TLY_SEVERITY_COUNT] = {DIM, BLUE, YELLOW, RED, BRIGHT_RED};
    if (finding->status == TLY_STATUS_FAIL) {
        return colours[finding->severity];
    }
    return finding->status == TLY_STATUS_PASS ? GREEN : DIM;
}

static void put_finding(struct table *table, const struct tly_finding *finding)
{
    const struct tly_posture_check *check = &tly_posture_checks[finding->check];
    const char *word = word_of(finding);
    const size_t indent = INDENT + SEVERITY_WIDE + table->columns + 2;
    put_blanks(table, INDENT);
    put_colour(table, colour_of(finding));
    put(table, word);
    put_colour(table, PLAIN);
    put_blanks(table, SEVERITY_WIDE - strlen(word));
    put_colour(table, BOLD);
    put(table, check->id);
    put_colour(table, PLAIN);
    put_blanks(table, table->columns - strlen(check->id) + 2);
    put_wrapped(table, indent, indent, finding->message);
    put(table, "\n");
    if (finding->status == TLY_STATUS_WAIVED) {
        put_blanks(table, indent);
        put_colour(table, DIM);
        put(table, "waived");
        put(table, finding->expires ? " until " : "");
        put(table, finding->expires ? finding->expires : "");
        put(table, ": ");
        put_name(table, finding->reason);
        put_colour(table, PLAIN);
        put(table, "\n");
    } else if (finding->status == TLY_STATUS_FAIL) {
        put_blanks(table, indent);
        put_colour(table, DIM);
        put_wrapped(table, indent + 2, indent, check->mend);
        put_colour(table, PLAIN);
        put(table, "\n");
    }
}

static bool is_shown(const struct table *table, const struct tly_finding *finding)
{
    return table->style.all || finding->status == TLY_STATUS_FAIL ||
           finding->status == TLY_STATUS_WAIVED;
}

/* What fails stands first, the worst at the top; then what is waived, then the rest. */
static int rank(const struct tly_finding *finding)
{
    static const int of_status[TLY_STATUS_COUNT] = {
        [TLY_STATUS_FAIL] = 100, [TLY_STATUS_WAIVED] = 80, [TLY_STATUS_UNKNOWN] = 60,
        [TLY_STATUS_NA] = 40,    [TLY_STATUS_PASS] = 20,
    };
    return of_status[finding->status] + (int)finding->severity;
}

static void put_subject(struct table *table, const struct tly_subject *subject)
{
    struct tly_finding_counts counts = {0};
    size_t shown = 0;
    tly_subject_count(subject, &counts);
    put_colour(table, BOLD);
    put(table, subject->target == TLY_TARGET_CONTAINER ? "container "
               : subject->target == TLY_TARGET_IMAGE   ? "image "
                                                       : "the ");
    put_name(table, *subject->name ? subject->name : subject->id);
    put_colour(table, PLAIN);
    if (*subject->image) {
        put(table, " (");
        put_name(table, subject->image);
        put(table, ")");
    }
    if (table->rc == 0) {
        table->rc = tly_buf_printf(table->buf, ": score %lld\n",
                                   (long long)(tly_finding_score(&counts) / 100));
    }
    for (int wanted = 110; wanted >= 0; wanted--) {
        for (size_t i = 0; i < subject->count; i++) {
            const struct tly_finding *finding = &subject->findings[i];
            if (rank(finding) == wanted && is_shown(table, finding)) {
                put_finding(table, finding);
                shown++;
            }
        }
    }
    if (shown == 0) {
        put(table, "  nothing to complain of\n");
    }
    put(table, "\n");
}

static void put_summary(struct table *table, const struct tly_report *report)
{
    struct tly_finding_counts counts;
    size_t sums[TLY_STATUS_COUNT] = {0};
    tly_report_count(report, &counts);
    for (size_t i = 0; i < TLY_STATUS_COUNT; i++) {
        for (size_t k = 0; k < TLY_SEVERITY_COUNT; k++) {
            sums[i] += counts.at[i][k];
        }
    }
    put_colour(table, BOLD);
    if (table->rc == 0) {
        table->rc = tly_buf_printf(table->buf, "Score %lld of 100. ",
                                   (long long)(tly_finding_score(&counts) / 100));
    }
    put_colour(table, PLAIN);
    const size_t *fails = counts.at[TLY_STATUS_FAIL];
    if (table->rc == 0) {
        table->rc = tly_buf_printf(
            table->buf,
            "%zu checks fail (%zu critical, %zu high, %zu medium, %zu low, %zu info), %zu pass, "
            "%zu are waived, %zu could not be decided, %zu do not apply.\n",
            sums[TLY_STATUS_FAIL], fails[TLY_SEVERITY_CRITICAL], fails[TLY_SEVERITY_HIGH],
            fails[TLY_SEVERITY_MEDIUM], fails[TLY_SEVERITY_LOW], fails[TLY_SEVERITY_INFO],
            sums[TLY_STATUS_PASS], sums[TLY_STATUS_WAIVED], sums[TLY_STATUS_UNKNOWN],
            sums[TLY_STATUS_NA]);
    }
}

int tly_report_table(const struct tly_report *report, struct tly_report_style style,
                     struct tly_buf *buf)
{
    struct table table = {.buf = buf, .style = style};
    if (table.style.width < WIDTH_MIN) {
        table.style.width = WIDTH_MIN;
    }
    for (size_t i = 0; i < report->count; i++) {
        const struct tly_subject *subject = report->subjects[i];
        for (size_t k = 0; k < subject->count; k++) {
            size_t len = strlen(tly_posture_checks[subject->findings[k].check].id);
            if (is_shown(&table, &subject->findings[k]) && len > table.columns) {
                table.columns = len;
            }
        }
    }
    for (size_t i = 0; i < report->count; i++) {
        put_subject(&table, report->subjects[i]);
    }
    put_summary(&table, report);
    return table.rc;
}
