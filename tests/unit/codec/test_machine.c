/*
 * The host's files in /proc and /sys.
 */
#include "agent/codec/machine.h"
#include "tests/unit/unit.h"

static void memory_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text, *key;
        int64_t bytes;
    } rows[] = {
        {"MemTotal:       16384 kB\nMemFree:  1 kB\n", "MemTotal", 16384 * 1024},
        {"MemTotal:       16384 kB\nMemFree:  1 kB", "MemFree", 1024},
        {"Node 0 MemTotal:  5 kB\nNode 0 MemFree: 4 kB\n", "MemFree", 4096},
        {"Node \n", "MemFree", -1},
        {"Node 0", "MemFree", -1},
        {"MemTotalX: 5 kB\n", "MemTotal", -1},
        {"MemTotal: 5\n", "MemTotal", -1},
        {"MemTotal: -5 kB\n", "MemTotal", -1},
        {"MemTotal: 9223372036854775807 kB\n", "MemTotal", -1},
        {"", "MemTotal", -1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(tly_meminfo_bytes(tly_text_of(rows[i].text), tly_text_of(rows[i].key)),
                         rows[i].bytes);
    }
}

static void lists_of_cpus(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t count; /* -1: malformed */
    } rows[] = {
        {"0\n", 1},
        {"0-3\n", 4},
        {"0-3,8,10-11\n", 7},
        {"\n", -1},
        {"", -1},
        {"3-1", -1},
        {"0-", -1},
        {"-1", -1},
        {"0,,1", -1},
        {"a", -1},
        {"0-3,x", -1},
        {"4294967296", -1},
        {"0-4294967295", 4294967296},
        {"0,", -1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t count = -1;
        int rc = tly_cpu_list_count(tly_text_of(rows[i].text), &count);
        if (count != rows[i].count || (rc == 0) != (rows[i].count >= 0)) {
            fail_msg("\"%s\": %lld", rows[i].text, (long long)count);
        }
    }
}

static void time_of_cpus(void **state)
{
    (void)state;
    struct tly_text rest = TLY_TEXT("cpu  10 20 30 40 50 60 70 80 90 100\n"
                                    "cpu0 1 2 3 4\n"
                                    "cpux 9 9 9 9\n"
                                    "cpu12 5 x 7 8 9 10 11 12 0 0\n"
                                    "intr 840415 0 0\n");
    struct tly_cpu_times times;
    assert_true(tly_cpu_times_next(&rest, &times));
    assert_int_equal(times.cpu, -1);
    assert_int_equal(times.ticks[TLY_CPU_USER], 10);
    assert_int_equal(times.ticks[TLY_CPU_IOWAIT], 50);
    assert_int_equal(times.ticks[TLY_CPU_STEAL], 80);
    assert_true(tly_cpu_times_next(&rest, &times));
    assert_int_equal(times.cpu, 0);
    assert_int_equal(times.ticks[TLY_CPU_IDLE], 4);
    assert_int_equal(times.ticks[TLY_CPU_IOWAIT], -1); /* an old kernel */
    assert_true(tly_cpu_times_next(&rest, &times));
    assert_int_equal(times.cpu, 12);
    assert_int_equal(times.ticks[TLY_CPU_NICE], -1);
    assert_int_equal(times.ticks[TLY_CPU_SYSTEM], 7);
    assert_false(tly_cpu_times_next(&rest, &times));
}

static void disks(void **state)
{
    (void)state;
    /* An old kernel's line, one of a new kernel with more numbers, and some that are none. */
    struct tly_text rest = TLY_TEXT("   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n"
                                    "\n"
                                    "   8       1 sda1 1 2 3\n"
                                    " 104 0 cciss!c0d0 21 22 23 24 25 26 27 28 29 30 31 32 33 34\n"
                                    "   8       x sdb 1 2 3 4 5 6 7 8 9 10 11\n"
                                    "   8      16 sdb 1 2 3 4 5 6 7 8 9 10 -11\n");
    struct tly_disk disk;
    assert_true(tly_disk_next(&rest, &disk));
    expect_text(disk.name, "sda");
    assert_int_equal(disk.major, 8);
    assert_int_equal(disk.reads, 1);
    assert_int_equal(disk.sectors_read, 3);
    assert_int_equal(disk.write_ms, 8);
    assert_int_equal(disk.weighted_ms, 11);
    assert_true(tly_disk_next(&rest, &disk));
    expect_text(disk.name, "cciss!c0d0");
    assert_int_equal(disk.busy_ms, 30);
    assert_false(tly_disk_next(&rest, &disk));
}

static void sizes_of_caches(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes; /* -1: malformed */
    } rows[] = {{"32K\n", 32768}, {"1M", 1048576}, {"512\n", 512}, {"K", -1},
                {"", -1},         {"-1K", -1},     {"32k", -1},    {"9223372036854775807K", -1}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t bytes = -1;
        (void)!tly_cache_size_parse(tly_text_of(rows[i].text), &bytes);
        assert_int_equal(bytes, rows[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_lines),    cmocka_unit_test(lists_of_cpus),
        cmocka_unit_test(time_of_cpus),    cmocka_unit_test(disks),
        cmocka_unit_test(sizes_of_caches),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
