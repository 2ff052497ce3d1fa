/*
 * Keeping the chain of a container's files complete: what was rotated away since the last look is
 * found, opened and put between the file that was being read and the one being written now.
 */
#include "collectors/logs/source.h"

#include "agent/base/file.h"
#include "agent/loop/log.h"
#include "collectors/logs/chain.h"
#include "collectors/logs/feeds.h"
#include "collectors/logs/tag.h"
#include "collectors/logs/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* With events, a look of its own accord is only for what events can't tell (a file system that has
 * none, a directory moved): every so many ticks. */
#define LOOK_TICKS 10

/* Docker's local driver has a folder of its own, made when the container first starts. */
static const char local_dir[] = "local-logs";
static const char local_base[] = "container.log";

/* The engine's copy for drivers that can't be read from (daemon/container/container.go). */
static const char copy_base[] = "container-cached.log";
static const char copy_rotated[] = "container-cached.log.1";

/* ---- events ---- */

static bool is_base(const struct tly_log_source *source, struct tly_text name)
{
    return source->format->kubelet ? tly_log_walk_is_kubelet_base(name)
                                   : tly_text_equal(name, tly_text_of(source->base));
}

/* Names in the folder of the files. */
static void file_seen(struct tly_log_source *source, unsigned events, struct tly_text name)
{
    bool base = is_base(source, name);
    if (events & TLY_WATCH_LOST) {
        source->created = source->found; /* nobody counts what was lost */
        tly_log_source_wake(source);
    }
    source->created += base && (events & TLY_WATCH_CREATED);
    if ((events & TLY_WATCH_LOST) || (base && (events & (TLY_WATCH_CREATED | TLY_WATCH_GONE)))) {
        tly_logs_stale(source->logs, source);
    }
}

static void name_seen(void *arg, unsigned events, struct tly_text name)
{
    file_seen(arg, events, name);
}

/* Names in the folder of the container. */
static void seen(void *arg, unsigned events, struct tly_text name)
{
    struct tly_log_source *source = arg;
    if (events & TLY_WATCH_ENDED) {
        source->gone = true;
    }
    if (!source->pod &&
        ((events & TLY_WATCH_LOST) || tly_text_equal(name, TLY_TEXT("config.v2.json")) ||
         tly_text_equal(name, TLY_TEXT("hostconfig.json")) ||
         (!source->newest && tly_text_equal(name, tly_text_of(copy_base))))) {
        source->description_stale = true;
    }
    if (source->files_fd == source->dir_fd) {
        file_seen(source, events, name);
    }
    if (source->description_stale || (events & (TLY_WATCH_ENDED | TLY_WATCH_LOST)) ||
        tly_text_equal(name, tly_text_of(local_dir))) {
        tly_logs_stale(source->logs, source);
    }
}

/* A reader that waits for room sees a truncation only when it goes on, and by then the copy that
 * was made before may be gone. */
static void look_for_cut(struct tly_log_source *source)
{
    struct stat st;
    struct tly_log_file *newest = source->newest;
    bool waits = false;
    for (size_t i = 0; i < source->logs->target_count; i++) {
        waits = waits || (source->readers[i] && source->readers[i]->state == TLY_READER_WAITING);
    }
    if (!waits || !newest || newest->fd < 0 || newest->gzip || fstat(newest->fd, &st) < 0) {
        return;
    }
    if (newest->cut_due || (uint64_t)st.st_size < newest->size) {
        int rc = tly_log_source_cut(source, newest);
        if (rc < 0) {
            tly_logs_error(source->logs, source->id, "cannot look for a copy of its log", rc);
        }
        return; /* the next tick tries again what failed */
    }
    bool looked = tly_log_file_look(newest) == 0; /* so that its copy can be told */
    (void)looked;                                 /* else at the next write */
    for (size_t i = 0; i < source->logs->target_count; i++) {
        struct tly_log_reader *reader = source->readers[i];
        if (reader && reader->state == TLY_READER_WAITING && reader->file == newest) {
            tly_log_reader_enter(reader);
        }
    }
}

static void written(void *arg, unsigned events, struct tly_text name)
{
    struct tly_log_source *source = arg;
    if ((events & TLY_WATCH_LOST) || source->format->kubelet || is_base(source, name)) {
        look_for_cut(source);
        tly_log_source_wake(source); /* the kubelet's: also to one that was renamed */
    }
}

