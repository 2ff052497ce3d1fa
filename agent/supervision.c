/*
 * Looks at the runner at intervals: often until it is ready, rarely for the line of status. Without
 * a service manager it does nothing at all. `tallyman run` owns it.
 */
#include "agent/supervision.h"

#include "agent/base/clock.h"
#include "agent/loop/log.h"
#include "agent/loop/notify.h"

#include <errno.h>
#include <stdlib.h>

#define READY_LOOK_MS  50
#define STATUS_LOOK_MS 5000
#define MISSING_MAX    512

struct tly_supervision {
    struct tly_loop *loop;
    struct tly_notify *notify;
    struct tly_timer *timer;
    const struct tly_runner *runner; /* borrowed; NULL until it has started */
    int64_t started_ms;
    bool ready;             /* said */
    bool reloading;         /* said */
    size_t containers_said; /* in the last line of status */
};

static void say_ready(struct tly_supervision *supervision, const struct tly_buf *missing)
{
    size_t containers = tly_inventory_count(tly_runner_inventory(supervision->runner));
    struct tly_text all = tly_buf_text(missing);
    struct tly_text first = all.len > 0 ? tly_text_cut(&all, '\n') : all;
    int rc = tly_notify_say(supervision->notify, "READY=1\nSTATUS=Watching %zu containers%s%.*s",
                            containers, first.len > 0 ? "; " : "", (int)first.len,
                            first.len > 0 ? first.at : "");
    if (rc < 0) {
        return; /* the next look tries again */
    }
    if (first.len > 0) {
        tly_log_warn("systemd", "%.*s; the agent is said to be ready all the same", (int)first.len,
                     first.at);
    }
    supervision->ready = true;
    supervision->containers_said = containers;
    tly_timer_start(supervision->timer, STATUS_LOOK_MS, STATUS_LOOK_MS);
}

static void say_status(struct tly_supervision *supervision)
{
    size_t containers = tly_inventory_count(tly_runner_inventory(supervision->runner));
    if (containers != supervision->containers_said &&
        tly_notify_say(supervision->notify, "STATUS=Watching %zu containers", containers) == 0) {
        supervision->containers_said = containers;
    }
}

static void look(void *arg)
{
    struct tly_supervision *supervision = arg;
    if (supervision->ready) {
        say_status(supervision);
        return;
    }
    struct tly_buf missing;
    tly_buf_init(&missing, MISSING_MAX);
    if (tly_runner_ready(supervision->runner, &missing)) {
        tly_buf_clear(&missing);
        say_ready(supervision, &missing);
    } else if (tly_loop_now_ms(supervision->loop) - supervision->started_ms >=
               TLY_SUPERVISION_READY_MS) {
        say_ready(supervision, &missing);
    }
    tly_buf_done(&missing);
}

int tly_supervision_new(struct tly_loop *loop, struct tly_supervision **ret_supervision,
                        struct tly_error *err)
{
    struct tly_supervision *supervision = calloc(1, sizeof(*supervision));
    int rc = supervision == NULL ? -ENOMEM : 0;
    if (rc == 0) {
        supervision->loop = loop;
        rc = tly_notify_new(loop, &supervision->notify);
    }
    if (rc == 0) {
        rc = tly_timer_new(loop, look, supervision, &supervision->timer);
    }
    if (rc < 0) {
        tly_supervision_free(supervision);
        return tly_error_set(err, rc, "cannot tell the service manager anything: %s",
                             tly_error_name(rc));
    }
    *ret_supervision = supervision;
    return 0;
}

void tly_supervision_started(struct tly_supervision *supervision, const struct tly_runner *runner)
{
    supervision->runner = runner;
    supervision->started_ms = tly_loop_now_ms(supervision->loop);
    if (tly_notify_wanted(supervision->notify)) {
        tly_timer_start(supervision->timer, 0, READY_LOOK_MS);
    }
}

/* As sd_notify(3) asks for, so that the manager can tell whether its own request came before. */
void tly_supervision_reloading(struct tly_supervision *supervision)
{
    int64_t now_us = tly_clock_monotonic_ns() / TLY_NS_PER_US;
    if (supervision->ready && tly_notify_say(supervision->notify,
                                             "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reading "
                                             "the configuration",
                                             (long long)now_us) == 0) {
        supervision->reloading = true;
    }
}

void tly_supervision_reloaded(struct tly_supervision *supervision)
{
    if (supervision->reloading) {
        supervision->ready = false; /* to be said once more, also if the manager is behind now */
        supervision->reloading = false;
        supervision->started_ms = tly_loop_now_ms(supervision->loop);
        tly_timer_start(supervision->timer, 0, READY_LOOK_MS);
    }
}

void tly_supervision_stopping(struct tly_supervision *supervision, const char *reason)
{
    tly_timer_stop(supervision->timer);
    /* A manager that does not hear of it sees the process end all the same. */
    (void)!tly_notify_say(supervision->notify, "STOPPING=1\nSTATUS=%s", reason);
}

void tly_supervision_free(struct tly_supervision *supervision)
{
    if (supervision == NULL) {
        return;
    }
    tly_timer_free(supervision->timer);
    tly_notify_free(supervision->notify);
    free(supervision);
}
