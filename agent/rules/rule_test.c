/*
 * Running unit tests of rules, step by step as promtool does it: at each multiple of the evaluation
 * interval the samples up to then, then every group; alerts are compared on the way, expressions at
 * the end.
 */
#include "agent/rules/rule_test.h"

#include "agent/base/file.h"
#include "agent/rules/engine.h"
#include "agent/rules/number.h"
#include "agent/rules/rule_test_file.h"
#include "agent/rules/series_values.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Tests are small; a slip of a zero should still end. */
#define HISTORY_BYTES_MAX ((size_t)1024 * 1024 * 1024)
#define ALERTS_MAX        100000
#define STEPS_MAX         10000000
#define LINE_BYTES_MAX    ((size_t)1024 * 1024)

struct input {
    struct tly_history_series *series;
    struct tly_series_value *values;
    size_t count;
};

struct run {
    const struct tly_test_file *file;
    const struct tly_test_group *group;
    struct tly_engine *engine;
    struct tly_rule_set *set;
    struct input *inputs;
    size_t next;       /* index of the samples that come next */
    int64_t ticked_ms; /* the newest tick; -1: none */
    struct tly_buf *report;
    struct tly_rule_test_result *result;
};

/* Appends to the report; at its bound the rest is left out. */
static void say(struct run *run, const char *format, ...) TLY_PRINTF(2, 3);

static void say(struct run *run, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    int rc = len > 0 ? tly_buf_append(run->report, text, (size_t)len) : 0;
    (void)rc; /* cut is fine */
    free(text);
}

static void failed(struct run *run)
{
    run->result->passed = false;
}

static const char *duration(int64_t ms, char to[TLY_DURATION_TEXT_MAX])
{
    (void)tly_duration_format(ms, to); /* only the text counts */
    return to;
}

/* ---- rule files ---- */

static int load_file(struct run *run, const char *path)
{
    struct tly_complaints *complaints = calloc(1, sizeof(*complaints));
    struct tly_rule_file *file = NULL;
    struct tly_error err = {0};
    int rc = complaints ? tly_rule_file_load(path, complaints, &file, &err) : -ENOMEM;
    if (rc == 0) {
        rc = tly_rule_set_add(run->set, file);
    } else if (rc == TLY_E_MALFORMED) {
        for (size_t i = 0; i < tly_complaints_kept(complaints); i++) {
            say(run, "    %s:%zu:%zu: %s\n", path, complaints->at[i].line, complaints->at[i].column,
                complaints->at[i].text);
        }
    } else {
        say(run, "    %s\n", err.text);
    }
    free(complaints);
    return rc;
}

/* Patterns of files start from the folder of the tests. */
static int load_files(struct run *run, const char *folder)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < run->file->rule_file_count; i++) {
        struct tly_text name = run->file->rule_files[i];
        char *pattern = NULL;
        bool absolute = name.len > 0 && name.at[0] == '/';
        if (asprintf(&pattern, "%s%s%.*s", absolute ? "" : folder, absolute ? "" : "/",
                     (int)name.len, name.at) < 0) {
            return -ENOMEM;
        }
        glob_t found = {0};
        if (glob(pattern, GLOB_NOCHECK, NULL, &found) != 0) {
            rc = -ENOMEM;
        }
        for (size_t k = 0; rc == 0 && k < found.gl_pathc; k++) {
            rc = load_file(run, found.gl_pathv[k]);
        }
        globfree(&found);
        free(pattern);
    }
    return rc;
}

/* ---- input ---- */

static int read_inputs(struct run *run, const struct tly_yaml_reader *reader)
{
    const struct tly_test_group *group = run->group;
    struct tly_symbols *symbols = tly_engine_symbols(run->engine);
    run->inputs = calloc(group->series_count + 1, sizeof(*run->inputs));
    int rc = run->inputs ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < group->series_count; i++) {
        struct tly_labels labels;
        struct tly_error err = {0};
        rc = tly_series_values_parse(group->series[i].values, &run->inputs[i].values,
                                     &run->inputs[i].count, &err);
        rc = rc < 0 ? rc : tly_series_labels_parse(symbols, group->series[i].series, &labels, &err);
        if (rc < 0 && rc != -ENOMEM) {
            tly_yaml_complain(reader, group->series[i].at, "%s", err.text);
            return TLY_E_MALFORMED;
        }
        if (rc == 0) {
            rc = tly_history_series(tly_engine_history(run->engine), labels,
                                    &run->inputs[i].series);
            tly_labels_drop(symbols, &labels);
        }
        if (rc == 0) {
            tly_history_hold(run->inputs[i].series);
        }
    }
    return rc;
}

