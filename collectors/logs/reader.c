/*
 * Reading blocks of a container's files, one after the other along the chain, for one destination.
 * What was read of a file that is still written to is looked at again only by its size and head; a
 * file is left when it is final and read to its end.
 */
#include "collectors/logs/reader.h"

#include "agent/base/file.h"
#include "collectors/logs/feed.h"
#include "collectors/logs/source.h"
#include "collectors/logs/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Read at a time. It stays in the processor's second-level cache while its lines are taken. */
#define BLOCK_BYTES ((size_t)128 << 10)

/* Inflated at a time: a fraction of a millisecond, and what a reader without room has to keep. */
#define GZIP_BLOCK_BYTES ((size_t)64 << 10)

/* Readers of one destination that inflate at the same time: some 120 KiB each. */
#define GZIP_OPEN_MAX 8

/* A JSON escape takes at most six bytes for one; what is longer than this is no line of ours. */
#define BLOCK_PER_LINE 6
#define BLOCK_EXTRA    ((size_t)64 << 10)

/* A last piece without a newline that is shorter than Docker's buffer is the end of its stream;
 * this long it may wait for what would prove the contrary. */
#define PIECE_WAIT_MS 1000

/* ---- life ---- */

static void room_again(void *arg)
{
    struct tly_log_reader *reader = arg;
    reader->target->full = false;
    reader->state = TLY_READER_IDLE;
    reader->woken = true;
    tly_logs_ready(reader->logs, reader);
}

int tly_log_reader_new(struct tly_log_source *source, struct tly_log_target *target,
                       struct tly_log_reader **ret_reader)
{
    struct tly_log_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        return -ENOMEM;
    }
    int rc = tly_cursor_new(target->destination, tly_text_of(source->key), &reader->cursor);
    if (rc < 0) {
        free(reader);
        return rc;
    }
    reader->logs = source->logs;
    reader->source = source;
    reader->target = target;
    reader->block_bytes = BLOCK_BYTES;
    reader->waiter = (struct tly_room_waiter){.resume = room_again, .arg = reader};
    tly_buf_init(&reader->carry, SIZE_MAX);
    for (int i = 0; i < TLY_LOG_STREAMS; i++) {
        tly_buf_init(&reader->pieces[i].text, (size_t)source->logs->settings->join_max_bytes);
        tly_buf_init(&reader->messages[i].text, (size_t)source->logs->settings->join_max_bytes);
    }
    *ret_reader = reader;
    return 0;
}

void tly_log_reader_begin(struct tly_log_reader *reader, struct tly_log_file *file,
                          const struct tly_position *position)
{
    reader->file = file;
    file->readers++;
    reader->entered = true;
    reader->offset = position->offset;
    reader->held = position->held;
    reader->ahead_until = position->held > 0 ? position->ahead : 0;
}

static void gzip_unwait(struct tly_log_reader *reader)
{
    struct tly_log_target *target = reader->target;
    struct tly_log_reader *previous = NULL;
    struct tly_log_reader *at = target->gzip_waiting;
    while (at && at != reader) {
        previous = at;
        at = at->next;
    }
    if (!at) {
        return;
    }
    if (previous) {
        previous->next = reader->next;
    } else {
        target->gzip_waiting = reader->next;
    }
    if (target->gzip_waiting_last == reader) {
        target->gzip_waiting_last = previous;
    }
    reader->next = NULL;
}

/* Gives the inflater back, and the turn to the next in line. */
static void gzip_close(struct tly_log_reader *reader)
{
    if (!reader->gzip) {
        return;
    }
    struct tly_log_target *target = reader->target;
    tly_log_gzip_free(reader->gzip);
    reader->gzip = NULL;
    tly_buf_done(&reader->carry);
    target->gzip_open--;
    struct tly_log_reader *next = target->gzip_waiting;
    if (next) {
        gzip_unwait(next);
        next->state = TLY_READER_IDLE;
        tly_logs_ready(next->logs, next);
    }
}

