/*
 * What becomes of containers: which event, row of a list or passing of time makes them looked at,
 * and what is then known of them. Through a whole session with a pretended engine.
 */
#include "tests/unit/docker/house.h"

#include <string.h>

static size_t inspects(struct house *house)
{
    return fake_engine_seen(&house->engine, FAKE_INSPECT);
}

/* An engine with one container that was inspected once. */
static struct fake_container sync_one(struct house *house)
{
    struct fake_container container = fake_running(1);
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    assert_int_equal(inspects(house), 1);
    return container;
}

/* ---- coming and going ---- */

static void test_start(void **state)
{
    struct house *house = *state;
    house_sync(house);
    struct fake_container container = fake_running(7);
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 7, "create", NULL);
    (void)fake_engine_event(&house->engine, 7, "start", NULL);
    house_await_state(house, 7, TLY_STATE_RUNNING);
    assert_string_equal(house_find(house, 7)->name, "c7");
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_LIST), 1);
}

static void test_rename(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house);
    strcpy(container.name, "another"); /* fits */
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "rename", "\"oldName\":\"/c1\"");
    house_await_name(house, 1, "another");
}

static void test_destroy(void **state)
{
    struct house *house = *state;
    (void)sync_one(house);
    fake_engine_remove(&house->engine, 1);
    (void)fake_engine_event(&house->engine, 1, "destroy", NULL);
    (void)fake_engine_event(&house->engine, 2, "destroy", NULL); /* never heard of */
    house_await_gone(house, 1);
    assert_int_equal(inspects(house), 1);
    assert_int_equal(tly_docker_session_errors(house->session), 0);
}

/* The reply to a question that was asked before its end does not bring it back. */
static void test_destroy_while_inspected(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_HOLDS);
    (void)fake_engine_event(&house->engine, 1, "update", NULL);
    house_await_seen(house, FAKE_INSPECT, 2);
    (void)fake_engine_event(&house->engine, 1, "destroy", NULL);
    house_await_gone(house, 1);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_ANSWERS);
    house_turns(house, 2);
    assert_null(house_find(house, 1));
    assert_int_equal(house->counts.inspects_pending, 0);
    /* One that is made with the same id is another one. */
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "create", NULL);
    house_await_state(house, 1, TLY_STATE_RUNNING);
}

/* It went and no event told: the inspect for something else finds out. */
static void test_gone_at_inspect(void **state)
{
    struct house *house = *state;
    (void)sync_one(house);
    fake_engine_remove(&house->engine, 1);
    (void)fake_engine_event(&house->engine, 1, "update", NULL);
    house_await_gone(house, 1);
    assert_int_equal(tly_docker_session_errors(house->session), 0);
}

/* Made while the list is on its way, which does not have it yet. */
static void test_made_while_listed(void **state)
{
    struct house *house = *state;
    struct fake_container old = fake_running(1);
    house->pace.list_every = 10;
    fake_engine_put(&house->engine, &old);
    house_sync(house);
    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_HOLDS);
    house_await_seen(house, FAKE_LIST, fake_engine_seen(&house->engine, FAKE_LIST) + 1);
    struct fake_container new = fake_running(2);
    fake_engine_put(&house->engine, &new);
    (void)fake_engine_event(&house->engine, 2, "start", NULL);
    house_await_state(house, 2, TLY_STATE_RUNNING);
    unsigned synced = house->synced;
    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_ANSWERS);
    house_await_synced(house, synced + 1);
    assert_non_null(house_find(house, 2));
}

/* ---- ends ---- */

static bool has_exit_code(void *arg)
{
    const struct tly_container *container = house_find(arg, 1);
    return container && container->exit_code == 5;
}

static void test_die(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house);
    assert_int_equal(house_find(house, 1)->exit_code, TLY_UNKNOWN);
    container.state = "exited";
    container.exit_code = 5;
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"5\"");
    house_await_state(house, 1, TLY_STATE_EXITED);
    assert_true(has_exit_code(house));
}

/* Back before it could be looked at: only the event knew the exit code. */
static void test_quick_restart(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house);
    container.finished_ns = house->engine.now_ns;
    container.restarts = 1;
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"5\"");
    (void)fake_engine_event(&house->engine, 1, "start", NULL);
    house_await(house, has_exit_code);
    assert_int_equal(house_find(house, 1)->state, TLY_STATE_RUNNING);
    /* It stays so as long as that was the last end. */
    size_t before = inspects(house);
    (void)fake_engine_event(&house->engine, 1, "update", NULL);
    house_await_seen(house, FAKE_INSPECT, before + 1);
    house_turns(house, 2);
    assert_true(has_exit_code(house));
}

