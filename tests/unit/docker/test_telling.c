/*
 * What is counted of a container because only events tell it: ends by exit code, execs by who asked
 * for them, restarts over the engine's resets, and whether it is meant to run. Through a whole
 * session with a pretended engine.
 */
#include "collectors/docker/action.h"
#include "tests/unit/docker/house.h"

#include <string.h>

/* ---- what is shown ---- */

/* The value of a container's sample whose labels are exactly `dim`; -1 without. */
static int64_t shown(struct house *house, unsigned number, enum tly_family_id family,
                     const char *dim)
{
    char id[65];
    int64_t value = -1;
    struct tly_snapshot *snapshot = tly_inventory_snapshot(house->inventory);
    assert_non_null(snapshot);
    for (size_t row = 0; row < snapshot->count; row++) {
        const struct tly_snapshot_row *at = &snapshot->rows[row];
        if (!at->container || strcmp(at->container->id, fake_id(number, id)) != 0) {
            continue;
        }
        for (size_t slot = 0; slot < snapshot->slots; slot++) {
            const struct tly_sample_set *set = at->sets[slot];
            for (size_t i = 0; set && i < tly_sample_set_count(set); i++) {
                struct tly_sample sample = tly_sample_set_at(set)[i];
                if (sample.family == family &&
                    tly_text_equal(tly_sample_set_dim(set, sample.dim), tly_text_of(dim))) {
                    assert_int_equal(value, -1); /* once */
                    value = sample.raw;
                }
            }
        }
    }
    tly_snapshot_unref(snapshot);
    return value;
}

struct wish {
    struct house *house;
    unsigned number;
    enum tly_family_id family;
    const char *dim;
    int64_t value;
};

static bool is_shown(void *arg)
{
    const struct wish *wish = arg;
    return shown(wish->house, wish->number, wish->family, wish->dim) == wish->value;
}

static void await_shown(struct house *house, enum tly_family_id family, const char *dim,
                        int64_t value)
{
    struct wish wish = {house, 1, family, dim, value};
    if (!turns_until(house->loop, is_shown, &wish)) {
        fail_msg("%s{%s} never came to be %lld but is %lld", tly_families[family].name, dim,
                 (long long)value, (long long)shown(house, 1, family, dim));
    }
}

static void await_exits(struct house *house, const char *code, int64_t value)
{
    char dim[64];
    (void)snprintf(dim, sizeof(dim), "exit_code=\"%s\"", code); /* fits */
    await_shown(house, TLY_F_container_exits_total, dim, value);
}

static const char *exec_dim(const char *user, const char *tty, const char *privileged)
{
    static char dim[256];
    (void)snprintf(dim, sizeof(dim), "source=\"api\",user=\"%s\",tty=\"%s\",privileged=\"%s\"",
                   user, tty, privileged); /* fits */
    return dim;
}

static void await_execs(struct house *house, const char *dim, int64_t value)
{
    await_shown(house, TLY_F_container_exec_total, dim, value);
}

static struct fake_container sync_one(struct house *house, struct fake_container container)
{
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    return container;
}

static void put(struct house *house, struct fake_container *container, const char *state,
                int exit_code)
{
    container->state = state;
    container->exit_code = exit_code;
    fake_engine_put(&house->engine, container);
}

/* ---- ends ---- */

static void test_exits_are_born_at_zero(void **state)
{
    struct house *house = *state;
    (void)sync_one(house, fake_running(1));
    static const char *const codes[] = {"0",   "1",   "2",   "126", "127",
                                        "134", "137", "139", "143", "other"};
    for (size_t i = 0; i < ROWS(codes); i++) {
        await_exits(house, codes[i], 0);
    }
    await_execs(house, exec_dim("root", "true", "true"), 0);
    await_execs(house, exec_dim("other", "false", "false"), 0);
    await_execs(house, exec_dim("unknown", "unknown", "unknown"), 0);
}

static void test_exits(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house, fake_running(1));
    container.finished_ns = fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"137\"");
    put(house, &container, "exited", 137);
    await_exits(house, "137", 1);
    house_await_state(house, 1, TLY_STATE_EXITED);
    put(house, &container, "running", 0);
    (void)fake_engine_event(&house->engine, 1, "start", NULL);
    house_await_state(house, 1, TLY_STATE_RUNNING);
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"77\"");
    await_exits(house, "other", 1);
    await_exits(house, "137", 1);
}

