/*
 * Listening sockets. They are ours, not libmicrohttpd's, so that several addresses, Unix sockets
 * and sockets handed over by systemd are all the same to the server, and so that an error can say
 * what to do about it.
 */
#include "agent/base/file.h"
#include "agent/web/server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The owner and the group; others would read every container's name and figures. */
#define UNIX_SOCKET_MODE 0660

static int bind_error(const struct tly_address *address, int code, struct tly_error *err)
{
    char text[TLY_ADDRESS_TEXT_MAX];
    tly_address_format(address, text);
    switch (code) {
    case -EADDRINUSE:
        if (address->path[0] != '\0') {
            return tly_error_set(err, code,
                                 "%s: another program listens there already; stop it, or give "
                                 "another path in web.listen",
                                 text);
        }
        return tly_error_set(err, code,
                             "%s: the port is in use by another program, which `ss -ltnp sport = "
                             ":%u` names; stop it, or give another port in web.listen",
                             text, address->port);
    case -EACCES:
        return tly_error_set(err, code,
                             "%s: no permission to listen there; ports below 1024 need "
                             "CAP_NET_BIND_SERVICE, a Unix socket a folder that can be written to",
                             text);
    case -EADDRNOTAVAIL:
        return tly_error_set(err, code,
                             "%s: this host has no such address; give one that `ip address` shows, "
                             "or only the port for all of them",
                             text);
    default:
        return tly_error_set(err, code, "%s: can't listen there: %s", text, tly_error_name(code));
    }
}

/* Options, bind, listen; -errno. */
static int socket_bind(int fd, const struct sockaddr *address, socklen_t len, bool v6_only)
{
    int yes = 1;
    int only = v6_only;
    if (address->sa_family != AF_UNIX &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0) {
        return -errno;
    }
    if (address->sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) < 0) {
        return -errno;
    }
    if (bind(fd, address, len) < 0) {
        return -errno;
    }
    /* Between bind and listen nobody can connect yet. */
    const struct sockaddr_un *local = (const struct sockaddr_un *)(const void *)address;
    if (address->sa_family == AF_UNIX && chmod(local->sun_path, UNIX_SOCKET_MODE) < 0) {
        return -errno;
    }
    return listen(fd, SOMAXCONN) < 0 ? -errno : 0;
}

/* A new socket that listens there. `v6_only` concerns IPv6 only. */
static int socket_open(const struct sockaddr *address, socklen_t len, bool v6_only, int *ret_fd)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int rc = socket_bind(fd, address, len, v6_only);
    if (rc < 0) {
        tly_fd_close(&fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

/* True for a socket that a program left behind: it is there, and nobody accepts. */
static bool is_left_behind(const struct sockaddr_un *address)
{
    struct stat info;
    if (lstat(address->sun_path, &info) < 0 || !S_ISSOCK(info.st_mode)) {
        return false;
    }
    TLY_AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd >= 0 &&
           connect(fd, (const struct sockaddr *)(const void *)address, sizeof(*address)) < 0 &&
           errno == ECONNREFUSED;
}

static int listen_unix(const struct tly_address *address, int *ret_fd)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    _Static_assert(sizeof(name.sun_path) >= sizeof(address->path), "paths fit");
    memcpy(name.sun_path, address->path, sizeof(address->path));
    const struct sockaddr *plain = (const struct sockaddr *)(const void *)&name;
    int rc = socket_open(plain, sizeof(name), false, ret_fd);
    if (rc == -EADDRINUSE && is_left_behind(&name)) {
        if (unlink(name.sun_path) < 0) {
            return -errno;
        }
        rc = socket_open(plain, sizeof(name), false, ret_fd);
    }
    return rc;
}

/* Every interface: one socket for both families, or for IPv4 where the kernel has no IPv6. */
static int listen_any(uint16_t port, int *ret_fd)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int rc = socket_open((const struct sockaddr *)(const void *)&v6, sizeof(v6), false, ret_fd);
    if (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
        rc = socket_open((const struct sockaddr *)(const void *)&v4, sizeof(v4), false, ret_fd);
    }
    return rc;
}

/* The first address of the name that can be bound. */
static int listen_host(const struct tly_address *address, int *ret_fd, struct tly_error *err)
{
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", address->port); /* five digits at most */
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int lookup = getaddrinfo(address->host, port, &hints, &found);
    if (lookup != 0) {
        return tly_error_set(err, -EADDRNOTAVAIL, "%s: no address for that name: %s", address->host,
                             gai_strerror(lookup));
    }
    int rc = -EADDRNOTAVAIL;
    for (const struct addrinfo *at = found; at != NULL && rc < 0; at = at->ai_next) {
        rc = socket_open(at->ai_addr, at->ai_addrlen, true, ret_fd);
    }
    freeaddrinfo(found);
    return rc < 0 ? bind_error(address, rc, err) : 0;
}

uint16_t tly_web_socket_port(int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof(name);
    if (getsockname(fd, (struct sockaddr *)&name, &len) < 0) {
        return 0;
    }
    if (name.ss_family == AF_INET) {
        return ntohs(((const struct sockaddr_in *)&name)->sin_port);
    }
    return name.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)&name)->sin6_port) : 0;
}

int tly_web_listen(const struct tly_address *address, int *ret_fd, uint16_t *ret_port,
                   struct tly_error *err)
{
    int fd = -1;
    int rc;
    if (address->path[0] != '\0') {
        rc = listen_unix(address, &fd);
    } else if (address->host[0] == '\0') {
        rc = listen_any(address->port, &fd);
    } else {
        rc = listen_host(address, &fd, err);
        if (rc < 0) {
            return rc;
        }
    }
    if (rc < 0) {
        return bind_error(address, rc, err);
    }
    *ret_fd = fd;
    *ret_port = tly_web_socket_port(fd);
    return 0;
}

void tly_web_socket_name(int fd, char to[TLY_ADDRESS_TEXT_MAX])
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof(name);
    struct tly_address address = {.port = 0};
    const struct sockaddr *plain = (const struct sockaddr *)&name;
    if (getsockname(fd, (struct sockaddr *)&name, &len) < 0) {
        (void)snprintf(to, TLY_ADDRESS_TEXT_MAX, "a socket"); /* fits */
        return;
    }
    if (name.ss_family == AF_UNIX) {
        const struct sockaddr_un *local = (const struct sockaddr_un *)&name;
        memcpy(address.path, local->sun_path, sizeof(address.path) - 1);
        /* An abstract name begins with a NUL, and people write it as `@`. */
        address.path[0] = address.path[0] == '\0' ? '@' : address.path[0];
    } else {
        address.port = tly_web_socket_port(fd);
        /* Then the host stays empty, which stands for any. */
        (void)getnameinfo(plain, len, address.host, sizeof(address.host), NULL, 0, NI_NUMERICHOST);
    }
    tly_address_format(&address, to);
}

bool tly_web_is_local(int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof(name);
    if (getsockname(fd, (struct sockaddr *)&name, &len) < 0) {
        return false;
    }
    if (name.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&name;
        return ntohl(v4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
    }
    if (name.ss_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&name)->sin6_addr);
    }
    return true;
}

void tly_web_unlisten(struct tly_web_listener *listener)
{
    tly_poll_free(listener->poll);
    listener->poll = NULL;
    if (listener->fd >= 0 && !listener->inherited && listener->address.path[0] != '\0') {
        (void)unlink(listener->address.path); /* gone already is fine, and nobody could act on it */
    }
    tly_fd_close(&listener->fd);
}
