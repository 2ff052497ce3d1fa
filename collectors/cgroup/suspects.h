/*
 * Looking at one process after the other for what is suspicious in it: a known miner, an executable
 * that was removed. Part of the walk through a container's processes (tasks.h).
 */
#ifndef TLY_COLLECTORS_CGROUP_SUSPECTS_H
#define TLY_COLLECTORS_CGROUP_SUSPECTS_H

#include "agent/base/buf.h"
#include "agent/model/sample.h"

#include <stdint.h>

/* How many processes; -1: not known, because procfs does not show all of them. */
struct tly_suspects {
    int64_t miners;
    int64_t deleted;
};

/* Looks at one more. One that has ended counts nowhere. `text` is for reading. */
void tly_suspects_look(struct tly_suspects *suspects, int proc_fd, int64_t pid,
                       struct tly_buf *text);

void tly_suspects_write(const struct tly_suspects *suspects, struct tly_samples *samples);

#endif
