/*
 * `docker system df` by a session with a pretended engine: only by choice, at its interval, one
 * question at a time, and what becomes of replies that do not come.
 */
#include "tests/unit/docker/house.h"

/* The host's value of a family with the label `type`; -1 without. */
static int64_t shown(struct house *house, enum tly_family_id family, const char *dim)
{
    int64_t value = -1;
    struct tly_snapshot *snapshot = tly_inventory_snapshot(house->inventory);
    assert_non_null(snapshot);
    const struct tly_snapshot_row *host = &snapshot->rows[snapshot->count - 2];
    for (size_t slot = 0; slot < snapshot->slots; slot++) {
        const struct tly_sample_set *set = host->sets[slot];
        for (size_t i = 0; set && i < tly_sample_set_count(set); i++) {
            struct tly_sample sample = tly_sample_set_at(set)[i];
            if (sample.family == family &&
                tly_text_equal(tly_sample_set_dim(set, sample.dim), tly_text_of(dim))) {
                value = sample.raw;
            }
        }
    }
    tly_snapshot_unref(snapshot);
    return value;
}

static bool are_networks(void *arg)
{
    return shown(arg, TLY_F_docker_system_df_objects, "type=\"networks\"") == 2;
}

static bool is_second(void *arg)
{
    return shown(arg, TLY_F_docker_system_df_size_bytes, "type=\"images\"") >= 2;
}

static bool is_measured(void *arg)
{
    return shown(arg, TLY_F_docker_system_df_measured_timestamp_seconds, "") > 0;
}

static void test_off(void **state)
{
    struct house *house = *state;
    house_sync(house);
    house_turns(house, 5);
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_USAGE), 0);
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_NETWORKS), 0);
}

static void test_on(void **state)
{
    struct house *house = *state;
    house->groups.on[TLY_G_system_df] = true;
    house_sync(house);
    house_await(house, are_networks);
    assert_int_equal(shown(house, TLY_F_docker_system_df_objects, "type=\"images\""), 1);
    assert_int_equal(shown(house, TLY_F_docker_system_df_objects, "type=\"build_cache\""), 0);
    assert_true(is_measured(house));
    house_await(house, is_second); /* is asked again */
}

/* Snapshots, which are what a scrape takes, ask for nothing. */
static void test_interval(void **state)
{
    struct house *house = *state;
    house->groups.on[TLY_G_system_df] = true;
    house->docker.system_df_interval_ms = 3600000;
    house_sync(house);
    house_await(house, are_networks);
    for (int i = 0; i < 100; i++) {
        (void)shown(house, TLY_F_docker_system_df_objects, "");
    }
    house_turns(house, 5);
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_USAGE), 1);
}

/* An engine that takes its time is not asked twice, and holds nothing else up. */
static void test_one_at_a_time(void **state)
{
    struct house *house = *state;
    house->groups.on[TLY_G_system_df] = true;
    house->docker.system_df_interval_ms = 1;
    fake_engine_behave(&house->engine, FAKE_USAGE, FAKE_HOLDS);
    house_sync(house);
    house_await_seen(house, FAKE_USAGE, 1);
    house_turns(house, 10);
    assert_int_equal(fake_engine_seen(&house->engine, FAKE_USAGE), 1);
    fake_engine_behave(&house->engine, FAKE_USAGE, FAKE_ANSWERS);
    house_await(house, are_networks);
}

static void test_refusals(void **state)
{
    static const enum fake_manner manners[] = {FAKE_DENIES,   FAKE_FAILS,   FAKE_HALVES,
                                               FAKE_SHORTENS, FAKE_GARBLES, FAKE_FLOODS};
    for (size_t i = 0; i < ROWS(manners); i++) {
        (void)house_set_up(state);
        struct house *house = *state;
        house->groups.on[TLY_G_system_df] = true;
        fake_engine_behave(&house->engine, FAKE_USAGE, manners[i]);
        house_sync(house);
        house_await_seen(house, FAKE_USAGE, 2); /* it is asked again all the same */
        assert_false(is_measured(house));
        fake_engine_behave(&house->engine, FAKE_USAGE, FAKE_ANSWERS);
        house_await(house, is_measured);
        (void)house_tear_down(state);
    }
}

/* Without networks the sizes are shown. */
static void test_networks_denied(void **state)
{
    struct house *house = *state;
    house->groups.on[TLY_G_system_df] = true;
    fake_engine_behave(&house->engine, FAKE_NETWORKS, FAKE_DENIES);
    house_sync(house);
    house_await(house, is_measured);
    assert_false(are_networks(house));
    assert_int_equal(shown(house, TLY_F_docker_system_df_objects, "type=\"images\""), 1);
}

static void test_freed_under_way(void **state)
{
    struct house *house = *state;
    house->groups.on[TLY_G_system_df] = true;
    fake_engine_behave(&house->engine, FAKE_USAGE, FAKE_HANGS);
    house_sync(house);
    house_await_seen(house, FAKE_USAGE, 1);
    house_stop(house);
}

int main(void)
{
#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, house_set_up, house_tear_down)
    const struct CMUnitTest tests[] = {
        IN_HOUSE(test_off),
        IN_HOUSE(test_on),
        IN_HOUSE(test_interval),
        IN_HOUSE(test_one_at_a_time),
        cmocka_unit_test(test_refusals),
        IN_HOUSE(test_networks_denied),
        IN_HOUSE(test_freed_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
