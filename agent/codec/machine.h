/*
 * The host's own files in /proc and /sys, from text to numbers. Pure.
 */
#ifndef TLY_CODEC_MACHINE_H
#define TLY_CODEC_MACHINE_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* /proc/meminfo, and a NUMA node's own (lines begin with "Node 0 "): the bytes of "MemTotal" and
 * the like; -1 without such a line. */
int64_t tly_meminfo_bytes(struct tly_text text, struct tly_text key);

/* Cuts the next range off a list such as "0-3,8,10-11\n". False at its end, and at anything else
 * than ranges of numbers, where `rest` is not brought to its end. */
bool tly_cpu_list_next(struct tly_text *rest, uint32_t *ret_first, uint32_t *ret_last);

/* How many CPUs a list such as "0-3,8,10-11\n" names. TLY_E_MALFORMED. */
int tly_cpu_list_count(struct tly_text text, int64_t *ret_count) TLY_CHECK;

/* /proc/<pid>/stat (proc(5)): field 22, the start in clock ticks since boot. The command in field 2
 * may contain anything. TLY_E_MALFORMED. */
int tly_process_start_parse(struct tly_text stat, int64_t *ret_ticks) TLY_CHECK;

/* The modes of /proc/stat (proc(5)), in its order; time of guests is in that of user and nice. */
enum tly_cpu_mode {
    TLY_CPU_USER,
    TLY_CPU_NICE,
    TLY_CPU_SYSTEM,
    TLY_CPU_IDLE,
    TLY_CPU_IOWAIT,
    TLY_CPU_IRQ,
    TLY_CPU_SOFTIRQ,
    TLY_CPU_STEAL,
    TLY_CPU_MODES
};

/* Clock ticks of one line; -1 for a mode that the kernel doesn't tell. */
struct tly_cpu_times {
    int64_t cpu; /* -1: the sum of all */
    int64_t ticks[TLY_CPU_MODES];
};

/* Cuts lines off /proc/stat up to the next one of a CPU. False when there is none. */
bool tly_cpu_times_next(struct tly_text *rest, struct tly_cpu_times *ret_times);

/* One line of /proc/diskstats (the kernel's admin-guide/iostats.rst). */
struct tly_disk {
    uint32_t major, minor;
    struct tly_text name; /* as sysfs has it, with `!` for a slash; in the text */
    int64_t reads, reads_merged, sectors_read, read_ms;
    int64_t writes, writes_merged, sectors_written, write_ms;
    int64_t in_progress, busy_ms, weighted_ms;
};

/* Cuts lines off /proc/diskstats up to the next whole one. False at the end. */
bool tly_disk_next(struct tly_text *rest, struct tly_disk *ret_disk);

/* A cache's size: "32K\n", "1M\n", in bytes. TLY_E_MALFORMED. */
int tly_cache_size_parse(struct tly_text text, int64_t *ret_bytes) TLY_CHECK;

#endif
