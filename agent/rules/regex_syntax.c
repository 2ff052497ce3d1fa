/*
 * From RE2's syntax to PCRE2's. Every literal character leaves as a letter, a digit or \x{...},
 * every class as a list of such, so nothing in a pattern means anything to PCRE2 that it did not
 * mean here. The grammar follows Go's regexp/syntax with its Perl flags, which Prometheus uses.
 */
#include "agent/rules/regex_syntax.h"

#include <string.h>

/* RE2's bound for {n,m}, also for nested ones multiplied. */
#define REPEAT_MAX 1000
#define DEPTH_MAX  100

struct reader {
    struct tly_text pattern;
    size_t at;
    unsigned depth;
    struct tly_regex_syntax *syntax;
    size_t *fault_at;
    struct tly_error *err;
};

static int fault(struct reader *reader, size_t at, const char *what)
{
    *reader->fault_at = at;
    (void)tly_error_set(reader->err, TLY_E_MALFORMED, "%s", what);
    return TLY_E_MALFORMED;
}

static int peek(const struct reader *reader, size_t ahead)
{
    size_t at = reader->at + ahead;
    return at < reader->pattern.len ? (unsigned char)reader->pattern.at[at] : -1;
}

static bool looking_at(const struct reader *reader, const char *text)
{
    struct tly_text rest = {reader->pattern.at + reader->at, reader->pattern.len - reader->at};
    return tly_text_starts(rest, tly_text_of(text));
}

static bool is_word(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int emit(struct reader *reader, const char *text)
{
    return tly_buf_append(&reader->syntax->plain, text, strlen(text));
}

static int emit_char(struct reader *reader, uint32_t rune)
{
    if (rune < 0x80 && is_word((int)rune)) {
        char c = (char)rune;
        return tly_buf_append(&reader->syntax->plain, &c, 1);
    }
    return tly_buf_printf(&reader->syntax->plain, "\\x{%x}", (unsigned)rune);
}

/* The next character; the pattern is valid UTF-8. */
static uint32_t rune_next(struct reader *reader)
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
static int hex_escape(struct reader *reader, size_t start, uint32_t *ret_rune)
{
    bool braces = peek(reader, 0) == '{';
    uint32_t rune = 0;
    unsigned digits = 0;
    reader->at += braces ? 1 : 0;
    for (; hex_digit(peek(reader, 0)) >= 0 && (braces || digits < 2); digits++) {
        rune = rune * 16 + (uint32_t)hex_digit(peek(reader, 0));
        reader->at++;
        if (rune > 0x10ffff) {
            return fault(reader, start, "invalid escape sequence");
        }
    }
    if ((braces && (digits == 0 || peek(reader, 0) != '}')) || (!braces && digits != 2)) {
        return fault(reader, start, "invalid escape sequence");
    }
    reader->at += braces ? 1 : 0;
    *ret_rune = rune;
    return 0;
}

/* An escape that stands for one character; the reader stands at the backslash. */
static int escape_char(struct reader *reader, uint32_t *ret_rune)
{
    static const char letters[] = "afnrtv";
    static const char meant[] = "\a\f\n\r\t\v";
    size_t start = reader->at;
    int c = peek(reader, 1);
    const char *letter = c > 0 ? strchr(letters, c) : NULL;
    if (c < 0) {
        return fault(reader, start, "trailing backslash at the end of the pattern");
    }
    reader->at += 2;
    if (letter) {
        *ret_rune = (uint32_t)meant[letter - letters];
        return 0;
    }
    if (c == 'x') {
        return hex_escape(reader, start, ret_rune);
    }
    bool octal = peek(reader, 0) >= '0' && peek(reader, 0) <= '7';
    if (c == '0' || (c >= '1' && c <= '7' && octal)) {
        uint32_t rune = (uint32_t)c - '0';
        for (int i = 0; i < 2 && peek(reader, 0) >= '0' && peek(reader, 0) <= '7'; i++) {
            rune = rune * 8 + (uint32_t)peek(reader, 0) - '0';
            reader->at++;
        }
        *ret_rune = rune;
        return 0;
    }
    if (c >= '1' && c <= '9') {
        return fault(reader, start, "backreferences are not supported (RE2 has none)");
    }
    if (c < 0x80 && (!is_word(c) || c == '_')) {
        *ret_rune = (uint32_t)c;
        return 0;
    }
    return fault(reader, start, "invalid escape sequence");
}

/* \d \s \w and their opposites, as PCRE2 class items: RE2's \s has no vertical tab. NULL for other
 * letters. */
static const char *perl_class(int letter)
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
static int unicode_class(struct reader *reader)
{
    size_t start = reader->at;
    size_t end = start + 3;
    if (peek(reader, 2) == '{') {
        end = start + 3 + (peek(reader, 3) == '^' ? 1 : 0);
        size_t name = end;
        while (end < reader->pattern.len && is_word((unsigned char)reader->pattern.at[end])) {
            end++;
        }
        if (end == name || end >= reader->pattern.len || reader->pattern.at[end] != '}') {
            return fault(reader, start, "invalid character class");
        }
        end++;
    } else if (!is_word(peek(reader, 2))) {
        return fault(reader, start, "invalid character class");
    }
    reader->at = end;
    return tly_buf_append(&reader->syntax->plain, reader->pattern.at + start, end - start);
}

/* ---- bracketed classes ---- */

/* [:alpha:] and [:^alpha:] inside a class; *ret_taken is false if it is no such thing. */
static int posix_class(struct reader *reader, bool *ret_taken)
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
        return fault(reader, reader->at, "invalid character class range");
    }
    return 0;
}

