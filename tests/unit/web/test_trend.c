/*
 * Rates and histories: from counters and their clock, through restarts and gaps, within bounds.
 */
#include "agent/web/trend.h"

#include "tests/unit/unit.h"

#include <string.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct {
    struct tly_snapshot snapshot;
    struct tly_snapshot_row rows[3];
    struct tly_trend *trend;
} house;

/* What a container's collectors said: at `seen_ms` so much CPU time, and so on. */
static void say(int64_t seen_ms, int64_t cpu_us, int64_t received, int64_t memory)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_samples_add(&samples, TLY_F_container_last_seen, TLY_DIM_NONE, seen_ms);
    if (cpu_us >= 0) {
        tly_samples_add(&samples, TLY_F_container_cpu_usage_seconds_total, TLY_DIM_NONE, cpu_us);
        tly_samples_add(&samples, TLY_F_container_memory_working_set_bytes, TLY_DIM_NONE, memory);
    }
    if (received >= 0) { /* over two interfaces */
        uint16_t a = tly_samples_dim1(&samples, "interface", TLY_TEXT("eth0"));
        uint16_t b = tly_samples_dim1(&samples, "interface", TLY_TEXT("eth1"));
        tly_samples_add(&samples, TLY_F_container_network_receive_bytes_total, a, received / 2);
        tly_samples_add(&samples, TLY_F_container_network_receive_bytes_total, b,
                        received - received / 2);
    }
    tly_sample_set_unref(house.rows[0].sets[0]);
    house.rows[0].sets[0] = tly_samples_take(&samples);
    tly_samples_done(&samples);
    assert_non_null(house.rows[0].sets[0]);
}

static void say_house(int64_t idle_us, int64_t user_us, int64_t agent_us)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    uint16_t idle = tly_samples_dim1(&samples, "mode", TLY_TEXT("idle"));
    uint16_t user = tly_samples_dim1(&samples, "mode", TLY_TEXT("user"));
    tly_samples_add(&samples, TLY_F_machine_cpu_cores, TLY_DIM_NONE, 2);
    tly_samples_add(&samples, TLY_F_machine_memory_bytes, TLY_DIM_NONE, 1000 << 20);
    tly_samples_add(&samples, TLY_F_machine_cpu_seconds_total, idle, idle_us);
    tly_samples_add(&samples, TLY_F_machine_cpu_seconds_total, user, user_us);
    tly_samples_add(&samples, TLY_F_machine_memory_available_bytes, TLY_DIM_NONE, 600 << 20);
    tly_sample_set_unref(house.rows[1].sets[0]);
    house.rows[1].sets[0] = tly_samples_take(&samples);
    tly_samples_add(&samples, TLY_F_process_cpu_seconds_total, TLY_DIM_NONE, agent_us);
    tly_samples_add(&samples, TLY_F_process_resident_memory_bytes, TLY_DIM_NONE, 9 << 20);
    tly_sample_set_unref(house.rows[2].sets[0]);
    house.rows[2].sets[0] = tly_samples_take(&samples);
    tly_samples_done(&samples);
}

