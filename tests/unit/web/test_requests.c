/*
 * What the server answers, over real sockets: its own pages, routes, HEAD, keep-alive, HTTP/1.0,
 * methods that it does not know, and bytes that are no request.
 */
#include "tests/unit/unit.h"
#include "tests/unit/web/fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLOSE "Host: x\r\nConnection: close\r\n\r\n"

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    fixture_new(&fixture, 64);
    fixture_start(&fixture);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_done(&fixture);
    return 0;
}

static const char *header(size_t reply, const char *name)
{
    static char value[HTTP_VALUE_MAX];
    return http_header(&fixture.replies[reply], name, value);
}

/* ---- pages and routes ---- */

static void ask_tagged(struct fixture *f)
{
    static const char *const asks[] = {
        "GET /tagged?say=0123456789same HTTP/1.1\r\n" CLOSE,
        "GET /tagged?say=9876543210same HTTP/1.1\r\n" CLOSE,
        "GET /tagged?say=0123456789other HTTP/1.1\r\n" CLOSE,
        "GET /tagged HTTP/1.1\r\n" CLOSE,
    };
    char again[512];
    char tag[HTTP_VALUE_MAX];
    for (size_t i = 0; i < ROWS(asks); i++) {
        (void)http_ask(f->port, asks[i], &f->replies[i]);
    }
    (void)snprintf(again, sizeof(again),
                   "GET /tagged?say=5555555555same HTTP/1.1\r\nIf-None-Match: \"x\", %s\r\n" CLOSE,
                   http_header(&f->replies[0], "ETag", tag));
    (void)http_ask(f->port, again, &f->replies[4]);
    (void)snprintf(again, sizeof(again),
                   "GET /tagged?say=5555555555new HTTP/1.1\r\nIf-None-Match: %s\r\n" CLOSE,
                   http_header(&f->replies[0], "ETag", tag));
    (void)http_ask(f->port, again, &f->replies[5]);
}

/* Who has what would be said is told that it is the same; the time does not count. */
static void test_tagged(void **state)
{
    char tag[HTTP_VALUE_MAX];
    (void)state;
    run(&fixture, ask_tagged);
    assert_int_equal(fixture.replies[0].status, 200);
    assert_string_equal(fixture.replies[0].body, "0123456789same");
    assert_string_equal(header(0, "Cache-Control"), "no-cache");
    (void)snprintf(tag, sizeof(tag), "%s", header(0, "ETag"));
    assert_memory_equal(tag, "W/\"", 3);
    assert_string_equal(header(1, "ETag"), tag);
    assert_string_not_equal(header(2, "ETag"), tag);
    assert_int_equal(fixture.replies[3].status, 200);
    assert_int_equal(fixture.replies[4].status, 304);
    assert_int_equal(fixture.replies[4].body_len, 0);
    assert_string_equal(header(4, "ETag"), tag);
    assert_int_equal(fixture.replies[5].status, 200);
    assert_string_equal(fixture.replies[5].body, "5555555555new");
}

static void ask_pages(struct fixture *f)
{
    (void)http_ask(f->port, "GET / HTTP/1.1\r\n" CLOSE, &f->replies[0]);
    (void)http_ask(f->port, "GET /-/healthy HTTP/1.1\r\n" CLOSE, &f->replies[1]);
    (void)http_ask(f->port, "GET /-/ready HTTP/1.1\r\n" CLOSE, &f->replies[2]);
    (void)http_ask(f->port, "GET /nothing HTTP/1.1\r\n" CLOSE, &f->replies[3]);
    (void)http_ask(f->port, "GET /metrics/ HTTP/1.1\r\n" CLOSE, &f->replies[4]);
    (void)http_ask(f->port, "GET /status.js HTTP/1.1\r\n" CLOSE, &f->replies[5]);
    (void)http_ask(f->port, "GET /status.css HTTP/1.1\r\nAccept-Encoding: gzip\r\n" CLOSE,
                   &f->replies[6]);
    (void)http_ask(f->port, "GET /api/v1/overview HTTP/1.1\r\n" CLOSE, &f->replies[7]);
}

