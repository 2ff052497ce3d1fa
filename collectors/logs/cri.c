/*
 * The lines of container runtimes under Kubernetes: their text stands in the file as it is, and is
 * copied into the open chunk. A piece is always followed by the rest of its line, by whatever time,
 * until the container ends.
 */
#include "collectors/logs/lines.h"

#include "agent/codec/cri_line.h"

#include <string.h>

static ssize_t take_line(struct tly_log_reader *reader, struct tly_text line)
{
    struct tly_cri_line parsed;
    struct tly_log_place place;
    if (reader->raw_ordinal > 0 || tly_cri_line_parse(line, &reader->clock, &parsed) < 0) {
        bool empty = line.len == 0 && reader->raw_ordinal == 0;
        return empty ? 1 : tly_log_lines_take_foreign(reader, line, line.len);
    }
    reader->last_time_ns = parsed.time_ns;
    int stream = tly_log_stream(parsed.stream);
    if (tly_log_line_is_odd(reader, stream, parsed.whole, parsed.text.len)) {
        const struct tly_log_line odd = {.time_ns = parsed.time_ns,
                                         .stream = parsed.stream,
                                         .text = parsed.text,
                                         .whole = parsed.whole,
                                         .goes_on = !parsed.whole};
        int rc = tly_log_lines_take_odd(reader, &odd);
        return rc < 0 ? rc : (ssize_t)line.len + 1;
    }
    int rc = tly_log_place_find(reader, parsed.text.len, &place);
    if (rc < 0) {
        return rc;
    }
    memcpy(place.text, parsed.text.at, parsed.text.len);
    tly_log_place_take(reader, &place, stream, parsed.time_ns, parsed.text.len);
    return (ssize_t)line.len + 1;
}

static bool is_held(struct tly_log_reader *reader, struct tly_text line)
{
    struct tly_cri_line parsed;
    bool read = tly_cri_line_parse(line, &reader->clock, &parsed) == 0;
    return read && tly_log_stream(parsed.stream) + 1 == (int)reader->held;
}

static size_t take(struct tly_log_reader *reader, struct tly_text block, bool ended, int *ret_rc)
{
    (void)ended; /* a line without its newline is nothing that the format knows */
    return tly_log_lines_each(reader, block, ret_rc, take_line, is_held);
}

const struct tly_log_format tly_log_cri = {
    .take = take, .last_end = tly_log_lines_last_end, .kubelet = true};
