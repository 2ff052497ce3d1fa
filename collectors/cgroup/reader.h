/*
 * Reads the files of one cgroup. Descriptors are held from one reading to the next, as far as the
 * budget reaches: opening a file costs more than reading it. Used on one worker at a time.
 */
#ifndef TLY_COLLECTORS_CGROUP_READER_H
#define TLY_COLLECTORS_CGROUP_READER_H

#include "agent/base/error.h"
#include "agent/model/group.h"
#include "collectors/cgroup/numbers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Files read at each tick. */
#define TLY_CGROUP_FILES 16

struct tly_cgroup_budget {
    size_t held, max; /* descriptors */
};

struct tly_cgroup_reader {
    struct tly_cgroup_budget budget;
    char *buffer; /* owned, `cap` bytes */
    size_t cap;
    uint32_t skipped; /* a bit for each file that no group needs */
    uint64_t errors;  /* files that are there and could not be read or understood */
    struct tly_cgroup_numbers numbers; /* of the cgroup that was read last */
};

/* Where a cgroup lies and what is open of it; embedded. */
struct tly_cgroup_files {
    int root_fd;      /* borrowed */
    const char *path; /* below the root, without a leading slash; "." for the root; borrowed */
    uint64_t inode;   /* of the directory: another one of the same name is another cgroup */
    int fds[TLY_CGROUP_FILES];
    uint32_t missing; /* a bit for each file that this cgroup does not have */
};

int tly_cgroup_reader_init(struct tly_cgroup_reader *reader, const struct tly_group_choice *groups,
                           size_t descriptors_max) TLY_CHECK;
void tly_cgroup_reader_done(struct tly_cgroup_reader *reader);

void tly_cgroup_files_init(struct tly_cgroup_files *files, int root_fd, const char *path,
                           uint64_t inode);
/* Closes all. */
void tly_cgroup_files_close(struct tly_cgroup_reader *reader, struct tly_cgroup_files *files);
/* Lets files that were missing be tried again: a controller may have been switched on. */
void tly_cgroup_files_retry(struct tly_cgroup_files *files);

/* Opens the directory. -ENODEV when the cgroup is gone, also when another one has its name now. */
int tly_cgroup_files_open(const struct tly_cgroup_files *files, int *ret_dir_fd) TLY_CHECK;

/* Fills reader->numbers. -ENODEV when the cgroup is gone. Whatever else fails leaves its numbers
 * absent, and is counted. */
int tly_cgroup_files_read(struct tly_cgroup_reader *reader,
                          struct tly_cgroup_files *files) TLY_CHECK;

/* Reads a file once into the reader's buffer: its text, or an empty one where there is none, or
 * none that can be read, which is counted. Borrowed until the next reading. -ENODEV when the cgroup
 * is gone; a code of tly_error_lacks_means, which is not counted: nobody knows what is in it. */
int tly_cgroup_file_once(struct tly_cgroup_reader *reader, int dir_fd, const char *name,
                         struct tly_text *ret_text) TLY_CHECK;

#endif
