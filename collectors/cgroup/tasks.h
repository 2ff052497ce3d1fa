/*
 * The processes of one cgroup and of those below it, by a walk through procfs. What is read depends
 * on the groups that are on; used on one worker at a time.
 */
#ifndef TLY_COLLECTORS_CGROUP_TASKS_H
#define TLY_COLLECTORS_CGROUP_TASKS_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/model/group.h"
#include "agent/model/sample.h"
#include "collectors/cgroup/suspects.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tly_task_state {
    TLY_TASK_SLEEPING,
    TLY_TASK_RUNNING,
    TLY_TASK_STOPPED,
    TLY_TASK_UNINTERRUPTIBLE,
    TLY_TASK_STATES
};

/* What one thread had used when it was last seen. */
struct tly_task_use {
    int64_t tid;
    int64_t run_ns, wait_ns, periods;
};

/* What is kept of one run of a container from one walk to the next; zero-initialised means nothing
 * yet. */
struct tly_task_books {
    struct tly_task_use *at; /* sorted by tid; owned */
    size_t count;
    int64_t run_ns, wait_ns, periods; /* sums of all that was seen */
    int64_t told_ns;                  /* realtime: the start as the inventory has it; 0, -1: none */
    struct tly_image_root image;
};
void tly_task_books_done(struct tly_task_books *books);

/* The outcome; -1 for what was not read. */
struct tly_tasks {
    int64_t processes, zombies, descriptors, sockets;
    int64_t states[TLY_TASK_STATES];
    struct tly_suspects suspects;
    bool walked;    /* every process was looked at */
    bool scheduled; /* the books were brought up to date */
};

struct tly_tasks_reader {
    int proc_fd;
    bool files, states, schedule, suspects; /* the groups process, cpuLoad, sched and suspects */
    int64_t deadline_ns; /* monotonic: a walk that is not done by then is given up */
    struct tly_buf list, text, children;
    int64_t first_pid; /* of the container under way; 0: none */
    int64_t *pids;     /* sorted after a walk; owned */
    size_t pid_count, pid_cap;
    struct tly_task_use *uses; /* of the walk under way; owned */
    size_t use_count, use_cap;
    struct tly_tasks tasks; /* of the last walk */
};

/* `proc` is where procfs is mounted. */
int tly_tasks_reader_init(struct tly_tasks_reader *reader, const char *proc,
                          const struct tly_group_choice *groups) TLY_CHECK;
void tly_tasks_reader_done(struct tly_tasks_reader *reader);

/*
 * Walks through the processes of the cgroup whose directory is `dir_fd`. -ENOENT when it is gone;
 * TLY_E_TIMEOUT at the deadline, TLY_E_LIMIT over the most processes that are looked at: then only
 * the number of processes is known, if at all.
 */
int tly_tasks_read(struct tly_tasks_reader *reader, int dir_fd,
                   struct tly_task_books *books) TLY_CHECK;

/* Adds what the last walk found out, and the limits of the first process. */
void tly_tasks_write(struct tly_tasks_reader *reader, const struct tly_task_books *books,
                     struct tly_samples *samples);

#endif
