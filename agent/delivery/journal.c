/*
 * The file under the positions. A rewrite goes to a second file on a worker, which syncs it; back
 * on the loop it gets what was appended meanwhile and takes the first one's name. A kill at any
 * moment finds one whole file; power loss finds one that was whole at its last sync.
 */
#include "agent/delivery/journal.h"

#include "agent/base/file.h"
#include "agent/loop/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long an appended line may wait for its sync: what power loss can undo. */
#define SYNC_MS 3000

/* A journal is a few hundred bytes per container, and rewritten long before this. */
#define SINCE_BYTES_MAX ((size_t)64 << 20)

#define NEW_NAME_MAX 64

struct job; /* a sync or a rewrite on the worker */

struct tly_journal {
    struct tly_loop *loop;
    int dir_fd;
    const char *name;
    int fd;         /* -1: not open yet, or it could not be */
    uint64_t bytes; /* in the file */
    bool torn;      /* the file may end inside a line */
    bool unsynced;
    bool name_unsynced; /* renamed since the directory was synced */
    struct tly_timer *sync_timer;
    struct job *sync, *rewrite; /* under way */
    struct tly_buf since;       /* what was appended while the rewrite is under way */
    bool since_lost;            /* not all of it found memory: the rewrite must not take the name */
    struct tly_log_limit sync_limit, rewrite_limit;
};

struct job {
    struct tly_journal *journal; /* NULL: it was freed meanwhile */
    int fd;                      /* the job's own */
    int dir_fd;                  /* the job's own; -1: the directory needs no sync */
    char new_name[NEW_NAME_MAX];
    struct tly_buf content;
    int rc;
};

static void job_free(struct job *job)
{
    tly_fd_close(&job->fd);
    tly_fd_close(&job->dir_fd);
    tly_buf_done(&job->content);
    free(job);
}

static int dup_fd(int fd, int *ret_fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return -errno;
    }
    *ret_fd = copy;
    return 0;
}

static struct job *job_new(struct tly_journal *journal)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job) {
        *job = (struct job){.journal = journal, .fd = -1, .dir_fd = -1};
        tly_buf_init(&job->content, SIZE_MAX);
        (void)snprintf(job->new_name, sizeof(job->new_name), "%s.new", journal->name);
    }
    return job;
}

/* Runs the job's part on the worker; when it can't be handed over the job is gone. */
static int job_submit(struct job *job, int rc, void (*work)(void *), void (*done)(void *))
{
    if (rc == 0) {
        rc = tly_worker_submit(job->journal->loop, work, done, job);
    }
    if (rc < 0) {
        job_free(job);
    }
    return rc;
}

/* ---- sync ---- */

static void sync_work(void *arg)
{
    struct job *job = arg;
    job->rc = fdatasync(job->fd) < 0 ? -errno : 0;
    if (job->dir_fd >= 0 && fsync(job->dir_fd) < 0 && job->rc == 0) {
        job->rc = -errno;
    }
}

static void say_unsynced(const struct tly_journal *journal, int rc)
{
    tly_log_warn("delivery", "cannot sync %s: %s; power loss may undo its last changes",
                 journal->name, tly_error_name(rc));
}

static void sync_done(void *arg)
{
    struct job *job = arg;
    struct tly_journal *journal = job->journal;
    if (journal) {
        uint64_t held;
        journal->sync = NULL;
        if (job->rc < 0) {
            journal->unsynced = true;
            journal->name_unsynced = journal->name_unsynced || job->dir_fd >= 0;
            if (tly_log_limit_pass(&journal->sync_limit, tly_loop_now_ms(journal->loop), &held)) {
                say_unsynced(journal, job->rc);
            }
        }
        if (journal->unsynced) {
            tly_timer_start(journal->sync_timer, SYNC_MS, 0);
        }
    }
    job_free(job);
}

