/*
 * Jobs one after the other, each a walk or two; see round.h.
 */
#include "collectors/disk/round.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/codec/mountinfo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a job costs beside the entries that it looks at: opening, mountinfo. */
#define JOB_COST 4

#define CGROUP_BYTES_MAX 65536

/* ---- jobs ---- */

static void job_done(struct tly_disk_job *job)
{
    free(job->name);
    free(job->top);
    free(job->log_dir);
    free(job->log_mark);
}

/* Takes the strings of `job` over, also when it fails. */
static int job_add(struct tly_disk_round *round, struct tly_disk_job *job)
{
    if (round->count == round->cap) {
        size_t cap = round->cap > 0 ? round->cap * 2 : 64;
        struct tly_disk_job *grown = realloc(round->jobs, cap * sizeof(*grown));
        if (!grown) {
            job_done(job);
            return -ENOMEM;
        }
        round->jobs = grown;
        round->cap = cap;
    }
    round->jobs[round->count++] = *job;
    return 0;
}

static bool has_files(const struct tly_container *container, const char *driver)
{
    return container->log_driver && strcmp(container->log_driver, driver) == 0;
}

/* Where its log files lie: as the engine says of json-file, or in Docker's folder of it. */
static int log_place(struct tly_disk_job *job, const struct tly_container *container,
                     const char *data_root)
{
    const char *path = container->log_path;
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (slash && slash > path && path[0] == '/') {
        job->log_dir = tly_text_dup((struct tly_text){path, (size_t)(slash - path)});
        job->log_mark = tly_text_dup(tly_text_of(slash + 1));
        return job->log_dir && job->log_mark ? 0 : -ENOMEM;
    }
    if (asprintf(&job->log_dir, "%s/containers/%s", data_root, container->id) < 0) {
        job->log_dir = NULL;
        return -ENOMEM;
    }
    if (has_files(container, "local")) {
        job->log_mark = tly_text_dup(TLY_TEXT("local-logs"));
        return job->log_mark ? 0 : -ENOMEM;
    }
    return 0;
}

int tly_disk_round_add(struct tly_disk_round *round, const struct tly_container *container)
{
    struct tly_disk_job job = {.name = tly_text_dup(tly_text_of(container->id))};
    int rc = job.name ? log_place(&job, container, round->data_root) : -ENOMEM;
    if (rc == 0 && container->upper_dir) {
        job.top = tly_text_dup(tly_text_of(container->upper_dir));
        rc = job.top ? 0 : -ENOMEM;
    }
    if (rc < 0) {
        job_done(&job);
        return rc;
    }
    job.pid = container->pid > 0 ? container->pid : 0;
    return job_add(round, &job);
}

/* ---- the layer by the process ---- */

static int proc_read(const struct tly_disk_round *round, int64_t pid, const char *file,
                     struct tly_buf *buf)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%" PRId64 "/%s", round->config.proc, pid, file);
    return len < (int)sizeof(path) ? tly_file_read(AT_FDCWD, path, buf) : -ENAMETOOLONG;
}

/* Whether the process still is the container's, and no other one with its number. */
static bool is_of_container(const struct tly_disk_round *round, const struct tly_disk_job *job)
{
    struct tly_buf buf;
    tly_buf_init(&buf, CGROUP_BYTES_MAX);
    bool its = proc_read(round, job->pid, "cgroup", &buf) == 0 &&
               memmem(buf.at, buf.len, job->name, strlen(job->name));
    tly_buf_done(&buf);
    return its;
}

/* The layer of an engine that does not name it: image stores of containerd. */
static int top_find(const struct tly_disk_round *round, struct tly_disk_job *job)
{
    char top[PATH_MAX];
    struct tly_buf buf;
    if (job->pid == 0) {
        return -ENOENT;
    }
    tly_buf_init(&buf, TLY_DISK_MOUNTINFO_MAX);
    int rc = proc_read(round, job->pid, "mountinfo", &buf);
    rc = rc < 0 ? rc : tly_mount_upper_dir(tly_buf_text(&buf), top, sizeof(top));
    tly_buf_done(&buf);
    if (rc == 0) {
        rc = is_of_container(round, job) ? 0 : -ENOENT;
    }
    if (rc == 0) {
        job->top = tly_text_dup(tly_text_of(top));
        rc = job->top ? 0 : -ENOMEM;
    }
    return rc == -ESRCH ? -ENOENT : rc; /* the process has ended */
}

/* ---- volumes ---- */

static int volume_add(struct tly_disk_round *round, const char *name)
{
    struct tly_disk_job job = {.is_volume = true, .name = tly_text_dup(tly_text_of(name))};
    if (!job.name || asprintf(&job.top, "%s/volumes/%s/_data", round->data_root, name) < 0) {
        job.top = NULL;
        job_done(&job);
        return -ENOMEM;
    }
    return job_add(round, &job);
}

