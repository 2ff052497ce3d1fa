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

/* Made by outputs when they start, and there until the end, or until they leave. Names are unique:
 * -EEXIST. */
int tly_delivery_add(struct tly_delivery *delivery, const char *name,
                     const struct tly_destination_limits *limits,
                     struct tly_destination **ret_destination) TLY_CHECK;
size_t tly_delivery_count(const struct tly_delivery *delivery);
struct tly_destination *tly_delivery_at(const struct tly_delivery *delivery, size_t index);
/* NULL: there is none of that name. */
struct tly_destination *tly_delivery_find(const struct tly_delivery *delivery, const char *name);

/* Nobody sends to it any more: it is no longer among those above, and sources have to end or detach
 * their cursors, and their waiting. Then `settle` frees all that left; what was queued is given up,
 * and the positions stay for whoever takes the name up again. */
void tly_delivery_leave(struct tly_delivery *delivery, struct tly_destination *destination);
void tly_delivery_settle(struct tly_delivery *delivery);

/* ---- what cannot be read again ---- */

struct tly_spool_spec {
    uint64_t disk_bytes_max;  /* at the bound the oldest goes, and is counted */
    size_t memory_bytes_max;  /* of what gathers while the disk is slow; the hard bound is an eighth
                               * more than twice it, which only a single record may pass, alone */
    bool sync;                /* safe is what power loss leaves, not only a kill */
    int64_t read_patience_ms; /* what can't be read is tried again for so long; 0: a minute */
};

/*
 * Makes a spool in the state directory: from now on what is emitted is first written there, and
 * reaches each destination from there, also after a restart. Before destinations are added.
 * -ENOTSUP without a directory, -errno, -ENOMEM.
 */
int tly_delivery_spool(struct tly_delivery *delivery, const struct tly_spool_spec *spec,
                       struct tly_error *err) TLY_CHECK;

/*
 * Appends one packed record ([EventTime, map]) for every destination that takes its tag: events and
 * alerts. When the spool's memory is full it is refused, and counted. Without a spool it goes to
 * the destinations' memory, and is dropped and counted at their bounds.
 */
void tly_delivery_emit(struct tly_delivery *delivery, struct tly_text tag, struct tly_text record);

/*
 * The same for whoever answers for a record to somebody else, and only with a spool: it has a
 * ticket, and `safe` is called, from the loop, with the highest ticket of which all records are on
 * disk. has_room false: no more should be taken; append takes it all the same up to the hard bound.
 * TLY_E_LIMIT, -ENOMEM, and -EMSGSIZE for one that is never taken, because it or its tag is too
 * long; all counted as refused.
 */
bool tly_delivery_has_room(const struct tly_delivery *delivery);
int tly_delivery_append(struct tly_delivery *delivery, struct tly_text tag,
                        struct tly_text record) TLY_CHECK;
uint64_t tly_delivery_ticket(const struct tly_delivery *delivery); /* of what is appended next */
void tly_delivery_on_safe(struct tly_delivery *delivery, void (*safe)(void *arg, uint64_t ticket),
                          void *arg);

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
