/*
 * Frames as a receiver reads them. Each is walked twice: once to see that all of it is sound, once
 * to hand its records over, so that a damaged frame leaves nothing behind.
 */
#include "agent/codec/forward.h"

#include "agent/base/clock.h"
#include "agent/codec/gunzip.h"

#include <errno.h>

/* Of a chunk, as msgpack. It is echoed behind the map and the key "ack", which take 5 bytes, and an
 * answer that nobody reads takes memory. */
#define CHUNK_BYTES_MAX (TLY_FORWARD_ACK_BYTES_MAX - 5)

/* Fluent Bit marks the begin and the end of a group of records by entries at the last two seconds
 * that an EventTime can hold. */
#define GROUP_MARK_SECONDS 0xfffffffeLL

static bool frame_may_start(unsigned char first)
{
    return (first >= 0x90 && first <= 0x9f) || first == 0xdc || first == 0xdd || first == 0xc0;
}

void tly_forward_reader_init(struct tly_forward_reader *reader,
                             const struct tly_forward_limits *limits)
{
    tly_value_feed_init(&reader->frames, "frame", frame_may_start, limits->frame_bytes_max);
    reader->inflated_bytes_max = limits->inflated_bytes_max;
}

void tly_forward_reader_done(struct tly_forward_reader *reader)
{
    tly_value_feed_done(&reader->frames);
}

/* One pass over the entries of a frame. */
struct walk {
    const struct tly_forward_sink *sink; /* NULL: only look whether they are sound */
    struct tly_forward_frame frame;
};

/* Reads an entry's time. `ret_real` false: what carries it is no record. */
static int read_time(struct tly_text *rest, int64_t *ret_ns, bool *ret_real)
{
    struct tly_text whole;
    struct tly_value value;
    int rc = tly_value_whole(rest, &value, &whole);
    if (rc == 0 && value.type == TLY_VALUE_ARRAY) { /* [time, metadata] */
        struct tly_value array;
        rc = tly_value_next(&whole, &array);
        rc = rc < 0 ? rc : tly_value_next(&whole, &value);
    }
    if (rc < 0) {
        return rc;
    }
    int64_t ns = 0;
    bool real = value.type == TLY_VALUE_NIL || tly_value_time(&value, &ns) == 0;
    if (value.type == TLY_VALUE_EXT && ns / TLY_NS_PER_S >= GROUP_MARK_SECONDS) {
        real = false;
    }
    *ret_ns = ns;
    *ret_real = real;
    return 0;
}

/* An event is a time and a record, in an entry of a frame or in a Message frame itself. */
static int walk_event(struct walk *walk, struct tly_text *rest)
{
    struct tly_forward_record record = {.tag = walk->frame.tag};
    struct tly_value fields;
    bool real;
    int rc = read_time(rest, &record.time_ns, &real);
    rc = rc < 0 ? rc : tly_value_whole(rest, &fields, &record.fields);
    if (rc < 0) {
        return rc;
    }
    if (!real || fields.type != TLY_VALUE_MAP) {
        walk->frame.skipped++;
        return 0;
    }
    walk->frame.records++;
    return walk->sink ? walk->sink->record(walk->sink->arg, &record) : 0;
}

