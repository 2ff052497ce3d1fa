/*
 * Sets of samples: order, dimensions that are found again, bounds, and label values that nothing
 * can break out of.
 */
#include "agent/model/sample.h"
#include "tests/unit/unit.h"

static struct tly_samples samples;

static int make(void **state)
{
    (void)state;
    tly_samples_init(&samples);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    tly_samples_done(&samples);
    return 0;
}

static void sorts_by_family_and_keeps_the_order_of_adding(void **state)
{
    (void)state;
    uint16_t a = tly_samples_dim1(&samples, "device", TLY_TEXT("a"));
    uint16_t b = tly_samples_dim1(&samples, "device", TLY_TEXT("b"));
    tly_samples_add(&samples, TLY_F_container_fs_reads_total, b, 1);
    tly_samples_add(&samples, TLY_F_container_last_seen, TLY_DIM_NONE, 2);
    tly_samples_add(&samples, TLY_F_container_fs_reads_total, a, 3);
    struct tly_sample_set *set = tly_samples_take(&samples);
    const struct tly_sample *at = tly_sample_set_at(set);
    assert_int_equal(tly_sample_set_count(set), 3);
    assert_int_equal(at[0].family, TLY_F_container_last_seen);
    assert_int_equal(at[1].raw, 1);
    assert_int_equal(at[2].raw, 3);
    expect_text(tly_sample_set_dim(set, at[0].dim), "");
    expect_text(tly_sample_set_dim(set, at[1].dim), "device=\"b\"");
    expect_text(tly_sample_set_dim(set, at[2].dim), "device=\"a\"");
    tly_sample_set_unref(set);

    /* The builder is as new. */
    set = tly_samples_take(&samples);
    assert_int_equal(tly_sample_set_count(set), 0);
    expect_text(tly_sample_set_dim(set, 0), "");
    tly_sample_set_unref(set);
    tly_sample_set_unref(NULL);
}

static void finds_dimensions_again(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b"};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            char value[16];
            (void)snprintf(value, sizeof(value), "%d", i);
            const struct tly_text values[] = {tly_text_of(value), TLY_TEXT("x")};
            assert_int_equal(tly_samples_dim(&samples, names, values, 2), i);
        }
    }
    assert_int_equal(samples.dims, 1000);
    tly_samples_clear(&samples);
    assert_int_equal(tly_samples_dim1(&samples, "a", TLY_TEXT("7")), 0);
}

/* A text that was made before is the same dimension. */
static void takes_ready_texts(void **state)
{
    (void)state;
    static const char *const names[] = {"device", "operation"};
    const struct tly_text values[] = {TLY_TEXT("a\"b"), TLY_TEXT("Read")};
    struct tly_buf text;
    tly_buf_init(&text, 256);
    assert_int_equal(tly_dim_text_append(&text, names, values, 2), 0);
    expect_text(tly_buf_text(&text), "device=\"a\\\"b\",operation=\"Read\"");
    uint16_t other = tly_samples_dim_text(&samples, TLY_TEXT("cpu=\"total\""));
    uint16_t dim = tly_samples_dim(&samples, names, values, 2);
    assert_int_equal(tly_samples_dim_text(&samples, tly_buf_text(&text)), dim);
    assert_true(dim != other);
    assert_int_equal(samples.dims, 2);
    tly_buf_done(&text);
}

static void bounds_samples_and_dimensions(void **state)
{
    (void)state;
    for (int i = 0; i < TLY_SAMPLES_MAX + 3; i++) {
        char value[16];
        (void)snprintf(value, sizeof(value), "%d", i);
        uint16_t dim = tly_samples_dim1(&samples, "n", tly_text_of(value));
        assert_int_equal(dim, i < TLY_SAMPLES_MAX ? i : TLY_DIM_NONE);
        tly_samples_add(&samples, TLY_F_container_last_seen, dim, i);
    }
    assert_int_equal(samples.refused, 6);
    assert_int_equal(tly_samples_dim1(&samples, "n", TLY_TEXT("5")), 5); /* is there */
    struct tly_sample_set *set = tly_samples_take(&samples);
    assert_int_equal(tly_sample_set_count(set), TLY_SAMPLES_MAX);
    expect_text(tly_sample_set_dim(set, TLY_SAMPLES_MAX - 1), "n=\"16383\"");
    assert_int_equal(tly_sample_set_refused(set), 6);
    tly_sample_set_unref(set);
    set = tly_samples_take(&samples); /* nothing was refused since */
    assert_int_equal(tly_sample_set_refused(set), 0);
    tly_sample_set_unref(set);
}

