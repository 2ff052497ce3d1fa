/*
 * Rule files: what is read, and what is said about each mistake and where.
 */
#include "agent/rules/rule_file.h"
#include "tests/unit/unit.h"

static struct tly_complaints complaints; /* too large for a stack frame */

static struct tly_rule_file *read_good(const char *text)
{
    struct tly_rule_file *file = NULL;
    if (tly_rule_file_parse(tly_text_of(text), "f.yml", &complaints, &file) < 0) {
        fail_msg("%zu:%zu: %s", complaints.at[0].line, complaints.at[0].column,
                 complaints.at[0].text);
    }
    return file;
}

static bool is(struct tly_text text, const char *expected)
{
    return tly_text_equal(text, tly_text_of(expected));
}

static void test_good(void **state)
{
    (void)state;
    struct tly_rule_file *file = read_good("groups:\n"
                                           "- name: g\n"
                                           "  interval: 1m30s\n"
                                           "  query_offset: 5s\n"
                                           "  limit: 7\n"
                                           "  labels: {team: a, severity: info}\n"
                                           "  rules:\n"
                                           "  - record: a:b\n"
                                           "    expr: sum( foo )by(x)\n"
                                           "    labels: {z: '1', k: '{{ no template }}'}\n"
                                           "  - alert: Odd Name\n"
                                           "    expr: 1\n"
                                           "    for: 1d\n"
                                           "    keep_firing_for: 5m\n"
                                           "    labels: {severity: warning}\n"
                                           "    annotations: {summary: '{{ $value }}'}\n"
                                           "- name: empty\n");
    assert_int_equal(file->count, 2);
    const struct tly_rule_group *group = &file->groups[0];
    assert_true(is(group->name, "g") && is(group->file, "f.yml"));
    assert_int_equal(group->interval_ms, 90000);
    assert_int_equal(group->query_offset_ms, 5000);
    assert_int_equal(group->limit, 7);
    assert_int_equal(group->count, 2);
    const struct tly_rule *record = &group->rules[0];
    assert_false(record->alerting);
    assert_true(is(record->query, "sum by (x) (foo)"));
    assert_int_equal(record->label_count, 4);
    assert_true(is(record->labels[0].name, "k") && is(record->labels[0].text, "{{ no template }}"));
    assert_null(record->labels[0].expands);
    const struct tly_rule *alert = &group->rules[1];
    assert_true(alert->alerting && is(alert->name, "Odd Name"));
    assert_int_equal(alert->for_ms, 24LL * 3600 * 1000);
    assert_int_equal(alert->keep_firing_ms, 300000);
    assert_int_equal(alert->label_count, 2);
    assert_true(is(alert->labels[0].name, "severity") && is(alert->labels[0].text, "warning"));
    assert_true(is(alert->labels[1].name, "team"));
    assert_non_null(alert->annotations[0].expands);
    assert_int_equal(file->groups[1].count, 0);
    tly_rule_file_free(file);
    file = read_good("");
    assert_int_equal(file->count, 0);
    tly_rule_file_free(file);
}

#define RULE(fields) "groups:\n- name: g\n  rules:\n  - " fields "\n"
static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t line, column;
        const char *says;
    } rows[] = {
        {"groups: 1", 1, 9, "is a list"},
        {"groups:\n- 1", 2, 3, "a group is a section"},
        {"group: []", 1, 1, "did you mean `groups`"},
        {"groups:\n- rules: []", 2, 3, "needs a `name`"},
        {"groups:\n- name: g\n- name: g", 3, 3, "stands in this file twice"},
        {"groups:\n- name: g\n  name: h", 3, 3, "twice; keep one"},
        {"groups:\n- name: g\n  interval: 10", 3, 13, "no duration"},
        {"groups:\n- name: g\n  interval: 999999y", 3, 13, "too long"},
        {"groups:\n- name: g\n  limit: many", 3, 10, "no whole number"},
        {"groups:\n- name: g\n  labels: [a]", 0, 0, NULL}, /* nobody has use for it */
        {RULE("expr: up"), 4, 5, "needs `record` or `alert`"},
        {RULE("{record: a, alert: b, expr: up}"), 4, 24, "not both"},
        {RULE("alert: b"), 4, 5, "needs `expr`"},
        {RULE("{alert: '', expr: up}"), 4, 13, "must not be empty"},
        {RULE("{record: 'a{b=\"c\"}', expr: up}"), 4, 14, "no name of a metric"},
        {RULE("{record: a, expr: up, for: 5m}"), 4, 32, "has no `for`"},
        {RULE("{record: a, expr: up, annotations: {a: b}}"), 4, 40, "has no `annotations`"},
        {RULE("{alert: a, expr: up, zoology: 5m}"), 4, 26, "no field `zoology`; there are record"},
        {RULE("{alert: a, expr: up, summary: x}"), 4, 26, "an annotation"},
        {RULE("{alert: a, expr: 'up[5m]'}"), 4, 22, "rate()"},
        {RULE("{alert: a, expr: '\"x\"'}"), 4, 22, "this is a string"},
        {RULE("{alert: a, expr: foo(up)}"), 4, 22, "foo"},
        {RULE("{alert: a, expr: up, labels: {__name__: b}}"), 4, 35, "no name of a label"},
        {RULE("{alert: a, expr: up, labels: {a: b, a: c}}"), 4, 41, "twice"},
        {RULE("{alert: a, expr: up, labels: {a: [b]}}"), 4, 38, "not a list"},
        {RULE("{alert: a, expr: up, labels: {a: '{{ foo }}'}}"), 4, 42, "no function `foo`"},
        {RULE("alert: a\n    expr: |\n      up\n      == = 1"), 7, 10, "unexpected `=`"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_rule_file *file = NULL;
        int rc = tly_rule_file_parse(tly_text_of(rows[i].text), "f.yml", &complaints, &file);
        const struct tly_complaint *first = &complaints.at[0];
        if (!rows[i].says) {
            assert_int_equal(rc, 0);
            tly_rule_file_free(file);
        } else if (rc != TLY_E_MALFORMED || complaints.count == 0 || first->line != rows[i].line ||
                   first->column != rows[i].column || !strstr(first->text, rows[i].says)) {
            fail_msg("%s\n=> %d, %zu:%zu: %s", rows[i].text, rc, first->line, first->column,
                     first->text);
        }
    }
}

static void test_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum tly_shape shape;
    } rows[] = {
        {"groups: []", TLY_SHAPE_RULES},
        {"groups: {enable: [disk]}", TLY_SHAPE_OTHER}, /* the configuration's own section */
        {"rule_files: [a.yml]\ntests: []", TLY_SHAPE_RULE_TESTS},
        {"web: {listen: []}", TLY_SHAPE_OTHER},
        {"", TLY_SHAPE_OTHER},
        {"[", TLY_SHAPE_OTHER},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(tly_shape_of(tly_text_of(rows[i].text)), rows[i].shape);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
