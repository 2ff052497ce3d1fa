/*
 * The filling of chunks: one open chunk per tag, grown as records come, sealed by size, age or want
 * of memory. Memory is counted by what the buffers take, not by what is in them, so that many tags
 * with little in each are bounded as well. The other half of a destination is destination.c.
 */
#include "agent/base/random.h"
#include "agent/delivery/destination.h"
#include "agent/delivery/state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A tag with a line now and then holds no more than a page. */
#define CHUNK_BYTES_FIRST ((size_t)4096)

/* Sources come when half of the memory is free, and fill all of it; what is kept counts as used. */
#define SPARES_MAX 8

/* What has come this far within so short a time goes on, most likely: lines that waited in a file.
 */
#define CHUNK_BYTES_BURST ((size_t)32 << 10)
#define CHUNK_BURST_MS    50

#define CHUNK_ID_BYTES 16

/* ---- memory ---- */

static void spare_free_one(struct tly_destination *destination)
{
    struct tly_chunk *spare = destination->spares.first;
    tly_chunk_list_remove(&destination->spares, spare);
    destination->spare_count--;
    destination->spare_bytes -= spare->payload.cap;
    tly_buf_done(&spare->payload);
    free(spare);
}

void tly_destination_spares_free(struct tly_destination *destination)
{
    while (destination->spare_count > 0) {
        spare_free_one(destination);
    }
}

/* Makes sure that `extra` bytes may be taken, giving up spares for them. */
static int claim(struct tly_destination *destination, size_t extra, bool urgent)
{
    size_t most = destination->limits.bytes_max;
    size_t own = urgent ? most : most - most / TLY_EMIT_SHARE;
    if (destination->used_bytes > 0 && destination->used_bytes + extra > own) {
        return -EAGAIN;
    }
    while (destination->spare_count > 0 &&
           destination->used_bytes + destination->spare_bytes + extra > most) {
        spare_free_one(destination);
    }
    return 0;
}

static struct tly_chunk *spare_take(struct tly_destination *destination, size_t bytes)
{
    struct tly_chunk *spare = destination->spares.first;
    if (!spare || spare->payload.cap < bytes) {
        return NULL;
    }
    tly_chunk_list_remove(&destination->spares, spare);
    destination->spare_count--;
    destination->spare_bytes -= spare->payload.cap;
    struct tly_buf payload = spare->payload;
    tly_buf_clear(&payload);
    *spare = (struct tly_chunk){.payload = payload};
    return spare;
}

static void lane_settle(struct tly_destination *destination, struct tly_lane *lane)
{
    if (lane->chunks == 0) {
        (void)tly_map_remove(destination->lanes, (struct tly_text){lane->tag, lane->tag_len});
        free(lane);
    }
}

/* The chunk is in no list any more and has no spans. */
void tly_destination_chunk_free(struct tly_destination *destination, struct tly_chunk *chunk)
{
    struct tly_lane *lane = chunk->lane;
    size_t full = destination->limits.chunk_bytes_max;
    size_t cap = chunk->payload.cap;
    destination->used_bytes -= cap;
    lane->chunks--;
    lane_settle(destination, lane);
    if (cap >= full && cap <= full + CHUNK_BYTES_FIRST && destination->spare_count < SPARES_MAX &&
        destination->used_bytes + destination->spare_bytes + cap <= destination->limits.bytes_max) {
        chunk->state = TLY_CHUNK_SPARE;
        tly_chunk_list_append(&destination->spares, chunk);
        destination->spare_count++;
        destination->spare_bytes += cap;
        return;
    }
    tly_buf_done(&chunk->payload);
    free(chunk);
}

/* ---- sealing ---- */

/* The chunk has records and is open: now it waits for the output. */
static void enqueue(struct tly_destination *destination, struct tly_chunk *chunk, bool by_size)
{
    assert(chunk->payload.len == chunk->committed);
    chunk->lane->open = NULL;
    chunk->lane->filled = by_size;
    tly_chunk_list_remove(&destination->open, chunk);
    uint8_t id[CHUNK_ID_BYTES];
    tly_random_fill(id, sizeof(id));
    tly_base64_write(id, sizeof(id), chunk->id);
    chunk->sequence = ++destination->sequence;
    chunk->state = TLY_CHUNK_QUEUED;
    if (!destination->queue.first && destination->ready) {
        tly_defer_call(destination->ready_defer);
    }
    tly_chunk_list_append(&destination->queue, chunk);
}

static void seal(struct tly_destination *destination, struct tly_chunk *chunk, bool by_size)
{
    if (chunk->records > 0) {
        enqueue(destination, chunk, by_size);
    } else {
        chunk->lane->open = NULL;
        tly_chunk_delivered(chunk,
                            true); /* of nothing: its cursors stand where they stood before it */
        tly_destination_chunk_free(destination, chunk);
    }
}

