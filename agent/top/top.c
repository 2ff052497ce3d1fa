/*
 * Brings together who asks, what is known, what is shown and the terminal; see top.h. One thread,
 * which waits for keys, answers, signals and the next second.
 */
#include "agent/top/top.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/loop/loop.h"
#include "agent/top/asker.h"
#include "agent/top/plain.h"
#include "agent/top/terminal.h"

#include <errno.h>
#include <langinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SECOND_MS 1000
#define TEXT_MAX  ((size_t)64 << 20)
#define SIGNALS   6

struct top {
    const struct tly_top_options *options;
    struct tly_error *err;
    int rc;
    bool ascii;
    struct tly_loop *loop;
    struct tly_top_asker *asker;
    struct tly_top_model model;
    struct tly_screen screen;

    /* With a terminal only. */
    struct tly_terminal *terminal;
    struct tly_timer *second;
    struct tly_poll *keys;
    struct tly_signal *signals[SIGNALS];
    struct tly_signal *stop_signal;
    struct tly_defer *drawing; /* several reasons in one turn are one */

    uint64_t printed;
};

static void end(struct top *top, int rc)
{
    top->rc = rc;
    tly_loop_stop(top->loop);
}

static double now_s(void)
{
    return (double)tly_clock_realtime_ns() / (double)TLY_NS_PER_S;
}

/* ---- text ---- */

static int print(struct top *top)
{
    struct tly_buf buf;
    tly_buf_init(&buf, TEXT_MAX);
    tly_screen_arrange(&top->screen, &top->model);
    int rc = top->printed > 0 ? tly_buf_append(&buf, "\n", 1) : 0;
    rc = rc < 0 ? rc : tly_top_plain(&top->screen, &top->model, top->ascii, &buf);
    rc = rc < 0 ? rc : tly_file_write_fd(STDOUT_FILENO, buf.at, buf.len);
    tly_buf_done(&buf);
    if (rc < 0) {
        return tly_error_set(top->err, rc, "cannot write to standard output: %s",
                             tly_error_name(rc));
    }
    top->printed++;
    return 0;
}

static void text_round(struct top *top)
{
    const uint64_t count = top->options->count > 0 ? top->options->count : 1;
    struct tly_contact contact = {.answered = false};
    tly_top_asker_contact(top->asker, &contact);
    if (contact.failed[0]) {
        end(top, tly_error_set(top->err, TLY_E_CLOSED, "%s does not answer: %s",
                               top->options->place, contact.failed));
        return;
    }
    int rc = print(top);
    if (rc < 0 || top->printed >= count) {
        end(top, rc);
    }
}

/* ---- the screen ---- */

static void draw(void *arg)
{
    struct top *top = arg;
    struct tly_grid grid;
    size_t width = 0;
    size_t height = 0;
    tly_terminal_size(top->terminal, &width, &height);
    if (tly_grid_init(&grid, width, height, top->ascii) < 0) {
        return; /* the next time there may be memory */
    }
    tly_top_asker_contact(top->asker, &top->screen.contact);
    top->screen.now = now_s() + top->screen.contact.clock_skew_s;
    tly_screen_draw(&top->screen, &top->model, &grid);
    tly_terminal_show(top->terminal, &grid);
    tly_grid_done(&grid);
}

static void tell(void *arg, bool round)
{
    struct top *top = arg;
    if (!top->terminal) {
        if (round) {
            text_round(top);
        }
        return;
    }
    tly_screen_arrange(&top->screen, &top->model);
    tly_defer_call(top->drawing);
}

static void second_gone(void *arg)
{
    struct top *top = arg;
    tly_defer_call(top->drawing);
}

static void key_do(struct top *top, uint32_t key)
{
    const bool held = top->screen.held;
    if (key == 'L' - '@') {
        tly_terminal_forget(top->terminal);
        return;
    }
    enum tly_act act = tly_screen_key(&top->screen, &top->model, key);
    if (act == TLY_ACT_QUIT) {
        end(top, 0);
    } else if (act == TLY_ACT_ASK) {
        bool one = top->screen.view == TLY_VIEW_CONTAINER;
        tly_top_asker_look(top->asker, top->screen.view, one ? top->screen.looked_at : "");
    }
    if (held != top->screen.held) {
        tly_top_asker_hold(top->asker, top->screen.held);
    }
}

/* Standard input has ended: it is readable, and there is nothing to read. */
static bool is_over(void)
{
    int waiting = 0;
    return ioctl(STDIN_FILENO, FIONREAD, &waiting) < 0 || waiting == 0;
}

static void keys_came(void *arg, int error, int events)
{
    struct top *top = arg;
    uint32_t key = 0;
    bool over = error < 0 || (events & TLY_HANGUP) || is_over();
    while (tly_terminal_read(top->terminal, &key)) {
        key_do(top, key);
    }
    tly_defer_call(top->drawing);
    if (over) {
        tly_poll_stop(top->keys);
        end(top, 0); /* whoever looked has gone */
    }
}

