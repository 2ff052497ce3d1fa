/*
 * Characters, escapes and classes of RE2's syntax, read from a pattern and written for PCRE2: each
 * literal character as a letter, a digit or \x{...}, each class as a list of such.
 */
#include "agent/rules/regex_reader.h"

#include <string.h>

int tly_regex_fault(struct tly_regex_reader *reader, size_t at, const char *what)
{
    *reader->fault_at = at;
    (void)tly_error_set(reader->err, TLY_E_MALFORMED, "%s", what);
    return TLY_E_MALFORMED;
}

int tly_regex_peek(const struct tly_regex_reader *reader, size_t ahead)
{
    size_t at = reader->at + ahead;
    return at < reader->pattern.len ? (unsigned char)reader->pattern.at[at] : -1;
}

bool tly_regex_looking_at(const struct tly_regex_reader *reader, const char *text)
{
    struct tly_text rest = {reader->pattern.at + reader->at, reader->pattern.len - reader->at};
    return tly_text_starts(rest, tly_text_of(text));
}

bool tly_regex_is_word(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

int tly_regex_emit(struct tly_regex_reader *reader, const char *text)
{
    return tly_buf_append(&reader->syntax->plain, text, strlen(text));
}

int tly_regex_emit_char(struct tly_regex_reader *reader, uint32_t rune)
{
    if (rune < 0x80 && tly_regex_is_word((int)rune)) {
        char c = (char)rune;
        return tly_buf_append(&reader->syntax->plain, &c, 1);
    }
    return tly_buf_printf(&reader->syntax->plain, "\\x{%x}", (unsigned)rune);
}

/* The next character; the pattern is valid UTF-8. */
uint32_t tly_regex_rune_next(struct tly_regex_reader *reader)
{
    uint32_t first = (unsigned char)reader->pattern.at[reader->at++];
    if (first < 0x80) {
        return first;
    }
    unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    uint32_t rune = first & (0x3fU >> more);
    for (; more > 0; more--) {
        rune = rune << 6 | ((unsigned char)reader->pattern.at[reader->at++] & 0x3fU);
    }
    return rune;
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \x41 and \x{10ffff}; the reader stands behind the x. */
static int hex_escape(struct tly_regex_reader *reader, size_t start, uint32_t *ret_rune)
{
    bool braces = tly_regex_peek(reader, 0) == '{';
    uint32_t rune = 0;
    unsigned digits = 0;
    reader->at += braces ? 1 : 0;
    for (; hex_digit(tly_regex_peek(reader, 0)) >= 0 && (braces || digits < 2); digits++) {
        rune = rune * 16 + (uint32_t)hex_digit(tly_regex_peek(reader, 0));
        reader->at++;
        if (rune > 0x10ffff) {
            return tly_regex_fault(reader, start, "invalid escape sequence");
        }
    }
    if ((braces && (digits == 0 || tly_regex_peek(reader, 0) != '}')) || (!braces && digits != 2)) {
        return tly_regex_fault(reader, start, "invalid escape sequence");
    }
    reader->at += braces ? 1 : 0;
    *ret_rune = rune;
    return 0;
}

/* An escape that stands for one character; the reader stands at the backslash. */
int tly_regex_escape_char(struct tly_regex_reader *reader, uint32_t *ret_rune)
{
    static const char letters[] = "afnrtv";
    static const char meant[] = "\a\f\n\r\t\v";
    size_t start = reader->at;
    int c = tly_regex_peek(reader, 1);
    const char *letter = c > 0 ? strchr(letters, c) : NULL;
    if (c < 0) {
        return tly_regex_fault(reader, start, "trailing backslash at the end of the pattern");
    }
    reader->at += 2;
    if (letter) {
        *ret_rune = (uint32_t)meant[letter - letters];
        return 0;
    }
    if (c == 'x') {
        return hex_escape(reader, start, ret_rune);
    }
    bool octal = tly_regex_peek(reader, 0) >= '0' && tly_regex_peek(reader, 0) <= '7';
    if (c == '0' || (c >= '1' && c <= '7' && octal)) {
        uint32_t rune = (uint32_t)c - '0';
        for (int i = 0;
             i < 2 && tly_regex_peek(reader, 0) >= '0' && tly_regex_peek(reader, 0) <= '7'; i++) {
            rune = rune * 8 + (uint32_t)tly_regex_peek(reader, 0) - '0';
            reader->at++;
        }
        *ret_rune = rune;
        return 0;
    }
    if (c >= '1' && c <= '9') {
        return tly_regex_fault(reader, start, "backreferences are not supported (RE2 has none)");
    }
    if (c < 0x80 && (!tly_regex_is_word(c) || c == '_')) {
        *ret_rune = (uint32_t)c;
        return 0;
    }
    return tly_regex_fault(reader, start, "invalid escape sequence");
}

/* \d \s \w and their opposites, as PCRE2 class items: RE2's \s has no vertical tab. NULL for other
 * letters. */
const char *tly_regex_perl_class(int letter)
{
    switch (letter) {
    case 'd':
        return "\\d";
    case 'D':
        return "\\D";
    case 'w':
        return "\\w";
    case 'W':
        return "\\W";
    case 's':
        return "\\t\\n\\f\\r\\x20";
    case 'S':
        return "\\S\\x0b";
    default:
        return NULL;
    }
}

/* \pN, \p{Greek}, \P{^Lu}: copied, once the name is one. The reader stands at the backslash. */
int tly_regex_unicode_class(struct tly_regex_reader *reader)
{
    size_t start = reader->at;
    size_t end = start + 3;
    if (tly_regex_peek(reader, 2) == '{') {
        end = start + 3 + (tly_regex_peek(reader, 3) == '^' ? 1 : 0);
        size_t name = end;
        while (end < reader->pattern.len &&
               tly_regex_is_word((unsigned char)reader->pattern.at[end])) {
            end++;
        }
        if (end == name || end >= reader->pattern.len || reader->pattern.at[end] != '}') {
            return tly_regex_fault(reader, start, "invalid character class");
        }
        end++;
    } else if (!tly_regex_is_word(tly_regex_peek(reader, 2))) {
        return tly_regex_fault(reader, start, "invalid character class");
    }
    reader->at = end;
    return tly_buf_append(&reader->syntax->plain, reader->pattern.at + start, end - start);
}

/* ---- bracketed classes ---- */

/* [:alpha:] and [:^alpha:] inside a class; *ret_taken is false if it is no such thing. */
static int posix_class(struct tly_regex_reader *reader, bool *ret_taken)
{
    static const char *const names[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
                                        "digit", "graph", "lower", "print", "punct",
                                        "space", "upper", "word",  "xdigit"};
    *ret_taken = false;
    size_t from = reader->at + 2;
    for (size_t end = from; end + 1 < reader->pattern.len; end++) {
        if (reader->pattern.at[end] != ':' || reader->pattern.at[end + 1] != ']') {
            continue;
        }
        struct tly_text name = {reader->pattern.at + from, end - from};
        if (name.len > 0 && name.at[0] == '^') {
            name = (struct tly_text){name.at + 1, name.len - 1};
        }
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            if (tly_text_equal(name, tly_text_of(names[i]))) {
                *ret_taken = true;
                struct tly_text all = {reader->pattern.at + reader->at, end + 2 - reader->at};
                reader->at = end + 2;
                return tly_buf_append_text(&reader->syntax->plain, all);
            }
        }
        return tly_regex_fault(reader, reader->at, "invalid character class range");
    }
    return 0;
}

static int class_char(struct tly_regex_reader *reader, uint32_t *ret_rune)
{
    if (reader->at >= reader->pattern.len) {
        return tly_regex_fault(reader, reader->at, "missing closing ]");
    }
    if (tly_regex_peek(reader, 0) == '\\') {
        return tly_regex_escape_char(reader, ret_rune);
    }
    *ret_rune = tly_regex_rune_next(reader);
    return 0;
}

static int class_item(struct tly_regex_reader *reader)
{
    if (tly_regex_looking_at(reader, "[:")) {
        bool taken;
        int rc = posix_class(reader, &taken);
        if (rc != 0 || taken) {
            return rc;
        }
    }
    if (tly_regex_peek(reader, 0) == '\\') {
        const char *perl = tly_regex_perl_class(tly_regex_peek(reader, 1));
        if (perl) {
            reader->at += 2;
            return tly_regex_emit(reader, perl);
        }
        if ((tly_regex_peek(reader, 1) | 0x20) == 'p') {
            return tly_regex_unicode_class(reader);
        }
    }
    size_t start = reader->at;
    uint32_t low;
    int rc = class_char(reader, &low);
    if (rc != 0) {
        return rc;
    }
    uint32_t high = low;
    if (tly_regex_peek(reader, 0) == '-' && tly_regex_peek(reader, 1) >= 0 &&
        tly_regex_peek(reader, 1) != ']') {
        reader->at++;
        rc = class_char(reader, &high);
        if (rc == 0 && high < low) {
            rc = tly_regex_fault(reader, start, "invalid character class range");
        }
    }
    rc = rc != 0 ? rc : tly_regex_emit_char(reader, low);
    if (rc == 0 && high != low) {
        rc = tly_regex_emit(reader, "-");
        rc = rc != 0 ? rc : tly_regex_emit_char(reader, high);
    }
    return rc;
}

int tly_regex_class(struct tly_regex_reader *reader)
{
    size_t start = reader->at++;
    int rc = tly_regex_emit(reader, "[");
    if (rc == 0 && tly_regex_peek(reader, 0) == '^') {
        reader->at++;
        rc = tly_regex_emit(reader, "^");
    }
    for (bool first = true; rc == 0 && (first || tly_regex_peek(reader, 0) != ']'); first = false) {
        if (tly_regex_peek(reader, 0) < 0) {
            return tly_regex_fault(reader, start, "missing closing ]");
        }
        rc = class_item(reader);
    }
    reader->at++;
    return rc != 0 ? rc : tly_regex_emit(reader, "]");
}
