/*
 * Cutting, queueing and telling apart the engine's events; see stream.h.
 */
#include "collectors/docker/stream.h"

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/hash.h"
#include "agent/codec/json_split.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An event carries all labels of its container; no real one comes near this. */
#define EVENT_BYTES_MAX ((size_t)1 << 20)
/* Handled in one turn of the loop, so that nothing else waits long. */
#define BATCH 256
/* How far a resumed stream goes back: events of one moment may be out of order. */
#define OVERLAP_NS (2 * TLY_NS_PER_S)
/* The engine remembers 256 events, Podman more: enough for what an overlap repeats. */
#define RING_SIZE 1024

/* What makes an event the same event. The hash is over type, action, detail and id. */
struct key {
    int64_t time_ns;
    uint64_t hash;
};

struct tly_docker_stream {
    struct tly_docker_counts *counts;
    struct tly_docker_stream_events events;
    void *arg;
    struct tly_defer *defer;
    struct tly_json_split split;
    struct tly_buf queue; /* for each event its length as size_t, and its JSON */
    size_t queue_at;      /* what lies before was handled */
    struct key ring[RING_SIZE];
    size_t ring_next;
    struct key last;     /* the newest event; time 0: none yet */
    struct key expected; /* `last` when this connection began */
    bool resumed;
};

static void handle_batch(void *arg);

int tly_docker_stream_new(struct tly_loop *loop, struct tly_docker_counts *counts, size_t bytes_max,
                          const struct tly_docker_stream_events *events, void *arg,
                          struct tly_docker_stream **ret_stream)
{
    struct tly_docker_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        return -ENOMEM;
    }
    int rc = tly_defer_new(loop, handle_batch, stream, &stream->defer);
    if (rc < 0) {
        free(stream);
        return rc;
    }
    stream->counts = counts;
    stream->events = *events;
    stream->arg = arg;
    stream->resumed = true;
    tly_json_split_init(&stream->split, TLY_JSON_VALUES, EVENT_BYTES_MAX);
    tly_buf_init(&stream->queue, bytes_max);
    *ret_stream = stream;
    return 0;
}

void tly_docker_stream_free(struct tly_docker_stream *stream)
{
    if (stream) {
        tly_defer_free(stream->defer);
        tly_json_split_done(&stream->split);
        tly_buf_done(&stream->queue);
        free(stream);
    }
}

void tly_docker_stream_begin(struct tly_docker_stream *stream)
{
    tly_json_split_clear(&stream->split);
    stream->expected = stream->last;
    stream->resumed = stream->last.time_ns == 0;
}

bool tly_docker_stream_resumed(const struct tly_docker_stream *stream)
{
    return stream->resumed;
}

void tly_docker_stream_path(const struct tly_docker_stream *stream,
                            char to[TLY_DOCKER_EVENTS_PATH_MAX])
{
    int64_t since_ns = stream->last.time_ns - OVERLAP_NS;
    if (since_ns <= 0) {
        (void)snprintf(to, TLY_DOCKER_EVENTS_PATH_MAX, "/events"); /* fits */
        return;
    }
    /* Always nine digits: the engine takes fewer for the first ones of nine. */
    (void)snprintf(to, TLY_DOCKER_EVENTS_PATH_MAX, "/events?since=%lld.%09lld",
                   (long long)(since_ns / TLY_NS_PER_S), (long long)(since_ns % TLY_NS_PER_S));
}

/* ---- queue ---- */

static void note_depth(struct tly_docker_stream *stream)
{
    stream->counts->queued_bytes = stream->queue.len - stream->queue_at;
    stream->counts->malformed += stream->split.malformed;
    stream->counts->oversized += stream->split.oversized;
    stream->split.malformed = stream->split.oversized = 0;
}

