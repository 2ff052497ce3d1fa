/*
 * Runs through the cgroup tree. Nothing here knows of the loop or the inventory: a run leaves its
 * results in the nodes.
 */
#include "collectors/cgroup/tree.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "collectors/cgroup/limit.h"
#include "collectors/cgroup/process.h"
#include "collectors/cgroup/root.h"
#include "collectors/cgroup/samples.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Limits change when somebody changes them, which is noticed where the directory is watched; this
 * is for the rest, and for files whose controller was switched on since. */
#define LIMITS_AGE_NS (60 * TLY_NS_PER_S)

/* A device's number may be given to another one, after a disk was unplugged. */
#define NAMES_AGE_NS (60 * TLY_NS_PER_S)

/* A new cgroup may still be empty; one whose processes can't be seen stays so. */
#define PROCESS_TRIES 5

/* mountinfo of a host with ten thousand overlay mounts; cgroup.procs of ten thousand processes. */
#define TEXT_MAX (16U << 20)

int tly_cgroup_tree_new(const struct tly_cgroup_config *config, struct tly_cgroup_tree **ret_tree)
{
    struct tly_cgroup_tree *tree = calloc(1, sizeof(*tree));
    if (tree == NULL) {
        return -ENOMEM;
    }
    tree->config = *config;
    tree->root_fd = -1;
    tree->names_ns = INT64_MIN;
    tly_buf_init(&tree->buf, TEXT_MAX);
    tly_samples_init(&tree->samples);
    tly_cgroup_walk_init(&tree->walk);
    tly_cgroup_host_init(&tree->host, config->proc);
    tly_cgroup_extras_init(&tree->extras, &tree->config.groups, config->sys);
    tly_cgroup_files_init(&tree->root_files, -1, ".", 0);
    tree->nodes = tly_map_new();
    if (tree->nodes == NULL || tly_devices_new(config->sys, &tree->devices) < 0 ||
        tly_cgroup_reader_init(&tree->reader, &tree->config.groups, config->descriptors_max) < 0) {
        tly_cgroup_tree_free(tree);
        return -ENOMEM;
    }
    *ret_tree = tree;
    return 0;
}

void tly_cgroup_node_free(struct tly_cgroup_tree *tree, struct tly_cgroup_node *node)
{
    tly_cgroup_files_close(&tree->reader, &node->files);
    tly_container_unref(node->facts);
    tly_sample_set_unref(node->set);
    free(node->path);
    free(node);
}

void tly_cgroup_tree_free(struct tly_cgroup_tree *tree)
{
    if (tree == NULL) {
        return;
    }
    if (tree->nodes != NULL) {
        struct tly_map_entry entry;
        for (void *at = NULL; tly_map_next(tree->nodes, &at, &entry);) {
            tly_cgroup_node_free(tree, entry.value);
        }
        tly_map_free(tree->nodes, NULL);
    }
    for (size_t i = 0; i < tree->gone_count; i++) {
        tly_cgroup_node_free(tree, tree->gone[i]);
    }
    free(tree->gone);
    tly_cgroup_files_close(&tree->reader, &tree->root_files);
    tly_fd_close(&tree->root_fd);
    tly_cgroup_walk_done(&tree->walk);
    tly_cgroup_reader_done(&tree->reader);
    tly_cgroup_host_done(&tree->host);
    tly_devices_free(tree->devices);
    tly_samples_done(&tree->samples);
    tly_sample_set_unref(tree->host_set);
    tly_buf_done(&tree->buf);
    free(tree->root);
    free(tree);
}

/* ---- the root ---- */

