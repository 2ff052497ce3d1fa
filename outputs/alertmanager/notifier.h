/*
 * One peer that is told of alerts: what waits for it, and one request at a time. A request that
 * fails is made again at growing intervals, with the latest state of what was in it.
 */
#ifndef TLY_OUTPUT_ALERTMANAGER_NOTIFIER_H
#define TLY_OUTPUT_ALERTMANAGER_NOTIFIER_H

#include "agent/base/error.h"
#include "agent/loop/loop.h"
#include "agent/model/alert.h"
#include "agent/model/sample.h"
#include "outputs/alertmanager/settings.h"

#include <stdbool.h>

/* How a kind of peer is spoken to. */
struct tly_alert_dialect {
    const char *path; /* behind the URL */
    unsigned news;    /* which it wants: flags of tly_alert_fn */
    bool webhook;     /* the form of the message */
};

struct tly_notifier;

/* `settings` is borrowed from `config`, of which the notifier takes a reference; `dialect` is
 * constant; the others are borrowed for the notifier's life. Of the feed only the labels are read,
 * when something is sent. It does nothing until it is told. -ENOMEM. */
int tly_notifier_new(struct tly_loop *loop, const struct tly_alert_feed *feed,
                     struct tly_config *config, const struct tly_alert_peer_settings *settings,
                     const struct tly_alert_dialect *dialect, struct tly_notifier **ret_notifier,
                     struct tly_error *err) TLY_CHECK;
/* What was not delivered is lost, which is said. NULL is fine. */
void tly_notifier_free(struct tly_notifier *notifier);

/* Borrowed. */
const char *tly_notifier_name(const struct tly_notifier *notifier);
const struct tly_alert_peer_settings *tly_notifier_settings(const struct tly_notifier *notifier);

/* Takes over what `from` did not deliver, what is under way included, which its peer may so be told
 * twice; and its counts if they have one name. `from` is good for nothing but `free` then. */
void tly_notifier_inherit(struct tly_notifier *notifier, struct tly_notifier *from);

/* There is news of an alert; it is sent in the next turn of the loop, with others like it. */
void tly_notifier_tell(struct tly_notifier *notifier, struct tly_alert *alert, unsigned news);

/* Calls `stopped` when all is delivered or it is `deadline_ms` by the loop's clock, not before this
 * returns. Waits for no peer that has failed. */
void tly_notifier_stop(struct tly_notifier *notifier, int64_t deadline_ms,
                       void (*stopped)(void *arg), void *arg);

/* The tallyman_notifications_* of this peer. */
void tly_notifier_meter(const struct tly_notifier *notifier, struct tly_samples *samples);

#endif
