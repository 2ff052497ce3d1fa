/*
 * The files of /proc/<pid>/net, as kernels write them and as they never should.
 */
#include "agent/codec/network.h"
#include "tests/unit/unit.h"

#define HEAD                                                                                       \
    "Inter-|   Receive                                                |  Transmit\n"               \
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "     \
    "drop fifo colls carrier compressed\n"

static void interfaces(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        struct {
            const char *name;
            struct tly_net_way receive, transmit;
        } at[2];
    } rows[] = {
        {HEAD "    lo:     100       2    0    0    0     0          0         0      100       2"
              "    0    0    0     0       0          0\n"
              "  eth0: 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20\n",
         2,
         {{"lo", {100, 2, 0, 0}, {100, 2, 0, 0}}, {"eth0", {5, 6, 7, 8}, {13, 14, 15, 16}}}},
        /* No blank behind the colon, as with large numbers; no last newline. */
        {"eth0:5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
         1,
         {{"eth0", {5, 6, 7, 8}, {13, 14, 15, 16}}}},
        /* More columns than are known. */
        {"a:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18\n",
         1,
         {{"a", {1, 2, 3, 4}, {9, 10, 11, 12}}}},
        {"a:99999999999999999999 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
         1,
         {{"a", {INT64_MAX, 2, 3, 4}, {9, 10, 11, 12}}}},
        {"a:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n", 0, {{NULL, {0}, {0}}}},
        {"a:1 2 x 4 5 6 7 8 9 10 11 12 13 14 15 16\n", 0, {{NULL, {0}, {0}}}},
        {"a:-1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", 0, {{NULL, {0}, {0}}}},
        {":1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", 0, {{NULL, {0}, {0}}}},
        {HEAD, 0, {{NULL, {0}, {0}}}},
        {"\n\n", 0, {{NULL, {0}, {0}}}},
        {"", 0, {{NULL, {0}, {0}}}},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_text rest = tly_text_of(rows[i].text);
        struct tly_net_device device;
        for (size_t at = 0; at < rows[i].count; at++) {
            assert_true(tly_net_device_next(&rest, &device));
            expect_text(device.name, rows[i].at[at].name);
            assert_memory_equal(&device.receive, &rows[i].at[at].receive, sizeof(device.receive));
            assert_memory_equal(&device.transmit, &rows[i].at[at].transmit,
                                sizeof(device.transmit));
        }
        assert_false(tly_net_device_next(&rest, &device));
    }
}

static void counters(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool found;
        const char *said; /* name=value of each, with a blank behind it */
    } rows[] = {
        {"Ip: A B\nIp: 1 2\nTcp: MaxConn RetransSegs\nTcp: -1 7\nUdp: X\nUdp: 3\n", true,
         "MaxConn=-1 RetransSegs=7 "},
        {"Tcp: A B C\nTcp: 1 2\n", true, "A=1 B=2 "},
        {"Tcp: A\nTcp: 1 2\n", true, "A=1 "},
        {"Tcp: A B C\nTcp: 1 x 3\n", true, "A=1 C=3 "},
        {"Tcp:\nTcp:\n", true, ""},
        {"Tcp: A\nUdp: 1\n", false, ""},
        {"Tcp: A", false, ""},
        {"TcpExt: A\nTcpExt: 1\n", false, ""},
        {"", false, ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_net_counters found;
        assert_int_equal(tly_net_counters_find(tly_text_of(rows[i].text), TLY_TEXT("Tcp:"), &found),
                         rows[i].found);
        char said[128] = "";
        size_t len = 0;
        struct tly_text name;
        int64_t value = 0;
        while (rows[i].found && tly_net_counters_next(&found, &name, &value)) {
            len += (size_t)snprintf(said + len, sizeof(said) - len, "%.*s=%lld ", (int)name.len,
                                    name.at, (long long)value);
        }
        assert_string_equal(said, rows[i].said);
    }
}