/* Opens the root if it is not open; cgroup2 may be mounted after the agent started. */
static int root_open(struct tly_cgroup_tree *tree)
{
    if (tree->root_fd >= 0) {
        return 0;
    }
    int rc = tree->root == NULL ? tly_cgroup_root_find(tree->config.root, tree->config.proc,
                                                       &tree->buf, &tree->root)
                                : 0;
    if (rc < 0) {
        return rc;
    }
    rc = tly_file_open(AT_FDCWD, tree->root, O_RDONLY | O_DIRECTORY, &tree->root_fd);
    struct stat status = {0};
    if (rc == 0 && fstat(tree->root_fd, &status) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        tly_fd_close(&tree->root_fd);
        free(tree->root);
        tree->root = NULL;
        return rc;
    }
    tly_cgroup_files_init(&tree->root_files, tree->root_fd, ".", status.st_ino);
    /* Every cgroup but the root of the whole hierarchy has this file. */
    tree->nested = faccessat(tree->root_fd, "cgroup.type", F_OK, 0) == 0;
    return 0;
}

/* ---- walking ---- */

/* The row's id of a plain cgroup: its path, or the path's end and a hash of all of it where that is
 * too long. A slash keeps it apart from a container's. */
static void plain_id_write(struct tly_text path, char to[TLY_CONTAINER_ID_MAX + 1])
{
    if (path.len <= TLY_CONTAINER_ID_MAX) {
        memcpy(to, path.at, path.len);
        to[path.len] = '\0';
        return;
    }
    uint64_t hash = 14695981039346656037U; /* FNV-1a */
    for (size_t i = 0; i < path.len; i++) {
        hash = (hash ^ (unsigned char)path.at[i]) * 1099511628211U;
    }
    const size_t tail = TLY_CONTAINER_ID_MAX - 17;
    (void)snprintf(to, TLY_CONTAINER_ID_MAX + 1, "/%016" PRIx64 "%.*s", hash, (int)tail,
                   path.at + path.len - tail);
}

/* A cgroup that is another one than before, though at the same path. */
static void node_renew(struct tly_cgroup_tree *tree, struct tly_cgroup_node *node, uint64_t inode)
{
    tly_cgroup_files_close(&tree->reader, &node->files);
    tly_cgroup_files_init(&node->files, tree->root_fd, node->path + 1, inode);
    memset(&node->limits, 0xff, sizeof(node->limits)); /* all absent */
    node->limits_ns = INT64_MIN;
    node->was_populated = false;
    node->process = (struct tly_cgroup_process){TLY_UNKNOWN, TLY_UNKNOWN};
    node->process_tries = node->container ? PROCESS_TRIES : 0;
    node->due = true;
    node->renewed = true;
}

static struct tly_cgroup_node *node_add(struct tly_cgroup_tree *tree, struct tly_text path,
                                        struct tly_text id, uint64_t inode)
{
    struct tly_cgroup_node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    node->path = tly_text_dup(path);
    if (node->path == NULL || tly_map_put(tree->nodes, path, node, NULL) < 0) {
        free(node->path);
        free(node);
        return NULL;
    }
    node->container = id.len > 0;
    node->shown = node->container || tree->config.all;
    if (node->container) {
        memcpy(node->id, id.at, id.len);
    } else {
        plain_id_write(path, node->id);
    }
    tly_cgroup_files_init(&node->files, tree->root_fd, node->path + 1, inode);
    node_renew(tree, node, inode);
    return node;
}

static int gone_add(struct tly_cgroup_tree *tree, struct tly_cgroup_node *node)
{
    if (tree->gone_count == tree->gone_cap) {
        size_t cap = tree->gone_cap == 0 ? 16 : tree->gone_cap * 2;
        struct tly_cgroup_node **grown = realloc(tree->gone,
                                                 cap * sizeof(struct tly_cgroup_node *));
        if (grown == NULL) {
            return -ENOMEM;
        }
        tree->gone = grown;
        tree->gone_cap = cap;
    }
    tree->gone[tree->gone_count++] = node;
    return 0;
}

/* Moves the nodes that the present walk did not see to `gone`. */
static void nodes_sweep(struct tly_cgroup_tree *tree)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(tree->nodes, &at, &entry);) {
        struct tly_cgroup_node *node = entry.value;
        /* Out of memory: it stays a node and is swept at the next walk. */
        if (node->seen != tree->walks && gone_add(tree, node) == 0) {
            (void)tly_map_remove(tree->nodes, entry.key); /* is `node` */
            tly_cgroup_files_close(&tree->reader, &node->files);
        }
    }
}

