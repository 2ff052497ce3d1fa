/*
 * From lines to records in the open chunk, whatever the format: the chunk itself, pieces of longer
 * lines, lines over the maximum, foreign ones. Every step either leaves the reader where it was or
 * moves it past what is written, so that a destination without room can stop it anywhere.
 */
#include "collectors/logs/lines.h"

#include "agent/base/clock.h"
#include "collectors/logs/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const tly_log_stream_names[TLY_LOG_STREAMS] = {"stdout", "stderr"};

/* ---- the open chunk ---- */

/* Whether something of a stream waits for more, and where that begins. */
static bool waits(const struct tly_log_reader *reader, int stream,
                  const struct tly_position **ret_start, uint64_t *ret_walked)
{
    const struct tly_log_message *message = &reader->messages[stream];
    const struct tly_log_pieces *pieces = &reader->pieces[stream];
    *ret_start = message->waiting ? &message->start : &pieces->start;
    *ret_walked = message->waiting ? message->start_walked : pieces->start_walked;
    return message->waiting || pieces->waiting;
}

/* Where the line begins that is taken next. */
static void place_of(const struct tly_log_reader *reader, struct tly_position *ret_position)
{
    if (reader->feed) {
        tly_log_feed_position(reader->feed, ret_position);
    } else {
        tly_log_file_position(reader->file, reader->offset, ret_position);
    }
}

void tly_log_lines_position(const struct tly_log_reader *reader, struct tly_position *ret_position)
{
    const struct tly_position *starts[TLY_LOG_STREAMS];
    uint64_t walked[TLY_LOG_STREAMS];
    bool waiting[TLY_LOG_STREAMS];
    int first = -1;
    for (int i = 0; i < TLY_LOG_STREAMS; i++) {
        waiting[i] = waits(reader, i, &starts[i], &walked[i]);
        if (waiting[i] && (first < 0 || walked[i] < walked[first])) {
            first = i;
        }
    }
    if (first < 0) {
        bool untold = reader->file && reader->file->head_len == 0 && reader->left.head_len > 0;
        place_of(reader, ret_position);
        if (untold) {
            *ret_position = reader->left;
        }
        if (reader->walked < reader->ahead_until) { /* the others are still ahead of the held one */
            ret_position->held = reader->held;
            ret_position->ahead = reader->ahead_until - reader->walked;
        }
        return;
    }
    uint64_t until = waiting[1 - first] ? walked[1 - first] : reader->walked;
    until = until > reader->ahead_until ? until : reader->ahead_until;
    *ret_position = *starts[first];
    ret_position->held = (uint32_t)first + 1;
    ret_position->ahead = until - walked[first];
}

int tly_log_lines_commit(struct tly_log_reader *reader)
{
    struct tly_chunk *chunk = reader->chunk;
    uint32_t records = reader->records;
    struct tly_position position;
    reader->chunk = NULL;
    reader->records = 0;
    if (records == 0 && !reader->passed_over) {
        return 0;
    }
    reader->passed_over = false;
    tly_log_lines_position(reader, &position);
    if (records == 0) {
        tly_cursor_advance(reader->cursor, &position);
        return 0;
    }
    return tly_destination_commit(reader->target->destination, chunk, records, reader->cursor,
                                  &position);
}

/* A chunk with room for `bytes`, in which the cursor has its place already: then committing to it
 * cannot fail. */
int tly_log_lines_open(struct tly_log_reader *reader, size_t bytes)
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
    return 0;
}

static int put(struct tly_log_reader *reader, const struct tly_log_record *record)
{
    const struct tly_log_template *template = &reader->source->template;
    char *to;
    int rc = tly_log_lines_room(reader, tly_log_record_room(template, record), &to);
    if (rc == 0) {
        reader->parts += record->partial_ordinal > 1;
        reader->malformed += record->malformed && record->partial_ordinal <= 1;
        tly_log_lines_wrote(reader, tly_log_record_put(template, record, to));
    }
    return rc;
}

/* ---- shaping ---- */

/* The same for the same bytes at the same place of the same log, wherever its file has moved; when
 * a repeat is cut or joined differently, it is another record. */
static void record_id(const struct tly_log_reader *reader, uint64_t begin,
                      const struct tly_log_record *record, uint64_t id[2])
{
    const uint64_t odd = 0x9e3779b97f4a7c15U;
    uint64_t hash = reader->source->key_hash;
    const uint64_t parts[] = {begin, record->partial_ordinal, record->log.len,
                              (uint64_t)(record->source.len > 3 ? record->source.at[3] : 0)};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        hash = (hash ^ parts[i]) * odd;
        hash ^= hash >> 32;
    }
    id[0] = (uint64_t)record->time_ns;
    id[1] = hash | 1; /* zero stands for none */
}

