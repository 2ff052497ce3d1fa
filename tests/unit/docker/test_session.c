/*
 * The conversation with an engine that is late, restarts, changes its version, hangs, refuses or
 * talks nonsense: what the session makes of it, request by request.
 */
#include "tests/unit/docker/house.h"

#include <errno.h>
#include <string.h>

/* ---- an engine that behaves ---- */

/* Replies of engines from 1.12 to 29 end in the same container. */
static void test_versions(void **state)
{
    static const struct {
        int newest;
        bool tells_version;
        const char *list, *version;
    } rows[] = {
        {24, true, "/v1.24/containers/json?all=1", "1.24"},
        {41, true, "/v1.41/containers/json?all=1", "1.41"},
        {44, true, "/v1.44/containers/json?all=1", "1.44"},
        {52, true, "/v1.52/containers/json?all=1", "1.52"},
        {99, true, "/v1.55/containers/json?all=1", "1.55"}, /* newer than the agent */
        {24, false, "/v1.24/containers/json?all=1", "1.24"},
        {52, false, "/v1.41/containers/json?all=1", "1.41"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(house_set_up(state), 0);
        struct house *house = *state;
        struct fake_container container = fake_running(1);
        container.labels = "\"com.docker.compose.project\":\"shop\"";
        container.health = "healthy";
        fake_engine_speak(&house->engine, 12, rows[i].newest);
        house->engine.tells_version = rows[i].tells_version;
        fake_engine_put(&house->engine, &container);
        house_sync(house);
        const struct tly_container *found = house_find(house, 1);
        assert_non_null(found);
        assert_string_equal(found->name, "c1");
        assert_string_equal(found->image, "busybox:test");
        assert_string_equal(found->log_driver, "json-file");
        assert_string_equal(tly_container_label(found, "com.docker.compose.project"), "shop");
        assert_int_equal(found->state, TLY_STATE_RUNNING);
        assert_int_equal(found->health, TLY_HEALTH_HEALTHY);
        assert_int_equal(found->memory_limit_bytes, 1048576);
        assert_int_equal(fake_engine_seen_target(&house->engine, rows[i].list), 1);
        assert_string_equal(house->counts.requests.api_version, rows[i].version);

        /* And so does an event. */
        container.state = "exited";
        container.exit_code = 3;
        fake_engine_put(&house->engine, &container);
        (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"3\"");
        house_await_state(house, 1, TLY_STATE_EXITED);
        assert_int_equal(house_find(house, 1)->exit_code, 3);
        assert_string_equal(house->events, "die c1;");
        house_tear_down(state);
    }
}

static void test_in_order(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    house_await_seen(house, FAKE_INFO, 1);
    assert_string_equal(house->engine.targets[0], "/_ping");
    assert_string_equal(house->engine.targets[1], "/v1.41/events"); /* before the list */
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_LIST), 1);
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_INSPECT), 1);
    house_turns(house, 1);
    assert_string_equal(house->data_root, "/data/fake");
    assert_string_equal(house->counts.version, "1.41-fake");
    assert_true(house->counts.up && house->counts.stream && house->counts.api);
    assert_int_equal(house->unusable, 0);
    assert_int_equal(tly_docker_session_errors(house->session), 0);
    assert_int_equal(house->counts.inspects_pending, 0);
}

static void test_no_containers(void **state)
{
    struct house *house = *state;
    house_sync(house);
    assert_int_equal(tly_inventory_count(house->inventory), 0);
}

static void test_engine_comes_later(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    fake_engine_put(&house->engine, &container);
    house_start(house);
    house_await_unusable(house, 3);
    assert_int_equal(house->denied, 0);
    assert_false(house->counts.up);
    fake_engine_up(&house->engine);
    house_await_synced(house, 1);
    assert_non_null(house_find(house, 1));
}

/* ---- restarts ---- */

static bool is_down(void *arg)
{
    const struct house *house = arg;
    return !house->counts.up && !house->counts.stream;
}

static void go_down(struct house *house)
{
    fake_engine_down(&house->engine);
    house_await(house, is_down);
}

static bool was_killed(void *arg)
{
    const struct tly_container *container = house_find(arg, 1);
    return container && container->exit_code == 137;
}