static int tree_walk(struct tly_cgroup_tree *tree)
{
    int rc = root_open(tree);
    if (rc == 0) {
        rc = tly_cgroup_walk_run(&tree->walk, tree->root_fd, tree->config.all);
    }
    if (rc < 0) {
        return rc;
    }
    tree->walks++;
    tree->skipped += tree->walk.skipped;
    for (size_t i = 0; i < tree->walk.count; i++) {
        struct tly_text path = tly_cgroup_walk_path(&tree->walk, i);
        uint64_t inode = tree->walk.at[i].inode;
        struct tly_cgroup_node *node = tly_map_get(tree->nodes, path);
        if (node == NULL) {
            node = node_add(tree, path, tly_cgroup_walk_id(&tree->walk, i), inode);
            if (node == NULL) {
                tree->errors++; /* it is tried again at the next walk */
                continue;
            }
        } else if (node->files.inode != inode) {
            node_renew(tree, node, inode);
        }
        node->seen = tree->walks;
    }
    nodes_sweep(tree);
    return 0;
}

/* ---- reading ---- */

static enum tly_container_state state_of(const struct tly_cgroup_node *node,
                                         const struct tly_cgroup_numbers *numbers)
{
    if (!node->container) {
        return TLY_STATE_UNKNOWN;
    }
    if (numbers->populated == 0) {
        return node->was_populated ? TLY_STATE_EXITED : TLY_STATE_CREATED;
    }
    return numbers->frozen == 1 ? TLY_STATE_PAUSED : TLY_STATE_RUNNING;
}

/* The container's fields have 0 where the kernel says "max". */
static int64_t limit_of(int64_t value)
{
    return value == TLY_CGROUP_MAX ? 0 : value;
}

static int facts_fill(const struct tly_cgroup_node *node, const struct tly_cgroup_numbers *numbers,
                      struct tly_container *facts)
{
    const struct tly_cgroup_limits *limits = &node->limits;
    facts->state = state_of(node, numbers);
    facts->pid = node->process.pid;
    facts->started_ns = node->process.started_ns;
    facts->memory_limit_bytes = limit_of(limits->memory_max);
    facts->memory_reservation_bytes = limit_of(limits->memory_low);
    facts->memory_swap_limit_bytes = limit_of(limits->swap_max);
    facts->cpu_quota_us = limit_of(limits->cpu_quota_us);
    facts->cpu_period_us = limits->cpu_period_us;
    facts->cpu_shares = limits->cpu_weight == TLY_CGROUP_ABSENT
                            ? TLY_UNKNOWN
                            : tly_cgroup_shares_from_weight(limits->cpu_weight);
    facts->pids_limit = limit_of(limits->pids_max);
    facts->usable_cpu_millionths = limits->effective_cores_u == TLY_CGROUP_ABSENT
                                       ? TLY_UNKNOWN
                                       : limits->effective_cores_u;
    return tly_container_set(&facts->cgroup_path, tly_text_of(node->path));
}

/* Keeps the object while it says the same: the inventory then has nothing to do. */
static void facts_update(struct tly_cgroup_tree *tree, struct tly_cgroup_node *node)
{
    struct tly_container *facts = tly_container_new(tly_text_of(node->id));
    if (facts == NULL || facts_fill(node, &tree->reader.numbers, facts) < 0) {
        tly_container_unref(facts);
        tree->errors++; /* the old facts stay */
        return;
    }
    if (node->facts != NULL && tly_container_equal(node->facts, facts)) {
        tly_container_unref(facts);
        return;
    }
    tly_container_unref(node->facts);
    node->facts = facts;
}

