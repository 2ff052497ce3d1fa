/*
 * Sockets that systemd opened for us (sd_listen_fds(3)): descriptors from 3 on, as many as
 * LISTEN_FDS says, with the names of LISTEN_FDNAMES, if LISTEN_PID is us. The variables are taken
 * away, so that no child takes the descriptors for its own.
 */
#include "agent/base/file.h"
#include "agent/web/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD 3

struct handed {
    size_t count;
    struct tly_text names; /* separated by colons; the environment's */
};

static struct handed handed_over(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *fds = getenv("LISTEN_FDS");
    uint64_t number = 0;
    uint64_t count = 0;
    if (pid == NULL || fds == NULL || tly_text_u64(tly_text_of(pid), &number) < 0 ||
        number != (uint64_t)getpid() || tly_text_u64(tly_text_of(fds), &count) < 0 ||
        count > TLY_WEB_LISTENERS_MAX) {
        return (struct handed){.count = 0};
    }
    return (struct handed){.count = (size_t)count, .names = tly_text_of(getenv("LISTEN_FDNAMES"))};
}

static void forget_environment(void)
{
    (void)unsetenv("LISTEN_PID"); /* fails only for a name that is none */
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

static int integer_option(int fd, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

static int prepare(int fd, struct tly_text name, struct tly_error *err)
{
    if (integer_option(fd, SO_TYPE) != SOCK_STREAM || integer_option(fd, SO_ACCEPTCONN) != 1) {
        return tly_error_set(err, -ENOTSOCK,
                             "the descriptor `%.*s` from systemd is no socket that listens for "
                             "connections; the .socket unit needs ListenStream= and Accept=no",
                             (int)name.len, name.at);
    }
    int flags = fcntl(fd, F_GETFL);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || flags < 0 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return tly_error_set(err, -errno, "the descriptor `%.*s` from systemd: %s", (int)name.len,
                             name.at, tly_error_name(-errno));
    }
    return 0;
}

/* The listener that wants a socket of this name: one without, or one more of the same kind. */
static struct tly_web_listener *taker_of(struct tly_web *web, struct tly_text name)
{
    for (size_t i = 0; i < web->listener_count; i++) {
        struct tly_web_listener *listener = &web->listeners[i];
        bool named = listener->wanted[0] == '\0' ||
                     tly_text_equal(tly_text_of(listener->wanted), name);
        if (!listener->inherited || !named) {
            continue;
        }
        if (listener->fd < 0) {
            return listener;
        }
        if (web->listener_count < TLY_WEB_LISTENERS_MAX) {
            struct tly_web_listener *added = &web->listeners[web->listener_count++];
            *added = *listener;
            added->fd = -1;
            return added;
        }
    }
    return NULL;
}

static int take(struct tly_web *web, int fd, struct tly_text name, struct tly_error *err)
{
    struct tly_web_listener *listener = taker_of(web, name);
    if (listener == NULL) {
        tly_log_warn("web",
                     "systemd hands over the socket `%.*s`, which web.listen does not name; it is "
                     "closed. Add \"systemd\" or \"systemd:%.*s\" to web.listen",
                     (int)name.len, name.at, (int)name.len, name.at);
        tly_fd_close(&fd);
        return 0;
    }
    int rc = prepare(fd, name, err);
    if (rc == 0) {
        listener->fd = fd;
        listener->port = tly_web_socket_port(fd);
    }
    return rc;
}

int tly_web_inherit(struct tly_web *web, struct tly_error *err)
{
    struct handed handed = handed_over();
    int rc = 0;
    for (size_t i = 0; i < handed.count && rc == 0; i++) {
        struct tly_text name = TLY_TEXT("unknown"); /* systemd's own word for "no name" */
        if (handed.names.at != NULL) {
            name = tly_text_cut(&handed.names, ':');
        }
        rc = take(web, FIRST_FD + (int)i, name, err);
    }
    forget_environment();
    for (size_t i = 0; i < web->listener_count && rc == 0; i++) {
        const struct tly_web_listener *listener = &web->listeners[i];
        if (listener->inherited && listener->fd < 0) {
            rc = tly_error_set(err, -ENOENT,
                               "web.listen: systemd hands over no socket%s%s; start the agent by a "
                               ".socket unit, with FileDescriptorName= for a name",
                               listener->wanted[0] != '\0' ? " named " : "", listener->wanted);
        }
    }
    return rc;
}
