/*
 * From RE2's syntax to PCRE2's. Every literal character leaves as a letter, a digit or \x{...},
 * every class as a list of such, so nothing in a pattern means anything to PCRE2 that it did not
 * mean here. The grammar follows Go's regexp/syntax with its Perl flags, which Prometheus uses.
 */
#include "agent/rules/regex_reader.h"

#include <string.h>

/* RE2's bound for {n,m}, also for nested ones multiplied. */
#define REPEAT_MAX 1000
#define DEPTH_MAX  100

/* ---- escapes and groups outside classes ---- */

static int quoted_run(struct tly_regex_reader *reader)
{
    reader->at += 2;
    while (reader->at < reader->pattern.len && !tly_regex_looking_at(reader, "\\E")) {
        int rc = tly_regex_emit_char(reader, tly_regex_rune_next(reader));
        if (rc != 0) {
            return rc;
        }
    }
    reader->at += reader->at < reader->pattern.len ? 2 : 0;
    return 0;
}

static int escape(struct tly_regex_reader *reader)
{
    int c = tly_regex_peek(reader, 1);
    const char *perl = tly_regex_perl_class(c);
    int rc;
    if (perl) {
        reader->at += 2;
        /* "not a space" is the class without RE2's five, a vertical tab being no space there. */
        rc = tly_regex_emit(reader, c == 'S' ? "[^" : "[");
        rc = rc != 0 ? rc : tly_regex_emit(reader, c == 'S' ? tly_regex_perl_class('s') : perl);
        return rc != 0 ? rc : tly_regex_emit(reader, "]");
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
        return tly_regex_unicode_class(reader);
    case 'Q':
        return quoted_run(reader);
    case 'C':
        return tly_regex_fault(reader, reader->at, "\\C (a single byte) is not supported");
    default:
        break;
    }
    uint32_t rune;
    rc = tly_regex_escape_char(reader, &rune);
    return rc != 0 ? rc : tly_regex_emit_char(reader, rune);
}

static int alternatives(struct tly_regex_reader *reader, unsigned *ret_repeats);

static int capture_name(struct tly_regex_reader *reader, size_t start)
{
    size_t from = reader->at;
    while (tly_regex_is_word(tly_regex_peek(reader, 0))) {
        reader->at++;
    }
    struct tly_text name = {reader->pattern.at + from, reader->at - from};
    if (name.len == 0 || tly_regex_peek(reader, 0) != '>') {
        return tly_regex_fault(reader, start, "invalid named capture");
    }
    reader->at++;
    struct tly_regex_syntax *syntax = reader->syntax;
    /* A name takes a group, and groups were counted. Two groups may share one, as in Go. */
    syntax->names[syntax->name_count++] = (struct tly_regex_name){name, syntax->groups};
    return 0;
}

/* What stands behind "(?" and is no capture: flags, then a colon or the end. */
static int flags(struct tly_regex_reader *reader, size_t start, bool *ret_group)
{
    size_t from = reader->at;
    bool minus = false;
    bool any = false;
    for (;; reader->at++) {
        int c = tly_regex_peek(reader, 0);
        if (c == 'i' || c == 'm' || c == 's' || c == 'U') {
            any = true;
        } else if (c == '-' && !minus) {
            minus = true;
            any = false;
        } else {
            break;
        }
    }
    int c = tly_regex_peek(reader, 0);
    if (c == '=' || c == '!' || tly_regex_looking_at(reader, "<=") ||
        tly_regex_looking_at(reader, "<!")) {
        return tly_regex_fault(reader, start,
                               c == '<' ? "lookbehind is not supported (RE2 has none)"
                                        : "lookahead is not supported (RE2 has none)");
    }
    if ((c != ':' && c != ')') || (minus && !any) || (c == ')' && !any)) {
        return tly_regex_fault(reader, start, "invalid or unsupported Perl syntax");
    }
    *ret_group = c == ':';
    int rc = tly_regex_emit(reader, "(?");
    struct tly_text letters = {reader->pattern.at + from, reader->at - from};
    rc = rc != 0 ? rc : tly_buf_append_text(&reader->syntax->plain, letters);
    reader->at++;
    return rc != 0 ? rc : tly_regex_emit(reader, *ret_group ? ":" : ")");
}

/* A group, or a setting of flags, which is no atom that could be repeated. */
static int group(struct tly_regex_reader *reader, bool *ret_atom, unsigned *ret_repeats)
{
    size_t start = reader->at++;
    bool named = tly_regex_looking_at(reader, "?P<") ||
                 (tly_regex_looking_at(reader, "?<") && tly_regex_peek(reader, 2) != '=' &&
                  tly_regex_peek(reader, 2) != '!');
    bool inside = true;
    int rc = 0;
    if (tly_regex_peek(reader, 0) == '?' && !named) {
        reader->at++;
        rc = flags(reader, start, &inside);
    } else {
        if (++reader->syntax->groups > TLY_REGEX_GROUPS_MAX) {
            return tly_regex_fault(reader, start, "too many capture groups");
        }
        if (named) {
            reader->at += tly_regex_peek(reader, 1) == 'P' ? 3 : 2;
            rc = capture_name(reader, start);
        }
        rc = rc != 0 ? rc : tly_regex_emit(reader, "(");
    }
    *ret_atom = inside;
    if (rc != 0 || !inside) {
        return rc;
    }
    if (++reader->depth > DEPTH_MAX) {
        return tly_regex_fault(reader, start, "the pattern nests too deeply");
    }
    rc = alternatives(reader, ret_repeats);
    reader->depth--;
    if (rc == 0 && tly_regex_peek(reader, 0) != ')') {
        return tly_regex_fault(reader, start, "missing closing )");
    }
    reader->at++;
    return rc != 0 ? rc : tly_regex_emit(reader, ")");
}

