/* Tokens: what each bracket makes of a character, strings with their escapes, and the faults. */
#include "agent/rules/lexer.h"

#include "agent/rules/unquote.h"
#include "tests/unit/unit.h"

#define KINDS_MAX 16

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum tly_token_kind kinds[KINDS_MAX];
    } rows[] = {
        {"", {TLY_TOKEN_END}},
        {" # a comment\n# another\r", {TLY_TOKEN_END}},
        {"sum by (x)",
         {TLY_TOKEN_SUM, TLY_TOKEN_BY, TLY_TOKEN_LEFT_PAREN, TLY_TOKEN_IDENTIFIER,
          TLY_TOKEN_RIGHT_PAREN, TLY_TOKEN_END}},
        {"SUM Without", {TLY_TOKEN_SUM, TLY_TOKEN_WITHOUT, TLY_TOKEN_END}},
        {"a:b:c", {TLY_TOKEN_METRIC_IDENTIFIER, TLY_TOKEN_END}},
        {"{sum=~\"x\",by!~'y',or!=`z`}",
         {TLY_TOKEN_LEFT_BRACE, TLY_TOKEN_IDENTIFIER, TLY_TOKEN_MATCH, TLY_TOKEN_STRING,
          TLY_TOKEN_COMMA, TLY_TOKEN_IDENTIFIER, TLY_TOKEN_REFUSE, TLY_TOKEN_STRING,
          TLY_TOKEN_COMMA, TLY_TOKEN_IDENTIFIER, TLY_TOKEN_NOT_EQUAL, TLY_TOKEN_STRING,
          TLY_TOKEN_RIGHT_BRACE, TLY_TOKEN_END}},
        {"[5m:1.5]",
         {TLY_TOKEN_LEFT_BRACKET, TLY_TOKEN_DURATION, TLY_TOKEN_COLON, TLY_TOKEN_NUMBER,
          TLY_TOKEN_RIGHT_BRACKET, TLY_TOKEN_END}},
        {"1 .5 0x1f 1e3 1h30m Inf nAn 1_000",
         {TLY_TOKEN_NUMBER, TLY_TOKEN_NUMBER, TLY_TOKEN_NUMBER, TLY_TOKEN_NUMBER,
          TLY_TOKEN_DURATION, TLY_TOKEN_NUMBER, TLY_TOKEN_NUMBER, TLY_TOKEN_NUMBER, TLY_TOKEN_END}},
        {"< <= == != >= > = @",
         {TLY_TOKEN_LESS, TLY_TOKEN_LESS_EQUAL, TLY_TOKEN_EQUAL, TLY_TOKEN_NOT_EQUAL,
          TLY_TOKEN_GREATER_EQUAL, TLY_TOKEN_GREATER, TLY_TOKEN_ASSIGN, TLY_TOKEN_AT,
          TLY_TOKEN_END}},
        {"+-*/%^ atan2",
         {TLY_TOKEN_ADD, TLY_TOKEN_SUB, TLY_TOKEN_MUL, TLY_TOKEN_DIV, TLY_TOKEN_MOD, TLY_TOKEN_POW,
          TLY_TOKEN_ATAN2, TLY_TOKEN_END}},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_lexer lexer;
        struct tly_token token;
        tly_lexer_init(&lexer, tly_text_of(rows[i].text));
        for (size_t k = 0;; k++) {
            tly_lexer_next(&lexer, &token);
            if (token.kind != rows[i].kinds[k]) {
                fail_msg("%s: token %zu is %d", rows[i].text, k, (int)token.kind);
            }
            if (token.kind == TLY_TOKEN_END) {
                break;
            }
        }
    }
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fault;
        uint32_t at;
    } rows[] = {
        {"(a", "unclosed left parenthesis", 2},
        {"a)", "unexpected right parenthesis", 1},
        {"a[5m", "unclosed left bracket", 4},
        {"a]", "unexpected right bracket", 1},
        {"a[[", "unexpected left bracket", 2},
        {"a[5m::", "unexpected colon", 5},
        {"a{", "unexpected end of input inside braces", 2},
        {"a{{", "unexpected left brace", 2},
        {"a{b!c", "unexpected character after '!' inside braces", 4},
        {"}", "unexpected character", 0},
        {"\xc3\xa9", "unexpected character", 0},
        {"a =~ b", "unexpected character after '='", 3},
        {"5x", "bad number or duration syntax", 0},
        {"1.2.3", "bad number or duration syntax", 0},
        {"1ee3", "bad number or duration syntax", 0},
        {"5m5", "bad number or duration syntax", 0},
        {"\"abc", "unterminated quoted string", 0},
        {"'a\nb'", "unterminated quoted string", 0},
        {"`abc", "unterminated raw string", 0},
        {"\"\\q\"", "unknown escape sequence", 1},
        {"\"\\'\"", "unknown escape sequence", 1},
        {"\"\\xg0\"", "illegal character in escape sequence", 1},
        {"\"\\ud800\"", "escape sequence is an invalid Unicode code point", 1},
        {"\"\\400\"", "escape sequence is an invalid Unicode code point", 1},
        {"\"\\", "escape sequence not terminated", 1},
        {"\"\\u00", "escape sequence not terminated", 1},
        {"'\xff'", "invalid UTF-8 in a string", 1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_lexer lexer;
        struct tly_token token;
        tly_lexer_init(&lexer, tly_text_of(rows[i].text));
        do {
            tly_lexer_next(&lexer, &token);
        } while (token.kind != TLY_TOKEN_END && token.kind != TLY_TOKEN_ERROR);
        if (token.kind != TLY_TOKEN_ERROR || strcmp(lexer.fault, rows[i].fault) != 0 ||
            token.start != rows[i].at) {
            fail_msg("%s: %s at %u", rows[i].text, lexer.fault ? lexer.fault : "no fault",
                     token.start);
        }
        tly_lexer_next(&lexer, &token);
        assert_int_equal(token.kind, TLY_TOKEN_END);
    }
}

static void test_unquote(void **state)
{
    (void)state;
    static const struct {
        const char *quoted, *text;
    } rows[] = {
        {"\"\"", ""},
        {"\"a'b\"", "a'b"},
        {"'a\"b'", "a\"b"},
        {"`a\\n\nb`", "a\\n\nb"},
        {"\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\"", "\a\b\f\n\r\t\v\\\""},
        {"'\\''", "'"},
        {"\"\\x41\\101\\u00e9\\u20ac\\U0001F600\"", "AA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"\\xff\"", "\xff"},
    };
    struct tly_arena arena;
    tly_arena_init(&arena, 4096);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_text text;
        assert_int_equal(tly_string_unquote(&arena, tly_text_of(rows[i].quoted), &text), 0);
        expect_text(text, rows[i].text);
    }
    tly_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_unquote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