/* Every folder in data_root/volumes is a volume of the local driver, by its name. */
static void volumes_list(struct tly_disk_round *round)
{
    char path[PATH_MAX];
    size_t added = 0;
    round->volumes_listed = true;
    int len = snprintf(path, sizeof(path), "%s/volumes", round->data_root);
    DIR *folder = len < (int)sizeof(path) ? opendir(path) : NULL;
    if (!folder) {
        round->counts.unreadable += errno != ENOENT;
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder));) {
        bool plain = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
        if (!plain || entry->d_name[0] == '.') {
            continue;
        }
        if (added == round->config.volumes_max || volume_add(round, entry->d_name) < 0) {
            round->counts.volumes_skipped++;
        } else {
            added++;
        }
    }
    (void)closedir(folder); /* only reading: nothing can be lost */
}

/* ---- walks ---- */

static struct tly_disk_result *present_result(struct tly_disk_round *round)
{
    struct tly_disk_job *job = &round->jobs[round->next];
    return job->layer.tried ? &job->logs : &job->layer;
}

/* Begins the next walk of the job under way, or finds out why there is none. */
static void walk_begin(struct tly_disk_round *round)
{
    struct tly_disk_job *job = &round->jobs[round->next];
    bool logs = job->layer.tried;
    struct tly_disk_result *result = present_result(round);
    struct tly_disk_limits limits = round->config.limits;
    const char *path = logs ? job->log_dir : job->top;
    int rc = path ? 0 : -ENOENT;
    if (!path && !logs) {
        rc = top_find(round, job);
        path = job->top;
    }
    round->marks[0] = logs ? job->log_mark : NULL;
    limits.marks = round->marks;
    rc = rc < 0 ? rc : tly_disk_walk_new(path, &limits, &round->walk);
    if (rc < 0) {
        result->rc = rc;
        result->tried = true;
        round->counts.volumes_skipped += job->is_volume && rc == -EXDEV;
    }
}

static void walk_end(struct tly_disk_round *round)
{
    struct tly_disk_job *job = &round->jobs[round->next];
    struct tly_disk_result *result = present_result(round);
    result->size = *tly_disk_walk_size(round->walk);
    result->measured_ns = tly_clock_realtime_ns();
    result->rc = result->size.inodes > 0 ? 0 : -ENOENT; /* it went away meanwhile */
    if (result == &job->layer && result->rc == 0) {
        if (tly_disk_device_find(tly_buf_text(&round->mountinfo), result->size.mount_id,
                                 result->size.major, result->size.minor, job->device) < 0) {
            job->device[0] = '\0';
        }
    }
    result->tried = true;
    round->counts.walks++;
    round->counts.unreadable += result->size.unreadable;
    for (size_t i = 0; i < TLY_DISK_CUTS; i++) {
        round->counts.cuts[i] += (result->size.cut >> i) & 1;
    }
    tly_disk_walk_free(round->walk);
    round->walk = NULL;
}

/* Works on the present job; returns what it cost. */
static size_t job_work(struct tly_disk_round *round, size_t entries)
{
    struct tly_disk_job *job = &round->jobs[round->next];
    size_t done = 0;
    if (!round->walk) {
        walk_begin(round);
        done = JOB_COST;
    } else if (!tly_disk_walk_step(round->walk, entries, &done)) {
        round->counts.entries += done;
        walk_end(round);
        done += JOB_COST;
    } else {
        round->counts.entries += done;
    }
    if (job->layer.tried && (job->logs.tried || job->is_volume)) {
        round->next++;
    }
    return done;
}

bool tly_disk_round_work(struct tly_disk_round *round, size_t entries)
{
    size_t spent = 0;
    if (round->mountinfo.len == 0 &&
        tly_disk_mountinfo_read(round->config.proc, &round->mountinfo) < 0) {
        round->counts.unreadable++; /* sizes come without the names of devices */
    }
    while (spent < entries) {
        if (round->next == round->count && !round->volumes_listed) {
            volumes_list(round);
        }
        if (round->next == round->count) {
            return false;
        }
        size_t cost = job_work(round, entries - spent);
        spent += cost > 0 ? cost : 1; /* never without an end */
    }
    return true;
}

/* ---- life ---- */

int tly_disk_round_new(const struct tly_disk_round_config *config,
                       struct tly_disk_round **ret_round)
{
    struct tly_disk_round *round = calloc(1, sizeof(*round));
    if (!round) {
        return -ENOMEM;
    }
    round->config = *config;
    tly_buf_init(&round->mountinfo, TLY_DISK_MOUNTINFO_MAX);
    round->data_root = tly_text_dup(tly_text_of(config->data_root));
    if (!round->data_root) {
        tly_disk_round_free(round);
        return -ENOMEM;
    }
    *ret_round = round;
    return 0;
}

void tly_disk_round_free(struct tly_disk_round *round)
{
    if (!round) {
        return;
    }
    for (size_t i = 0; i < round->count; i++) {
        job_done(&round->jobs[i]);
    }
    tly_disk_walk_free(round->walk);
    tly_buf_done(&round->mountinfo);
    free(round->jobs);
    free(round->data_root);
    free(round);
}