static const char tcp[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
    "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
    "15 1 0000000000000000 100 0 0 10 0                     \n"
    "   1: 0100007F:0016 0100007F:8000 01 00000010:00000002 02:00000000 00000000     0        0 "
    "16 1 0000000000000000 20 4 30 10 -1\n"
    " 123: 0100007F:0016 0100007F:8001 0C 00000000:00000001 02:00000000 00000000     0        0 "
    "17 1 0000000000000000 20 4 30 10 -1\n"
    "   4: 0100007F:0016 0100007F:8001 FF 00000000:00000000 0\n"
    "   5: 0100007F:0016 0100007F:8001 0\n"
    "   x 0100007F:0016 0100007F:8001 01 00000000:00000000 0\n"
    "\n";

/* The same whatever the size of the pieces. */
static void sockets_in_pieces(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof(tcp); piece++) {
        struct tly_net_sockets sockets;
        tly_net_sockets_init(&sockets, NULL);
        for (size_t at = 0; at < sizeof(tcp) - 1; at += piece) {
            size_t left = sizeof(tcp) - 1 - at;
            tly_net_sockets_feed(&sockets,
                                 (struct tly_text){tcp + at, left < piece ? left : piece});
        }
        tly_net_sockets_end(&sockets);
        assert_int_equal(sockets.sockets, 5);
        assert_int_equal(sockets.states[1], 1);
        assert_int_equal(sockets.states[10], 1);
        assert_int_equal(sockets.states[12], 1);
        assert_int_equal(sockets.states[0], 1);
        assert_int_equal(sockets.transmit_queued, 16);
        assert_int_equal(sockets.receive_queued, 3);
    }
}

static void suspicious_peers(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int pools, metadata;
    } rows[] = {
        {"0: 0200000A:8000 0100000A:0D05 01 00000000:00000000", 1, 0}, /* 3333 */
        {"0: 0200000A:8000 0100000A:01BB 01 00000000:00000000", 0, 0},
        {"0: 0200000A:0D05 0100000A:8000 01 00000000:00000000", 0, 0}, /* its own port */
        {"0: 00000000:0D05 00000000:0000 0A 00000000:00000000", 0, 0}, /* listens */
        {"0: 0200000A:8000 FEA9FEA9:0050 02 00000000:00000000", 0, 1},
        {"0: 0200000A:8000 FDA9FEA9:0050 02 00000000:00000000", 0, 0},
        {"0: 00000000000000000000000001000000:8000 0000000000000000FFFF0000FEA9FEA9:0050 01 "
         "00000000:00000000",
         0, 1},
        {"0: 00000000000000000000000001000000:8000 C20E00FD000000000000000054020000:0050 01 "
         "00000000:00000000",
         0, 1},
        {"0: 00000000000000000000000001000000:8000 00000000000000000000000001000000:B284 01 "
         "00000000:00000000",
         1, 0}, /* 45700 */
        {"0: 0200000A:8000 FEA9FEA9 01 00000000:00000000", 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_net_sockets sockets;
        tly_net_sockets_init(&sockets, NULL);
        tly_net_sockets_feed(&sockets, tly_text_of(rows[i].line));
        tly_net_sockets_end(&sockets);
        assert_int_equal(sockets.sockets, 1);
        assert_int_equal(sockets.pools, rows[i].pools);
        assert_int_equal(sockets.metadata, rows[i].metadata);
    }
}

static void dropped_datagrams(void **state)
{
    (void)state;
    static const char udp[] =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
        "timeout "
        "inode ref pointer drops             \n"
        "   69: 00000000:0044 00000000:0000 07 00000001:00000FF0 00:00000000 00000000     0        "
        "0 1234 2 0000000000000000 12        \n"
        "   70: 00000000:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        "
        "0 1235 2 0000000000000000 30";
    struct tly_net_sockets sockets;
    tly_net_sockets_init(&sockets, NULL);
    tly_net_sockets_feed(&sockets, tly_text_of(udp));
    tly_net_sockets_end(&sockets);
    assert_int_equal(sockets.sockets, 2);
    assert_int_equal(sockets.dropped, 42);
    assert_int_equal(sockets.receive_queued, 0xff0);
    assert_int_equal(sockets.transmit_queued, 1);
}

/* A line that is longer than any is cut; the next one begins anew. */
static void a_line_without_end(void **state)
{
    (void)state;
    struct tly_net_sockets sockets;
    tly_net_sockets_init(&sockets, NULL);
    tly_net_sockets_feed(&sockets, TLY_TEXT("  0: A B 01 0:0 "));
    for (int i = 0; i < 1000; i++) {
        tly_net_sockets_feed(&sockets, TLY_TEXT("xxxxxxxxxx"));
    }
    tly_net_sockets_feed(&sockets, TLY_TEXT("\n  1: A B 0A 0:0 0\n"));
    tly_net_sockets_end(&sockets);
    assert_int_equal(sockets.sockets, 2);
    assert_int_equal(sockets.states[1], 1);
    assert_int_equal(sockets.states[10], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interfaces),        cmocka_unit_test(counters),
        cmocka_unit_test(sockets_in_pieces), cmocka_unit_test(suspicious_peers),
        cmocka_unit_test(dropped_datagrams), cmocka_unit_test(a_line_without_end),
    };
    return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
