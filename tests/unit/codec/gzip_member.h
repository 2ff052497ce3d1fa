/* One gzip member by zlib itself, for tests of what reads them. Needs <cmocka.h> before it. */
#ifndef TLY_TESTS_GZIP_MEMBER_H
#define TLY_TESTS_GZIP_MEMBER_H

#include "agent/base/buf.h"

#include <stdint.h>
#include <zlib.h>

#define WINDOW_BITS_GZIP (15 + 16)

static inline void gzip_member(struct tly_buf *packed, struct tly_text plain)
{
    z_stream stream = {0};
    assert_int_equal(
        deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS_GZIP, 8, Z_DEFAULT_STRATEGY),
        Z_OK);
    size_t room = deflateBound(&stream, plain.len);
    char *at;
    assert_int_equal(tly_buf_reserve(packed, room, &at), 0);
    stream.next_in = (Bytef *)(uintptr_t)plain.at;
    stream.avail_in = (uInt)plain.len;
    stream.next_out = (Bytef *)at;
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed->len += room - stream.avail_out;
    assert_int_equal(deflateEnd(&stream), Z_OK);
}

#endif
