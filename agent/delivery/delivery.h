/*
 * All destinations, and the positions on disk. One object per agent.
 */
#ifndef TLY_DELIVERY_DELIVERY_H
#define TLY_DELIVERY_DELIVERY_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/delivery/destination.h"
#include "agent/loop/loop.h"

struct tly_delivery;

/* `state_dir_fd` is borrowed for the life of the object; -1: nothing is kept (`tallyman metrics`).
 */
int tly_delivery_new(struct tly_loop *loop, int state_dir_fd, struct tly_delivery **ret_delivery,
                     struct tly_error *err) TLY_CHECK;
void tly_delivery_free(struct tly_delivery *delivery); /* writes the positions a last time */

/* Made by outputs when they start. Names are unique: -EEXIST. */
int tly_delivery_add(struct tly_delivery *delivery, const char *name,
                     const struct tly_destination_limits *limits,
                     struct tly_destination **ret_destination) TLY_CHECK;
size_t tly_delivery_count(const struct tly_delivery *delivery);
struct tly_destination *tly_delivery_at(const struct tly_delivery *delivery, size_t index);

/*
 * Appends one packed record ([EventTime, map]) to every destination: events and alerts, which
 * cannot be read again. At a destination's bound the record is dropped there, and counted.
 */
void tly_delivery_emit(struct tly_delivery *delivery, struct tly_text tag, struct tly_text record);

/* Seals every open chunk now: for a shutdown. */
void tly_delivery_flush(struct tly_delivery *delivery);

/* ---- positions ---- */

/*
 * Kept per destination and source key ("docker/<id>"). A change is written (not synced) at once, so
 * that it survives a kill; synced every few seconds, so that power loss repeats seconds, not days.
 */
bool tly_delivery_position(const struct tly_delivery *delivery,
                           const struct tly_destination *destination, struct tly_text key,
                           struct tly_position *ret_position);
int tly_delivery_keep(struct tly_delivery *delivery, const struct tly_destination *destination,
                      struct tly_text key, const struct tly_position *position) TLY_CHECK;
void tly_delivery_drop(struct tly_delivery *delivery, const struct tly_destination *destination,
                       struct tly_text key);
/* Each key that is kept for a destination. */
void tly_delivery_each_position(
    const struct tly_delivery *delivery, const struct tly_destination *destination,
    void (*fn)(void *arg, struct tly_text key, const struct tly_position *position), void *arg);

#endif
