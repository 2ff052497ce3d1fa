/*
 * Keeping the chain of a container's files complete: what was rotated away since the last look is
 * found, opened and put between the file that was being read and the one being written now.
 */
#include "collectors/logs/source.h"

#include "agent/base/file.h"
#include "agent/loop/log.h"
#include "collectors/logs/chain.h"
#include "collectors/logs/tag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* With events, a look of its own accord is only for what events can't tell (a file system that has
 * none, a directory moved): every so many ticks. */
#define LOOK_TICKS 10

/* ---- events ---- */

static void seen(void *arg, unsigned events, struct tly_text name)
{
    struct tly_log_source *source = arg;
    bool is_base = tly_text_equal(name, tly_text_of(source->base));
    if (events & TLY_WATCH_ENDED) {
        source->gone = true;
    }
    if (events & TLY_WATCH_LOST) {
        source->created = source->found; /* nobody counts what was lost */
        source->description_stale = true;
        tly_log_source_wake(source);
    }
    if (tly_text_equal(name, TLY_TEXT("config.v2.json")) ||
        tly_text_equal(name, TLY_TEXT("hostconfig.json"))) {
        source->description_stale = true;
    }
    source->created += is_base && (events & TLY_WATCH_CREATED);
    if (source->description_stale || (events & (TLY_WATCH_ENDED | TLY_WATCH_LOST)) ||
        (is_base && (events & (TLY_WATCH_CREATED | TLY_WATCH_GONE)))) {
        tly_logs_stale(source->logs, source);
    }
}

static void written(void *arg, unsigned events, struct tly_text name)
{
    struct tly_log_source *source = arg;
    if ((events & TLY_WATCH_LOST) || tly_text_equal(name, tly_text_of(source->base))) {
        tly_log_source_wake(source);
    }
}

static void start_watching(struct tly_log_source *source)
{
    int rc = tly_watch_new(source->logs->context->watcher, source->dir,
                           TLY_WATCH_CREATED | TLY_WATCH_GONE, seen, source, &source->watch);
    source->watch = rc < 0 ? NULL : source->watch;
    if (rc == 0) {
        rc = tly_watch_new(source->logs->writes, source->dir, TLY_WATCH_MODIFIED, written, source,
                           &source->writes);
        source->writes = rc < 0 ? NULL : source->writes;
    }
    uint64_t held;
    int64_t now = tly_loop_now_ms(source->logs->context->loop);
    if (rc < 0 && rc != -ENOENT && tly_log_limit_pass(&source->logs->watch_limit, now, &held)) {
        tly_log_warn("logs", "cannot watch %s: %s; looking every second%s", source->dir,
                     tly_error_name(rc),
                     rc == -ENOSPC ? " (raise fs.inotify.max_user_watches)" : "");
    }
}

/* ---- life ---- */

int tly_log_source_new(struct tly_logs *logs, const char *id, const char *dir, const char *base,
                       bool old, struct tly_log_source **ret_source)
{
    struct tly_log_source *source = calloc(1, sizeof(*source));
    if (!source) {
        return -ENOMEM;
    }
    source->logs = logs;
    source->format = &tly_log_json;
    source->dir_fd = -1;
    source->old = old;
    (void)snprintf(source->id, sizeof(source->id), "%s", id);
    (void)snprintf(source->key, sizeof(source->key), "docker/%s", source->id);
    tly_log_template_init(&source->template);
    tly_buf_init(&source->tag, TLY_LOG_TAG_MAX);
    source->dir = strdup(dir);
    source->base = strdup(base);
    source->readers = calloc(logs->target_count + 1, sizeof(struct tly_log_reader *));
    source->wanted = calloc(logs->target_count + 1, sizeof(bool));
    int rc = source->dir && source->base && source->readers && source->wanted ? 0 : -ENOMEM;
    if (rc == 0) {
        rc = tly_file_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, &source->dir_fd);
    }
    if (rc < 0) {
        tly_log_source_free(source);
        return rc;
    }
    start_watching(source); /* before the first look, so that nothing comes between */
    source->description_stale = true;
    tly_logs_stale(logs, source);
    *ret_source = source;
    return 0;
}

void tly_log_source_free(struct tly_log_source *source)
{
    if (!source) {
        return;
    }
    for (size_t i = 0; source->readers && i < source->logs->target_count; i++) {
        tly_log_reader_free(source->readers[i]);
    }
    tly_watch_free(source->watch);
    tly_watch_free(source->writes);
    tly_log_chain_free(source);
    tly_container_unref(source->description);
    tly_log_template_done(&source->template);
    tly_buf_done(&source->tag);
    tly_fd_close(&source->dir_fd);
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
    if (!source->gone && fstat(source->dir_fd, &st) == 0 && st.st_nlink == 0) {
        source->gone = true;
    }
    if (source->template.bytes.len == 0) {
        return false; /* no memory even for that: the next tick tries again */
    }
    int rc = tly_log_chain_look(source);
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
    /* By now the events of all that was found before the last tick have come: from here on each
     * file that is made counts. */
    if (!source->found_lately && source->created < source->found) {
        source->created = source->found;
    }
    source->found_lately = false;
    bool look = !source->watch || !source->writes || source->facts_stale || source->gone ||
                source->logs->ticks % LOOK_TICKS == 0;
    if (look) {
        tly_logs_stale(source->logs, source);
    }
    for (size_t i = 0; i < source->logs->target_count; i++) {
        struct tly_log_reader *reader = source->readers[i];
        if (reader && (look || reader->retry || tly_log_reader_has_pieces(reader))) {
            tly_logs_ready(source->logs, reader);
        }
    }
}
