/*
 * Logs that somebody truncates in place, as older engines and logrotate's copytruncate do: what is
 * in a copy is read from there, what is nowhere is counted.
 */
#include "collectors/logs/state.h"
#include "tests/unit/descriptors.h"
#include "tests/unit/logs/house.h"

#include <unistd.h>

static void truncation_in_place(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 100);
    house_start(house);
    sink_await(house, sink, 100);
    house_settle(house);
    assert_int_equal(truncate(docker.log, 0), 0);
    docker_lines(&docker, 100, 110);
    sink_await(house, sink, 110);
    house_settle(house);
    expect_lines(sink, docker.id, 0, 110);
    /* Cut, and at once longer than before: only its beginning tells. */
    assert_int_equal(truncate(docker.log, 0), 0);
    docker_lines(&docker, 110, 300);
    sink_await(house, sink, 300);
    house_settle(house);
    expect_lines(sink, docker.id, 0, 300);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_truncations_total, NULL), 2);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, NULL), 0);
    docker_remove(&docker);
}

static void copytruncate(const struct docker *docker)
{
    char command[1200];
    (void)snprintf(command, sizeof(command), "cp -- %s %s.1 && truncate -s 0 -- %s", docker->log,
                   docker->log, docker->log);
    assert_int_equal(system(command), 0);
}

/* What was not read yet of the truncated file is in the copy. */
static void copytruncate_while_behind(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    house_fill_soon(house);
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 3000);
    house_start(house);
    house_settle(house);
    copytruncate(&docker);
    docker_lines(&docker, 3000, 3010);
    sink_set(sink, SINK_ACKS);
    expect_whole(house, sink, docker.id, 3010);
    docker_remove(&docker);
}

static void copytruncate_while_away(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 100);
    house_start(house);
    sink_await(house, sink, 100);
    house_settle(house);
    house_kill(house);
    docker_lines(&docker, 100, 200);
    copytruncate(&docker);
    docker_lines(&docker, 200, 210);
    house_start(house);
    sink_await(house, sink, 210);
    house_settle(house);
    expect_lines(sink, docker.id, 0, 210);
    docker_remove(&docker);
}

static void truncated_before_it_was_read_is_counted(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    house_fill_soon(house);
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 3000);
    house_start(house);
    house_settle(house);
    assert_int_equal(truncate(docker.log, 0), 0);
    docker_lines(&docker, 3000, 3010);
    house_settle(house);
    /* Counted although the destination has no room still, and not once more when it has. */
    int64_t bytes = house_metric(house, TLY_F_tallyman_logs_lost_bytes_total, NULL);
    assert_true(bytes > 0);
    sink_set(sink, SINK_ACKS);
    house_ticks(house, 1);
    assert_string_equal(sink->taken[sink->count - 1].log, "3009: the quick brown fox");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, "reason=\"truncated\""),
                     1);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_lost_bytes_total, NULL), bytes);
    docker_remove(&docker);
}

/* The second copy is written over the first one, which a reader without room has still to read: the
 * rest of that is lost, and what stands there now must not come twice. */
static void copy_over_a_copy(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    house_fill_soon(house);
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 3000);
    house_start(house);
    house_settle(house);
    copytruncate(&docker);
    house_settle(house);
    docker_lines(&docker, 3000, 7000);
    house_settle(house);
    copytruncate(&docker);
    house_settle(house);
    docker_lines(&docker, 7000, 7010);
    house_settle(house);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, "reason=\"truncated\""),
                     1);
    sink_set(sink, SINK_ACKS);
    house_ticks(house, 1);
    unsigned next = 3000;
    for (size_t i = 0; i < sink->count; i++) {
        unsigned n = (unsigned)strtoul(sink->taken[i].log, NULL, 10);
        assert_true(next == 3000 ? n <= 3000 : n == next);
        next += n == next;
    }
    assert_int_equal(next, 7010);
    docker_remove(&docker);
}

/* Without a descriptor for it, what is to be read instead is asked for again. */
static void truncated_without_descriptors(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 100);
    house_start(house);
    sink_await(house, sink, 100);
    house_settle(house);
    for (unsigned spare = 0; spare < 3; spare++) {
        assert_int_equal(truncate(docker.log, 0), 0);
        docker_lines(&docker, 100 + 10 * spare, 110 + 10 * spare);
        struct rlimit whole = descriptors_leave(spare);
        house_settle(house);
        descriptors_restore(&whole);
        house_ticks(house, 1);
        expect_whole(house, sink, docker.id, 110 + 10 * spare);
    }
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_truncations_total, NULL), 3);
    docker_remove(&docker);
}

/* The copy is looked for again, also by a reader that had no room when the file was truncated. */
static void copytruncate_without_descriptors(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    house_fill_soon(house);
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 1);
    house_start(house);
    house_settle(house);
    unsigned lines = 1;
    for (unsigned spare = 0; spare < 3; spare++) {
        sink_set(sink, SINK_RESTS);
        docker_lines(&docker, lines, lines + 3000);
        house_settle(house);
        copytruncate(&docker);
        docker_lines(&docker, lines + 3000, lines + 3010);
        struct rlimit whole = descriptors_leave(spare);
        house_settle(house);
        sink_set(sink, SINK_ACKS);
        house_settle(house);
        descriptors_restore(&whole);
        house_ticks(house, 1);
        lines += 3010;
        expect_whole(house, sink, docker.id, lines);
    }
    docker_remove(&docker);
}

static bool has_failed(void *arg)
{
    const struct tly_logs *logs = arg;
    return logs->stats.errors > 0;
}

/* Truncated while nothing could be opened, and rotated before anything could: what was lost is
 * counted, and what came after goes on. */
static void truncated_without_descriptors_and_rotated(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 100);
    house_start(house);
    sink_await(house, sink, 100);
    house_settle(house);
    assert_int_equal(truncate(docker.log, 0), 0);
    docker_lines(&docker, 100, 110);
    struct rlimit whole = descriptors_leave(0);
    assert_true(turns_until(house->loop, has_failed, house->collector));
    descriptors_restore(&whole);
    docker_rotate(&docker, 2);
    docker_lines(&docker, 110, 120);
    house_ticks(house, 1);
    assert_string_equal(sink->taken[sink->count - 1].log, "119: the quick brown fox");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, "reason=\"truncated\""),
                     1);
    assert_true(house_metric(house, TLY_F_tallyman_logs_lost_bytes_total, NULL) > 0);
    docker_remove(&docker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ROW(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)
        ROW(truncation_in_place),
        ROW(copytruncate_while_behind),
        ROW(copytruncate_while_away),
        ROW(truncated_before_it_was_read_is_counted),
        ROW(copy_over_a_copy),
        ROW(truncated_without_descriptors),
        ROW(copytruncate_without_descriptors),
        ROW(truncated_without_descriptors_and_rotated),
#undef ROW
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
