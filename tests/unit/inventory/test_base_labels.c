/*
 * The base labels: hostile names and values, collisions, bounds, and absence as absence.
 */
#include "agent/inventory/base_labels.h"
#include "tests/unit/unit.h"

#include <string.h>

static char *globs[] = {(char[]){"com.*"}, (char[]){"plain"}, (char[]){"ha?d"}};
static const struct tly_label_choice choice = {
    .globs = globs, .glob_count = ROWS(globs), .value_bytes_max = 8, .labels_max = 3};

static struct tly_container *container;

static int make(void **state)
{
    (void)state;
    container = tly_container_new(TLY_TEXT("abc"));
    return container == NULL ? -1 : 0;
}

static int unmake(void **state)
{
    (void)state;
    tly_container_unref(container);
    return 0;
}

static void label(struct tly_text key, struct tly_text value)
{
    assert_int_equal(tly_container_label_add(container, key, value), 0);
}

/* The text, and how many were cut, dropped and in collision. */
static void expect(const char *text, size_t cut, size_t dropped, size_t collisions)
{
    struct tly_base_labels *labels = NULL;
    assert_int_equal(tly_base_labels_new(container, TLY_TEXT("/docker/abc"), &choice, &labels), 0);
    expect_text((struct tly_text){labels->at, labels->len}, text);
    assert_int_equal(labels->cut, cut);
    assert_int_equal(labels->dropped, dropped);
    assert_int_equal(labels->collisions, collisions);
    tly_base_labels_unref(tly_base_labels_ref(labels));
    tly_base_labels_unref(labels);
}

static void unknown_is_absent(void **state)
{
    (void)state;
    expect("id=\"/docker/abc\"", 0, 0, 0);
    label(TLY_TEXT("other"), TLY_TEXT("not chosen"));
    expect("id=\"/docker/abc\"", 0, 0, 0);
}

static void sanitises_keys_and_escapes_values(void **state)
{
    (void)state;
    assert_int_equal(tly_container_set(&container->name, TLY_TEXT("we\"b")), 0);
    assert_int_equal(tly_container_set(&container->image, TLY_TEXT("a:b\n")), 0);
    label(TLY_TEXT("com.a/b-\xc3\xbc"), TLY_TEXT("\\"));
    label(TLY_TEXT("ha\nd"), TLY_TEXT(""));
    expect("id=\"/docker/abc\",image=\"a:b\\n\",name=\"we\\\"b\","
           "container_label_com_a_b___=\"\\\\\",container_label_ha_d=\"\"",
           0, 0, 0);
}

static void settles_collisions_by_the_raw_key(void **state)
{
    (void)state;
    label(TLY_TEXT("com.b_c"), TLY_TEXT("second"));
    label(TLY_TEXT("com.b.c"), TLY_TEXT("first"));
    label(TLY_TEXT("com.b/c"), TLY_TEXT("third"));
    expect("id=\"/docker/abc\",container_label_com_b_c=\"first\"", 0, 0, 2);
}

static void bounds_values_at_whole_characters(void **state)
{
    (void)state;
    label(TLY_TEXT("com.a"), TLY_TEXT("1234567\xc3\xbc")); /* 9 bytes */
    label(TLY_TEXT("com.b"), TLY_TEXT("12345678"));        /* 8 */
    label(TLY_TEXT("com.c"), TLY_TEXT("123456\xf0\x9f\x90\xb3"));
    assert_int_equal(tly_container_set(&container->name, TLY_TEXT("a-name-that-is-long")), 0);
    expect("id=\"/docker/abc\",name=\"a-name-t\",container_label_com_a=\"1234567\","
           "container_label_com_b=\"12345678\",container_label_com_c=\"123456\"",
           3, 0, 0);
}

