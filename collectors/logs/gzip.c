/*
 * Inflating rotated logs, in blocks as they are asked for (RFC 1952, several members allowed).
 */
#include "collectors/logs/gzip.h"

#include "agent/base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#define INPUT_BYTES 16384

/* zlib: the largest window, and a gzip header. */
#define WINDOW_BITS (15 + 16)

struct tly_log_gzip {
    int fd;
    off_t offset; /* of the compressed bytes to read next */
    z_stream z;
    bool inside; /* a member has begun and not ended */
    unsigned char input[INPUT_BYTES];
};

int tly_log_gzip_new(int fd, struct tly_log_gzip **ret_gzip)
{
    struct tly_log_gzip *gzip = calloc(1, sizeof(*gzip));
    if (!gzip || inflateInit2(&gzip->z, WINDOW_BITS) != Z_OK) {
        free(gzip);
        return -ENOMEM;
    }
    gzip->fd = fd;
    *ret_gzip = gzip;
    return 0;
}

void tly_log_gzip_free(struct tly_log_gzip *gzip)
{
    if (gzip) {
        (void)inflateEnd(&gzip->z); /* only says whether all was read */
        free(gzip);
    }
}

/* Some input bytes, if any are left: their number, 0 at the end of the file. */
static ssize_t fill(struct tly_log_gzip *gzip)
{
    if (gzip->z.avail_in == 0) {
        ssize_t count = tly_file_pread(gzip->fd, gzip->input, INPUT_BYTES, gzip->offset);
        if (count <= 0) {
            return count;
        }
        gzip->offset += count;
        gzip->z.next_in = gzip->input;
        gzip->z.avail_in = (uInt)count;
    }
    return gzip->z.avail_in;
}

ssize_t tly_log_gzip_read(struct tly_log_gzip *gzip, char *to, size_t cap)
{
    gzip->z.next_out = (unsigned char *)to;
    gzip->z.avail_out = (uInt)cap;
    while (gzip->z.avail_out > 0) {
        ssize_t count = fill(gzip);
        if (count < 0) {
            return count;
        }
        if (count == 0) {
            break;
        }
        gzip->inside = true;
        int rc = inflate(&gzip->z, Z_NO_FLUSH);
        if (rc == Z_STREAM_END) {
            gzip->inside = false;
            rc = inflateReset(&gzip->z); /* maybe another member follows */
        }
        if (rc != Z_OK && rc != Z_BUF_ERROR && gzip->z.avail_out < cap) {
            break; /* first what is sound; the next call comes to the same fault */
        }
        if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return rc == Z_MEM_ERROR ? -ENOMEM : TLY_E_MALFORMED;
        }
    }
    size_t got = cap - gzip->z.avail_out;
    return got == 0 && gzip->inside ? TLY_E_MALFORMED : (ssize_t)got;
}
