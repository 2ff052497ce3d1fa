/*
 * Reading msgpack without building a tree: a scanner that finds the end of a value, resumable at
 * any byte, and a reader that yields a value's parts one after the other. Neither allocates, and
 * what a sender claims (lengths, counts, depth) costs nothing before the bytes are there.
 */
#ifndef TLY_CODEC_RECORD_READER_H
#define TLY_CODEC_RECORD_READER_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values inside values: a record of parsed JSON has a handful, and whoever prints or compares a
 * value recurses as deep as this. */
#define TLY_RECORD_DEPTH_MAX 64

enum tly_value_type {
    TLY_VALUE_NIL,
    TLY_VALUE_BOOL,
    TLY_VALUE_INT,  /* everything that fits int64_t */
    TLY_VALUE_UINT, /* above INT64_MAX */
    TLY_VALUE_FLOAT,
    TLY_VALUE_STR,
    TLY_VALUE_BIN,
    TLY_VALUE_EXT,
    TLY_VALUE_ARRAY,
    TLY_VALUE_MAP,
};

/* One part: a scalar, or the head of an array or map whose members follow. */
struct tly_value {
    enum tly_value_type type;
    int8_t ext_type; /* EXT */
    bool single;     /* FLOAT: it came with 32 bits */
    union {
        bool truth;
        int64_t integer;
        uint64_t natural;
        double real;
        uint32_t count;        /* ARRAY: members; MAP: pairs of key and value */
        struct tly_text bytes; /* STR, BIN, EXT: borrowed from the input */
    };
};

/*
 * Reads the next part off `rest`, which moves behind it. TLY_E_MORE when the input ends within it
 * (`rest` has not moved), TLY_E_MALFORMED for the one prefix that msgpack never uses.
 */
int tly_value_next(struct tly_text *rest, struct tly_value *ret_value) TLY_CHECK;

/* Reads a whole value with all its members off `rest`: its first part, and the bytes of all of it.
 * As above, and TLY_E_LIMIT over the depth. */
int tly_value_whole(struct tly_text *rest, struct tly_value *ret_value,
                    struct tly_text *ret_bytes) TLY_CHECK;

static inline bool tly_value_is_text(const struct tly_value *value)
{
    return value->type == TLY_VALUE_STR || value->type == TLY_VALUE_BIN;
}

/* Whether it is this str or bin. */
static inline bool tly_value_is(const struct tly_value *value, const char *text)
{
    return tly_value_is_text(value) && tly_text_equal(value->bytes, tly_text_of(text));
}

/*
 * An EventTime (fixext 8 or ext 8 of type 0), or seconds as integer or float, as nanoseconds since
 * 1970. Times out of int64_t's nanoseconds, and other values, are TLY_E_MALFORMED.
 */
int tly_value_time(const struct tly_value *value, int64_t *ret_ns) TLY_CHECK;

/* ---- the scanner ---- */

/* Where the search for a value's end stands: zero, or cleared, before each value. */
struct tly_value_scan {
    size_t at;                           /* bytes looked at; may lie behind those there so far */
    bool closed;                         /* the value ends at `at` */
    unsigned depth;                      /* arrays and maps that are open */
    uint64_t left[TLY_RECORD_DEPTH_MAX]; /* members still to come, in each of them */
};

void tly_value_scan_clear(struct tly_value_scan *scan); /* without touching `left`: cheap */

/*
 * Goes on from where the last call stood; `bytes` starts with the value's first byte and holds at
 * least as many as last time. 0 with the value's length; TLY_E_MORE, where `scan->at` says how many
 * bytes the value has at least; TLY_E_MALFORMED; TLY_E_LIMIT over the depth.
 */
int tly_value_scan(struct tly_value_scan *scan, struct tly_text bytes, size_t *ret_len) TLY_CHECK;

#endif
