/*
 * From the files of a cgroup to numbers. One table row per file says how its text is parsed; the
 * rest is opening, holding and reading, the same for all.
 */
#include "collectors/cgroup/reader.h"

#include "agent/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* memory.stat takes 2 KiB; io.stat about 100 bytes for each device. A file that fills the buffer is
 * read again with a larger one, up to the maximum. */
#define BUFFER_FIRST 16384
#define BUFFER_MAX   (1U << 20)

static const struct tly_cgroup_key cpu_keys[] = {
    TLY_CGROUP_KEY("usage_usec", struct tly_cgroup_cpu, usage_us),
    TLY_CGROUP_KEY("user_usec", struct tly_cgroup_cpu, user_us),
    TLY_CGROUP_KEY("system_usec", struct tly_cgroup_cpu, system_us),
    TLY_CGROUP_KEY("nr_periods", struct tly_cgroup_cpu, periods),
    TLY_CGROUP_KEY("nr_throttled", struct tly_cgroup_cpu, throttled),
    TLY_CGROUP_KEY("throttled_usec", struct tly_cgroup_cpu, throttled_us),
    TLY_CGROUP_KEY("nr_bursts", struct tly_cgroup_cpu, bursts),
    TLY_CGROUP_KEY("burst_usec", struct tly_cgroup_cpu, burst_us),
};

static const struct tly_cgroup_key memory_stat_keys[] = {
    TLY_CGROUP_KEY("anon", struct tly_cgroup_memory, anon),
    TLY_CGROUP_KEY("file", struct tly_cgroup_memory, file),
    TLY_CGROUP_KEY("kernel", struct tly_cgroup_memory, kernel),
    TLY_CGROUP_KEY("kernel_stack", struct tly_cgroup_memory, kernel_stack),
    TLY_CGROUP_KEY("pagetables", struct tly_cgroup_memory, page_tables),
    TLY_CGROUP_KEY("sock", struct tly_cgroup_memory, sock),
    TLY_CGROUP_KEY("shmem", struct tly_cgroup_memory, shmem),
    TLY_CGROUP_KEY("zswap", struct tly_cgroup_memory, zswap),
    TLY_CGROUP_KEY("zswapped", struct tly_cgroup_memory, zswapped),
    TLY_CGROUP_KEY("file_mapped", struct tly_cgroup_memory, file_mapped),
    TLY_CGROUP_KEY("file_dirty", struct tly_cgroup_memory, file_dirty),
    TLY_CGROUP_KEY("file_writeback", struct tly_cgroup_memory, file_writeback),
    TLY_CGROUP_KEY("inactive_file", struct tly_cgroup_memory, inactive_file),
    TLY_CGROUP_KEY("active_file", struct tly_cgroup_memory, active_file),
    TLY_CGROUP_KEY("slab_reclaimable", struct tly_cgroup_memory, slab_reclaimable),
    TLY_CGROUP_KEY("slab", struct tly_cgroup_memory, slab),
    TLY_CGROUP_KEY("workingset_refault_anon", struct tly_cgroup_memory, refault_anon),
    TLY_CGROUP_KEY("workingset_refault_file", struct tly_cgroup_memory, refault_file),
    TLY_CGROUP_KEY("pgscan", struct tly_cgroup_memory, pgscan),
    TLY_CGROUP_KEY("pgsteal", struct tly_cgroup_memory, pgsteal),
    TLY_CGROUP_KEY("pgfault", struct tly_cgroup_memory, pgfault),
    TLY_CGROUP_KEY("pgmajfault", struct tly_cgroup_memory, pgmajfault),
};

static const struct tly_cgroup_key memory_events_keys[] = {
    TLY_CGROUP_KEY("low", struct tly_cgroup_memory, low),
    TLY_CGROUP_KEY("high", struct tly_cgroup_memory, high),
    TLY_CGROUP_KEY("max", struct tly_cgroup_memory, max),
    TLY_CGROUP_KEY("oom", struct tly_cgroup_memory, oom),
    TLY_CGROUP_KEY("oom_kill", struct tly_cgroup_memory, oom_kill),
    TLY_CGROUP_KEY("oom_group_kill", struct tly_cgroup_memory, oom_group_kill),
};

