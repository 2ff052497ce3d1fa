/*
 * Directory watches over one inotify(7) instance. The kernel keeps one watch for each directory,
 * whatever path led there; several tly_watch objects share it. Any of them may be freed, and new
 * ones made, from inside the callbacks: a freed one is only marked while a batch of events is
 * handed out, and swept afterwards. Where the user has used up the instances, each new watch tries
 * to get one.
 */
#include "agent/loop/watch.h"

#include "agent/base/file.h"
#include "agent/base/map.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Some hundred events for each read(2). */
#define BATCH_BYTES 32768

/* What makes a watch end. */
#define END_MASK (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)

struct directory {
    int wd;
    struct tly_watch *first; /* those who share it */
};

struct tly_watch {
    struct tly_watcher *watcher;
    struct directory *directory;       /* NULL: it has ended */
    struct tly_watch *next_here;       /* of the same directory */
    struct tly_watch *next, **prev_at; /* of all */
    unsigned events;
    tly_watch_fn seen; /* NULL: freed, waiting to be swept */
    void *arg;
};

struct tly_watcher {
    struct tly_loop *loop;
    int fd;                /* -1: there was no instance to be had */
    struct tly_poll *poll; /* NULL without one */
    int64_t gather_ms;
    struct tly_timer *gather;    /* runs while the descriptor is not looked at; NULL: never */
    struct tly_map *directories; /* by wd; owned */
    struct tly_watch *first;     /* all of them, the newest first */
    bool busy;                   /* handing events out */
    bool to_sweep;
    bool freed; /* while busy: the rest follows when the batch ends */
    _Alignas(struct inotify_event) char batch[BATCH_BYTES];
};

static struct tly_text wd_key(const int *wd)
{
    return (struct tly_text){(const char *)wd, sizeof(*wd)};
}

static void unlink_watch(struct tly_watch *watch)
{
    *watch->prev_at = watch->next;
    if (watch->next) {
        watch->next->prev_at = watch->prev_at;
    }
    if (!watch->directory) {
        return;
    }
    struct tly_watch **at = &watch->directory->first;
    while (*at != watch) {
        at = &(*at)->next_here;
    }
    *at = watch->next_here;
}

static void drop_directory(struct tly_watcher *watcher, struct directory *directory)
{
    (void)tly_map_remove(watcher->directories, wd_key(&directory->wd)); /* is `directory` */
    /* Fails where the kernel has dropped it by itself. Its last word, IN_IGNORED, is for nobody. */
    (void)inotify_rm_watch(watcher->fd, directory->wd);
}

static void release(struct tly_watch *watch)
{
    struct directory *directory = watch->directory;
    unlink_watch(watch);
    if (directory && !directory->first) {
        drop_directory(watch->watcher, directory);
        free(directory);
    }
    free(watch);
}

static void sweep(struct tly_watcher *watcher)
{
    struct tly_watch *watch = watcher->first;
    while (watch && watcher->to_sweep) {
        struct tly_watch *next = watch->next;
        if (!watch->seen) {
            release(watch);
        }
        watch = next;
    }
    watcher->to_sweep = false;
}

static void release_watcher(struct tly_watcher *watcher)
{
    tly_map_free(watcher->directories, free);
    tly_fd_close(&watcher->fd);
    free(watcher);
}

static void tell(struct tly_watch *watch, unsigned events, struct tly_text name)
{
    if (watch->seen) {
        watch->seen(watch->arg, events, name);
    }
}

static void directory_ended(struct tly_watcher *watcher, struct directory *directory)
{
    /* First out of the map: who is told may at once watch what stands there anew. */
    drop_directory(watcher, directory);
    while (directory->first) {
        struct tly_watch *watch = directory->first;
        directory->first = watch->next_here;
        watch->directory = NULL;
        tell(watch, TLY_WATCH_ENDED, TLY_TEXT(""));
    }
    free(directory);
}

static void events_lost(struct tly_watcher *watcher)
{
    for (struct tly_watch *watch = watcher->first; watch; watch = watch->next) {
        tell(watch, TLY_WATCH_LOST, TLY_TEXT(""));
    }
}

static void event_came(struct tly_watcher *watcher, const struct inotify_event *event,
                       struct tly_text name)
{
    if (event->mask & IN_Q_OVERFLOW) {
        events_lost(watcher);
        return;
    }
    struct directory *directory = tly_map_get(watcher->directories, wd_key(&event->wd));
    if (!directory) {
        return; /* of a watch that was removed with events still in the queue */
    }
    if (event->mask & END_MASK) {
        directory_ended(watcher, directory);
        return;
    }
    unsigned events = (event->mask & (IN_CREATE | IN_MOVED_TO) ? TLY_WATCH_CREATED : 0U) |
                      (event->mask & (IN_DELETE | IN_MOVED_FROM) ? TLY_WATCH_GONE : 0U) |
                      (event->mask & IN_MODIFY ? TLY_WATCH_MODIFIED : 0U);
    for (struct tly_watch *watch = directory->first; watch; watch = watch->next_here) {
        if (watch->events & events) {
            tell(watch, events, name);
        }
    }
}

static void batch_ready(void *arg, int error, int ready)
{
    (void)error; /* read(2) tells it better */
    (void)ready;
    struct tly_watcher *watcher = arg;
    ssize_t len;
    do {
        len = read(watcher->fd, watcher->batch, sizeof(watcher->batch));
    } while (len < 0 && errno == EINTR);

    watcher->busy = true;
    const char *end = watcher->batch + (len > 0 ? len : 0);
    for (const char *at = watcher->batch; at < end && !watcher->freed;) {
        const struct inotify_event *event = (const void *)at;
        /* The kernel pads the name with NULs. */
        struct tly_text name = {event->name, event->len > 0 ? strnlen(event->name, event->len) : 0};
        event_came(watcher, event, name);
        at += sizeof(*event) + event->len;
    }
    watcher->busy = false;
    sweep(watcher);
    if (watcher->freed) {
        release_watcher(watcher);
    } else if (watcher->gather) {
        tly_poll_stop(watcher->poll);
        tly_timer_start(watcher->gather, watcher->gather_ms, 0);
    }
}

