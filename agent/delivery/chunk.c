/*
 * Cursors and the spans by which chunks move them. A cursor has one span in each chunk. They stand
 * in the order in which the source first committed to each; an acknowledgement may come in any
 * order, but the cursor only ever passes spans at the head of that queue. Where the source comes
 * back to an earlier chunk, the last span's position moves on, behind which that chunk is passed as
 * well. So what is kept never runs ahead of what is delivered.
 */
#include "agent/delivery/chunk.h"

#include "agent/delivery/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tly_cursor {
    struct tly_destination *destination;
    struct tly_span *first, *last; /* in the order of commits */
    struct tly_cursor_counts counts;
    bool owned; /* the source still holds it */
    bool ended; /* the source is gone: drop the key when all is acknowledged */
    size_t key_len;
    char key[];
};

static struct tly_text cursor_key(const struct tly_cursor *cursor)
{
    return (struct tly_text){cursor->key, cursor->key_len};
}

static struct tly_text cursor_destination(const struct tly_cursor *cursor)
{
    return tly_text_of(cursor->destination->name);
}

int tly_cursor_new(struct tly_destination *destination, struct tly_text key,
                   struct tly_cursor **ret_cursor)
{
    struct tly_cursor *cursor = calloc(1, sizeof(*cursor) + key.len);
    if (!cursor) {
        return -ENOMEM;
    }
    cursor->destination = destination;
    cursor->owned = true;
    cursor->key_len = key.len;
    memcpy(cursor->key, key.at, key.len);
    *ret_cursor = cursor;
    return 0;
}

bool tly_cursor_idle(const struct tly_cursor *cursor)
{
    return !cursor->first;
}

static void keep(struct tly_cursor *cursor, const struct tly_position *position)
{
    /* One that can't be kept is logged there; it costs a repeat after a restart. */
    (void)tly_positions_keep(cursor->destination->positions, cursor_destination(cursor),
                             cursor_key(cursor), position);
}

void tly_cursor_advance(struct tly_cursor *cursor, const struct tly_position *position)
{
    if (cursor->last) {
        cursor->last->position = *position;
    } else {
        keep(cursor, position);
    }
}

/* Frees a cursor that nobody needs any more. */
static void cursor_settle(struct tly_cursor *cursor)
{
    if (cursor->owned || cursor->first) {
        return;
    }
    if (cursor->ended) {
        tly_positions_drop(cursor->destination->positions, cursor_destination(cursor),
                           cursor_key(cursor));
    }
    free(cursor);
}

void tly_cursor_detach(struct tly_cursor *cursor)
{
    cursor->owned = false;
    cursor_settle(cursor);
}

void tly_cursor_end(struct tly_cursor *cursor)
{
    cursor->owned = false;
    cursor->ended = true;
    cursor_settle(cursor);
}

void tly_cursor_counts(const struct tly_cursor *cursor, struct tly_cursor_counts *ret_counts)
{
    const struct tly_span *span = cursor->first;
    while (span && (span->acked || span->records == 0)) {
        span = span->next;
    }
    *ret_counts = cursor->counts;
    ret_counts->since_ms = span ? span->since_ms : 0;
}

static int add_span(struct tly_chunk *chunk, struct tly_cursor *cursor)
{
    struct tly_span *span = malloc(sizeof(*span));
    if (!span) {
        return -ENOMEM;
    }
    *span = (struct tly_span){
        .cursor = cursor, .chunk = chunk, .previous = cursor->last, .next_of_chunk = chunk->spans};
    chunk->spans = span;
    if (cursor->last) {
        cursor->last->next = span;
    } else {
        cursor->first = span;
    }
    cursor->last = span;
    return 0;
}

