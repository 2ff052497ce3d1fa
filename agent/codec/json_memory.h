/*
 * Reading with jansson where memory may be out. Its reader does not look whether the token that it
 * gathers could grow (lex_save() of its load.c, 2.14): it goes on, and then runs over the ends of
 * its own buffers, with bytes of whoever wrote the text. Here such a read is left at once, and what
 * it had made until then is freed.
 */
#ifndef TLY_CODEC_JSON_MEMORY_H
#define TLY_CODEC_JSON_MEMORY_H

#include "agent/base/text.h"

#include <jansson.h>

/* json_loadb() with that care. The caller owns the result. TLY_E_MALFORMED, with `ret_failure` as
 * jansson set it; -ENOMEM. */
int tly_json_load(struct tly_text text, size_t flags, json_t **ret_root,
                  json_error_t *ret_failure) TLY_CHECK;

#endif
