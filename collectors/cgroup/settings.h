/*
 * The section of the configuration that both collectors of this room read.
 */
#ifndef TLY_COLLECTORS_CGROUP_SETTINGS_H
#define TLY_COLLECTORS_CGROUP_SETTINGS_H

#include "agent/config/option.h"

#include <stdint.h>

enum tly_cgroup_scope { TLY_CGROUP_SCOPE_CONTAINERS, TLY_CGROUP_SCOPE_ALL };

struct tly_cgroup_settings {
    char *root; /* NULL: where cgroup2 is mounted */
    int scope;  /* enum tly_cgroup_scope */
    int64_t descriptors_max;
};

extern const struct tly_section tly_cgroup_section;

#endif
