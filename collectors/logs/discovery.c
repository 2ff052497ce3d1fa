/*
 * Docker's containers come to be known in these ways: their directory appears below the data root,
 * which is watched; it was there before; the engine names the path of a log that lies elsewhere, or
 * a driver whose lines only the engine itself can tell.
 */
#include "collectors/logs/discovery.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/loop/log.h"
#include "collectors/logs/feeds.h"
#include "collectors/logs/pods.h"
#include "collectors/logs/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_ROOT_DEFAULT "/var/lib/docker"

/* With a watch, the root is still read every so many ticks: a file system may have no events. */
#define SCAN_TICKS 30

/* Positions of containers that are gone for good are dropped this long after the start, when the
 * engine has had time to say where its containers are. */
#define PRUNE_TICKS 600

#define PATH_LEN_MAX 4096

/* Docker's ids are 64 digits; a directory of another name is not a container's. */
static bool is_id(struct tly_text name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return name.len == TLY_CONTAINER_ID_MAX;
}

void tly_logs_add(struct tly_logs *logs, const struct tly_log_origin *origin)
{
    struct tly_text key = tly_text_of(origin->key);
    struct tly_log_source *source;
    if (tly_map_get(logs->sources, key)) {
        return;
    }
    if (tly_map_count(logs->sources) >= (size_t)logs->context->collect->containers_max) {
        tly_logs_error(logs, origin->id, "cannot follow its log: collect.containers_max is reached",
                       TLY_E_LIMIT);
        return;
    }
    int rc = tly_log_source_new(logs, origin, &source);
    if (rc == 0) {
        rc = tly_map_put(logs->sources, key, source, NULL);
        if (rc < 0) {
            tly_logs_forget(logs, source);
        }
    }
    if (rc == -ENOENT && logs->settled) {
        /* It was gone before it could be opened; whether it had written anything, nobody knows. */
        for (size_t i = 0; i < logs->target_count; i++) {
            tly_logs_lost(logs, &logs->targets[i], TLY_LOST_REMOVED, 0, origin->id);
        }
    } else if (rc < 0) {
        tly_logs_error(logs, origin->id, "cannot follow its log", rc);
    }
}

static void key_of(const char *id, char to[TLY_LOG_KEY_MAX])
{
    (void)snprintf(to, TLY_LOG_KEY_MAX, "docker/%s", id);
}

static void add(struct tly_logs *logs, const char *id, const char *dir, const char *base, bool old)
{
    char key[TLY_LOG_KEY_MAX];
    key_of(id, key);
    const struct tly_log_origin origin = {
        .id = id, .key = key, .dir = dir, .base = base, .old = old};
    tly_logs_add(logs, &origin);
}

/* Whether a folder was made before the agent looked for the first time. Unknown: it was. */
static bool was_there(const struct tly_logs *logs, const char *dir)
{
    struct statx about;
    if (statx(AT_FDCWD, dir, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &about) < 0 ||
        !(about.stx_mask & STATX_BTIME)) {
        return true;
    }
    return about.stx_btime.tv_sec * TLY_NS_PER_S + about.stx_btime.tv_nsec < logs->started_ns;
}

/* `first`: at the first look at this root. Where it is not the agent's first look, at a root of
 * which the engine told later, the folder's own time says what was there; a clock that was set
 * since the machine's start makes no difference otherwise. */
static void add_below_root(struct tly_logs *logs, struct tly_text name, bool first)
{
    char dir[PATH_LEN_MAX];
    char base[TLY_CONTAINER_ID_MAX + sizeof("-json.log")];
    char id[TLY_CONTAINER_ID_MAX + 1];
    if (!is_id(name)) {
        return;
    }
    (void)snprintf(id, sizeof(id), "%.*s", (int)name.len, name.at);
    (void)snprintf(base, sizeof(base), "%s-json.log", id);
    int len = snprintf(dir, sizeof(dir), "%s/%s", logs->root, id);
    if (len > 0 && (size_t)len < sizeof(dir)) {
        add(logs, id, dir, base, first && (!logs->settled || was_there(logs, dir)));
    }
}

/* ---- below the data root ---- */

static int scan(struct tly_logs *logs)
{
    DIR *dir = opendir(logs->root);
    if (!dir) {
        return -errno;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        struct tly_text name = tly_text_of(entry->d_name);
        logs->root_holds = logs->root_holds || is_id(name);
        add_below_root(logs, name, !logs->root_seen);
    }
    closedir(dir);
    return 0;
}

static void look(struct tly_logs *logs);

