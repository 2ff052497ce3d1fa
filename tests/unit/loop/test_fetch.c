/*
 * HTTP requests against a server on threads of its own that answers as each test wants it: whole,
 * in pieces, too much, wrongly, or never.
 */
#include "agent/loop/fetch.h"

#include "agent/base/buf.h"
#include "tests/unit/docker/http_peer.h"
#include "tests/unit/loop/running.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BODY_MAX 1000

/* The linker puts it before tly_poll_new(), so that sockets can be refused. */
int __real_tly_poll_new(struct tly_loop *on, int fd, tly_poll_fn ready, void *arg,
                        struct tly_poll **ret_poll) TLY_CHECK;
int __wrap_tly_poll_new(struct tly_loop *on, int fd, tly_poll_fn ready, void *arg,
                        struct tly_poll **ret_poll) TLY_CHECK;

static bool polls_refused;

int __wrap_tly_poll_new(struct tly_loop *on, int fd, tly_poll_fn ready, void *arg,
                        struct tly_poll **ret_poll)
{
    return polls_refused ? -ENOMEM : __real_tly_poll_new(on, fd, ready, arg, ret_poll);
}

static char folder[TEMP_DIR_MAX];
static char path[TEMP_DIR_MAX + 16];
static struct http_peer *peer;
static struct tly_fetcher *fetcher;

/* What became of one request. */
struct outcome {
    int called; /* how often `done` was */
    int code;
    long status;
    char body[BODY_MAX + 1];
    char error[TLY_ERROR_TEXT_MAX];
    char content_type[64], api_version[64];
    struct tly_buf chunks;
    int opened;
    bool opened_first;       /* before any chunk */
    struct tly_fetch *fetch; /* to be cancelled by a callback */
    struct outcome *then;    /* to be started by a callback */
    bool cancel_on_opened, cancel_on_chunk, free_on_chunk, free_on_done, pause_on_chunk;
};

static int waiting; /* requests whose end the test waits for */

static void copy_text(char *to, size_t cap, struct tly_text text)
{
    (void)snprintf(to, cap, "%.*s", (int)text.len, text.at ? text.at : "");
}

static void start(struct outcome *outcome, const char *target);

static void on_done(void *arg, const struct tly_response *response)
{
    struct outcome *outcome = arg;
    outcome->called++;
    outcome->code = response->code;
    outcome->status = response->status;
    outcome->fetch = NULL;
    assert_non_null(response->error);
    copy_text(outcome->body, sizeof(outcome->body), response->body);
    copy_text(outcome->error, sizeof(outcome->error), tly_text_of(response->error));
    copy_text(outcome->content_type, sizeof(outcome->content_type), response->content_type);
    copy_text(outcome->api_version, sizeof(outcome->api_version), response->api_version);
    if (outcome->then) {
        start(outcome->then, "/then");
    }
    if (outcome->free_on_done) {
        tly_fetcher_free(fetcher);
        fetcher = NULL;
        waiting = 1;
    }
    if (--waiting == 0) {
        tly_loop_stop(loop);
    }
}

static void stop_waiting(void)
{
    if (--waiting == 0) {
        tly_loop_stop(loop);
    }
}

static void on_opened(void *arg)
{
    struct outcome *outcome = arg;
    outcome->opened++;
    outcome->opened_first = outcome->chunks.len == 0;
    if (outcome->cancel_on_opened) {
        tly_fetch_cancel(outcome->fetch);
        stop_waiting();
    }
}

static void on_chunk(void *arg, struct tly_text bytes)
{
    struct outcome *outcome = arg;
    assert_int_equal(tly_buf_append_text(&outcome->chunks, bytes), 0);
    if (outcome->pause_on_chunk) {
        tly_fetch_pause(outcome->fetch);
    }
    if (outcome->cancel_on_chunk) {
        tly_fetch_cancel(outcome->fetch);
        stop_waiting();
    }
    if (outcome->free_on_chunk) {
        tly_fetcher_free(fetcher);
        fetcher = NULL;
        stop_waiting();
    }
}

static struct tly_request_spec spec_of(struct outcome *outcome, const char *target)
{
    tly_buf_init(&outcome->chunks, 1 << 20);
    return (struct tly_request_spec){
        .path = target,
        .timeout_ms = 20000,
        .body_max = BODY_MAX,
        .opened = on_opened,
        .done = on_done,
        .arg = outcome,
    };
}

