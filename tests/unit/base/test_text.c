/*
 * Views of bytes: rows for each function, with the malformed beside the good, and UTF-8 against a
 * plain decoder, at every place relative to the eight bytes of the fast path.
 */
#include "agent/base/text.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <time.h>

static void compares_ends_and_trims(void **state)
{
    (void)state;
    const struct tly_text none = {NULL, 0};
    assert_true(tly_text_starts(TLY_TEXT("abc"), TLY_TEXT("ab")));
    assert_true(tly_text_starts(TLY_TEXT("abc"), none));
    assert_true(tly_text_starts(none, none));
    assert_false(tly_text_starts(TLY_TEXT("ab"), TLY_TEXT("abc")));
    assert_false(tly_text_starts(TLY_TEXT("xbc"), TLY_TEXT("ab")));
    assert_true(tly_text_ends(TLY_TEXT("abc"), TLY_TEXT("bc")));
    assert_true(tly_text_ends(TLY_TEXT("abc"), none));
    assert_false(tly_text_ends(TLY_TEXT("bc"), TLY_TEXT("abc")));
    assert_false(tly_text_ends(TLY_TEXT("abx"), TLY_TEXT("bc")));
    assert_true(tly_text_equal(none, TLY_TEXT("")));
    assert_false(tly_text_equal(TLY_TEXT("a\0b"), TLY_TEXT("a\0c")));
    expect_text(tly_text_trim(TLY_TEXT(" \t\r\n a b \n\r")), "a b");
    expect_text(tly_text_trim(TLY_TEXT("ab")), "ab");
    expect_text(tly_text_trim(TLY_TEXT(" \n ")), "");
    expect_text(tly_text_trim(none), "");
    assert_int_equal(tly_text_of(NULL).len, 0);
}

static void cuts_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *parts; /* joined by '|' */
    } rows[] = {
        {"a,b,c", "a|b|c"}, {"a,b,", "a|b|"}, {",", "|"}, {",,", "||"}, {"abc", "abc"}, {"", ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_text rest = tly_text_of(rows[i].text);
        char joined[32] = "";
        size_t len = 0;
        for (int part = 0; rest.at; part++) {
            struct tly_text cut = tly_text_cut(&rest, ',');
            len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%.*s",
                                    part > 0 ? "|" : "", (int)cut.len, cut.at);
        }
        assert_string_equal(joined, rows[i].parts);
    }
}

