/*
 * A connection's bytes, cut into whole msgpack values. What arrives in one piece is not copied; of
 * a value in several pieces only the bytes that are there take memory, up to the maximum, and only
 * until it is complete.
 */
#ifndef TLY_CODEC_VALUE_FEED_H
#define TLY_CODEC_VALUE_FEED_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/record_reader.h"

#include <stdbool.h>
#include <stddef.h>

struct tly_value_feed {
    const char *noun;                       /* what a value is here, for messages */
    bool (*may_start)(unsigned char first); /* whether a value can begin with this byte */
    size_t value_bytes_max;
    struct tly_buf kept; /* the beginning of a value that is not complete yet */
    struct tly_value_scan scan;
};

void tly_value_feed_init(struct tly_value_feed *feed, const char *noun,
                         bool (*may_start)(unsigned char first), size_t value_bytes_max);
void tly_value_feed_done(struct tly_value_feed *feed);

/*
 * Calls `value` for each value that is complete now; borrowed until the call returns. A negative
 * result stops the feed and is returned. Otherwise TLY_E_MALFORMED, TLY_E_LIMIT or -ENOMEM, with
 * `err` set; after any failure the feed must not be used any more.
 */
int tly_value_feed_read(struct tly_value_feed *feed, struct tly_text bytes,
                        int (*value)(void *arg, struct tly_text value, struct tly_error *err),
                        void *arg, struct tly_error *err) TLY_CHECK;

#endif
