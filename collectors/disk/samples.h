/*
 * From what a round found to samples. Pure.
 */
#ifndef TLY_COLLECTORS_DISK_SAMPLES_H
#define TLY_COLLECTORS_DISK_SAMPLES_H

#include "agent/model/sample.h"
#include "collectors/disk/filesystems.h"
#include "collectors/disk/round.h"

/* A container's: nothing for what was not measured. In the order of families.def. */
void tly_disk_container_write(const struct tly_disk_job *job, struct tly_samples *samples);

/* The host's file systems, as cAdvisor's `id="/"`. In the order of families.def. */
void tly_disk_filesystems_write(const struct tly_disk_filesystems *filesystems,
                                struct tly_samples *samples);

/* One volume's. */
void tly_disk_volume_write(struct tly_text name, const struct tly_disk_result *result,
                           struct tly_samples *samples);

#endif
