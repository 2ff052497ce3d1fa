/* Regular expressions: RE2's syntax and no other, anchored, with Go's expansion. */
#include "agent/rules/regex.h"

#include "tests/unit/unit.h"

static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {".*", "", true},
        {".*", "a\nb", true},
        {".+", "", false},
        {".+", "x", true},
        {"abc", "abc", true},
        {"abc", "abcd", false},
        {"a|bc|d", "bc", true},
        {"a|bc|d", "b", false},
        {"a||b", "", true},
        {"web.*", "web-1", true},
        {"web.*", "aweb", false},
        {"web.+", "web", false},
        {"a.c", "a\nc", true},
        {"(?-s:a.c)", "a\nc", false},
        {"a|ab", "ab", true},
        {"^abc$", "abc", true},
        {"a$|b", "a\n", false},
        {"(?i)AbC", "aBc", true},
        {"(a(?i)b|c)", "C", true},
        {"a{2,3}", "aaa", true},
        {"a{2}", "aaa", false},
        {"a{,2}", "a{,2}", true},
        {"[a-c]+", "abc", true},
        {"[^a-c]", "d", true},
        {"[]a]", "]", true},
        {"[[:digit:]]+", "123", true},
        {"[[:^digit:]]", "1", false},
        {"\\d+\\.\\d*", "1.5", true},
        {"\\s", "\v", false},
        {"\\S", "\v", true},
        {"[\\s]", " ", true},
        {"\\w+", "\xc3\xa9", false},
        {"\\pL+", "\xc3\xa9", true},
        {"\\p{Greek}", "\xce\xb1", true},
        {".", "\xe2\x82\xac", true},
        {"..", "\xe2\x82\xac", false},
        {"\\x{20ac}", "\xe2\x82\xac", true},
        {"\\Qa.b\\E.", "a.bc", true},
        {"\\Qa.b\\E", "axb", false},
        {"(?P<x>a)(?<y>b)", "ab", true},
        {"(?:a|b){2}", "ab", true},
        {"^*a", "a", true},
        {"\\bab\\b", "ab", true},
        {"0|143", "143", true},
        {"a\\/b\\-c", "a/b-c", true},
        {"#x y", "#x y", true},
        {"\\101", "A", true},
        {"(?U)a+?", "aaa", true},
        {"a", "\xff", false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_regex *regex = NULL;
        struct tly_error err = {.code = 0};
        if (tly_regex_new(tly_text_of(rows[i].pattern), &regex, NULL, &err) < 0) {
            fail_msg("%s: %s", rows[i].pattern, err.text);
        }
        if (tly_regex_matches(regex, tly_text_of(rows[i].text)) != rows[i].matches) {
            fail_msg("%s on %s: not %d", rows[i].pattern, rows[i].text, rows[i].matches);
        }
        tly_regex_free(regex);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        size_t at;
    } rows[] = {
        {"a(?=b)", "lookahead is not supported (RE2 has none)", 1},
        {"a(?!b)", "lookahead is not supported (RE2 has none)", 1},
        {"(?<=a)b", "lookbehind is not supported (RE2 has none)", 0},
        {"(?<!a)b", "lookbehind is not supported (RE2 has none)", 0},
        {"(a)\\1", "backreferences are not supported (RE2 has none)", 3},
        {"(?>a)", "invalid or unsupported Perl syntax", 0},
        {"(?#x)", "invalid or unsupported Perl syntax", 0},
        {"(?R)", "invalid or unsupported Perl syntax", 0},
        {"(?|a)", "invalid or unsupported Perl syntax", 0},
        {"(?x)a", "invalid or unsupported Perl syntax", 0},
        {"(?i-)a", "invalid or unsupported Perl syntax", 0},
        {"(*UCP)a", "missing argument to repetition operator", 1},
        {"*a", "missing argument to repetition operator", 0},
        {"a|+", "missing argument to repetition operator", 2},
        {"{2}", "missing argument to repetition operator", 0},
        {"(?i)*", "missing argument to repetition operator", 4},
        {"a**", "invalid nested repetition operator", 2},
        {"a*+", "invalid nested repetition operator", 2},
        {"a+{2}", "invalid nested repetition operator", 2},
        {"a{2}{3}", "invalid nested repetition operator", 4},
        {"a{1001}", "invalid repeat count", 1},
        {"a{3,2}", "invalid repeat count", 1},
        {"(a{100}){11}", "invalid repeat count: nested repetitions multiply", 8},
        {"(a", "missing closing )", 0},
        {"a)", "unexpected )", 1},
        {"a[b", "missing closing ]", 1},
        {"[", "missing closing ]", 0},
        {"[z-a]", "invalid character class range", 1},
        {"[[:foo:]]", "invalid character class range", 1},
        {"[a-\\d]", "invalid escape sequence", 3},
        {"a\\", "trailing backslash at the end of the pattern", 1},
        {"\\h", "invalid escape sequence", 0},
        {"\\K", "invalid escape sequence", 0},
        {"\\Z", "invalid escape sequence", 0},
        {"\\C", "\\C (a single byte) is not supported", 0},
        {"\\x{110000}", "invalid escape sequence", 0},
        {"\\p{L", "invalid character class", 0},
        {"(?P<>a)", "invalid named capture", 0},
        {"a\xff", "invalid UTF-8", 1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_regex *regex = NULL;
        struct tly_error err = {.code = 0};
        size_t at = 999;
        int rc = tly_regex_new(tly_text_of(rows[i].pattern), &regex, &at, &err);
        if (rc != TLY_E_MALFORMED || strcmp(err.text, rows[i].text) != 0 || at != rows[i].at) {
            fail_msg("%s: %d \"%s\" at %zu", rows[i].pattern, rc, err.text, at);
        }
    }
}

