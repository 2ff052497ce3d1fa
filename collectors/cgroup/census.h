/*
 * The processes of all running containers, and one round of looking at them. A round takes place on
 * a worker and no longer than its budget of time: what it did not come to is looked at in the next
 * one. Between rounds the census belongs to the loop's thread, which says what runs and takes the
 * results.
 */
#ifndef TLY_COLLECTORS_CGROUP_CENSUS_H
#define TLY_COLLECTORS_CGROUP_CENSUS_H

#include "agent/base/error.h"
#include "agent/base/map.h"
#include "agent/model/container.h"
#include "agent/model/group.h"
#include "agent/model/sample.h"
#include "collectors/cgroup/strangers.h"
#include "collectors/cgroup/tasks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One running container. */
struct tly_census_node {
    char id[TLY_CONTAINER_ID_MAX + 1];
    char *path;         /* of its cgroup, with a leading slash; owned */
    bool seen;          /* in the present look at the inventory */
    int64_t started_ns; /* realtime, as the inventory has it; 0, -1: none */

    /* The worker's. */
    struct tly_task_books books;
    uint64_t inode;  /* of its cgroup; 0: not looked at yet */
    uint64_t turn;   /* in which it was looked at last */
    int64_t read_ns; /* monotonic, when; of its first sight before that */
    bool over;       /* takes longer than the whole budget */
    int32_t *pids;   /* its processes then; owned */
    size_t pid_count;
    uint64_t mount_ns; /* of its first process; 0: unknown */
    int64_t strangers; /* at the last walk for them; -1: unknown */

    /* What the last round found out, for the loop to take. */
    bool fresh;
    struct tly_sample_set *set; /* moved out by the loop; NULL with `fresh`: it is gone */
};

struct tly_census_config {
    const char *root; /* of the cgroup tree; NULL: where cgroup2 is mounted */
    const char *proc; /* borrowed, as is `root` */
    struct tly_group_choice groups;
    int64_t budget_ns; /* of one round, and of its look for strangers */
};

struct tly_census {
    struct tly_census_config config;
    int root_fd;
    struct tly_map *nodes; /* id to node */
    uint64_t turn;
    struct tly_tasks_reader reader;
    struct tly_strangers strangers;
    struct tly_samples samples;
    struct tly_buf buf;
    uint64_t errors;     /* in all */
    int failure;         /* why the last round could not begin; 0 */
    int64_t oldest_ns;   /* age of the oldest reading at the end of the last round */
    size_t over;         /* containers that take longer than the whole budget */
    int64_t duration_ns; /* of the last round */
};

int tly_census_new(const struct tly_census_config *config,
                   struct tly_census **ret_census) TLY_CHECK;
void tly_census_free(struct tly_census *census); /* NULL is fine */

/* A look at what runs: `begin`, then `see` for each container, then `end`, which calls `gone` for
 * each node that has stopped before it is freed. */
void tly_census_look_begin(struct tly_census *census);
int tly_census_see(struct tly_census *census, const struct tly_container *container) TLY_CHECK;
void tly_census_look_end(struct tly_census *census,
                         void (*gone)(void *arg, const struct tly_census_node *node), void *arg);

/* The round. */
void tly_census_run(struct tly_census *census);

#endif
