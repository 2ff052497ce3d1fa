/*
 * The credentials of an Authorization header, scheme Basic (RFC 7617): base64 of "user:password".
 * Pure and bounded.
 */
#ifndef TLY_CODEC_BASIC_AUTH_H
#define TLY_CODEC_BASIC_AUTH_H

#include "agent/base/error.h"
#include "agent/base/text.h"

/* User name and password together, decoded. A longer header is nobody's. */
#define TLY_BASIC_AUTH_BYTES_MAX 1024

struct tly_basic_auth {
    char user[TLY_BASIC_AUTH_BYTES_MAX + 1];     /* NUL-terminated, without a NUL or colon inside */
    char password[TLY_BASIC_AUTH_BYTES_MAX + 1]; /* the same; a colon may stand in it */
};

/* TLY_E_MALFORMED for any other scheme, for what is not base64, without a colon, with a NUL, or too
 * long; nothing of it stays in memory then. After success the caller wipes it. */
int tly_basic_auth_parse(struct tly_text header, struct tly_basic_auth *ret_auth) TLY_CHECK;

/* Overwrites the credentials. */
void tly_basic_auth_wipe(struct tly_basic_auth *auth);

#endif
