/*
 * A rotated log that Docker compressed, read from its beginning as a stream. The memory it takes
 * (some 50 KiB) lives from `new` to `free`.
 */
#ifndef TLY_LOGS_GZIP_H
#define TLY_LOGS_GZIP_H

#include "agent/base/error.h"

#include <stddef.h>
#include <sys/types.h>

struct tly_log_gzip;

/* `fd` is borrowed; its own offset is not used. -ENOMEM. */
int tly_log_gzip_new(int fd, struct tly_log_gzip **ret_gzip) TLY_CHECK;
void tly_log_gzip_free(struct tly_log_gzip *gzip); /* NULL is fine */

/* The next bytes, at most `cap`; 0 at the end of the last member. -errno; TLY_E_MALFORMED for
 * damage and for an end inside a member. */
ssize_t tly_log_gzip_read(struct tly_log_gzip *gzip, char *to, size_t cap) TLY_CHECK;

#endif
