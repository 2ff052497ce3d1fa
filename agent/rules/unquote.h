/*
 * Quoted strings: how their escapes are built, for the lexer which checks them, and what they mean.
 */
#ifndef TLY_RULES_UNQUOTE_H
#define TLY_RULES_UNQUOTE_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/rules/arena.h"

#include <stdbool.h>

/* The value of a hexadecimal digit; 16 for anything else. */
unsigned tly_hex_value(int c);

/* How an escape is read whose letter is `c`: how many digits follow, in which base; the letter of
 * an octal one is its first digit. false for letters that no digits follow. */
bool tly_escape_form(int c, unsigned *ret_digits, unsigned *ret_base);

/* What a quoted string (a token's text) means, in the arena. The lexer has checked its escapes.
 * -ENOMEM. */
int tly_string_unquote(struct tly_arena *arena, struct tly_text quoted,
                       struct tly_text *ret_text) TLY_CHECK;

#endif
