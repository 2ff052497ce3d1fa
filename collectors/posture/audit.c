/*
 * The stages of an audit; see audit.h.
 *
 *   PING      the version
 *   ENGINE    info, version, networks, images; what is asked at most once in a partial audit
 *   LIST      which containers there are
 *   FETCH     a wave of containers, with the images and execs that they name
 *   JUDGE     the wave, on a worker; then the next wave
 *   REST      images, engine and host, on a worker
 *
 * When no request runs or waits any more (audit_ask.c), the next stage begins.
 */
#include "collectors/posture/audit_state.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/engine/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOUNTS_BYTES (1 << 20)

enum stage { PING, ENGINE, LIST, FETCH, JUDGE, REST, OVER };

static void candidates_clear(struct tly_audit_job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        struct tly_audit_candidate *candidate = &job->candidates[i];
        for (size_t k = 0; k < candidate->exec_count; k++) {
            tly_json_free(candidate->execs[k]);
        }
        tly_json_free(candidate->tree);
        free(candidate->id);
        free(candidate->image_now);
    }
    job->count = 0;
}

static void subjects_clear(struct tly_audit_job *job)
{
    for (size_t i = 0; i < job->subject_count; i++) {
        tly_subject_free(job->subjects[i]);
    }
    free(job->subjects);
    job->subjects = NULL;
    job->subject_count = job->subject_cap = 0;
}

static void begin_engine(struct tly_audit *audit)
{
    audit->stage = ENGINE;
    bool whole = audit->scope.container_count == 0 && !audit->scope.image;
    if (whole || !audit->info) {
        tly_audit_ask(audit, TLY_ASK_INFO, NULL, NULL, "/info");
        tly_audit_ask(audit, TLY_ASK_VERSION, NULL, NULL, "/version");
        tly_audit_ask(audit, TLY_ASK_BRIDGE, NULL, NULL, "/networks/bridge");
        tly_audit_ask(audit, TLY_ASK_NETWORKS, NULL, NULL, "/networks");
        tly_audit_ask(audit, TLY_ASK_IMAGES, NULL, NULL, "/images/json");
    }
}

static void begin_list(struct tly_audit *audit)
{
    audit->stage = LIST;
    bool whole = audit->scope.container_count == 0 && !audit->scope.image;
    if (whole || !audit->crowd.whole) {
        tly_audit_ask(audit, TLY_ASK_LIST, NULL, NULL, "/containers/json?all=1");
    }
    for (size_t i = 0; i < audit->scope.container_count; i++) {
        const char *name = audit->scope.containers[i];
        char *copy = tly_audit_is_plain(tly_text_of(name)) ? strdup(name) : NULL;
        if (copy) {
            audit->ids[audit->id_count++] = copy;
        } else {
            audit->summary.missing++;
        }
    }
    if (audit->scope.image && !tly_audit_is_plain(tly_text_of(audit->scope.image))) {
        audit->summary.missing++;
    } else if (audit->scope.image) {
        tly_audit_ask(audit, TLY_ASK_IMAGE, NULL, NULL, "/images/%s/json", audit->scope.image);
    }
}

static void begin_fetch(struct tly_audit *audit)
{
    struct tly_audit_job *job = &audit->job;
    audit->stage = FETCH;
    candidates_clear(job);
    while (job->count < TLY_AUDIT_WAVE && audit->id_next < audit->id_count) {
        struct tly_audit_candidate *candidate = &job->candidates[job->count++];
        *candidate = (struct tly_audit_candidate){.id = audit->ids[audit->id_next]};
        audit->ids[audit->id_next++] = NULL;
        tly_audit_ask(audit, TLY_ASK_CONTAINER, candidate, NULL, "/containers/%s/json",
                      candidate->id);
    }
}

/* Those that could not be had are left out. */
static void drop_missing(struct tly_audit_job *job)
{
    size_t kept = 0;
    for (size_t i = 0; i < job->count; i++) {
        struct tly_audit_candidate candidate = job->candidates[i];
        if (candidate.tree && candidate.id) {
            job->candidates[kept++] = candidate;
        } else {
            tly_json_free(candidate.tree);
            free(candidate.id);
            free(candidate.image_now);
        }
    }
    job->count = kept;
}

static void hand_out(struct tly_audit *audit)
{
    struct tly_audit_job *job = &audit->job;
    for (size_t i = 0; i < job->subject_count; i++) {
        struct tly_subject *subject = job->subjects[i];
        audit->summary.containers += subject->target == TLY_TARGET_CONTAINER;
        audit->summary.images += subject->target == TLY_TARGET_IMAGE;
        audit->events->judged(audit->arg, subject);
    }
    job->subject_count = 0;
    audit->summary.failed += job->failed;
    audit->summary.unseen += job->failed;
    audit->summary.cpu_ns += job->cpu_ns;
    job->failed = 0;
    job->cpu_ns = 0;
}

