/*
 * A label matcher: name and value compared, or the value matched by a regular expression over its
 * whole length. An absent label has the empty value.
 */
#ifndef TLY_RULES_MATCHER_H
#define TLY_RULES_MATCHER_H

#include "agent/base/text.h"
#include "agent/rules/labels.h"
#include "agent/rules/regex.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tly_match { TLY_MATCH_EQUAL, TLY_MATCH_NOT_EQUAL, TLY_MATCH_REGEX, TLY_MATCH_NOT_REGEX };

struct tly_matcher {
    enum tly_match kind;
    struct tly_text name, value;   /* borrowed from the expression */
    const struct tly_regex *regex; /* likewise; for the last two kinds */
};

/* "=", "!=", "=~", "!~" */
const char *tly_match_text(enum tly_match kind);

bool tly_matcher_accepts(const struct tly_matcher *matcher, struct tly_text value);

/* Whether there may be a series of that name among those that the matchers accept. */
bool tly_matchers_allow_name(const struct tly_matcher *matchers, size_t count,
                             struct tly_text name);

/* A selector has at most this many. */
#define TLY_MATCHERS_MAX 64

/* Matchers whose names and values were looked up, for use on many label sets. */
struct tly_bound_matchers {
    const struct tly_symbols *symbols; /* borrowed, like the matchers */
    size_t count;
    struct {
        const struct tly_matcher *matcher;
        uint32_t name, value; /* symbols; TLY_SYMBOL_UNKNOWN for a text that no label has */
    } at[TLY_MATCHERS_MAX];
};
#define TLY_SYMBOL_UNKNOWN UINT32_MAX

/* Good as long as no symbol comes or goes. `count` is at most TLY_MATCHERS_MAX. */
void tly_matchers_bind(const struct tly_matcher *matchers, size_t count,
                       const struct tly_symbols *symbols, struct tly_bound_matchers *ret_bound);

/* Whether a label set passes every matcher. */
bool tly_matchers_accept(const struct tly_bound_matchers *bound, struct tly_labels labels);

#endif
