/*
 * The link's flights: chunks on their way, oldest first. A flight ends when its chunk is
 * acknowledged and the kernel has taken all its bytes, which an odd receiver may bring about in
 * either order. The watch is on the oldest: it alone decides that a receiver has gone silent.
 *
 * A chunk that came back time and again may be more than the receiver takes in one frame: it is
 * then sent in parts (refusal.h), each a frame that has to be acknowledged before the next. Nothing
 * is sent beside it, so that the order stays.
 */
#include "outputs/forward/link.h"

#include "agent/base/clock.h"
#include "agent/base/random.h"
#include "agent/codec/forward.h"
#include "agent/codec/record_reader.h"
#include "outputs/forward/packing.h"
#include "outputs/forward/refusal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frame head and options. The tag is the only part without a bound of its own: a longer one than
 * this, and no receiver would know what to do with it. */
#define AROUND_BYTES_MAX (64UL * 1024)

/* Chunks that are compressed at a time: one for each of few cores, so that the receiver hardly
 * waits and the buffers stay few. */
#define PACKING_MAX 2

/* Chunks that may go before one that is held: many, so that a record which is refused time and
 * again hardly slows the others; not all, as its turn has to come. */
#define BEFORE_HELD_MAX 64

/* A part's number behind the chunk's id. */
#define PART_ID_MAX (TLY_CHUNK_ID_MAX + sizeof(".4294967295"))

/* Two digests, two names, a salt. */
#define PING_BYTES_MAX 4096

struct flight {
    struct tly_forward_link *link;
    struct tly_chunk *chunk; /* ours until acked or given back */
    struct tly_buf around;   /* what stands before and behind the payload, in a row */
    bool packing;            /* a worker has it */
    struct tly_buf packed;   /* what goes out in place of the payload */
    struct tly_text part;    /* of the payload: what the frame holds now */
    size_t part_bytes;       /* about as many in each part; 0: all of it in one */
    uint32_t part_number;    /* from 1 */
    uint32_t records;        /* in this part */
    uint32_t records_done;   /* in the parts before it, which are through */
    char id[PART_ID_MAX];    /* of the frame */
    int64_t sent_ns;         /* monotonic */
    bool submitted;          /* the stream has it */
    bool written;            /* the kernel has all of it */
    bool acked;
    struct flight *next;
};

struct tly_forward_link {
    struct tly_forward_link_spec spec;
    struct tly_forward_link_events events;
    void *arg;
    struct tly_stream *stream;
    bool open;
    bool ended;     /* the owner was told */
    bool pipelines; /* false: the receiver closes after each acknowledgement */
    struct tly_forward_greeting greeting;
    struct tly_buf ping; /* borrowed by the stream */
    struct tly_value_feed acks;
    struct tly_timer *watch;
    int64_t waiting_since_ms; /* for the oldest flight, or for movement in the queue */
    uint64_t submitted;       /* bytes handed to the stream */
    uint64_t taken;           /* of these by the kernel, when the watch last looked */
    struct flight *oldest, **newest_at;
    struct flight *spare;
    size_t in_flight;
    struct tly_forward_packing *packings[PACKING_MAX]; /* made when they are needed */
    bool splitting;          /* the newest goes out in parts: none may follow it */
    struct tly_chunk *held;  /* goes when others are through: tly_forward_link_hold */
    unsigned before_held;    /* how many more may go before it */
    bool proved;             /* something went through on this connection */
    bool given_up;           /* of the oldest flight, the record that is its part */
    struct flight flights[]; /* in_flight_max of them */
};

const char *const tly_forward_reason_names[TLY_FORWARD_REASONS] = {
    [TLY_FORWARD_CONNECT] = "connect",   [TLY_FORWARD_AUTH] = "auth",
    [TLY_FORWARD_CLOSED] = "closed",     [TLY_FORWARD_TIMEOUT] = "timeout",
    [TLY_FORWARD_PROTOCOL] = "protocol", [TLY_FORWARD_REFUSED] = "refused",
    [TLY_FORWARD_LOCAL] = "local",
};

bool tly_forward_link_pipelines(const struct tly_forward_link *link)
{
    return link->pipelines;
}

bool tly_forward_link_proved(const struct tly_forward_link *link)
{
    return link->pipelines ? link->proved : link->spec.proved;
}

