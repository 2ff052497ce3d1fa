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
    assert_int_equal(context->collect->interval_ms, 10000);
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

static const struct tly_collector first_collector = {
    .name = "first", .start = start_first, .stop = stop, .stats = stats, .ready = is_ready};
static const struct tly_collector second_collector = {
    .name = "second", .start = start_second, .stop = stop, .stats = stats, .ready = is_ready};
static const struct tly_output only_output = {
    .name = "output", .start = start_output, .stop = stop_output};

const struct tly_collector *const tly_collectors[] = {&first_collector, &second_collector, NULL};
const struct tly_output *const tly_outputs[] = {&only_output, NULL};

/* ---- the runner ---- */

static const struct tly_section *const sections[] = {
    &tly_settings_section, &tly_docker_section, &tly_spool_section, &tly_collect_section,
    &tly_group_section,    &tly_web_section,    &tly_rules_section};
static struct tly_config *config;
static struct tly_runner *runner;
static bool was_clean;

static int set_up(void **state)
{
    (void)state;
    static struct tly_complaints complaints;
    static const char text[] = "web: {listen: []}\ndocker: {host: ''}\nstate_dir: /nowhere\n";
    struct tly_error err = {0};
    first = (struct module){.name = "first"};
    second = (struct module){.name = "second"};
    output = (struct module){.name = "output"};
    events[0] = '\0';
    assert_int_equal(
        tly_config_parse(sections, ROWS(sections), text, strlen(text), &complaints, &config), 0);
    assert_int_equal(tly_loop_new(&loop), 0);
    assert_int_equal(tly_runner_new(loop, config, -1, &runner, &err), 0);
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
        cmocka_unit_test_setup_teardown(test_meter, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
