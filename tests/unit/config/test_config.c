/*
 * Whole files against a table that has a row of every type: values, defaults, and for each mistake
 * its place and what to write instead.
 */
#include "agent/config/option.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the table ---- */

struct top {
    char *folder;
    struct tly_strings files;
};

struct limits {
    int64_t bytes;
};

struct demo {
    bool enabled;
    int64_t count, delta, bytes, wait_ms;
    char *name;
    char *token;
    int mode;
    struct tly_strings names;
    struct limits limits;
};

struct server {
    char *host;
    int64_t port;
    bool standby;
};

struct target {
    char *name;
    char *key;
    struct tly_list servers;
};

static int verify_lower(const char *value, struct tly_error *err)
{
    for (; *value; value++) {
        if (*value >= 'A' && *value <= 'Z') {
            return tly_error_set(err, -EINVAL, "only small letters are allowed");
        }
    }
    return 0;
}

static const struct tly_option top_rows[] = {
    {.key = "folder",
     .type = TLY_OPTION_PATH,
     .offset = offsetof(struct top, folder),
     .fallback = "${TLY_TEST_FOLDER:-/var/lib/demo}"},
    {.key = "files",
     .type = TLY_OPTION_PATHS,
     .offset = offsetof(struct top, files),
     .fallback = "[own/*.yml]"},
    {.key = NULL},
};

static const struct tly_option limits_rows[] = {
    {.key = "bytes",
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct limits, bytes),
     .fallback = "1MiB",
     .min = 1024},
    {.key = NULL},
};

static const char *const modes[] = {"fast", "careful", NULL};

static const struct tly_option demo_rows[] = {
    {.key = "enabled",
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct demo, enabled),
     .fallback = "true"},
    {.key = "count", .type = TLY_OPTION_INT, .offset = offsetof(struct demo, count)},
    {.key = "delta",
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct demo, delta),
     .min = -5,
     .max = 5},
    {.key = "bytes",
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct demo, bytes),
     .fallback = "8MiB",
     .min = 64 * 1024,
     .max = 1024 * 1024 * 1024},
    {.key = "wait",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct demo, wait_ms),
     .fallback = "10s",
     .min = 1000,
     .max = 3600000},
    {.key = "name",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct demo, name),
     .verify = verify_lower},
    {.key = "token",
     .type = TLY_OPTION_SECRET,
     .offset = offsetof(struct demo, token),
     .verify = verify_lower},
    {.key = "mode",
     .type = TLY_OPTION_ENUM,
     .offset = offsetof(struct demo, mode),
     .fallback = "careful",
     .choices = modes},
    {.key = "names",
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct demo, names),
     .fallback = "[one, two]",
     .verify = verify_lower},
    {.key = "limits",
     .type = TLY_OPTION_SECTION,
     .offset = offsetof(struct demo, limits),
     .inner = limits_rows,
     .inner_size = sizeof(struct limits)},
    {.key = NULL},
};

static const struct tly_option server_rows[] = {
    {.key = "host",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct server, host),
     .required = true,
     .help = "where to connect to"},
    {.key = "port",
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct server, port),
     .fallback = "24224",
     .min = 1,
     .max = 65535},
    {.key = "standby", .type = TLY_OPTION_BOOL, .offset = offsetof(struct server, standby)},
    {.key = NULL},
};

static const struct tly_option target_rows[] = {
    {.key = "name",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct target, name),
     .required = true},
    {.key = "key", .type = TLY_OPTION_SECRET, .offset = offsetof(struct target, key)},
    {.key = "servers",
     .type = TLY_OPTION_LIST,
     .offset = offsetof(struct target, servers),
     .inner = server_rows,
     .inner_size = sizeof(struct server),
     .shorthand = "host"},
    {.key = NULL},
};

static int verify_targets(const void *value, struct tly_error *err)
{
    const struct tly_list *list = value;
    const struct target *targets = list->at;
    for (size_t i = 1; i < list->count; i++) {
        if (strcmp(targets[i - 1].name, targets[i].name) == 0) {
            return tly_error_set(err, -EEXIST, "two are called `%s`", targets[i].name);
        }
    }
    return 0;
}

static const struct tly_section top_section = {
    .key = "", .type = TLY_OPTION_SECTION, .options = top_rows, .size = sizeof(struct top)};
static const struct tly_section demo_section = {
    .key = "demo", .type = TLY_OPTION_SECTION, .options = demo_rows, .size = sizeof(struct demo)};
