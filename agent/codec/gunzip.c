/*
 * gzip by zlib. The output grows by doubling as bytes come out, so that a small input that claims
 * to be large costs what it really yields, up to the buffer's maximum.
 */
#include "agent/codec/gunzip.h"

#include <errno.h>
#define ZLIB_CONST /* input is const */
#include <zlib.h>

/* Room that is asked for at a time, unless the buffer has more already. */
#define STEP_BYTES 16384

/* zlib's largest window, and its sign for "a gzip header, nothing else". */
#define WINDOW_BITS_GZIP (15 + 16)

bool tly_gunzip_sniff(struct tly_text bytes)
{
    return bytes.len >= 2 && (unsigned char)bytes.at[0] == 0x1f &&
           (unsigned char)bytes.at[1] == 0x8b;
}

/* Lets zlib write into whatever room `buf` has. At the maximum that is a byte beside it, which has
 * to stay unused: only the end of a member may still come. */
static int inflate_step(z_stream *stream, struct tly_buf *buf, int *ret_status)
{
    size_t left = buf->max - buf->len;
    char beyond;
    char *at = &beyond;
    uInt room = 1;
    if (left > 0) {
        int rc = tly_buf_reserve(buf, left < STEP_BYTES ? left : STEP_BYTES, &at);
        if (rc < 0) {
            return rc;
        }
        size_t there = buf->cap - buf->len < left ? buf->cap - buf->len : left;
        room = there < UINT32_MAX ? (uInt)there : UINT32_MAX;
    }
    stream->next_out = (Bytef *)at;
    stream->avail_out = room;
    *ret_status = inflate(stream, Z_NO_FLUSH);
    size_t written = room - stream->avail_out;
    if (left == 0) {
        return written == 0 ? 0 : TLY_E_LIMIT;
    }
    buf->len += written;
    return 0;
}

static int inflate_members(z_stream *stream, struct tly_buf *buf)
{
    for (;;) {
        int status;
        int rc = inflate_step(stream, buf, &status);
        if (rc < 0) {
            return rc;
        }
        if (status == Z_MEM_ERROR) {
            return -ENOMEM;
        }
        if (status == Z_STREAM_END) {
            if (stream->avail_in == 0) {
                return 0;
            }
            status = inflateReset(stream);
        }
        /* Z_BUF_ERROR: no progress although there was room, so the input ends too early. */
        if (status != Z_OK) {
            return TLY_E_MALFORMED;
        }
    }
}

int tly_gunzip(struct tly_text bytes, struct tly_buf *buf)
{
    if (bytes.len > UINT32_MAX) {
        return TLY_E_LIMIT; /* zlib counts input in 32 bits; frames are far smaller */
    }
    z_stream stream = {0};
    stream.next_in = (const Bytef *)bytes.at;
    stream.avail_in = (uInt)bytes.len;
    if (inflateInit2(&stream, WINDOW_BITS_GZIP) != Z_OK) {
        return -ENOMEM;
    }
    int rc = inflate_members(&stream, buf);
    (void)inflateEnd(&stream); /* fails only for a stream that was never set up */
    return rc;
}
