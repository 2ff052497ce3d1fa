/*
 * How a stream comes to stand, with the resolver in the test's hands: libuv calls the getaddrinfo
 * below, which knows names with several addresses and one that takes as long as the test wants.
 * 127.0.0.1 listens, 127.0.0.2 refuses, 127.0.0.3 does not answer.
 */
#include "ends.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static sem_t slow_name; /* posted when the slow lookups may end */

static const struct {
    const char *name;
    const char *addresses[18];
} names[] = {
    {"good.test", {"127.0.0.1"}},
    {"second.test", {"127.0.0.2", "127.0.0.1"}},
    {"third.test", {"127.0.0.2", "127.0.0.3", "127.0.0.1"}},
    {"dead.test", {"127.0.0.2", "127.0.0.2"}},
    {"slow.test", {"127.0.0.1"}},
    {"empty.test", {NULL}},
    {"many.test",
     {"127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.2",
      "127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.2",
      "127.0.0.2", "127.0.0.2", "127.0.0.1"}},
};

/* One allocation for each entry, as freeaddrinfo below takes them apart. */
static struct addrinfo *new_info(const char *address, const char *service)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in address;
    } *entry = calloc(1, sizeof(*entry));
    if (!entry) {
        return NULL;
    }
    entry->address.sin_family = AF_INET;
    entry->address.sin_port = htons((uint16_t)strtoul(service, NULL, 10));
    (void)inet_pton(AF_INET, address, &entry->address.sin_addr); /* the table's are good */
    entry->info.ai_family = AF_INET;
    entry->info.ai_socktype = SOCK_STREAM;
    entry->info.ai_addrlen = sizeof(entry->address);
    entry->info.ai_addr = (struct sockaddr *)&entry->address;
    return &entry->info;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                struct addrinfo **pai)
{
    (void)req;
    if (strcmp(name, "slow.test") == 0) {
        while (sem_wait(&slow_name) < 0) {
        }
    }
    for (size_t i = 0; i < ROWS(names); i++) {
        if (strcmp(names[i].name, name) == 0) {
            *pai = NULL;
            struct addrinfo **last = pai;
            for (const char *const *at = names[i].addresses; *at; at++) {
                *last = new_info(*at, service);
                if (*last) {
                    last = &(*last)->ai_next;
                }
            }
            return 0;
        }
    }
    return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *ai)
{
    while (ai) {
        struct addrinfo *next = ai->ai_next;
        free(ai);
        ai = next;
    }
}

/* ---- the three hosts ---- */

static struct tly_listener *listener;
static uint16_t port;
static struct end client;
static struct tly_stream *streams[8]; /* accepted */
static size_t stream_count;
static int hole = -1; /* listens with a full queue */
static int fillers[4] = {-1, -1, -1, -1};

static void accepted(void *arg, struct tly_stream *stream)
{
    (void)arg;
    assert_true(stream_count < ROWS(streams));
    streams[stream_count++] = stream;
    tly_loop_stop(loop);
}

static void dig_hole(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, "127.0.0.3", &address.sin_addr), 1);
    hole = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(hole >= 0);
    assert_int_equal(bind(hole, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(hole, 0), 0);
    for (size_t i = 0; i < ROWS(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fillers[i] >= 0);
        if (connect(fillers[i], (struct sockaddr *)&address, sizeof(address)) < 0) {
            assert_int_equal(errno, EINPROGRESS);
        }
    }
}

static int set_up(void **state)
{
    if (make_loop(state) < 0 || sem_init(&slow_name, 0, 0) < 0) {
        return -1;
    }
    struct tly_address any_port = address_of("127.0.0.1:0");
    struct tly_error err;
    if (tly_listener_new(loop, &any_port, accepted, NULL, &listener, &err) < 0) {
        fail_msg("%s", err.text);
    }
    port = tly_listener_port(listener);
    stream_count = 0;
    end_init(&client);
    return 0;
}