/* Whether it goes on; a part of a longer line does what the first one did. */
static bool keeps(struct tly_log_reader *reader, const struct tly_log_record *record,
                  int64_t *rate_until_ns, enum tly_log_dropped *ret_why)
{
    const struct tly_log_source *source = reader->source;
    if (record->malformed) {
        return true; /* what it means nobody knows */
    }
    if (record->partial_ordinal > 1) {
        *ret_why = TLY_DROPPED_COUNT; /* counted already, as one line */
        return !reader->part_dropped;
    }
    if (!tly_log_shape_keeps(reader->logs->shape, source->shape_items, record->log,
                             &reader->target->shape, ret_why)) {
        return false;
    }
    *ret_why = TLY_DROPPED_RATE_MAX;
    return !source->rate || tly_log_rate_pass(source->rate, record->time_ns, rate_until_ns);
}

static void drop(struct tly_log_reader *reader, enum tly_log_dropped why, uint32_t lines)
{
    reader->passed_over = true;
    if (why == TLY_DROPPED_COUNT) {
        return;
    }
    reader->dropped[why] += lines;
    reader->target->dropped[why] += lines;
    if (why == TLY_DROPPED_RATE_MAX) {
        tly_logs_over_rate(reader->logs, reader->target, reader->source->id);
    }
}

/* What a line that goes on becomes. -ENOMEM. */
static int reshape(const struct tly_log_reader *reader, uint64_t begin,
                   struct tly_log_record *record)
{
    const struct tly_log_source *source = reader->source;
    struct tly_log_shape *shape = reader->logs->shape;
    struct tly_log_shape_counts *counts = &reader->target->shape;
    if (reader->logs->settings->record_id) {
        record_id(reader, begin, record, record->id);
    }
    int rc = tly_log_shape_redact(shape, source->shape_items, record->log, counts, &record->log);
    if (rc == 0 && source->json && record->partial_ordinal == 0 && !record->malformed) {
        rc = tly_log_shape_fields(shape, source->json, &source->template, record->log, counts,
                                  &record->fields);
    }
    return rc;
}

/* Puts a record that begins at `begin` of the file, as the source's shape has it. */
static int emit(struct tly_log_reader *reader, uint64_t begin, const struct tly_log_record *record)
{
    struct tly_log_record shaped = *record;
    enum tly_log_dropped why = TLY_DROPPED_COUNT;
    int64_t rate_until_ns = reader->rate_until_ns;
    if (!reader->source->shaped) {
        return put(reader, record);
    }
    bool kept = keeps(reader, record, &rate_until_ns, &why);
    if (kept) {
        int rc = reshape(reader, begin, &shaped);
        rc = rc < 0 ? rc : put(reader, &shaped);
        if (rc < 0) {
            return rc; /* it will be judged again: no state has moved */
        }
        reader->rate_until_ns = rate_until_ns;
        uint32_t joined = record->lines > 1 ? record->lines - 1 : 0;
        reader->joined += joined;
        reader->target->joined += joined;
    } else {
        drop(reader, why, record->lines > 0 ? record->lines : 1);
    }
    if (record->partial_ordinal == 1) {
        reader->part_dropped = !kept;
    }
    return 0;
}

static void partial_id(const struct tly_log_reader *reader, uint64_t id[2])
{
    id[0] = reader->feed ? reader->source->key_hash : reader->file->head_hash ^ reader->file->inode;
    id[1] = reader->offset; /* the same when the line is read a second time */
}

/* At most line_max bytes, not ending inside a character of UTF-8. */
static struct tly_text first_part(const struct tly_log_reader *reader, struct tly_text text)
{
    size_t most = tly_log_line_max(reader);
    if (text.len <= most) {
        return text;
    }
    size_t cut = most;
    for (int i = 0; i < 3 && ((unsigned char)text.at[cut] & 0xc0) == 0x80; i++) {
        cut--;
    }
    return (struct tly_text){text.at, ((unsigned char)text.at[cut] & 0xc0) == 0x80 ? most : cut};
}

/* ---- messages ---- */

/* A line, joined from its pieces if it came in any, and where it began. */
struct whole_line {
    const struct tly_log_record *record;
    uint64_t begin;
    const struct tly_position *start;
    uint64_t start_walked;
};

int tly_log_lines_flush_message(struct tly_log_reader *reader, int stream)
{
    struct tly_log_message *message = &reader->messages[stream];
    if (!message->waiting) {
        return 0;
    }
    const struct tly_log_record record = {
        .time_ns = message->time_ns,
        .source = {tly_log_stream_names[stream], TLY_LOG_STREAM_LEN},
        .log = tly_buf_text(&message->text),
        .lines = message->lines};
    int rc = emit(reader, message->begin, &record);
    if (rc == 0) {
        reader->logs->join_bytes -= message->text.len;
        tly_buf_done(&message->text);
        *message = (struct tly_log_message){.text = message->text};
    }
    return rc;
}

