/*
 * What both ends of a forward connection write, and how the sender reads acknowledgements. The
 * receiver's reading of frames is forward_reader.c.
 */
#include "agent/codec/forward.h"

#include "agent/codec/record.h"

#include <errno.h>

int tly_forward_head(struct tly_buf *head, struct tly_text tag, size_t payload_len)
{
    char *at;
    if (tag.len > UINT32_MAX || payload_len > UINT32_MAX) {
        return -EMSGSIZE;
    }
    int rc = tly_buf_reserve(head, 3UL * TLY_RECORD_HEAD_MAX + tag.len, &at);
    if (rc < 0) {
        return rc;
    }
    at = tly_record_put_array(at, 3);
    at = tly_record_put_str(at, tag);
    at = tly_record_put_bin_head(at, (uint32_t)payload_len);
    head->len = (size_t)(at - head->at);
    return 0;
}

int tly_forward_tail(struct tly_buf *tail, struct tly_text chunk_id, uint32_t records)
{
    return tly_forward_packed_tail(tail, chunk_id, records, TLY_FORWARD_UNCOMPRESSED);
}

int tly_forward_packed_tail(struct tly_buf *tail, struct tly_text chunk_id, uint32_t records,
                            enum tly_forward_compression compression)
{
    const struct tly_text chunk_key = TLY_TEXT("chunk");
    const struct tly_text size_key = TLY_TEXT("size");
    const struct tly_text compressed_key = TLY_TEXT("compressed");
    const struct tly_text how = tly_forward_compression_name(compression);
    char *at;
    int rc = tly_buf_reserve(tail,
                             6UL * TLY_RECORD_HEAD_MAX + TLY_RECORD_INT_MAX + chunk_key.len +
                                 size_key.len + chunk_id.len + compressed_key.len + how.len,
                             &at);
    if (rc < 0) {
        return rc;
    }
    bool answered = chunk_id.len > 0;
    at = tly_record_put_map(at, 1U + answered + (how.len > 0));
    if (answered) {
        /* First, because Fluent Bit looks nowhere else. */
        at = tly_record_put_str(at, chunk_key);
        at = tly_record_put_str(at, chunk_id);
    }
    at = tly_record_put_str(at, size_key);
    at = tly_record_put_int(at, records);
    if (how.len > 0) {
        at = tly_record_put_str(at, compressed_key);
        at = tly_record_put_str(at, how);
    }
    tail->len = (size_t)(at - tail->at);
    return 0;
}

static bool ack_may_start(unsigned char first)
{
    return (first >= 0x80 && first <= 0x8f) || first == 0xde || first == 0xdf;
}

void tly_forward_acks_init(struct tly_value_feed *acks)
{
    tly_value_feed_init(acks, "acknowledgement", ack_may_start, TLY_FORWARD_ACK_BYTES_MAX);
}

struct ack_sink {
    int (*acked)(void *arg, struct tly_text id);
    void *arg;
};

static int read_ack(void *arg, struct tly_text ack, struct tly_error *err)
{
    const struct ack_sink *sink = arg;
    struct tly_value map;
    struct tly_value id = {0};
    bool found = false;
    int rc = tly_value_next(&ack, &map);
    for (uint32_t i = 0; rc == 0 && i < map.count; i++) {
        struct tly_text bytes;
        struct tly_value key;
        struct tly_value value;
        rc = tly_value_whole(&ack, &key, &bytes);
        rc = rc < 0 ? rc : tly_value_whole(&ack, &value, &bytes);
        if (rc == 0 && tly_value_is(&key, "ack")) {
            id = value;
            found = true;
        }
    }
    if (rc == 0 && !found) {
        return tly_error_set(err, TLY_E_REFUSED, "the receiver could not store a chunk");
    }
    if (rc < 0 || !tly_value_is_text(&id)) {
        return tly_error_set(err, TLY_E_MALFORMED, "an acknowledgement names no chunk");
    }
    return sink->acked(sink->arg, id.bytes);
}

int tly_forward_acks_read(struct tly_value_feed *acks, struct tly_text bytes,
                          int (*acked)(void *arg, struct tly_text id), void *arg,
                          struct tly_error *err)
{
    struct ack_sink sink = {.acked = acked, .arg = arg};
    return tly_value_feed_read(acks, bytes, read_ack, &sink, err);
}

int tly_forward_ack(struct tly_buf *buf, struct tly_text chunk)
{
    char *at;
    int rc = tly_buf_reserve(buf, 2UL * TLY_RECORD_HEAD_MAX + sizeof("ack") + chunk.len, &at);
    if (rc < 0) {
        return rc;
    }
    at = tly_record_put_map(at, 1);
    at = tly_record_put_str(at, TLY_TEXT("ack"));
    memcpy(at, chunk.at, chunk.len);
    buf->len = (size_t)(at + chunk.len - buf->at);
    return 0;
}