void tly_destination_flush(struct tly_destination *destination)
{
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(destination->lanes, &walk, &at);) {
        const struct tly_lane *lane = at.value;
        if (lane->open) {
            seal(destination, lane->open, false);
        }
    }
}

void tly_destination_age(struct tly_destination *destination)
{
    const struct tly_chunk *oldest = destination->open.first;
    int64_t age = destination->limits.chunk_age_ms;
    if (oldest) {
        int64_t wait = oldest->opened_ms + age - tly_loop_now_ms(destination->loop);
        tly_timer_start(destination->age_timer, wait > 0 ? wait : 0, 0);
    } else if (destination->spare_count > 0 && destination->used_bytes == 0) {
        tly_timer_start(destination->age_timer, age, 0);
    }
}

void tly_destination_aged(void *arg)
{
    struct tly_destination *destination = arg;
    int64_t due = tly_loop_now_ms(destination->loop) - destination->limits.chunk_age_ms;
    while (destination->open.first && destination->open.first->opened_ms <= due) {
        enqueue(destination, destination->open.first, false);
    }
    if (destination->used_bytes == 0) {
        tly_destination_spares_free(destination); /* idle: give the memory back */
    }
    tly_destination_age(destination);
}

/* ---- opening ---- */

static int lane_get(struct tly_destination *destination, struct tly_text tag,
                    struct tly_lane **ret_lane)
{
    struct tly_lane *lane = tly_map_get(destination->lanes, tag);
    if (!lane) {
        lane = calloc(1, sizeof(*lane) + tag.len + 1);
        if (!lane) {
            return -ENOMEM;
        }
        lane->tag_len = tag.len;
        memcpy(lane->tag, tag.at, tag.len);
        int rc = tly_map_put(destination->lanes, tag, lane, NULL);
        if (rc < 0) {
            free(lane);
            return rc;
        }
    }
    *ret_lane = lane;
    return 0;
}

/* An empty chunk whose buffer has room for `bytes` at least. */
static int chunk_new(struct tly_destination *destination, struct tly_lane *lane, size_t bytes,
                     bool urgent)
{
    size_t full = destination->limits.chunk_bytes_max;
    size_t want = lane->filled && bytes < full ? full : bytes;
    want = want < CHUNK_BYTES_FIRST ? CHUNK_BYTES_FIRST : want;
    int rc = claim(destination, want, urgent);
    if (rc < 0 && want > bytes) {
        want = bytes;
        rc = claim(destination, want, urgent);
    }
    if (rc < 0) {
        return rc;
    }
    struct tly_chunk *chunk = want >= full ? spare_take(destination, want) : NULL;
    if (!chunk) {
        chunk = calloc(1, sizeof(*chunk));
        if (!chunk) {
            return -ENOMEM;
        }
        char *at;
        tly_buf_init(&chunk->payload, want > full ? want : full);
        rc = tly_buf_reserve(&chunk->payload, want, &at);
        if (rc < 0) {
            free(chunk);
            return rc;
        }
    }
    chunk->payload.max = want > full ? want : full;
    chunk->bytes_max = chunk->payload.max;
    chunk->state = TLY_CHUNK_OPEN;
    chunk->lane = lane;
    chunk->tag = lane->tag;
    lane->chunks++;
    lane->open = chunk;
    destination->used_bytes += chunk->payload.cap;
    return 0;
}

/* A chunk that fills up gets a full buffer at once, if there is one, instead of ever longer ones of
 * fresh pages. One that fills slowly would only keep it from others. */
static bool grow_into_spare(struct tly_destination *destination, struct tly_chunk *chunk)
{
    struct tly_buf small = chunk->payload;
    size_t full = destination->limits.chunk_bytes_max;
    int64_t age_ms = tly_loop_now_ms(destination->loop) - chunk->opened_ms;
    bool burst = chunk->records == 0 || age_ms < CHUNK_BURST_MS;
    if (!burst || small.cap < CHUNK_BYTES_BURST || small.cap >= full || small.max > full ||
        destination->spare_count == 0 || claim(destination, full - small.cap, false) < 0) {
        return false;
    }
    struct tly_chunk *spare = spare_take(destination, full); /* claiming may have freed it */
    if (!spare) {
        return false;
    }
    chunk->payload = spare->payload;
    chunk->payload.max = full;
    chunk->payload.len = small.len;
    memcpy(chunk->payload.at, small.at, small.len);
    destination->used_bytes += chunk->payload.cap - small.cap;
    tly_buf_done(&small);
    free(spare);
    return true;
}

