/*
 * YAML to nodes: marks, aliases, bounds, and what a syntax error says.
 */
#include "agent/config/document.h"
#include "tests/unit/unit.h"

static int parse(const char *text, struct tly_complaints *complaints,
                 struct tly_document *ret_document)
{
    complaints->count = 0;
    return tly_document_parse(tly_text_of(text), complaints, ret_document);
}

static void test_marks(void **state)
{
    (void)state;
    struct tly_complaints complaints;
    struct tly_document document;
    assert_int_equal(parse("a: 1\nb:\n  - x\n  - \"y\"\n", &complaints, &document), 0);
    const struct tly_yaml_node *root = document.root;
    assert_int_equal(root->kind, TLY_YAML_MAP);
    assert_int_equal(root->count, 4);
    assert_string_equal(root->at[0]->text, "a");
    assert_string_equal(root->at[1]->text, "1");
    assert_int_equal(root->at[1]->line, 1);
    assert_int_equal(root->at[1]->column, 4);
    const struct tly_yaml_node *list = root->at[3];
    assert_int_equal(list->kind, TLY_YAML_LIST);
    assert_int_equal(list->count, 2);
    assert_int_equal(list->at[1]->line, 4);
    assert_int_equal(list->at[1]->column, 5);
    assert_true(list->at[0]->plain);
    assert_false(list->at[1]->plain);
    tly_document_done(&document);
}

static void test_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "# only a comment\n", "---\n", "~\n", "null"};
    for (size_t i = 0; i < ROWS(texts); i++) {
        struct tly_complaints complaints;
        struct tly_document document;
        assert_int_equal(parse(texts[i], &complaints, &document), 0);
        assert_true(!document.root || tly_yaml_null(document.root));
        tly_document_done(&document);
    }
}

static void test_null(void **state)
{
    (void)state;
    struct tly_complaints complaints;
    struct tly_document document;
    assert_int_equal(parse("[~, null, Null, '', '~', nul]", &complaints, &document), 0);
    static const bool expected[] = {true, true, true, false, false, false};
    assert_int_equal(document.root->count, ROWS(expected));
    for (size_t i = 0; i < ROWS(expected); i++) {
        assert_int_equal(tly_yaml_null(document.root->at[i]), expected[i]);
    }
    tly_document_done(&document);
}

static void test_alias(void **state)
{
    (void)state;
    struct tly_complaints complaints;
    struct tly_document document;
    assert_int_equal(parse("a: &x [1, 2]\nb: *x\nc: &x 3\nd: *x\n", &complaints, &document), 0);
    const struct tly_yaml_node *root = document.root;
    assert_ptr_equal(root->at[1], root->at[3]);
    assert_string_equal(root->at[7]->text, "3"); /* an anchor may be given anew */
    tly_document_done(&document);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t line, column;
        const char *part; /* of the message */
    } rows[] = {
        {"a:\n\tb: 1\n", 2, 1, "a tab cannot indent"},
        {"a: @home\n", 1, 4, "`@` cannot start a text"},
        {"a: %x\n", 1, 4, "`%` cannot start a text"},
        {"a: b: c\n", 1, 5, "put the text in quotes"},
        {"a: 1\n b: 2\n", 2, 3, "indented wrongly"},
        {"a: [*]\n", 1, 5, "needs quotes"},
        {"a: *.log\n", 1, 4, "quotes"},
        {"a: *none\n", 1, 4, "whose anchor"},
        {"a: &x [*x]\n", 1, 8, "contains itself"},
        {"a: !secret b\n", 1, 4, "tags"},
        {"a: !x [1]\n", 1, 4, "tags"},
        {"a: !x {b: 1}\n", 1, 4, "tags"},
        {"[a]: b\n", 1, 1, "a key must be a plain text"},
        {"? {a: b}\n: c\n", 1, 3, "a key must be a plain text"},
        {"a: 1\n---\nb: 2\n", 2, 1, "second YAML document"},
        {"a: \"x\\0y\"\n", 1, 4, "NUL"},
        {"a: \"x\n", 2, 1, "never closed"},
        {"a: [1, 2\n", 2, 1, "never closed"},
        {"a: {b: 1\n", 2, 1, "never closed"},
        {"a: \"\\d\"\n", 1, 5, "escape"},
        {"ab: 1\n\xff\xfe\n", 2, 1, "not valid text"},
        {"\xc3\xa4: \x01\n", 1, 4, "not valid text"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_complaints complaints;
        struct tly_document document;
        assert_int_equal(parse(rows[i].text, &complaints, &document), TLY_E_MALFORMED);
        assert_int_equal(complaints.count, 1);
        if (!strstr(complaints.at[0].text, rows[i].part) || complaints.at[0].line != rows[i].line ||
            complaints.at[0].column != rows[i].column) {
            fail_msg("%s: %zu:%zu: %s", rows[i].text, complaints.at[0].line,
                     complaints.at[0].column, complaints.at[0].text);
        }
    }
}

static void test_core_tags(void **state)
{
    (void)state;
    struct tly_complaints complaints;
    struct tly_document document;
    assert_int_equal(parse("a: !!str 5\nb: ! 6\n", &complaints, &document), 0);
    assert_string_equal(document.root->at[1]->text, "5");
    tly_document_done(&document);
}

/* Nine lines that would unfold into a thousand million values. */
static void test_bomb(void **state)
{
    (void)state;
    char text[2000];
    size_t len = (size_t)snprintf(text, sizeof(text), "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 10; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n",
                                i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1,
                                i - 1);
    }
    struct tly_complaints complaints;
    struct tly_document document;
    assert_int_equal(parse(text, &complaints, &document), TLY_E_MALFORMED);
    assert_non_null(strstr(complaints.at[0].text, "too many values"));
}

static void test_depth(void **state)
{
    (void)state;
    char text[TLY_DEPTH_MAX + 2];
    struct tly_complaints complaints;
    struct tly_document document;
    memset(text, '[', sizeof(text));
    text[TLY_DEPTH_MAX + 1] = '\0';
    assert_int_equal(parse(text, &complaints, &document), TLY_E_MALFORMED);
    assert_non_null(strstr(complaints.at[0].text, "too deeply"));
}

static void test_anchors(void **state)
{
    (void)state;
    char text[4000];
    size_t len = 0;
    for (int i = 0; i <= TLY_ANCHORS_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "- &x%d 1\n", i);
    }
    struct tly_complaints complaints;
    struct tly_document document;
    assert_int_equal(parse(text, &complaints, &document), TLY_E_MALFORMED);
    assert_non_null(strstr(complaints.at[0].text, "too many anchors"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks),    cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_null),     cmocka_unit_test(test_alias),
        cmocka_unit_test(test_mistakes), cmocka_unit_test(test_core_tags),
        cmocka_unit_test(test_bomb),     cmocka_unit_test(test_depth),
        cmocka_unit_test(test_anchors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
