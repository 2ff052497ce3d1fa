/*
 * All destinations, and the positions on disk. One object per agent.
 */
#ifndef TLY_DELIVERY_DELIVERY_H
#define TLY_DELIVERY_DELIVERY_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/delivery/destination.h"
#include "agent/loop/loop.h"
#include "agent/model/sample.h"

struct tly_delivery;

/*
 * Reads the positions that are kept in `state_dir_fd`, which is borrowed for the life of the
 * object; -1: nothing is kept (`tallyman metrics`). A directory that can't be read or written is
 * said in the log and tried again; it is no error. -ENOMEM.
 */
int tly_delivery_new(struct tly_loop *loop, int state_dir_fd, struct tly_delivery **ret_delivery,
                     struct tly_error *err) TLY_CHECK;
/* Writes the positions a last time, and syncs them. What is queued or under way is given up: it
 * will be read again. Every cursor must have been detached or ended, every output stopped. */
void tly_delivery_free(struct tly_delivery *delivery);

/* Made by outputs when they start, and there until the end. Names are unique: -EEXIST. */
int tly_delivery_add(struct tly_delivery *delivery, const char *name,
                     const struct tly_destination_limits *limits,
                     struct tly_destination **ret_destination) TLY_CHECK;
size_t tly_delivery_count(const struct tly_delivery *delivery);
struct tly_destination *tly_delivery_at(const struct tly_delivery *delivery, size_t index);

/*
 * Appends one packed record ([EventTime, map]) to every destination that takes its tag: events and
 * alerts, which cannot be read again. At a destination's bound the record is dropped there, and
 * counted.
 */
void tly_delivery_emit(struct tly_delivery *delivery, struct tly_text tag, struct tly_text record);

/* Seals every open chunk now: for a shutdown. */
void tly_delivery_flush(struct tly_delivery *delivery);

/* The samples of the tallyman_destination_* and tallyman_positions_* families: a tly_meter_fn whose
 * argument is the delivery. */
void tly_delivery_meter(void *arg, struct tly_samples *samples);

/* ---- positions ---- */

/*
 * Kept per destination and source key ("docker/<id>"), by the cursors. A change is written (not
 * synced) in the same turn of the loop, so that it survives a kill; synced every few seconds, so
 * that power loss repeats seconds, not days.
 */
bool tly_delivery_position(const struct tly_delivery *delivery,
                           const struct tly_destination *destination, struct tly_text key,
                           struct tly_position *ret_position);
/* Not through a cursor: for where a source begins. -ENOMEM, TLY_E_LIMIT over the most that are
 * kept. */
int tly_delivery_keep(struct tly_delivery *delivery, const struct tly_destination *destination,
                      struct tly_text key, const struct tly_position *position) TLY_CHECK;
void tly_delivery_drop(struct tly_delivery *delivery, const struct tly_destination *destination,
                       struct tly_text key);
/* Each key that is kept for a destination. */
void tly_delivery_each_position(
    const struct tly_delivery *delivery, const struct tly_destination *destination,
    void (*fn)(void *arg, struct tly_text key, const struct tly_position *position), void *arg);

/* Drops, for every destination that ever was, the keys that start with `prefix` and for which
 * `keep` answers false. Returns how many went. */
size_t tly_delivery_prune(struct tly_delivery *delivery, struct tly_text prefix,
                          bool (*keep)(void *arg, struct tly_text key), void *arg);

#endif
