/*
 * Errors: texts are cut and never overrun, context goes in front, every code has a name.
 */
#include "agent/base/error.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static void sets_and_returns_the_code(void **state)
{
    (void)state;
    struct tly_error err;
    assert_int_equal(tly_error_set(&err, -EINVAL, "no %s in %d", "sense", 7), -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_string_equal(err.text, "no sense in 7");
    assert_int_equal(tly_error_set(NULL, TLY_E_LIMIT, "nobody %s", "asks"), TLY_E_LIMIT);
    tly_error_prefix(NULL, "nobody %s", "asks");
}

static void adds_context_in_front(void **state)
{
    (void)state;
    struct tly_error err;
    (void)tly_error_set(&err, TLY_E_MALFORMED, "not a number"); /* the code is known */
    tly_error_prefix(&err, "line %d", 3);
    tly_error_prefix(&err, "file");
    assert_string_equal(err.text, "file: line 3: not a number");
    assert_int_equal(err.code, TLY_E_MALFORMED);
}

static void cuts_what_is_too_long(void **state)
{
    (void)state;
    char long_text[2 * TLY_ERROR_TEXT_MAX];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';

    struct tly_error err;
    memset(&err, '#', sizeof(err));
    (void)tly_error_set(&err, -EIO, "%s", long_text); /* the code is known */
    assert_int_equal(strlen(err.text), TLY_ERROR_TEXT_MAX - 1);
    tly_error_prefix(&err, "before");
    assert_int_equal(strlen(err.text), TLY_ERROR_TEXT_MAX - 1);
    assert_memory_equal(err.text, "before: xxx", 11);

    /* At every length the old text keeps as much of its front as there is room for. */
    for (int len = 0; len < TLY_ERROR_TEXT_MAX + 5; len++) {
        (void)tly_error_set(&err, -EIO, "old"); /* the code is known */
        tly_error_prefix(&err, "%.*s", len, long_text);
        char expected[3 * TLY_ERROR_TEXT_MAX];
        (void)snprintf(expected, sizeof(expected), "%.*s: old", len, long_text);
        expected[TLY_ERROR_TEXT_MAX - 1] = '\0';
        assert_string_equal(err.text, expected);
    }
}

static void names_every_code(void **state)
{
    (void)state;
    assert_string_equal(tly_error_name(0), "success");
    assert_string_equal(tly_error_name(-ENOENT), "No such file or directory");
    assert_string_equal(tly_error_name(TLY_E_TIMEOUT), "timed out");
    assert_string_equal(tly_error_name(-12345), "error -12345");
    assert_string_equal(tly_error_name(-2147483647 - 1), "error -2147483648");
    assert_string_equal(tly_error_name(42), "error 42");
    for (int code = TLY_E_TIMEOUT; code <= TLY_E_MORE; code++) {
        assert_null(strstr(tly_error_name(code), "error"));
    }
}

static void tells_want_of_means_from_absence(void **state)
{
    (void)state;
    static const struct {
        int code;
        bool lacks;
    } rows[] = {{0, false},       {-EMFILE, true},  {-ENFILE, true},      {-ENOMEM, true},
                {-ENOENT, false}, {-EACCES, false}, {TLY_E_LIMIT, false}, {EMFILE, false}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(tly_error_lacks_means(rows[i].code), rows[i].lacks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_and_returns_the_code),
        cmocka_unit_test(adds_context_in_front),
        cmocka_unit_test(cuts_what_is_too_long),
        cmocka_unit_test(names_every_code),
        cmocka_unit_test(tells_want_of_means_from_absence),
    };
    return cmocka_run_group_tests_name("base:error", tests, NULL, NULL);
}