static void bounds_the_number_and_the_names(void **state)
{
    (void)state;
    char key[400];
    memset(key, 'x', sizeof(key));
    for (size_t i = 0; i < 4; i++) {
        key[i] = "com."[i];
    }
    label((struct tly_text){key, sizeof(key)}, TLY_TEXT("v"));
    label(TLY_TEXT("com.1"), TLY_TEXT("v"));
    label(TLY_TEXT("com.2"), TLY_TEXT("v"));
    label(TLY_TEXT("com.3"), TLY_TEXT("v"));
    label(TLY_TEXT("com.4"), TLY_TEXT("v"));
    expect("id=\"/docker/abc\",container_label_com_1=\"v\",container_label_com_2=\"v\","
           "container_label_com_3=\"v\"",
           0, 2, 0);
}

/* Bytes that are no UTF-8 and NUL, in what whoever made the container chose. */
static void survives_any_bytes(void **state)
{
    (void)state;
    assert_int_equal(tly_container_set(&container->name, TLY_TEXT("a\xff\xc0")), 0);
    assert_int_equal(tly_container_set(&container->image, TLY_TEXT("\xed\xa0\x80")), 0);
    label(TLY_TEXT("com.\xff\xfe"), TLY_TEXT("\xf5x"));
    label(TLY_TEXT("com.\""), TLY_TEXT("\"}\n"));
    label(TLY_TEXT("com.}"), TLY_TEXT("{"));
    struct tly_base_labels *labels = NULL;
    assert_int_equal(tly_base_labels_new(container, TLY_TEXT("/docker/abc"), &choice, &labels), 0);
    struct tly_text text = {labels->at, labels->len};
    assert_int_equal(tly_text_utf8_prefix(text), text.len);
    assert_null(memchr(text.at, '\n', text.len));
    assert_non_null(memmem(text.at, text.len, "=\"\\\"}\\n\"", 8)); /* quote and newline escaped */
    /* com." and com.} have the same name as a metric label, com.?? another one. */
    assert_int_equal(labels->collisions, 1);
    assert_int_equal(labels->dropped, 0);
    tly_base_labels_unref(labels);
}

/* Ten thousand labels cost what is allowed, and are counted; the order in which they come makes no
 * difference to which are shown. */
static void bounds_ten_thousand_labels(void **state)
{
    (void)state;
    struct tly_base_labels *labels[2] = {NULL, NULL};
    for (int turn = 0; turn < 2; turn++) {
        struct tly_container *many = tly_container_new(TLY_TEXT("abc"));
        assert_non_null(many);
        for (int i = 0; i < 10000; i++) {
            char key[32];
            (void)snprintf(key, sizeof(key), "com.%05d",
                           turn == 0 || i >= TLY_CONTAINER_LABELS_MAX
                               ? i
                               : TLY_CONTAINER_LABELS_MAX - 1 - i); /* fits */
            int rc = tly_container_label_add(many, tly_text_of(key), TLY_TEXT("v"));
            many->labels_left_out += rc == TLY_E_LIMIT;
        }
        assert_int_equal(many->label_count, TLY_CONTAINER_LABELS_MAX);
        assert_int_equal(tly_base_labels_new(many, TLY_TEXT("/docker/abc"), &choice, &labels[turn]),
                         0);
        tly_container_unref(many);
    }
    expect_text((struct tly_text){labels[0]->at, labels[0]->len},
                "id=\"/docker/abc\",container_label_com_00000=\"v\","
                "container_label_com_00001=\"v\",container_label_com_00002=\"v\"");
    assert_int_equal(labels[0]->dropped, 10000 - 3);
    assert_int_equal(labels[0]->len, labels[1]->len);
    assert_memory_equal(labels[0]->at, labels[1]->at, labels[0]->len);
    tly_base_labels_unref(labels[0]);
    tly_base_labels_unref(labels[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(unknown_is_absent),
        TEST(sanitises_keys_and_escapes_values),
        TEST(settles_collisions_by_the_raw_key),
        TEST(bounds_values_at_whole_characters),
        TEST(bounds_the_number_and_the_names),
        TEST(survives_any_bytes),
        TEST(bounds_ten_thousand_labels),
    };
    return cmocka_run_group_tests_name("base_labels", tests, NULL, NULL);
}
