/*
 * Which options differ between two files, by name, and whether a reload can apply them.
 */
#include "agent/config/option.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

struct top {
    char *folder;
};

struct inner {
    int64_t bytes;
    char *fixed;
};

struct demo {
    bool enabled;
    int64_t wait_ms;
    int mode;
    char *name, *token;
    struct tly_strings names;
    struct inner live, rooted;
};

struct server {
    char *host;
    struct tly_strings labels;
};

static const char *const modes[] = {"fast", "careful", NULL};

static const struct tly_option top_rows[] = {
    {.key = "folder",
     .type = TLY_OPTION_PATH,
     .restart = true,
     .offset = offsetof(struct top, folder),
     .fallback = "/var/lib/demo"},
    {.key = NULL},
};
static const struct tly_option inner_rows[] = {
    {.key = "bytes", .type = TLY_OPTION_SIZE, .offset = offsetof(struct inner, bytes)},
    {.key = "fixed",
     .type = TLY_OPTION_STRING,
     .restart = true,
     .offset = offsetof(struct inner, fixed)},
    {.key = NULL},
};
static const struct tly_option demo_rows[] = {
    {.key = "enabled", .type = TLY_OPTION_BOOL, .offset = offsetof(struct demo, enabled)},
    {.key = "wait", .type = TLY_OPTION_DURATION, .offset = offsetof(struct demo, wait_ms)},
    {.key = "mode",
     .type = TLY_OPTION_ENUM,
     .offset = offsetof(struct demo, mode),
     .choices = modes},
    {.key = "name", .type = TLY_OPTION_STRING, .offset = offsetof(struct demo, name)},
    {.key = "token", .type = TLY_OPTION_SECRET, .offset = offsetof(struct demo, token)},
    {.key = "names", .type = TLY_OPTION_STRINGS, .offset = offsetof(struct demo, names)},
    {.key = "live",
     .type = TLY_OPTION_SECTION,
     .offset = offsetof(struct demo, live),
     .inner = inner_rows,
     .inner_size = sizeof(struct inner)},
    {.key = "rooted",
     .type = TLY_OPTION_SECTION,
     .restart = true,
     .offset = offsetof(struct demo, rooted),
     .inner = inner_rows,
     .inner_size = sizeof(struct inner)},
    {.key = NULL},
};
static const struct tly_option server_rows[] = {
    {.key = "host", .type = TLY_OPTION_STRING, .offset = offsetof(struct server, host)},
    {.key = "labels", .type = TLY_OPTION_STRINGS, .offset = offsetof(struct server, labels)},
    {.key = NULL},
};

static const struct tly_section top_section = {
    .key = "", .type = TLY_OPTION_SECTION, .options = top_rows, .size = sizeof(struct top)};
static const struct tly_section demo_section = {
    .key = "demo", .type = TLY_OPTION_SECTION, .options = demo_rows, .size = sizeof(struct demo)};
static const struct tly_section fixed_section = {.key = "fixed",
                                                 .type = TLY_OPTION_SECTION,
                                                 .restart = true,
                                                 .options = inner_rows,
                                                 .size = sizeof(struct inner)};
static const struct tly_section servers_section = {.key = "servers",
                                                   .type = TLY_OPTION_LIST,
                                                   .options = server_rows,
                                                   .size = sizeof(struct server)};
static const struct tly_option header_rows[] = {{.key = "", .type = TLY_OPTION_STRING},
                                                {.key = NULL}};
static const struct tly_section headers_section = {.key = "headers",
                                                   .type = TLY_OPTION_PAIRS,
                                                   .options = header_rows,
                                                   .size = sizeof(struct tly_pairs)};
static const struct tly_section *const sections[] = {&top_section, &demo_section, &fixed_section,
                                                     &servers_section, &headers_section};

static struct tly_config *parse(const char *text)
{
    static struct tly_complaints complaints;
    struct tly_config *config = NULL;
    int rc = tly_config_parse(sections, ROWS(sections), text, strlen(text), &complaints, &config);
    if (rc < 0) {
        fail_msg("%s: %s", text, complaints.at[0].text);
    }
    return config;
}

/* "path path! ": with a mark for those that need a restart. */
static void note(void *arg, const struct tly_section *section, const char *path, bool restart)
{
    assert_non_null(section);
    char *text = arg;
    strcat(text, path);
    strcat(text, restart ? "! " : " ");
}

static const struct row {
    const char *before, *after, *differs;
} rows[] = {
    {"", "", ""},
    {"", "folder: /var/lib/demo\n", ""},
    {"", "folder: /srv\n", "folder! "},
    {"demo: {name: a}", "demo: {name: a}", ""},
    {"demo: {name: a}", "demo: {name: b}", "demo.name "},
    {"demo: {name: a}", "", "demo.name "},
    {"", "demo: {name: \"\"}", "demo.name "},
    {"demo: {token: a}", "demo: {token: b}", "demo.token "},
    {"demo: {wait: 1s}", "demo: {wait: 1000ms}", ""},
    {"demo: {wait: 1s, enabled: true}", "demo: {wait: 2s}", "demo.enabled demo.wait "},
    {"demo: {mode: fast}", "demo: {mode: careful}", "demo.mode "},
    {"demo: {names: [a, b]}", "demo: {names: [a, b]}", ""},
    {"demo: {names: [a, b]}", "demo: {names: [b, a]}", "demo.names "},
    {"demo: {names: [a]}", "demo: {names: [a, b]}", "demo.names "},
    {"headers: {A: x}", "headers: {A: x}", ""},
    {"headers: {A: x}", "headers: {A: y}", "headers "},
    {"headers: {A: x}", "headers: {B: x}", "headers "},
    {"demo: {live: {bytes: 1}}", "demo: {live: {bytes: 2}}", "demo.live.bytes "},
    {"demo: {live: {fixed: a}}", "demo: {live: {fixed: b}}", "demo.live.fixed! "},
    {"demo: {rooted: {bytes: 1}}", "demo: {rooted: {bytes: 2}}", "demo.rooted.bytes! "},
    {"fixed: {bytes: 1}", "fixed: {bytes: 2}", "fixed.bytes! "},
    {"servers: [{host: a}]", "servers: [{host: a}]", ""},
    {"servers: [{host: a}]", "servers: [{host: b}]", "servers "},
    {"servers: [{host: a}]", "servers: [{host: a}, {host: b}]", "servers "},
    {"servers: [{host: a, labels: [x]}]", "servers: [{host: a, labels: [y]}]", "servers "},
    {"servers: [{host: a}]", "", "servers "},
};

static void test_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_config *before = parse(rows[i].before);
        struct tly_config *after = parse(rows[i].after);
        char found[256] = "";
        tly_config_compare(before, after, sections, ROWS(sections), note, found);
        assert_string_equal(found, rows[i].differs);
        tly_config_free(before);
        tly_config_free(after);
    }
}

static void test_shared(void **state)
{
    (void)state;
    struct tly_config *config = parse("demo: {name: kept}");
    struct tly_config *other = tly_config_ref(config);
    assert_ptr_equal(other, config);
    tly_config_free(config);
    const struct demo *demo = tly_config_section(other, &demo_section);
    assert_string_equal(demo->name, "kept");
    tly_config_free(other);
    assert_null(tly_config_ref(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
