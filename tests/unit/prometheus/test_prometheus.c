/*
 * /metrics as a scraper meets it: the real server, the real inventory, real sockets; only the
 * collector is a stand-in, so that its readings can be late or never come.
 */
#include "agent/web/web.h"
#include "outputs/prometheus/prometheus.h"
#include "outputs/prometheus/scrape.h"
#include "tests/unit/unit.h"
#include "tests/unit/web/http_client.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define REPLIES 8
#define CLIENTS (TLY_SCRAPES_MAX + 8)

#define GET     "GET /metrics HTTP/1.1\r\nHost: x\r\n"
#define CLOSE   "Connection: close\r\n\r\n"
#define IN_VAIN "X-Prometheus-Scrape-Timeout-Seconds: 0.1\r\n"

static struct fixture {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    struct tly_web *web;
    void *self; /* of the output */
    uint16_t port;
    struct http_reply replies[REPLIES];
    int fds[CLIENTS];
    bool ok[CLIENTS];

    /* the stand-in for a collector */
    bool hold; /* keeps the token instead of being done at once */
    void (*done)(void *token);
    void *token; /* NULL: no refresh is held */
    size_t refreshes;

    void (*script)(struct fixture *fixture);
} fixture;

static void refresh(void *arg, void (*done)(void *token), void *token)
{
    struct fixture *f = arg;
    f->refreshes++;
    if (f->hold) {
        f->done = done;
        f->token = token;
    } else {
        done(token);
    }
}

static void refresh_release(void)
{
    void *token = fixture.token;
    fixture.token = NULL;
    fixture.done(token);
}

/* A container with that name, and what a collector would publish. */
static void container_add(const char *id, const char *name, unsigned slot)
{
    struct tly_container *container = tly_container_new(tly_text_of(id));
    assert_non_null(container);
    assert_int_equal(tly_container_set(&container->name, tly_text_of(name)), 0);
    container->state = TLY_STATE_RUNNING;
    assert_int_equal(tly_inventory_put(fixture.inventory, TLY_SOURCE_API, container, 1), 0);
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_samples_add(&samples, TLY_F_container_threads, TLY_DIM_NONE, 7);
    tly_inventory_publish(fixture.inventory, slot, tly_text_of(id), 1, tly_samples_take(&samples));
    tly_samples_done(&samples);
}

static int setup(void **state)
{
    (void)state;
    fixture = (struct fixture){0};
    memset(fixture.fds, -1, sizeof(fixture.fds));
    assert_int_equal(tly_loop_new(&fixture.loop), 0);
    struct tly_inventory_limits limits = {
        .containers_max = 10, .label_value_bytes_max = 100, .labels_max = 4};
    assert_int_equal(tly_inventory_new(&limits, NULL, 0, &fixture.inventory), 0);
    unsigned slot;
    assert_int_equal(tly_inventory_slot(fixture.inventory, "test", &slot), 0);
    assert_int_equal(tly_inventory_refresher(fixture.inventory, refresh, &fixture), 0);
    tly_inventory_feeds(fixture.inventory, refresh, &fixture, slot);
    container_add("aaa", "plain", slot);
    container_add("bbb", "quote\" backslash\\ newline\n bytes\xff\xfe", slot);

    struct tly_error err;
    struct tly_context context = {.loop = fixture.loop, .inventory = fixture.inventory};
    assert_int_equal(tly_output_prometheus.start(&context, &fixture.self, &err), 0);
    char *listen[] = {(char[]){"127.0.0.1:0"}};
    struct tly_web_settings settings = {.listen = {listen, 1}, .connections_max = 4L * CLIENTS};
    assert_int_equal(tly_web_new(fixture.loop, &settings, &fixture.web, &err), 0);
    for (const struct tly_route *route = tly_output_prometheus.routes; route->path; route++) {
        assert_int_equal(tly_web_add(fixture.web, route, fixture.self), 0);
    }
    assert_int_equal(tly_web_start(fixture.web, &err), 0);
    fixture.port = tly_web_port(fixture.web, 0);
    return 0;
}

static void loop_stop(void *arg)
{
    tly_loop_stop(arg);
}

static void output_stop(int64_t patience_ms)
{
    tly_web_withdraw(fixture.web, fixture.self);
    tly_output_prometheus.stop(fixture.self, tly_loop_now_ms(fixture.loop) + patience_ms, loop_stop,
                               fixture.loop);
    tly_loop_run(fixture.loop);
    fixture.self = NULL;
}

