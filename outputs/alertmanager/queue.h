/*
 * The alerts that one peer was not told of yet, in the order in which their news came: of each
 * alert only the latest state, because a receiver wants to know how things are. Bounded. Owned by a
 * notifier.
 */
#ifndef TLY_OUTPUT_ALERTMANAGER_QUEUE_H
#define TLY_OUTPUT_ALERTMANAGER_QUEUE_H

#include "agent/base/error.h"
#include "agent/model/alert.h"

#include <stdbool.h>
#include <stddef.h>

struct tly_alert_queue;

/* -ENOMEM. `max` is the most alerts in it. */
int tly_alert_queue_new(size_t max, struct tly_alert_queue **ret_queue) TLY_CHECK;
void tly_alert_queue_free(struct tly_alert_queue *queue); /* NULL is fine */

size_t tly_alert_queue_count(const struct tly_alert_queue *queue);

/* Adds an alert, or replaces what is known of it, at its old place. Takes a reference. 1: the one
 * that waited longest had to go for it. -ENOMEM: it is not in the queue. */
int tly_alert_queue_put(struct tly_alert_queue *queue, struct tly_alert *alert) TLY_CHECK;

/* Puts back what was taken and could not be delivered, with its reference: not when there is
 * something newer of that alert. 1: there was no room for it. -ENOMEM. Gone in both cases. */
int tly_alert_queue_give_back(struct tly_alert_queue *queue, struct tly_alert *alert) TLY_CHECK;

/* Moves up to `max` of the oldest to `ret_alerts`, with their references; how many. */
size_t tly_alert_queue_take(struct tly_alert_queue *queue, size_t max,
                            struct tly_alert **ret_alerts);

#endif
