/*
 * One container's log on its way to one destination: where in which file reading stands, the pieces
 * that wait for the rest of their line, and the cursor that moves when the destination
 * acknowledged. So a slow destination delays no other. Owned by the log source.
 */
#ifndef TLY_LOGS_READER_H
#define TLY_LOGS_READER_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/line_clock.h"
#include "agent/delivery/delivery.h"
#include "collectors/logs/file.h"
#include "collectors/logs/gzip.h"
#include "collectors/logs/lost.h"
#include "collectors/logs/shape.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_log_feed;
struct tly_log_reader;

enum { TLY_LOG_STDOUT, TLY_LOG_STDERR, TLY_LOG_STREAMS };

/* The unfinished line of one stream. */
struct tly_log_pieces {
    bool waiting;              /* there is one */
    bool goes_on;              /* more will certainly follow */
    uint64_t group;            /* as the format names the line; 0: it has no names */
    struct tly_buf text;       /* not yet sent */
    int64_t time_ns;           /* of its first piece */
    int64_t since_ms;          /* loop time of its last piece */
    uint32_t sent;             /* parts of it that went out, being too long */
    uint64_t id[2];            /* names those parts */
    struct tly_position start; /* of its first piece that was not sent */
    uint64_t start_walked;
};

/* The lines of one stream that may be the beginning of a longer message. */
struct tly_log_message {
    bool waiting;
    int state; /* see tly_log_multiline_follows */
    uint32_t lines;
    struct tly_buf text;
    int64_t time_ns;  /* of its first line */
    int64_t since_ms; /* loop time of its last line */
    uint64_t begin;   /* names it: see record_id in lines.c */
    struct tly_position start;
    uint64_t start_walked;
};

/* How the files of a source are to be read. */
struct tly_log_format {
    /*
     * Takes the lines of `block`, which stands at the reader's offset, and moves the offset on.
     * What was taken is committed. Returns the bytes taken: what is left is the beginning of a
     * line, or there is an error in `ret_rc`: -EAGAIN (no room), -ENOMEM. `ended`: nothing will
     * ever follow.
     */
    size_t (*take)(struct tly_log_reader *reader, struct tly_text block, bool ended, int *ret_rc);
    /* How far into `tail`, the end of a file, its last whole line reaches; 0: there is none. */
    size_t (*last_end)(struct tly_text tail);
    bool kubelet;     /* named and rotated by the kubelet: see walk.h */
    size_t entry_max; /* where that does not follow from the setting line_max; else 0 */
};
extern const struct tly_log_format tly_log_json;    /* Docker's json-file */
extern const struct tly_log_format tly_log_entries; /* Docker's local */
extern const struct tly_log_format tly_log_cri;     /* containerd and CRI-O */

enum tly_log_reader_state {
    TLY_READER_IDLE,    /* has read what is there */
    TLY_READER_READY,   /* in line to read */
    TLY_READER_WAITING, /* for room at the destination, or for its turn to inflate */
    TLY_READER_ENDED,   /* the container is gone and all of it is committed */
};

struct tly_log_reader {
    struct tly_logs *logs;
    struct tly_log_source *source;
    struct tly_log_target *target;
    struct tly_cursor *cursor; /* NULL once ended */
    struct tly_room_waiter waiter;
    struct tly_log_reader *next; /* in line */
    enum tly_log_reader_state state;
    bool retry;      /* something failed that may go better at the next tick */
    bool woken;      /* there was room when it got in line */
    unsigned blocks; /* read so far: see BLOCKS_IN_A_ROW in collector.c */

    struct tly_log_feed *feed; /* the engine tells the lines; NULL: they stand in files */
    struct tly_log_file *file; /* NULL: none is there yet, or never */
    uint64_t offset;           /* of the next byte to take; with `feed` a name for what is taken */
    uint64_t walked;           /* the same, counted on through all files; with `feed` the frames */
    struct tly_position left;  /* the end of the file before: an empty one can't be told later */
    size_t block_bytes;        /* to read at a time */
    bool given_up;             /* the rest of `file` can't be read */
    bool entered;              /* a position may lie in `file` */
    struct tly_log_gzip *gzip; /* while `file` is compressed and open */
    uint64_t gzip_skip;        /* bytes to inflate and pass over first */
    struct tly_buf carry;      /* inflated and not taken yet */

    struct tly_log_pieces pieces[TLY_LOG_STREAMS];
    struct tly_log_message messages[TLY_LOG_STREAMS]; /* always older than the pieces */
    /* After a restart, of all streams but `held` what lies before `ahead_until` is delivered. */
    uint32_t held;
    uint64_t ahead_until;

