/*
 * Tags of answers (RFC 9110, 8.8.3): weak ones, of what an answer says rather than of its bytes, so
 * that the time at which it was made, or its compression, does not count.
 */
#ifndef TLY_WEB_TAG_H
#define TLY_WEB_TAG_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>

#define TLY_WEB_TAG_MAX 48

/* Writes the tag of `content`. -ENOMEM. */
int tly_web_tag_make(struct tly_text content, char to[TLY_WEB_TAG_MAX]) TLY_CHECK;

/* Whether a client's If-None-Match names it. */
bool tly_web_tag_known(struct tly_text if_none_match, const char *tag);

#endif
