/*
 * Changes in directories, by inotify(7): one descriptor, one watch per directory. Events of one
 * directory come in the kernel's order. An overflow of the kernel's queue is reported to every
 * watch as TLY_WATCH_LOST: the owner must look at its directory anew.
 */
#ifndef TLY_LOOP_WATCH_H
#define TLY_LOOP_WATCH_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/loop/loop.h"

#include <stdint.h>

enum {
    TLY_WATCH_CREATED = 1,  /* a name appeared, made or moved in */
    TLY_WATCH_GONE = 2,     /* a name went, removed or moved out */
    TLY_WATCH_MODIFIED = 4, /* bytes of the named file changed */
    TLY_WATCH_ENDED = 8,    /* the directory itself went; no event comes after it */
    TLY_WATCH_LOST = 16,    /* events were lost */
};

struct tly_watcher; /* the inotify instance; one per loop is enough */
struct tly_watch;   /* one directory */

/* `name` is the entry's name inside the directory, borrowed, empty for ENDED and LOST. Watches may
 * be freed and made from inside the call. After ENDED the watch still has to be freed. */
typedef void (*tly_watch_fn)(void *arg, unsigned events, struct tly_text name);

/* It is made also where the user's limit of instances (fs.inotify.max_user_instances) or the
 * process's of descriptors is reached: then it does not work yet, and each new watch tries anew. */
int tly_watcher_new(struct tly_loop *loop, struct tly_watcher **ret_watcher) TLY_CHECK;
/* The same, but after it handed events out it leaves the next ones to gather for `gather_ms`: for
 * files that are written to all the time, which would else wake the loop for each write. */
int tly_watcher_new_gathering(struct tly_loop *loop, int64_t gather_ms,
                              struct tly_watcher **ret_watcher) TLY_CHECK;
void tly_watcher_free(struct tly_watcher *watcher); /* after all its watches */

/* `events` of interest; ENDED and LOST always come. -ENOSPC: the user's limit of watches
 * (fs.inotify.max_user_watches) is used up, -EMFILE: the watcher does not work; the owner falls
 * back to looking at intervals. Several watches on one directory are independent of each other. */
int tly_watch_new(struct tly_watcher *watcher, const char *path, unsigned events, tly_watch_fn seen,
                  void *arg, struct tly_watch **ret_watch) TLY_CHECK;
void tly_watch_free(struct tly_watch *watch);

/* What an operator can do about a watch that was refused, to be put behind a message; empty where
 * there is no advice. */
const char *tly_watch_advice(int rc);

#endif