static const struct tly_section target_section = {.key = "targets",
                                                  .type = TLY_OPTION_LIST,
                                                  .options = target_rows,
                                                  .size = sizeof(struct target),
                                                  .verify = verify_targets};
static const struct tly_section *const sections[] = {&top_section, &demo_section, &target_section};

static struct tly_complaints complaints;

static struct tly_config *parse(const char *text)
{
    struct tly_config *config = NULL;
    int rc = tly_config_parse(sections, ROWS(sections), text, strlen(text), &complaints, &config);
    if (rc < 0) {
        fail_msg("%s: %zu:%zu: %s", text, complaints.at[0].line, complaints.at[0].column,
                 complaints.at[0].text);
    }
    assert_int_equal(complaints.count, 0);
    return config;
}

/* ---- values ---- */

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("TLY_TEST_FOLDER"), 0);
    static const char *const texts[] = {"", "demo:\n", "demo: {}\ntargets:\n", "targets: []\n"};
    for (size_t i = 0; i < ROWS(texts); i++) {
        struct tly_config *config = parse(texts[i]);
        const struct top *top = tly_config_section(config, &top_section);
        const struct demo *demo = tly_config_section(config, &demo_section);
        const struct tly_list *targets = tly_config_section(config, &target_section);
        assert_string_equal(top->folder, "/var/lib/demo");
        assert_string_equal(top->files.at[0], "own/*.yml"); /* the program's own, as it is */
        assert_true(demo->enabled);
        assert_int_equal(demo->count, 0);
        assert_int_equal(demo->bytes, 8 * 1024 * 1024);
        assert_int_equal(demo->wait_ms, 10000);
        assert_null(demo->name);
        assert_null(demo->token);
        assert_int_equal(demo->mode, 1);
        assert_int_equal(demo->names.count, 2);
        assert_string_equal(demo->names.at[1], "two");
        assert_int_equal(demo->limits.bytes, 1024 * 1024);
        assert_int_equal(targets->count, 0);
        tly_config_free(config);
    }
}

static void test_values(void **state)
{
    (void)state;
    assert_int_equal(setenv("TLY_TEST_NAME", "from: [outside]", 1), 0);
    struct tly_config *config = parse("folder: here\n"
                                      "demo:\n"
                                      "  enabled: off\n"
                                      "  count: 7\n"
                                      "  delta: -5\n"
                                      "  bytes: 64KiB\n"
                                      "  wait: '1h'\n"
                                      "  name: ${TLY_TEST_NAME}\n"
                                      "  token: pa$$word\n"
                                      "  mode: fast\n"
                                      "  names: single\n"
                                      "  limits: {bytes: 2k}\n"
                                      "targets:\n"
                                      "  - name: a\n"
                                      "    servers: [one, {host: two, port: 1, standby: true}]\n"
                                      "  - name: b\n");
    const struct top *top = tly_config_section(config, &top_section);
    const struct demo *demo = tly_config_section(config, &demo_section);
    const struct tly_list *targets = tly_config_section(config, &target_section);
    assert_string_equal(top->folder, "here");
    assert_false(demo->enabled);
    assert_int_equal(demo->count, 7);
    assert_int_equal(demo->delta, -5);
    assert_int_equal(demo->bytes, 65536);
    assert_int_equal(demo->wait_ms, 3600000);
    assert_string_equal(demo->name, "from: [outside]");
    assert_string_equal(demo->token, "pa$word");
    assert_int_equal(demo->mode, 0);
    assert_int_equal(demo->names.count, 1);
    assert_string_equal(demo->names.at[0], "single");
    assert_int_equal(demo->limits.bytes, 2000);
    assert_int_equal(targets->count, 2);
    const struct target *target = targets->at;
    assert_int_equal(target->servers.count, 2);
    const struct server *servers = target->servers.at;
    assert_string_equal(servers[0].host, "one");
    assert_int_equal(servers[0].port, 24224);
    assert_string_equal(servers[1].host, "two");
    assert_int_equal(servers[1].port, 1);
    assert_true(servers[1].standby);
    assert_int_equal(target[1].servers.count, 0);
    tly_config_free(config);
}

static void test_empty_list_beats_default(void **state)
{
    (void)state;
    struct tly_config *config = parse("demo: {names: []}\n");
    const struct demo *demo = tly_config_section(config, &demo_section);
    assert_int_equal(demo->names.count, 0);
    tly_config_free(config);
}

