/*
 * The loop's small handles: when they fire, that they never do after `free`, and that freeing is
 * safe from anywhere.
 */
#include "running.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void unexpected(void *arg)
{
    (void)arg;
    fail_msg("called after it was freed or stopped");
}

/* ---- timer ---- */

struct counting {
    struct tly_timer *timer;
    int fired;
    int most;
};

static void count_up_to_most(void *arg)
{
    struct counting *counting = arg;
    if (++counting->fired == counting->most) {
        tly_timer_free(counting->timer); /* from inside its own callback */
        counting->timer = NULL;
    }
}

static void a_timer_repeats_until_freed(void **state)
{
    (void)state;
    struct counting counting = {.most = 3};
    assert_int_equal(tly_timer_new(loop, count_up_to_most, &counting, &counting.timer), 0);
    assert_false(tly_timer_active(counting.timer));
    int64_t before = tly_loop_now_ms(loop);
    tly_timer_start(counting.timer, 10, 5);
    assert_true(tly_timer_active(counting.timer));
    tly_loop_run(loop); /* until nothing is left */
    assert_int_equal(counting.fired, 3);
    assert_true(tly_loop_now_ms(loop) - before >= 20);
}

static void a_timer_fires_once(void **state)
{
    (void)state;
    struct counting counting = {.most = -1};
    assert_int_equal(tly_timer_new(loop, count_up_to_most, &counting, &counting.timer), 0);
    tly_timer_start(counting.timer, -7, -7); /* at once, and not again */
    tly_loop_run(loop);
    assert_int_equal(counting.fired, 1);
    assert_false(tly_timer_active(counting.timer));
    tly_timer_start(counting.timer, 1, 0);
    tly_timer_stop(counting.timer);
    tly_timer_stop(counting.timer);
    tly_loop_run(loop);
    assert_int_equal(counting.fired, 1);
    tly_timer_start(counting.timer, GUARD_S * 1000, 0);
    tly_timer_start(counting.timer, 1, 0); /* restarts */
    run();
    assert_int_equal(counting.fired, 2);
    tly_timer_free(counting.timer);
}

static void a_timer_waits_from_its_start_on(void **state)
{
    (void)state;
    /* What passes before the loop runs, as at a slow start of the agent, is no part of the wait. */
    int64_t made_ns = tly_clock_monotonic_ns();
    while (tly_clock_monotonic_ns() - made_ns < 50 * TLY_NS_PER_MS) {
    }
    struct counting counting = {.most = 1};
    assert_int_equal(tly_timer_new(loop, count_up_to_most, &counting, &counting.timer), 0);
    int64_t before_ns = tly_clock_monotonic_ns();
    int64_t apart_ms = tly_loop_now_ms(loop) - before_ns / TLY_NS_PER_MS;
    assert_in_range(apart_ms + 5, 0, 10);
    tly_timer_start(counting.timer, 40, 0);
    tly_loop_run(loop);
    assert_true(tly_clock_monotonic_ns() - before_ns >= 35 * TLY_NS_PER_MS);
}

static void free_the_other(void *arg)
{
    struct tly_timer **other = arg;
    tly_timer_free(*other);
    tly_loop_stop(loop);
}

static void a_freed_timer_is_silent(void **state)
{
    (void)state;
    struct tly_timer *first, *second, *third;
    assert_int_equal(tly_timer_new(loop, free_the_other, &second, &first), 0);
    assert_int_equal(tly_timer_new(loop, unexpected, NULL, &second), 0);
    assert_int_equal(tly_timer_new(loop, unexpected, NULL, &third), 0);
    tly_timer_start(first, 0, 0);
    tly_timer_start(second, 0, 1); /* due in the same turn */
    tly_timer_start(third, 0, 0);
    tly_timer_free(third);
    run();
    run_briefly();
    tly_timer_free(first);
    tly_timer_free(NULL);
}

/* ---- descriptor readiness ---- */

struct seen {
    struct tly_poll *poll;
    int fd;
    int events;
    int calls;
};

static void note_and_free(void *arg, int error, int events)
{
    struct seen *seen = arg;
    assert_int_equal(error, 0);
    seen->events |= events;
    seen->calls++;
    tly_poll_free(seen->poll);
    tly_fd_close(&seen->fd); /* allowed as soon as the handle is freed */
    tly_loop_stop(loop);
}