static void ready_remove(struct tly_log_reader *reader)
{
    struct tly_logs *logs = reader->logs;
    struct tly_log_reader *previous = NULL;
    struct tly_log_reader *at = logs->ready;
    while (at && at != reader) {
        previous = at;
        at = at->next;
    }
    if (!at) {
        return;
    }
    if (previous) {
        previous->next = reader->next;
    } else {
        logs->ready = reader->next;
    }
    if (logs->ready_last == reader) {
        logs->ready_last = previous;
    }
}

void tly_log_reader_free(struct tly_log_reader *reader)
{
    if (!reader) {
        return;
    }
    if (reader->waiter.waiting) {
        reader->target->full = false; /* maybe nobody is left to be woken: the next one tries */
    }
    tly_destination_unwait(reader->target->destination, &reader->waiter);
    gzip_unwait(reader);
    ready_remove(reader);
    tly_log_feed_free(reader->feed);
    gzip_close(reader);
    for (int i = 0; i < TLY_LOG_STREAMS; i++) {
        reader->logs->join_bytes -= reader->pieces[i].text.len;
        tly_buf_done(&reader->pieces[i].text);
        reader->logs->join_bytes -= reader->messages[i].text.len;
        tly_buf_done(&reader->messages[i].text);
    }
    tly_buf_done(&reader->carry);
    if (reader->file) {
        reader->file->readers--;
    }
    if (reader->cursor) {
        tly_cursor_detach(reader->cursor);
    }
    free(reader);
}

bool tly_log_reader_has_pieces(const struct tly_log_reader *reader)
{
    return reader->pieces[TLY_LOG_STDOUT].waiting || reader->pieces[TLY_LOG_STDERR].waiting ||
           reader->messages[TLY_LOG_STDOUT].waiting || reader->messages[TLY_LOG_STDERR].waiting;
}

/* ---- moving on ---- */

bool tly_log_reader_stopped_by(struct tly_log_reader *reader, int rc)
{
    if (rc == -EAGAIN) {
        reader->state = TLY_READER_WAITING;
        reader->target->full = true;
        tly_destination_wait(reader->target->destination, &reader->waiter);
    } else {
        reader->retry = true;
        tly_logs_error(reader->logs, reader->source->id, "cannot take log lines", rc);
    }
    return false;
}

static void file_leave(struct tly_log_reader *reader)
{
    gzip_close(reader);
    reader->gzip_skip = 0;
    reader->raw_ordinal = 0;
    reader->split_ordinal = 0;
    reader->split_done = 0;
    reader->given_up = false;
    reader->file->readers--;
}

int tly_log_reader_flush(struct tly_log_reader *reader, bool all)
{
    int64_t now = tly_loop_now_ms(reader->logs->context->loop);
    int rc = 0;
    for (int i = 0; rc == 0 && i < TLY_LOG_STREAMS; i++) {
        const struct tly_log_pieces *pieces = &reader->pieces[i];
        bool due = !pieces->goes_on && now - pieces->since_ms >= PIECE_WAIT_MS;
        if (pieces->waiting && (all || due)) {
            rc = tly_log_lines_flush(reader, i);
        }
        const struct tly_log_message *message = &reader->messages[i];
        const struct tly_log_multiline *rules = reader->source->multiline;
        due = !rules || now - message->since_ms >= tly_log_multiline_wait_ms(rules);
        if (rc == 0 && message->waiting && !pieces->waiting && (all || due)) {
            rc = tly_log_lines_flush_message(reader, i);
        }
    }
    int committed = tly_log_lines_commit(reader);
    return rc < 0 ? rc : committed;
}

void tly_log_reader_enter(struct tly_log_reader *reader)
{
    if (reader->entered || reader->file->head_len == 0) {
        return;
    }
    reader->entered = true;
    if (!tly_log_reader_has_pieces(reader)) {
        struct tly_position position;
        tly_log_lines_position(reader, &position);
        tly_cursor_advance(reader->cursor, &position);
    }
}

