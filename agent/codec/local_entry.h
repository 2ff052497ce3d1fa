/*
 * Entries of Docker's `local` log driver (moby daemon/logger/local, api/types/plugins/logdriver):
 * the length as 4 bytes, big-endian; a LogEntry in the encoding of Protocol Buffers; the length
 * again. The log's text is any bytes, without the newline that ended it.
 *
 *   LogEntry: 1 source, 2 time_nano, 3 line, 4 partial, 5 {1 last, 2 id, 3 ordinal},
 *             6 repeated {1 key, 2 value}
 *
 * Nothing is copied, and nothing allocated.
 */
#ifndef TLY_CODEC_LOCAL_ENTRY_H
#define TLY_CODEC_LOCAL_ENTRY_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A longer message is none: Docker's own reader ends at 1,000,000 bytes, and its writer cuts text
 * at 16 KiB. */
#define TLY_LOCAL_MESSAGE_MAX ((size_t)1 << 20)
/* With the lengths around it. */
#define TLY_LOCAL_ENTRY_MAX (TLY_LOCAL_MESSAGE_MAX + 8)

struct tly_local_entry {
    int64_t time_ns;        /* realtime */
    struct tly_text source; /* "stdout", "stderr"; borrowed from the entry, as is all text */
    struct tly_text line;
    bool partial;               /* a piece of a longer line */
    bool partial_last;          /* the last one */
    struct tly_text partial_id; /* the same for all pieces of a line; empty: not told */
    int32_t partial_ordinal;    /* from 1 */
    struct tly_text attrs;      /* the encoded attributes; empty: none */
};

/*
 * Reads the entry that `bytes` begin with, and returns its length. TLY_E_MORE: these bytes are the
 * beginning of one. TLY_E_MALFORMED: they are not.
 */
ssize_t tly_local_entry_parse(struct tly_text bytes, struct tly_local_entry *ret_entry) TLY_CHECK;

/*
 * `bytes` begin with no entry: how many to pass until one begins; all of them, if none does. With
 * `complete`, only one that stands there to its end counts.
 */
size_t tly_local_entry_pass(struct tly_text bytes, bool complete);

/* How far into `tail`, the end of a file, its last whole entry reaches; 0: there is none. */
size_t tly_local_entry_last_end(struct tly_text tail);

/* Calls for each attribute of an entry. `scratch` is not used: the shape is that of
 * tly_docker_line_attrs. TLY_E_MALFORMED; those before the fault have been told. */
int tly_local_entry_attrs(struct tly_text attrs, char *scratch,
                          void (*member)(void *arg, struct tly_text key, struct tly_text value),
                          void *arg) TLY_CHECK;

#endif
