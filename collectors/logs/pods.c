/*
 * The kubelet's folder of logs: ROOT/NAMESPACE_POD_UID/CONTAINER/N.log. The root and the folder of
 * each pod are watched; a container's folder becomes a source, which watches its own.
 */
#include "collectors/logs/pods.h"

#include "agent/loop/log.h"
#include "collectors/logs/discovery.h"
#include "collectors/logs/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With a watch, folders are still read every so many ticks: a file system may have no events. */
#define SCAN_TICKS 30

/* Many more than a kubelet runs; the bound is on watches. */
#define PODS_MAX 4096

#define PATH_LEN_MAX 4096

struct pod {
    struct tly_pods *pods;
    struct tly_watch *watch; /* NULL: looked at at every tick */
    bool ended;              /* its folder went */
    char namespace[256], name[256], uid[TLY_CONTAINER_ID_MAX + 1];
    char dir[]; /* path */
};

struct tly_pods {
    struct tly_logs *logs;
    struct tly_watch *watch; /* of the root; NULL: looked at at every tick */
    struct tly_map *map;     /* by the name of the folder */
    bool seen;               /* the root was read once, or is not there */
    bool full;               /* told that there are too many */
    char root[];
};

/* ---- containers ---- */

static int label(struct tly_container *container, const char *key, const char *value)
{
    return tly_container_label_add(container, tly_text_of(key), tly_text_of(value));
}

/* What the path tells, under the labels that Kubernetes itself gives the containers of an engine.
 */
static struct tly_container *describe(const struct pod *pod, const char *name)
{
    struct tly_container *container = tly_container_new(tly_text_of(pod->uid));
    if (!container) {
        return NULL;
    }
    int rc = tly_container_set(&container->name, tly_text_of(name));
    rc = rc < 0 ? rc : label(container, TLY_LOG_LABEL_NAMESPACE, pod->namespace);
    rc = rc < 0 ? rc : label(container, TLY_LOG_LABEL_POD, pod->name);
    rc = rc < 0 ? rc : label(container, TLY_LOG_LABEL_UID, pod->uid);
    rc = rc < 0 ? rc : label(container, TLY_LOG_LABEL_CONTAINER, name);
    if (rc < 0) {
        tly_container_unref(container);
        return NULL;
    }
    return container;
}

static void add_container(struct pod *pod, const char *name, bool old)
{
    char key[TLY_LOG_KEY_MAX];
    char dir[PATH_LEN_MAX];
    struct tly_logs *logs = pod->pods->logs;
    int key_len = snprintf(key, sizeof(key), "pod/%s/%s", pod->uid, name);
    int dir_len = snprintf(dir, sizeof(dir), "%s/%s", pod->dir, name);
    if (name[0] == '.' || key_len < 0 || (size_t)key_len >= sizeof(key) || dir_len < 0 ||
        (size_t)dir_len >= sizeof(dir) || tly_map_get(logs->sources, tly_text_of(key))) {
        return;
    }
    struct tly_container *container = describe(pod, name);
    if (!container) {
        tly_logs_error(logs, pod->uid, "cannot follow its log", -ENOMEM);
        return;
    }
    const struct tly_log_origin origin = {
        .id = pod->uid, .key = key, .dir = dir, .base = "0.log", .pod = container, .old = old};
    tly_logs_add(logs, &origin);
    tly_container_unref(container);
}

static void scan_pod(struct pod *pod)
{
    DIR *dir = opendir(pod->dir);
    if (!dir) {
        pod->ended = pod->ended || errno == ENOENT;
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) {
            add_container(pod, entry->d_name, !pod->pods->seen);
        }
    }
    closedir(dir);
}

static void pod_changed(void *arg, unsigned events, struct tly_text name)
{
    struct pod *pod = arg;
    if (events & TLY_WATCH_ENDED) {
        pod->ended = true; /* the next tick forgets it */
    } else if (events & (TLY_WATCH_CREATED | TLY_WATCH_LOST)) {
        scan_pod(pod);
    }
    (void)name; /* a pod has few containers */
}

/* ---- pods ---- */

/* NAMESPACE_POD_UID; none of the three has a '_' in it, nor is anything but a file name's. */
static bool read_pod_name(struct tly_text name, struct pod *pod)
{
    const char *first = name.len > 0 ? memchr(name.at, '_', name.len) : NULL;
    const char *last = name.len > 0 ? memrchr(name.at, '_', name.len) : NULL;
    if (!first || first == last) {
        return false;
    }
    const struct tly_text parts[] = {{name.at, (size_t)(first - name.at)},
                                     {first + 1, (size_t)(last - first - 1)},
                                     {last + 1, (size_t)(name.at + name.len - last - 1)}};
    char *const to[] = {pod->namespace, pod->name, pod->uid};
    const size_t caps[] = {sizeof(pod->namespace), sizeof(pod->name), sizeof(pod->uid)};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].len == 0 || parts[i].len >= caps[i]) {
            return false;
        }
        memcpy(to[i], parts[i].at, parts[i].len);
    }
    return true;
}

