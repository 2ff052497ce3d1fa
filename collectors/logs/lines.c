/*
 * From bytes of a log file to records in the open chunk: the hot path, and the rarer lines that do
 * not fit it: pieces of longer lines, lines over the maximum, torn and foreign ones. Every step
 * either leaves the reader where it was or moves it past what is written, so that a destination
 * without room can stop it anywhere.
 */
#include "agent/base/clock.h"
#include "collectors/logs/reader.h"
#include "collectors/logs/source.h"
#include "collectors/logs/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Docker's copier hands on full buffers of this size (daemon/logger/copier.go); a shorter piece is
 * the end of a stream without a newline. */
#define DOCKER_PIECE_BYTES 16384

/* Longer lines are unescaped beside the chunk: they hardly occur, and might not fit any chunk. */
#define IN_PLACE_MAX ((size_t)128 << 10)

/* How every line of Docker begins; inside a line it can only stand behind one that was torn,
 * because within text the quotes are escaped. */
static const char line_begin[] = "{\"log\":\"";

static const char *const stream_names[TLY_LOG_STREAMS] = {"stdout", "stderr"};

/* ---- the open chunk ---- */

void tly_log_lines_position(const struct tly_log_reader *reader, struct tly_position *ret_position)
{
    int first = -1;
    for (int i = 0; i < TLY_LOG_STREAMS; i++) {
        const struct tly_log_pieces *pieces = &reader->pieces[i];
        if (pieces->waiting &&
            (first < 0 || pieces->start_walked < reader->pieces[first].start_walked)) {
            first = i;
        }
    }
    if (first < 0) {
        tly_log_file_position(reader->file, reader->offset, ret_position);
        if (reader->walked < reader->ahead_until) { /* the others are still ahead of the held one */
            ret_position->held = reader->held;
            ret_position->ahead = reader->ahead_until - reader->walked;
        }
        return;
    }
    const struct tly_log_pieces *held = &reader->pieces[first];
    const struct tly_log_pieces *other = &reader->pieces[1 - first];
    uint64_t until = other->waiting ? other->start_walked : reader->walked;
    until = until > reader->ahead_until ? until : reader->ahead_until;
    *ret_position = held->start;
    ret_position->held = (uint32_t)first + 1;
    ret_position->ahead = until - held->start_walked;
}

int tly_log_lines_commit(struct tly_log_reader *reader)
{
    struct tly_chunk *chunk = reader->chunk;
    uint32_t records = reader->records;
    struct tly_position position;
    reader->chunk = NULL;
    reader->records = 0;
    if (records == 0) {
        return 0;
    }
    tly_log_lines_position(reader, &position);
    return tly_destination_commit(reader->target->destination, chunk, records, reader->cursor,
                                  &position);
}

/* A chunk with room for `bytes`, in which the cursor has its place already: then committing to it
 * cannot fail. */
static int open_chunk(struct tly_log_reader *reader, size_t bytes, struct tly_chunk **ret_chunk)
{
    struct tly_destination *destination = reader->target->destination;
    struct tly_chunk *chunk;
    struct tly_position position;
    int rc = tly_log_lines_commit(reader);
    if (rc < 0) {
        return rc;
    }
    rc = tly_destination_open(destination, tly_buf_text(&reader->source->tag), bytes, &chunk);
    if (rc < 0) {
        return rc;
    }
    tly_log_lines_position(reader, &position);
    rc = tly_destination_commit(destination, chunk, 0, reader->cursor, &position);
    if (rc < 0) {
        return rc;
    }
    reader->chunk = chunk;
    *ret_chunk = chunk;
    return 0;
}

static inline int room_for(struct tly_log_reader *reader, size_t bytes, char **ret_to)
{
    struct tly_chunk *chunk = reader->chunk;
    if (!chunk || tly_chunk_room(chunk) < bytes) {
        int rc = open_chunk(reader, bytes, &chunk);
        if (rc < 0) {
            return rc;
        }
    }
    *ret_to = chunk->payload.at + chunk->payload.len;
    return 0;
}

