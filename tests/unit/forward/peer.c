/* The receiver for tests. A failed assertion in here ends the test that it serves. */
#include "tests/unit/forward/peer.h"

#include "tests/unit/unit.h"

#include <errno.h>

#define HEARD_BYTES_MAX (256UL << 20)
#define CHUNK_BYTES_MAX 256

struct peer_stream {
    struct peer *peer;
    struct tly_stream *stream;
    struct tly_forward_reader reader;
    struct tly_forward_welcome welcome;
    bool welcoming;
    bool over; /* it has acknowledged, and closes */
    struct peer_stream *next;
};

static void stream_free(struct peer_stream *at)
{
    struct peer *peer = at->peer;
    struct peer_stream **link = &peer->streams;
    while (*link != at) {
        link = &(*link)->next;
    }
    *link = at->next;
    for (size_t i = 0; i < peer->frames; i++) {
        if (peer->frame[i].from == at) {
            peer->frame[i].from = NULL;
        }
    }
    peer->connected--;
    tly_stream_free(at->stream);
    tly_forward_reader_done(&at->reader);
    tly_forward_welcome_done(&at->welcome);
    free(at);
}

/* Bytes of an answer, owned until they are written. */
static void answer_written(void *arg, int code)
{
    (void)code; /* the connection may be gone */
    free(arg);
}

static void answer(struct peer_stream *at, struct tly_text bytes)
{
    char *copy = tly_text_dup(bytes);
    assert_non_null(copy);
    int rc = tly_stream_write(at->stream, (struct tly_text){copy, bytes.len}, (struct tly_text){0},
                              answer_written, copy);
    if (rc < 0) {
        assert_int_equal(rc, TLY_E_CLOSED);
        free(copy);
    }
}

void peer_ack(struct peer *peer, size_t index)
{
    assert_true(index < peer->frames);
    struct peer_frame *frame = &peer->frame[index];
    if (!frame->from || frame->answered || frame->chunk.len == 0) {
        return;
    }
    struct tly_buf ack;
    tly_buf_init(&ack, 2UL * CHUNK_BYTES_MAX);
    assert_int_equal(tly_forward_ack(&ack, tly_buf_text(&frame->chunk)), 0);
    frame->answered = true;
    size_t step = peer->way == PEER_ACKS_BYTEWISE ? 1 : ack.len;
    for (size_t i = 0; i < ack.len; i += step) {
        answer(frame->from, (struct tly_text){ack.at + i, step});
    }
    tly_buf_done(&ack);
}

/* The text of the first value of the map. */
static struct tly_text first_value(struct tly_text fields)
{
    struct tly_value part;
    assert_int_equal(tly_value_next(&fields, &part), 0);
    assert_true(part.type == TLY_VALUE_MAP && part.count > 0);
    assert_int_equal(tly_value_next(&fields, &part), 0);
    assert_int_equal(tly_value_next(&fields, &part), 0);
    assert_true(tly_value_is_text(&part));
    return part.bytes;
}

static int hear_record(void *arg, const struct tly_forward_record *record)
{
    struct peer *peer = ((struct peer_stream *)arg)->peer;
    struct tly_text value = first_value(record->fields);
    assert_int_equal(tly_buf_append_text(&peer->heard, record->tag), 0);
    assert_int_equal(tly_buf_append_text(&peer->heard, TLY_TEXT(":")), 0);
    assert_int_equal(tly_buf_append_text(&peer->heard, value), 0);
    assert_int_equal(tly_buf_append_text(&peer->heard, TLY_TEXT(" ")), 0);
    peer->records++;
    return 0;
}

static int hear_frame(void *arg, const struct tly_forward_frame *frame)
{
    struct peer_stream *at = arg;
    struct peer *peer = at->peer;
    assert_true(peer->frames < PEER_FRAMES_MAX);
    size_t index = peer->frames++;
    struct peer_frame *kept = &peer->frame[index];
    *kept = (struct peer_frame){.from = at};
    tly_buf_init(&kept->chunk, CHUNK_BYTES_MAX);
    assert_int_equal(tly_buf_append_text(&kept->chunk, frame->chunk), 0);
    switch (peer->way) {
    case PEER_ACKS:
    case PEER_ACKS_BYTEWISE:
        peer_ack(peer, index);
        at->over = peer->closes;
        break;
    case PEER_ACKS_WRONG:
        answer(at, TLY_TEXT("\x81\xa3"
                            "ack\xa4"
                            "else"));
        break;
    case PEER_SAYS:
        answer(at, peer->saying);
        break;
    default:
        break;
    }
    return 0;
}

