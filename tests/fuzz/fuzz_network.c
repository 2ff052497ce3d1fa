/*
 * Every parser of /proc/<pid>/net on the same bytes: none may read past the end, count what is not
 * there, or depend on the size of the pieces.
 */
#include "agent/codec/network.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void devices(struct tly_text text)
{
    struct tly_net_device device;
    while (tly_net_device_next(&text, &device)) {
        if (device.name.len == 0 || device.receive.bytes < 0 || device.transmit.dropped < 0) {
            abort();
        }
    }
}

static void counters(struct tly_text text)
{
    struct tly_net_counters found;
    struct tly_text name;
    int64_t value = 0;
    size_t count = 0;
    if (!tly_net_counters_find(text, TLY_TEXT("Tcp:"), &found)) {
        return;
    }
    while (tly_net_counters_next(&found, &name, &value)) {
        if (name.len == 0 || ++count > text.len) {
            abort();
        }
    }
}

static struct tly_net_sockets sockets(struct tly_text text, size_t piece, struct tly_peers *peers)
{
    struct tly_net_sockets sums;
    if (tly_peers_clear(peers) < 0) {
        abort();
    }
    tly_net_sockets_init(&sums, peers);
    while (text.len > 0) {
        size_t len = text.len < piece ? text.len : piece;
        tly_net_sockets_feed(&sums, (struct tly_text){text.at, len});
        text = (struct tly_text){text.at + len, text.len - len};
    }
    tly_net_sockets_end(&sums);
    return sums;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of just this size, so that the sanitizer sees a read past the end. */
    char *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    struct tly_text text = {copy, size};
    devices(text);
    counters(text);
    static struct tly_peers whole_peers;
    static struct tly_peers piece_peers;
    struct tly_net_sockets whole = sockets(text, size + 1, &whole_peers);
    struct tly_net_sockets pieces = sockets(text, 7, &piece_peers);
    if (whole.sockets != pieces.sockets || whole.dropped != pieces.dropped ||
        whole.receive_queued != pieces.receive_queued || whole_peers.count != piece_peers.count ||
        whole_peers.count > (size_t)whole.sockets ||
        memcmp(whole.states, pieces.states, sizeof(whole.states)) != 0) {
        abort();
    }
    free(copy);
    return 0;
}