static void say_unwatched(struct tly_log_source *source, const char *dir, int rc)
{
    uint64_t held;
    int64_t now = tly_loop_now_ms(source->logs->context->loop);
    if (rc < 0 && rc != -ENOENT && tly_log_limit_pass(&source->logs->watch_limit, now, &held)) {
        tly_log_warn("logs", "cannot watch %s: %s; looking every second%s", dir, tly_error_name(rc),
                     tly_watch_advice(rc));
    }
}

static int watch_names(struct tly_log_source *source, const char *dir, tly_watch_fn fn,
                       struct tly_watch **ret_watch)
{
    int rc = tly_watch_new(source->logs->context->watcher, dir, TLY_WATCH_CREATED | TLY_WATCH_GONE,
                           fn, source, ret_watch);
    *ret_watch = rc < 0 ? NULL : *ret_watch;
    return rc;
}

static int watch_writes(struct tly_log_source *source, const char *dir)
{
    int rc = tly_watch_new(source->logs->writes, dir, TLY_WATCH_MODIFIED, written, source,
                           &source->writes);
    source->writes = rc < 0 ? NULL : source->writes;
    return rc;
}

/* Watches what is not watched yet: at the beginning, and again where the kernel had no room. */
static void start_watching(struct tly_log_source *source)
{
    TLY_AUTO_FREE char *local = NULL;
    if (source->files_fd != source->dir_fd &&
        asprintf(&local, "%s/%s", source->dir, local_dir) < 0) {
        local = NULL;
        return; /* the next time */
    }
    int rc = source->watch ? 0 : watch_names(source, source->dir, seen, &source->watch);
    if (rc == 0 && local && !source->names) {
        rc = watch_names(source, local, name_seen, &source->names);
    }
    if (rc == 0 && !source->writes) {
        rc = watch_writes(source, local ? local : source->dir);
    }
    say_unwatched(source, source->dir, rc);
}

/* ---- the local driver's folder ---- */

static int use_local(struct tly_log_source *source, int fd)
{
    char *base = strdup(local_base);
    if (!base) {
        return -ENOMEM;
    }
    source->files_fd = fd;
    source->format = &tly_log_entries;
    free(source->base);
    source->base = base;
    tly_watch_free(source->writes); /* of the other folder */
    source->writes = NULL;
    start_watching(source);
    return 0;
}

/* Whether it is the local driver that writes this container's log, which shows at its first start:
 * a container keeps its driver for life. */
