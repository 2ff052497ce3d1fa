/*
 * The table of network namespaces. Which container owns a namespace is settled in each round in
 * which one came, went or was opened: of several in one namespace it is the one that joined no
 * other, then the one that was started first. The host's namespace is nobody's.
 */
#include "collectors/network/table.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/codec/cgroup_path.h"
#include "collectors/network/samples.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* A process that ended without a word of the engine is noticed after this long. */
#define CHECK_AGE_NS (60 * TLY_NS_PER_S)

int tly_network_table_new(const char *proc, const struct tly_group_choice *groups, size_t held_max,
                          struct tly_network_table **ret_table)
{
    struct tly_network_table *table = calloc(1, sizeof(*table));
    if (table == NULL) {
        return -ENOMEM;
    }
    table->proc_fd = -1;
    table->groups = *groups;
    table->host = TLY_NAMESPACE_CLOSED;
    tly_samples_init(&table->samples);
    table->nodes = tly_map_new();
    int rc = table->nodes == NULL ? -ENOMEM : tly_namespace_reader_init(&table->reader, held_max);
    if (rc == 0) {
        rc = tly_file_open(AT_FDCWD, proc, O_RDONLY | O_DIRECTORY, &table->proc_fd);
    }
    if (rc < 0) {
        tly_network_table_free(table);
        return rc;
    }
    *ret_table = table;
    return 0;
}

static void node_free(struct tly_network_table *table, struct tly_network_node *node)
{
    tly_namespace_close(&table->reader, &node->space);
    tly_sample_set_unref(node->set);
    free(node);
}

void tly_network_table_free(struct tly_network_table *table)
{
    if (table == NULL) {
        return;
    }
    struct tly_map_entry entry;
    for (void *at = NULL; table->nodes != NULL && tly_map_next(table->nodes, &at, &entry);) {
        node_free(table, entry.value);
    }
    tly_map_free(table->nodes, NULL);
    tly_namespace_close(&table->reader, &table->host);
    tly_namespace_reader_done(&table->reader);
    tly_peers_done(&table->peers);
    tly_samples_done(&table->samples);
    tly_sample_set_unref(table->host_set);
    tly_fd_close(&table->proc_fd);
    free(table->order);
    free(table);
}

/* ---- what runs ---- */

void tly_network_look_begin(struct tly_network_table *table)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(table->nodes, &at, &entry);) {
        ((struct tly_network_node *)entry.value)->seen = false;
    }
}

static bool has_process(const struct tly_container *container)
{
    return container->pid > 0 &&
           (container->state == TLY_STATE_RUNNING || container->state == TLY_STATE_PAUSED ||
            container->state == TLY_STATE_UNKNOWN);
}

static void description_take(struct tly_network_node *node, const struct tly_container *container)
{
    struct tly_text mode = tly_text_of(container->network_mode);
    node->described = container->network_mode != NULL;
    node->joins = tly_text_starts(mode, TLY_TEXT("container:"));
    node->takes_host = tly_text_equal(mode, TLY_TEXT("host"));
    node->started_ns = container->started_ns;
}

int tly_network_see(struct tly_network_table *table, const struct tly_container *container)
{
    struct tly_text id = tly_text_of(container->id);
    struct tly_network_node *node = tly_map_get(table->nodes, id);
    if (!has_process(container)) {
        return 0;
    }
    if (node != NULL) {
        if (node->pid != container->pid) { /* it was started again */
            tly_namespace_close(&table->reader, &node->space);
            node->pid = container->pid;
            node->failed = false;
            table->changed = true;
        }
        node->seen = true;
        description_take(node, container);
        return 0;
    }
    node = calloc(1, sizeof(*node));
    int rc = node == NULL ? -ENOMEM : tly_map_put(table->nodes, id, node, NULL);
    if (rc < 0) {
        free(node);
        return rc;
    }
    memcpy(node->id, container->id, sizeof(node->id));
    node->pid = container->pid;
    node->seen = true;
    node->space = TLY_NAMESPACE_CLOSED;
    description_take(node, container);
    table->changed = true;
    return 0;
}

