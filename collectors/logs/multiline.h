/*
 * Which lines belong together as one message: by a pattern that begins one, or by the form of the
 * traces that Java, Python, Go and Node.js print. Rules only: who joins them is lines.c. Owned by
 * the shape.
 */
#ifndef TLY_LOGS_MULTILINE_H
#define TLY_LOGS_MULTILINE_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/config/option.h"

#include <stdbool.h>
#include <stdint.h>

/* Where a message stands. */
enum {
    TLY_MULTILINE_NONE, /* nothing waits; or, of a line, nothing can follow it */
    TLY_MULTILINE_OPEN, /* any line may follow; the other states are the rules' own */
};

struct tly_log_multiline;

/* `start`: a pattern, or NULL; else `traces`, names that tly_log_traces_verify let pass. */
int tly_log_multiline_new(const char *start, const struct tly_strings *traces, int64_t wait_ms,
                          struct tly_log_multiline **ret_rules, struct tly_error *err) TLY_CHECK;
void tly_log_multiline_free(struct tly_log_multiline *rules); /* NULL is fine */

/* How long a message waits for its next line. */
int64_t tly_log_multiline_wait_ms(const struct tly_log_multiline *rules);

/* Whether `line` goes on with a message in this state. `ret_state`: that of the message with it, or
 * of one that it begins. A pattern that takes too long begins one. */
bool tly_log_multiline_follows(struct tly_log_multiline *rules, int state, struct tly_text line,
                               int *ret_state);

/* For the option table. */
int tly_log_traces_verify(const char *name, struct tly_error *err);

#endif
