/*
 * The table of network namespaces on a procfs made of plain files: two names of one file stand for
 * one namespace, as two links of ns/net do.
 */
#include "collectors/network/table.h"
#include "tests/unit/unit.h"

#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 256

/* Ids of 64 digits, as engines give them. */
#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char proc[TEMP_DIR_MAX];
static struct tly_network_table *table;
static struct tly_group_choice groups;
static size_t gone;

static void file_write(const char *pid, const char *name, const char *text)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/%s/%s", proc, pid, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void folder_make(const char *pid, const char *name)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/%s/%s", proc, pid, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* A process of a container (or of none) with some bytes received, in a namespace of its own or in
 * that of `joined`. */
static void process_make(const char *pid, const char *id, const char *bytes, const char *joined)
{
    char text[PATH_BYTES];
    folder_make(pid, "");
    folder_make(pid, "net");
    folder_make(pid, "ns");
    (void)snprintf(text, sizeof(text), "0::/docker/%s\n", id);
    file_write(pid, "cgroup", id[0] == '\0' ? "0::/init.scope\n" : text);
    (void)snprintf(text, sizeof(text),
                   "head | head\nlo: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n"
                   "eth0: %s 1 2 3 0 0 0 0 4 5 6 7 0 0 0 0\n"
                   "veth1: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n",
                   bytes);
    file_write(pid, "net/dev", text);
    if (joined == NULL) {
        file_write(pid, "ns/net", "");
        return;
    }
    char other[PATH_BYTES];
    (void)snprintf(other, sizeof(other), "%s/%s/ns/net", proc, joined);
    (void)snprintf(text, sizeof(text), "%s/%s/ns/net", proc, pid);
    assert_int_equal(link(other, text), 0);
}

static int make_table(void **state)
{
    (void)state;
    temp_dir_make(proc);
    process_make("1", "", "1000", NULL);
    tly_group_choice_init(&groups);
    gone = 0;
    return tly_network_table_new(proc, &groups, 1, &table);
}

static int free_table(void **state)
{
    (void)state;
    tly_network_table_free(table);
    temp_dir_remove(proc);
    return 0;
}

static void see(const char *id, int64_t pid, const char *mode)
{
    struct tly_container *container = tly_container_new(tly_text_of(id));
    assert_non_null(container);
    container->pid = pid;
    container->started_ns = pid;
    container->state = TLY_STATE_RUNNING;
    if (mode != NULL) {
        assert_int_equal(tly_container_set(&container->network_mode, tly_text_of(mode)), 0);
    }
    assert_int_equal(tly_network_see(table, container), 0);
    tly_container_unref(container);
}

static void node_gone(void *arg, struct tly_network_node *node)
{
    (void)arg;
    (void)node;
    gone++;
}

static const struct tly_network_node *node_of(const char *id)
{
    return tly_map_get(table->nodes, tly_text_of(id));
}

/* The value with these labels in a set, or -1. */
static int64_t value_of(const struct tly_sample_set *set, enum tly_family_id family,
                        const char *labels)
{
    for (size_t i = 0; set != NULL && i < tly_sample_set_count(set); i++) {
        const struct tly_sample *sample = &tly_sample_set_at(set)[i];
        if (sample->family == family &&
            tly_text_equal(tly_sample_set_dim(set, sample->dim), tly_text_of(labels))) {
            return sample->raw;
        }
    }
    return -1;
}

static int64_t received(const char *id)
{
    const struct tly_network_node *node = node_of(id);
    return node == NULL ? -1
                        : value_of(node->set, TLY_F_container_network_receive_bytes_total,
                                   "interface=\"eth0\"");
}