static void test_restart(void **state)
{
    struct house *house = *state;
    struct fake_container stays = fake_running(1);
    struct fake_container goes = fake_running(2);
    fake_engine_put(&house->engine, &stays);
    fake_engine_put(&house->engine, &goes);
    house_sync(house);
    int64_t last_ns = fake_engine_event(&house->engine, 1, "update", NULL);
    house_await_events(house, "update c1;");
    go_down(house);
    assert_non_null(house_find(house, 2)); /* what is known stays */

    fake_engine_forget_events(&house->engine);
    fake_engine_remove(&house->engine, 2);
    stays.state = "exited";
    stays.exit_code = 137;
    fake_engine_put(&house->engine, &stays);
    fake_engine_up(&house->engine);
    house_await_synced(house, 2);
    assert_null(house_find(house, 2));
    house_await(house, was_killed);
    assert_int_equal(house->unusable, 0); /* it merely was away */
    assert_int_equal(house->counts.gaps, 1);
    assert_int_equal(house->counts.reconnects, 1);
    char since[64];
    (void)snprintf(since, sizeof(since), "/v1.41/events?since=%lld.%09lld",
                   (long long)(last_ns / TLY_NS_PER_S - 2), (long long)(last_ns % TLY_NS_PER_S));
    assert_int_equal(fake_engine_seen_target(&house->engine, since), 1);
}

/* The engine was replaced by one of another version, older or newer. */
static void test_version_changes_on_restart(void **state)
{
    static const int versions[] = {52, 24, 44};
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    for (size_t i = 0; i < ROWS(versions); i++) {
        char list[64];
        go_down(house);
        fake_engine_speak(&house->engine, versions[i], versions[i]); /* and no other */
        fake_engine_up(&house->engine);
        house_await_synced(house, (unsigned)i + 2);
        (void)snprintf(list, sizeof(list), "/v1.%d/containers/json", versions[i]);
        assert_int_equal(fake_engine_seen_target(&house->engine, list), 1);
    }
}

/* A proxy that hides the ping leaves the version to be learnt from refusals, in either direction.
 */
static void test_version_from_refusals(void **state)
{
    static const struct {
        int oldest, newest;
        const char *version;
    } rows[] = {
        {44, 52, "1.44"}, /* too old */
        {12, 30, "1.30"}, /* too new */
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(house_set_up(state), 0);
        struct house *house = *state;
        struct fake_container container = fake_running(1);
        fake_engine_put(&house->engine, &container);
        fake_engine_behave(&house->engine, FAKE_PING, FAKE_DENIES);
        fake_engine_speak(&house->engine, rows[i].oldest, rows[i].newest);
        house_sync(house);
        assert_non_null(house_find(house, 1));
        assert_string_equal(house->counts.requests.api_version, rows[i].version);
        assert_true(house->counts.stream);
        house_tear_down(state);
    }
}

/* Replaced without the connection ending, as behind a proxy. */
static void test_version_changes_under_way(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    fake_engine_speak(&house->engine, 44, 52);
    container.state = "paused";
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "pause", NULL);
    house_await_state(house, 1, TLY_STATE_PAUSED);
    assert_int_equal(tly_docker_session_errors(house->session), 0);
}

/* An engine that contradicts itself costs a few requests a second, and no more. */
static void test_version_without_end(void **state)
{
    struct house *house = *state;
    house->pace.list_every = house->collect.interval_ms = 100000;
    fake_engine_speak(&house->engine, 60, 50); /* older is too old, newer too new */
    fake_engine_behave(&house->engine, FAKE_INFO, FAKE_DENIES);
    fake_engine_up(&house->engine);
    house_start(house);
    house_turns(house, 3);
    assert_int_equal(house->synced, 0);
    assert_true(fake_engine_seen(&house->engine, FAKE_EVENTS) <= 3 + 6);
}

/* ---- the stream ends while the engine lives ---- */

static void test_stream_cut(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    (void)fake_engine_event(&house->engine, 1, "update", NULL);
    house_await_events(house, "update c1;");
    /* What happens between two streams comes with the second, and nothing comes twice. */
    for (unsigned i = 0; i < 3; i++) {
        fake_engine_cut(&house->engine);
        (void)fake_engine_event(&house->engine, 1, i % 2 ? "unpause" : "pause", NULL);
        house_await_synced(house, i + 2);
    }
    house_await_events(house, "update c1;pause c1;unpause c1;pause c1;");
    assert_string_equal(house->events, "update c1;pause c1;unpause c1;pause c1;");
    assert_int_equal(house->counts.gaps, 0);
    assert_int_equal(house->counts.repeated, 1 + 2 + 3);
    assert_int_equal(house->counts.reconnects, 3);
}

