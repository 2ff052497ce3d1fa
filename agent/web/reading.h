/*
 * What the status page shows of one row of a snapshot, out of the samples that collectors left
 * there, in one pass over them. Pure.
 */
#ifndef TLY_WEB_READING_H
#define TLY_WEB_READING_H

#include "agent/inventory/snapshot.h"

#include <stdint.h>

/* TLY_UNKNOWN where no sample tells. Numbers of several devices, interfaces or destinations are
 * added up; of lags the longest counts. */
struct tly_reading {
    /* Counters, and the clock at which they were read. */
    int64_t seen_ms; /* only differences mean something */
    int64_t cpu_us, throttled_us;
    int64_t received_bytes, sent_bytes, read_bytes, written_bytes;

    int64_t cpu_max_millionths;             /* of a CPU */
    int64_t memory_bytes, memory_max_bytes; /* 0: no limit */
    int64_t layer_bytes;
    int64_t log_lag_ms, log_lag_bytes;
    int64_t oom_kills;
    int64_t failed, failed_high; /* checks of the audit; those that are high or critical */
};

/* Of a container. */
void tly_reading_take(const struct tly_snapshot_row *row, size_t slots,
                      struct tly_reading *ret_reading);
/* Of the host: its CPU time, and by it the clock; memory that could not be had. Network and disks
 * of the root cgroup. */
void tly_reading_take_host(const struct tly_snapshot_row *row, size_t slots,
                           struct tly_reading *ret_reading);
/* Of the agent itself; `now_ms` is the clock. */
void tly_reading_take_agent(const struct tly_snapshot_row *row, size_t slots, int64_t now_ms,
                            struct tly_reading *ret_reading);

#endif
