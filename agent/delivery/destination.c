/*
 * A destination's queue: what is sealed waits here in order, is taken by the output, and goes with
 * its acknowledgement or comes back to its old place. Also the sources that wait for room. One per
 * named target, owned by delivery.c; its other half, where chunks fill, is filling.c.
 */
#include "agent/delivery/destination.h"

#include "agent/delivery/state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How far down the queue a chunk is looked for that overtakes nothing: each is held against all
 * before it. */
#define FRESH_LOOKS_MAX 256

/* ---- lists ---- */

void tly_chunk_list_remove(struct tly_chunk_list *list, struct tly_chunk *chunk)
{
    if (chunk->previous) {
        chunk->previous->next = chunk->next;
    } else {
        list->first = chunk->next;
    }
    if (chunk->next) {
        chunk->next->previous = chunk->previous;
    } else {
        list->last = chunk->previous;
    }
    chunk->next = NULL;
    chunk->previous = NULL;
}

/* NULL: at the front. */
static void list_insert_behind(struct tly_chunk_list *list, struct tly_chunk *before,
                               struct tly_chunk *chunk)
{
    struct tly_chunk *after = before ? before->next : list->first;
    chunk->previous = before;
    chunk->next = after;
    if (before) {
        before->next = chunk;
    } else {
        list->first = chunk;
    }
    if (after) {
        after->previous = chunk;
    } else {
        list->last = chunk;
    }
}

void tly_chunk_list_append(struct tly_chunk_list *list, struct tly_chunk *chunk)
{
    list_insert_behind(list, list->last, chunk);
}

/* ---- life ---- */

static void ready_now(void *arg)
{
    struct tly_destination *destination = arg;
    if (destination->ready && destination->queue.first) {
        destination->ready(destination->ready_arg);
    }
}

static void limits_set(struct tly_destination *destination,
                       const struct tly_destination_limits *limits)
{
    struct tly_destination_limits *own = &destination->limits;
    *own = *limits;
    own->chunk_bytes_max = own->chunk_bytes_max ? own->chunk_bytes_max : TLY_CHUNK_BYTES_DEFAULT;
    own->chunk_age_ms = own->chunk_age_ms ? own->chunk_age_ms : TLY_CHUNK_AGE_DEFAULT_MS;
    own->bytes_max = own->bytes_max ? own->bytes_max : TLY_DESTINATION_BYTES_DEFAULT;
    destination->counts.memory_bytes_max = own->bytes_max;
}

int tly_destination_new(struct tly_loop *loop, struct tly_positions *positions, const char *name,
                        const struct tly_destination_limits *limits,
                        struct tly_destination **ret_destination)
{
    struct tly_destination *destination = calloc(1, sizeof(*destination));
    if (!destination) {
        return -ENOMEM;
    }
    destination->loop = loop;
    destination->positions = positions;
    limits_set(destination, limits);
    destination->name = strdup(name);
    destination->lanes = tly_map_new();
    int rc = destination->name && destination->lanes ? 0 : -ENOMEM;
    if (rc == 0) {
        rc = tly_timer_new(loop, tly_destination_aged, destination, &destination->age_timer);
    }
    if (rc == 0) {
        rc = tly_defer_new(loop, ready_now, destination, &destination->ready_defer);
    }
    if (rc < 0) {
        tly_destination_free(destination);
        return rc;
    }
    *ret_destination = destination;
    return 0;
}

static void list_give_up(struct tly_destination *destination, struct tly_chunk_list *list)
{
    while (list->first) {
        struct tly_chunk *chunk = list->first;
        tly_chunk_list_remove(list, chunk);
        tly_chunk_forget(chunk);
        tly_destination_chunk_free(destination, chunk);
    }
}

void tly_destination_free(struct tly_destination *destination)
{
    if (!destination) {
        return;
    }
    if (destination->lanes) {
        tly_destination_flush(
            destination); /* chunks without records go; the others are all in lists */
    }
    list_give_up(destination, &destination->queue);
    list_give_up(destination, &destination->under_way);
    tly_destination_spares_free(destination);
    tly_timer_free(destination->age_timer);
    tly_defer_free(destination->ready_defer);
    tly_map_free(destination->lanes, free);
    free(destination->name);
    free(destination);
}

