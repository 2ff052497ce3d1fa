/*
 * Where the cgroup v2 tree lies.
 */
#ifndef TLY_COLLECTORS_CGROUP_ROOT_H
#define TLY_COLLECTORS_CGROUP_ROOT_H

#include "agent/base/buf.h"
#include "agent/base/error.h"

/* `configured`, or where it is mounted by mountinfo in `proc`. `ret_root` is owned by the caller.
 * Uses `buf`. -ENOENT when it is not mounted (yet); -errno. */
int tly_cgroup_root_find(const char *configured, const char *proc, struct tly_buf *buf,
                         char **ret_root) TLY_CHECK;

#endif
