/*
 * The files of /proc/<pid>/net, from text to numbers: the interfaces, the protocol counters and the
 * tables of sockets of one network namespace. Pure. The formats are those of the kernel's
 * net/core/net-procfs.c, net/ipv4/proc.c, net/ipv4/tcp_ipv4.c and net/ipv4/udp.c.
 */
#ifndef TLY_CODEC_NETWORK_H
#define TLY_CODEC_NETWORK_H

#include "agent/base/text.h"
#include "agent/codec/peers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- net/dev ---- */

struct tly_net_way {
    int64_t bytes, packets, errors, dropped;
};

struct tly_net_device {
    struct tly_text name; /* borrowed from the text */
    struct tly_net_way receive, transmit;
};

/* Cuts the next interface off `rest`; lines that are none, the two of the head among them, are
 * passed over. False at the end. A number over INT64_MAX counts as INT64_MAX. */
bool tly_net_device_next(struct tly_text *rest, struct tly_net_device *ret_device);

/* ---- net/snmp and net/netstat ---- */

/* One protocol: a line of names and a line of values, walked side by side. */
struct tly_net_counters {
    struct tly_text names, values;
};

/* The lines that begin with `protocol`, such as "Tcp:"; false where there are none. */
bool tly_net_counters_find(struct tly_text text, struct tly_text protocol,
                           struct tly_net_counters *ret_counters);
/* The next name and value; false at the end. A value that is no number is passed over. */
bool tly_net_counters_next(struct tly_net_counters *counters, struct tly_text *ret_name,
                           int64_t *ret_value);

/* ---- net/tcp, net/tcp6, net/udp, net/udp6 ---- */

/* The states of include/net/tcp_states.h that the column `st` may have; the others are counted in
 * `sockets` alone. */
#define TLY_NET_STATES 13

/* A line of net/udp6 is 170 bytes long; what is behind that many is cut off. */
#define TLY_NET_LINE_MAX 256

/* The sum over one table. It is fed in pieces, as the file may have megabytes. */
struct tly_net_sockets {
    int64_t states[TLY_NET_STATES];
    int64_t sockets;
    int64_t transmit_queued, receive_queued; /* bytes */
    int64_t dropped;                         /* the last column of net/udp */
    int64_t pools, metadata; /* connections to ports of mining pools, to a cloud's metadata */
    struct tly_peers *peers; /* borrowed; NULL: nobody asks for them */
    bool cut; /* whoever feeds it gave up before the end: each sum is the least that it can be */
    char line[TLY_NET_LINE_MAX];
    size_t len;
};

/* `peers`, which may be NULL, gets the ends of TCP connections. */
void tly_net_sockets_init(struct tly_net_sockets *sockets, struct tly_peers *peers);
void tly_net_sockets_feed(struct tly_net_sockets *sockets, struct tly_text piece);
/* Counts a last line without an end. */
void tly_net_sockets_end(struct tly_net_sockets *sockets);

#endif
