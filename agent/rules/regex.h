/*
 * Regular expressions with RE2's syntax and meaning, over a whole text: what Prometheus's matchers
 * and label_replace take. The pattern is read by RE2's grammar and handed to PCRE2 in a plain form,
 * so that nothing of PCRE2's own syntax can slip in: backreferences, lookaround and the like are
 * refused by name and place. `.` matches a newline, as in Prometheus 3.
 */
#ifndef TLY_RULES_REGEX_H
#define TLY_RULES_REGEX_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>

#define TLY_REGEX_LEN_MAX    4096
#define TLY_REGEX_GROUPS_MAX 64 /* capturing ones */

struct tly_regex; /* opaque, immutable; one thread at a time */

/* `*ret_at` (may be NULL) is the byte of the pattern where a fault is, also on failure.
 * TLY_E_MALFORMED, TLY_E_LIMIT, -ENOMEM. */
int tly_regex_new(struct tly_text pattern, struct tly_regex **ret_regex, size_t *fault_at,
                  struct tly_error *err) TLY_CHECK;
void tly_regex_free(struct tly_regex *regex); /* NULL is fine */

/* Whether all of `text` matches. A match that takes too many steps counts as none: patterns that do
 * so on label values are rare, and the bound is what keeps them harmless. */
bool tly_regex_matches(const struct tly_regex *regex, struct tly_text text);

/* If all of `text` matches, appends `replacement` with $1, ${1}, $name and ${name} expanded and $$
 * as a dollar sign, as Go's Expand does. 0: no match, 1: a match, TLY_E_LIMIT, -ENOMEM. */
int tly_regex_expand(const struct tly_regex *regex, struct tly_text text,
                     struct tly_text replacement, struct tly_buf *buf) TLY_CHECK;

/* The same language for patterns that are looked for anywhere in a text: only for the two functions
 * that follow. */
int tly_regex_new_search(struct tly_text pattern, struct tly_regex **ret_regex,
                         struct tly_error *err) TLY_CHECK;
bool tly_regex_found(const struct tly_regex *regex, struct tly_text text);
/* Appends the text with every match replaced, as Go's ReplaceAllString does. TLY_E_LIMIT, -ENOMEM.
 */
int tly_regex_replace_all(const struct tly_regex *regex, struct tly_text text,
                          struct tly_text replacement, struct tly_buf *buf) TLY_CHECK;

/* A list through the regular expressions of one owner. */
void tly_regex_push(struct tly_regex **list, struct tly_regex *regex);
void tly_regex_list_free(struct tly_regex **list);

#endif