/* The samples whose time has come. */
static int feed_until(struct run *run, int64_t at_ms)
{
    struct tly_history *history = tly_engine_history(run->engine);
    int rc = 0;
    for (; rc == 0 && (int64_t)run->next * run->group->interval_ms <= at_ms; run->next++) {
        int64_t time_ms = (int64_t)run->next * run->group->interval_ms;
        bool ticked = false;
        for (size_t i = 0; rc == 0 && i < run->group->series_count; i++) {
            const struct input *input = &run->inputs[i];
            if (run->next >= input->count || input->values[run->next].absent) {
                continue;
            }
            if (!ticked) {
                rc = tly_history_tick(history, time_ms);
                run->ticked_ms = time_ms;
                ticked = true;
            }
            /* false: the same series stands in the test twice; the first one counts. */
            (void)(rc == 0 &&
                   tly_history_add_value(history, input->series, input->values[run->next].value));
        }
    }
    if (rc == 0 && run->ticked_ms < at_ms) {
        rc = tly_history_tick(history, at_ms);
        run->ticked_ms = at_ms;
    }
    return rc;
}

/* ---- alerts ---- */

static int line_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int pair_order(const void *a, const void *b)
{
    const struct tly_alert_pair *left = a;
    const struct tly_alert_pair *right = b;
    return strcmp(left->name.at, right->name.at);
}

static int put_pairs(struct tly_buf *buf, const struct tly_alert_pair *pairs, size_t count)
{
    int rc = tly_buf_append(buf, "{", 1);
    size_t written = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (pairs[i].value.len == 0) {
            continue; /* an empty label is none */
        }
        rc = tly_buf_printf(buf, "%s%.*s=", written++ > 0 ? ", " : "", (int)pairs[i].name.len,
                            pairs[i].name.at);
        rc = rc < 0 ? rc : tly_quoted_append(buf, pairs[i].value);
    }
    return rc < 0 ? rc : tly_buf_append(buf, "}", 1);
}

/* An alert as one text, by which it is compared and shown; NULL when memory is out. */
static char *alert_line(const struct tly_alert_pair *labels, size_t label_count,
                        const struct tly_alert_pair *annotations, size_t annotation_count)
{
    struct tly_buf buf;
    tly_buf_init(&buf, LINE_BYTES_MAX);
    int rc = tly_buf_append_text(&buf, TLY_TEXT("Labels:"));
    rc = rc < 0 ? rc : put_pairs(&buf, labels, label_count);
    rc = rc < 0 ? rc : tly_buf_append_text(&buf, TLY_TEXT("\n              Annotations:"));
    rc = rc < 0 ? rc : put_pairs(&buf, annotations, annotation_count);
    rc = rc < 0 ? rc : tly_buf_append(&buf, "", 1);
    size_t len;
    char *line = rc < 0 ? NULL : tly_buf_take(&buf, &len);
    tly_buf_done(&buf);
    return line;
}

struct lines {
    char **at;
    size_t count;
};

static int lines_add(struct lines *lines, char *line)
{
    char **at = line ? reallocarray(lines->at, lines->count + 1, sizeof(char *)) : NULL;
    if (!at) {
        free(line);
        return -ENOMEM;
    }
    lines->at = at;
    lines->at[lines->count++] = line;
    return 0;
}

static void lines_done(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        free(lines->at[i]);
    }
    free(lines->at);
}

static int expected_line(const struct tly_alert_test *test, const struct tly_test_alert *alert,
                         struct lines *lines)
{
    struct tly_alert_pair *labels = calloc(alert->label_count + 1, sizeof(*labels));
    if (!labels) {
        return -ENOMEM;
    }
    size_t count = 0;
    for (size_t i = 0; i < alert->label_count; i++) {
        if (!tly_text_equal(alert->labels[i].name, TLY_TEXT("alertname"))) {
            labels[count++] = alert->labels[i];
        }
    }
    labels[count++] = (struct tly_alert_pair){TLY_TEXT("alertname"), test->name};
    qsort(labels, count, sizeof(*labels), pair_order);
    if (alert->annotation_count > 1) {
        qsort(alert->annotations, alert->annotation_count, sizeof(*alert->annotations), pair_order);
    }
    int rc = lines_add(lines,
                       alert_line(labels, count, alert->annotations, alert->annotation_count));
    free(labels);
    return rc;
}

