/*
 * Three small reads for each process, and one look at the inode of its executable. Nothing of a
 * container's file systems is opened, and none is asked that would have to ask somebody else.
 */
#include "collectors/cgroup/suspects.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/codec/mountinfo.h"
#include "agent/codec/suspect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES 32 /* "<pid>/mountinfo" */
#define COMM_BYTES 32 /* the kernel's 16, with room */
/* An engine says that a container has started when its process has, after a hook or two. */
#define ENGINE_LATE_NS (60 * TLY_NS_PER_S)
/* A change time is that of the last tick of the kernel's clock; its slowest one ticks 100 times a
 * second. What is in an image is older by far. */
#define CHANGE_LAG_NS (10 * TLY_NS_PER_MS)

/* A file of a process: whoever writes much into it hides nothing that comes before. Empty where it
 * can't be read, as when the process is gone; cut at the buffer's maximum. */
static struct tly_text read_file(int proc_fd, int64_t pid, const char *name, struct tly_buf *text)
{
    char path[NAME_BYTES];
    (void)snprintf(path, sizeof(path), "%" PRId64 "/%s", pid, name);
    tly_buf_clear(text);
    int rc = tly_file_read_head(proc_fd, path, text);
    return rc < 0 ? (struct tly_text){NULL, 0} : tly_buf_text(text);
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

/* ---- executables that came later ---- */

/* What a link of a process points to. A network file system is not asked: what the kernel has of
 * the inode is good enough. */
static int inode_look(int proc_fd, int64_t pid, const char *link, struct statx *ret_status)
{
    char path[NAME_BYTES];
    (void)snprintf(path, sizeof(path), "%" PRId64 "/%s", pid, link);
    return statx(proc_fd, path, AT_STATX_DONT_SYNC, STATX_CTIME | STATX_MNT_ID, ret_status) < 0
               ? -errno
               : 0;
}

static uint64_t mount_of(const struct statx *status)
{
    return status->stx_mask & STATX_MNT_ID ? status->stx_mnt_id : 0;
}

void tly_image_root_look(struct tly_image_root *root, int proc_fd, int64_t pid)
{
    struct statx status;
    root->known = root->since_ns > 0 && inode_look(proc_fd, pid, "root", &status) == 0;
    if (root->known) {
        root->major = status.stx_dev_major;
        root->minor = status.stx_dev_minor;
        root->mount = mount_of(&status);
    }
}

int64_t tly_image_since(int64_t process_ns, int64_t told_ns)
{
    if (told_ns <= 0) {
        return process_ns > 0 ? process_ns : 0;
    }
    bool near = process_ns <= told_ns && process_ns > told_ns - ENGINE_LATE_NS;
    return near ? process_ns : told_ns;
}

/*
 * Whether the process has the whole of a tmpfs of that number: its own memory. Of a tmpfs of the
 * host a bind mount has a part, mostly, which is the operator's. Any mount of it counts, and not
 * only the one that the program was started from: who may mount can bind a part of its own memory.
 */
static bool on_tmpfs(int proc_fd, int64_t pid, const struct statx *status, struct tly_buf *text)
{
    struct tly_mount mount;
    struct tly_text rest = read_file(proc_fd, pid, "mountinfo", text);
    while (tly_mount_next(&rest, &mount)) {
        if (mount.major == status->stx_dev_major && mount.minor == status->stx_dev_minor &&
            tly_text_equal(mount.type, TLY_TEXT("tmpfs")) &&
            tly_text_equal(mount.root, TLY_TEXT("/"))) {
            return true;
        }
    }
    return false;
}

/* Bind mounts and volumes are the operator's, who may renew them while a container runs. */
static bool is_late(const struct tly_image_root *root, int proc_fd, int64_t pid,
                    struct tly_buf *text)
{
    struct statx status;
    if (!root->known || inode_look(proc_fd, pid, "exe", &status) < 0) {
        return false;
    }
    int64_t changed_ns = status.stx_ctime.tv_sec * TLY_NS_PER_S + status.stx_ctime.tv_nsec;
    if (changed_ns + CHANGE_LAG_NS <= root->since_ns) {
        return false;
    }
    /* An overlay whose layers are on several file systems has more than one number. */
    return (status.stx_dev_major == root->major && status.stx_dev_minor == root->minor) ||
           (root->mount != 0 && mount_of(&status) == root->mount) ||
           on_tmpfs(proc_fd, pid, &status, text);
}

static void look_at_exe(struct tly_suspects *suspects, const struct tly_image_root *root,
                        int proc_fd, int64_t pid, struct tly_buf *text)
{
    char path[NAME_BYTES];
    char exe[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%" PRId64 "/exe", pid);
    ssize_t len = readlinkat(proc_fd, path, exe, sizeof(exe));
    if (len < 0 && (errno == EACCES || errno == EPERM)) {
        suspects->deleted = -1;
    }
    if (len <= 0 || suspects->deleted < 0) {
        return;
    }
    struct tly_text target = {exe, (size_t)len};
    suspects->deleted += tly_suspect_is_deleted(target);
    /* What never was a file is told by the other number: runc(8) itself starts in that way. */
    if (suspects->late_count < TLY_LATE_MAX && !tly_suspect_is_memory(target) &&
        is_late(root, proc_fd, pid, text)) {
        suspects->late_pids[suspects->late_count++] = pid;
    }
}

void tly_suspects_look(struct tly_suspects *suspects, const struct tly_image_root *root,
                       int proc_fd, int64_t pid, struct tly_buf *text)
{
    suspects->miners += is_miner(proc_fd, pid, text);
    look_at_exe(suspects, root, proc_fd, pid, text);
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
    if (suspects->deleted >= 0 && suspects->late >= 0) {
        tly_samples_add(samples, TLY_F_container_processes_not_in_image, TLY_DIM_NONE,
                        suspects->late);
    }
}
