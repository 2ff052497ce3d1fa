/*
 * One end of a stream under test: what it was told, and what it is to do when told.
 */
#ifndef TLY_TESTS_UNIT_LOOP_ENDS_H
#define TLY_TESTS_UNIT_LOOP_ENDS_H

#include "running.h"

#include "agent/base/buf.h"
#include "agent/loop/stream.h"

struct end {
    struct tly_stream *stream;
    struct tly_buf received; /* all bytes so far */
    size_t stop_at;          /* stops the loop when so many bytes are there; 0: never */
    int connected;
    int ended;
    int code;
    char text[512];
    bool free_at_connected, free_at_received, free_at_ended;
    bool inside; /* of a call that must not call back */
};

static inline void end_free(struct end *end)
{
    tly_stream_free(end->stream);
    end->stream = NULL;
}

static inline void end_connected(void *arg)
{
    struct end *end = arg;
    assert_false(end->inside);
    assert_int_equal(end->ended, 0);
    end->connected++;
    if (end->free_at_connected) {
        end_free(end);
    }
    tly_loop_stop(loop);
}

static inline void end_received(void *arg, struct tly_text bytes)
{
    struct end *end = arg;
    assert_false(end->inside);
    assert_int_equal(end->ended, 0);
    assert_true(bytes.len > 0);
    assert_int_equal(tly_buf_append_text(&end->received, bytes), 0);
    if (end->free_at_received) {
        end_free(end);
    }
    if (end->stop_at > 0 && end->received.len >= end->stop_at) {
        tly_loop_stop(loop);
    }
}

static inline void end_ended(void *arg, int code, const char *text)
{
    struct end *end = arg;
    assert_false(end->inside);
    assert_non_null(text);
    end->ended++;
    end->code = code;
    (void)snprintf(end->text, sizeof(end->text), "%s", text);
    if (end->free_at_ended) {
        end_free(end);
    }
    tly_loop_stop(loop);
}

static const struct tly_stream_events end_events = {
    .connected = end_connected,
    .received = end_received,
    .ended = end_ended,
};

static inline void end_init(struct end *end)
{
    *end = (struct end){.stop_at = 0};
    tly_buf_init(&end->received, (size_t)64 << 20);
}

static inline void end_done(struct end *end)
{
    end_free(end);
    tly_buf_done(&end->received);
}

static inline void end_connect(struct end *end, const struct tly_address *address,
                               int64_t timeout_ms)
{
    end->inside = true;
    assert_int_equal(tly_stream_connect(loop, address, timeout_ms, &end_events, end, &end->stream),
                     0);
    end->inside = false;
}

static inline struct tly_address address_of(const char *text)
{
    struct tly_address address;
    struct tly_error err;
    if (tly_address_parse(tly_text_of(text), 0, &address, &err) < 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return address;
}

#endif