static int got_lines(const struct tly_verdict *verdict, const struct tly_alert_test *test,
                     struct lines *lines)
{
    int rc = 0;
    for (size_t i = 0; verdict && i < verdict->count; i++) {
        const struct tly_verdict_group *group = &verdict->groups[i];
        for (size_t k = 0; rc == 0 && k < group->count; k++) {
            const struct tly_verdict_rule *rule = &group->rules[k];
            if (!rule->rule->alerting || !tly_text_equal(rule->rule->name, test->name) ||
                (test->group.len > 0 && !tly_text_equal(group->group->name, test->group))) {
                continue;
            }
            for (size_t n = 0; rc == 0 && n < rule->alert_count; n++) {
                const struct tly_alert *alert = rule->alerts[n];
                if (alert->state == TLY_ALERT_FIRING) {
                    rc = lines_add(lines, alert_line(alert->labels, alert->label_count,
                                                     alert->annotations, alert->annotation_count));
                }
            }
        }
    }
    return rc;
}

static void say_lines(struct run *run, const char *what, const struct lines *lines)
{
    say(run, "        %s:[", what);
    for (size_t i = 0; i < lines->count; i++) {
        say(run, "\n            %zu:\n              %s", i, lines->at[i]);
    }
    say(run, "%s]", lines->count > 0 ? "\n            " : "");
}

static int check_alert(struct run *run, const struct tly_verdict *verdict,
                       const struct tly_alert_test *test)
{
    struct lines expected = {NULL, 0};
    struct lines got = {NULL, 0};
    int rc = got_lines(verdict, test, &got);
    for (size_t i = 0; rc == 0 && i < test->expected_count; i++) {
        rc = expected_line(test, &test->expected[i], &expected);
    }
    if (rc == 0) {
        bool equal = expected.count == got.count;
        if (expected.count > 1) {
            qsort(expected.at, expected.count, sizeof(char *), line_order);
        }
        if (got.count > 1) {
            qsort(got.at, got.count, sizeof(char *), line_order);
        }
        for (size_t i = 0; equal && i < got.count; i++) {
            equal = strcmp(expected.at[i], got.at[i]) == 0;
        }
        run->result->tests++;
        if (!equal) {
            char time[TLY_DURATION_TEXT_MAX];
            failed(run);
            say(run, "    alertname: %.*s, time: %s, \n", (int)test->name.len, test->name.at,
                duration(test->eval_ms, time));
            say_lines(run, "exp", &expected);
            say(run, ", \n");
            say_lines(run, "got", &got);
            say(run, "\n\n");
        }
    }
    lines_done(&expected);
    lines_done(&got);
    return rc;
}

/* ---- expressions ---- */

struct sample {
    struct tly_labels labels; /* kept */
    double value;
};

static int sample_order(const void *a, const void *b, void *symbols)
{
    return tly_labels_compare(symbols, ((const struct sample *)a)->labels,
                              ((const struct sample *)b)->labels);
}

static bool value_equal(bool fuzzy, double a, double b)
{
    return a == b || (fuzzy && (nextafter(a, -INFINITY) == b || nextafter(a, INFINITY) == b));
}

static void say_samples(struct run *run, const char *what, const struct sample *samples,
                        size_t count)
{
    say(run, "        %s:", what);
    for (size_t i = 0; i < count; i++) {
        char number[TLY_NUMBER_TEXT_MAX];
        struct tly_buf buf;
        tly_buf_init(&buf, LINE_BYTES_MAX);
        if (tly_labels_append(tly_engine_symbols(run->engine), samples[i].labels, &buf) == 0) {
            size_t len = tly_number_format_general(samples[i].value, number);
            say(run, "\n            %.*s %.*s", (int)buf.len, buf.at, (int)len, number);
        }
        tly_buf_done(&buf);
    }
    say(run, "%s\n", count > 0 ? "" : " nil");
}

static void compare_samples(struct run *run, const struct tly_expr_test *test, struct sample *got,
                            size_t got_count, struct sample *expected)
{
    struct tly_symbols *symbols = tly_engine_symbols(run->engine);
    bool equal = got_count == test->expected_count;
    if (got_count > 1) {
        qsort_r(got, got_count, sizeof(*got), sample_order, symbols);
    }
    if (test->expected_count > 1) {
        qsort_r(expected, test->expected_count, sizeof(*expected), sample_order, symbols);
    }
    for (size_t i = 0; equal && i < got_count; i++) {
        equal = tly_labels_equal(got[i].labels, expected[i].labels) &&
                value_equal(run->file->fuzzy, expected[i].value, got[i].value);
    }
    run->result->tests++;
    if (!equal) {
        char time[TLY_DURATION_TEXT_MAX];
        failed(run);
        say(run, "    expr: \"%.*s\", time: %s,\n", (int)test->expr.len, test->expr.at,
            duration(test->eval_ms, time));
        say_samples(run, "exp", expected, test->expected_count);
        say_samples(run, "got", got, got_count);
        say(run, "\n");
    }
}

