#!/bin/sh
# Gives a command a host of its own: private mounts, network, processes and a cgroup v2 tree whose
# root is a cgroup made for it, so that a Docker engine in there meets nobody else's containers.
# Everything in it ends when the command ends. Needs root.
#
# usage: tests/engine/enter.sh COMMAND…
set -eu

v2=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
if [ -z "$v2" ]; then
    # A host with cgroup v1 only has the v2 hierarchy all the same; it is just not mounted.
    v2=$(mktemp -d)
    mount -t cgroup2 none "$v2"
    trap 'umount "$v2" && rmdir "$v2"' EXIT
fi
own=$v2/tallyman-test-$$
mkdir "$own"

# The cgroups that an engine which was killed has left.
clear_away() {
    find "$own" -depth -type d -exec rmdir {} + 2>/dev/null || true
}
trap clear_away EXIT
trap 'exit 143' INT TERM

# A cgroup namespace's root is where its maker stands; after that the maker moves into a leaf, since
# a cgroup with processes cannot pass controllers on.
# shellcheck disable=SC2016 # both scripts expand their own variables
(
    sh -c 'echo "$PPID"' >"$own/cgroup.procs"
    exec unshare --cgroup sh -c '
        own=$1 inner=$2
        shift 2
        mkdir "$own/init"
        echo $$ >"$own/init/cgroup.procs"
        exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private \
            sh -c "$inner" sh "$@"
    ' sh "$own" '
        # The first process of the namespace stays a shell: it reaps what others leave behind.
        set -eu
        ip link set lo up
        for point in $(grep " /sys/fs/cgroup" /proc/mounts | cut -d" " -f2 | sort -r); do
            umount -l "$point"
        done
        mount -t cgroup2 none /sys/fs/cgroup
        for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
            echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || true
        done
        "$@"
        exit $?
    ' "$@"
)
