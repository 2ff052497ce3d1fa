/*
 * Different remote ends of connections, as tables of sockets tell them.
 */
#include "agent/codec/network.h"
#include "tests/unit/unit.h"

static struct tly_peers peers;

static int forget(void **state)
{
    (void)state;
    tly_peers_done(&peers);
    return 0;
}

static void take(const char *table)
{
    struct tly_net_sockets sockets;
    tly_net_sockets_init(&sockets, &peers);
    tly_net_sockets_feed(&sockets, tly_text_of(table));
    tly_net_sockets_end(&sockets);
    assert_ptr_equal(sockets.peers, &peers);
}

#define SELF6 "00000000000000000000000001000000"
#define HEAD  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n"

static void each_once(void **state)
{
    (void)state;
    static const struct {
        const char *tcp, *tcp6;
        size_t count;
    } rows[] = {
        {HEAD, "", 0},
        {HEAD "0: 00000000:1F90 00000000:0000 0A 0:0 0\n", "", 0}, /* listens */
        {HEAD "0: 0200000A:8000 0100000A:01BB 01 0:0 0\n", "", 1},
        /* Twice the same end, another port, another address; and one that is over. */
        {HEAD "0: 0200000A:8000 0100000A:01BB 01 0:0 0\n1: 0200000A:8001 0100000A:01BB 01 0:0 0\n"
              "2: 0200000A:8002 0100000A:01BC 01 0:0 0\n3: 0200000A:8003 0300000A:01BB 06 0:0 0\n",
         "", 3},
        /* Clients of its own port, of whatever port themselves. */
        {HEAD "0: 00000000:1F90 00000000:0000 0A 0:0 0\n1: 0200000A:1F90 0300000A:9001 01 0:0 0\n"
              "2: 0200000A:1F90 0300000A:9002 01 0:0 0\n3: 0200000A:1F91 0300000A:9002 01 0:0 0\n",
         "", 1},
        /* Itself. */
        {HEAD "0: 0100007F:8000 0100007F:01BB 01 0:0 0\n1: 0100007F:8000 0505057F:01BB 01 0:0 0\n",
         HEAD "0: " SELF6 ":8000 " SELF6 ":01BB 01 0:0 0\n"
              "1: " SELF6 ":8000 0000000000000000FFFF00000100007F:01BB 01 0:0 0\n",
         0},
        /* The same end over either file, and one of IPv6. */
        {HEAD "0: 0200000A:8000 0100000A:01BB 01 0:0 0\n",
         HEAD "0: 0000000000000000FFFF00000200000A:8002 0000000000000000FFFF00000100000A:01BB 01 "
              "0:0 0\n"
              "1: B80D0120000000000000000001000000:8002 B80D0120000000000000000002000000:01BB 02 "
              "0:0 0\n",
         2},
        {"0: nonsense\n1: 0200000A:8000 0100000A 01 0:0 0\n2: 0200000A 0100000A:01BB 01 0:0 0\n",
         "", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(tly_peers_clear(&peers), 0);
        take(rows[i].tcp);
        take(rows[i].tcp6);
        if (peers.count != rows[i].count) {
            fail_msg("row %zu: %zu, not %zu", i, peers.count, rows[i].count);
        }
    }
}

static void add(unsigned number, int64_t port)
{
    char address[16];
    (void)snprintf(address, sizeof(address), "%08X", number);
    assert_int_equal(tly_peers_add(&peers, 40000, tly_text_of(address), port), 0);
}

/* Whatever one namespace had is gone in the next, at any size; and there is an end to counting. */
static void many(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        const unsigned wanted = round == 1 ? 10 : 5000;
        assert_int_equal(tly_peers_clear(&peers), 0);
        for (unsigned i = 0; i < wanted; i++) {
            add(i << 8, 443);
            add(i << 8, 443);
            add(i << 8, 80);
        }
        assert_int_equal(peers.count, 2 * wanted);
    }
    assert_int_equal(tly_peers_clear(&peers), 0);
    for (unsigned i = 0; i < TLY_PEERS_MAX + 100; i++) {
        add(i << 8, 443);
    }
    assert_int_equal(peers.count, TLY_PEERS_MAX);
    assert_true(peers.cap <= (size_t)4 * TLY_PEERS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_once, forget),
        cmocka_unit_test_teardown(many, forget),
    };
    return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
