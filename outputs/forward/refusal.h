/*
 * What to do about chunks that come back time and again. A receiver may take no frame over a
 * certain size, or no frame with one certain record in it: then the chunk is sent in parts, which
 * get smaller with every try, down to single records; and a record that was refused alone, time and
 * again and for so long that a bad network is no reason for it, on connections over which others
 * went through, is given up. A receiver that takes nothing
 * at all (a proxy whose backend is away) refuses nothing by that: all of it waits.
 */
#ifndef TLY_OUTPUT_FORWARD_REFUSAL_H
#define TLY_OUTPUT_FORWARD_REFUSAL_H

#include "agent/delivery/chunk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How much of a chunk goes into a frame, in whole records and one at least; 0: all, beside other
 * chunks. */
size_t tly_forward_part_bytes(const struct tly_chunk *chunk);

/* The connection ended at `now_ms` over one `record` of the chunk, its first, sent alone. `proved`:
 * after others had gone through on it. True: it went on for `patience_ms`, so nobody will ever take
 * this record. */
bool tly_forward_refused(struct tly_chunk *chunk, struct tly_text record, bool proved,
                         int64_t now_ms, int64_t patience_ms);

/* Whether others should go before this chunk, to see if the receiver takes those: of other streams,
 * which by that overtake nothing. */
bool tly_forward_wants_proof(const struct tly_chunk *chunk);

/* Whether it is worth it to let its own stream overtake, where nothing else is there to go. */
bool tly_forward_may_be_overtaken(const struct tly_chunk *chunk);

/* Then the record behind the refused one, in the same chunk, is to go first: they change places,
 * unless they have. False: there is none, or it was refused as well, or memory is out. */
bool tly_forward_stand_back(struct tly_chunk *chunk);

#endif
