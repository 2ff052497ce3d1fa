/*
 * The splitter of JSON streams: whatever the cuts, the same values come out.
 */
#include "agent/codec/json_split.h"

#include "tests/unit/unit.h"

struct seen {
    struct tly_buf text; /* the values, each followed by a bar */
    size_t count;
};

static int keep(void *arg, struct tly_text json)
{
    struct seen *seen = arg;
    seen->count++;
    assert_int_equal(tly_buf_append_text(&seen->text, json), 0);
    return tly_buf_append(&seen->text, "|", 1);
}

struct row {
    enum tly_json_split_form form;
    const char *input;
    const char *expected;
    unsigned malformed, oversized;
    bool complete;
};

#define VALUE_MAX 24

static const struct row rows[] = {
    {TLY_JSON_VALUES, "", "", 0, 0, true},
    {TLY_JSON_VALUES, "{\"a\":1}{\"b\":2}", "{\"a\":1}|{\"b\":2}|", 0, 0, true},
    {TLY_JSON_VALUES, " \r\n{\"a\":1}\n\n\t{}\n", "{\"a\":1}|{}|", 0, 0, true},
    {TLY_JSON_VALUES, "\x1e{\"a\":1}\n\x1e{}\n", "{\"a\":1}|{}|", 0, 0, true},
    {TLY_JSON_VALUES, "{\"a\":[{\"}\":\"]\"}]}", "{\"a\":[{\"}\":\"]\"}]}|", 0, 0, true},
    {TLY_JSON_VALUES, "{\"a\":\"\\\"}\\\\\"}{}", "{\"a\":\"\\\"}\\\\\"}|{}|", 0, 0, true},
    {TLY_JSON_VALUES, "{\n \"a\": 1\n}\n", "{\n \"a\": 1\n}|", 0, 0, true},
    {TLY_JSON_VALUES, "[1,[2]]{}", "[1,[2]]|{}|", 0, 0, true},
    /* What is no value is passed over, and counted once per run. */
    {TLY_JSON_VALUES, "null {}", "{}|", 1, 0, true},
    {TLY_JSON_VALUES, "<html>{}</html>", "{}|", 2, 0, true},
    {TLY_JSON_VALUES, "}{}", "{}|", 1, 0, true},
    /* A value whose end got lost does not swallow the next. */
    {TLY_JSON_VALUES, "{\"a\":\x1e{\"b\":2}", "{\"b\":2}|", 1, 0, true},
    {TLY_JSON_VALUES, "{\"a\":\"cut\n{\"b\":2}", "{\"b\":2}|", 1, 0, true},
    {TLY_JSON_VALUES, "{\"a\":", "", 0, 0, false},
    {TLY_JSON_VALUES, "{\"a\":\"}", "", 0, 0, false},
    /* Of 24 bytes, and of 25. */
    {TLY_JSON_VALUES, "{\"a\":\"0123456789012345\"}{}", "{\"a\":\"0123456789012345\"}|{}|", 0, 0,
     true},
    {TLY_JSON_VALUES, "{\"a\":\"01234567890123456\"}{}", "{}|", 0, 1, true},
    {TLY_JSON_ELEMENTS, "[]", "", 0, 0, true},
    {TLY_JSON_ELEMENTS, " [ {\"a\":1} , {\"b\":[2]},{}]\n", "{\"a\":1}|{\"b\":[2]}|{}|", 0, 0,
     true},
    {TLY_JSON_ELEMENTS, "[{\"a\":\"]\"},[1]]", "{\"a\":\"]\"}|[1]|", 0, 0, true},
    {TLY_JSON_ELEMENTS, "[{},", "{}|", 0, 0, false},
    {TLY_JSON_ELEMENTS, "[{}", "{}|", 0, 0, false},
    {TLY_JSON_ELEMENTS, "", "", 0, 0, false},
    {TLY_JSON_ELEMENTS, "[1,{}]", "{}|", 1, 0, true},
    {TLY_JSON_ELEMENTS, "[{}] {}", "{}|", 1, 0, true},
    {TLY_JSON_ELEMENTS, "{\"message\":\"no\"}", "", 1, 0, false},
};

/* Feeds the input in pieces of `piece` bytes, each from memory of its own, so that a read beyond
 * its end is seen by the sanitizer. */
static void feed(struct tly_json_split *split, const char *input, size_t piece, struct seen *seen)
{
    for (size_t at = 0, len = strlen(input); at < len; at += piece) {
        size_t count = len - at < piece ? len - at : piece;
        char *copy = malloc(count);
        assert_non_null(copy);
        memcpy(copy, input + at, count);
        assert_int_equal(tly_json_split_feed(split, (struct tly_text){copy, count}, keep, seen), 0);
        free(copy);
    }
}

static void test_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        for (size_t piece = 1; piece <= strlen(rows[i].input) + 1; piece++) {
            struct seen seen = {0};
            struct tly_json_split split;
            tly_buf_init(&seen.text, 4096);
            tly_json_split_init(&split, rows[i].form, VALUE_MAX);
            feed(&split, rows[i].input, piece, &seen);
            expect_text(tly_buf_text(&seen.text), rows[i].expected);
            assert_int_equal(split.malformed, rows[i].malformed);
            assert_int_equal(split.oversized, rows[i].oversized);
            assert_int_equal(tly_json_split_complete(&split), rows[i].complete);
            tly_json_split_done(&split);
            tly_buf_done(&seen.text);
        }
    }
}

/* After a stream that broke off in the middle the next one starts afresh. */
static void test_clear(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct tly_json_split split;
    tly_buf_init(&seen.text, 4096);
    tly_json_split_init(&split, TLY_JSON_VALUES, VALUE_MAX);
    feed(&split, "{\"a\":\"", 100, &seen);
    tly_json_split_clear(&split);
    assert_int_equal(split.malformed, 1);
    feed(&split, "{}", 100, &seen);
    expect_text(tly_buf_text(&seen.text), "{}|");
    tly_json_split_done(&split);
    tly_buf_done(&seen.text);
}

static void test_runaway(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct tly_json_split split;
    tly_json_split_init(&split, TLY_JSON_VALUES, VALUE_MAX);
    int rc = tly_json_split_feed(&split, TLY_TEXT("{\"a\":\""), keep, &seen);
    size_t fed = 0;
    while (rc == 0 && fed < (size_t)2 * VALUE_MAX * TLY_JSON_SPLIT_RUNAWAY) {
        rc = tly_json_split_feed(&split, TLY_TEXT("0123456789"), keep, &seen);
        fed += 10;
    }
    assert_int_equal(rc, TLY_E_LIMIT);
    assert_int_equal(split.oversized, 1);
    assert_int_equal(seen.count, 0);
    tly_json_split_done(&split);
}

static int stop_at_second(void *arg, struct tly_text json)
{
    unsigned *count = arg;
    (void)json;
    return ++*count == 2 ? 7 : 0;
}

static void test_the_callback_may_stop_it(void **state)
{
    (void)state;
    unsigned count = 0;
    struct tly_json_split split;
    tly_json_split_init(&split, TLY_JSON_VALUES, VALUE_MAX);
    assert_int_equal(tly_json_split_feed(&split, TLY_TEXT("{}{}{}"), stop_at_second, &count), 7);
    assert_int_equal(count, 2);
    tly_json_split_done(&split);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_runaway),
        cmocka_unit_test(test_the_callback_may_stop_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
