/*
 * The files of the spool: found at the start, numbered on, and removed once every destination is
 * through with them, or at the bound. One per delivery.
 *
 * Nothing is appended to a file that a former run left. Its last entries may be torn, by a kill or
 * by power loss: they were not safe, nobody was told that they were, and they are cut off.
 */
#include "agent/delivery/spool.h"

#include "agent/base/file.h"
#include "agent/delivery/positions.h"
#include "agent/delivery/spool_entry.h"
#include "agent/delivery/spool_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "spool"

/* The bound is kept by removing whole files, so each is a small part of it. */
#define SEGMENTS_IN_BOUND 16
#define SEGMENT_BYTES_MAX ((uint64_t)16 << 20)

#define TICK_MS 1000

#define READ_PATIENCE_DEFAULT_MS 60000

void tly_spool_segment_name(uint64_t number, char to[TLY_SPOOL_NAME_MAX])
{
    (void)snprintf(to, TLY_SPOOL_NAME_MAX, "%016" PRIx64, number);
}

int tly_spool_segment_add(struct tly_spool *spool, uint64_t number)
{
    struct tly_spool_segment *segment = calloc(1, sizeof(*segment));
    if (!segment) {
        return -ENOMEM;
    }
    segment->number = number;
    spool->next_number = number + 1;
    if (spool->newest) {
        spool->newest->newer = segment;
    } else {
        spool->oldest = segment;
    }
    spool->newest = segment;
    return 0;
}

/* ---- the end of a file ---- */

/* The oldest one goes. A name that can't be removed is found again at the next start. */
static void segment_remove(struct tly_spool *spool)
{
    struct tly_spool_segment *segment = spool->oldest;
    char name[TLY_SPOOL_NAME_MAX];
    tly_spool_readers_leave(spool, segment);
    tly_spool_segment_name(segment->number, name);
    if (unlinkat(spool->dir_fd, name, 0) < 0 && errno != ENOENT) {
        tly_log_debug("delivery", "cannot remove spool/%s: %s", name, tly_error_name(-errno));
    }
    spool->bytes -= segment->size;
    spool->oldest = segment->newer;
    if (!spool->oldest) {
        spool->newest = NULL;
    }
    free(segment);
}

static bool all_delivered(const struct tly_spool *spool)
{
    bool all = spool->readers != NULL;
    for (const struct tly_spool_reader *at = spool->readers; all && at; at = at->next) {
        all = tly_spool_reader_lag(at) == 0;
    }
    return all;
}

/* Removes what every destination is through with. The newest file stays, to be written on, unless
 * it may be what keeps the disk full. */
static void trim(struct tly_spool *spool)
{
    uint64_t reached = spool->readers ? UINT64_MAX : 0;
    for (const struct tly_spool_reader *at = spool->readers; at; at = at->next) {
        uint64_t own = tly_spool_reader_reached(at);
        reached = own < reached ? own : reached;
    }
    while (spool->oldest && spool->oldest != spool->newest && spool->oldest->number < reached) {
        segment_remove(spool);
    }
    if (spool->no_room && !spool->writing && spool->newest && all_delivered(spool)) {
        tly_fd_close(&spool->write_fd);
        while (spool->oldest) {
            segment_remove(spool);
        }
    }
}

void tly_spool_make_room(struct tly_spool *spool, uint64_t bytes)
{
    trim(spool);
    while (spool->oldest && spool->bytes + bytes > spool->spec.disk_bytes_max) {
        if (spool->oldest == spool->newest) {
            tly_fd_close(&spool->write_fd); /* even the one being written: the next is a new one */
        }
        segment_remove(spool);
    }
}

static void tick(void *arg)
{
    struct tly_spool *spool = arg;
    trim(spool);
    tly_spool_write_retry(spool);
    tly_spool_readers_wake(spool);
}

/* ---- what a former run left ---- */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static bool parse_name(const char *name, uint64_t *ret_number)
{
    char again[TLY_SPOOL_NAME_MAX];
    char *end;
    uint64_t number = strtoull(name, &end, 16);
    tly_spool_segment_name(number, again);
    *ret_number = number;
    return strcmp(again, name) == 0 && number > 0 && number < UINT64_MAX;
}

