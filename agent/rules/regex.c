/*
 * Regular expressions over whole texts. The patterns that people write most, a list of words or a
 * prefix, are compared without PCRE2; the rest is compiled, with PCRE2's limits as a bound on how
 * long a match may take. What a pattern means is regex_syntax.c's affair.
 */
#include "agent/rules/regex.h"

#include "agent/rules/regex_syntax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Steps of one match, and for each byte of the text: far more than a pattern takes that does not
 * explode, and about a millisecond. */
#define MATCH_STEPS          100000
#define MATCH_STEPS_PER_BYTE 100
#define MATCH_HEAP_KIB       (16 * 1024)
/* \x{...} makes a character up to ten bytes. */
#define PLAIN_LEN_MAX (TLY_REGEX_LEN_MAX * 12)

enum shape {
    SHAPE_GENERAL,
    SHAPE_ANY, /* .* */
    SHAPE_NOT_EMPTY /* .+ */,
    SHAPE_WORDS,  /* one|two|three */
    SHAPE_PREFIX, /* word.* */
};

struct tly_regex {
    struct tly_regex *next; /* in a list */
    enum shape shape;
    char *pattern; /* owned; words point into it */
    struct tly_text body;
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    unsigned groups;
    size_t name_count;
    struct tly_regex_name names[TLY_REGEX_GROUPS_MAX];
};

/* Whether the text has no character with a meaning, bars apart if they are allowed. */
static bool literal(struct tly_text text, bool bars)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("\\.+*?()[]{}^$", text.at[i]) || (!bars && text.at[i] == '|')) {
            return false;
        }
    }
    return true;
}

static enum shape shape_of(struct tly_text pattern, struct tly_text *ret_body)
{
    *ret_body = pattern;
    if (tly_text_equal(pattern, TLY_TEXT(".*"))) {
        return SHAPE_ANY;
    }
    if (tly_text_equal(pattern, TLY_TEXT(".+"))) {
        return SHAPE_NOT_EMPTY;
    }
    if (memchr(pattern.at, '\0', pattern.len)) { /* which strchr would take for its end */
        return SHAPE_GENERAL;
    }
    if (literal(pattern, true)) {
        return SHAPE_WORDS;
    }
    if (tly_text_ends(pattern, TLY_TEXT(".*"))) {
        ret_body->len -= 2;
        if (literal(*ret_body, false)) {
            return SHAPE_PREFIX;
        }
    }
    return SHAPE_GENERAL;
}

/* ---- compiling ---- */

static int compile(struct tly_regex *regex, struct tly_text plain, uint32_t anchors,
                   struct tly_error *err)
{
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) {
        return -ENOMEM;
    }
    /* These settings can't fail on these values. */
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    regex->code = pcre2_compile((PCRE2_SPTR)plain.at, plain.len,
                                anchors | PCRE2_DOTALL | PCRE2_UTF | PCRE2_DOLLAR_ENDONLY |
                                    PCRE2_ALT_CIRCUMFLEX | PCRE2_MATCH_INVALID_UTF |
                                    PCRE2_NEVER_BACKSLASH_C,
                                &code, &at, context);
    pcre2_compile_context_free(context);
    if (!regex->code) {
        PCRE2_UCHAR text[TLY_ERROR_TEXT_MAX / 2];
        if (pcre2_get_error_message(code, text, sizeof(text)) < 0) {
            text[0] = '\0';
        }
        return tly_error_set(err, TLY_E_MALFORMED, "%s", (const char *)text);
    }
    /* Without the compiler, on platforms that lack it, matching is slower and otherwise the same.
     */
    int jit = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
    (void)jit;
    regex->match = pcre2_match_data_create_from_pattern(regex->code, NULL);
    regex->context = pcre2_match_context_create(NULL);
    if (!regex->match || !regex->context) {
        return -ENOMEM;
    }
    (void)pcre2_set_heap_limit(regex->context, MATCH_HEAP_KIB);
    return 0;
}

