/*
 * What the formats of log files share: the way of a line into the open chunk, and the rarer lines
 * that don't fit it. A format finds its lines in a block and hands them on here. Internal to the
 * formats: json.c, entries.c, cri.c; and to frames.c, where there are no files.
 */
#ifndef TLY_LOGS_LINES_H
#define TLY_LOGS_LINES_H

#include "collectors/logs/reader.h"
#include "collectors/logs/source.h"
#include "collectors/logs/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern const char *const tly_log_stream_names[TLY_LOG_STREAMS];

static inline int tly_log_stream(struct tly_text name)
{
    for (int i = 0; i < TLY_LOG_STREAMS; i++) {
        if (name.len == TLY_LOG_STREAM_LEN &&
            memcmp(name.at, tly_log_stream_names[i], TLY_LOG_STREAM_LEN) == 0) {
            return i;
        }
    }
    return -1;
}

static inline size_t tly_log_line_max(const struct tly_log_reader *reader)
{
    return (size_t)reader->logs->settings->line_max_bytes;
}

/* ---- nearly all lines ---- */

/* Where the record of a line stands that is being written to the open chunk. */
struct tly_log_place {
    char *record;
    char *text;
    size_t head; /* length of the text's header */
};

/* A chunk with room for `bytes` more: -EAGAIN, -ENOMEM. What was written is committed first, also
 * when it fails. */
int tly_log_lines_open(struct tly_log_reader *reader, size_t bytes) TLY_CHECK;

static inline int tly_log_lines_room(struct tly_log_reader *reader, size_t bytes, char **ret_to)
{
    if (!reader->chunk || tly_chunk_room(reader->chunk) < bytes) {
        int rc = tly_log_lines_open(reader, bytes);
        if (rc < 0) {
            return rc;
        }
    }
    *ret_to = reader->chunk->payload.at + reader->chunk->payload.len;
    return 0;
}

static inline void tly_log_lines_wrote(struct tly_log_reader *reader, const char *end)
{
    struct tly_buf *payload = &reader->chunk->payload;
    payload->len = (size_t)(end - payload->at);
    reader->records++;
}

static inline void tly_log_lines_count(struct tly_log_reader *reader, int stream, size_t text_bytes)
{
    reader->lines[stream]++;
    reader->text_bytes[stream] += text_bytes;
    reader->target->lines++;
}

/* Makes room for a record with at most `most` bytes of text, whose length is not known yet: the
 * header is one that is long enough for any. */
static inline int tly_log_place_find(struct tly_log_reader *reader, size_t most,
                                     struct tly_log_place *ret_place)
{
    const struct tly_buf *template = &reader->source->template.bytes;
    size_t head = most <= UINT8_MAX ? 2 : most <= UINT16_MAX ? 3 : TLY_RECORD_HEAD_MAX;
    char *to;
    int rc = tly_log_lines_room(reader, template->len + head + most, &to);
    if (rc < 0) {
        return rc;
    }
    *ret_place = (struct tly_log_place){to, to + template->len + head, head};
    return 0;
}

/* The text stands at its place, and this is the rest of its record. */
static inline void tly_log_place_take(struct tly_log_reader *reader,
                                      const struct tly_log_place *place, int stream,
                                      int64_t time_ns, size_t len)
{
    char *head = place->text - place->head;
    tly_log_template_put(&reader->source->template, place->record, time_ns,
                         tly_log_stream_names[stream]);
    if (place->head == 2) {
        head[0] = (char)0xd9; /* str 8 */
        head[1] = (char)len;
    } else if (place->head == 3) {
        head[0] = (char)0xda; /* str 16 */
        head[1] = (char)(len >> 8);
        head[2] = (char)len;
    } else {
        (void)tly_record_put_str32_head(head, (uint32_t)len);
    }
    tly_log_lines_wrote(reader, place->text + len);
    tly_log_lines_count(reader, stream, len);
}

/* ---- odd lines ---- */

/* A line, or a piece of one. */
struct tly_log_line {
    int64_t time_ns;
    struct tly_text stream; /* empty: not told */
    struct tly_text text;
    bool whole;     /* its line ends here */
    bool goes_on;   /* not whole, and certain to be followed by another piece */
    uint64_t group; /* tells the pieces of one line from those of the next; 0: the format can't */
};

/* Whether a line is odd: one that can't be put in place as it is. */
static inline bool tly_log_line_is_odd(const struct tly_log_reader *reader, int stream, bool whole,
                                       size_t len)
{
    return stream < 0 || !whole || reader->source->shaped || reader->pieces[stream].waiting ||
           len > tly_log_line_max(reader);
}

/* Takes one; its text must survive the opening of a chunk. -EAGAIN, -ENOMEM: the reader is where it
 * was. */
int tly_log_lines_take_odd(struct tly_log_reader *reader,
                           const struct tly_log_line *line) TLY_CHECK;

/* Takes `line` as text without sense, through `len` at most. The bytes passed, with the newline if
 * that was all of it; or a negative code. */
ssize_t tly_log_lines_take_foreign(struct tly_log_reader *reader, struct tly_text line,
                                   size_t len) TLY_CHECK;

/* ---- blocks ---- */

/* Moves the reader over `taken` bytes. */
static inline void tly_log_lines_move(struct tly_log_reader *reader, size_t taken)
{
    reader->offset += taken;
    reader->walked += taken;
}

/* The end of a block of which so much was taken, and what a format returns for it: commits. */
size_t tly_log_lines_finish(struct tly_log_reader *reader, size_t taken, int rc, int *ret_rc);

/*
 * Takes the lines of a block of text, for formats that have a newline at the end of each. `take`
 * takes one, without its newline, and returns the bytes passed or a negative code; `held` says
 * whether it is of the stream whose line waited at the last restart (`reader->held`): the others
 * were delivered before. Inlined, so that both are, too.
 */
__attribute__((always_inline)) static inline size_t
tly_log_lines_each(struct tly_log_reader *reader, struct tly_text block, int *ret_rc,
                   ssize_t (*take)(struct tly_log_reader *reader, struct tly_text line),
                   bool (*held)(struct tly_log_reader *reader, struct tly_text line))
{
    const char *at = block.at;
    const char *end = block.at + block.len;
    const char *newline;
    int rc = 0;
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        struct tly_text line = {at, (size_t)(newline - at)};
        ssize_t taken = (ssize_t)line.len + 1;
        if (reader->walked >= reader->ahead_until || held(reader, line)) {
            taken = take(reader, line);
        }
        if (taken < 0) {
            rc = (int)taken;
            break;
        }
        at += taken;
        tly_log_lines_move(reader, (size_t)taken);
    }
    return tly_log_lines_finish(reader, (size_t)(at - block.at), rc, ret_rc);
}

#endif