int tly_chunk_mark(struct tly_chunk *chunk, struct tly_cursor *cursor, uint32_t records,
                   const struct tly_position *position)
{
    /* Records of one cursor that follow each other are one span: so of the spool's, in each of the
     * chunks that it fills in turn. Between those of two logs the order is kept, for the counts. */
    struct tly_span *span = chunk->spans;
    if (!span || span->cursor != cursor) {
        int rc = add_span(chunk, cursor);
        if (rc < 0) {
            return rc;
        }
        span = chunk->spans;
    }
    if (span->records == 0) {
        span->since_ms = tly_loop_now_ms(cursor->destination->loop);
    }
    span->records += records;
    /* Not the span's own: what other chunks have of what came before must be delivered, too. */
    cursor->last->position = *position;
    cursor->counts.appended += records;
    cursor->counts.under_way += records;
    return 0;
}

static void cursor_remove(struct tly_cursor *cursor, struct tly_span *span)
{
    *(span->previous ? &span->previous->next : &cursor->first) = span->next;
    *(span->next ? &span->next->previous : &cursor->last) = span->previous;
    free(span);
}

/* Passes what is acknowledged at the head of the queue. */
static void cursor_progress(struct tly_cursor *cursor)
{
    struct tly_position reached;
    bool moved = false;
    while (cursor->first && cursor->first->acked) {
        reached = cursor->first->position;
        moved = true;
        cursor_remove(cursor, cursor->first);
    }
    if (moved) {
        keep(cursor, &reached);
    }
    cursor_settle(cursor);
}

bool tly_chunk_shares(const struct tly_chunk *a, const struct tly_chunk *b)
{
    if (a->lane != b->lane || !a->spans || !b->spans) {
        return a->lane == b->lane;
    }
    bool shares = false;
    for (const struct tly_span *one = a->spans; one && !shares; one = one->next_of_chunk) {
        for (const struct tly_span *at = b->spans; at && !shares; at = at->next_of_chunk) {
            shares = one->cursor == at->cursor;
        }
    }
    return shares;
}

void tly_chunk_returned(const struct tly_chunk *chunk)
{
    for (const struct tly_span *span = chunk->spans; span; span = span->next_of_chunk) {
        span->cursor->counts.returned += span->records;
    }
}

void tly_chunk_delivered(struct tly_chunk *chunk, bool acked)
{
    struct tly_span *span = chunk->spans;
    chunk->spans = NULL;
    while (span) {
        struct tly_span *next = span->next_of_chunk;
        span->acked = true;
        span->chunk = NULL; /* the chunk's memory will be another chunk's */
        struct tly_cursor_counts *counts = &span->cursor->counts;
        *(acked ? &counts->acked : &counts->dropped) += span->records;
        counts->under_way -= span->records;
        if (span->cursor->first == span) {
            cursor_progress(span->cursor); /* frees the span */
        }
        span = next;
    }
}

/* The oldest of the chunk's spans that still has records; the newest is first. */
static struct tly_span *oldest_span(const struct tly_chunk *chunk)
{
    struct tly_span *oldest = NULL;
    for (struct tly_span *span = chunk->spans; span; span = span->next_of_chunk) {
        oldest = span->records > 0 ? span : oldest;
    }
    return oldest;
}

void tly_chunk_cut(const struct tly_chunk *chunk, uint32_t records, bool acked)
{
    struct tly_span *span;
    while (records > 0 && (span = oldest_span(chunk)) != NULL) {
        uint32_t count = records < span->records ? records : span->records;
        struct tly_cursor_counts *counts = &span->cursor->counts;
        *(acked ? &counts->acked : &counts->dropped) += count;
        counts->under_way -= count;
        span->records -= count;
        records -= count;
    }
}

/* Forgets what was acknowledged behind a span that never will be: the position must not pass it. */
static void cursor_skip(struct tly_cursor *cursor)
{
    while (cursor->first && cursor->first->acked) {
        cursor_remove(cursor, cursor->first);
    }
}

void tly_chunk_forget(struct tly_chunk *chunk)
{
    struct tly_span *span = chunk->spans;
    chunk->spans = NULL;
    while (span) {
        struct tly_span *next = span->next_of_chunk;
        struct tly_cursor *cursor = span->cursor;
        cursor->ended = false; /* not all was delivered: the position stays for the next start */
        cursor_remove(cursor, span);
        cursor_skip(cursor);
        cursor_settle(cursor);
        span = next;
    }
}
