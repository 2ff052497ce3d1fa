/*
 * The order of things. Everything here runs on the loop; a stop goes through its stages by a
 * deferred call, so that a module may say "stopped" from inside the call that asks it to, and each
 * stage has a guard, so that one module that hangs cannot keep the others from ending well.
 */
#include "agent/runner.h"

#include "agent/base/clock.h"
#include "agent/group_settings.h"
#include "agent/judge/judge.h"
#include "agent/loop/log.h"
#include "agent/process.h"
#include "agent/registry.h"
#include "agent/rights.h"
#include "agent/runner_state.h"
#include "agent/web/web.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* What an output may take beyond its deadline to put itself away, and the web server beyond its. */
#define STOP_GRACE_MS 1000

/* Older readings than this are made anew for whoever looks at the status page. */
#define LOOK_AGE_MS 2000

_Static_assert(TLY_WEB_LAYERS_MAX >= TLY_LAYERS, "the page shows all layers");

/* ---- the agent's own samples ---- */

static void turns_meter(const struct tly_turns *turns, struct tly_samples *samples)
{
    static const char *const bounds[TLY_TURN_BOUNDS] = {"0.001", "0.002", "0.005", "0.02", "0.1"};
    tly_samples_add(samples, TLY_F_tallyman_loop_busy_seconds_total, TLY_DIM_NONE, turns->busy_ns);
    for (size_t i = 0; i < TLY_TURN_BOUNDS; i++) {
        tly_samples_add(samples, TLY_F_tallyman_loop_long_turns_total,
                        tly_samples_dim1(samples, "longer_than", tly_text_of(bounds[i])),
                        (int64_t)turns->longer[i]);
    }
}

static void meter(void *arg, struct tly_samples *samples)
{
    const struct tly_runner *runner = arg;
    uint16_t version = tly_samples_dim1(samples, "version", TLY_TEXT(TLY_VERSION));
    tly_samples_add(samples, TLY_F_tallyman_build_info, version, 1);
    turns_meter(tly_loop_turns(runner->context.loop), samples);
    for (size_t i = 0; runner->context.sandbox != NULL && i < TLY_LAYERS; i++) {
        uint16_t layer = tly_samples_dim1(samples, "layer", tly_text_of(tly_layer_names[i]));
        tly_samples_add(samples, TLY_F_tallyman_sandbox_enabled, layer,
                        runner->context.sandbox->layers[i].on);
    }
    tly_runner_reload_meter(runner, samples);
    for (size_t i = 0; i < runner->unit_count; i++) {
        const struct tly_unit *unit = &runner->units[i];
        if (!unit->collector || unit->stopped || unit->restarting) {
            continue;
        }
        const struct tly_run_stats *stats = unit->collector->stats(unit->self);
        uint16_t dim = tly_samples_dim1(samples, "collector", tly_text_of(unit->collector->name));
        tly_samples_add(samples, TLY_F_tallyman_collector_duration_seconds, dim,
                        stats->duration_ns);
        tly_samples_add(samples, TLY_F_tallyman_collector_success, dim, stats->success);
        tly_samples_add(samples, TLY_F_tallyman_collector_errors_total, dim,
                        (int64_t)stats->errors);
    }
}

static const char *unit_kind(const struct tly_unit *unit)
{
    return unit->collector ? "collector" : "output";
}

const char *tly_unit_name(const struct tly_unit *unit)
{
    return unit->collector ? unit->collector->name : unit->output->name;
}

/* ---- making ---- */

static void advance(void *arg);
static void give_up(void *arg);

static int fail(int rc, const char *what, struct tly_error *err)
{
    return tly_error_set(err, rc, "cannot start %s: %s", what, tly_error_name(rc));
}

static int make_inventory(struct tly_context *context, struct tly_error *err)
{
    const struct tly_collect_settings *collect = context->collect;
    const struct tly_inventory_limits limits = {
        .containers_max = (size_t)collect->containers_max,
        .label_value_bytes_max = (size_t)collect->label_value_bytes_max,
        .labels_max = (size_t)collect->labels_max,
    };
    int rc = tly_inventory_new(&limits, (const char *const *)collect->labels.at,
                               collect->labels.count, &context->inventory);
    if (rc < 0) {
        return fail(rc, "the inventory", err);
    }
    tly_inventory_choose(context->inventory, context->groups);
    return 0;
}

