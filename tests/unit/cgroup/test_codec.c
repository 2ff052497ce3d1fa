/* The parsers of cgroup v2 files, against what kernels write and against what they never should. */
#include "agent/codec/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct numbers {
    int64_t usage, user, throttled;
};

static const struct tly_cgroup_key keys[] = {
    TLY_CGROUP_KEY("usage_usec", struct numbers, usage),
    TLY_CGROUP_KEY("user_usec", struct numbers, user),
    TLY_CGROUP_KEY("throttled_usec", struct numbers, throttled),
};

static void test_flat(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t found;
        struct numbers numbers;
    } rows[] = {
        {"usage_usec 3\nuser_usec 2\nthrottled_usec 1\n", 3, {3, 2, 1}},
        {"usage_usec 3\nuser_usec 2\nsystem_usec 1\n", 2, {3, 2, -1}},
        {"throttled_usec 1\nuser_usec 2\nusage_usec 3\n", 3, {3, 2, 1}}, /* another order */
        {"new_key 9\nusage_usec 3", 1, {3, -1, -1}},                     /* no last newline */
        {"usage_usec 18446744073709551615\n", 1, {INT64_MAX, -1, -1}},
        {"usage_usec 9223372036854775807\n", 1, {INT64_MAX, -1, -1}},
        {"usage_usec\nuser_usec \nthrottled_usec x\n", 0, {-1, -1, -1}},
        {"usage_usec -5\n", 0, {-1, -1, -1}},
        {"usage_use 5\nusage_usecs 6\n", 0, {-1, -1, -1}},
        {" 5\n\n\n", 0, {-1, -1, -1}},
        {"", 0, {-1, -1, -1}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct numbers numbers = {-1, -1, -1};
        assert_int_equal(tly_cgroup_flat_parse(tly_text_of(rows[i].text), keys, 3, &numbers),
                         rows[i].found);
        assert_memory_equal(&numbers, &rows[i].numbers, sizeof(numbers));
    }
}

static void test_value(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } rows[] = {
        {"0\n", 0, 0},
        {"4096\n", 0, 4096},
        {"max\n", 0, TLY_CGROUP_MAX},
        {"9223372036854771712", 0, 9223372036854771712},
        {"99999999999999999999", 0, INT64_MAX},
        {"", TLY_E_MALFORMED, 0},
        {"\n", TLY_E_MALFORMED, 0},
        {"-1\n", TLY_E_MALFORMED, 0},
        {"12 34\n", TLY_E_MALFORMED, 0},
        {"maximum\n", TLY_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = -7;
        assert_int_equal(tly_cgroup_value_parse(tly_text_of(rows[i].text), &value), rows[i].rc);
        assert_int_equal(value, rows[i].rc == 0 ? rows[i].value : -7);
    }
}

static void test_cpu_max(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        int64_t quota, period;
    } rows[] = {
        {"max 100000\n", 0, TLY_CGROUP_MAX, 100000},
        {"50000 100000\n", 0, 50000, 100000},
        {"50000\n", TLY_E_MALFORMED, 0, 0},
        {"50000 \n", TLY_E_MALFORMED, 0, 0},
        {"max max\n", TLY_E_MALFORMED, 0, 0},
        {"1 2 3\n", TLY_E_MALFORMED, 0, 0},
        {"", TLY_E_MALFORMED, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t quota = -7;
        int64_t period = -7;
        assert_int_equal(tly_cgroup_cpu_max_parse(tly_text_of(rows[i].text), &quota, &period),
                         rows[i].rc);
        assert_int_equal(quota, rows[i].rc == 0 ? rows[i].quota : -7);
        assert_int_equal(period, rows[i].rc == 0 ? rows[i].period : -7);
    }
}

/* The container runtime's own conversion, which the parser inverts. */
static int64_t weight_of(int64_t shares)
{
    return 1 + ((shares - 2) * 9999) / 262142;
}

static void test_shares(void **state)
{
    (void)state;
    /* What people write comes back as they wrote it. */
    static const int64_t common[] = {2, 256, 512, 768, 1024, 2048, 4096, 8192, 65536, 262144};
    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        assert_int_equal(tly_cgroup_shares_from_weight(weight_of(common[i])), common[i]);
    }
    assert_int_equal(tly_cgroup_shares_from_weight(100), 1024); /* nothing was set */
    /* Whatever comes back would have made the same weight. */
    for (int64_t weight = 1; weight <= 10000; weight++) {
        if (weight != 100) {
            assert_int_equal(weight_of(tly_cgroup_shares_from_weight(weight)), weight);
        }
    }
    assert_int_equal(tly_cgroup_shares_from_weight(0), 2);
    assert_int_equal(tly_cgroup_shares_from_weight(INT64_MAX), 262144);
}

