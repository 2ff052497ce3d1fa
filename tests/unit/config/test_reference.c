/*
 * Documents from tables: the file of defaults must parse, and stand for the same values as no file.
 */
#include "agent/config/reference.h"
#include "agent/config/settings.h"
#include "tests/unit/unit.h"

#include <string.h>

#define TEXT_MAX 100000

struct item {
    char *name;
    char *token;
};

struct demo {
    int64_t wait_ms;
    int64_t bytes;
    int mode;
    struct tly_list inner;
};

static const struct tly_option item_rows[] = {
    {.key = "name",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct item, name),
     .required = true,
     .help = "Its name."},
    {.key = "token",
     .type = TLY_OPTION_SECRET,
     .offset = offsetof(struct item, token),
     .help = "Its secret."},
    {.key = NULL},
};
static const char *const modes[] = {"fast", "careful", "both", NULL};
static const struct tly_option demo_rows[] = {
    {.key = "wait",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct demo, wait_ms),
     .fallback = "10s",
     .min = 1000,
     .max = 60000,
     .help = "How long."},
    {.key = "bytes",
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct demo, bytes),
     .min = 1024,
     .help = "How much."},
    {.key = "bytes_at_most",
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct demo, bytes),
     .max = INT64_MAX, /* as good as none */
     .help = "How much."},
    {.key = "mode",
     .type = TLY_OPTION_ENUM,
     .offset = offsetof(struct demo, mode),
     .fallback = "both",
     .choices = modes,
     .help = "How."},
    {.key = "inner",
     .type = TLY_OPTION_LIST,
     .offset = offsetof(struct demo, inner),
     .inner = item_rows,
     .inner_size = sizeof(struct item),
     .shorthand = "name",
     .help = "Those inside."},
    {.key = NULL},
};
static const struct tly_section demo_section = {.key = "demo",
                                                .type = TLY_OPTION_SECTION,
                                                .options = demo_rows,
                                                .size = sizeof(struct demo),
                                                .help = "A section."};
static const struct tly_section list_section = {.key = "items",
                                                .type = TLY_OPTION_LIST,
                                                .options = item_rows,
                                                .size = sizeof(struct item),
                                                .shorthand = "name",
                                                .help = "A list."};
static const struct tly_section *const sections[] = {
    &tly_settings_section, &tly_docker_section, &tly_collect_section, &tly_web_section,
    &tly_log_section,      &demo_section,       &list_section};

static void test_markdown(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, TEXT_MAX);
    assert_int_equal(tly_reference_markdown(sections, ROWS(sections), &buf), 0);
    assert_int_equal(tly_buf_append(&buf, "", 1), 0);
    static const char *const lines[] = {
        "## At the top\n",
        "| `state_dir` | path | `${STATE_DIRECTORY:-/var/lib/tallyman}` | Folder",
        "\n## `demo`\n\nA section.\n\n",
        "\n| `wait` | duration, 1s to 1m | `10s` | How long. |\n",
        "\n| `bytes` | size, 1KiB or more |  | How much. |\n",
        "\n| `bytes_at_most` | size, 0 or more |  | How much. |\n",
        "\n| `mode` | `fast`, `careful` or `both` | `both` | How. |\n",
        "\n| `inner` | list of sections; a text stands for its `name` |  | Those inside. |\n",
        "\n| `inner[].name` | text | required | Its name. |\n",
        "\n| `inner[].token` | secret |  | Its secret. |\n",
        "A list: each item begins with `- `; a text stands for its `name`.",
    };
    for (size_t i = 0; i < ROWS(lines); i++) {
        if (!strstr(buf.at, lines[i])) {
            fail_msg("no `%s` in:\n%s", lines[i], buf.at);
        }
    }
    tly_buf_done(&buf);
}

static void test_yaml(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, TEXT_MAX);
    assert_int_equal(tly_reference_yaml(sections, ROWS(sections), &buf), 0);
    struct tly_complaints complaints;
    struct tly_config *config = NULL;
    if (tly_config_parse(sections, ROWS(sections), buf.at, buf.len, &complaints, &config) < 0) {
        fail_msg("%zu:%zu: %s in\n%.*s", complaints.at[0].line, complaints.at[0].column,
                 complaints.at[0].text, (int)buf.len, buf.at);
    }
    const struct demo *demo = tly_config_section(config, &demo_section);
    assert_int_equal(demo->wait_ms, 10000);
    assert_int_equal(demo->bytes, 0);
    assert_int_equal(demo->mode, 2);
    assert_int_equal(demo->inner.count, 0);
    tly_config_free(config);

    /* With the comment signs taken away, what is off by default is right as well. */
    char *text = tly_text_dup(tly_buf_text(&buf));
    assert_non_null(text);
    assert_non_null(strstr(text, "\n# items:\n"));
    assert_non_null(strstr(text, "\n  # - name:\n"));
    for (struct tly_text rest = tly_buf_text(&buf); rest.at;) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        assert_true(line.len <= 100 || memchr(line.at, '[', line.len));
        assert_false(tly_text_ends(line, TLY_TEXT(" ")));
    }
    free(text);
    tly_buf_done(&buf);
}

static void test_bound(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, 100);
    assert_int_equal(tly_reference_markdown(sections, ROWS(sections), &buf), TLY_E_LIMIT);
    tly_buf_clear(&buf);
    assert_int_equal(tly_reference_yaml(sections, ROWS(sections), &buf), TLY_E_LIMIT);
    tly_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markdown),
        cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