static void start_spec(struct outcome *outcome, const struct tly_request_spec *spec)
{
    waiting++;
    assert_int_equal(tly_fetch_start(fetcher, spec, &outcome->fetch), 0);
    assert_int_equal(outcome->called, 0); /* never from inside the call */
}

static void start(struct outcome *outcome, const char *target)
{
    struct tly_request_spec spec = spec_of(outcome, target);
    start_spec(outcome, &spec);
}

static void start_stream(struct outcome *outcome, const char *target)
{
    struct tly_request_spec spec = spec_of(outcome, target);
    spec.chunk = on_chunk;
    spec.timeout_ms = 0;
    start_spec(outcome, &spec);
}

static void new_fetcher(const struct tly_endpoint *endpoint)
{
    tly_fetcher_free(fetcher);
    fetcher = NULL;
    assert_int_equal(tly_fetcher_new(loop, endpoint, &fetcher, NULL), 0);
}

/* ---- the peer's answers, by path ---- */

static bool answer_pieces(struct http_talk *talk)
{
    return http_send_text(talk, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") &&
           http_send_chunk(talk, "one ", 4) && http_send_chunk(talk, "two ", 4) &&
           http_send_chunk(talk, "three", 5) && http_send_text(talk, "0\r\nTrailer: x\r\n\r\n");
}

/* More than sockets and buffers hold. */
#define NUMBERS 60000

static bool answer_numbers(struct http_talk *talk)
{
    char line[32];
    bool sent = http_send_text(talk, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; sent && i < NUMBERS; i++) {
        sent = http_send_chunk(talk, line, (size_t)snprintf(line, sizeof(line), "%09d,", i));
    }
    return sent && http_send_text(talk, "0\r\n\r\n");
}

static bool answer(void *arg, struct http_talk *talk, const struct http_request *request)
{
    char echo[4096];
    const char *target = request->target;
    (void)arg;
    if (strcmp(target, "/hang") == 0) {
        http_hang(talk);
        return false;
    }
    if (strcmp(target, "/close") == 0) {
        return false;
    }
    if (strcmp(target, "/half") == 0) {
        http_send_text(talk, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        return false;
    }
    if (strcmp(target, "/garbage") == 0) {
        http_send_text(talk, "\x16\x03\x01 this is no HTTP\r\n\r\n");
        return false;
    }
    if (strcmp(target, "/pieces") == 0) {
        return answer_pieces(talk);
    }
    if (strcmp(target, "/numbers") == 0) {
        return answer_numbers(talk);
    }
    if (strcmp(target, "/endless") == 0) {
        http_send_text(talk, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while (http_send_chunk(talk, echo, sizeof(echo))) {
        }
        return false;
    }
    if (strcmp(target, "/headers-only") == 0) {
        http_send_text(talk, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        http_hang(talk);
        return false;
    }
    if (strcmp(target, "/forbidden") == 0) {
        return http_reply(talk, 403, "Content-Type: text/html\r\n", "<html>no</html>");
    }
    if (strcmp(target, "/hints") == 0) {
        return http_send_text(talk, "HTTP/1.1 103 Early Hints\r\nApi-Version: 9.9\r\n\r\n") &&
               http_reply(talk, 204, "", "");
    }
    if (strcmp(target, "/redirect") == 0) {
        return http_reply(talk, 302, "Location: /then\r\n", "");
    }
    if (strncmp(target, "/size/", 6) == 0) {
        size_t len = strtoul(target + 6, NULL, 10);
        memset(echo, 'x', sizeof(echo));
        return http_reply_bytes(talk, 200, "", echo, len);
    }
    (void)snprintf(echo, sizeof(echo), "%.50s|%.900s", request->body, request->head);
    return http_reply(talk, 200, "content-type:  text/plain \r\nApi-Version: 1.41\r\n", echo);
}

/* ---- set-up ---- */

static int set_up(void **state)
{
    assert_int_equal(make_loop(state), 0);
    temp_dir_make(folder);
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    peer = http_peer_start(path, answer, NULL);
    struct tly_endpoint endpoint = {.base_url = "http://docker", .unix_socket = path};
    new_fetcher(&endpoint);
    waiting = 0;
    return 0;
}

static int tear_down(void **state)
{
    tly_fetcher_free(fetcher);
    fetcher = NULL;
    if (peer) {
        http_peer_stop(peer);
        peer = NULL;
    }
    temp_dir_remove(folder);
    return free_loop(state);
}

/* ---- tests ---- */

static void test_get(void **state)
{
    (void)state;
    struct outcome outcome = {0};
    start(&outcome, "/v1.41/info?a=b%20c");
    run();
    assert_int_equal(outcome.called, 1);
    assert_int_equal(outcome.code, 0);
    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.content_type, "text/plain");
    assert_string_equal(outcome.api_version, "1.41");
    assert_string_equal(outcome.error, "");
    assert_int_equal(outcome.opened, 1);
    assert_non_null(strstr(outcome.body, "|GET /v1.41/info?a=b%20c HTTP/1.1\r\n"));
    assert_non_null(strstr(outcome.body, "\r\nUser-Agent: tallyman/"));
    assert_non_null(strstr(outcome.body, "\r\nHost: docker\r\n"));
    assert_null(strstr(outcome.body, "Authorization"));
}

static void test_tcp_post_and_authentication(void **state)
{
    (void)state;
    char url[64];
    struct http_peer *tcp = http_peer_start(NULL, answer, NULL);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/base", http_peer_port(tcp));
    struct tly_endpoint endpoint = {.base_url = url, .basic_auth = "user:secret"};
    new_fetcher(&endpoint);
    struct outcome post = {0};
    struct tly_request_spec spec = spec_of(&post, "/alerts");
    char body[] = "[{\"a\":\"\xc3\xa4\"}]";
    spec.post_body = body;
    start_spec(&post, &spec);
    body[0] = 'X'; /* it was copied */
    run();
    assert_non_null(strstr(post.body, "[{\"a\":\"\xc3\xa4\"}]|POST /base/alerts HTTP/1.1\r\n"));
    assert_non_null(strstr(post.body, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(post.body, "\r\nAuthorization: Basic dXNlcjpzZWNyZXQ=\r\n"));
    assert_null(strstr(post.body, "Expect:"));

    endpoint = (struct tly_endpoint){.base_url = url, .bearer = "token"};
    new_fetcher(&endpoint);
    struct outcome get = {0};
    start(&get, "/x");
    run();
    assert_non_null(strstr(get.body, "\r\nAuthorization: Bearer token\r\n"));
    tly_fetcher_free(fetcher);
    fetcher = NULL;
    http_peer_stop(tcp);
}

static void test_replies(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        int code;
        long status;
        int opened;
    } rows[] = {
        {"/forbidden", 0, 403, 0},
        {"/redirect", 0, 302, 0}, /* never followed */
        {"/hints", 0, 204, 1},
        {"/size/0", 0, 200, 1},
        {"/size/1000", 0, 200, 1},
        {"/size/1001", TLY_E_LIMIT, 200, 1},
        {"/endless", TLY_E_LIMIT, 200, 1},
        {"/close", TLY_E_CLOSED, 0, 0},
        {"/half", TLY_E_CLOSED, 200, 1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct outcome outcome = {0};
        start(&outcome, rows[i].target);
        run();
        if (outcome.code != rows[i].code || outcome.status != rows[i].status ||
            outcome.opened != rows[i].opened) {
            fail_msg("%s: code %d (%s), status %ld, opened %d", rows[i].target, outcome.code,
                     outcome.error, outcome.status, outcome.opened);
        }
        assert_int_equal(outcome.error[0] == '\0', outcome.code == 0);
        assert_string_equal(outcome.api_version, "");
    }
    struct outcome garbage = {0};
    start(&garbage, "/garbage");
    run();
    assert_true(garbage.code < 0);
}

static void test_time_limit(void **state)
{
    (void)state;
    struct outcome outcome = {0};
    struct tly_request_spec spec = spec_of(&outcome, "/hang");
    spec.timeout_ms = 50;
    start_spec(&outcome, &spec);
    run();
    assert_int_equal(outcome.code, TLY_E_TIMEOUT);
    assert_true(outcome.error[0] != '\0');
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct outcome missing = {0};
    char other[sizeof(path) + 8];
    (void)snprintf(other, sizeof(other), "%s-not", path);
    struct tly_endpoint endpoint = {.base_url = "http://docker", .unix_socket = other};
    new_fetcher(&endpoint);
    start(&missing, "/x");
    run();
    assert_int_equal(missing.code, -ENOENT);
    assert_non_null(strstr(missing.error, other));

    /* The socket of an engine that is no more. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", other);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    struct outcome stale = {0};
    start(&stale, "/x");
    run();
    assert_int_equal(stale.code, -ECONNREFUSED);

    endpoint = (struct tly_endpoint){.base_url = "http://127.0.0.1:1"};
    new_fetcher(&endpoint);
    struct outcome closed = {0};
    start(&closed, "/x");
    run();
    assert_int_equal(closed.code, -ECONNREFUSED);
    assert_string_equal(closed.error, tly_error_name(-ECONNREFUSED));

    endpoint = (struct tly_endpoint){.base_url = "http://host.invalid:1"};
    new_fetcher(&endpoint);
    struct outcome nameless = {0};
    start(&nameless, "/x");
    run();
    assert_int_equal(nameless.code, -EHOSTUNREACH);
}

static void test_stream(void **state)
{
    (void)state;
    struct outcome pieces = {0};
    start_stream(&pieces, "/pieces");
    run();
    assert_int_equal(pieces.code, 0);
    assert_int_equal(pieces.opened, 1);
    assert_true(pieces.opened_first);
    expect_text(tly_buf_text(&pieces.chunks), "one two three");
    assert_string_equal(pieces.body, "");
    tly_buf_done(&pieces.chunks);

    /* What is no success is a body, so that the reason can be read. */
    struct outcome forbidden = {0};
    start_stream(&forbidden, "/forbidden");
    run();
    assert_int_equal(forbidden.opened, 0);
    assert_int_equal(forbidden.chunks.len, 0);
    assert_string_equal(forbidden.body, "<html>no</html>");
}

/* Without a descriptor here nobody has refused anything. */
static void test_no_descriptor(void **state)
{
    (void)state;
    const char *const urls[] = {"http://127.0.0.1:1", "http://docker"};
    for (size_t i = 0; i < ROWS(urls); i++) {
        struct rlimit limit;
        struct outcome outcome = {0};
        struct tly_endpoint endpoint = {.base_url = urls[i], .unix_socket = i ? path : NULL};
        new_fetcher(&endpoint);
        start(&outcome, "/x");
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, limit.rlim_max}), 0);
        run();
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_not_equal(outcome.code, -ECONNREFUSED);
        assert_true(outcome.error[0] != '\0');
        assert_null(strstr(outcome.error, tly_error_name(-ECONNREFUSED)));
    }
}

/* Without memory to watch a socket its request ends, and no other: curl itself would take none any
 * more while one of them lives. */
static void test_unwatched(void **state)
{
    (void)state;
    struct outcome before = {0};
    struct outcome refused = {0};
    struct outcome after = {0};
    start(&before, "/hang");
    polls_refused = true;
    start(&refused, "/x");
    tly_fetch_cancel(before.fetch);
    waiting--;
    run();
    polls_refused = false;
    assert_int_equal(refused.called, 1);
    assert_int_equal(refused.code, -ENOMEM);
    start(&after, "/x");
    run();
    assert_int_equal(after.called, 1);
    assert_int_equal(after.status, 200);
}

static void test_cancel(void **state)
{
    (void)state;
    /* Before it began, and while the peer says nothing. */
    struct outcome early = {0};
    start(&early, "/x");
    tly_fetch_cancel(early.fetch);
    struct outcome waits = {0};
    start_stream(&waits, "/headers-only");
    waiting = 0;
    while (waits.opened == 0) {
        run_briefly();
    }
    assert_int_equal(early.called, 0);
    assert_int_equal(waits.called, 0);
    assert_int_equal(waits.opened, 1);
    tly_fetch_cancel(waits.fetch);
    tly_fetch_cancel(NULL);
    run_briefly();
    assert_int_equal(waits.called, 0);
}

static void test_cancel_inside_callbacks(void **state)
{
    (void)state;
    struct outcome at_opened = {.cancel_on_opened = true};
    start_stream(&at_opened, "/endless");
    struct outcome at_chunk = {.cancel_on_chunk = true};
    start_stream(&at_chunk, "/endless");
    run();
    run_briefly();
    assert_int_equal(at_opened.called, 0);
    assert_int_equal(at_opened.chunks.len, 0);
    assert_int_equal(at_chunk.called, 0);
    assert_true(at_chunk.chunks.len > 0);
    tly_buf_done(&at_chunk.chunks);
}

static void test_pause(void **state)
{
    (void)state;
    struct outcome numbers = {.pause_on_chunk = true};
    start_stream(&numbers, "/numbers");
    size_t pauses = 0;
    while (numbers.called == 0) {
        size_t before = numbers.chunks.len;
        waiting++; /* of the run that is to be brief */
        run_briefly();
        waiting--;
        assert_true(numbers.chunks.len - before <= 16384);
        if (numbers.called == 0) {
            tly_fetch_resume(numbers.fetch);
            pauses++;
        }
    }
    assert_int_equal(numbers.code, 0);
    assert_true(pauses >= (size_t)NUMBERS * 10 / 16384);
    assert_int_equal(numbers.chunks.len, (size_t)NUMBERS * 10);
    for (int i = 0; i < NUMBERS; i++) {
        char line[32];
        (void)snprintf(line, sizeof(line), "%09d,", i);
        assert_memory_equal(numbers.chunks.at + (ptrdiff_t)i * 10, line, 10);
    }
    tly_buf_done(&numbers.chunks);

    /* Cancelled, and freed with its fetcher, while curl holds some. */
    struct outcome held = {.pause_on_chunk = true};
    struct outcome left = {.pause_on_chunk = true};
    start_stream(&held, "/endless");
    start_stream(&left, "/endless");
    while (held.chunks.len == 0) { /* a busy machine takes longer to connect */
        assert_int_equal(held.called, 0);
        run_briefly();
    }
    tly_fetch_resume(held.fetch);
    tly_fetch_cancel(held.fetch);
    run_briefly();
    tly_fetcher_free(fetcher);
    fetcher = NULL;
    assert_int_equal(held.called + left.called, 0);
    tly_buf_done(&held.chunks);
    tly_buf_done(&left.chunks);
}

static void test_start_inside_done(void **state)
{
    (void)state;
    struct outcome second = {0};
    struct outcome first = {.then = &second};
    start(&first, "/x");
    run();
    assert_int_equal(second.called, 1);
    assert_non_null(strstr(second.body, "GET /then"));
}

static void test_free_inside_callbacks(void **state)
{
    (void)state;
    struct outcome other = {0};
    struct outcome chunk = {.free_on_chunk = true};
    start(&other, "/hang");
    start_stream(&chunk, "/endless");
    waiting = 1;
    run();
    assert_null(fetcher);
    run_briefly();
    assert_int_equal(chunk.called, 0);
    assert_int_equal(other.called, 0);
    tly_buf_done(&chunk.chunks);

    struct tly_endpoint endpoint = {.base_url = "http://docker", .unix_socket = path};
    new_fetcher(&endpoint);
    struct outcome done = {.free_on_done = true};
    start(&other, "/hang");
    start(&done, "/x");
    run();
    run_briefly();
    assert_null(fetcher);
    assert_int_equal(done.called, 1);
    assert_int_equal(other.called, 0);
}

/* Far more at once than connections are kept, then again over those that were. */
static void test_many(void **state)
{
    (void)state;
    static struct outcome many[100];
    for (int round = 0; round < 2; round++) {
        memset(many, 0, sizeof(many));
        for (size_t i = 0; i < ROWS(many); i++) {
            start(&many[i], "/x");
        }
        run();
        for (size_t i = 0; i < ROWS(many); i++) {
            assert_int_equal(many[i].called, 1);
            assert_int_equal(many[i].status, 200);
        }
    }
}

/* A peer that was replaced between two requests: the kept connection is dead, a new one serves. */
static void test_peer_restarts(void **state)
{
    (void)state;
    struct outcome before = {0};
    start(&before, "/x");
    run();
    http_peer_stop(peer);
    struct outcome between = {0};
    start(&between, "/x");
    run();
    assert_int_equal(between.code, -ENOENT);
    peer = http_peer_start(path, answer, NULL);
    struct outcome after = {0};
    start(&after, "/x");
    run();
    assert_int_equal(after.status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_get, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tcp_post_and_authentication, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_time_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unwatched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_inside_callbacks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_start_inside_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_free_inside_callbacks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_restarts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
