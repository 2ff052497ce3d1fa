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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far into a log source everything is delivered: the next byte to read of one file. */
struct tly_position {
    uint64_t device, inode; /* of the file as it was open */
    uint64_t head_hash;     /* of its first bytes: tells a reused inode from the file itself */
    uint32_t head_len;      /* how many bytes were hashed; 0: none yet */
    uint64_t offset;        /* bytes from the start of the (uncompressed) file */
};

struct tly_cursor; /* counted: its owner and every chunk under way hold one reference */

/* `delivered` is called when the position moved; not after tly_cursor_detach. */
struct tly_cursor *tly_cursor_new(void (*delivered)(void *arg, const struct tly_position *position),
                                  void *arg);
/* The owner goes; chunks under way are still delivered and their positions still kept by whoever
 * the `orphaned` callback reaches. */
void tly_cursor_detach(struct tly_cursor *cursor);
bool tly_cursor_idle(const struct tly_cursor *cursor); /* nothing under way */

#define TLY_CHUNK_ID_MAX 24 /* Base64 of 128 bits, as the forward protocol asks for */

struct tly_chunk {
    struct tly_buf payload; /* [EventTime, map] values back to back */
    uint32_t records;
    char id[TLY_CHUNK_ID_MAX + 1];
    const char *tag;   /* owned by the chunk */
    int64_t opened_ms; /* loop time of the first record */
    unsigned sends;    /* how often an output took it */
    void *output_data; /* for the output that holds it */
    /* the rest is delivery's own: see destination.c */
    struct tly_span *spans;
    size_t span_count, span_cap;
    struct tly_chunk *next, *previous;
    int state;
};

#endif
