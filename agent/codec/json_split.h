/*
 * Cuts a stream of bytes into whole JSON values, wherever it was split on its way: values back to
 * back as /events sends them (RFC 8259 texts; white space, newlines and the record separator 0x1e
 * of RFC 7464 may stand between them), or the elements of one large array, so that a list of ten
 * thousand containers is never held as a tree. Only objects and arrays count as values. Embedded.
 */
#ifndef TLY_CODEC_JSON_SPLIT_H
#define TLY_CODEC_JSON_SPLIT_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tly_json_split_form {
    TLY_JSON_VALUES,   /* {..} {..} {..} */
    TLY_JSON_ELEMENTS, /* [{..}, {..}, {..}] */
};

struct tly_json_split {
    struct tly_buf held; /* the value that an earlier call began */
    enum tly_json_split_form form;
    size_t depth;     /* of brackets inside the value; 0: between values */
    size_t value_len; /* bytes of the value so far, also when it is being skipped */
    int array;        /* the outer array of ELEMENTS: not yet, inside, ended */
    bool in_string, escaped, skipping, garbage;
    uint64_t oversized; /* values over the maximum, which were skipped */
    uint64_t malformed; /* runs of bytes that are no value, and values that broke off */
};

/* A value over `value_max` bytes is skipped and counted. */
void tly_json_split_init(struct tly_json_split *split, enum tly_json_split_form form,
                         size_t value_max);
void tly_json_split_done(struct tly_json_split *split);
/* For a new stream: forgets the half value, which counts as malformed; keeps the counts. */
void tly_json_split_clear(struct tly_json_split *split);

/*
 * Calls `value` for each value that becomes whole; the text is borrowed for that call. Returns 0,
 * or the first non-zero result of `value`, after which only clear makes it usable again.
 * TLY_E_LIMIT when a value passes TLY_JSON_SPLIT_RUNAWAY times the maximum: what comes is not the
 * expected stream any more.
 */
#define TLY_JSON_SPLIT_RUNAWAY 8
int tly_json_split_feed(struct tly_json_split *split, struct tly_text bytes,
                        int (*value)(void *arg, struct tly_text json), void *arg) TLY_CHECK;

/* The stream may end here: nothing is half read, and for ELEMENTS the array was closed. */
bool tly_json_split_complete(const struct tly_json_split *split);

#endif