/* Room for `bytes` more in a chunk that may still grow that far. */
static int chunk_grow(struct tly_destination *destination, struct tly_chunk *chunk, size_t bytes,
                      bool urgent)
{
    size_t need = chunk->payload.len + bytes;
    size_t before = chunk->payload.cap;
    if (need <= chunk->payload.max && grow_into_spare(destination, chunk)) {
        return 0;
    }
    size_t guess = 2 * before > need ? 2 * before : need;
    if (need > chunk->payload.max) {
        chunk->payload.max = need; /* one long record, alone */
        chunk->bytes_max = need;
    }
    guess = guess > chunk->payload.max ? chunk->payload.max : guess;
    int rc = claim(destination, guess - before, urgent);
    if (rc < 0) {
        return rc;
    }
    char *at;
    rc = tly_buf_reserve(&chunk->payload, bytes, &at);
    if (rc == 0) {
        destination->used_bytes += chunk->payload.cap - before;
    }
    return rc;
}

static int lane_open(struct tly_destination *destination, struct tly_lane *lane, size_t bytes,
                     bool urgent)
{
    struct tly_chunk *chunk = lane->open;
    if (chunk && chunk->records > 0 && chunk->payload.len + bytes > chunk->bytes_max) {
        seal(destination, chunk, true);
        chunk = NULL;
    }
    if (chunk && tly_chunk_room(chunk) < bytes) {
        int rc = chunk_grow(destination, chunk, bytes, urgent);
        if (rc != -EAGAIN) {
            return rc;
        }
        seal(destination, chunk, false); /* may be smaller than it could: memory is short */
        chunk = NULL;
    }
    return chunk ? 0 : chunk_new(destination, lane, bytes, urgent);
}

static int open_for(struct tly_destination *destination, struct tly_text tag, size_t bytes,
                    bool urgent, struct tly_chunk **ret_chunk)
{
    if (bytes > TLY_RECORD_BYTES_MAX) {
        return TLY_E_LIMIT;
    }
    struct tly_lane *lane;
    int rc = lane_get(destination, tag, &lane);
    if (rc < 0) {
        return rc;
    }
    lane->chunks++; /* stays while its chunks come and go */
    rc = lane_open(destination, lane, bytes, urgent);
    if (rc == -EAGAIN) {
        tly_destination_flush(destination);
        if (destination->used_bytes == 0) {
            rc = lane_open(destination, lane, bytes,
                           urgent); /* only empty chunks were in the way */
        }
    }
    lane->chunks--;
    if (rc < 0) {
        lane_settle(destination, lane);
        return rc;
    }
    *ret_chunk = lane->open;
    return 0;
}

int tly_destination_open(struct tly_destination *destination, struct tly_text tag, size_t bytes,
                         struct tly_chunk **ret_chunk)
{
    return open_for(destination, tag, bytes, false, ret_chunk);
}

int tly_destination_commit(struct tly_destination *destination, struct tly_chunk *chunk,
                           uint32_t records, struct tly_cursor *cursor,
                           const struct tly_position *position)
{
    size_t bytes = chunk->payload.len - chunk->committed;
    if (cursor) {
        int rc = tly_chunk_mark(chunk, cursor, records, position);
        if (rc < 0) {
            chunk->payload.len = chunk->committed;
            return rc;
        }
    }
    struct tly_destination_counts *counts = &destination->counts;
    if (chunk->records == 0 && records > 0) {
        chunk->opened_ms = tly_loop_now_ms(destination->loop);
        bool first = !destination->open.first;
        tly_chunk_list_append(&destination->open, chunk);
        if (first) {
            tly_destination_age(destination);
        }
        counts->queued_chunks++;
    }
    chunk->records += records;
    chunk->committed = chunk->payload.len;
    counts->records_appended += records;
    counts->bytes_appended += bytes;
    counts->queued_records += records;
    counts->queued_bytes += bytes;
    if (chunk->payload.len >= destination->limits.chunk_bytes_max) {
        seal(destination, chunk, true);
    }
    return 0;
}

void tly_destination_emit(struct tly_destination *destination, struct tly_text tag,
                          struct tly_text record)
{
    struct tly_chunk *chunk;
    int rc = open_for(destination, tag, record.len, true, &chunk);
    if (rc == 0) {
        memcpy(chunk->payload.at + chunk->payload.len, record.at, record.len);
        chunk->payload.len += record.len;
        rc = tly_destination_commit(destination, chunk, 1, NULL, NULL);
    }
    if (rc < 0) {
        destination->counts.records_appended++;
        destination->counts.bytes_appended += record.len;
        destination->counts.records_dropped++;
        destination->counts.bytes_dropped += record.len;
    }
}
