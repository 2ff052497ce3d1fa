/*
 * Facts as samples: one-hot states, cAdvisor's health numbers, times, limits; unknown is absent.
 */
#include "agent/inventory/facts.h"
#include "tests/unit/inventory/table.h"

static struct tly_sample_set *facts_of(const struct tly_container *container)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_facts_write(container, &samples);
    for (size_t i = 1; i < samples.count; i++) {
        assert_true(samples.at[i - 1].family <= samples.at[i].family); /* no sorting needed */
    }
    struct tly_sample_set *set = tly_samples_take(&samples);
    tly_samples_done(&samples);
    return set;
}

static void unknown_is_absent(void **state)
{
    (void)state;
    struct tly_container *container = tly_container_new(TLY_TEXT("a"));
    struct tly_sample_set *set = facts_of(container);
    assert_int_equal(tly_sample_set_count(set), 0);
    tly_sample_set_unref(set);
    tly_container_unref(container);
}

static void states_are_one_hot(void **state)
{
    (void)state;
    struct tly_container *container = tly_container_new(TLY_TEXT("a"));
    for (int each = TLY_STATE_CREATED; each < TLY_STATE_COUNT; each++) {
        container->state = (enum tly_container_state)each;
        struct tly_sample_set *set = facts_of(container);
        assert_int_equal(tly_sample_set_count(set), TLY_STATE_COUNT - 1);
        for (int other = TLY_STATE_CREATED; other < TLY_STATE_COUNT; other++) {
            char dim[32];
            (void)snprintf(dim, sizeof(dim), "state=\"%s\"", tly_container_state_names[other]);
            assert_int_equal(raw_of(set, TLY_F_container_state, dim), each == other);
        }
        tly_sample_set_unref(set);
    }
    tly_container_unref(container);
}

static void health_is_cadvisors_number_and_one_hot(void **state)
{
    (void)state;
    static const struct {
        enum tly_container_health health;
        int64_t number;
        const char *dim;
        int64_t streak;
    } rows[] = {
        {TLY_HEALTH_UNKNOWN, NONE, "status=\"healthy\"", NONE},
        {TLY_HEALTH_NONE, -1, "status=\"none\"", NONE},
        {TLY_HEALTH_STARTING, 0, "status=\"starting\"", 3},
        {TLY_HEALTH_HEALTHY, 1, "status=\"healthy\"", 3},
        {TLY_HEALTH_UNHEALTHY, 0, "status=\"unhealthy\"", 3},
    };
    struct tly_container *container = tly_container_new(TLY_TEXT("a"));
    container->failing_streak = 3;
    container->last_probe_ns = 1500000000123456789;
    for (size_t i = 0; i < ROWS(rows); i++) {
        container->health = rows[i].health;
        struct tly_sample_set *set = facts_of(container);
        assert_int_equal(raw_of(set, TLY_F_container_health_state, ""), rows[i].number);
        assert_int_equal(raw_of(set, TLY_F_container_health_status, rows[i].dim),
                         rows[i].number == NONE ? NONE : 1);
        assert_int_equal(raw_of(set, TLY_F_container_health_failing_streak, ""), rows[i].streak);
        assert_int_equal(raw_of(set, TLY_F_container_health_last_probe_time_seconds, ""),
                         rows[i].streak == NONE ? NONE : 1500000000123);
        tly_sample_set_unref(set);
    }
    tly_container_unref(container);
}

static void numbers_times_and_limits(void **state)
{
    (void)state;
    struct tly_container *container = tly_container_new(TLY_TEXT("a"));
    container->created_ns = 1000000000999999999;
    container->started_ns = 0; /* never */
    container->exit_code = 0;
    container->oom_killed = 1;
    container->restarts = 4;
    container->memory_limit_bytes = 0;
    container->cpu_quota_us = 0;
    container->cpu_period_us = 100000;
    container->cpu_shares = 0;
    struct tly_sample_set *set = facts_of(container);
    assert_int_equal(raw_of(set, TLY_F_container_creation_time_seconds, ""), 1000000000999);
    assert_int_equal(raw_of(set, TLY_F_container_start_time_seconds, ""), NONE);
    assert_int_equal(raw_of(set, TLY_F_container_finished_time_seconds, ""), NONE);
    assert_int_equal(raw_of(set, TLY_F_container_exit_code, ""), 0);
    assert_int_equal(raw_of(set, TLY_F_container_oom_killed, ""), 1);
    assert_int_equal(raw_of(set, TLY_F_container_restarts_total, ""), 4);
    assert_int_equal(raw_of(set, TLY_F_container_spec_memory_limit_bytes, ""), 0);
    assert_int_equal(raw_of(set, TLY_F_container_spec_cpu_quota, ""), NONE);
    assert_int_equal(raw_of(set, TLY_F_container_spec_cpu_period, ""), 100000);
    assert_int_equal(raw_of(set, TLY_F_container_spec_cpu_shares, ""), 1024);
    assert_int_equal(raw_of(set, TLY_F_container_spec_memory_swap_limit_bytes, ""), NONE);
    tly_sample_set_unref(set);
    tly_container_unref(container);
}

static void cpus_that_can_be_used(void **state)
{
    (void)state;
    static const struct {
        int64_t usable, quota_us, period_us, shown;
    } rows[] = {
        {TLY_UNKNOWN, 50000, 100000, NONE}, {2000000, TLY_UNKNOWN, TLY_UNKNOWN, 2000000},
        {2000000, 0, 0, 2000000},           {500000, 50000, 100000, 500000},
        {2000000, 50000, 100000, 500000}, /* the cgroup has no quota, the engine knows one */
        {2000000, 50000, 0, 500000},        {2000000, 800000, 100000, 2000000},
        {2000000, INT64_MAX, 1, 2000000},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_container *container = tly_container_new(TLY_TEXT("a"));
        container->usable_cpu_millionths = rows[i].usable;
        container->cpu_quota_us = rows[i].quota_us;
        container->cpu_period_us = rows[i].period_us;
        struct tly_sample_set *set = facts_of(container);
        assert_int_equal(raw_of(set, TLY_F_container_cpu_effective_cores, ""), rows[i].shown);
        tly_sample_set_unref(set);
        tly_container_unref(container);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_is_absent),
        cmocka_unit_test(states_are_one_hot),
        cmocka_unit_test(health_is_cadvisors_number_and_one_hot),
        cmocka_unit_test(numbers_times_and_limits),
        cmocka_unit_test(cpus_that_can_be_used),
    };
    return cmocka_run_group_tests_name("facts", tests, NULL, NULL);
}
