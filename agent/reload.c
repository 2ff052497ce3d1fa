/*
 * Another configuration while the agent runs. First all that can fail is done, for every module
 * that the change concerns, and nothing that works is touched; then everything changes in one turn
 * of the loop. Modules that take a change in place keep what they have under way; the other outputs
 * are replaced, and drain what they had; the other collectors stop and begin again. What holds
 * state across all of it, the inventory, the delivery with its positions and spool, the rules with
 * their history and states, and the web server with its connections, is never made anew.
 */
#include "agent/base/clock.h"
#include "agent/group_settings.h"
#include "agent/judge/settings.h"
#include "agent/loop/log.h"
#include "agent/runner_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_NAME "reload"

/* ---- what differs ---- */

static void add_refused(struct tly_reload *reload, const char *path)
{
    size_t len = strlen(reload->refused);
    if (reload->refused_count++ > 0 && len + sizeof(", ") < sizeof(reload->refused)) {
        len += (size_t)snprintf(reload->refused + len, sizeof(reload->refused) - len, ", ");
    }
    (void)snprintf(reload->refused + len, sizeof(reload->refused) - len, "%s",
                   path); /* what does not fit is found at the next try */
}

static bool is_output(const struct tly_section *section)
{
    for (size_t i = 0; tly_outputs[i]; i++) {
        if (tly_outputs[i]->section == section) {
            return true;
        }
    }
    return false;
}

static void differs(void *arg, const struct tly_section *section, const char *path, bool restart)
{
    struct tly_reload *reload = arg;
    size_t count = 0;
    const struct tly_section *const *sections = tly_sections(&count);
    if (restart) {
        add_refused(reload, path);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        reload->sections[i] = reload->sections[i] || sections[i] == section;
    }
    reload->interval = reload->interval || strcmp(path, "collect.interval") == 0;
    reload->labels = reload->labels ||
                     (section == &tly_collect_section && strcmp(path, "collect.interval") != 0);
    reload->outputs = reload->outputs || is_output(section);
}

static int compare(const struct tly_runner *runner, struct tly_reload *reload,
                   struct tly_error *err)
{
    size_t count = 0;
    const struct tly_section *const *sections = tly_sections(&count);
    tly_config_compare(runner->config, reload->config, sections, count, differs, reload);
    if (reload->refused_count > 0) {
        return tly_error_set(err, -ENOTSUP,
                             "only a restart of the agent can change %s; nothing of the file is "
                             "applied",
                             reload->refused);
    }
    tly_group_settings_choose(tly_config_section(reload->config, &tly_group_section),
                              &reload->groups);
    reload->groups_differ = memcmp(&reload->groups, &runner->groups, sizeof(reload->groups)) != 0;
    reload->next = runner->context;
    reload->next.config = reload->config;
    reload->next.settings = tly_config_section(reload->config, &tly_settings_section);
    reload->next.docker = tly_config_section(reload->config, &tly_docker_section);
    reload->next.collect = tly_config_section(reload->config, &tly_collect_section);
    reload->next.groups = &reload->groups;
    return 0;
}

static bool concerns(const struct tly_reload *reload, const struct tly_unit *unit)
{
    const struct tly_section *own = unit->output ? unit->output->section : unit->collector->section;
    unsigned follows = unit->output ? unit->output->follows : unit->collector->follows;
    size_t count = 0;
    const struct tly_section *const *sections = tly_sections(&count);
    bool changed = ((follows & TLY_FOLLOWS_INTERVAL) && reload->interval) ||
                   ((follows & TLY_FOLLOWS_GROUPS) && reload->groups_differ) ||
                   ((follows & TLY_FOLLOWS_OUTPUTS) && reload->outputs);
    for (size_t i = 0; i < count; i++) {
        changed = changed || (own && sections[i] == own && reload->sections[i]);
    }
    return changed;
}

static const struct tly_reload_ops *ops_of(const struct tly_unit *unit)
{
    return unit->output ? unit->output->reload : unit->collector->reload;
}

/* ---- preparing ---- */

/* An output that was replaced, and drains what it had. */
struct tly_retiring {
    struct tly_runner *runner;
    struct tly_config *config; /* what it was started with */
};

