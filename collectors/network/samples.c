/*
 * Numbers of a network namespace to samples, in the order of families.def where one call makes
 * several families.
 */
#include "collectors/network/samples.h"

#include <string.h>

/* More names than any family here has beside the host's id. */
#define LABELS_MAX 2

/* The dimension of one label, or of none with a name of NULL. */
static uint16_t dimension(const struct tly_network_writer *writer, const char *name,
                          struct tly_text value)
{
    const char *names[LABELS_MAX];
    struct tly_text values[LABELS_MAX];
    size_t count = 0;
    if (writer->host) {
        names[count] = "id";
        values[count++] = TLY_TEXT("/");
    }
    if (name != NULL) {
        names[count] = name;
        values[count++] = value;
    }
    return count == 0 ? TLY_DIM_NONE : tly_samples_dim(writer->samples, names, values, count);
}

static void add(const struct tly_network_writer *writer, enum tly_family_id family,
                const char *name, struct tly_text value, int64_t raw)
{
    uint16_t dim = dimension(writer, name, value);
    if (dim != TLY_DIM_NONE || (name == NULL && !writer->host)) {
        tly_samples_add(writer->samples, family, dim, raw);
    }
}

/* ---- interfaces ---- */

static bool shown(struct tly_text name)
{
    static const struct tly_text hidden[] = {{"lo", 2}, {"veth", 4}, {"docker", 6}, {"nerdctl", 7}};
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        if (tly_text_starts(name, hidden[i])) {
            return false;
        }
    }
    return true;
}

static const struct {
    enum tly_family_id family;
    size_t offset;
} device_families[] = {
    {TLY_F_container_network_receive_bytes_total, offsetof(struct tly_net_device, receive.bytes)},
    {TLY_F_container_network_receive_packets_total,
     offsetof(struct tly_net_device, receive.packets)},
    {TLY_F_container_network_receive_packets_dropped_total,
     offsetof(struct tly_net_device, receive.dropped)},
    {TLY_F_container_network_receive_errors_total, offsetof(struct tly_net_device, receive.errors)},
    {TLY_F_container_network_transmit_bytes_total, offsetof(struct tly_net_device, transmit.bytes)},
    {TLY_F_container_network_transmit_packets_total,
     offsetof(struct tly_net_device, transmit.packets)},
    {TLY_F_container_network_transmit_packets_dropped_total,
     offsetof(struct tly_net_device, transmit.dropped)},
    {TLY_F_container_network_transmit_errors_total,
     offsetof(struct tly_net_device, transmit.errors)},
};

size_t tly_network_devices_write(const struct tly_network_writer *writer, struct tly_text text)
{
    struct tly_net_device devices[TLY_NETWORK_DEVICES_MAX];
    uint16_t dims[TLY_NETWORK_DEVICES_MAX];
    struct tly_net_device device;
    size_t count = 0;
    size_t skipped = 0;
    while (tly_net_device_next(&text, &device)) {
        if (!shown(device.name)) {
            continue;
        }
        if (count == TLY_NETWORK_DEVICES_MAX) {
            skipped++;
            continue;
        }
        dims[count] = dimension(writer, "interface", device.name);
        devices[count++] = device;
    }
    for (size_t at = 0; at < sizeof(device_families) / sizeof(device_families[0]); at++) {
        for (size_t i = 0; i < count; i++) {
            const char *number = (const char *)&devices[i] + device_families[at].offset;
            if (dims[i] != TLY_DIM_NONE) {
                tly_samples_add(writer->samples, device_families[at].family, dims[i],
                                *(const int64_t *)(const void *)number);
            }
        }
    }
    return skipped;
}

/* ---- sockets ---- */

/* By the numbers of include/net/tcp_states.h; a socket that is still being made (NEW_SYN_RECV)
 * counts as one that received its SYN. */
static const struct {
    int state, also;
    const char *name;
} tcp_states[] = {
    {1, 0, "established"}, {2, 0, "synsent"},  {3, 12, "synrecv"}, {4, 0, "finwait1"},
    {5, 0, "finwait2"},    {6, 0, "timewait"}, {7, 0, "close"},    {8, 0, "closewait"},
    {9, 0, "lastack"},     {10, 0, "listen"},  {11, 0, "closing"},
};

void tly_network_sockets_write(const struct tly_network_writer *writer,
                               enum tly_network_protocol protocol,
                               const struct tly_net_sockets *sockets)
{
    static const enum tly_family_id families[TLY_NETWORK_PROTOCOLS] = {
        [TLY_NETWORK_TCP] = TLY_F_container_network_tcp_usage_total,
        [TLY_NETWORK_TCP6] = TLY_F_container_network_tcp6_usage_total,
        [TLY_NETWORK_UDP] = TLY_F_container_network_udp_usage_total,
        [TLY_NETWORK_UDP6] = TLY_F_container_network_udp6_usage_total,
    };
    enum tly_family_id family = families[protocol];
    if (protocol == TLY_NETWORK_UDP || protocol == TLY_NETWORK_UDP6) {
        add(writer, family, "udp_state", TLY_TEXT("listen"), sockets->sockets);
        add(writer, family, "udp_state", TLY_TEXT("dropped"), sockets->dropped);
        add(writer, family, "udp_state", TLY_TEXT("rxqueued"), sockets->receive_queued);
        add(writer, family, "udp_state", TLY_TEXT("txqueued"), sockets->transmit_queued);
        return;
    }
    for (size_t i = 0; i < sizeof(tcp_states) / sizeof(tcp_states[0]); i++) {
        int64_t count = sockets->states[tcp_states[i].state];
        if (tcp_states[i].also != 0) {
            count += sockets->states[tcp_states[i].also];
        }
        add(writer, family, "tcp_state", tly_text_of(tcp_states[i].name), count);
    }
}

void tly_network_suspicious_write(const struct tly_network_writer *writer, int64_t pools,
                                  int64_t metadata)
{
    enum tly_family_id family = TLY_F_container_suspicious_connections;
    add(writer, family, "kind", TLY_TEXT("miner_port"), pools);
    add(writer, family, "kind", TLY_TEXT("cloud_metadata"), metadata);
}

void tly_network_peers_write(const struct tly_network_writer *writer, int64_t count)
{
    add(writer, TLY_F_container_remote_endpoints, NULL, (struct tly_text){NULL, 0}, count);
}

/* ---- counters of the protocols ---- */

/* The longest name of net/netstat has 26 bytes. */
#define NAME_MAX_BYTES 64

void tly_network_counters_write(const struct tly_network_writer *writer,
                                struct tly_net_counters counters)
{
    struct tly_text name;
    int64_t value = 0;
    while (tly_net_counters_next(&counters, &name, &value)) {
        char lower[NAME_MAX_BYTES];
        if (name.len > sizeof(lower)) {
            continue;
        }
        for (size_t i = 0; i < name.len; i++) {
            char byte = name.at[i];
            lower[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
        }
        add(writer, TLY_F_container_network_advance_tcp_stats_total, "tcp_state",
            (struct tly_text){lower, name.len}, value);
    }
}

void tly_network_counter_write(const struct tly_network_writer *writer, enum tly_family_id family,
                               struct tly_net_counters counters, struct tly_text name)
{
    struct tly_text found;
    int64_t value = 0;
    while (tly_net_counters_next(&counters, &found, &value)) {
        if (tly_text_equal(found, name)) {
            add(writer, family, NULL, (struct tly_text){NULL, 0}, value);
            return;
        }
    }
}
