/*
 * From the numbers of one cgroup to samples. Pure.
 */
#ifndef TLY_COLLECTORS_CGROUP_SAMPLES_H
#define TLY_COLLECTORS_CGROUP_SAMPLES_H

#include "agent/model/sample.h"
#include "collectors/cgroup/device.h"
#include "collectors/cgroup/numbers.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_cgroup_subject {
    /* The root cgroup: every sample has the dimension id="/", as there is no container's row. */
    bool root;
    int64_t seen_ms;                        /* realtime, of the reading */
    const struct tly_cgroup_limits *limits; /* all absent for the root */
    const struct tly_cgroup_extras *extras; /* NULL: none */
};

/* Adds what is there, in the order of families.def. */
void tly_cgroup_samples_write(struct tly_samples *samples, const struct tly_cgroup_subject *subject,
                              const struct tly_cgroup_numbers *numbers,
                              struct tly_devices *devices);

#endif