static int enqueue(void *arg, struct tly_text json)
{
    struct tly_docker_stream *stream = arg;
    char *at = NULL;
    if (stream->queue_at > 0 && stream->queue_at >= stream->queue.len / 2) {
        tly_buf_consume(&stream->queue, stream->queue_at);
        stream->queue_at = 0;
    }
    if (tly_buf_reserve(&stream->queue, sizeof(json.len) + json.len, &at) < 0) {
        stream->counts->overflowed++;
        stream->events.lost(stream->arg);
        return 0;
    }
    memcpy(at, &json.len, sizeof(json.len));
    memcpy(at + sizeof(json.len), json.at, json.len);
    stream->queue.len += sizeof(json.len) + json.len;
    tly_defer_call(stream->defer);
    return 0;
}

int tly_docker_stream_feed(struct tly_docker_stream *stream, struct tly_text bytes)
{
    int rc = tly_json_split_feed(&stream->split, bytes, enqueue, stream);
    note_depth(stream);
    return rc;
}

/* The next event's JSON, borrowed until something is queued; at == NULL when there is none. */
static struct tly_text dequeue(struct tly_docker_stream *stream)
{
    struct tly_text json = {NULL, 0};
    if (stream->queue_at == stream->queue.len) {
        tly_buf_clear(&stream->queue);
        stream->queue_at = 0;
        return json;
    }
    memcpy(&json.len, stream->queue.at + stream->queue_at, sizeof(json.len));
    json.at = stream->queue.at + stream->queue_at + sizeof(json.len);
    stream->queue_at += sizeof(json.len) + json.len;
    return json;
}

/* ---- repeats ---- */

static void hash_add(uint64_t *hash, struct tly_text text)
{
    *hash = tly_hash_add(*hash, text.at, text.len);
    *hash = tly_hash_add(*hash, "\xff", 1); /* no UTF-8 text ends in this byte */
}

static struct key key_of(const struct tly_docker_event *event)
{
    struct key key = {.time_ns = event->time_ns, .hash = TLY_HASH_FIRST};
    hash_add(&key.hash, event->type);
    hash_add(&key.hash, event->action);
    hash_add(&key.hash, event->detail);
    hash_add(&key.hash, event->id);
    return key;
}

static bool same(struct key a, struct key b)
{
    return a.time_ns == b.time_ns && a.hash == b.hash;
}

/* Whether the event came before; remembers it. An event without a time is never a repeat. */
static bool is_repeat(struct tly_docker_stream *stream, struct key key)
{
    if (key.time_ns == 0) {
        return false;
    }
    for (size_t i = 0; i < RING_SIZE; i++) {
        if (same(stream->ring[i], key)) {
            return true;
        }
    }
    stream->ring[stream->ring_next] = key;
    stream->ring_next = (stream->ring_next + 1) % RING_SIZE;
    return false;
}

/* Swarm events carry the manager's time, which says nothing of what this engine sent so far. */
static bool is_local(const struct tly_docker_event *event)
{
    return event->scope.len == 0 || tly_text_equal(event->scope, TLY_TEXT("local"));
}

/* ---- handling ---- */

static void handle(struct tly_docker_stream *stream, struct tly_text json)
{
    struct tly_docker_event event;
    if (tly_docker_event_parse(json, &event, NULL) < 0) {
        stream->counts->malformed++;
        return;
    }
    struct key key = key_of(&event);
    if (same(key, stream->expected)) {
        stream->resumed = true;
    }
    if (is_repeat(stream, key)) {
        stream->counts->repeated++;
    } else {
        if (key.time_ns > 0 && is_local(&event)) {
            stream->last = key;
        }
        tly_docker_counts_event(stream->counts, event.type, event.action);
        stream->events.event(stream->arg, &event);
    }
    tly_docker_event_done(&event);
}

static void handle_batch(void *arg)
{
    struct tly_docker_stream *stream = arg;
    struct tly_text json = {NULL, 0};
    for (size_t i = 0; i < BATCH && (json = dequeue(stream)).at; i++) {
        handle(stream, json);
    }
    note_depth(stream);
    if (stream->queue_at < stream->queue.len) {
        tly_defer_call(stream->defer);
    }
}