static void reads_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t u64_rc;
        uint64_t u64;
        int64_t i64_rc;
        int64_t i64;
    } rows[] = {
        {"0", 0, 0, 0, 0},
        {"7", 0, 7, 0, 7},
        {"0042", 0, 42, 0, 42},
        {"9223372036854775807", 0, INT64_MAX, 0, INT64_MAX},
        {"9223372036854775808", 0, 1ULL << 63, -ERANGE, 0},
        {"18446744073709551615", 0, UINT64_MAX, -ERANGE, 0},
        {"18446744073709551616", -ERANGE, 0, -ERANGE, 0},
        {"184467440737095516150", -ERANGE, 0, -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0, -ERANGE, 0},
        {"-1", TLY_E_MALFORMED, 0, 0, -1},
        {"-0", TLY_E_MALFORMED, 0, 0, 0},
        {"-9223372036854775808", TLY_E_MALFORMED, 0, 0, INT64_MIN},
        {"-9223372036854775809", TLY_E_MALFORMED, 0, -ERANGE, 0},
        {"", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
        {"-", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
        {"--1", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
        {"+1", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
        {" 1", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
        {"1 ", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
        {"1x", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
        {"99999999999999999999999x", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
        {"0x10", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
        {"1.5", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
        {"/", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
        {":", TLY_E_MALFORMED, 0, TLY_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        uint64_t u64 = 0;
        int64_t i64 = 0;
        assert_int_equal(tly_text_u64(tly_text_of(rows[i].text), &u64), rows[i].u64_rc);
        assert_int_equal(tly_text_i64(tly_text_of(rows[i].text), &i64), rows[i].i64_rc);
        assert_int_equal(u64, rows[i].u64);
        assert_int_equal(i64, rows[i].i64);
    }
}

static void matches_globs(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        bool match;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "anything", true},
        {"**", "x", true},
        {"?", "x", true},
        {"?", "", false},
        {"?", "xy", false},
        {"abc", "abc", true},
        {"abc", "abcd", false},
        {"abc", "ab", false},
        {"com.docker.compose.*", "com.docker.compose.service", true},
        {"com.docker.compose.*", "com.docker.compose", false},
        {"*.service", "a.service", true},
        {"*.service", "a.services", false},
        {"a*b*c", "a1b2c", true},
        {"a*b*c", "abbbcbc", true},
        {"a*b*c", "abbbcb", false},
        {"*a*a*a*", "banana", true},
        {"*a*a*a*a*", "banana", false},
        {"a?c*", "abc", true},
        {"*?", "", false},
        {"*?*?", "ab", true},
        {"*?*?", "a", false},
        {"a*", "b", false},
        {"[ab]", "a", false},
        {"[ab]", "[ab]", true},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        if (tly_text_glob(tly_text_of(rows[i].pattern), tly_text_of(rows[i].text)) !=
            rows[i].match) {
            fail_msg("pattern \"%s\", text \"%s\"", rows[i].pattern, rows[i].text);
        }
    }
}

static void a_hostile_glob_ends(void **state)
{
    (void)state;
    /* Exponential for a matcher that goes back to every star: 2^100 steps. */
    char pattern[201];
    static char text[100000];
    for (size_t i = 0; i < sizeof(pattern) - 1; i += 2) {
        pattern[i] = '*';
        pattern[i + 1] = 'a';
    }
    pattern[sizeof(pattern) - 1] = 'b';
    memset(text, 'a', sizeof(text));
    clock_t before = clock();
    assert_false(tly_text_glob((struct tly_text){pattern, sizeof(pattern)},
                               (struct tly_text){text, sizeof(text)}));
    assert_true(clock() - before < 10 * CLOCKS_PER_SEC);
}

static void measures_distances(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        unsigned cap;
        unsigned distance;
    } rows[] = {
        {"", "", 5, 0},
        {"interval", "interval", 3, 0},
        {"intervall", "interval", 3, 1},
        {"intreval", "interval", 3, 2},
        {"kitten", "sitting", 9, 3},
        {"kitten", "sitting", 3, 3},
        {"kitten", "sitting", 2, 2},
        {"", "abc", 9, 3},
        {"abc", "", 9, 3},
        {"abc", "xyz", 9, 3},
        {"abc", "xyz", 0, 0},
        {"a", "b", 1, 1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_text a = tly_text_of(rows[i].a);
        struct tly_text b = tly_text_of(rows[i].b);
        assert_int_equal(tly_text_distance(a, b, rows[i].cap), rows[i].distance);
        assert_int_equal(tly_text_distance(b, a, rows[i].cap), rows[i].distance);
    }
    char bytes[65];
    memset(bytes, 'a', sizeof(bytes));
    struct tly_text longest = {bytes, 64};
    struct tly_text longer = {bytes, 65};
    assert_int_equal(tly_text_distance(longest, longest, 9), 0);
    assert_int_equal(tly_text_distance(longer, longer, 9), 9);
    assert_int_equal(tly_text_distance(longest, longer, 9), 9);
}

static void duplicates(void **state)
{
    (void)state;
    char *copy = tly_text_dup(TLY_TEXT("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
    copy = tly_text_dup((struct tly_text){NULL, 0});
    assert_string_equal(copy, "");
    free(copy);
    assert_null(tly_text_dup((struct tly_text){"", SIZE_MAX}));
}

static void finds_the_end_of_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        size_t valid;
    } rows[] = {
        {"", 0, 0},
        {"plain ASCII of some length", 26, 26},
        {"\0\0", 2, 2},
        {"\x7f", 1, 1},
        {"\x80", 1, 0},
        {"a\xbf", 2, 1},
        {"\xc2\x80", 2, 2},
        {"\xdf\xbf", 2, 2},
        {"\xc0\x80", 2, 0}, /* overlong NUL */
        {"\xc1\xbf", 2, 0},
        {"\xc2", 1, 0},
        {"\xc2\x41", 2, 0},
        {"\xc2\xc2", 2, 0},
        {"\xe0\xa0\x80", 3, 3},
        {"\xe0\x9f\xbf", 3, 0}, /* overlong */
        {"\xe2\x82\xac", 3, 3}, /* the euro sign */
        {"\xe2\x82", 2, 0},
        {"\xe2\x82\x41", 3, 0},
        {"\xed\x9f\xbf", 3, 3},
        {"\xed\xa0\x80", 3, 0}, /* surrogates */
        {"\xed\xbf\xbf", 3, 0},
        {"\xee\x80\x80", 3, 3},
        {"\xef\xbf\xbf", 3, 3},
        {"\xf0\x90\x80\x80", 4, 4},
        {"\xf0\x8f\xbf\xbf", 4, 0}, /* overlong */
        {"\xf0\x9f\x90\xb3", 4, 4}, /* a whale */
        {"\xf0\x9f\x90", 3, 0},
        {"\xf4\x8f\xbf\xbf", 4, 4}, /* U+10FFFF */
        {"\xf4\x90\x80\x80", 4, 0}, /* beyond it */
        {"\xf5\x80\x80\x80", 4, 0},
        {"\xff", 1, 0},
        {"1234567\xc3\xa4", 9, 9}, /* a letter across the eight bytes */
        {"12345678\xc3\xa4", 10, 10},
        {"1234567\xc3", 8, 7},
        {"\xc3\xa4"
         "12345678\xff"
         "12345678",
         19, 10},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        size_t valid = tly_text_utf8_prefix((struct tly_text){rows[i].bytes, rows[i].len});
        if (valid != rows[i].valid) {
            fail_msg("row %zu: %zu", i, valid);
        }
    }
}

/* By the letter of RFC 3629: decode, and see whether the shortest form gives the same bytes. */
static size_t slow_utf8_prefix(const unsigned char *at, size_t len)
{
    size_t i = 0;
    while (i < len) {
        size_t need = at[i] < 0x80             ? 1
                      : (at[i] & 0xE0) == 0xC0 ? 2
                      : (at[i] & 0xF0) == 0xE0 ? 3
                      : (at[i] & 0xF8) == 0xF0 ? 4
                                               : 0;
        if (need == 0 || need > len - i) {
            return i;
        }
        uint32_t value = need == 1 ? at[i] : at[i] & (0xFFU >> (need + 1));
        for (size_t k = 1; k < need; k++) {
            if ((at[i + k] & 0xC0) != 0x80) {
                return i;
            }
            value = value << 6 | (at[i + k] & 0x3F);
        }
        size_t shortest = value < 0x80 ? 1 : value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
        if (shortest != need || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
            return i;
        }
        i += need;
    }
    return i;
}

static void utf8_agrees_with_a_plain_decoder(void **state)
{
    (void)state;
    /* Every pair and triple of interesting bytes, behind 0 to 9 ASCII bytes. */
    static const unsigned char bytes[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0,
                                          0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED,
                                          0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xF8, 0xFF};
    enum { N = sizeof(bytes) };
    for (size_t before = 0; before < 10; before++) {
        for (size_t n = 0; n < (size_t)N * N * N * N; n++) {
            unsigned char text[14];
            memset(text, 'a', sizeof(text));
            text[before] = bytes[n % N];
            text[before + 1] = bytes[n / N % N];
            text[before + 2] = bytes[n / N / N % N];
            text[before + 3] = bytes[n / N / N / N];
            size_t valid = tly_text_utf8_prefix((struct tly_text){(char *)text, before + 4});
            if (valid != slow_utf8_prefix(text, before + 4)) {
                fail_msg("%02x %02x %02x %02x: %zu", text[before], text[before + 1],
                         text[before + 2], text[before + 3], valid);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_ends_and_trims),
        cmocka_unit_test(cuts_parts),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(matches_globs),
        cmocka_unit_test(a_hostile_glob_ends),
        cmocka_unit_test(measures_distances),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(finds_the_end_of_utf8),
        cmocka_unit_test(utf8_agrees_with_a_plain_decoder),
    };
    return cmocka_run_group_tests_name("base:text", tests, NULL, NULL);
}
