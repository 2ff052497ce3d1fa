/*
 * A walk through the cgroup tree: which directories there are, and which of them are containers.
 * Bounded in depth and number, and never misled by links; runs on a worker.
 */
#ifndef TLY_COLLECTORS_CGROUP_WALK_H
#define TLY_COLLECTORS_CGROUP_WALK_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* systemd's user sessions under Kubernetes in Docker nest a dozen levels deep. */
#define TLY_CGROUP_DEPTH_MAX 24
/* Ten thousand containers and the services of their host several times over. */
#define TLY_CGROUP_DIRECTORIES_MAX 65536

/* One directory; its texts lie in the walk's buffer, which moves as it grows. */
struct tly_cgroup_place {
    uint32_t path_at, path_len;
    uint32_t id_at, id_len; /* of the container; no bytes for a plain cgroup */
    uint64_t inode;         /* tells a cgroup from a later one of the same name */
};

struct tly_cgroup_walk {
    struct tly_cgroup_place *at; /* parents before children */
    size_t count, cap;
    struct tly_buf text;
    size_t skipped; /* directories not looked into at a bound */
};

void tly_cgroup_walk_init(struct tly_cgroup_walk *walk);
void tly_cgroup_walk_done(struct tly_cgroup_walk *walk);

/*
 * Walks anew below `root_fd`, the root itself not included. Containers are found at any depth but
 * never inside another container: what an engine inside of a container starts is that container's
 * own use, and counting it twice would be wrong. Where `all` is false, units of systemd without
 * children are left out: nothing will ever appear below them. -errno when the root can't be read,
 * -ENOMEM; a directory that goes meanwhile is no error.
 */
int tly_cgroup_walk_run(struct tly_cgroup_walk *walk, int root_fd, bool all) TLY_CHECK;

/* Below the root, with a leading slash. Both are valid until the next run. */
static inline struct tly_text tly_cgroup_walk_path(const struct tly_cgroup_walk *walk, size_t index)
{
    const struct tly_cgroup_place *place = &walk->at[index];
    return (struct tly_text){walk->text.at + place->path_at, place->path_len};
}

static inline struct tly_text tly_cgroup_walk_id(const struct tly_cgroup_walk *walk, size_t index)
{
    const struct tly_cgroup_place *place = &walk->at[index];
    return (struct tly_text){walk->text.at + place->id_at, place->id_len};
}

#endif
