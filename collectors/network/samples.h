/*
 * From what was read of one network namespace to samples. Pure.
 */
#ifndef TLY_COLLECTORS_NETWORK_SAMPLES_H
#define TLY_COLLECTORS_NETWORK_SAMPLES_H

#include "agent/codec/network.h"
#include "agent/model/sample.h"

#include <stdbool.h>
#include <stddef.h>

/* Interfaces of one namespace; the rest is left out and counted as an error. */
#define TLY_NETWORK_DEVICES_MAX 256

struct tly_network_writer {
    struct tly_samples *samples;
    bool host; /* every sample has the dimension id="/": the host has no container's row */
};

/* The interfaces of net/dev; returns how many were left out for want of room. Those of bridges and
 * of the other ends of containers' interfaces, and the loopback, are no container's own. */
size_t tly_network_devices_write(const struct tly_network_writer *writer, struct tly_text text);

enum tly_network_protocol {
    TLY_NETWORK_TCP,
    TLY_NETWORK_TCP6,
    TLY_NETWORK_UDP,
    TLY_NETWORK_UDP6,
    TLY_NETWORK_PROTOCOLS
};

void tly_network_sockets_write(const struct tly_network_writer *writer,
                               enum tly_network_protocol protocol,
                               const struct tly_net_sockets *sockets);

/* Connections to ports of mining pools, and to a cloud's metadata. */
void tly_network_suspicious_write(const struct tly_network_writer *writer, int64_t pools,
                                  int64_t metadata);

/* Different remote ends of connections that were opened from within. */
void tly_network_peers_write(const struct tly_network_writer *writer, int64_t count);

/* Every counter of a protocol of net/snmp or net/netstat. */
void tly_network_counters_write(const struct tly_network_writer *writer,
                                struct tly_net_counters counters);

/* The counter `name` of a protocol, if it is there, as a family of its own. */
void tly_network_counter_write(const struct tly_network_writer *writer, enum tly_family_id family,
                               struct tly_net_counters counters, struct tly_text name);

#endif
