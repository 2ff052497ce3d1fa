/*
 * What the files of delivery know of each other: spans, lanes and the insides of a destination.
 * Internal to delivery.
 */
#ifndef TLY_DELIVERY_STATE_H
#define TLY_DELIVERY_STATE_H

#include "agent/base/map.h"
#include "agent/delivery/chunk.h"
#include "agent/delivery/destination.h"
#include "agent/delivery/positions.h"
#include "agent/loop/loop.h"

/* One cursor's part in one chunk: when the chunk is acknowledged, and all before it in the cursor's
 * queue are, the cursor has reached `position`. Belongs to the chunk until then, and to the queue
 * throughout. */
struct tly_span {
    struct tly_cursor *cursor;
    const struct tly_chunk *chunk; /* for comparison only */
    struct tly_position position;
    uint32_t records;
    int64_t since_ms; /* loop time of the first of them */
    bool acked;
    struct tly_span *next, *previous; /* in the cursor's queue */
    struct tly_span *next_of_chunk;   /* while the chunk lives */
};

/* ---- chunk.c ---- */

/* Notes that `records` more of this chunk are the cursor's, and that with it the cursor reaches
 * `position`. -ENOMEM. */
int tly_chunk_mark(struct tly_chunk *chunk, struct tly_cursor *cursor, uint32_t records,
                   const struct tly_position *position) TLY_CHECK;
/* The chunk is acknowledged, or refused for ever: its cursors move. It has no spans afterwards. */
void tly_chunk_delivered(struct tly_chunk *chunk, bool acked);
/* Whether there may be records of one stream in both: those of one tag and one cursor. The spool's
 * cursor has those of many tags, and a tag those of many cursors. */
bool tly_chunk_shares(const struct tly_chunk *a, const struct tly_chunk *b);
/* It was sent and will be once more. */
void tly_chunk_returned(const struct tly_chunk *chunk);
/* Its first `records` are through, or dropped, ahead of the others: the cursors count them, and
 * stand. Of several cursors' records it is taken that the first to commit has the first. */
void tly_chunk_cut(const struct tly_chunk *chunk, uint32_t records, bool acked);
/* The chunk is given up: nothing moves. */
void tly_chunk_forget(struct tly_chunk *chunk);

/* ---- destination.c and filling.c ---- */

/* Sources that can wait leave this part of the memory to those that can't: one eighth. */
#define TLY_EMIT_SHARE 8

enum tly_chunk_state { TLY_CHUNK_SPARE, TLY_CHUNK_OPEN, TLY_CHUNK_QUEUED, TLY_CHUNK_UNDER_WAY };

/* The way of one tag: at most one open chunk. Lives as long as it has any chunk. */
struct tly_lane {
    struct tly_chunk *open; /* or NULL */
    size_t chunks;          /* open, queued and under way */
    bool filled;            /* its last chunk was sealed by size: the next one starts full size */
    size_t tag_len;
    char tag[]; /* NUL-terminated */
};

struct tly_chunk_list {
    struct tly_chunk *first, *last;
};

struct tly_destination {
    struct tly_loop *loop;
    struct tly_positions *positions; /* borrowed */
    char *name;
    struct tly_destination_limits limits;
    struct tly_selection selection;
    struct tly_map *lanes;       /* by tag */
    struct tly_chunk_list open;  /* oldest first */
    struct tly_chunk_list queue; /* sealed, by sequence */
    struct tly_chunk_list under_way;
    struct tly_chunk_list spares; /* full-size buffers to use again: fresh pages are dear */
    size_t spare_count;
    size_t spare_bytes;
    size_t used_bytes; /* memory of open, queued and under way */
    uint64_t sequence;
    struct tly_timer *age_timer;
    struct tly_defer *ready_defer;
    void (*ready)(void *arg);
    void *ready_arg;
    struct tly_room_waiter *waiters, *waiters_last;
    struct tly_destination_counts counts;
};

/* destination.c */
int tly_destination_new(struct tly_loop *loop, struct tly_positions *positions, const char *name,
                        const struct tly_destination_limits *limits,
                        struct tly_destination **ret_destination) TLY_CHECK;
void tly_destination_free(struct tly_destination *destination); /* NULL is fine */
void tly_chunk_list_remove(struct tly_chunk_list *list, struct tly_chunk *chunk);
void tly_chunk_list_append(struct tly_chunk_list *list, struct tly_chunk *chunk);

/* filling.c */

/* Appends a record that can't be read again, or drops and counts it. */
void tly_destination_emit(struct tly_destination *destination, struct tly_text tag,
                          struct tly_text record);
/* Seals every open chunk; those without records are freed. */
void tly_destination_flush(struct tly_destination *destination);
/* Releases the memory of a chunk that is in no list and has no spans, or keeps it as a spare. */
void tly_destination_chunk_free(struct tly_destination *destination, struct tly_chunk *chunk);
void tly_destination_spares_free(struct tly_destination *destination);
/* Starts the timer for the oldest open chunk, or for giving up the spares. */
void tly_destination_age(struct tly_destination *destination);
void tly_destination_aged(void *arg); /* the timer's call */

#endif