/* Adds a line to the message, of which it may be the first. -ENOMEM: nothing was added. */
static int message_add(struct tly_log_reader *reader, int stream, const struct whole_line *line,
                       int state)
{
    struct tly_log_message *message = &reader->messages[stream];
    struct tly_text text = line->record->log;
    size_t before = message->text.len;
    char *to;
    int rc = tly_buf_reserve(&message->text, text.len + 1, &to);
    if (rc < 0) {
        return rc;
    }
    if (message->waiting) {
        *to++ = '\n';
        message->text.len++;
    } else {
        message->waiting = true;
        message->time_ns = line->record->time_ns;
        message->begin = line->begin;
        message->start = *line->start;
        message->start_walked = line->start_walked;
    }
    memcpy(to, text.at ? text.at : "", text.len);
    message->text.len += text.len;
    message->lines++;
    message->state = state;
    message->since_ms = tly_loop_now_ms(reader->logs->context->loop);
    reader->logs->join_bytes += message->text.len - before;
    return 0;
}

static bool message_has_room(const struct tly_log_reader *reader,
                             const struct tly_log_message *message, size_t len)
{
    uint64_t join_max = (uint64_t)reader->logs->settings->join_max_bytes;
    return message->text.len + 1 + len <= tly_log_line_max(reader) &&
           reader->logs->join_bytes + 1 + len <= join_max;
}

/* Sends a whole line, or joins it to a message. */
static int take_whole(struct tly_log_reader *reader, int stream, const struct whole_line *line)
{
    struct tly_log_message *message = &reader->messages[stream];
    struct tly_log_multiline *rules = reader->source->multiline;
    struct tly_text text = line->record->log;
    int state = TLY_MULTILINE_NONE;
    bool follows = rules && tly_log_multiline_follows(rules, message->state, text, &state);
    if (message->waiting && follows && message_has_room(reader, message, text.len)) {
        return message_add(reader, stream, line, state);
    }
    int rc = tly_log_lines_flush_message(reader, stream);
    if (rc == 0 && state != TLY_MULTILINE_NONE && message_has_room(reader, message, text.len)) {
        return message_add(reader, stream, line, state);
    }
    return rc < 0 ? rc : emit(reader, line->begin, line->record);
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
                                    .source = {tly_log_stream_names[stream], TLY_LOG_STREAM_LEN},
                                    .log = tly_buf_text(&pieces->text),
                                    .partial_ordinal = pieces->sent > 0 ? pieces->sent + 1 : 0,
                                    .partial_last = true,
                                    .partial_id = {pieces->id[0], pieces->id[1]}};
    const struct whole_line line = {&record, pieces->id[1], &pieces->start, pieces->start_walked};
    int rc = pieces->sent > 0 ? emit(reader, line.begin, &record)
                              : take_whole(reader, stream, &line);
    if (rc == 0) {
        reader->target->split += pieces->sent > 0;
        tly_log_lines_count(reader, stream, pieces->text.len);
        pieces_clear(reader, pieces);
    }
    return rc;
}

/* Sends what waits of a line that goes on but is long enough. */
static int send_part(struct tly_log_reader *reader, int stream)
{
    struct tly_log_pieces *pieces = &reader->pieces[stream];
    struct tly_log_record record = {.time_ns = pieces->time_ns,
                                    .source = {tly_log_stream_names[stream], TLY_LOG_STREAM_LEN},
                                    .log = tly_buf_text(&pieces->text),
                                    .partial_ordinal = pieces->sent + 1,
                                    .partial_id = {pieces->id[0], pieces->id[1]}};
    int rc = tly_log_lines_flush_message(reader, stream);
    rc = rc < 0 ? rc : emit(reader, pieces->id[1], &record);
    if (rc == 0) {
        pieces->sent++;
        reader->target->split++;
        reader->text_bytes[stream] += pieces->text.len;
        reader->logs->join_bytes -= pieces->text.len;
        tly_buf_clear(&pieces->text);
        place_of(reader, &pieces->start);
        pieces->start_walked = reader->walked;
    }
    return rc;
}

static int append_piece(struct tly_log_reader *reader, int stream, const struct tly_log_line *line)
{
    struct tly_log_pieces *pieces = &reader->pieces[stream];
    int rc = tly_buf_append_text(&pieces->text, line->text);
    if (rc < 0) {
        return rc;
    }
    if (!pieces->waiting) {
        pieces->waiting = true;
        pieces->time_ns = line->time_ns;
        pieces->group = line->group;
        partial_id(reader, pieces->id);
        place_of(reader, &pieces->start);
        pieces->start_walked = reader->walked;
    }
    pieces->goes_on = line->goes_on;
    pieces->since_ms = tly_loop_now_ms(reader->logs->context->loop);
    reader->logs->join_bytes += line->text.len;
    return 0;
}

