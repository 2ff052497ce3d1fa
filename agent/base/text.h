/*
 * A view of bytes that somebody else owns: pointer and length, not terminated, maybe with any byte
 * inside. All functions are pure.
 */
#ifndef TLY_BASE_TEXT_H
#define TLY_BASE_TEXT_H

#include "agent/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tly_text {
    const char *at;
    size_t len;
};

/* A view of a string literal or array; the terminating NUL does not count. */
#define TLY_TEXT(literal) ((struct tly_text){(literal), sizeof(literal) - 1})

static inline struct tly_text tly_text_of(const char *string)
{
    return (struct tly_text){string, string ? strlen(string) : 0};
}

static inline bool tly_text_equal(struct tly_text a, struct tly_text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool tly_text_starts(struct tly_text text, struct tly_text prefix);
bool tly_text_ends(struct tly_text text, struct tly_text suffix);

/* Without blanks (space, tab, CR, LF) at both ends. */
struct tly_text tly_text_trim(struct tly_text text);

/*
 * Cuts the part before the first `separator` off `rest` and returns it; `rest` then starts behind
 * the separator. The last part leaves `rest` with at == NULL, on which the function must not be
 * called again: `while (rest.at) { part = tly_text_cut(&rest, '\n'); ... }`.
 */
struct tly_text tly_text_cut(struct tly_text *rest, char separator);

/* Whole-text numbers, decimal, no sign for u64. TLY_E_MALFORMED, or -ERANGE. */
int tly_text_u64(struct tly_text text, uint64_t *ret_value) TLY_CHECK;
int tly_text_i64(struct tly_text text, int64_t *ret_value) TLY_CHECK;

/* Shell-style pattern over the whole text: `*` any run, `?` one byte. Linear in practice and never
 * worse than |pattern| * |text|. */
bool tly_text_glob(struct tly_text pattern, struct tly_text text);

/* Levenshtein distance, capped: returns `cap` as soon as it is certain to reach it. For "did you
 * mean". Texts longer than 64 bytes count as `cap` apart. */
unsigned tly_text_distance(struct tly_text a, struct tly_text b, unsigned cap);

/* A NUL-terminated copy on the heap, owned by the caller; NULL when memory is out. */
char *tly_text_dup(struct tly_text text);

/* The length of the longest prefix that is valid UTF-8 (RFC 3629: no surrogates, no overlong forms,
 * at most U+10FFFF). Equal to text.len when all of it is. */
size_t tly_text_utf8_prefix(struct tly_text text);
static inline bool tly_text_is_utf8(struct tly_text text)
{
    return tly_text_utf8_prefix(text) == text.len;
}

#endif
