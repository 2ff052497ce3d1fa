/*
 * From snapshots to history: each tick, a sample of every series that rules need, the end of those
 * that are gone. What a container's samples are called in the history is looked up once and
 * remembered, so that a tick costs little more than reading the numbers.
 */
#ifndef TLY_RULES_FEED_H
#define TLY_RULES_FEED_H

#include "agent/inventory/snapshot.h"
#include "agent/rules/history.h"

struct tly_feed; /* opaque */

/* Both are borrowed. NULL when memory is out. */
struct tly_feed *tly_feed_new(struct tly_history *history, struct tly_symbols *symbols);
void tly_feed_free(struct tly_feed *feed); /* before the history; NULL is fine */

/* When the history's needs change: before they take force. */
void tly_feed_forget(struct tly_feed *feed);

/* Adds the snapshot's samples at the history's present tick. The series that there is no room for
 * are counted by the history. -ENOMEM, with a part of them added. */
int tly_feed_snapshot(struct tly_feed *feed, const struct tly_snapshot *snapshot) TLY_CHECK;

/* Parses `a="b",c="d"`, as the exporter writes labels, to pairs of symbols. TLY_E_MALFORMED, also
 * over `max` pairs or 64 KiB of a value, TLY_E_LIMIT over the symbols' bound, -ENOMEM; *ret_count
 * is then how many pairs were made before. */
int tly_labels_parse(struct tly_symbols *symbols, struct tly_text text,
                     struct tly_label_pair *pairs, size_t max, size_t *ret_count) TLY_CHECK;

#endif
