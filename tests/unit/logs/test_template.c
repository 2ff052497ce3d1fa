/*
 * The records' common part: what it holds, what can't be put into it, and that a failed change
 * leaves it as it was.
 */
#include "agent/codec/docker_line.h"
#include "agent/codec/record_json.h"
#include "collectors/logs/template.h"
#include "tests/unit/unit.h"

#include <unistd.h>

#define TIME_NS 1700000000000000000LL

static int take_attrs(struct tly_log_template *template, struct tly_text attrs)
{
    return tly_log_template_attrs(template, attrs, tly_docker_line_attrs);
}

/* A whole line, as the hot path writes it. */
static void expect_line(const struct tly_log_template *template, const char *stream,
                        const char *text, const char *json)
{
    char record[4096];
    struct tly_buf line;
    struct tly_text log = tly_text_of(text);
    assert_true(tly_log_template_room(template) + log.len <= sizeof(record));
    tly_log_template_put(template, record, TIME_NS, stream);
    char *end = tly_record_put_str(record + template->bytes.len, log);
    tly_buf_init(&line, SIZE_MAX);
    assert_int_equal(tly_record_json(&line, (struct tly_text){record, (size_t)(end - record)},
                                     (struct tly_json_style){.raw_bytes = true}),
                     0);
    expect_text(tly_buf_text(&line), json);
    tly_buf_done(&line);
}

static void expect_record(const struct tly_log_template *template,
                          const struct tly_log_record *record, const char *json)
{
    char bytes[4096];
    struct tly_buf line;
    size_t room = tly_log_record_room(template, record);
    assert_true(room <= sizeof(bytes));
    char *end = tly_log_record_put(template, record, bytes);
    assert_true((size_t)(end - bytes) <= room);
    tly_buf_init(&line, SIZE_MAX);
    assert_int_equal(tly_record_json(&line, (struct tly_text){bytes, (size_t)(end - bytes)},
                                     (struct tly_json_style){.raw_bytes = true}),
                     0);
    expect_text(tly_buf_text(&line), json);
    tly_buf_done(&line);
}

static void lines_of_a_container(void **state)
{
    (void)state;
    struct tly_log_template template;
    tly_log_template_init(&template);
    assert_int_equal(tly_log_template_identify(&template, "abc", NULL), 0);
    expect_line(
        &template, "stdout", "hi",
        "[\"2023-11-14T22:13:20.000000000Z\",{\"container_id\":\"abc\",\"source\":\"stdout\","
        "\"log\":\"hi\"}]");
    assert_int_equal(tly_log_template_identify(&template, "abc", "web"), 0);
    assert_int_equal(take_attrs(&template, TLY_TEXT("{\"env\":\"\\u0041\"}")), 0);
    assert_true(tly_log_template_has_attrs(&template, TLY_TEXT("{\"env\":\"\\u0041\"}")));
    expect_line(
        &template, "stderr", "",
        "[\"2023-11-14T22:13:20.000000000Z\",{\"container_id\":\"abc\",\"container_name\":\"/web\","
        "\"source\":\"stderr\",\"env\":\"A\",\"log\":\"\"}]");
    assert_int_equal(tly_log_template_identify(&template, "abc", "other"), 0);
    assert_int_equal(take_attrs(&template, TLY_TEXT("")), 0);
    expect_line(&template, "stdout", "x",
                "[\"2023-11-14T22:13:20.000000000Z\",{\"container_id\":\"abc\",\"container_name\":"
                "\"/other\","
                "\"source\":\"stdout\",\"log\":\"x\"}]");
    tly_log_template_done(&template);
}

static void records_beyond_the_template(void **state)
{
    (void)state;
    struct tly_log_template template;
    tly_log_template_init(&template);
    assert_int_equal(tly_log_template_identify(&template, "abc", "web"), 0);
    assert_int_equal(take_attrs(&template, TLY_TEXT("{\"a\":\"1\"}")), 0);
    const struct tly_log_record torn = {.time_ns = TIME_NS,
                                        .source = TLY_TEXT("unknown"),
                                        .log = TLY_TEXT("{to"),
                                        .malformed = true};
    expect_record(
        &template, &torn,
        "[\"2023-11-14T22:13:20.000000000Z\",{\"container_id\":\"abc\",\"container_name\":\"/web\","
        "\"source\":\"unknown\",\"a\":\"1\",\"malformed\":\"true\",\"log\":\"{to\"}]");
    const struct tly_log_record part = {.time_ns = TIME_NS,
                                        .source = TLY_TEXT("stdout"),
                                        .log = TLY_TEXT("p"),
                                        .partial_ordinal = 4294967295U,
                                        .partial_last = true,
                                        .partial_id = {1, UINT64_MAX}};
    expect_record(
        &template, &part,
        "[\"2023-11-14T22:13:20.000000000Z\",{\"container_id\":\"abc\",\"container_name\":\"/web\","
        "\"source\":\"stdout\",\"a\":\"1\",\"partial_message\":\"true\","
        "\"partial_id\":\"0000000000000001ffffffffffffffff\","
        "\"partial_ordinal\":\"4294967295\",\"partial_last\":\"true\",\"log\":\"p\"}]");
    tly_log_template_done(&template);
}

/* Labels may be called as Docker's own fields are: those keep their meaning. */
static void labels_replace_no_field(void **state)
{
    (void)state;
    struct tly_log_template template;
    tly_log_template_init(&template);
    assert_int_equal(tly_log_template_identify(&template, "abc", NULL), 0);
    assert_int_equal(
        take_attrs(&template, TLY_TEXT("{\"container_id\":\"x\",\"log\":\"y\",\"ok\":\"1\","
                                       "\"source\":\"z\",\"partial_last\":\"w\",\"number\":5}")),
        0);
    expect_line(
        &template, "stdout", "x",
        "[\"2023-11-14T22:13:20.000000000Z\",{\"container_id\":\"abc\",\"source\":\"stdout\","
        "\"ok\":\"1\",\"log\":\"x\"}]");
    tly_log_template_done(&template);
}

/* A name or attributes of absurd length are refused, and the template stays as it was. */
static void too_much_is_refused(void **state)
{
    (void)state;
    static char huge[100000];
    struct tly_log_template template;
    tly_log_template_init(&template);
    memset(huge, 'n', sizeof(huge) - 1);
    assert_int_equal(tly_log_template_identify(&template, "abc", "web"), 0);
    assert_int_equal(take_attrs(&template, TLY_TEXT("{\"a\":\"1\"}")), 0);
    assert_int_equal(tly_log_template_identify(&template, "abc", huge), TLY_E_LIMIT);
    assert_int_equal(take_attrs(&template, tly_text_of(huge)), TLY_E_LIMIT);
    expect_line(
        &template, "stdout", "x",
        "[\"2023-11-14T22:13:20.000000000Z\",{\"container_id\":\"abc\",\"container_name\":\"/web\","
        "\"source\":\"stdout\",\"a\":\"1\",\"log\":\"x\"}]");
    assert_int_equal(take_attrs(&template, TLY_TEXT("{\"b\":\"2\",")), 0);
    expect_line(
        &template, "stdout", "x",
        "[\"2023-11-14T22:13:20.000000000Z\",{\"container_id\":\"abc\",\"container_name\":\"/web\","
        "\"source\":\"stdout\",\"b\":\"2\",\"log\":\"x\"}]");
    tly_log_template_done(&template);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_a_container),
        cmocka_unit_test(records_beyond_the_template),
        cmocka_unit_test(labels_replace_no_field),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