static void test_pages(void **state)
{
    (void)state;
    run(&fixture, ask_pages);
    assert_int_equal(fixture.replies[0].status, 200);
    assert_string_equal(header(0, "Content-Type"), "text/html; charset=utf-8");
    assert_string_equal(header(0, "X-Content-Type-Options"), "nosniff");
    assert_non_null(strstr(header(0, "Content-Security-Policy"), "default-src 'none'"));
    assert_non_null(strstr(fixture.replies[0].body, "<script src=\"status.js\" defer>"));
    assert_int_equal(fixture.replies[1].status, 200);
    assert_string_equal(fixture.replies[1].body, "healthy\n");
    assert_int_equal(fixture.replies[2].status, 200);
    assert_string_equal(fixture.replies[2].body, "ready\n");
    assert_int_equal(fixture.replies[3].status, 404);
    assert_int_equal(fixture.replies[4].status, 404);
    assert_string_equal(header(4, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(header(5, "Content-Type"), "text/javascript; charset=utf-8");
    assert_non_null(strstr(header(5, "Content-Security-Policy"), "script-src 'self'"));
    assert_string_equal(header(6, "Content-Type"), "text/css; charset=utf-8");
    assert_string_equal(header(6, "Content-Encoding"), "gzip");
    assert_int_equal(fixture.replies[7].status, 503); /* nobody has said what to show */
}

static bool not_ready(void *arg, struct tly_buf *missing)
{
    return tly_buf_printf(missing, "%s", (const char *)arg) < 0;
}

static void test_not_ready(void **state)
{
    (void)state;
    static char what[] = "docker: no answer yet\n";
    tly_web_set_ready(fixture.web, not_ready, what);
    run(&fixture, ask_pages);
    assert_int_equal(fixture.replies[2].status, 503);
    assert_string_equal(fixture.replies[2].body, "not ready\ndocker: no answer yet\n");
    assert_int_equal(fixture.replies[1].status, 200); /* alive all the same */
}

static void ask_routes(struct fixture *f)
{
    (void)http_ask(f->port,
                   "GET /echo?q=a%20b+c&each[]=1&other=2&each%5B%5D=3&each[] HTTP/1.1\r\n"
                   "X-Test: value\r\n" CLOSE,
                   &f->replies[0]);
    (void)http_ask(f->port, "GET /tree/leaf HTTP/1.1\r\n" CLOSE, &f->replies[1]);
    (void)http_ask(f->port, "GET /tree/ HTTP/1.1\r\n" CLOSE, &f->replies[2]);
    (void)http_ask(f->port, "GET /tree HTTP/1.1\r\n" CLOSE, &f->replies[3]);
    (void)http_ask(f->port, "GET /tree/branch/leaf HTTP/1.1\r\n" CLOSE, &f->replies[4]);
}

static void test_routes(void **state)
{
    (void)state;
    fixture.body_len = 5;
    run(&fixture, ask_routes);
    assert_string_equal(fixture.replies[0].body, "path=/echo\nheader=value\nquery=a b c\n"
                                                 "each=1\neach=3\neach=\n");
    assert_string_equal(header(0, "X-One"), "1");
    assert_string_equal(header(0, "X-Two"), "2");
    assert_string_equal(fixture.replies[1].body, "path=/tree/leaf\nheader=\nquery=\n");
    assert_string_equal(fixture.replies[2].body, "path=/tree/\nheader=\nquery=\n");
    assert_int_equal(fixture.replies[3].status, 404);
    assert_string_equal(fixture.replies[4].body, "bbbbb"); /* the longest prefix */
}

static void test_withdrawn(void **state)
{
    (void)state;
    tly_web_withdraw(fixture.web, &fixture);
    run(&fixture, ask_routes);
    assert_int_equal(fixture.replies[0].status, 503);
    assert_int_equal(fixture.replies[1].status, 503);
    assert_int_equal(fixture.replies[3].status, 404);
    run(&fixture, ask_pages);
    assert_int_equal(fixture.replies[0].status, 200); /* the server's own pages stay */
}

/* ---- HTTP ---- */

static void ask_head(struct fixture *f)
{
    int fd = http_connect(f->port);
    (void)http_send_text(fd, "HEAD /big HTTP/1.1\r\nHost: x\r\n\r\n"
                             "GET /-/healthy HTTP/1.1\r\n" CLOSE);
    (void)http_read(fd, &f->replies[0], true);
    (void)http_read(fd, &f->replies[1], false);
    f->ok[0] = http_is_closed(fd);
    close(fd);
}

static void test_head(void **state)
{
    (void)state;
    fixture.body_len = 12345;
    run(&fixture, ask_head);
    assert_int_equal(fixture.replies[0].status, 200);
    assert_string_equal(header(0, "Content-Length"), "12345");
    assert_int_equal(fixture.replies[1].status, 200); /* right behind the header of the first */
    assert_string_equal(fixture.replies[1].body, "healthy\n");
    assert_true(fixture.ok[0]);
}

/* ---- answers that are made while they are sent ---- */

#define MADE      "GET /made HTTP/1.1\r\nHost: x\r\n\r\n"
#define MADE_MANY ((size_t)64 << 20) /* far more than the buffers of both sockets take */

static void ask_made(struct fixture *f)
{
    int fd = http_connect(f->port);
    (void)http_send_text(fd, "HEAD /made HTTP/1.1\r\nHost: x\r\n\r\n");
    f->ok[0] = http_read(fd, &f->replies[0], true);
    (void)http_send_text(fd, MADE);
    f->ok[1] = http_read(fd, &f->replies[1], false);
    f->ok[2] = http_send_text(fd, "GET /-/healthy HTTP/1.1\r\n" CLOSE) &&
               http_read(fd, &f->replies[2], false);
    close(fd);
}

static void test_made(void **state)
{
    (void)state;
    fixture.body_len = 40 * MADE_BLOCK + 7;
    run(&fixture, ask_made);
    assert_true(fixture.ok[0] && fixture.ok[1] && fixture.ok[2]);
    assert_string_equal(header(0, "Content-Length"), "2000007");
    assert_int_equal(fixture.replies[1].status, 200);
    assert_int_equal(fixture.replies[1].body_len, fixture.body_len);
    for (size_t i = 0; i < fixture.body_len; i++) {
        assert_int_equal(fixture.replies[1].body[i], 'a' + (int)(i / MADE_BLOCK % 26));
    }
    assert_int_equal(fixture.made_blocks, 41);
    assert_int_equal(fixture.made_done, 2); /* that of HEAD, too */
    assert_int_equal(fixture.web->answer_bytes, 0);
}

static void ask_made_and_read_nothing(struct fixture *f)
{
    f->fds[0] = http_connect(f->port);
    f->ok[0] = http_send_text(f->fds[0], MADE);
    f->ok[1] = http_ask(f->port, "GET /-/healthy HTTP/1.1\r\n" CLOSE, &f->replies[0]);
}

static void leave(struct fixture *f)
{
    close(f->fds[0]);
}

static void ask_healthy(struct fixture *f)
{
    f->ok[2] = http_ask(f->port, "GET /-/healthy HTTP/1.1\r\n" CLOSE, &f->replies[1]);
}

/* No more is made than the client takes, and others are served between two blocks. */
static void test_made_for_nobody(void **state)
{
    (void)state;
    fixture.body_len = MADE_MANY;
    run(&fixture, ask_made_and_read_nothing);
    assert_true(fixture.ok[0] && fixture.ok[1]);
    assert_true(fixture.made_blocks > 0);
    assert_true(fixture.made_blocks * MADE_BLOCK < MADE_MANY / 2);
    assert_int_equal(fixture.made_done, 0);
    run(&fixture, leave);
    while (fixture.made_done == 0) {
        run(&fixture, ask_healthy);
        assert_true(fixture.ok[2]);
    }
    assert_int_equal(fixture.web->answer_bytes, 0);
}

static void ask_made_broken(struct fixture *f)
{
    f->fds[0] = http_connect(f->port);
    (void)http_send_text(f->fds[0], MADE);
    f->ok[0] = http_read(f->fds[0], &f->replies[0], false);
    f->ok[1] = http_is_closed(f->fds[0]);
    close(f->fds[0]);
}

/* An answer that can't be made to its end is never taken for a whole one. */
static void test_made_broken(void **state)
{
    (void)state;
    fixture.body_len = 10 * MADE_BLOCK;
    fixture.made_breaks_at = 5;
    run(&fixture, ask_made_broken);
    assert_false(fixture.ok[0]);
    assert_true(fixture.ok[1]);
    assert_int_equal(fixture.made_done, 1);
}

static void ask_keep_alive(struct fixture *f)
{
    int fd = http_connect(f->port);
    for (size_t i = 0; i < 3; i++) {
        f->ok[i] = http_send_text(fd, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n") &&
                   http_read(fd, &f->replies[i], false);
    }
    close(fd);
    fd = http_connect(f->port);
    f->ok[3] = http_send_text(fd, "GET /echo HTTP/1.0\r\n\r\n") &&
               http_read(fd, &f->replies[3], false) && http_is_closed(fd);
    close(fd);
    fd = http_connect(f->port);
    for (size_t i = 4; i < 6; i++) {
        f->ok[i] = http_send_text(fd, "GET /echo HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n") &&
                   http_read(fd, &f->replies[i], false);
    }
    close(fd);
    /* a client that says that nothing more comes, as `nc -N` does, gets its answer */
    fd = http_connect(f->port);
    f->ok[6] = http_send_text(fd, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n") &&
               shutdown(fd, SHUT_WR) == 0 && http_read(fd, &f->replies[6], false);
    close(fd);
}

static void test_keep_alive(void **state)
{
    (void)state;
    run(&fixture, ask_keep_alive);
    for (size_t i = 0; i < 7; i++) {
        assert_true(fixture.ok[i]);
        assert_int_equal(fixture.replies[i].status, 200);
    }
    assert_int_equal(metered(&fixture, TLY_F_tallyman_http_connections_accepted_total), 4);
    assert_int_equal(metered(&fixture, TLY_F_tallyman_http_requests_total), 7);
}

static void ask_methods(struct fixture *f)
{
    (void)http_ask(f->port, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n" CLOSE "abc",
                   &f->replies[0]);
    (void)http_ask(f->port, "DELETE / HTTP/1.1\r\n" CLOSE, &f->replies[1]);
    (void)http_ask(f->port, "OPTIONS * HTTP/1.1\r\n" CLOSE, &f->replies[2]);
    (void)http_ask(f->port, "get / HTTP/1.1\r\n" CLOSE, &f->replies[3]);
    (void)http_ask(f->port, "GET /echo HTTP/1.1\r\nContent-Length: 3\r\n" CLOSE "abc",
                   &f->replies[4]);
    (void)http_ask(f->port,
                   "GET /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" CLOSE "3\r\nabc\r\n0\r\n",
                   &f->replies[5]);
    (void)http_ask(f->port, "GET /echo HTTP/1.1\r\nContent-Length: 0\r\n" CLOSE, &f->replies[6]);
    (void)http_ask(f->port, "GET /echo HTTP/1.1\r\nExpect: 100-continue\r\n" CLOSE, &f->replies[7]);
}

static void test_methods(void **state)
{
    (void)state;
    run(&fixture, ask_methods);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fixture.replies[i].status, 405);
        assert_string_equal(header(i, "Allow"), "GET, HEAD");
    }
    assert_int_equal(fixture.replies[4].status, 400);
    assert_int_equal(fixture.replies[5].status, 400);
    assert_int_equal(fixture.replies[6].status, 200);
    assert_true(fixture.replies[7].status == 200 || fixture.replies[7].status == 100);
}

/* ---- what is no request ---- */

static char long_header[200000];

static const struct {
    const char *bytes;
    size_t len;
} malformed[] = {
#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
    BYTES("\r\n\r\n\r\n"),
    BYTES("GET\r\n\r\n"),
    BYTES("GET /\r\n\r\n"),
    BYTES("GET / HTTP/9.9\r\nHost: x\r\n\r\n"),
    BYTES("GET / HTTP/1.1\r\n\r\n"), /* without Host */
    BYTES("GET / HTTP/1.1\r\nHost x\r\n\r\n"),
    BYTES("GET / HTTP/1.1\r\n: x\r\nHost: x\r\n\r\n"),
    BYTES("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
    BYTES("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
    BYTES("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n"),
    BYTES("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\0\0x\r\n\r\n"),
    BYTES("GET /%00%ff%zz?%=%&&&=;; HTTP/1.1\r\nHost: x\r\n\r\n"),
    BYTES("GET http://example.com:80/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), /* a TLS handshake */
    BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    BYTES("\0\0\0\0\n\n\n\n"),
    BYTES("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"),
    BYTES("GET / HTTP/1.1\nHost: x\n\n"),
};

static void ask_malformed(struct fixture *f)
{
    for (size_t i = 0; i < ROWS(malformed); i++) {
        int fd = http_connect(f->port);
        (void)http_send(fd, malformed[i].bytes, malformed[i].len);
        (void)shutdown(fd, SHUT_WR);
        f->ok[i] = http_is_closed(fd); /* answered or not */
        close(fd);
    }
    (void)http_ask(f->port, "GET /-/healthy HTTP/1.1\r\n" CLOSE, &f->replies[0]);
}

static void test_malformed(void **state)
{
    (void)state;
    run(&fixture, ask_malformed);
    for (size_t i = 0; i < ROWS(malformed); i++) {
        if (!fixture.ok[i]) {
            fail_msg("%s: neither answered nor closed", malformed[i].bytes);
        }
    }
    assert_int_equal(fixture.replies[0].status, 200);
}

static void ask_oversize(struct fixture *f)
{
    static const char *const starts[] = {"GET /", "GET / HTTP/1.1\r\nHost: x\r\nX: ", "GET /?a="};
    for (size_t i = 0; i < 3; i++) {
        int fd = http_connect(f->port);
        (void)http_send_text(fd, starts[i]);
        /* The server may close in the middle; then its answer may be lost in the reset. */
        (void)http_send(fd, long_header, sizeof(long_header));
        (void)http_read(fd, &f->replies[i], false);
        close(fd);
    }
    /* a great many short headers */
    int fd = http_connect(f->port);
    (void)http_send_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n");
    bool going = true;
    for (size_t i = 0; i < 100000 && going; i++) {
        going = http_send_text(fd, "a: b\r\n");
    }
    f->ok[0] = !going;
    close(fd);
    (void)http_ask(f->port, "GET /-/healthy HTTP/1.1\r\n" CLOSE, &f->replies[4]);
}

static void test_oversize(void **state)
{
    (void)state;
    memset(long_header, 'a', sizeof(long_header));
    run(&fixture, ask_oversize);
    for (size_t i = 0; i < 3; i++) {
        int status = fixture.replies[i].status;
        assert_true(status == 0 || (status >= 400 && status < 500));
    }
    assert_true(fixture.ok[0]);
    assert_int_equal(fixture.replies[4].status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_withdrawn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_head, setup, teardown),
        cmocka_unit_test_setup_teardown(test_made, setup, teardown),
        cmocka_unit_test_setup_teardown(test_made_for_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_made_broken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keep_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tagged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_methods, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_oversize, setup, teardown),
    };
    tly_log_set_level(TLY_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
