/*
 * A chunk: a run of packed records with one tag, the unit that is queued, sent and acknowledged. It
 * remembers how far each source will be delivered once this chunk is acknowledged.
 *
 * A position moves only over what is acknowledged without a gap: a cursor keeps the positions of
 * its chunks under way in order, and passes on the last of the acknowledged ones at its head.
 */
#ifndef TLY_DELIVERY_CHUNK_H
#define TLY_DELIVERY_CHUNK_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_destination;

/* ---- chunk ---- */

#define TLY_CHUNK_ID_MAX 24 /* Base64 of 128 bits, as the forward protocol asks for */

/* A record that was sent alone and not taken. */
struct tly_refused {
    uint64_t hash; /* of the record; 0: none */
    unsigned count;
    int64_t since_ms; /* loop time; with a count */
};

struct tly_chunk {
    struct tly_buf payload; /* [EventTime, map] values back to back */
    uint32_t records;
    char id[TLY_CHUNK_ID_MAX + 1]; /* empty until sealed */
    const char *tag;               /* valid as long as the chunk */
    int64_t opened_ms;             /* loop time of the first record */
    unsigned sends;                /* how often an output took it */
    unsigned refusals, unproved;   /* the output's, of what its receivers did not take */
    struct tly_refused refused[2]; /* the output's: of the first two records, the last one first */
    size_t bytes_max;              /* a source writes no further than this: see tly_chunk_room */
    /* the rest is delivery's own: see destination.c */
    struct tly_lane *lane;
    struct tly_span *spans;
    struct tly_chunk *next, *previous;
    size_t committed; /* bytes of the payload that stand for `records` */
    uint64_t sequence;
    int state;
};

/* How many bytes a source may write behind payload.len without asking tly_destination_open again.
 */
static inline size_t tly_chunk_room(const struct tly_chunk *chunk)
{
    size_t most = chunk->payload.cap < chunk->bytes_max ? chunk->payload.cap : chunk->bytes_max;
    return most > chunk->payload.len ? most - chunk->payload.len : 0;
}

/* ---- position ---- */

/*
 * How far into a log source everything is delivered. A source with several streams in one file may
 * have to wait for the rest of a line of one of them while the others go on: then the position
 * stands at that line, and says what behind it is delivered all the same.
 */
struct tly_position {
    uint64_t device, inode; /* of the file as it was open */
    uint64_t head_hash;     /* of its first bytes: tells a reused inode from the file itself */
    uint32_t head_len;      /* how many bytes were hashed; 0: none yet */
    uint32_t held;   /* 0, or the source's number of the stream whose line waits at `offset` */
    uint64_t offset; /* the next byte to read, from the start of the (uncompressed) file */
    /* With `held`: all other streams are delivered up to this many bytes behind `offset`, counted
     * on through the following files. */
    uint64_t ahead;
};

/* ---- cursor ---- */

/*
 * One source's way to one destination. It belongs to the source, which commits records with it and
 * ends or detaches it; the chunks under way hold it too, and it lives until the last of them is
 * acknowledged. What it reaches is kept on disk under the destination's name and `key`, also after
 * the owner has gone.
 */
struct tly_cursor;

/* -ENOMEM. `key` is copied ("docker/<id>"). */
int tly_cursor_new(struct tly_destination *destination, struct tly_text key,
                   struct tly_cursor **ret_cursor) TLY_CHECK;

/*
 * What became of the records that were committed with a cursor, since it was made: appended = acked
 * + dropped + under way, at every moment.
 */
struct tly_cursor_counts {
    uint64_t appended;
    uint64_t acked;
    uint64_t dropped;   /* the receiver refuses them for ever */
    uint64_t under_way; /* in chunks that are open, queued or sent */
    uint64_t returned;  /* sent and not acknowledged, to be sent once more; each time anew */
    int64_t since_ms; /* loop time at which the oldest of those under way was committed; 0: none */
};
void tly_cursor_counts(const struct tly_cursor *cursor, struct tly_cursor_counts *ret_counts);

/* Nothing is under way: every record that was committed is acknowledged. */
bool tly_cursor_idle(const struct tly_cursor *cursor);

/* The source has moved on without a record: the position takes part in the order as if it were
 * committed with the last record. */
void tly_cursor_advance(struct tly_cursor *cursor, const struct tly_position *position);

/* The owner goes, the source stays: the kept position is for whoever takes it up again. */
void tly_cursor_detach(struct tly_cursor *cursor);

/* The source itself is gone and all of it is committed: the owner goes, and the kept position is
 * dropped as soon as all is acknowledged. */
void tly_cursor_end(struct tly_cursor *cursor);

#endif
