/*
 * Walking through the processes of a container. Whatever ends under the walk's feet is left out; it
 * would not have been there a moment later.
 */
#include "collectors/cgroup/tasks.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/codec/task.h"
#include "collectors/cgroup/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More processes or threads than this are not looked at one by one: it would take longer than any
 * sensible budget. */
#define PIDS_MAX (1U << 16)
/* cgroup.procs of as many. */
#define LIST_BYTES_MAX (1U << 20)
#define TEXT_BYTES_MAX (1U << 16)
/* Cgroups in cgroups, as the kernel's own default for cgroup.max.depth in container runtimes. */
#define DEPTH_MAX 16

#define NAME_BYTES 64 /* "<pid>/task/<tid>/schedstat" */

int tly_tasks_reader_init(struct tly_tasks_reader *reader, const char *proc,
                          const struct tly_group_choice *groups)
{
    *reader = (struct tly_tasks_reader){
        .proc_fd = -1,
        .files = groups->on[TLY_G_process],
        .states = groups->on[TLY_G_cpuLoad],
        .schedule = groups->on[TLY_G_sched],
        .suspects = groups->on[TLY_G_suspects],
    };
    tly_buf_init(&reader->list, LIST_BYTES_MAX);
    tly_buf_init(&reader->text, TEXT_BYTES_MAX);
    tly_buf_init(&reader->children, LIST_BYTES_MAX);
    return tly_file_open(AT_FDCWD, proc, O_RDONLY | O_DIRECTORY, &reader->proc_fd);
}

void tly_tasks_reader_done(struct tly_tasks_reader *reader)
{
    tly_fd_close(&reader->proc_fd);
    tly_buf_done(&reader->list);
    tly_buf_done(&reader->text);
    tly_buf_done(&reader->children);
    free(reader->pids);
    free(reader->uses);
}

void tly_task_books_done(struct tly_task_books *books)
{
    free(books->at);
    *books = (struct tly_task_books){0};
}

/* Makes room for one more entry of `size` bytes. */
static int entry_room(void **entries, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return 0;
    }
    if (count >= PIDS_MAX) {
        return TLY_E_LIMIT;
    }
    size_t grown_cap = *cap == 0 ? 64 : *cap * 2;
    void *grown = reallocarray(*entries, grown_cap, size);
    if (grown == NULL) {
        return -ENOMEM;
    }
    *entries = grown;
    *cap = grown_cap;
    return 0;
}

/* ---- which processes ---- */

static int pid_add(struct tly_tasks_reader *reader, int64_t pid)
{
    void *pids = reader->pids;
    int rc = entry_room(&pids, reader->pid_count, &reader->pid_cap, sizeof(*reader->pids));
    reader->pids = pids;
    if (rc == 0) {
        reader->pids[reader->pid_count++] = pid;
    }
    return rc;
}

static int pids_read(struct tly_tasks_reader *reader, int dir_fd)
{
    tly_buf_clear(&reader->list);
    int rc = tly_file_read(dir_fd, "cgroup.procs", &reader->list);
    struct tly_text rest = tly_buf_text(&reader->list);
    /* A threaded cgroup has no list: its processes are in that of the cgroup above. */
    rc = rc == -EOPNOTSUPP ? 0 : rc;
    while (rc == 0 && rest.at != NULL) {
        int64_t pid = 0;
        /* 0 stands for a process of another pid namespace, which procfs does not show. */
        if (tly_text_i64(tly_text_cut(&rest, '\n'), &pid) == 0 && pid > 0) {
            rc = pid_add(reader, pid);
        }
    }
    return rc;
}