static inline void wrote(struct tly_log_reader *reader, const char *end)
{
    struct tly_buf *payload = &reader->chunk->payload;
    payload->len = (size_t)(end - payload->at);
    reader->records++;
}

static int emit(struct tly_log_reader *reader, const struct tly_log_record *record)
{
    const struct tly_log_template *template = &reader->source->template;
    char *to;
    int rc = room_for(reader, tly_log_record_room(template, record), &to);
    if (rc == 0) {
        wrote(reader, tly_log_record_put(template, record, to));
    }
    return rc;
}

static void partial_id(const struct tly_log_reader *reader, uint64_t id[2])
{
    id[0] = reader->file->head_hash ^ reader->file->inode;
    id[1] = reader->offset; /* the same when the line is read a second time */
}

static size_t line_max(const struct tly_log_reader *reader)
{
    return (size_t)reader->logs->settings->line_max_bytes;
}

/* At most line_max bytes, not ending inside a character of UTF-8. */
static struct tly_text first_part(const struct tly_log_reader *reader, struct tly_text text)
{
    size_t most = line_max(reader);
    if (text.len <= most) {
        return text;
    }
    size_t cut = most;
    for (int i = 0; i < 3 && ((unsigned char)text.at[cut] & 0xc0) == 0x80; i++) {
        cut--;
    }
    return (struct tly_text){text.at, ((unsigned char)text.at[cut] & 0xc0) == 0x80 ? most : cut};
}

static void count_line(struct tly_log_reader *reader, int stream, size_t text_bytes)
{
    reader->lines[stream]++;
    reader->text_bytes[stream] += text_bytes;
    reader->target->lines++;
}

/* ---- pieces ---- */

static void pieces_clear(struct tly_log_reader *reader, struct tly_log_pieces *pieces)
{
    reader->logs->join_bytes -= pieces->text.len;
    tly_buf_done(&pieces->text);
    *pieces = (struct tly_log_pieces){.text = pieces->text};
}

/* Sends what waits of a stream as (the last part of) a line. */
int tly_log_lines_flush(struct tly_log_reader *reader, int stream)
{
    struct tly_log_pieces *pieces = &reader->pieces[stream];
    if (!pieces->waiting) {
        return 0;
    }
    struct tly_log_record record = {.time_ns = pieces->time_ns,
                                    .source = {stream_names[stream], TLY_LOG_STREAM_LEN},
                                    .log = tly_buf_text(&pieces->text),
                                    .partial_ordinal = pieces->sent > 0 ? pieces->sent + 1 : 0,
                                    .partial_last = true,
                                    .partial_id = {pieces->id[0], pieces->id[1]}};
    int rc = emit(reader, &record);
    if (rc == 0) {
        reader->target->split += pieces->sent > 0;
        count_line(reader, stream, pieces->text.len);
        pieces_clear(reader, pieces);
    }
    return rc;
}

/* Sends what waits of a line that goes on but is long enough. */
static int send_part(struct tly_log_reader *reader, int stream)
{
    struct tly_log_pieces *pieces = &reader->pieces[stream];
    struct tly_log_record record = {.time_ns = pieces->time_ns,
                                    .source = {stream_names[stream], TLY_LOG_STREAM_LEN},
                                    .log = tly_buf_text(&pieces->text),
                                    .partial_ordinal = pieces->sent + 1,
                                    .partial_id = {pieces->id[0], pieces->id[1]}};
    int rc = emit(reader, &record);
    if (rc == 0) {
        pieces->sent++;
        reader->target->split++;
        reader->text_bytes[stream] += pieces->text.len;
        reader->logs->join_bytes -= pieces->text.len;
        tly_buf_clear(&pieces->text);
        tly_log_file_position(reader->file, reader->offset, &pieces->start);
        pieces->start_walked = reader->walked;
    }
    return rc;
}