static void test_expand(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text, *replacement;
        int rc;
        const char *expanded;
    } rows[] = {
        {"(.*)-(.*)", "a-b", "$2/$1", 1, "b/a"},
        {"(?P<one>.*)-.*", "a-b", "${one}x$one", 1, "axa"},
        {"(.*)", "a", "$1x", 1, ""},
        {"(.*)", "a", "${1}x", 1, "ax"},
        {"(.*)", "a", "$$1$", 1, "$1$"},
        {"(.*)", "a", "$9${nope}${", 1, "${"},
        {"(a)|(b)", "b", "<$1$2>", 1, "<b>"},
        {"(?P<x>a)|(?P<x>b)", "b", "<$x>", 1, "<b>"},
        {"abc", "abc", "$0", 1, "abc"},
        {".*", "", "empty", 1, "empty"},
        {"abc", "abd", "x", 0, ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_regex *regex = NULL;
        assert_int_equal(tly_regex_new(tly_text_of(rows[i].pattern), &regex, NULL, NULL), 0);
        struct tly_buf buf;
        tly_buf_init(&buf, 64);
        assert_int_equal(tly_regex_expand(regex, tly_text_of(rows[i].text),
                                          tly_text_of(rows[i].replacement), &buf),
                         rows[i].rc);
        expect_text(tly_buf_text(&buf), rows[i].expanded);
        tly_buf_done(&buf);
        tly_regex_free(regex);
    }
}

/* What takes a backtracking matcher ages is given up, and quickly. */
static void test_bound(void **state)
{
    (void)state;
    struct tly_regex *regex = NULL;
    char text[201] = {0};
    memset(text, 'a', sizeof(text) - 1);
    assert_int_equal(tly_regex_new(TLY_TEXT("(a*)*(a*)*(a*)*b"), &regex, NULL, NULL), 0);
    assert_false(tly_regex_matches(regex, tly_text_of(text)));
    tly_regex_free(regex);
    /* What is long and harmless is matched to its end. */
    static char value[20001];
    for (size_t i = 0; i + 1 < sizeof(value); i++) {
        value[i] = i % 3 == 0 ? 'a' : 'b';
    }
    assert_int_equal(tly_regex_new(TLY_TEXT("(?:a|(b))*"), &regex, NULL, NULL), 0);
    assert_true(tly_regex_matches(regex, tly_text_of(value)));
    tly_regex_free(regex);
    char longest[TLY_REGEX_LEN_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(tly_regex_new((struct tly_text){longest, sizeof(longest)}, &regex, NULL, NULL),
                     TLY_E_LIMIT);
    memset(longest, '(', sizeof(longest));
    assert_int_equal(tly_regex_new((struct tly_text){longest, 300}, &regex, NULL, NULL),
                     TLY_E_MALFORMED);
}

/* Of a text that is no whole UTF-8 either: what the compiled form of some patterns did. */
static void test_nothing_behind_a_text_is_read(void **state)
{
    (void)state;
    struct guarded guarded = guarded_make();
    struct tly_regex *regex = NULL;
    assert_int_equal(tly_regex_new_search(TLY_TEXT("\\b"), &regex, NULL), 0);
    for (unsigned byte = 0x80; byte <= 0xff; byte++) {
        const char bytes[] = {'a', ' ', 'b', (char)byte};
        struct tly_text text = guarded_text(&guarded, (struct tly_text){bytes, sizeof(bytes)});
        assert_true(tly_regex_found(regex, text));
        struct tly_buf buf;
        tly_buf_init(&buf, 64);
        assert_int_equal(tly_regex_replace_all(regex, text, TLY_TEXT("-"), &buf), 0);
        assert_true(tly_text_starts(tly_buf_text(&buf), TLY_TEXT("-a- -b")));
        tly_buf_done(&buf);
    }
    tly_regex_free(regex);
    guarded_done(&guarded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches), cmocka_unit_test(test_nothing_behind_a_text_is_read),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_expand),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