/* ---- mistakes ---- */

static void test_mistakes(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("TLY_TEST_UNSET"), 0);
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"dmeo: {}", "1:1: unknown key `dmeo`, did you mean `demo`?"},
        {"fodler: x", "1:1: unknown key `fodler`, did you mean `folder`?"},
        {"wait: 5s", "1:1: unknown key `wait` at the top; it belongs in the section `demo`, "
                     "indented below `demo:`"},
        {"zzz: 5s", "1:1: unknown key `zzz`; docs/configuration.md lists all"},
        {"demo: {waitt: 5s}", "1:8: unknown key `waitt` in `demo`, did you mean `wait`?"},
        {"demo: {limits: {x: 1}}", "1:17: unknown key `x` in `limits`; its keys are bytes"},
        {"demo: {wait: 5s, wait: 6s}",
         "1:18: `wait` stands here a second time; the first is in line 1"},
        {"demo: {}\ndemo: {}", "2:1: `demo` stands here a second time; the first is in line 1"},
        {"folder: a\nfolder: b", "2:1: `folder` stands here a second time; the first is in line 1"},
        {"demo: 5", "1:7: `demo`: `key: value` lines belong here, not a single value"},
        {"demo: [a]", "1:7: `demo`: `key: value` lines belong here, not a list"},
        {"[a]", "1:1: the file must consist of `key: value` lines and sections"},
        {"text", "1:1: the file must consist of `key: value` lines and sections"},
        {"demo: {wait: 500ms}", "1:14: `wait`: 500ms is too small; allowed is 1s to 1h"},
        {"demo: {wait: 2h}", "1:14: `wait`: 2h is too large; allowed is 1s to 1h"},
        {"demo: {wait: 99999999999w}",
         "1:14: `wait`: 99999999999w is too large; allowed is 1s to 1h"},
        {"demo: {wait: 10}", "1:14: `wait`: `10` is not a duration; write it as 250ms, 10s, 5m, "
                             "1h30m or 7d"},
        {"demo: {wait: }", "1:14: `wait`: it has no value; leave the line out for the default"},
        {"demo: {wait: [1s]}", "1:14: `wait`: one value belongs here, not a list"},
        {"demo: {wait: {a: 1s}}", "1:14: `wait`: one value belongs here, not a section"},
        {"demo: {name: }", "1:14: `name`: it has no value; leave the line out for the default, or "
                           "write \"\" for an empty text"},
        {"demo: {name: Big}", "1:14: `name`: only small letters are allowed"},
        {"demo: {name: \"${TLY_TEST_UNSET}\"}",
         "1:14: `name`: the environment has no variable TLY_TEST_UNSET; set it, or give a default "
         "by ${TLY_TEST_UNSET:-default}"},
        {"demo: {names: [a, B]}", "1:19: `names`: only small letters are allowed"},
        {"demo: {names: [a, [b]]}", "1:19: `names`: one value belongs here, not a list"},
        {"demo: {names: {a: b}}", "1:15: `names`: a list belongs here, not a section"},
        {"demo: {count: -1}", "1:15: `count`: -1 is too small; allowed is 0 or more"},
        {"demo: {count: 99999999999999999999}", "1:15: `count`: 99999999999999999999 is too large"},
        {"demo: {count: 0x10}", "1:15: `count`: `0x10` is not a whole number"},
        {"demo: {delta: 6}", "1:15: `delta`: 6 is too large; allowed is -5 to 5"},
        {"demo: {delta: -99999999999999999999}",
         "1:15: `delta`: -99999999999999999999 is too small; allowed is -5 to 5"},
        {"demo: {bytes: 1GB}", NULL},
        {"demo: {bytes: 2GiB}", "1:15: `bytes`: 2GiB is too large; allowed is 64KiB to 1GiB"},
        {"demo: {bytes: 1.5M}", "1:15: `bytes`: `1.5M` is not a size; write it as 512, 64KiB, "
                                "10MiB, 1GiB, or with k, M, G for powers of 1000"},
        {"demo: {limits: {bytes: 5}}", "1:24: `bytes`: 5 is too small; allowed is 1KiB or more"},
        {"demo: {enabled: maybe}", "1:17: `enabled`: `maybe` is neither true nor false"},
        {"demo: {mode: carefull}", "1:14: `mode`: `carefull` is not a choice, did you mean "
                                   "`careful`? Allowed is fast or careful"},
        {"demo: {mode: x}", "1:14: `mode`: `x` is not a choice; allowed is fast or careful"},
        {"demo: {token: S3CRET}", "1:15: `token`: only small letters are allowed"},
        {"demo: {token: \"\"}", "1:15: `token`: the secret is empty"},
        {"demo: {token: a, token_file: b}",
         "1:30: `token`: either the secret itself or `token_file`, not both"},
        {"demo: {token_file: /nowhere/at/all}", "1:20: `token_file`: cannot use /nowhere/at/all: "
                                                "No such file or directory"},
        {"demo: {tokne: a}", "1:8: unknown key `tokne` in `demo`, did you mean `token`?"},
        {"files: [a, \"\"]",
         "1:12: `files`: the path is empty; leave the line out for the default"},
        {"folder: \"\"", "1:9: `folder`: the path is empty; leave the line out for the default"},
        {"targets: {name: a}",
         "1:10: `targets`: a list belongs here, even for one; begin its first line with `- `"},
        {"targets: a",
         "1:10: `targets`: a list belongs here, even for one; begin the item with `- `"},
        {"targets: [a]", "1:11: `targets`: `key: value` lines belong here, not a single value"},
        {"targets: [{key: a}]", "1:11: `name`: it is missing, and has no default"},
        {"targets: [{name: a, servers: [{port: 1}]}]",
         "1:31: `host`: it is missing, and has no default (where to connect to)"},
        {"targets: [{name: a, servers: [~]}]",
         "1:31: `servers`: `key: value` lines belong here, or a text, not nothing"},
        {"targets: [{name: a}, {name: a}]", "1:10: targets: two are called `a`"},
        {"demo: {name: \"a\\nB\"}", "1:14: `name`: only small letters are allowed"},
        {"demo: {\"a\\nb\": 1}",
         "1:8: unknown key `a?b` in `demo`; its keys are enabled, count, delta, bytes, wait, name, "
         "token, mode, names, limits"},
        {"a: b: c", "1:5: YAML: mapping values are not allowed in this context; likely a `: ` in "
                    "the middle of a text (put the text in quotes), or a line that is indented "
                    "wrongly"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        if (!rows[i].expected) {
            tly_config_free(parse(rows[i].text));
            continue;
        }
        struct tly_config *config = NULL;
        assert_int_equal(tly_config_parse(sections, ROWS(sections), rows[i].text,
                                          strlen(rows[i].text), &complaints, &config),
                         TLY_E_MALFORMED);
        assert_null(config);
        char text[1000];
        (void)snprintf(text, sizeof(text), "%zu:%zu: %s", complaints.at[0].line,
                       complaints.at[0].column, complaints.at[0].text);
        assert_string_equal(text, rows[i].expected);
        assert_int_equal(complaints.count, 1);
    }
}

