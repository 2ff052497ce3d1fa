/*
 * Telling log files apart: by inode where the file is open, by a hash of their beginning where it
 * may have been renamed, compressed, copied or replaced since.
 */
#include "collectors/logs/file.h"

#include "agent/base/file.h"
#include "collectors/logs/gzip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A 64-bit hash in eight-byte steps (multiply and fold, as in many public-domain hashes): it only
 * has to make two different beginnings unlikely to agree. */
uint64_t tly_log_hash(const char *at, size_t len)
{
    const uint64_t odd = 0x9e3779b97f4a7c15ULL; /* 2^64 divided by the golden ratio */
    uint64_t hash = odd ^ len;
    while (len > 0) {
        uint64_t word = 0;
        size_t step = len < sizeof(word) ? len : sizeof(word);
        memcpy(&word, at, step);
        hash = (hash ^ word) * odd;
        hash ^= hash >> 32;
        at += step;
        len -= step;
    }
    return hash;
}

/* The first bytes of the (uncompressed) contents, at most `cap`; their number or a negative code.
 */
static ssize_t read_head(const struct tly_log_file *file, char *to, size_t cap)
{
    if (!file->gzip) {
        return tly_file_pread(file->fd, to, cap, 0);
    }
    struct tly_log_gzip *gzip;
    int rc = tly_log_gzip_new(file->fd, &gzip);
    if (rc < 0) {
        return rc;
    }
    ssize_t count = tly_log_gzip_read(gzip, to, cap);
    tly_log_gzip_free(gzip);
    return count;
}

/* Without O_NOATIME each read of a file that is being written to would make the kernel write its
 * inode too. Only the owner and root may ask for that. O_NONBLOCK: a fifo put there under a log's
 * name must not stop the agent. */
static int open_quietly(int dir_fd, const char *name, int *ret_fd)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    int rc = tly_file_open(dir_fd, name, flags | O_NOATIME, ret_fd);
    return rc == -EPERM ? tly_file_open(dir_fd, name, flags, ret_fd) : rc;
}

int tly_log_file_open(int dir_fd, const char *name, bool gzip, struct tly_log_file **ret_file)
{
    TLY_AUTO_FD fd = -1;
    int rc = open_quietly(dir_fd, name, &fd);
    if (rc < 0) {
        return rc;
    }
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return -EINVAL;
    }
    struct tly_log_file *file = calloc(1, sizeof(*file));
    if (!file) {
        return -ENOMEM;
    }
    *file = (struct tly_log_file){.fd = fd,
                                  .gzip = gzip,
                                  .final = gzip,
                                  .device = (uint64_t)st.st_dev,
                                  .inode = (uint64_t)st.st_ino};
    fd = -1;
    rc = tly_log_file_look(file);
    if (rc < 0 && !gzip) {
        tly_log_file_free(file);
        return rc;
    }
    *ret_file = file; /* a damaged compressed file is found out when it is read */
    return 0;
}

void tly_log_file_free(struct tly_log_file *file)
{
    if (file) {
        tly_fd_close(&file->fd);
        free(file);
    }
}

int tly_log_file_look(struct tly_log_file *file)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0) {
        return -errno;
    }
    file->deleted = st.st_nlink == 0;
    if ((uint64_t)st.st_size < file->size) {
        return 0; /* cut: the reader finds out, and counts by what it was */
    }
    file->size = (uint64_t)st.st_size;
    if (file->head_len == TLY_LOG_HEAD_MAX || file->size <= file->head_len) {
        return 0;
    }
    char head[TLY_LOG_HEAD_MAX];
    ssize_t count = read_head(file, head, sizeof(head));
    if (count < 0) {
        return (int)count;
    }
    /* Grown, it still must begin as it did: else it was cut, which the reader has to find out. */
    if ((size_t)count > file->head_len &&
        (file->head_len == 0 || tly_log_hash(head, file->head_len) == file->head_hash)) {
        file->head_len = (uint32_t)count;
        file->head_hash = tly_log_hash(head, (size_t)count);
    }
    return 0;
}

bool tly_log_file_was_cut(struct tly_log_file *file, uint64_t offset)
{
    struct stat st;
    char head[TLY_LOG_HEAD_MAX];
    if (file->gzip || fstat(file->fd, &st) < 0) {
        return false;
    }
    if ((uint64_t)st.st_size < offset || (uint64_t)st.st_size < file->head_len) {
        return true;
    }
    if (file->head_len == 0) {
        return false; /* nothing was in it yet */
    }
    ssize_t count = tly_file_pread(file->fd, head, file->head_len, 0);
    return count >= 0 && ((size_t)count < file->head_len ||
                          tly_log_hash(head, file->head_len) != file->head_hash);
}

bool tly_log_file_matches(const struct tly_log_file *file, const struct tly_position *position)
{
    if (position->head_len == 0) {
        return !file->gzip && file->inode == position->inode && file->device == position->device;
    }
    char head[TLY_LOG_HEAD_MAX];
    if (position->head_len > sizeof(head)) {
        return false;
    }
    ssize_t count = read_head(file, head, position->head_len);
    return count == (ssize_t)position->head_len &&
           tly_log_hash(head, position->head_len) == position->head_hash;
}

void tly_log_file_position(const struct tly_log_file *file, uint64_t offset,
                           struct tly_position *ret_position)
{
    *ret_position = (struct tly_position){.device = file->device,
                                          .inode = file->inode,
                                          .head_hash = file->head_hash,
                                          .head_len = file->head_len,
                                          .offset = offset};
}