static int teardown(void **state)
{
    (void)state;
    if (fixture.token != NULL) {
        refresh_release();
    }
    if (fixture.self != NULL) {
        output_stop(5000);
    }
    tly_web_stop(fixture.web, loop_stop, fixture.loop);
    tly_loop_run(fixture.loop);
    tly_web_free(fixture.web);
    tly_inventory_free(fixture.inventory);
    tly_loop_free(fixture.loop);
    for (size_t i = 0; i < REPLIES; i++) {
        http_reply_done(&fixture.replies[i]);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        if (fixture.fds[i] >= 0) {
            close(fixture.fds[i]);
        }
    }
    return 0;
}

static void script_work(void *arg)
{
    struct fixture *f = arg;
    f->script(f);
}

static void script_done(void *arg)
{
    const struct fixture *f = arg;
    tly_loop_stop(f->loop);
}

/* Lets a client script run on a worker while the loop serves. */
static void run(void (*script)(struct fixture *fixture))
{
    fixture.script = script;
    assert_int_equal(tly_worker_submit(fixture.loop, script_work, script_done, &fixture), 0);
    tly_loop_run(fixture.loop);
}

static struct tly_prometheus *output(void)
{
    return fixture.self;
}

/* Lets the loop run for a moment. */
static void run_for(int64_t ms)
{
    struct tly_timer *timer;
    assert_int_equal(tly_timer_new(fixture.loop, loop_stop, fixture.loop, &timer), 0);
    tly_timer_start(timer, ms, 0);
    tly_loop_run(fixture.loop);
    tly_timer_free(timer);
}

static const char *header(size_t reply, const char *name)
{
    static char value[HTTP_VALUE_MAX];
    return http_header(&fixture.replies[reply], name, value);
}

static void assert_says(size_t reply, const char *part)
{
    if (strstr(fixture.replies[reply].body, part) == NULL) {
        fail_msg("no \"%s\" in\n%s", part, fixture.replies[reply].body);
    }
}

/* ---- bounds ---- */

static void ask_once(struct fixture *f)
{
    (void)http_ask(f->port, GET CLOSE, &f->replies[0]);
}

static void ask_twice(struct fixture *f)
{
    (void)http_ask(f->port, GET CLOSE, &f->replies[1]);
    (void)http_ask(f->port, GET CLOSE, &f->replies[2]);
}

/* At the bound whole containers are left out, the same ones each time; the host and the agent stay.
 */
static void test_samples_max(void **state)
{
    (void)state;
    run(ask_once);
    assert_says(0, "container_threads{id=\"/docker/aaa\",name=\"plain\"} 7");
    assert_says(0, "\ntallyman_scrape_left_out_samples_total 0\n");
    size_t whole = output()->last.samples;
    /* What is missing is one sample: so one container of two is left out. */
    output()->samples_max = whole - 1;
    run(ask_twice);
    assert_says(1, "container_threads{id=\"/docker/aaa\"");
    for (size_t i = 1; i <= 2; i++) {
        assert_null(strstr(fixture.replies[i].body, "/docker/bbb"));
        assert_says(i, "\ntallyman_scrape_samples_max ");
        assert_says(i, "\ntallyman_inventory_containers 2\n");
    }
    assert_true(output()->left_out > 0);
    assert_int_equal(output()->last.samples + output()->left_out / 2,
                     whole + 1); /* and the bound */
    /* Less than the agent's own: no container at all. */
    output()->samples_max = 1;
    run(ask_once);
    assert_null(strstr(fixture.replies[0].body, "/docker/"));
    assert_says(0, "\ntallyman_inventory_containers 2\n");
}

/* ---- formats ---- */

