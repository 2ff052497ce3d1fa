/*
 * One line of Docker's json-file log driver: a JSON object with the members log, stream, attrs and
 * time, in this order (moby daemon/logger/jsonfilelog/jsonlog). The hot path of the agent: the text
 * of the log member is unescaped straight to where the caller wants it, and nothing is allocated.
 * Docker's own form takes a fast path; any other order, blanks and unknown members are read too.
 */
#ifndef TLY_CODEC_DOCKER_LINE_H
#define TLY_CODEC_DOCKER_LINE_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/line_clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_docker_line {
    int64_t time_ns;        /* realtime; 0 where the line has no time */
    struct tly_text stream; /* "stdout", "stderr"; borrowed from the line; empty where absent. Any
                             * other text stands there as the JSON has it, escapes included */
    struct tly_text attrs;  /* the object of attrs as JSON, braces included; empty where absent */
    size_t log_len;         /* bytes written to `to`, the final newline not counted */
    bool whole;             /* the text ended in a newline: not a piece of a longer line */
};

/*
 * Reads `line` (one line of the file, without its newline) and writes the unescaped log text to
 * `to`, which has room for line.len bytes. Lone surrogates become U+FFFD; all other bytes stay as
 * they are. TLY_E_MALFORMED when it is not such an object: a torn line, or nested too deeply; what
 * was written to `to` then means nothing.
 */
int tly_docker_line_parse(struct tly_text line, struct tly_line_clock *clock, char *to,
                          struct tly_docker_line *ret_line) TLY_CHECK;

/*
 * Calls for each member of attrs that is a string, unescaped to `scratch`, which has room for
 * attrs.len bytes. Key and value are borrowed until the call returns. TLY_E_MALFORMED; members
 * before the fault have been told.
 */
int tly_docker_line_attrs(struct tly_text attrs, char *scratch,
                          void (*member)(void *arg, struct tly_text key, struct tly_text value),
                          void *arg) TLY_CHECK;

#endif
