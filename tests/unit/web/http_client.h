/*
 * A blocking HTTP client on real sockets, for tests. It runs on a worker while the loop serves, and
 * asserts nothing there: what it saw is looked at afterwards.
 */
#ifndef TESTS_UNIT_WEB_HTTP_CLIENT_H
#define TESTS_UNIT_WEB_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_reply {
    int status; /* 0: the connection ended without a whole reply */
    char head[4096];
    char *body; /* owned, NUL-terminated */
    size_t body_len;
};

void http_reply_done(struct http_reply *reply);

/* A connection to 127.0.0.1, or -1. Nothing waits longer than ten seconds. */
int http_connect(uint16_t port);
bool http_send(int fd, const void *bytes, size_t len);
bool http_send_text(int fd, const char *text);

/* Reads one reply; `head_only` for those to a HEAD request. True when it is whole. */
bool http_read(int fd, struct http_reply *reply, bool head_only);

/* The value of a header of the reply, copied into `to`; "" when it is absent. */
#define HTTP_VALUE_MAX 256
const char *http_header(const struct http_reply *reply, const char *name, char to[HTTP_VALUE_MAX]);

/* True when the server has closed: no more bytes come. */
bool http_is_closed(int fd);

/* Connects, sends `request`, reads one reply, closes. */
bool http_ask(uint16_t port, const char *request, struct http_reply *reply);

#endif