/* The connection ends while one single record is on its way. */
static void note_refusal(struct tly_forward_link *link, enum tly_forward_reason reason,
                         const char *text)
{
    const struct flight *flight = link->oldest;
    if (reason == TLY_FORWARD_LOCAL || !flight || flight->part_bytes == 0 || flight->records > 1 ||
        !flight->submitted || flight->acked) {
        return;
    }
    if (!link->pipelines && link->proved) {
        return; /* it would have closed over any record */
    }
    link->given_up = tly_forward_refused(flight->chunk, flight->part, tly_forward_link_proved(link),
                                         tly_loop_now_ms(link->spec.loop),
                                         link->spec.give_up_after_ms);
    if (link->given_up) {
        link->events.gave_up(link->arg, flight->chunk->tag, flight->part.len, text);
    }
}

static void tell_ended(struct tly_forward_link *link, enum tly_forward_reason reason,
                       const char *text)
{
    if (!link->ended) {
        note_refusal(link, reason, text);
        link->ended = true;
        link->open = false;
        link->events.ended(link->arg, reason, text); /* may free the link */
    }
}

/* ---- what compresses ---- */

/* The index of one that is free, or not made yet; PACKING_MAX: none is. */
static size_t idle_packing(const struct tly_forward_link *link)
{
    size_t i = 0;
    while (i < PACKING_MAX && link->packings[i] && tly_forward_packing_busy(link->packings[i])) {
        i++;
    }
    return i;
}

static void packings_free(struct tly_forward_link *link)
{
    for (size_t i = 0; i < PACKING_MAX; i++) {
        tly_forward_packing_free(link->packings[i]);
        link->packings[i] = NULL;
    }
}

/* ---- flights ---- */

/* Behind the part there is another one. */
static bool part_follows(const struct flight *flight)
{
    const struct tly_buf *payload = &flight->chunk->payload;
    return flight->part.at + flight->part.len < payload->at + payload->len;
}

/* Moves on to the next part: whole records, one at least. */
static void part_next(struct flight *flight)
{
    const struct tly_chunk *chunk = flight->chunk;
    const char *from = flight->part.at + flight->part.len;
    size_t left = (size_t)(chunk->payload.at + chunk->payload.len - from);
    flight->submitted = false;
    flight->written = false;
    flight->acked = false;
    flight->part_number++;
    flight->records = chunk->records;
    flight->part = (struct tly_text){from, left};
    (void)snprintf(flight->id, sizeof(flight->id), "%s", chunk->id);
    if (flight->part_bytes == 0) {
        return;
    }
    struct tly_text rest = flight->part;
    flight->records = 0;
    while (rest.len > 0 && left - rest.len < flight->part_bytes) {
        struct tly_value value;
        struct tly_text record;
        if (tly_value_whole(&rest, &value, &record) < 0) {
            rest.len = 0; /* no msgpack, though sources write nothing else: all that is left */
        }
        flight->records++;
    }
    flight->part.len = left - rest.len;
    (void)snprintf(flight->id, sizeof(flight->id), "%s.%" PRIu32, chunk->id, flight->part_number);
}

static struct flight *flight_begin(struct tly_forward_link *link, struct tly_chunk *chunk)
{
    struct flight *flight = link->spare;
    link->spare = flight->next;
    tly_buf_clear(&flight->around);
    flight->chunk = chunk;
    flight->part = (struct tly_text){chunk->payload.at, 0};
    flight->part_bytes = tly_forward_part_bytes(chunk);
    flight->part_number = 0;
    flight->records_done = 0;
    flight->next = NULL;
    part_next(flight);
    return flight;
}

static void flight_end(struct flight *flight)
{
    flight->chunk = NULL;
    tly_buf_done(&flight->packed);
    flight->next = flight->link->spare;
    flight->link->spare = flight;
}

static void flight_queue(struct flight *flight)
{
    struct tly_forward_link *link = flight->link;
    if (!link->oldest) {
        link->waiting_since_ms = tly_loop_now_ms(link->spec.loop);
        tly_timer_start(link->watch, link->spec.ack_timeout_ms, 0);
    }
    *link->newest_at = flight;
    link->newest_at = &flight->next;
    link->in_flight++;
}