/* Starts anew, after an end at `finished_ns`, and waits until that is known. */
static void restart(struct house *house, struct fake_container *container, int64_t finished_ns)
{
    size_t before = inspects(house);
    container->finished_ns = finished_ns;
    fake_engine_put(&house->engine, container);
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"5\"");
    (void)fake_engine_event(&house->engine, 1, "start", NULL);
    house_await_events(house, "die c1;start c1;");
    house_await_seen(house, FAKE_INSPECT, before + 1);
    house_turns(house, 2);
}

/* A label of that name hides the exit code in the event. */
static void test_forged_exit_code(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    container.labels = "\"exitCode\":\"5\"";
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    restart(house, &container, house->engine.now_ns);
    assert_int_equal(house_find(house, 1)->finished_ns, container.finished_ns);
    assert_int_equal(house_find(house, 1)->exit_code, TLY_UNKNOWN);
    /* An inspect tells it nevertheless. */
    container.state = "exited";
    container.exit_code = 9;
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"5\"");
    house_await_state(house, 1, TLY_STATE_EXITED);
    assert_int_equal(house_find(house, 1)->exit_code, 9);
}

/* The event was of another end than the last one, which nobody saw. */
static void test_exit_code_of_another_end(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house);
    restart(house, &container, house->engine.now_ns + 60 * TLY_NS_PER_S);
    assert_int_equal(house_find(house, 1)->exit_code, TLY_UNKNOWN);
}

/* ---- which events matter ---- */

static void test_events_that_change_nothing(void **state)
{
    static const char *const actions[] = {
        "exec_create: sh", "exec_start: sh", "exec_die",     "attach",
        "detach",          "resize",         "top",          "copy",
        "export",          "commit",         "archive-path",
    };
    struct house *house = *state;
    (void)sync_one(house);
    for (size_t i = 0; i < ROWS(actions); i++) {
        (void)fake_engine_event(&house->engine, 1, actions[i], "\"exitCode\":\"1\"");
    }
    house_await_events(house, "archive-path c1;");
    house_turns(house, 2);
    assert_int_equal(inspects(house), 1);
}

/* What does not exist yet may change anything. */
static void test_events_of_the_future(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house);
    container.state = "paused";
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "hibernate", NULL);
    house_await_state(house, 1, TLY_STATE_PAUSED);
}

/* `docker stop` and the like come as several events: one look serves them. */
static void test_burst(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house);
    house->pace.event_delay = 40;
    container.state = "paused";
    fake_engine_put(&house->engine, &container);
    for (int i = 0; i < 20; i++) {
        (void)fake_engine_event(&house->engine, 1, "update", NULL);
    }
    (void)fake_engine_event(&house->engine, 1, "pause", NULL);
    house_await_state(house, 1, TLY_STATE_PAUSED);
    assert_true(inspects(house) <= 3);
}

/* What an inspect under way says may be older than an event that came meanwhile. */
static void test_event_while_inspected(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_HOLDS);
    (void)fake_engine_event(&house->engine, 1, "update", NULL);
    house_await_seen(house, FAKE_INSPECT, 2);
    container.state = "exited";
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "die", NULL);
    house_await_events(house, "die c1;");
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_ANSWERS);
    house_await_state(house, 1, TLY_STATE_EXITED);
}

/* ---- health ---- */

static struct fake_container sync_checked(struct house *house, const char *health, int streak)
{
    struct fake_container container = fake_running(1);
    container.health = health;
    container.failing_streak = streak;
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    return container;
}

static void test_health_events(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_checked(house, "starting", 0);
    assert_int_equal(house_find(house, 1)->health, TLY_HEALTH_STARTING);
    container.health = "healthy";
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "health_status: healthy", NULL);
    house_await_health(house, 1, TLY_HEALTH_HEALTHY);
    container.health = "unhealthy";
    container.failing_streak = 3;
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "health_status: unhealthy", NULL);
    house_await_health(house, 1, TLY_HEALTH_UNHEALTHY);
    assert_int_equal(house_find(house, 1)->failing_streak, 3);
}

/* Podman tells each probe: what is known already needs no look. */
static void test_health_events_of_each_probe(void **state)
{
    struct house *house = *state;
    (void)sync_checked(house, "healthy", 0);
    for (int i = 0; i < 3; i++) {
        (void)fake_engine_event(&house->engine, 1, "health_status: healthy", NULL);
    }
    house_await_events(house, "health_status: healthy c1;health_status: healthy c1;"
                              "health_status: healthy c1;");
    house_turns(house, 2);
    assert_int_equal(inspects(house), 1);
}

static bool has_streak(void *arg)
{
    const struct tly_container *container = house_find(arg, 1);
    return container && container->failing_streak == 1;
}