/* The environment can make a default invalid: the message says so, for want of a line. */
static void test_wrong_default(void **state)
{
    (void)state;
    static const char *const one[] = {"a", NULL};
    static const struct tly_option rows[] = {{.key = "mode",
                                              .type = TLY_OPTION_ENUM,
                                              .offset = 0,
                                              .choices = one,
                                              .fallback = "${TLY_TEST_MODE:-a}"},
                                             {.key = NULL}};
    static const struct tly_section section = {
        .key = "s", .type = TLY_OPTION_SECTION, .options = rows, .size = sizeof(int)};
    static const struct tly_section *const all[] = {&section};
    struct tly_config *config = NULL;
    assert_int_equal(setenv("TLY_TEST_MODE", "b", 1), 0);
    assert_int_equal(tly_config_parse(all, 1, "", 0, &complaints, &config), TLY_E_MALFORMED);
    assert_int_equal(unsetenv("TLY_TEST_MODE"), 0);
    assert_int_equal(complaints.at[0].line, 0);
    assert_string_equal(complaints.at[0].text,
                        "the default of `mode`, which is ${TLY_TEST_MODE:-a}: `b` is not a choice, "
                        "did you mean `a`? Allowed is a");
}

/* All of them, in the order of lines, however the tables are ordered. */
static void test_all_mistakes(void **state)
{
    (void)state;
    const char *text = "demo:\n"
                       "  mode: x\n"
                       "  wiat: 5s\n"
                       "  enabled: 3\n"
                       "foldr: a\n";
    struct tly_config *config = NULL;
    assert_int_equal(
        tly_config_parse(sections, ROWS(sections), text, strlen(text), &complaints, &config),
        TLY_E_MALFORMED);
    assert_int_equal(complaints.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(complaints.at[i].line, i + 2);
    }
}

