/*
 * Files, read whole or written whole, with the system calls' interruptions and short counts dealt
 * with in one place. Descriptors belong to the caller.
 */
#include "agent/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The least room offered to read(2): a kernel file's whole page. */
#define READ_STEP 4096

void tly_fd_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        (void)close(*fd); /* Linux closes the descriptor whatever it returns; data was synced */
        errno = saved;
        *fd = -1;
    }
}

void tly_free(void *pointer_to_pointer)
{
    void *memory;
    memcpy(&memory, pointer_to_pointer, sizeof(memory)); /* the pointer's own type is unknown */
    free(memory);
    memset(pointer_to_pointer, 0, sizeof(memory)); /* NULL */
}

int tly_file_open(int dir_fd, const char *path, int flags, int *ret_fd)
{
    int fd;
    do {
        fd = openat(dir_fd, path, flags | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

static ssize_t read_some(int fd, void *to, size_t cap)
{
    ssize_t got;
    do {
        got = read(fd, to, cap);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

/* `head`: as much as fits is enough. */
static int read_on(int fd, struct tly_buf *buf, bool head)
{
    const size_t len_before = buf->len;
    int rc = 0;
    for (;;) {
        char beyond;
        char *to = &beyond;
        size_t room = buf->max - buf->len;
        if (room > 0) {
            rc = tly_buf_reserve(buf, room < READ_STEP ? room : READ_STEP, &to);
            if (rc < 0) {
                break;
            }
            size_t spare = buf->cap - buf->len;
            room = spare < room ? spare : room;
        }
        /* A full buffer does not tell whether the file ends here: one more byte does. */
        ssize_t got = read_some(fd, to, room > 0 ? room : sizeof(beyond));
        if (got <= 0) {
            rc = (int)got;
            break;
        }
        if (room == 0) {
            rc = head ? 0 : TLY_E_LIMIT;
            break;
        }
        buf->len += (size_t)got;
    }
    if (rc < 0) {
        buf->len = len_before;
    }
    return rc;
}

int tly_file_read_fd(int fd, struct tly_buf *buf)
{
    return read_on(fd, buf, false);
}

static int read_path(int dir_fd, const char *path, struct tly_buf *buf, bool head)
{
    TLY_AUTO_FD fd = -1;
    int rc = tly_file_open(dir_fd, path, O_RDONLY, &fd);
    return rc < 0 ? rc : read_on(fd, buf, head);
}

int tly_file_read(int dir_fd, const char *path, struct tly_buf *buf)
{
    return read_path(dir_fd, path, buf, false);
}

int tly_file_read_head(int dir_fd, const char *path, struct tly_buf *buf)
{
    return read_path(dir_fd, path, buf, true);
}

ssize_t tly_file_pread(int fd, void *to, size_t cap, off_t offset)
{
    ssize_t got;
    do {
        got = pread(fd, to, cap, offset);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

int tly_file_write_fd(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t put = write(fd, at, len);
        if (put < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -errno;
        }
        at += put;
        len -= (size_t)put;
    }
    return 0;
}

/* Writes and syncs the new content under the temporary name. */
static int write_synced(int dir_fd, const char *name, mode_t mode, const void *bytes, size_t len)
{
    /* What a crash left behind goes first; with O_EXCL nobody's link is followed or written to. */
    if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT) {
        return -errno;
    }
    TLY_AUTO_FD fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                            S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return -errno;
    }
    int rc = tly_file_write_fd(fd, bytes, len);
    if (rc < 0) {
        return rc;
    }
    /* By descriptor, so that the umask has no say. */
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0) {
        return -errno;
    }
    return 0;
}

int tly_file_replace(int dir_fd, const char *name, mode_t mode, const void *bytes, size_t len)
{
    char temporary[NAME_MAX + 1];
    int printed = snprintf(temporary, sizeof(temporary), "%s.new", name);
    if (printed < 0 || (size_t)printed >= sizeof(temporary)) {
        return -ENAMETOOLONG;
    }
    if (name[0] == '\0' || strchr(name, '/')) {
        return -EINVAL; /* the directory to sync would be another one */
    }
    /* Opened anew, since `dir_fd` may be AT_FDCWD or lack the right to sync (O_PATH). */
    TLY_AUTO_FD dir = -1;
    int rc = tly_file_open(dir_fd, ".", O_RDONLY | O_DIRECTORY, &dir);
    if (rc < 0) {
        return rc;
    }
    rc = write_synced(dir, temporary, mode, bytes, len);
    if (rc == 0 && renameat(dir, temporary, dir, name) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        (void)unlinkat(dir, temporary, 0); /* best effort: the next replacement removes it too */
        return rc;
    }
    return fsync(dir) < 0 ? -errno : 0;
}

static int make_dir(const char *path, mode_t mode)
{
    if (mkdir(path, mode) == 0) {
        return 0;
    }
    int rc = -errno;
    struct stat status;
    /* Whatever mkdir minds (EEXIST, EROFS, EACCES), a directory that is there is fine. */
    if (stat(path, &status) < 0) {
        return rc;
    }
    return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int tly_file_make_dirs(const char *path, mode_t mode)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0) {
        return -ENOENT;
    }
    if (len >= sizeof(part)) {
        return -ENAMETOOLONG;
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (part[i] == '/' && part[i - 1] != '/') {
            part[i] = '\0';
            int rc = make_dir(part, mode);
            if (rc < 0) {
                return rc;
            }
            part[i] = '/';
        }
    }
    return make_dir(part, mode);
}
