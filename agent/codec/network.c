/*
 * Parsers of /proc/<pid>/net. They run for every namespace at each tick, walk the text once and
 * allocate nothing. Whoever lives in the namespace chooses the names of interfaces, nothing else.
 */
#include "agent/codec/network.h"

#include "agent/codec/suspect.h"

#include <string.h>

/* The next word of a line, which is cut off `rest`; empty at the end. */
static struct tly_text word_cut(struct tly_text *rest)
{
    size_t start = 0;
    while (start < rest->len && (rest->at[start] == ' ' || rest->at[start] == '\t')) {
        start++;
    }
    size_t end = start;
    while (end < rest->len && rest->at[end] != ' ' && rest->at[end] != '\t') {
        end++;
    }
    struct tly_text word = {rest->at + start, end - start};
    *rest = (struct tly_text){rest->at + end, rest->len - end};
    return word;
}

/* A count in decimal; false when the word is none. Saturates. */
static bool count_parse(struct tly_text word, int64_t *ret_value)
{
    int64_t value = 0;
    for (size_t i = 0; i < word.len; i++) {
        unsigned digit = (unsigned char)word.at[i] - (unsigned)'0';
        if (digit > 9) {
            return false;
        }
        value = value > (INT64_MAX - 9) / 10 ? INT64_MAX : value * 10 + digit;
    }
    *ret_value = value;
    return word.len > 0;
}

/* ---- net/dev ---- */

/* Columns of one direction: bytes, packets, errors and dropped come first in both. */
#define WAY_COLUMNS 8

static bool way_parse(struct tly_text *rest, struct tly_net_way *way)
{
    int64_t columns[WAY_COLUMNS];
    for (size_t i = 0; i < WAY_COLUMNS; i++) {
        if (!count_parse(word_cut(rest), &columns[i])) {
            return false;
        }
    }
    *way = (struct tly_net_way){columns[0], columns[1], columns[2], columns[3]};
    return true;
}

bool tly_net_device_next(struct tly_text *rest, struct tly_net_device *ret_device)
{
    while (rest->at != NULL) {
        struct tly_text line = tly_text_cut(rest, '\n');
        /* The kernel allows no colon in a name. */
        const char *colon = line.len == 0 ? NULL : memchr(line.at, ':', line.len);
        if (colon == NULL) {
            continue;
        }
        size_t before = (size_t)(colon - line.at);
        struct tly_net_device device;
        device.name = tly_text_trim((struct tly_text){line.at, before});
        struct tly_text numbers = {colon + 1, line.len - before - 1};
        if (device.name.len > 0 && way_parse(&numbers, &device.receive) &&
            way_parse(&numbers, &device.transmit)) {
            *ret_device = device;
            return true;
        }
    }
    return false;
}

/* ---- net/snmp and net/netstat ---- */

bool tly_net_counters_find(struct tly_text text, struct tly_text protocol,
                           struct tly_net_counters *ret_counters)
{
    while (text.at != NULL) {
        struct tly_text names = tly_text_cut(&text, '\n');
        if (!tly_text_starts(names, protocol) || text.at == NULL) {
            continue;
        }
        struct tly_text values = tly_text_cut(&text, '\n');
        if (!tly_text_starts(values, protocol)) {
            return false;
        }
        *ret_counters = (struct tly_net_counters){
            .names = {names.at + protocol.len, names.len - protocol.len},
            .values = {values.at + protocol.len, values.len - protocol.len},
        };
        return true;
    }
    return false;
}

bool tly_net_counters_next(struct tly_net_counters *counters, struct tly_text *ret_name,
                           int64_t *ret_value)
{
    while (true) {
        struct tly_text name = word_cut(&counters->names);
        struct tly_text value = word_cut(&counters->values);
        if (name.len == 0 || value.len == 0) {
            return false;
        }
        bool negative = value.at[0] == '-'; /* Tcp: MaxConn is -1 */
        int64_t number = 0;
        if (count_parse((struct tly_text){value.at + negative, value.len - negative}, &number)) {
            *ret_name = name;
            *ret_value = negative ? -number : number;
            return true;
        }
    }
}

/* ---- tables of sockets ---- */

