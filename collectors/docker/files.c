/*
 * Watching the engine's files; see files.h. A folder that was touched is looked at a moment later,
 * all of them at intervals; one scan at a time is on a worker. A scan that ends after `stop` or
 * `move` is of an older generation and says nothing.
 */
#include "collectors/docker/files.h"

#include "agent/base/clock.h"
#include "agent/base/map.h"
#include "agent/loop/log.h"
#include "collectors/docker/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHO "docker"

/* The engine writes both files one after the other: one look serves the burst. */
#define GATHER_MS 20
#define MS_PER_S  1000

struct folder {
    struct tly_docker_files *files;
    char id[TLY_CONTAINER_ID_MAX + 1];
    uint64_t stamp;
    bool touched;
    struct tly_watch *watch; /* NULL: by interval alone */
};

struct tly_docker_files {
    struct tly_docker_files_config config;
    struct tly_docker_files_events events;
    void *arg;
    char *data_root;
    struct tly_timer *look;  /* to the next look at what was touched */
    struct tly_timer *again; /* to the next look at all */
    struct tly_watch *watch; /* of the folder of all containers */
    struct tly_map *folders; /* id to struct folder, owned */
    bool started, all_wanted, any_touched;
    bool said_none;

    struct tly_docker_scan *scan; /* on a worker; NULL: none */
    unsigned generation, scan_generation;

    uint64_t errors;
    struct tly_log_limit folder_limit, container_limit, full_limit, watch_limit;

    void (*freed)(void *arg);
    void *freed_arg;
};

static void folder_free(void *value)
{
    struct folder *folder = value;
    tly_watch_free(folder->watch);
    free(folder);
}

/* A look is due, a moment from now; the end of a scan under way comes back here. */
static void look_soon(struct tly_docker_files *files)
{
    if (files->started && !files->scan && !tly_timer_active(files->look)) {
        tly_timer_start(files->look, GATHER_MS, 0);
    }
}

/* ---- watches ---- */

static void folder_touch(struct folder *folder)
{
    folder->touched = folder->files->any_touched = true;
    look_soon(folder->files);
}

/* In one container's folder the engine also keeps logs: only what appears matters. */
static void folder_seen(void *arg, unsigned events, struct tly_text name)
{
    (void)events;
    if (name.len == 0 || tly_text_equal(name, TLY_TEXT(TLY_DOCKER_CONFIG_FILE)) ||
        tly_text_equal(name, TLY_TEXT(TLY_DOCKER_HOST_FILE))) {
        folder_touch(arg);
    }
}

static struct tly_watch *watch_new(struct tly_docker_files *files, const char *path,
                                   unsigned events, tly_watch_fn seen, void *arg)
{
    struct tly_watch *watch = NULL;
    int rc = tly_watch_new(files->config.watcher, path, events, seen, arg, &watch);
    uint64_t held = 0;
    if (rc < 0 && rc != -ENOENT &&
        tly_log_limit_pass(&files->watch_limit, tly_loop_now_ms(files->config.loop), &held)) {
        tly_log_warn(WHO, "cannot watch %s: %s; looking every %" PRId64 " s instead%s%s", path,
                     tly_error_name(rc), files->config.interval_ms / MS_PER_S, tly_watch_advice(rc),
                     tly_log_held(held).text);
    }
    return rc < 0 ? NULL : watch;
}

static void folder_watch(struct folder *folder)
{
    char *path = NULL;
    if (asprintf(&path, "%s/containers/%s", folder->files->data_root, folder->id) >= 0) {
        folder->watch = watch_new(folder->files, path, TLY_WATCH_CREATED, folder_seen, folder);
        free(path);
    }
}

/* A new folder, watched; NULL when memory is out or there are too many. */
static struct folder *folder_add(struct tly_docker_files *files, const char *id)
{
    struct folder *folder = NULL;
    if (tly_map_count(files->folders) < files->config.containers_max) {
        folder = calloc(1, sizeof(*folder));
    }
    if (!folder) {
        return NULL;
    }
    folder->files = files;
    (void)snprintf(folder->id, sizeof(folder->id), "%s", id); /* ids were measured */
    folder_watch(folder);
    if (tly_map_put(files->folders, tly_text_of(id), folder, NULL) < 0) {
        folder_free(folder);
        return NULL;
    }
    /* What was written between the look and the watch. */
    folder->touched = files->any_touched = true;
    return folder;
}

static void containers_seen(void *arg, unsigned events, struct tly_text name)
{
    struct tly_docker_files *files = arg;
    if (events & (TLY_WATCH_LOST | TLY_WATCH_ENDED)) {
        if (events & TLY_WATCH_ENDED) {
            tly_watch_free(files->watch); /* the next look at all makes another */
            files->watch = NULL;
        }
        files->all_wanted = true;
        look_soon(files);
        return;
    }
    if (!tly_docker_scan_is_id(name.at, name.len)) {
        return;
    }
    struct folder *folder = tly_map_get(files->folders, name);
    if (folder) {
        folder_touch(folder);
    } else if (events & TLY_WATCH_CREATED) {
        char id[TLY_CONTAINER_ID_MAX + 1] = "";
        memcpy(id, name.at, name.len);
        if (!folder_add(files, id)) {
            files->all_wanted = true; /* which says why there is no room */
        }
        look_soon(files);
    }
}

