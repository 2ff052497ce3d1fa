/*
 * Authorization headers: any bytes end in credentials without a NUL or a colon where none may be,
 * or in nothing.
 */
#include "agent/codec/basic_auth.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_basic_auth auth;
    int rc = tly_basic_auth_parse((struct tly_text){(const char *)data, size}, &auth);
    if (rc != 0 && rc != TLY_E_MALFORMED) {
        abort();
    }
    if (rc == 0) {
        if (strchr(auth.user, ':') != NULL ||
            strlen(auth.user) + strlen(auth.password) + 1 > TLY_BASIC_AUTH_BYTES_MAX) {
            abort();
        }
        tly_basic_auth_wipe(&auth);
    }
    return 0;
}
