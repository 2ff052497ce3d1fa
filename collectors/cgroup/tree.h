/*
 * The cgroups that are watched over, and one run through them: walk, read, make samples. A run
 * takes place on a worker; between runs the tree belongs to the loop's thread, which takes the
 * results.
 */
#ifndef TLY_COLLECTORS_CGROUP_TREE_H
#define TLY_COLLECTORS_CGROUP_TREE_H

#include "agent/base/error.h"
#include "agent/base/map.h"
#include "agent/model/container.h"
#include "agent/model/sample.h"
#include "collectors/cgroup/extras.h"
#include "collectors/cgroup/host.h"
#include "collectors/cgroup/process.h"
#include "collectors/cgroup/reader.h"
#include "collectors/cgroup/walk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where things are; strings are borrowed for the life of the tree. */
struct tly_cgroup_config {
    const char *root; /* of the cgroup tree; NULL: where cgroup2 is mounted */
    const char *proc, *sys;
    bool all; /* plain cgroups are shown too */
    struct tly_group_choice groups;
    size_t descriptors_max;
};

/* One cgroup. */
struct tly_cgroup_node {
    char *path; /* below the root, with a leading slash; owned */
    char id[TLY_CONTAINER_ID_MAX + 1];
    bool container;
    bool shown; /* has a row in the inventory */
    bool due;   /* to be read in the next run even if that reads nothing else */

    /* The worker's. */
    struct tly_cgroup_files files;
    struct tly_cgroup_limits limits;
    int64_t limits_ns; /* monotonic, when they were read; INT64_MIN: they are due */
    bool was_populated;
    unsigned process_tries; /* left */
    struct tly_cgroup_process process;
    uint64_t seen; /* the walk that saw it last */

    /* What the last run found out, for the loop to take. */
    bool renewed;                /* another directory than the one that is watched */
    struct tly_container *facts; /* what the cgroup tells of its container */
    bool fresh;                  /* read in the last run */
    struct tly_sample_set *set;  /* moved out by the loop; NULL with `fresh`: it is gone */

    /* The loop's. */
    struct tly_watch *watch;
    void *owner;
    bool touched, limits_touched;
    struct tly_cgroup_node *next_touched;
};

struct tly_cgroup_tree {
    struct tly_cgroup_config config;
    char *root; /* where the tree lies, once it was found; owned */
    int root_fd;
    bool nested; /* the root is no real root: the agent sees its own cgroup namespace only */
    struct tly_map *nodes;         /* path to node */
    struct tly_cgroup_node **gone; /* left the tree in the last run; the loop frees them */
    size_t gone_count, gone_cap;
    struct tly_cgroup_walk walk;
    uint64_t walks;
    struct tly_cgroup_reader reader;
    struct tly_cgroup_extras_reader extras;
    struct tly_cgroup_host host;
    struct tly_cgroup_files root_files;
    struct tly_devices *devices;
    struct tly_samples samples;
    struct tly_buf buf;
    struct tly_sample_set *host_set; /* of the last run that read all; moved out by the loop */
    int64_t names_ns;                /* when the devices' names were looked up anew */
    int64_t run_ns;                  /* monotonic start of the last run */
    int64_t duration_ns;             /* of the last run */
    uint64_t skipped;                /* directories at a bound, in all */
    uint64_t errors;                 /* in all */
    bool lost;                       /* a cgroup went between walk and reading: walk again */
    int failure;                     /* why the last run could not walk; 0 */
};

int tly_cgroup_tree_new(const struct tly_cgroup_config *config,
                        struct tly_cgroup_tree **ret_tree) TLY_CHECK;
void tly_cgroup_tree_free(struct tly_cgroup_tree *tree); /* and all nodes; NULL is fine */

/* One run. Walks if told to; reads every node or only those that are new or due. */
void tly_cgroup_tree_run(struct tly_cgroup_tree *tree, bool walk, bool read_all);

/* For the loop, between runs: frees a node of `gone`. */
void tly_cgroup_node_free(struct tly_cgroup_tree *tree, struct tly_cgroup_node *node);

#endif