static int list_numbers(int dir_fd, uint64_t **ret_numbers, size_t *ret_count)
{
    int fd;
    int rc = tly_file_open(dir_fd, ".", O_RDONLY | O_DIRECTORY, &fd);
    if (rc < 0) {
        return rc;
    }
    DIR *dir = fdopendir(fd);
    if (!dir) {
        tly_fd_close(&fd);
        return -ENOMEM;
    }
    uint64_t *numbers = NULL;
    size_t count = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        uint64_t number;
        if (!entry) {
            rc = -errno; /* an end too early would let files be written over */
            break;
        }
        if (!parse_name(entry->d_name, &number)) {
            continue;
        }
        uint64_t *grown = realloc(numbers, (count + 1) * sizeof(*numbers));
        if (!grown) {
            rc = -ENOMEM;
            break;
        }
        numbers = grown;
        numbers[count++] = number;
    }
    closedir(dir);
    if (rc < 0) {
        free(numbers);
        return rc;
    }
    if (count > 0) {
        qsort(numbers, count, sizeof(*numbers), compare_numbers);
    }
    *ret_numbers = numbers;
    *ret_count = count;
    return 0;
}

/* How much of a file's contents is whole entries. */
static size_t sound_bytes(struct tly_text all)
{
    const struct tly_text head = {TLY_SPOOL_FILE_HEAD, TLY_SPOOL_FILE_HEAD_LEN};
    if (!tly_text_starts(all, head)) {
        return 0;
    }
    size_t at = head.len;
    struct tly_spool_entry entry;
    while (tly_spool_entry_parse((struct tly_text){all.at + at, all.len - at}, &entry) == 0) {
        at += entry.size;
    }
    return at;
}

/* Whether the end of a file, behind its whole entries, is what a write left that broke off. Behind
 * damage there are more entries, which had been safe. */
static bool is_torn(struct tly_text end)
{
    return tly_spool_entry_seek(end) == end.len;
}

/* Cuts off the torn end of the last file. */
static int mend_last(struct tly_spool *spool)
{
    char name[TLY_SPOOL_NAME_MAX];
    struct tly_spool_segment *last = spool->newest;
    TLY_AUTO_FD fd = -1;
    struct tly_buf all;
    tly_spool_segment_name(last->number, name);
    int rc = tly_file_open(spool->dir_fd, name, O_RDWR | O_NOFOLLOW, &fd);
    if (rc < 0) {
        return rc;
    }
    tly_buf_init(&all, SIZE_MAX);
    rc = tly_file_read_fd(fd, &all);
    size_t sound = rc < 0 ? 0 : sound_bytes(tly_buf_text(&all));
    if (rc == 0 && sound < all.len && is_torn((struct tly_text){all.at + sound, all.len - sound})) {
        tly_log_info("delivery", "spool/%s: cut off %zu bytes of an unfinished write", name,
                     all.len - sound);
        rc = ftruncate(fd, (off_t)sound) < 0 ? -errno : 0;
        spool->bytes -= last->size - sound;
        last->size = sound;
    }
    tly_buf_done(&all);
    return rc;
}

static int take_up(struct tly_spool *spool)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = list_numbers(spool->dir_fd, &numbers, &count);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        char name[TLY_SPOOL_NAME_MAX];
        struct stat st;
        tly_spool_segment_name(numbers[i], name);
        spool->next_number = numbers[i] + 1;
        if (fstatat(spool->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)) {
            tly_log_warn("delivery", "spool/%s is left alone: it is no file that can be looked at",
                         name);
            continue;
        }
        rc = tly_spool_segment_add(spool, numbers[i]);
        if (rc == 0) {
            spool->newest->size = (uint64_t)st.st_size;
            spool->bytes += spool->newest->size;
        }
    }
    free(numbers);
    return rc == 0 && spool->newest ? mend_last(spool) : rc;
}