static void ask_formats(struct fixture *f)
{
    (void)http_ask(f->port, GET CLOSE, &f->replies[0]);
    (void)http_ask(f->port, GET "Accept: application/openmetrics-text;version=1.0.0\r\n" CLOSE,
                   &f->replies[1]);
    (void)http_ask(f->port, GET "Accept-Encoding: gzip\r\n" CLOSE, &f->replies[2]);
    (void)http_ask(f->port, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n" CLOSE, &f->replies[3]);
    (void)http_ask(f->port, "GET /metrics HTTP/1.0\r\n\r\n", &f->replies[4]);
}

static void assert_unpacks_to(const struct http_reply *reply, const char *part)
{
    static char plain[1 << 20];
    z_stream stream = {.next_in = (Bytef *)reply->body,
                       .avail_in = (uInt)reply->body_len,
                       .next_out = (Bytef *)plain,
                       .avail_out = sizeof(plain) - 1};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    plain[stream.total_out] = '\0';
    assert_int_equal(inflateEnd(&stream), Z_OK);
    assert_non_null(strstr(plain, part));
}

static void test_formats(void **state)
{
    (void)state;
    run(ask_formats);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(fixture.replies[i].status, 200);
        assert_string_equal(header(i, "Vary"), "Accept, Accept-Encoding");
    }
    assert_string_equal(header(0, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_string_equal(header(0, "Content-Encoding"), "");
    assert_says(0, "# TYPE container_threads gauge\n");
    assert_says(0, "name=\"plain\"} 7\n");
    assert_says(0, "name=\"quote\\\" backslash\\\\ newline\\n bytes\xef\xbf\xbd");
    assert_says(0, "\ntallyman_scrapes_total 0\n");
    assert_says(0, "\ntallyman_scrapes_under_way 1\n");
    assert_non_null(strstr(header(1, "Content-Type"), "application/openmetrics-text"));
    assert_says(1, "# TYPE tallyman_scrapes counter\ntallyman_scrapes_total 1\n");
    const struct http_reply *last = &fixture.replies[1];
    assert_string_equal(last->body + last->body_len - strlen("\n# EOF\n"), "\n# EOF\n");
    assert_string_equal(header(2, "Content-Encoding"), "gzip");
    assert_unpacks_to(&fixture.replies[2], "name=\"plain\"} 7\n");
    assert_true(strtoul(header(3, "Content-Length"), NULL, 10) > 1000);
    assert_says(4, "name=\"plain\"} 7\n");
    assert_int_equal(output()->scrapes, 5);
    assert_int_equal(output()->failed, 0);
    /* readings younger than a second are shared */
    assert_int_equal(fixture.refreshes, 1);
}

/* ---- what is remembered ---- */

#define PACKED      "Accept-Encoding: gzip\r\n"
#define OPENMETRICS "Accept: application/openmetrics-text;version=1.0.0\r\n"

static void ask_packed(struct fixture *f)
{
    (void)http_ask(f->port, GET PACKED CLOSE, &f->replies[0]);
    (void)http_ask(f->port, GET PACKED CLOSE, &f->replies[1]);
    (void)http_ask(f->port, GET PACKED OPENMETRICS CLOSE, &f->replies[2]);
    (void)http_ask(f->port, GET PACKED OPENMETRICS CLOSE, &f->replies[3]);
    (void)http_ask(f->port, "GET /metrics?collect[]=pids HTTP/1.1\r\nHost: x\r\n" PACKED CLOSE,
                   &f->replies[4]);
    (void)http_ask(f->port, GET PACKED CLOSE, &f->replies[5]);
}

/* Scrape after scrape says what holds now, though what is the same is not compressed again; other
 * formats and parts of a scrape neither see nor spoil what is remembered. */
static void test_remembered(void **state)
{
    (void)state;
    run(ask_packed);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(fixture.replies[i].status, 200);
        assert_unpacks_to(&fixture.replies[i], "name=\"plain\"} 7\n");
    }
    assert_unpacks_to(&fixture.replies[1], "\ntallyman_scrapes_total 1\n");
    assert_unpacks_to(&fixture.replies[1], "\ntallyman_scrape_same_bytes 0\n");
    assert_unpacks_to(&fixture.replies[3], "\ntallyman_scrapes_total 3\n");
    assert_unpacks_to(&fixture.replies[3], "\n# EOF\n");
    assert_unpacks_to(&fixture.replies[5], "\ntallyman_scrapes_total 5\n");
    assert_true(output()->last_same_bytes > 1000);
    for (size_t i = 0; i < TLY_SCRAPE_KINDS; i++) {
        assert_true(output()->remembered[i].bytes > 0);
        assert_non_null(output()->remembered[i].parts);
    }
}

static void send_three_packed(struct fixture *f)
{
    for (size_t i = 0; i < 3; i++) {
        f->fds[i] = http_connect(f->port);
        f->ok[i] = http_send_text(f->fds[i], GET PACKED CLOSE);
    }
}

/* ---- parts ---- */

static const char *const part_queries[] = {
    "?collect[]=pids",   "?collect[]=agent&collect%5B%5D=pids",
    "?exclude[]=agent",  "?collect[]=pid%0a\xff",
    "?exclude[]=",       "?collect[]=pids&exclude[]=agent",
    "?collect[]=advtcp", "?exclude[]=advtcp",
};

static void ask_parts(struct fixture *f)
{
    for (size_t i = 0; i < ROWS(part_queries); i++) {
        char request[256];
        (void)snprintf(request, sizeof(request), "GET /metrics%s HTTP/1.1\r\nHost: x\r\n" CLOSE,
                       part_queries[i]);
        (void)http_ask(f->port, request, &f->replies[i]);
    }
}

static bool has(size_t reply, const char *part)
{
    return strstr(fixture.replies[reply].body, part) != NULL;
}

/* Families by group; a name that is none gets 400, with those that there are. */
static void test_parts(void **state)
{
    (void)state;
    struct tly_group_choice groups;
    tly_group_choice_init(&groups);
    output()->groups = &groups;
    run(ask_parts);
    static const struct {
        int status;
        bool container, agent;
    } expected[] = {{200, true, false},  {200, true, true},   {200, true, false},
                    {400, false, false}, {400, false, false}, {400, false, false},
                    {400, false, false}, {200, true, true}};
    for (size_t i = 0; i < ROWS(expected); i++) {
        assert_int_equal(fixture.replies[i].status, expected[i].status);
        assert_int_equal(has(i, "container_threads{"), expected[i].container);
        assert_int_equal(has(i, "tallyman_scrapes_total "), expected[i].agent);
    }
    assert_says(3, "there is no group `pid??`; there are cpu, memory, ");
    assert_says(3, ", container, machine, agent\n");
    assert_says(4, "there is no group ``");
    assert_says(5, "either collect[] or exclude[], not both");
    assert_says(6, "the group `advtcp` is switched off; `groups: {enable: [advtcp]}`");
    assert_int_equal(output()->failed, 4);
    assert_int_equal(output()->count, 0);
}

/* ---- readings that are late ---- */

static void ask_impatiently(struct fixture *f)
{
    (void)http_ask(f->port, GET IN_VAIN CLOSE, &f->replies[0]);
    (void)http_ask(f->port, GET "X-Prometheus-Scrape-Timeout-Seconds: 1e-3\r\n" CLOSE,
                   &f->replies[1]);
}

static void test_late_readings(void **state)
{
    (void)state;
    fixture.hold = true;
    run(ask_impatiently);
    assert_int_equal(fixture.replies[0].status, 200);
    /* what was read before is no reading of now: absent, and counted; the rest is there */
    assert_false(has(0, "container_threads"));
    assert_says(0, "\ntallyman_scrapes_total 0\n");
    assert_says(0, "name=\"plain\"");
    assert_int_equal(fixture.replies[1].status, 200);
    assert_says(1, "\ntallyman_scrapes_late_total 2\n");
    assert_says(1, "\ntallyman_scrape_collector_late_total{collector=\"test\"} 2\n");
    assert_int_equal(fixture.refreshes, 1);
    assert_int_equal(output()->refreshing, 2);
    refresh_release();
    assert_int_equal(output()->refreshing, 0);
}

static void send_three(struct fixture *f)
{
    for (size_t i = 0; i < 3; i++) {
        f->fds[i] = http_connect(f->port);
        f->ok[i] = http_send_text(f->fds[i], GET CLOSE);
    }
}

static void read_three(struct fixture *f)
{
    for (size_t i = 0; i < 3; i++) {
        (void)http_read(f->fds[i], &f->replies[i], false);
    }
}

static void wait_for_scrapes(size_t count)
{
    while (output()->count < count) {
        run_for(1);
    }
}

/* Scrapes overlap, and share the readings that are under way. */
static void test_overlap(void **state)
{
    (void)state;
    fixture.hold = true;
    run(send_three);
    wait_for_scrapes(3);
    assert_int_equal(fixture.refreshes, 1);
    refresh_release();
    run(read_three);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fixture.replies[i].status, 200);
        assert_says(i, "name=\"plain\"} 7\n");
    }
    assert_int_equal(output()->late, 0);
}