static void begin_welcome(struct peer_stream *at)
{
    static const unsigned char random_bytes[2 * TLY_FORWARD_SALT_BYTES] = {1, 2, 3};
    struct tly_buf helo;
    tly_buf_init(&helo, 4096);
    at->welcoming = true;
    assert_int_equal(tly_forward_welcome_init(&at->welcome, random_bytes, &helo), 0);
    if (at->peer->closes) {
        char *said = memmem(helo.at, helo.len, "keepalive\xc3", 10);
        assert_non_null(said);
        said[9] = '\xc2'; /* false */
    }
    answer(at, tly_buf_text(&helo));
    tly_buf_done(&helo);
}

static void welcome(struct peer_stream *at, struct tly_text bytes)
{
    struct tly_buf pong;
    tly_buf_init(&pong, 4096);
    int rc = tly_forward_welcome_read(&at->welcome, at->peer->gate, bytes, &pong,
                                      &at->peer->failure);
    if (pong.len > 0) {
        answer(at, tly_buf_text(&pong));
    }
    tly_buf_done(&pong);
    at->welcoming = rc == TLY_E_MORE;
    if (rc < 0 && rc != TLY_E_MORE) {
        stream_free(at);
    }
}

static void stream_received(void *arg, struct tly_text bytes)
{
    struct peer_stream *at = arg;
    if (at->welcoming) {
        welcome(at, bytes);
        return;
    }
    struct peer *peer = at->peer;
    const struct tly_forward_sink sink = {.record = hear_record, .frame = hear_frame, .arg = at};
    if (at->over || peer->way == PEER_CLOSES_EARLY || peer->way == PEER_RESETS) {
        stream_free(at); /* what has arrived behind these bytes makes it a reset */
        return;
    }
    if (tly_forward_read(&at->reader, bytes, &sink, &peer->failure) < 0) {
        stream_free(at);
    }
}

static void stream_ended(void *arg, int code, const char *text)
{
    struct peer_stream *at = arg;
    (void)code;
    (void)text;
    at->peer->ended++;
    stream_free(at);
}

static void accepted(void *arg, struct tly_stream *stream)
{
    static const struct tly_stream_events events = {.received = stream_received,
                                                    .ended = stream_ended};
    struct peer *peer = arg;
    size_t most = peer->frame_bytes_max ? peer->frame_bytes_max : TLY_FORWARD_FRAME_BYTES_MAX;
    const struct tly_forward_limits limits = {.frame_bytes_max = most, .inflated_bytes_max = most};
    struct peer_stream *at = calloc(1, sizeof(*at));
    assert_non_null(at);
    at->peer = peer;
    at->stream = stream;
    at->next = peer->streams;
    peer->streams = at;
    peer->accepted++;
    peer->connected++;
    tly_forward_reader_init(&at->reader, &limits);
    assert_int_equal(tly_stream_attach(stream, &events, at), 0);
    if (peer->gate) {
        begin_welcome(at);
    }
    if (peer->way == PEER_READS_NOTHING) {
        tly_stream_pause(stream);
        if (peer->saying.len > 0) {
            answer(at, peer->saying);
        }
    }
}

void peer_start(struct peer *peer, struct tly_loop *loop)
{
    struct tly_error err = {0};
    peer->loop = loop;
    peer->heard.max = HEARD_BYTES_MAX;
    if (!peer->address.host[0]) {
        memcpy(peer->address.host, "127.0.0.1", sizeof("127.0.0.1"));
    }
    if (tly_listener_new(loop, &peer->address, accepted, peer, &peer->listener, &err) < 0) {
        fail_msg("%s", err.text);
    }
    peer->address.port = tly_listener_port(peer->listener);
}

void peer_hang_up(struct peer *peer)
{
    while (peer->streams) {
        stream_free(peer->streams);
    }
}

void peer_stop(struct peer *peer)
{
    peer_hang_up(peer);
    tly_listener_free(peer->listener);
    peer->listener = NULL;
}

void peer_done(struct peer *peer)
{
    peer_stop(peer);
    for (size_t i = 0; i < peer->frames; i++) {
        tly_buf_done(&peer->frame[i].chunk);
    }
    tly_buf_done(&peer->heard);
    *peer = (struct peer){0};
}

void peer_read_on(struct peer *peer)
{
    for (struct peer_stream *at = peer->streams; at; at = at->next) {
        assert_int_equal(tly_stream_resume(at->stream), 0);
    }
}
