/*
 * The root cgroup, as cAdvisor's container "/": what it has no file for comes from /proc.
 */
#ifndef TLY_COLLECTORS_CGROUP_HOST_H
#define TLY_COLLECTORS_CGROUP_HOST_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/model/sample.h"
#include "collectors/cgroup/device.h"
#include "collectors/cgroup/reader.h"

struct tly_cgroup_host {
    const char *proc; /* where it is mounted; borrowed */
    struct tly_buf buf;
};

void tly_cgroup_host_init(struct tly_cgroup_host *host, const char *proc);
void tly_cgroup_host_done(struct tly_cgroup_host *host);

/* Adds the samples of the root cgroup. -errno when that can't be read. */
int tly_cgroup_host_write(struct tly_cgroup_host *host, struct tly_cgroup_reader *reader,
                          struct tly_cgroup_files *root, struct tly_devices *devices,
                          struct tly_samples *samples) TLY_CHECK;

#endif
