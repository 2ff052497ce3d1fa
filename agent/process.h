/*
 * The agent's own process, as the families process_* show it.
 */
#ifndef TLY_PROCESS_H
#define TLY_PROCESS_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/loop/loop.h"
#include "agent/model/sample.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_process_count;

struct tly_process {
    const char *directory; /* "/proc/self"; another one in tests */
    int64_t started_ns;    /* realtime */
    struct tly_loop *loop;
    bool fds_are_told;               /* by the kernel: no need to count descriptors */
    int64_t fds;                     /* counted last */
    struct tly_process_count *count; /* under way; NULL: none */
};

/* Embedded, at one place until `done`. `loop`, borrowed, is for counting descriptors. */
void tly_process_init(struct tly_process *process, struct tly_loop *loop);
void tly_process_done(struct tly_process *process);

/* Adds the samples; what cannot be read is absent. A tly_meter_fn whose argument is a
 * struct tly_process. */
void tly_process_meter(void *process, struct tly_samples *samples);

/* From /proc/<pid>/status (proc(5)); a field that is not there stays TLY_PROCESS_ABSENT. */
#define TLY_PROCESS_ABSENT (-1)
struct tly_process_status {
    int64_t virtual_bytes, resident_bytes, threads;
};
void tly_process_status_parse(struct tly_text text, struct tly_process_status *ret_status);

#endif
