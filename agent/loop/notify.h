/*
 * Word to the service manager that started the agent: sd_notify(3)'s datagrams, and the watchdog's
 * regular ones (sd_watchdog_enabled(3)), sent from the loop, so that they stop when it does.
 * Without a service manager nothing is sent. For the loop's thread only.
 */
#ifndef TLY_LOOP_NOTIFY_H
#define TLY_LOOP_NOTIFY_H

#include "agent/base/error.h"
#include "agent/loop/loop.h"

struct tly_notify; /* opaque */

/*
 * Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no child
 * speaks for the agent. From now on the watchdog is told twice per interval that the loop turns. An
 * address that is no Unix socket is said in the log, and then nothing is sent. -ENOMEM, -errno.
 */
int tly_notify_new(struct tly_loop *loop, struct tly_notify **ret_notify) TLY_CHECK;

/* Whether there is somebody to tell. */
bool tly_notify_wanted(const struct tly_notify *notify);

/* Sends lines like "READY=1\nSTATUS=all is well", at most TLY_NOTIFY_TEXT_MAX bytes of them. Never
 * waits: -EAGAIN when the manager is behind, else -errno. 0 also when nobody is to be told. */
#define TLY_NOTIFY_TEXT_MAX 1024
int tly_notify_say(const struct tly_notify *notify, const char *format, ...)
    TLY_PRINTF(2, 3) TLY_CHECK;

void tly_notify_free(struct tly_notify *notify); /* NULL is fine */

#endif