static int tear_down(void **state)
{
    end_done(&client);
    for (size_t i = 0; i < stream_count; i++) {
        tly_stream_free(streams[i]);
    }
    tly_listener_free(listener);
    tly_fd_close(&hole);
    for (size_t i = 0; i < ROWS(fillers); i++) {
        tly_fd_close(&fillers[i]);
    }
    int rc = free_loop(state); /* waits for lookups under way */
    (void)sem_destroy(&slow_name);
    return rc;
}

static struct tly_address host(const char *name)
{
    struct tly_address address = {.port = port};
    (void)snprintf(address.host, sizeof(address.host), "%s", name);
    return address;
}

static void connect_to(const char *name, int64_t timeout_ms)
{
    struct tly_address address = host(name);
    end_connect(&client, &address, timeout_ms);
}

/* ---- tests ---- */

static void connects_by_name_and_by_number(void **state)
{
    (void)state;
    static const char *const good[] = {"good.test", "127.0.0.1"};
    for (size_t i = 0; i < ROWS(good); i++) {
        end_done(&client);
        end_init(&client);
        connect_to(good[i], 5000);
        assert_int_equal(tly_stream_write(client.stream, TLY_TEXT("x"), TLY_TEXT("y"), NULL, NULL),
                         -ENOTCONN);
        while (!client.connected || stream_count <= i) {
            run();
        }
        run_briefly();
        assert_int_equal(client.connected, 1);
        assert_int_equal(client.ended, 0);
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "%s:%u", good[i], port);
        assert_string_equal(tly_stream_peer(client.stream), expected);
    }
}

static void tries_the_next_address(void **state)
{
    (void)state;
    connect_to("second.test", 5000);
    while (!client.connected) {
        run();
    }
    assert_int_equal(client.ended, 0);
    end_free(&client);
}

static void a_silent_address_gets_its_share_of_the_time(void **state)
{
    (void)state;
    dig_hole();
    int64_t before_ns = tly_clock_monotonic_ns();
    connect_to("third.test", 2000);
    while (!client.connected && !client.ended) {
        run();
    }
    /* The first refuses at once, which leaves half of the time to the second. */
    int64_t took_ms = (tly_clock_monotonic_ns() - before_ns) / TLY_NS_PER_MS;
    assert_int_equal(client.connected, 1);
    assert_in_range(took_ms, 950, 1950);
}

static void reports_a_refusal_once(void **state)
{
    (void)state;
    static const char *const dead[] = {"dead.test", "127.0.0.2"};
    for (size_t i = 0; i < ROWS(dead); i++) {
        end_done(&client);
        end_init(&client);
        connect_to(dead[i], 5000);
        run();
        run_briefly();
        assert_int_equal(client.connected, 0);
        assert_int_equal(client.ended, 1);
        assert_int_equal(client.code, -ECONNREFUSED);
        char expected[128];
        (void)snprintf(expected, sizeof(expected), "%s:%u: connecting failed: connection refused",
                       dead[i], port);
        assert_string_equal(client.text, expected);
        assert_int_equal(tly_stream_write(client.stream, TLY_TEXT("x"), TLY_TEXT("y"), NULL, NULL),
                         TLY_E_CLOSED);
    }
}

static void tries_a_bounded_number_of_addresses(void **state)
{
    (void)state;
    connect_to("many.test", 5000);
    run();
    assert_int_equal(client.ended, 1); /* the seventeenth would have answered */
    assert_int_equal(client.code, -ECONNREFUSED);
}

static void reports_a_name_without_address(void **state)
{
    (void)state;
    static const char *const bad[] = {"unknown.test", "empty.test"};
    for (size_t i = 0; i < ROWS(bad); i++) {
        end_done(&client);
        end_init(&client);
        connect_to(bad[i], 5000);
        run();
        assert_int_equal(client.ended, 1);
        assert_true(client.code < 0);
        assert_non_null(strstr(client.text, "name lookup failed: unknown node or service"));
    }
}