static void nobody(void *arg)
{
    (void)arg;
}

static void abandon(struct tly_runner *runner, struct tly_reload *reload)
{
    for (size_t i = 0; i < runner->unit_count; i++) {
        struct tly_unit *unit = &runner->units[i];
        if (unit->concerned && ops_of(unit)) {
            ops_of(unit)->abandon(unit->self, unit->plan);
        } else if (unit->concerned && unit->plan) {
            unit->output->stop(unit->plan, 0, nobody, NULL); /* it has nothing to send yet */
        }
        free(unit->retiring);
        unit->retiring = NULL;
        unit->concerned = false;
        unit->plan = NULL;
    }
    tly_judge_abandon(reload->judge);
}

static int prepare_unit(struct tly_unit *unit, struct tly_reload *reload, struct tly_error *err)
{
    int rc = 0;
    if (ops_of(unit)) {
        rc = ops_of(unit)->prepare(unit->self, &reload->next, &unit->plan, err);
    } else if (unit->output) {
        unit->retiring = calloc(1, sizeof(*unit->retiring));
        rc = unit->retiring ? unit->output->start(&reload->next, &unit->plan, err) : -ENOMEM;
    }
    if (rc == -ENOMEM) {
        (void)tly_error_set(err, rc, "out of memory"); /* is returned */
    }
    if (rc < 0) {
        tly_error_prefix(err, "%s", tly_unit_name(unit));
    }
    unit->concerned = rc == 0;
    return rc;
}

static int prepare(struct tly_runner *runner, struct tly_reload *reload, struct tly_error *err)
{
    int rc = tly_judge_prepare(runner->judge, reload->config, reload->next.collect->interval_ms,
                               &reload->judge, err);
    for (size_t i = 0; rc == 0 && i < runner->unit_count; i++) {
        if (concerns(reload, &runner->units[i])) {
            rc = prepare_unit(&runner->units[i], reload, err);
        }
    }
    /* What is sound there is in force from then on, as it would be at the next look. */
    rc = rc == 0 && runner->web ? tly_web_policy_check(runner->web, err) : rc;
    if (rc == 0 && reload->labels) { /* the last, since it changes something at once */
        const struct tly_collect_settings *collect = reload->next.collect;
        rc = tly_inventory_relabel(runner->context.inventory, (size_t)collect->labels_max,
                                   (size_t)collect->label_value_bytes_max,
                                   (const char *const *)collect->labels.at, collect->labels.count);
        (void)(rc < 0 ? tly_error_set(err, rc, "%s", tly_error_name(rc)) : 0); /* is returned */
    }
    return rc;
}

/* ---- beginning again ---- */

static void settle(struct tly_runner *runner)
{
    if (runner->restarting == 0 && runner->events && runner->stage == TLY_STAGE_RUNNING) {
        tly_timer_stop(runner->reload_guard);
        runner->events->settled(runner->events_arg);
    }
}

/* The old instance is gone. */
static void begin_again(void *arg)
{
    struct tly_unit *unit = arg;
    struct tly_runner *runner = unit->runner;
    struct tly_error err = {0};
    runner->restarting--;
    unit->restarting = false;
    if (runner->stage != TLY_STAGE_RUNNING || runner->stopped) {
        unit->stopped = true;
        tly_runner_advance(runner);
        return;
    }
    tly_config_free(unit->config);
    unit->config = NULL;
    int rc = tly_unit_start(unit, &err);
    if (rc < 0) {
        unit->stopped = true;
    } else {
        rc = tly_unit_offer(unit, &err);
    }
    if (rc < 0 && runner->events) {
        runner->events->broken(runner->events_arg, &err);
        return;
    }
    settle(runner);
}

static void give_up(void *arg)
{
    struct tly_runner *runner = arg;
    struct tly_error err = {0};
    for (size_t i = 0; i < runner->unit_count; i++) {
        if (runner->units[i].restarting && runner->events) {
            (void)tly_error_set(&err, -ETIMEDOUT, "collector %s does not stop",
                                tly_unit_name(&runner->units[i])); /* goes to `broken` */
            runner->events->broken(runner->events_arg, &err);
            return;
        }
    }
}

