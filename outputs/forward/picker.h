/*
 * Which chunk of a destination is sent next. One that was refused time and again stands back for
 * others: for many that overtake nothing by that; where there are none, for the record behind it or
 * for one chunk.
 */
#ifndef TLY_OUTPUT_FORWARD_PICKER_H
#define TLY_OUTPUT_FORWARD_PICKER_H

#include "agent/delivery/destination.h"
#include "agent/loop/log.h"
#include "agent/loop/loop.h"
#include "outputs/forward/link.h"

struct tly_forward_picker {
    struct tly_loop *loop;
    struct tly_destination *destination;
    const char *name; /* in messages; borrowed, like the others */
    struct tly_log_limit drop_limit;
};

/* Takes the next chunk for a link that has room for it; NULL if there is none now. It may give the
 * link another one to hold, so the chunk has to be sent at once. */
struct tly_chunk *tly_forward_next(struct tly_forward_picker *picker,
                                   struct tly_forward_link *link);

/* Gives up a chunk that was taken, because no frame can hold it: it would stand in the way of all
 * others for ever. Says so. */
void tly_forward_drop(struct tly_forward_picker *picker, struct tly_chunk *chunk);

#endif
