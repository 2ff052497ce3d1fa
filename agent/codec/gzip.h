/*
 * Compressing to gzip (RFC 1952) by zlib, piece by piece. Slow by nature: for a worker. Pure.
 */
#ifndef TLY_CODEC_GZIP_H
#define TLY_CODEC_GZIP_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

struct tly_gzip; /* one member under way */

/* What is compressed goes to the end of `buf`, which is borrowed until `free`. `level` is zlib's, 1
 * (fast) to 9. -ENOMEM, -EINVAL. */
int tly_gzip_new(struct tly_buf *buf, int level, struct tly_gzip **ret_gzip) TLY_CHECK;

/* Compresses a piece. -ENOMEM; TLY_E_LIMIT at the buffer's maximum: then only `free` may follow. */
int tly_gzip_add(struct tly_gzip *gzip, struct tly_text piece) TLY_CHECK;

/* Writes what zlib still holds and the trailer; the same errors. Only `free` may follow. */
int tly_gzip_finish(struct tly_gzip *gzip) TLY_CHECK;

void tly_gzip_free(struct tly_gzip *gzip); /* NULL is fine */

/* All of it for a text at hand. On failure the buffer is as it was. */
int tly_gzip_append(struct tly_buf *buf, struct tly_text plain, int level) TLY_CHECK;

/* The buffer's content becomes its own gzip. On failure the buffer is as it was. */
int tly_gzip_replace(struct tly_buf *buf, int level) TLY_CHECK;

#endif