/* Somebody before the engine ends each stream at once: lists do instead. */
static void test_stream_always_cut(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    house->pace.stream_life_min = 100000;
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    fake_engine_cut(&house->engine);
    container.state = "exited";
    fake_engine_put(&house->engine, &container);
    house_await_state(house, 1, TLY_STATE_EXITED);
    house_await_seen(house, FAKE_EVENTS, 2); /* it may have been mended */
    assert_true(house->counts.up);
}

static void test_no_stream_of_events(void **state)
{
    static const enum fake_manner manners[] = {FAKE_GARBLES, FAKE_FLOODS, FAKE_FAILS, FAKE_HANGS};
    for (size_t i = 0; i < ROWS(manners); i++) {
        assert_int_equal(house_set_up(state), 0);
        struct house *house = *state;
        struct fake_container container = fake_running(1);
        house->pace.open_max = 20;
        house->pace.stream_life_min = 100000;
        fake_engine_behave(&house->engine, FAKE_EVENTS, manners[i]);
        fake_engine_put(&house->engine, &container);
        house_sync(house);
        container.state = "exited";
        fake_engine_put(&house->engine, &container);
        house_await_state(house, 1, TLY_STATE_EXITED);
        assert_string_equal(house->events, "");
        house_tear_down(state);
    }
}

/* ---- a proxy that refuses ---- */

static bool is_streaming(void *arg)
{
    const struct house *house = arg;
    return house->counts.stream;
}

static void test_events_denied(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    fake_engine_put(&house->engine, &container);
    fake_engine_behave(&house->engine, FAKE_EVENTS, FAKE_DENIES);
    house_sync(house);
    assert_false(house->counts.stream);
    assert_true(house->counts.up);
    /* Lists tell, at collect.interval. */
    struct fake_container new = fake_running(2);
    new.health = "starting";
    fake_engine_put(&house->engine, &new);
    house_await_health(house, 2, TLY_HEALTH_STARTING);
    container.state = "exited";
    container.exit_code = 7;
    fake_engine_put(&house->engine, &container);
    house_await_state(house, 1, TLY_STATE_EXITED);
    assert_int_equal(house_find(house, 1)->exit_code, 7);
    fake_engine_remove(&house->engine, 1);
    house_await_gone(house, 1);
    assert_int_equal(house->unusable, 0);
    assert_int_equal(tly_docker_session_errors(house->session), 0);

    /* Allowed after all. */
    fake_engine_behave(&house->engine, FAKE_EVENTS, FAKE_ANSWERS);
    house_await(house, is_streaming);
    (void)fake_engine_event(&house->engine, 2, "update", NULL);
    house_await_events(house, "update c2;");
}

static void test_list_denied(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    fake_engine_put(&house->engine, &container);
    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_DENIES);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_DENIES);
    fake_engine_up(&house->engine);
    house_start(house);
    house_await_unusable(house, 1);
    assert_int_equal(house->denied, 1);
    assert_int_equal(house->synced, 0);
    /* Events still come, and make no storm of requests. */
    for (int i = 0; i < 5; i++) {
        (void)fake_engine_event(&house->engine, 1, "update", NULL);
    }
    house_await_events(house, "update c1;update c1;update c1;update c1;update c1;");
    assert_int_equal(tly_inventory_count(house->inventory), 0);

    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_ANSWERS);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_ANSWERS);
    house_await_synced(house, 1);
    assert_non_null(house_find(house, 1));
}

/* Refused events of containers must not drive lists that are refused too. */
static void test_list_denied_is_left_alone(void **state)
{
    struct house *house = *state;
    house->pace.list_retry = 100000;
    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_DENIES);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_DENIES);
    fake_engine_up(&house->engine);
    house_start(house);
    house_await_unusable(house, 1);
    for (int i = 0; i < 3; i++) {
        (void)fake_engine_event(&house->engine, 1, "update", NULL);
        house_turns(house, 1);
    }
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_LIST), 1);
}

static void test_list_denied_later(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    house->pace.list_every = 20;
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_DENIES);
    house_await_unusable(house, 1);
    assert_int_equal(house->denied, 1);
    assert_null(house_find(house, 1));
}