/* The processes of a cgroup and of those below. Owns `fd`. */
static int cgroup_walk(struct tly_tasks_reader *reader, int fd, int depth)
{
    int rc = pids_read(reader, fd);
    DIR *directory = rc < 0 ? NULL : fdopendir(fd);
    if (directory == NULL) {
        tly_fd_close(&fd);
        return rc < 0 ? rc : -ENOMEM;
    }
    const struct dirent *entry;
    while (rc == 0 && depth < DEPTH_MAX && (entry = readdir(directory)) != NULL) {
        int below = -1;
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            tly_file_open(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &below) == 0) {
            rc = cgroup_walk(reader, below, depth + 1);
            rc = rc == -ENOENT || rc == -ENODEV ? 0 : rc; /* removed meanwhile */
        }
    }
    (void)closedir(directory); /* was only read */
    return rc;
}

static int pid_compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* ---- one process ---- */

static bool late(const struct tly_tasks_reader *reader)
{
    return tly_clock_monotonic_ns() >= reader->deadline_ns;
}

/* Reads a file of a process or thread; an empty text where there is none any more. */
static struct tly_text file_read(struct tly_tasks_reader *reader, int64_t pid, int64_t tid,
                                 const char *name)
{
    char path[NAME_BYTES];
    (void)snprintf(path, sizeof(path), "%" PRId64 "/task/%" PRId64 "/%s", pid, tid, name);
    tly_buf_clear(&reader->text);
    if (tly_file_read(reader->proc_fd, path, &reader->text) < 0) {
        return (struct tly_text){NULL, 0};
    }
    return tly_buf_text(&reader->text);
}

/* The descriptors of a process and the sockets among them. Whoever may not see those of one
 * process knows no sum: both numbers become -1. */
static int descriptors_read(struct tly_tasks_reader *reader, int64_t pid)
{
    char path[NAME_BYTES];
    int fd = -1;
    struct tly_tasks *tasks = &reader->tasks;
    (void)snprintf(path, sizeof(path), "%" PRId64 "/fd", pid);
    int rc = tasks->descriptors < 0
                 ? -EACCES
                 : tly_file_open(reader->proc_fd, path, O_RDONLY | O_DIRECTORY, &fd);
    DIR *directory = rc < 0 ? NULL : fdopendir(fd);
    if (directory == NULL) {
        tly_fd_close(&fd);
        if (rc == -EACCES || rc == -EPERM) {
            tasks->descriptors = -1;
            tasks->sockets = -1;
        }
        return 0; /* or it is gone */
    }
    rc = 0;
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(directory)) != NULL) {
        char target[sizeof("socket:") - 1];
        if (entry->d_name[0] == '.') {
            continue;
        }
        tasks->descriptors++;
        ssize_t len = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target));
        tasks->sockets += len == sizeof(target) && memcmp(target, "socket:", sizeof(target)) == 0;
        rc = tasks->descriptors % 1024 == 0 && late(reader) ? TLY_E_TIMEOUT : 0;
    }
    (void)closedir(directory); /* was only read */
    return rc;
}

/* Zombies are in no cgroup.procs; they are still children of those who did not wait for them. */
static void children_look(struct tly_tasks_reader *reader, int64_t pid, int64_t tid)
{
    char path[NAME_BYTES];
    (void)snprintf(path, sizeof(path), "%" PRId64 "/task/%" PRId64 "/children", pid, tid);
    tly_buf_clear(&reader->children);
    if (tly_file_read(reader->proc_fd, path, &reader->children) < 0) {
        return;
    }
    struct tly_text rest = tly_text_trim(tly_buf_text(&reader->children));
    while (rest.len > 0) {
        int64_t child = 0;
        char state = 0;
        if (tly_text_i64(tly_text_cut(&rest, ' '), &child) == 0 &&
            bsearch(&child, reader->pids, reader->pid_count, sizeof(child), pid_compare) == NULL &&
            tly_task_state_parse(file_read(reader, child, child, "stat"), &state) == 0) {
            reader->tasks.zombies += state == 'Z';
        }
    }
}

