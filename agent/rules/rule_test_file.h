/*
 * A unit-test file, read. Private to the two files that read and run it.
 */
#ifndef TLY_RULES_RULE_TEST_FILE_H
#define TLY_RULES_RULE_TEST_FILE_H

#include "agent/config/document.h"
#include "agent/model/alert.h"
#include "agent/rules/arena.h"
#include "agent/rules/rule_test.h"
#include "agent/rules/yaml_fields.h"

struct tly_test_series {
    struct tly_text series, values;
    const struct tly_yaml_node *at; /* for complaints */
};

struct tly_test_alert {
    struct tly_alert_pair *labels, *annotations;
    size_t label_count, annotation_count;
};

struct tly_alert_test {
    int64_t eval_ms;
    struct tly_text name, group;
    struct tly_test_alert *expected;
    size_t expected_count;
};

struct tly_expr_test {
    struct tly_text expr;
    int64_t eval_ms;
    struct {
        struct tly_text labels;
        double value;
    } * expected;
    size_t expected_count;
};

struct tly_test_group {
    struct tly_text name;
    int64_t interval_ms;
    struct tly_test_series *series;
    size_t series_count;
    struct tly_alert_test *alerts;
    size_t alert_count;
    struct tly_expr_test *exprs;
    size_t expr_count;
    struct tly_alert_pair *external_labels;
    size_t external_label_count;
    struct tly_text external_url;
};

struct tly_test_file {
    struct tly_document document; /* texts are borrowed from here */
    struct tly_arena arena;
    struct tly_text *rule_files;
    size_t rule_file_count;
    struct tly_text *order; /* of groups */
    size_t order_count;
    int64_t interval_ms;
    bool fuzzy;
    struct tly_test_group *tests;
    size_t test_count;
};

/* `text` must outlive the file. TLY_E_MALFORMED with complaints, -ENOMEM. */
int tly_test_file_read(struct tly_text text, struct tly_complaints *complaints,
                       struct tly_test_file *ret_file) TLY_CHECK;
void tly_test_file_done(struct tly_test_file *file);

#endif
