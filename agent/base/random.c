/*
 * Unpredictable bytes from the kernel, and Base64 to write them as text. Stateless.
 */
#include "agent/base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void tly_random_fill(void *to, size_t len)
{
    char *at = to;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            /* Chunk ids and salts from a guessable source would be wrong in silence. */
            abort();
        }
        at += got;
        len -= (size_t)got;
    }
}

uint64_t tly_random_u64(void)
{
    uint64_t value;
    tly_random_fill(&value, sizeof(value));
    return value;
}

void tly_base64_write(const void *bytes, size_t len, char *to)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = bytes;
    for (; len >= 3; at += 3, len -= 3) {
        *to++ = alphabet[at[0] >> 2];
        *to++ = alphabet[(at[0] & 0x03) << 4 | at[1] >> 4];
        *to++ = alphabet[(at[1] & 0x0F) << 2 | at[2] >> 6];
        *to++ = alphabet[at[2] & 0x3F];
    }
    if (len > 0) {
        unsigned second = len > 1 ? at[1] : 0;
        *to++ = alphabet[at[0] >> 2];
        *to++ = alphabet[(at[0] & 0x03U) << 4 | second >> 4];
        *to++ = len > 1 ? alphabet[(second & 0x0F) << 2] : '=';
        *to++ = '=';
    }
    *to = '\0';
}
