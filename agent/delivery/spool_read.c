/*
 * The reading side of the spool: a reader per destination, that copies entry after entry into the
 * open chunk of its tag as long as the destination has room. The files were written a moment ago,
 * so nearly always the kernel still has their bytes.
 */
#include "agent/base/file.h"
#include "agent/delivery/positions.h"
#include "agent/delivery/spool.h"
#include "agent/delivery/spool_entry.h"
#include "agent/delivery/spool_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES ((size_t)64 << 10)

/* So much is looked through for an entry at once. */
#define SEEK_BYTES (2 * TLY_SPOOL_SOUGHT_MAX)

/* A turn ends after so much, and the loop goes on. */
#define TURN_BYTES ((size_t)1 << 20)
/* What a failed read rests; less than a tick by a little, so that each tick tries. */
#define RETRY_MS 900

/* ---- where a reader is ---- */

static void close_segment(struct tly_spool_reader *reader)
{
    tly_fd_close(&reader->fd);
    tly_buf_clear(&reader->buf);
    reader->at = 0;
}

static void go_to(struct tly_spool_reader *reader, uint64_t number)
{
    close_segment(reader);
    reader->number = number;
    reader->offset = TLY_SPOOL_FILE_HEAD_LEN;
}

static struct tly_position position_of(const struct tly_spool_reader *reader)
{
    return (struct tly_position){.inode = reader->number, .offset = reader->offset};
}

/* What was read so far is delivered once all that was committed is. */
static void note_position(struct tly_spool_reader *reader)
{
    struct tly_position position = position_of(reader);
    tly_cursor_advance(reader->cursor, &position);
}

/* The segment with something to read; NULL at the end of all. */
static const struct tly_spool_segment *find_segment(struct tly_spool_reader *reader)
{
    const struct tly_spool_segment *segment = reader->spool->oldest;
    while (segment && (segment->number < reader->number ||
                       (segment->number == reader->number && reader->offset >= segment->size &&
                        segment->newer))) {
        segment = segment->newer;
    }
    if (segment && segment->number != reader->number) {
        go_to(reader, segment->number);
        note_position(reader);
    }
    return segment && reader->offset < segment->size ? segment : NULL;
}

/* ---- entries ---- */

static int open_segment(struct tly_spool_reader *reader)
{
    char name[TLY_SPOOL_NAME_MAX];
    if (reader->fd >= 0) {
        return 0;
    }
    tly_spool_segment_name(reader->number, name);
    return tly_file_open(reader->spool->dir_fd, name, O_RDONLY | O_NOFOLLOW, &reader->fd);
}

static struct tly_text buffered(const struct tly_spool_reader *reader)
{
    /* An empty buffer has no bytes to point into. */
    const char *from = reader->buf.at ? reader->buf.at + reader->at : NULL;
    return (struct tly_text){from, reader->buf.len - reader->at};
}

/* Reads on, so that `need` bytes from the offset on are there. TLY_E_MALFORMED: the segment has
 * not as many. */
static int fill(struct tly_spool_reader *reader, const struct tly_spool_segment *segment,
                size_t need)
{
    tly_buf_consume(&reader->buf, reader->at);
    reader->at = 0;
    int rc = segment->size - reader->offset < need ? TLY_E_MALFORMED : open_segment(reader);
    while (rc == 0 && reader->buf.len < need) {
        uint64_t from = reader->offset + reader->buf.len;
        uint64_t left = segment->size - from;
        size_t want = need - reader->buf.len > READ_BYTES ? need - reader->buf.len : READ_BYTES;
        want = left < want ? (size_t)left : want;
        char *to;
        rc = tly_buf_reserve(&reader->buf, want, &to);
        if (rc < 0) {
            return rc;
        }
        ssize_t got = tly_file_pread(reader->fd, to, want, (off_t)from);
        if (got <= 0) {
            return got < 0 ? (int)got : TLY_E_MALFORMED;
        }
        reader->buf.len += (size_t)got;
    }
    return rc;
}

