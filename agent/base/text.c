/*
 * Pure functions on views of bytes. They take any byte, including NUL, and own nothing but what
 * tly_text_dup hands out.
 */
#include "agent/base/text.h"

#include <errno.h>
#include <stdlib.h>

/* Longer texts are no misspelling of each other, and two rows of this size fit the stack. */
#define DISTANCE_LEN_MAX 64

bool tly_text_starts(struct tly_text text, struct tly_text prefix)
{
    return text.len >= prefix.len &&
           (prefix.len == 0 || memcmp(text.at, prefix.at, prefix.len) == 0);
}

bool tly_text_ends(struct tly_text text, struct tly_text suffix)
{
    return text.len >= suffix.len &&
           (suffix.len == 0 || memcmp(text.at + text.len - suffix.len, suffix.at, suffix.len) == 0);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct tly_text tly_text_trim(struct tly_text text)
{
    while (text.len > 0 && is_blank(text.at[0])) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.at[text.len - 1])) {
        text.len--;
    }
    return text;
}

struct tly_text tly_text_cut(struct tly_text *rest, char separator)
{
    const char *found = rest->len > 0 ? memchr(rest->at, separator, rest->len) : NULL;
    if (!found) {
        struct tly_text last = *rest;
        *rest = (struct tly_text){NULL, 0};
        return last;
    }
    struct tly_text part = {rest->at, (size_t)(found - rest->at)};
    rest->at = found + 1;
    rest->len -= part.len + 1;
    return part;
}

int tly_text_u64(struct tly_text text, uint64_t *ret_value)
{
    if (text.len == 0) {
        return TLY_E_MALFORMED;
    }
    uint64_t value = 0;
    bool over = false;
    /* Runs to the end even after an overflow: "999…9x" is malformed, not too large. */
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.at[i] - '0';
        if (digit > 9) {
            return TLY_E_MALFORMED;
        }
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            over = true;
        }
    }
    if (over) {
        return -ERANGE;
    }
    *ret_value = value;
    return 0;
}

int tly_text_i64(struct tly_text text, int64_t *ret_value)
{
    bool negative = text.len > 0 && text.at[0] == '-';
    if (negative) {
        text.at++;
        text.len--;
    }
    uint64_t magnitude = 0;
    int rc = tly_text_u64(text, &magnitude);
    if (rc < 0) {
        return rc;
    }
    uint64_t most = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (magnitude > most) {
        return -ERANGE;
    }
    /* The negation happens in uint64_t, where INT64_MIN has no special case. */
    *ret_value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return 0;
}

bool tly_text_glob(struct tly_text pattern, struct tly_text text)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; /* behind the last `*` passed in the pattern */
    size_t resume = 0;      /* where that `*` ends in the text for now */
    while (t < text.len) {
        if (p < pattern.len && pattern.at[p] == '*') {
            star = ++p;
            resume = t;
        } else if (p < pattern.len && (pattern.at[p] == '?' || pattern.at[p] == text.at[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            /* Only the last `*` needs to give: an earlier one can gain nothing by a longer run. */
            p = star;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.at[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

unsigned tly_text_distance(struct tly_text a, struct tly_text b, unsigned cap)
{
    size_t apart = a.len > b.len ? a.len - b.len : b.len - a.len;
    if (a.len > DISTANCE_LEN_MAX || b.len > DISTANCE_LEN_MAX || apart >= cap) {
        return cap;
    }
    unsigned rows[2][DISTANCE_LEN_MAX + 1];
    unsigned *above = rows[0];
    unsigned *row = rows[1];
    for (size_t j = 0; j <= b.len; j++) {
        above[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = (unsigned)i;
        unsigned least = row[0];
        for (size_t j = 1; j <= b.len; j++) {
            unsigned best = above[j - 1] + (a.at[i - 1] != b.at[j - 1]);
            unsigned removed = above[j] + 1;
            unsigned added = row[j - 1] + 1;
            best = removed < best ? removed : best;
            best = added < best ? added : best;
            row[j] = best;
            least = best < least ? best : least;
        }
        if (least >= cap) {
            return cap; /* a row's least value never falls further down */
        }
        unsigned *swap = above;
        above = row;
        row = swap;
    }
    return above[b.len] < cap ? above[b.len] : cap;
}

char *tly_text_dup(struct tly_text text)
{
    char *copy = text.len < SIZE_MAX ? malloc(text.len + 1) : NULL;
    if (!copy) {
        return NULL;
    }
    if (text.len > 0) {
        memcpy(copy, text.at, text.len);
    }
    copy[text.len] = '\0';
    return copy;
}

/* The length of the well-formed sequence of two to four bytes at `at`, or 0. The ranges of the
 * second byte are those of RFC 3629 section 4: they keep out overlong forms, surrogates and what
 * lies above U+10FFFF. */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
    unsigned first = at[0];
    unsigned low = 0x80;
    unsigned high = 0xBF;
    size_t len;
    if (first >= 0xC2 && first <= 0xDF) {
        len = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
        len = 3;
        low = first == 0xE0 ? 0xA0 : low;
        high = first == 0xED ? 0x9F : high;
    } else if (first >= 0xF0 && first <= 0xF4) {
        len = 4;
        low = first == 0xF0 ? 0x90 : low;
        high = first == 0xF4 ? 0x8F : high;
    } else {
        return 0;
    }
    if (left < len || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return len;
}

size_t tly_text_utf8_prefix(struct tly_text text)
{
    const uint64_t high_bits = 0x8080808080808080ULL;
    const unsigned char *at = (const unsigned char *)text.at;
    size_t i = 0;
    while (i < text.len) {
        uint64_t word;
        while (text.len - i >= sizeof(word)) {
            memcpy(&word, at + i, sizeof(word));
            if (word & high_bits) {
                break;
            }
            i += sizeof(word);
        }
        /* Up to the end of the run that is not ASCII, so that text in another script does not try
         * the eight bytes again at every letter. */
        while (i < text.len && at[i] < 0x80) {
            i++;
        }
        while (i < text.len && at[i] >= 0x80) {
            size_t len = utf8_sequence(at + i, text.len - i);
            if (len == 0) {
                return i;
            }
            i += len;
        }
    }
    return i;
}