/* One of them has what is remembered; the others are whole without it. */
static void test_overlap_packed(void **state)
{
    (void)state;
    fixture.hold = true;
    run(send_three_packed);
    wait_for_scrapes(3);
    refresh_release();
    run(read_three);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fixture.replies[i].status, 200);
        assert_unpacks_to(&fixture.replies[i], "name=\"plain\"} 7\n");
    }
    assert_non_null(output()->remembered[TLY_SCRAPE_TEXT].parts);
}

static void send_odd_timeouts(struct fixture *f)
{
    static const char *const timeouts[] = {"", "never", "-1", "nan",
                                           "99999999999999999999999999999999999999"};
    for (size_t i = 0; i < ROWS(timeouts); i++) {
        char request[256];
        (void)snprintf(request, sizeof(request),
                       GET "X-Prometheus-Scrape-Timeout-Seconds: %s\r\n" CLOSE, timeouts[i]);
        f->fds[i] = http_connect(f->port);
        f->ok[i] = http_send_text(f->fds[i], request);
    }
}

static void test_timeouts_that_are_none(void **state)
{
    (void)state;
    fixture.hold = true;
    run(send_odd_timeouts);
    wait_for_scrapes(5);
    run_for(20); /* none of them is taken for a time-out of nothing */
    assert_int_equal(output()->late, 0);
    refresh_release();
    run(read_three);
    assert_int_equal(fixture.replies[2].status, 200);
}

