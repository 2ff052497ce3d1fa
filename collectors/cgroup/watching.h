/*
 * Notice of changes in the cgroup tree, by inotify(7): directories that come and go below plain
 * cgroups, and in a container's own directory the files that tell of its end, its freezing and its
 * limits. The kernel reports these (it marks cgroup.events as modified when the last process is
 * gone, a moment before the engine removes the directory). Where watches run out, the ticks remain.
 * Belongs to the loop's thread.
 */
#ifndef TLY_COLLECTORS_CGROUP_WATCHING_H
#define TLY_COLLECTORS_CGROUP_WATCHING_H

#include "agent/base/error.h"
#include "agent/loop/watch.h"
#include "collectors/cgroup/tree.h"

#include <stdbool.h>

struct tly_cgroup_watching; /* opaque */

/* `walk`: a directory came or went; else some nodes were touched. */
typedef void (*tly_cgroup_changed_fn)(void *arg, bool walk);

/* `watcher` may be NULL: then nothing is ever noticed. */
int tly_cgroup_watching_new(struct tly_watcher *watcher, tly_cgroup_changed_fn changed, void *arg,
                            struct tly_cgroup_watching **ret_watching) TLY_CHECK;
/* Before the tree is freed. NULL is fine. */
void tly_cgroup_watching_free(struct tly_cgroup_watching *watching);

/* After a walk: watches what is new, or made anew. True when a directory is watched from now on in
 * which others may have appeared since the walk. */
bool tly_cgroup_watching_sync(struct tly_cgroup_watching *watching, struct tly_cgroup_tree *tree);
/* Before a node is freed. */
void tly_cgroup_watching_drop(struct tly_cgroup_watching *watching, struct tly_cgroup_node *node);

/* Whether nodes were touched since the last `mark`. */
bool tly_cgroup_watching_touched(const struct tly_cgroup_watching *watching);
/* Before a run: makes the touched nodes due. */
void tly_cgroup_watching_mark(struct tly_cgroup_watching *watching);

#endif
