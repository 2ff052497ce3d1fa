/*
 * The local driver's files: found in their folder of their own, any bytes, pieces of lines, torn
 * entries; and their rotation, as far as it is not the same as that of json-file.
 */
#include "tests/unit/local_entry.h"
#include "tests/unit/logs/house.h"

#include <unistd.h>

#define PIECE 16384 /* bytes, as Docker cuts them */

static struct house *start(void **state, struct docker *docker)
{
    struct house *house = *state;
    docker_create_as(house, docker, 1, DRIVER_LOCAL);
    house_start(house);
    return house;
}

static void any_bytes_arrive(void **state)
{
    struct docker docker;
    struct house *house = start(state, &docker);
    const struct sink *sink = &house->sinks[0];
    char bytes[256];
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
    }
    docker_entry(&docker, "stdout", (struct tly_text){bytes, sizeof(bytes)}, true);
    docker_write(&docker, "stderr", "");
    docker_write(&docker, "stderr", "plain");
    sink_await(house, &house->sinks[0], 3);
    assert_int_equal(sink->taken[0].log_len, sizeof(bytes));
    assert_memory_equal(sink->taken[0].log, bytes, sizeof(bytes));
    assert_string_equal(sink->taken[0].source, "stdout");
    assert_string_equal(sink->taken[0].id, docker.id);
    assert_string_equal(sink->taken[0].name, "/box1");
    assert_string_equal(sink->taken[0].tag, "docker.000000000000");
    assert_int_equal(sink->taken[0].time_ns, 1700000000000000000LL);
    assert_string_equal(sink->taken[1].log, "");
    assert_string_equal(sink->taken[2].log, "plain");
    assert_string_equal(sink->taken[2].source, "stderr");
    assert_null(sink->taken[2].extra);
    docker_remove(&docker);
}

static void attributes_become_fields(void **state)
{
    static const char attrs[] = "2\x09\n\x03"
                                "app\x12\x02go"
                                "2\x06\n\x01"
                                "e\x12\x01v";
    struct docker docker;
    struct house *house = start(state, &docker);
    char bytes[256];
    const struct tly_local_entry entry = {.source = TLY_TEXT("stdout"),
                                          .time_ns = 1,
                                          .line = TLY_TEXT("x"),
                                          .attrs = {attrs, sizeof(attrs) - 1}};
    docker_raw(&docker, bytes, local_entry_write(bytes, &entry));
    docker_write(&docker, "stdout", "none");
    sink_await(house, &house->sinks[0], 2);
    assert_string_equal(house->sinks[0].taken[0].extra, "app=go;e=v;");
    assert_null(house->sinks[0].taken[1].extra);
    docker_remove(&docker);
}

static void pieces_are_joined_by_their_id(void **state)
{
    struct docker docker;
    struct house *house = start(state, &docker);
    const struct sink *sink = &house->sinks[0];
    docker_piece(&docker, "stdout", 'a', PIECE, false);
    docker_piece(&docker, "stderr", 'e', PIECE, false);
    docker_piece(&docker, "stdout", 'a', 10, true);
    docker_piece(&docker, "stderr", 'e', 0, true);
    /* The container ends within a line, however full its last piece, and the next run begins with
     * another one. */
    docker_piece(&docker, "stdout", 'b', PIECE, false);
    docker.lines[0]++;
    docker.pieces[0] = 0;
    docker_piece(&docker, "stdout", 'c', PIECE, false);
    docker_piece(&docker, "stdout", 'c', 1, true);
    docker_piece(&docker, "stdout", 'd', PIECE, false);
    docker.lines[0]++;
    docker.pieces[0] = 0;
    docker_write(&docker, "stdout", "whole");
    sink_await(house, &house->sinks[0], 6);
    static const struct {
        char fill;
        size_t len;
    } rows[] = {{'a', PIECE + 10}, {'e', PIECE}, {'b', PIECE}, {'c', PIECE + 1}, {'d', PIECE}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(sink->taken[i].log_len, rows[i].len);
        assert_int_equal(sink->taken[i].log[0], rows[i].fill);
        assert_int_equal(sink->taken[i].log[rows[i].len - 1], rows[i].fill);
    }
    assert_string_equal(sink->taken[5].log, "whole");
    docker_remove(&docker);
}

/* What a crash leaves: half of an entry, zeros of a file system, and the next entries behind. */
static void damage_costs_nothing_behind_it(void **state)
{
    struct docker docker;
    struct house *house = start(state, &docker);
    const struct sink *sink = &house->sinks[0];
    char bytes[256];
    const struct tly_local_entry entry = {
        .source = TLY_TEXT("stdout"), .time_ns = 5, .line = TLY_TEXT("torn in two")};
    size_t len = local_entry_write(bytes, &entry);
    docker_lines(&docker, 0, 2);
    docker_raw(&docker, bytes, len - 10);
    memset(bytes, 0, sizeof(bytes));
    docker_raw(&docker, bytes, 100);
    docker_lines(&docker, 2, 4);
    docker_raw(&docker, bytes, 200);
    docker_raw(&docker, "garbage", 7);
    docker_lines(&docker, 4, 6);
    sink_await(house, &house->sinks[0], 8);
    house_settle(house);
    assert_int_equal(sink->count, 8);
    assert_true(sink->taken[2].malformed);
    assert_string_equal(sink->taken[2].source, "unknown");
    assert_non_null(memmem(sink->taken[2].log, sink->taken[2].log_len, "torn", 4));
    assert_true(sink->taken[5].malformed);
    assert_string_equal(sink->taken[5].log, "garbage");
    assert_string_equal(sink->taken[7].log, "5: the quick brown fox");
    docker_remove(&docker);
}

