/*
 * RE2's grammar, read once to refuse what RE2 refuses and to write what is left in the plainest
 * form that PCRE2 reads the same way. Private to regex.c.
 */
#ifndef TLY_RULES_REGEX_SYNTAX_H
#define TLY_RULES_REGEX_SYNTAX_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/rules/regex.h"

struct tly_regex_name {
    struct tly_text name; /* borrowed from the pattern */
    unsigned group;
};

struct tly_regex_syntax {
    struct tly_buf plain; /* the pattern for PCRE2 */
    unsigned groups;      /* capturing ones, the whole match not counted */
    struct tly_regex_name names[TLY_REGEX_GROUPS_MAX];
    size_t name_count;
};

/* `syntax->plain` is the caller's, initialised. On failure `*fault_at` is the byte of the pattern.
 */
int tly_regex_translate(struct tly_text pattern, struct tly_regex_syntax *syntax, size_t *fault_at,
                        struct tly_error *err) TLY_CHECK;

#endif
