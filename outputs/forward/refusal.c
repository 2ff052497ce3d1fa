/* The policy on chunks that are not taken; its memory is in the chunk. Pure. */
#include "outputs/forward/refusal.h"

#include "agent/base/file.h"
#include "agent/base/hash.h"
#include "agent/codec/record_reader.h"

#include <stdlib.h>
#include <string.h>

/* A chunk that was sent as often without success goes out in parts. Receivers that restart, or that
 * refuse everything, may bring that about too: then it costs a little time. */
#define SENDS_WHOLE 3
/* Parts double in number with every further try, down to single records. */
#define HALVINGS_MAX 16

/* So often, at least, a record has to be refused on connections that take others. */
#define REFUSALS_MIN 3

/* Without a sign that the receiver takes anything, another chunk goes first every so many times.
 * Not every time: should it take everything again just then, one of the same stream overtakes. */
#define PROOF_EVERY 4

size_t tly_forward_part_bytes(const struct tly_chunk *chunk)
{
    if (chunk->sends <= SENDS_WHOLE) {
        return 0;
    }
    unsigned halvings = chunk->sends - SENDS_WHOLE;
    return halvings < HALVINGS_MAX ? (chunk->payload.len >> halvings) + 1 : 1;
}

bool tly_forward_refused(struct tly_chunk *chunk, struct tly_text record, bool proved,
                         int64_t now_ms, int64_t patience_ms)
{
    if (!proved) {
        chunk->unproved++;
        return false;
    }
    uint64_t hash = tly_hash_add(TLY_HASH_FIRST, record.at, record.len);
    if (chunk->refusals == 0 || chunk->refused_hash != hash) { /* the one before it went through */
        chunk->refusals = 0;
        chunk->refused_hash = hash;
        chunk->refused_since_ms = now_ms;
    }
    chunk->unproved = 0;
    chunk->refusals++;
    if (chunk->refusals < REFUSALS_MIN || now_ms - chunk->refused_since_ms < patience_ms) {
        return false;
    }
    chunk->refusals = 0;        /* the next record is another one, */
    chunk->sends = SENDS_WHOLE; /* and what is behind it may well be taken at once */
    return true;
}

bool tly_forward_wants_proof(const struct tly_chunk *chunk)
{
    return chunk->refusals > 0 || (chunk->unproved > 0 && chunk->unproved % PROOF_EVERY == 0);
}

void tly_forward_stand_back(struct tly_chunk *chunk)
{
    struct tly_text rest = tly_buf_text(&chunk->payload);
    struct tly_value value;
    struct tly_text first;
    struct tly_text second;
    if (tly_value_whole(&rest, &value, &first) < 0 || tly_value_whole(&rest, &value, &second) < 0) {
        return;
    }
    TLY_AUTO_FREE char *copy = tly_text_dup(first);
    if (copy) {
        memmove(chunk->payload.at, second.at, second.len);
        memcpy(chunk->payload.at + second.len, copy, first.len);
    }
}
