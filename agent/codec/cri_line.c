/*
 * The parser of CRI log lines: three words and the rest. Pure; copies nothing.
 */
#include "agent/codec/cri_line.h"

#include <string.h>

/* " stdout F": what follows the time at the least. */
#define WORDS_LEN  (sizeof(" stdout F") - 1)
#define STREAM_LEN (sizeof("stdout") - 1)

/* The longest time: nine digits of fraction and a numeric zone. */
#define TIME_LEN_MAX (sizeof("2016-10-06T00:17:09.669794202+00:00") - 1)

static bool is_stream(const char *at)
{
    return memcmp(at, "std", 3) == 0 &&
           (memcmp(at + 3, "out", 3) == 0 || memcmp(at + 3, "err", 3) == 0);
}

int tly_cri_line_parse(struct tly_text line, struct tly_line_clock *clock,
                       struct tly_cri_line *ret_line)
{
    int64_t time_ns;
    size_t within = line.len < TIME_LEN_MAX + 1 ? line.len : TIME_LEN_MAX + 1;
    const char *blank = line.len > 0 ? memchr(line.at, ' ', within) : NULL;
    const char *end = line.at + line.len;
    if (!blank || (size_t)(end - blank) < WORDS_LEN || !is_stream(blank + 1) ||
        blank[1 + STREAM_LEN] != ' ') {
        return TLY_E_MALFORMED;
    }
    struct tly_text time = {line.at, (size_t)(blank - line.at)};
    const char *tags = blank + STREAM_LEN + 2;
    const char *text = tags + 1;
    if (*tags != 'F' && *tags != 'P') {
        return TLY_E_MALFORMED;
    }
    if (text < end && *text == ':') { /* tags to come, which mean nothing yet */
        text = memchr(text, ' ', (size_t)(end - text));
        text = text ? text : end;
    }
    if (text < end && *text++ != ' ') {
        return TLY_E_MALFORMED;
    }
    int rc = tly_line_clock_parse(clock, time, &time_ns);
    if (rc < 0) {
        return rc;
    }
    ret_line->time_ns = time_ns;
    ret_line->stream = (struct tly_text){blank + 1, STREAM_LEN};
    ret_line->text = (struct tly_text){text, (size_t)(end - text)};
    ret_line->whole = *tags == 'F';
    return 0;
}