static int make_watcher(struct tly_context *context, struct tly_error *err)
{
    int rc = tly_watcher_new(context->loop, &context->watcher);
    return rc < 0 ? fail(rc, "the file watch", err) : 0;
}

/* Without a state directory (`tallyman metrics`) nothing outlives the process anyway. */
static int make_delivery(struct tly_context *context, int state_dir_fd, struct tly_error *err)
{
    const struct tly_spool_settings *settings = tly_config_section(context->config,
                                                                   &tly_spool_section);
    const struct tly_spool_spec spool = {
        .disk_bytes_max = (uint64_t)settings->disk_bytes_max,
        .memory_bytes_max = (size_t)settings->memory_bytes_max,
        .sync = settings->sync,
    };
    int rc = tly_delivery_new(context->loop, state_dir_fd, &context->delivery, err);
    if (rc < 0 || state_dir_fd < 0) {
        return rc;
    }
    return tly_delivery_spool(context->delivery, &spool, err);
}

static int make_rooms(struct tly_runner *runner, int state_dir_fd, struct tly_error *err)
{
    struct tly_context *context = &runner->context;
    int rc = make_inventory(context, err);
    if (rc == 0) {
        rc = make_watcher(context, err);
    }
    if (rc < 0) {
        return rc;
    }
    rc = make_delivery(context, state_dir_fd, err);
    if (rc < 0) {
        return rc;
    }
    rc = tly_defer_new(context->loop, advance, runner, &runner->advance);
    if (rc == 0) {
        rc = tly_timer_new(context->loop, give_up, runner, &runner->guard);
    }
    rc = rc < 0 ? rc : tly_runner_reload_init(runner);
    if (rc == 0) {
        rc = tly_inventory_meter(context->inventory, meter, runner);
    }
    if (rc == 0) {
        rc = tly_inventory_meter(context->inventory, tly_process_meter, &runner->process);
    }
    if (rc == 0) {
        rc = tly_inventory_meter(context->inventory, tly_delivery_meter, context->delivery);
    }
    return rc < 0 ? fail(rc, "the agent's own metrics", err) : 0;
}

static size_t count_modules(void)
{
    size_t count = 0;
    for (size_t i = 0; tly_collectors[i]; i++) {
        count++;
    }
    for (size_t i = 0; tly_outputs[i]; i++) {
        count++;
    }
    return count;
}

int tly_runner_new(struct tly_loop *loop, struct tly_config *config, int state_dir_fd,
                   const struct tly_sandbox *sandbox, struct tly_runner **ret_runner,
                   struct tly_error *err)
{
    struct tly_runner *runner = calloc(1, sizeof(*runner));
    struct tly_unit *units = calloc(count_modules() + 1,
                                    sizeof(struct tly_unit)); /* never of 0 bytes */
    if (!runner || !units) {
        free(runner);
        free(units);
        return fail(-ENOMEM, "the agent", err);
    }
    runner->units = units;
    runner->config = tly_config_ref(config);
    runner->context = (struct tly_context){
        .loop = loop,
        .config = config,
        .settings = tly_config_section(config, &tly_settings_section),
        .docker = tly_config_section(config, &tly_docker_section),
        .collect = tly_config_section(config, &tly_collect_section),
    };
    tly_group_settings_choose(tly_config_section(config, &tly_group_section), &runner->groups);
    runner->context.groups = &runner->groups;
    runner->context.alerts = &runner->alerts;
    runner->context.state_dir_fd = state_dir_fd;
    runner->context.sandbox = sandbox;
    if (gethostname(runner->host_name, sizeof(runner->host_name) - 1) < 0) {
        runner->host_name[0] = '\0'; /* the page goes without */
    }
    tly_process_init(&runner->process, loop);
    int rc = make_rooms(runner, state_dir_fd, err);
    if (rc < 0) {
        tly_runner_free(runner);
        return rc;
    }
    *ret_runner = runner;
    return 0;
}