static void flight_unqueue(struct flight *flight)
{
    struct tly_forward_link *link = flight->link;
    struct flight **at = &link->oldest;
    while (*at != flight) {
        at = &(*at)->next;
    }
    if (at == &link->oldest) { /* the next one is watched from now on */
        link->waiting_since_ms = tly_loop_now_ms(link->spec.loop);
    }
    *at = flight->next;
    if (!flight->next) {
        link->newest_at = at;
    }
    link->in_flight--;
    if (!link->oldest) {
        tly_timer_stop(link->watch);
        packings_free(link); /* idle: their memory is given back */
    }
}

static int write_ready(struct tly_forward_link *link);
static int send_held(struct tly_forward_link *link);

/* Acknowledged, and no longer borrowed by the stream: it is through, or its next part is next.
 * 1: it is through; 0: not yet; negative: the link is of no more use. */
static int flight_finish(struct flight *flight)
{
    if (!flight->acked || !flight->written) {
        return 0;
    }
    struct tly_forward_link *link = flight->link;
    struct tly_chunk *chunk = flight->chunk;
    if (part_follows(flight)) {
        flight->records_done += flight->records;
        part_next(flight);
        link->waiting_since_ms = tly_loop_now_ms(link->spec.loop);
        return write_ready(link);
    }
    link->splitting = link->splitting && flight->part_bytes == 0;
    flight_unqueue(flight);
    flight_end(flight);
    tly_destination_ack(link->spec.destination, chunk);
    int rc = write_ready(link);
    rc = rc < 0 ? rc : send_held(link);
    return rc < 0 ? rc : 1;
}

static struct tly_text body_of(const struct flight *flight)
{
    return flight->packed.len > 0 ? tly_buf_text(&flight->packed) : flight->part;
}

static void flight_written(void *arg, int code)
{
    struct flight *flight = arg;
    struct tly_forward_link *link = flight->link;
    if (code < 0) {
        return; /* the end of the stream, which is told on its own, or of the link */
    }
    flight->written = true;
    link->spec.counts->sent_bytes += flight->around.len + body_of(flight).len;
    if (flight == link->oldest) {
        link->waiting_since_ms = tly_loop_now_ms(link->spec.loop);
    }
    if (!link->spec.require_ack) {
        flight->acked = true;
    }
    int rc = flight_finish(flight);
    if (rc < 0) {
        tell_ended(link, TLY_FORWARD_LOCAL, tly_error_name(rc));
    } else if (rc > 0) {
        link->events.delivered(link->arg);
    }
}

/* ---- what the stream tells ---- */

static void open_up(struct tly_forward_link *link)
{
    tly_timer_stop(link->watch);
    link->open = true;
    link->events.opened(link->arg);
}

static void stream_connected(void *arg)
{
    struct tly_forward_link *link = arg;
    if (link->spec.account) { /* the receiver speaks first */
        tly_timer_start(link->watch, link->spec.connect_timeout_ms, 0);
    } else {
        open_up(link);
    }
}

static enum tly_forward_reason reason_of(int code)
{
    return code == TLY_E_REFUSED ? TLY_FORWARD_REFUSED
           : code == -ENOMEM     ? TLY_FORWARD_LOCAL
                                 : TLY_FORWARD_PROTOCOL;
}

static void greet(struct tly_forward_link *link, struct tly_text bytes)
{
    struct tly_error err = {0};
    bool answered = link->greeting.answered;
    int rc = tly_forward_greeting_read(&link->greeting, link->spec.account, bytes, &link->ping,
                                       &err);
    if (rc == TLY_E_MORE && !answered && link->greeting.answered) {
        int wrote = tly_stream_write(link->stream, tly_buf_text(&link->ping),
                                     (struct tly_text){NULL, 0}, NULL, NULL);
        rc = wrote < 0 ? tly_error_set(&err, wrote, "%s", tly_error_name(wrote)) : rc;
    }
    if (rc == 0) {
        link->pipelines = link->greeting.keepalive;
        open_up(link);
    } else if (rc != TLY_E_MORE) {
        char text[TLY_ADDRESS_TEXT_MAX + TLY_ERROR_TEXT_MAX];
        (void)snprintf(text, sizeof(text), "%s: %s", tly_stream_peer(link->stream), err.text);
        tell_ended(link, rc == TLY_E_REFUSED ? TLY_FORWARD_AUTH : reason_of(rc), text);
    }
}

