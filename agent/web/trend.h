/*
 * The recent course of each container, of the host and of the agent: rates between the last two
 * readings, and a short history for the status page's plots. Pure; not for several threads at once.
 * Half a kilobyte for each container, for containers_max of them at most; more have no history.
 */
#ifndef TLY_WEB_TREND_H
#define TLY_WEB_TREND_H

#include "agent/base/error.h"
#include "agent/inventory/snapshot.h"
#include "agent/web/reading.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLY_TREND_POINTS 60

enum tly_trend_series {
    TLY_TREND_CPU,     /* in 1/10000 of a CPU, between a point and the one before it */
    TLY_TREND_MEMORY,  /* KiB */
    TLY_TREND_NETWORK, /* bytes a second, both ways */
    TLY_TREND_DISK,    /* bytes a second, both ways */
    TLY_TREND_SERIES
};

extern const char *const tly_trend_names[TLY_TREND_SERIES];

/* Between the last two readings; TLY_UNKNOWN without two, or without a source. */
struct tly_rates {
    int64_t cpu;                           /* in 1/10000 of a CPU */
    int64_t throttled;                     /* in 1/10000 of the time */
    int64_t received, sent, read, written; /* bytes a second */
};

extern const struct tly_rates tly_rates_unknown;

struct tly_trend;

/* Whose course: a container, by the key of its id, or one of these. No id has a slash. */
#define TLY_TREND_HOST  TLY_TEXT("/host")
#define TLY_TREND_AGENT TLY_TEXT("/agent")

int tly_trend_new(size_t containers_max, struct tly_trend **ret_trend) TLY_CHECK; /* -ENOMEM */
void tly_trend_free(struct tly_trend *trend);                                     /* NULL is fine */

/* Takes one more reading of everything in the snapshot and forgets what is no longer there.
 * `point`: it also becomes a point of the history. Where memory is out, that container has no
 * course. */
void tly_trend_take(struct tly_trend *trend, const struct tly_snapshot *snapshot, bool point);

/* Unknown rates for somebody who is not known. */
struct tly_rates tly_trend_rates(const struct tly_trend *trend, struct tly_text who);

/* The history, oldest first, rounded to 11 bits, TLY_UNKNOWN where nothing was read; how many. */
size_t tly_trend_history(const struct tly_trend *trend, struct tly_text who,
                         enum tly_trend_series series, int64_t to[TLY_TREND_POINTS]);

/* What pages and their requests call a container: the first 16 digits of an id of 64 hexadecimal
 * ones, the whole of any other. */
struct tly_text tly_trend_key(const char *id);

#endif
