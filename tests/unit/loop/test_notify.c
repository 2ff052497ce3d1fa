/*
 * Word to the service manager, whose socket the tests hold: what arrives there, how often the
 * watchdog is told, and that odd environments cost no more than the notifications.
 */
#include "agent/loop/notify.h"

#include "tests/unit/loop/running.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

static int manager = -1;
static char folder[64];
static char path[96];

/* Binds the manager's socket to an address as NOTIFY_SOCKET has it. */
static void listen_at(const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(text);
    assert_true(len < sizeof(address.sun_path));
    memcpy(address.sun_path, text, len);
    if (text[0] == '@') {
        address.sun_path[0] = '\0';
    }
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(manager >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    assert_int_equal(bind(manager, (const struct sockaddr *)&address, size), 0);
}

static int make(void **state)
{
    strcpy(folder, "/tmp/test-notify-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/notify", folder);
    return make_loop(state);
}

static int unmake(void **state)
{
    if (manager >= 0) {
        (void)close(manager);
        manager = -1;
    }
    (void)unlink(path);
    (void)rmdir(folder);
    return free_loop(state);
}

static void set(const char *notify_socket, const char *usec, const char *pid)
{
    assert_int_equal(
        notify_socket ? setenv("NOTIFY_SOCKET", notify_socket, 1) : unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(usec ? setenv("WATCHDOG_USEC", usec, 1) : unsetenv("WATCHDOG_USEC"), 0);
    assert_int_equal(pid ? setenv("WATCHDOG_PID", pid, 1) : unsetenv("WATCHDOG_PID"), 0);
}

static struct tly_notify *make_notify(void)
{
    struct tly_notify *notify = NULL;
    assert_int_equal(tly_notify_new(loop, &notify), 0);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    return notify;
}

static void expect_datagram(const char *expected)
{
    char text[2048];
    ssize_t len = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);
    assert_true(len >= 0);
    text[len] = '\0';
    assert_string_equal(text, expected);
}

static void expect_silence(void)
{
    char byte;
    assert_int_equal(recv(manager, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static void says_to_a_path(void **state)
{
    (void)state;
    listen_at(path);
    set(path, NULL, NULL);
    struct tly_notify *notify = make_notify();
    assert_true(tly_notify_wanted(notify));
    assert_int_equal(tly_notify_say(notify, "READY=1\nSTATUS=%d containers", 3), 0);
    expect_datagram("READY=1\nSTATUS=3 containers");
    run_briefly();
    expect_silence(); /* no watchdog was asked for */
    tly_notify_free(notify);
}

static void says_to_an_abstract_name(void **state)
{
    (void)state;
    char name[64];
    (void)snprintf(name, sizeof(name), "@tallyman-test-notify-%d", (int)getpid());
    listen_at(name);
    set(name, NULL, NULL);
    struct tly_notify *notify = make_notify();
    assert_int_equal(tly_notify_say(notify, "STOPPING=1"), 0);
    expect_datagram("STOPPING=1");
    tly_notify_free(notify);
}

static void long_words_are_cut(void **state)
{
    (void)state;
    char word[3000];
    memset(word, 'x', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    listen_at(path);
    set(path, NULL, NULL);
    struct tly_notify *notify = make_notify();
    assert_int_equal(tly_notify_say(notify, "STATUS=%s", word), 0);
    char text[4096];
    assert_int_equal(recv(manager, text, sizeof(text), MSG_DONTWAIT), TLY_NOTIFY_TEXT_MAX - 1);
    tly_notify_free(notify);
}

static void nobody_to_tell(void **state)
{
    (void)state;
    char too_long[200];
    memset(too_long, 'x', sizeof(too_long) - 1);
    too_long[0] = '/';
    too_long[sizeof(too_long) - 1] = '\0';
    const char *const rows[] = {NULL, "", "/", "@", "relative", "vsock:2:1234", too_long};
    for (size_t i = 0; i < ROWS(rows); i++) {
        set(rows[i], "1000000", NULL);
        struct tly_notify *notify = make_notify();
        assert_false(tly_notify_wanted(notify));
        assert_int_equal(tly_notify_say(notify, "READY=1"), 0);
        run(); /* comes to an end: no watchdog either */
        tly_notify_free(notify);
    }
    tly_notify_free(NULL);
}

static void a_manager_that_went_or_is_behind(void **state)
{
    (void)state;
    set(path, NULL, NULL);
    struct tly_notify *notify = make_notify();
    assert_int_equal(tly_notify_say(notify, "READY=1"), -ENOENT);
    listen_at(path);
    int rc = 0;
    for (int i = 0; i < 100000 && rc == 0; i++) {
        rc = tly_notify_say(notify, "READY=1");
    }
    assert_int_equal(rc, -EAGAIN);
    expect_datagram("READY=1");
    assert_int_equal(tly_notify_say(notify, "READY=1"), 0);
    tly_notify_free(notify);
}

/* ---- the watchdog ---- */

static size_t pings;

static void receive_ping(void *arg, int error, int events)
{
    (void)arg;
    (void)events;
    assert_int_equal(error, 0);
    expect_datagram("WATCHDOG=1");
    if (++pings == 4) {
        tly_loop_stop(loop);
    }
}

static void the_watchdog_hears_of_the_loop(void **state)
{
    (void)state;
    char pid[16];
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    const char *const pids[] = {NULL, pid};
    for (size_t i = 0; i < ROWS(pids); i++) {
        listen_at(path);
        set(path, "20000", pids[i]);
        struct tly_notify *notify = make_notify();
        struct tly_poll *poll = NULL;
        assert_int_equal(tly_poll_new(loop, manager, receive_ping, NULL, &poll), 0);
        assert_int_equal(tly_poll_start(poll, TLY_READABLE), 0);
        pings = 0;
        run();
        assert_int_equal(pings, 4);
        tly_poll_free(poll);
        tly_notify_free(notify);
        assert_int_equal(close(manager), 0);
        assert_int_equal(unlink(path), 0);
        manager = -1;
    }
}

static void a_watchdog_that_is_not_ours(void **state)
{
    (void)state;
    static const struct {
        const char *usec, *pid;
    } rows[] = {{"20000", "1"}, {"20000", "x"}, {"", NULL},    {"-5", NULL},
                {"0", NULL},    {"999", NULL},  {"1e6", NULL}, {"99999999999999999999", NULL}};
    listen_at(path);
    for (size_t i = 0; i < ROWS(rows); i++) {
        set(path, rows[i].usec, rows[i].pid);
        struct tly_notify *notify = make_notify();
        run();
        expect_silence();
        tly_notify_free(notify);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(says_to_a_path),
        TEST(says_to_an_abstract_name),
        TEST(long_words_are_cut),
        TEST(nobody_to_tell),
        TEST(a_manager_that_went_or_is_behind),
        TEST(the_watchdog_hears_of_the_loop),
        TEST(a_watchdog_that_is_not_ours),
    };
    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
