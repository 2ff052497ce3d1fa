/*
 * What the files of the spool know of each other. Owned by spool.c.
 */
#ifndef TLY_DELIVERY_SPOOL_STATE_H
#define TLY_DELIVERY_SPOOL_STATE_H

#include "agent/base/buf.h"
#include "agent/delivery/chunk.h"
#include "agent/delivery/spool.h"
#include "agent/loop/log.h"

#define TLY_SPOOL_NAME_MAX 32

/* Of the positions that destinations keep. */
#define TLY_SPOOL_KEY "spool"

/* One file. They are numbered in the order of writing. */
struct tly_spool_segment {
    uint64_t number;
    uint64_t size; /* of what is safe in it */
    struct tly_spool_segment *newer;
};

struct tly_spool_write; /* a batch on the worker */

/* One destination's way through the files. */
struct tly_spool_reader {
    struct tly_spool *spool;
    struct tly_destination *destination;
    struct tly_cursor *cursor;
    uint64_t number; /* of the segment it is in, or of the next one that is made */
    uint64_t offset; /* of the next entry in it */
    int fd;          /* of the segment; -1: not open */
    struct tly_buf buf;
    size_t at; /* of the next entry in the buffer */
    struct tly_defer *turn;
    struct tly_room_waiter waiter;
    bool failing; /* the disk does not give what stands there */
    int64_t failing_since_ms, retry_at_ms;
    uint64_t dropped_records; /* at the bound, unread */
    uint64_t damaged_bytes;   /* that were no sound entries */
    struct tly_spool_reader *next;
};

struct tly_spool {
    struct tly_loop *loop;
    struct tly_positions *positions; /* borrowed */
    struct tly_spool_spec spec;
    int dir_fd; /* of the folder; owned */
    uint64_t segment_bytes;
    struct tly_spool_segment *oldest, *newest;
    uint64_t bytes; /* of all segments */
    uint64_t next_number;
    struct tly_spool_reader *readers;
    bool lost;              /* a destination of the start without a position may have had one */
    struct tly_timer *tick; /* while there is something to try again, or to free */

    /* spool_write.c */
    struct tly_buf gather;
    size_t entry_at;               /* where the entry begins that records are being added to */
    size_t entry_tag_len;          /* of its tag */
    uint32_t entry_records;        /* 0: there is none */
    uint64_t ticket;               /* of what gathers */
    struct tly_spool_write *write; /* under way, or to be tried again */
    bool writing;                  /* it is under way */
    bool no_room;                  /* the disk had none for it the last time */
    int write_fd;                  /* of the newest segment; -1: the next batch makes another one */
    struct tly_defer *flush;
    void (*safe)(void *arg, uint64_t ticket);
    void *safe_arg;
    uint64_t records, refused_records, write_errors;
    struct tly_log_limit write_limit, read_limit, bound_limit;
};

void tly_spool_segment_name(uint64_t number, char to[TLY_SPOOL_NAME_MAX]);
/* A new newest segment, of which nothing is safe yet. -ENOMEM. */
int tly_spool_segment_add(struct tly_spool *spool, uint64_t number) TLY_CHECK;
/* Makes sure that `bytes` more may stand on disk: the oldest segments go, delivered or not. */
void tly_spool_make_room(struct tly_spool *spool, uint64_t bytes);

/* ---- spool_write.c ---- */

int tly_spool_write_init(struct tly_spool *spool) TLY_CHECK;
void tly_spool_write_done(struct tly_spool *spool);
void tly_spool_write_retry(struct tly_spool *spool);

/* ---- spool_read.c ---- */

void tly_spool_readers_wake(struct tly_spool *spool);
/* The segment, the oldest one, goes: what the readers have not read of it is lost. */
void tly_spool_readers_leave(struct tly_spool *spool, const struct tly_spool_segment *segment);
void tly_spool_readers_free(struct tly_spool *spool);
/* Bytes that the destination has not acknowledged. */
uint64_t tly_spool_reader_lag(const struct tly_spool_reader *reader);
/* The number of the segment that the destination has everything before. */
uint64_t tly_spool_reader_reached(const struct tly_spool_reader *reader);

#endif
