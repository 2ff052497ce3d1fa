/*
 * The network namespaces of all running containers and of the host, and one round of reading them.
 * A round takes place on a worker; between rounds the table belongs to the loop's thread, which
 * says what runs and takes the results.
 */
#ifndef TLY_COLLECTORS_NETWORK_TABLE_H
#define TLY_COLLECTORS_NETWORK_TABLE_H

#include "agent/base/error.h"
#include "agent/base/map.h"
#include "agent/model/container.h"
#include "agent/model/group.h"
#include "agent/model/sample.h"
#include "collectors/network/namespace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tly_network_place {
    TLY_NETWORK_UNREADABLE, /* its process is not to be seen, or nothing says where it is */
    TLY_NETWORK_OWN,
    TLY_NETWORK_SHARED, /* in the network of another container, which has the numbers */
    TLY_NETWORK_HOST,
    TLY_NETWORK_PLACES
};

/* One running container. */
struct tly_network_node {
    char id[TLY_CONTAINER_ID_MAX + 1];
    int64_t pid, started_ns;
    bool joins;      /* by its description it lives in another container's network */
    bool takes_host; /* ... or in the host's */
    bool described;  /* it has a description */
    bool seen;       /* in the present look at the inventory */

    /* The worker's. */
    struct tly_namespace space;
    enum tly_network_place place;
    bool failed; /* the last try to open it; counted once */

    /* What the last round found out, for the loop to take. */
    struct tly_sample_set *set; /* moved out by the loop; NULL: no numbers */
    bool published;             /* the loop's: it has numbers in the inventory */
};

struct tly_network_table {
    int proc_fd;
    struct tly_group_choice groups;
    struct tly_map *nodes; /* id to node */
    struct tly_network_node **order;
    size_t order_cap;
    bool changed; /* a node came, went or was opened: who owns what is to be settled anew */
    struct tly_namespace host;
    bool
        host_is_container; /* the first process is one of a container: it tells nothing of a host */
    struct tly_namespace_reader reader;
    struct tly_peers peers; /* of the namespace under way */
    struct tly_samples samples;
    struct tly_sample_set *host_set; /* moved out by the loop */
    size_t places[TLY_NETWORK_PLACES];
    uint64_t errors;    /* in all */
    int64_t checked_ns; /* when the processes were last looked for */
    int64_t duration_ns;
};

/* `proc` is where procfs is mounted; `held_max` bounds the descriptors. */
int tly_network_table_new(const char *proc, const struct tly_group_choice *groups, size_t held_max,
                          struct tly_network_table **ret_table) TLY_CHECK;
void tly_network_table_free(struct tly_network_table *table); /* NULL is fine */

/* A look at what runs: `begin`, then `see` for each container, then `end`, which calls `gone` for
 * each node that has stopped, and closes it. */
void tly_network_look_begin(struct tly_network_table *table);
int tly_network_see(struct tly_network_table *table,
                    const struct tly_container *container) TLY_CHECK;
void tly_network_look_end(struct tly_network_table *table,
                          void (*gone)(void *arg, struct tly_network_node *node), void *arg);

/* The round. */
void tly_network_table_run(struct tly_network_table *table);

/* Tells one run of a container from the next. */
uint64_t tly_network_instance(const struct tly_network_node *node);

#endif
