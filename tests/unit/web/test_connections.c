/*
 * Who may stay: limits in number, per peer and in bytes, slow and idle clients, answers that come
 * late or for nobody, and the end of the server.
 */
#include "tests/unit/descriptors.h"
#include "tests/unit/unit.h"
#include "tests/unit/web/fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEALTHY "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
#define HOLD    "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"
#define BIG     "GET /big HTTP/1.1\r\nHost: x\r\n\r\n"
/* What the sockets between client and server hold, and more. */
#define MORE_THAN_BUFFERS (24U << 20)

static struct fixture fixture;

static int setup_of(int64_t connections_max)
{
    fixture_new(&fixture, connections_max);
    fixture_start(&fixture);
    memset(fixture.fds, -1, sizeof(fixture.fds));
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_of(64);
}

static int setup_small(void **state)
{
    (void)state;
    return setup_of(8);
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLIENTS; i++) {
        if (fixture.fds[i] >= 0) {
            close(fixture.fds[i]);
        }
    }
    fixture_done(&fixture);
    return 0;
}

static void loop_stop(void *arg)
{
    tly_loop_stop(arg);
}

/* Lets the loop run for a while; what is waited for is a time-out of the server. */
static void run_for(int64_t ms)
{
    struct tly_timer *timer;
    assert_int_equal(tly_timer_new(fixture.loop, loop_stop, fixture.loop, &timer), 0);
    tly_timer_start(timer, ms, 0);
    tly_loop_run(fixture.loop);
    tly_timer_free(timer);
}

/* ---- limits in number ---- */

static void idle_crowd(struct fixture *f)
{
    for (size_t i = 0; i < 200; i++) {
        f->fds[i] = http_connect(f->port);
        f->ok[0] = http_ask(f->port, HEALTHY, &f->replies[0]) && f->replies[0].status == 200;
        if (!f->ok[0]) {
            return;
        }
    }
}

/* 200 connections that say nothing, on a server for 64: whoever asks is answered throughout. */
static void test_idle_crowd(void **state)
{
    (void)state;
    run(&fixture, idle_crowd);
    assert_true(fixture.ok[0]);
    assert_true(metered(&fixture, TLY_F_tallyman_http_connections) <= 64);
    assert_true(metered(&fixture, TLY_F_tallyman_http_connections_cut_total) >= 200 - 64);
    assert_int_equal(metered(&fixture, TLY_F_tallyman_http_connections_refused_total), 0);
    assert_int_equal(metered(&fixture, TLY_F_tallyman_http_connections_max), 64);
}

static void hold_all(struct fixture *f)
{
    for (size_t i = 0; i < 4; i++) {
        f->fds[i] = http_connect(f->port);
        f->ok[i] = http_send_text(f->fds[i], HOLD);
    }
}

static void ask_refused(struct fixture *f)
{
    f->fds[4] = http_connect(f->port);
    f->ok[4] = http_is_closed(f->fds[4]);
}

/* One peer has at most half of all places, and who is being served is not sent away. */
static void test_peer_limit(void **state)
{
    (void)state;
    run(&fixture, hold_all);
    while (fixture.held_count < 4) {
        run_for(1);
    }
    run(&fixture, ask_refused);
    assert_true(fixture.ok[4]);
    assert_int_equal(metered(&fixture, TLY_F_tallyman_http_connections), 4);
    assert_int_equal(metered(&fixture, TLY_F_tallyman_http_connections_refused_total), 1);
    assert_int_equal(metered(&fixture, TLY_F_tallyman_http_connections_cut_total), 0);
    for (size_t i = 0; i < fixture.held_count; i++) {
        tly_http_answer(fixture.held[i], 200, NULL, NULL);
    }
}

/* ---- slow and idle ---- */