static void root_changed(void *arg, unsigned events, struct tly_text name)
{
    struct tly_logs *logs = arg;
    if (events & TLY_WATCH_ENDED) {
        tly_watch_free(logs->root_watch);
        logs->root_watch = NULL; /* the next tick looks whether there is another one */
        return;
    }
    if (events & TLY_WATCH_LOST) {
        look(logs);
    }
    if (events & TLY_WATCH_CREATED) {
        add_below_root(logs, name, false);
    }
}

static void look(struct tly_logs *logs)
{
    uint64_t held;
    int rc = 0;
    if (!logs->root_watch) { /* before the scan, so that nothing comes between */
        rc = tly_watch_new(logs->context->watcher, logs->root, TLY_WATCH_CREATED, root_changed,
                           logs, &logs->root_watch);
        logs->root_watch = rc < 0 ? NULL : logs->root_watch;
    }
    int64_t now = tly_loop_now_ms(logs->context->loop);
    if (rc < 0 && rc != -ENOENT && tly_log_limit_pass(&logs->watch_limit, now, &held)) {
        tly_log_warn("logs", "cannot watch %s: %s; looking every second%s", logs->root,
                     tly_error_name(rc), tly_watch_advice(rc));
    }
    rc = scan(logs);
    logs->stats.success = rc == 0 || rc == -ENOENT;
    logs->root_missing = rc == -ENOENT;
    if (!logs->stats.success) {
        tly_logs_error(logs, "", logs->root, rc);
    }
    logs->root_seen = logs->root_seen || logs->stats.success;
}

static int root_of(const char *data_root, char **ret_root)
{
    int len = asprintf(ret_root, "%s/containers", data_root);
    return len < 0 ? -ENOMEM : 0;
}

/* ---- what the inventory says ---- */

static bool is_old(const struct tly_logs *logs, const struct tly_container *container)
{
    int64_t since = container->started_ns > 0 ? container->started_ns : container->created_ns;
    return since != TLY_UNKNOWN && since > 0 && since < logs->started_ns;
}

/* Not by access(2), which leaves the capabilities of a user other than root out of account. */
static bool is_there(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0;
}

static void say_unseen(struct tly_logs *logs, const char *dir)
{
    if (logs->root_missing && !logs->unseen_said && logs->target_count > 0) {
        logs->unseen_said = true;
        tly_log_warn("logs",
                     "the engine's log files cannot be seen, neither in %s nor, as it says, in %s: "
                     "no lines of them are forwarded; set docker.data_root, or in a container "
                     "mount the engine's folder `containers` there, read-only",
                     logs->root, dir);
    }
}

static void say_outside(struct tly_logs *logs, const char *dir)
{
    if (!logs->outside_said) {
        logs->outside_said = true;
        tly_log_warn("logs",
                     "the sandbox does not let %s be read, where the engine says that log files "
                     "are: no lines of them are forwarded; set docker.data_root to the engine's "
                     "folder, or add it to sandbox.read, and start the agent anew",
                     dir);
    }
}

/* Where no folder is configured, the engine's word counts, if it can be seen from here. */
static void follow_engine(struct tly_logs *logs)
{
    const char *data_root = tly_inventory_data_root(logs->context->inventory);
    TLY_AUTO_FREE char *root = NULL;
    if (logs->context->docker->data_root || !data_root || root_of(data_root, &root) < 0 ||
        strcmp(root, logs->root) == 0 || !is_there(root)) {
        return;
    }
    if (!tly_sandbox_allows(logs->context->sandbox, root, TLY_ACCESS_READ)) {
        say_outside(logs, root);
        return;
    }
    tly_log_info("logs", "the engine's data is in %s: its log files are looked for there",
                 data_root);
    tly_watch_free(logs->root_watch);
    logs->root_watch = NULL;
    free(logs->root);
    logs->root = root;
    root = NULL;
    logs->root_seen = false;
    logs->root_holds = false;
    look(logs);
}

/* A container whose lines are sent away: its folder may have the engine's copy of them. */
static void add_elsewhere(struct tly_logs *logs, const struct tly_container *container)
{
    char dir[PATH_LEN_MAX];
    follow_engine(logs);
    int len = snprintf(dir, sizeof(dir), "%s/%s", logs->root, container->id);
    if (len > 0 && (size_t)len < sizeof(dir) && is_there(dir)) {
        add_below_root(logs, tly_text_of(container->id), is_old(logs, container));
    } else {
        add(logs, container->id, NULL, NULL, is_old(logs, container));
    }
}

