/*
 * Reading JSON trees by path: what is absent, null or of another type reads as absent.
 */
#include "agent/codec/json.h"
#include "tests/unit/unit.h"

static json_t *root;

static int make(void **state)
{
    (void)state;
    return tly_json_parse(TLY_TEXT("{\"a\":{\"b\":{\"n\":5,\"big\":1e3,\"half\":0.5,\"t\":true,"
                                   "\"f\":false,\"s\":\"x\",\"null\":null}},\"list\":[\"p\",2]}"),
                          &root, NULL);
}

static int drop(void **state)
{
    (void)state;
    tly_json_free(root);
    return 0;
}

static void paths(void **state)
{
    (void)state;
    int64_t value = 7;
    assert_true(tly_json_int_at(root, "a.b.n", &value));
    assert_int_equal(value, 5);
    assert_true(tly_json_int_at(root, "a.b.big", &value));
    assert_int_equal(value, 1000);
    assert_false(tly_json_int_at(root, "a.b.half", &value));
    assert_false(tly_json_int_at(root, "a.b.s", &value));
    assert_false(tly_json_int_at(root, "a.x.n", &value));
    expect_text(tly_json_text_at(root, "a.b.s"), "x");
    assert_null(tly_json_text_at(root, "a.b.n").at);
    assert_int_equal(tly_json_truth_at(root, "a.b.t"), 1);
    assert_int_equal(tly_json_truth_at(root, "a.b.f"), 0);
    assert_int_equal(tly_json_truth_at(root, "a.b.s"), -1);
    assert_null(tly_json_at(root, "a.b.null"));
    assert_null(tly_json_at(root, "a.b.n.deeper"));
    assert_null(tly_json_at(NULL, "a"));
    assert_null(tly_json_at(root,
                            "a.0123456789012345678901234567890123456789012345678901234567890123"
                            "4"));
}

static void members(void **state)
{
    (void)state;
    const json_t *list = tly_json_at(root, "list");
    assert_int_equal(tly_json_count(list), 2);
    expect_text(tly_json_string(tly_json_item(list, 0)), "p");
    assert_null(tly_json_item(list, 2));
    assert_true(tly_json_is_array(list));
    assert_int_equal(tly_json_count(root), 2);
    assert_int_equal(tly_json_count(NULL), 0);
    const char *key = NULL;
    const json_t *value = NULL;
    size_t count = 0;
    for (void *at = NULL; tly_json_next(root, &at, &key, &value);) {
        count += tly_json_at(root, key) == value;
    }
    assert_int_equal(count, 2);
    void *at = NULL;
    assert_false(tly_json_next(list, &at, &key, &value));
    assert_false(tly_json_next(NULL, &at, &key, &value));
}

static void outermost_values(void **state)
{
    (void)state;
    json_t *tree = NULL;
    assert_int_equal(tly_json_parse(TLY_TEXT("[1]"), &tree, NULL), TLY_E_MALFORMED);
    assert_int_equal(tly_json_parse_any(TLY_TEXT("[1]"), &tree, NULL), 0);
    tly_json_free(tree);
    assert_int_equal(tly_json_parse_any(TLY_TEXT(""), &tree, NULL), TLY_E_MALFORMED);
    assert_int_equal(tly_json_parse_any(TLY_TEXT("[1"), &tree, NULL), TLY_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(members),
        cmocka_unit_test(outermost_values),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
