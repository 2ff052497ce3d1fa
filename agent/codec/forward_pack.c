/*
 * Compressing frames, and decompressing what gunzip.c does not know. The fast levels: log lines
 * gain little from the slow ones, and every host pays for them.
 */
#include "agent/codec/forward_pack.h"

#include <errno.h>
#include <libdeflate.h>
#include <zstd.h>

#define GZIP_LEVEL 1
#define ZSTD_LEVEL 1

/* What a sender may demand of our memory by its choice of a window (RFC 8878 section 3.1.1.1.2
 * recommends to support 8 MiB). */
#define WINDOW_LOG_MAX 23

struct tly_text tly_forward_compression_name(enum tly_forward_compression compression)
{
    switch (compression) {
    case TLY_FORWARD_GZIP:
        return TLY_TEXT("gzip");
    case TLY_FORWARD_ZSTD:
        return TLY_TEXT("zstd");
    default:
        return (struct tly_text){NULL, 0};
    }
}

static int pack_gzip(struct tly_text plain, struct tly_buf *buf)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(GZIP_LEVEL);
    if (!compressor) {
        return -ENOMEM;
    }
    char *at;
    size_t most = libdeflate_gzip_compress_bound(compressor, plain.len);
    int rc = tly_buf_reserve(buf, most, &at);
    if (rc == 0) {
        /* Never 0: the bound was kept. */
        buf->len += libdeflate_gzip_compress(compressor, plain.at, plain.len, at, most);
    }
    libdeflate_free_compressor(compressor);
    return rc;
}

static int pack_zstd(struct tly_text plain, struct tly_buf *buf)
{
    char *at;
    size_t most = ZSTD_compressBound(plain.len);
    int rc = tly_buf_reserve(buf, most, &at);
    if (rc < 0) {
        return rc;
    }
    size_t len = ZSTD_compress(at, most, plain.at, plain.len, ZSTD_LEVEL);
    if (ZSTD_isError(len)) {
        return -ENOMEM; /* all else is excluded by the bound */
    }
    buf->len += len;
    return 0;
}

int tly_forward_pack(enum tly_forward_compression compression, struct tly_text plain,
                     struct tly_buf *buf)
{
    switch (compression) {
    case TLY_FORWARD_GZIP:
        return pack_gzip(plain, buf);
    case TLY_FORWARD_ZSTD:
        return pack_zstd(plain, buf);
    default:
        return tly_buf_append_text(buf, plain);
    }
}

bool tly_forward_is_zstd(struct tly_text bytes)
{
    return tly_text_starts(bytes, TLY_TEXT("\x28\xb5\x2f\xfd"));
}

/* One step: as much as `buf` has room for now. `ret_left` 0: a frame has ended. */
static int unpack_step(ZSTD_DStream *stream, ZSTD_inBuffer *in, struct tly_buf *buf,
                       size_t *ret_left)
{
    char *at;
    size_t room = buf->max - buf->len;
    size_t want = ZSTD_DStreamOutSize();
    /* At the bound a byte more is asked for, to tell the end from a limit that is passed. */
    char beyond;
    if (room > 0) {
        int rc = tly_buf_reserve(buf, room < want ? room : want, &at);
        if (rc < 0) {
            return rc;
        }
        room = room < want ? room : want;
    }
    ZSTD_outBuffer out = {.dst = room > 0 ? at : &beyond, .size = room > 0 ? room : 1};
    size_t left = ZSTD_decompressStream(stream, &out, in);
    if (ZSTD_isError(left)) {
        return TLY_E_MALFORMED;
    }
    if (room == 0 && out.pos > 0) {
        return TLY_E_LIMIT;
    }
    if (left > 0 && out.pos < out.size && in->pos == in->size) {
        return TLY_E_MALFORMED; /* cut off */
    }
    buf->len += out.pos;
    *ret_left = left;
    return 0;
}

int tly_forward_unpack_zstd(struct tly_text bytes, struct tly_buf *buf)
{
    if (bytes.len == 0) {
        return TLY_E_MALFORMED;
    }
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (!stream) {
        return -ENOMEM;
    }
    ZSTD_inBuffer in = {.src = bytes.at, .size = bytes.len};
    size_t left = 0;
    size_t set = ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    int rc = ZSTD_isError(set) ? -EINVAL : 0;
    while (rc == 0 && (in.pos < in.size || left > 0)) {
        rc = unpack_step(stream, &in, buf, &left);
    }
    (void)ZSTD_freeDStream(stream); /* always 0 */
    return rc;
}
