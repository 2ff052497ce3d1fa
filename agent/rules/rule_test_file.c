/* From a unit-test file's YAML to structs: strict, like rule files. */
#include "agent/rules/rule_test_file.h"

#include "agent/rules/number.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#define ARENA_BYTES_MAX     ((size_t)64 * 1024 * 1024)
#define INTERVAL_DEFAULT_MS 60000 /* promtool's */

struct reader {
    struct tly_yaml_reader yaml;
    struct tly_test_file *file;
};

static void *make(struct reader *reader, size_t count, size_t bytes)
{
    void *at = tly_arena_alloc(&reader->file->arena, count * bytes + 1);
    reader->yaml.no_memory = reader->yaml.no_memory || !at;
    return at;
}

/* A list's items; 0 of them when there is none, or no memory. */
static size_t items(struct reader *reader, const struct tly_yaml_node *node, const char *name,
                    size_t bytes, void **ret_items)
{
    size_t count = 0;
    if (!tly_yaml_list(&reader->yaml, node, name, &count) || count == 0) {
        return 0;
    }
    *ret_items = make(reader, count, bytes);
    return *ret_items ? count : 0;
}

static void read_texts(struct reader *reader, const struct tly_yaml_node *node, const char *name,
                       struct tly_text **ret_texts, size_t *ret_count)
{
    void *at = NULL;
    *ret_count = items(reader, node, name, sizeof(struct tly_text), &at);
    *ret_texts = at;
    for (size_t i = 0; i < *ret_count; i++) {
        /* Complained about where it is wrong, which is all that counts; so below. */
        (void)tly_yaml_text(&reader->yaml, node->at[i], name, &(*ret_texts)[i]);
    }
}

static void read_pairs(struct reader *reader, const struct tly_yaml_node *node, const char *name,
                       struct tly_alert_pair **ret_pairs, size_t *ret_count)
{
    *ret_count = 0;
    if (!node) {
        return;
    }
    if (node->kind != TLY_YAML_MAP) {
        tly_yaml_complain(&reader->yaml, node, "`%s` is a section of `name: text` lines", name);
        return;
    }
    struct tly_alert_pair *pairs = make(reader, node->count / 2, sizeof(*pairs));
    *ret_pairs = pairs;
    for (size_t i = 0; pairs && i + 1 < node->count; i += 2) {
        struct tly_text value = TLY_TEXT("");
        if (!tly_yaml_null(node->at[i + 1])) {
            (void)tly_yaml_text(&reader->yaml, node->at[i + 1], node->at[i]->text, &value);
        }
        pairs[(*ret_count)++] = (struct tly_alert_pair){{node->at[i]->text, node->at[i]->len},
                                                        value};
    }
}

static void need(struct reader *reader, const struct tly_yaml_node *node,
                 const struct tly_yaml_node *value, const char *name)
{
    if (!value) {
        tly_yaml_complain(&reader->yaml, node, "`%s` is missing here", name);
    }
}

static void read_series(struct reader *reader, const struct tly_yaml_node *node,
                        struct tly_test_series *series)
{
    static const char *const fields[] = {"series", "values", NULL};
    const struct tly_yaml_node *values[TLY_YAML_FIELDS_MAX];
    series->at = node;
    if (!tly_yaml_fields(&reader->yaml, node, "an input series", fields, values)) {
        return;
    }
    need(reader, node, values[0], "series");
    (void)tly_yaml_text(&reader->yaml, values[0], "series", &series->series);
    (void)tly_yaml_text(&reader->yaml, values[1], "values", &series->values);
}

