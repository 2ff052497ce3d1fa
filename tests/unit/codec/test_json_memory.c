/*
 * A text that is read while memory is out: each allocation of the read fails once. What comes of it
 * is an error, and nothing is left behind.
 */
#include "agent/codec/json.h"
#include "tests/unit/unit.h"

#include <errno.h>

static bool counting;
static long made;
static long alive;
static long failing; /* counted from 1; 0: none */

void *__real_malloc(size_t size);
void __real_free(void *at);
void *__wrap_malloc(size_t size);
void __wrap_free(void *at);

void *__wrap_malloc(size_t size)
{
    if (!counting) {
        return __real_malloc(size);
    }
    if (++made == failing) {
        return NULL;
    }
    alive++;
    return __real_malloc(size);
}

void __wrap_free(void *at)
{
    alive -= counting && at != NULL;
    __real_free(at);
}

/* Tokens that grow beyond jansson's first buffer of 16 bytes, with escapes, where a byte that is
 * missing leads it on; a table that grows; an integer that makes it read all again. */
static const char *const texts[] = {
    "{\"name\":\"0123456789abcdef\\u00e9\\n0123456789abcdef0123456789abcdef0123456789abcdef\\\\\"}",
    "[1,2,3,4,5,6,7,8,9,10,[{\"a\":[]},{\"b\":{}}],\"\\ud83d\\ude00\",null,true,1.5e3]",
    "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11}",
    "{\"big\":123456789012345678901234567890,\"more\":[{\"key\":\"value of more than sixteen\"}]}",
    "[\"a text that is longer than the buffer, and malformed behind it\", oops]",
};

static int attempt(struct tly_text text, long nth, json_t **ret_root)
{
    made = 0;
    failing = nth;
    counting = true;
    int rc = tly_json_parse_any(text, ret_root, NULL);
    counting = false;
    return rc;
}

static void each_allocation_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(texts); i++) {
        json_t *root = NULL;
        int expected = attempt(tly_text_of(texts[i]), 0, &root);
        long all = made;
        assert_true(all > 4);
        tly_json_free(root);
        for (long nth = 1; nth <= all; nth++) {
            root = NULL;
            alive = 0;
            assert_int_equal(attempt(tly_text_of(texts[i]), nth, &root), -ENOMEM);
            assert_int_equal(alive, 0);
            assert_null(root);
        }
        root = NULL;
        assert_int_equal(attempt(tly_text_of(texts[i]), 0, &root), expected); /* as before */
        tly_json_free(root);
    }
}

/* Values that outlive the read are freed, and made, by anybody. */
static void values_outlive_their_read(void **state)
{
    (void)state;
    json_t *root = NULL;
    assert_int_equal(tly_json_parse(TLY_TEXT("{\"a\":[{\"b\":\"c\"}]}"), &root, NULL), 0);
    json_t *item = json_incref(json_array_get(json_object_get(root, "a"), 0));
    json_t *both[] = {item, item};
    json_t *array = tly_json_array_of(both, 2);
    assert_non_null(array);
    tly_json_free(root);
    expect_text(tly_json_text(item, "b"), "c");
    json_decref(item);
    tly_json_free(array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails),
        cmocka_unit_test(values_outlive_their_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