static void a_network_of_its_own(void **state)
{
    (void)state;
    process_make("10", ID_A, "77", NULL);
    see(ID_A, 10, "bridge");
    tly_network_table_run(table);
    assert_int_equal(received(ID_A), 77);
    const struct tly_sample_set *set = node_of(ID_A)->set;
    static const struct {
        enum tly_family_id family;
        int64_t value;
    } rows[] = {
        {TLY_F_container_network_receive_packets_total, 1},
        {TLY_F_container_network_receive_errors_total, 2},
        {TLY_F_container_network_receive_packets_dropped_total, 3},
        {TLY_F_container_network_transmit_bytes_total, 4},
        {TLY_F_container_network_transmit_packets_total, 5},
        {TLY_F_container_network_transmit_errors_total, 6},
        {TLY_F_container_network_transmit_packets_dropped_total, 7},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(value_of(set, rows[i].family, "interface=\"eth0\""), rows[i].value);
    }
    assert_int_equal(tly_sample_set_count(set), ROWS(rows) + 1); /* neither lo nor veth1 */
    assert_int_equal(value_of(table->host_set, TLY_F_container_network_receive_bytes_total,
                              "id=\"/\",interface=\"eth0\""),
                     1000);
    assert_int_equal(table->errors, 0);
    /* Through the descriptor that is held now. */
    file_write("10", "net/dev", "eth0: 78 1 2 3 0 0 0 0 4 5 6 7 0 0 0 0\n");
    tly_network_table_run(table);
    assert_int_equal(received(ID_A), 78);
}

static void the_network_of_the_host(void **state)
{
    (void)state;
    process_make("10", ID_A, "1000", "1");
    see(ID_A, 10, "host");
    tly_network_table_run(table);
    assert_null(node_of(ID_A)->set);
    assert_int_equal(table->places[TLY_NETWORK_HOST], 1);
}

static void one_network_for_two(void **state)
{
    (void)state;
    process_make("10", ID_A, "77", NULL);
    process_make("11", ID_B, "77", "10");
    /* Whoever joined has no right, even where it runs for longer. */
    see(ID_A, 10, "container:" ID_B);
    see(ID_B, 11, "bridge");
    tly_network_table_run(table);
    assert_null(node_of(ID_A)->set);
    assert_int_equal(received(ID_B), 77);
    assert_int_equal(table->places[TLY_NETWORK_SHARED], 1);
    /* The owner stops: the other one has the numbers from now on. */
    tly_network_look_begin(table);
    see(ID_A, 10, "container:" ID_B);
    tly_network_look_end(table, node_gone, NULL);
    assert_int_equal(gone, 1);
    tly_network_table_run(table);
    assert_int_equal(received(ID_A), 77);
}

/* Without descriptions the one that was started first has the numbers. */
static void the_first_of_two(void **state)
{
    (void)state;
    process_make("10", ID_A, "77", NULL);
    process_make("11", ID_B, "77", "10");
    see(ID_B, 11, NULL);
    see(ID_A, 10, NULL);
    tly_network_table_run(table);
    assert_int_equal(received(ID_A), 77);
    assert_null(node_of(ID_B)->set);
}

static void namespaces_that_are_not_told(void **state)
{
    (void)state;
    process_make("10", ID_A, "77", NULL);
    process_make("11", ID_B, "78", NULL);
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/10/ns/net", proc);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/11/ns/net", proc);
    assert_int_equal(unlink(path), 0);
    static const struct {
        const char *mode;
        enum tly_network_place place;
    } rows[] = {{"bridge", TLY_NETWORK_OWN},
                {"host", TLY_NETWORK_HOST},
                {"container:" ID_B, TLY_NETWORK_SHARED},
                {NULL, TLY_NETWORK_UNREADABLE}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        tly_network_look_begin(table);
        tly_network_look_end(table, node_gone, NULL);
        see(ID_A, 10, rows[i].mode);
        tly_network_table_run(table);
        assert_int_equal(node_of(ID_A)->place, rows[i].place);
        assert_int_equal(received(ID_A), rows[i].place == TLY_NETWORK_OWN ? 77 : -1);
    }
}

