/*
 * The tests' HTTP server; see http_peer.h. One thread accepts, one serves each connection, with
 * blocking calls; stopping shuts the sockets down, which ends every such call.
 */
#include "tests/unit/docker/http_peer.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096 /* over the life of one server */

struct http_talk {
    struct http_peer *peer;
    int fd;
    pthread_t thread;
    size_t len; /* bytes read and not yet used */
    char bytes[16384];
};

struct http_peer {
    int fd;
    uint16_t port;
    char path[108];
    http_handler handler;
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    bool stopping;
    struct http_talk *talks[CONNECTIONS_MAX];
    size_t talk_count;
};

bool http_send(struct http_talk *talk, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t sent = send(talk->fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += sent;
        len -= (size_t)sent;
    }
    return true;
}

bool http_send_text(struct http_talk *talk, const char *text)
{
    return http_send(talk, text, strlen(text));
}

bool http_reply_bytes(struct http_talk *talk, int status, const char *headers, const void *body,
                      size_t len)
{
    char head[2048];
    (void)snprintf(head, sizeof(head), "HTTP/1.1 %d Some Words\r\n%sContent-Length: %zu\r\n\r\n",
                   status, headers, len);
    return http_send_text(talk, head) && http_send(talk, body, len);
}

bool http_reply(struct http_talk *talk, int status, const char *headers, const char *body)
{
    return http_reply_bytes(talk, status, headers, body, strlen(body));
}

bool http_send_chunk(struct http_talk *talk, const void *bytes, size_t len)
{
    char size[32];
    (void)snprintf(size, sizeof(size), "%zx\r\n", len);
    return http_send_text(talk, size) && http_send(talk, bytes, len) &&
           http_send_text(talk, "\r\n");
}

/* More of what the client sends; false at its end. */
static bool receive(struct http_talk *talk)
{
    if (talk->len == sizeof(talk->bytes) - 1) {
        return false;
    }
    ssize_t got = recv(talk->fd, talk->bytes + talk->len, sizeof(talk->bytes) - 1 - talk->len, 0);
    if (got <= 0) {
        return false;
    }
    talk->len += (size_t)got;
    talk->bytes[talk->len] = '\0';
    return true;
}

void http_hang(struct http_talk *talk)
{
    talk->len = 0;
    while (receive(talk)) {
        talk->len = 0;
    }
}

static size_t body_len_of(const char *head)
{
    for (const char *line = head; line; line = strchr(line, '\n')) {
        line += *line == '\n' ? 1 : 0;
        if (strncasecmp(line, "Content-Length:", strlen("Content-Length:")) == 0) {
            return strtoul(line + strlen("Content-Length:"), NULL, 10);
        }
    }
    return 0;
}

static void drop(struct http_talk *talk, size_t len)
{
    talk->len -= len;
    memmove(talk->bytes, talk->bytes + len, talk->len);
}

/* Takes all of it, keeps what fits. */
static bool read_body(struct http_talk *talk, size_t len, struct http_request *request)
{
    size_t kept = 0;
    while (len > 0) {
        if (talk->len == 0 && !receive(talk)) {
            return false;
        }
        size_t taken = talk->len < len ? talk->len : len;
        size_t room = sizeof(request->body) - 1 - kept;
        size_t copied = taken < room ? taken : room;
        memcpy(request->body + kept, talk->bytes, copied);
        kept += copied;
        drop(talk, taken);
        len -= taken;
    }
    return true;
}

static bool read_request(struct http_talk *talk, struct http_request *request)
{
    memset(request, 0, sizeof(*request));
    talk->bytes[talk->len] = '\0';
    char *end = NULL;
    while (!(end = strstr(talk->bytes, "\r\n\r\n"))) {
        if (!receive(talk)) {
            return false;
        }
    }
    size_t head_len = (size_t)(end - talk->bytes) + 4;
    (void)snprintf(request->head, sizeof(request->head), "%.*s", (int)head_len, talk->bytes);
    if (sscanf(talk->bytes, "%15s %2047s", request->method, request->target) != 2) {
        return false;
    }
    drop(talk, head_len);
    return read_body(talk, body_len_of(request->head), request);
}

static void *serve(void *arg)
{
    struct http_talk *talk = arg;
    struct http_request *request = malloc(sizeof(*request));
    while (request && read_request(talk, request) &&
           talk->peer->handler(talk->peer->arg, talk, request)) {
    }
    free(request);
    (void)shutdown(talk->fd, SHUT_RDWR); /* closed when the server stops: its number stays ours */
    return NULL;
}

static bool talk_start(struct http_peer *peer, int fd)
{
    struct http_talk *talk = calloc(1, sizeof(*talk));
    if (!talk) {
        return false;
    }
    talk->peer = peer;
    talk->fd = fd;
    bool started = false;
    pthread_mutex_lock(&peer->lock);
    if (!peer->stopping && peer->talk_count < CONNECTIONS_MAX &&
        pthread_create(&talk->thread, NULL, serve, talk) == 0) {
        peer->talks[peer->talk_count++] = talk;
        started = true;
    }
    pthread_mutex_unlock(&peer->lock);
    if (!started) {
        free(talk);
    }
    return started;
}

static void *listen_on(void *arg)
{
    struct http_peer *peer = arg;
    for (;;) {
        int fd = accept4(peer->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            return NULL; /* the listening socket was shut down */
        }
        if (!talk_start(peer, fd)) {
            close(fd);
        }
    }
}

static void bind_unix(struct http_peer *peer, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path); /* fits, by the line above */
    strcpy(peer->path, path);
    (void)unlink(path); /* a server that was there before */
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->fd >= 0);
    assert_int_equal(bind(peer->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void bind_tcp(struct http_peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->fd >= 0);
    assert_int_equal(bind(peer->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(peer->fd, (struct sockaddr *)&address, &len), 0);
    peer->port = ntohs(address.sin_port);
}

struct http_peer *http_peer_start(const char *unix_path, http_handler handler, void *arg)
{
    struct http_peer *peer = calloc(1, sizeof(*peer));
    assert_non_null(peer);
    peer->handler = handler;
    peer->arg = arg;
    assert_int_equal(pthread_mutex_init(&peer->lock, NULL), 0);
    if (unix_path) {
        bind_unix(peer, unix_path);
    } else {
        bind_tcp(peer);
    }
    assert_int_equal(listen(peer->fd, 128), 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, listen_on, peer), 0);
    return peer;
}

uint16_t http_peer_port(const struct http_peer *peer)
{
    return peer->port;
}

void http_peer_stop(struct http_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    peer->stopping = true;
    for (size_t i = 0; i < peer->talk_count; i++) {
        (void)shutdown(peer->talks[i]->fd, SHUT_RDWR); /* may be shut already */
    }
    pthread_mutex_unlock(&peer->lock);
    (void)shutdown(peer->fd, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    for (size_t i = 0; i < peer->talk_count; i++) {
        pthread_join(peer->talks[i]->thread, NULL);
        close(peer->talks[i]->fd);
        free(peer->talks[i]);
    }
    close(peer->fd);
    if (peer->path[0]) {
        (void)unlink(peer->path); /* another may have replaced it */
    }
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}