static void test_inspect_denied(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    struct fake_container other = fake_running(2);
    fake_engine_put(&house->engine, &container);
    fake_engine_put(&house->engine, &other);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_DENIES);
    house_sync(house);
    assert_int_equal(house->unusable, 0);
    assert_int_equal(house_find(house, 1)->state, TLY_STATE_RUNNING);
    assert_string_equal(house_find(house, 1)->name, "c1");
    assert_null(house_find(house, 1)->log_driver);
    /* An event makes a list due, which tells what it is about. */
    container.state = "exited";
    container.exit_code = 9;
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "die", NULL);
    house_await_state(house, 1, TLY_STATE_EXITED);
    assert_int_equal(house_find(house, 1)->exit_code, 9);

    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_ANSWERS);
    (void)fake_engine_event(&house->engine, 1, "update", NULL);
    house_await_events(house, "update c1;");
    house_await_synced(house, 3);
    assert_string_equal(house_find(house, 1)->log_driver, "json-file");
}

/* From then on lists tell; what the last inspect said must not stay for ever. */
static void test_inspect_denied_later(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_DENIES);
    container.state = "exited";
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "die", NULL);
    house_await_state(house, 1, TLY_STATE_EXITED);
    container.state = "running";
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "start", NULL);
    house_await_state(house, 1, TLY_STATE_RUNNING);
}

static void test_all_denied(void **state)
{
    struct house *house = *state;
    for (int endpoint = 0; endpoint < FAKE_ENDPOINTS; endpoint++) {
        fake_engine_behave(&house->engine, (enum fake_endpoint)endpoint, FAKE_DENIES);
    }
    fake_engine_up(&house->engine);
    house_start(house);
    house_await_unusable(house, 2);
    assert_int_equal(house->denied, house->unusable);
    assert_int_equal(house->synced, 0);
    assert_true(house->counts.up); /* somebody answers */
}

/* ---- an engine that is ill ---- */

static void test_ping_hangs(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    house->docker.timeout_ms = 40;
    fake_engine_behave(&house->engine, FAKE_PING, FAKE_HANGS);
    fake_engine_put(&house->engine, &container);
    fake_engine_up(&house->engine);
    house_start(house);
    house_await_unusable(house, 2);
    assert_int_equal(house->denied, 0);
    fake_engine_behave(&house->engine, FAKE_PING, FAKE_ANSWERS);
    house_await_synced(house, 1);
}

static bool is_up(void *arg)
{
    const struct house *house = arg;
    return house->counts.up;
}

static bool is_not_up(void *arg)
{
    const struct house *house = arg;
    return !house->counts.up;
}

/* It stops answering under way, its stream stands: what is known stays, and it may recover. */
static void test_engine_hangs_and_recovers(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    house->docker.timeout_ms = 40;
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    unsigned unusable = house->unusable; /* a busy machine may have been that slow already */
    fake_engine_behave(&house->engine, FAKE_PING, FAKE_HANGS);
    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_HANGS);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_HANGS);
    house_await(house, is_not_up);
    assert_true(house->counts.stream);
    assert_non_null(house_find(house, 1));
    container.state = "exited";
    fake_engine_put(&house->engine, &container);
    (void)fake_engine_event(&house->engine, 1, "die", NULL);
    house_await_events(house, "die c1;");
    size_t inspects = fake_engine_seen(&house->engine, FAKE_INSPECT);
    house_turns(house, 2);
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_INSPECT), inspects); /* nothing asked */

    fake_engine_behave(&house->engine, FAKE_PING, FAKE_ANSWERS);
    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_ANSWERS);
    fake_engine_behave(&house->engine, FAKE_INSPECT, FAKE_ANSWERS);
    house_await(house, is_up);
    house_await_state(house, 1, TLY_STATE_EXITED);
    assert_int_equal(house->unusable, unusable);
}