static int take_samples(struct run *run, const struct tly_value *value, struct sample *samples)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && value->type == TLY_TYPE_VECTOR && i < value->vector.count; i++) {
        samples[i].value = value->vector.at[i].value;
        rc = tly_labels_keep(tly_engine_symbols(run->engine), value->vector.at[i].labels,
                             &samples[i].labels);
    }
    if (value->type == TLY_TYPE_SCALAR) {
        samples[0].value = value->scalar;
    }
    return rc;
}

static void samples_free(struct run *run, struct sample *samples, size_t count)
{
    for (size_t i = 0; samples && i < count; i++) {
        tly_labels_drop(tly_engine_symbols(run->engine), &samples[i].labels);
    }
    free(samples);
}

static int check_value(struct run *run, const struct tly_expr_test *test,
                       const struct tly_value *value, struct tly_error *err)
{
    size_t count = value->type == TLY_TYPE_VECTOR   ? value->vector.count
                   : value->type == TLY_TYPE_SCALAR ? 1
                                                    : SIZE_MAX;
    if (count == SIZE_MAX) {
        return tly_error_set(err, TLY_E_REFUSED, "rule result is not a vector or scalar");
    }
    struct sample *got = calloc(count + 1, sizeof(*got));
    struct sample *expected = calloc(test->expected_count + 1, sizeof(*expected));
    int rc = got && expected ? take_samples(run, value, got) : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < test->expected_count; i++) {
        expected[i].value = test->expected[i].value;
        rc = tly_series_labels_parse(tly_engine_symbols(run->engine), test->expected[i].labels,
                                     &expected[i].labels, err);
    }
    if (rc == 0) {
        compare_samples(run, test, got, count, expected);
    }
    samples_free(run, got, count);
    samples_free(run, expected, test->expected_count);
    return rc;
}

static int check_expr(struct run *run, const struct tly_expr_test *test)
{
    struct tly_expr *expr = NULL;
    struct tly_value value;
    struct tly_error err = {0};
    int rc = tly_expr_parse(test->expr, &expr, NULL, &err);
    rc = rc < 0 ? rc
                : tly_evaluate(tly_engine_evaluator(run->engine), expr,
                               tly_history_storage(tly_engine_history(run->engine)), test->eval_ms,
                               &value, &err);
    rc = rc < 0 ? rc : check_value(run, test, &value, &err);
    tly_expr_free(expr);
    if (rc < 0 && rc != -ENOMEM) {
        char time[TLY_DURATION_TEXT_MAX];
        failed(run);
        say(run, "    expr: \"%.*s\", time: %s, err: %s\n", (int)test->expr.len, test->expr.at,
            duration(test->eval_ms, time), err.text);
        rc = 0;
    }
    return rc;
}

/* ---- the whole ---- */

/* Says what went wrong in rules; promtool ends the test there. */
static bool rules_failed(struct run *run, const struct tly_verdict *verdict, int64_t at_ms)
{
    bool any = false;
    for (size_t i = 0; verdict && i < verdict->count; i++) {
        for (size_t k = 0; k < verdict->groups[i].count; k++) {
            const struct tly_verdict_rule *rule = &verdict->groups[i].rules[k];
            if (rule->health == TLY_RULE_BAD) {
                char time[TLY_DURATION_TEXT_MAX];
                say(run, "    rule: %.*s, time: %s, err: %s\n", (int)rule->rule->name.len,
                    rule->rule->name.at, duration(at_ms, time), rule->error ? rule->error : "?");
                any = true;
            }
        }
    }
    return any;
}

static int64_t end_of(const struct tly_test_group *group)
{
    int64_t end_ms = 0;
    for (size_t i = 0; i < group->alert_count; i++) {
        end_ms = group->alerts[i].eval_ms > end_ms ? group->alerts[i].eval_ms : end_ms;
    }
    for (size_t i = 0; i < group->expr_count; i++) {
        end_ms = group->exprs[i].eval_ms > end_ms ? group->exprs[i].eval_ms : end_ms;
    }
    return end_ms;
}