static int look_for_local(struct tly_log_source *source)
{
    TLY_AUTO_FD fd = -1;
    if (source->pod || source->newest || source->files_fd != source->dir_fd) {
        return 0;
    }
    int rc = tly_file_open(source->dir_fd, local_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    rc = use_local(source, fd);
    fd = rc < 0 ? fd : -1;
    return rc;
}

/* ---- the engine's copy ---- */

/* Between the two steps of a rotation only the older one is there. */
static int look_for_copy(const struct tly_log_source *source)
{
    static const char *const names[] = {copy_base, copy_rotated};
    int rc = -ENOENT;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc == -ENOENT; i++) {
        struct stat about;
        rc = fstatat(source->dir_fd, names[i], &about, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        if (rc == 0 && !S_ISREG(about.st_mode)) {
            rc = -ENOENT;
        }
    }
    return rc;
}

int tly_log_source_use_copy(struct tly_log_source *source)
{
    int rc = look_for_copy(source);
    if (rc < 0) {
        return rc;
    }
    char *base = strdup(copy_base);
    if (!base) {
        return -ENOMEM;
    }
    free(source->base);
    source->base = base;
    source->format = &tly_log_entries;
    source->copied = true;
    return 0;
}

/* ---- life ---- */

int tly_log_source_new(struct tly_logs *logs, const struct tly_log_origin *origin,
                       struct tly_log_source **ret_source)
{
    struct tly_log_source *source = calloc(1, sizeof(*source));
    if (!source) {
        return -ENOMEM;
    }
    source->logs = logs;
    source->generation = logs->generation;
    source->format = origin->pod ? &tly_log_cri : &tly_log_json;
    source->dir_fd = -1;
    source->files_fd = -1;
    source->old = origin->old;
    source->pod = origin->pod != NULL;
    source->description = origin->pod ? tly_container_ref(origin->pod) : NULL;
    (void)snprintf(source->id, sizeof(source->id), "%s", origin->id);
    (void)snprintf(source->key, sizeof(source->key), "%s", origin->key);
    source->key_hash = tly_log_hash(source->key, strlen(source->key));
    tly_log_template_init(&source->template);
    tly_buf_init(&source->tag, TLY_LOG_TAG_MAX);
    source->api = !origin->dir;
    source->dir = strdup(origin->dir ? origin->dir : "");
    source->base = strdup(origin->base ? origin->base : "");
    source->readers = calloc(logs->target_count + 1, sizeof(struct tly_log_reader *));
    source->wanted = calloc(logs->target_count + 1, sizeof(bool));
    int rc = source->dir && source->base && source->readers && source->wanted ? 0 : -ENOMEM;
    if (rc == 0 && !source->api) {
        rc = tly_file_open(AT_FDCWD, source->dir, O_RDONLY | O_DIRECTORY, &source->dir_fd);
        source->files_fd = source->dir_fd;
    }
    if (rc < 0) {
        tly_log_source_free(source);
        return rc;
    }
    if (!source->api) {
        start_watching(source); /* before the first look, so that nothing comes between */
        source->description_stale = !source->pod;
    }
    source->facts_stale = true;
    tly_logs_stale(logs, source);
    *ret_source = source;
    return 0;
}

void tly_log_source_let_go(struct tly_log_source *source)
{
    struct tly_watch **watches[] = {&source->watch, &source->names, &source->writes};
    for (size_t i = 0; i < sizeof(watches) / sizeof(watches[0]); i++) {
        tly_watch_free(*watches[i]);
        *watches[i] = NULL;
    }
    if (source->files_fd != source->dir_fd) {
        tly_fd_close(&source->files_fd);
    }
    tly_fd_close(&source->dir_fd);
    source->files_fd = -1;
}

void tly_log_source_free(struct tly_log_source *source)
{
    if (!source) {
        return;
    }
    for (size_t i = 0; source->readers && i < source->logs->target_count; i++) {
        tly_log_reader_free(source->readers[i]);
    }
    tly_log_source_let_go(source);
    tly_log_chain_free(source);
    tly_container_unref(source->description);
    tly_log_template_done(&source->template);
    tly_buf_done(&source->tag);
    free(source->readers);
    free(source->wanted);
    free(source->dir);
    free(source->base);
    free(source);
}

void tly_log_source_wake(struct tly_log_source *source)
{
    for (size_t i = 0; i < source->logs->target_count; i++) {
        if (source->readers[i]) {
            tly_logs_ready(source->logs, source->readers[i]);
        }
    }
}

/* ---- looking ---- */

static bool all_ended(const struct tly_log_source *source)
{
    for (size_t i = 0; i < source->logs->target_count; i++) {
        if (source->readers[i] && source->readers[i]->state != TLY_READER_ENDED) {
            return false;
        }
    }
    return true;
}

bool tly_log_source_look(struct tly_log_source *source)
{
    struct stat st;
    if (source->description_stale || source->facts_stale) {
        tly_log_source_read_facts(source);
    }
    if (!source->api && !source->gone && fstat(source->dir_fd, &st) == 0 && st.st_nlink == 0) {
        source->gone = true;
    }
    if (source->template.bytes.len == 0) {
        return false; /* no memory even for that: the next tick tries again */
    }
    if (source->api) {
        return tly_log_feeds_look(source);
    }
    int rc = look_for_local(source);
    rc = rc < 0 ? rc : tly_log_chain_look(source);
    source->look_due = rc < 0;
    if (rc < 0) {
        tly_logs_error(source->logs, source->id, "cannot look for its log files", rc);
    }
    if (source->gone) {
        tly_log_source_wake(source);
    }
    return source->gone && rc == 0 && all_ended(source);
}

void tly_log_source_tick(struct tly_log_source *source)
{
    if (source->api) {
        tly_log_feeds_tick(source);
        return;
    }
    /* By now the events of all that was found before the last tick have come: from here on each
     * file that is made counts. */
    if (!source->found_lately && source->created < source->found) {
        source->created = source->found;
    }
    source->found_lately = false;
    bool unwatched = !source->watch || !source->writes ||
                     (source->files_fd != source->dir_fd && !source->names);
    bool look = unwatched || source->look_due || source->facts_stale || source->gone ||
                source->logs->ticks % LOOK_TICKS == 0;
    if (unwatched && !source->gone && source->logs->ticks % LOOK_TICKS == 0) {
        start_watching(source); /* before the look, so that nothing comes between */
    }
    if (look) {
        tly_logs_stale(source->logs, source);
    }
    if (source->newest && source->newest->cut_due) {
        look_for_cut(source);
    }
    for (size_t i = 0; i < source->logs->target_count; i++) {
        struct tly_log_reader *reader = source->readers[i];
        if (reader && (look || reader->retry || tly_log_reader_has_pieces(reader))) {
            tly_logs_ready(source->logs, reader);
        }
    }
}