static bool hex_parse(struct tly_text word, int64_t *ret_value)
{
    int64_t value = 0;
    if (word.len == 0 || word.len > 8) { /* what a queue or a state has at most */
        return false;
    }
    for (size_t i = 0; i < word.len; i++) {
        char byte = word.at[i];
        int digit = byte >= '0' && byte <= '9'   ? byte - '0'
                    : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                    : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                                                 : -1;
        if (digit < 0) {
            return false;
        }
        value = value * 16 + digit;
    }
    *ret_value = value;
    return true;
}

/* Where clouds tell an instance about itself, its credentials among it: 169.254.169.254, the same
 * mapped into IPv6, and fd00:ec2::254. As the kernel writes addresses: words of four bytes in the
 * machine's order, which is little-endian here. */
static const struct tly_text metadata_addresses[] = {
    {"FEA9FEA9", 8},
    {"0000000000000000FFFF0000FEA9FEA9", 32},
    {"C20E00FD000000000000000054020000", 32},
};

/* "address:port" of both sides. Listeners have port 0 on the other one. */
static void remote_count(struct tly_net_sockets *sockets, struct tly_text local,
                         struct tly_text remote)
{
    struct tly_text address = tly_text_cut(&remote, ':');
    int64_t local_port = 0;
    int64_t port = 0;
    (void)tly_text_cut(&local, ':');
    if (!hex_parse(remote, &port) || !hex_parse(local, &local_port)) {
        return;
    }
    if (port == 0) {
        if (sockets->peers != NULL) {
            tly_peers_listen(sockets->peers, local_port);
        }
        return;
    }
    if (sockets->peers != NULL && tly_peers_add(sockets->peers, local_port, address, port) < 0) {
        sockets->peers = NULL; /* no memory: whoever gave them sees that they are not whole */
    }
    sockets->pools += tly_suspect_is_pool_port(port);
    for (size_t i = 0; i < sizeof(metadata_addresses) / sizeof(metadata_addresses[0]); i++) {
        sockets->metadata += tly_text_equal(address, metadata_addresses[i]);
    }
}

/* "sl: local remote st tx:rx ... drops"; anything else is no socket, the head line among it. */
static void line_count(struct tly_net_sockets *sockets)
{
    struct tly_text rest = {sockets->line, sockets->len};
    sockets->len = 0;
    struct tly_text number = word_cut(&rest);
    struct tly_text local = word_cut(&rest);
    struct tly_text remote = word_cut(&rest);
    int64_t state = 0;
    if (!tly_text_ends(number, TLY_TEXT(":")) || !hex_parse(word_cut(&rest), &state)) {
        return;
    }
    sockets->sockets++;
    remote_count(sockets, local, remote);
    if (state < TLY_NET_STATES) {
        sockets->states[state]++;
    }
    struct tly_text receive = word_cut(&rest);
    struct tly_text transmit = receive.len == 0 ? receive : tly_text_cut(&receive, ':');
    int64_t value = 0;
    if (hex_parse(transmit, &value)) {
        sockets->transmit_queued += value;
    }
    if (receive.at != NULL && hex_parse(receive, &value)) {
        sockets->receive_queued += value;
    }
    struct tly_text last = {NULL, 0};
    for (struct tly_text word = word_cut(&rest); word.len > 0; word = word_cut(&rest)) {
        last = word;
    }
    if (count_parse(last, &value) && sockets->dropped <= INT64_MAX - value) {
        sockets->dropped += value;
    }
}

void tly_net_sockets_init(struct tly_net_sockets *sockets, struct tly_peers *peers)
{
    *sockets = (struct tly_net_sockets){.peers = peers};
}

void tly_net_sockets_feed(struct tly_net_sockets *sockets, struct tly_text piece)
{
    while (piece.len > 0) {
        const char *newline = memchr(piece.at, '\n', piece.len);
        size_t len = newline == NULL ? piece.len : (size_t)(newline - piece.at);
        size_t room = sizeof(sockets->line) - sockets->len;
        size_t kept = len < room ? len : room;
        memcpy(sockets->line + sockets->len, piece.at, kept);
        sockets->len += kept;
        if (newline == NULL) {
            return;
        }
        line_count(sockets);
        piece = (struct tly_text){newline + 1, piece.len - len - 1};
    }
}

void tly_net_sockets_end(struct tly_net_sockets *sockets)
{
    line_count(sockets);
}
