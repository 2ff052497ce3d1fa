/*
 * What a container's mountinfo (proc_pid_mountinfo(5)) says of its security. Pure.
 */
#ifndef TLY_POSTURE_MOUNTS_H
#define TLY_POSTURE_MOUNTS_H

#include "agent/base/text.h"
#include "collectors/posture/facts.h"

/* Fills root_read_only, cgroups_writable, loose_mounts, loose_tmpfs and remote_mounts. Lines that
 * can't be read are left out. */
void tly_mounts_judge(struct tly_text mountinfo, struct tly_process_facts *facts);

#endif
