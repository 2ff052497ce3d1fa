/*
 * Finding the first process of a cgroup. Asked once for each run of a container, not at each tick.
 */
#include "collectors/cgroup/process.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/codec/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define NAME_BYTES 32 /* "<pid>/stat" */

static int first_pid(int dir_fd, const char *path, struct tly_buf *buf, int64_t *ret_pid)
{
    tly_buf_clear(buf);
    int rc = tly_file_read(dir_fd, path, buf);
    if (rc < 0) {
        return rc;
    }
    struct tly_text rest = tly_buf_text(buf);
    struct tly_text line = tly_text_cut(&rest, '\n');
    int64_t pid = 0;
    /* 0 stands for a process of another pid namespace. */
    if (tly_text_i64(line, &pid) < 0 || pid <= 0) {
        return -ENOENT;
    }
    *ret_pid = pid;
    return 0;
}

static int64_t boot_ns(void)
{
    struct timespec since_boot = {0, 0};
    (void)clock_gettime(CLOCK_BOOTTIME, &since_boot); /* cannot fail on Linux */
    return tly_clock_realtime_ns() - since_boot.tv_sec * TLY_NS_PER_S - since_boot.tv_nsec;
}

int tly_process_started(int proc_fd, int64_t pid, struct tly_buf *buf, int64_t *ret_started_ns)
{
    char path[NAME_BYTES];
    int64_t ticks = 0;
    (void)snprintf(path, sizeof(path), "%" PRId64 "/stat", pid);
    tly_buf_clear(buf);
    if (tly_file_read(proc_fd, path, buf) < 0 ||
        tly_process_start_parse(tly_buf_text(buf), &ticks) < 0) {
        return -ENOENT;
    }
    int64_t per_second = sysconf(_SC_CLK_TCK);
    *ret_started_ns = boot_ns() + ticks / per_second * TLY_NS_PER_S +
                      ticks % per_second * (TLY_NS_PER_S / per_second);
    return 0;
}

int tly_cgroup_process_find(int dir_fd, const char *proc, struct tly_buf *buf,
                            struct tly_cgroup_process *ret_process)
{
    struct tly_cgroup_process process = {0, 0};
    int rc = first_pid(dir_fd, "cgroup.procs", buf, &process.pid);
    if (rc < 0) {
        rc = first_pid(dir_fd, "container/cgroup.procs", buf, &process.pid);
    }
    if (rc < 0) {
        return -ENOENT;
    }
    TLY_AUTO_FD proc_fd = -1;
    if (tly_file_open(AT_FDCWD, proc, O_RDONLY | O_DIRECTORY, &proc_fd) < 0 ||
        tly_process_started(proc_fd, process.pid, buf, &process.started_ns) < 0) {
        return -ENOENT;
    }
    *ret_process = process;
    return 0;
}
