/* Unpredictable bytes and identifiers, from getrandom(2). */
#ifndef TLY_BASE_RANDOM_H
#define TLY_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void tly_random_fill(void *to, size_t len); /* aborts if the kernel has no randomness */
uint64_t tly_random_u64(void);

/* Base64 (RFC 4648 section 4, padded) of `len` bytes and a NUL: 4 * ((len + 2) / 3) + 1 bytes. */
void tly_base64_write(const void *bytes, size_t len, char *to);

#endif
