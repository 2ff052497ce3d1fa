/*
 * The compression of a forward frame's records: gzip by libdeflate or zlib, and zstd. Slow by
 * nature: for a worker. Pure.
 */
#ifndef TLY_CODEC_FORWARD_PACK_H
#define TLY_CODEC_FORWARD_PACK_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

enum tly_forward_compression { TLY_FORWARD_UNCOMPRESSED, TLY_FORWARD_GZIP, TLY_FORWARD_ZSTD };

/* The value of the option "compressed"; empty for TLY_FORWARD_UNCOMPRESSED. */
struct tly_text tly_forward_compression_name(enum tly_forward_compression compression);

/* What a compression works with, to be used again: making it costs about as much as compressing a
 * few hundred kilobytes. Not by two threads at a time. */
struct tly_forward_packer;

/* For gzip or zstd. -ENOMEM. */
int tly_forward_packer_new(enum tly_forward_compression compression,
                           struct tly_forward_packer **ret_packer) TLY_CHECK;
void tly_forward_packer_free(struct tly_forward_packer *packer); /* NULL is fine */

/* Appends `plain`, compressed as one gzip member or one zstd frame. -ENOMEM, TLY_E_LIMIT at the
 * buffer's maximum. On failure the buffer is as it was. */
int tly_forward_pack(struct tly_forward_packer *packer, struct tly_text plain,
                     struct tly_buf *buf) TLY_CHECK;

/* Whether the bytes begin as a zstd frame does. */
bool tly_forward_is_zstd(struct tly_text bytes);

/* Appends the contents of all zstd frames, one after the other, to `buf`, whose maximum is the
 * bound. TLY_E_MALFORMED, TLY_E_LIMIT, -ENOMEM. On failure `buf` may have grown by a part. */
int tly_forward_unpack_zstd(struct tly_text bytes, struct tly_buf *buf) TLY_CHECK;

#endif