static void release(struct tly_audit *audit);

static void worked(void *arg)
{
    struct tly_audit_job *job = arg;
    struct tly_audit *audit = job->audit;
    audit->worker_busy = false;
    if (audit->stopping) {
        release(audit);
        return;
    }
    hand_out(audit);
    tly_defer_call(audit->advance);
}

static void submit(struct tly_audit *audit)
{
    int rc = tly_worker_submit(audit->config.loop, tly_audit_work, worked, &audit->job);
    if (rc < 0) {
        size_t lost = audit->job.engine ? 1 : audit->job.count;
        audit->summary.failed += lost;
        audit->summary.unseen += lost;
        tly_defer_call(audit->advance);
        return;
    }
    audit->worker_busy = true;
}

static void begin_judge(struct tly_audit *audit)
{
    audit->stage = JUDGE;
    drop_missing(&audit->job);
    audit->job.engine = false;
    submit(audit);
}

static void begin_rest(struct tly_audit *audit)
{
    struct tly_map_entry entry;
    audit->stage = REST;
    candidates_clear(&audit->job);
    audit->job.engine = true;
    for (void *at = NULL; tly_map_next(audit->images, &at, &entry);) {
        struct tly_audit_image *image = entry.value;
        audit->crowd.images_used += image->current && audit->scope.container_count == 0;
        image->scan = (struct tly_scan_facts){.end_of_life = -1};
        if (audit->config.scan && image->current) {
            audit->config.scan(audit->config.scan_arg, tly_text_of(image->id), image->tree,
                               &image->scan);
        }
    }
    submit(audit);
}

/* After a whole audit, images without a container are no longer of interest, nor the sockets of
 * containers that are gone. */
static void forget_unseen(struct tly_audit *audit)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(audit->images, &at, &entry);) {
        struct tly_audit_image *image = entry.value;
        if (!image->current) {
            (void)tly_map_remove(audit->images, entry.key); /* it is `image` */
            tly_audit_image_free(image);
        }
    }
    for (void *at = NULL; tly_map_next(audit->sockets, &at, &entry);) {
        struct tly_audit_sockets *sockets = entry.value;
        if (!sockets->seen) {
            (void)tly_map_remove(audit->sockets, entry.key); /* it is `sockets` */
            free(sockets);
        } else {
            sockets->seen = false;
        }
    }
}

static void ids_clear(struct tly_audit *audit)
{
    for (size_t i = 0; audit->ids && i < audit->id_count; i++) {
        free(audit->ids[i]);
    }
    free(audit->ids);
    audit->ids = NULL;
    audit->id_count = audit->id_next = 0;
}

static void finish(struct tly_audit *audit)
{
    bool whole = audit->scope.container_count == 0 && !audit->scope.image;
    audit->stage = OVER;
    audit->running = false;
    candidates_clear(&audit->job);
    ids_clear(audit);
    if (whole && audit->summary.code == 0) {
        forget_unseen(audit);
    }
    audit->summary.duration_ns = tly_clock_monotonic_ns() - audit->started_ns;
    audit->events->done(audit->arg, &audit->summary);
}

static void advance(void *arg)
{
    struct tly_audit *audit = arg;
    if (!audit->running || audit->worker_busy || audit->in_flight > 0 || audit->asks) {
        return;
    }
    if (audit->summary.code < 0) {
        finish(audit);
        return;
    }
    switch ((enum stage)audit->stage) {
    case PING:
        begin_engine(audit);
        break;
    case ENGINE:
        begin_list(audit);
        break;
    case FETCH:
        begin_judge(audit);
        return;
    case LIST:
    case JUDGE:
        if (audit->id_next < audit->id_count) {
            begin_fetch(audit);
        } else if (audit->scope.containers_only) {
            finish(audit);
            return;
        } else {
            begin_rest(audit);
            return;
        }
        break;
    case REST:
    case OVER:
        finish(audit);
        return;
    }
    tly_audit_pump(audit);
}

