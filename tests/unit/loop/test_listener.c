/*
 * The listener: what it binds, what it does with a socket file that stands there already, and
 * handing over connections.
 */
#include "ends.h"

#include "agent/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MANY = 300 };

static char folder[TEMP_DIR_MAX];
static struct tly_listener *listener;
static struct tly_stream *streams[MANY];
static size_t stream_count;
static bool free_at_once;
static struct tly_error err;

static int set_up(void **state)
{
    temp_dir_make(folder);
    stream_count = 0;
    free_at_once = false;
    err = (struct tly_error){0};
    return make_loop(state);
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < stream_count; i++) {
        tly_stream_free(streams[i]);
    }
    tly_listener_free(listener);
    listener = NULL;
    temp_dir_remove(folder);
    return free_loop(state);
}

static void accepted(void *arg, struct tly_stream *stream)
{
    assert_ptr_equal(arg, &stream_count);
    if (free_at_once) {
        tly_stream_free(stream);
        tly_listener_free(listener);
        listener = NULL;
        return;
    }
    assert_true(stream_count < MANY);
    streams[stream_count++] = stream;
}

static int listen_on(const struct tly_address *address, struct tly_listener **ret_listener)
{
    return tly_listener_new(loop, address, accepted, &stream_count, ret_listener, &err);
}

static struct tly_address unix_address(const char *name)
{
    struct tly_address address = {.port = 0};
    (void)snprintf(address.path, sizeof(address.path), "%s/%s", folder, name);
    return address;
}

static void connect_and_part(struct tly_address address)
{
    struct end client;
    end_init(&client);
    end_connect(&client, &address, 5000);
    size_t before = stream_count;
    while (!client.connected || stream_count == before) {
        run_briefly();
        assert_int_equal(client.ended, 0);
    }
    end_done(&client);
}

static void any_address_takes_both_families(void **state)
{
    (void)state;
    struct tly_address any = address_of(":0");
    assert_int_equal(listen_on(&any, &listener), 0);
    char text[64];
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", tly_listener_port(listener));
    connect_and_part(address_of(text));
    assert_memory_equal(tly_stream_peer(streams[0]), "127.0.0.1:", 10);
    if (access("/proc/net/if_inet6", R_OK) < 0) {
        print_message("SKIPPED in part: this kernel has no IPv6\n");
        return;
    }
    (void)snprintf(text, sizeof(text), "[::1]:%u", tly_listener_port(listener));
    connect_and_part(address_of(text));
    assert_memory_equal(tly_stream_peer(streams[1]), "[::1]:", 6);
}

static void a_taken_port_is_an_error(void **state)
{
    (void)state;
    struct tly_address address = address_of("127.0.0.1:0");
    assert_int_equal(listen_on(&address, &listener), 0);
    address.port = tly_listener_port(listener);
    struct tly_listener *second;
    assert_int_equal(listen_on(&address, &second), -EADDRINUSE);
    assert_int_equal(err.code, -EADDRINUSE);
    char expected[128];
    (void)snprintf(expected, sizeof(expected),
                   "cannot listen on 127.0.0.1:%u: address already in use", address.port);
    assert_string_equal(err.text, expected);
    struct tly_address foreign = address_of("192.0.2.1:0"); /* for documentation, nobody's */
    assert_int_equal(listen_on(&foreign, &second), -EADDRNOTAVAIL);
    tly_listener_free(NULL);
}

static void the_socket_file_is_for_owner_and_group(void **state)
{
    (void)state;
    static const mode_t masks[] = {0, 022, 0777};
    struct tly_address address = unix_address("socket");
    for (size_t i = 0; i < ROWS(masks); i++) {
        mode_t before = umask(masks[i]);
        int rc = listen_on(&address, &listener);
        (void)umask(before);
        assert_int_equal(rc, 0);
        assert_int_equal(tly_listener_port(listener), 0);
        struct stat status;
        assert_int_equal(stat(address.path, &status), 0);
        assert_true(S_ISSOCK(status.st_mode));
        assert_int_equal(status.st_mode & 0777, 0660);
        connect_and_part(address);
        tly_listener_free(listener);
        listener = NULL;
        run_briefly();
        assert_int_equal(access(address.path, F_OK), -1); /* gone with the listener */
    }
}

static void a_stale_socket_is_replaced(void **state)
{
    (void)state;
    struct tly_address address = unix_address("socket");
    struct sockaddr_un old = {.sun_family = AF_UNIX};
    memcpy(old.sun_path, address.path, sizeof(old.sun_path));
    TLY_AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&old, sizeof(old)), 0);
    tly_fd_close(&fd); /* as a killed process leaves it */
    assert_int_equal(access(address.path, F_OK), 0);
    assert_int_equal(listen_on(&address, &listener), 0);
    connect_and_part(address);
}

static void what_is_not_stale_stays(void **state)
{
    (void)state;
    struct tly_address address = unix_address("socket");
    struct tly_listener *second;
    assert_int_equal(listen_on(&address, &listener), 0);
    assert_int_equal(listen_on(&address, &second), -EADDRINUSE);
    assert_non_null(strstr(err.text, "in use by another process"));
    run_briefly();
    connect_and_part(address);

    struct tly_address file = unix_address("file");
    TLY_AUTO_FD fd = open(file.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(listen_on(&file, &second), -EADDRINUSE);
    struct stat status;
    assert_int_equal(stat(file.path, &status), 0);
    assert_true(S_ISREG(status.st_mode));

    struct tly_address nowhere = unix_address("missing/socket");
    assert_true(listen_on(&nowhere, &second) < 0);
    assert_non_null(strstr(err.text, "missing/socket"));
}

static void may_be_freed_from_inside_accepted(void **state)
{
    (void)state;
    struct tly_address address = address_of("127.0.0.1:0");
    assert_int_equal(listen_on(&address, &listener), 0);
    address.port = tly_listener_port(listener);
    free_at_once = true;
    struct end clients[3];
    for (size_t i = 0; i < ROWS(clients); i++) {
        end_init(&clients[i]);
        end_connect(&clients[i], &address, 5000);
    }
    for (size_t i = 0; i < ROWS(clients); i++) {
        while (!clients[i].ended) {
            run();
        }
        assert_int_equal(clients[i].ended, 1);
    }
    assert_null(listener);
    for (size_t i = 0; i < ROWS(clients); i++) {
        end_done(&clients[i]);
    }
}

static void a_crowd_gets_in(void **state)
{
    (void)state;
    static struct end clients[MANY];
    struct tly_address address = unix_address("socket");
    assert_int_equal(listen_on(&address, &listener), 0);
    for (size_t i = 0; i < MANY; i++) {
        end_init(&clients[i]);
        end_connect(&clients[i], &address, 5000);
    }
    while (stream_count < MANY) {
        run_briefly();
    }
    for (size_t i = 0; i < MANY; i++) {
        while (!clients[i].connected) {
            run_briefly();
        }
        assert_int_equal(clients[i].ended, 0);
        end_done(&clients[i]);
    }
}

int main(void)
{
#define LISTENING(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LISTENING(any_address_takes_both_families),
        LISTENING(a_taken_port_is_an_error),
        LISTENING(the_socket_file_is_for_owner_and_group),
        LISTENING(a_stale_socket_is_replaced),
        LISTENING(what_is_not_stale_stays),
        LISTENING(may_be_freed_from_inside_accepted),
        LISTENING(a_crowd_gets_in),
    };
    return cmocka_run_group_tests_name("loop:listener", tests, NULL, NULL);
}