static int class_char(struct reader *reader, uint32_t *ret_rune)
{
    if (reader->at >= reader->pattern.len) {
        return fault(reader, reader->at, "missing closing ]");
    }
    if (peek(reader, 0) == '\\') {
        return escape_char(reader, ret_rune);
    }
    *ret_rune = rune_next(reader);
    return 0;
}

static int class_item(struct reader *reader)
{
    if (looking_at(reader, "[:")) {
        bool taken;
        int rc = posix_class(reader, &taken);
        if (rc != 0 || taken) {
            return rc;
        }
    }
    if (peek(reader, 0) == '\\') {
        const char *perl = perl_class(peek(reader, 1));
        if (perl) {
            reader->at += 2;
            return emit(reader, perl);
        }
        if ((peek(reader, 1) | 0x20) == 'p') {
            return unicode_class(reader);
        }
    }
    size_t start = reader->at;
    uint32_t low;
    int rc = class_char(reader, &low);
    if (rc != 0) {
        return rc;
    }
    uint32_t high = low;
    if (peek(reader, 0) == '-' && peek(reader, 1) >= 0 && peek(reader, 1) != ']') {
        reader->at++;
        rc = class_char(reader, &high);
        if (rc == 0 && high < low) {
            rc = fault(reader, start, "invalid character class range");
        }
    }
    rc = rc != 0 ? rc : emit_char(reader, low);
    if (rc == 0 && high != low) {
        rc = emit(reader, "-");
        rc = rc != 0 ? rc : emit_char(reader, high);
    }
    return rc;
}

static int class(struct reader *reader)
{
    size_t start = reader->at++;
    int rc = emit(reader, "[");
    if (rc == 0 && peek(reader, 0) == '^') {
        reader->at++;
        rc = emit(reader, "^");
    }
    for (bool first = true; rc == 0 && (first || peek(reader, 0) != ']'); first = false) {
        if (peek(reader, 0) < 0) {
            return fault(reader, start, "missing closing ]");
        }
        rc = class_item(reader);
    }
    reader->at++;
    return rc != 0 ? rc : emit(reader, "]");
}

/* ---- escapes and groups outside classes ---- */

static int quoted_run(struct reader *reader)
{
    reader->at += 2;
    while (reader->at < reader->pattern.len && !looking_at(reader, "\\E")) {
        int rc = emit_char(reader, rune_next(reader));
        if (rc != 0) {
            return rc;
        }
    }
    reader->at += reader->at < reader->pattern.len ? 2 : 0;
    return 0;
}

static int escape(struct reader *reader)
{
    int c = peek(reader, 1);
    const char *perl = perl_class(c);
    int rc;
    if (perl) {
        reader->at += 2;
        /* "not a space" is the class without RE2's five, a vertical tab being no space there. */
        rc = emit(reader, c == 'S' ? "[^" : "[");
        rc = rc != 0 ? rc : emit(reader, c == 'S' ? perl_class('s') : perl);
        return rc != 0 ? rc : emit(reader, "]");
    }
    switch (c) {
    case 'A':
    case 'b':
    case 'B':
    case 'z':
        reader->at += 2;
        /* In a group, so that a repetition may follow. */
        return tly_buf_printf(&reader->syntax->plain, "(?:\\%c)", c);
    case 'p':
    case 'P':
        return unicode_class(reader);
    case 'Q':
        return quoted_run(reader);
    case 'C':
        return fault(reader, reader->at, "\\C (a single byte) is not supported");
    default:
        break;
    }
    uint32_t rune;
    rc = escape_char(reader, &rune);
    return rc != 0 ? rc : emit_char(reader, rune);
}

