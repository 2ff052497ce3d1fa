/*
 * What was last told of each subject, as text: a file in the state directory, so that a restart
 * tells only what changed meanwhile. Pure.
 *
 *   tallyman findings 1
 *   checks container privileged docker_socket_mount ...      in the order of the letters below
 *   container f4p2n1 3f0c...                                  target, a letter and a digit for each
 *                                                             check, id (nothing for engine, host)
 *
 * Checks are told by name, so that the file of another version is taken up as far as it goes.
 */
#ifndef TLY_POSTURE_TOLD_H
#define TLY_POSTURE_TOLD_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/map.h"
#include "agent/base/text.h"
#include "collectors/posture/finding.h"

#define TLY_TOLD_KEY_MAX 512

/* "container/3f0c...": cut to fit; borrowed from `to`. */
struct tly_text tly_told_key(char to[TLY_TOLD_KEY_MAX], enum tly_target target, struct tly_text id);

/* What stands before the subjects. TLY_E_LIMIT, -ENOMEM. */
int tly_told_write_head(struct tly_buf *buf) TLY_CHECK;
/* One subject's line; nothing for an id that would break the form. The same errors. */
int tly_told_write(struct tly_buf *buf, const struct tly_subject *subject) TLY_CHECK;

/*
 * Adds a struct tly_subject for each line to `subjects`, by its key, with what was told and nothing
 * else: of a check that the file does not name, nothing was. At most `max` lines. TLY_E_MALFORMED
 * with `err`, which says where, -ENOMEM; what stands before the fault was then added.
 */
int tly_told_read(struct tly_text text, size_t max, struct tly_map *subjects,
                  struct tly_error *err) TLY_CHECK;

#endif
