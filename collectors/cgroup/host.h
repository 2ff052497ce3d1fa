/*
 * What belongs to the host: the root cgroup as cAdvisor's container "/", and the machine itself.
 */
#ifndef TLY_COLLECTORS_CGROUP_HOST_H
#define TLY_COLLECTORS_CGROUP_HOST_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/model/sample.h"
#include "collectors/cgroup/device.h"
#include "collectors/cgroup/reader.h"

struct tly_cgroup_host {
    const char *proc, *sys; /* where they are mounted; borrowed */
    /* Labels of machine_*: cAdvisor's. Empty where the host doesn't tell. */
    char machine_id[64], system_uuid[64], boot_id[64];
    struct tly_buf buf;
};

/* `etc` is where machine-id lies. */
void tly_cgroup_host_init(struct tly_cgroup_host *host, const char *proc, const char *sys,
                          const char *etc);
void tly_cgroup_host_done(struct tly_cgroup_host *host);

/* Adds machine_* and, unless `root` is NULL, the samples of the root cgroup. -errno when that can't
 * be read; everything else is added all the same. */
int tly_cgroup_host_write(struct tly_cgroup_host *host, struct tly_cgroup_reader *reader,
                          struct tly_cgroup_files *root, struct tly_devices *devices,
                          struct tly_samples *samples) TLY_CHECK;

#endif
