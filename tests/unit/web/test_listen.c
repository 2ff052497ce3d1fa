/*
 * Listening: ports, several addresses, Unix sockets, and errors that tell what to do.
 */
#include "tests/unit/unit.h"
#include "tests/unit/web/fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ADDRESSES_MAX 20

static struct tly_loop *loop;
static char path[100];

static int setup(void **state)
{
    (void)state;
    assert_int_equal(tly_loop_new(&loop), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tly_loop_free(loop);
    return 0;
}

/* A server on these addresses (ends in NULL), or NULL with `err` set. */
static struct tly_web *server(const char *const *addresses, struct tly_error *err)
{
    static char copies[ADDRESSES_MAX][300];
    static char *listen[ADDRESSES_MAX];
    size_t count = 0;
    for (; addresses[count] != NULL; count++) {
        (void)snprintf(copies[count], sizeof(copies[count]), "%s", addresses[count]);
        listen[count] = copies[count];
    }
    struct tly_web_settings settings = {.listen = {listen, count}, .connections_max = 8};
    struct tly_web *web = NULL;
    if (tly_web_new(loop, &settings, &web, err) < 0) {
        return NULL;
    }
    if (tly_web_start(web, err) < 0) {
        tly_web_free(web);
        return NULL;
    }
    return web;
}

static void loop_stop(void *arg)
{
    tly_loop_stop(arg);
}

static void stop(struct tly_web *web)
{
    tly_web_stop(web, loop_stop, loop);
    tly_loop_run(loop);
    tly_web_free(web);
}

static void assert_refused(const char *address, int code, const char *part)
{
    struct tly_error err = {0};
    assert_null(server((const char *const[]){address, NULL}, &err));
    assert_int_equal(err.code, code);
    if (strstr(err.text, part) == NULL || strstr(err.text, "web.listen") == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, part);
    }
}

static void test_several(void **state)
{
    (void)state;
    struct tly_error err = {0};
    struct tly_web *web = server(
        (const char *const[]){"127.0.0.1:0", "[::1]:0", ":0", "localhost:0", NULL}, &err);
    assert_non_null(web);
    for (size_t i = 0; i < 4; i++) {
        assert_true(tly_web_port(web, i) > 0);
        bool local = tly_web_is_local(web->listeners[i].fd);
        assert_int_equal(local, i != 2);
    }
    assert_true(tly_web_port(web, 0) != tly_web_port(web, 1));
    assert_int_equal(tly_web_port(web, 4), 0);
    stop(web);
}

static void test_none(void **state)
{
    (void)state;
    struct tly_error err = {0};
    struct tly_web *web = server((const char *const[]){NULL}, &err);
    assert_non_null(web);
    stop(web);
}

static void test_port_in_use(void **state)
{
    (void)state;
    struct tly_error err = {0};
    struct tly_web *first = server((const char *const[]){"127.0.0.1:0", NULL}, &err);
    assert_non_null(first);
    char address[64];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", tly_web_port(first, 0));
    assert_refused(address, -EADDRINUSE, "in use by another program");
    char advice[64];
    (void)snprintf(advice, sizeof(advice), "ss -ltnp sport = :%u", tly_web_port(first, 0));
    assert_refused(address, -EADDRINUSE, advice);
    /* the second address fails: the first is let go again */
    char other[64];
    assert_null(server((const char *const[]){"127.0.0.1:0", address, NULL}, &err));
    (void)snprintf(other, sizeof(other), "%s", address);
    stop(first);
    struct tly_web *again = server((const char *const[]){other, NULL}, &err);
    assert_non_null(again);
    stop(again);
}

static void test_errors(void **state)
{
    (void)state;
    assert_refused("203.0.113.1:0", -EADDRNOTAVAIL, "no such address");
    assert_refused("nowhere.invalid:1", -EADDRNOTAVAIL, "no address for that name");
    assert_refused("127.0.0.1:99999", TLY_E_MALFORMED, "port");
    assert_refused("unix:///nonexistent/x.sock", -ENOENT, "unix:///nonexistent/x.sock");

    struct tly_error err = {0};
    const char *many[ADDRESSES_MAX] = {NULL};
    for (size_t i = 0; i < TLY_WEB_LISTENERS_MAX + 1; i++) {
        many[i] = "127.0.0.1:0";
    }
    assert_null(server(many, &err));
    assert_int_equal(err.code, TLY_E_LIMIT);
}

static int unix_connect(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    if (connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static struct http_reply reply;

static void ask_unix(void *arg)
{
    (void)arg;
    int fd = unix_connect();
    (void)http_send_text(fd, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)http_read(fd, &reply, false);
    close(fd);
}

static void test_unix(void **state)
{
    (void)state;
    char dir[TEMP_DIR_MAX];
    temp_dir_make(dir);
    (void)snprintf(path, sizeof(path), "%s/web.sock", dir);
    char address[160];
    (void)snprintf(address, sizeof(address), "unix://%s", path);

    /* one that a program left behind */
    int left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    assert_int_equal(bind(left, (const struct sockaddr *)&name, sizeof(name)), 0);
    close(left);

    struct tly_error err = {0};
    struct tly_web *web = server((const char *const[]){address, NULL}, &err);
    assert_non_null(web);
    assert_int_equal(tly_web_port(web, 0), 0);
    assert_true(tly_web_is_local(web->listeners[0].fd));
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0660);
    assert_int_equal(tly_worker_submit(loop, ask_unix, loop_stop, loop), 0);
    tly_loop_run(loop);
    assert_int_equal(reply.status, 200);
    http_reply_done(&reply);
    assert_refused(address, -EADDRINUSE, "another program listens there");
    stop(web);
    assert_int_equal(stat(path, &info), -1); /* its name went with it */

    /* a file is never taken for a socket left behind */
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_refused(address, -EADDRINUSE, "another program listens there");
    assert_int_equal(stat(path, &info), 0);
    temp_dir_remove(dir);
}

static void test_routes(void **state)
{
    (void)state;
    struct tly_web_settings settings = {.connections_max = 8};
    struct tly_web *web;
    struct tly_error err;
    assert_int_equal(tly_web_new(loop, &settings, &web, &err), 0);
    static const struct tly_route taken = {.path = "/-/ready"};
    assert_int_equal(tly_web_add(web, &taken, NULL), -EEXIST);
    static char paths[TLY_WEB_ROUTES_MAX][16];
    static struct tly_route routes[TLY_WEB_ROUTES_MAX];
    int rc = 0;
    for (size_t i = 0; i < TLY_WEB_ROUTES_MAX; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "/r%zu", i);
        routes[i].path = paths[i];
        rc = tly_web_add(web, &routes[i], NULL);
    }
    assert_int_equal(rc, TLY_E_LIMIT);
    tly_web_free(web); /* never started */
    tly_web_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_several, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_port_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
    };
    tly_log_set_level(TLY_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
