/*
 * What procfs and the cgroup show of a container's processes, and of the file system that they see.
 * Everything is read through a descriptor of the first process's folder, which stays that process's
 * own: when it has ended, reads fail, whoever has its number by then. May run on a worker; reads
 * only. Needs what proc(5) asks for (root, or CAP_SYS_PTRACE); without, the facts say why.
 */
#ifndef TLY_POSTURE_PROCESS_H
#define TLY_POSTURE_PROCESS_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "collectors/posture/facts.h"

#include <stdint.h>

struct tly_host_paths {
    const char *proc;   /* "/proc" */
    const char *cgroup; /* where cgroup2 is mounted, or NULL */
};

/*
 * Opens <proc>/<pid> after its cgroup has told that it belongs to the container. -ESRCH: it does
 * not, or is gone; else -errno. `why` is a sentence for a person.
 */
int tly_process_open(const struct tly_host_paths *paths, int64_t pid, struct tly_text id,
                     int *ret_fd, char why[160]) TLY_CHECK;

/* Fills `facts` but for the listeners; with -1 and its like where something can't be read. Limits
 * and processes are those of the container's own cgroup, which `id` names, and of all below it: its
 * first process may have moved on (systemd, an engine in it). */
void tly_process_look(const struct tly_host_paths *paths, int process_fd, struct tly_text id,
                      struct tly_process_facts *facts);

/* How many sockets there are in the process's network, out of net/sockstat and net/sockstat6, which
 * cost next to nothing. -errno. */
struct tly_socket_counts {
    uint64_t tcp, tcp6, udp, udp6;
};
int tly_process_sockets(int process_fd, struct tly_socket_counts *ret_counts) TLY_CHECK;

/*
 * Listening sockets, those on loopback left out; of the tables net/{tcp,tcp6,udp,udp6} in which
 * there are any. For TCP the kernel walks through the tables of the whole host, milliseconds on a
 * large one, however few sockets there are.
 */
void tly_process_listeners(int process_fd, const struct tly_socket_counts *counts,
                           struct tly_process_facts *facts);

#endif