/* Walks `count` entries, or all there are up to the end of `rest`. */
static int walk_entries(struct walk *walk, struct tly_text *rest, uint64_t count)
{
    for (; count > 0 && rest->len > 0; count--) {
        struct tly_value entry;
        int rc = tly_value_next(rest, &entry);
        if (rc == 0 && (entry.type != TLY_VALUE_ARRAY || entry.count != 2)) {
            rc = TLY_E_MALFORMED;
        }
        rc = rc < 0 ? rc : walk_event(walk, rest);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD, COMPRESSION_UNKNOWN };

struct options {
    struct tly_text chunk; /* as msgpack; empty: none */
    enum compression compression;
};

static int read_option(struct tly_text *rest, struct options *options)
{
    struct tly_text key_bytes;
    struct tly_text bytes;
    struct tly_value key;
    struct tly_value value;
    int rc = tly_value_whole(rest, &key, &key_bytes);
    rc = rc < 0 ? rc : tly_value_whole(rest, &value, &bytes);
    if (rc < 0 || value.type == TLY_VALUE_NIL) {
        return rc;
    }
    if (tly_value_is(&key, "chunk")) {
        options->chunk = bytes;
        return !tly_value_is_text(&value)    ? TLY_E_MALFORMED
               : bytes.len > CHUNK_BYTES_MAX ? TLY_E_LIMIT
                                             : 0;
    }
    if (tly_value_is(&key, "compressed")) {
        options->compression = tly_value_is(&value, "gzip")   ? COMPRESSION_GZIP
                               : tly_value_is(&value, "zstd") ? COMPRESSION_ZSTD
                               : tly_value_is(&value, "text") ? COMPRESSION_NONE
                                                              : COMPRESSION_UNKNOWN;
    }
    return 0;
}

/* The last element of a frame: a map, or nil from old Docker engines, or not there. */
static int read_options(struct tly_text rest, struct options *ret_options)
{
    *ret_options = (struct options){0};
    if (rest.len == 0) {
        return 0;
    }
    struct tly_value map;
    int rc = tly_value_next(&rest, &map);
    if (rc == 0 && map.type == TLY_VALUE_NIL) {
        return 0;
    }
    if (rc == 0 && map.type != TLY_VALUE_MAP) {
        return TLY_E_MALFORMED;
    }
    for (uint32_t i = 0; rc == 0 && i < map.count; i++) {
        rc = read_option(&rest, ret_options);
    }
    return rc;
}

/* Within a frame whose end is known, and among packed records, TLY_E_MORE is the sender's fault. */
static int frame_error(int code, struct tly_error *err)
{
    if (code == TLY_E_MALFORMED || code == TLY_E_MORE) {
        return tly_error_set(err, TLY_E_MALFORMED,
                             "a frame is valid msgpack, but not of the forward protocol");
    }
    if (code == TLY_E_LIMIT) {
        return tly_error_set(err, code, "a frame's records or its chunk pass a limit");
    }
    return tly_error_set(err, code, "a frame could not be read: %s", tly_error_name(code));
}

/* The records of a packed frame, decompressed if they have to be. Either kind is also known by its
 * magic, whose first byte could not begin a record, and which goes before the option. */
static int unpack_entries(struct tly_buf *inflated, const struct options *options,
                          struct tly_text *entries, struct tly_error *err)
{
    bool gzip = tly_gunzip_sniff(*entries);
    bool zstd = tly_forward_is_zstd(*entries);
    if (options->compression == COMPRESSION_UNKNOWN) {
        return tly_error_set(err, -ENOTSUP,
                             "a frame is compressed by something other than gzip and zstd");
    }
    if (options->compression == COMPRESSION_NONE && !gzip && !zstd) {
        return 0;
    }
    zstd = zstd || (!gzip && options->compression == COMPRESSION_ZSTD);
    tly_buf_clear(inflated);
    int rc = zstd ? tly_forward_unpack_zstd(*entries, inflated) : tly_gunzip(*entries, inflated);
    if (rc == TLY_E_LIMIT) {
        return tly_error_set(err, rc, "a frame's records pass %zu bytes when decompressed",
                             inflated->max);
    }
    if (rc < 0) {
        return tly_error_set(err, rc, "a frame's %s data is damaged", zstd ? "zstd" : "gzip");
    }
    *entries = tly_buf_text(inflated);
    return 0;
}

/* A frame that is being read: what stands before and behind its records. */
struct frame_read {
    const struct tly_forward_sink *sink;
    struct tly_buf inflated; /* its records; for all frames that are read at one time */
    struct walk walk;
    struct options options;
};

/* All of the frame is sound: its records are handed over from now on. */
static int begin_frame(struct frame_read *read)
{
    struct walk *walk = &read->walk;
    walk->sink = read->sink;
    walk->frame.chunk = read->options.chunk;
    int rc = walk->sink->begin ? walk->sink->begin(walk->sink->arg, &walk->frame) : 0;
    walk->frame.records = 0;
    walk->frame.skipped = 0;
    return rc;
}

/* Both passes over the entries of a Forward or packed frame. */
static int deliver_entries(struct frame_read *read, struct tly_text entries, uint64_t count,
                           struct tly_error *err)
{
    struct tly_text rest = entries;
    int rc = walk_entries(&read->walk, &rest, count);
    if (rc < 0) {
        return frame_error(rc, err);
    }
    rc = begin_frame(read);
    rest = entries;
    return rc < 0 ? rc : walk_entries(&read->walk, &rest, count);
}

/* [tag, time, record, options?] */
static int read_message(struct frame_read *read, struct tly_text rest, struct tly_error *err)
{
    struct tly_text event = rest;
    int rc = walk_event(&read->walk, &rest);
    rc = rc < 0 ? rc : read_options(rest, &read->options);
    if (rc < 0) {
        return frame_error(rc, err);
    }
    rc = begin_frame(read);
    return rc < 0 ? rc : walk_event(&read->walk, &event);
}

/* [tag, [entry, ...], options?] */
static int read_forward(struct frame_read *read, struct tly_text rest, struct tly_error *err)
{
    struct tly_text entries;
    struct tly_value head;
    int rc = tly_value_whole(&rest, &head, &entries);
    rc = rc < 0 ? rc : tly_value_next(&entries, &head);
    rc = rc < 0 ? rc : read_options(rest, &read->options);
    if (rc < 0) {
        return frame_error(rc, err);
    }
    return deliver_entries(read, entries, head.count, err);
}

/* [tag, bytes of entries, options?] */
static int read_packed(struct frame_read *read, struct tly_text rest, struct tly_error *err)
{
    struct tly_value packed;
    int rc = tly_value_next(&rest, &packed);
    rc = rc < 0 ? rc : read_options(rest, &read->options);
    if (rc < 0) {
        return frame_error(rc, err);
    }
    struct tly_text entries = packed.bytes;
    rc = unpack_entries(&read->inflated, &read->options, &entries, err);
    return rc < 0 ? rc : deliver_entries(read, entries, UINT64_MAX, err);
}

/* The second element tells the mode. */
static int read_by_mode(struct frame_read *read, uint32_t elements, struct tly_text rest,
                        struct tly_error *err)
{
    struct tly_text body_start = rest;
    struct tly_value body;
    int rc = tly_value_next(&body_start, &body);
    if (rc < 0) {
        return frame_error(rc, err);
    }
    bool message = body.type != TLY_VALUE_ARRAY && !tly_value_is_text(&body);
    uint32_t least = message ? 3 : 2;
    if (elements < least || elements > least + 1) {
        return frame_error(TLY_E_MALFORMED, err);
    }
    if (message) {
        return read_message(read, rest, err);
    }
    return body.type == TLY_VALUE_ARRAY ? read_forward(read, rest, err)
                                        : read_packed(read, rest, err);
}

static int read_frame(void *arg, struct tly_text frame, struct tly_error *err)
{
    struct frame_read *read = arg;
    struct tly_value head;
    struct tly_value tag;
    int rc = tly_value_next(&frame, &head);
    if (rc == 0 && head.type == TLY_VALUE_NIL) {
        return 0; /* a heartbeat */
    }
    rc = rc < 0 || head.count < 2 ? TLY_E_MALFORMED : tly_value_next(&frame, &tag);
    if (rc < 0 || !tly_value_is_text(&tag)) {
        return frame_error(TLY_E_MALFORMED, err);
    }
    read->walk = (struct walk){.frame.tag = tag.bytes};
    read->options = (struct options){0};
    rc = read_by_mode(read, head.count, frame, err);
    return rc < 0 ? rc : read->sink->frame(read->sink->arg, &read->walk.frame);
}

int tly_forward_read(struct tly_forward_reader *reader, struct tly_text bytes,
                     const struct tly_forward_sink *sink, struct tly_error *err)
{
    struct frame_read read = {.sink = sink};
    tly_buf_init(&read.inflated, reader->inflated_bytes_max);
    int rc = tly_value_feed_read(&reader->frames, bytes, read_frame, &read, err);
    tly_buf_done(&read.inflated);
    return rc;
}