/* A number that belongs to another process by now, or to none. */
static void a_process_that_is_another(void **state)
{
    (void)state;
    process_make("10", ID_B, "77", NULL);
    see(ID_A, 10, "bridge");
    see(ID_B, 12, "bridge");
    tly_network_table_run(table);
    tly_network_table_run(table);
    assert_int_equal(received(ID_A), -1);
    assert_int_equal(received(ID_B), -1);
    assert_int_equal(table->places[TLY_NETWORK_UNREADABLE], 2);
    assert_int_equal(table->errors, 2); /* each once */
    /* B is started again, as the process that it was taken for. */
    uint64_t before = tly_network_instance(node_of(ID_B));
    see(ID_B, 10, "bridge");
    tly_network_table_run(table);
    assert_int_equal(received(ID_B), 77);
    assert_true(tly_network_instance(node_of(ID_B)) != before);
}

static void a_stopped_one_is_let_go(void **state)
{
    (void)state;
    process_make("10", ID_A, "77", NULL);
    see(ID_A, 10, "bridge");
    tly_network_table_run(table);
    assert_int_equal(table->reader.held, 1);
    tly_network_look_begin(table);
    tly_network_look_end(table, node_gone, NULL);
    assert_int_equal(gone, 1);
    assert_int_equal(table->reader.held, 0);
    assert_null(node_of(ID_A));
    tly_network_table_run(table);
    assert_int_equal(table->places[TLY_NETWORK_OWN], 0);
}

/* The agent has a pid namespace of its own: its first process tells nothing of the host. */
static void no_host_in_sight(void **state)
{
    (void)state;
    file_write("1", "cgroup", "0::/system.slice/docker-" ID_A ".scope\n");
    tly_network_table_run(table);
    assert_null(table->host_set);
}

static void what_the_groups_add(void **state)
{
    (void)state;
    tly_network_table_free(table);
    groups.on[TLY_G_network] = false;
    groups.on[TLY_G_tcp] = true;
    groups.on[TLY_G_udp] = true;
    groups.on[TLY_G_advtcp] = true;
    groups.on[TLY_G_tcp_losses] = true;
    assert_int_equal(tly_network_table_new(proc, &groups, 1, &table), 0);
    process_make("10", ID_A, "77", NULL);
    file_write("10", "net/tcp",
               "  sl\n 0: A:50 B:0 0A 0:0 0\n 1: A:8000 B:50 01 0:0 0\n 2: A:50 B:9000 0C 0:0 0\n");
    file_write("10", "net/udp", "  sl\n 0: A B 07 00000001:00000002 00:00000000 0 0 0 1 2 3 4\n");
    file_write("10", "net/snmp", "Tcp: MaxConn RetransSegs\nTcp: -1 7\n");
    file_write("10", "net/netstat", "TcpExt: ListenOverflows ListenDrops\nTcpExt: 8 9\n");
    see(ID_A, 10, "bridge");
    tly_network_table_run(table);
    const struct tly_sample_set *set = node_of(ID_A)->set;
    static const struct {
        enum tly_family_id family;
        const char *labels;
        int64_t value;
    } rows[] = {
        {TLY_F_container_network_receive_bytes_total, "interface=\"eth0\"", -1},
        {TLY_F_container_network_tcp_usage_total, "tcp_state=\"listen\"", 1},
        {TLY_F_container_network_tcp_usage_total, "tcp_state=\"established\"", 1},
        {TLY_F_container_network_tcp_usage_total, "tcp_state=\"synrecv\"", 1},
        {TLY_F_container_network_tcp_usage_total, "tcp_state=\"timewait\"", 0},
        {TLY_F_container_network_tcp6_usage_total, "tcp_state=\"listen\"", -1}, /* no IPv6 */
        {TLY_F_container_remote_endpoints, "", 1},
        {TLY_F_container_network_udp_usage_total, "udp_state=\"listen\"", 1},
        {TLY_F_container_network_udp_usage_total, "udp_state=\"dropped\"", 4},
        {TLY_F_container_network_udp_usage_total, "udp_state=\"txqueued\"", 1},
        {TLY_F_container_network_udp_usage_total, "udp_state=\"rxqueued\"", 2},
        {TLY_F_container_network_advance_tcp_stats_total, "tcp_state=\"maxconn\"", -1},
        {TLY_F_container_network_advance_tcp_stats_total, "tcp_state=\"retranssegs\"", 7},
        {TLY_F_container_network_advance_tcp_stats_total, "tcp_state=\"listendrops\"", 9},
        {TLY_F_container_network_tcp_retransmits_total, "", 7},
        {TLY_F_container_network_tcp_listen_drops_total, "", 9},
        {TLY_F_container_network_tcp_listen_overflows_total, "", 8},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(value_of(set, rows[i].family, rows[i].labels), rows[i].value);
    }
}

