/*
 * A pattern under way from RE2's syntax to PCRE2's: what regex_syntax.c and regex_class.c share.
 */
#ifndef TLY_RULES_REGEX_READER_H
#define TLY_RULES_REGEX_READER_H

#include "agent/rules/regex_syntax.h"

#include <stdint.h>

struct tly_regex_reader {
    struct tly_text pattern; /* valid UTF-8 */
    size_t at;
    unsigned depth;
    struct tly_regex_syntax *syntax;
    size_t *fault_at;
    struct tly_error *err;
};

/* Says what is wrong where. */
int tly_regex_fault(struct tly_regex_reader *reader, size_t at, const char *what);

/* The byte so far ahead, or -1. */
int tly_regex_peek(const struct tly_regex_reader *reader, size_t ahead);
bool tly_regex_looking_at(const struct tly_regex_reader *reader, const char *text);
bool tly_regex_is_word(int c); /* a letter, a digit or an underscore */
uint32_t tly_regex_rune_next(struct tly_regex_reader *reader);

int tly_regex_emit(struct tly_regex_reader *reader, const char *text) TLY_CHECK;
int tly_regex_emit_char(struct tly_regex_reader *reader, uint32_t rune) TLY_CHECK;

/* An escape that stands for one character; the reader stands at the backslash. */
int tly_regex_escape_char(struct tly_regex_reader *reader, uint32_t *ret_rune) TLY_CHECK;
/* \d \s \w and their opposites, as PCRE2 class items: RE2's \s has no vertical tab. NULL for other
 * letters. */
const char *tly_regex_perl_class(int letter);
/* \pN, \p{Greek}, \P{^Lu}: copied, once the name is one. The reader stands at the backslash. */
int tly_regex_unicode_class(struct tly_regex_reader *reader) TLY_CHECK;
/* [...]; the reader stands at the bracket. */
int tly_regex_class(struct tly_regex_reader *reader) TLY_CHECK;

#endif
