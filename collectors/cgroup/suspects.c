/*
 * Three small reads for each process.
 */
#include "collectors/cgroup/suspects.h"

#include "agent/base/file.h"
#include "agent/codec/suspect.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_BYTES 32 /* "<pid>/cmdline" */
#define COMM_BYTES 32 /* the kernel's 16, with room */

/* A file of a process; empty where there is none any more, and cut at the buffer's maximum. */
static struct tly_text read_file(int proc_fd, int64_t pid, const char *name, struct tly_buf *text)
{
    char path[NAME_BYTES];
    (void)snprintf(path, sizeof(path), "%" PRId64 "/%s", pid, name);
    tly_buf_clear(text);
    int rc = tly_file_read(proc_fd, path, text);
    (void)rc; /* what was read before a failure is there */
    return tly_buf_text(text);
}

static bool is_miner(int proc_fd, int64_t pid, struct tly_buf *text)
{
    char comm[COMM_BYTES];
    struct tly_text name = tly_text_trim(read_file(proc_fd, pid, "comm", text));
    size_t len = name.len < sizeof(comm) ? name.len : sizeof(comm);
    memcpy(comm, name.at ? name.at : "", len);
    return tly_suspect_is_miner((struct tly_text){comm, len},
                                read_file(proc_fd, pid, "cmdline", text));
}

static void look_at_exe(struct tly_suspects *suspects, int proc_fd, int64_t pid)
{
    char path[NAME_BYTES];
    char exe[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%" PRId64 "/exe", pid);
    ssize_t len = readlinkat(proc_fd, path, exe, sizeof(exe));
    if (len < 0 && (errno == EACCES || errno == EPERM)) {
        suspects->deleted = -1;
    } else if (len > 0 && suspects->deleted >= 0) {
        suspects->deleted += tly_suspect_is_deleted((struct tly_text){exe, (size_t)len});
    }
}

void tly_suspects_look(struct tly_suspects *suspects, int proc_fd, int64_t pid,
                       struct tly_buf *text)
{
    suspects->miners += is_miner(proc_fd, pid, text);
    look_at_exe(suspects, proc_fd, pid);
}

void tly_suspects_write(const struct tly_suspects *suspects, struct tly_samples *samples)
{
    uint16_t dim = tly_samples_dim1(samples, "kind", TLY_TEXT("miner"));
    if (dim != TLY_DIM_NONE) {
        tly_samples_add(samples, TLY_F_container_suspicious_processes, dim, suspects->miners);
    }
    if (suspects->deleted >= 0) {
        tly_samples_add(samples, TLY_F_container_processes_deleted_exe, TLY_DIM_NONE,
                        suspects->deleted);
    }
}
