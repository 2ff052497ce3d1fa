/*
 * Patterns that people write to find something in a text: Perl's regular expressions, by PCRE2. A
 * text may hold any bytes; what is no UTF-8 fits nothing. A match has a bound on its steps, so that
 * no line can make a pattern stand still. Not for use from several threads at once.
 */
#ifndef TLY_CODEC_PATTERN_H
#define TLY_CODEC_PATTERN_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stddef.h>

/* A longer pattern is refused. */
#define TLY_PATTERN_LEN_MAX 4096

struct tly_pattern;

/* TLY_E_MALFORMED with what is wrong and where, -ENOMEM. */
int tly_pattern_new(const char *text, struct tly_pattern **ret_pattern,
                    struct tly_error *err) TLY_CHECK;
void tly_pattern_free(struct tly_pattern *pattern); /* NULL is fine */

struct tly_pattern_match {
    size_t start, end; /* of the first group, if the pattern has one that took part; else of all */
    size_t next;       /* where to look for another */
};

/* Looks for the pattern from byte `from` on. A search that goes on (`from` above 0) is of the very
 * text that was searched last, unchanged, or of one at another place. 1: found; 0: not there;
 * TLY_E_LIMIT: the search took too many steps, -ENOMEM. */
int tly_pattern_find(struct tly_pattern *pattern, struct tly_text text, size_t from,
                     struct tly_pattern_match *ret_match) TLY_CHECK;

#endif