static void process_look(struct tly_cgroup_tree *tree, struct tly_cgroup_node *node)
{
    if (node->process_tries == 0 || tree->reader.numbers.populated == 0) {
        return;
    }
    node->process_tries--;
    TLY_AUTO_FD dir_fd = -1;
    if (tly_cgroup_files_open(&node->files, &dir_fd) == 0 &&
        tly_cgroup_process_find(dir_fd, tree->config.proc, &tree->buf, &node->process) == 0) {
        node->process_tries = 0;
    }
}

/* -ENODEV when the cgroup is gone. Whatever else fails is absent, and counted; limits stay as they
 * were, and are due. */
static int node_numbers_read(struct tly_cgroup_tree *tree, struct tly_cgroup_node *node)
{
    if (node->limits_ns == INT64_MIN || tree->run_ns - node->limits_ns >= LIMITS_AGE_NS) {
        tly_cgroup_files_retry(&node->files);
        int rc = tly_cgroup_limits_read(&tree->reader, &node->files, tree->config.sys,
                                        &node->limits);
        if (rc == -ENODEV) {
            return rc;
        }
        tree->reader.errors += rc < 0;
        node->limits_ns = rc < 0 ? INT64_MIN : tree->run_ns;
    }
    int rc = tly_cgroup_files_read(&tree->reader, &node->files);
    if (rc == 0) {
        rc = tly_cgroup_extras_read(&tree->extras, &tree->reader, &node->files);
    }
    if (rc == -ENODEV) {
        return rc;
    }
    tree->reader.errors += rc < 0;
    return 0;
}

static void node_read(struct tly_cgroup_tree *tree, struct tly_cgroup_node *node)
{
    node->due = false;
    node->fresh = true;
    tly_sample_set_unref(node->set);
    node->set = NULL;
    if (node_numbers_read(tree, node) < 0) {
        tly_cgroup_files_close(&tree->reader, &node->files);
        tree->lost = true;
        return;
    }
    const struct tly_cgroup_numbers *numbers = &tree->reader.numbers;
    node->was_populated |= numbers->populated == 1;
    process_look(tree, node);
    facts_update(tree, node);
    const struct tly_cgroup_subject subject = {.seen_ms = tly_clock_realtime_ns() / TLY_NS_PER_MS,
                                               .limits = &node->limits,
                                               .extras = &tree->extras.extras};
    tly_cgroup_samples_write(&tree->samples, &subject, numbers, tree->devices);
    node->set = tly_samples_take(&tree->samples);
    tree->errors += node->set == NULL;
}

static void host_read(struct tly_cgroup_tree *tree)
{
    if (tree->root_fd >= 0 && tly_cgroup_host_write(&tree->host, &tree->reader, &tree->root_files,
                                                    tree->devices, &tree->samples) < 0) {
        tree->errors++;
    }
    tly_samples_add(&tree->samples, TLY_F_container_scrape_error, TLY_DIM_NONE, tree->failure != 0);
    tly_sample_set_unref(tree->host_set);
    tree->host_set = tly_samples_take(&tree->samples);
}

void tly_cgroup_tree_run(struct tly_cgroup_tree *tree, bool walk, bool read_all)
{
    uint64_t errors = tree->reader.errors + tree->samples.refused;
    tree->run_ns = tly_clock_monotonic_ns();
    tree->lost = false;
    if (tree->names_ns == INT64_MIN || tree->run_ns - tree->names_ns >= NAMES_AGE_NS) {
        tly_devices_forget(tree->devices);
        tree->names_ns = tree->run_ns;
    }
    if (walk) {
        tree->failure = tree_walk(tree);
        tree->errors += tree->failure < 0;
    }
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(tree->nodes, &at, &entry);) {
        struct tly_cgroup_node *node = entry.value;
        node->fresh = false;
        if (node->shown && (read_all || node->due)) {
            node_read(tree, node);
        }
    }
    if (read_all) {
        host_read(tree);
    }
    tree->errors += tree->reader.errors + tree->samples.refused - errors;
    tree->duration_ns = tly_clock_monotonic_ns() - tree->run_ns;
}