static int alternatives(struct reader *reader, unsigned *ret_repeats);

static int capture_name(struct reader *reader, size_t start)
{
    size_t from = reader->at;
    while (is_word(peek(reader, 0))) {
        reader->at++;
    }
    struct tly_text name = {reader->pattern.at + from, reader->at - from};
    if (name.len == 0 || peek(reader, 0) != '>') {
        return fault(reader, start, "invalid named capture");
    }
    reader->at++;
    struct tly_regex_syntax *syntax = reader->syntax;
    for (size_t i = 0; i < syntax->name_count; i++) {
        if (tly_text_equal(syntax->names[i].name, name)) {
            return fault(reader, start, "duplicate capture group name");
        }
    }
    /* A name takes a group, and groups were counted. */
    syntax->names[syntax->name_count++] = (struct tly_regex_name){name, syntax->groups};
    return 0;
}

/* What stands behind "(?" and is no capture: flags, then a colon or the end. */
static int flags(struct reader *reader, size_t start, bool *ret_group)
{
    size_t from = reader->at;
    bool minus = false;
    bool any = false;
    for (;; reader->at++) {
        int c = peek(reader, 0);
        if (c == 'i' || c == 'm' || c == 's' || c == 'U') {
            any = true;
        } else if (c == '-' && !minus) {
            minus = true;
            any = false;
        } else {
            break;
        }
    }
    int c = peek(reader, 0);
    if (c == '=' || c == '!' || looking_at(reader, "<=") || looking_at(reader, "<!")) {
        return fault(reader, start,
                     c == '<' ? "lookbehind is not supported (RE2 has none)"
                              : "lookahead is not supported (RE2 has none)");
    }
    if ((c != ':' && c != ')') || (minus && !any) || (c == ')' && !any)) {
        return fault(reader, start, "invalid or unsupported Perl syntax");
    }
    *ret_group = c == ':';
    int rc = emit(reader, "(?");
    struct tly_text letters = {reader->pattern.at + from, reader->at - from};
    rc = rc != 0 ? rc : tly_buf_append_text(&reader->syntax->plain, letters);
    reader->at++;
    return rc != 0 ? rc : emit(reader, *ret_group ? ":" : ")");
}

/* A group, or a setting of flags, which is no atom that could be repeated. */
static int group(struct reader *reader, bool *ret_atom, unsigned *ret_repeats)
{
    size_t start = reader->at++;
    bool named = looking_at(reader, "?P<") ||
                 (looking_at(reader, "?<") && peek(reader, 2) != '=' && peek(reader, 2) != '!');
    bool inside = true;
    int rc = 0;
    if (peek(reader, 0) == '?' && !named) {
        reader->at++;
        rc = flags(reader, start, &inside);
    } else {
        if (++reader->syntax->groups > TLY_REGEX_GROUPS_MAX) {
            return fault(reader, start, "too many capture groups");
        }
        if (named) {
            reader->at += peek(reader, 1) == 'P' ? 3 : 2;
            rc = capture_name(reader, start);
        }
        rc = rc != 0 ? rc : emit(reader, "(");
    }
    *ret_atom = inside;
    if (rc != 0 || !inside) {
        return rc;
    }
    if (++reader->depth > DEPTH_MAX) {
        return fault(reader, start, "the pattern nests too deeply");
    }
    rc = alternatives(reader, ret_repeats);
    reader->depth--;
    if (rc == 0 && peek(reader, 0) != ')') {
        return fault(reader, start, "missing closing )");
    }
    reader->at++;
    return rc != 0 ? rc : emit(reader, ")");
}

/* ---- repetition ---- */

/* A number of {n,m}; no leading zeros, and -1 where there is none. */
static long repeat_number(struct reader *reader)
{
    size_t from = reader->at;
    long number = 0;
    while (peek(reader, 0) >= '0' && peek(reader, 0) <= '9') {
        number = number > REPEAT_MAX ? number : number * 10 + peek(reader, 0) - '0';
        reader->at++;
    }
    bool zero = reader->at > from + 1 && reader->pattern.at[from] == '0';
    return reader->at == from || zero ? -1 : number;
}

