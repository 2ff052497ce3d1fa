/*
 * A set of hashes with open addressing, never more than half full. An end is told by 64 bits of
 * hash alone: two of sixteen thousand are taken for one once in a hundred thousand million times.
 */
#include "agent/codec/peers.h"

#include "agent/base/random.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 256

/* IPv4 in IPv6, ::ffff:0:0/96. */
static const struct tly_text mapped = {"0000000000000000FFFF0000", 24};
/* 127.0.0.0/8 ends in the byte that comes first in an address; and ::1. */
#define IPV4_DIGITS 8
static const struct tly_text loopback_end = {"7F", 2};
static const struct tly_text loopback6 = {"00000000000000000000000001000000", 32};

int tly_peers_clear(struct tly_peers *peers)
{
    if (peers->cap == 0) {
        peers->slots = calloc(SLOTS_MIN, sizeof(*peers->slots));
        if (peers->slots == NULL) {
            return -ENOMEM;
        }
        peers->cap = SLOTS_MIN;
        peers->seed = tly_random_u64();
    }
    memset(peers->listens, 0, sizeof(peers->listens));
    peers->mask = SLOTS_MIN - 1;
    peers->count = 0;
    memset(peers->slots, 0, SLOTS_MIN * sizeof(*peers->slots));
    return 0;
}

void tly_peers_done(struct tly_peers *peers)
{
    free(peers->slots);
    *peers = (struct tly_peers){0};
}

void tly_peers_listen(struct tly_peers *peers, int64_t port)
{
    if (port > 0 && port < TLY_PEERS_PORTS) {
        peers->listens[port / 8] |= (uint8_t)(1U << (port % 8));
    }
}

/* ---- the set ---- */

static uint64_t mix(uint64_t hash)
{
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93U;
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93U;
    return hash ^ (hash >> 32);
}

static uint64_t hash_of(uint64_t seed, struct tly_text address, int64_t port)
{
    uint64_t hash = mix(seed ^ ((uint64_t)port + address.len * TLY_PEERS_PORTS));
    for (size_t at = 0; at < address.len; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        size_t left = address.len - at;
        memcpy(&word, address.at + at, left < sizeof(word) ? left : sizeof(word));
        hash = mix(hash ^ word);
    }
    return hash == 0 ? 1 : hash;
}

static void put(struct tly_peers *peers, uint64_t hash)
{
    size_t at = hash & peers->mask;
    while (peers->slots[at] != 0 && peers->slots[at] != hash) {
        at = (at + 1) & peers->mask;
    }
    peers->count += peers->slots[at] == 0;
    peers->slots[at] = hash;
}

/* Doubles the slots in use. */
static int grow(struct tly_peers *peers)
{
    size_t slots = peers->mask + 1;
    uint64_t *old = malloc(slots * sizeof(*old));
    if (old == NULL) {
        return -ENOMEM;
    }
    if (slots * 2 > peers->cap) {
        uint64_t *grown = reallocarray(peers->slots, slots * 2, sizeof(*grown));
        if (grown == NULL) {
            free(old);
            return -ENOMEM;
        }
        peers->slots = grown;
        peers->cap = slots * 2;
    }
    memcpy(old, peers->slots, slots * sizeof(*old));
    memset(peers->slots, 0, slots * 2 * sizeof(*peers->slots));
    peers->mask = slots * 2 - 1;
    peers->count = 0;
    for (size_t i = 0; i < slots; i++) {
        if (old[i] != 0) {
            put(peers, old[i]);
        }
    }
    free(old);
    return 0;
}

/* ---- connections ---- */

static bool is_loopback(struct tly_text address)
{
    return address.len == IPV4_DIGITS ? tly_text_ends(address, loopback_end)
                                      : tly_text_equal(address, loopback6);
}

int tly_peers_add(struct tly_peers *peers, int64_t local_port, struct tly_text remote, int64_t port)
{
    if (local_port > 0 && local_port < TLY_PEERS_PORTS &&
        (peers->listens[local_port / 8] & (1U << (local_port % 8))) != 0) {
        return 0;
    }
    if (remote.len == mapped.len + IPV4_DIGITS && tly_text_starts(remote, mapped)) {
        remote = (struct tly_text){remote.at + mapped.len, IPV4_DIGITS};
    }
    if (is_loopback(remote) || peers->count == TLY_PEERS_MAX) {
        return 0;
    }
    int rc = (peers->count + 1) * 2 > peers->mask + 1 ? grow(peers) : 0;
    if (rc == 0) {
        put(peers, hash_of(peers->seed, remote, port));
    }
    return rc;
}
