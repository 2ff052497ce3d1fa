/*
 * Which rule files are read, and what becomes of mistakes in them.
 */
#include "agent/judge/judge_state.h"
#include "tests/unit/unit.h"

#include <unistd.h>

#define GOOD "groups: [{name: g, rules: [{record: a, expr: '1'}]}]\n"
#define BAD  "groups:\n- name: b\n  rules:\n  - alert: X\n    expr: sum(\n"

static char folder[TEMP_DIR_MAX];

static int make_folder(void **state)
{
    (void)state;
    temp_dir_make(folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static void write_file(const char *name, const char *text)
{
    char path[TEMP_DIR_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* What comes of one pattern below the folder: files read, files left out, and why the first was. */
static void expect_read(const char *pattern, bool builtin, size_t files, size_t failed,
                        const char *why)
{
    char path[TEMP_DIR_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, pattern);
    char *paths[] = {path, path};
    const struct tly_rules_settings settings = {.files = {paths, 2}, .builtin = builtin};
    struct tly_rule_set *set = NULL;
    struct tly_error first = {0};
    size_t left_out = 77;
    assert_int_equal(tly_judge_read(&settings, &set, &left_out, &first), 0);
    assert_int_equal(set->count, files);
    assert_int_equal(left_out, failed);
    if (why) {
        assert_non_null(strstr(first.text, why));
    }
    tly_rule_set_unref(set);
}

static void which_are_read(void **state)
{
    (void)state;
    write_file("one.yml", GOOD);
    write_file("two.yml", GOOD);
    write_file("none.txt", BAD);
    expect_read("*.yml", false, 2, 0, NULL); /* each once, though both patterns find it */
    expect_read("one.yml", false, 1, 0, NULL);
    expect_read("*.yaml", false, 0, 0, NULL);
    expect_read("*.yaml", true, 2, 0, NULL); /* the program's own */
    expect_read("nowhere.yml", false, 0, 2, "nowhere.yml");
}

static void mistakes(void **state)
{
    (void)state;
    write_file("one.yml", GOOD);
    write_file("wrong.yml", BAD);
    expect_read("*.yml", false, 1, 2, "wrong.yml:5:");
    write_file("wrong.yml", GOOD);
    expect_read("*.yml", false, 2, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(which_are_read, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(mistakes, make_folder, remove_folder),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