void tly_runner_free(struct tly_runner *runner)
{
    if (!runner) {
        return;
    }
    tly_web_free(runner->web);
    tly_judge_free(runner->judge);
    tly_inventory_free(runner->context.inventory);
    if (runner->context.delivery) {
        tly_delivery_free(runner->context.delivery);
    }
    if (runner->context.watcher) {
        tly_watcher_free(runner->context.watcher);
    }
    tly_runner_reload_done(runner);
    tly_timer_free(runner->guard);
    tly_defer_free(runner->advance);
    tly_process_done(&runner->process);
    for (size_t i = 0; i < runner->unit_count; i++) {
        tly_config_free(runner->units[i].config);
    }
    tly_config_free(runner->config);
    free(runner->units);
    free(runner);
}

struct tly_inventory *tly_runner_inventory(const struct tly_runner *runner)
{
    return runner->context.inventory;
}

/* ---- starting ---- */

static bool ready(void *arg, struct tly_buf *missing)
{
    return tly_runner_ready(arg, missing);
}

static struct tly_snapshot *take_snapshot(void *arg)
{
    return tly_inventory_snapshot(arg);
}

/* Somebody looks at the status page: what it shows next is to be fresh. */
static void refreshed(void *arg)
{
    (void)arg; /* the next request takes what was read */
}

static void look(void *arg)
{
    if (tly_inventory_refresh(arg, LOOK_AGE_MS, refreshed, NULL) < 0) {
        return; /* memory is out: the page shows what there is */
    }
}

void tly_runner_set_page(struct tly_runner *runner)
{
    struct tly_web_page page = {
        .name = runner->host_name,
        .interval_ms = runner->context.collect->interval_ms,
        .look = look,
        .look_arg = runner->context.inventory,
    };
    const struct tly_right *missing[TLY_WEB_LACKING_MAX];
    page.lacking_count = tly_rights_missing(missing, TLY_WEB_LACKING_MAX);
    for (size_t i = 0; i < page.lacking_count; i++) {
        page.lacking[i].what = missing[i]->name;
        page.lacking[i].lost = missing[i]->lost;
    }
    const struct tly_sandbox *sandbox = runner->context.sandbox;
    for (size_t i = 0; sandbox != NULL && i < TLY_LAYERS; i++) {
        page.layers[page.layer_count].name = tly_layer_names[i];
        page.layers[page.layer_count].why = sandbox->layers[i].why;
        page.layers[page.layer_count++].on = sandbox->layers[i].on;
    }
    for (size_t i = 0; i < TLY_GROUP_COUNT; i++) {
        if (!runner->groups.on[i]) {
            page.off[page.off_count++] = tly_groups[i].name;
        }
    }
    tly_web_set_page(runner->web, &page);
}

static int make_web(struct tly_runner *runner, struct tly_error *err)
{
    const struct tly_web_settings *settings = tly_config_section(runner->context.config,
                                                                 &tly_web_section);
    int rc = tly_web_new(runner->context.loop, settings, &runner->web, err);
    if (rc < 0) {
        return rc;
    }
    tly_web_set_ready(runner->web, ready, runner);
    tly_web_set_snapshots(runner->web, take_snapshot, runner->context.inventory);
    tly_runner_set_page(runner);
    rc = tly_inventory_meter(runner->context.inventory, tly_web_meter, runner->web);
    return rc < 0 ? fail(rc, "the web server's metrics", err) : 0;
}

int tly_unit_offer(const struct tly_unit *unit, struct tly_error *err)
{
    struct tly_web *web = unit->runner->web;
    const struct tly_route *route = unit->output ? unit->output->routes : unit->collector->routes;
    route = web ? route : NULL;
    for (; route && route->path; route++) {
        int rc = tly_web_add(web, route, unit->self);
        if (rc < 0) {
            return tly_error_set(err, rc, "%s cannot serve %s: %s", tly_unit_name(unit),
                                 route->path, tly_error_name(rc));
        }
    }
    return 0;
}

int tly_unit_start(struct tly_unit *unit, struct tly_error *err)
{
    struct tly_runner *runner = unit->runner;
    int rc = unit->output ? unit->output->start(&runner->context, &unit->self, err)
                          : unit->collector->start(&runner->context, &unit->self, err);
    if (rc < 0) {
        tly_error_prefix(err, "%s %s", unit_kind(unit), tly_unit_name(unit));
        return rc;
    }
    unit->config = tly_config_ref(runner->config);
    return 0;
}

