/*
 * The json-file driver's lines: the hot path. The text is unescaped straight into the open chunk.
 */
#include "collectors/logs/lines.h"

#include "agent/codec/docker_line.h"

#include <stdlib.h>
#include <string.h>

/* Longer lines are unescaped beside the chunk: they hardly occur, and might not fit any chunk. */
#define IN_PLACE_MAX ((size_t)128 << 10)

/* Docker's copier hands on full buffers of this size (daemon/logger/copier.go); a shorter piece is
 * the end of a stream without a newline. */
#define DOCKER_PIECE_BYTES 16384

/* How every line of Docker begins; inside a line it can only stand behind one that was torn,
 * because within text the quotes are escaped. */
static const char line_begin[] = "{\"log\":\"";

/* A line that is none. What stands in front of a whole line on the same row is a torn one: the
 * engine or the host died while it was written. Returns the bytes passed. */
static ssize_t take_malformed(struct tly_log_reader *reader, struct tly_text line)
{
    if (line.len == 0 && reader->raw_ordinal == 0) {
        return 1;
    }
    size_t from = reader->raw_ordinal == 0 ? 1 : 0;
    const char *whole = memmem(line.at + from, line.len - from, line_begin, sizeof(line_begin) - 1);
    return tly_log_lines_take_foreign(reader, line, whole ? (size_t)(whole - line.at) : line.len);
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
    const struct tly_log_line odd = {.time_ns = line->time_ns,
                                     .stream = line->stream,
                                     .text = {scratch->at, line->log_len},
                                     .whole = line->whole,
                                     .goes_on = line->log_len >= DOCKER_PIECE_BYTES};
    return tly_log_lines_take_odd(reader, &odd);
}

/* A long line, or one that goes no short way. */
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
    struct tly_log_template *template = &reader->source->template;
    if (!tly_log_template_has_attrs(template, parsed.attrs)) {
        rc = tly_log_template_attrs(template, parsed.attrs, tly_docker_line_attrs);
        (void)rc; /* then the record goes with those of the last one */
    }
    parsed.time_ns = parsed.time_ns ? parsed.time_ns : reader->last_time_ns;
    reader->last_time_ns = parsed.time_ns;
    rc = take_beside(reader, &parsed, to);
    return rc < 0 ? rc : (ssize_t)line.len + 1;
}

/* One line, without its newline: straight into the chunk if it is like nearly all lines. Returns
 * the bytes passed, with the newline, or a negative code. */
static ssize_t take_line(struct tly_log_reader *reader, struct tly_text line)
{
    struct tly_log_template *template = &reader->source->template;
    struct tly_docker_line parsed;
    struct tly_log_place place;
    if (line.len > IN_PLACE_MAX || reader->raw_ordinal > 0 || reader->source->shaped) {
        return reader->raw_ordinal > 0 ? take_malformed(reader, line) : take_long(reader, line);
    }
    int rc = tly_log_place_find(reader, line.len, &place);
    if (rc < 0) {
        return rc;
    }
    if (tly_docker_line_parse(line, &reader->clock, place.text, &parsed) < 0) {
        return take_malformed(reader, line);
    }
    if (!tly_log_template_has_attrs(template, parsed.attrs) &&
        tly_log_template_attrs(template, parsed.attrs, tly_docker_line_attrs) == 0) {
        return take_line(reader, line); /* once: now it has them */
    }
    parsed.time_ns = parsed.time_ns ? parsed.time_ns : reader->last_time_ns;
    reader->last_time_ns = parsed.time_ns;
    int stream = tly_log_stream(parsed.stream);
    if (tly_log_line_is_odd(reader, stream, parsed.whole, parsed.log_len)) {
        rc = take_beside(reader, &parsed, place.text);
        return rc < 0 ? rc : (ssize_t)line.len + 1;
    }
    tly_log_place_take(reader, &place, stream, parsed.time_ns, parsed.log_len);
    return (ssize_t)line.len + 1;
}

static bool is_held(struct tly_log_reader *reader, struct tly_text line)
{
    struct tly_buf *scratch = &reader->logs->scratch;
    struct tly_docker_line parsed;
    char *to;
    tly_buf_clear(scratch);
    if (tly_buf_reserve(scratch, line.len, &to) < 0) {
        return true; /* twice is better than never */
    }
    bool read = tly_docker_line_parse(line, &reader->clock, to, &parsed) == 0;
    return read && tly_log_stream(parsed.stream) + 1 == (int)reader->held;
}

static size_t take(struct tly_log_reader *reader, struct tly_text block, bool ended, int *ret_rc)
{
    (void)ended; /* a line without its newline is nothing that the format knows */
    return tly_log_lines_each(reader, block, ret_rc, take_line, is_held);
}

const struct tly_log_format tly_log_json = {.take = take, .last_end = tly_log_lines_last_end};
