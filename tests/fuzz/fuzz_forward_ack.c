/*
 * Acknowledgements as a sender reads them: whole and byte by byte, with the same result.
 */
#include "agent/codec/forward.h"

#include <stdlib.h>

#define IDS_BYTES_MAX (64UL << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int note(void *arg, struct tly_text id)
{
    struct tly_buf *ids = arg;
    return tly_buf_append_text(ids, id) < 0 ? -1 : tly_buf_append_text(ids, TLY_TEXT("|"));
}

static int read_all(const uint8_t *data, size_t size, size_t step, struct tly_buf *ids)
{
    struct tly_value_feed acks;
    struct tly_error err;
    int rc = 0;
    tly_forward_acks_init(&acks);
    for (size_t at = 0; at < size && rc == 0; at += step) {
        struct tly_text part = {(const char *)data + at, size - at < step ? size - at : step};
        rc = tly_forward_acks_read(&acks, part, note, ids, &err);
    }
    if (acks.kept.len > TLY_FORWARD_ACK_BYTES_MAX) {
        abort();
    }
    tly_value_feed_done(&acks);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_buf whole;
    struct tly_buf pieces;
    tly_buf_init(&whole, IDS_BYTES_MAX);
    tly_buf_init(&pieces, IDS_BYTES_MAX);
    int rc = read_all(data, size, size > 0 ? size : 1, &whole);
    if (read_all(data, size, 1, &pieces) != rc ||
        !tly_text_equal(tly_buf_text(&whole), tly_buf_text(&pieces))) {
        abort();
    }
    tly_buf_done(&whole);
    tly_buf_done(&pieces);
    return 0;
}