/* ---- limits, and clients that leave ---- */

static void send_too_many(struct fixture *f)
{
    for (size_t i = 0; i < TLY_SCRAPES_MAX; i++) {
        f->fds[i] = http_connect(f->port);
        f->ok[i] = http_send_text(f->fds[i], GET CLOSE);
    }
}

static void ask_one_more(struct fixture *f)
{
    (void)http_ask(f->port, GET CLOSE, &f->replies[0]);
}

static void read_all(struct fixture *f)
{
    for (size_t i = 0; i < TLY_SCRAPES_MAX; i++) {
        f->ok[i] = http_read(f->fds[i], &f->replies[1], false) && f->replies[1].status == 200;
    }
}

static void test_too_many(void **state)
{
    (void)state;
    fixture.hold = true;
    run(send_too_many);
    wait_for_scrapes(TLY_SCRAPES_MAX);
    run(ask_one_more);
    assert_int_equal(fixture.replies[0].status, 503);
    assert_int_equal(output()->failed, 1);
    refresh_release();
    run(read_all);
    for (size_t i = 0; i < TLY_SCRAPES_MAX; i++) {
        assert_true(fixture.ok[i]);
    }
}

static void leave_all(struct fixture *f)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    for (size_t i = 0; i < 3; i++) {
        (void)setsockopt(f->fds[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(f->fds[i]);
        f->fds[i] = -1;
    }
}

/* The clients leave while their scrape waits, and again while it is on a worker. */
static void test_clients_gone(void **state)
{
    (void)state;
    fixture.hold = true;
    run(send_three);
    wait_for_scrapes(3);
    run(leave_all);
    refresh_release();
    while (output()->count > 0) {
        run_for(1);
    }
    assert_int_equal(output()->scrapes, 3);

    fixture.hold = false;
    for (int round = 0; round < 20; round++) {
        run(send_three);
        run(leave_all);
    }
    while (output()->count > 0) {
        run_for(1);
    }
    run(ask_one_more);
    assert_int_equal(fixture.replies[0].status, 200);
}

/* ---- the end ---- */

static void release_due(void *arg)
{
    (void)arg;
    refresh_release();
}

/* Scrapes that still wait are told so, and the output has stopped when the readings are in. */
static void test_stop(void **state)
{
    (void)state;
    fixture.hold = true;
    run(send_three);
    wait_for_scrapes(3);
    struct tly_timer *timer;
    assert_int_equal(tly_timer_new(fixture.loop, release_due, NULL, &timer), 0);
    tly_timer_start(timer, 20, 0);
    output_stop(5000);
    assert_null(fixture.token); /* it waited for them */
    tly_timer_free(timer);
    run(read_three);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fixture.replies[i].status, 503);
    }
    run(ask_one_more);
    assert_int_equal(fixture.replies[0].status, 503);
}

/* A collector that hangs: the output has stopped at its deadline all the same, and the readings may
 * come later. */
static void test_stop_with_hanging_collector(void **state)
{
    (void)state;
    fixture.hold = true;
    run(send_three);
    wait_for_scrapes(3);
    output_stop(20);
    assert_non_null(fixture.token);
    run(read_three);
    assert_int_equal(fixture.replies[0].status, 503);
    refresh_release(); /* the last of it is freed here: see the address sanitizer */
}

/* Workers are waited for beyond the deadline. */
static void test_stop_while_rendering(void **state)
{
    (void)state;
    fixture.hold = true;
    run(send_three);
    wait_for_scrapes(3);
    refresh_release();
    size_t rendering = output()->rendering;
    assert_true(rendering > 0);
    output_stop(0);
    run(read_three);
    size_t answered = 0;
    for (size_t i = 0; i < 3; i++) {
        answered += fixture.replies[i].status == 200;
    }
    assert_int_equal(answered, rendering);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_samples_max, setup, teardown),
        cmocka_unit_test_setup_teardown(test_formats, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_readings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overlap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overlap_packed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeouts_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clients_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_with_hanging_collector, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_while_rendering, setup, teardown),
    };
    tly_log_set_level(TLY_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