static int build(struct tly_regex *regex, struct tly_text pattern, uint32_t anchors,
                 size_t *fault_at, struct tly_error *err)
{
    regex->pattern = tly_text_dup(pattern);
    if (!regex->pattern) {
        return -ENOMEM;
    }
    struct tly_regex_syntax syntax = {.groups = 0};
    tly_buf_init(&syntax.plain, PLAIN_LEN_MAX);
    struct tly_text own = {regex->pattern, pattern.len};
    int rc = tly_regex_translate(own, &syntax, fault_at, err);
    if (rc == 0) {
        regex->groups = syntax.groups;
        regex->name_count = syntax.name_count;
        memcpy(regex->names, syntax.names, sizeof(syntax.names));
        regex->shape = shape_of(own, &regex->body);
        struct tly_text plain = syntax.plain.at ? tly_buf_text(&syntax.plain) : TLY_TEXT("");
        rc = compile(regex, plain, anchors, err);
    }
    tly_buf_done(&syntax.plain);
    return rc;
}

static int regex_new(struct tly_text pattern, uint32_t anchors, struct tly_regex **ret_regex,
                     size_t *fault_at, struct tly_error *err)
{
    if (pattern.len > TLY_REGEX_LEN_MAX) {
        return tly_error_set(err, TLY_E_LIMIT, "the pattern is longer than %d bytes",
                             TLY_REGEX_LEN_MAX);
    }
    struct tly_regex *regex = calloc(1, sizeof(*regex));
    int rc = regex ? build(regex, pattern, anchors, fault_at, err) : -ENOMEM;
    if (rc < 0) {
        tly_regex_free(regex);
        return rc == -ENOMEM ? tly_error_set(err, rc, "out of memory") : rc;
    }
    *ret_regex = regex;
    return 0;
}

int tly_regex_new(struct tly_text pattern, struct tly_regex **ret_regex, size_t *fault_at,
                  struct tly_error *err)
{
    size_t ignored;
    fault_at = fault_at ? fault_at : &ignored;
    *fault_at = 0;
    return regex_new(pattern, PCRE2_ANCHORED | PCRE2_ENDANCHORED, ret_regex, fault_at, err);
}

int tly_regex_new_search(struct tly_text pattern, struct tly_regex **ret_regex,
                         struct tly_error *err)
{
    size_t ignored = 0;
    return regex_new(pattern, 0, ret_regex, &ignored, err);
}

void tly_regex_free(struct tly_regex *regex)
{
    if (!regex) {
        return;
    }
    pcre2_match_context_free(regex->context);
    pcre2_match_data_free(regex->match);
    pcre2_code_free(regex->code);
    free(regex->pattern);
    free(regex);
}

void tly_regex_push(struct tly_regex **list, struct tly_regex *regex)
{
    regex->next = *list;
    *list = regex;
}

void tly_regex_list_free(struct tly_regex **list)
{
    while (*list) {
        struct tly_regex *next = (*list)->next;
        tly_regex_free(*list);
        *list = next;
    }
}

/* ---- matching ---- */

/* The compiled form is for well-formed text alone: in PCRE2 10.42 it reads a byte behind a text
 * that ends in a stray one, PCRE2_MATCH_INVALID_UTF or not. */
static uint32_t options_for(struct tly_text text)
{
    return tly_text_is_utf8(text) ? 0 : PCRE2_NO_JIT;
}

static bool match_from(const struct tly_regex *regex, struct tly_text text, size_t from,
                       uint32_t options)
{
    PCRE2_SPTR at = (PCRE2_SPTR)(text.at ? text.at : "");
    uint64_t steps = MATCH_STEPS + (uint64_t)text.len * MATCH_STEPS_PER_BYTE;
    uint32_t limit = steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX;
    (void)pcre2_set_match_limit(regex->context, limit);
    (void)pcre2_set_depth_limit(regex->context, limit);
    int rc = pcre2_match(regex->code, at, text.len, from, options, regex->match, regex->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        /* The compiled form has a small stack; the interpreter takes its memory from the heap. */
        rc = pcre2_match(regex->code, at, text.len, from, PCRE2_NO_JIT, regex->match,
                         regex->context);
    }
    return rc > 0;
}

static bool general_match(const struct tly_regex *regex, struct tly_text text)
{
    return match_from(regex, text, 0, options_for(text));
}

static bool words_match(struct tly_text words, struct tly_text text)
{
    struct tly_text rest = words;
    while (rest.at) {
        if (tly_text_equal(tly_text_cut(&rest, '|'), text)) {
            return true;
        }
    }
    return false;
}

bool tly_regex_matches(const struct tly_regex *regex, struct tly_text text)
{
    switch (regex->shape) {
    case SHAPE_ANY:
        return true;
    case SHAPE_NOT_EMPTY:
        return text.len > 0;
    case SHAPE_WORDS:
        return words_match(regex->body, text);
    case SHAPE_PREFIX:
        return tly_text_starts(text, regex->body);
    case SHAPE_GENERAL:
        break;
    }
    return general_match(regex, text);
}