static void a_slow_lookup_times_out(void **state)
{
    (void)state;
    int64_t before_ns = tly_clock_monotonic_ns();
    connect_to("slow.test", 100);
    run();
    int64_t took_ms = (tly_clock_monotonic_ns() - before_ns) / TLY_NS_PER_MS;
    assert_in_range(took_ms, 90, 5000);
    assert_int_equal(client.code, TLY_E_TIMEOUT);
    assert_non_null(strstr(client.text, "name lookup failed: timed out"));
    end_free(&client);
    /* The answer comes when nobody is left to hear it. */
    assert_int_equal(sem_post(&slow_name), 0);
    run_briefly();
    assert_int_equal(client.ended, 1);
    assert_int_equal(client.connected, 0);
    assert_int_equal(stream_count, 0);
}

static void may_be_freed_during_a_lookup(void **state)
{
    (void)state;
    connect_to("slow.test", 5000);
    run_briefly();
    end_free(&client);
    run_briefly();
    assert_int_equal(sem_post(&slow_name), 0);
    run_briefly();
    assert_int_equal(client.ended + client.connected, 0);
}

static void a_number_does_not_wait_for_names(void **state)
{
    (void)state;
    /* More lookups than libuv has threads for them, each stuck. */
    static struct end stuck[16];
    for (size_t i = 0; i < ROWS(stuck); i++) {
        struct tly_address slow = host("slow.test");
        end_init(&stuck[i]);
        end_connect(&stuck[i], &slow, 60000);
    }
    connect_to("127.0.0.1", 5000);
    while (!client.connected) {
        run();
    }
    for (size_t i = 0; i < ROWS(stuck); i++) {
        end_done(&stuck[i]); /* those not begun yet are cancelled */
        assert_int_equal(sem_post(&slow_name), 0);
    }
    assert_int_equal(client.ended, 0);
}

static void a_silent_host_times_out(void **state)
{
    (void)state;
    dig_hole();
    connect_to("127.0.0.3", 100);
    run();
    run_briefly();
    assert_int_equal(client.ended, 1);
    assert_int_equal(client.code, TLY_E_TIMEOUT);
    assert_non_null(strstr(client.text, "connecting failed: timed out"));
}

static void may_be_freed_at_any_moment(void **state)
{
    (void)state;
    dig_hole();
    static const char *const hosts[] = {"127.0.0.3",   "127.0.0.2", "127.0.0.1",
                                        "second.test", "good.test", "unknown.test"};
    for (size_t i = 0; i < ROWS(hosts); i++) {
        connect_to(hosts[i], 5000);
        end_free(&client); /* before the loop ran */
    }
    int connected = 0;
    int ended = 0;
    for (size_t i = 0; i < ROWS(hosts); i++) {
        end_done(&client);
        end_init(&client);
        client.free_at_connected = true;
        client.free_at_ended = true;
        connect_to(hosts[i], 5000);
        run_briefly();
        while (i > 0 && !client.connected && !client.ended) {
            run();
        }
        end_free(&client); /* the first one, in the middle of its wait */
        run_briefly();
        connected += client.connected;
        ended += client.ended;
    }
    assert_int_equal(connected, 3);
    assert_int_equal(ended, 2);
}

static void pauses_before_it_stands(void **state)
{
    (void)state;
    connect_to("127.0.0.1", 5000);
    tly_stream_pause(client.stream);
    while (!client.connected || stream_count == 0) {
        run();
    }
    assert_int_equal(tly_stream_write(streams[0], TLY_TEXT("hel"), TLY_TEXT("lo"), NULL, NULL), 0);
    run_briefly();
    assert_int_equal(client.received.len, 0);
    assert_int_equal(tly_stream_resume(client.stream), 0);
    client.stop_at = 5;
    run();
    expect_text(tly_buf_text(&client.received), "hello");

    end_done(&client);
    end_init(&client);
    connect_to("127.0.0.1", 5000);
    tly_stream_pause(client.stream);
    assert_int_equal(tly_stream_resume(client.stream), 0); /* and thinks better of it */
    while (!client.connected || stream_count == 1) {
        run();
    }
    assert_int_equal(tly_stream_write(streams[1], TLY_TEXT("hel"), TLY_TEXT("lo"), NULL, NULL), 0);
    client.stop_at = 5;
    run();
}

