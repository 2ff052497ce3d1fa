/*
 * Bytes sent to the real server: whatever they are, the connection must be answered or closed, the
 * server must live on, and no request may be left behind. The first byte of the input says where
 * the rest is cut in two, because a request may arrive in pieces; its lowest bit, whether a
 * password is asked for. The right one opens the door, and the routes' own bytes never come without
 * it.
 */
#include "agent/web/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What fits into the socket's buffer whatever its settings are. */
#define INPUT_MAX (32U << 10)
/* The server's time-out for a header, and when it must have ended the connection at the latest. */
#define HEADER_MS 20
#define GUARD_MS  5000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    struct tly_loop *loop;
    struct tly_web *web;
    struct tly_defer *turn; /* lets the loop run for one turn */
    struct tly_defer *later;
    struct tly_timer *guard;
    struct tly_http_request *held[64]; /* pipelined requests are handled one by one: 1 is enough */
    size_t held_count;
    int client;
    struct tly_web_policy *policy; /* with a user; the cheapest hash that there is */
    bool asks;                     /* for a password */
} server;

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Basic user:U*U */
#define RIGHT "dXNlcjpVKlU="

/* A handler was reached: then nothing was asked for, or the right password was there. */
static void reached(const struct tly_http_request *request)
{
    struct tly_text header = tly_http_header(request, "Authorization");
    must(!server.asks ||
         (header.at != NULL && memmem(header.at, header.len, RIGHT, strlen(RIGHT)) != NULL));
}

static void now_handle(void *self, struct tly_http_request *request)
{
    (void)self;
    reached(request);
    must(tly_http_path(request).len > 0);
    (void)tly_http_query(request, "q");
    struct tly_buf body;
    tly_buf_init(&body, 64);
    must(tly_buf_printf(&body, "now\n") == 0);
    tly_http_answer(request, 200, "text/plain", &body);
    tly_buf_done(&body);
}

static void later_handle(void *self, struct tly_http_request *request)
{
    (void)self;
    reached(request);
    must(server.held_count < sizeof(server.held) / sizeof(server.held[0]));
    server.held[server.held_count++] = request;
    tly_defer_call(server.later);
}

static void later_due(void *arg)
{
    (void)arg;
    while (server.held_count > 0) {
        tly_http_answer(server.held[--server.held_count], 200, NULL, NULL);
    }
}

static void turn_over(void *arg)
{
    tly_loop_stop(arg);
}

static void guard_fired(void *arg)
{
    (void)arg;
    abort(); /* the connection was neither answered to its end nor closed */
}

static void client_ready(void *arg, int error, int events)
{
    (void)events;
    char scratch[4096];
    ssize_t got;
    do {
        got = recv(server.client, scratch, sizeof(scratch), MSG_DONTWAIT);
    } while (got > 0);
    /* An error is a close while bytes of ours were unread. */
    if (error < 0 || got == 0 || errno != EAGAIN) {
        tly_loop_stop(arg);
    }
}

static void server_start(void)
{
    static const struct tly_route routes[] = {
        {.path = "/now", .handle = now_handle, .title = "Now"},
        {.path = "/later/*", .handle = later_handle},
    };
    struct tly_web_settings settings = {.connections_max = 8};
    struct tly_error err;
    tly_log_set_level(TLY_LOG_ERROR);
    must(tly_loop_new(&server.loop) == 0);
    must(tly_web_new(server.loop, &settings, &server.web, &err) == 0);
    static const char users[] =
        "basic_auth_users: {user: $2a$04$CCCCCCCCCCCCCCCCCCCCC.K7Qr0se1MxuggH4aP4YgB.U2Em1pGSK}\n"
        "http_server_config: {headers: {X-Frame-Options: deny}}\n";
    static struct tly_complaints complaints;
    must(tly_web_policy_parse(users, strlen(users), &complaints, &server.policy) == 0);
    server.web->limits.header_ms = HEADER_MS;
    server.web->limits.idle_ms = HEADER_MS;
    must(tly_web_add(server.web, &routes[0], NULL) == 0);
    must(tly_web_add(server.web, &routes[1], NULL) == 0);
    must(tly_web_start(server.web, &err) == 0);
    must(tly_defer_new(server.loop, turn_over, server.loop, &server.turn) == 0);
    must(tly_defer_new(server.loop, later_due, NULL, &server.later) == 0);
    must(tly_timer_new(server.loop, guard_fired, NULL, &server.guard) == 0);
}

static void one_turn(void)
{
    tly_defer_call(server.turn);
    tly_loop_run(server.loop);
}

/* What the server took no longer may fail: it may have closed by then. */
static void client_send(const uint8_t *bytes, size_t len)
{
    if (len > 0) {
        (void)send(server.client, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (server.loop == NULL) {
        server_start();
    }
    if (size < 1 || size > INPUT_MAX) {
        return 0;
    }
    size_t len = size - 1;
    server.asks = (data[0] & 1) != 0;
    server.web->policy = server.asks ? server.policy : NULL;
    size_t cut = len * data[0] / UINT8_MAX;
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    server.client = pair[0];
    tly_web_adopt(server.web, pair[1], (const struct sockaddr *)&name, sizeof(sa_family_t));
    tly_web_run(server.web);

    client_send(data + 1, cut);
    one_turn();
    client_send(data + 1 + cut, len - cut);
    (void)shutdown(server.client, SHUT_WR);
    struct tly_poll *poll;
    must(tly_poll_new(server.loop, server.client, client_ready, server.loop, &poll) == 0);
    must(tly_poll_start(poll, TLY_READABLE) == 0);
    tly_timer_start(server.guard, GUARD_MS, 0);
    tly_loop_run(server.loop);
    tly_timer_stop(server.guard);
    tly_poll_free(poll);
    close(server.client);
    one_turn(); /* libuv closes the poll handle */
    must(server.web->live == 0);
    must(server.web->answer_bytes == 0);
    return 0;
}
