/*
 * The part of a record that is the same on every line of a container, packed once: the record of a
 * line is a copy of it with time and stream patched in, and the text behind.
 *
 *   [EventTime, {container_id, container_name, source, <attrs of the log driver>, log}]
 *
 * as Docker's own fluentd driver sends it (moby daemon/logger/fluentd). Owned by a log source.
 */
#ifndef TLY_LOGS_TEMPLATE_H
#define TLY_LOGS_TEMPLATE_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/record.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define TLY_LOG_STREAM_LEN 6 /* "stdout" and "stderr" */

/* Members of a map, packed. */
struct tly_log_pairs {
    struct tly_buf packed;
    uint32_t count;
};

struct tly_log_template {
    struct tly_buf bytes;          /* a record through the key `log`; empty: nothing set yet */
    size_t source_at;              /* where the stream's name is patched in */
    struct tly_log_pairs identity; /* container_id, container_name */
    struct tly_log_pairs attrs;    /* the driver's labels, environment and tag */
    struct tly_buf attrs_read;     /* what they were read from */
    struct tly_log_pairs added;    /* fields that the configuration adds */
};

void tly_log_template_init(struct tly_log_template *template);
void tly_log_template_done(struct tly_log_template *template);

/* `name` without the slash; NULL: unknown, then the record has no such field. -ENOMEM, TLY_E_LIMIT:
 * the template is as it was. */
int tly_log_template_identify(struct tly_log_template *template, const char *id,
                              const char *name) TLY_CHECK;

/* Calls for each member of a line's attributes, of which `scratch` has the length: see
 * tly_docker_line_attrs. */
typedef int (*tly_log_attrs_fn)(struct tly_text attrs, char *scratch,
                                void (*member)(void *arg, struct tly_text key,
                                               struct tly_text value),
                                void *arg);

/* The same with other fields: names and texts. */
struct tly_log_field {
    const char *key, *value;
};
int tly_log_template_fields(struct tly_log_template *template, const struct tly_log_field *fields,
                            size_t count) TLY_CHECK;

/* Fields that the configuration adds: they stand for attributes of the same name. */
int tly_log_template_add(struct tly_log_template *template, const struct tly_log_field *fields,
                         size_t count) TLY_CHECK;

/* Docker's own fields, and ours, keep their meaning, whatever a label or an added one is called. */
bool tly_log_template_reserved(struct tly_text name);

/* Whether records of this template have, or may have, a field of this name. */
bool tly_log_template_has(const struct tly_log_template *template, struct tly_text name);

/* Takes over the attributes of a line (empty: none), which `read` can read. What it can't is left
 * out. -ENOMEM, TLY_E_LIMIT: the template is as it was. */
int tly_log_template_attrs(struct tly_log_template *template, struct tly_text attrs,
                           tly_log_attrs_fn read) TLY_CHECK;

static inline bool tly_log_template_has_attrs(const struct tly_log_template *template,
                                              struct tly_text attrs)
{
    return tly_text_equal(tly_buf_text(&template->attrs_read), attrs);
}

/* The most bytes that a line's record has beyond its text. */
static inline size_t tly_log_template_room(const struct tly_log_template *template)
{
    return template->bytes.len + TLY_RECORD_HEAD_MAX;
}

/* Writes the record's beginning to `to`; the head of the log text and the text follow. `stream` has
 * TLY_LOG_STREAM_LEN bytes. */
static inline void tly_log_template_put(const struct tly_log_template *template, char *to,
                                        int64_t time_ns, const char *stream)
{
    memcpy(to, template->bytes.at, template->bytes.len);
    (void)tly_record_put_time(to + 1, time_ns);
    memcpy(to + template->source_at, stream, TLY_LOG_STREAM_LEN);
}

/* Fields of one record alone, packed. */
struct tly_log_fields {
    struct tly_text packed;
    uint32_t count;
    bool say_it_all; /* the line's text has nothing that they don't have */
};

/* A record that the template alone does not fit: another stream, a part of a line, a raw line. */
struct tly_log_record {
    int64_t time_ns;
    struct tly_text source;
    struct tly_text log;
    bool malformed;           /* `log` is the line as it stands in the file */
    uint32_t partial_ordinal; /* 0: a whole line; else which part, from 1 */
    bool partial_last;
    uint64_t partial_id[2]; /* the same for all parts of a line */
    uint32_t lines;         /* joined in it; 0: it is one */
    uint64_t id[2];         /* of the record; zero: it shows none */
    struct tly_log_fields fields;
};

/* Its length at most; and the writing of it, which returns the byte behind. */
size_t tly_log_record_room(const struct tly_log_template *template,
                           const struct tly_log_record *record);
char *tly_log_record_put(const struct tly_log_template *template,
                         const struct tly_log_record *record, char *to);

#endif
