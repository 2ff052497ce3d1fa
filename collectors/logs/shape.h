/*
 * What is done to lines on their way: containers left out, lines kept or dropped by pattern,
 * secrets covered, a limit on lines per second, JSON made fields. The settings' items, compiled; a
 * container has those of them that fit it, and a container without any takes the short way. Owned
 * by the collector.
 */
#ifndef TLY_LOGS_SHAPE_H
#define TLY_LOGS_SHAPE_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/model/container.h"
#include "collectors/logs/multiline.h"
#include "collectors/logs/settings.h"
#include "collectors/logs/template.h"

#include <stdbool.h>
#include <stdint.h>

#define TLY_LOG_SHAPES_MAX 64 /* items; a set of them is a word of bits */

/* Why a line goes no further, by the name of the option that says so. */
enum tly_log_dropped {
    TLY_DROPPED_KEEP, /* fits none of the patterns to keep */
    TLY_DROPPED_DROP,
    TLY_DROPPED_RATE_MAX,
    TLY_DROPPED_COUNT
};
extern const char *const tly_log_dropped_names[TLY_DROPPED_COUNT];

struct tly_log_shape;

/* `settings` is borrowed. -ENOMEM; a pattern that the option table let pass is sound. */
int tly_log_shape_new(const struct tly_logs_settings *settings, struct tly_log_shape **ret_shape,
                      struct tly_error *err) TLY_CHECK;
void tly_log_shape_free(struct tly_log_shape *shape); /* NULL is fine */

/* Whether a container's log is read at all: by `match`, `exclude`, and its own label. */
bool tly_log_shape_takes(const struct tly_logs_settings *settings, struct tly_text tag,
                         const struct tly_container *container);

/* The items that a container has, as bits. */
uint64_t tly_log_shape_items(const struct tly_log_shape *shape, struct tly_text tag,
                             const struct tly_container *container);

/* How lines are joined by these items, or NULL. */
struct tly_log_multiline *tly_log_shape_multiline(const struct tly_log_shape *shape,
                                                  uint64_t items);

/* The lowest of the limits in these items, or NULL. */
struct tly_log_rate {
    int64_t interval_ns; /* between two lines */
    int64_t ahead_ns;    /* how far a burst may run ahead of that */
};
const struct tly_log_rate *tly_log_shape_rate(const struct tly_log_shape *shape, uint64_t items);

/*
 * Whether a line of this time is within the limit; `until_ns` is the state, zero at first. By the
 * time in the line, so that catching up after an outage drops nothing that was written slowly. The
 * state moves only when it is.
 */
bool tly_log_rate_pass(const struct tly_log_rate *rate, int64_t time_ns, int64_t *until_ns);

/* What was done to lines, and which patterns cost too much. */
struct tly_log_shape_counts {
    uint64_t redactions;
    uint64_t parsed;     /* lines that became fields */
    uint64_t not_parsed; /* lines that did not */
    uint64_t failures;
};

/* True: the line goes on. False: `ret_why`. A pattern that takes too long drops nothing. */
bool tly_log_shape_keeps(struct tly_log_shape *shape, uint64_t items, struct tly_text text,
                         struct tly_log_shape_counts *counts, enum tly_log_dropped *ret_why);

/* The text with its secrets covered: itself when it has none, or borrowed until the next call. When
 * a pattern takes too long all of the text is covered. -ENOMEM. */
int tly_log_shape_redact(struct tly_log_shape *shape, uint64_t items, struct tly_text text,
                         struct tly_log_shape_counts *counts, struct tly_text *ret_text) TLY_CHECK;

/* How lines that are JSON objects become fields by these items, or NULL. */
const struct tly_log_shape_settings *tly_log_shape_json(const struct tly_log_shape *shape,
                                                        uint64_t items);

/* The text as packed fields of a record whose common part is `template`. `ret_fields` is borrowed
 * until the next call, and has none when the text is no object, or none that can be packed.
 * -ENOMEM. */
int tly_log_shape_fields(struct tly_log_shape *shape, const struct tly_log_shape_settings *settings,
                         const struct tly_log_template *template, struct tly_text text,
                         struct tly_log_shape_counts *counts,
                         struct tly_log_fields *ret_fields) TLY_CHECK;

/* For the option table. */
int tly_log_shape_verify(const char *pattern, struct tly_error *err);

#endif
