/*
 * The census of processes. Containers take turns: each is looked at once before any is looked at
 * again, however many rounds that takes.
 */
#include "collectors/cgroup/census.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "collectors/cgroup/root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* mountinfo of a host with ten thousand overlay mounts. */
#define TEXT_MAX (16U << 20)

int tly_census_new(const struct tly_census_config *config, struct tly_census **ret_census)
{
    struct tly_census *census = calloc(1, sizeof(*census));
    if (census == NULL) {
        return -ENOMEM;
    }
    census->config = *config;
    census->root_fd = -1;
    census->turn = 1; /* nodes begin with 0 */
    census->reader.proc_fd = -1;
    tly_samples_init(&census->samples);
    tly_strangers_init(&census->strangers);
    tly_buf_init(&census->buf, TEXT_MAX);
    census->nodes = tly_map_new();
    int rc = census->nodes == NULL
                 ? -ENOMEM
                 : tly_tasks_reader_init(&census->reader, config->proc, &config->groups);
    if (rc < 0) {
        tly_census_free(census);
        return rc;
    }
    *ret_census = census;
    return 0;
}

static void node_free(struct tly_census_node *node)
{
    tly_task_books_done(&node->books);
    tly_sample_set_unref(node->set);
    free(node->path);
    free(node->pids);
    free(node);
}

void tly_census_free(struct tly_census *census)
{
    if (census == NULL) {
        return;
    }
    struct tly_map_entry entry;
    for (void *at = NULL; census->nodes != NULL && tly_map_next(census->nodes, &at, &entry);) {
        node_free(entry.value);
    }
    tly_map_free(census->nodes, NULL);
    tly_tasks_reader_done(&census->reader);
    tly_strangers_done(&census->strangers);
    tly_samples_done(&census->samples);
    tly_buf_done(&census->buf);
    tly_fd_close(&census->root_fd);
    free(census);
}

/* ---- what runs ---- */

void tly_census_look_begin(struct tly_census *census)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(census->nodes, &at, &entry);) {
        ((struct tly_census_node *)entry.value)->seen = false;
    }
}

static bool has_processes(const struct tly_container *container)
{
    return container->cgroup_path != NULL && container->cgroup_path[0] == '/' &&
           (container->state == TLY_STATE_RUNNING || container->state == TLY_STATE_PAUSED ||
            container->state == TLY_STATE_UNKNOWN);
}

int tly_census_see(struct tly_census *census, const struct tly_container *container)
{
    struct tly_text id = tly_text_of(container->id);
    if (!has_processes(container)) {
        return 0;
    }
    struct tly_census_node *node = tly_map_get(census->nodes, id);
    if (node != NULL && strcmp(node->path, container->cgroup_path) == 0) {
        node->seen = true;
        node->started_ns = container->started_ns;
        return 0;
    }
    char *path = tly_text_dup(tly_text_of(container->cgroup_path));
    if (path == NULL) {
        return -ENOMEM;
    }
    if (node == NULL) {
        node = calloc(1, sizeof(*node));
        int rc = node == NULL ? -ENOMEM : tly_map_put(census->nodes, id, node, NULL);
        if (rc < 0) {
            free(node);
            free(path);
            return rc;
        }
        memcpy(node->id, container->id, sizeof(node->id));
        node->read_ns = tly_clock_monotonic_ns();
        node->strangers = -1;
    }
    free(node->path);
    node->path = path;
    node->seen = true;
    node->started_ns = container->started_ns;
    return 0;
}

void tly_census_look_end(struct tly_census *census,
                         void (*gone)(void *arg, const struct tly_census_node *node), void *arg)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(census->nodes, &at, &entry);) {
        struct tly_census_node *node = entry.value;
        if (!node->seen) {
            (void)tly_map_remove(census->nodes, entry.key); /* is `node` */
            gone(arg, node);
            node_free(node);
        }
    }
}

/* ---- a round ---- */

/* cgroup2 may be mounted after the agent started. */
static int root_open(struct tly_census *census)
{
    TLY_AUTO_FREE char *root = NULL;
    if (census->root_fd >= 0) {
        return 0;
    }
    int rc = tly_cgroup_root_find(census->config.root, census->config.proc, &census->buf, &root);
    return rc < 0 ? rc : tly_file_open(AT_FDCWD, root, O_RDONLY | O_DIRECTORY, &census->root_fd);
}

