/*
 * gzip members as a receiver, the engine or a rotated log bring them. What was compressed here
 * comes back as it was, also several members in a row; anything else ends within its bound.
 */
#include "agent/codec/gunzip.h"
#include "agent/codec/gzip.h"

#include <stdlib.h>
#include <string.h>

#define INFLATED_MAX (256U << 10)
#define PLAIN_MAX    4096 /* of what is compressed here */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void there_and_back(struct tly_text plain)
{
    struct tly_buf packed;
    struct tly_buf buf;
    tly_buf_init(&packed, INFLATED_MAX);
    tly_buf_init(&buf, 2 * plain.len);
    for (int member = 0; member < 2; member++) {
        insist(tly_gzip_append(&packed, plain, 1) == 0);
    }
    insist(tly_gunzip(tly_buf_text(&packed), &buf) == 0 && buf.len == 2 * plain.len);
    insist(memcmp(buf.at, plain.at, plain.len) == 0);
    insist(memcmp(buf.at + plain.len, plain.at, plain.len) == 0);
    tly_buf_done(&packed);
    tly_buf_done(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_text bytes = {(const char *)data, size};
    struct tly_buf buf;
    tly_buf_init(&buf, INFLATED_MAX);
    int rc = tly_gunzip(bytes, &buf);
    insist(rc < 0 || size == 0 || tly_gunzip_sniff(bytes));
    insist(buf.len <= INFLATED_MAX);
    tly_buf_done(&buf);
    if (size > 0 && size <= PLAIN_MAX) {
        there_and_back(bytes);
    }
    return 0;
}