static void restart_collector(struct tly_unit *unit)
{
    struct tly_runner *runner = unit->runner;
    unit->restarting = true;
    unit->began_again = unit->began_again || unit->collector->ready(unit->self);
    runner->restarting++;
    if (runner->web) {
        tly_web_withdraw(runner->web, unit->self);
    }
    unit->collector->stop(unit->self, begin_again, unit);
}

/* ---- outputs that are replaced ---- */

static void retired(void *arg)
{
    struct tly_retiring *retiring = arg;
    struct tly_runner *runner = retiring->runner;
    runner->retiring -= runner->retiring > 0; /* 0: it was given up */
    tly_config_free(retiring->config);
    free(retiring);
    if (runner->stopped) {
        tly_runner_advance(runner);
    }
}

static void replace_output(struct tly_unit *unit)
{
    struct tly_runner *runner = unit->runner;
    struct tly_retiring *retiring = unit->retiring;
    void *old = unit->self;
    *retiring = (struct tly_retiring){.runner = runner, .config = unit->config};
    unit->retiring = NULL;
    runner->retiring++;
    unit->self = unit->plan;
    unit->config = tly_config_ref(runner->config);
    int64_t deadline_ms = tly_loop_now_ms(runner->context.loop) + TLY_RUNNER_OUTPUTS_STOP_MS;
    unit->output->stop(old, deadline_ms, retired, retiring);
}

/* ---- putting in force ---- */

static void adopt_unit(struct tly_unit *unit)
{
    struct tly_runner *runner = unit->runner;
    if (ops_of(unit)) {
        ops_of(unit)->adopt(unit->self, &runner->context, unit->plan);
        tly_config_free(unit->config);
        unit->config = tly_config_ref(runner->config);
    } else if (unit->output) {
        replace_output(unit);
    }
    unit->plan = NULL;
}

/* The core, before the modules: they are given the new context. */
static void adopt_core(struct tly_runner *runner, struct tly_reload *reload)
{
    const struct tly_log_settings *log = tly_config_section(reload->config, &tly_log_section);
    tly_log_set_level((enum tly_log_level)log->level);
    runner->groups = reload->groups;
    runner->context = reload->next;
    runner->context.groups = &runner->groups;
    tly_config_free(runner->config);
    runner->config = tly_config_ref(reload->config);
    if (reload->groups_differ) {
        tly_inventory_choose(runner->context.inventory, &runner->groups);
    }
    if (runner->web && (reload->groups_differ || reload->interval)) {
        tly_runner_set_page(runner);
    }
    tly_judge_adopt(runner->judge, reload->judge);
}

static void adopt(struct tly_runner *runner, struct tly_reload *reload)
{
    adopt_core(runner, reload);
    for (size_t i = 0; i < runner->unit_count; i++) {
        if (runner->units[i].concerned) {
            adopt_unit(&runner->units[i]);
        }
    }
    /* Nobody has anything of destinations that left any more. */
    tly_delivery_settle(runner->context.delivery);
    tly_timer_start(runner->reload_guard, TLY_RUNNER_COLLECTORS_STOP_MS, 0);
    runner->restarting++; /* this call: none is to settle before all have begun to stop */
    for (size_t i = 0; i < runner->unit_count; i++) {
        struct tly_unit *unit = &runner->units[i];
        if (unit->concerned && unit->collector && !ops_of(unit)) {
            restart_collector(unit);
        }
        unit->concerned = false;
    }
    runner->restarting--;
    settle(runner);
}

static int try(struct tly_runner *runner, struct tly_reload *reload, struct tly_error *err)
{
    if (runner->stage != TLY_STAGE_RUNNING || runner->stopped || !runner->judge) {
        return tly_error_set(err, -EBUSY, "the agent is not running");
    }
    if (runner->restarting > 0) {
        return tly_error_set(err, -EBUSY, "the last reload is still under way");
    }
    int rc = compare(runner, reload, err);
    if (rc < 0) {
        return rc;
    }
    rc = prepare(runner, reload, err);
    if (rc < 0) {
        abandon(runner, reload);
    } else {
        adopt(runner, reload);
    }
    return rc;
}