/* Each way in which a list can fail: nothing of it is believed, and a good one follows. */
static void test_bad_lists(void **state)
{
    static const enum fake_manner manners[] = {
        FAKE_FAILS, FAKE_HANGS, FAKE_HALVES, FAKE_SHORTENS, FAKE_GARBLES, FAKE_FLOODS,
    };
    for (size_t i = 0; i < ROWS(manners); i++) {
        assert_int_equal(house_set_up(state), 0);
        struct house *house = *state;
        struct fake_container first = fake_running(1);
        struct fake_container second = fake_running(2);
        house->pace.list_every = 10;
        house->docker.timeout_ms = manners[i] == FAKE_HANGS ? 40 : HOUSE_TIMEOUT_MS;
        fake_engine_put(&house->engine, &first);
        fake_engine_put(&house->engine, &second);
        house_sync(house);
        unsigned unusable = house->unusable;
        fake_engine_behave(&house->engine, FAKE_LIST, manners[i]);
        uint64_t errors = tly_docker_session_errors(house->session);
        house_await_seen(house, FAKE_LIST, fake_engine_seen(&house->engine, FAKE_LIST) + 2);
        assert_non_null(house_find(house, 1));
        assert_non_null(house_find(house, 2));
        assert_true(tly_docker_session_errors(house->session) > errors);
        assert_int_equal(house->unusable, unusable);
        fake_engine_remove(&house->engine, 2);
        fake_engine_behave(&house->engine, FAKE_LIST, FAKE_ANSWERS);
        house_await_gone(house, 2);
        house_tear_down(state);
    }
}

static void test_first_list_fails(void **state)
{
    struct house *house = *state;
    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_FAILS);
    fake_engine_up(&house->engine);
    house_start(house);
    house_await_unusable(house, 1);
    assert_int_equal(house->denied, 0);
    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_ANSWERS);
    house_await_synced(house, 1);
}

/* A row that can't be read costs neither the others nor the container that it is of. */
static void test_bad_row(void **state)
{
    struct house *house = *state;
    struct fake_container first = fake_running(1);
    struct fake_container second = fake_running(2);
    house->pace.list_every = 10;
    fake_engine_put(&house->engine, &first);
    fake_engine_put(&house->engine, &second);
    house_sync(house);
    first.bad_row = true;
    second.state = "exited";
    fake_engine_put(&house->engine, &first);
    fake_engine_put(&house->engine, &second);
    house_await_state(house, 2, TLY_STATE_EXITED);
    assert_non_null(house_find(house, 1));
    assert_true(tly_docker_session_errors(house->session) > 0);
}

static void test_bad_info(void **state)
{
    static const enum fake_manner manners[] = {FAKE_DENIES, FAKE_HANGS, FAKE_HALVES, FAKE_SHORTENS,
                                               FAKE_FLOODS};
    for (size_t i = 0; i < ROWS(manners); i++) {
        assert_int_equal(house_set_up(state), 0);
        struct house *house = *state;
        fake_engine_behave(&house->engine, FAKE_INFO, manners[i]);
        house_sync(house);
        house_await_seen(house, FAKE_INFO, 1);
        house_turns(house, 2);
        assert_string_equal(house->data_root, "");
        assert_true(house->counts.up && house->counts.stream);
        house_tear_down(state);
    }
}

/* ---- what was missed ---- */

/* More events than fit: every container is looked at anew, also those that the list held. */
static void test_events_overflow(void **state)
{
    struct house *house = *state;
    struct fake_container first = fake_running(1);
    struct fake_container second = fake_running(2);
    house->events_bytes_max = 64; /* less than one event */
    fake_engine_put(&house->engine, &first);
    fake_engine_put(&house->engine, &second);
    house_sync(house);
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_INSPECT), 2);
    first.restarts = 5; /* which no list shows */
    fake_engine_put(&house->engine, &first);
    (void)fake_engine_event(&house->engine, 1, "start", NULL);
    house_await_synced(house, 2);
    assert_int_equal(house_find(house, 1)->restarts, 5);
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_INSPECT), 4);
    assert_int_equal(house->counts.gaps, 1);
    assert_int_equal(house->counts.overflowed, 1);
    assert_string_equal(house->events, "");
}

static bool has_lost_two(void *arg)
{
    const struct house *house = arg;
    return house->counts.overflowed == 2;
}

/* Events are lost while a list is under way that does not know of them: one more list follows. */
static void test_lost_while_listing(void **state)
{
    struct house *house = *state;
    struct fake_container first = fake_running(1);
    struct fake_container second = fake_running(2);
    house->events_bytes_max = 64;
    house->docker.timeout_ms = 60000;
    fake_engine_put(&house->engine, &first);
    house_sync(house);
    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_HOLDS);
    (void)fake_engine_event(&house->engine, 1, "update", NULL);
    house_await_seen(house, FAKE_LIST, 2);
    fake_engine_put(&house->engine, &second);
    (void)fake_engine_event(&house->engine, 2, "start", NULL);
    house_await(house, has_lost_two);
    house_turns(house, 2);
    fake_engine_behave(&house->engine, FAKE_LIST, FAKE_ANSWERS);
    house_await_state(house, 2, TLY_STATE_RUNNING);
}

