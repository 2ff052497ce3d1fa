/*
 * Where cgroup2 is mounted, and which container a cgroup's directory belongs to. Pure.
 */
#ifndef TLY_CODEC_CGROUP_PATH_H
#define TLY_CODEC_CGROUP_PATH_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stddef.h>

enum tly_cgroup_kind {
    TLY_CGROUP_PLAIN,     /* a slice, a service, a pod: containers may lie below */
    TLY_CGROUP_CONTAINER, /* one container; what lies below is its own affair */
    TLY_CGROUP_HELPER,    /* of an engine for one container (conmon): not the container itself */
};

/*
 * The kind of a cgroup by the name of its directory, and the container's id (a view into `name`)
 * for TLY_CGROUP_CONTAINER. A container's directory ends in 64 hex digits, maybe with `.scope`
 * behind them and an engine's prefix before them:
 *
 *   docker-<id>.scope          Docker, systemd driver (rootless too, below user.slice)
 *   <id>                       Docker, cgroupfs driver; Kubernetes, cgroupfs driver
 *   libpod-<id>.scope          Podman, systemd; libpod-<id> with cgroupfs
 *   cri-containerd-<id>.scope  containerd under Kubernetes; also <slice>:cri-containerd:<id>
 *   crio-<id>.scope            CRI-O; crio-<id> with cgroupfs
 *   nerdctl-<id>.scope         and any other engine that names its scopes in this way
 */
enum tly_cgroup_kind tly_cgroup_kind_of(struct tly_text name, struct tly_text *ret_id);

/*
 * Finds the mount point of cgroup2 in the text of /proc/self/mountinfo (proc(5)): the first one
 * that shows the whole hierarchy, else the first. Writes the path with its octal escapes undone and
 * a NUL to `to`. -ENOENT; TLY_E_LIMIT when it is longer than `size`.
 */
int tly_cgroup_mount_find(struct tly_text mountinfo, char *to, size_t size) TLY_CHECK;

#endif