static int acked(void *arg, struct tly_text id)
{
    struct tly_forward_link *link = arg;
    struct flight *flight = link->oldest;
    while (flight && (flight->acked || !tly_text_equal(id, tly_text_of(flight->id)))) {
        flight = flight->next;
    }
    if (!flight) {
        return TLY_E_MALFORMED;
    }
    flight->acked = true;
    link->proved = true;
    link->spec.counts->acks++;
    link->spec.counts->ack_ns += tly_clock_monotonic_ns() - flight->sent_ns;
    int rc = flight_finish(flight); /* 0: it ends when it is written */
    return rc < 0 ? rc : 0;
}

static void stream_received(void *arg, struct tly_text bytes)
{
    struct tly_forward_link *link = arg;
    struct tly_error err = {0};
    if (!link->open && link->spec.account) {
        greet(link, bytes);
        return;
    }
    uint64_t before = link->spec.counts->acks;
    int rc = tly_forward_acks_read(&link->acks, bytes, acked, link, &err);
    if (rc == 0) {
        if (link->spec.counts->acks > before) {
            link->events.delivered(link->arg);
        }
        return;
    }
    char text[TLY_ADDRESS_TEXT_MAX + TLY_ERROR_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%s: %s", tly_stream_peer(link->stream),
                   err.code < 0            ? err.text
                   : rc == TLY_E_MALFORMED ? "an acknowledgement of a chunk that was not sent"
                                           : tly_error_name(rc));
    tell_ended(link, reason_of(rc), text);
}

static void stream_ended(void *arg, int code, const char *text)
{
    struct tly_forward_link *link = arg;
    (void)code; /* said in `text` */
    if (link->open) {
        tell_ended(link, TLY_FORWARD_CLOSED, text);
    } else if (link->greeting.answered) {
        /* Fluent Bit's word for a wrong key, and for one that has our name. */
        char more[TLY_ADDRESS_TEXT_MAX + TLY_ERROR_TEXT_MAX];
        (void)snprintf(more, sizeof(more), "%s, instead of an answer to the shared key", text);
        tell_ended(link, TLY_FORWARD_AUTH, more);
    } else {
        tell_ended(link, TLY_FORWARD_CONNECT, text);
    }
}

static void greeting_due(struct tly_forward_link *link)
{
    char text[TLY_ADDRESS_TEXT_MAX + TLY_ERROR_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%s: %s within %.1f s", tly_stream_peer(link->stream),
                   link->greeting.answered
                       ? "no answer to the shared key"
                       : "the receiver proved no shared key, not even asked for one,",
                   (double)link->spec.connect_timeout_ms / 1000);
    tell_ended(link, TLY_FORWARD_AUTH, text);
}

/*
 * The oldest flight has waited long. While it is not written, every byte that the kernel takes is a
 * sign of life, so that a slow line is no reason to begin again; once it is, only its
 * acknowledgement counts.
 */
static void watch_due(void *arg)
{
    struct tly_forward_link *link = arg;
    if (!link->open) {
        greeting_due(link);
        return;
    }
    int64_t now_ms = tly_loop_now_ms(link->spec.loop);
    uint64_t taken = link->submitted - tly_stream_queued(link->stream);
    if (!link->oldest->written && taken != link->taken) {
        link->taken = taken;
        link->waiting_since_ms = now_ms;
    }
    int64_t left_ms = link->waiting_since_ms + link->spec.ack_timeout_ms - now_ms;
    if (left_ms > 0) {
        tly_timer_start(link->watch, left_ms, 0);
        return;
    }
    char text[TLY_ADDRESS_TEXT_MAX + TLY_ERROR_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%s: %s within %.1f s", tly_stream_peer(link->stream),
                   link->oldest->written ? "a chunk was not acknowledged" : "nothing was taken",
                   (double)link->spec.ack_timeout_ms / 1000);
    tell_ended(link, TLY_FORWARD_TIMEOUT, text);
}

/* ---- the owner's side ---- */