const char *tly_destination_name(const struct tly_destination *destination)
{
    return destination->name;
}

void tly_destination_counts(const struct tly_destination *destination,
                            struct tly_destination_counts *ret_counts)
{
    *ret_counts = destination->counts;
    ret_counts->memory_bytes = destination->used_bytes + destination->spare_bytes;
}

void tly_destination_select(struct tly_destination *destination,
                            const struct tly_selection *selection)
{
    destination->selection = *selection;
}

bool tly_destination_takes(const struct tly_destination *destination, struct tly_text tag,
                           const struct tly_container *container)
{
    return tly_selection_takes(&destination->selection, tag, container);
}

/* ---- those who wait for room ---- */

bool tly_destination_has_room(const struct tly_destination *destination)
{
    size_t most = destination->limits.bytes_max;
    return destination->used_bytes < most - most / TLY_EMIT_SHARE;
}

void tly_destination_wait(struct tly_destination *destination, struct tly_room_waiter *waiter)
{
    if (waiter->waiting) {
        return;
    }
    waiter->waiting = true;
    waiter->next = NULL;
    if (destination->waiters_last) {
        destination->waiters_last->next = waiter;
    } else {
        destination->waiters = waiter;
    }
    destination->waiters_last = waiter;
}

void tly_destination_unwait(struct tly_destination *destination, struct tly_room_waiter *waiter)
{
    if (!waiter->waiting) {
        return;
    }
    struct tly_room_waiter **link = &destination->waiters;
    struct tly_room_waiter *previous = NULL;
    while (*link != waiter) {
        previous = *link;
        link = &previous->next;
    }
    *link = waiter->next;
    if (destination->waiters_last == waiter) {
        destination->waiters_last = previous;
    }
    waiter->next = NULL;
    waiter->waiting = false;
}

/* Sources are woken when half of their memory is free: all of them, so many that come first fill
 * it. Woken by every chunk that goes, most would come for nothing. */
static bool is_roomy(const struct tly_destination *destination)
{
    size_t most = destination->limits.bytes_max;
    return destination->used_bytes <= (most - most / TLY_EMIT_SHARE) / 2;
}

static void wake(struct tly_destination *destination)
{
    if (!is_roomy(destination)) {
        return;
    }
    struct tly_room_waiter *waiter = destination->waiters;
    destination->waiters = NULL;
    destination->waiters_last = NULL;
    while (waiter) {
        struct tly_room_waiter *next = waiter->next;
        waiter->next = NULL;
        waiter->waiting = false;
        waiter->resume(waiter->arg);
        waiter = next;
    }
}

void tly_destination_limit(struct tly_destination *destination,
                           const struct tly_destination_limits *limits)
{
    tly_destination_flush(destination);
    tly_destination_spares_free(destination); /* they have the old size */
    limits_set(destination, limits);
    tly_destination_age(destination);
    wake(destination);
}

/* ---- the output's side ---- */

void tly_destination_attach(struct tly_destination *destination, void (*ready)(void *arg),
                            void *arg)
{
    destination->ready = ready;
    destination->ready_arg = arg;
    if (ready && destination->queue.first) {
        tly_defer_call(destination->ready_defer);
    }
}

static struct tly_chunk *take(struct tly_destination *destination, struct tly_chunk *chunk)
{
    if (chunk) {
        tly_chunk_list_remove(&destination->queue, chunk);
        tly_chunk_list_append(&destination->under_way, chunk);
        chunk->state = TLY_CHUNK_UNDER_WAY;
        chunk->sends++;
    }
    return chunk;
}

struct tly_chunk *tly_destination_take(struct tly_destination *destination)
{
    return take(destination, destination->queue.first);
}

static bool is_fresh(const struct tly_chunk *chunk)
{
    return chunk->refusals == 0 && chunk->unproved == 0;
}