/* The entry at the offset, which stays there; borrowed from the buffer. */
static int peek_entry(struct tly_spool_reader *reader, const struct tly_spool_segment *segment,
                      struct tly_spool_entry *ret_entry)
{
    int rc = tly_spool_entry_parse(buffered(reader), ret_entry);
    if (rc == TLY_E_MORE) {
        size_t size = TLY_SPOOL_HEAD_LEN;
        if (buffered(reader).len < size) {
            rc = fill(reader, segment, size);
            if (rc < 0) {
                return rc;
            }
        }
        rc = tly_spool_entry_size(buffered(reader), &size);
        rc = rc < 0 ? rc : fill(reader, segment, size);
        rc = rc < 0 ? rc : tly_spool_entry_parse(buffered(reader), ret_entry);
    }
    return rc;
}

static void pass_entry(struct tly_spool_reader *reader, size_t size)
{
    reader->at += size;
    reader->offset += size;
}

/* So many bytes are no sound entry. */
static void pass_damage(struct tly_spool_reader *reader, uint64_t bytes, int rc)
{
    struct tly_spool *spool = reader->spool;
    uint64_t held;
    reader->damaged_bytes += bytes;
    if (tly_log_limit_pass(&spool->read_limit, tly_loop_now_ms(spool->loop), &held)) {
        tly_log_warn("delivery", "%s: %llu bytes of the spool can't be read: %s%s",
                     tly_destination_name(reader->destination), (unsigned long long)bytes,
                     tly_error_name(rc), tly_log_held(held).text);
    }
    reader->offset += bytes;
    note_position(reader);
}

/* Nothing more in this segment can be had. */
static void pass_rest(struct tly_spool_reader *reader, const struct tly_spool_segment *segment,
                      int rc)
{
    close_segment(reader);
    reader->failing = false;
    pass_damage(reader, segment->size - reader->offset, rc);
}

/* No sound entry begins at the offset: goes on to the next one that does, or a part of the way. */
static int seek_entry(struct tly_spool_reader *reader, const struct tly_spool_segment *segment)
{
    uint64_t left = segment->size - reader->offset;
    size_t window = left < SEEK_BYTES ? (size_t)left : SEEK_BYTES;
    int rc = fill(reader, segment, window);
    if (rc < 0) {
        return rc;
    }
    struct tly_text bytes = {buffered(reader).at + 1, window - 1};
    size_t bad = 1 + tly_spool_entry_seek(bytes);
    if (bad == window && window < left) {
        bad -= TLY_SPOOL_SOUGHT_MAX; /* one may begin there, and end behind what was read */
    }
    reader->at += bad;
    pass_damage(reader, bad, TLY_E_MALFORMED);
    return 0;
}

/* Whether what failed may come right: memory, descriptors, and for some time also the disk. */
static bool is_passing(struct tly_spool_reader *reader, int rc)
{
    struct tly_spool *spool = reader->spool;
    int64_t now_ms = tly_loop_now_ms(spool->loop);
    uint64_t held;
    if (tly_error_lacks_means(rc)) {
        return true;
    }
    if (rc == TLY_E_MALFORMED || rc == -ENOENT) {
        return false;
    }
    if (!reader->failing) {
        reader->failing = true;
        reader->failing_since_ms = now_ms;
    }
    if (now_ms - reader->failing_since_ms >= spool->spec.read_patience_ms) {
        return false;
    }
    if (tly_log_limit_pass(&spool->read_limit, now_ms, &held)) {
        tly_log_warn("delivery", "%s: cannot read the spool: %s; trying again every second%s",
                     tly_destination_name(reader->destination), tly_error_name(rc),
                     tly_log_held(held).text);
    }
    reader->retry_at_ms = now_ms + RETRY_MS;
    close_segment(reader); /* it may take another descriptor */
    return true;
}

static bool takes(const struct tly_spool_reader *reader, const struct tly_spool_entry *entry)
{
    return tly_destination_takes(reader->destination, entry->tag, NULL);
}