/* Whether a line is not the one whose pieces wait. All pieces of Docker's lines have the time of
 * the first one, in older engines their own; a piece that none must follow was the end of its
 * stream, and this line belongs to the next run. */
static bool is_another(const struct tly_log_pieces *pieces, const struct tly_log_line *line)
{
    return pieces->group != line->group ||
           (line->group == 0 && pieces->time_ns != line->time_ns && !pieces->goes_on);
}

/* A piece of a longer line: the first, one between, or the last. */
static int take_piece(struct tly_log_reader *reader, int stream, const struct tly_log_line *line)
{
    struct tly_log_pieces *pieces = &reader->pieces[stream];
    size_t len = line->text.len;
    if (pieces->waiting && is_another(pieces, line)) {
        int rc = tly_log_lines_flush(reader, stream);
        if (rc < 0) {
            return rc;
        }
    }
    uint64_t join_max = (uint64_t)reader->logs->settings->join_max_bytes;
    if (pieces->text.len > 0 && (pieces->text.len + len > tly_log_line_max(reader) ||
                                 reader->logs->join_bytes + len > join_max)) {
        int rc = send_part(reader, stream);
        if (rc < 0) {
            return rc;
        }
    }
    bool went_on = pieces->goes_on;
    int rc = append_piece(reader, stream, line);
    if (rc < 0 || !line->whole) {
        return rc;
    }
    rc = tly_log_lines_flush(reader, stream);
    if (rc < 0) { /* the last piece will be taken once more */
        pieces->text.len -= len;
        reader->logs->join_bytes -= len;
        pieces->goes_on = went_on;
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
        int rc = emit(reader, reader->offset, record);
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

int tly_log_lines_take_odd(struct tly_log_reader *reader, const struct tly_log_line *line)
{
    int stream = tly_log_stream(line->stream);
    bool too_long = line->text.len > tly_log_line_max(reader);
    if (stream >= 0 && !too_long && (reader->pieces[stream].waiting || !line->whole)) {
        return take_piece(reader, stream, line);
    }
    if (stream >= 0) {
        int rc = tly_log_lines_flush(reader, stream);
        if (rc < 0) {
            return rc;
        }
    }
    struct tly_log_record record = {
        .time_ns = line->time_ns,
        .source = stream >= 0 || line->stream.len > 0
                      ? line->stream
                      : tly_text_of(tly_log_stream_names[TLY_LOG_STDOUT]),
        .log = line->text};
    int rc = too_long && stream >= 0 ? tly_log_lines_flush_message(reader, stream) : 0;
    if (rc < 0) {
        return rc;
    }
    if (too_long) {
        rc = take_split(reader, &record);
    } else if (stream < 0) {
        rc = emit(reader, reader->offset, &record);
    } else {
        struct tly_position start;
        place_of(reader, &start);
        const struct whole_line whole = {&record, reader->offset, &start, reader->walked};
        rc = take_whole(reader, stream, &whole);
    }
    if (rc == 0) {
        tly_log_lines_count(reader, stream >= 0 ? stream : TLY_LOG_STDOUT, line->text.len);
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
        .partial_id = {reader->feed ? reader->source->key_hash : reader->file->head_hash,
                       reader->feed ? reader->offset : reader->file->inode}};
    int rc = emit(reader, reader->offset, &record);
    if (rc < 0) {
        return rc;
    }
    reader->target->malformed += reader->raw_ordinal == 0;
    reader->target->split += record.partial_ordinal > 0;
    reader->raw_ordinal = last ? 0 : reader->raw_ordinal + 1;
    return (ssize_t)part.len;
}

ssize_t tly_log_lines_take_foreign(struct tly_log_reader *reader, struct tly_text line, size_t len)
{
    ssize_t taken = tly_log_lines_take_raw(reader, (struct tly_text){line.at, len}, true);
    return taken >= 0 && (size_t)taken == line.len ? taken + 1 : taken;
}

size_t tly_log_lines_finish(struct tly_log_reader *reader, size_t taken, int rc, int *ret_rc)
{
    int committed = tly_log_lines_commit(reader);
    reader->target->read_bytes += taken;
    *ret_rc = rc < 0 ? rc : committed;
    return taken;
}

size_t tly_log_lines_last_end(struct tly_text tail)
{
    const char *newline = tail.len > 0 ? memrchr(tail.at, '\n', tail.len) : NULL;
    return newline ? (size_t)(newline - tail.at) + 1 : 0;
}