    struct tly_line_clock clock;
    int64_t last_time_ns;
    uint32_t raw_ordinal;   /* parts sent of a raw line that goes on */
    uint32_t split_ordinal; /* parts sent of the line at `offset`, which is too long */
    uint64_t split_done;    /* bytes of its text in them */
    uint64_t stuck_offset;  /* of an entry that was not whole, */
    int64_t stuck_since_ms; /* and since when, by loop time */

    struct tly_chunk *chunk; /* open, while lines are taken */
    uint32_t records;        /* written to it and not committed */

    bool passed_over;      /* lines were dropped that no position has passed yet */
    bool part_dropped;     /* the first part of the line that is being split was */
    int64_t rate_until_ns; /* see tly_log_rate_pass */

    /* The books: see tly_log_reader_balance. */
    uint64_t lines[TLY_LOG_STREAMS];
    uint64_t text_bytes[TLY_LOG_STREAMS];
    uint64_t dropped[TLY_DROPPED_COUNT]; /* of these lines */
    uint64_t joined;                     /* of these lines, to the one before */
    uint64_t parts;                      /* records that go on with a line, behind its first one */
    uint64_t malformed;                  /* records of what is no line */
    uint64_t gaps[TLY_LOST_COUNT];
    int64_t caught_up_ms; /* loop time at which nothing was left to read; 0: never yet */
};

/* Starts at `offset` of `file`; `held` and `ahead` as in a kept position. -ENOMEM. */
int tly_log_reader_new(struct tly_log_source *source, struct tly_log_target *target,
                       struct tly_log_reader **ret_reader) TLY_CHECK;
void tly_log_reader_begin(struct tly_log_reader *reader, struct tly_log_file *file,
                          const struct tly_position *position);
/* The position stays kept, for whoever takes it up again. NULL is fine. */
void tly_log_reader_free(struct tly_log_reader *reader);

/* No more this turn, for want of room (-EAGAIN) or after a failure that the next tick may find
 * mended. False, for tly_log_reader_run. */
bool tly_log_reader_stopped_by(struct tly_log_reader *reader, int rc);

/* Sends what has waited for its rest for too long; or all that waits, because nothing will come. */
int tly_log_reader_flush(struct tly_log_reader *reader, bool all) TLY_CHECK;

/* All of the container's log is taken, and there will be no more. -EAGAIN, -ENOMEM: not yet, for
 * there is no room for what waits. */
int tly_log_reader_end(struct tly_log_reader *reader) TLY_CHECK;

/* The position follows into the file whose beginning is reached, before any line of it is
 * delivered: the one before, where it would stay until then, may be deleted. An empty file can't be
 * told from another one later, the end of the one before can: so it waits for the first bytes. */
void tly_log_reader_enter(struct tly_log_reader *reader);

/* Reads one block, and says whether it wants another turn. */
bool tly_log_reader_run(struct tly_log_reader *reader);

/* Gives the memory back that very long lines took. */
void tly_log_blocks_settle(struct tly_logs *logs);

/* Pieces of lines, or lines of messages, wait for more. */
bool tly_log_reader_has_pieces(const struct tly_log_reader *reader);

/*
 * Where every line that was read is, in records. At every moment between two turns of the loop
 *
 *   taken = joined + dropped + waiting + appended
 *
 * and what was appended the cursor accounts for: see tly_cursor_counts.
 */
struct tly_log_balance {
    uint64_t taken;   /* lines, the further parts of long ones, and what is no line */
    uint64_t joined;  /* to the line before, as one message */
    uint64_t dropped; /* by the options of `shape` */
    uint64_t waiting; /* in messages that may go on */
    struct tly_cursor_counts delivery;
};
/* Not of a reader that has ended. */
void tly_log_reader_balance(const struct tly_log_reader *reader,
                            struct tly_log_balance *ret_balance);

/* Counts a gap before this reader and says so, not too often. `bytes`: 0 if nobody knows. */
void tly_log_reader_lost(struct tly_log_reader *reader, enum tly_log_lost reason, uint64_t bytes);

/* ---- lines.c ---- */

/* Takes text that is no line: without its end (`ends` false: more of the same line follows) or
 * without sense. At most line_max bytes of it; the count taken, or a negative code. */
ssize_t tly_log_lines_take_raw(struct tly_log_reader *reader, struct tly_text text,
                               bool ends) TLY_CHECK;

/* Sends the unfinished line of a stream as it is. */
int tly_log_lines_flush(struct tly_log_reader *reader, int stream) TLY_CHECK;

/* Sends the message of a stream as it is. */
int tly_log_lines_flush_message(struct tly_log_reader *reader, int stream) TLY_CHECK;

/* Where delivery stands once all that was taken is acknowledged. */
void tly_log_lines_position(const struct tly_log_reader *reader, struct tly_position *ret_position);

/* Behind the last newline. */
size_t tly_log_lines_last_end(struct tly_text tail);

/* Commits what was written to the open chunk. */
int tly_log_lines_commit(struct tly_log_reader *reader) TLY_CHECK;

#endif
