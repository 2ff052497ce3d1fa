/*
 * The tag of a container's records, made from a template with placeholders.
 */
#ifndef TLY_LOGS_TAG_H
#define TLY_LOGS_TAG_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/model/container.h"

#define TLY_LOG_TAG_MAX 512 /* bytes of a tag; what is longer is cut */
#define TLY_LOG_TAG_FALLBACK                                                                       \
    "docker" /* of a template that came out empty: no receiver takes that */

/* For the option table: says what is wrong with a template. */
int tly_log_tag_verify(const char *value, struct tly_error *err);

/*
 * Writes the tag of a container to `ret_tag`, whose contents are replaced. What is not known, or a
 * label that is not there, is empty. Control characters become '_': tags are matched as one word.
 * -ENOMEM.
 */
int tly_log_tag_expand(const char *template, const struct tly_container *container,
                       struct tly_buf *ret_tag) TLY_CHECK;

/* The same without that: the value of a field, which may be empty. */
int tly_log_value_expand(const char *template, const struct tly_container *container,
                         struct tly_buf *ret_tag) TLY_CHECK;

#endif
