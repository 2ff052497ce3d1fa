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

enum tly_match { TLY_MATCH_EQUAL, TLY_MATCH_NOT_EQUAL, TLY_MATCH_REGEX, TLY_MATCH_NOT_REGEX };

struct tly_matcher {
    enum tly_match kind;
    struct tly_text name, value;   /* borrowed from the expression */
    const struct tly_regex *regex; /* likewise; for the last two kinds */
};

/* "=", "!=", "=~", "!~" */
const char *tly_match_text(enum tly_match kind);

bool tly_matcher_accepts(const struct tly_matcher *matcher, struct tly_text value);

/* Whether a label set passes every matcher. */
bool tly_matchers_accept(const struct tly_matcher *matchers, size_t count,
                         const struct tly_symbols *symbols, struct tly_labels labels);

#endif