/* A table of which only the sockets of TCP are read. */
static void only_tcp(void)
{
    tly_network_table_free(table);
    groups.on[TLY_G_network] = false;
    groups.on[TLY_G_tcp] = true;
    assert_int_equal(tly_network_table_new(proc, &groups, 1, &table), 0);
}

/* A scan makes more connections than the agent reads: what it came to is told. */
static void more_connections_than_are_read(void **state)
{
    (void)state;
    only_tcp();
    process_make("10", ID_A, "77", NULL);
    file_write("10", "net/tcp",
               "  sl\n 0: A:50 B:0 0A 0:0 0\n 1: A:8000 B:50 01 0:0 0\n"
               " 2: A:8001 0D0D0D0D:D05 01 0:0 0\n");
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/10/net/tcp", proc);
    assert_int_equal(truncate(path, 9L << 20), 0);
    file_write("10", "net/tcp6", "  sl\n 0: A:8002 C:50 01 0:0 0\n");
    see(ID_A, 10, "bridge");
    tly_network_table_run(table);
    const struct tly_sample_set *set = node_of(ID_A)->set;
    assert_int_equal(value_of(set, TLY_F_container_remote_endpoints, ""), 3);
    assert_int_equal(value_of(set, TLY_F_container_suspicious_connections, "kind=\"miner_port\""),
                     1);
    /* The sums over all are not known. */
    assert_int_equal(
        value_of(set, TLY_F_container_network_tcp_usage_total, "tcp_state=\"established\""), -1);
    assert_int_equal(
        value_of(set, TLY_F_container_network_tcp6_usage_total, "tcp_state=\"established\""), 1);
    assert_int_equal(table->errors, 1);
}

/* A table that can't be read is none without connections. */
static void connections_that_are_not_told(void **state)
{
    (void)state;
    only_tcp();
    process_make("10", ID_A, "77", NULL);
    folder_make("10", "net/tcp"); /* reading it is an error */
    see(ID_A, 10, "bridge");
    tly_network_table_run(table);
    const struct tly_sample_set *set = node_of(ID_A)->set;
    assert_int_equal(value_of(set, TLY_F_container_remote_endpoints, ""), -1);
    assert_int_equal(value_of(set, TLY_F_container_suspicious_connections, "kind=\"miner_port\""),
                     -1);
    assert_int_equal(table->errors, 1);
}

int main(void)
{
#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, make_table, free_table)
    const struct CMUnitTest tests[] = {
        WITH_TABLE(a_network_of_its_own),          WITH_TABLE(the_network_of_the_host),
        WITH_TABLE(one_network_for_two),           WITH_TABLE(the_first_of_two),
        WITH_TABLE(namespaces_that_are_not_told),  WITH_TABLE(a_process_that_is_another),
        WITH_TABLE(a_stopped_one_is_let_go),       WITH_TABLE(no_host_in_sight),
        WITH_TABLE(what_the_groups_add),           WITH_TABLE(more_connections_than_are_read),
        WITH_TABLE(connections_that_are_not_told),
    };
    return cmocka_run_group_tests_name("network table", tests, NULL, NULL);
}
