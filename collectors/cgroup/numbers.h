/*
 * Every number that is read of one cgroup. A number whose file or line is not there is
 * TLY_CGROUP_ABSENT, and yields no sample. The reader fills it anew for each cgroup.
 */
#ifndef TLY_COLLECTORS_CGROUP_NUMBERS_H
#define TLY_COLLECTORS_CGROUP_NUMBERS_H

#include "agent/codec/cgroup.h"

#include <stddef.h>
#include <stdint.h>

/* Devices with I/O in one cgroup; hosts with more exist, containers that used more hardly. The rest
 * is left out and counted as an error. */
#define TLY_CGROUP_DEVICES_MAX 256

struct tly_cgroup_cpu {
    int64_t usage_us, user_us, system_us;
    int64_t periods, throttled, throttled_us, bursts, burst_us;
};

struct tly_cgroup_memory {
    int64_t current, peak, swap_current, swap_peak;
    /* memory.stat */
    int64_t anon, file, kernel, kernel_stack, page_tables, sock, shmem, zswap, zswapped;
    int64_t file_mapped, file_dirty, file_writeback, inactive_file, active_file;
    int64_t slab_reclaimable, slab, refault_anon, refault_file;
    int64_t pgscan, pgsteal, pgfault, pgmajfault;
    /* memory.events and memory.swap.events */
    int64_t low, high, max, oom, oom_kill, oom_group_kill;
    int64_t swap_high, swap_max, swap_fail;
};

/* What changes seldom and is read seldom; TLY_CGROUP_MAX where there is no limit. */
struct tly_cgroup_limits {
    int64_t cpu_quota_us, cpu_period_us, cpu_weight;
    int64_t memory_max, memory_high, memory_low, memory_min, swap_max, pids_max;
    int64_t cpus, memory_nodes; /* how many the cpuset leaves */
    int64_t effective_cores_u;  /* millionths of a CPU that can be used at most */
};

/* Of groups that are off by default; read only where they are on. */
#define TLY_CGROUP_NODES_MAX      128 /* NUMA nodes */
#define TLY_CGROUP_HUGE_SIZES_MAX 8   /* no processor has more sizes of huge pages */

enum tly_cgroup_numa_type {
    TLY_CGROUP_NUMA_FILE,
    TLY_CGROUP_NUMA_ANON,
    TLY_CGROUP_NUMA_UNEVICTABLE,
    TLY_CGROUP_NUMA_TYPES
};

struct tly_cgroup_extras {
    size_t node_count;
    int64_t numa_bytes[TLY_CGROUP_NUMA_TYPES][TLY_CGROUP_NODES_MAX];
    size_t huge_count;
    struct {
        const char *size; /* "2MB"; borrowed of the reader of extras */
        int64_t used_bytes, refused;
    } huge[TLY_CGROUP_HUGE_SIZES_MAX];
};

struct tly_cgroup_numbers {
    struct tly_cgroup_cpu cpu;
    struct tly_cgroup_memory memory;
    struct tly_cgroup_pressure cpu_pressure, memory_pressure, io_pressure;
    int64_t pids_current, pids_refused;
    int64_t descendants, dying_descendants;
    int64_t populated, frozen;
    /* Up to here every member is an int64_t: cleared as one. */
    struct tly_cgroup_io io[TLY_CGROUP_DEVICES_MAX];
    size_t io_count;
    size_t io_skipped; /* devices over the maximum */
};

#endif