int tly_forward_link_new(const struct tly_forward_link_spec *spec,
                         const struct tly_forward_link_events *events, void *arg,
                         struct tly_forward_link **ret_link)
{
    struct tly_forward_link *link = calloc(1, sizeof(*link) +
                                                  spec->in_flight_max * sizeof(link->flights[0]));
    if (!link) {
        return -ENOMEM;
    }
    link->spec = *spec;
    link->events = *events;
    link->arg = arg;
    link->newest_at = &link->oldest;
    tly_forward_acks_init(&link->acks);
    link->pipelines = true;
    unsigned char salt[TLY_FORWARD_SALT_BYTES];
    tly_random_fill(salt, sizeof(salt));
    tly_forward_greeting_init(&link->greeting, salt);
    tly_buf_init(&link->ping, PING_BYTES_MAX);
    for (size_t i = spec->in_flight_max; i > 0; i--) {
        struct flight *flight = &link->flights[i - 1];
        flight->link = link;
        tly_buf_init(&flight->around, AROUND_BYTES_MAX);
        flight_end(flight);
    }
    static const struct tly_stream_events stream_events = {
        .connected = stream_connected, .received = stream_received, .ended = stream_ended};
    int rc = tly_timer_new(spec->loop, watch_due, link, &link->watch);
    if (rc == 0) {
        rc = tly_stream_connect(spec->loop, &spec->address, spec->connect_timeout_ms,
                                &stream_events, link, &link->stream);
    }
    if (rc < 0) {
        tly_forward_link_free(link);
        return rc;
    }
    *ret_link = link;
    return 0;
}

/* What of a chunk is through is through; the rest goes back. */
static void flight_return(struct flight *flight)
{
    const struct tly_forward_link *link = flight->link;
    struct tly_destination *destination = link->spec.destination;
    struct tly_chunk *chunk = flight->chunk;
    size_t done = (size_t)(flight->part.at - chunk->payload.at);
    if (flight->acked && part_follows(flight)) {
        done += flight->part.len;
        flight->records_done += flight->records;
    } else if (flight->acked) {
        tly_destination_ack(destination, chunk);
        return;
    }
    if (done > 0) {
        tly_destination_ack_part(destination, chunk, done, flight->records_done);
    }
    bool given_up = link->given_up && flight == link->oldest;
    if (given_up && chunk->records == flight->records) {
        tly_destination_drop(destination, chunk);
        return;
    }
    if (given_up) {
        tly_destination_drop_part(destination, chunk, flight->part.len, flight->records);
    }
    tly_destination_give_back(destination, chunk);
}

void tly_forward_link_free(struct tly_forward_link *link)
{
    if (!link) {
        return;
    }
    link->ended = true;
    tly_stream_free(link->stream);
    packings_free(link); /* from here on no payload is borrowed */
    tly_timer_free(link->watch);
    for (struct flight *flight = link->oldest; flight; flight = flight->next) {
        flight_return(flight);
    }
    if (link->held) {
        tly_destination_give_back(link->spec.destination, link->held);
    }
    for (size_t i = 0; i < link->spec.in_flight_max; i++) {
        tly_buf_done(&link->flights[i].around);
        tly_buf_done(&link->flights[i].packed);
    }
    tly_value_feed_done(&link->acks);
    tly_forward_greeting_done(&link->greeting);
    tly_buf_done(&link->ping);
    free(link);
}

bool tly_forward_link_open(const struct tly_forward_link *link)
{
    return link->open;
}

bool tly_forward_link_has_room(const struct tly_forward_link *link)
{
    return link->open && link->spare && !link->splitting &&
           (!link->held || link->before_held > 0) && idle_packing(link) < PACKING_MAX &&
           (link->pipelines || link->in_flight == 0);
}

size_t tly_forward_link_in_flight(const struct tly_forward_link *link)
{
    return link->in_flight;
}

/* Hands the frame to the stream. On failure nothing is borrowed. */
static int write_frame(struct flight *flight)
{
    struct tly_forward_link *link = flight->link;
    struct tly_chunk *chunk = flight->chunk;
    struct tly_text id = tly_text_of(link->spec.require_ack ? flight->id : "");
    struct tly_text body = body_of(flight);
    tly_buf_clear(&flight->around);
    int rc = tly_forward_head(&flight->around, tly_text_of(chunk->tag), body.len);
    size_t head_len = flight->around.len;
    rc = rc < 0 ? rc
                : tly_forward_packed_tail(&flight->around, id, flight->records,
                                          flight->packed.len > 0 ? link->spec.compression
                                                                 : TLY_FORWARD_UNCOMPRESSED);
    if (rc < 0) {
        return rc;
    }
    const struct tly_text runs[] = {
        {flight->around.at, head_len},
        body,
        {flight->around.at + head_len, flight->around.len - head_len},
    };
    flight->sent_ns = tly_clock_monotonic_ns();
    rc = tly_stream_write_runs(link->stream, runs, sizeof(runs) / sizeof(runs[0]), flight_written,
                               flight);
    if (rc == 0) {
        flight->submitted = true;
        link->submitted += flight->around.len + body.len;
    }
    return rc;
}