static int deliver(struct tly_spool_reader *reader, const struct tly_spool_entry *entry)
{
    struct tly_chunk *chunk;
    if (!takes(reader, entry)) {
        pass_entry(reader, entry->size);
        note_position(reader);
        return 0;
    }
    size_t len = entry->payload.len;
    int rc = tly_destination_open(reader->destination, entry->tag, len, &chunk);
    if (rc < 0) {
        return rc;
    }
    memcpy(chunk->payload.at + chunk->payload.len, entry->payload.at, len);
    chunk->payload.len += len;
    struct tly_position behind = position_of(reader);
    behind.offset += entry->size;
    rc = tly_destination_commit(reader->destination, chunk, entry->records, reader->cursor,
                                &behind);
    if (rc == 0) {
        pass_entry(reader, entry->size);
    }
    return rc;
}

/* ---- turns ---- */

/* One entry: 0 for none left, 1 for one delivered, or a negative code. */
static int step(struct tly_spool_reader *reader, size_t *taken)
{
    struct tly_spool_entry entry;
    const struct tly_spool_segment *segment = find_segment(reader);
    if (!segment) {
        return 0;
    }
    int rc = peek_entry(reader, segment, &entry);
    if (rc == 0) {
        reader->failing = false;
        *taken += entry.size;
        rc = deliver(reader, &entry);
        return rc < 0 ? rc : 1;
    }
    if (rc == TLY_E_MALFORMED) {
        *taken += SEEK_BYTES;
        rc = seek_entry(reader, segment);
    }
    if (rc < 0 && is_passing(reader, rc)) {
        return rc;
    }
    if (rc < 0) {
        pass_rest(reader, segment, rc);
    }
    return 1;
}

static void turn(void *arg)
{
    struct tly_spool_reader *reader = arg;
    size_t taken = 0;
    int rc = 1;
    while (rc == 1 && taken < TURN_BYTES) {
        rc = step(reader, &taken);
    }
    if (rc == 1) {
        tly_defer_call(reader->turn);
    } else if (rc == -EAGAIN) {
        tly_destination_wait(reader->destination, &reader->waiter);
    } else if (rc == 0) {
        tly_buf_done(&reader->buf); /* until there is more; also after memory ran out */
        reader->at = 0;
    } /* else something else ran out, or failed: the tick wakes it */
}

static void has_room(void *arg)
{
    struct tly_spool_reader *reader = arg;
    tly_defer_call(reader->turn);
}

void tly_spool_readers_wake(struct tly_spool *spool)
{
    int64_t now_ms = tly_loop_now_ms(spool->loop);
    for (struct tly_spool_reader *at = spool->readers; at; at = at->next) {
        /* A disk that fails may take its time, and batches end far more often than that. */
        bool rests = at->failing && now_ms < at->retry_at_ms;
        if (!rests && !at->waiter.waiting && find_segment(at)) {
            tly_defer_call(at->turn);
        }
    }
}

static void leave(struct tly_spool_reader *reader, const struct tly_spool_segment *segment)
{
    struct tly_spool *spool = reader->spool;
    uint64_t lost = 0;
    struct tly_spool_entry entry;
    if (reader->number < segment->number) {
        go_to(reader, segment->number);
    }
    int rc = 0;
    while (rc == 0 && reader->offset < segment->size) {
        rc = peek_entry(reader, segment, &entry);
        if (rc == 0) {
            lost += takes(reader, &entry) ? entry.records : 0;
            pass_entry(reader, entry.size);
        } else if (rc == TLY_E_MALFORMED) {
            rc = seek_entry(reader, segment);
        }
    }
    if (rc < 0) {
        pass_rest(reader, segment, rc);
    }
    reader->dropped_records += lost;
    uint64_t held;
    if (lost > 0 && tly_log_limit_pass(&spool->bound_limit, tly_loop_now_ms(spool->loop), &held)) {
        tly_log_warn("delivery",
                     "the spool is full: the oldest %llu records for %s are dropped (raise "
                     "spool.max)%s",
                     (unsigned long long)lost, tly_destination_name(reader->destination),
                     tly_log_held(held).text);
    }
    go_to(reader, segment->number + 1);
    note_position(reader);
}

void tly_spool_readers_leave(struct tly_spool *spool, const struct tly_spool_segment *segment)
{
    for (struct tly_spool_reader *at = spool->readers; at; at = at->next) {
        if (at->number <= segment->number) {
            leave(at, segment);
        }
    }
}

/* ---- the books ---- */

