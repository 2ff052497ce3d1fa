/*
 * Options whose names are the user's own: what is right, and where each mistake stands.
 */
#include "agent/config/option.h"

#include "tests/unit/unit.h"

#include <errno.h>

static int verify(const char *value, struct tly_error *err)
{
    return *value == 'x' ? tly_error_set(err, -EINVAL, "it begins with x") : 0;
}

static const struct tly_option text_row[] = {
    {.key = "", .type = TLY_OPTION_STRING, .verify = verify},
    {.key = NULL},
};

static const struct tly_section section = {.key = "names",
                                           .type = TLY_OPTION_PAIRS,
                                           .options = text_row,
                                           .size = sizeof(struct tly_pairs)};
static const struct tly_section *const sections[] = {&section};

static void reads_pairs(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        const char *name, *value; /* of the last */
    } rows[] = {
        {"", 0, NULL, NULL},
        {"names:\n", 0, NULL, NULL},
        {"names: {}\n", 0, NULL, NULL},
        {"names: {a: b}\n", 1, "a", "b"},
        {"names:\n  any name: 1\n  'b:c': $2y$10$d\n", 2, "b:c", "$2y$10$d"},
        {"names: {\"\": \"\"}\n", 1, "", ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_complaints complaints;
        struct tly_config *config;
        assert_int_equal(
            tly_config_parse(sections, 1, rows[i].text, strlen(rows[i].text), &complaints, &config),
            0);
        const struct tly_pairs *pairs = tly_config_section(config, &section);
        assert_int_equal(pairs->count, rows[i].count);
        if (pairs->count > 0) {
            assert_string_equal(pairs->at[pairs->count - 1].name, rows[i].name);
            assert_string_equal(pairs->at[pairs->count - 1].value, rows[i].value);
        }
        tly_config_free(config);
    }
}

static void says_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t line, column;
        const char *says;
    } rows[] = {
        {"names: a\n", 1, 8, "`names`: `name: text` lines belong here"},
        {"names: [a]\n", 1, 8, "`names`: `name: text` lines belong here"},
        {"names:\n  a: b\n  c: [d]\n", 3, 6, "`c`: one value belongs here, not a list"},
        {"names:\n  a:\n", 2, 5, "`a`: it has no value"},
        {"names:\n  a: xyz\n", 2, 6, "`a`: it begins with x"},
        {"names:\n  a: b\n  a: c\n", 3, 3, "`a` stands here a second time; the first is in line 2"},
        {"other: b\n", 1, 1, "unknown key `other`; its keys are names"},
        {"a: b\n", 1, 1, "unknown key `a`; its keys are names"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_complaints complaints;
        struct tly_config *config;
        assert_int_equal(
            tly_config_parse(sections, 1, rows[i].text, strlen(rows[i].text), &complaints, &config),
            TLY_E_MALFORMED);
        assert_int_equal(complaints.count, 1);
        assert_int_equal(complaints.at[0].line, rows[i].line);
        assert_int_equal(complaints.at[0].column, rows[i].column);
        if (strncmp(complaints.at[0].text, rows[i].says, strlen(rows[i].says)) != 0) {
            fail_msg("%s", complaints.at[0].text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_pairs),
                                       cmocka_unit_test(says_mistakes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
