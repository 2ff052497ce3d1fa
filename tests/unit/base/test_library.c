/*
 * A library that is loaded at need: the first file that fits is taken; the error says what is
 * missing and what brings it.
 */
#include "agent/base/library.h"
#include "tests/unit/unit.h"

#include <errno.h>

#define ABSENT "libnothing-of-this-name.so.1"
#define MATHS  "libm.so.6"

/* As a header would declare them. */
struct maths {
    double (*floor)(double);
    double (*hypot)(double, double);
};

static const char *const functions[] = {"floor", "hypot", NULL};

static struct tly_library library_of(const char *const *files, const char *const *names)
{
    return (struct tly_library){.name = "libmaths",
                                .purpose = "numbers",
                                .packages = "libmaths1 or libmaths2",
                                .files = files,
                                .functions = names};
}

static void takes_the_first_that_is_there(void **state)
{
    static const char *const files[] = {ABSENT, MATHS, NULL};
    const struct tly_library library = library_of(files, functions);
    struct maths maths = {0};
    struct tly_error err = {0};
    (void)state;
    assert_int_equal(tly_library_load(&library, &maths, &err), 0);
    assert_int_equal(err.code, 0);
    assert_true(maths.floor(2.5) == 2.0);
    assert_true(maths.hypot(3, 4) == 5.0);
}

static void says_what_is_missing(void **state)
{
    static const char *const absent[] = {ABSENT, "libnothing-either.so.1", NULL};
    static const char *const there[] = {MATHS, ABSENT, NULL};
    static const char *const other[] = {"floor", "no_such_function", NULL};
    const struct {
        struct tly_library library;
        const char *text;
    } rows[] = {
        {library_of(absent, functions),
         "libmaths, without which there are no numbers, cannot be loaded (" ABSENT
         ": cannot open shared object file: No such file or directory); "
         "install libmaths1 or libmaths2"},
        {library_of(there, other),
         "libmaths, without which there are no numbers, cannot be loaded (" MATHS
         " has no no_such_function()); install libmaths1 or libmaths2"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct maths maths = {0};
        struct tly_error err = {0};
        assert_int_equal(tly_library_load(&rows[i].library, &maths, &err), -ELIBACC);
        assert_int_equal(err.code, -ELIBACC);
        assert_string_equal(err.text, rows[i].text);
        assert_null(maths.floor); /* nothing is written */
        assert_int_equal(tly_library_load(&rows[i].library, &maths, NULL), -ELIBACC);
    }
}

static void lists_files_as_json(void **state)
{
    (void)state;
    assert_string_equal(TLY_LIBRARY_JSON("liba.so.1"), "[\"liba.so.1\"]");
    assert_string_equal(TLY_LIBRARY_JSON("liba.so.1", "b"), "[\"liba.so.1\", \"b\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_first_that_is_there),
        cmocka_unit_test(says_what_is_missing),
        cmocka_unit_test(lists_files_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