static const struct tly_cgroup_key swap_events_keys[] = {
    TLY_CGROUP_KEY("high", struct tly_cgroup_memory, swap_high),
    TLY_CGROUP_KEY("max", struct tly_cgroup_memory, swap_max),
    TLY_CGROUP_KEY("fail", struct tly_cgroup_memory, swap_fail),
};

static const struct tly_cgroup_key pids_events_keys[] = {
    TLY_CGROUP_KEY("max", struct tly_cgroup_numbers, pids_refused),
};

static const struct tly_cgroup_key cgroup_stat_keys[] = {
    TLY_CGROUP_KEY("nr_descendants", struct tly_cgroup_numbers, descendants),
    TLY_CGROUP_KEY("nr_dying_descendants", struct tly_cgroup_numbers, dying_descendants),
};

static const struct tly_cgroup_key cgroup_events_keys[] = {
    TLY_CGROUP_KEY("populated", struct tly_cgroup_numbers, populated),
    TLY_CGROUP_KEY("frozen", struct tly_cgroup_numbers, frozen),
};

enum form { FLAT, VALUE, PRESSURE, IO };

/* The groups that a file is for; ALWAYS for what more depends on than what is shown. */
#define ALWAYS   UINT32_MAX
#define FOR(one) (1U << TLY_G_##one)
_Static_assert(TLY_GROUP_COUNT < 32, "groups are bits of 32");

/* How a file's text becomes numbers; `offset` is that of the member it fills. */
struct file {
    const char *name;
    uint32_t groups;
    enum form form;
    size_t offset;
    const struct tly_cgroup_key *keys;
    size_t key_count;
};

#define AT(member)          offsetof(struct tly_cgroup_numbers, member)
#define FLAT_FILE(keys, at) FLAT, (at), (keys), sizeof(keys) / sizeof((keys)[0])
#define VALUE_FILE(at)      VALUE, (at), NULL, 0
#define PRESSURE_FILE(at)   PRESSURE, (at), NULL, 0

/* The rows that more is known of than their text. */
enum { FILE_EVENTS, FILE_CPU };

static const struct file files_read[TLY_CGROUP_FILES] = {
    [FILE_EVENTS] = {"cgroup.events", ALWAYS, FLAT_FILE(cgroup_events_keys, 0)},
    [FILE_CPU] = {"cpu.stat", ALWAYS, FLAT_FILE(cpu_keys, AT(cpu))},
    {"memory.current", FOR(memory), VALUE_FILE(AT(memory.current))},
    {"memory.peak", FOR(memory), VALUE_FILE(AT(memory.peak))},
    {"memory.stat", FOR(memory), FLAT_FILE(memory_stat_keys, AT(memory))},
    {"memory.events", FOR(memory) | FOR(oom_event), FLAT_FILE(memory_events_keys, AT(memory))},
    {"memory.swap.current", FOR(memory), VALUE_FILE(AT(memory.swap_current))},
    {"memory.swap.peak", FOR(memory), VALUE_FILE(AT(memory.swap_peak))},
    {"memory.swap.events", FOR(memory), FLAT_FILE(swap_events_keys, AT(memory))},
    {"cpu.pressure", FOR(pressure), PRESSURE_FILE(AT(cpu_pressure))},
    {"memory.pressure", FOR(pressure), PRESSURE_FILE(AT(memory_pressure))},
    {"io.pressure", FOR(pressure), PRESSURE_FILE(AT(io_pressure))},
    {"io.stat", FOR(diskIO), IO, 0, NULL, 0},
    {"pids.current", FOR(pids), VALUE_FILE(AT(pids_current))},
    {"pids.events", FOR(pids), FLAT_FILE(pids_events_keys, 0)},
    {"cgroup.stat", FOR(cgroup), FLAT_FILE(cgroup_stat_keys, 0)},
};

