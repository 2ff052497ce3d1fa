/*
 * The server under test, with a few routes: /echo tells what it saw, /hold keeps the request, /big
 * sends many bytes, /made makes them while it sends, /tree/ and all below it answers.
 */
#include "tests/unit/web/fixture.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#define ECHO_MAX 8192

static void each_echo(void *arg, struct tly_text value)
{
    assert_int_equal(tly_buf_printf(arg, "each=%.*s\n", (int)value.len, value.at), 0);
}

static void echo_handle(void *self, struct tly_http_request *request)
{
    (void)self;
    struct tly_buf body;
    tly_buf_init(&body, ECHO_MAX);
    struct tly_text path = tly_http_path(request);
    struct tly_text header = tly_http_header(request, "x-test");
    struct tly_text query = tly_http_query(request, "q");
    assert_int_equal(tly_buf_printf(&body, "path=%.*s\nheader=%.*s\nquery=%.*s\n", (int)path.len,
                                    path.at, (int)header.len, header.len ? header.at : "",
                                    (int)query.len, query.len ? query.at : ""),
                     0);
    tly_http_query_each(request, "each[]", each_echo, &body);
    assert_int_equal(tly_http_answer_header(request, "X-One", "1"), 0);
    assert_int_equal(tly_http_answer_header(request, "X-Two", "2"), 0);
    tly_http_answer(request, 200, "text/plain", &body);
    tly_buf_done(&body);
}

static void hold_handle(void *self, struct tly_http_request *request)
{
    struct fixture *fixture = self;
    fixture->held[fixture->held_count++] = request;
}

static void big_handle(void *self, struct tly_http_request *request)
{
    const struct fixture *fixture = self;
    struct tly_buf body;
    tly_buf_init(&body, SIZE_MAX);
    char *at;
    assert_int_equal(tly_buf_reserve(&body, fixture->body_len, &at), 0);
    memset(at, 'b', fixture->body_len);
    body.len = fixture->body_len;
    tly_http_answer(request, 200, "text/plain", &body);
    tly_buf_done(&body);
}

/* Blocks of MADE_BLOCK bytes, each of one letter, the next one of the next. */
static int made_next(void *arg, struct tly_text *ret_block)
{
    struct fixture *fixture = arg;
    static char block[MADE_BLOCK];
    memset(block, 'a' + (int)(fixture->made_blocks++ % 26), sizeof(block));
    if (fixture->made_blocks == fixture->made_breaks_at) {
        return -ENOMEM;
    }
    *ret_block = (struct tly_text){block, sizeof(block)};
    return 0;
}

static void made_done(void *arg)
{
    struct fixture *fixture = arg;
    fixture->made_done++;
}

static void made_handle(void *self, struct tly_http_request *request)
{
    struct fixture *fixture = self;
    const struct tly_http_source source = {.next = made_next, .done = made_done, .arg = fixture};
    fixture->made_blocks = 0;
    tly_http_answer_from(request, 200, "text/plain", fixture->body_len, &source);
}

/* The first ten bytes are the time. */
static void tagged_handle(void *self, struct tly_http_request *request)
{
    struct tly_buf body;
    (void)self;
    tly_buf_init(&body, 256);
    struct tly_text said = tly_http_query(request, "say");
    int rc = tly_buf_append_text(&body, said);
    assert_int_equal(rc, 0);
    tly_http_answer_tagged(request, "text/plain", &body, said.len < 10 ? said.len : 10);
    tly_buf_done(&body);
}

static const struct tly_route routes[] = {
    {.path = "/echo", .handle = echo_handle, .title = "Echo <&\">"},
    {.path = "/tree/*", .handle = echo_handle},
    {.path = "/tree/branch/*", .handle = big_handle},
    {.path = "/hold", .handle = hold_handle},
    {.path = "/big", .handle = big_handle},
    {.path = "/made", .handle = made_handle},
    {.path = "/tagged", .handle = tagged_handle},
};

void fixture_new(struct fixture *fixture, int64_t connections_max)
{
    *fixture = (struct fixture){0};
    char *listen[] = {(char[]){"127.0.0.1:0"}};
    struct tly_web_settings settings = {.listen = {listen, 1}, .connections_max = connections_max};
    struct tly_error err = {0};
    assert_int_equal(tly_loop_new(&fixture->loop), 0);
    assert_int_equal(tly_web_new(fixture->loop, &settings, &fixture->web, &err), 0);
    for (size_t i = 0; i < ROWS(routes); i++) {
        assert_int_equal(tly_web_add(fixture->web, &routes[i], fixture), 0);
    }
}

void fixture_start(struct fixture *fixture)
{
    struct tly_error err = {0};
    assert_int_equal(tly_web_start(fixture->web, &err), 0);
    fixture->port = tly_web_port(fixture->web, 0);
    assert_true(fixture->port > 0);
}

static void loop_stop(void *arg)
{
    tly_loop_stop(arg);
}

void fixture_done(struct fixture *fixture)
{
    if (fixture->web->daemons[TLY_WEB_PLAIN].mhd != NULL) {
        tly_web_stop(fixture->web, loop_stop, fixture->loop);
        tly_loop_run(fixture->loop);
    }
    tly_web_free(fixture->web);
    tly_loop_free(fixture->loop);
    for (size_t i = 0; i < REPLIES; i++) {
        http_reply_done(&fixture->replies[i]);
    }
}

static void script_work(void *arg)
{
    struct fixture *fixture = arg;
    fixture->script(fixture);
}

static void script_done(void *arg)
{
    const struct fixture *fixture = arg;
    tly_loop_stop(fixture->loop);
}

void run(struct fixture *fixture, void (*script)(struct fixture *fixture))
{
    fixture->script = script;
    assert_int_equal(tly_worker_submit(fixture->loop, script_work, script_done, fixture), 0);
    tly_loop_run(fixture->loop);
}

int64_t metered(struct fixture *fixture, enum tly_family_id family)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_web_meter(fixture->web, &samples);
    assert_int_equal(samples.refused, 0);
    int64_t sum = 0;
    for (size_t i = 0; i < samples.count; i++) {
        sum += samples.at[i].family == family ? samples.at[i].raw : 0;
    }
    tly_samples_done(&samples);
    return sum;
}
