/*
 * An HTTP server for tests, on threads of its own: a handler answers each request as it likes,
 * slowly, in pieces, wrongly or never. It listens on a Unix socket or on a TCP port of the loopback
 * interface.
 */
#ifndef TLY_TESTS_HTTP_PEER_H
#define TLY_TESTS_HTTP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_peer;
struct http_talk; /* one connection, as the handler sees it */

struct http_request {
    char method[16];
    char target[2048]; /* path with query */
    char head[8192];   /* request line and headers */
    char body[4096];   /* as much as fits */
};

/* Runs on the connection's thread. Returning true keeps the connection for the next request. */
typedef bool (*http_handler)(void *arg, struct http_talk *talk, const struct http_request *request);

/* `unix_path` NULL: TCP. Fails the test when it can't listen. */
struct http_peer *http_peer_start(const char *unix_path, http_handler handler, void *arg);
uint16_t http_peer_port(const struct http_peer *peer);
/* Closes every connection, waits for the threads. */
void http_peer_stop(struct http_peer *peer);

/* All bytes; false when the client is gone or the server stops. */
bool http_send(struct http_talk *talk, const void *bytes, size_t len);
bool http_send_text(struct http_talk *talk, const char *text);
/* A whole reply. `headers` are further lines, each with CRLF, or "". */
bool http_reply(struct http_talk *talk, int status, const char *headers, const char *body);
bool http_reply_bytes(struct http_talk *talk, int status, const char *headers, const void *body,
                      size_t len);
/* One chunk of a reply with Transfer-Encoding: chunked. */
bool http_send_chunk(struct http_talk *talk, const void *bytes, size_t len);
/* Says nothing until the client closes or the server stops. */
void http_hang(struct http_talk *talk);

#endif
