/*
 * One line of the journal of positions: text, so that a person can read it, with a checksum at its
 * end, so that a torn or damaged line is known as such and only that line is lost.
 *
 *   keep DESTINATION KEY DEVICE INODE HEAD_HASH HEAD_LEN OFFSET HELD AHEAD CHECKSUM
 *   drop DESTINATION KEY CHECKSUM
 *
 * Numbers are decimal, hashes and the checksum (CRC-32 of what stands before it) hexadecimal; bytes
 * of names that are blank, control, '%' or not ASCII are written as %XX. Pure.
 */
#ifndef TLY_DELIVERY_POSITION_LINE_H
#define TLY_DELIVERY_POSITION_LINE_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/delivery/chunk.h"

#include <stdbool.h>

#define TLY_POSITION_NAME_MAX 256 /* bytes of a destination's name and of a key, each */

/* `position` NULL writes "drop". -ENOMEM or TLY_E_LIMIT, then the buffer is as it was. */
int tly_position_line_write(struct tly_buf *buf, struct tly_text destination, struct tly_text key,
                            const struct tly_position *position) TLY_CHECK;

struct tly_position_line {
    char destination[TLY_POSITION_NAME_MAX];
    size_t destination_len;
    char key[TLY_POSITION_NAME_MAX];
    size_t key_len;
    bool drop;
    struct tly_position position; /* unless `drop` */
};

/* `line` is without its newline. TLY_E_MALFORMED. */
int tly_position_line_parse(struct tly_text line, struct tly_position_line *ret_line) TLY_CHECK;

#endif