static void clones_and_filters(void **state)
{
    (void)state;
    uint16_t dim = tly_samples_dim1(&samples, "cpu", TLY_TEXT("total"));
    tly_samples_add(&samples, TLY_F_container_last_seen, TLY_DIM_NONE, 5);
    tly_samples_add(&samples, TLY_F_container_cpu_usage_seconds_total, dim, 7);
    struct tly_sample_set *set = tly_samples_take(&samples);
    struct tly_sample_set *clone = tly_sample_set_clone(set);
    assert_true(tly_sample_set_same_dims(set, clone));
    tly_sample_set_edit(clone)[1].raw = 8;
    assert_int_equal(tly_sample_set_at(set)[1].raw, 7);
    expect_text(tly_sample_set_dim(clone, tly_sample_set_at(clone)[1].dim), "cpu=\"total\"");

    struct tly_sample_set *kept = tly_sample_set_filter(set, TLY_FAMILY_KEPT);
    assert_int_equal(tly_sample_set_count(kept), 1);
    assert_int_equal(tly_sample_set_at(kept)[0].raw, 5);
    assert_null(tly_sample_set_filter(kept, TLY_FAMILY_CARRIED));
    tly_sample_set_unref(kept);
    tly_sample_set_unref(clone);
    tly_sample_set_unref(set);
}

static void escapes_label_values(void **state)
{
    (void)state;
    static const struct {
        struct tly_text value;
        const char *expected;
    } rows[] = {
        {TLY_TEXT(""), ""},
        {TLY_TEXT("plain"), "plain"},
        {TLY_TEXT("a\\b\"c\nd"), "a\\\\b\\\"c\\nd"},
        {TLY_TEXT("\",evil=\""), "\\\",evil=\\\""},
        {TLY_TEXT("\\"), "\\\\"},
        {TLY_TEXT("tab\tcr\r"), "tab\tcr\r"}, /* legal in a value */
        {TLY_TEXT("z\xc3\xbcrich \xf0\x9f\x90\xb3"), "z\xc3\xbcrich \xf0\x9f\x90\xb3"},
        {TLY_TEXT("a\0b"), "a\xef\xbf\xbd"
                           "b"},
        {TLY_TEXT("\xff\xfe"), "\xef\xbf\xbd\xef\xbf\xbd"},
        {TLY_TEXT("\xc3"), "\xef\xbf\xbd"},         /* cut in the middle */
        {TLY_TEXT("\xc3\"x"), "\xef\xbf\xbd\\\"x"}, /* does not swallow the quote */
        {TLY_TEXT("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
        {TLY_TEXT("\xc0\x80"), "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong NUL */
    };
    struct tly_buf buf;
    for (size_t i = 0; i < ROWS(rows); i++) {
        tly_buf_init(&buf, 1024);
        assert_int_equal(tly_label_value_append(&buf, rows[i].value), 0);
        expect_text(tly_buf_text(&buf), rows[i].expected);
        tly_buf_done(&buf);
    }
    /* At the maximum nothing is left half written. */
    tly_buf_init(&buf, 4);
    assert_int_equal(tly_buf_append(&buf, "ab", 2), 0);
    assert_int_equal(tly_label_value_append(&buf, TLY_TEXT("c\"d")), TLY_E_LIMIT);
    expect_text(tly_buf_text(&buf), "ab");
    tly_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sorts_by_family_and_keeps_the_order_of_adding, make,
                                        unmake),
        cmocka_unit_test_setup_teardown(finds_dimensions_again, make, unmake),
        cmocka_unit_test_setup_teardown(takes_ready_texts, make, unmake),
        cmocka_unit_test_setup_teardown(bounds_samples_and_dimensions, make, unmake),
        cmocka_unit_test_setup_teardown(clones_and_filters, make, unmake),
        cmocka_unit_test(escapes_label_values),
    };
    return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
