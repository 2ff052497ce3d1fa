/*
 * Random bytes differ and fill all of their place; Base64 as in RFC 4648 section 10.
 */
#include "agent/base/random.h"
#include "tests/unit/unit.h"

static void fills_all_of_it(void **state)
{
    (void)state;
    /* In 64 draws every byte of an odd length is set to something but zero at least once; that it
     * is not has a chance of 2^-512. */
    unsigned char seen[1021] = {0};
    for (int draw = 0; draw < 64; draw++) {
        unsigned char bytes[sizeof(seen) + 1] = {0};
        tly_random_fill(bytes, sizeof(seen));
        assert_int_equal(bytes[sizeof(seen)], 0);
        for (size_t i = 0; i < sizeof(seen); i++) {
            seen[i] |= bytes[i];
        }
    }
    for (size_t i = 0; i < sizeof(seen); i++) {
        assert_int_not_equal(seen[i], 0);
    }
    tly_random_fill(seen, 0);
    assert_true(tly_random_u64() != tly_random_u64());
}

static void writes_base64(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } rows[] = {
        {"", 0, ""},
        {"f", 1, "Zg=="},
        {"fo", 2, "Zm8="},
        {"foo", 3, "Zm9v"},
        {"foob", 4, "Zm9vYg=="},
        {"fooba", 5, "Zm9vYmE="},
        {"foobar", 6, "Zm9vYmFy"},
        {"\xff\xff\xff", 3, "////"},
        {"\xfb\xef\xbe", 3, "++++"},
        {"\0\0", 2, "AAA="},
        {"\xff", 1, "/w=="},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        size_t room = 4 * ((rows[i].len + 2) / 3) + 1;
        char *to = malloc(room);
        assert_non_null(to);
        tly_base64_write(rows[i].bytes, rows[i].len, to);
        assert_string_equal(to, rows[i].text);
        free(to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_all_of_it),
        cmocka_unit_test(writes_base64),
    };
    return cmocka_run_group_tests_name("base:random", tests, NULL, NULL);
}