static int open_folder(int state_dir_fd, int *ret_fd)
{
    bool fresh = mkdirat(state_dir_fd, FOLDER, S_IRWXU) == 0;
    if (!fresh && errno != EEXIST) {
        return -errno;
    }
    if (fresh && fsync(state_dir_fd) < 0) {
        tly_log_warn("delivery", "the name of the new folder spool/ cannot be synced: %s",
                     tly_error_name(-errno));
    }
    return tly_file_open(state_dir_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, ret_fd);
}

/* ---- life ---- */

int tly_spool_new(struct tly_loop *loop, struct tly_positions *positions, int dir_fd,
                  const struct tly_spool_spec *spec, struct tly_spool **ret_spool,
                  struct tly_error *err)
{
    struct tly_spool *spool = calloc(1, sizeof(*spool));
    if (!spool) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    spool->loop = loop;
    spool->positions = positions;
    spool->spec = *spec;
    if (spec->read_patience_ms == 0) {
        spool->spec.read_patience_ms = READ_PATIENCE_DEFAULT_MS;
    }
    spool->dir_fd = -1;
    spool->write_fd = -1;
    spool->next_number = 1;
    spool->lost = !tly_positions_whole(positions);
    spool->segment_bytes = spec->disk_bytes_max / SEGMENTS_IN_BOUND;
    if (spool->segment_bytes > SEGMENT_BYTES_MAX) {
        spool->segment_bytes = SEGMENT_BYTES_MAX;
    }
    int rc = open_folder(dir_fd, &spool->dir_fd);
    rc = rc < 0 ? rc : take_up(spool);
    rc = rc < 0 ? rc : tly_timer_new(loop, tick, spool, &spool->tick);
    rc = rc < 0 ? rc : tly_spool_write_init(spool);
    if (rc < 0) {
        tly_spool_free(spool);
        return tly_error_set(err, rc, "cannot use the folder " FOLDER " of the state: %s",
                             tly_error_name(rc));
    }
    tly_timer_start(spool->tick, TICK_MS, TICK_MS);
    *ret_spool = spool;
    return 0;
}

void tly_spool_free(struct tly_spool *spool)
{
    if (!spool) {
        return;
    }
    tly_spool_write_done(spool);
    tly_spool_readers_free(spool);
    while (spool->oldest) {
        struct tly_spool_segment *segment = spool->oldest;
        spool->oldest = segment->newer;
        free(segment);
    }
    tly_timer_free(spool->tick);
    tly_fd_close(&spool->dir_fd);
    free(spool);
}

/* ---- the books ---- */

static void meter_reader(const struct tly_spool_reader *reader, struct tly_samples *samples)
{
    uint16_t dim = tly_samples_dim1(samples, "destination",
                                    tly_text_of(tly_destination_name(reader->destination)));
    tly_samples_add(samples, TLY_F_tallyman_spool_lag_bytes, dim,
                    (int64_t)tly_spool_reader_lag(reader));
    tly_samples_add(samples, TLY_F_tallyman_spool_dropped_records_total, dim,
                    (int64_t)reader->dropped_records);
    tly_samples_add(samples, TLY_F_tallyman_spool_damaged_bytes_total, dim,
                    (int64_t)reader->damaged_bytes);
}

void tly_spool_meter(const struct tly_spool *spool, struct tly_samples *samples)
{
    const struct {
        enum tly_family_id family;
        uint64_t value;
    } rows[] = {
        {TLY_F_tallyman_spool_records_total, spool->records},
        {TLY_F_tallyman_spool_refused_records_total, spool->refused_records},
        {TLY_F_tallyman_spool_write_errors_total, spool->write_errors},
        {TLY_F_tallyman_spool_bytes, spool->bytes},
        {TLY_F_tallyman_spool_max_bytes, spool->spec.disk_bytes_max},
        {TLY_F_tallyman_spool_memory_bytes, spool->gather.len},
        {TLY_F_tallyman_spool_memory_max_bytes, spool->spec.memory_bytes_max},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tly_samples_add(samples, rows[i].family, TLY_DIM_NONE, (int64_t)rows[i].value);
    }
    for (const struct tly_spool_reader *at = spool->readers; at; at = at->next) {
        meter_reader(at, samples);
    }
}