static int node_open(const struct tly_census *census, struct tly_census_node *node, int *ret_fd)
{
    struct stat status = {0};
    TLY_AUTO_FD fd = -1;
    const char *below = node->path[1] == '\0' ? "." : node->path + 1;
    int rc = tly_file_open(census->root_fd, below, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd);
    if (rc == 0 && fstat(fd, &status) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        return rc;
    }
    if (node->inode != status.st_ino) { /* its next run */
        tly_task_books_done(&node->books);
        node->inode = status.st_ino;
        node->mount_ns = 0;
        node->strangers = -1;
    }
    node->books.told_ns = node->started_ns;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* ---- strangers ---- */

/* Keeps what the walk for strangers has to know of a container. */
static int node_keep(const struct tly_census *census, struct tly_census_node *node)
{
    const struct tly_tasks_reader *reader = &census->reader;
    int32_t *pids = reallocarray(node->pids, reader->pid_count + 1, sizeof(*pids));
    node->pid_count = 0;
    if (pids == NULL) {
        return -ENOMEM;
    }
    node->pids = pids;
    for (size_t i = 0; i < reader->pid_count; i++) {
        pids[i] = (int32_t)reader->pids[i];
    }
    node->pid_count = reader->pid_count;
    node->mount_ns = reader->first_pid > 0 ? tly_mount_namespace(reader->proc_fd, reader->first_pid)
                                           : 0;
    return 0;
}

static int strangers_prepare(struct tly_census *census)
{
    struct tly_map_entry entry;
    int rc = 0;
    tly_strangers_clear(&census->strangers);
    for (void *at = NULL; tly_map_next(census->nodes, &at, &entry);) {
        struct tly_census_node *node = entry.value;
        const struct tly_home home = {node->mount_ns, node->id, node->path, &node->strangers};
        node->strangers = -1; /* also of those behind a failure: no walk follows */
        rc = rc < 0 ? rc : tly_strangers_knows(&census->strangers, node->pids, node->pid_count);
        rc = rc < 0 || node->mount_ns == 0 ? rc : tly_strangers_home(&census->strangers, &home);
    }
    return rc;
}

/* Goes by what the rounds before have found; its numbers come with those of this one. */
static void strangers_look(struct tly_census *census)
{
    int rc = strangers_prepare(census);
    rc = rc < 0 ? rc
                : tly_strangers_count(&census->strangers, census->reader.proc_fd,
                                      tly_clock_monotonic_ns() + census->config.budget_ns);
    census->errors += rc < 0 && rc != TLY_E_TIMEOUT; /* then the numbers are not there */
}

static void strangers_write(struct tly_census *census, const struct tly_census_node *node)
{
    if (node->strangers >= 0) {
        tly_samples_add(&census->samples, TLY_F_container_foreign_processes, TLY_DIM_NONE,
                        node->strangers);
    }
}

/* ---- containers in their turn ---- */

/* False when it was given up at the deadline, and would get further with a whole budget. */
static bool node_read(struct tly_census *census, struct tly_census_node *node, bool first)
{
    TLY_AUTO_FD fd = -1;
    int rc = node_open(census, node, &fd);
    rc = rc < 0 ? rc : tly_tasks_read(&census->reader, fd, &node->books);
    node->over = rc == TLY_E_TIMEOUT || rc == TLY_E_LIMIT;
    if (rc == TLY_E_TIMEOUT && !first) {
        return false;
    }
    node->turn = census->turn;
    node->fresh = true;
    tly_sample_set_unref(node->set);
    node->set = NULL;
    if (rc < 0 && !node->over) {
        census->errors += rc != -ENOENT;
        return true;
    }
    if (census->reader.suspects) {
        census->errors += node_keep(census, node) < 0;
        strangers_write(census, node);
    }
    tly_tasks_write(&census->reader, &node->books, &census->samples);
    node->set = tly_samples_take(&census->samples);
    node->read_ns = tly_clock_monotonic_ns();
    census->errors += node->set == NULL;
    return true;
}

/* Looks at those whose turn it still is, until the deadline. True when none is left. */
static bool turn_go_on(struct tly_census *census)
{
    bool first = true;
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(census->nodes, &at, &entry);) {
        struct tly_census_node *node = entry.value;
        if (node->turn == census->turn) {
            continue;
        }
        if ((!first && tly_clock_monotonic_ns() >= census->reader.deadline_ns) ||
            !node_read(census, node, first)) {
            return false;
        }
        first = false;
    }
    return true;
}

static void ages_take(struct tly_census *census)
{
    int64_t now_ns = tly_clock_monotonic_ns();
    census->oldest_ns = 0;
    census->over = 0;
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(census->nodes, &at, &entry);) {
        const struct tly_census_node *node = entry.value;
        int64_t age_ns = now_ns - node->read_ns;
        census->oldest_ns = age_ns > census->oldest_ns ? age_ns : census->oldest_ns;
        census->over += node->over;
    }
}

void tly_census_run(struct tly_census *census)
{
    int64_t start_ns = tly_clock_monotonic_ns();
    uint64_t refused = census->samples.refused;
    if (census->reader.suspects) {
        strangers_look(census);
    }
    census->reader.deadline_ns = tly_clock_monotonic_ns() + census->config.budget_ns;
    census->failure = root_open(census);
    if (census->failure < 0) {
        census->errors++;
    } else if (turn_go_on(census)) {
        census->turn++;
    }
    ages_take(census);
    census->errors += census->samples.refused - refused;
    census->duration_ns = tly_clock_monotonic_ns() - start_ns;
}
