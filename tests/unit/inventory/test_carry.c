/*
 * Totals over restarts: whatever the kernel's counters do, a total never goes down and nothing is
 * counted twice. The last test tries random histories against the sum of what was really counted.
 */
#include "agent/inventory/carry.h"
#include "tests/unit/inventory/table.h"

#define CPU  TLY_F_container_cpu_user_seconds_total
#define DISK TLY_F_container_fs_reads_total
#define SEEN TLY_F_container_last_seen

static struct tly_samples samples;
static struct tly_carry carry;

static int make(void **state)
{
    (void)state;
    tly_samples_init(&samples);
    carry = (struct tly_carry){0};
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    tly_samples_done(&samples);
    tly_carry_done(&carry);
    return 0;
}

/* One reading: CPU time, reads of two devices; negative: not there. */
static struct tly_sample_set *reading(int64_t cpu, int64_t sda, int64_t sdb)
{
    tly_samples_add(&samples, SEEN, TLY_DIM_NONE, cpu);
    if (cpu >= 0) {
        tly_samples_add(&samples, CPU, TLY_DIM_NONE, cpu);
    }
    if (sda >= 0) {
        tly_samples_add(&samples, DISK, tly_samples_dim1(&samples, "device", TLY_TEXT("a")), sda);
    }
    if (sdb >= 0) {
        tly_samples_add(&samples, DISK, tly_samples_dim1(&samples, "device", TLY_TEXT("b")), sdb);
    }
    return tly_samples_take(&samples);
}

static void expect(uint64_t instance, struct tly_sample_set *set, int64_t cpu, int64_t sda,
                   int64_t sdb)
{
    struct tly_sample_set *shown = tly_carry_apply(&carry, instance, set);
    assert_non_null(shown);
    assert_int_equal(raw_of(shown, CPU, ""), cpu);
    assert_int_equal(raw_of(shown, DISK, "device=\"a\""), sda);
    assert_int_equal(raw_of(shown, DISK, "device=\"b\""), sdb);
    tly_sample_set_unref(shown);
}

static void costs_nothing_while_nothing_is_reset(void **state)
{
    (void)state;
    struct tly_sample_set *set = reading(1, 2, 3);
    struct tly_sample_set *shown = tly_carry_apply(&carry, 7, set);
    assert_ptr_equal(shown, set);
    tly_sample_set_unref(shown);
    set = reading(2, 2, 4);
    shown = tly_carry_apply(&carry, 7, set);
    assert_ptr_equal(shown, set);
    tly_sample_set_unref(shown);
}

static void adds_the_last_run_to_the_next(void **state)
{
    (void)state;
    expect(1, reading(100, 10, 20), 100, 10, 20);
    expect(2, reading(5, 0, -1), 105, 10, NONE);
    expect(2, reading(6, 1, 2), 106, 11, 22);
    expect(3, reading(200, 1, 2), 306, 12, 24); /* more than before, and yet a new start */
    expect(3, reading(201, 1, 2), 307, 12, 24);
}

static void gauges_are_not_carried(void **state)
{
    (void)state;
    struct tly_sample_set *shown = tly_carry_apply(&carry, 1, reading(100, 0, 0));
    tly_sample_set_unref(shown);
    shown = tly_carry_apply(&carry, 2, reading(5, 0, 0));
    assert_int_equal(raw_of(shown, SEEN, ""), 5);
    tly_sample_set_unref(shown);
}

static void a_device_that_went_and_came_back(void **state)
{
    (void)state;
    expect(1, reading(1, 100, 50), 1, 100, 50);
    expect(1, reading(2, -1, 50), 2, NONE, 50);
    expect(1, reading(3, 101, 50), 3, 101, 50); /* only unread for a while */
    expect(1, reading(4, -1, 50), 4, NONE, 50);
    expect(1, reading(5, 7, 51), 5, 108, 51); /* made anew */
    expect(1, reading(6, -1, 51), 6, NONE, 51);
    expect(2, reading(1, 3, 1), 7, 111, 52); /* gone when the run ended */
}

static void jitter_is_no_reset(void **state)
{
    (void)state;
    expect(1, reading(1000, 1, 1), 1000, 1, 1);
    expect(1, reading(999, 1, 1), 1000, 1, 1);
    expect(1, reading(1000, 1, 1), 1001, 1, 1);
    expect(1, reading(10, 1, 1), 1011, 1, 1); /* but this is one */
}

static void stays_at_the_greatest_number(void **state)
{
    (void)state;
    expect(1, reading(INT64_MAX - 1, 0, 0), INT64_MAX - 1, 0, 0);
    expect(2, reading(5, 0, 0), INT64_MAX, 0, 0);
    expect(3, reading(5, 0, 0), INT64_MAX, 0, 0);
}

/* Random histories of one CPU counter and twenty devices that come and go. */
enum { DEVICES = 20, STEPS = 400 };

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

static void random_history(uint32_t seed)
{
    int64_t raw[DEVICES] = {0};   /* as the kernel has it now */
    int64_t total[DEVICES] = {0}; /* all that was ever seen */
    uint64_t instance = 1;
    for (int step = 0; step < STEPS; step++) {
        if (next_random(&seed) % 10 == 0) {
            instance++;
            memset(raw, 0, sizeof(raw));
        }
        int64_t seen[DEVICES];
        for (int i = 0; i < DEVICES; i++) {
            int64_t more = next_random(&seed) % 100;
            bool there = next_random(&seed) % 4 != 0;
            seen[i] = NONE;
            if (there) { /* counts only while it is seen, so that nothing is lost unseen */
                raw[i] += more;
                total[i] += more;
                char name[8];
                (void)snprintf(name, sizeof(name), "%d", i);
                tly_samples_add(&samples, DISK,
                                tly_samples_dim1(&samples, "device", tly_text_of(name)), raw[i]);
                seen[i] = total[i];
            }
        }
        struct tly_sample_set *shown = tly_carry_apply(&carry, instance,
                                                       tly_samples_take(&samples));
        for (int i = 0; i < DEVICES; i++) {
            char dim[24];
            (void)snprintf(dim, sizeof(dim), "device=\"%d\"", i);
            if (raw_of(shown, DISK, dim) != seen[i]) {
                fail_msg("step %d, device %d: %lld instead of %lld", step, i,
                         (long long)raw_of(shown, DISK, dim), (long long)seen[i]);
            }
        }
        tly_sample_set_unref(shown);
    }
}

static void random_histories_add_up(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 50; seed++) {
        random_history(seed);
        tly_carry_done(&carry);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(costs_nothing_while_nothing_is_reset),
        TEST(adds_the_last_run_to_the_next),
        TEST(gauges_are_not_carried),
        TEST(a_device_that_went_and_came_back),
        TEST(jitter_is_no_reset),
        TEST(stays_at_the_greatest_number),
        TEST(random_histories_add_up),
    };
    return cmocka_run_group_tests_name("carry", tests, NULL, NULL);
}
