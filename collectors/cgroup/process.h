/*
 * A container's first process, for what only it can tell where no engine is asked: a process id in
 * the container, and since when it runs.
 */
#ifndef TLY_COLLECTORS_CGROUP_PROCESS_H
#define TLY_COLLECTORS_CGROUP_PROCESS_H

#include "agent/base/buf.h"
#include "agent/base/error.h"

#include <stdint.h>

struct tly_cgroup_process {
    int64_t pid;        /* as the agent's own pid namespace knows it */
    int64_t started_ns; /* realtime */
};

/* When a process of the procfs `proc_fd` began: realtime, by the clock as it is set now, rounded
 * down to a tick of 10 ms. -ENOENT when there is none any more. Uses `buf`. */
int tly_process_started(int proc_fd, int64_t pid, struct tly_buf *buf,
                        int64_t *ret_started_ns) TLY_CHECK;

/*
 * The first process that cgroup.procs below `dir_fd` lists (the kernel lists them in the order in
 * which they came), or that of the inner cgroup `container`, where crun puts it. `proc` is where
 * procfs is mounted. -ENOENT when there is none or it belongs to another pid namespace. Uses `buf`.
 */
int tly_cgroup_process_find(int dir_fd, const char *proc, struct tly_buf *buf,
                            struct tly_cgroup_process *ret_process) TLY_CHECK;

#endif
