/*
 * The section `posture` of the configuration.
 */
#ifndef TLY_POSTURE_SETTINGS_H
#define TLY_POSTURE_SETTINGS_H

#include "agent/config/option.h"

#include <stdbool.h>
#include <stdint.h>

/* An operator's word that a check may fail somewhere. Empty lists fit everything. */
struct tly_waiver_settings {
    struct tly_strings checks;             /* ids, as patterns */
    struct tly_strings containers, images; /* names, as patterns */
    char *reason;
    char *expires; /* "2026-12-31": the last day; NULL: never */
};

struct tly_posture_settings {
    bool enabled;
    bool records;
    int64_t sweep_ms;
    char *waiver_label; /* container label with ids of checks; "": labels waive nothing */
    struct tly_list waivers;
    struct tly_strings registries;   /* allowed, as patterns; empty: all */
    struct tly_strings docker_group; /* allowed members */
    struct tly_strings writable;     /* destinations of volumes that may be written to */
    struct tly_strings cgroup_parents;
    struct tly_strings setuid; /* paths of set-user-id files that are expected, as patterns */
    bool restart_always;       /* whether `always` and `unless-stopped` are fine */
    int64_t image_age_max_ms;
    int64_t inodes_max; /* of one image's file system that are looked at */
    int64_t walk_ms;    /* and how long that may take */
    bool forwards;      /* not an option: whether this agent forwards logs */
};

extern const struct tly_section tly_posture_section;

/* Nanoseconds (realtime) at which a waiver's last day ends in UTC. TLY_E_MALFORMED. */
int tly_waiver_end(const char *expires, int64_t *ret_end_ns) TLY_CHECK;

#endif