/* An end that no event told is counted when an inspect shows it, and its late event not again. */
static void test_exit_without_an_event(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    container.finished_ns = house->engine.now_ns - 60 * TLY_NS_PER_S;
    container = sync_one(house, container);
    await_exits(house, "1", 0); /* the end before it was seen first is not counted */
    container.finished_ns = house->engine.now_ns;
    put(house, &container, "exited", 1);
    (void)fake_engine_event(&house->engine, 1, "update", NULL);
    await_exits(house, "1", 1);
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"1\"");
    house_await_events(house, "die c1;");
    house_turns(house, 2);
    await_exits(house, "1", 1);
    put(house, &container, "running", 0);
    (void)fake_engine_event(&house->engine, 1, "start", NULL);
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"1\"");
    await_exits(house, "1", 2);
}

/* A label hides the code that the event tells; the inspect's is taken. */
static void test_exit_with_a_forged_code(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    container.labels = "\"exitCode\":\"0\"";
    container = sync_one(house, container);
    put(house, &container, "exited", 139);
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"0\"");
    await_exits(house, "139", 1);
    await_exits(house, "0", 0);
}

/* One that was never seen before it died. */
static void test_exit_of_a_stranger(void **state)
{
    struct house *house = *state;
    house_sync(house);
    struct fake_container container = fake_running(1);
    put(house, &container, "exited", 2);
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"2\"");
    await_exits(house, "2", 1);
}

static void test_restarts_outlive_a_start_by_hand(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    container.restarts = 3;
    container = sync_one(house, container);
    static const struct {
        int says;
        int64_t total;
    } rows[] = {{3, 3}, {4, 4}, {0, 4}, {2, 6}, {1, 7}, {5, 11}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        container.restarts = rows[i].says;
        fake_engine_put(&house->engine, &container);
        (void)fake_engine_event(&house->engine, 1, "update", NULL);
        await_shown(house, TLY_F_container_restarts_total, "", rows[i].total);
    }
}

/* ---- meant to run ---- */

static void test_desired_running(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house, fake_running(1));
    static const struct {
        const char *events[3]; /* before the inspect */
        const char *state;
        int exit_code;
        int64_t desired;
    } rows[] = {
        {{"start"}, "running", 0, 1},
        {{"die"}, "exited", 1, 1}, /* it failed */
        {{"start"}, "running", 0, 1},
        {{"die"}, "exited", 0, 0}, /* it did its work */
        {{"start"}, "running", 0, 1},
        {{"kill", "die", "stop"}, "exited", 137, 0}, /* stopped */
        {{"start"}, "running", 0, 1},
        {{"die"}, "exited", 143, 1}, /* by somebody who did not ask the engine */
    };
    await_shown(house, TLY_F_container_desired_running, "", 1);
    for (size_t i = 0; i < ROWS(rows); i++) {
        put(house, &container, rows[i].state, rows[i].exit_code);
        for (size_t event = 0; event < 3 && rows[i].events[event]; event++) {
            (void)fake_engine_event(&house->engine, 1, rows[i].events[event],
                                    strcmp(rows[i].events[event], "kill") == 0 ? "\"signal\":\"9\""
                                                                               : NULL);
        }
        house_await_state(house, 1, rows[i].state[0] == 'r' ? TLY_STATE_RUNNING : TLY_STATE_EXITED);
        await_shown(house, TLY_F_container_desired_running, "", rows[i].desired);
    }
}