static int append_piece(struct tly_log_reader *reader, int stream,
                        const struct tly_docker_line *line, struct tly_text text)
{
    struct tly_log_pieces *pieces = &reader->pieces[stream];
    int rc = tly_buf_append_text(&pieces->text, text);
    if (rc < 0) {
        return rc;
    }
    if (!pieces->waiting) {
        pieces->waiting = true;
        pieces->time_ns = line->time_ns;
        partial_id(reader, pieces->id);
        tly_log_file_position(reader->file, reader->offset, &pieces->start);
        pieces->start_walked = reader->walked;
    }
    pieces->full = text.len >= DOCKER_PIECE_BYTES;
    pieces->since_ms = tly_loop_now_ms(reader->logs->context->loop);
    reader->logs->join_bytes += text.len;
    return 0;
}

/* A piece of a longer line: the first, one between, or the last. */
static int take_piece(struct tly_log_reader *reader, int stream, const struct tly_docker_line *line,
                      struct tly_text text)
{
    struct tly_log_pieces *pieces = &reader->pieces[stream];
    /* All pieces of a line have the time of its first one, in older engines their own; a piece that
     * was not full was the end of its stream, and this line belongs to the next run. */
    if (pieces->waiting && pieces->time_ns != line->time_ns && !pieces->full) {
        int rc = tly_log_lines_flush(reader, stream);
        if (rc < 0) {
            return rc;
        }
    }
    uint64_t join_max = (uint64_t)reader->logs->settings->join_max_bytes;
    if (pieces->text.len > 0 && (pieces->text.len + text.len > line_max(reader) ||
                                 reader->logs->join_bytes + text.len > join_max)) {
        int rc = send_part(reader, stream);
        if (rc < 0) {
            return rc;
        }
    }
    bool was_full = pieces->full;
    int rc = append_piece(reader, stream, line, text);
    if (rc < 0 || !line->whole) {
        return rc;
    }
    rc = tly_log_lines_flush(reader, stream);
    if (rc < 0) { /* the last piece will be taken once more */
        pieces->text.len -= text.len;
        reader->logs->join_bytes -= text.len;
        pieces->full = was_full;
    }
    return rc;
}

/* ---- odd lines ---- */

/* A text that is too long for one record: several, of which those that went out already are passed
 * when there was no room for all at once. */
static int take_split(struct tly_log_reader *reader, struct tly_log_record *record)
{
    struct tly_text text = record->log;
    partial_id(reader, record->partial_id);
    do {
        struct tly_text rest = {text.at + reader->split_done, text.len - reader->split_done};
        record->log = first_part(reader, rest);
        record->partial_ordinal = reader->split_ordinal + 1;
        record->partial_last = record->log.len == rest.len;
        int rc = emit(reader, record);
        if (rc < 0) {
            return rc;
        }
        reader->target->split++;
        reader->split_done += record->log.len;
        reader->split_ordinal++;
    } while (reader->split_done < text.len);
    reader->split_done = 0;
    reader->split_ordinal = 0;
    return 0;
}

static int stream_of(struct tly_text name)
{
    for (int i = 0; i < TLY_LOG_STREAMS; i++) {
        if (name.len == TLY_LOG_STREAM_LEN && memcmp(name.at, stream_names[i], name.len) == 0) {
            return i;
        }
    }
    return -1;
}