/* One evaluation and the alert tests that fall between it and the next. 1: rules failed. */
static int step(struct run *run, int64_t at_ms)
{
    struct tly_verdict *verdict = NULL;
    int rc = feed_until(run, at_ms);
    rc = rc < 0 ? rc : tly_engine_evaluate(run->engine, at_ms, true, &verdict);
    if (rc == 0 && rules_failed(run, verdict, at_ms)) {
        failed(run);
        rc = 1;
    }
    for (size_t i = 0; rc == 0 && i < run->group->alert_count; i++) {
        const struct tly_alert_test *test = &run->group->alerts[i];
        if (at_ms <= test->eval_ms && test->eval_ms < at_ms + run->file->interval_ms) {
            rc = check_alert(run, verdict, test);
        }
    }
    tly_verdict_unref(verdict);
    tly_engine_trim(run->engine);
    return rc;
}

static int run_steps(struct run *run)
{
    int64_t end_ms = end_of(run->group);
    int rc = 0;
    if (end_ms / run->file->interval_ms > STEPS_MAX) {
        failed(run);
        say(run, "    the last eval_time is more than %d evaluations away\n", STEPS_MAX);
        return 0;
    }
    for (int64_t at_ms = 0; rc == 0 && at_ms <= end_ms; at_ms += run->file->interval_ms) {
        rc = step(run, at_ms);
    }
    for (size_t i = 0; rc == 0 && i < run->group->expr_count; i++) {
        rc = check_expr(run, &run->group->exprs[i]);
    }
    return rc < 0 ? rc : 0;
}

static int make_engine(struct run *run)
{
    const struct tly_engine_spec spec = {
        .history_bytes_max = HISTORY_BYTES_MAX,
        .alerts_max = ALERTS_MAX,
        .interval_ms = run->group->interval_ms,
        .resend_delay_ms = 60000,
        .keep_all = true,
        .external_labels = run->group->external_labels,
        .external_label_count = run->group->external_label_count,
        .external_url = run->group->external_url,
    };
    run->engine = tly_engine_new(&spec);
    if (!run->engine) {
        return -ENOMEM;
    }
    tly_evaluator_set_step(tly_engine_evaluator(run->engine), run->file->interval_ms);
    int rc = tly_engine_load(run->engine, run->set);
    if (rc == 0 && run->file->order_count > 0) {
        tly_engine_order(run->engine, run->file->order, run->file->order_count);
    }
    return rc;
}

static void run_done(struct run *run)
{
    for (size_t i = 0; run->inputs && i < run->group->series_count; i++) {
        if (run->inputs[i].series) {
            tly_history_release(run->inputs[i].series);
        }
        free(run->inputs[i].values);
    }
    free(run->inputs);
    tly_engine_free(run->engine);
    tly_rule_set_unref(run->set);
}

static int run_group(const struct tly_test_file *file, const struct tly_test_group *group,
                     const struct tly_yaml_reader *reader, const char *folder,
                     struct tly_buf *report, struct tly_rule_test_result *result)
{
    struct run run = {.file = file,
                      .group = group,
                      .ticked_ms = -1,
                      .report = report,
                      .result = result,
                      .set = tly_rule_set_new()};
    int rc = run.set ? load_files(&run, folder) : -ENOMEM;
    if (rc < 0 && rc != -ENOMEM) {
        result->passed = false;
        rc = 0;
    } else if (rc == 0) {
        rc = make_engine(&run);
        rc = rc < 0 ? rc : read_inputs(&run, reader);
        rc = rc < 0 ? rc : run_steps(&run);
    }
    run_done(&run);
    return rc;
}

static int run_text(struct tly_text text, const char *path, struct tly_complaints *complaints,
                    struct tly_buf *report, struct tly_rule_test_result *result)
{
    struct tly_test_file file;
    int rc = tly_test_file_read(text, complaints, &file);
    if (rc < 0) {
        return rc;
    }
    char *copy = strdup(path);
    const char *folder = copy ? dirname(copy) : NULL;
    const struct tly_yaml_reader reader = {.text = text, .complaints = complaints};
    rc = copy ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < file.test_count; i++) {
        rc = run_group(&file, &file.tests[i], &reader, folder, report, result);
    }
    free(copy);
    tly_test_file_done(&file);
    return rc;
}

int tly_rule_test_run(const char *path, struct tly_complaints *complaints, struct tly_buf *report,
                      struct tly_rule_test_result *ret_result, struct tly_error *err)
{
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_RULE_FILE_BYTES_MAX);
    *ret_result = (struct tly_rule_test_result){.passed = true};
    complaints->count = 0;
    int rc = tly_file_read(AT_FDCWD, path, &buf);
    rc = rc < 0 ? rc
                : run_text(buf.at ? tly_buf_text(&buf) : TLY_TEXT(""), path, complaints, report,
                           ret_result);
    tly_buf_done(&buf);
    return rc < 0 ? tly_error_set(err, rc, "%s: %s", path, tly_error_name(rc)) : 0;
}
