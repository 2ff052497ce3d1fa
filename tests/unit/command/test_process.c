/*
 * /proc/<pid>/status: fields that are there, that are not, and that are nonsense.
 */
#include "agent/process.h"
#include "tests/unit/unit.h"

#include <unistd.h>

static void test_status(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct tly_process_status expected;
    } rows[] = {
        {"Name:\tx\nVmPeak:\t 9 kB\nVmSize:\t    1234 kB\nVmRSS:\t     12 kB\nThreads:\t3\n",
         {1234 * 1024, 12 * 1024, 3}},
        {"", {-1, -1, -1}},
        {"VmRSS:", {-1, -1, -1}},
        {"VmRSS:\tmany kB\nThreads:\t-1", {-1, -1, -1}},
        {"VmSize:\t99999999999999999999 kB\n", {-1, -1, -1}},
        {"VmSize:\t9007199254740991 kB\n", {9223372036854774784, -1, -1}},
        {"VmSize:\t9007199254740992 kB\n", {-1, -1, -1}},
        {"xVmSize:\t1 kB\nThreads:\t0\n", {-1, -1, 0}},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_process_status status;
        tly_process_status_parse(tly_text_of(rows[i].text), &status);
        assert_int_equal(status.virtual_bytes, rows[i].expected.virtual_bytes);
        assert_int_equal(status.resident_bytes, rows[i].expected.resident_bytes);
        assert_int_equal(status.threads, rows[i].expected.threads);
    }
}

/* The value of a family that occurs once; fails if it does not. */
static int64_t value_of(const struct tly_samples *samples, enum tly_family_id family)
{
    int64_t value = 0;
    size_t found = 0;
    for (size_t i = 0; i < samples->count; i++) {
        if (samples->at[i].family == family) {
            value = samples->at[i].raw;
            found++;
        }
    }
    assert_int_equal(found, 1);
    return value;
}

/* What is told of open descriptors, once a count that the first look began has ended. */
static int64_t open_fds(struct tly_process *process, struct tly_loop *loop)
{
    int64_t fds = 0;
    for (int look = 0; look < 2; look++) {
        struct tly_samples samples;
        tly_samples_init(&samples);
        tly_process_meter(process, &samples);
        tly_loop_run(loop);
        fds = value_of(&samples, TLY_F_process_open_fds);
        tly_samples_done(&samples);
    }
    return fds;
}

static void test_meter(void **state)
{
    (void)state;
    struct tly_loop *loop;
    struct tly_process process;
    struct tly_samples samples;
    assert_int_equal(tly_loop_new(&loop), 0);
    tly_process_init(&process, loop);
    tly_samples_init(&samples);
    tly_process_meter(&process, &samples);
    assert_true(value_of(&samples, TLY_F_process_resident_memory_bytes) > 100000);
    assert_true(value_of(&samples, TLY_F_process_virtual_memory_bytes) > 100000);
    assert_true(value_of(&samples, TLY_F_process_threads) >= 1);
    assert_true(value_of(&samples, TLY_F_process_cpu_seconds_total) > 0);
    assert_int_equal(value_of(&samples, TLY_F_process_start_time_seconds),
                     process.started_ns / 1000000);
    int64_t fds = value_of(&samples, TLY_F_process_open_fds);
    assert_true(fds < value_of(&samples, TLY_F_process_max_fds));
    tly_samples_done(&samples);
    tly_process_done(&process); /* a count may be under way */
    tly_loop_free(loop);
}

/* Those for looking do not count; one more of ours does. As new kernels tell it, and as it is
 * counted where they don't. */
static void test_descriptors(void **state)
{
    (void)state;
    struct tly_loop *loop;
    struct tly_process process;
    assert_int_equal(tly_loop_new(&loop), 0);
    tly_process_init(&process, loop);
    int64_t fds = open_fds(&process, loop);
    for (int way = 0; way < 2; way++) {
        int fd = dup(STDOUT_FILENO);
        assert_true(fd >= 0);
        assert_int_equal(open_fds(&process, loop), fds + 1);
        assert_int_equal(close(fd), 0);
        assert_int_equal(open_fds(&process, loop), fds);
        process.fds_are_told = false;
        process.fds = fds;
    }
    tly_process_done(&process);
    tly_loop_free(loop);
}

static void test_without_proc(void **state)
{
    (void)state;
    struct tly_process process = {.directory = "/nowhere", .started_ns = 1000000};
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_process_meter(&process, &samples);
    assert_int_equal(value_of(&samples, TLY_F_process_start_time_seconds), 1);
    for (size_t i = 0; i < samples.count; i++) {
        assert_int_not_equal(samples.at[i].family, TLY_F_process_open_fds);
        assert_int_not_equal(samples.at[i].family, TLY_F_process_threads);
    }
    tly_samples_done(&samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_meter),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_without_proc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