static void state_look(struct tly_tasks_reader *reader, int64_t pid, int64_t tid)
{
    char state = 0;
    if (tly_task_state_parse(file_read(reader, pid, tid, "stat"), &state) < 0) {
        return;
    }
    int64_t *states = reader->tasks.states;
    states[TLY_TASK_SLEEPING] += state == 'S';
    states[TLY_TASK_RUNNING] += state == 'R';
    states[TLY_TASK_STOPPED] += state == 'T' || state == 't';
    states[TLY_TASK_UNINTERRUPTIBLE] += state == 'D';
}

static int schedule_look(struct tly_tasks_reader *reader, int64_t pid, int64_t tid)
{
    struct tly_task_schedule schedule;
    if (tly_task_schedule_parse(file_read(reader, pid, tid, "schedstat"), &schedule) < 0) {
        return 0; /* gone */
    }
    void *uses = reader->uses;
    int rc = entry_room(&uses, reader->use_count, &reader->use_cap, sizeof(*reader->uses));
    reader->uses = uses;
    if (rc == 0) {
        reader->uses[reader->use_count++] = (struct tly_task_use){
            tid, schedule.run_ns, schedule.wait_ns, schedule.periods};
    }
    return rc;
}

static int thread_look(struct tly_tasks_reader *reader, int64_t pid, int64_t tid)
{
    if (reader->states) {
        state_look(reader, pid, tid);
    }
    if (reader->files) {
        children_look(reader, pid, tid);
    }
    int rc = reader->schedule ? schedule_look(reader, pid, tid) : 0;
    return rc < 0 ? rc : late(reader) ? TLY_E_TIMEOUT : 0;
}

static int process_look(struct tly_tasks_reader *reader, const struct tly_image_root *image,
                        int64_t pid)
{
    char path[NAME_BYTES];
    int fd = -1;
    int rc = reader->files ? descriptors_read(reader, pid) : 0;
    if (rc == 0 && reader->suspects) {
        tly_suspects_look(&reader->tasks.suspects, image, reader->proc_fd, pid, &reader->text);
    }
    if (!reader->states && !reader->files && !reader->schedule) {
        return late(reader) ? TLY_E_TIMEOUT : 0; /* nobody asks for its threads */
    }
    (void)snprintf(path, sizeof(path), "%" PRId64 "/task", pid);
    if (rc < 0 || tly_file_open(reader->proc_fd, path, O_RDONLY | O_DIRECTORY, &fd) < 0) {
        return rc;
    }
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        tly_fd_close(&fd);
        return -ENOMEM;
    }
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(directory)) != NULL) {
        int64_t tid = 0;
        if (tly_text_i64(tly_text_of(entry->d_name), &tid) == 0) {
            rc = thread_look(reader, pid, tid);
        }
    }
    (void)closedir(directory); /* was only read */
    return rc;
}

/* ---- the books ---- */

static int use_compare(const void *left, const void *right)
{
    const struct tly_task_use *a = left;
    const struct tly_task_use *b = right;
    return a->tid < b->tid ? -1 : a->tid > b->tid;
}

/* Adds what each thread used since it was last seen. One whose numbers fell is another one of the
 * same number. */
static int books_update(struct tly_tasks_reader *reader, struct tly_task_books *books)
{
    struct tly_task_use *kept = NULL;
    size_t count = reader->use_count;
    if (count > 0) {
        qsort(reader->uses, count, sizeof(*reader->uses), use_compare);
        kept = reallocarray(NULL, count, sizeof(*kept));
        if (kept == NULL) {
            return -ENOMEM;
        }
        memcpy(kept, reader->uses, count * sizeof(*kept));
    }
    for (size_t i = 0; i < count; i++) {
        const struct tly_task_use *old = books->count == 0
                                             ? NULL
                                             : bsearch(&kept[i], books->at, books->count,
                                                       sizeof(*kept), use_compare);
        bool same = old != NULL && old->run_ns <= kept[i].run_ns &&
                    old->wait_ns <= kept[i].wait_ns && old->periods <= kept[i].periods;
        books->run_ns += kept[i].run_ns - (same ? old->run_ns : 0);
        books->wait_ns += kept[i].wait_ns - (same ? old->wait_ns : 0);
        books->periods += kept[i].periods - (same ? old->periods : 0);
    }
    free(books->at);
    books->at = kept;
    books->count = count;
    return 0;
}

