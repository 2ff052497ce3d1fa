/*
 * Opens and locks the state folder by flock(2) on a file in it, which the kernel lets go of when
 * the agent dies, also by SIGKILL. The file holds the process id, for the message of the next agent
 * only; it stays, since removing it could take it from under somebody else's lock.
 */
#include "agent/state_dir.h"

#include "agent/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define FOLDER_MODE    0750
#define LOCK_MODE      0640
#define LOCK_NAME      "lock"
#define PID_DIGITS_MAX 16

static int refuse(int rc, const char *what, const char *path, struct tly_error *err)
{
    const char *advice = "";
    if (rc == -EACCES || rc == -EPERM || rc == -EROFS) {
        advice = "; set `state_dir` to a folder that this user may write, or run as another user";
    } else if (rc == -ENOSPC) {
        advice = "; make room on that file system";
    } else if (rc == -ENOTDIR || rc == -EEXIST) {
        advice = "; set `state_dir` to a folder";
    }
    return tly_error_set(err, rc, "cannot %s the state folder %s: %s%s", what, path,
                         tly_error_name(rc), advice);
}

static int refuse_busy(int lock_fd, const char *path, struct tly_error *err)
{
    char pid[PID_DIGITS_MAX] = "";
    ssize_t len = tly_file_pread(lock_fd, pid, sizeof(pid) - 1, 0);
    pid[len > 0 ? len : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    return tly_error_set(err, -EBUSY,
                         "another agent%s%s%s uses the state folder %s; stop it, or give this one "
                         "a `state_dir` of its own",
                         *pid ? " (process " : "", pid, *pid ? ")" : "", path);
}

static int write_pid(int lock_fd)
{
    char pid[PID_DIGITS_MAX];
    int len = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(lock_fd, 0) < 0) {
        return -errno;
    }
    return tly_file_write_fd(lock_fd, pid, (size_t)len);
}

int tly_state_dir_open(const char *path, struct tly_state_dir *ret_dir, struct tly_error *err)
{
    int rc = tly_file_make_dirs(path, FOLDER_MODE);
    if (rc < 0) {
        return refuse(rc, "make", path, err);
    }
    struct tly_state_dir dir = TLY_STATE_DIR_NONE;
    rc = tly_file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, &dir.dir_fd);
    if (rc < 0) {
        return refuse(rc, "open", path, err);
    }
    dir.lock_fd = openat(dir.dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                         LOCK_MODE);
    rc = dir.lock_fd < 0 ? -errno : 0;
    if (rc < 0) {
        (void)refuse(rc, "write to", path, err); /* rc is returned below */
    } else if (flock(dir.lock_fd, LOCK_EX | LOCK_NB) < 0) {
        rc = errno == EWOULDBLOCK ? refuse_busy(dir.lock_fd, path, err)
                                  : refuse(-errno, "lock", path, err);
    } else {
        rc = write_pid(dir.lock_fd);
        if (rc < 0) {
            (void)refuse(rc, "write to", path, err); /* rc is returned below */
        }
    }
    if (rc < 0) {
        tly_state_dir_close(&dir);
        return rc;
    }
    *ret_dir = dir;
    return 0;
}

void tly_state_dir_close(struct tly_state_dir *dir)
{
    tly_fd_close(&dir->dir_fd);
    tly_fd_close(&dir->lock_fd);
}
