/*
 * Counts what a test's own process syncs, and lets it fail: these stand before libc's functions.
 * For one file of a program.
 */
#ifndef TLY_TESTS_DELIVERY_SYNCS_H
#define TLY_TESTS_DELIVERY_SYNCS_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int syncs_of_files;
static atomic_int syncs_of_folder;
static atomic_int syncs_failing;         /* so many of the next ones */
static atomic_ullong syncs_folder_inode; /* of the folder that is counted */

static inline void syncs_begin(int folder_fd)
{
    struct stat st;
    (void)fstat(folder_fd, &st);
    atomic_store(&syncs_folder_inode, st.st_ino);
    atomic_store(&syncs_of_files, 0);
    atomic_store(&syncs_of_folder, 0);
}

static inline int syncs_note(int fd, long call)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -1;
    }
    if (!S_ISDIR(st.st_mode)) {
        atomic_fetch_add(&syncs_of_files, 1);
    } else if (st.st_ino == atomic_load(&syncs_folder_inode)) {
        atomic_fetch_add(&syncs_of_folder, 1);
    }
    if (atomic_load(&syncs_failing) > 0) {
        atomic_fetch_sub(&syncs_failing, 1);
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

int fsync(int fd)
{
    return syncs_note(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return syncs_note(fd, SYS_fdatasync);
}

#endif
