/*
 * Files, read whole or written whole. Descriptors are always close-on-exec.
 */
#ifndef TLY_BASE_FILE_H
#define TLY_BASE_FILE_H

#include "agent/base/buf.h"
#include "agent/base/error.h"

#include <stddef.h>
#include <sys/types.h>

/* Closes and sets to -1; -1 is fine. Keeps errno. For __attribute__((cleanup)). */
void tly_fd_close(int *fd);
#define TLY_AUTO_FD __attribute__((cleanup(tly_fd_close))) int
void tly_free(void *pointer_to_pointer); /* free(*p), which is NULL then; also for cleanup */
#define TLY_AUTO_FREE __attribute__((cleanup(tly_free)))

/* openat(2) with O_CLOEXEC added, retried on EINTR. -errno. */
int tly_file_open(int dir_fd, const char *path, int flags, int *ret_fd) TLY_CHECK;

/* Appends all bytes from the current offset on to `buf`; works for files of unknown size (proc,
 * cgroup). -errno, TLY_E_LIMIT at the buffer's maximum. */
int tly_file_read_fd(int fd, struct tly_buf *buf) TLY_CHECK;
int tly_file_read(int dir_fd, const char *path, struct tly_buf *buf) TLY_CHECK;
/* ... as many of them as fit: the maximum is no error. */
int tly_file_read_head(int dir_fd, const char *path, struct tly_buf *buf) TLY_CHECK;

/* One pread(2) of at most `cap` bytes at `offset`, retried on EINTR; the count, or -errno. */
ssize_t tly_file_pread(int fd, void *to, size_t cap, off_t offset) TLY_CHECK;

/* All bytes, over short writes and EINTR. -errno. */
int tly_file_write_fd(int fd, const void *bytes, size_t len) TLY_CHECK;

/*
 * Replaces `name` in the directory atomically: a temporary file beside it, written, synced,
 * renamed, the directory synced. After power loss the old or the new content stands there, never a
 * mix. `name` holds no slash; the temporary file is `name`.new, so that one left by a crash is
 * replaced by the next call. `mode` is set as it is, whatever the umask.
 */
int tly_file_replace(int dir_fd, const char *name, mode_t mode, const void *bytes,
                     size_t len) TLY_CHECK;

/* mkdir -p with `mode` for what it makes. */
int tly_file_make_dirs(const char *path, mode_t mode) TLY_CHECK;

#endif
