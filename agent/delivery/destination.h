/*
 * A destination: one named target of records, with its own open chunks, queue and bounds, so that a
 * slow one never delays another. Sources append; one output takes, and acknowledges or returns.
 * Callbacks run on the loop, never from inside a call of this header, but for `resume`.
 */
#ifndef TLY_DELIVERY_DESTINATION_H
#define TLY_DELIVERY_DESTINATION_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/delivery/chunk.h"
#include "agent/delivery/selection.h"
#include "agent/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLY_CHUNK_BYTES_DEFAULT       ((size_t)1 << 20)
#define TLY_CHUNK_AGE_DEFAULT_MS      1000
#define TLY_DESTINATION_BYTES_DEFAULT ((size_t)8 << 20)

/* No single record may be longer than this, whatever the limits say. */
#define TLY_RECORD_BYTES_MAX ((size_t)16 << 20)

struct tly_destination_limits {
    size_t chunk_bytes_max; /* a chunk is sealed before it would pass this; 0: the default. A single
                             * record may be longer than that and then fills a chunk alone */
    int64_t chunk_age_ms; /* a chunk is sealed when its first record is this old; 0: the default */
    size_t bytes_max;     /* open, queued and under way together, by the memory that they take;
                           * 0: the default. Only a record that is longer than all of it may pass
                           * it, alone. The last eighth is left to tly_delivery_emit */
};

/* appended = acked + dropped + queued, at every moment, in records and in bytes. */
struct tly_destination_counts {
    uint64_t records_appended, bytes_appended; /* bytes of payload */
    uint64_t records_acked, bytes_acked, chunks_acked;
    uint64_t chunks_returned; /* to be sent once more */
    uint64_t records_dropped; /* at the bound, of sources that cannot be read again; or rejected */
    uint64_t bytes_dropped;
    uint64_t queued_bytes; /* now: open + sealed + under way */
    uint64_t queued_records;
    uint64_t queued_chunks;
    uint64_t memory_bytes; /* now: what these take, and what is kept for the next ones */
    uint64_t memory_bytes_max;
};

struct tly_destination;

const char *tly_destination_name(const struct tly_destination *destination);
void tly_destination_counts(const struct tly_destination *destination,
                            struct tly_destination_counts *ret_counts);

/* Other limits, for what comes from now on: what is open is sealed as it is. */
void tly_destination_limit(struct tly_destination *destination,
                           const struct tly_destination_limits *limits);

/* ---- the sources' side ---- */

/* Which records the destination takes; the patterns are borrowed for its life. Without it: all. */
void tly_destination_select(struct tly_destination *destination,
                            const struct tly_selection *selection);
/* Whether it takes those with this tag, of this container (NULL: of none). A source asks before it
 * appends; nobody else does. */
bool tly_destination_takes(const struct tly_destination *destination, struct tly_text tag,
                           const struct tly_container *container);

/* False at the bound: reading pauses. `tly_destination_wait` then says when to go on. */
bool tly_destination_has_room(const struct tly_destination *destination);

/* Calls `resume` once when half of the memory is free. One registration per waiter; adding it again
 * while registered changes nothing. `resume` comes from inside ack and drop: it may only take note.
 */
struct tly_room_waiter {
    void (*resume)(void *arg);
    void *arg;
    struct tly_room_waiter *next; /* delivery's own */
    bool waiting;                 /* delivery's own */
};
void tly_destination_wait(struct tly_destination *destination, struct tly_room_waiter *waiter);
void tly_destination_unwait(struct tly_destination *destination, struct tly_room_waiter *waiter);

/*
 * The open chunk of `tag` with room for `bytes` more in its payload, for the source to write into
 * and then commit: one copy from file to frame. As long as tly_chunk_room says so, a source may
 * write on without asking again; but it commits before it next calls anything else here or returns
 * to the loop. A chunk that would pass its maximum is sealed first.
 *
 * -EAGAIN at the destination's bound: everything open was sealed, wait. -ENOMEM. TLY_E_LIMIT for a
 * single record over TLY_RECORD_BYTES_MAX.
 */
int tly_destination_open(struct tly_destination *destination, struct tly_text tag, size_t bytes,
                         struct tly_chunk **ret_chunk) TLY_CHECK;

/*
 * Counts `records` that the source has written to chunk->payload since `open` (whose len it has
 * advanced). `cursor` and `position`: how far the source is delivered once these are acknowledged;
 * NULL for what cannot be read again. -ENOMEM: the records are taken back, the payload is as it
 * was. That can happen only at a cursor's first commit to a chunk, so a source that could not take
 * its lines back commits none (`records` 0) before it writes.
 */
int tly_destination_commit(struct tly_destination *destination, struct tly_chunk *chunk,
                           uint32_t records, struct tly_cursor *cursor,
                           const struct tly_position *position) TLY_CHECK;

/* ---- the output's side ---- */

/* Calls `ready`, in a later turn of the loop, when a sealed chunk waits and none did before; also
 * for those that wait already. NULL detaches. */
void tly_destination_attach(struct tly_destination *destination, void (*ready)(void *arg),
                            void *arg);
/* The oldest sealed chunk, now under way; NULL if none waits. Borrowed until ack or give_back. */
struct tly_chunk *tly_destination_take(struct tly_destination *destination);
/* The oldest sealed chunk that no receiver has refused and that overtakes nothing of its streams by
 * going before `refused`, which is under way. NULL if none waits. */
struct tly_chunk *tly_destination_take_beside(struct tly_destination *destination,
                                              const struct tly_chunk *refused);
/* The same; if there is none, the oldest that none has refused, which overtakes. */
struct tly_chunk *tly_destination_take_fresh(struct tly_destination *destination,
                                             const struct tly_chunk *refused);
/* The receiver has it: positions move, the chunk is gone. In any order. */
void tly_destination_ack(struct tly_destination *destination, struct tly_chunk *chunk);
/* It was not acknowledged: it goes back to its old place in the queue. `ready` is not called. */
void tly_destination_give_back(struct tly_destination *destination, struct tly_chunk *chunk);
/* No receiver will ever take it: counted as dropped, positions move, the chunk is gone. */
void tly_destination_drop(struct tly_destination *destination, struct tly_chunk *chunk);
/* The same of its first `records` alone, the first `bytes` of the payload, which moves: the chunk
 * keeps the rest, and the positions stand until that is through. There has to be a rest. */
void tly_destination_ack_part(struct tly_destination *destination, struct tly_chunk *chunk,
                              size_t bytes, uint32_t records);
void tly_destination_drop_part(struct tly_destination *destination, struct tly_chunk *chunk,
                               size_t bytes, uint32_t records);

#endif