static int start_next(struct tly_runner *runner, const struct tly_collector *collector,
                      const struct tly_output *output, struct tly_error *err)
{
    struct tly_unit *unit = &runner->units[runner->unit_count];
    *unit = (struct tly_unit){.runner = runner, .collector = collector, .output = output};
    int rc = tly_unit_start(unit, err);
    if (rc < 0) {
        return rc;
    }
    runner->unit_count++;
    return tly_unit_offer(unit, err);
}

static int add_all(struct tly_runner *runner, const struct tly_route *route, void *self,
                   struct tly_error *err)
{
    for (; route->path; route++) {
        int rc = tly_web_add(runner->web, route, self);
        if (rc < 0) {
            return tly_error_set(err, rc, "cannot serve %s: %s", route->path, tly_error_name(rc));
        }
    }
    return 0;
}

/* After the outputs, so that they hear of the first alert; their routes are the judge's own. */
static int make_judge(struct tly_runner *runner, struct tly_error *err)
{
    const struct tly_judge_spec spec = {
        .loop = runner->context.loop,
        .inventory = runner->context.inventory,
        .delivery = runner->context.delivery,
        .feed = runner->context.alerts,
        .config = runner->config,
        .tick_ms = runner->context.collect->interval_ms,
        .state_dir_fd = runner->context.state_dir_fd,
    };
    int rc = tly_judge_new(&spec, &runner->judge, err);
    rc = rc < 0 ? rc : add_all(runner, tly_judge_routes, runner->judge, err);
    if (rc == 0) {
        tly_judge_start(runner->judge);
    }
    return rc;
}

int tly_runner_start_outputs(struct tly_runner *runner, struct tly_error *err)
{
    int rc = make_web(runner, err);
    for (size_t i = 0; rc == 0 && tly_outputs[i]; i++) {
        rc = start_next(runner, NULL, tly_outputs[i], err);
    }
    rc = rc < 0 ? rc : make_judge(runner, err);
    rc = rc < 0 ? rc : add_all(runner, tly_runner_routes, runner, err);
    if (rc == 0 && runner->web) {
        rc = tly_web_start(runner->web, err);
        runner->web_started = rc == 0;
    }
    return rc;
}

int tly_runner_start_collectors(struct tly_runner *runner, struct tly_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && tly_collectors[i]; i++) {
        rc = start_next(runner, tly_collectors[i], NULL, err);
    }
    return rc;
}

bool tly_runner_ready(const struct tly_runner *runner, struct tly_buf *missing)
{
    bool all = runner->stage == TLY_STAGE_RUNNING;
    bool room = all || tly_buf_printf(missing, "the agent is stopping\n") == 0;
    for (size_t i = 0; i < runner->unit_count; i++) {
        const struct tly_unit *unit = &runner->units[i];
        bool begun = unit->stopped || unit->restarting || unit->began_again;
        if (unit->collector && !begun && !unit->collector->ready(unit->self)) {
            all = false;
            room = room && tly_buf_printf(missing, "collector %s has not finished its first look\n",
                                          unit->collector->name) == 0;
        }
    }
    return all;
}

/* ---- stopping ---- */

/* Whether the unit belongs to the stage under way and has not stopped. */
static bool pending(const struct tly_unit *unit)
{
    return !unit->stopped && (unit->collector ? unit->runner->stage == TLY_STAGE_COLLECTORS
                                              : unit->runner->stage == TLY_STAGE_OUTPUTS);
}

static bool stage_done(const struct tly_runner *runner)
{
    for (size_t i = 0; i < runner->unit_count; i++) {
        if (pending(&runner->units[i])) {
            return false;
        }
    }
    bool retiring = runner->stage == TLY_STAGE_OUTPUTS && runner->retiring > 0;
    return !retiring && !runner->web_pending && !runner->judge_pending;
}

static void unit_stopped(void *arg)
{
    struct tly_unit *unit = arg;
    unit->stopped = true;
    tly_defer_call(unit->runner->advance);
}

static void web_stopped(void *arg)
{
    struct tly_runner *runner = arg;
    runner->web_pending = false;
    tly_defer_call(runner->advance);
}

