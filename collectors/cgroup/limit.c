/*
 * Limits change when somebody changes them, so their files are opened for each reading and not
 * held.
 */
#include "collectors/cgroup/limit.h"

#include "agent/base/file.h"
#include "agent/codec/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define MILLION 1000000

struct limit_file {
    const char *name;
    size_t offset;
};

static const struct limit_file limit_files[] = {
    {"cpu.weight", offsetof(struct tly_cgroup_limits, cpu_weight)},
    {"memory.max", offsetof(struct tly_cgroup_limits, memory_max)},
    {"memory.high", offsetof(struct tly_cgroup_limits, memory_high)},
    {"memory.low", offsetof(struct tly_cgroup_limits, memory_low)},
    {"memory.min", offsetof(struct tly_cgroup_limits, memory_min)},
    {"memory.swap.max", offsetof(struct tly_cgroup_limits, swap_max)},
    {"pids.max", offsetof(struct tly_cgroup_limits, pids_max)},
};

static int values_read(struct tly_cgroup_reader *reader, int dir_fd,
                       struct tly_cgroup_limits *limits)
{
    struct tly_text text = {NULL, 0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(limit_files) / sizeof(limit_files[0]); i++) {
        rc = tly_cgroup_file_once(reader, dir_fd, limit_files[i].name, &text);
        int64_t *to = (int64_t *)(void *)((char *)limits + limit_files[i].offset);
        if (rc == 0 && text.len > 0 && tly_cgroup_value_parse(text, to) < 0) {
            reader->errors++;
        }
    }
    return rc;
}

static int cpu_max_read(struct tly_cgroup_reader *reader, int dir_fd, const char *name,
                        int64_t *quota_us, int64_t *period_us)
{
    struct tly_text text = {NULL, 0};
    int rc = tly_cgroup_file_once(reader, dir_fd, name, &text);
    if (rc == 0 && text.len > 0 && tly_cgroup_cpu_max_parse(text, quota_us, period_us) < 0) {
        reader->errors++;
    }
    return rc;
}

/* Where `*count` is still unknown: of how many CPUs or nodes the list in that file is. The list is
 * empty in a cgroup to which nothing was left; that is no number. */
static int list_read(struct tly_cgroup_reader *reader, int dir_fd, const char *name, int64_t *count)
{
    struct tly_text text = {NULL, 0};
    int rc = *count != TLY_CGROUP_ABSENT ? 0 : tly_cgroup_file_once(reader, dir_fd, name, &text);
    text = tly_text_trim(text);
    if (rc == 0 && text.len > 0 && tly_cpu_list_count(text, count) < 0) {
        reader->errors++;
    }
    return rc;
}

/* ---- CPUs that can be used ---- */

static void cores_lower(int64_t *cores_u, int64_t quota_us, int64_t period_us)
{
    if (quota_us == TLY_CGROUP_ABSENT || quota_us == TLY_CGROUP_MAX || period_us <= 0 ||
        quota_us > INT64_MAX / MILLION) {
        return;
    }
    int64_t quota_u = quota_us * MILLION / period_us;
    if (*cores_u == TLY_CGROUP_ABSENT || quota_u < *cores_u) {
        *cores_u = quota_u;
    }
}

/* A whole number of CPUs as one more bound. */
static void cores_bound(int64_t *cores_u, int64_t cpus)
{
    if (cpus != TLY_CGROUP_ABSENT) {
        cores_lower(cores_u, cpus, 1);
    }
}

/* One cgroup above: `len` bytes of `path`, which has room for names behind them. 0: the root, which
 * has no quota. */
static int one_above_read(struct tly_cgroup_reader *reader, int root_fd, char *path, size_t len,
                          struct tly_cgroup_limits *limits)
{
    char *name = path + len;
    int rc = 0;
    if (len > 0) {
        *name++ = '/';
        int64_t quota_us = TLY_CGROUP_ABSENT;
        int64_t period_us = TLY_CGROUP_ABSENT;
        memcpy(name, "cpu.max", sizeof("cpu.max"));
        rc = cpu_max_read(reader, root_fd, path, &quota_us, &period_us);
        cores_lower(&limits->effective_cores_u, quota_us, period_us);
    }
    if (!tly_error_lacks_means(rc)) {
        memcpy(name, "cpuset.cpus.effective", sizeof("cpuset.cpus.effective"));
        rc = list_read(reader, root_fd, path, &limits->cpus);
    }
    if (!tly_error_lacks_means(rc)) {
        memcpy(name, "cpuset.mems.effective", sizeof("cpuset.mems.effective"));
        rc = list_read(reader, root_fd, path, &limits->memory_nodes);
    }
    return tly_error_lacks_means(rc) ? rc : 0;
}

/* The cgroups above, up to the root. One that went away or can't be read says nothing. */
static int above_read(struct tly_cgroup_reader *reader, const struct tly_cgroup_files *files,
                      struct tly_cgroup_limits *limits)
{
    char path[PATH_MAX];
    size_t len = strlen(files->path);
    int rc = 0;
    while (rc == 0 && len > 0 && len < sizeof(path) - sizeof("/cpuset.cpus.effective")) {
        const char *slash = memrchr(files->path, '/', len);
        len = slash == NULL ? 0 : (size_t)(slash - files->path);
        memcpy(path, files->path, len);
        rc = one_above_read(reader, files->root_fd, path, len, limits);
    }
    return rc;
}

static int online_read(struct tly_cgroup_reader *reader, const char *sys,
                       struct tly_cgroup_limits *limits)
{
    char path[PATH_MAX];
    struct tly_text text = {NULL, 0};
    int64_t count = TLY_CGROUP_ABSENT;
    int len = snprintf(path, sizeof(path), "%s/devices/system/cpu/online", sys);
    int rc = len < (int)sizeof(path) ? tly_cgroup_file_once(reader, AT_FDCWD, path, &text) : 0;
    if (rc == 0 && tly_cpu_list_count(text, &count) == 0) {
        cores_bound(&limits->effective_cores_u, count);
    }
    return tly_error_lacks_means(rc) ? rc : 0;
}

int tly_cgroup_limits_read(struct tly_cgroup_reader *reader, const struct tly_cgroup_files *files,
                           const char *sys, struct tly_cgroup_limits *ret_limits)
{
    TLY_AUTO_FD dir_fd = -1;
    struct tly_cgroup_limits limits;
    memset(&limits, 0xff, sizeof(limits)); /* all absent */
    int rc = tly_cgroup_files_open(files, &dir_fd);
    if (rc == 0) {
        rc = cpu_max_read(reader, dir_fd, "cpu.max", &limits.cpu_quota_us, &limits.cpu_period_us);
    }
    if (rc == 0) {
        rc = values_read(reader, dir_fd, &limits);
    }
    if (rc == 0) {
        rc = list_read(reader, dir_fd, "cpuset.cpus.effective", &limits.cpus);
    }
    if (rc == 0) {
        rc = list_read(reader, dir_fd, "cpuset.mems.effective", &limits.memory_nodes);
    }
    if (rc == 0) {
        rc = above_read(reader, files, &limits);
    }
    if (rc == 0) {
        rc = online_read(reader, sys, &limits);
    }
    if (rc < 0) {
        return rc;
    }
    cores_lower(&limits.effective_cores_u, limits.cpu_quota_us, limits.cpu_period_us);
    cores_bound(&limits.effective_cores_u, limits.cpus);
    *ret_limits = limits;
    return 0;
}