/* A probe that failed, of a container that still counts as healthy: no event says so. */
static void test_failed_probe(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_checked(house, "healthy", 0);
    (void)fake_engine_event(&house->engine, 1, "exec_die", "\"exitCode\":\"0\"");
    house_await_events(house, "exec_die c1;");
    house_turns(house, 2);
    assert_int_equal(inspects(house), 1); /* all is well */
    container.failing_streak = 1;
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "exec_die", "\"exitCode\":\"1\"");
    house_await(house, has_streak);
}

/* While it is not well each probe counts, also one that succeeds. */
static void test_probe_of_a_doubtful_one(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_checked(house, "unhealthy", 4);
    container.failing_streak = 1;
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "exec_die", "\"exitCode\":\"0\"");
    house_await(house, has_streak);
}

/* Exec events by the hundred make a look now and then. */
static void test_probes_without_end(void **state)
{
    struct house *house = *state;
    house->pace.probe_spacing = 100000;
    (void)sync_checked(house, "unhealthy", 4);
    for (int i = 0; i < 100; i++) {
        (void)fake_engine_event(&house->engine, 1, "exec_die", "\"exitCode\":\"1\"");
    }
    (void)fake_engine_event(&house->engine, 1, "top", NULL);
    house_await_events(house, "top c1;");
    house_turns(house, 2);
    assert_int_equal(inspects(house), 1);
}

/* The time of the last probe and the failing streak come without any event. */
static void test_refresh(void **state)
{
    static const struct {
        const char *health;
        int streak;
        bool doubtful, healthy; /* which of the intervals is short */
        bool looked;
    } rows[] = {
        {"healthy", 0, false, true, true},   {"healthy", 0, true, false, false},
        {"healthy", 2, true, false, true},   {"starting", 0, true, false, true},
        {"unhealthy", 5, true, false, true}, {"unhealthy", 5, false, true, false},
        {NULL, 0, true, true, false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(house_set_up(state), 0);
        struct house *house = *state;
        house->pace.doubtful_refresh = rows[i].doubtful ? 10 : 100000;
        house->pace.healthy_refresh = rows[i].healthy ? 10 : 100000;
        (void)sync_checked(house, rows[i].health, rows[i].streak);
        if (rows[i].looked) {
            house_await_seen(house, FAKE_INSPECT, 3);
        } else {
            house_turns(house, 3);
            assert_int_equal(inspects(house), 1);
        }
        house_tear_down(state);
    }
}

/* One that was stopped has no health to be looked after. */
static void test_no_refresh_after_the_end(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_checked(house, "healthy", 0);
    container.state = "exited";
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"0\"");
    house_await_state(house, 1, TLY_STATE_EXITED);
    house->pace.healthy_refresh = house->pace.doubtful_refresh = 1;
    size_t before = inspects(house);
    house_turns(house, 2);
    assert_int_equal(inspects(house), before);
    assert_int_equal(house_find(house, 1)->health, TLY_HEALTH_UNKNOWN);
}

/* ---- lists ---- */

/* Where no events come, a row that is younger than what is known tells a restart. */
static void test_restart_told_by_a_row(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    fake_engine_behave(&house->engine, FAKE_EVENTS, FAKE_DENIES);
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    house_await_seen(house, FAKE_LIST, 3);
    assert_int_equal(inspects(house), 1); /* nothing new, nothing asked */
    container.restarts = 1;
    container.since = "5 minutes";
    container.started_ns = tly_clock_realtime_ns() - 300 * TLY_NS_PER_S;
    fake_engine_put(&house->engine, &container);
    house_await_seen(house, FAKE_INSPECT, 2);
    house_turns(house, 1);
    assert_int_equal(house_find(house, 1)->restarts, 1);
    house_await_seen(house, FAKE_LIST, fake_engine_seen(&house->engine, FAKE_LIST) + 2);
    assert_int_equal(inspects(house), 2);
}

static bool are_45(void *arg)
{
    const struct house *house = arg;
    return tly_inventory_count(house->inventory) == 45;
}

static void test_too_many_containers(void **state)
{
    struct house *house = *state;
    house->pace.list_every = 20;
    for (unsigned i = 1; i <= 55; i++) {
        struct fake_container container = fake_running(i);
        fake_engine_put(&house->engine, &container);
    }
    house_sync(house);
    assert_int_equal(tly_inventory_count(house->inventory), 50);
    assert_true(tly_docker_session_errors(house->session) >= 5);
    assert_null(house_find(house, 55));
    /* Some go, and the others are seen. */
    for (unsigned i = 1; i <= 10; i++) {
        fake_engine_remove(&house->engine, i);
        (void)fake_engine_event(&house->engine, i, "destroy", NULL);
    }
    house_await_state(house, 55, TLY_STATE_RUNNING);
    house_await(house, are_45); /* the last one listed need not be the last one inspected */
}