/* ---- signals ---- */

static void stop_caught(void *arg, int signum);

/* As a terminal's program is stopped: leaves the screen, lets the signal do what it does, and takes
 * the screen over again when it goes on. */
static void stop_caught(void *arg, int signum)
{
    struct top *top = arg;
    tly_terminal_leave(top->terminal);
    tly_signal_free(top->stop_signal);
    top->stop_signal = NULL;
    (void)raise(signum); /* stops here */
    if (tly_signal_new(top->loop, SIGTSTP, stop_caught, top, &top->stop_signal) < 0) {
        top->stop_signal = NULL; /* the next one stops it without leaving the screen */
    }
    tly_terminal_enter(top->terminal);
    tly_top_asker_ask(top->asker);
    tly_defer_call(top->drawing);
}

static void caught(void *arg, int signum)
{
    struct top *top = arg;
    switch (signum) {
    case SIGWINCH:
        tly_terminal_measure(top->terminal);
        break;
    case SIGCONT:
        tly_terminal_enter(top->terminal);
        break;
    default:
        end(top, 0);
        return;
    }
    tly_defer_call(top->drawing);
}

static int signals_catch(struct top *top)
{
    static const int numbers[SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT};
    int rc = tly_signal_new(top->loop, SIGTSTP, stop_caught, top, &top->stop_signal);
    for (size_t i = 0; i < SIGNALS && rc == 0; i++) {
        rc = tly_signal_new(top->loop, numbers[i], caught, top, &top->signals[i]);
    }
    return rc;
}

static void screen_close(struct top *top)
{
    tly_poll_free(top->keys);
    tly_timer_free(top->second);
    tly_defer_free(top->drawing);
    tly_terminal_close(top->terminal);
    tly_signal_free(top->stop_signal);
    for (size_t i = 0; i < SIGNALS; i++) {
        tly_signal_free(top->signals[i]);
    }
    top->keys = NULL;
    top->second = NULL;
    top->drawing = NULL;
    top->terminal = NULL;
    top->stop_signal = NULL;
    memset(top->signals, 0, sizeof(top->signals));
}

/* Signals first: ncurses leaves those alone that somebody catches. */
static int screen_open(struct top *top, struct tly_error *err)
{
    const char *no_colour = getenv("NO_COLOR");
    int rc = signals_catch(top);
    rc = rc < 0 ? rc : tly_terminal_open(!no_colour || !*no_colour, &top->terminal, err);
    rc = rc < 0 ? rc : tly_defer_new(top->loop, draw, top, &top->drawing);
    rc = rc < 0 ? rc : tly_timer_new(top->loop, second_gone, top, &top->second);
    rc = rc < 0
             ? rc
             : tly_poll_new(top->loop, tly_terminal_fd(top->terminal), keys_came, top, &top->keys);
    rc = rc < 0 ? rc : tly_poll_start(top->keys, TLY_READABLE);
    if (rc < 0) {
        screen_close(top);
        return rc;
    }
    tly_timer_start(top->second, SECOND_MS, SECOND_MS);
    draw(top);
    return 0;
}

/* ---- running ---- */

static int start(struct top *top)
{
    const struct tly_top_options *options = top->options;
    const struct tly_top_asker_spec spec = {
        .loop = top->loop,
        .endpoint = &options->endpoint,
        .path = options->path,
        .advice = options->advice,
        .interval_ms = options->interval_ms,
        .model = &top->model,
        .tell = tell,
        .arg = top,
    };
    int rc = tly_top_asker_new(&spec, &top->asker, top->err);
    if (rc < 0) {
        tly_error_prefix(top->err, "cannot ask");
        return rc;
    }
    if (options->count == 0 && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        struct tly_error err = {0};
        rc = screen_open(top, &err);
        if (rc < 0 && rc != -ENOTSUP) {
            return tly_error_set(top->err, rc, "cannot use the terminal: %s",
                                 err.code < 0 ? err.text : tly_error_name(rc));
        } /* a terminal that can't do it gets text */
    }
    tly_top_asker_ask(top->asker);
    return 0;
}

int tly_top_run(const struct tly_top_options *options, struct tly_error *err)
{
    struct top top = {
        .options = options, .err = err, .ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0};
    tly_top_model_init(&top.model);
    tly_screen_init(&top.screen);
    top.screen.choice = options->choice;
    int rc = tly_loop_new(&top.loop);
    if (rc < 0) {
        return tly_error_set(err, rc, "cannot start: %s", tly_error_name(rc));
    }
    rc = start(&top);
    if (rc == 0) {
        tly_loop_run(top.loop);
        rc = top.rc;
    }
    screen_close(&top);
    tly_top_asker_free(top.asker);
    tly_loop_free(top.loop);
    tly_screen_done(&top.screen);
    tly_top_model_done(&top.model);
    return rc;
}
