/*
 * Numbers of one cgroup that are read only where the operator asked for their groups: huge pages
 * and memory by NUMA node. Used on one worker at a time.
 */
#ifndef TLY_COLLECTORS_CGROUP_EXTRAS_H
#define TLY_COLLECTORS_CGROUP_EXTRAS_H

#include "agent/base/error.h"
#include "agent/model/group.h"
#include "collectors/cgroup/numbers.h"
#include "collectors/cgroup/reader.h"

#include <stdbool.h>
#include <stddef.h>

#define TLY_CGROUP_HUGE_SIZE_BYTES 16

struct tly_cgroup_extras_reader {
    bool numa;
    size_t size_count; /* 0 where huge pages are not asked for */
    char sizes[TLY_CGROUP_HUGE_SIZES_MAX][TLY_CGROUP_HUGE_SIZE_BYTES]; /* "2MB": as in the files */
    struct tly_cgroup_extras extras; /* of the cgroup that was read last */
};

/* `sys` is where sysfs is mounted: it knows the sizes of huge pages. */
void tly_cgroup_extras_init(struct tly_cgroup_extras_reader *extras,
                            const struct tly_group_choice *groups, const char *sys);

/* Fills extras->extras, nothing where no group is on. -ENODEV when the cgroup is gone; any other
 * code: what is absent could not be read. */
int tly_cgroup_extras_read(struct tly_cgroup_extras_reader *extras,
                           struct tly_cgroup_reader *reader,
                           const struct tly_cgroup_files *files) TLY_CHECK;

#endif
