/*
 * Compressing frames, and decompressing what gunzip.c does not know. The fast levels: log lines
 * gain little from the slow ones, and every host pays for them.
 *
 * gzip is made by whichever of two is cheaper for what came last. libdeflate is nearly twice as
 * fast as zlib where text varies, but looks up every byte that it then leaves out; zlib does not,
 * and is faster by a fifth where lines repeat each other nearly whole. docs/performance.md has
 * figures.
 */
#include "agent/codec/forward_pack.h"

#include <errno.h>
#include <libdeflate.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define ZLIB_CONST /* zlib only reads its input: let its interface say so */
#include <zlib.h>

#define GZIP_LEVEL 1
#define ZSTD_LEVEL 1

/* What shrinks to less than one part in so many repeats itself: about where the two cost the same.
 */
#define REPETITIVE_RATIO 16

/* RFC 1952 section 2.3: no name, no time, the fastest level, Unix; and the checksum and length. */
static const char gzip_head[] = "\x1f\x8b\x08\0\0\0\0\0\x04\x03";
#define GZIP_HEAD_BYTES (sizeof(gzip_head) - 1)
#define GZIP_TAIL_BYTES 8

/* deflateInit2 and deflateTune of zlib's level 1, but for `nice`: any match but the longest of all
 * may be bettered, for long ones are what repetitive text is made of. */
#define WINDOW_BITS_RAW (-15)
#define MEMORY_LEVEL    8
#define TUNE_GOOD       4
#define TUNE_LAZY       4
#define TUNE_NICE       258
#define TUNE_CHAIN      4

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

struct tly_forward_packer {
    struct libdeflate_compressor *gzip; /* one of the two */
    ZSTD_CCtx *zstd;
    z_stream zlib; /* beside `gzip`, once it was needed */
    bool has_zlib;
    bool repetitive; /* what came last was */
};

int tly_forward_packer_new(enum tly_forward_compression compression,
                           struct tly_forward_packer **ret_packer)
{
    struct tly_forward_packer *packer = calloc(1, sizeof(*packer));
    if (!packer) {
        return -ENOMEM;
    }
    if (compression == TLY_FORWARD_GZIP) {
        packer->gzip = libdeflate_alloc_compressor(GZIP_LEVEL);
    } else {
        packer->zstd = ZSTD_createCCtx();
    }
    if (!packer->gzip && !packer->zstd) {
        free(packer);
        return -ENOMEM;
    }
    *ret_packer = packer;
    return 0;
}

void tly_forward_packer_free(struct tly_forward_packer *packer)
{
    if (packer) {
        libdeflate_free_compressor(packer->gzip);
        (void)ZSTD_freeCCtx(packer->zstd); /* always 0 */
        if (packer->has_zlib) {
            (void)deflateEnd(&packer->zlib); /* only says that output was thrown away */
        }
        free(packer);
    }
}

static int pack_libdeflate(struct libdeflate_compressor *compressor, struct tly_text plain,
                           struct tly_buf *buf)
{
    char *at;
    size_t most = libdeflate_gzip_compress_bound(compressor, plain.len);
    int rc = tly_buf_reserve(buf, most, &at);
    if (rc == 0) {
        /* Never 0: the bound was kept. */
        buf->len += libdeflate_gzip_compress(compressor, plain.at, plain.len, at, most);
    }
    return rc;
}

static int zlib_ready(struct tly_forward_packer *packer)
{
    z_stream *zlib = &packer->zlib;
    if (!packer->has_zlib) {
        *zlib = (z_stream){.next_in = NULL};
        packer->has_zlib = deflateInit2(zlib, GZIP_LEVEL, Z_DEFLATED, WINDOW_BITS_RAW, MEMORY_LEVEL,
                                        Z_DEFAULT_STRATEGY) == Z_OK;
    }
    bool ready = packer->has_zlib && deflateReset(zlib) == Z_OK &&
                 deflateTune(zlib, TUNE_GOOD, TUNE_LAZY, TUNE_NICE, TUNE_CHAIN) == Z_OK;
    return ready ? 0 : -ENOMEM;
}

static char *put_u32(char *at, uint32_t value)
{
    for (unsigned shift = 0; shift < 32; shift += 8) {
        *at++ = (char)(value >> shift);
    }
    return at;
}

/* The frame around it is ours, for libdeflate's checksum takes a tenth of the time of zlib's. */
static int pack_zlib(struct tly_forward_packer *packer, struct tly_text plain, struct tly_buf *buf)
{
    z_stream *zlib = &packer->zlib;
    char *at;
    int rc = zlib_ready(packer);
    if (rc < 0) {
        return rc;
    }
    size_t most = deflateBound(zlib, plain.len);
    rc = tly_buf_reserve(buf, GZIP_HEAD_BYTES + most + GZIP_TAIL_BYTES, &at);
    if (rc < 0) {
        return rc;
    }
    memcpy(at, gzip_head, GZIP_HEAD_BYTES);
    zlib->next_in = (const Bytef *)plain.at;
    zlib->avail_in = (uInt)plain.len;
    zlib->next_out = (Bytef *)at + GZIP_HEAD_BYTES;
    zlib->avail_out = (uInt)most;
    if (deflate(zlib, Z_FINISH) != Z_STREAM_END) {
        return -ENOMEM; /* can't be: the bound was kept */
    }
    char *tail = put_u32(at + GZIP_HEAD_BYTES + zlib->total_out,
                         libdeflate_crc32(0, plain.at, plain.len));
    tail = put_u32(tail, (uint32_t)plain.len);
    buf->len += (size_t)(tail - at);
    return 0;
}

static int pack_gzip(struct tly_forward_packer *packer, struct tly_text plain, struct tly_buf *buf)
{
    size_t before = buf->len;
    bool by_zlib = packer->repetitive && plain.len < UINT_MAX / 2; /* zlib counts so far */
    int rc = by_zlib ? pack_zlib(packer, plain, buf) : pack_libdeflate(packer->gzip, plain, buf);
    if (rc == 0) {
        packer->repetitive = (buf->len - before) * REPETITIVE_RATIO < plain.len;
    }
    return rc;
}

static int pack_zstd(ZSTD_CCtx *context, struct tly_text plain, struct tly_buf *buf)
{
    char *at;
    size_t most = ZSTD_compressBound(plain.len);
    int rc = tly_buf_reserve(buf, most, &at);
    if (rc < 0) {
        return rc;
    }
    size_t len = ZSTD_compressCCtx(context, at, most, plain.at, plain.len, ZSTD_LEVEL);
    if (ZSTD_isError(len)) {
        return -ENOMEM; /* all else is excluded by the bound */
    }
    buf->len += len;
    return 0;
}

int tly_forward_pack(struct tly_forward_packer *packer, struct tly_text plain, struct tly_buf *buf)
{
    return packer->gzip ? pack_gzip(packer, plain, buf) : pack_zstd(packer->zstd, plain, buf);
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