static void test_pressure(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        int64_t some, full;
    } rows[] = {
        {"some avg10=1.50 avg60=0.00 avg300=0.00 total=123\n"
         "full avg10=0.00 avg60=0.00 avg300=0.00 total=45\n",
         0, 123, 45},
        {"some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", 0, 7, -1}, /* cpu before 5.13 */
        {"full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", 0, -1, 7}, /* irq */
        {"some avg10=0.00 avg60=0.00 avg300=0.00 total=\n", TLY_E_MALFORMED, -1, -1},
        {"some avg10=0.00\n", TLY_E_MALFORMED, -1, -1},
        {"something total=7\n", TLY_E_MALFORMED, -1, -1},
        {"", TLY_E_MALFORMED, -1, -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_cgroup_pressure pressure;
        assert_int_equal(tly_cgroup_pressure_parse(tly_text_of(rows[i].text), &pressure),
                         rows[i].rc);
        assert_int_equal(pressure.some_us, rows[i].some);
        assert_int_equal(pressure.full_us, rows[i].full);
    }
}

#define A TLY_CGROUP_ABSENT

static void test_io(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        struct tly_cgroup_io at[2];
    } rows[] = {
        {"8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n",
         1,
         {{8, 0, 1, 2, 3, 4, 5, 6, A, A, A, A}}},
        {"8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
         "253:16 rbytes=7 wbytes=0 rios=1 wios=0 dbytes=0 dios=0 cost.vrate=100.00 cost.usage=8 "
         "cost.wait=9 cost.indebt=10 cost.indelay=11\n",
         2,
         {{8, 0, 1, 2, 3, 4, 5, 6, A, A, A, A}, {253, 16, 7, 0, 1, 0, 0, 0, 8, 9, 10, 11}}},
        /* Kernel 5.x leaves devices without numbers as bare names, with or without a newline. */
        {"7:0 7:1 8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n",
         1,
         {{8, 0, 1, 2, 3, 4, 5, 6, A, A, A, A}}},
        {"7:0\n7:1 \n8:0 rbytes=1\n7:2\n", 1, {{8, 0, 1, A, A, A, A, A, A, A, A, A}}},
        {"8:0 wbytes=2 rbytes=1", 1, {{8, 0, 1, 2, A, A, A, A, A, A, A, A}}},
        {"8:0 rbytes=-1 wbytes= rios=x\n", 0, {{0}}},
        {"rbytes=1 wbytes=2\n", 0, {{0}}},
        {"8 rbytes=1\n8: rbytes=1\n:0 rbytes=1\n8:0x rbytes=1\n", 0, {{0}}},
        {"4294967296:0 rbytes=1\n", 0, {{0}}},
        {"", 0, {{0}}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_text rest = tly_text_of(rows[i].text);
        struct tly_cgroup_io io;
        for (size_t device = 0; device < rows[i].count; device++) {
            assert_true(tly_cgroup_io_next(&rest, &io));
            assert_memory_equal(&io, &rows[i].at[device], sizeof(io));
        }
        assert_false(tly_cgroup_io_next(&rest, &io));
        assert_int_equal(rest.len, 0);
    }
}

static void test_numa(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        int64_t nodes[3];
    } rows[] = {
        {"file N0=1\nanon N0=4096 N1=8192\n", 2, {4096, 8192, -1}},
        {"anon N2=5", 3, {-1, -1, 5}},
        {"anon N3=5 N1=6\n", 2, {-1, 6, -1}}, /* more nodes than there is room for */
        {"anon N0=x N=1 1=1 N1= N2\n", 0, {-1, -1, -1}},
        {"anonymous N0=1\nanon\n", 0, {-1, -1, -1}},
        {"", 0, {-1, -1, -1}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t nodes[3];
        assert_int_equal(
            tly_cgroup_numa_parse(tly_text_of(rows[i].text), TLY_TEXT("anon"), nodes, 3),
            rows[i].count);
        assert_memory_equal(nodes, rows[i].nodes, sizeof(nodes));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat),     cmocka_unit_test(test_value),
        cmocka_unit_test(test_cpu_max),  cmocka_unit_test(test_shares),
        cmocka_unit_test(test_pressure), cmocka_unit_test(test_io),
        cmocka_unit_test(test_numa),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