/* Where a descriptor stands. */
enum { FD_CLOSED = -1 };

int tly_cgroup_reader_init(struct tly_cgroup_reader *reader, const struct tly_group_choice *groups,
                           size_t descriptors_max)
{
    uint32_t on = 0;
    for (unsigned group = 0; group < TLY_GROUP_COUNT; group++) {
        on |= (uint32_t)groups->on[group] << group;
    }
    *reader = (struct tly_cgroup_reader){.budget.max = descriptors_max, .cap = BUFFER_FIRST};
    for (size_t i = 0; i < TLY_CGROUP_FILES; i++) {
        bool needed = files_read[i].groups == ALWAYS || (files_read[i].groups & on) != 0;
        reader->skipped |= (uint32_t)!needed << i;
    }
    reader->buffer = malloc(BUFFER_FIRST);
    return reader->buffer == NULL ? -ENOMEM : 0;
}

void tly_cgroup_reader_done(struct tly_cgroup_reader *reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
}

void tly_cgroup_files_init(struct tly_cgroup_files *files, int root_fd, const char *path,
                           uint64_t inode)
{
    *files = (struct tly_cgroup_files){.root_fd = root_fd, .path = path, .inode = inode};
    for (size_t i = 0; i < TLY_CGROUP_FILES; i++) {
        files->fds[i] = FD_CLOSED;
    }
}

static void held_close(struct tly_cgroup_reader *reader, int *fd)
{
    if (*fd >= 0) {
        tly_fd_close(fd);
        reader->budget.held--;
    }
}

void tly_cgroup_files_close(struct tly_cgroup_reader *reader, struct tly_cgroup_files *files)
{
    for (size_t i = 0; i < TLY_CGROUP_FILES; i++) {
        held_close(reader, &files->fds[i]);
    }
}

void tly_cgroup_files_retry(struct tly_cgroup_files *files)
{
    files->missing = 0;
}

/* Whether a cgroup without this file, or with one that can't work, is an ordinary thing: its
 * controller is off, the kernel is older, PSI was switched off at boot. */
static bool means_missing(int rc)
{
    return rc == -ENOENT || rc == -EOPNOTSUPP;
}

int tly_cgroup_files_open(const struct tly_cgroup_files *files, int *ret_dir_fd)
{
    TLY_AUTO_FD fd = -1;
    struct stat status;
    int rc = tly_file_open(files->root_fd, files->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd);
    if (rc == 0 && fstat(fd, &status) < 0) {
        rc = -errno;
    }
    if (rc == -ENOENT || (rc == 0 && status.st_ino != files->inode)) {
        return -ENODEV;
    }
    if (rc == 0) {
        *ret_dir_fd = fd;
        fd = -1;
    }
    return rc;
}

/* Reads `fd` from its start into the buffer; grows that if the file fills it. */
static ssize_t whole_read(struct tly_cgroup_reader *reader, int fd)
{
    while (true) {
        ssize_t got = tly_file_pread(fd, reader->buffer, reader->cap, 0);
        if (got < (ssize_t)reader->cap || reader->cap >= BUFFER_MAX) {
            return got;
        }
        char *grown = realloc(reader->buffer, reader->cap * 2);
        if (grown == NULL) {
            return -ENOMEM;
        }
        reader->buffer = grown;
        reader->cap *= 2;
    }
}

/* Opens and reads a file; the descriptor is kept in `held` unless that is NULL or the budget is
 * used up. */
static ssize_t fresh_read(struct tly_cgroup_reader *reader, int dir_fd, const char *name, int *held)
{
    TLY_AUTO_FD fd = -1;
    int rc = tly_file_open(dir_fd, name, O_RDONLY, &fd);
    if (rc < 0) {
        return rc;
    }
    ssize_t got = whole_read(reader, fd);
    if (got >= 0 && held != NULL && reader->budget.held < reader->budget.max) {
        *held = fd;
        fd = -1;
        reader->budget.held++;
    }
    return got;
}