static void polls_a_pipe(void **state)
{
    (void)state;
    static const struct {
        bool write_first, close_other;
        int end, wanted, events;
    } rows[] = {
        {true, false, 0, TLY_READABLE, TLY_READABLE},
        {false, false, 1, TLY_WRITABLE, TLY_WRITABLE},
        {false, true, 0, TLY_HANGUP | TLY_READABLE, TLY_HANGUP},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int ends[2];
        /* A socket pair: unlike a pipe's end it tells when the peer has hung up. */
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        if (rows[i].write_first) {
            assert_int_equal(write(ends[1], "x", 1), 1);
        }
        int other = ends[1 - rows[i].end];
        if (rows[i].close_other) {
            (void)close(other);
            other = -1;
        }
        struct seen seen = {.fd = ends[rows[i].end]};
        assert_int_equal(tly_poll_new(loop, seen.fd, note_and_free, &seen, &seen.poll), 0);
        assert_int_equal(tly_poll_start(seen.poll, rows[i].wanted), 0);
        run();
        assert_int_equal(seen.calls, 1);
        assert_int_equal(seen.events & rows[i].events, rows[i].events);
        tly_fd_close(&other);
    }
}

static void never_ready(void *arg, int error, int events)
{
    (void)arg;
    (void)error;
    (void)events;
    fail_msg("called after it was stopped");
}

static void a_stopped_poll_is_silent(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    struct tly_poll *poll;
    assert_int_equal(tly_poll_new(loop, ends[0], never_ready, NULL, &poll), 0);
    assert_int_equal(tly_poll_start(poll, TLY_READABLE), 0);
    tly_poll_stop(poll);
    run_briefly();
    tly_poll_free(poll);
    tly_poll_free(NULL);
    (void)close(ends[0]);
    (void)close(ends[1]);

    TLY_AUTO_FD regular = -1;
    assert_int_equal(tly_file_open(AT_FDCWD, "/proc/self/exe", O_RDONLY, &regular), 0);
    assert_int_equal(tly_poll_new(loop, regular, never_ready, NULL, &poll), -EPERM);
}

/* ---- worker ---- */

struct work {
    pthread_t on;
    int worked;
    int done;
    bool again;
};

static void work(void *arg)
{
    struct work *job = arg;
    job->on = pthread_self();
    job->worked++;
}

static void work_done(void *arg)
{
    struct work *job = arg;
    job->done++;
    if (job->again) {
        job->again = false;
        assert_int_equal(tly_worker_submit(loop, work, work_done, job), 0);
    }
}

static void a_worker_is_another_thread(void **state)
{
    (void)state;
    struct work jobs[50] = {0};
    for (size_t i = 0; i < ROWS(jobs); i++) {
        assert_int_equal(tly_worker_submit(loop, work, work_done, &jobs[i]), 0);
    }
    for (size_t i = 0; i < ROWS(jobs); i++) {
        assert_int_equal(jobs[i].done, 0); /* never from inside submit */
    }
    tly_loop_run(loop);
    for (size_t i = 0; i < ROWS(jobs); i++) {
        assert_int_equal(jobs[i].worked, 1);
        assert_int_equal(jobs[i].done, 1);
        assert_false(pthread_equal(jobs[i].on, pthread_self()));
    }
}

static void jobs_end_while_the_loop_drains(void **state)
{
    (void)state;
    struct work job = {.again = true};
    assert_int_equal(tly_worker_submit(loop, work, work_done, &job), 0);
    tly_loop_free(loop);
    assert_int_equal(job.worked, 2);
    assert_int_equal(job.done, 2);
    assert_int_equal(tly_loop_new(&loop), 0);
}

/* ---- signal ---- */

struct caught {
    struct tly_signal *signal;
    int signum;
};

static void note_signal(void *arg, int signum)
{
    struct caught *caught = arg;
    caught->signum = signum;
    tly_signal_free(caught->signal);
    caught->signal = NULL;
}

static void catches_a_signal(void **state)
{
    (void)state;
    struct caught caught = {0};
    assert_int_equal(tly_signal_new(loop, SIGUSR1, note_signal, &caught, &caught.signal), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(caught.signum, 0); /* on the loop, not in the handler */
    run();
    assert_int_equal(caught.signum, SIGUSR1);
    struct tly_signal *none;
    assert_int_equal(tly_signal_new(loop, SIGKILL, note_signal, NULL, &none), -EINVAL);
    tly_signal_free(NULL);

    struct sigaction action;
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_IGN);
}

/* ---- deferred call ---- */

struct deferred {
    struct tly_defer *defer;
    int calls;
    int again;
    bool free_inside;
};

static void deferred_call(void *arg)
{
    struct deferred *deferred = arg;
    deferred->calls++;
    if (deferred->again-- > 0) {
        tly_defer_call(deferred->defer);
    }
    if (deferred->free_inside) {
        tly_defer_free(deferred->defer);
    }
}

static void defers_a_call(void **state)
{
    (void)state;
    struct deferred deferred = {0};
    assert_int_equal(tly_defer_new(loop, deferred_call, &deferred, &deferred.defer), 0);
    tly_loop_run(loop); /* not called, nothing to do */
    assert_int_equal(deferred.calls, 0);
    tly_defer_call(deferred.defer);
    tly_defer_call(deferred.defer);
    assert_int_equal(deferred.calls, 0);
    tly_loop_run(loop);
    assert_int_equal(deferred.calls, 1);
    deferred.again = 3;
    tly_defer_call(deferred.defer);
    tly_loop_run(loop);
    assert_int_equal(deferred.calls, 5);
    deferred.free_inside = true;
    tly_defer_call(deferred.defer);
    tly_loop_run(loop);
    assert_int_equal(deferred.calls, 6);

    struct tly_defer *freed;
    assert_int_equal(tly_defer_new(loop, unexpected, NULL, &freed), 0);
    tly_defer_call(freed);
    tly_defer_free(freed);
    tly_loop_run(loop);
    tly_defer_free(NULL);
}

