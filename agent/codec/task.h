/*
 * The files of a process and of a thread in procfs, from text to numbers. Pure. Formats: proc(5)
 * and the kernel's scheduler/sched-stats.rst.
 */
#ifndef TLY_CODEC_TASK_H
#define TLY_CODEC_TASK_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* The state, field 3 of /proc/<pid>/stat: 'R', 'S', 'D', 'T', 'Z' ... The command in field 2 may
 * contain anything. TLY_E_MALFORMED. */
int tly_task_state_parse(struct tly_text stat, char *ret_state) TLY_CHECK;

/* /proc/<pid>/schedstat. */
struct tly_task_schedule {
    int64_t run_ns, wait_ns, periods;
};
int tly_task_schedule_parse(struct tly_text text, struct tly_task_schedule *ret_schedule) TLY_CHECK;

#define TLY_TASK_UNLIMITED (-1)
struct tly_task_limit {
    struct tly_text name; /* "Max open files"; in the text */
    int64_t soft, hard;   /* TLY_TASK_UNLIMITED without a limit */
};
/* Cuts lines off /proc/<pid>/limits up to the next limit. False at the end. */
bool tly_task_limit_next(struct tly_text *rest, struct tly_task_limit *ret_limit);

#endif