int tly_runner_reload(struct tly_runner *runner, struct tly_config *config, struct tly_error *err)
{
    struct tly_reload *reload = calloc(1, sizeof(*reload));
    int rc;
    if (reload) {
        reload->config = tly_config_ref(config);
        rc = try(runner, reload, err);
        tly_config_free(reload->config);
        free(reload);
    } else {
        rc = tly_error_set(err, -ENOMEM, "out of memory");
    }
    runner->reload_failed = rc < 0;
    if (rc == 0) {
        runner->reloaded_ms = tly_clock_realtime_ns() / TLY_NS_PER_MS;
    }
    return rc;
}

void tly_runner_reload_failed(struct tly_runner *runner)
{
    runner->reload_failed = true;
}

/* ---- over HTTP ---- */

#define ANSWER_MAX 4096

static void answer(struct tly_http_request *request, unsigned status, const char *text)
{
    struct tly_buf body;
    tly_buf_init(&body, ANSWER_MAX);
    if (tly_buf_printf(&body, "%s\n", text) < 0) {
        tly_buf_clear(&body); /* the status alone has to do */
    }
    tly_http_answer(request, status, "text/plain; charset=utf-8", &body);
    tly_buf_done(&body);
}

static void ask(void *arg)
{
    struct tly_runner *runner = arg;
    struct tly_http_request *request = runner->asking;
    struct tly_error err = {0};
    runner->asking = NULL;
    if (!request) {
        return;
    }
    int rc = runner->events ? runner->events->asked(runner->events_arg, &err) : -EBUSY;
    if (rc == 0) {
        answer(request, 200, "the configuration is in force");
    } else if (rc == -EBUSY) {
        answer(request, 503, err.text[0] ? err.text : "the agent cannot reload now");
    } else {
        answer(request, 500, err.text);
    }
}

/* In a turn of its own: what changes may be what calls this. */
static void handle(void *self, struct tly_http_request *request)
{
    struct tly_runner *runner = self;
    const struct tly_web_settings *web = tly_config_section(runner->config, &tly_web_section);
    if (!tly_http_is_post(request)) {
        int rc = tly_http_answer_header(request, "Allow", "POST");
        (void)rc; /* the text says it, too */
        answer(request, 405, "this changes what the agent does: ask with POST");
    } else if (!web->reload) {
        answer(request, 403,
               "reloading over HTTP is switched off; write `reload: true` in the section `web`, or "
               "send the agent SIGHUP");
    } else if (runner->asking) {
        answer(request, 503, "a reload is asked for already");
    } else {
        runner->asking = request;
        tly_defer_call(runner->ask);
    }
}

const struct tly_route tly_runner_routes[] = {
    {.path = "/-/reload", .handle = handle, .post = true},
    {.path = NULL},
};

/* ---- life ---- */

void tly_runner_listen(struct tly_runner *runner, const struct tly_runner_events *events, void *arg)
{
    runner->events = events;
    runner->events_arg = arg;
}

int tly_runner_reload_init(struct tly_runner *runner)
{
    runner->reloaded_ms = tly_clock_realtime_ns() / TLY_NS_PER_MS;
    int rc = tly_defer_new(runner->context.loop, ask, runner, &runner->ask);
    return rc < 0 ? rc
                  : tly_timer_new(runner->context.loop, give_up, runner, &runner->reload_guard);
}

void tly_runner_reload_stop(struct tly_runner *runner)
{
    if (runner->reload_guard) {
        tly_timer_stop(runner->reload_guard);
    }
    if (runner->asking) {
        struct tly_http_request *request = runner->asking;
        runner->asking = NULL;
        answer(request, 503, "the agent is stopping");
    }
}

void tly_runner_reload_done(struct tly_runner *runner)
{
    tly_timer_free(runner->reload_guard);
    tly_defer_free(runner->ask);
}

void tly_runner_reload_meter(const struct tly_runner *runner, struct tly_samples *samples)
{
    tly_samples_add(samples, TLY_F_tallyman_config_last_reload_successful, TLY_DIM_NONE,
                    !runner->reload_failed);
    tly_samples_add(samples, TLY_F_tallyman_config_last_reload_success_timestamp_seconds,
                    TLY_DIM_NONE, runner->reloaded_ms);
}