/* ---- repetition ---- */

/* A number of {n,m}; no leading zeros, and -1 where there is none. */
static long repeat_number(struct tly_regex_reader *reader)
{
    size_t from = reader->at;
    long number = 0;
    while (tly_regex_peek(reader, 0) >= '0' && tly_regex_peek(reader, 0) <= '9') {
        number = number > REPEAT_MAX ? number : number * 10 + tly_regex_peek(reader, 0) - '0';
        reader->at++;
    }
    bool zero = reader->at > from + 1 && reader->pattern.at[from] == '0';
    return reader->at == from || zero ? -1 : number;
}

/* Reads {n}, {n,} or {n,m}; false if the brace is an ordinary character. */
static bool counted_repeat(struct tly_regex_reader *reader, long *ret_least, long *ret_most)
{
    size_t start = reader->at++;
    *ret_least = repeat_number(reader);
    *ret_most = *ret_least;
    bool fits = *ret_least >= 0;
    if (fits && tly_regex_peek(reader, 0) == ',') {
        reader->at++;
        bool open = tly_regex_peek(reader, 0) == '}';
        *ret_most = open ? *ret_least : repeat_number(reader);
        fits = *ret_most >= 0;
        *ret_most = open ? -1 : *ret_most;
    }
    if (!fits || tly_regex_peek(reader, 0) != '}') {
        reader->at = start;
        return false;
    }
    reader->at++;
    return true;
}

/* Whether a repetition stands here; it is read, and checked against what it repeats. */
static int repetition(struct tly_regex_reader *reader, unsigned *repeats, bool *ret_any)
{
    int c = tly_regex_peek(reader, 0);
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
            return tly_regex_fault(reader, start, "invalid repeat count");
        }
        *repeats *= count > 1 ? (unsigned)count : 1;
        if (*repeats > REPEAT_MAX) {
            return tly_regex_fault(reader, start,
                                   "invalid repeat count: nested repetitions multiply");
        }
    }
    reader->at += tly_regex_peek(reader, 0) == '?' ? 1 : 0;
    struct tly_text all = {reader->pattern.at + start, reader->at - start};
    return tly_buf_append_text(&reader->syntax->plain, all);
}

/* One thing that can be repeated; *ret_atom is false for what can't. */
static int atom(struct tly_regex_reader *reader, bool *ret_atom, unsigned *ret_repeats)
{
    *ret_atom = true;
    switch (tly_regex_peek(reader, 0)) {
    case '(':
        return group(reader, ret_atom, ret_repeats);
    case '[':
        return tly_regex_class(reader);
    case '\\':
        return escape(reader);
    case '.':
        reader->at++;
        return tly_regex_emit(reader, ".");
    case '^':
        reader->at++;
        return tly_regex_emit(reader, "(?:^)");
    case '$':
        reader->at++;
        return tly_regex_emit(reader, "(?:$)");
    case '*':
    case '+':
    case '?':
        return tly_regex_fault(reader, reader->at, "missing argument to repetition operator");
    case '{': {
        long least;
        long most;
        size_t start = reader->at;
        if (counted_repeat(reader, &least, &most)) {
            return tly_regex_fault(reader, start, "missing argument to repetition operator");
        }
        break;
    }
    default:
        break;
    }
    return tly_regex_emit_char(reader, tly_regex_rune_next(reader));
}

/* A run of atoms up to a bar or a closing parenthesis. */
static int concatenation(struct tly_regex_reader *reader, unsigned *repeats_most)
{
    while (tly_regex_peek(reader, 0) >= 0 && tly_regex_peek(reader, 0) != '|' &&
           tly_regex_peek(reader, 0) != ')') {
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
                return rc != 0
                           ? rc
                           : tly_regex_fault(reader, start, "invalid nested repetition operator");
            }
        }
        *repeats_most = repeats > *repeats_most ? repeats : *repeats_most;
    }
    return 0;
}

static int alternatives(struct tly_regex_reader *reader, unsigned *ret_repeats)
{
    unsigned repeats = 1;
    int rc = concatenation(reader, &repeats);
    while (rc == 0 && tly_regex_peek(reader, 0) == '|') {
        reader->at++;
        rc = tly_regex_emit(reader, "|");
        rc = rc != 0 ? rc : concatenation(reader, &repeats);
    }
    *ret_repeats = repeats;
    return rc;
}

int tly_regex_translate(struct tly_text pattern, struct tly_regex_syntax *syntax, size_t *fault_at,
                        struct tly_error *err)
{
    struct tly_regex_reader reader = {
        .pattern = pattern, .syntax = syntax, .fault_at = fault_at, .err = err};
    size_t valid = tly_text_utf8_prefix(pattern);
    if (valid != pattern.len) {
        return tly_regex_fault(&reader, valid, "invalid UTF-8");
    }
    unsigned repeats;
    int rc = alternatives(&reader, &repeats);
    if (rc == 0 && reader.at < pattern.len) {
        return tly_regex_fault(&reader, reader.at, "unexpected )");
    }
    return rc < 0 && rc != TLY_E_MALFORMED ? tly_error_set(err, rc, "the pattern is too long") : rc;
}