/* Reads {n}, {n,} or {n,m}; false if the brace is an ordinary character. */
static bool counted_repeat(struct reader *reader, long *ret_least, long *ret_most)
{
    size_t start = reader->at++;
    *ret_least = repeat_number(reader);
    *ret_most = *ret_least;
    bool fits = *ret_least >= 0;
    if (fits && peek(reader, 0) == ',') {
        reader->at++;
        bool open = peek(reader, 0) == '}';
        *ret_most = open ? *ret_least : repeat_number(reader);
        fits = *ret_most >= 0;
        *ret_most = open ? -1 : *ret_most;
    }
    if (!fits || peek(reader, 0) != '}') {
        reader->at = start;
        return false;
    }
    reader->at++;
    return true;
}

/* Whether a repetition stands here; it is read, and checked against what it repeats. */
static int repetition(struct reader *reader, unsigned *repeats, bool *ret_any)
{
    int c = peek(reader, 0);
    size_t start = reader->at;
    long least = 0;
    long most = 0;
    *ret_any = c == '*' || c == '+' || c == '?';
    if (*ret_any) {
        reader->at++;
    } else if (c == '{') {
        *ret_any = counted_repeat(reader, &least, &most);
    }
    if (!*ret_any) {
        return 0;
    }
    if (c == '{') {
        long count = most > least ? most : least;
        if (count > REPEAT_MAX || (most >= 0 && most < least)) {
            return fault(reader, start, "invalid repeat count");
        }
        *repeats *= count > 1 ? (unsigned)count : 1;
        if (*repeats > REPEAT_MAX) {
            return fault(reader, start, "invalid repeat count: nested repetitions multiply");
        }
    }
    reader->at += peek(reader, 0) == '?' ? 1 : 0;
    struct tly_text all = {reader->pattern.at + start, reader->at - start};
    return tly_buf_append_text(&reader->syntax->plain, all);
}

/* One thing that can be repeated; *ret_atom is false for what can't. */
static int atom(struct reader *reader, bool *ret_atom, unsigned *ret_repeats)
{
    *ret_atom = true;
    switch (peek(reader, 0)) {
    case '(':
        return group(reader, ret_atom, ret_repeats);
    case '[':
        return class(reader);
    case '\\':
        return escape(reader);
    case '.':
        reader->at++;
        return emit(reader, ".");
    case '^':
        reader->at++;
        return emit(reader, "(?:^)");
    case '$':
        reader->at++;
        return emit(reader, "(?:$)");
    case '*':
    case '+':
    case '?':
        return fault(reader, reader->at, "missing argument to repetition operator");
    case '{': {
        long least;
        long most;
        size_t start = reader->at;
        if (counted_repeat(reader, &least, &most)) {
            return fault(reader, start, "missing argument to repetition operator");
        }
        break;
    }
    default:
        break;
    }
    return emit_char(reader, rune_next(reader));
}

/* A run of atoms up to a bar or a closing parenthesis. */
static int concatenation(struct reader *reader, unsigned *repeats_most)
{
    while (peek(reader, 0) >= 0 && peek(reader, 0) != '|' && peek(reader, 0) != ')') {
        bool repeatable;
        bool any = false;
        unsigned repeats = 1;
        int rc = atom(reader, &repeatable, &repeats);
        if (rc == 0 && repeatable) {
            rc = repetition(reader, &repeats, &any);
        }
        if (rc != 0) {
            return rc;
        }
        if (any) {
            size_t start = reader->at;
            unsigned once = 1;
            rc = repetition(reader, &once, &any);
            if (rc != 0 || any) {
                return rc != 0 ? rc : fault(reader, start, "invalid nested repetition operator");
            }
        }
        *repeats_most = repeats > *repeats_most ? repeats : *repeats_most;
    }
    return 0;
}

static int alternatives(struct reader *reader, unsigned *ret_repeats)
{
    unsigned repeats = 1;
    int rc = concatenation(reader, &repeats);
    while (rc == 0 && peek(reader, 0) == '|') {
        reader->at++;
        rc = emit(reader, "|");
        rc = rc != 0 ? rc : concatenation(reader, &repeats);
    }
    *ret_repeats = repeats;
    return rc;
}

int tly_regex_translate(struct tly_text pattern, struct tly_regex_syntax *syntax, size_t *fault_at,
                        struct tly_error *err)
{
    struct reader reader = {.pattern = pattern, .syntax = syntax, .fault_at = fault_at, .err = err};
    size_t valid = tly_text_utf8_prefix(pattern);
    if (valid != pattern.len) {
        return fault(&reader, valid, "invalid UTF-8");
    }
    unsigned repeats;
    int rc = alternatives(&reader, &repeats);
    if (rc == 0 && reader.at < pattern.len) {
        return fault(&reader, reader.at, "unexpected )");
    }
    return rc < 0 && rc != TLY_E_MALFORMED ? tly_error_set(err, rc, "the pattern is too long") : rc;
}
