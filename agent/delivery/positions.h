/*
 * The positions of all destinations: a map in memory, and a journal in the state directory that has
 * every change. Internal to delivery.
 */
#ifndef TLY_DELIVERY_POSITIONS_H
#define TLY_DELIVERY_POSITIONS_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/delivery/chunk.h"
#include "agent/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_positions;

/* Reads what is kept in the file "positions" of the directory (borrowed; -1: memory only). A file
 * that can't be read is logged and costs what it has, not the start. -ENOMEM. */
int tly_positions_new(struct tly_loop *loop, int dir_fd,
                      struct tly_positions **ret_positions) TLY_CHECK;
void tly_positions_free(struct tly_positions *positions); /* writes and syncs; NULL is fine */

/* Whether all was found at the start that had ever been kept. If not, a source without a position
 * may be one whose position is lost. */
bool tly_positions_whole(const struct tly_positions *positions);

bool tly_positions_get(const struct tly_positions *positions, struct tly_text destination,
                       struct tly_text key, struct tly_position *ret_position);
/* -ENOMEM, TLY_E_LIMIT over the number of entries or the length of a name. Logged, so that a cursor
 * need not look. */
int tly_positions_keep(struct tly_positions *positions, struct tly_text destination,
                       struct tly_text key, const struct tly_position *position);
void tly_positions_drop(struct tly_positions *positions, struct tly_text destination,
                        struct tly_text key);

/* Nothing may be kept or dropped from inside `fn`. */
void tly_positions_each(const struct tly_positions *positions, struct tly_text destination,
                        void (*fn)(void *arg, struct tly_text key,
                                   const struct tly_position *position),
                        void *arg);
size_t tly_positions_prune(struct tly_positions *positions, struct tly_text prefix,
                           bool (*keep)(void *arg, struct tly_text key), void *arg);

struct tly_positions_counts {
    uint64_t entries;       /* now */
    uint64_t unwritten;     /* now: changes that wait for the disk */
    uint64_t write_errors;  /* in all */
    uint64_t lines_damaged; /* at the start: torn or altered, and skipped */
    uint64_t journal_bytes; /* now */
};
void tly_positions_counts(const struct tly_positions *positions,
                          struct tly_positions_counts *ret_counts);

#endif
