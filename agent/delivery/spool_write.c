/*
 * The writing side of the spool: what gathers in memory goes to a worker as one batch, which it
 * appends to the newest file and syncs. While it is at it the next batch gathers, so that many
 * small records share one sync. A batch that the disk refuses stays, and is tried again every
 * second.
 */
#include "agent/base/file.h"
#include "agent/delivery/spool.h"
#include "agent/delivery/spool_entry.h"
#include "agent/delivery/spool_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Records of one tag that come behind each other share an entry up to this size: so that it fits
 * into the smallest chunk's memory, a reader can take it whole or not at all. */
#define ENTRY_BYTES_FULL ((size_t)16 << 10)

struct tly_spool_write {
    struct tly_spool *spool; /* NULL: it was freed meanwhile */
    uint64_t last_number;    /* ... and what the worker can't write goes to this new file */
    struct tly_buf bytes;
    uint64_t ticket;
    int fd;     /* of the file, while the worker has it; -1: a new one */
    int dir_fd; /* the folder's, borrowed by the worker: a copy */
    bool sync, fresh;
    uint64_t start; /* the file's size before */
    uint64_t number;
    int rc;
};

static void write_free(struct tly_spool_write *write)
{
    tly_buf_done(&write->bytes);
    tly_fd_close(&write->fd);
    tly_fd_close(&write->dir_fd);
    free(write);
}

/* ---- on the worker ---- */

static int open_fresh(struct tly_spool_write *write)
{
    char name[TLY_SPOOL_NAME_MAX];
    tly_spool_segment_name(write->number, name);
    write->fd = openat(write->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                       S_IRUSR | S_IWUSR);
    if (write->fd < 0) {
        return -errno;
    }
    return tly_file_write_fd(write->fd, TLY_SPOOL_FILE_HEAD, TLY_SPOOL_FILE_HEAD_LEN);
}

static int append(struct tly_spool_write *write)
{
    int rc = write->fresh ? open_fresh(write) : 0;
    rc = rc < 0 ? rc : tly_file_write_fd(write->fd, write->bytes.at, write->bytes.len);
    if (rc == 0 && write->sync && fdatasync(write->fd) < 0) {
        rc = -errno;
    }
    if (rc == 0 && write->sync && write->fresh && fsync(write->dir_fd) < 0) {
        rc = -errno;
    }
    return rc;
}

/* All of the batch, or nothing: a part of it must not stay before the next one. */
static void write_work(void *arg)
{
    struct tly_spool_write *write = arg;
    write->rc = append(write);
    if (write->rc == 0 || write->fd < 0) {
        return;
    }
    /* What stands in a file that is closed here is not counted in; a new file goes on. */
    if (write->fresh || ftruncate(write->fd, (off_t)write->start) < 0 ||
        lseek(write->fd, (off_t)write->start, SEEK_SET) < 0) {
        tly_fd_close(&write->fd);
    }
}

/* ---- on the loop ---- */

static void write_start(struct tly_spool *spool);

static void say_failed(struct tly_spool *spool, int rc)
{
    uint64_t held;
    spool->write_errors++;
    if (tly_log_limit_pass(&spool->write_limit, tly_loop_now_ms(spool->loop), &held)) {
        tly_log_warn("delivery", "cannot write to the spool: %s; trying again every second%s",
                     tly_error_name(rc), tly_log_held(held).text);
    }
}

/* The batch stands in its file. */
static int count_in(struct tly_spool *spool, const struct tly_spool_write *write)
{
    uint64_t size = write->start + write->bytes.len;
    if (write->fresh) {
        int rc = tly_spool_segment_add(spool, write->number);
        if (rc < 0) {
            return rc;
        }
    }
    spool->bytes += size - spool->newest->size;
    spool->newest->size = size;
    return 0;
}

/* What is left at the end, in a file of its own. */
static void write_apart(int dir_fd, uint64_t number, const struct tly_buf *bytes)
{
    struct tly_spool_write last = {
        .number = number, .bytes = *bytes, .fd = -1, .dir_fd = dir_fd, .sync = true, .fresh = true};
    int rc = bytes->len > 0 ? append(&last) : 0;
    tly_fd_close(&last.fd);
    if (rc < 0) {
        tly_log_warn("delivery", "cannot write the last records to the spool: %s; they are lost",
                     tly_error_name(rc));
    }
}

static void write_finished(void *arg)
{
    struct tly_spool_write *write = arg;
    struct tly_spool *spool = write->spool;
    if (!spool) {
        if (write->rc < 0) {
            write_apart(write->dir_fd, write->last_number, &write->bytes);
        }
        write_free(write);
        return;
    }
    spool->writing = false;
    spool->no_room = write->rc == -ENOSPC || write->rc == -EDQUOT;
    int rc = write->rc < 0 ? write->rc : count_in(spool, write);
    spool->write_fd = write->fd;
    write->fd = -1;
    if (rc < 0) {
        if (write->rc == 0) {
            tly_fd_close(&spool->write_fd); /* the file is written once more, from its beginning */
        }
        say_failed(spool, rc); /* the tick tries again */
        return;
    }
    spool->write = NULL;
    uint64_t ticket = write->ticket;
    write_free(write);
    tly_spool_readers_wake(spool);
    write_start(spool);
    if (spool->safe) {
        spool->safe(spool->safe_arg, ticket);
    }
}

static void entry_end(struct tly_spool *spool)
{
    if (spool->entry_records > 0) {
        tly_spool_entry_seal(spool->gather.at + spool->entry_at,
                             spool->gather.len - spool->entry_at, spool->entry_tag_len,
                             spool->entry_records);
        spool->entry_records = 0;
    }
}