/* A well-formed line that the hot path left to us. `text` must survive the opening of a chunk. */
static int take_odd(struct tly_log_reader *reader, const struct tly_docker_line *line,
                    struct tly_text text)
{
    int stream = stream_of(line->stream);
    bool too_long = text.len > line_max(reader);
    if (stream >= 0 && !too_long && (reader->pieces[stream].waiting || !line->whole)) {
        return take_piece(reader, stream, line, text);
    }
    if (stream >= 0) {
        int rc = tly_log_lines_flush(reader, stream);
        if (rc < 0) {
            return rc;
        }
    }
    struct tly_log_record record = {.time_ns = line->time_ns,
                                    .source = stream >= 0 || line->stream.len > 0
                                                  ? line->stream
                                                  : tly_text_of(stream_names[TLY_LOG_STDOUT]),
                                    .log = text};
    int rc = too_long ? take_split(reader, &record) : emit(reader, &record);
    if (rc == 0) {
        count_line(reader, stream >= 0 ? stream : TLY_LOG_STDOUT, text.len);
    }
    return rc;
}

ssize_t tly_log_lines_take_raw(struct tly_log_reader *reader, struct tly_text text, bool ends)
{
    struct tly_text part = first_part(reader, text);
    bool last = ends && part.len == text.len;
    struct tly_log_record record = {
        .time_ns = reader->last_time_ns ? reader->last_time_ns : tly_clock_realtime_ns(),
        .source = TLY_TEXT("unknown"),
        .log = part,
        .malformed = true,
        .partial_ordinal = last && reader->raw_ordinal == 0 ? 0 : reader->raw_ordinal + 1,
        .partial_last = last,
        .partial_id = {reader->file->head_hash, reader->file->inode}};
    int rc = emit(reader, &record);
    if (rc < 0) {
        return rc;
    }
    reader->target->malformed += reader->raw_ordinal == 0;
    reader->target->split += record.partial_ordinal > 0;
    reader->raw_ordinal = last ? 0 : reader->raw_ordinal + 1;
    return (ssize_t)part.len;
}

/* A line that is none. What stands in front of a whole line on the same row is a torn one: the
 * engine or the host died while it was written. Returns the bytes passed. */
static ssize_t take_malformed(struct tly_log_reader *reader, struct tly_text line)
{
    if (line.len == 0 && reader->raw_ordinal == 0) {
        return 1;
    }
    size_t from = reader->raw_ordinal == 0 ? 1 : 0;
    const char *whole = memmem(line.at + from, line.len - from, line_begin, sizeof(line_begin) - 1);
    struct tly_text text = {line.at, whole ? (size_t)(whole - line.at) : line.len};
    ssize_t taken = tly_log_lines_take_raw(reader, text, true);
    if (taken < 0) {
        return taken;
    }
    return (size_t)taken == line.len ? taken + 1 : taken; /* with its newline */
}

/* ---- one line ---- */

/* Everything but the hot path: the text has to go somewhere else before a chunk is opened. */
static int take_beside(struct tly_log_reader *reader, const struct tly_docker_line *line,
                       const char *text)
{
    struct tly_buf *scratch = &reader->logs->scratch;
    if (text != scratch->at) {
        tly_buf_clear(scratch);
        int rc = tly_buf_append(scratch, text, line->log_len);
        if (rc < 0) {
            return rc;
        }
    }
    return take_odd(reader, line, (struct tly_text){scratch->at, line->log_len});
}

static ssize_t take_long(struct tly_log_reader *reader, struct tly_text line)
{
    struct tly_docker_line parsed;
    char *to;
    tly_buf_clear(&reader->logs->scratch);
    int rc = tly_buf_reserve(&reader->logs->scratch, line.len, &to);
    if (rc < 0) {
        return rc;
    }
    if (tly_docker_line_parse(line, &reader->clock, to, &parsed) < 0) {
        return take_malformed(reader, line);
    }
    parsed.time_ns = parsed.time_ns ? parsed.time_ns : reader->last_time_ns;
    reader->last_time_ns = parsed.time_ns;
    rc = take_beside(reader, &parsed, to);
    return rc < 0 ? rc : (ssize_t)line.len + 1;
}

/* The header of a text that is at most `most` long and whose length is not known yet: one that is
 * long enough for any. */