/* No engine is asked for all of its containers at a time. */
static void test_few_at_a_time(void **state)
{
    struct house *house = *state;
    for (unsigned i = 1; i <= 30; i++) {
        struct fake_container container = fake_running(i);
        fake_engine_put(&house->engine, &container);
    }
    house->docker.timeout_ms = 60000;
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_HOLDS);
    fake_engine_up(&house->engine);
    house_start(house);
    house_await_seen(house, FAKE_INSPECT, 8);
    house_turns(house, 2);
    assert_int_equal(inspects(house), 8);
    assert_int_equal(house->counts.inspects_pending, 30);
    assert_int_equal(house->synced, 0);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_ANSWERS);
    house_await_synced(house, 1);
    assert_int_equal(tly_inventory_count(house->inventory), 30);
    assert_int_equal(house->counts.inspects_pending, 0);
}

/* ---- inspects that fail ---- */

/* Until one succeeds the list's word stands. The engine is not asked faster and faster. */
static void test_bad_inspects(void **state)
{
    static const enum fake_manner manners[] = {
        FAKE_FAILS, FAKE_HANGS, FAKE_HALVES, FAKE_SHORTENS, FAKE_GARBLES, FAKE_FLOODS,
    };
    for (size_t i = 0; i < ROWS(manners); i++) {
        assert_int_equal(house_set_up(state), 0);
        struct house *house = *state;
        struct fake_container container = fake_running(1);
        container.health = "unhealthy";
        house->docker.timeout_ms = manners[i] == FAKE_HANGS ? 30 : HOUSE_TIMEOUT_MS;
        fake_engine_behave(&house->engine, FAKE_INSPECT, manners[i]);
        fake_engine_put(&house->engine, &container);
        house_sync(house);
        assert_int_equal(house_find(house, 1)->health, TLY_HEALTH_UNHEALTHY);
        assert_string_equal(house_find(house, 1)->name, "c1");
        assert_null(house_find(house, 1)->log_driver);
        assert_true(tly_docker_session_errors(house->session) > 0);
        fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_ANSWERS);
        size_t before = inspects(house);
        house_await_seen(house, FAKE_INSPECT, before + 1);
        house_turns(house, 2);
        assert_string_equal(house_find(house, 1)->log_driver, "json-file");
        house_tear_down(state);
    }
}

/* What was known stays. */
static void test_inspect_fails_later(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_FAILS);
    container.state = "exited";
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "die", NULL);
    house_await_seen(house, FAKE_INSPECT, 3); /* tried again */
    assert_int_equal(house_find(house, 1)->state, TLY_STATE_RUNNING);
    assert_string_equal(house_find(house, 1)->log_driver, "json-file");
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_ANSWERS);
    house_await_state(house, 1, TLY_STATE_EXITED);
}

/* A short id can mean another container after a while; only the whole one is believed. */
static void test_reply_about_another(void **state)
{
    char other[65];
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    container.foreign = fake_id(2, other);
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    assert_null(house_find(house, 2));
    assert_null(house_find(house, 1)->log_driver);
    assert_true(tly_docker_session_errors(house->session) > 0);
}

int main(void)
{
#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, house_set_up, house_tear_down)
    const struct CMUnitTest tests[] = {
        IN_HOUSE(test_start),
        IN_HOUSE(test_rename),
        IN_HOUSE(test_destroy),
        IN_HOUSE(test_destroy_while_inspected),
        IN_HOUSE(test_gone_at_inspect),
        IN_HOUSE(test_made_while_listed),
        IN_HOUSE(test_die),
        IN_HOUSE(test_quick_restart),
        IN_HOUSE(test_forged_exit_code),
        IN_HOUSE(test_exit_code_of_another_end),
        IN_HOUSE(test_events_that_change_nothing),
        IN_HOUSE(test_events_of_the_future),
        IN_HOUSE(test_burst),
        IN_HOUSE(test_event_while_inspected),
        IN_HOUSE(test_health_events),
        IN_HOUSE(test_health_events_of_each_probe),
        IN_HOUSE(test_failed_probe),
        IN_HOUSE(test_probe_of_a_doubtful_one),
        IN_HOUSE(test_probes_without_end),
        cmocka_unit_test(test_refresh),
        IN_HOUSE(test_no_refresh_after_the_end),
        IN_HOUSE(test_restart_told_by_a_row),
        IN_HOUSE(test_too_many_containers),
        IN_HOUSE(test_few_at_a_time),
        cmocka_unit_test(test_bad_inspects),
        IN_HOUSE(test_inspect_fails_later),
        IN_HOUSE(test_reply_about_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