static void sync_start(void *arg)
{
    struct tly_journal *journal = arg;
    if (journal->fd < 0 || journal->sync) {
        return; /* the one under way starts the timer again */
    }
    struct job *job = job_new(journal);
    int rc = job ? dup_fd(journal->fd, &job->fd) : -ENOMEM;
    if (rc == 0 && journal->name_unsynced) {
        rc = dup_fd(journal->dir_fd, &job->dir_fd);
    }
    if (job) {
        rc = job_submit(job, rc, sync_work, sync_done);
    }
    if (rc < 0) {
        tly_timer_start(journal->sync_timer, SYNC_MS, 0);
        return;
    }
    journal->sync = job;
    journal->unsynced = false;
    journal->name_unsynced = false;
}

static void sync_later(struct tly_journal *journal)
{
    journal->unsynced = true;
    if (!journal->sync && !tly_timer_active(journal->sync_timer)) {
        tly_timer_start(journal->sync_timer, SYNC_MS, 0);
    }
}

/* ---- life ---- */

int tly_journal_new(struct tly_loop *loop, int dir_fd, const char *name,
                    struct tly_journal **ret_journal)
{
    struct tly_journal *journal = calloc(1, sizeof(*journal));
    if (!journal) {
        return -ENOMEM;
    }
    journal->loop = loop;
    journal->dir_fd = dir_fd;
    journal->name = name;
    journal->fd = -1;
    tly_buf_init(&journal->since, SINCE_BYTES_MAX);
    int rc = tly_timer_new(loop, sync_start, journal, &journal->sync_timer);
    if (rc < 0) {
        tly_journal_free(journal);
        return rc;
    }
    *ret_journal = journal;
    return 0;
}

static void sync_last(const struct tly_journal *journal)
{
    bool file = journal->fd >= 0 && (journal->unsynced || journal->sync);
    bool name = journal->fd >= 0 && journal->name_unsynced;
    if ((file && fdatasync(journal->fd) < 0) || (name && fsync(journal->dir_fd) < 0)) {
        say_unsynced(journal, -errno);
    }
}

void tly_journal_free(struct tly_journal *journal)
{
    if (!journal) {
        return;
    }
    if (journal->sync) {
        journal->sync->journal = NULL;
    }
    if (journal->rewrite) {
        journal->rewrite->journal = NULL;
    }
    sync_last(journal);
    tly_timer_free(journal->sync_timer);
    tly_buf_done(&journal->since);
    tly_fd_close(&journal->fd);
    free(journal);
}

static int create(int dir_fd, const char *name, int flags, int *ret_fd)
{
    int fd = openat(dir_fd, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags,
                    S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

static int open_file(struct tly_journal *journal)
{
    TLY_AUTO_FD fd = -1;
    int rc = create(journal->dir_fd, journal->name, 0, &fd);
    if (rc < 0) {
        return rc;
    }
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    char last = '\n';
    if (st.st_size > 0 && tly_file_pread(fd, &last, 1, st.st_size - 1) < 0) {
        return -EIO;
    }
    journal->torn = last != '\n';
    journal->bytes = (uint64_t)st.st_size;
    journal->name_unsynced = st.st_size == 0;
    journal->fd = fd;
    fd = -1;
    return 0;
}

/* Takes whole lines out of the buffer; the rest, too, where nothing more can come behind it. */
static int take_lines(struct tly_buf *buf, bool ends, int (*fn)(void *arg, struct tly_text line),
                      void *arg)
{
    struct tly_text rest = tly_buf_text(buf);
    size_t taken = 0;
    int rc = 0;
    while (rc == 0 && rest.len > 0) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        if (!rest.at && !ends && (taken > 0 || line.len < buf->max)) {
            break;
        }
        taken = rest.at ? buf->len - rest.len : buf->len;
        rc = fn(arg, line);
    }
    tly_buf_consume(buf, taken);
    return rc;
}

int tly_journal_read(struct tly_journal *journal, int (*fn)(void *arg, struct tly_text line),
                     void *arg)
{
    TLY_AUTO_FD fd = -1;
    int rc = tly_file_open(journal->dir_fd, journal->name, O_RDONLY | O_NOFOLLOW, &fd);
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_JOURNAL_LINE_MAX);
    off_t offset = 0;
    for (bool ends = false; rc == 0 && !ends;) {
        char *to;
        rc = tly_buf_reserve(&buf, buf.max - buf.len, &to);
        if (rc < 0) {
            break;
        }
        ssize_t got = tly_file_pread(fd, to, buf.max - buf.len, offset);
        if (got < 0) {
            rc = (int)got;
            break;
        }
        ends = got == 0;
        offset += got;
        buf.len += (size_t)got;
        rc = take_lines(&buf, ends, fn, arg);
    }
    tly_buf_done(&buf);
    return rc;
}