int tly_audit_run(struct tly_audit *audit, const struct tly_audit_scope *scope)
{
    struct tly_map_entry entry;
    if (audit->running) {
        return -EBUSY;
    }
    audit->ids = scope->container_count > 0 ? calloc(scope->container_count, sizeof(char *)) : NULL;
    if (scope->container_count > 0 && !audit->ids) {
        return -ENOMEM;
    }
    for (void *at = NULL; tly_map_next(audit->images, &at, &entry);) {
        struct tly_audit_image *image = entry.value;
        image->current = false;
        image->asked = image->tree && image->history;
    }
    audit->running = true;
    audit->images_fresh = false;
    audit->scope = *scope;
    audit->summary = (struct tly_audit_summary){0};
    audit->started_ns = tly_clock_monotonic_ns();
    audit->sockets_left_ns = audit->config.sockets_budget_ns;
    audit->stage = PING;
    tly_audit_ask(audit, TLY_ASK_PING, NULL, NULL, "/_ping");
    tly_audit_pump(audit);
    return 0;
}

bool tly_audit_running(const struct tly_audit *audit)
{
    return audit->running;
}

/* ---- life ---- */

/* "31 23 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw" */
static char *find_cgroup(const char *proc)
{
    char path[512];
    struct tly_buf buf;
    char *found = NULL;
    (void)snprintf(path, sizeof(path), "%s/self/mounts", proc);
    tly_buf_init(&buf, MOUNTS_BYTES);
    struct tly_text rest = tly_file_read(AT_FDCWD, path, &buf) == 0 ? tly_buf_text(&buf)
                                                                    : (struct tly_text){NULL, 0};
    while (rest.at && rest.len > 0 && !found) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        (void)tly_text_cut(&line, ' ');
        struct tly_text point = line.at ? tly_text_cut(&line, ' ') : (struct tly_text){NULL, 0};
        if (line.at && tly_text_starts(line, TLY_TEXT("cgroup2 "))) {
            found = tly_text_dup(point);
        }
    }
    tly_buf_done(&buf);
    return found;
}

static int parts_make(struct tly_audit *audit, struct tly_error *err)
{
    const char *host = audit->config.docker->host;
    audit->images = tly_map_new();
    audit->sockets = tly_map_new();
    if (!audit->images || !audit->sockets) {
        return tly_error_set(err, -ENOMEM, "out of memory for the audit");
    }
    if (strncmp(host, "unix://", 7) == 0) {
        audit->socket = strdup(host + 7);
    }
    audit->cgroup = find_cgroup(audit->config.proc);
    audit->paths = (struct tly_host_paths){audit->config.proc, audit->cgroup};
    int rc = tly_secret_shapes_new(&audit->secrets, err);
    if (rc == 0) {
        rc = tly_engine_fetcher_new(audit->config.loop, audit->config.docker, &audit->fetcher,
                                    &audit->local, err);
    }
    if (rc == 0 && tly_defer_new(audit->config.loop, advance, audit, &audit->advance) < 0) {
        rc = tly_error_set(err, -ENOMEM, "out of memory for the audit");
    }
    return rc;
}

int tly_audit_new(const struct tly_audit_config *config, const struct tly_audit_events *events,
                  void *arg, struct tly_audit **ret_audit, struct tly_error *err)
{
    struct tly_audit *audit = calloc(1, sizeof(*audit));
    if (!audit) {
        return tly_error_set(err, -ENOMEM, "out of memory for the audit");
    }
    audit->config = *config;
    audit->events = events;
    audit->arg = arg;
    audit->asks_end = &audit->asks;
    audit->job.audit = audit;
    int rc = parts_make(audit, err);
    if (rc < 0) {
        tly_audit_free(audit, NULL, NULL);
        return rc;
    }
    *ret_audit = audit;
    return 0;
}

static void release(struct tly_audit *audit)
{
    void (*freed)(void *arg) = audit->freed;
    void *freed_arg = audit->freed_arg;
    json_t *trees[] = {audit->info,  audit->version_tree, audit->bridge,
                       audit->swarm, audit->networks,     audit->image_list};
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        tly_json_free(trees[i]);
    }
    candidates_clear(&audit->job);
    subjects_clear(&audit->job);
    ids_clear(audit);
    if (audit->host_looked) {
        tly_host_look_done(&audit->host);
    }
    if (audit->images) {
        tly_map_free(audit->images, tly_audit_image_free);
    }
    tly_map_free(audit->sockets, free);
    tly_secret_shapes_free(audit->secrets);
    free(audit->socket);
    free(audit->cgroup);
    free(audit);
    if (freed) {
        freed(freed_arg);
    }
}

void tly_audit_free(struct tly_audit *audit, void (*freed)(void *arg), void *arg)
{
    if (!audit) {
        if (freed) {
            freed(arg);
        }
        return;
    }
    audit->freed = freed;
    audit->freed_arg = arg;
    audit->stopping = true;
    if (audit->fetcher) {
        tly_fetcher_free(audit->fetcher);
    }
    tly_defer_free(audit->advance);
    tly_audit_asks_drop(audit);
    if (!audit->worker_busy) {
        release(audit);
    }
}
