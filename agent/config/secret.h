/* Secrets: read from files that are nobody else's, and wiped when they are no longer needed. */
#ifndef TLY_CONFIG_SECRET_H
#define TLY_CONFIG_SECRET_H

#include "agent/base/error.h"

#define TLY_SECRET_BYTES_MAX 65536

/* The file's text without the line break at its end, NUL-terminated; owned by the caller, who wipes
 * it. Refuses what is no regular file (-EINVAL), what others may read or write (-EPERM), an empty
 * file and a NUL inside (TLY_E_MALFORMED). */
int tly_secret_read(const char *path, char **ret_secret, struct tly_error *err) TLY_CHECK;

/* For files that a library reads itself. Refuses what others may read or write (-EPERM), as above;
 * one that is not there is not refused, nor NULL: who opens it will say so. */
int tly_secret_check(const char *path, struct tly_error *err) TLY_CHECK;

/* Overwrites and frees; NULL is fine. */
void tly_secret_free(char *secret);

#endif
