/*
 * A server whose name comes to mean another address, with the resolver in the test's hands: libuv
 * calls the getaddrinfo below.
 */
#include "tests/unit/forward/house.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

static atomic_bool moved; /* workers ask */

struct entry {
    struct addrinfo info;
    struct sockaddr_in address;
};

int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                struct addrinfo **pai)
{
    (void)req;
    if (strcmp(name, "moving.test") != 0) {
        return EAI_NONAME;
    }
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry) {
        return EAI_MEMORY;
    }
    unsigned long port = service ? strtoul(service, NULL, 10) : 0;
    entry->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    entry->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (moved ? 1 : 0));
    entry->info = (struct addrinfo){.ai_family = AF_INET,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_addrlen = sizeof(entry->address),
                                    .ai_addr = (struct sockaddr *)&entry->address};
    *pai = &entry->info;
    return 0;
}

void freeaddrinfo(struct addrinfo *ai)
{
    free(ai);
}

/* The second peer has the first one's port at another address. */
static void test_moved(void **state)
{
    struct house *house = *state;
    struct peer *second = &house->second;
    uint16_t port = house->first.address.port;
    peer_done(second);
    (void)snprintf(second->address.host, sizeof(second->address.host), "127.0.0.2");
    second->address.port = port;
    peer_start(second, house->loop);
    house_add_server(house, &house->first, false);
    free(house->servers[0].host);
    house->servers[0].host = strdup("moving.test");
    assert_non_null(house->servers[0].host);
    moved = false;
    house_send(house);
    house_append(house, "t", "before");
    assert_true(turns_until(house->loop, house_is_empty, house));
    moved = true;
    peer_hang_up(&house->first); /* which would go on listening */
    house_append(house, "t", "behind");
    assert_true(turns_until(house->loop, house_is_empty, house));
    expect_text(tly_buf_text(&house->first.heard), "t:before ");
    expect_text(tly_buf_text(&second->heard), "t:behind ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_moved, house_set_up, house_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
