/*
 * Patterns: what is found where, in texts of any bytes, and what is refused.
 */
#include "agent/codec/pattern.h"
#include "agent/codec/token_shape.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static struct tly_pattern *compiled(const char *text)
{
    struct tly_pattern *pattern = NULL;
    struct tly_error err = {0};
    if (tly_pattern_new(text, &pattern, &err) < 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return pattern;
}

static void rows_of_matches(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        int found;
        size_t start, end, next;
    } rows[] = {
        {"b+", "abbc", 1, 1, 3, 3},
        {"b+", "ac", 0, 0, 0, 0},
        {"key=(\\w+);", "a key=x1; b", 1, 6, 8, 9},
        {"key=(\\w+)?;", "key=;", 1, 0, 5, 5}, /* the group took no part */
        {"x*", "\xc3\xa9", 1, 0, 0, 2},        /* nothing, and on by a whole character */
        {"^.$", "\xc3\xa9", 1, 0, 2, 2},       /* a character, not a byte */
        {"caf\xc3\xa9", "\xff caf\xc3\xa9", 1, 2, 7, 7},
        {"a.c",
         "a\xff"
         "c",
         0, 0, 0, 0}, /* what is no UTF-8 fits nothing */
        {"(?i)ERR", "an err", 1, 3, 6, 6},
        {"$", "", 1, 0, 0, 1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_pattern *pattern = compiled(rows[i].pattern);
        struct tly_pattern_match match = {0};
        int found = tly_pattern_find(pattern, tly_text_of(rows[i].text), 0, &match);
        if (found != rows[i].found || match.start != rows[i].start || match.end != rows[i].end ||
            match.next != rows[i].next) {
            fail_msg("%s: %d, %zu to %zu, on at %zu", rows[i].pattern, found, match.start,
                     match.end, match.next);
        }
        tly_pattern_free(pattern);
    }
}

static void a_search_goes_on(void **state)
{
    (void)state;
    struct tly_pattern *pattern = compiled("o");
    struct tly_pattern_match match;
    assert_int_equal(tly_pattern_find(pattern, TLY_TEXT("foo"), 2, &match), 1);
    assert_int_equal(match.start, 2);
    assert_int_equal(tly_pattern_find(pattern, TLY_TEXT("foo"), match.next, &match), 0);
    assert_int_equal(tly_pattern_find(pattern, TLY_TEXT("foo"), 4, &match), 0);
    assert_int_equal(tly_pattern_find(pattern, (struct tly_text){NULL, 0}, 0, &match), 0);
    tly_pattern_free(pattern);
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *complaint;
    } rows[] = {
        {"", "an empty pattern fits every line"},
        {"a(b", "at character 4 of the pattern: missing closing parenthesis"},
        {"a\\C", "at character 4 of the pattern"},
        {"\xff", "at character 1 of the pattern"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_pattern *pattern = NULL;
        struct tly_error err = {0};
        assert_int_equal(tly_pattern_new(rows[i].pattern, &pattern, &err), TLY_E_MALFORMED);
        if (!strstr(err.text, rows[i].complaint)) {
            fail_msg("%s: %s", rows[i].pattern, err.text);
        }
    }
    char *longest = malloc(TLY_PATTERN_LEN_MAX + 2);
    struct tly_pattern *pattern = NULL;
    assert_non_null(longest);
    memset(longest, 'a', TLY_PATTERN_LEN_MAX + 1);
    longest[TLY_PATTERN_LEN_MAX + 1] = '\0';
    assert_int_equal(tly_pattern_new(longest, &pattern, NULL), TLY_E_MALFORMED);
    longest[TLY_PATTERN_LEN_MAX] = '\0';
    assert_int_equal(tly_pattern_new(longest, &pattern, NULL), 0);
    tly_pattern_free(pattern);
    free(longest);
}

/* A line that was cut within a character, or ends in a byte that begins none. PCRE2's compiled form
 * went past its end: that of the shapes of tokens, which stand in every redaction of secrets. */
static void nothing_behind_a_text_is_read(void **state)
{
    (void)state;
    static const struct tly_text rows[] = {
        TLY_TEXT("aaaa\x90"), TLY_TEXT("line \xe2\x82"),    TLY_TEXT("line \xf0\x9f\x90"),
        TLY_TEXT("x\xc3"),    TLY_TEXT("\xff\xff\xff\xff"), TLY_TEXT("a whole line"),
        TLY_TEXT(""),
    };
    static const char *const patterns[] = {tly_token_shapes_pattern, "^\\S", "(?<=\\w)x", "\\d+$"};
    struct guarded guarded = guarded_make();
    for (size_t p = 0; p < ROWS(patterns); p++) {
        struct tly_pattern *pattern = compiled(patterns[p]);
        for (size_t i = 0; i < ROWS(rows); i++) {
            struct tly_text text = guarded_text(&guarded, rows[i]);
            for (size_t from = 0; from <= text.len; from++) {
                struct tly_pattern_match match = {0};
                int found = tly_pattern_find(pattern, text, from, &match);
                assert_true(found == 0 || (found == 1 && match.end <= text.len));
            }
        }
        tly_pattern_free(pattern);
    }
    guarded_done(&guarded);
}

static void an_exploding_pattern_ends(void **state)
{
    (void)state;
    struct tly_pattern *pattern = compiled("(a+)+$");
    struct tly_pattern_match match;
    char text[64];
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = 'b';
    assert_int_equal(tly_pattern_find(pattern, (struct tly_text){text, sizeof(text)}, 0, &match),
                     TLY_E_LIMIT);
    tly_pattern_free(pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_matches),
        cmocka_unit_test(a_search_goes_on),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(nothing_behind_a_text_is_read),
        cmocka_unit_test(an_exploding_pattern_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
