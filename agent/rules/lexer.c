/*
 * The lexer. It owns nothing; tokens are places in the text. Numbers are cut off here and judged by
 * the parser, as Prometheus does, so that the same texts are refused.
 */
#include "agent/rules/lexer.h"

#include "agent/rules/unquote.h"

#include <string.h>
#include <strings.h>

#define AT_END (-1)

static const struct keyword {
    const char *text;
    enum tly_token_kind kind;
} keywords[] = {
    {"and", TLY_TOKEN_AND},
    {"or", TLY_TOKEN_OR},
    {"unless", TLY_TOKEN_UNLESS},
    {"atan2", TLY_TOKEN_ATAN2},
    {"sum", TLY_TOKEN_SUM},
    {"avg", TLY_TOKEN_AVG},
    {"count", TLY_TOKEN_COUNT},
    {"min", TLY_TOKEN_MIN},
    {"max", TLY_TOKEN_MAX},
    {"group", TLY_TOKEN_GROUP},
    {"stddev", TLY_TOKEN_STDDEV},
    {"stdvar", TLY_TOKEN_STDVAR},
    {"topk", TLY_TOKEN_TOPK},
    {"bottomk", TLY_TOKEN_BOTTOMK},
    {"count_values", TLY_TOKEN_COUNT_VALUES},
    {"quantile", TLY_TOKEN_QUANTILE},
    {"limitk", TLY_TOKEN_LIMITK},
    {"limit_ratio", TLY_TOKEN_LIMIT_RATIO},
    {"offset", TLY_TOKEN_OFFSET},
    {"by", TLY_TOKEN_BY},
    {"without", TLY_TOKEN_WITHOUT},
    {"on", TLY_TOKEN_ON},
    {"ignoring", TLY_TOKEN_IGNORING},
    {"group_left", TLY_TOKEN_GROUP_LEFT},
    {"group_right", TLY_TOKEN_GROUP_RIGHT},
    {"bool", TLY_TOKEN_BOOL},
    {"start", TLY_TOKEN_START},
    {"end", TLY_TOKEN_FINISH},
    /* Signs, for tly_token_text; no word matches them. */
    {"+", TLY_TOKEN_ADD},
    {"-", TLY_TOKEN_SUB},
    {"*", TLY_TOKEN_MUL},
    {"/", TLY_TOKEN_DIV},
    {"%", TLY_TOKEN_MOD},
    {"^", TLY_TOKEN_POW},
    {"==", TLY_TOKEN_EQUAL},
    {"!=", TLY_TOKEN_NOT_EQUAL},
    {"<", TLY_TOKEN_LESS},
    {"<=", TLY_TOKEN_LESS_EQUAL},
    {">", TLY_TOKEN_GREATER},
    {">=", TLY_TOKEN_GREATER_EQUAL},
    /* Written in any case, like the keywords. */
    {"inf", TLY_TOKEN_NUMBER},
    {"nan", TLY_TOKEN_NUMBER},
};
#define KEYWORD_COUNT (sizeof(keywords) / sizeof(keywords[0]))

const char *tly_token_text(enum tly_token_kind kind)
{
    for (size_t i = 0; i < KEYWORD_COUNT; i++) {
        if (keywords[i].kind == kind && kind != TLY_TOKEN_NUMBER) {
            return keywords[i].text;
        }
    }
    return NULL;
}

void tly_lexer_init(struct tly_lexer *lexer, struct tly_text text)
{
    *lexer = (struct tly_lexer){.text = text};
}

static int peek_at(const struct tly_lexer *lexer, uint32_t at)
{
    return at < lexer->text.len ? (unsigned char)lexer->text.at[at] : AT_END;
}

