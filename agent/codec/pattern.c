/*
 * Patterns over PCRE2: compiled once, to machine code where the platform has that.
 */
#include "agent/codec/pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Far more than a pattern takes that does not explode, and about a millisecond. */
#define MATCH_STEPS    100000
#define MATCH_HEAP_KIB 1024

struct tly_pattern {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    struct tly_text text; /* that was searched last; only to be compared */
    uint32_t options;     /* for it */
};

static int refuse(struct tly_error *err, int code, size_t at)
{
    PCRE2_UCHAR text[TLY_ERROR_TEXT_MAX / 2];
    if (pcre2_get_error_message(code, text, sizeof(text)) < 0) {
        text[0] = '\0';
    }
    return tly_error_set(err, TLY_E_MALFORMED, "at character %zu of the pattern: %s", at + 1,
                         (const char *)text);
}

static int compile(struct tly_pattern *pattern, const char *text, struct tly_error *err)
{
    int code = 0;
    PCRE2_SIZE at = 0;
    pattern->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                                  PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
                                  &code, &at, NULL);
    if (!pattern->code) {
        return refuse(err, code, at);
    }
    /* Without the compiler, on platforms that lack it, matching is slower and otherwise the same.
     */
    int jit = pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
    (void)jit;
    pattern->match = pcre2_match_data_create_from_pattern(pattern->code, NULL);
    pattern->context = pcre2_match_context_create(NULL);
    if (!pattern->match || !pattern->context) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    (void)pcre2_set_match_limit(pattern->context, MATCH_STEPS);
    (void)pcre2_set_heap_limit(pattern->context, MATCH_HEAP_KIB);
    return 0;
}

int tly_pattern_new(const char *text, struct tly_pattern **ret_pattern, struct tly_error *err)
{
    if (text[0] == '\0') {
        return tly_error_set(err, TLY_E_MALFORMED, "an empty pattern fits every line; remove it");
    }
    if (strlen(text) > TLY_PATTERN_LEN_MAX) {
        return tly_error_set(err, TLY_E_MALFORMED, "a pattern has at most %d bytes",
                             TLY_PATTERN_LEN_MAX);
    }
    struct tly_pattern *pattern = calloc(1, sizeof(*pattern));
    if (!pattern) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    int rc = compile(pattern, text, err);
    if (rc < 0) {
        tly_pattern_free(pattern);
        return rc;
    }
    *ret_pattern = pattern;
    return 0;
}

void tly_pattern_free(struct tly_pattern *pattern)
{
    if (!pattern) {
        return;
    }
    pcre2_match_context_free(pattern->context);
    pcre2_match_data_free(pattern->match);
    pcre2_code_free(pattern->code);
    free(pattern);
}

static bool inside_character(struct tly_text text, size_t at)
{
    return text.at && at < text.len && ((unsigned char)text.at[at] & 0xc0) == 0x80;
}

/*
 * The compiled form is for well-formed text alone: in PCRE2 10.42 it reads a byte behind a text
 * that ends in a stray byte, PCRE2_MATCH_INVALID_UTF or not (tests/unit/codec/test_pattern.c). A
 * line that was cut within a character is such a text. Looked at once for all searches in a text.
 */
static uint32_t options_for(struct tly_pattern *pattern, struct tly_text text, size_t from)
{
    if (from == 0 || text.at != pattern->text.at || text.len != pattern->text.len) {
        pattern->text = text;
        pattern->options = tly_text_is_utf8(text) ? 0 : PCRE2_NO_JIT;
    }
    return pattern->options;
}

int tly_pattern_find(struct tly_pattern *pattern, struct tly_text text, size_t from,
                     struct tly_pattern_match *ret_match)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.at ? text.at : "");
    if (from > text.len) {
        return 0;
    }
    int rc = pcre2_match(pattern->code, subject, text.len, from, options_for(pattern, text, from),
                         pattern->match, pattern->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) { /* the interpreter has its own, larger one */
        rc = pcre2_match(pattern->code, subject, text.len, from, PCRE2_NO_JIT, pattern->match,
                         pattern->context);
    }
    if (rc == PCRE2_ERROR_NOMATCH) {
        return 0;
    }
    if (rc < 0) {
        return rc == PCRE2_ERROR_NOMEMORY ? -ENOMEM : TLY_E_LIMIT;
    }
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(pattern->match);
    bool group = rc > 1 && at[2] != PCRE2_UNSET;
    size_t end = at[1];
    *ret_match = (struct tly_pattern_match){
        .start = group ? at[2] : at[0], .end = group ? at[3] : end, .next = end};
    if (end == at[0]) { /* nothing was matched, and would be again */
        ret_match->next++;
        while (inside_character(text, ret_match->next)) {
            ret_match->next++;
        }
    }
    return 1;
}