/* Whether a chunk would overtake the refused one, or one that waits before it. */
static bool overtakes(const struct tly_destination *destination, const struct tly_chunk *chunk,
                      const struct tly_chunk *refused)
{
    bool shares = tly_chunk_shares(chunk, refused);
    for (const struct tly_chunk *at = destination->queue.first; at != chunk && !shares;
         at = at->next) {
        shares = tly_chunk_shares(chunk, at);
    }
    return shares;
}

struct tly_chunk *tly_destination_take_beside(struct tly_destination *destination,
                                              const struct tly_chunk *refused)
{
    struct tly_chunk *at = destination->queue.first;
    for (size_t i = 0; at && i < FRESH_LOOKS_MAX; at = at->next, i++) {
        if (is_fresh(at) && !overtakes(destination, at, refused)) {
            return take(destination, at);
        }
    }
    return NULL;
}

struct tly_chunk *tly_destination_take_fresh(struct tly_destination *destination,
                                             const struct tly_chunk *refused)
{
    struct tly_chunk *chunk = tly_destination_take_beside(destination, refused);
    struct tly_chunk *at = destination->queue.first;
    for (size_t i = 0; !chunk && at && i < FRESH_LOOKS_MAX; at = at->next, i++) {
        chunk = is_fresh(at) ? take(destination, at) : NULL;
    }
    return chunk;
}

/* The chunk is out of the books' "queued" and its positions move. */
static void chunk_finish(struct tly_destination *destination, struct tly_chunk *chunk, bool acked)
{
    assert(chunk->state == TLY_CHUNK_UNDER_WAY);
    struct tly_destination_counts *counts = &destination->counts;
    counts->queued_records -= chunk->records;
    counts->queued_bytes -= chunk->payload.len;
    counts->queued_chunks--;
    tly_chunk_list_remove(&destination->under_way, chunk);
    tly_chunk_delivered(chunk, acked);
    tly_destination_chunk_free(destination, chunk);
    if (destination->used_bytes == 0) {
        tly_destination_age(destination);
    }
    wake(destination);
}

void tly_destination_ack(struct tly_destination *destination, struct tly_chunk *chunk)
{
    destination->counts.records_acked += chunk->records;
    destination->counts.bytes_acked += chunk->payload.len;
    destination->counts.chunks_acked++;
    chunk_finish(destination, chunk, true);
}

void tly_destination_give_back(struct tly_destination *destination, struct tly_chunk *chunk)
{
    assert(chunk->state == TLY_CHUNK_UNDER_WAY);
    tly_chunk_list_remove(&destination->under_way, chunk);
    struct tly_chunk *before = NULL;
    struct tly_chunk *at = destination->queue.first;
    while (at && at->sequence < chunk->sequence) {
        before = at;
        at = at->next;
    }
    list_insert_behind(&destination->queue, before, chunk);
    chunk->state = TLY_CHUNK_QUEUED;
    destination->counts.chunks_returned++;
    tly_chunk_returned(chunk);
}

void tly_destination_drop(struct tly_destination *destination, struct tly_chunk *chunk)
{
    destination->counts.records_dropped += chunk->records;
    destination->counts.bytes_dropped += chunk->payload.len;
    chunk_finish(destination, chunk, false);
}

/* ---- parts of a chunk ---- */

static void cut(struct tly_destination *destination, struct tly_chunk *chunk, size_t bytes,
                uint32_t records, bool acked)
{
    assert(chunk->state == TLY_CHUNK_UNDER_WAY && records < chunk->records);
    tly_buf_consume(&chunk->payload, bytes);
    chunk->committed = chunk->payload.len;
    chunk->records -= records;
    destination->counts.queued_records -= records;
    destination->counts.queued_bytes -= bytes;
    tly_chunk_cut(chunk, records, acked);
}

void tly_destination_ack_part(struct tly_destination *destination, struct tly_chunk *chunk,
                              size_t bytes, uint32_t records)
{
    destination->counts.records_acked += records;
    destination->counts.bytes_acked += bytes;
    cut(destination, chunk, bytes, records, true);
}

void tly_destination_drop_part(struct tly_destination *destination, struct tly_chunk *chunk,
                               size_t bytes, uint32_t records)
{
    destination->counts.records_dropped += records;
    destination->counts.bytes_dropped += bytes;
    cut(destination, chunk, bytes, records, false);
}