static int peek(const struct tly_lexer *lexer)
{
    return peek_at(lexer, lexer->at);
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(int c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_one_of(int c, const char *set)
{
    return c > 0 && strchr(set, c) != NULL;
}

/* The rest is not looked at: after an error comes the end. */
static void fail(struct tly_lexer *lexer, struct tly_token *token, uint32_t at, const char *fault)
{
    lexer->fault = fault;
    lexer->fault_char[0] = '\0';
    if (at < lexer->text.len) {
        size_t len = 1;
        size_t left = lexer->text.len - at;
        while (len < 4 && len < left && ((unsigned char)lexer->text.at[at + len] & 0xc0) == 0x80) {
            len++;
        }
        memcpy(lexer->fault_char, lexer->text.at + at, len);
        lexer->fault_char[len] = '\0';
    }
    *token = (struct tly_token){TLY_TOKEN_ERROR, at, (uint32_t)strlen(lexer->fault_char)};
    lexer->at = (uint32_t)lexer->text.len;
    lexer->parens = 0;
    lexer->in_braces = lexer->in_brackets = false;
}

static void emit(struct tly_lexer *lexer, struct tly_token *token, enum tly_token_kind kind,
                 uint32_t end)
{
    *token = (struct tly_token){kind, lexer->at, end - lexer->at};
    lexer->at = end;
}

/* ---- numbers ---- */

/* The end of a number that starts at `at`: digits, points, underscores and exponents as far as they
 * may stand together. false where they may not, with `*ret_end` behind the fault. */
static bool number_scan(const struct tly_lexer *lexer, uint32_t at, uint32_t *ret_end)
{
    const char *digits = "0123456789";
    bool hex = peek_at(lexer, at) == '0' && is_one_of(peek_at(lexer, at + 1), "xX");
    bool point = false;
    bool exponent = false;
    bool fits = true;
    uint32_t start = at;
    if (hex) {
        digits = "0123456789abcdefABCDEF";
        at += peek_at(lexer, at + 2) == '_' ? 3 : 2;
    }
    while (fits) {
        int c = peek_at(lexer, at);
        int next = peek_at(lexer, at + 1);
        if (is_one_of(c, digits)) {
            at++;
        } else if (c == '.') {
            fits = !point && !hex && !is_one_of(next, "_.");
            point = true;
            at++;
        } else if (is_one_of(c, "eE")) {
            fits = !exponent;
            exponent = true;
            at++;
            at += is_one_of(peek_at(lexer, at), "+-") ? 1 : 0;
            int after = peek_at(lexer, at);
            fits = fits && after != AT_END && !is_one_of(after, "._eE");
        } else if (c == '_') {
            fits = next != AT_END && !is_one_of(next, "._eE");
            at++;
        } else {
            break;
        }
    }
    *ret_end = at;
    int c = peek_at(lexer, at);
    return fits && at > start && !is_alpha(c) && !is_digit(c);
}

/* Units behind digits that were read already: `5m`, `1h30m`. */
static bool duration_scan(const struct tly_lexer *lexer, uint32_t at, uint32_t *ret_end)
{
    if (!is_one_of(peek_at(lexer, at), "smhdwy")) {
        return false;
    }
    at++;
    at += peek_at(lexer, at) == 's' ? 1 : 0;
    while (is_digit(peek_at(lexer, at))) {
        while (is_digit(peek_at(lexer, at))) {
            at++;
        }
        if (!is_one_of(peek_at(lexer, at), "smhdw")) {
            return false;
        }
        at++;
        at += peek_at(lexer, at) == 's' ? 1 : 0;
    }
    *ret_end = at;
    return !is_alpha(peek_at(lexer, at));
}

static void number_or_duration(struct tly_lexer *lexer, struct tly_token *token)
{
    uint32_t end;
    if (number_scan(lexer, lexer->at, &end)) {
        emit(lexer, token, TLY_TOKEN_NUMBER, end);
    } else if (duration_scan(lexer, end, &end)) {
        emit(lexer, token, TLY_TOKEN_DURATION, end);
    } else {
        fail(lexer, token, lexer->at, "bad number or duration syntax");
    }
}

/* ---- strings ---- */

/* Checks the escape whose backslash stands at `*at` and moves behind it. */
static const char *escape_check(const struct tly_lexer *lexer, uint32_t *at, int quote)
{
    int c = peek_at(lexer, *at + 1);
    unsigned digits;
    unsigned base;
    if (c == AT_END) {
        return "escape sequence not terminated";
    }
    if (is_one_of(c, "abfnrtv\\") || c == quote) {
        *at += 2;
        return NULL;
    }
    if (!tly_escape_form(c, &digits, &base)) {
        return "unknown escape sequence";
    }
    uint32_t from = *at + (base == 8 ? 1 : 2);
    uint64_t value = 0;
    for (uint32_t i = 0; i < digits; i++) {
        int digit = peek_at(lexer, from + i);
        if (digit == AT_END) {
            return "escape sequence not terminated";
        }
        if (tly_hex_value(digit) >= base) {
            return "illegal character in escape sequence";
        }
        value = value * base + tly_hex_value(digit);
    }
    if (value > (digits < 4 ? 0xff : 0x10ffff) || (value >= 0xd800 && value < 0xe000)) {
        return "escape sequence is an invalid Unicode code point";
    }
    *at = from + digits;
    return NULL;
}

static void string(struct tly_lexer *lexer, struct tly_token *token, int quote)
{
    uint32_t at = lexer->at + 1;
    for (;;) {
        int c = peek_at(lexer, at);
        if (c == quote) {
            break;
        }
        if (c == AT_END || (c == '\n' && quote != '`')) {
            fail(lexer, token, lexer->at,
                 quote == '`' ? "unterminated raw string" : "unterminated quoted string");
            return;
        }
        if (c == '\\' && quote != '`') {
            const char *fault = escape_check(lexer, &at, quote);
            if (fault) {
                fail(lexer, token, at, fault);
                return;
            }
        } else {
            at++;
        }
    }
    struct tly_text inside = {lexer->text.at + lexer->at + 1, at - lexer->at - 1};
    size_t valid = tly_text_utf8_prefix(inside);
    if (valid != inside.len) {
        fail(lexer, token, lexer->at + 1 + (uint32_t)valid, "invalid UTF-8 in a string");
        return;
    }
    emit(lexer, token, TLY_TOKEN_STRING, at + 1);
}

/* ---- words and signs ---- */

static void word(struct tly_lexer *lexer, struct tly_token *token)
{
    uint32_t end = lexer->at;
    bool colon = false;
    for (int c = peek_at(lexer, end); is_alpha(c) || is_digit(c) || c == ':';
         c = peek_at(lexer, end)) {
        if (c == ':' && lexer->in_braces) {
            break;
        }
        colon = colon || c == ':';
        end++;
    }
    size_t len = end - lexer->at;
    const char *at = lexer->text.at + lexer->at;
    enum tly_token_kind kind = colon ? TLY_TOKEN_METRIC_IDENTIFIER : TLY_TOKEN_IDENTIFIER;
    for (size_t i = 0; i < KEYWORD_COUNT && !colon && !lexer->in_braces; i++) {
        if (strlen(keywords[i].text) == len && strncasecmp(keywords[i].text, at, len) == 0) {
            kind = keywords[i].kind;
        }
    }
    emit(lexer, token, kind, end);
}

static void inside_braces(struct tly_lexer *lexer, struct tly_token *token)
{
    int c = peek(lexer);
    int next = peek_at(lexer, lexer->at + 1);
    if (c == AT_END) {
        fail(lexer, token, lexer->at, "unexpected end of input inside braces");
    } else if (is_alpha(c)) {
        word(lexer, token);
    } else if (c == ',') {
        emit(lexer, token, TLY_TOKEN_COMMA, lexer->at + 1);
    } else if (is_one_of(c, "\"'`")) {
        string(lexer, token, c);
    } else if (c == '=') {
        bool match = next == '~';
        emit(lexer, token, match ? TLY_TOKEN_MATCH : TLY_TOKEN_ASSIGN, lexer->at + 1 + match);
    } else if (c == '!' && (next == '~' || next == '=')) {
        emit(lexer, token, next == '~' ? TLY_TOKEN_REFUSE : TLY_TOKEN_NOT_EQUAL, lexer->at + 2);
    } else if (c == '!') {
        fail(lexer, token, lexer->at + 1, "unexpected character after '!' inside braces");
    } else if (c == '}') {
        emit(lexer, token, TLY_TOKEN_RIGHT_BRACE, lexer->at + 1);
        lexer->in_braces = false;
    } else {
        fail(lexer, token, lexer->at,
             c == '{' ? "unexpected left brace" : "unexpected character inside braces");
    }
}

static void bracket(struct tly_lexer *lexer, struct tly_token *token, int c)
{
    switch (c) {
    case '(':
        lexer->parens++;
        emit(lexer, token, TLY_TOKEN_LEFT_PAREN, lexer->at + 1);
        break;
    case ')':
        if (lexer->parens == 0) {
            fail(lexer, token, lexer->at, "unexpected right parenthesis");
            break;
        }
        lexer->parens--;
        emit(lexer, token, TLY_TOKEN_RIGHT_PAREN, lexer->at + 1);
        break;
    case '{':
        lexer->in_braces = true;
        emit(lexer, token, TLY_TOKEN_LEFT_BRACE, lexer->at + 1);
        break;
    case '[':
    case ']':
        if (lexer->in_brackets == (c == '[')) {
            fail(lexer, token, lexer->at,
                 c == '[' ? "unexpected left bracket" : "unexpected right bracket");
            break;
        }
        lexer->in_brackets = c == '[';
        lexer->colon_seen = false;
        emit(lexer, token, c == '[' ? TLY_TOKEN_LEFT_BRACKET : TLY_TOKEN_RIGHT_BRACKET,
             lexer->at + 1);
        break;
    default: /* a right brace that closes nothing */
        fail(lexer, token, lexer->at, "unexpected character");
        break;
    }
}

/* The kind of a sign, and its length; the end where it is none. */
static enum tly_token_kind sign_kind(int c, int next, uint32_t *ret_len)
{
    *ret_len = next == '=' && is_one_of(c, "=!<>") ? 2 : 1;
    switch (c) {
    case ',':
        return TLY_TOKEN_COMMA;
    case '@':
        return TLY_TOKEN_AT;
    case '+':
        return TLY_TOKEN_ADD;
    case '-':
        return TLY_TOKEN_SUB;
    case '*':
        return TLY_TOKEN_MUL;
    case '/':
        return TLY_TOKEN_DIV;
    case '%':
        return TLY_TOKEN_MOD;
    case '^':
        return TLY_TOKEN_POW;
    case '=':
        return next == '=' ? TLY_TOKEN_EQUAL : TLY_TOKEN_ASSIGN;
    case '!':
        return TLY_TOKEN_NOT_EQUAL;
    case '<':
        return next == '=' ? TLY_TOKEN_LESS_EQUAL : TLY_TOKEN_LESS;
    case '>':
        return next == '=' ? TLY_TOKEN_GREATER_EQUAL : TLY_TOKEN_GREATER;
    default:
        return TLY_TOKEN_END;
    }
}

static void at_end(struct tly_lexer *lexer, struct tly_token *token)
{
    if (lexer->parens > 0) {
        fail(lexer, token, lexer->at, "unclosed left parenthesis");
    } else if (lexer->in_brackets) {
        fail(lexer, token, lexer->at, "unclosed left bracket");
    } else {
        emit(lexer, token, TLY_TOKEN_END, lexer->at);
    }
}

static void outside_braces(struct tly_lexer *lexer, struct tly_token *token)
{
    int c = peek(lexer);
    int next = peek_at(lexer, lexer->at + 1);
    uint32_t len;
    enum tly_token_kind sign = sign_kind(c, next, &len);
    if (c == AT_END) {
        at_end(lexer, token);
    } else if (is_digit(c) || (c == '.' && is_digit(next))) {
        number_or_duration(lexer, token);
    } else if (is_one_of(c, "\"'`")) {
        string(lexer, token, c);
    } else if (is_one_of(c, "(){}[]")) {
        bracket(lexer, token, c);
    } else if (c == ':' && lexer->in_brackets && !lexer->colon_seen) {
        lexer->colon_seen = true;
        emit(lexer, token, TLY_TOKEN_COLON, lexer->at + 1);
    } else if ((is_alpha(c) || c == ':') && !lexer->in_brackets) {
        word(lexer, token);
    } else if ((c == '=' && next == '~') || (c == '!' && next != '=')) {
        fail(lexer, token, lexer->at + 1,
             c == '=' ? "unexpected character after '='" : "unexpected character after '!'");
    } else if (sign != TLY_TOKEN_END) {
        emit(lexer, token, sign, lexer->at + len);
    } else {
        fail(lexer, token, lexer->at, c == ':' ? "unexpected colon" : "unexpected character");
    }
}

void tly_lexer_next(struct tly_lexer *lexer, struct tly_token *ret_token)
{
    for (;;) {
        while (is_space(peek(lexer))) {
            lexer->at++;
        }
        if (peek(lexer) != '#') {
            break;
        }
        while (peek(lexer) != AT_END && peek(lexer) != '\n' && peek(lexer) != '\r') {
            lexer->at++;
        }
    }
    if (lexer->in_braces) {
        inside_braces(lexer, ret_token);
    } else {
        outside_braces(lexer, ret_token);
    }
}