void tly_network_look_end(struct tly_network_table *table,
                          void (*gone)(void *arg, struct tly_network_node *node), void *arg)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(table->nodes, &at, &entry);) {
        struct tly_network_node *node = entry.value;
        if (!node->seen) {
            (void)tly_map_remove(table->nodes, entry.key); /* is `node` */
            gone(arg, node);
            node_free(table, node);
            table->changed = true;
        }
    }
}

uint64_t tly_network_instance(const struct tly_network_node *node)
{
    return (uint64_t)node->pid << 32 ^ (uint64_t)node->space.inode;
}

/* ---- who owns what ---- */

/* The first process is one of a container where the agent has a pid namespace of its own. */
static bool host_contained(struct tly_network_table *table)
{
    struct tly_text text;
    if (tly_namespace_file(&table->reader, &table->host, "cgroup", &text) < 0) {
        return false;
    }
    while (text.at != NULL) {
        struct tly_text line = tly_text_cut(&text, '\n');
        while (line.at != NULL) {
            struct tly_text id;
            if (tly_cgroup_kind_of(tly_text_cut(&line, '/'), &id) == TLY_CGROUP_CONTAINER) {
                return true;
            }
        }
    }
    return false;
}

static void host_open(struct tly_network_table *table)
{
    if (table->host.process_fd < 0 &&
        tly_namespace_open(&table->reader, table->proc_fd, 1, (struct tly_text){NULL, 0},
                           &table->host) == 0) {
        table->host_is_container = host_contained(table);
    }
}

static void nodes_open(struct tly_network_table *table)
{
    int64_t now_ns = tly_clock_monotonic_ns();
    bool check = now_ns - table->checked_ns >= CHECK_AGE_NS;
    table->checked_ns = check ? now_ns : table->checked_ns;
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(table->nodes, &at, &entry);) {
        struct tly_network_node *node = entry.value;
        if (check && !tly_namespace_alive(&node->space)) {
            tly_namespace_close(&table->reader, &node->space);
        }
        if (node->space.process_fd >= 0) {
            continue;
        }
        int rc = tly_namespace_open(&table->reader, table->proc_fd, node->pid,
                                    tly_text_of(node->id), &node->space);
        table->errors += rc < 0 && !node->failed;
        table->changed |= rc == 0 || !node->failed;
        node->failed = rc < 0;
    }
}

static bool same_space(const struct tly_namespace *a, const struct tly_namespace *b)
{
    return a->known && b->known && a->inode == b->inode && a->device == b->device;
}

/* By namespace, then by the better right to it. */
static int right_compare(const void *left, const void *right)
{
    const struct tly_network_node *a = *(const struct tly_network_node *const *)left;
    const struct tly_network_node *b = *(const struct tly_network_node *const *)right;
    if (a->space.inode != b->space.inode) {
        return a->space.inode < b->space.inode ? -1 : 1;
    }
    if (a->takes_host != b->takes_host) {
        return a->takes_host ? -1 : 1;
    }
    if (a->joins != b->joins) {
        return a->joins ? 1 : -1;
    }
    if (a->started_ns != b->started_ns) {
        return a->started_ns < b->started_ns ? -1 : 1;
    }
    return strcmp(a->id, b->id);
}

/* Where the kernel does not tell namespaces apart, the container's description does. */
static enum tly_network_place place_described(const struct tly_network_node *node)
{
    if (node->takes_host) {
        return TLY_NETWORK_HOST;
    }
    if (node->joins) {
        return TLY_NETWORK_SHARED;
    }
    return node->described ? TLY_NETWORK_OWN : TLY_NETWORK_UNREADABLE;
}