/* ---- the walk ---- */

/* Lists the processes of the cgroup and of those below. With an error none is the first. */
static int list(struct tly_tasks_reader *reader, int dir_fd)
{
    int fd = -1;
    reader->pid_count = 0;
    reader->first_pid = 0;
    int rc = tly_file_open(dir_fd, ".", O_RDONLY | O_DIRECTORY, &fd);
    rc = rc < 0 ? rc : cgroup_walk(reader, fd, 0);
    if (rc < 0) {
        return rc == -ENODEV ? -ENOENT : rc;
    }
    /* The kernel lists them in the order of their coming. */
    reader->first_pid = reader->pid_count > 0 ? reader->pids[0] : 0;
    if (reader->pid_count > 0) {
        qsort(reader->pids, reader->pid_count, sizeof(*reader->pids), pid_compare);
    }
    return 0;
}

static void image_look(struct tly_tasks_reader *reader, struct tly_task_books *books)
{
    struct tly_image_root *image = &books->image;
    int64_t started_ns = 0;
    /* The inventory may have the start of the run before for a while, and lose it again. */
    bool told = books->told_ns > 0 && books->told_ns != image->told_ns;
    if (image->since_ns == 0 || told) {
        int rc = tly_process_started(reader->proc_fd, reader->first_pid, &reader->text,
                                     &started_ns);
        image->since_ns = tly_image_since(rc == 0 ? started_ns : 0, books->told_ns);
        image->told_ns = books->told_ns;
    }
    tly_image_root_look(image, reader->proc_fd, reader->first_pid);
}

/* Numbers of processes are given out again: only who is still there after the walk was there when
 * it was looked at. Where that can't be told, the number is not known. */
static void late_settle(struct tly_tasks_reader *reader, int dir_fd, bool known)
{
    struct tly_suspects *suspects = &reader->tasks.suspects;
    const int64_t first_pid = reader->first_pid;
    suspects->late = known ? 0 : -1;
    if (suspects->late_count == 0) {
        return;
    }
    if (list(reader, dir_fd) < 0) {
        suspects->late = -1;
        reader->first_pid = first_pid; /* of the same container */
        return;
    }
    for (size_t i = 0; i < suspects->late_count; i++) {
        suspects->late += reader->pid_count > 0 &&
                          bsearch(&suspects->late_pids[i], reader->pids, reader->pid_count,
                                  sizeof(*reader->pids), pid_compare) != NULL;
    }
}

int tly_tasks_read(struct tly_tasks_reader *reader, int dir_fd, struct tly_task_books *books)
{
    reader->tasks = (struct tly_tasks){.processes = -1,
                                       .zombies = -1,
                                       .descriptors = -1,
                                       .sockets = -1,
                                       .states = {-1, -1, -1, -1}};
    reader->use_count = 0;
    int rc = list(reader, dir_fd);
    if (rc < 0) {
        return rc;
    }
    int64_t processes = (int64_t)reader->pid_count;
    reader->tasks = (struct tly_tasks){.processes = processes};
    if (reader->suspects && reader->pid_count > 0) {
        image_look(reader, books);
    }
    for (size_t i = 0; i < reader->pid_count && rc == 0; i++) {
        rc = process_look(reader, &books->image, reader->pids[i]);
    }
    reader->tasks.walked = rc == 0;
    if (rc == 0 && reader->suspects) {
        late_settle(reader, dir_fd, processes == 0 || books->image.known);
    }
    if (rc == 0 && reader->schedule) {
        rc = books_update(reader, books);
        reader->tasks.scheduled = rc == 0;
    }
    if (rc < 0) {
        reader->tasks = (struct tly_tasks){.processes = processes,
                                           .zombies = -1,
                                           .descriptors = -1,
                                           .sockets = -1,
                                           .states = {-1, -1, -1, -1}};
    }
    return rc;
}