int tly_journal_append(struct tly_journal *journal, struct tly_text lines)
{
    int rc = journal->fd >= 0 ? 0 : open_file(journal);
    if (rc == 0 && journal->torn) {
        rc = tly_file_write_fd(journal->fd, "\n", 1); /* the torn line ends here */
    }
    if (rc < 0) {
        return rc;
    }
    /* From here on a part may stand there, until all of it does. */
    journal->torn = true;
    rc = tly_file_write_fd(journal->fd, lines.at, lines.len);
    if (rc < 0) {
        return rc;
    }
    journal->torn = false;
    journal->bytes += lines.len;
    sync_later(journal);
    if (journal->rewrite && tly_buf_append_text(&journal->since, lines) < 0) {
        journal->since_lost = true;
    }
    return 0;
}

uint64_t tly_journal_bytes(const struct tly_journal *journal)
{
    return journal->bytes;
}

/* ---- rewrite ---- */

bool tly_journal_rewriting(const struct tly_journal *journal)
{
    return journal->rewrite != NULL;
}

static void rewrite_work(void *arg)
{
    struct job *job = arg;
    int rc = create(job->dir_fd, job->new_name, O_TRUNC, &job->fd);
    if (rc == 0) {
        rc = tly_file_write_fd(job->fd, job->content.at, job->content.len);
    }
    if (rc == 0 && fdatasync(job->fd) < 0) {
        rc = -errno;
    }
    job->rc = rc;
}

/* Puts the new file, with what came since, in the old one's place. */
static int rewrite_finish(struct tly_journal *journal, struct job *job)
{
    int rc = journal->since_lost ? -ENOMEM : job->rc;
    if (rc == 0) {
        rc = tly_file_write_fd(job->fd, journal->since.at, journal->since.len);
    }
    if (rc == 0 && renameat(job->dir_fd, job->new_name, job->dir_fd, journal->name) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        return rc;
    }
    tly_fd_close(&journal->fd);
    journal->fd = job->fd;
    job->fd = -1;
    journal->bytes = job->content.len + journal->since.len;
    journal->torn = false;
    journal->name_unsynced = true;
    sync_later(journal);
    return 0;
}

static void rewrite_done(void *arg)
{
    struct job *job = arg;
    struct tly_journal *journal = job->journal;
    if (journal) {
        journal->rewrite = NULL;
        int rc = rewrite_finish(journal, job);
        tly_buf_done(&journal->since);
        uint64_t held;
        if (rc < 0 &&
            tly_log_limit_pass(&journal->rewrite_limit, tly_loop_now_ms(journal->loop), &held)) {
            tly_log_warn("delivery", "cannot rewrite %s: %s; it goes on growing", journal->name,
                         tly_error_name(rc));
        }
    }
    if (job->fd >= 0) {
        (void)unlinkat(job->dir_fd, job->new_name, 0); /* best effort: the next one truncates it */
    }
    job_free(job);
}

int tly_journal_rewrite(struct tly_journal *journal, struct tly_buf *content)
{
    struct job *job = job_new(journal);
    if (!job) {
        return -ENOMEM;
    }
    job->content = *content;
    tly_buf_init(content, content->max);
    int rc = job_submit(job, dup_fd(journal->dir_fd, &job->dir_fd), rewrite_work, rewrite_done);
    if (rc == 0) {
        journal->rewrite = job;
        journal->since_lost = false;
    }
    return rc;
}