static int order_make(struct tly_network_table *table, size_t *ret_count)
{
    size_t count = tly_map_count(table->nodes);
    if (count > table->order_cap) {
        struct tly_network_node **grown = realloc(table->order, count * sizeof(void *));
        if (grown == NULL) {
            return -ENOMEM;
        }
        table->order = grown;
        table->order_cap = count;
    }
    size_t known = 0;
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(table->nodes, &at, &entry);) {
        struct tly_network_node *node = entry.value;
        if (node->space.process_fd < 0) {
            node->place = TLY_NETWORK_UNREADABLE;
        } else if (!node->space.known || !table->host.known) {
            node->place = place_described(node);
        } else {
            table->order[known++] = node;
        }
    }
    *ret_count = known;
    return 0;
}

static void places_settle(struct tly_network_table *table)
{
    size_t count = 0;
    if (order_make(table, &count) < 0) {
        table->errors++;
        return; /* the next round tries again */
    }
    if (count > 0) {
        qsort(table->order, count, sizeof(void *), right_compare);
    }
    for (size_t i = 0; i < count; i++) {
        struct tly_network_node *node = table->order[i];
        const struct tly_network_node *last = i == 0 ? NULL : table->order[i - 1];
        if (last != NULL && same_space(&node->space, &last->space)) {
            node->place = last->place == TLY_NETWORK_HOST ? TLY_NETWORK_HOST : TLY_NETWORK_SHARED;
        } else if (node->takes_host || same_space(&node->space, &table->host)) {
            /* An engine may have another network than the first process. */
            node->place = TLY_NETWORK_HOST;
        } else {
            node->place = TLY_NETWORK_OWN;
        }
    }
    table->changed = false;
}

/* ---- reading ---- */

/* What the two tables of TCP have together. */
struct tcp_sums {
    int64_t pools, metadata;
    bool known; /* at least these, as each table could be read */
    bool whole; /* no remote end was left out for want of memory */
};

static void table_read(struct tly_network_table *table, const struct tly_network_writer *writer,
                       const struct tly_namespace *space, const char *name,
                       enum tly_network_protocol protocol, struct tcp_sums *tcp)
{
    struct tly_net_sockets sockets;
    struct tly_peers *peers = tcp != NULL && tcp->whole ? &table->peers : NULL;
    int rc = tly_namespace_sockets(&table->reader, space, name, peers, &sockets);
    if (rc == -ENOENT) {
        return; /* a kernel without IPv6 has no such file */
    }
    table->errors += rc < 0 || sockets.cut;
    if (rc == 0 && !sockets.cut) {
        tly_network_sockets_write(writer, protocol, &sockets);
    }
    if (tcp == NULL) {
        return;
    }
    tcp->known = tcp->known && rc == 0;
    if (rc == 0) {
        tcp->whole = tcp->whole && sockets.peers != NULL;
        tcp->pools += sockets.pools;
        tcp->metadata += sockets.metadata;
    }
}

static void sockets_read(struct tly_network_table *table, const struct tly_network_writer *writer,
                         const struct tly_namespace *space)
{
    static const struct {
        const char *name;
        enum tly_group_id group;
    } files[TLY_NETWORK_PROTOCOLS] = {
        [TLY_NETWORK_TCP] = {"net/tcp", TLY_G_tcp},
        [TLY_NETWORK_TCP6] = {"net/tcp6", TLY_G_tcp},
        [TLY_NETWORK_UDP] = {"net/udp", TLY_G_udp},
        [TLY_NETWORK_UDP6] = {"net/udp6", TLY_G_udp},
    };
    struct tcp_sums tcp = {.known = table->groups.on[TLY_G_tcp]};
    tcp.whole = tcp.known && tly_peers_clear(&table->peers) == 0;
    for (size_t i = 0; i < TLY_NETWORK_PROTOCOLS; i++) {
        if (table->groups.on[files[i].group]) {
            table_read(table, writer, space, files[i].name, (enum tly_network_protocol)i,
                       files[i].group == TLY_G_tcp ? &tcp : NULL);
        }
    }
    /* Of a table that is too long the first part is enough: what is missing can't make it less, and
     * a number that is gone would end an alert at the height of what it tells of. */
    if (tcp.known) {
        tly_network_suspicious_write(writer, tcp.pools, tcp.metadata);
    }
    if (tcp.known && tcp.whole) {
        tly_network_peers_write(writer, (int64_t)table->peers.count);
    }
}

