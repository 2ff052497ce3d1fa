/*
 * What a client may be sent, from its Accept and Accept-Encoding headers (RFC 9110 section 12.5),
 * as far as the exporter has a choice. Nobody is refused: who asks for something else gets the text
 * format, uncompressed. Pure.
 */
#ifndef TLY_CODEC_ACCEPT_H
#define TLY_CODEC_ACCEPT_H

#include "agent/base/text.h"
#include "agent/codec/exposition.h"

#include <stdbool.h>

/* The best known format of an Accept header; an empty one gets text 0.0.4. A clause's `q` counts
 * first, then its place; q=0 forbids. `escaping` is passed over, because all names that the agent
 * writes are the same under every scheme. */
enum tly_exposition_format tly_accept_format(struct tly_text accept);

/* Whether an Accept-Encoding header allows gzip; an empty one does not. */
bool tly_accept_gzip(struct tly_text accept_encoding);

#endif