static void watch_pod(struct pod *pod)
{
    struct tly_logs *logs = pod->pods->logs;
    uint64_t held;
    if (pod->watch) {
        return;
    }
    int rc = tly_watch_new(logs->context->watcher, pod->dir, TLY_WATCH_CREATED, pod_changed, pod,
                           &pod->watch);
    pod->watch = rc < 0 ? NULL : pod->watch;
    int64_t now = tly_loop_now_ms(logs->context->loop);
    if (rc < 0 && rc != -ENOENT && tly_log_limit_pass(&logs->watch_limit, now, &held)) {
        tly_log_warn("logs", "cannot watch %s: %s; looking every second%s", pod->dir,
                     tly_error_name(rc), tly_watch_advice(rc));
    }
}

static void pod_free(void *value)
{
    struct pod *pod = value;
    tly_watch_free(pod->watch);
    free(pod);
}

static void add_pod(struct tly_pods *pods, struct tly_text name)
{
    if (tly_map_get(pods->map, name)) {
        return;
    }
    if (tly_map_count(pods->map) >= PODS_MAX) {
        if (!pods->full) {
            tly_log_warn("logs", "more than %d pods below %s: the logs of the others are not read",
                         PODS_MAX, pods->root);
        }
        pods->full = true;
        return;
    }
    size_t size = strlen(pods->root) + 1 + name.len + 1;
    struct pod *pod = calloc(1, sizeof(*pod) + size);
    if (!pod) {
        return; /* the next scan may find memory */
    }
    pod->pods = pods;
    (void)snprintf(pod->dir, size, "%s/%.*s", pods->root, (int)name.len, name.at);
    if (!read_pod_name(name, pod) || tly_map_put(pods->map, name, pod, NULL) < 0) {
        free(pod);
        return;
    }
    watch_pod(pod); /* before the scan, so that nothing comes between */
    scan_pod(pod);
}

/* ---- the root ---- */

static void scan(struct tly_pods *pods)
{
    DIR *dir = opendir(pods->root);
    if (!dir) {
        int rc = -errno;
        if (rc != -ENOENT) {
            tly_logs_error(pods->logs, "", pods->root, rc);
        }
        pods->seen = pods->seen || rc == -ENOENT;
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        add_pod(pods, tly_text_of(entry->d_name));
    }
    closedir(dir);
    pods->seen = true;
}

static void look(struct tly_pods *pods);

static void root_changed(void *arg, unsigned events, struct tly_text name)
{
    struct tly_pods *pods = arg;
    if (events & TLY_WATCH_ENDED) {
        tly_watch_free(pods->watch);
        pods->watch = NULL; /* the next tick looks whether there is another one */
    } else if (events & TLY_WATCH_LOST) {
        look(pods);
    } else if (events & TLY_WATCH_CREATED) {
        add_pod(pods, name);
    }
}

static void look(struct tly_pods *pods)
{
    if (!pods->watch) { /* before the scan, so that nothing comes between */
        int rc = tly_watch_new(pods->logs->context->watcher, pods->root, TLY_WATCH_CREATED,
                               root_changed, pods, &pods->watch);
        pods->watch = rc < 0 ? NULL : pods->watch;
    }
    scan(pods);
}

/* ---- life ---- */

int tly_pods_start(struct tly_logs *logs, const char *root)
{
    if (!root || root[0] == '\0') {
        return 0;
    }
    size_t size = strlen(root) + 1;
    struct tly_pods *pods = calloc(1, sizeof(*pods) + size);
    struct tly_map *map = tly_map_new();
    if (!pods || !map) {
        free(pods);
        tly_map_free(map, NULL);
        return -ENOMEM;
    }
    pods->logs = logs;
    pods->map = map;
    memcpy(pods->root, root, size);
    logs->pods = pods;
    look(pods);
    return 0;
}

void tly_pods_stop(struct tly_logs *logs)
{
    struct tly_pods *pods = logs->pods;
    if (pods) {
        tly_map_free(pods->map, pod_free);
        tly_watch_free(pods->watch);
        free(pods);
        logs->pods = NULL;
    }
}

void tly_pods_tick(struct tly_logs *logs)
{
    struct tly_pods *pods = logs->pods;
    struct tly_map_entry at;
    if (!pods) {
        return;
    }
    bool all = logs->ticks % SCAN_TICKS == 0;
    if (!pods->watch || all) {
        look(pods);
    }
    for (void *walk = NULL; tly_map_next(pods->map, &walk, &at);) {
        struct pod *pod = at.value;
        if (!pod->ended && (!pod->watch || all)) {
            watch_pod(pod);
            scan_pod(pod);
        }
        if (pod->ended) {
            (void)tly_map_remove(pods->map, at.key); /* is `pod` */
            pod_free(pod);
            pods->full = false;
        }
    }
}

static bool still_there(void *arg, struct tly_text key)
{
    const struct tly_logs *logs = arg;
    return tly_map_get(logs->sources, key) != NULL;
}

void tly_pods_prune(struct tly_logs *logs)
{
    /* An empty root may be the wrong one, or not mounted yet. */
    if (!logs->pods || tly_map_count(logs->pods->map) == 0) {
        return;
    }
    size_t gone = tly_delivery_prune(logs->context->delivery, TLY_TEXT("pod/"), still_there, logs);
    if (gone > 0) {
        tly_log_info("logs", "dropped %zu positions of pods' containers that are gone", gone);
    }
}