static void watch_containers(struct tly_docker_files *files)
{
    char *path = NULL;
    if (!files->watch && asprintf(&path, "%s/containers", files->data_root) >= 0) {
        files->watch = watch_new(files, path, TLY_WATCH_CREATED | TLY_WATCH_GONE, containers_seen,
                                 files);
        free(path);
    }
    struct tly_map_entry entry; /* where the kernel had no room */
    for (void *at = NULL; files->watch && tly_map_next(files->folders, &at, &entry);) {
        struct folder *folder = entry.value;
        if (!folder->watch) {
            folder_watch(folder);
        }
    }
}

/* ---- what a look found ---- */

static void say_unreadable(struct tly_docker_files *files, const struct tly_docker_scanned *at)
{
    uint64_t held = 0;
    files->errors++;
    if (tly_log_limit_pass(&files->container_limit, tly_loop_now_ms(files->config.loop), &held)) {
        tly_log_warn(WHO,
                     "cannot read the engine's files of container %.12s under %s/containers: %s; "
                     "what is known of it stays%s",
                     at->id, files->data_root, tly_error_name(at->rc), tly_log_held(held).text);
    }
}

static void say_full(struct tly_docker_files *files, size_t left_out)
{
    uint64_t held = 0;
    files->errors += left_out;
    if (tly_log_limit_pass(&files->full_limit, tly_loop_now_ms(files->config.loop), &held)) {
        tly_log_warn(WHO,
                     "more than %zu containers under %s/containers; %zu are left out until some "
                     "go (collect.containers_max)%s",
                     files->config.containers_max, files->data_root, left_out,
                     tly_log_held(held).text);
    }
}

static void take_one(struct tly_docker_files *files, struct tly_docker_scanned *at,
                     int64_t observed_ns)
{
    struct tly_text id = tly_text_of(at->id);
    struct folder *folder = tly_map_get(files->folders, id);
    if (!at->found) {
        if (folder && !folder->touched) {
            folder_free(tly_map_remove(files->folders, id));
        }
        tly_inventory_withdraw(files->config.inventory, TLY_SOURCE_FILES, id);
        return;
    }
    if (at->rc < 0) {
        say_unreadable(files, at);
    }
    folder = folder ? folder : folder_add(files, at->id);
    if (!folder) {
        files->errors++;
        return;
    }
    folder->stamp = at->stamp;
    if (at->container) {
        struct tly_container *container = at->container;
        at->container = NULL;
        if (tly_inventory_put(files->config.inventory, TLY_SOURCE_FILES, container, observed_ns) <
            0) {
            files->errors++;
            folder->stamp = 0; /* read again at the next look */
        }
    }
}

/* No engine here, as it seems. It may still come. */
static void say_none(struct tly_docker_files *files)
{
    if (!files->said_none) {
        tly_log_info(WHO, "no Docker engine here: there is no %s/containers (docker.data_root)",
                     files->data_root);
        files->said_none = true;
    }
}

static void say_absent(struct tly_docker_files *files, int rc)
{
    uint64_t held = 0;
    files->errors++;
    if (tly_log_limit_pass(&files->folder_limit, tly_loop_now_ms(files->config.loop), &held)) {
        tly_log_warn(WHO,
                     "cannot read %s/containers: %s; no names or states of containers from there, "
                     "looking again every %" PRId64 " s%s (docker.data_root)",
                     files->data_root, tly_error_name(rc), files->config.interval_ms / MS_PER_S,
                     tly_log_held(held).text);
    }
}

/* Whether all of it could be read. */
static bool take_scan(struct tly_docker_files *files, struct tly_docker_scan *scan)
{
    uint64_t errors = files->errors;
    if (scan->rc == -ENOENT && files->config.may_be_absent) {
        say_none(files);
    } else if (scan->rc < 0) {
        say_absent(files, scan->rc);
    } else if (scan->all) {
        files->folder_limit = (struct tly_log_limit){0};
    }
    if (scan->left_out > 0) {
        say_full(files, scan->left_out);
    }
    /* Without the folder itself no container has one: the scan looked at none of them. */
    bool looked = scan->rc == 0 || scan->rc == -ENOENT;
    for (size_t i = 0; looked && i < scan->count; i++) {
        take_one(files, &scan->at[i], scan->began_ns);
    }
    return files->errors == errors;
}

/* ---- looks ---- */

static void files_done(struct tly_docker_files *files)
{
    void (*freed)(void *arg) = files->freed;
    void *arg = files->freed_arg;
    tly_watch_free(files->watch);
    if (files->folders) {
        tly_map_free(files->folders, folder_free);
    }
    tly_timer_free(files->look);
    tly_timer_free(files->again);
    free(files->data_root);
    free(files);
    if (freed) {
        freed(arg);
    }
}

