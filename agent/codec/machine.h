/*
 * The host's own files in /proc and /sys, from text to numbers. Pure.
 */
#ifndef TLY_CODEC_MACHINE_H
#define TLY_CODEC_MACHINE_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdint.h>

/* /proc/meminfo: the bytes of "MemTotal" and the like; -1 without such a line. */
int64_t tly_meminfo_bytes(struct tly_text text, struct tly_text key);

/* How many CPUs a list such as "0-3,8,10-11\n" names. TLY_E_MALFORMED. */
int tly_cpu_list_count(struct tly_text text, int64_t *ret_count) TLY_CHECK;

/* /proc/<pid>/stat (proc(5)): field 22, the start in clock ticks since boot. The command in field 2
 * may contain anything. TLY_E_MALFORMED. */
int tly_process_start_parse(struct tly_text stat, int64_t *ret_ticks) TLY_CHECK;

#endif