static bool next_file(struct tly_log_reader *reader)
{
    struct tly_log_file *next = reader->file->newer;
    if (next->instance != reader->file->instance && tly_log_reader_has_pieces(reader)) {
        int rc = tly_log_reader_flush(reader, true); /* whoever wrote them has ended */
        if (rc < 0) {
            return tly_log_reader_stopped_by(reader, rc);
        }
    }
    if (reader->file->head_len > 0) {
        tly_log_file_position(reader->file, reader->offset, &reader->left);
    }
    file_leave(reader);
    next->readers++;
    reader->file = next;
    reader->offset = 0;
    reader->entered = false;
    tly_log_reader_enter(reader);
    tly_log_source_trim(reader->source);
    return true;
}

int tly_log_reader_end(struct tly_log_reader *reader)
{
    int rc = tly_log_reader_flush(reader, true);
    if (rc < 0) {
        return rc;
    }
    if (reader->file) {
        file_leave(reader);
        reader->file = NULL;
    }
    tly_cursor_end(reader->cursor);
    reader->cursor = NULL;
    reader->state = TLY_READER_ENDED;
    tly_logs_stale(reader->logs, reader->source); /* may be the last one */
    return 0;
}

/* The file has no more bytes now. `final`: as it was before it was read. */
static bool at_end(struct tly_log_reader *reader, bool final)
{
    if (final && reader->file->newer) {
        return next_file(reader);
    }
    if (final && reader->source->gone) {
        int rc = tly_log_reader_end(reader);
        return rc < 0 ? tly_log_reader_stopped_by(reader, rc) : false;
    }
    int rc = tly_log_reader_flush(reader, reader->source->stopped);
    return rc < 0 ? tly_log_reader_stopped_by(reader, rc) : false;
}

/* Bytes behind the offset, where that is known. */
static uint64_t rest_bytes(const struct tly_log_reader *reader)
{
    const struct tly_log_file *file = reader->file;
    return !file->gzip && file->size > reader->offset ? file->size - reader->offset : 0;
}

/* The rest of this file will never be read, which was counted when it became so. */
static bool pass_over_file(struct tly_log_reader *reader)
{
    reader->walked += rest_bytes(reader);
    reader->given_up = true;
    return at_end(reader, true);
}

/* It cannot be read, as turns out now. */
static bool give_up_file(struct tly_log_reader *reader)
{
    tly_log_reader_lost(reader, TLY_LOST_UNREADABLE, rest_bytes(reader));
    return pass_over_file(reader);
}

/* ---- plain files ---- */

static size_t block_max(const struct tly_log_reader *reader)
{
    size_t most = (size_t)reader->logs->settings->line_max_bytes * BLOCK_PER_LINE + BLOCK_EXTRA;
    size_t entry = reader->source->format->entry_max;
    return most > entry ? most : entry;
}

static int block_reserve(struct tly_logs *logs, size_t bytes)
{
    char *at;
    tly_buf_clear(&logs->block);
    return tly_buf_reserve(&logs->block, bytes, &at);
}

void tly_log_blocks_settle(struct tly_logs *logs)
{
    struct tly_buf *buffers[] = {&logs->block, &logs->scratch};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        if (buffers[i]->cap > BLOCK_BYTES) {
            tly_buf_done(buffers[i]);
            tly_buf_init(buffers[i], SIZE_MAX);
        }
    }
}

/* Bytes without a newline that fill the whole block, or end the file. */
static int take_unended(struct tly_log_reader *reader, struct tly_text text, bool ends,
                        size_t *ret_taken)
{
    *ret_taken = 0;
    while (text.len > 0) {
        ssize_t taken = tly_log_lines_take_raw(reader, text, ends);
        if (taken < 0) {
            return (int)taken;
        }
        text.at += taken;
        text.len -= (size_t)taken;
        *ret_taken += (size_t)taken;
        reader->offset += (uint64_t)taken;
        reader->walked += (uint64_t)taken;
    }
    return tly_log_lines_commit(reader);
}

/* Of a block, `used` bytes were taken as lines and `rest` was left; `full` if the file may have
 * more. A line that does not fit makes the blocks longer, those that do make them shorter again. */
