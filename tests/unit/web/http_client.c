/*
 * The test client. Replies are read byte by byte up to the end of the header, then as long as
 * Content-Length says, or to the end of the connection without it.
 */
#include "tests/unit/web/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_S 10

void http_reply_done(struct http_reply *reply)
{
    free(reply->body);
    *reply = (struct http_reply){0};
}

int http_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

bool http_send(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += sent;
        len -= (size_t)sent;
    }
    return true;
}

bool http_send_text(int fd, const char *text)
{
    return http_send(fd, text, strlen(text));
}

static bool head_read(int fd, struct http_reply *reply)
{
    size_t len = 0;
    while (len < sizeof(reply->head) - 1) {
        if (recv(fd, reply->head + len, 1, 0) != 1) {
            return false;
        }
        len++;
        reply->head[len] = '\0';
        if (len >= 4 && memcmp(reply->head + len - 4, "\r\n\r\n", 4) == 0) {
            return true;
        }
    }
    return false;
}

/* `len` bytes, or all up to the end. */
static bool body_read(int fd, struct http_reply *reply, size_t len)
{
    size_t cap = 0;
    while (reply->body_len < len) {
        if (reply->body_len + 1 >= cap) {
            cap = cap == 0 ? 4096 : cap * 2;
            char *grown = realloc(reply->body, cap);
            if (grown == NULL) {
                return false;
            }
            reply->body = grown;
        }
        size_t want = cap - 1 - reply->body_len;
        want = want < len - reply->body_len ? want : len - reply->body_len;
        ssize_t got = recv(fd, reply->body + reply->body_len, want, 0);
        if (got <= 0) {
            reply->body[reply->body_len] = '\0';
            return got == 0 && len == SIZE_MAX;
        }
        reply->body_len += (size_t)got;
        reply->body[reply->body_len] = '\0';
    }
    return true;
}

bool http_read(int fd, struct http_reply *reply, bool head_only)
{
    http_reply_done(reply);
    if (!head_read(fd, reply) || strncmp(reply->head, "HTTP/1.", 7) != 0) {
        return false;
    }
    char value[HTTP_VALUE_MAX];
    size_t len = SIZE_MAX;
    if (http_header(reply, "Content-Length", value)[0] != '\0') {
        len = strtoul(value, NULL, 10);
    }
    if (!head_only && !body_read(fd, reply, len)) {
        return false;
    }
    reply->status = (int)strtol(reply->head + strlen("HTTP/1.x "), NULL, 10);
    return true;
}

const char *http_header(const struct http_reply *reply, const char *name, char to[HTTP_VALUE_MAX])
{
    to[0] = '\0';
    for (const char *line = strstr(reply->head, "\r\n"); line != NULL;
         line = strstr(line + 2, "\r\n")) {
        size_t len = strlen(name);
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':') {
            const char *value = line + 2 + len + 1;
            value += strspn(value, " ");
            (void)snprintf(to, HTTP_VALUE_MAX, "%.*s", (int)strcspn(value, "\r"), value);
            return to;
        }
    }
    return to;
}

bool http_is_closed(int fd)
{
    char byte;
    ssize_t got;
    do {
        got = recv(fd, &byte, 1, 0);
    } while (got > 0);
    return got == 0;
}

bool http_ask(uint16_t port, const char *request, struct http_reply *reply)
{
    int fd = http_connect(port);
    if (fd < 0) {
        return false;
    }
    bool ok = http_send_text(fd, request) &&
              http_read(fd, reply, strncmp(request, "HEAD ", 5) == 0);
    close(fd);
    return ok;
}
