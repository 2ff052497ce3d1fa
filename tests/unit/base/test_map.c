/*
 * The map: any bytes as keys, the order of insertion, removal during a walk, and many entries.
 */
#include "agent/base/map.h"
#include "tests/unit/unit.h"

static struct tly_map *map;

static int make_map(void **state)
{
    (void)state;
    map = tly_map_new();
    return map ? 0 : -1;
}

static int free_map(void **state)
{
    (void)state;
    tly_map_free(map, NULL);
    map = NULL;
    return 0;
}

static void puts_gets_replaces_removes(void **state)
{
    (void)state;
    int a, b;
    void *old = &b;
    assert_null(tly_map_get(map, TLY_TEXT("k")));
    assert_int_equal(tly_map_put(map, TLY_TEXT("k"), &a, &old), 0);
    assert_null(old);
    assert_ptr_equal(tly_map_get(map, TLY_TEXT("k")), &a);
    assert_int_equal(tly_map_put(map, TLY_TEXT("k"), &b, &old), 0);
    assert_ptr_equal(old, &a);
    assert_int_equal(tly_map_count(map), 1);
    assert_null(tly_map_remove(map, TLY_TEXT("other")));
    assert_ptr_equal(tly_map_remove(map, TLY_TEXT("k")), &b);
    assert_null(tly_map_remove(map, TLY_TEXT("k")));
    assert_int_equal(tly_map_count(map), 0);
}

static void keys_are_bytes(void **state)
{
    (void)state;
    static char values[5];
    const struct tly_text keys[] = {
        {NULL, 0}, TLY_TEXT("a"), TLY_TEXT("a\0"), TLY_TEXT("a\0b"), TLY_TEXT("\xff\xfe"),
    };
    for (size_t i = 0; i < ROWS(keys); i++) {
        assert_int_equal(tly_map_put(map, keys[i], &values[i], NULL), 0);
    }
    assert_int_equal(tly_map_count(map), ROWS(keys));
    for (size_t i = 0; i < ROWS(keys); i++) {
        assert_ptr_equal(tly_map_get(map, keys[i]), &values[i]);
    }
    assert_ptr_equal(tly_map_get(map, TLY_TEXT("")), &values[0]);
    assert_null(tly_map_get(map, TLY_TEXT("b")));
}

static void the_key_is_a_copy(void **state)
{
    (void)state;
    char key[] = "first";
    assert_int_equal(tly_map_put(map, (struct tly_text){key, 5}, key, NULL), 0);
    key[0] = 'x';
    assert_non_null(tly_map_get(map, TLY_TEXT("first")));
    assert_null(tly_map_get(map, TLY_TEXT("xirst")));
}

static struct tly_text number_key(char to[16], size_t number)
{
    int len = snprintf(to, 16, "key-%zu", number);
    return (struct tly_text){to, (size_t)len};
}

enum { MANY = 20000 };

static void walks_in_order_of_insertion(void **state)
{
    (void)state;
    static size_t values[MANY];
    char space[16];
    for (size_t i = 0; i < MANY; i++) {
        values[i] = i;
        assert_int_equal(tly_map_put(map, number_key(space, i), &values[i], NULL), 0);
    }
    struct tly_map_entry entry;
    size_t seen = 0;
    for (void *at = NULL; tly_map_next(map, &at, &entry); seen++) {
        assert_ptr_equal(entry.value, &values[seen]);
        assert_true(tly_text_equal(entry.key, number_key(space, seen)));
        if (seen % 3 != 0) {
            assert_ptr_equal(tly_map_remove(map, entry.key), &values[seen]);
        }
    }
    assert_int_equal(seen, MANY);
    assert_int_equal(tly_map_count(map), (MANY + 2) / 3);
    seen = 0;
    for (void *at = NULL; tly_map_next(map, &at, &entry); seen++) {
        assert_ptr_equal(entry.value, &values[seen * 3]);
    }
    assert_int_equal(seen, (MANY + 2) / 3);
    for (size_t i = 0; i < MANY; i++) {
        assert_ptr_equal(tly_map_get(map, number_key(space, i)), i % 3 == 0 ? &values[i] : NULL);
    }
}

static void an_empty_map_walks_nowhere(void **state)
{
    (void)state;
    struct tly_map_entry entry;
    void *at = NULL;
    assert_false(tly_map_next(map, &at, &entry));
    assert_int_equal(tly_map_put(map, TLY_TEXT("only"), &at, NULL), 0);
    assert_true(tly_map_next(map, &at, &entry));
    assert_ptr_equal(tly_map_remove(map, TLY_TEXT("only")), &at);
    assert_false(tly_map_next(map, &at, &entry));
    assert_false(tly_map_next(map, &at, &entry));
}

static int freed;

static void count_and_free(void *value)
{
    freed++;
    free(value);
}

static void frees_the_values(void **state)
{
    (void)state;
    struct tly_map *owner = tly_map_new();
    assert_non_null(owner);
    char space[16];
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(tly_map_put(owner, number_key(space, i), malloc(8), NULL), 0);
    }
    tly_map_free(owner, count_and_free);
    assert_int_equal(freed, 100);
    tly_map_free(NULL, count_and_free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(puts_gets_replaces_removes, make_map, free_map),
        cmocka_unit_test_setup_teardown(keys_are_bytes, make_map, free_map),
        cmocka_unit_test_setup_teardown(the_key_is_a_copy, make_map, free_map),
        cmocka_unit_test_setup_teardown(walks_in_order_of_insertion, make_map, free_map),
        cmocka_unit_test_setup_teardown(an_empty_map_walks_nowhere, make_map, free_map),
        cmocka_unit_test(frees_the_values),
    };
    return cmocka_run_group_tests_name("base:map", tests, NULL, NULL);
}