/* The length says that there is more to come, which never comes: the engine has started again. */
static void a_torn_long_entry_holds_nobody_up(void **state)
{
    static const char head[] = "\0\0\x40\x20\n\x06stdout\x10\x05\x1a\x80\x80\x01yyyyyy";
    struct docker docker;
    struct house *house = start(state, &docker);
    const struct sink *sink = &house->sinks[0];
    docker_raw(&docker, head, sizeof(head) - 1);
    docker_lines(&docker, 0, 3);
    house_settle(house);
    assert_int_equal(sink->count, 0); /* it may be a long line that is being written */
    sink_await(house, &house->sinks[0], 4);
    assert_true(sink->taken[0].malformed);
    assert_int_equal(sink->taken[0].log_len, sizeof(head) - 1 - 2); /* its zeros are passed over */
    assert_string_equal(sink->taken[3].log, "2: the quick brown fox");
    docker_remove(&docker);
}

/* The same at the end of a file that nobody writes to any more; and of a compressed one. */
static void a_torn_end_costs_nothing(void **state)
{
    static const char head[] = "\0\0\x40\x20\n\x06stdout\x10\x05\x1a\x80\x80\x01yyyyyy";
    struct house *house = *state;
    struct docker docker;
    const struct sink *sink = &house->sinks[0];
    docker_create_as(house, &docker, 1, DRIVER_LOCAL);
    for (unsigned i = 0; i < 2; i++) {
        docker_raw(&docker, head, sizeof(head) - 1);
        docker_lines(&docker, 2 * i, 2 * i + 1);
        docker_raw(&docker, head, sizeof(head) - 1);
        docker_lines(&docker, 2 * i + 1, 2 * i + 2);
        docker_raw(&docker, head, 9);
        docker_rotate(&docker, 4);
    }
    docker_compress(&docker, 2);
    docker_lines(&docker, 4, 5);
    house_start(house);
    sink_await(house, &house->sinks[0], 11);
    house_settle(house);
    assert_int_equal(sink->count, 11);
    for (unsigned i = 0, line = 0; i < 11; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%u: the quick brown fox", line);
        bool torn = i < 10 && i % 5 % 2 == 0;
        assert_int_equal(sink->taken[i].malformed, torn);
        if (!torn) {
            assert_string_equal(sink->taken[i].log, text);
            line++;
        }
    }
    docker_remove(&docker);
}

static void rotated_files_are_read_in_order_after_a_pause(void **state)
{
    struct docker docker;
    struct house *house = start(state, &docker);
    docker_lines(&docker, 0, 10);
    sink_await(house, &house->sinks[0], 10);
    house_settle(house);
    house_kill(house);
    for (unsigned i = 1; i < 4; i++) {
        docker_lines(&docker, 10 * i, 10 * i + 10);
        docker_rotate(&docker, 5);
        if (i > 1) {
            docker_compress(&docker, 2);
        }
    }
    docker_lines(&docker, 40, 50);
    house_start(house);
    sink_await(house, &house->sinks[0], 50);
    expect_lines(&house->sinks[0], docker.id, 0, 50);
    docker_remove(&docker);
}

static void what_was_there_before_is_passed_over(void **state)
{
    struct house *house = *state;
    struct docker docker;
    char bytes[256];
    const struct tly_local_entry entry = {
        .source = TLY_TEXT("stdout"), .time_ns = 5, .line = TLY_TEXT("half of it")};
    (void)snprintf(house->options, sizeof(house->options), "from: now");
    docker_create_as(house, &docker, 1, DRIVER_LOCAL);
    docker_lines(&docker, 0, 5);
    size_t len = local_entry_write(bytes, &entry);
    docker_raw(&docker, bytes, len / 2);
    house_start(house);
    house_settle(house);
    docker_raw(&docker, bytes + len / 2, len - len / 2);
    docker_lines(&docker, 5, 6);
    sink_await(house, &house->sinks[0], 2);
    assert_string_equal(house->sinks[0].taken[0].log, "half of it");
    assert_string_equal(house->sinks[0].taken[1].log, "5: the quick brown fox");
    docker_remove(&docker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_bytes_arrive, house_set_up, house_tear_down),
        cmocka_unit_test_setup_teardown(attributes_become_fields, house_set_up, house_tear_down),
        cmocka_unit_test_setup_teardown(pieces_are_joined_by_their_id, house_set_up,
                                        house_tear_down),
        cmocka_unit_test_setup_teardown(damage_costs_nothing_behind_it, house_set_up,
                                        house_tear_down),
        cmocka_unit_test_setup_teardown(a_torn_long_entry_holds_nobody_up, house_set_up,
                                        house_tear_down),
        cmocka_unit_test_setup_teardown(a_torn_end_costs_nothing, house_set_up, house_tear_down),
        cmocka_unit_test_setup_teardown(rotated_files_are_read_in_order_after_a_pause, house_set_up,
                                        house_tear_down),
        cmocka_unit_test_setup_teardown(what_was_there_before_is_passed_over, house_set_up,
                                        house_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