static inline size_t head_len(size_t most)
{
    return most <= UINT8_MAX ? 2 : most <= UINT16_MAX ? 3 : 5;
}

static inline void put_head(char *to, size_t head, size_t len)
{
    if (head == 2) {
        to[0] = (char)0xd9; /* str 8 */
        to[1] = (char)len;
    } else if (head == 3) {
        to[0] = (char)0xda; /* str 16 */
        to[1] = (char)(len >> 8);
        to[2] = (char)len;
    } else {
        (void)tly_record_put_str32_head(to, (uint32_t)len);
    }
}

/* One line, without its newline: straight into the chunk if it is like nearly all lines. Returns
 * the bytes passed, with the newline, or a negative code. */
static ssize_t take_line(struct tly_log_reader *reader, struct tly_text line)
{
    struct tly_log_template *template = &reader->source->template;
    struct tly_docker_line parsed;
    if (line.len > IN_PLACE_MAX || reader->raw_ordinal > 0) {
        return reader->raw_ordinal > 0 ? take_malformed(reader, line) : take_long(reader, line);
    }
    size_t head = head_len(line.len);
    char *to;
    int rc = room_for(reader, template->bytes.len + head + line.len, &to);
    if (rc < 0) {
        return rc;
    }
    char *text = to + template->bytes.len + head;
    if (tly_docker_line_parse(line, &reader->clock, text, &parsed) < 0) {
        return take_malformed(reader, line);
    }
    if (!tly_log_template_has_attrs(template, parsed.attrs) &&
        tly_log_template_attrs(template, parsed.attrs) == 0) {
        return take_line(reader, line); /* once: now it has them */
    }
    parsed.time_ns = parsed.time_ns ? parsed.time_ns : reader->last_time_ns;
    reader->last_time_ns = parsed.time_ns;
    int stream = stream_of(parsed.stream);
    if (stream < 0 || !parsed.whole || reader->pieces[stream].waiting ||
        parsed.log_len > line_max(reader)) {
        rc = take_beside(reader, &parsed, text);
        return rc < 0 ? rc : (ssize_t)line.len + 1;
    }
    tly_log_template_put(template, to, parsed.time_ns, parsed.stream.at);
    put_head(text - head, head, parsed.log_len);
    wrote(reader, text + parsed.log_len);
    count_line(reader, stream, parsed.log_len);
    return (ssize_t)line.len + 1;
}

/* Whether a line was delivered before the restart, although its file was not up to there. */
static bool delivered_before(struct tly_log_reader *reader, struct tly_text line)
{
    struct tly_buf *scratch = &reader->logs->scratch;
    struct tly_docker_line parsed;
    char *to;
    tly_buf_clear(scratch);
    if (tly_buf_reserve(scratch, line.len, &to) < 0) {
        return false; /* twice is better than never */
    }
    bool read = tly_docker_line_parse(line, &reader->clock, to, &parsed) == 0;
    return !read || stream_of(parsed.stream) + 1 != (int)reader->held;
}

size_t tly_log_lines_take(struct tly_log_reader *reader, struct tly_text block, int *ret_rc)
{
    const char *at = block.at;
    const char *end = block.at + block.len;
    const char *newline;
    int rc = 0;
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        struct tly_text line = {at, (size_t)(newline - at)};
        ssize_t taken = (ssize_t)line.len + 1;
        if (reader->walked >= reader->ahead_until || !delivered_before(reader, line)) {
            taken = take_line(reader, line);
        }
        if (taken < 0) {
            rc = (int)taken;
            break;
        }
        at += taken;
        reader->offset += (uint64_t)taken;
        reader->walked += (uint64_t)taken;
    }
    reader->target->read_bytes += (uint64_t)(at - block.at);
    int committed = tly_log_lines_commit(reader);
    *ret_rc = rc < 0 ? rc : committed;
    return (size_t)(at - block.at);
}
