/*
 * The order of starting and stopping, with modules that write down what happens to them. They stand
 * in for those of registry.c, which is not linked here.
 */
#include "agent/group_settings.h"
#include "agent/judge/settings.h"
#include "agent/registry.h"
#include "agent/runner.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

/* ---- modules ---- */

enum behaviour {
    STOPS_AT_ONCE, /* from inside the call */
    STOPS_LATER,
    NEVER_STOPS,
    NEVER_STARTS,
};

struct module {
    const char *name;
    enum behaviour behaviour;
    bool ready;
    struct tly_run_stats stats;
    struct tly_defer *later;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

static struct module first, second, output;
static struct tly_loop *loop;
static char events[1000];
static int64_t output_time_ms;

static void note(const char *name, const char *what)
{
    size_t len = strlen(events);
    (void)snprintf(events + len, sizeof(events) - len, "%s%s %s", len > 0 ? ", " : "", name, what);
}

static void say_stopped(void *arg)
{
    struct module *module = arg;
    tly_defer_free(module->later);
    module->later = NULL;
    note(module->name, "stopped");
    module->stopped(module->stopped_arg);
}

static int start(struct module *module, struct tly_error *err)
{
    if (module->behaviour == NEVER_STARTS) {
        return tly_error_set(err, -EIO, "no luck today");
    }
    note(module->name, "starts");
    return 0;
}

static int start_first(const struct tly_context *context, void **ret_self, struct tly_error *err)
{
    assert_non_null(context->inventory);
    assert_non_null(context->delivery);
    assert_non_null(context->watcher);
    assert_true(context->collect->interval_ms >= 10000);
    *ret_self = &first;
    return start(&first, err);
}

static int start_second(const struct tly_context *context, void **ret_self, struct tly_error *err)
{
    (void)context;
    *ret_self = &second;
    return start(&second, err);
}

static int start_output(const struct tly_context *context, void **ret_self, struct tly_error *err)
{
    (void)context;
    *ret_self = &output;
    return start(&output, err);
}

static void stop(void *self, void (*stopped)(void *arg), void *arg)
{
    struct module *module = self;
    module->stopped = stopped;
    module->stopped_arg = arg;
    note(module->name, "stops");
    if (module->behaviour == STOPS_AT_ONCE) {
        say_stopped(module);
    } else if (module->behaviour == STOPS_LATER) {
        assert_int_equal(tly_defer_new(loop, say_stopped, module, &module->later), 0);
        tly_defer_call(module->later);
    }
}

static void stop_output(void *self, int64_t deadline_ms, void (*stopped)(void *arg), void *arg)
{
    output_time_ms = deadline_ms - tly_loop_now_ms(loop);
    stop(self, stopped, arg);
}

static const struct tly_run_stats *stats(const void *self)
{
    const struct module *module = self;
    return &module->stats;
}

static bool is_ready(const void *self)
{
    const struct module *module = self;
    return module->ready;
}

static const struct tly_collector first_collector = {.name = "first",
                                                     .follows = TLY_FOLLOWS_INTERVAL,
                                                     .start = start_first,
                                                     .stop = stop,
                                                     .stats = stats,
                                                     .ready = is_ready};
static const struct tly_collector second_collector = {
    .name = "second", .start = start_second, .stop = stop, .stats = stats, .ready = is_ready};
static const struct tly_output only_output = {
    .name = "output", .start = start_output, .stop = stop_output};

const struct tly_collector *const tly_collectors[] = {&first_collector, &second_collector, NULL};
const struct tly_output *const tly_outputs[] = {&only_output, NULL};

/* ---- the runner ---- */

static const struct tly_section *const sections[] = {
    &tly_settings_section, &tly_docker_section, &tly_spool_section, &tly_collect_section,
    &tly_group_section,    &tly_web_section,    &tly_rules_section, &tly_log_section};

const struct tly_section *const *tly_sections(size_t *ret_count)
{
    *ret_count = ROWS(sections);
    return sections;
}

static struct tly_config *config;
static struct tly_runner *runner;
static bool was_clean;

static struct tly_config *parse(const char *more)
{
    static struct tly_complaints complaints;
    char text[200];
    struct tly_config *parsed = NULL;
    (void)snprintf(text, sizeof(text), "web: {listen: []}\ndocker: {host: ''}\n%s%s", more,
                   strstr(more, "rules:") ? "" : "rules: {files: []}\n");
    assert_int_equal(
        tly_config_parse(sections, ROWS(sections), text, strlen(text), &complaints, &parsed), 0);
    return parsed;
}

static int set_up(void **state)
{
    (void)state;
    struct tly_error err = {0};
    first = (struct module){.name = "first"};
    second = (struct module){.name = "second"};
    output = (struct module){.name = "output"};
    events[0] = '\0';
    config = parse("state_dir: /nowhere\n");
    assert_int_equal(tly_loop_new(&loop), 0);
    assert_int_equal(tly_runner_new(loop, config, -1, NULL, &runner, &err), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tly_runner_free(runner);
    tly_loop_free(loop);
    tly_config_free(config);
    return 0;
}

static void runner_stopped(void *arg, bool clean)
{
    was_clean = clean;
    note("runner", "stopped");
    tly_loop_stop(arg);
}

static void stop_runner(void)
{
    tly_runner_stop(runner, runner_stopped, loop);
    tly_loop_run(loop);
}

static void test_order(void **state)
{
    (void)state;
    struct tly_error err = {0};
    second.behaviour = STOPS_LATER;
    output.behaviour = STOPS_LATER;
    assert_int_equal(tly_runner_start_outputs(runner, &err), 0);
    assert_int_equal(tly_runner_start_collectors(runner, &err), 0);
    stop_runner();
    assert_true(was_clean);
    assert_string_equal(events, "output starts, first starts, second starts, "
                                "first stops, first stopped, second stops, second stopped, "
                                "output stops, output stopped, runner stopped");
    assert_int_equal(output_time_ms, TLY_RUNNER_OUTPUTS_STOP_MS);
}

static void test_collectors_alone(void **state)
{
    (void)state;
    struct tly_error err = {0};
    assert_int_equal(tly_runner_start_collectors(runner, &err), 0);
    stop_runner();
    assert_true(was_clean);
    assert_string_equal(events, "first starts, second starts, first stops, first stopped, "
                                "second stops, second stopped, runner stopped");
}

static void test_nothing_started(void **state)
{
    (void)state;
    stop_runner();
    assert_true(was_clean);
    assert_string_equal(events, "runner stopped");
}

/* What was started before the one that fails is stopped. */
static void test_failed_start(void **state)
{
    (void)state;
    struct tly_error err = {0};
    second.behaviour = NEVER_STARTS;
    assert_int_equal(tly_runner_start_outputs(runner, &err), 0);
    assert_int_equal(tly_runner_start_collectors(runner, &err), -EIO);
    assert_string_equal(err.text, "collector second: no luck today");
    stop_runner();
    assert_true(was_clean);
    assert_string_equal(events, "output starts, first starts, first stops, first stopped, "
                                "output stops, output stopped, runner stopped");
}

static void test_failed_output(void **state)
{
    (void)state;
    struct tly_error err = {0};
    output.behaviour = NEVER_STARTS;
    assert_int_equal(tly_runner_start_outputs(runner, &err), -EIO);
    assert_string_equal(err.text, "output output: no luck today");
    stop_runner();
    assert_string_equal(events, "runner stopped");
}

/* Takes as long as collectors may: TLY_RUNNER_COLLECTORS_STOP_MS. The outputs get their turn all
 * the same. */
static void test_left_behind(void **state)
{
    (void)state;
    struct tly_error err = {0};
    first.behaviour = NEVER_STOPS;
    assert_int_equal(tly_runner_start_outputs(runner, &err), 0);
    assert_int_equal(tly_runner_start_collectors(runner, &err), 0);
    stop_runner();
    assert_false(was_clean);
    assert_string_equal(events, "output starts, first starts, second starts, "
                                "first stops, second stops, second stopped, "
                                "output stops, output stopped, runner stopped");
}

static void test_ready(void **state)
{
    (void)state;
    struct tly_error err = {0};
    struct tly_buf missing;
    tly_buf_init(&missing, 1000);
    assert_int_equal(tly_runner_start_collectors(runner, &err), 0);
    assert_false(tly_runner_ready(runner, &missing));
    expect_text(tly_buf_text(&missing), "collector first has not finished its first look\n"
                                        "collector second has not finished its first look\n");
    first.ready = true;
    tly_buf_clear(&missing);
    assert_false(tly_runner_ready(runner, &missing));
    expect_text(tly_buf_text(&missing), "collector second has not finished its first look\n");
    second.ready = true;
    tly_buf_clear(&missing);
    assert_true(tly_runner_ready(runner, &missing));
    expect_text(tly_buf_text(&missing), "");
    stop_runner();
    assert_false(tly_runner_ready(runner, &missing));
    expect_text(tly_buf_text(&missing), "the agent is stopping\n");
    tly_buf_done(&missing);
}

/* ---- another configuration ---- */

static bool awaited; /* the loop runs until the reload is through */

static void settled(void *arg)
{
    (void)arg;
    note("runner", "settled");
    if (awaited) {
        tly_loop_stop(loop);
    }
}

static void broken(void *arg, const struct tly_error *err)
{
    (void)arg;
    note("runner", err->text);
    tly_loop_stop(loop);
}

static const struct tly_runner_events runner_events = {.settled = settled, .broken = broken};

static void start_all(void)
{
    struct tly_error err = {0};
    tly_runner_listen(runner, &runner_events, NULL);
    assert_int_equal(tly_runner_start_outputs(runner, &err), 0);
    assert_int_equal(tly_runner_start_collectors(runner, &err), 0);
    events[0] = '\0';
}

static int reload(const char *text, struct tly_error *err)
{
    struct tly_config *next = parse(text);
    int rc = tly_runner_reload(runner, next, err);
    tly_config_free(next);
    return rc;
}

/* Only whom it concerns begins again, once it has stopped. */
static void test_reload(void **state)
{
    (void)state;
    struct tly_error err = {0};
    first.behaviour = STOPS_LATER;
    start_all();
    assert_int_equal(reload("state_dir: /nowhere\nlog: {level: warn}\n", &err), 0);
    assert_string_equal(events, "runner settled");
    events[0] = '\0';
    assert_int_equal(reload("state_dir: /nowhere\ncollect: {interval: 20s}\n", &err), 0);
    assert_int_equal(reload("state_dir: /nowhere\ncollect: {interval: 30s}\n", &err), -EBUSY);
    assert_string_equal(events, "first stops");
    awaited = true;
    tly_loop_run(loop);
    awaited = false;
    assert_string_equal(events, "first stops, first stopped, first starts, runner settled");
    stop_runner();
    assert_true(was_clean);
}

static void test_reload_refused(void **state)
{
    (void)state;
    struct tly_error err = {0};
    start_all();
    assert_int_equal(
        reload("state_dir: /other\ncollect: {interval: 20s, containers_max: 7}\n", &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "state_dir, collect.containers_max"));
    assert_int_equal(reload("state_dir: /nowhere\nrules: {files: [/nowhere.yml]}\n", &err),
                     TLY_E_MALFORMED);
    assert_non_null(strstr(err.text, "/nowhere.yml"));
    assert_string_equal(events, "");
    stop_runner();
    assert_int_equal(reload("state_dir: /nowhere\n", &err), -EBUSY);
}

static void test_reload_broken(void **state)
{
    (void)state;
    struct tly_error err = {0};
    start_all();
    first.behaviour = STOPS_LATER;
    assert_int_equal(reload("state_dir: /nowhere\ncollect: {interval: 20s}\n", &err), 0);
    first.behaviour = NEVER_STARTS;
    tly_loop_run(loop);
    assert_string_equal(events, "first stops, first stopped, "
                                "runner collector first: no luck today");
    events[0] = '\0';
    stop_runner();
    assert_true(was_clean);
    assert_string_equal(events, "second stops, second stopped, output stops, output stopped, "
                                "runner stopped");
}

/* The agent is told to stop while a collector is about to begin again. */
static void test_stop_while_reloading(void **state)
{
    (void)state;
    struct tly_error err = {0};
    start_all();
    first.behaviour = STOPS_LATER;
    assert_int_equal(reload("state_dir: /nowhere\ncollect: {interval: 20s}\n", &err), 0);
    stop_runner();
    assert_true(was_clean);
    assert_non_null(strstr(events, "first stopped"));
    assert_null(strstr(events, "first starts"));
}

/* ---- metrics ---- */

/* Whether the snapshot has that sample; `dim` as in the exposition. */
static bool has_sample(const struct tly_snapshot *snapshot, enum tly_family_id family,
                       const char *dim, int64_t raw)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        for (size_t slot = 0; slot < snapshot->slots; slot++) {
            const struct tly_sample_set *set = snapshot->rows[i].sets[slot];
            for (size_t j = 0; set && j < tly_sample_set_count(set); j++) {
                const struct tly_sample *sample = &tly_sample_set_at(set)[j];
                if (sample->family == family && sample->raw == raw &&
                    tly_text_equal(tly_sample_set_dim(set, sample->dim), tly_text_of(dim))) {
                    return true;
                }
            }
        }
    }
    return false;
}