static int setup(void **state)
{
    (void)state;
    memset(&house, 0, sizeof(house));
    house.rows[0].container = tly_container_new(TLY_TEXT(ID));
    assert_non_null(house.rows[0].container);
    house.snapshot = (struct tly_snapshot){.slots = 1, .count = 3, .rows = house.rows};
    assert_int_equal(tly_trend_new(1, &house.trend), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tly_container_unref(house.rows[0].container);
    for (size_t i = 0; i < ROWS(house.rows); i++) {
        tly_sample_set_unref(house.rows[i].sets[0]);
    }
    tly_trend_free(house.trend);
    return 0;
}

static void take(bool point)
{
    tly_trend_take(house.trend, &house.snapshot, point);
}

static struct tly_rates rates(void)
{
    return tly_trend_rates(house.trend, tly_trend_key(ID));
}

static void test_rates(void **state)
{
    (void)state;
    assert_int_equal(rates().cpu, TLY_UNKNOWN); /* nobody knows it */
    say(10000, 5000000, 1000, 4096);
    take(false);
    assert_int_equal(rates().cpu, TLY_UNKNOWN); /* one reading is no rate */
    say(12000, 6000000, 5000, 4096);
    take(false);
    assert_int_equal(rates().cpu, 5000); /* 1 s of 2 s: half a CPU */
    assert_int_equal(rates().received, 2000);
    assert_int_equal(rates().sent, TLY_UNKNOWN);
    take(false); /* not read anew: still so */
    assert_int_equal(rates().cpu, 5000);
    say(12100, 6100000, 5000, 4096); /* too soon */
    take(false);
    assert_int_equal(rates().cpu, 5000);
    say(13000, 6000000, 6000, 4096);
    take(false);
    assert_int_equal(rates().cpu, 0);
    say(14000, 100, 7000, 4096); /* a counter that begins anew has no rate, the others do */
    take(false);
    assert_int_equal(rates().cpu, TLY_UNKNOWN);
    assert_int_equal(rates().received, 1000);
    say(14000, -1, -1, 0); /* it has stopped */
    take(false);
    assert_int_equal(rates().received, TLY_UNKNOWN);
    say(20000, 1000, 10, 4096); /* and runs again */
    take(false);
    assert_int_equal(rates().cpu, TLY_UNKNOWN);
    say(21000, 2001000, 20, 4096);
    take(false);
    assert_int_equal(rates().cpu, 20000);
    house.snapshot.rows = &house.rows[1]; /* it is gone */
    house.snapshot.count = 2;
    take(false);
    assert_int_equal(rates().cpu, TLY_UNKNOWN);
}

/* A clock that is set back: the next reading is a new base, not one that came too soon. */
static void test_clock_steps_back(void **state)
{
    const int64_t hour_ms = INT64_C(3600000);
    (void)state;
    say(hour_ms + 10000, 5000000, 1000, 4096);
    take(false);
    say(hour_ms + 12000, 6000000, 5000, 4096);
    take(false);
    assert_int_equal(rates().cpu, 5000);
    say(12000, 7000000, 6000, 4096);
    take(false);
    assert_int_equal(rates().cpu, TLY_UNKNOWN);
    assert_int_equal(rates().received, TLY_UNKNOWN);
    say(13000, 7250000, 7000, 4096);
    take(false);
    assert_int_equal(rates().cpu, 2500);
    assert_int_equal(rates().received, 1000);
}

static void test_host_and_agent(void **state)
{
    (void)state;
    house.snapshot.taken_ns = INT64_C(1000000000000);
    say_house(10000000, 5000000, 700000);
    take(true);
    house.snapshot.taken_ns += INT64_C(10000000000);
    say_house(25000000, 10000000, 1700000); /* 20 s of two CPUs, 5 of them at work */
    take(true);
    assert_int_equal(tly_trend_rates(house.trend, TLY_TREND_HOST).cpu, 5000);
    assert_int_equal(tly_trend_rates(house.trend, TLY_TREND_AGENT).cpu, 1000);
    int64_t points[TLY_TREND_POINTS];
    assert_int_equal(tly_trend_history(house.trend, TLY_TREND_HOST, TLY_TREND_MEMORY, points), 2);
    assert_int_equal(points[1], 400 << 10);
    assert_int_equal(tly_trend_history(house.trend, TLY_TREND_AGENT, TLY_TREND_MEMORY, points), 2);
    assert_int_equal(points[0], 9 << 10);
}

static void test_history(void **state)
{
    (void)state;
    int64_t points[TLY_TREND_POINTS];
    struct tly_text who = tly_trend_key(ID);
    assert_int_equal(tly_trend_history(house.trend, who, TLY_TREND_CPU, points), 0);
    for (int64_t i = 0; i < 3; i++) { /* points alone; what is in between goes into them */
        say(10000 + 3000 * i, 300000 * i, -1, (100 + i) << 20);
        take(true);
        say(11000 + 3000 * i, 300000 * i + 200000, -1, 1 << 20);
        take(false);
    }
    assert_int_equal(tly_trend_history(house.trend, who, TLY_TREND_CPU, points), 3);
    assert_int_equal(points[0], TLY_UNKNOWN);
    assert_int_equal(points[1], 1000); /* 0.3 s of 3 s */
    assert_int_equal(points[2], 1000);
    assert_int_equal(tly_trend_history(house.trend, who, TLY_TREND_MEMORY, points), 3);
    assert_int_equal(points[2], 102 << 10);
    assert_int_equal(tly_trend_history(house.trend, who, TLY_TREND_NETWORK, points), 3);
    assert_int_equal(points[2], TLY_UNKNOWN);
    for (int64_t i = 0; i < 2 * TLY_TREND_POINTS; i++) { /* the oldest go */
        say(100000 + 1000 * i, 0, -1, i << 10);
        take(true);
    }
    assert_int_equal(tly_trend_history(house.trend, who, TLY_TREND_MEMORY, points),
                     TLY_TREND_POINTS);
    for (int64_t i = 0; i < TLY_TREND_POINTS; i++) {
        assert_int_equal(points[i], TLY_TREND_POINTS + i);
    }
    /* The bound is 1 container: another one has no course, and takes nobody's place. */
    struct tly_snapshot_row rows[2] = {house.rows[0], house.rows[0]};
    rows[1].container = tly_container_new(TLY_TEXT("other"));
    const struct tly_snapshot two = {.slots = 1, .count = 2, .rows = rows};
    tly_trend_take(house.trend, &two, true);
    tly_trend_take(house.trend, &two, true);
    assert_int_equal(tly_trend_history(house.trend, who, TLY_TREND_CPU, points), TLY_TREND_POINTS);
    tly_container_unref(rows[1].container);
}

/* Points have 11 bits: off by a thousandth at most, whatever their size. */
static void test_precision(void **state)
{
    (void)state;
    int64_t points[TLY_TREND_POINTS];
    for (int64_t kib = 0; kib < INT64_C(1) << 40; kib = kib * 3 + 1) {
        say(10000, 0, -1, kib * 1024);
        take(true);
        size_t count = tly_trend_history(house.trend, tly_trend_key(ID), TLY_TREND_MEMORY, points);
        assert_in_range(points[count - 1], kib - kib / 1000, kib + kib / 1000);
    }
    say(10000, 0, -1, INT64_MAX); /* more than a point can hold is not known */
    take(true);
    size_t count = tly_trend_history(house.trend, tly_trend_key(ID), TLY_TREND_MEMORY, points);
    assert_int_not_equal(points[count - 1], 0);
}

static void test_key(void **state)
{
    (void)state;
    expect_text(tly_trend_key(ID), "0123456789abcdef");
    expect_text(tly_trend_key("/system.slice/x.service"), "/system.slice/x.service");
    expect_text(tly_trend_key("0123456789abcdef0123"), "0123456789abcdef0123");
    expect_text(tly_trend_key("g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
                "g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clock_steps_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_host_and_agent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_history, setup, teardown),
        cmocka_unit_test_setup_teardown(test_precision, setup, teardown),
        cmocka_unit_test(test_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