static void read_alert(struct reader *reader, const struct tly_yaml_node *node,
                       struct tly_alert_test *test)
{
    static const char *const fields[] = {"eval_time", "alertname", "groupname", "exp_alerts", NULL};
    static const char *const alert_fields[] = {"exp_labels", "exp_annotations", NULL};
    const struct tly_yaml_node *values[TLY_YAML_FIELDS_MAX];
    if (!tly_yaml_fields(&reader->yaml, node, "an alert test", fields, values)) {
        return;
    }
    need(reader, node, values[1], "alertname");
    (void)tly_yaml_duration(&reader->yaml, values[0], "eval_time", &test->eval_ms);
    (void)tly_yaml_text(&reader->yaml, values[1], "alertname", &test->name);
    (void)tly_yaml_text(&reader->yaml, values[2], "groupname", &test->group);
    void *at = NULL;
    test->expected_count = items(reader, values[3], "exp_alerts", sizeof(*test->expected), &at);
    test->expected = at;
    const struct tly_yaml_node *list = values[3];
    for (size_t i = 0; i < test->expected_count; i++) {
        struct tly_test_alert *alert = &test->expected[i];
        if (tly_yaml_null(list->at[i]) ||
            !tly_yaml_fields(&reader->yaml, list->at[i], "an expected alert", alert_fields,
                             values)) {
            continue;
        }
        read_pairs(reader, values[0], "exp_labels", &alert->labels, &alert->label_count);
        read_pairs(reader, values[1], "exp_annotations", &alert->annotations,
                   &alert->annotation_count);
    }
}

static void read_value(struct reader *reader, const struct tly_yaml_node *node, double *ret_value)
{
    struct tly_text text = {NULL, 0};
    if (!tly_yaml_text(&reader->yaml, node, "value", &text) || !text.at) {
        return;
    }
    if (strcasecmp(text.at, ".nan") == 0) {
        *ret_value = NAN;
    } else if (strcasecmp(text.at, ".inf") == 0 || strcasecmp(text.at, "+.inf") == 0) {
        *ret_value = INFINITY;
    } else if (strcasecmp(text.at, "-.inf") == 0) {
        *ret_value = -INFINITY;
    } else if (tly_float_parse(text, ret_value) < 0) {
        tly_yaml_complain(&reader->yaml, node, "`value`: `%.60s` is no number", node->text);
    }
}

static void read_expr(struct reader *reader, const struct tly_yaml_node *node,
                      struct tly_expr_test *test)
{
    static const char *const fields[] = {"expr", "eval_time", "exp_samples", NULL};
    static const char *const sample_fields[] = {"labels", "value", "histogram", NULL};
    const struct tly_yaml_node *values[TLY_YAML_FIELDS_MAX];
    if (!tly_yaml_fields(&reader->yaml, node, "an expression test", fields, values)) {
        return;
    }
    need(reader, node, values[0], "expr");
    (void)tly_yaml_text(&reader->yaml, values[0], "expr", &test->expr);
    (void)tly_yaml_duration(&reader->yaml, values[1], "eval_time", &test->eval_ms);
    void *at = NULL;
    const struct tly_yaml_node *list = values[2];
    test->expected_count = items(reader, list, "exp_samples", sizeof(*test->expected), &at);
    test->expected = at;
    for (size_t i = 0; i < test->expected_count; i++) {
        if (!tly_yaml_fields(&reader->yaml, list->at[i], "an expected sample", sample_fields,
                             values)) {
            continue;
        }
        if (values[2]) {
            tly_yaml_complain(&reader->yaml, values[2], "native histograms are left out");
        }
        (void)tly_yaml_text(&reader->yaml, values[0], "labels", &test->expected[i].labels);
        read_value(reader, values[1], &test->expected[i].value);
    }
}

