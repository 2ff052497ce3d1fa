/*
 * Cutting values out of a stream. The scanner remembers how far it has looked, so that a value in
 * many pieces is not looked at from its beginning again and again.
 */
#include "agent/codec/value_feed.h"

void tly_value_feed_init(struct tly_value_feed *feed, const char *noun,
                         bool (*may_start)(unsigned char first), size_t value_bytes_max)
{
    *feed = (struct tly_value_feed){
        .noun = noun, .may_start = may_start, .value_bytes_max = value_bytes_max};
}

void tly_value_feed_done(struct tly_value_feed *feed)
{
    tly_buf_done(&feed->kept);
}

/* Says what is wrong with a value that cannot be one, from its first byte: that is where clients of
 * other protocols end. */
static int foreign_start(const struct tly_value_feed *feed, unsigned char first,
                         struct tly_error *err)
{
    const char *guess = "";
    if (first == 0x16) {
        guess = "; it looks like TLS";
    } else if (first >= 'A' && first <= 'Z') {
        guess = "; it looks like HTTP";
    } else if (first == '{' || first == '[') {
        guess = "; it looks like JSON";
    } else if (first >= 0x90 && first <= 0x9f) { /* an array, where none is expected */
        guess = "; it looks like a request for authentication (HELO)";
    }
    return tly_error_set(err, TLY_E_MALFORMED, "no %s begins with byte 0x%02x%s", feed->noun, first,
                         guess);
}

static int broken_value(const struct tly_value_feed *feed, int code, struct tly_error *err)
{
    if (code == TLY_E_LIMIT) {
        return tly_error_set(err, code, "the values of one %s are nested deeper than %d",
                             feed->noun, TLY_RECORD_DEPTH_MAX);
    }
    return tly_error_set(err, code, "one %s is not valid msgpack", feed->noun);
}

/* The length of the value at the front of `input`, as tly_value_scan, with `err` set. */
static int find_end(struct tly_value_feed *feed, struct tly_text input, size_t *ret_len,
                    struct tly_error *err)
{
    unsigned char first = (unsigned char)input.at[0];
    if (!feed->may_start(first)) {
        return foreign_start(feed, first, err);
    }
    int rc = tly_value_scan(&feed->scan, input, ret_len);
    if (feed->scan.at > feed->value_bytes_max) {
        return tly_error_set(err, TLY_E_LIMIT, "one %s is longer than %zu bytes", feed->noun,
                             feed->value_bytes_max);
    }
    return rc < 0 && rc != TLY_E_MORE ? broken_value(feed, rc, err) : rc;
}

/* Keeps no more than the beginning of the next value, in memory of its own: what a value in pieces
 * took goes with it, since thousands of connections may have had one. */
static int keep_rest(struct tly_buf *kept, struct tly_text rest)
{
    struct tly_buf whole = *kept; /* `rest` is in here */
    if (rest.len == whole.len) {
        return 0;
    }
    tly_buf_init(kept, whole.max);
    int rc = tly_buf_append_text(kept, rest);
    tly_buf_done(&whole);
    return rc;
}

int tly_value_feed_read(struct tly_value_feed *feed, struct tly_text bytes,
                        int (*value)(void *arg, struct tly_text value, struct tly_error *err),
                        void *arg, struct tly_error *err)
{
    struct tly_buf *kept = &feed->kept;
    bool resumed = kept->len > 0;
    int rc = 0;
    /* What is kept is the beginning of one value and no longer than the maximum. */
    kept->max = feed->value_bytes_max + bytes.len;
    if (resumed && (rc = tly_buf_append_text(kept, bytes)) < 0) {
        return tly_error_set(err, rc, "out of memory for one %s", feed->noun);
    }
    struct tly_text rest = resumed ? tly_buf_text(kept) : bytes;
    while (rest.len > 0) {
        struct tly_text whole = rest;
        rc = find_end(feed, rest, &whole.len, err);
        if (rc == TLY_E_MORE) {
            break;
        }
        tly_value_scan_clear(&feed->scan);
        rc = rc < 0 ? rc : value(arg, whole, err);
        if (rc < 0) {
            return rc;
        }
        rest.at += whole.len;
        rest.len -= whole.len;
    }
    rc = resumed ? keep_rest(kept, rest) : tly_buf_append_text(kept, rest);
    return rc < 0 ? tly_error_set(err, rc, "out of memory for one %s", feed->noun) : 0;
}