static void test_split_at_every_byte(void **state)
{
    struct house *house = *state;
    struct fake_container container = fake_running(1);
    house->engine.piece = 1;
    fake_engine_put(&house->engine, &container);
    house_sync(house);
    (void)fake_engine_event(&house->engine, 1, "exec_create: sh -c \\\"echo {[\\\\\\\"", NULL);
    (void)fake_engine_event(&house->engine, 1, "kill", "\"signal\":\"15\"");
    (void)fake_engine_event(&house->engine, 1, "die", "\"exitCode\":\"0\"");
    house_await_events(house, "die c1;");
    assert_string_equal(house->events, "exec_create: sh -c \"echo {[\\\" c1;kill c1;die c1;");
    assert_int_equal(house->counts.malformed, 0);
}

/* ---- ends ---- */

static void test_host_is_refused(void **state)
{
    static const char *const hosts[] = {"ssh://root@host", "npipe:////./pipe",
                                        "unix://",         "tcp://",
                                        "unix://relative", "/var/run/docker.sock"};
    struct house *house = *state;
    const struct tly_docker_session_events events = {0};
    for (size_t i = 0; i < ROWS(hosts); i++) {
        char host[64];
        struct tly_error err = {0};
        (void)snprintf(host, sizeof(host), "%s", hosts[i]);
        house->docker.host = host;
        const struct tly_docker_session_config config = {
            .loop = house->loop,
            .inventory = house->inventory,
            .docker = &house->docker,
            .collect = &house->collect,
            .counts = &house->counts,
        };
        assert_int_equal(tly_docker_session_new(&config, &events, NULL, &house->session, &err),
                         -EINVAL);
        assert_non_null(strstr(err.text, hosts[i]));
        assert_null(house->session);
    }
}

/* It can be freed at any moment: whatever is under way then ends without a word. */
static void test_freed_under_way(void **state)
{
    static const enum fake_endpoint hanging[] = {FAKE_PING, FAKE_EVENTS, FAKE_LIST, FAKE_INSPECT,
                                                 FAKE_INFO};
    for (size_t i = 0; i < ROWS(hanging); i++) {
        assert_int_equal(house_set_up(state), 0);
        struct house *house = *state;
        struct fake_container container = fake_running(1);
        house->docker.timeout_ms = 60000;
        house->pace.open_max = 60000;
        fake_engine_put(&house->engine, &container);
        fake_engine_behave(&house->engine, hanging[i], FAKE_HANGS);
        fake_engine_up(&house->engine);
        house_start(house);
        house_await_seen(house, hanging[i], 1);
        house_stop(house);
        assert_true(turns_few(house->loop));
        house_tear_down(state);
    }
}

int main(void)
{
#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, house_set_up, house_tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        IN_HOUSE(test_in_order),
        IN_HOUSE(test_no_containers),
        IN_HOUSE(test_engine_comes_later),
        IN_HOUSE(test_restart),
        IN_HOUSE(test_version_changes_on_restart),
        cmocka_unit_test(test_version_from_refusals),
        IN_HOUSE(test_version_changes_under_way),
        IN_HOUSE(test_version_without_end),
        IN_HOUSE(test_stream_cut),
        IN_HOUSE(test_stream_always_cut),
        cmocka_unit_test(test_no_stream_of_events),
        IN_HOUSE(test_events_denied),
        IN_HOUSE(test_list_denied),
        IN_HOUSE(test_list_denied_is_left_alone),
        IN_HOUSE(test_list_denied_later),
        IN_HOUSE(test_inspect_denied),
        IN_HOUSE(test_inspect_denied_later),
        IN_HOUSE(test_all_denied),
        IN_HOUSE(test_ping_hangs),
        IN_HOUSE(test_engine_hangs_and_recovers),
        cmocka_unit_test(test_bad_lists),
        IN_HOUSE(test_first_list_fails),
        IN_HOUSE(test_bad_row),
        cmocka_unit_test(test_bad_info),
        IN_HOUSE(test_events_overflow),
        IN_HOUSE(test_lost_while_listing),
        IN_HOUSE(test_split_at_every_byte),
        IN_HOUSE(test_host_is_refused),
        cmocka_unit_test(test_freed_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