static bool counters_read(struct tly_network_table *table, const struct tly_namespace *space,
                          const char *file, struct tly_text protocol,
                          struct tly_net_counters *ret_counters)
{
    struct tly_text text;
    if (tly_namespace_file(&table->reader, space, file, &text) < 0 ||
        !tly_net_counters_find(text, protocol, ret_counters)) {
        table->errors++;
        return false;
    }
    return true;
}

static void protocols_read(struct tly_network_table *table, const struct tly_network_writer *writer,
                           const struct tly_namespace *space)
{
    bool all = table->groups.on[TLY_G_advtcp];
    bool losses = table->groups.on[TLY_G_tcp_losses];
    struct tly_net_counters counters;
    if (!all && !losses) {
        return;
    }
    if (counters_read(table, space, "net/snmp", TLY_TEXT("Tcp:"), &counters)) {
        if (all) {
            tly_network_counters_write(writer, counters);
        }
        if (losses) {
            tly_network_counter_write(writer, TLY_F_container_network_tcp_retransmits_total,
                                      counters, TLY_TEXT("RetransSegs"));
        }
    }
    if (counters_read(table, space, "net/netstat", TLY_TEXT("TcpExt:"), &counters)) {
        if (all) {
            tly_network_counters_write(writer, counters);
        }
        if (losses) {
            tly_network_counter_write(writer, TLY_F_container_network_tcp_listen_drops_total,
                                      counters, TLY_TEXT("ListenDrops"));
            tly_network_counter_write(writer, TLY_F_container_network_tcp_listen_overflows_total,
                                      counters, TLY_TEXT("ListenOverflows"));
        }
    }
}

/* The samples of one namespace; NULL when its process is gone. */
static struct tly_sample_set *space_read(struct tly_network_table *table,
                                         struct tly_namespace *space, bool host)
{
    const struct tly_network_writer writer = {.samples = &table->samples, .host = host};
    if (table->groups.on[TLY_G_network]) {
        struct tly_text text;
        int rc = tly_namespace_devices(&table->reader, space, &text);
        if (rc < 0) {
            table->errors += rc != -ESRCH && rc != -ENOENT && rc != -EINVAL;
            return NULL; /* -EINVAL: the namespace is being taken down */
        }
        table->errors += tly_network_devices_write(&writer, text);
    }
    sockets_read(table, &writer, space);
    protocols_read(table, &writer, space);
    return tly_samples_take(&table->samples);
}

void tly_network_table_run(struct tly_network_table *table)
{
    int64_t start_ns = tly_clock_monotonic_ns();
    uint64_t refused = table->samples.refused;
    host_open(table);
    nodes_open(table);
    if (table->changed) {
        places_settle(table);
    }
    memset(table->places, 0, sizeof(table->places));
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(table->nodes, &at, &entry);) {
        struct tly_network_node *node = entry.value;
        table->places[node->place]++;
        tly_sample_set_unref(node->set);
        node->set = node->place == TLY_NETWORK_OWN ? space_read(table, &node->space, false) : NULL;
    }
    tly_sample_set_unref(table->host_set);
    table->host_set = table->host.process_fd < 0 || table->host_is_container
                          ? NULL
                          : space_read(table, &table->host, true);
    table->errors += table->samples.refused - refused;
    table->duration_ns = tly_clock_monotonic_ns() - start_ns;
}