static void gathered(void *arg)
{
    struct tly_watcher *watcher = arg;
    if (tly_poll_start(watcher->poll, TLY_READABLE) < 0) {
        tly_timer_start(watcher->gather, watcher->gather_ms, 0); /* it may do later */
    }
}

/* Gets an instance. */
static int instance_open(struct tly_watcher *watcher)
{
    watcher->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watcher->fd < 0) {
        return -errno;
    }
    int rc = tly_poll_new(watcher->loop, watcher->fd, batch_ready, watcher, &watcher->poll);
    if (rc == 0) {
        rc = tly_poll_start(watcher->poll, TLY_READABLE);
    }
    if (rc < 0) {
        tly_poll_free(watcher->poll);
        watcher->poll = NULL;
        tly_fd_close(&watcher->fd);
    }
    return rc;
}

int tly_watcher_new(struct tly_loop *loop, struct tly_watcher **ret_watcher)
{
    return tly_watcher_new_gathering(loop, 0, ret_watcher);
}

int tly_watcher_new_gathering(struct tly_loop *loop, int64_t gather_ms,
                              struct tly_watcher **ret_watcher)
{
    struct tly_watcher *watcher = calloc(1, sizeof(*watcher));
    if (!watcher) {
        return -ENOMEM;
    }
    watcher->loop = loop;
    watcher->fd = -1;
    watcher->gather_ms = gather_ms;
    watcher->directories = tly_map_new();
    int rc = watcher->directories ? 0 : -ENOMEM;
    if (rc == 0 && gather_ms > 0) {
        rc = tly_timer_new(loop, gathered, watcher, &watcher->gather);
    }
    if (rc == 0) {
        rc = instance_open(watcher);
    }
    if (rc < 0 && rc != -EMFILE) {
        tly_timer_free(watcher->gather);
        release_watcher(watcher);
        return rc;
    }
    *ret_watcher = watcher;
    return 0;
}

void tly_watcher_free(struct tly_watcher *watcher)
{
    if (!watcher) {
        return;
    }
    tly_timer_free(watcher->gather);
    tly_poll_free(watcher->poll);
    watcher->freed = true;
    if (!watcher->busy) {
        release_watcher(watcher);
    }
}

/* The directory of this watch descriptor, known or new. */
static int find_directory(struct tly_watcher *watcher, int wd, struct directory **ret_directory)
{
    struct directory *directory = tly_map_get(watcher->directories, wd_key(&wd));
    if (!directory) {
        directory = calloc(1, sizeof(*directory));
        if (!directory) {
            return -ENOMEM;
        }
        directory->wd = wd;
        int rc = tly_map_put(watcher->directories, wd_key(&wd), directory, NULL);
        if (rc < 0) {
            free(directory);
            return rc;
        }
    }
    *ret_directory = directory;
    return 0;
}

int tly_watch_new(struct tly_watcher *watcher, const char *path, unsigned events, tly_watch_fn seen,
                  void *arg, struct tly_watch **ret_watch)
{
    uint32_t mask = IN_ONLYDIR | IN_DELETE_SELF | IN_MOVE_SELF |
                    (events & TLY_WATCH_CREATED ? IN_CREATE | IN_MOVED_TO : 0U) |
                    (events & TLY_WATCH_GONE ? IN_DELETE | IN_MOVED_FROM : 0U) |
                    (events & TLY_WATCH_MODIFIED ? IN_MODIFY : 0U);
    if (watcher->fd < 0) {
        int rc = instance_open(watcher);
        if (rc < 0) {
            return rc;
        }
    }
    struct tly_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    /* The kernel knows the directory again and returns its descriptor; what another one asked for
     * stays in the mask, and each is told only what it asked for itself. */
    struct directory *directory = NULL;
    int wd = inotify_add_watch(watcher->fd, path, mask | IN_MASK_ADD);
    if (wd < 0) {
        int rc = -errno;
        free(watch);
        return rc;
    }
    int rc = find_directory(watcher, wd, &directory);
    if (rc < 0) {
        (void)inotify_rm_watch(watcher->fd, wd); /* nobody knows it */
        free(watch);
        return rc;
    }
    watch->watcher = watcher;
    watch->events = events;
    watch->seen = seen;
    watch->arg = arg;
    /* In front of both lists: a walk under way, of past events, does not meet it. */
    watch->directory = directory;
    watch->next_here = directory->first;
    directory->first = watch;
    watch->next = watcher->first;
    watch->prev_at = &watcher->first;
    if (watch->next) {
        watch->next->prev_at = &watch->next;
    }
    watcher->first = watch;
    *ret_watch = watch;
    return 0;
}

void tly_watch_free(struct tly_watch *watch)
{
    if (!watch) {
        return;
    }
    watch->seen = NULL;
    if (watch->watcher->busy) {
        watch->watcher->to_sweep = true;
    } else {
        release(watch);
    }
}

const char *tly_watch_advice(int rc)
{
    return rc == -ENOSPC   ? " (raise fs.inotify.max_user_watches)"
           : rc == -EMFILE ? " (raise fs.inotify.max_user_instances, or the process's open files)"
                           : "";
}