static void dribble(struct fixture *f)
{
    for (size_t i = 0; i < 20; i++) {
        f->fds[i] = http_connect(f->port);
    }
    /* a byte at a time, each client in turn, until the server has closed them */
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaa";
    struct timeval soon = {.tv_usec = 20000};
    for (size_t byte = 0; byte < sizeof(request) - 1; byte++) {
        for (size_t i = 0; i < 20; i++) {
            (void)http_send(f->fds[i], request + byte, 1);
        }
        f->ok[0] = http_ask(f->port, HEALTHY, &f->replies[0]) && f->replies[0].status == 200;
        (void)setsockopt(f->fds[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
        f->ok[1] = http_is_closed(f->fds[0]);
        if (!f->ok[0] || f->ok[1]) {
            return;
        }
    }
}

static void test_slow_header(void **state)
{
    (void)state;
    fixture.web->limits.header_ms = 200;
    run(&fixture, dribble);
    assert_true(fixture.ok[0]);
    assert_true(fixture.ok[1]);
    assert_true(metered(&fixture, TLY_F_tallyman_http_connections_cut_total) > 0);
}

static void ask_twice(struct fixture *f)
{
    f->fds[0] = http_connect(f->port);
    f->ok[0] = http_send_text(f->fds[0], HEALTHY) && http_read(f->fds[0], &f->replies[0], false);
    f->ok[1] = http_is_closed(f->fds[0]);
}

static void test_idle(void **state)
{
    (void)state;
    fixture.web->limits.header_ms = 50;
    fixture.web->limits.idle_ms = 100;
    run(&fixture, ask_twice);
    assert_true(fixture.ok[0]);
    assert_true(fixture.ok[1]);
    assert_int_equal(metered(&fixture, TLY_F_tallyman_http_connections_cut_total), 1);
}

static void ask_big_and_read_nothing(struct fixture *f)
{
    f->fds[0] = http_connect(f->port);
    f->ok[0] = http_send_text(f->fds[0], BIG);
    f->ok[1] = http_ask(f->port, HEALTHY, &f->replies[0]);
}

static void read_the_rest(struct fixture *f)
{
    f->ok[2] = http_read(f->fds[0], &f->replies[1], false);
}

/* A client that takes nothing of its answer is cut; one that takes it gets all. */
static void test_slow_taker(void **state)
{
    (void)state;
    fixture.body_len = MORE_THAN_BUFFERS;
    fixture.web->limits.header_ms = 50;
    fixture.web->limits.sending_ms = 200;
    run(&fixture, ask_big_and_read_nothing);
    assert_true(fixture.ok[1]);
    while (metered(&fixture, TLY_F_tallyman_http_connections) > 0) {
        run_for(10);
    }
    assert_int_equal(fixture.web->answer_bytes, 0);
    run(&fixture, read_the_rest);
    assert_false(fixture.ok[2]);
    close(fixture.fds[0]);

    fixture.web->limits.sending_ms = 10000;
    run(&fixture, ask_big_and_read_nothing);
    run(&fixture, read_the_rest);
    assert_true(fixture.ok[2]);
    assert_int_equal(fixture.replies[1].body_len, MORE_THAN_BUFFERS);
}

/* ---- answers in memory ---- */

static void ask_second_big(struct fixture *f)
{
    f->fds[1] = http_connect(f->port);
    f->ok[2] = http_send_text(f->fds[1], BIG) && http_read(f->fds[1], &f->replies[1], false);
}

static void test_answer_bytes(void **state)
{
    (void)state;
    fixture.body_len = MORE_THAN_BUFFERS;
    fixture.web->limits.answer_bytes_max = MORE_THAN_BUFFERS + 1;
    run(&fixture, ask_big_and_read_nothing);
    run(&fixture, ask_second_big); /* the first has not stalled for long enough */
    assert_true(fixture.ok[2]);
    assert_int_equal(fixture.replies[1].status, 503);

    fixture.web->limits.stalled_ms = 0;
    close(fixture.fds[1]);
    run(&fixture, ask_second_big);
    assert_true(fixture.ok[2]);
    assert_int_equal(fixture.replies[1].status, 200);
    assert_int_equal(fixture.replies[1].body_len, MORE_THAN_BUFFERS);
}

/* ---- answers that come later ---- */

static void hold_one(struct fixture *f)
{
    f->fds[0] = http_connect(f->port);
    f->ok[0] = http_send_text(f->fds[0], HOLD);
}

static void read_held(struct fixture *f)
{
    f->ok[1] = http_read(f->fds[0], &f->replies[0], false);
    f->ok[2] = http_send_text(f->fds[0], HEALTHY) && http_read(f->fds[0], &f->replies[1], false);
}

static void hold_until_there(void)
{
    run(&fixture, hold_one);
    while (fixture.held_count == 0) {
        run_for(1);
    }
}

static void test_later(void **state)
{
    (void)state;
    hold_until_there();
    struct tly_buf body;
    tly_buf_init(&body, 100);
    assert_int_equal(tly_buf_printf(&body, "late"), 0);
    assert_true(tly_text_equal(tly_http_path(fixture.held[0]), TLY_TEXT("/hold")));
    assert_true(tly_text_equal(tly_http_header(fixture.held[0], "host"), TLY_TEXT("x")));
    tly_http_answer(fixture.held[0], 201, "text/plain", &body);
    assert_null(body.at);
    run(&fixture, read_held);
    assert_true(fixture.ok[1]);
    assert_int_equal(fixture.replies[0].status, 201);
    assert_string_equal(fixture.replies[0].body, "late");
    assert_true(fixture.ok[2]); /* and the connection lives on */
}

/* The client has left, with a reset even, while the handler had its request. */
static void test_client_gone(void **state)
{
    (void)state;
    hold_until_there();
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fixture.fds[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)),
                     0);
    close(fixture.fds[0]);
    fixture.fds[0] = -1;
    run_for(5);
    struct tly_buf body;
    tly_buf_init(&body, 100);
    assert_int_equal(tly_buf_printf(&body, "for nobody"), 0);
    tly_http_answer(fixture.held[0], 200, "text/plain", &body);
    run_for(5);
    assert_int_equal(metered(&fixture, TLY_F_tallyman_http_connections), 0);
    assert_int_equal(fixture.web->answer_bytes, 0);
}