static bool after_block(struct tly_log_reader *reader, struct tly_text rest, size_t used, bool full,
                        bool final)
{
    size_t most = block_max(reader);
    size_t taken;
    int rc = 0;
    if (used > 0) {
        size_t half = reader->block_bytes / 2;
        reader->block_bytes = half > BLOCK_BYTES ? half : BLOCK_BYTES;
    } else if (full && reader->block_bytes < most) {
        size_t twice = reader->block_bytes * 2;
        reader->block_bytes = twice < most ? twice : most;
    } else if (full) {
        rc = take_unended(reader, rest, false, &taken);
    }
    if (rc == 0 && rest.len > 0 && !full && final) {
        rc = take_unended(reader, rest, true, &taken);
    }
    return rc < 0 ? tly_log_reader_stopped_by(reader, rc) : full || final;
}

static bool run_plain(struct tly_log_reader *reader)
{
    struct tly_log_file *file = reader->file;
    struct tly_buf *block = &reader->logs->block;
    bool final = file->final; /* before reading: what comes later is not in what we read */
    size_t most = reader->block_bytes;
    int rc = block_reserve(reader->logs, most);
    if (rc < 0) {
        return tly_log_reader_stopped_by(reader, rc);
    }
    ssize_t count = tly_file_pread(file->fd, block->at, most, (off_t)reader->offset);
    if (count < 0) {
        tly_logs_error(reader->logs, reader->source->id, "cannot read its log", (int)count);
        reader->retry = true;
        return final && count == -EIO ? give_up_file(reader) : false;
    }
    if ((!final || file->cut_due) && tly_log_file_was_cut(file, reader->offset)) {
        rc = tly_log_source_cut(reader->source, file);
        return rc < 0 ? tly_log_reader_stopped_by(reader, rc) : true;
    }
    if (!final && file->head_len < TLY_LOG_HEAD_MAX && tly_log_file_look(file) < 0) {
        reader->retry = true; /* what is taken must stand in a file that can be told again */
        return false;
    }
    if (count == 0) {
        return at_end(reader, final);
    }
    tly_log_reader_enter(reader);
    struct tly_text text = {block->at, (size_t)count};
    bool full = (size_t)count == most;
    size_t used = reader->source->format->take(reader, text, final && !full, &rc);
    if (rc < 0) {
        return tly_log_reader_stopped_by(reader, rc);
    }
    struct tly_text rest = {text.at + used, text.len - used};
    return after_block(reader, rest, used, full, final);
}

/* ---- compressed files ---- */

static bool gzip_wait(struct tly_log_reader *reader)
{
    struct tly_log_target *target = reader->target;
    reader->state = TLY_READER_WAITING;
    reader->next = NULL;
    if (target->gzip_waiting_last) {
        target->gzip_waiting_last->next = reader;
    } else {
        target->gzip_waiting = reader;
    }
    target->gzip_waiting_last = reader;
    return false;
}

static int gzip_open(struct tly_log_reader *reader)
{
    int rc = tly_log_gzip_new(reader->file->fd, &reader->gzip);
    if (rc == 0) {
        reader->target->gzip_open++;
        reader->gzip_skip = reader->offset;
    }
    return rc;
}

/* Without memory the next tick tries again, with another inflater: one that lacked some once is of
 * no use any more. */
static bool gzip_failed(struct tly_log_reader *reader, int rc)
{
    if (!tly_error_lacks_means(rc)) {
        return give_up_file(reader);
    }
    gzip_close(reader);
    return tly_log_reader_stopped_by(reader, rc);
}

/* Inflates what was delivered before, a block at a time. */
static bool gzip_pass(struct tly_log_reader *reader)
{
    uint64_t skip = reader->gzip_skip;
    size_t most = skip < GZIP_BLOCK_BYTES ? (size_t)skip : GZIP_BLOCK_BYTES;
    int rc = block_reserve(reader->logs, most);
    if (rc < 0) {
        return tly_log_reader_stopped_by(reader, rc);
    }
    ssize_t count = tly_log_gzip_read(reader->gzip, reader->logs->block.at, most);
    if (count < 0) {
        return gzip_failed(reader, (int)count);
    }
    reader->gzip_skip = count > 0 ? reader->gzip_skip - (uint64_t)count : 0;
    return true;
}