/* An end that nobody saw: only the policy may tell. */
static void test_desired_of_the_past(void **state)
{
    static const struct {
        const char *policy, *state;
        int exit_code;
        int64_t desired;
    } rows[] = {
        {"always", "exited", 1, 0},        {"unless-stopped", "exited", 0, 0},
        {"no", "exited", 1, -1},           {"no", "exited", 0, 0},
        {"on-failure", "exited", 137, -1}, {"on-failure", "exited", 0, 0},
        {"always", "restarting", 1, 1},    {"no", "created", 0, 0},
        {"always", "paused", 0, 1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        (void)house_set_up(state);
        struct house *house = *state;
        struct fake_container container = fake_running(1);
        container.policy = rows[i].policy;
        container.state = rows[i].state;
        container.exit_code = rows[i].exit_code;
        (void)sync_one(house, container);
        assert_int_equal(shown(house, 1, TLY_F_container_desired_running, ""), rows[i].desired);
        (void)house_tear_down(state);
    }
}

/* A signal that is no request to stop. */
static void test_signals(void **state)
{
    struct house *house = *state;
    struct fake_container container = sync_one(house, fake_running(1));
    (void)fake_engine_event(&house->engine, 1, "kill", "\"signal\":\"1\"");
    put(house, &container, "exited", 1);
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"1\"");
    house_await_state(house, 1, TLY_STATE_EXITED);
    await_shown(house, TLY_F_container_desired_running, "", 1);
}

/* ---- execs ---- */

static void tell_exec(struct house *house, unsigned number, const char *user, bool tty,
                      bool privileged)
{
    char id[65];
    pthread_mutex_lock(&house->engine.lock);
    (void)snprintf(house->engine.exec, sizeof(house->engine.exec),
                   "{\"ID\":\"ab12\",\"ContainerID\":\"%s\",\"ProcessConfig\":{\"tty\":%s,"
                   "\"entrypoint\":\"sh\",\"arguments\":[],\"privileged\":%s,\"user\":\"%s\"}}",
                   fake_id(number, id), tty ? "true" : "false", privileged ? "true" : "false",
                   user); /* fits */
    pthread_mutex_unlock(&house->engine.lock);
}

static void run_exec(struct house *house, const char *command)
{
    char action[96];
    (void)snprintf(action, sizeof(action), "exec_create: %s", command); /* fits */
    (void)fake_engine_event(&house->engine, 1, action, "\"execID\":\"ab12\"");
    (void)snprintf(action, sizeof(action), "exec_start: %s", command);
    (void)fake_engine_event(&house->engine, 1, action, "\"execID\":\"ab12\"");
    (void)fake_engine_event(&house->engine, 1, "exec_die", "\"execID\":\"ab12\"");
}

static void test_execs(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    container.user = "app:app";
    (void)sync_one(house, container);
    static const struct {
        const char *user;
        bool tty, privileged;
        const char *label, *tty_label, *privileged_label;
    } rows[] = {
        {"", false, false, "root", "false", "false"},
        {"root", true, false, "root", "true", "false"},
        {"0:0", false, true, "root", "false", "true"},
        {"app:app", false, false, "app:app", "false", "false"},
        {"app", true, true, "other", "true", "true"}, /* the group is another one */
        {"\\n\\\"", false, false, "other", "false", "false"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const char *dim = exec_dim(rows[i].label, rows[i].tty_label, rows[i].privileged_label);
        await_execs(house, dim, 0);
        tell_exec(house, 1, rows[i].user, rows[i].tty, rows[i].privileged);
        run_exec(house, "sh -c id");
        await_execs(house, dim, 1);
    }
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_EXEC), ROWS(rows));
}

/* Probes are told by their command, and cost no request. */
static void test_health_checks_are_no_users(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    container.health = "healthy";
    (void)sync_one(house, container);
    const char *probes = "source=\"healthcheck\",user=\"root\",tty=\"false\","
                         "privileged=\"false\"";
    await_execs(house, probes, 0);
    tell_exec(house, 1, "", false, false);
    for (int i = 0; i < 5; i++) {
        run_exec(house, "true "); /* with the engine's blank */
    }
    await_execs(house, probes, 5);
    run_exec(house, "true /x");
    await_execs(house, exec_dim("root", "false", "false"), 1);
    await_execs(house, probes, 5);
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_EXEC), 1);
}

/* One without a check has no series of probes. */
static void test_no_health_check(void **state)
{
    struct house *house = *state;
    (void)sync_one(house, fake_running(1));
    tell_exec(house, 1, "", false, false);
    run_exec(house, "true ");
    await_execs(house, exec_dim("root", "false", "false"), 1);
    assert_int_equal(shown(house, 1, TLY_F_container_exec_total,
                           "source=\"healthcheck\",user=\"root\",tty=\"false\","
                           "privileged=\"false\""),
                     -1);
}

