/*
 * Reads /proc/self and the process's limits whenever a snapshot is taken: a few system calls. Only
 * older kernels let descriptors be counted one by one, which a worker does for the next snapshot.
 */
#include "agent/process.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define STATUS_BYTES_MAX 65536 /* some kernels list every CPU in it */
#define KIB              1024

/* "VmRSS:\t    1234 kB" */
static bool parse_line(struct tly_text line, struct tly_text key, int64_t factor, int64_t *to)
{
    if (!tly_text_starts(line, key)) {
        return false;
    }
    struct tly_text value = tly_text_trim((struct tly_text){line.at + key.len, line.len - key.len});
    uint64_t number = 0;
    if (tly_text_u64(tly_text_cut(&value, ' '), &number) == 0 &&
        number <= (uint64_t)(INT64_MAX / factor)) {
        *to = (int64_t)number * factor;
    }
    return true;
}

void tly_process_status_parse(struct tly_text text, struct tly_process_status *ret_status)
{
    *ret_status = (struct tly_process_status){TLY_PROCESS_ABSENT, TLY_PROCESS_ABSENT,
                                              TLY_PROCESS_ABSENT};
    while (text.at) {
        struct tly_text line = tly_text_cut(&text, '\n');
        (void)(parse_line(line, TLY_TEXT("VmSize:"), KIB, &ret_status->virtual_bytes) ||
               parse_line(line, TLY_TEXT("VmRSS:"), KIB, &ret_status->resident_bytes) ||
               parse_line(line, TLY_TEXT("Threads:"), 1, &ret_status->threads));
    }
}

static void add(struct tly_samples *samples, enum tly_family_id family, int64_t raw)
{
    if (raw != TLY_PROCESS_ABSENT) {
        tly_samples_add(samples, family, TLY_DIM_NONE, raw);
    }
}

/* ---- descriptors ---- */

/* The size of /proc/self/fd is the number of its entries since Linux 6.2, and 0 before (proc(5)).
 */
static int64_t fds_told(int dir_fd)
{
    struct stat status;
    return fstatat(dir_fd, "fd", &status, 0) == 0 ? (int64_t)status.st_size : 0;
}

/* Looks at each entry: with the descriptors for thousands of containers that takes milliseconds. */
static int64_t fds_count(const char *path)
{
    TLY_AUTO_FD dir_fd = -1;
    int fd = -1;
    if (tly_file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, &dir_fd) < 0 ||
        tly_file_open(dir_fd, "fd", O_RDONLY | O_DIRECTORY, &fd) < 0) {
        return TLY_PROCESS_ABSENT;
    }
    DIR *directory = fdopendir(fd);
    if (!directory) {
        tly_fd_close(&fd);
        return TLY_PROCESS_ABSENT;
    }
    int64_t count = 0;
    for (const struct dirent *entry; (entry = readdir(directory));) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(directory);                         /* nothing was written */
    return count > 2 ? count - 2 : TLY_PROCESS_ABSENT; /* the two for looking are none of ours */
}

/* A count on a worker. */
struct tly_process_count {
    struct tly_process *process; /* NULL: it has gone */
    const char *directory;
    int64_t fds;
};

static void count_work(void *arg)
{
    struct tly_process_count *count = arg;
    count->fds = fds_count(count->directory);
}

static void count_done(void *arg)
{
    struct tly_process_count *count = arg;
    if (count->process != NULL) {
        count->process->fds = count->fds;
        count->process->count = NULL;
    }
    free(count);
}

/* What was counted last; the next count begins. */
static int64_t fds_counted(struct tly_process *process)
{
    int64_t fds = process->fds;
    struct tly_process_count *count = process->count == NULL ? calloc(1, sizeof(*count)) : NULL;
    if (count != NULL) {
        *count = (struct tly_process_count){.process = process, .directory = process->directory};
        if (tly_worker_submit(process->loop, count_work, count_done, count) < 0) {
            free(count); /* the next reading tries again */
        } else {
            process->count = count;
        }
    }
    return fds;
}

void tly_process_init(struct tly_process *process, struct tly_loop *loop)
{
    *process = (struct tly_process){
        .directory = "/proc/self", .started_ns = tly_clock_realtime_ns(), .loop = loop};
    TLY_AUTO_FD dir_fd = -1;
    if (tly_file_open(AT_FDCWD, process->directory, O_RDONLY | O_DIRECTORY, &dir_fd) == 0) {
        process->fds_are_told = fds_told(dir_fd) > 0;
    }
    process->fds = process->fds_are_told ? TLY_PROCESS_ABSENT : fds_count(process->directory);
}

void tly_process_done(struct tly_process *process)
{
    if (process->count != NULL) {
        process->count->process = NULL;
        process->count = NULL;
    }
}

/* ---- samples ---- */

static void add_limits(struct tly_samples *samples)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        const int64_t us_per_s = 1000000;
        add(samples, TLY_F_process_cpu_seconds_total,
            (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * us_per_s + usage.ru_utime.tv_usec +
                usage.ru_stime.tv_usec);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        add(samples, TLY_F_process_max_fds, (int64_t)limit.rlim_cur);
    }
}

void tly_process_meter(void *process, struct tly_samples *samples)
{
    struct tly_process *self = process;
    add(samples, TLY_F_process_start_time_seconds, self->started_ns / TLY_NS_PER_MS);
    add_limits(samples);
    TLY_AUTO_FD dir_fd = -1;
    if (tly_file_open(AT_FDCWD, self->directory, O_RDONLY | O_DIRECTORY, &dir_fd) < 0) {
        return;
    }
    if (self->fds_are_told) {
        add(samples, TLY_F_process_open_fds, fds_told(dir_fd) - 1); /* without `dir_fd` */
    }
    struct tly_buf buf;
    tly_buf_init(&buf, STATUS_BYTES_MAX);
    if (tly_file_read(dir_fd, "status", &buf) == 0) {
        struct tly_process_status status;
        tly_process_status_parse(tly_buf_text(&buf), &status);
        add(samples, TLY_F_process_virtual_memory_bytes, status.virtual_bytes);
        add(samples, TLY_F_process_resident_memory_bytes, status.resident_bytes);
        add(samples, TLY_F_process_threads, status.threads);
    }
    tly_buf_done(&buf);
    tly_fd_close(&dir_fd);
    if (!self->fds_are_told) {
        add(samples, TLY_F_process_open_fds, fds_counted(self));
    }
}