/* Decides where the batch goes, and hands it to the worker. */
static void write_submit(struct tly_spool *spool)
{
    struct tly_spool_write *write = spool->write;
    uint64_t len = write->bytes.len;
    if (spool->write_fd >= 0 && spool->newest->size + len > spool->segment_bytes) {
        tly_fd_close(&spool->write_fd);
    }
    tly_spool_make_room(spool, len + TLY_SPOOL_FILE_HEAD_LEN);
    write->fresh = spool->write_fd < 0;
    write->start = write->fresh ? TLY_SPOOL_FILE_HEAD_LEN : spool->newest->size;
    write->number = write->fresh ? spool->next_number : spool->newest->number;
    write->fd = spool->write_fd;
    spool->write_fd = -1;
    int rc = tly_worker_submit(spool->loop, write_work, write_finished, write);
    if (rc < 0) {
        spool->write_fd = write->fd;
        write->fd = -1;
        say_failed(spool, rc);
        return;
    }
    spool->writing = true;
}

/* The next batch, if there is one and none is under way. */
static void write_start(struct tly_spool *spool)
{
    if (spool->write || spool->gather.len == 0) {
        return;
    }
    struct tly_spool_write *write = calloc(1, sizeof(*write));
    int dir_fd = write ? fcntl(spool->dir_fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (dir_fd < 0) {
        say_failed(spool, write ? -errno : -ENOMEM);
        free(write);
        return;
    }
    entry_end(spool);
    *write = (struct tly_spool_write){.spool = spool,
                                      .bytes = spool->gather,
                                      .ticket = spool->ticket++,
                                      .fd = -1,
                                      .dir_fd = dir_fd,
                                      .sync = spool->spec.sync};
    tly_buf_init(&spool->gather, spool->gather.max);
    spool->write = write;
    write_submit(spool);
}

static void flush(void *arg)
{
    struct tly_spool *spool = arg;
    spool->lost = false; /* the loop turns: what comes to be added now is new */
    write_start(spool);
}

void tly_spool_write_retry(struct tly_spool *spool)
{
    if (spool->write && !spool->writing) {
        write_submit(spool);
    } else {
        write_start(spool);
    }
}

/* ---- appending ---- */

/* Whether the record can join the entry that is open. */
static bool same_entry(const struct tly_spool *spool, struct tly_text tag, size_t bytes)
{
    if (spool->entry_records == 0 || tag.len != spool->entry_tag_len ||
        spool->gather.len - spool->entry_at + bytes > ENTRY_BYTES_FULL) {
        return false;
    }
    return memcmp(spool->gather.at + spool->entry_at + TLY_SPOOL_HEAD_LEN, tag.at, tag.len) == 0;
}

/* A frame as long as the bound may begin just below it, and its entries have heads. */
static size_t gather_max(const struct tly_spool *spool)
{
    return 2 * spool->spec.memory_bytes_max + spool->spec.memory_bytes_max / 8;
}

static int append_record(struct tly_spool *spool, struct tly_text tag, struct tly_text record)
{
    char *to;
    if (tag.len > TLY_SPOOL_TAG_MAX || record.len > TLY_RECORD_BYTES_MAX) {
        return -EMSGSIZE;
    }
    bool same = same_entry(spool, tag, record.len);
    size_t before = same ? 0 : TLY_SPOOL_HEAD_LEN + tag.len;
    if (spool->gather.len > 0 && spool->gather.len + before + record.len > gather_max(spool)) {
        return TLY_E_LIMIT;
    }
    int rc = tly_buf_reserve(&spool->gather, before + record.len, &to);
    if (rc < 0) {
        return rc;
    }
    if (!same) {
        entry_end(spool);
        spool->entry_at = spool->gather.len;
        spool->entry_tag_len = tag.len;
        memcpy(to + TLY_SPOOL_HEAD_LEN, tag.at, tag.len);
    }
    memcpy(to + before, record.at, record.len);
    spool->gather.len += before + record.len;
    spool->entry_records++;
    return 0;
}

int tly_spool_append(struct tly_spool *spool, struct tly_text tag, struct tly_text record)
{
    int rc = append_record(spool, tag, record);
    if (rc < 0) {
        spool->refused_records++;
        return rc;
    }
    spool->records++;
    tly_defer_call(spool->flush);
    return 0;
}

bool tly_spool_has_room(const struct tly_spool *spool)
{
    return spool->gather.len < spool->spec.memory_bytes_max;
}

uint64_t tly_spool_ticket(const struct tly_spool *spool)
{
    return spool->ticket;
}

void tly_spool_on_safe(struct tly_spool *spool, void (*safe)(void *arg, uint64_t ticket), void *arg)
{
    spool->safe = safe;
    spool->safe_arg = arg;
}

/* ---- life ---- */

int tly_spool_write_init(struct tly_spool *spool)
{
    tly_buf_init(&spool->gather, gather_max(spool) + TLY_SPOOL_ENTRY_MAX);
    spool->ticket = 1;
    int rc = tly_defer_new(spool->loop, flush, spool, &spool->flush);
    if (rc == 0) {
        tly_defer_call(spool->flush);
    }
    return rc;
}

void tly_spool_write_done(struct tly_spool *spool)
{
    struct tly_spool_write *write = spool->write;
    uint64_t number = spool->next_number;
    if (write && spool->writing) {
        write->spool = NULL; /* it ends by itself, maybe in a new file */
        write->last_number = number++;
    } else if (write) {
        write_apart(spool->dir_fd, number++, &write->bytes);
        write_free(write);
    }
    entry_end(spool);
    write_apart(spool->dir_fd, number, &spool->gather);
    tly_buf_done(&spool->gather);
    tly_fd_close(&spool->write_fd);
    tly_defer_free(spool->flush);
}