static void test_too_many_mistakes(void **state)
{
    (void)state;
    char text[4000];
    size_t len = 0;
    for (int i = 0; i < 100; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "unknown%d: 1\n", i);
    }
    struct tly_config *config = NULL;
    assert_int_equal(tly_config_parse(sections, ROWS(sections), text, len, &complaints, &config),
                     TLY_E_MALFORMED);
    assert_int_equal(complaints.count, 100);
    assert_int_equal(tly_complaints_kept(&complaints), TLY_COMPLAINTS_MAX);
}

static void test_too_large(void **state)
{
    (void)state;
    size_t len = TLY_CONFIG_BYTES_MAX + 1;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, '\n', len);
    struct tly_config *config = NULL;
    assert_int_equal(tly_config_parse(sections, ROWS(sections), text, len, &complaints, &config),
                     TLY_E_MALFORMED);
    assert_int_equal(complaints.at[0].line, 0);
    free(text);
}

/* ---- files ---- */

static char folder[TEMP_DIR_MAX];
static char path[TEMP_DIR_MAX + sizeof("/demo.yml")];
static char secret_path[TEMP_DIR_MAX + sizeof("/token")];

static int make_folder(void **state)
{
    (void)state;
    temp_dir_make(folder);
    (void)snprintf(path, sizeof(path), "%s/demo.yml", folder);
    (void)snprintf(secret_path, sizeof(secret_path), "%s/token", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(name, mode), 0);
}

static int load(struct tly_config **ret_config, struct tly_error *err)
{
    return tly_config_load(sections, ROWS(sections), path, &complaints, ret_config, err);
}

static void test_load(void **state)
{
    (void)state;
    write_file(path, "folder: below\nfiles: [rules/*.yml, /etc/a.yml]\ndemo: {token_file: token}\n",
               0644);
    write_file(secret_path, "hidden\n", 0600);
    struct tly_config *config = NULL;
    struct tly_error err = {0};
    assert_int_equal(load(&config, &err), 0);
    const struct top *top = tly_config_section(config, &top_section);
    const struct demo *demo = tly_config_section(config, &demo_section);
    char expected[100];
    (void)snprintf(expected, sizeof(expected), "%s/below", folder);
    assert_string_equal(top->folder, expected);
    assert_string_equal(demo->token, "hidden");
    assert_int_equal(top->files.count, 2);
    (void)snprintf(expected, sizeof(expected), "%s/rules/*.yml", folder);
    assert_string_equal(top->files.at[0], expected);
    assert_string_equal(top->files.at[1], "/etc/a.yml");
    tly_config_free(config);
}

static void test_exposed_secrets(void **state)
{
    (void)state;
    struct tly_config *config = NULL;
    struct tly_error err = {0};
    write_file(secret_path, "hidden\n", 0644);
    write_file(path, "demo: {token_file: token}\n", 0644);
    assert_int_equal(load(&config, &err), TLY_E_MALFORMED);
    assert_non_null(strstr(complaints.at[0].text, "chmod o="));

    write_file(path, "demo: {token: hidden}\n", 0644);
    assert_int_equal(load(&config, &err), TLY_E_MALFORMED);
    assert_non_null(strstr(complaints.at[0].text, "everyone may read"));
    assert_null(strstr(complaints.at[0].text, "hidden"));

    write_file(path, "demo: {token: hidden}\n", 0640);
    assert_int_equal(load(&config, &err), 0);
    tly_config_free(config);

    assert_int_equal(setenv("TLY_TEST_TOKEN", "hidden", 1), 0);
    write_file(path, "demo: {token: \"${TLY_TEST_TOKEN}\"}\n", 0644);
    assert_int_equal(load(&config, &err), 0);
    tly_config_free(config);
}

static void test_load_failures(void **state)
{
    (void)state;
    struct tly_config *config = NULL;
    struct tly_error err = {0};
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load(&config, &err), -ENOENT);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(complaints.count, 0);
    write_file(path, "demo: 1\nx: 2\n", 0644);
    assert_int_equal(load(&config, &err), TLY_E_MALFORMED);
    assert_non_null(strstr(err.text, "2 mistakes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_empty_list_beats_default),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_wrong_default),
        cmocka_unit_test(test_all_mistakes),
        cmocka_unit_test(test_too_many_mistakes),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_exposed_secrets),
        cmocka_unit_test(test_load_failures),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
