/*
 * Frames of the Fluentd forward protocol, version 1
 * (https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1). The sender's side
 * writes what stands around a chunk's payload and reads acknowledgements; the receiver's side reads
 * frames of every mode and writes acknowledgements. All of it is pure: bytes in, calls out.
 */
#ifndef TLY_CODEC_FORWARD_H
#define TLY_CODEC_FORWARD_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/forward_pack.h"
#include "agent/codec/value_feed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLY_FORWARD_PORT 24224

/* ---- the sender's side ---- */

/*
 * A PackedForward frame is `head`, the payload (records back to back, each `[EventTime, map]`), and
 * `tail`: `[tag, payload, {"chunk": id, "size": records}]`. The payload is never copied. Both
 * append to their buffer. `chunk_id` empty: no acknowledgement is asked for.
 */
int tly_forward_head(struct tly_buf *head, struct tly_text tag, size_t payload_len) TLY_CHECK;
int tly_forward_tail(struct tly_buf *tail, struct tly_text chunk_id, uint32_t records) TLY_CHECK;
/* The same for a payload that tly_forward_pack has compressed: a CompressedPackedForward frame. */
int tly_forward_packed_tail(struct tly_buf *tail, struct tly_text chunk_id, uint32_t records,
                            enum tly_forward_compression compression) TLY_CHECK;

/* Most bytes of one acknowledgement, on either side: ids of Fluentd and of ours have 25, others are
 * free to add keys of their own. */
#define TLY_FORWARD_ACK_BYTES_MAX 4096

/* For acknowledgements as they come back on a connection; tly_value_feed_done ends it. */
void tly_forward_acks_init(struct tly_value_feed *acks);

/*
 * Reads what arrived, in pieces of any size, and calls `acked` for each {"ack": id}; other keys are
 * ignored. `acked` may return a negative code to stop, which is then returned; it must not free
 * `acks`. TLY_E_REFUSED for a map without "ack": Vector's word for a chunk that it could not store.
 * TLY_E_MALFORMED and TLY_E_LIMIT for what is no acknowledgement. After a failure the connection is
 * of no use any more.
 */
int tly_forward_acks_read(struct tly_value_feed *acks, struct tly_text bytes,
                          int (*acked)(void *arg, struct tly_text id), void *arg,
                          struct tly_error *err) TLY_CHECK;

/* ---- the receiver's side ---- */

struct tly_forward_limits {
    size_t frame_bytes_max;    /* of one frame on the wire */
    size_t inflated_bytes_max; /* of one frame's records when decompressed */
};
#define TLY_FORWARD_FRAME_BYTES_MAX (64UL * 1024 * 1024)

struct tly_forward_record {
    struct tly_text tag;
    int64_t time_ns;        /* realtime; 0: the sender gave none, the time of arrival counts */
    struct tly_text fields; /* one msgpack map, complete and within TLY_RECORD_DEPTH_MAX */
};

struct tly_forward_frame {
    struct tly_text tag;
    struct tly_text chunk; /* as msgpack, for tly_forward_ack; empty: no answer is wanted */
    size_t records;        /* that `record` was called for */
    size_t skipped;        /* entries that are no records: not a map, or Fluent Bit's group marks */
};

/* All text is borrowed until the call returns. A negative result stops the reading and is returned
 * by tly_forward_read. */
struct tly_forward_sink {
    /* Before the first record of a frame, with what `frame` will be given. NULL is fine. */
    int (*begin)(void *arg, const struct tly_forward_frame *frame);
    int (*record)(void *arg, const struct tly_forward_record *record);
    /* After a frame's last record. */
    int (*frame)(void *arg, const struct tly_forward_frame *frame);
    void *arg;
};

/* Frames as they arrive on a connection. Its memory grows with the bytes that have arrived of one
 * frame, up to the limits, and is given back after it. */
struct tly_forward_reader {
    struct tly_value_feed frames;
    size_t inflated_bytes_max;
};

void tly_forward_reader_init(struct tly_forward_reader *reader,
                             const struct tly_forward_limits *limits);
void tly_forward_reader_done(struct tly_forward_reader *reader);

/*
 * Reads what arrived, in pieces of any size: Message, Forward, PackedForward and
 * CompressedPackedForward (gzip and zstd, of one or several members) frames, and `nil`, which some
 * clients send as a heartbeat. Entries may carry metadata (`[[time, metadata], record]`, which is
 * dropped). A frame's records are handed over only when all of the frame is sound. After a failure,
 * which `err` describes for a person, the connection is of no use any more: TLY_E_MALFORMED,
 * TLY_E_LIMIT (a chunk whose answer would pass TLY_FORWARD_ACK_BYTES_MAX is one such), -ENOMEM,
 * -ENOTSUP for a compression that is not known.
 */
int tly_forward_read(struct tly_forward_reader *reader, struct tly_text bytes,
                     const struct tly_forward_sink *sink, struct tly_error *err) TLY_CHECK;

/* Appends the answer to a frame: {"ack": chunk}, the sender's value byte for byte. */
int tly_forward_ack(struct tly_buf *buf, struct tly_text chunk) TLY_CHECK;

#endif
