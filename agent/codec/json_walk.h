/*
 * Walks through one JSON text (RFC 8259) of any size as it comes in pieces, and tells of each value
 * without keeping any: for files of which a few members are of interest and the rest may be large.
 * Depth and the length of what is told of a string are bounded; a longer string is cut, and its
 * rest passed over. Embedded; needs no memory of its own.
 */
#ifndef TLY_CODEC_JSON_WALK_H
#define TLY_CODEC_JSON_WALK_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLY_JSON_WALK_DEPTH_MAX  64
#define TLY_JSON_WALK_STRING_MAX 512 /* bytes of a string or number that are told */

enum tly_json_walk_type {
    TLY_JSON_WALK_OBJECT, /* begins */
    TLY_JSON_WALK_OBJECT_END,
    TLY_JSON_WALK_ARRAY, /* begins */
    TLY_JSON_WALK_ARRAY_END,
    TLY_JSON_WALK_KEY,
    TLY_JSON_WALK_STRING,
    TLY_JSON_WALK_NUMBER, /* as it is written */
    TLY_JSON_WALK_TRUE,
    TLY_JSON_WALK_FALSE,
    TLY_JSON_WALK_NULL,
};

struct tly_json_walk_event {
    enum tly_json_walk_type type;
    size_t depth;         /* of the value: 0 for the outermost, 1 for its members and their keys */
    struct tly_text text; /* of keys, strings and numbers, unescaped; borrowed for the call */
    bool cut;             /* it was longer than TLY_JSON_WALK_STRING_MAX */
};

typedef void (*tly_json_walk_fn)(void *arg, const struct tly_json_walk_event *event);

struct tly_json_walk {
    tly_json_walk_fn tell;
    void *arg;
    int state;
    size_t depth;
    uint64_t objects; /* bit n: the container at depth n is an object */
    char text[TLY_JSON_WALK_STRING_MAX];
    size_t len;
    bool cut, is_key;
    const char *word; /* the literal under way, and how far */
    size_t word_at;
    unsigned unicode, unicode_digits;
    unsigned surrogate; /* the high half that waits for its low one */
    uint64_t offset;    /* of the next byte */
};

void tly_json_walk_init(struct tly_json_walk *walk, tly_json_walk_fn tell, void *arg);

/* TLY_E_MALFORMED, TLY_E_LIMIT (deeper than the maximum): the walk is then over, and `offset` tells
 * where. Bytes after the text may only be white space. */
int tly_json_walk_feed(struct tly_json_walk *walk, struct tly_text bytes) TLY_CHECK;

/* The text is over: TLY_E_MORE when it ends in the middle. */
int tly_json_walk_end(struct tly_json_walk *walk) TLY_CHECK;

#endif