static void io_parse(struct tly_cgroup_numbers *numbers, struct tly_text text)
{
    struct tly_cgroup_io io;
    while (tly_cgroup_io_next(&text, &io)) {
        if (numbers->io_count < TLY_CGROUP_DEVICES_MAX) {
            numbers->io[numbers->io_count++] = io;
        } else {
            numbers->io_skipped++;
        }
    }
}

/* False when the text is none that the kernel writes. An empty one is: io.stat without I/O. */
static bool text_parse(const struct file *file, struct tly_text text,
                       struct tly_cgroup_numbers *numbers)
{
    char *at = (char *)numbers + file->offset;
    switch (file->form) {
    case FLAT:
        return tly_cgroup_flat_parse(text, file->keys, file->key_count, at) > 0;
    case VALUE:
        return tly_cgroup_value_parse(text, (int64_t *)(void *)at) == 0;
    case PRESSURE:
        return tly_cgroup_pressure_parse(text, (struct tly_cgroup_pressure *)(void *)at) == 0;
    case IO:
        io_parse(numbers, text);
        return true;
    }
    return false;
}

/* `dir_fd` is opened by the first file that needs it: those that are held don't. */
static int file_read(struct tly_cgroup_reader *reader, struct tly_cgroup_files *files, size_t index,
                     int *dir_fd)
{
    const struct file *file = &files_read[index];
    ssize_t got;
    if (files->fds[index] >= 0) {
        got = whole_read(reader, files->fds[index]);
    } else {
        int rc = *dir_fd >= 0 ? 0 : tly_cgroup_files_open(files, dir_fd);
        if (rc < 0) {
            return rc;
        }
        got = fresh_read(reader, *dir_fd, file->name, &files->fds[index]);
    }
    if (got == -ENODEV) {
        return -ENODEV;
    }
    if (means_missing((int)got)) {
        files->missing |= 1U << index;
        held_close(reader, &files->fds[index]);
        return 0;
    }
    if (got < 0 ||
        !text_parse(file, (struct tly_text){reader->buffer, (size_t)got}, &reader->numbers)) {
        reader->errors++;
    }
    return 0;
}

int tly_cgroup_files_read(struct tly_cgroup_reader *reader, struct tly_cgroup_files *files)
{
    TLY_AUTO_FD dir_fd = -1;
    struct tly_cgroup_numbers *numbers = &reader->numbers;
    /* All bits set is TLY_CGROUP_ABSENT in every number. */
    memset(numbers, 0xff, offsetof(struct tly_cgroup_numbers, io));
    numbers->io_count = 0;
    numbers->io_skipped = 0;
    for (size_t i = 0; i < TLY_CGROUP_FILES; i++) {
        if (((files->missing | reader->skipped) & (1U << i)) != 0) {
            continue;
        }
        int rc = file_read(reader, files, i, &dir_fd);
        if (rc == -ENODEV) {
            return rc;
        }
        if (rc < 0) {
            reader->errors++;
        }
    }
    reader->errors += numbers->io_skipped;
    /* Every cgroup has the one, and every one but the root the other: this directory was removed
     * under our feet. */
    const uint32_t both = 1U << FILE_EVENTS | 1U << FILE_CPU;
    return (files->missing & both) == both ? -ENODEV : 0;
}

int tly_cgroup_file_once(struct tly_cgroup_reader *reader, int dir_fd, const char *name,
                         struct tly_text *ret_text)
{
    ssize_t got = fresh_read(reader, dir_fd, name, NULL);
    if (got == -ENODEV || tly_error_lacks_means((int)got)) {
        return (int)got;
    }
    if (got < 0 && !means_missing((int)got)) {
        reader->errors++;
    }
    *ret_text = (struct tly_text){reader->buffer, got < 0 ? 0 : (size_t)got};
    return 0;
}