static void scan_done(void *arg)
{
    struct tly_docker_files *files = arg;
    struct tly_docker_scan *scan = files->scan;
    files->scan = NULL;
    if (files->freed) {
        tly_docker_scan_free(scan);
        files_done(files);
        return;
    }
    bool present = files->scan_generation == files->generation;
    bool success = present && take_scan(files, scan);
    bool all = scan->all;
    int64_t duration_ns = scan->ended_ns - scan->began_ns;
    tly_docker_scan_free(scan);
    if (files->all_wanted || files->any_touched) {
        look_soon(files);
    }
    if (present && all) {
        files->events.looked(files->arg, success, duration_ns);
    }
}

static void scan_work(void *arg)
{
    const struct tly_docker_files *files = arg;
    tly_docker_scan_run(files->scan);
}

/* The folders that are to be looked at. -ENOMEM. */
static int scan_fill(struct tly_docker_files *files, struct tly_docker_scan *scan)
{
    struct tly_map_entry entry;
    int rc = 0;
    for (void *at = NULL; rc == 0 && tly_map_next(files->folders, &at, &entry);) {
        struct folder *folder = entry.value;
        if (scan->all || folder->touched) {
            rc = tly_docker_scan_add(scan, folder->id, folder->stamp);
            folder->touched = false;
        }
    }
    return rc;
}

static void look_due(void *arg)
{
    struct tly_docker_files *files = arg;
    if (files->all_wanted) {
        watch_containers(files); /* before the look, so that nothing is missed between */
    }
    struct tly_docker_scan *scan = tly_docker_scan_new(files->data_root, files->all_wanted,
                                                       files->config.containers_max);
    int rc = scan ? scan_fill(files, scan) : -ENOMEM;
    if (rc == 0) {
        files->scan = scan;
        files->scan_generation = files->generation;
        files->any_touched = files->all_wanted = false;
        rc = tly_worker_submit(files->config.loop, scan_work, scan_done, files);
    }
    if (rc < 0) { /* everything again at the next interval */
        files->errors++;
        files->scan = NULL;
        tly_docker_scan_free(scan);
    }
}

static void again_due(void *arg)
{
    struct tly_docker_files *files = arg;
    files->all_wanted = true;
    look_soon(files);
}

/* ---- life ---- */

int tly_docker_files_new(const struct tly_docker_files_config *config, const char *data_root,
                         const struct tly_docker_files_events *events, void *arg,
                         struct tly_docker_files **ret_files)
{
    struct tly_docker_files *files = calloc(1, sizeof(*files));
    if (!files) {
        return -ENOMEM;
    }
    files->config = *config;
    files->events = *events;
    files->arg = arg;
    files->data_root = strdup(data_root);
    files->folders = tly_map_new();
    int rc = files->data_root && files->folders ? 0 : -ENOMEM;
    rc = rc < 0 ? rc : tly_timer_new(config->loop, look_due, files, &files->look);
    rc = rc < 0 ? rc : tly_timer_new(config->loop, again_due, files, &files->again);
    if (rc < 0) {
        files_done(files);
        return rc;
    }
    *ret_files = files;
    return 0;
}

int tly_docker_files_move(struct tly_docker_files *files, const char *data_root)
{
    if (strcmp(files->data_root, data_root) == 0) {
        return 0;
    }
    char *copy = strdup(data_root);
    if (!copy) {
        return -ENOMEM;
    }
    bool started = files->started;
    tly_docker_files_stop(files);
    free(files->data_root);
    files->data_root = copy;
    if (started) {
        tly_docker_files_start(files);
    }
    return 0;
}

void tly_docker_files_start(struct tly_docker_files *files)
{
    if (!files->started) {
        files->started = true;
        tly_timer_start(files->again, 0, files->config.interval_ms);
    }
}

void tly_docker_files_pace(struct tly_docker_files *files, int64_t interval_ms)
{
    files->config.interval_ms = interval_ms;
    if (tly_timer_active(files->again)) {
        tly_timer_start(files->again, interval_ms, interval_ms);
    }
}

void tly_docker_files_stop(struct tly_docker_files *files)
{
    struct tly_map_entry entry;
    if (!files->started) {
        return;
    }
    files->started = files->all_wanted = files->any_touched = false;
    files->generation++;
    tly_timer_stop(files->look);
    tly_timer_stop(files->again);
    tly_watch_free(files->watch);
    files->watch = NULL;
    for (void *at = NULL; tly_map_next(files->folders, &at, &entry);) {
        struct folder *folder = entry.value;
        tly_inventory_withdraw(files->config.inventory, TLY_SOURCE_FILES, tly_text_of(folder->id));
        folder_free(tly_map_remove(files->folders, entry.key));
    }
}

void tly_docker_files_free(struct tly_docker_files *files, void (*freed)(void *arg), void *arg)
{
    tly_docker_files_stop(files);
    files->freed = freed;
    files->freed_arg = arg;
    if (!files->scan) {
        files_done(files);
    }
}

uint64_t tly_docker_files_errors(const struct tly_docker_files *files)
{
    return files->errors;
}
