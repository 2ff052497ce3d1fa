/*
 * The loop and its small handles: timer, descriptor, signal, deferred call, and the jobs for
 * workers. All of them live on the heap, belong to whoever called `new`, and are released when
 * libuv says that it is done with them.
 */
#include "agent/loop/loop.h"

#include "agent/base/clock.h"
#include "agent/loop/handle.h"
#include "agent/loop/stream_state.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int tly_loop_new(struct tly_loop **ret_loop)
{
    struct tly_loop *loop = calloc(1, sizeof(*loop));
    if (!loop) {
        return -ENOMEM;
    }
    int rc = uv_loop_init(&loop->uv);
    if (rc < 0) {
        free(loop);
        return rc;
    }
    loop->uv.data = loop;
    rc = tly_loop_turns_init(loop);
    if (rc < 0) {
        (void)uv_loop_close(&loop->uv); /* nothing is attached yet */
        free(loop);
        return rc;
    }
    /* libuv writes without MSG_NOSIGNAL: a peer that went away must be an error, not the end. */
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for these signals */
    (void)signal(SIGXFSZ, SIG_IGN);
    *ret_loop = loop;
    return 0;
}

void tly_loop_run(struct tly_loop *loop)
{
    loop->running = true;
    tly_loop_turns_begin(loop);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* tells whether it was stopped, which is no news */
    tly_loop_turns_end(loop);
    loop->running = false;
}

void tly_loop_stop(struct tly_loop *loop)
{
    uv_stop(&loop->uv);
}

void tly_loop_free(struct tly_loop *loop)
{
    if (!loop) {
        return;
    }
    assert(loop->attached == 0);
    while (loop->alive > loop->attached || loop->jobs > 0) {
        (void)uv_run(&loop->uv, UV_RUN_ONCE); /* the counts say when all is done */
    }
    tly_loop_drop_spare_writes(loop);
    uv_close((uv_handle_t *)&loop->turn_check, NULL);
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* closes it */
    if (uv_loop_close(&loop->uv) < 0) {
        /* A forgotten handle still points here; leaving the memory to it is the lesser harm. */
        assert(false && "a handle is still attached to the loop");
        return;
    }
    free(loop);
}

int64_t tly_loop_now_ms(const struct tly_loop *loop)
{
    /* Between runs libuv's own clock stands still. */
    return (int64_t)(loop->running ? uv_now(&loop->uv) : uv_hrtime() / TLY_NS_PER_MS);
}

void tly_loop_code_text(int code, char to[TLY_CODE_TEXT_MAX])
{
    /* The one range is libuv's, whose errno codes have the same texts; the other is ours. */
    if (code < 0 && code > TLY_E_MORE) {
        (void)uv_strerror_r(code, to, TLY_CODE_TEXT_MAX); /* returns `to` */
    } else {
        (void)snprintf(to, TLY_CODE_TEXT_MAX, "%s", tly_error_name(code)); /* short texts */
    }
}

static void handle_closed(uv_handle_t *handle)
{
    struct tly_loop *loop = handle->loop->data;
    loop->alive--;
    free(handle->data);
}

void tly_handle_free(struct tly_loop *loop, uv_handle_t *handle)
{
    loop->attached--;
    uv_close(handle, handle_closed);
}

/* ---- timer ---- */

struct tly_timer {
    uv_timer_t uv;
    struct tly_loop *loop;
    tly_timer_fn fire;
    void *arg;
};

int tly_timer_new(struct tly_loop *loop, tly_timer_fn fire, void *arg, struct tly_timer **ret_timer)
{
    struct tly_timer *timer = calloc(1, sizeof(*timer));
    if (!timer) {
        return -ENOMEM;
    }
    timer->loop = loop;
    timer->fire = fire;
    timer->arg = arg;
    int rc = uv_timer_init(&loop->uv, &timer->uv);
    if (rc < 0) {
        free(timer);
        return rc;
    }
    timer->uv.data = timer;
    tly_loop_attach(loop);
    *ret_timer = timer;
    return 0;
}

static void timer_fired(uv_timer_t *uv)
{
    struct tly_timer *timer = uv->data;
    timer->fire(timer->arg);
}

void tly_timer_start(struct tly_timer *timer, int64_t after_ms, int64_t repeat_ms)
{
    uint64_t after = after_ms > 0 ? (uint64_t)after_ms : 0;
    uint64_t repeat = repeat_ms > 0 ? (uint64_t)repeat_ms : 0;
    if (!timer->loop->running) {
        uv_update_time(&timer->loop->uv); /* or a slow start would count as waiting */
    }
    (void)uv_timer_start(&timer->uv, timer_fired, after, repeat); /* fails only when closing */
}

void tly_timer_stop(struct tly_timer *timer)
{
    (void)uv_timer_stop(&timer->uv); /* always 0 */
}

bool tly_timer_active(const struct tly_timer *timer)
{
    return uv_is_active((const uv_handle_t *)&timer->uv) != 0;
}

void tly_timer_free(struct tly_timer *timer)
{
    if (timer) {
        tly_handle_free(timer->loop, (uv_handle_t *)&timer->uv);
    }
}

/* ---- descriptor readiness ---- */

struct tly_poll {
    uv_poll_t uv;
    struct tly_loop *loop;
    tly_poll_fn ready;
    void *arg;
};