/* ---- samples ---- */

static void add(struct tly_samples *samples, enum tly_family_id family, uint16_t dim, int64_t value)
{
    if (value >= 0) {
        tly_samples_add(samples, family, dim, value);
    }
}

/* Those that a container runs into. */
static const struct {
    struct tly_text name;
    const char *label;
} limits_shown[] = {
    {{"Max open files", 14}, "max_open_files"},
    {{"Max processes", 13}, "max_processes"},
};

static void limit_write(const struct tly_task_limit *limit, struct tly_samples *samples)
{
    for (size_t i = 0; i < sizeof(limits_shown) / sizeof(limits_shown[0]); i++) {
        if (!tly_text_equal(limits_shown[i].name, limit->name)) {
            continue;
        }
        uint16_t dim = tly_samples_dim1(samples, "ulimit", tly_text_of(limits_shown[i].label));
        if (dim != TLY_DIM_NONE) {
            tly_samples_add(samples, TLY_F_container_ulimits_soft, dim, limit->soft);
            tly_samples_add(samples, TLY_F_container_ulimits_hard, dim, limit->hard);
        }
    }
}

static void limits_write(struct tly_tasks_reader *reader, struct tly_samples *samples)
{
    struct tly_task_limit limit;
    struct tly_text rest = file_read(reader, reader->first_pid, reader->first_pid, "limits");
    while (tly_task_limit_next(&rest, &limit)) {
        limit_write(&limit, samples);
    }
}

static void states_write(const struct tly_tasks *tasks, struct tly_samples *samples)
{
    static const char *const names[TLY_TASK_STATES] = {
        [TLY_TASK_SLEEPING] = "sleeping",
        [TLY_TASK_RUNNING] = "running",
        [TLY_TASK_STOPPED] = "stopped",
        [TLY_TASK_UNINTERRUPTIBLE] = "uninterruptible",
    };
    for (size_t i = 0; i < TLY_TASK_STATES; i++) {
        uint16_t dim = tly_samples_dim1(samples, "state", tly_text_of(names[i]));
        if (dim != TLY_DIM_NONE) {
            add(samples, TLY_F_container_tasks_state, dim, tasks->states[i]);
        }
    }
}

void tly_tasks_write(struct tly_tasks_reader *reader, const struct tly_task_books *books,
                     struct tly_samples *samples)
{
    const struct tly_tasks *tasks = &reader->tasks;
    if (tasks->scheduled) {
        add(samples, TLY_F_container_cpu_schedstat_run_seconds_total, TLY_DIM_NONE, books->run_ns);
        add(samples, TLY_F_container_cpu_schedstat_runqueue_seconds_total, TLY_DIM_NONE,
            books->wait_ns);
        add(samples, TLY_F_container_cpu_schedstat_run_periods_total, TLY_DIM_NONE, books->periods);
    }
    if (reader->states) {
        states_write(tasks, samples);
    }
    if (reader->suspects && tasks->walked) {
        tly_suspects_write(&tasks->suspects, samples);
    }
    if (!reader->files) {
        return;
    }
    add(samples, TLY_F_container_processes, TLY_DIM_NONE, tasks->processes);
    add(samples, TLY_F_container_zombies, TLY_DIM_NONE, tasks->zombies);
    add(samples, TLY_F_container_file_descriptors, TLY_DIM_NONE, tasks->descriptors);
    add(samples, TLY_F_container_sockets, TLY_DIM_NONE, tasks->sockets);
    if (reader->first_pid > 0) {
        limits_write(reader, samples);
    }
}
