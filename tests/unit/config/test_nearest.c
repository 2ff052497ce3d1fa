/*
 * Nearest names: near enough to be meant, and far enough to be something else.
 */
#include "agent/config/nearest.h"
#include "tests/unit/unit.h"

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"interval", "listen", "labels", "run", "tag", NULL};
    static const struct {
        const char *wanted, *expected;
    } rows[] = {
        {"intervall", "interval"},
        {"intreval", "interval"},
        {"Listen", "listen"},
        {"label", "labels"},
        {"rum", "run"},
        {"rnu", "run"},
        {"lables", "labels"},
        {"tags", "tag"},
        {"collect", NULL},
        {"x", NULL},
        {"", NULL},
        {"in", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_nearest nearest;
        tly_nearest_init(&nearest, tly_text_of(rows[i].wanted));
        for (const char *const *name = names; *name; name++) {
            tly_nearest_try(&nearest, *name);
        }
        if (rows[i].expected) {
            assert_non_null(nearest.name);
            assert_string_equal(nearest.name, rows[i].expected);
        } else {
            assert_null(nearest.name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nearest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