int tly_poll_new(struct tly_loop *loop, int fd, tly_poll_fn ready, void *arg,
                 struct tly_poll **ret_poll)
{
    struct tly_poll *poll = calloc(1, sizeof(*poll));
    if (!poll) {
        return -ENOMEM;
    }
    poll->loop = loop;
    poll->ready = ready;
    poll->arg = arg;
    int rc = uv_poll_init(&loop->uv, &poll->uv, fd);
    if (rc < 0) {
        free(poll);
        return rc;
    }
    poll->uv.data = poll;
    tly_loop_attach(loop);
    *ret_poll = poll;
    return 0;
}

static void poll_ready(uv_poll_t *uv, int status, int uv_events)
{
    struct tly_poll *poll = uv->data;
    int events = (uv_events & UV_READABLE ? TLY_READABLE : 0) |
                 (uv_events & UV_WRITABLE ? TLY_WRITABLE : 0) |
                 (uv_events & UV_DISCONNECT ? TLY_HANGUP : 0);
    poll->ready(poll->arg, status < 0 ? status : 0, events);
}

int tly_poll_start(struct tly_poll *poll, int events)
{
    int uv_events = (events & TLY_READABLE ? UV_READABLE : 0) |
                    (events & TLY_WRITABLE ? UV_WRITABLE : 0) |
                    (events & TLY_HANGUP ? UV_DISCONNECT : 0);
    return uv_poll_start(&poll->uv, uv_events, poll_ready);
}

void tly_poll_stop(struct tly_poll *poll)
{
    (void)uv_poll_stop(&poll->uv); /* always 0 */
}

void tly_poll_free(struct tly_poll *poll)
{
    if (poll) {
        tly_handle_free(poll->loop, (uv_handle_t *)&poll->uv);
    }
}

/* ---- worker ---- */

struct job {
    uv_work_t uv;
    struct tly_loop *loop;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void job_work(uv_work_t *uv)
{
    struct job *job = uv->data;
    job->work(job->arg);
}

/* The status could only say "cancelled", and no job ever is. */
static void job_done(uv_work_t *uv, int status)
{
    (void)status;
    struct job *job = uv->data;
    job->loop->jobs--;
    void (*done)(void *arg) = job->done;
    void *arg = job->arg;
    free(job);
    done(arg);
}

int tly_worker_submit(struct tly_loop *loop, void (*work)(void *arg), void (*done)(void *arg),
                      void *arg)
{
    struct job *job = calloc(1, sizeof(*job));
    if (!job) {
        return -ENOMEM;
    }
    *job = (struct job){.loop = loop, .work = work, .done = done, .arg = arg};
    job->uv.data = job;
    int rc = uv_queue_work(&loop->uv, &job->uv, job_work, job_done);
    if (rc < 0) {
        free(job);
        return rc;
    }
    loop->jobs++;
    return 0;
}

static void nothing(void *arg)
{
    (void)arg;
}

/* libuv makes all of its threads before it queues the first job, and waits for them. */
int tly_loop_start_workers(struct tly_loop *loop)
{
    return tly_worker_submit(loop, nothing, nothing, NULL);
}

/* ---- signal ---- */

struct tly_signal {
    uv_signal_t uv;
    struct tly_loop *loop;
    void (*caught)(void *arg, int signum);
    void *arg;
};

static void signal_caught(uv_signal_t *uv, int signum)
{
    struct tly_signal *signal = uv->data;
    signal->caught(signal->arg, signum);
}

int tly_signal_new(struct tly_loop *loop, int signum, void (*caught)(void *arg, int signum),
                   void *arg, struct tly_signal **ret_signal)
{
    struct tly_signal *signal = calloc(1, sizeof(*signal));
    if (!signal) {
        return -ENOMEM;
    }
    signal->loop = loop;
    signal->caught = caught;
    signal->arg = arg;
    int rc = uv_signal_init(&loop->uv, &signal->uv);
    if (rc < 0) {
        free(signal);
        return rc;
    }
    signal->uv.data = signal;
    tly_loop_attach(loop);
    rc = uv_signal_start(&signal->uv, signal_caught, signum);
    if (rc < 0) {
        tly_signal_free(signal);
        return rc;
    }
    *ret_signal = signal;
    return 0;
}

void tly_signal_free(struct tly_signal *signal)
{
    if (signal) {
        tly_handle_free(signal->loop, (uv_handle_t *)&signal->uv);
    }
}

/* ---- deferred call ---- */

/* An idle handle runs once in every turn, before the loop waits, and keeps it from waiting while it
 * is started: started by `call`, stopped before the function runs. */
struct tly_defer {
    uv_idle_t uv;
    struct tly_loop *loop;
    void (*fn)(void *arg);
    void *arg;
};

int tly_defer_new(struct tly_loop *loop, void (*fn)(void *arg), void *arg,
                  struct tly_defer **ret_defer)
{
    struct tly_defer *defer = calloc(1, sizeof(*defer));
    if (!defer) {
        return -ENOMEM;
    }
    defer->loop = loop;
    defer->fn = fn;
    defer->arg = arg;
    int rc = uv_idle_init(&loop->uv, &defer->uv);
    if (rc < 0) {
        free(defer);
        return rc;
    }
    defer->uv.data = defer;
    tly_loop_attach(loop);
    *ret_defer = defer;
    return 0;
}

static void defer_due(uv_idle_t *uv)
{
    struct tly_defer *defer = uv->data;
    (void)uv_idle_stop(uv); /* always 0 */
    defer->fn(defer->arg);
}

void tly_defer_call(struct tly_defer *defer)
{
    (void)uv_idle_start(&defer->uv, defer_due); /* 0 also when started already */
}

void tly_defer_free(struct tly_defer *defer)
{
    if (defer) {
        tly_handle_free(defer->loop, (uv_handle_t *)&defer->uv);
    }
}
