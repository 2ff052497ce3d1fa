/*
 * The engine's events on their way from the socket to whoever acts on them. Bytes are cut into
 * events and queued at once, because an engine that finds a reader slow skips events silently; they
 * are handled a batch per turn of the loop. A connection that was resumed with an overlap repeats
 * events: those are dropped. Owned by the session.
 */
#ifndef TLY_COLLECTORS_DOCKER_STREAM_H
#define TLY_COLLECTORS_DOCKER_STREAM_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/docker_event.h"
#include "agent/loop/loop.h"
#include "collectors/docker/counts.h"

#include <stdbool.h>
#include <stddef.h>

struct tly_docker_stream;

struct tly_docker_stream_events {
    /* One event, for the first time. Borrowed until the call returns. */
    void (*event)(void *arg, const struct tly_docker_event *event);
    /* Events were lost at the bound of the queue: everything must be looked at anew. */
    void (*lost)(void *arg);
};

/* About 10,000 ordinary events. */
#define TLY_DOCKER_STREAM_BYTES_MAX ((size_t)8 << 20)

/* `bytes_max`: what the queue holds, at most. -ENOMEM. */
int tly_docker_stream_new(struct tly_loop *loop, struct tly_docker_counts *counts, size_t bytes_max,
                          const struct tly_docker_stream_events *events, void *arg,
                          struct tly_docker_stream **ret_stream) TLY_CHECK;
void tly_docker_stream_free(struct tly_docker_stream *stream);

/* A connection begins: half an event of the last one is dropped. */
void tly_docker_stream_begin(struct tly_docker_stream *stream);

/* Bytes of the present connection. TLY_E_LIMIT when they are no stream of events any more. */
int tly_docker_stream_feed(struct tly_docker_stream *stream, struct tly_text bytes) TLY_CHECK;

/*
 * The path of the request for events: from a little before the last one on, so that none between
 * two connections is missed and the last one shows that none was.
 */
#define TLY_DOCKER_EVENTS_PATH_MAX 64
void tly_docker_stream_path(const struct tly_docker_stream *stream,
                            char to[TLY_DOCKER_EVENTS_PATH_MAX]);

/* False when there had been events before this connection and the last of them has not come again:
 * the engine no longer remembers it, so others may have been missed too. */
bool tly_docker_stream_resumed(const struct tly_docker_stream *stream);

#endif