static void changed(void *arg, enum tly_change change, const struct tly_container *container)
{
    struct tly_logs *logs = arg;
    char key[TLY_LOG_KEY_MAX];
    key_of(container->id, key);
    struct tly_log_source *source = tly_map_get(logs->sources, tly_text_of(key));
    if (change == TLY_CHANGE_REMOVED) {
        if (source && source->api) {
            tly_log_feeds_doubt(source);
        }
        return; /* the directory's end tells when its last line was read */
    }
    if (source) {
        source->facts_stale = true;
        tly_logs_stale(logs, source);
        return;
    }
    const char *slash = container->log_path ? strrchr(container->log_path, '/') : NULL;
    bool ours = !container->log_driver || strcmp(container->log_driver, "json-file") == 0;
    if (logs->settled && ours && slash && slash > container->log_path && slash[1] != '\0') {
        struct tly_text path = {container->log_path, (size_t)(slash - container->log_path)};
        TLY_AUTO_FREE char *dir = tly_text_dup(path);
        bool there = dir && is_there(dir); /* as the engine sees it, maybe not as we do */
        if (there && !tly_sandbox_allows(logs->context->sandbox, dir, TLY_ACCESS_READ)) {
            say_outside(logs, dir);
        } else if (there) {
            add(logs, container->id, dir, slash + 1, is_old(logs, container));
        } else if (dir) {
            say_unseen(logs, dir);
        }
    } else if (logs->settled && container->log_driver &&
               strcmp(container->log_driver, "local") == 0) {
        const char *data_root = tly_inventory_data_root(logs->context->inventory);
        follow_engine(logs);
        if (data_root) {
            say_unseen(logs, data_root);
        }
    } else if (logs->settled && tly_log_feeds_want(logs, container->log_driver)) {
        add_elsewhere(logs, container);
    }
}

static void changed_before(void *arg, const struct tly_container *container)
{
    changed(arg, TLY_CHANGE_ADDED, container);
}

/* ---- positions that nobody needs ---- */

static bool still_there(void *arg, struct tly_text key)
{
    const struct tly_logs *logs = arg;
    return tly_map_get(logs->sources, key) != NULL;
}

/* An empty root may be the wrong one, or not mounted yet; and as long as the engine has not said
 * where its containers are, those in the usual place may be left over from before they moved. */
static bool root_is_certain(const struct tly_logs *logs)
{
    const struct tly_docker_settings *docker = logs->context->docker;
    bool silent = docker->host && *docker->host != '\0' &&
                  !tly_inventory_data_root(logs->context->inventory);
    return logs->root_holds && (docker->data_root || !silent);
}

static void prune(struct tly_logs *logs)
{
    if (root_is_certain(logs)) {
        size_t gone = tly_delivery_prune(logs->context->delivery, TLY_TEXT("docker/"), still_there,
                                         logs);
        if (gone > 0) {
            tly_log_info("logs", "dropped %zu positions of containers that are gone", gone);
        }
        logs->pruned = true;
    }
}

/* ---- life ---- */

int tly_logs_discovery_start(struct tly_logs *logs)
{
    const char *data_root = logs->context->docker->data_root;
    logs->started_ns = tly_clock_realtime_ns();
    int rc = root_of(data_root ? data_root : DATA_ROOT_DEFAULT, &logs->root);
    if (rc < 0) {
        logs->root = NULL;
        return rc;
    }
    rc = tly_inventory_listen(logs->context->inventory, changed, logs);
    if (rc < 0) {
        return rc;
    }
    look(logs);
    rc = tly_pods_start(logs, logs->settings->pods_root);
    if (rc < 0) {
        return rc;
    }
    logs->settled = true;
    tly_inventory_each(logs->context->inventory, changed_before, logs);
    return 0;
}

void tly_logs_discovery_stop(struct tly_logs *logs)
{
    tly_pods_stop(logs);
    tly_inventory_unlisten(logs->context->inventory, changed, logs);
    tly_watch_free(logs->root_watch);
    logs->root_watch = NULL;
    free(logs->root);
    logs->root = NULL;
}

void tly_logs_discovery_tick(struct tly_logs *logs)
{
    follow_engine(logs);
    if (!logs->root_watch || logs->ticks % SCAN_TICKS == 0) {
        look(logs);
    }
    if (logs->ticks == PRUNE_TICKS) {
        tly_pods_prune(logs);
    }
    if (logs->ticks >= PRUNE_TICKS && !logs->pruned) {
        prune(logs);
    }
    tly_pods_tick(logs);
}
