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

/* Without a sign that the receiver takes anything, a record of the same stream goes first every so
 * many times. Not every time: should it take everything again just then, that one overtakes. */
#define PROOF_EVERY 4

size_t tly_forward_part_bytes(const struct tly_chunk *chunk)
{
    if (chunk->sends <= SENDS_WHOLE) {
        return 0;
    }
    unsigned halvings = chunk->sends - SENDS_WHOLE;
    return halvings < HALVINGS_MAX ? (chunk->payload.len >> halvings) + 1 : 1;
}

static uint64_t hash_of(struct tly_text record)
{
    return tly_hash_add(TLY_HASH_FIRST, record.at, record.len) | 1; /* 0 is none */
}

static struct tly_refused *find(struct tly_chunk *chunk, uint64_t hash)
{
    for (size_t i = 0; i < sizeof(chunk->refused) / sizeof(chunk->refused[0]); i++) {
        if (chunk->refused[i].hash == hash) {
            return &chunk->refused[i];
        }
    }
    return NULL;
}

/* What is kept of a record, which may be new. Only the first two of a chunk take turns at being
 * first, so of three the one that was refused the longest ago is through. */
static struct tly_refused *note(struct tly_chunk *chunk, struct tly_text record)
{
    uint64_t hash = hash_of(record);
    const struct tly_refused *known = find(chunk, hash);
    struct tly_refused entry = known ? *known : (struct tly_refused){.hash = hash};
    if (known != &chunk->refused[0]) {
        chunk->refused[1] = chunk->refused[0];
        chunk->refused[0] = entry;
    }
    return &chunk->refused[0];
}

bool tly_forward_refused(struct tly_chunk *chunk, struct tly_text record, bool proved,
                         int64_t now_ms, int64_t patience_ms)
{
    if (!proved) {
        chunk->unproved++;
        if (chunk->unproved % PROOF_EVERY == 0) {
            (void)note(chunk, record); /* the one behind it may be better */
        }
        return false;
    }
    struct tly_refused *refused = note(chunk, record);
    if (refused->count == 0) {
        refused->since_ms = now_ms;
    }
    chunk->unproved = 0;
    chunk->refusals++;
    refused->count++;
    if (refused->count < REFUSALS_MIN || now_ms - refused->since_ms < patience_ms) {
        return false;
    }
    memset(chunk->refused, 0, sizeof(chunk->refused));
    chunk->refusals = 0;        /* the next record is another one, */
    chunk->sends = SENDS_WHOLE; /* and what is behind it may well be taken at once */
    return true;
}

bool tly_forward_wants_proof(const struct tly_chunk *chunk)
{
    return chunk->refusals > 0 || chunk->unproved > 0;
}

bool tly_forward_may_be_overtaken(const struct tly_chunk *chunk)
{
    return chunk->refusals > 0 || (chunk->unproved > 0 && chunk->unproved % PROOF_EVERY == 0);
}

bool tly_forward_stand_back(struct tly_chunk *chunk)
{
    struct tly_text rest = tly_buf_text(&chunk->payload);
    struct tly_value value;
    struct tly_text first;
    struct tly_text second;
    if (tly_value_whole(&rest, &value, &first) < 0 || tly_value_whole(&rest, &value, &second) < 0) {
        return false;
    }
    if (!find(chunk, hash_of(first))) {
        return true;
    }
    TLY_AUTO_FREE char *copy = tly_text_dup(first);
    if (find(chunk, hash_of(second)) || !copy) {
        return false;
    }
    memmove(chunk->payload.at, second.at, second.len);
    memcpy(chunk->payload.at + second.len, copy, first.len);
    chunk->sends = SENDS_WHOLE + HALVINGS_MAX; /* or both might be in one part */
    return true;
}
