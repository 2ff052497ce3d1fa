/*
 * Where delivery stands in an engine's log stream, which has no offsets: the last frame that was
 * taken, told by its stream, its time, and how many frames of that stream with that very time there
 * were up to it. A new connection asks for everything from a little before that time on and passes
 * over what comes up to that frame. Pure.
 *
 * Times need not grow: the engine's two streams overtake each other by moments, and clocks are set
 * back. So the frame itself is looked for, not its time; only a frame that is newer than all that
 * was taken shows that it is gone.
 */
#ifndef TLY_LOGS_ANCHOR_H
#define TLY_LOGS_ANCHOR_H

#include "agent/base/clock.h"
#include "agent/delivery/chunk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far streams overtake each other at the most: as long as a blocked log driver may hold one of
 * them up. It is read again at every connection. */
#define TLY_LOG_OVERLAP_NS (10 * TLY_NS_PER_S)

#define TLY_LOG_ANCHOR_STREAMS 2

struct tly_log_anchor {
    int stream;      /* of the frame */
    int64_t time_ns; /* its time, realtime */
    uint64_t count;  /* which of those of that stream and time; 0: none, all from there on is new */
    uint32_t len;    /* bytes of its text */
    int64_t newest_ns; /* the highest time of all that was taken */
};

/* As a kept position, which no position in a file is equal to; and back. False: it is one in a
 * file. */
void tly_log_anchor_position(const struct tly_log_anchor *anchor,
                             struct tly_position *ret_position);
bool tly_log_anchor_of(const struct tly_position *position, struct tly_log_anchor *ret_anchor);

/* From when on to ask for frames; 0: from the first one. */
int64_t tly_log_anchor_since_ns(const struct tly_log_anchor *anchor);

/* One connection. */
struct tly_log_resume {
    struct tly_log_anchor place; /* of the last frame that was taken, also before */
    bool reached;                /* what comes is new */
    uint64_t skipped;            /* frames that came before that */
    struct {
        int64_t time_ns;
        uint64_t count;
    } last[TLY_LOG_ANCHOR_STREAMS]; /* frames of this connection */
};

void tly_log_resume_begin(struct tly_log_resume *resume, const struct tly_log_anchor *from);

/* The anchor that the next frame will be. */
struct tly_log_anchor tly_log_resume_next(const struct tly_log_resume *resume, int stream,
                                          int64_t time_ns, size_t len);

enum tly_log_verdict {
    TLY_LOG_OLD,    /* was taken before */
    TLY_LOG_NEW,    /* was not */
    TLY_LOG_MISSED, /* the same, and others before it are gone for good */
};

/* What the next frame is. Changes nothing. */
enum tly_log_verdict tly_log_resume_judge(const struct tly_log_resume *resume,
                                          const struct tly_log_anchor *next);

/* That frame was passed over as an old one, or taken as a new one. */
void tly_log_resume_skip(struct tly_log_resume *resume, const struct tly_log_anchor *next);
void tly_log_resume_take(struct tly_log_resume *resume, const struct tly_log_anchor *next);

/* The frame that is looked for is gone, and so is, as logs lose their oldest lines first, all that
 * came before it: whatever the engine has is new. A new connection has to fetch what was passed
 * over. */
void tly_log_resume_give_up(struct tly_log_resume *resume);

#endif
