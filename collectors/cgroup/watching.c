/*
 * Watches on the directories of the cgroup tree. A node carries its own watch; the list of touched
 * nodes is kept here until the next run makes them due.
 */
#include "collectors/cgroup/watching.h"

#include "agent/loop/log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct tly_cgroup_watching {
    struct tly_watcher *watcher;
    tly_cgroup_changed_fn changed;
    void *arg;
    struct tly_watch *root;
    struct tly_cgroup_tree *tree; /* borrowed, once something is watched */
    struct tly_cgroup_node *touched;
    bool full_said;
};

int tly_cgroup_watching_new(struct tly_watcher *watcher, tly_cgroup_changed_fn changed, void *arg,
                            struct tly_cgroup_watching **ret_watching)
{
    struct tly_cgroup_watching *watching = calloc(1, sizeof(*watching));
    if (watching == NULL) {
        return -ENOMEM;
    }
    *watching = (struct tly_cgroup_watching){.watcher = watcher, .changed = changed, .arg = arg};
    *ret_watching = watching;
    return 0;
}

void tly_cgroup_watching_free(struct tly_cgroup_watching *watching)
{
    if (watching == NULL) {
        return;
    }
    if (watching->tree != NULL) {
        struct tly_map_entry entry;
        for (void *at = NULL; tly_map_next(watching->tree->nodes, &at, &entry);) {
            struct tly_cgroup_node *node = entry.value;
            tly_watch_free(node->watch);
            node->watch = NULL;
        }
        for (size_t i = 0; i < watching->tree->gone_count; i++) {
            tly_watch_free(watching->tree->gone[i]->watch);
            watching->tree->gone[i]->watch = NULL;
        }
    }
    tly_watch_free(watching->root);
    free(watching);
}

static void touch(struct tly_cgroup_node *node, bool limits)
{
    struct tly_cgroup_watching *watching = node->owner;
    node->limits_touched |= limits;
    if (!node->touched) {
        node->touched = true;
        node->next_touched = watching->touched;
        watching->touched = node;
    }
    watching->changed(watching->arg, false);
}

static void root_seen(void *arg, unsigned events, struct tly_text name)
{
    (void)name;
    struct tly_cgroup_watching *watching = arg;
    if ((events & TLY_WATCH_ENDED) != 0) {
        tly_watch_free(watching->root);
        watching->root = NULL;
    }
    watching->changed(watching->arg, true);
}

static void plain_seen(void *arg, unsigned events, struct tly_text name)
{
    (void)name;
    struct tly_cgroup_node *node = arg;
    struct tly_cgroup_watching *watching = node->owner;
    if ((events & TLY_WATCH_ENDED) != 0) {
        tly_watch_free(node->watch);
        node->watch = NULL;
    }
    watching->changed(watching->arg, true);
}

/* Files by which limits are set: cpu.max, memory.high, cpuset.cpus and their like. */
static bool limit_name(struct tly_text name)
{
    return tly_text_ends(name, TLY_TEXT(".max")) || tly_text_ends(name, TLY_TEXT(".high")) ||
           tly_text_ends(name, TLY_TEXT(".low")) || tly_text_ends(name, TLY_TEXT(".min")) ||
           tly_text_equal(name, TLY_TEXT("cpu.weight")) ||
           tly_text_equal(name, TLY_TEXT("cpuset.cpus")) ||
           tly_text_equal(name, TLY_TEXT("cpuset.mems"));
}

static void container_seen(void *arg, unsigned events, struct tly_text name)
{
    struct tly_cgroup_node *node = arg;
    if ((events & TLY_WATCH_ENDED) != 0) {
        plain_seen(arg, events, name);
    } else if ((events & TLY_WATCH_LOST) != 0 || limit_name(name)) {
        touch(node, true);
    } else if (tly_text_equal(name, TLY_TEXT("cgroup.events")) ||
               tly_text_equal(name, TLY_TEXT("cgroup.freeze"))) {
        touch(node, false);
    }
    /* memory.events is modified up to a hundred times a second by a container at its limit, and is
     * read at each tick anyway. */
}

static int watch(struct tly_cgroup_watching *watching, const char *path, unsigned events,
                 tly_watch_fn seen, void *arg, struct tly_watch **ret_watch)
{
    char full[PATH_MAX];
    int len = snprintf(full, sizeof(full), "%s%s", watching->tree->root, path);
    if (len >= (int)sizeof(full)) {
        return -ENAMETOOLONG;
    }
    int rc = tly_watch_new(watching->watcher, full, events, seen, arg, ret_watch);
    if ((rc == -ENOSPC || rc == -EMFILE) && !watching->full_said) {
        watching->full_said = true;
        tly_log_warn("cgroup", "cannot watch %s: %s; changes are seen at the next tick only%s",
                     full, tly_error_name(rc), tly_watch_advice(rc));
    }
    return rc;
}

/* Watches the nodes of one kind that are not watched yet; the number of new watches. */
static size_t nodes_watch(struct tly_cgroup_watching *watching, bool containers)
{
    size_t made = 0;
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(watching->tree->nodes, &at, &entry);) {
        struct tly_cgroup_node *node = entry.value;
        if (node->watch != NULL || node->container != containers) {
            continue;
        }
        node->owner = watching;
        int rc = containers ? watch(watching, node->path, TLY_WATCH_MODIFIED, container_seen, node,
                                    &node->watch)
                            : watch(watching, node->path, TLY_WATCH_CREATED | TLY_WATCH_GONE,
                                    plain_seen, node, &node->watch);
        if (rc == -ENOSPC || rc == -EMFILE) {
            break; /* so would be the rest */
        }
        made += rc == 0;
    }
    return made;
}

/* Of a directory of cgroup2 that is removed its own watch hears nothing. */
static void renewed_unwatch(struct tly_cgroup_tree *tree)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(tree->nodes, &at, &entry);) {
        struct tly_cgroup_node *node = entry.value;
        if (node->renewed) {
            node->renewed = false;
            tly_watch_free(node->watch);
            node->watch = NULL;
        }
    }
}

bool tly_cgroup_watching_sync(struct tly_cgroup_watching *watching, struct tly_cgroup_tree *tree)
{
    if (watching->watcher == NULL || tree->root == NULL) {
        return false;
    }
    watching->tree = tree;
    renewed_unwatch(tree);
    size_t made = 0;
    if (watching->root == NULL) {
        made += watch(watching, "", TLY_WATCH_CREATED | TLY_WATCH_GONE, root_seen, watching,
                      &watching->root) == 0;
    }
    made += nodes_watch(watching, false);
    (void)nodes_watch(watching, true); /* nothing appears below these that is looked for */
    return made > 0;
}

void tly_cgroup_watching_drop(struct tly_cgroup_watching *watching, struct tly_cgroup_node *node)
{
    tly_watch_free(node->watch);
    node->watch = NULL;
    if (!node->touched) {
        return;
    }
    struct tly_cgroup_node **at = &watching->touched;
    while (*at != node) {
        at = &(*at)->next_touched;
    }
    *at = node->next_touched;
    node->touched = false;
}

bool tly_cgroup_watching_touched(const struct tly_cgroup_watching *watching)
{
    return watching->touched != NULL;
}

void tly_cgroup_watching_mark(struct tly_cgroup_watching *watching)
{
    while (watching->touched != NULL) {
        struct tly_cgroup_node *node = watching->touched;
        watching->touched = node->next_touched;
        node->touched = false;
        node->due = true;
        if (node->limits_touched) {
            node->limits_touched = false;
            node->limits_ns = INT64_MIN;
        }
    }
}
