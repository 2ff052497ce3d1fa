/*
 * The protocol of sd_notify(3), which is stable and small: one datagram to the socket that
 * NOTIFY_SOCKET names, a path or, behind an "@", a name in the abstract name space. The agent owns
 * one of these, from its start to its end.
 */
#include "agent/loop/notify.h"

#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/loop/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WHO "systemd"

#define US_PER_MS 1000
/* One sent late is still in time for the next. */
#define PINGS_PER_INTERVAL 2

struct tly_notify {
    int fd; /* -1: nobody is to be told */
    struct sockaddr_un address;
    socklen_t address_len;
    struct tly_timer *watchdog; /* NULL: there is none */
};

/* The environment's word, and no child's: a copy on the heap, NULL if there is none. */
static char *take_variable(const char *name)
{
    const char *value = getenv(name);
    char *copy = value == NULL || *value == '\0' ? NULL : strdup(value);
    (void)unsetenv(name); /* fails only for a name that is none */
    return copy;
}

/* unix(7): a path with its NUL, or a leading NUL and as many bytes as the length says. */
static int parse_address(const char *text, struct tly_notify *notify)
{
    size_t len = strlen(text);
    bool abstract = text[0] == '@';
    if ((text[0] != '/' && !abstract) || len < 2 || len >= sizeof(notify->address.sun_path)) {
        return TLY_E_MALFORMED;
    }
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, text, len + 1);
    if (abstract) {
        notify->address.sun_path[0] = '\0';
    }
    notify->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !abstract);
    return 0;
}

static int socket_make(struct tly_notify *notify)
{
    TLY_AUTO_FREE char *text = take_variable("NOTIFY_SOCKET");
    if (text == NULL) {
        return 0;
    }
    if (parse_address(text, notify) < 0) {
        tly_log_warn(WHO,
                     "NOTIFY_SOCKET=%.128s is no path and no abstract name: the service manager "
                     "will not be told that the agent is ready",
                     text);
        return 0;
    }
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return notify->fd < 0 ? -errno : 0;
}

static void ping(void *arg)
{
    /* The next one comes before the interval is over. */
    (void)!tly_notify_say(arg, "WATCHDOG=1");
}

/* In milliseconds; 0: no watchdog, or it is for another process. */
static int64_t take_watchdog_interval(void)
{
    TLY_AUTO_FREE char *usec = take_variable("WATCHDOG_USEC");
    TLY_AUTO_FREE char *pid = take_variable("WATCHDOG_PID");
    uint64_t number = 0;
    uint64_t owner = (uint64_t)getpid();
    if (pid != NULL && (tly_text_u64(tly_text_of(pid), &owner) < 0)) {
        return 0;
    }
    if (owner != (uint64_t)getpid() || usec == NULL ||
        tly_text_u64(tly_text_of(usec), &number) < 0 || number > INT64_MAX) {
        return 0;
    }
    return (int64_t)(number / US_PER_MS);
}

int tly_notify_new(struct tly_loop *loop, struct tly_notify **ret_notify)
{
    struct tly_notify *notify = calloc(1, sizeof(*notify));
    if (notify == NULL) {
        return -ENOMEM;
    }
    notify->fd = -1;
    int rc = socket_make(notify);
    int64_t interval_ms = take_watchdog_interval();
    if (rc == 0 && notify->fd >= 0 && interval_ms > 0) {
        rc = tly_timer_new(loop, ping, notify, &notify->watchdog);
        if (rc == 0) {
            int64_t pause_ms = interval_ms / PINGS_PER_INTERVAL;
            tly_timer_start(notify->watchdog, 0, pause_ms > 0 ? pause_ms : 1);
        }
    }
    if (rc < 0) {
        tly_notify_free(notify);
        return rc;
    }
    *ret_notify = notify;
    return 0;
}

bool tly_notify_wanted(const struct tly_notify *notify)
{
    return notify->fd >= 0;
}

int tly_notify_say(const struct tly_notify *notify, const char *format, ...)
{
    if (notify->fd < 0) {
        return 0;
    }
    char text[TLY_NOTIFY_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0) {
        return -EINVAL;
    }
    size_t size = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    const struct sockaddr *to = (const struct sockaddr *)&notify->address;
    return sendto(notify->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL, to, notify->address_len) < 0
               ? -errno
               : 0;
}

void tly_notify_free(struct tly_notify *notify)
{
    if (notify == NULL) {
        return;
    }
    tly_timer_free(notify->watchdog);
    tly_fd_close(&notify->fd);
    free(notify);
}
