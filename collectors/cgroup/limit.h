/*
 * The limits of one cgroup: what it may use by its own files, and of how many CPUs by those of the
 * cgroups above it too. Used on one worker at a time.
 */
#ifndef TLY_COLLECTORS_CGROUP_LIMIT_H
#define TLY_COLLECTORS_CGROUP_LIMIT_H

#include "agent/base/error.h"
#include "collectors/cgroup/numbers.h"
#include "collectors/cgroup/reader.h"

/* `sys` is where sysfs is mounted. What no file tells is TLY_CGROUP_ABSENT. -ENODEV when the cgroup
 * is gone; any other code: nobody knows its limits. */
int tly_cgroup_limits_read(struct tly_cgroup_reader *reader, const struct tly_cgroup_files *files,
                           const char *sys, struct tly_cgroup_limits *ret_limits) TLY_CHECK;

#endif
