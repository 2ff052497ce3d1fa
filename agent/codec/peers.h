/*
 * How many different remote ends a network namespace has connections to that it opened itself: each
 * address and port once, over net/tcp and net/tcp6 together. Those that came to a port at which it
 * listens are left out: their ports are chosen by the other side, and tell of its clients. So are
 * connections to itself. Pure; of bounded size, kept from one namespace to the next.
 */
#ifndef TLY_CODEC_PEERS_H
#define TLY_CODEC_PEERS_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stddef.h>
#include <stdint.h>

/* With more the count stays there. */
#define TLY_PEERS_MAX 16384

#define TLY_PEERS_PORTS 65536

/* Embedded; zeroed before the first use. */
struct tly_peers {
    uint8_t listens[TLY_PEERS_PORTS / 8]; /* a bit for each local port */
    uint64_t *slots;                      /* what stands for an end, 0: free; owned */
    uint64_t seed;                        /* nobody outside can choose what collides */
    size_t cap, mask, count;
};

/* For the next namespace. -ENOMEM. */
int tly_peers_clear(struct tly_peers *peers) TLY_CHECK;
void tly_peers_done(struct tly_peers *peers);

/* A port at which it listens. The kernel lists those first. */
void tly_peers_listen(struct tly_peers *peers, int64_t port);

/* A connection. `remote` is the address as the kernel writes it: 8 or 32 hexadecimal digits, words
 * of four bytes in the machine's order, which is little-endian here. Ports are 1 to 65535. -ENOMEM:
 * it is not counted. */
int tly_peers_add(struct tly_peers *peers, int64_t local_port, struct tly_text remote,
                  int64_t port) TLY_CHECK;

#endif