/* What can't be told more of counts all the same. */
static void test_unknown_execs(void **state)
{
    struct house *house = *state;
    (void)sync_one(house, fake_running(1));
    static const char unknown[] = "source=\"api\",user=\"unknown\",tty=\"unknown\","
                                  "privileged=\"unknown\"";
    run_exec(house, "id"); /* 404 */
    await_execs(house, unknown, 1);
    tell_exec(house, 2, "", false, false); /* of another container: a forged execID */
    run_exec(house, "id");
    await_execs(house, unknown, 2);
    tell_exec(house, 1, "", false, false);
    (void)fake_engine_event(&house->engine, 1, "exec_start: id", "\"execID\":\"../../info\"");
    await_execs(house, unknown, 3);
    (void)fake_engine_event(&house->engine, 1, "exec_start: id", NULL);
    await_execs(house, unknown, 4);
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_EXEC), 2);
    fake_engine_behave(&house->engine, FAKE_EXEC, FAKE_DENIES);
    run_exec(house, "id");
    await_execs(house, unknown, 5);
    run_exec(house, "id"); /* is not asked for again */
    await_execs(house, unknown, 6);
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_EXEC), 3);
}

/* Many at once, while the engine takes its time. */
static void test_a_burst_of_execs(void **state)
{
    struct house *house = *state;
    (void)sync_one(house, fake_running(1));
    tell_exec(house, 1, "", false, false);
    fake_engine_behave(&house->engine, FAKE_EXEC, FAKE_HOLDS);
    const int count = 300; /* 4 places and 256 that wait */
    for (int i = 0; i < count; i++) {
        (void)fake_engine_event(&house->engine, 1, "exec_start: id", "\"execID\":\"ab12\"");
    }
    await_execs(house, exec_dim("unknown", "unknown", "unknown"), count - 260);
    fake_engine_behave(&house->engine, FAKE_EXEC, FAKE_ANSWERS);
    await_execs(house, exec_dim("root", "false", "false"), 260);
}

/* ---- events by type and action ---- */

static void test_actions(void **state)
{
    (void)state;
    static const struct {
        const char *type, *action, *counts_as_type, *counts_as_action;
    } rows[] = {
        {"container", "die", "container", "die"},
        {"container", "archive-path", "container", "archive-path"},
        {"image", "pull", "image", "pull"},
        {"container", "teleport", "container", "other"},
        {"container", "exec_create: sh -c secret", "container", "other"},
        {"network", "die", "network", "other"},
        {"pod", "die", "other", "other"},
        {"", "", "other", "other"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        size_t found = tly_docker_action_find(tly_text_of(rows[i].type),
                                              tly_text_of(rows[i].action));
        assert_string_equal(tly_docker_actions[found].type, rows[i].counts_as_type);
        assert_string_equal(tly_docker_actions[found].action, rows[i].counts_as_action);
    }
    for (size_t i = 0; i < TLY_DOCKER_ACTIONS; i++) {
        assert_int_equal(tly_docker_action_find(tly_text_of(tly_docker_actions[i].type),
                                                tly_text_of(tly_docker_actions[i].action)),
                         i); /* no pair twice */
    }
}

int main(void)
{
#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, house_set_up, house_tear_down)
    const struct CMUnitTest tests[] = {
        IN_HOUSE(test_exits_are_born_at_zero),
        IN_HOUSE(test_exits),
        IN_HOUSE(test_exit_without_an_event),
        IN_HOUSE(test_exit_with_a_forged_code),
        IN_HOUSE(test_exit_of_a_stranger),
        IN_HOUSE(test_restarts_outlive_a_start_by_hand),
        IN_HOUSE(test_desired_running),
        cmocka_unit_test(test_desired_of_the_past),
        IN_HOUSE(test_signals),
        IN_HOUSE(test_execs),
        IN_HOUSE(test_health_checks_are_no_users),
        IN_HOUSE(test_no_health_check),
        IN_HOUSE(test_unknown_execs),
        IN_HOUSE(test_a_burst_of_execs),
        cmocka_unit_test(test_actions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