static void judge_stopped(void *arg)
{
    struct tly_runner *runner = arg;
    runner->judge_pending = false;
    tly_defer_call(runner->advance);
}

/* The guard's time is over: whoever has not stopped by now is left behind. */
static void give_up(void *arg)
{
    struct tly_runner *runner = arg;
    for (size_t i = 0; i < runner->unit_count; i++) {
        struct tly_unit *unit = &runner->units[i];
        if (pending(unit)) {
            tly_log_warn("runner", "%s %s does not stop; going on without it", unit_kind(unit),
                         tly_unit_name(unit));
            unit->stopped = true;
            runner->left_behind = true;
        }
    }
    if (runner->stage == TLY_STAGE_OUTPUTS && runner->retiring > 0) {
        tly_log_warn("runner", "an output that was replaced does not stop; going on without it");
        runner->retiring = 0;
        runner->left_behind = true;
    }
    if (runner->judge_pending) {
        tly_log_warn("runner", "the rules do not stop; going on without them");
        runner->judge_pending = false;
        runner->left_behind = true;
    }
    if (runner->web_pending) {
        tly_log_warn("runner", "the web server does not stop; going on without it");
        runner->web_pending = false;
        runner->left_behind = true;
    }
    tly_defer_call(runner->advance);
}

static void stop_collectors(struct tly_runner *runner)
{
    tly_timer_start(runner->guard, TLY_RUNNER_COLLECTORS_STOP_MS, 0);
    if (runner->judge) {
        if (runner->web) {
            tly_web_withdraw(runner->web, runner->judge);
        }
        runner->judge_pending = true;
        tly_judge_stop(runner->judge, judge_stopped, runner);
    }
    for (size_t i = 0; i < runner->unit_count; i++) {
        struct tly_unit *unit = &runner->units[i];
        bool stops = unit->restarting || unit->stopped; /* for a reload */
        if (unit->collector && !stops) {
            if (runner->web) {
                tly_web_withdraw(runner->web, unit->self);
            }
            unit->collector->stop(unit->self, unit_stopped, unit);
        }
    }
}

static void stop_outputs(struct tly_runner *runner)
{
    tly_delivery_flush(runner->context.delivery);
    tly_timer_start(runner->guard, TLY_RUNNER_OUTPUTS_STOP_MS + STOP_GRACE_MS, 0);
    int64_t deadline_ms = tly_loop_now_ms(runner->context.loop) + TLY_RUNNER_OUTPUTS_STOP_MS;
    for (size_t i = 0; i < runner->unit_count; i++) {
        struct tly_unit *unit = &runner->units[i];
        if (unit->output) {
            if (runner->web) {
                tly_web_withdraw(runner->web, unit->self);
            }
            unit->output->stop(unit->self, deadline_ms, unit_stopped, unit);
        }
    }
}

static void stop_web(struct tly_runner *runner)
{
    if (runner->web_started) {
        runner->web_pending = true;
        tly_timer_start(runner->guard, TLY_WEB_STOP_MS + STOP_GRACE_MS, 0);
        tly_web_stop(runner->web, web_stopped, runner);
    }
}

/* To the next stage, if nothing of this one is pending. */
static void advance(void *arg)
{
    struct tly_runner *runner = arg;
    if (runner->stage == TLY_STAGE_STOPPED || !stage_done(runner)) {
        return;
    }
    tly_timer_stop(runner->guard);
    runner->stage++;
    switch (runner->stage) {
    case TLY_STAGE_COLLECTORS:
        stop_collectors(runner);
        break;
    case TLY_STAGE_OUTPUTS:
        stop_outputs(runner);
        break;
    case TLY_STAGE_WEB:
        stop_web(runner);
        break;
    default:
        runner->stopped(runner->stopped_arg, !runner->left_behind);
        return;
    }
    /* A stage without members is over at once. */
    tly_defer_call(runner->advance);
}

void tly_runner_stop(struct tly_runner *runner, void (*stopped)(void *arg, bool clean), void *arg)
{
    runner->stopped = stopped;
    runner->stopped_arg = arg;
    tly_runner_reload_stop(runner);
    tly_defer_call(runner->advance);
}

void tly_runner_advance(struct tly_runner *runner)
{
    tly_defer_call(runner->advance);
}