/* ---- compression ---- */

/* Writes, in order, the frames that are ready: up to the first that is still compressed, or that
 * goes out in parts and alone. */
static int write_ready(struct tly_forward_link *link)
{
    for (struct flight *flight = link->oldest; flight; flight = flight->next) {
        if (flight->packing || (flight->part_bytes > 0 && flight != link->oldest)) {
            break;
        }
        int rc = flight->submitted ? 0 : write_frame(flight);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static void packed(void *arg, int code, struct tly_text bytes)
{
    struct flight *flight = arg;
    struct tly_forward_link *link = flight->link;
    flight->packing = false;
    if (flight == link->oldest) {
        link->waiting_since_ms = tly_loop_now_ms(link->spec.loop);
    }
    tly_buf_init(&flight->packed, bytes.len);
    int rc = code < 0 ? code : tly_buf_append_text(&flight->packed, bytes);
    rc = rc < 0 ? rc : write_ready(link);
    if (rc < 0) {
        tell_ended(link, TLY_FORWARD_LOCAL, tly_error_name(rc));
    } else {
        link->events.roomy(link->arg);
    }
}

static int pack_start(struct flight *flight)
{
    struct tly_forward_link *link = flight->link;
    struct tly_forward_packing **packing = &link->packings[idle_packing(link)];
    int rc = *packing ? 0 : tly_forward_packing_new(link->spec.compression, packing);
    rc = rc < 0 ? rc
                : tly_forward_packing_start(*packing, link->spec.loop,
                                            tly_buf_text(&flight->chunk->payload), packed, flight);
    flight->packing = rc == 0;
    return rc;
}

/* By the tag; it is seen before the chunk's turn to be written has come. */
bool tly_forward_fits(const struct tly_chunk *chunk)
{
    return strlen(chunk->tag) <= AROUND_BYTES_MAX / 2;
}

static int send_whole(struct flight *flight)
{
    bool plain = flight->link->spec.compression == TLY_FORWARD_UNCOMPRESSED;
    int rc = plain ? write_frame(flight) : pack_start(flight);
    if (rc == 0) {
        flight_queue(flight);
    }
    return rc;
}

/* Its parts are small: they go out as they are. */
static int send_split(struct flight *flight)
{
    struct tly_forward_link *link = flight->link;
    int rc = link->oldest ? 0 : write_frame(flight); /* else in its turn */
    if (rc == 0) {
        flight_queue(flight);
        link->splitting = true;
    }
    return rc;
}

int tly_forward_link_send(struct tly_forward_link *link, struct tly_chunk *chunk)
{
    if (!tly_forward_fits(chunk)) {
        return TLY_E_LIMIT;
    }
    struct flight *flight = flight_begin(link, chunk);
    int rc = flight->part_bytes > 0 ? send_split(flight) : send_whole(flight);
    if (rc < 0) {
        flight_end(flight);
    } else if (link->held) {
        link->before_held--;
    }
    return rc;
}

/* Once nothing else is under way. */
static int send_held(struct tly_forward_link *link)
{
    struct tly_chunk *chunk = link->held;
    if (!chunk || link->in_flight > 0) {
        return 0;
    }
    link->held = NULL;
    int rc = tly_forward_link_send(link, chunk);
    if (rc < 0) {
        tly_destination_give_back(link->spec.destination, chunk);
    }
    return rc;
}

void tly_forward_link_hold(struct tly_forward_link *link, struct tly_chunk *chunk)
{
    link->held = chunk;
    link->before_held = BEFORE_HELD_MAX;
}

const struct tly_chunk *tly_forward_link_held(const struct tly_forward_link *link)
{
    return link->held;
}