static void refuses_what_makes_no_sense(void **state)
{
    (void)state;
    struct tly_address good = host("127.0.0.1");
    struct tly_address any = host("");
    struct tly_stream *none;
    assert_int_equal(tly_stream_connect(loop, &good, 0, &end_events, &client, &none), -EINVAL);
    assert_int_equal(tly_stream_connect(loop, &any, 5000, &end_events, &client, &none), -EINVAL);

    /* The kernel refuses a broadcast on the spot, and still it is not told from inside. */
    connect_to("255.255.255.255", 5000);
    run();
    assert_int_equal(client.ended, 1);
    assert_true(client.code < 0);
}

static void unix_sockets_fail_the_same_way(void **state)
{
    (void)state;
    char folder[TEMP_DIR_MAX];
    temp_dir_make(folder);
    struct sockaddr_un stale = {.sun_family = AF_UNIX};
    (void)snprintf(stale.sun_path, sizeof(stale.sun_path), "%s/stale", folder);
    TLY_AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&stale, sizeof(stale)), 0);
    static const struct {
        const char *name;
        int code;
    } rows[] = {{"missing", -ENOENT}, {"stale", -ECONNREFUSED}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_address address = {.port = 0};
        (void)snprintf(address.path, sizeof(address.path), "%s/%s", folder, rows[i].name);
        end_done(&client);
        end_init(&client);
        end_connect(&client, &address, 5000);
        run();
        run_briefly();
        assert_int_equal(client.ended, 1);
        assert_int_equal(client.code, rows[i].code);
        char named[sizeof(address.path) + sizeof("unix://")];
        (void)snprintf(named, sizeof(named), "unix://%s", address.path);
        assert_non_null(strstr(client.text, named));
    }
    temp_dir_remove(folder);
}

static void a_listener_has_a_name_too(void **state)
{
    (void)state;
    struct tly_error err = {0};
    struct tly_listener *other;
    struct tly_address good = host("good.test");
    good.port = 0;
    assert_int_equal(tly_listener_new(loop, &good, accepted, NULL, &other, &err), 0);
    assert_int_not_equal(tly_listener_port(other), 0);
    tly_listener_free(other);

    struct tly_address unknown = host("unknown.test");
    assert_true(tly_listener_new(loop, &unknown, accepted, NULL, &other, &err) < 0);
    assert_non_null(strstr(err.text, "cannot listen on unknown.test:"));
    assert_non_null(strstr(err.text, "unknown node or service"));
    struct tly_address empty = host("empty.test");
    assert_true(tly_listener_new(loop, &empty, accepted, NULL, &other, &err) < 0);
}

int main(void)
{
#define HOSTED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        HOSTED(connects_by_name_and_by_number),
        HOSTED(tries_the_next_address),
        HOSTED(a_silent_address_gets_its_share_of_the_time),
        HOSTED(reports_a_refusal_once),
        HOSTED(tries_a_bounded_number_of_addresses),
        HOSTED(reports_a_name_without_address),
        HOSTED(a_slow_lookup_times_out),
        HOSTED(may_be_freed_during_a_lookup),
        HOSTED(a_number_does_not_wait_for_names),
        HOSTED(a_silent_host_times_out),
        HOSTED(may_be_freed_at_any_moment),
        HOSTED(pauses_before_it_stands),
        HOSTED(refuses_what_makes_no_sense),
        HOSTED(unix_sockets_fail_the_same_way),
        HOSTED(a_listener_has_a_name_too),
    };
    return cmocka_run_group_tests_name("loop:connect", tests, NULL, NULL);
}