static void read_group(struct reader *reader, const struct tly_yaml_node *node,
                       struct tly_test_group *group)
{
    static const char *const fields[] = {"name",
                                         "interval",
                                         "input_series",
                                         "alert_rule_test",
                                         "promql_expr_test",
                                         "external_labels",
                                         "external_url",
                                         NULL};
    const struct tly_yaml_node *values[TLY_YAML_FIELDS_MAX];
    group->interval_ms = INTERVAL_DEFAULT_MS;
    if (!tly_yaml_fields(&reader->yaml, node, "a test", fields, values)) {
        return;
    }
    (void)tly_yaml_text(&reader->yaml, values[0], "name", &group->name);
    (void)tly_yaml_duration(&reader->yaml, values[1], "interval", &group->interval_ms);
    void *at = NULL;
    group->series_count = items(reader, values[2], "input_series", sizeof(*group->series), &at);
    group->series = at;
    for (size_t i = 0; i < group->series_count; i++) {
        read_series(reader, values[2]->at[i], &group->series[i]);
    }
    at = NULL;
    group->alert_count = items(reader, values[3], "alert_rule_test", sizeof(*group->alerts), &at);
    group->alerts = at;
    for (size_t i = 0; i < group->alert_count; i++) {
        read_alert(reader, values[3]->at[i], &group->alerts[i]);
    }
    at = NULL;
    group->expr_count = items(reader, values[4], "promql_expr_test", sizeof(*group->exprs), &at);
    group->exprs = at;
    for (size_t i = 0; i < group->expr_count; i++) {
        read_expr(reader, values[4]->at[i], &group->exprs[i]);
    }
    read_pairs(reader, values[5], "external_labels", &group->external_labels,
               &group->external_label_count);
    (void)tly_yaml_text(&reader->yaml, values[6], "external_url", &group->external_url);
    if (group->interval_ms <= 0) {
        tly_yaml_complain(&reader->yaml, node, "`interval` must be more than 0");
    }
}

static void read_file(struct reader *reader, const struct tly_yaml_node *root)
{
    static const char *const fields[] = {
        "rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests", NULL};
    const struct tly_yaml_node *values[TLY_YAML_FIELDS_MAX];
    struct tly_test_file *file = reader->file;
    file->interval_ms = INTERVAL_DEFAULT_MS;
    if (!root || tly_yaml_null(root) ||
        !tly_yaml_fields(&reader->yaml, root, "a file of tests", fields, values)) {
        return;
    }
    read_texts(reader, values[0], "rule_files", &file->rule_files, &file->rule_file_count);
    (void)tly_yaml_duration(&reader->yaml, values[1], "evaluation_interval", &file->interval_ms);
    read_texts(reader, values[2], "group_eval_order", &file->order, &file->order_count);
    (void)tly_yaml_bool(&reader->yaml, values[3], "fuzzy_compare", &file->fuzzy);
    void *at = NULL;
    file->test_count = items(reader, values[4], "tests", sizeof(*file->tests), &at);
    file->tests = at;
    for (size_t i = 0; i < file->test_count && !reader->yaml.no_memory; i++) {
        read_group(reader, values[4]->at[i], &file->tests[i]);
    }
    if (file->interval_ms <= 0) {
        tly_yaml_complain(&reader->yaml, root, "`evaluation_interval` must be more than 0");
    }
}

int tly_test_file_read(struct tly_text text, struct tly_complaints *complaints,
                       struct tly_test_file *ret_file)
{
    *ret_file = (struct tly_test_file){0};
    complaints->count = 0;
    int rc = tly_document_parse(text, complaints, &ret_file->document);
    if (rc < 0) {
        return rc;
    }
    tly_arena_init(&ret_file->arena, ARENA_BYTES_MAX);
    struct reader reader = {.yaml = {.text = text, .complaints = complaints}, .file = ret_file};
    read_file(&reader, ret_file->document.root);
    tly_complaints_sort(complaints);
    rc = reader.yaml.no_memory ? -ENOMEM : complaints->count > 0 ? TLY_E_MALFORMED : 0;
    if (rc < 0) {
        tly_test_file_done(ret_file);
    }
    return rc;
}

void tly_test_file_done(struct tly_test_file *file)
{
    tly_document_done(&file->document);
    tly_arena_done(&file->arena);
}