/* The group that a name or number stands for, or -1, which expands to nothing. Of several groups of
 * one name it is the first that took part in the match. */
static int group_of(const struct tly_regex *regex, struct tly_text name, const PCRE2_SIZE *places)
{
    uint64_t number;
    if (tly_text_u64(name, &number) == 0) {
        return number <= regex->groups ? (int)number : -1;
    }
    for (size_t i = 0; i < regex->name_count; i++) {
        int group = (int)regex->names[i].group;
        if (tly_text_equal(regex->names[i].name, name) && places[2 * group] != PCRE2_UNSET) {
            return group;
        }
    }
    return -1;
}

static bool name_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The length of a reference behind a dollar sign, with its braces; 0 if it is none. */
static size_t reference_read(struct tly_text rest, struct tly_text *ret_name)
{
    bool braces = rest.len > 0 && rest.at[0] == '{';
    size_t from = braces ? 1 : 0;
    size_t end = from;
    while (end < rest.len && name_char(rest.at[end])) {
        end++;
    }
    if (end == from || (braces && (end == rest.len || rest.at[end] != '}'))) {
        return 0;
    }
    *ret_name = (struct tly_text){rest.at + from, end - from};
    return end + from;
}

static int expand(const struct tly_regex *regex, struct tly_text text, struct tly_text rest,
                  struct tly_buf *buf)
{
    const PCRE2_SIZE *places = pcre2_get_ovector_pointer(regex->match);
    while (rest.len > 0) {
        const char *dollar = memchr(rest.at, '$', rest.len);
        size_t plain = dollar ? (size_t)(dollar - rest.at) : rest.len;
        int rc = tly_buf_append(buf, rest.at, plain);
        if (rc < 0 || !dollar) {
            return rc;
        }
        rest = (struct tly_text){dollar + 1, rest.len - plain - 1};
        struct tly_text name;
        size_t taken = reference_read(rest, &name);
        if (taken > 0) {
            int group = group_of(regex, name, places);
            PCRE2_SIZE from = group >= 0 ? places[2 * group] : PCRE2_UNSET;
            if (from != PCRE2_UNSET) {
                rc = tly_buf_append(buf, text.at + from, places[2 * group + 1] - from);
            }
        } else {
            /* "$$" is a dollar sign, and so is one that refers to nothing. */
            rc = tly_buf_append(buf, "$", 1);
            taken = rest.len > 0 && rest.at[0] == '$' ? 1 : 0;
        }
        if (rc < 0) {
            return rc;
        }
        rest = (struct tly_text){rest.at + taken, rest.len - taken};
    }
    return 0;
}

int tly_regex_expand(const struct tly_regex *regex, struct tly_text text,
                     struct tly_text replacement, struct tly_buf *buf)
{
    text.at = text.at ? text.at : "";
    if (!general_match(regex, text)) {
        return 0;
    }
    int rc = expand(regex, text, replacement, buf);
    return rc < 0 ? rc : 1;
}

bool tly_regex_found(const struct tly_regex *regex, struct tly_text text)
{
    return general_match(regex, text);
}

int tly_regex_replace_all(const struct tly_regex *regex, struct tly_text text,
                          struct tly_text replacement, struct tly_buf *buf)
{
    const PCRE2_SIZE *places = pcre2_get_ovector_pointer(regex->match);
    size_t copied = 0; /* of the text */
    size_t from = 0;
    uint32_t options = options_for(text);
    text.at = text.at ? text.at : "";
    while (from <= text.len && match_from(regex, text, from, options)) {
        size_t start = places[0];
        size_t end = places[1];
        int rc = tly_buf_append(buf, text.at + copied, start - copied);
        /* An empty match right behind a match counts as none, as in Go. */
        if (rc == 0 && (end > copied || start == 0)) {
            rc = expand(regex, text, replacement, buf);
        }
        if (rc < 0) {
            return rc;
        }
        copied = end;
        from = end;
        if (end == start) {
            from++;
            while (from < text.len && ((unsigned char)text.at[from] & 0xc0) == 0x80) {
                from++;
            }
        }
    }
    return tly_buf_append(buf, text.at + copied, text.len - copied);
}