/* ---- the end ---- */

static void stop_and_wait(void)
{
    tly_web_stop(fixture.web, loop_stop, fixture.loop);
    tly_loop_run(fixture.loop);
    assert_null(fixture.web->daemons[TLY_WEB_PLAIN].mhd);
}

static void answer_held(void *arg)
{
    tly_http_answer(arg, 200, NULL, NULL);
}

static void idle_few(struct fixture *f)
{
    for (size_t i = 1; i < 20; i++) {
        f->fds[i] = http_connect(f->port);
    }
}

/* A request under way is still answered while the server stops; idle connections go at once. */
static void test_stop(void **state)
{
    (void)state;
    hold_until_there();
    run(&fixture, idle_few);
    struct tly_timer *timer;
    assert_int_equal(tly_timer_new(fixture.loop, answer_held, fixture.held[0], &timer), 0);
    tly_timer_start(timer, 20, 0);
    stop_and_wait();
    tly_timer_free(timer);
    run(&fixture, read_held);
    assert_true(fixture.ok[1]);
    assert_int_equal(fixture.replies[0].status, 200);
    char value[HTTP_VALUE_MAX];
    assert_string_equal(http_header(&fixture.replies[0], "Connection", value), "close");
    assert_false(fixture.ok[2]);
    assert_int_equal(http_connect(fixture.port), -1);
}

/* The handler never came to an answer: the connection is cut, and a late answer does no harm. */
static void test_stop_with_held(void **state)
{
    (void)state;
    hold_until_there();
    fixture.web->limits.stop_ms = 20;
    stop_and_wait();
    assert_int_equal(tly_http_path(fixture.held[0]).len, 0);
    assert_int_equal(tly_http_header(fixture.held[0], "host").len, 0);
    struct tly_buf body;
    tly_buf_init(&body, 100);
    assert_int_equal(tly_buf_printf(&body, "for nobody"), 0);
    tly_http_answer(fixture.held[0], 200, "text/plain", &body);
}

/* ---- lack of descriptors ---- */

static void connect_one(struct fixture *f)
{
    f->fds[0] = http_connect(f->port);
    f->ok[0] = http_send_text(f->fds[0], HEALTHY);
}

static void read_one(struct fixture *f)
{
    f->ok[1] = http_read(f->fds[0], &f->replies[0], false);
}

/* Without descriptors accepting pauses, without spinning, and goes on when there are some. */
static void test_no_descriptors(void **state)
{
    (void)state;
    run(&fixture, idle_crowd);                /* so that there is somebody to send away */
    struct rlimit was = descriptors_leave(1); /* the client's own socket, none for the server's */
    run(&fixture, connect_one);
    run_for(20);
    bool paused = tly_timer_active(fixture.web->accept_timer);
    descriptors_restore(&was);
    assert_true(fixture.ok[0]);
    assert_true(paused);
    run(&fixture, read_one);
    assert_true(fixture.ok[1]);
    assert_int_equal(fixture.replies[0].status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_idle_crowd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_header, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_taker, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_with_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_limit, setup_small, teardown),
    };
    tly_log_set_level(TLY_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
