/*
 * gzip (RFC 1952) of a text that is written again and again and changes in places: it comes in
 * parts, each compressed by itself, and a part that is the same as in the text before is not
 * compressed again. Parts are told apart by a key, and known again by a hash of 64 bits and more
 * with a secret seed. One member, as every client reads it. Slow by nature: for a worker. Pure.
 */
#ifndef TLY_CODEC_GZIP_PARTS_H
#define TLY_CODEC_GZIP_PARTS_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stddef.h>
#include <stdint.h>

struct tly_gzip_parts; /* what is remembered of the last text, and the text under way */

/* `level` is zlib's; at most `remembered_max` bytes of compressed parts are kept: what is beyond is
 * compressed each time. -ENOMEM, -EINVAL. */
int tly_gzip_parts_new(int level, size_t remembered_max,
                       struct tly_gzip_parts **ret_parts) TLY_CHECK;
void tly_gzip_parts_free(struct tly_gzip_parts *parts); /* NULL is fine */

/* A text from its beginning; what is compressed goes to the end of `buf`, which is borrowed until
 * `finish`. After an error of these three only another `begin` or `free` may follow. -ENOMEM;
 * TLY_E_LIMIT at the buffer's maximum. */
int tly_gzip_parts_begin(struct tly_gzip_parts *parts, struct tly_buf *buf) TLY_CHECK;
/* Keys rise within a text. */
int tly_gzip_parts_add(struct tly_gzip_parts *parts, uint64_t key, struct tly_text text) TLY_CHECK;
int tly_gzip_parts_finish(struct tly_gzip_parts *parts) TLY_CHECK;

struct tly_gzip_parts_stats {
    size_t remembered_bytes; /* compressed, held in memory */
    size_t same_bytes;       /* of the last text, those of parts that had not changed */
};
struct tly_gzip_parts_stats tly_gzip_parts_stats(const struct tly_gzip_parts *parts);

#endif