static void call_the_deferred(void *arg)
{
    struct deferred *deferred = arg;
    tly_defer_call(deferred->defer);
}

static void a_deferred_call_does_not_wait(void **state)
{
    (void)state;
    /* Called from a timer, with the next timer an eternity away: the alarm would tell. */
    struct deferred deferred = {0};
    struct tly_timer *now, *late;
    assert_int_equal(tly_defer_new(loop, deferred_call, &deferred, &deferred.defer), 0);
    assert_int_equal(tly_timer_new(loop, call_the_deferred, &deferred, &now), 0);
    assert_int_equal(tly_timer_new(loop, unexpected, NULL, &late), 0);
    tly_timer_start(now, 1, 0);
    tly_timer_start(late, GUARD_S * 10000, 0);
    run_briefly();
    assert_int_equal(deferred.calls, 1);
    tly_timer_free(now);
    tly_timer_free(late);
    tly_defer_free(deferred.defer);
}

/* ---- loop ---- */

static void stops_when_told(void **state)
{
    (void)state;
    struct tly_timer *forever;
    assert_int_equal(tly_timer_new(loop, stop_due, NULL, &forever), 0);
    tly_timer_start(forever, 1, 1);
    run();
    run(); /* and runs again */
    tly_timer_free(forever);
}

static void a_forgotten_handle_aborts(void **state)
{
    (void)state;
#ifdef NDEBUG
    print_message("not in a build without assertions\n");
    skip();
#endif
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        TLY_AUTO_FD null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL); /* cmocka would catch it */
        struct tly_loop *own;
        struct tly_timer *forgotten;
        if (tly_loop_new(&own) == 0 && tly_timer_new(own, unexpected, NULL, &forgotten) == 0) {
            tly_loop_free(own);
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    tly_loop_free(NULL);
}

/* ---- turns ---- */

/* Works on the loop for longer than the second bound. */
static void work_long(void *arg)
{
    struct counting *counting = arg;
    int64_t end_ns = tly_clock_monotonic_ns() + 2 * tly_turn_bounds_ms[1] * TLY_NS_PER_MS;
    while (tly_clock_monotonic_ns() < end_ns) {
    }
    count_up_to_most(counting);
}

static void long_turns_are_counted(void **state)
{
    (void)state;
    const struct tly_turns *turns = tly_loop_turns(loop);
    struct counting counting = {.most = 3};
    assert_int_equal(tly_timer_new(loop, work_long, &counting, &counting.timer), 0);
    tly_timer_start(counting.timer, 1, 1);
    run();
    assert_true(turns->longer[0] >= 3);
    assert_true(turns->longer[1] >= 3);
    assert_true(turns->busy_ns >= 3 * 2 * tly_turn_bounds_ms[1] * TLY_NS_PER_MS);
}

/* Nor is what passes between two runs. */
static void waiting_is_no_work(void **state)
{
    (void)state;
    const int64_t wait_ms = 300;
    struct counting counting = {.most = 1};
    assert_int_equal(tly_timer_new(loop, count_up_to_most, &counting, &counting.timer), 0);
    tly_timer_start(counting.timer, wait_ms, 0);
    run();
    assert_true(tly_loop_turns(loop)->busy_ns < wait_ms / 2 * TLY_NS_PER_MS);
}

int main(void)
{
#define ON_LOOP(test) cmocka_unit_test_setup_teardown(test, make_loop, free_loop)
    const struct CMUnitTest tests[] = {
        ON_LOOP(a_timer_repeats_until_freed),
        ON_LOOP(a_timer_fires_once),
        ON_LOOP(a_timer_waits_from_its_start_on),
        ON_LOOP(a_freed_timer_is_silent),
        ON_LOOP(polls_a_pipe),
        ON_LOOP(a_stopped_poll_is_silent),
        ON_LOOP(a_worker_is_another_thread),
        ON_LOOP(jobs_end_while_the_loop_drains),
        ON_LOOP(catches_a_signal),
        ON_LOOP(defers_a_call),
        ON_LOOP(a_deferred_call_does_not_wait),
        ON_LOOP(stops_when_told),
        ON_LOOP(long_turns_are_counted),
        ON_LOOP(waiting_is_no_work),
        cmocka_unit_test(a_forgotten_handle_aborts),
    };
    return cmocka_run_group_tests_name("loop:loop", tests, NULL, NULL);
}
