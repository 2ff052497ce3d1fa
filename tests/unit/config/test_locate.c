/*
 * Bytes of values back to their places in the file, over every style that YAML has.
 */
#include "agent/config/document.h"
#include "tests/unit/unit.h"

static void test_places(void **state)
{
    (void)state;
    static const struct {
        const char *text, *value; /* `value` is what stands at the place */
        size_t line, column;
    } rows[] = {
        {"a: foo + bar", "bar", 1, 10},
        {"a: foo\n  + bar\n", "bar", 2, 5},
        {"a: 'it''s foo'", "foo", 1, 11},
        {"a: 'it''s'", "s", 1, 9},
        {"a: \"x\\\"y\\n foo\"", "foo", 1, 12},
        {"a: \"\\u00e9\\x41 foo\"", "foo", 1, 16},
        {"a: \"x \\\n   foo\"", "foo", 2, 4},
        {"a: |\n  x\n\n    foo\n", "foo", 4, 5},
        {"a: >- # note\n  x\n  foo\n  bar\n", "bar", 4, 3},
        {"a: |2\n    foo\n", "foo", 2, 5},
        {"a: &anchor foo", "foo", 1, 12},
        {"a: !!str \"foo\"", "foo", 1, 11},
        {"\xc3\xa9: \"\xc3\xa9 foo\"", "foo", 1, 7},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        static struct tly_complaints complaints;
        struct tly_document document;
        struct tly_text text = tly_text_of(rows[i].text);
        complaints.count = 0;
        assert_int_equal(tly_document_parse(text, &complaints, &document), 0);
        const struct tly_yaml_node *node = document.root->at[1];
        const char *at = strstr(node->text, rows[i].value);
        assert_non_null(at);
        size_t line = 0;
        size_t column = 0;
        tly_yaml_locate(text, node, (size_t)(at - node->text), &line, &column);
        if (line != rows[i].line || column != rows[i].column) {
            fail_msg("%s: %zu:%zu", rows[i].text, line, column);
        }
        /* Behind the end it stays within the text. */
        tly_yaml_locate(text, node, node->len + 5, &line, &column);
        assert_true(line >= 1 && column >= 1);
        tly_document_done(&document);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
