/*
 * Processes that are in a container without belonging to it: they share its mount namespace, but
 * are in none of its cgroups, as what nsenter(1) starts. One walk through the list of all
 * processes, in which those that are known to be in a cgroup of a container are passed over. Used
 * on one worker at a time.
 */
#ifndef TLY_COLLECTORS_CGROUP_STRANGERS_H
#define TLY_COLLECTORS_CGROUP_STRANGERS_H

#include "agent/base/buf.h"
#include "agent/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A container, by what its processes have in common. */
struct tly_home {
    uint64_t mount_ns; /* inode of its first process's mount namespace */
    const char *id;    /* borrowed, as is `path`, until the walk is over */
    const char *path;  /* of its cgroup, with a leading slash */
    int64_t *strangers;
};

struct tly_strangers {
    struct tly_buf text;
    struct tly_home *homes; /* sorted by namespace during the walk; owned */
    size_t home_count, home_cap;
    int32_t *known; /* processes of containers' cgroups, sorted during the walk; owned */
    size_t known_count, known_cap;
};

void tly_strangers_init(struct tly_strangers *strangers);
void tly_strangers_done(struct tly_strangers *strangers);

/* The inode of the mount namespace of a process below `proc_fd`, where procfs is mounted; 0 when
 * there is no such process or it may not be looked into. */
uint64_t tly_mount_namespace(int proc_fd, int64_t pid);

/* Before a walk: `clear`, then `home` for each container, and `knows` for the processes that its
 * cgroups had when they were last looked at. -ENOMEM. */
void tly_strangers_clear(struct tly_strangers *strangers);
int tly_strangers_home(struct tly_strangers *strangers, const struct tly_home *home) TLY_CHECK;
int tly_strangers_knows(struct tly_strangers *strangers, const int32_t *pids,
                        size_t count) TLY_CHECK;

/*
 * The walk: writes how many strangers each home has; -1 for all of them with an error,
 * TLY_E_TIMEOUT at the deadline (monotonic). Homes in the mount namespace of the agent or of the
 * host's first process have no strangers to tell: -1.
 */
int tly_strangers_count(struct tly_strangers *strangers, int proc_fd,
                        int64_t deadline_ns) TLY_CHECK;

#endif
