/*
 * Decompressing gzip (RFC 1952) from memory to memory, with a bound on what comes out.
 */
#ifndef TLY_CODEC_GUNZIP_H
#define TLY_CODEC_GUNZIP_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>

/* Whether the bytes begin as a gzip member does. */
bool tly_gunzip_sniff(struct tly_text bytes);

/*
 * Appends the contents of all members, one after the other, to `buf`, whose maximum is the bound.
 * TLY_E_MALFORMED for anything else behind a member, a wrong checksum or a cut end; TLY_E_LIMIT,
 * -ENOMEM. On failure `buf` may have grown by a part.
 */
int tly_gunzip(struct tly_text bytes, struct tly_buf *buf) TLY_CHECK;

#endif