static bool kept_position(const struct tly_spool_reader *reader, struct tly_position *ret_position)
{
    return tly_positions_get(reader->spool->positions,
                             tly_text_of(tly_destination_name(reader->destination)),
                             TLY_TEXT(TLY_SPOOL_KEY), ret_position);
}

uint64_t tly_spool_reader_reached(const struct tly_spool_reader *reader)
{
    struct tly_position kept;
    return kept_position(reader, &kept) ? kept.inode : 0;
}

uint64_t tly_spool_reader_lag(const struct tly_spool_reader *reader)
{
    struct tly_position kept;
    uint64_t bytes = 0;
    if (!kept_position(reader, &kept)) {
        kept = position_of(reader);
    }
    for (const struct tly_spool_segment *at = reader->spool->oldest; at; at = at->newer) {
        uint64_t from = at->number == kept.inode ? kept.offset : TLY_SPOOL_FILE_HEAD_LEN;
        bytes += at->number >= kept.inode && at->size > from ? at->size - from : 0;
    }
    return bytes;
}

/* ---- life ---- */

static void reader_free(struct tly_spool_reader *reader)
{
    if (reader->cursor) {
        tly_cursor_detach(reader->cursor);
    }
    tly_destination_unwait(reader->destination, &reader->waiter);
    tly_defer_free(reader->turn);
    close_segment(reader);
    tly_buf_done(&reader->buf);
    free(reader);
}

void tly_spool_remove(struct tly_spool *spool, const struct tly_destination *destination)
{
    struct tly_spool_reader **link = &spool->readers;
    while (*link && (*link)->destination != destination) {
        link = &(*link)->next;
    }
    struct tly_spool_reader *reader = *link;
    if (reader) {
        *link = reader->next;
        reader_free(reader);
    }
}

void tly_spool_readers_free(struct tly_spool *spool)
{
    while (spool->readers) {
        struct tly_spool_reader *reader = spool->readers;
        spool->readers = reader->next;
        reader_free(reader);
    }
}

/* The end of what is safe now: the next batch stands behind it, in the same file or in another. */
static void go_to_end(struct tly_spool_reader *reader)
{
    const struct tly_spool_segment *newest = reader->spool->newest;
    go_to(reader, newest ? newest->number : reader->spool->next_number);
    if (newest && newest->size > reader->offset) {
        reader->offset = newest->size;
    }
}

/* Its position may be lost: all that waits is sent, maybe once more. */
static void go_to_oldest(struct tly_spool_reader *reader)
{
    go_to(reader, reader->spool->oldest->number);
    tly_log_warn("delivery",
                 "%s: how far the spool was delivered is not known; all that it has is sent",
                 tly_destination_name(reader->destination));
}

/* Where the destination was; at the end, if it never was here. */
static void begin(struct tly_spool_reader *reader)
{
    struct tly_spool *spool = reader->spool;
    struct tly_position kept;
    if (!kept_position(reader, &kept)) {
        if (spool->lost && spool->oldest) {
            go_to_oldest(reader);
        } else {
            go_to_end(reader);
        }
        note_position(reader);
        return;
    }
    reader->number = kept.inode;
    reader->offset = kept.offset;
    if (kept.inode >= spool->next_number) {
        /* Its file is gone, with all that came later: that number must not come again. */
        spool->next_number = kept.inode + (kept.offset > TLY_SPOOL_FILE_HEAD_LEN);
    }
}

int tly_spool_add(struct tly_spool *spool, struct tly_destination *destination)
{
    struct tly_spool_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        return -ENOMEM;
    }
    reader->spool = spool;
    reader->destination = destination;
    reader->fd = -1;
    reader->waiter = (struct tly_room_waiter){.resume = has_room, .arg = reader};
    tly_buf_init(&reader->buf, TLY_SPOOL_ENTRY_MAX + READ_BYTES);
    int rc = tly_cursor_new(destination, TLY_TEXT(TLY_SPOOL_KEY), &reader->cursor);
    rc = rc < 0 ? rc : tly_defer_new(spool->loop, turn, reader, &reader->turn);
    if (rc < 0) {
        reader_free(reader);
        return rc;
    }
    begin(reader);
    reader->next = spool->readers;
    spool->readers = reader;
    tly_defer_call(reader->turn);
    return 0;
}
