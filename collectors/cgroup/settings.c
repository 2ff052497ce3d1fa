/*
 * The options of the cgroup tree.
 */
#include "collectors/cgroup/settings.h"

#include <stddef.h>

static const char *const scope_names[] = {
    [TLY_CGROUP_SCOPE_CONTAINERS] = "containers", [TLY_CGROUP_SCOPE_ALL] = "all", NULL};

static const struct tly_option rows[] = {
    {.key = "root",
     .type = TLY_OPTION_PATH,
     .offset = offsetof(struct tly_cgroup_settings, root),
     .help = "The cgroup v2 tree. Default: where cgroup2 is mounted, by /proc/self/mountinfo."},
    {.key = "scope",
     .type = TLY_OPTION_ENUM,
     .offset = offsetof(struct tly_cgroup_settings, scope),
     .fallback = "containers",
     .choices = scope_names,
     .help = "Which cgroups are shown: those of containers, or all of them, services of the host "
             "too. What runs inside of a container is always part of that container alone."},
    {.key = "descriptors_max",
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_cgroup_settings, descriptors_max),
     .fallback = "16384",
     .max = 1 << 24,
     .help = "Most descriptors of cgroup files that are held open, 16 for each container. Each "
             "saves 5 µs of CPU time per reading and costs 5 KiB of kernel memory. Never more "
             "than half of the process's own limit."},
    {.key = NULL},
};

const struct tly_section tly_cgroup_section = {
    .key = "cgroup",
    .type = TLY_OPTION_SECTION,
    .restart = true,
    .options = rows,
    .size = sizeof(struct tly_cgroup_settings),
    .help = "What the kernel counts for each container.",
};
