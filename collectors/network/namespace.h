/*
 * One network namespace, read through a process that lives in it: the agent never enters it. Used
 * on one worker at a time.
 */
#ifndef TLY_COLLECTORS_NETWORK_NAMESPACE_H
#define TLY_COLLECTORS_NETWORK_NAMESPACE_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/network.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * `dev_fd` holds net/dev open: reading it again costs a fifth of opening it. While it is open the
 * namespace stays, so it has to be closed as soon as the container has stopped. `process_fd` is the
 * folder of the process, which a later process of the same number does not take over.
 */
struct tly_namespace {
    int process_fd, dev_fd; /* -1: not open */
    bool known;             /* the two below: the kernel tells them only to the privileged */
    dev_t device;
    ino_t inode;
};

struct tly_namespace_reader {
    char *buffer; /* owned, `cap` bytes */
    size_t cap;
    size_t held, held_max; /* descriptors of net/dev that are kept */
};

int tly_namespace_reader_init(struct tly_namespace_reader *reader, size_t held_max) TLY_CHECK;
void tly_namespace_reader_done(struct tly_namespace_reader *reader);

#define TLY_NAMESPACE_CLOSED                                                                       \
    (struct tly_namespace)                                                                         \
    {                                                                                              \
        .process_fd = -1, .dev_fd = -1                                                             \
    }

/*
 * Opens the namespace of the process `pid` below `proc_fd`. `id`, unless empty, is the container
 * that the process must belong to by its cgroup: numbers of processes are given out again, and are
 * others in another pid namespace. -ESRCH when it is gone or another one; -errno.
 */
int tly_namespace_open(struct tly_namespace_reader *reader, int proc_fd, int64_t pid,
                       struct tly_text id, struct tly_namespace *ret_space) TLY_CHECK;
void tly_namespace_close(struct tly_namespace_reader *reader, struct tly_namespace *space);

/* Whether the process still is. */
bool tly_namespace_alive(const struct tly_namespace *space);

/* The whole of net/dev, or of another file of the process, such as "net/snmp"; borrowed until the
 * next call. -errno; -E2BIG for one that is over a bound. */
int tly_namespace_devices(struct tly_namespace_reader *reader, struct tly_namespace *space,
                          struct tly_text *ret_text) TLY_CHECK;
int tly_namespace_file(struct tly_namespace_reader *reader, const struct tly_namespace *space,
                       const char *name, struct tly_text *ret_text) TLY_CHECK;

/* The sums over a table of sockets: "net/tcp", whose ends go to `peers` unless that is NULL. One of
 * more than some ten thousand is `cut`. -errno. */
int tly_namespace_sockets(struct tly_namespace_reader *reader, const struct tly_namespace *space,
                          const char *name, struct tly_peers *peers,
                          struct tly_net_sockets *ret_sockets) TLY_CHECK;

#endif
