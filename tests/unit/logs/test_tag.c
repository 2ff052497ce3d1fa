/*
 * Tag templates: what is refused in the configuration, and what becomes of a container's names.
 */
#include "collectors/logs/tag.h"
#include "tests/unit/unit.h"

static void templates_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *template;
        const char *complaint; /* NULL: fine */
    } rows[] = {
        {"docker.{id}", NULL},
        {"{full_id}.{name}.{image}.{label:com.docker.compose.service}", NULL},
        {"plain", NULL},
        {"a}b", NULL},
        {"", "can't be empty"},
        {"docker.{}", "`{}` is no placeholder"},
        {"docker.{ID}", "`{ID}` is no placeholder"},
        {"docker.{label:}", "`{label:}` is no placeholder"},
        {"docker.{name", "`{name` is no placeholder"},
        {"{{id}}", "`{{id}` is no placeholder"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_error err = {0};
        int rc = tly_log_tag_verify(rows[i].template, &err);
        assert_int_equal(rc < 0, rows[i].complaint != NULL);
        if (rows[i].complaint && !strstr(err.text, rows[i].complaint)) {
            fail_msg("%s: %s", rows[i].template, err.text);
        }
    }
}

static void tags_are_expanded(void **state)
{
    (void)state;
    static const struct {
        const char *template, *tag;
    } rows[] = {
        {"docker.{id}", "docker.0123456789ab"},
        {"{full_id}", "0123456789abcdef0123"},
        {"c.{name}.{image}", "c.web_1.nginx:1.25"},
        {"{label:app}", "shop"},
        {"a.{label:none}.b", "a..b"},
        {"{label:none}", TLY_LOG_TAG_FALLBACK},
        {"{label:lines}", "one_two"},
        {"x}{id}y", "x}0123456789aby"},
    };
    struct tly_container *container = tly_container_new(TLY_TEXT("0123456789abcdef0123"));
    struct tly_buf tag;
    assert_non_null(container);
    tly_buf_init(&tag, TLY_LOG_TAG_MAX);
    assert_int_equal(tly_container_set(&container->name, TLY_TEXT("web_1")), 0);
    assert_int_equal(tly_container_set(&container->image, TLY_TEXT("nginx:1.25")), 0);
    assert_int_equal(tly_container_label_add(container, TLY_TEXT("app"), TLY_TEXT("shop")), 0);
    assert_int_equal(tly_container_label_add(container, TLY_TEXT("lines"), TLY_TEXT("one\ntwo")),
                     0);
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(tly_log_tag_expand(rows[i].template, container, &tag), 0);
        expect_text(tly_buf_text(&tag), rows[i].tag);
    }
    tly_buf_done(&tag);
    tly_container_unref(container);
}

/* At its maximum a tag is cut, and never within a character. */
static void long_tags_are_cut(void **state)
{
    (void)state;
    struct tly_container *container = tly_container_new(TLY_TEXT("0123"));
    struct tly_buf tag;
    char name[2 * TLY_LOG_TAG_MAX + 1];
    assert_non_null(container);
    for (size_t i = 0; i + 1 < sizeof(name); i += 2) {
        name[i] = '\xc3';
        name[i + 1] = '\xa9';
    }
    tly_buf_init(&tag, TLY_LOG_TAG_MAX);
    assert_int_equal(tly_container_set(&container->name, (struct tly_text){name, sizeof(name) - 1}),
                     0);
    assert_int_equal(tly_log_tag_expand("{name}", container, &tag), 0);
    assert_int_equal(tag.len, TLY_LOG_TAG_MAX);
    assert_int_equal(tly_log_tag_expand("x{name}{name}", container, &tag), 0);
    assert_int_equal(tag.len, TLY_LOG_TAG_MAX - 1);
    assert_int_equal(tly_text_utf8_prefix(tly_buf_text(&tag)), tag.len);
    tly_buf_done(&tag);
    tly_container_unref(container);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_checked),
        cmocka_unit_test(tags_are_expanded),
        cmocka_unit_test(long_tags_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
