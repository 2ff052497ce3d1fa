/*
 * Where samples come from: the evaluator's only way to them. A storage hands out series by matchers
 * and samples by time; how it keeps them is its own affair.
 */
#ifndef TLY_RULES_STORAGE_H
#define TLY_RULES_STORAGE_H

#include "agent/base/error.h"
#include "agent/rules/labels.h"
#include "agent/rules/matcher.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_point {
    int64_t t_ms; /* since 1970 */
    double value; /* tly_stale_nan() marks the end of the series */
};

struct tly_series {
    struct tly_labels labels; /* with __name__; borrowed from the storage */
    void *handle;             /* the storage's own */
};

/* What a selection found, as far as it may grow. */
struct tly_series_list {
    struct tly_series *at;
    size_t count, cap, max;
};

/* For storages. TLY_E_LIMIT at the maximum, -ENOMEM. */
int tly_series_list_add(struct tly_series_list *list, struct tly_labels labels,
                        void *handle) TLY_CHECK;

/* Points that a storage decoded, in memory that is used again and again. */
struct tly_points {
    struct tly_point *at;
    size_t count, cap;
};

int tly_points_add(struct tly_points *points, struct tly_point point) TLY_CHECK; /* -ENOMEM */
void tly_points_done(struct tly_points *points);

struct tly_window {
    const struct tly_point *at;
    size_t count;
};

/* What may be asked of a window instead of its samples. Markers of the end never count. */
enum tly_digest_part {
    TLY_DIGEST_ENDS,     /* only what every digest has */
    TLY_DIGEST_TURNS,    /* lost, resets, changes */
    TLY_DIGEST_EXTREMES, /* least, most */
    TLY_DIGEST_SUM,      /* sum, mean */
    TLY_DIGEST_SPREAD,   /* variance */
    TLY_DIGEST_LINE      /* mean, mean_s, slope */
};

struct tly_digest {
    size_t count;                               /* 0: nothing else is set */
    struct tly_point first, last_but_one, last; /* last_but_one: from two samples on */
    double lost;            /* what a counter had before each of its resets, in sum */
    size_t resets, changes; /* how often a value is lower, other than the one before it */
    double least, most;     /* NaN only if all are */
    double sum, mean;
    double variance; /* of the population */
    /* The line through the samples by least squares, from two samples on: its rise per second; it
     * goes through `mean` at `mean_s` seconds after the first sample. NaN where infinities leave
     * none. */
    double mean_s, slope;
};

/* What was handed out stays valid until the evaluation ends; the storage does not change meanwhile.
 */
struct tly_storage {
    void *arg;
    /* Adds every series that passes the matchers and may have samples in the span, each label set
     * once. */
    int (*select)(void *arg, const struct tly_matcher *matchers, size_t count, int64_t from_ms,
                  int64_t to_ms, struct tly_series_list *list);
    /* The newest sample at or before `at_ms`, markers of the end included. false if there is none.
     * The series' labels come along since a storage may need no other handle. */
    bool (*latest)(void *arg, const struct tly_series *series, int64_t at_ms,
                   struct tly_point *ret_point);
    /* The samples after `after_ms` up to and with `to_ms`, oldest first: a view of the storage's
     * own memory, or of `scratch`, which the storage fills (it comes empty). */
    int (*window)(void *arg, const struct tly_series *series, int64_t after_ms, int64_t to_ms,
                  struct tly_points *scratch, struct tly_window *ret_window);
    /* The same samples' digest, with that part, where the storage knows it without making points of
     * them: 0, or 1 if it doesn't, and the window has to be read. The series is the first of `left`
     * that will be asked in this order. NULL: never known. */
    int (*digest)(void *arg, const struct tly_series *row, size_t left, int64_t after_ms,
                  int64_t to_ms, enum tly_digest_part part, struct tly_digest *ret_digest);
};

#endif
