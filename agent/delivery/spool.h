/*
 * The spool: records that can't be read again wait on disk, in files that are written one after the
 * other, until every destination has acknowledged them. It is a source like a log file: each
 * destination has a reader of its own, whose position moves with the acknowledgements.
 *
 * What is appended gathers in memory while a worker writes what came before, and syncs it where
 * that is asked for; then it is safe. Internal to delivery.
 */
#ifndef TLY_DELIVERY_SPOOL_H
#define TLY_DELIVERY_SPOOL_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/delivery/delivery.h"
#include "agent/loop/loop.h"
#include "agent/model/sample.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_spool;
struct tly_positions;

/* Takes up what the folder `spool` of the directory (borrowed) has. -errno, -ENOMEM. */
int tly_spool_new(struct tly_loop *loop, struct tly_positions *positions, int dir_fd,
                  const struct tly_spool_spec *spec, struct tly_spool **ret_spool,
                  struct tly_error *err) TLY_CHECK;
/* Writes and syncs what has gathered. Before the destinations are freed; NULL is fine. */
void tly_spool_free(struct tly_spool *spool);

/* From now on the destination gets what is spooled; one that never was here before gets nothing
 * that was safe earlier, unless positions are lost: then one of the start gets all. -ENOMEM. */
int tly_spool_add(struct tly_spool *spool, struct tly_destination *destination) TLY_CHECK;
/* No longer. */
void tly_spool_remove(struct tly_spool *spool, const struct tly_destination *destination);

/* Below the bound of what may gather. */
bool tly_spool_has_room(const struct tly_spool *spool);

/* Whatever has_room says, up to the hard bound. Counted as refused: TLY_E_LIMIT, -ENOMEM, and
 * -EMSGSIZE for a record over TLY_RECORD_BYTES_MAX or a tag over TLY_SPOOL_TAG_MAX. */
int tly_spool_append(struct tly_spool *spool, struct tly_text tag,
                     struct tly_text record) TLY_CHECK;

/* The batch that what is appended next belongs to. */
uint64_t tly_spool_ticket(const struct tly_spool *spool);
void tly_spool_on_safe(struct tly_spool *spool, void (*safe)(void *arg, uint64_t ticket),
                       void *arg);

void tly_spool_meter(const struct tly_spool *spool, struct tly_samples *samples);

#endif