/* What is left of an earlier block, and the next one behind it. */
static int gzip_fill(struct tly_log_reader *reader, size_t *ret_count, bool *ret_ended)
{
    struct tly_buf *block = &reader->logs->block;
    size_t kept = reader->carry.len;
    int rc = block_reserve(reader->logs, kept + GZIP_BLOCK_BYTES);
    if (rc < 0) {
        return rc;
    }
    if (kept > 0) {
        memcpy(block->at, reader->carry.at, kept);
    }
    ssize_t count = tly_log_gzip_read(reader->gzip, block->at + kept, GZIP_BLOCK_BYTES);
    if (count < 0) {
        return (int)count;
    }
    tly_buf_clear(&reader->carry);
    *ret_count = kept + (size_t)count;
    *ret_ended = count == 0;
    return 0;
}

/* Takes the lines of an inflated block, and keeps what is the beginning of one. */
static bool gzip_take(struct tly_log_reader *reader, size_t count, bool ended)
{
    int rc;
    struct tly_text rest = {reader->logs->block.at, count};
    size_t used = reader->source->format->take(reader, rest, ended, &rc);
    rest.at += used;
    rest.len -= used;
    if (rc == 0 && (ended || (used == 0 && rest.len >= block_max(reader)))) {
        rc = take_unended(reader, rest, ended, &used);
        rest.at += used;
        rest.len -= used;
    }
    int kept = tly_buf_append_text(&reader->carry, rest);
    if (kept < 0) {
        gzip_close(reader); /* what could not be kept is inflated again from the offset */
    }
    rc = rc < 0 ? rc : kept;
    return rc < 0 ? tly_log_reader_stopped_by(reader, rc) : true;
}

static bool run_gzip(struct tly_log_reader *reader)
{
    size_t count = 0;
    bool ended = false;
    if (!reader->gzip && reader->target->gzip_open >= GZIP_OPEN_MAX) {
        return gzip_wait(reader);
    }
    int rc = reader->gzip ? 0 : gzip_open(reader);
    if (rc == 0 && reader->gzip_skip > 0) {
        return gzip_pass(reader);
    }
    if (rc == 0) {
        rc = gzip_fill(reader, &count, &ended);
    }
    if (rc < 0) {
        return gzip_failed(reader, rc);
    }
    return count > 0 ? gzip_take(reader, count, ended) : at_end(reader, true);
}

/* Nothing is left in this file, and nothing will come. */
static bool is_taken(const struct tly_log_reader *reader)
{
    struct tly_log_file *file = reader->file;
    return file->final && !file->cut_due && file->newer && !file->gzip &&
           !tly_log_reader_has_pieces(reader) && tly_log_file_look(file) == 0 &&
           reader->offset >= file->size;
}

bool tly_log_reader_run(struct tly_log_reader *reader)
{
    struct tly_log_file *file = reader->file;
    if (reader->feed) {
        return tly_log_feed_run(reader);
    }
    if (!file) {
        return false;
    }
    bool woken = reader->woken;
    reader->retry = false;
    reader->woken = false;
    if (reader->given_up) {
        return at_end(reader, true);
    }
    if (file->cut || file->fd < 0) {
        return pass_over_file(reader);
    }
    if (reader->target->full) {
        if (is_taken(reader)) {
            return next_file(reader); /* which needs no room */
        }
        /* Should it be truncated before it is read, its copy has to be told by its beginning. Who
         * was woken, only to find that others were faster, has looked when the file changed. */
        bool looked = woken || file->final || tly_log_file_look(file) == 0;
        (void)looked; /* else there is nothing to be told by */
        tly_log_reader_enter(reader);
        return tly_log_reader_stopped_by(reader, -EAGAIN); /* before reading for nothing */
    }
    return file->gzip ? run_gzip(reader) : run_plain(reader);
}
