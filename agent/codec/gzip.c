/*
 * gzip by zlib. The output grows in steps, because its size is only known at the end.
 */
#include "agent/codec/gzip.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define ZLIB_CONST /* zlib only reads its input: let its interface say so */
#include <zlib.h>

#define WINDOW_BITS_GZIP (15 + 16) /* the largest window, and the gzip header: see deflateInit2 */
#define MEMORY_LEVEL     8         /* zlib's default */
#define STEP_MIN         4096

struct tly_gzip {
    z_stream stream;
    struct tly_buf *buf;
};

int tly_gzip_new(struct tly_buf *buf, int level, struct tly_gzip **ret_gzip)
{
    struct tly_gzip *gzip = calloc(1, sizeof(*gzip));
    if (gzip == NULL) {
        return -ENOMEM;
    }
    gzip->buf = buf;
    int state = deflateInit2(&gzip->stream, level, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL,
                             Z_DEFAULT_STRATEGY);
    if (state != Z_OK) {
        free(gzip);
        return state == Z_MEM_ERROR ? -ENOMEM : -EINVAL;
    }
    *ret_gzip = gzip;
    return 0;
}

void tly_gzip_free(struct tly_gzip *gzip)
{
    if (gzip == NULL) {
        return;
    }
    (void)deflateEnd(&gzip->stream); /* only says that output was thrown away */
    free(gzip);
}

/* zlib counts in unsigned int: longer runs go in parts. */
static uInt part(size_t len)
{
    return len > UINT_MAX ? UINT_MAX : (uInt)len;
}

/* Room for the next output: all that the buffer has, or a step that doubles it. */
static int step_reserve(struct tly_buf *buf, size_t *ret_room, char **ret_at)
{
    size_t left = buf->max - buf->len;
    size_t room = buf->cap - buf->len > STEP_MIN ? buf->cap - buf->len : STEP_MIN;
    room = room < left ? room : left;
    if (room == 0) {
        return TLY_E_LIMIT;
    }
    int rc = tly_buf_reserve(buf, room, ret_at);
    if (rc < 0) {
        return rc;
    }
    *ret_room = room;
    return 0;
}

/* Lets zlib run once over a part of `piece`, and cuts off what it took. */
static int step(struct tly_gzip *gzip, struct tly_text *piece, int flush, int *ret_state)
{
    char *at;
    size_t room;
    int rc = step_reserve(gzip->buf, &room, &at);
    if (rc < 0) {
        return rc;
    }
    z_stream *stream = &gzip->stream;
    uInt in = part(piece->len);
    uInt out = part(room);
    stream->next_in = (const Bytef *)piece->at;
    stream->avail_in = in;
    stream->next_out = (Bytef *)at;
    stream->avail_out = out;
    *ret_state = deflate(stream, flush);
    if (*ret_state == Z_STREAM_ERROR) {
        return -EINVAL;
    }
    piece->at += in - stream->avail_in;
    piece->len -= in - stream->avail_in;
    gzip->buf->len += out - stream->avail_out;
    return 0;
}

int tly_gzip_add(struct tly_gzip *gzip, struct tly_text piece)
{
    int rc = 0;
    int state;
    while (piece.len > 0 && rc == 0) {
        rc = step(gzip, &piece, Z_NO_FLUSH, &state);
    }
    return rc;
}

int tly_gzip_finish(struct tly_gzip *gzip)
{
    struct tly_text none = TLY_TEXT("");
    int rc = 0;
    int state = Z_OK;
    while (state != Z_STREAM_END && rc == 0) {
        rc = step(gzip, &none, Z_FINISH, &state);
    }
    return rc;
}

int tly_gzip_append(struct tly_buf *buf, struct tly_text plain, int level)
{
    size_t start = buf->len;
    struct tly_gzip *gzip = NULL;
    int rc = tly_gzip_new(buf, level, &gzip);
    if (rc == 0) {
        rc = tly_gzip_add(gzip, plain);
    }
    if (rc == 0) {
        rc = tly_gzip_finish(gzip);
    }
    tly_gzip_free(gzip);
    if (rc < 0) {
        buf->len = start;
    }
    return rc;
}

int tly_gzip_replace(struct tly_buf *buf, int level)
{
    struct tly_buf packed;
    tly_buf_init(&packed, buf->max);
    int rc = tly_gzip_append(&packed, tly_buf_text(buf), level);
    if (rc < 0) {
        tly_buf_done(&packed);
        return rc;
    }
    tly_buf_done(buf);
    *buf = packed;
    return 0;
}
