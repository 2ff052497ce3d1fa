/*
 * Basic credentials. Base64 is decoded strictly, by hand, into a buffer of known size, because what
 * it holds is a password: no copy of it stays behind.
 */
#include "agent/codec/basic_auth.h"

#include <stdint.h>
#include <strings.h>

#define SCHEME "Basic "

void tly_basic_auth_wipe(struct tly_basic_auth *auth)
{
    explicit_bzero(auth, sizeof(*auth));
}

/* The six bits of a digit, or -1. */
static int digit_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52;
    }
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* RFC 4648 section 4, padded; at most `max` bytes. */
static int base64_decode(struct tly_text text, char *to, size_t max, size_t *ret_len)
{
    if (text.len == 0 || text.len % 4 != 0) {
        return TLY_E_MALFORMED;
    }
    size_t padding = text.at[text.len - 1] != '=' ? 0 : text.at[text.len - 2] != '=' ? 1 : 2;
    size_t len = text.len / 4 * 3 - padding;
    if (len > max) {
        return TLY_E_MALFORMED;
    }
    uint32_t bits = 0;
    size_t written = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = i >= text.len - padding ? 0 : digit_value(text.at[i]);
        if (value < 0) {
            return TLY_E_MALFORMED;
        }
        bits = bits << 6 | (uint32_t)value;
        for (unsigned shift = 16; i % 4 == 3 && written < len; shift -= 8) {
            to[written++] = (char)(bits >> shift & 0xFF);
            if (shift == 0) {
                break;
            }
        }
    }
    /* Bits that no byte has must be 0, so that credentials have one form only. */
    if ((bits & ((UINT32_C(1) << 8 * padding) - 1)) != 0) {
        return TLY_E_MALFORMED;
    }
    *ret_len = len;
    return 0;
}

static int split(const char *bytes, size_t len, struct tly_basic_auth *to)
{
    const char *colon = memchr(bytes, ':', len);
    if (colon == NULL || memchr(bytes, '\0', len) != NULL) {
        return TLY_E_MALFORMED;
    }
    size_t user_len = (size_t)(colon - bytes);
    memcpy(to->user, bytes, user_len);
    to->user[user_len] = '\0';
    memcpy(to->password, colon + 1, len - user_len - 1);
    to->password[len - user_len - 1] = '\0';
    return 0;
}

int tly_basic_auth_parse(struct tly_text header, struct tly_basic_auth *ret_auth)
{
    size_t scheme_len = strlen(SCHEME);
    if (header.len < scheme_len || strncasecmp(header.at, SCHEME, scheme_len) != 0) {
        return TLY_E_MALFORMED;
    }
    struct tly_text digits = tly_text_trim(
        (struct tly_text){header.at + scheme_len, header.len - scheme_len});
    char bytes[TLY_BASIC_AUTH_BYTES_MAX];
    size_t len = 0;
    int rc = base64_decode(digits, bytes, sizeof(bytes), &len);
    if (rc == 0) {
        rc = split(bytes, len, ret_auth);
    }
    explicit_bzero(bytes, sizeof(bytes));
    return rc;
}