static void test_meter(void **state)
{
    (void)state;
    struct tly_error err = {0};
    first.stats = (struct tly_run_stats){.duration_ns = 1500, .success = true, .errors = 0};
    second.stats = (struct tly_run_stats){.duration_ns = 7, .success = false, .errors = 9};
    assert_int_equal(tly_runner_start_collectors(runner, &err), 0);
    struct tly_snapshot *snapshot = tly_inventory_snapshot(tly_runner_inventory(runner));
    assert_non_null(snapshot);
    static const char one[] = "collector=\"first\"";
    static const char two[] = "collector=\"second\"";
    assert_true(has_sample(snapshot, TLY_F_tallyman_collector_duration_seconds, one, 1500));
    assert_true(has_sample(snapshot, TLY_F_tallyman_collector_duration_seconds, two, 7));
    assert_true(has_sample(snapshot, TLY_F_tallyman_collector_success, one, 1));
    assert_true(has_sample(snapshot, TLY_F_tallyman_collector_success, two, 0));
    assert_true(has_sample(snapshot, TLY_F_tallyman_collector_errors_total, one, 0));
    assert_true(has_sample(snapshot, TLY_F_tallyman_collector_errors_total, two, 9));
    assert_true(has_sample(snapshot, TLY_F_tallyman_build_info, "version=\"" TLY_VERSION "\"", 1));
    tly_snapshot_unref(snapshot);
    stop_runner();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_collectors_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_started, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failed_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failed_output, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_left_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ready, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reload_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reload_broken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_while_reloading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_meter, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
