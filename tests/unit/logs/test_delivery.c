/*
 * Lines on their way to destinations that are slow, full, gone or several: what is not acknowledged
 * comes again after a restart, what is acknowledged does not, and nobody waits for another.
 */
#include "agent/base/clock.h"
#include "collectors/logs/state.h"
#include "tests/unit/descriptors.h"
#include "tests/unit/logs/house.h"

#include <unistd.h>

#define PIECE 16384 /* bytes, as Docker cuts them */

static const struct tly_destination_limits small = {
    .chunk_age_ms = 5, .chunk_bytes_max = 8192, .bytes_max = 32768};

static void unacknowledged_lines_come_again(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 100);
    house_start(house);
    sink_await(house, sink, 100);
    house_settle(house);
    sink->mode = SINK_HOLDS;
    docker_lines(&docker, 100, 200);
    sink_await(house, sink, 200);
    house_kill(house);
    sink_clear(sink);
    sink->mode = SINK_ACKS;
    docker_lines(&docker, 200, 210);
    house_start(house);
    sink_await(house, sink, 110);
    house_settle(house);
    expect_lines(sink, docker.id, 100, 210);
    expect_no_repeat(house, sink);
    docker_remove(&docker);
}

/* Chunks are acknowledged out of order: the position stays before the first that is not. */
static void a_gap_in_acknowledgements_holds_the_position(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    house->limits.chunk_bytes_max = 8192;
    sink->mode = SINK_HOLDS;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 200);
    house_start(house);
    sink_await(house, sink, 200);
    assert_true(sink->held_count > 2);
    for (size_t i = 1; i < sink->held_count; i++) {
        tly_destination_ack(sink->destination, sink->held[i]);
    }
    sink->held_count = 1;
    house_kill(house);
    sink_clear(sink);
    sink->mode = SINK_ACKS;
    house_start(house);
    sink_await(house, sink, 200);
    house_settle(house);
    expect_lines(sink, docker.id, 0, 200);
    docker_remove(&docker);
}

static void a_full_destination_is_waited_for(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker dockers[3];
    house->limits = small;
    sink->mode = SINK_RESTS;
    for (unsigned i = 0; i < 3; i++) {
        docker_create(house, &dockers[i], (i + 1));
        docker_lines(&dockers[i], 0, 2000);
    }
    house_start(house);
    house_settle(house);
    struct tly_destination_counts counts;
    tly_destination_counts(sink->destination, &counts);
    assert_true(counts.memory_bytes <= small.bytes_max);
    assert_true(counts.queued_records < 1000);
    for (unsigned i = 0; i < 3; i++) {
        docker_lines(&dockers[i], 2000, 2100);
    }
    sink_set(sink, SINK_ACKS);
    sink_await(house, sink, 6300);
    house_settle(house);
    for (unsigned i = 0; i < 3; i++) {
        expect_lines(sink, dockers[i].id, 0, 2100);
        docker_remove(&dockers[i]);
    }
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, NULL), 0);
}

static void killed_while_full(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    house->limits = small;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 3000);
    for (unsigned n = 0; n < 10; n++) {
        sink->mode = SINK_HOLDS;
        house_start(house);
        house_settle(house);
        house_kill(house);
        docker_lines(&docker, 3000 + n * 10, 3010 + n * 10);
    }
    sink_clear(sink);
    sink->mode = SINK_ACKS;
    house_start(house);
    sink_await(house, sink, 3100);
    house_settle(house);
    expect_lines(sink, docker.id, 0, 3100);
    docker_remove(&docker);
}

static void destinations_are_independent(void **state)
{
    struct house *house = *state;
    struct sink *fast = &house->sinks[0];
    struct sink *slow = &house->sinks[1];
    struct docker docker;
    house->sink_count = 2;
    house->limits = small;
    slow->mode = SINK_RESTS;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 1000);
    house_start(house);
    sink_await(house, fast, 1000);
    docker_rotate(&docker, 2);
    docker_lines(&docker, 1000, 2000);
    sink_await(house, fast, 2000);
    docker_rotate(&docker, 2);
    docker_lines(&docker, 2000, 3000);
    sink_await(house, fast, 3000);
    house_settle(house);
    expect_lines(fast, docker.id, 0, 3000);
    sink_set(slow, SINK_ACKS);
    expect_whole(house, slow, docker.id, 3000);
    docker_remove(&docker);
}

/* Each destination goes on where it was itself, whatever the other one has. */
static void destinations_have_their_own_positions(void **state)
{
    struct house *house = *state;
    struct sink *fast = &house->sinks[0];
    struct sink *slow = &house->sinks[1];
    struct docker docker;
    house->sink_count = 2;
    slow->mode = SINK_RESTS;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 100);
    house_start(house);
    sink_await(house, fast, 100);
    house_settle(house);
    house_kill(house);
    docker_rotate(&docker, 3);
    docker_lines(&docker, 100, 200);
    slow->mode = SINK_ACKS;
    house_start(house);
    sink_await(house, fast, 200);
    sink_await(house, slow, 200);
    house_settle(house);
    expect_lines(fast, docker.id, 0, 200);
    expect_lines(slow, docker.id, 0, 200);
    docker_remove(&docker);
}

/* As the engine does it: a new file in the old one's place. */
static void write_name(const struct docker *docker, const char *name)
{
    char path[256];
    char target[256];
    (void)snprintf(path, sizeof(path), "%s/.tmp-config.v2.json", docker->dir);
    (void)snprintf(target, sizeof(target), "%s/config.v2.json", docker->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fprintf(file, "{\"ID\":\"%s\",\"Name\":\"/%s\"}", docker->id, name) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(path, target), 0);
}

static void select_names(struct tly_patterns *patterns, char *const *names)
{
    *patterns = (struct tly_patterns){.at = names, .count = 1};
}

/* What a destination does not take is neither sent to it nor kept from rotating away, and is no
 * gap. */
static void destinations_take_what_they_select(void **state)
{
    static char *const box1[] = {(char *)"box1"};
    static char *const box2[] = {(char *)"box2"};
    struct house *house = *state;
    struct sink *first = &house->sinks[0];
    struct sink *second = &house->sinks[1];
    struct docker dockers[2];
    house->sink_count = 2;
    select_names(&house->selections[0].exclude.containers, box2);
    select_names(&house->selections[1].match.containers, box2);
    for (unsigned i = 0; i < 2; i++) {
        docker_create(house, &dockers[i], i + 1);
        docker_lines(&dockers[i], 0, 100);
    }
    house_start(house);
    sink_await(house, first, 100);
    sink_await(house, second, 100);
    house_settle(house);
    expect_lines(first, dockers[0].id, 0, 100);
    expect_lines(second, dockers[1].id, 0, 100);
    docker_rotate(&dockers[0], 2);
    docker_lines(&dockers[0], 100, 200);
    sink_await(house, first, 200);
    house_settle(house);
    assert_int_equal(second->count, 100);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, NULL), 0);
    house_kill(house); /* and configured anew: the other way round, from where each file stands */
    select_names(&house->selections[0].exclude.containers, box1);
    select_names(&house->selections[1].match.containers, box1);
    sink_clear(first);
    sink_clear(second);
    house_start(house);
    sink_await(house, first, 100);
    sink_await(house, second, 200);
    house_settle(house);
    expect_lines(first, dockers[1].id, 0, 100);
    expect_lines(second, dockers[0].id, 0, 200);
    docker_remove(&dockers[0]);
    docker_remove(&dockers[1]);
}

/* A container that is renamed goes where its new name belongs. */
static void a_new_name_moves_a_container(void **state)
{
    static char *const box1[] = {(char *)"box1"};
    static char *const other[] = {(char *)"other"};
    struct house *house = *state;
    struct sink *first = &house->sinks[0];
    struct sink *second = &house->sinks[1];
    struct docker docker;
    house->sink_count = 2;
    select_names(&house->selections[0].match.containers, box1);
    select_names(&house->selections[1].match.containers, other);
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 100);
    house_start(house);
    sink_await(house, first, 100);
    house_settle(house);
    assert_int_equal(second->count, 0);
    write_name(&docker, "other");
    sink_await(house, second, 100);
    house_settle(house);
    docker_lines(&docker, 100, 150);
    sink_await(house, second, 150);
    house_settle(house);
    assert_int_equal(first->count, 100);
    expect_lines(second, docker.id, 0, 150);
    write_name(&docker, "box1"); /* and back: it goes on where it was, and has missed nothing */
    sink_await(house, first, 150);
    house_settle(house);
    expect_lines(first, docker.id, 0, 150);
    docker_remove(&docker);
}

/* Who waited for room, and said so to all others, is not forwarded any more: what was said goes
 * with it. */
static void who_waits_alone_leaves(void **state)
{
    static char *const box1[] = {(char *)"box1"};
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker noisy;
    struct docker quiet;
    house->limits = small;
    sink->mode = SINK_RESTS;
    docker_create(house, &noisy, 1);
    docker_create(house, &quiet, 2);
    docker_lines(&noisy, 0, 2000);
    house_start(house);
    house_settle(house);
    select_names(&house->selections[0].exclude.containers, box1);
    tly_destination_select(sink->destination, &house->selections[0]);
    house_reload(house, 1);
    house_settle(house);
    sink_set(sink, SINK_ACKS);
    house_settle(house);
    sink_clear(sink);
    docker_lines(&quiet, 0, 1); /* when no acknowledgement is left to come */
    expect_whole(house, sink, quiet.id, 1);
    docker_remove(&noisy);
    docker_remove(&quiet);
}

/* A destination that is new to the configuration gets no history when `from` is now. */
static void a_new_destination_begins_as_configured(void **state)
{
    struct house *house = *state;
    struct sink *second = &house->sinks[1];
    struct docker docker;
    (void)snprintf(house->options, sizeof(house->options), "from: now");
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 100);
    house_start(house);
    house_settle(house);
    house_kill(house);
    docker_lines(&docker, 100, 200);
    house->sink_count = 2;
    house_start(house);
    sink_await(house, &house->sinks[0], 100);
    house_settle(house);
    assert_int_equal(second->count, 0);
    docker_lines(&docker, 200, 210);
    sink_await(house, second, 10);
    sink_await(house, &house->sinks[0], 110);
    expect_lines(&house->sinks[0], docker.id, 100, 210);
    expect_lines(second, docker.id, 200, 210);
    docker_remove(&docker);
}

/* The collector had nothing to do until then, and does not know what was written meanwhile. */
static void a_first_destination_by_a_reload_gets_no_history(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    (void)snprintf(house->options, sizeof(house->options), "from: now");
    house->sink_count = 0;
    house_start(house);
    ((struct tly_logs *)house->collector)->started_ns -= TLY_NS_PER_S; /* some time ago */
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 100);
    house_reload(house, 1);
    house_settle(house);
    docker_lines(&docker, 100, 110);
    sink_await(house, sink, 10);
    expect_lines(sink, docker.id, 100, 110);
    docker_remove(&docker);
}

/* Killed while the engine has just made an empty log, and has gone on rotating meanwhile: its inode
 * may be any file's by now. */
static void killed_at_an_empty_file(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 10);
    house_start(house);
    sink_await(house, sink, 10);
    docker_rotate(&docker, 5);
    house_settle(house);
    house_kill(house);
    for (unsigned n = 1; n < 4; n++) {
        docker_lines(&docker, n * 10, n * 10 + 10);
        docker_rotate(&docker, 5);
    }
    docker_lines(&docker, 40, 50);
    house_start(house);
    expect_whole(house, sink, docker.id, 50);
    docker_remove(&docker);
}

static void rotated_away_while_down_is_counted(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 10);
    house_start(house);
    sink_await(house, sink, 10);
    house_settle(house);
    house_kill(house);
    for (unsigned n = 1; n < 4; n++) {
        docker_rotate(&docker, 2);
        docker_lines(&docker, n * 10, n * 10 + 10);
    }
    house_start(house);
    sink_await(house, sink, 30); /* 10 to 19 were in a file that is gone */
    house_settle(house);
    assert_int_equal(sink->count, 30);
    assert_string_equal(sink->taken[10].log, "20: the quick brown fox");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, "reason=\"rotated\""), 1);
    docker_remove(&docker);
}

/* ---- lines in pieces, over restarts ---- */

static void expect_fill(const struct taken *taken, const char *source, char fill, size_t len)
{
    assert_string_equal(taken->source, source);
    assert_int_equal(taken->log_len, len);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(taken->log[i], fill);
    }
    assert_null(taken->partial_id);
}

/* The line of one stream waits for its rest; the other stream goes on and is delivered. After the
 * restart the first line is whole, and the other stream's lines don't come again. */
static void a_waiting_line_survives_a_restart(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    house_start(house);
    docker_lines(&docker, 0, 5);
    docker_piece(&docker, "stderr", 'e', PIECE, false);
    docker_lines(&docker, 5, 10);
    docker_piece(&docker, "stderr", 'e', PIECE, false);
    docker_lines(&docker, 10, 20);
    sink_await(house, sink, 20);
    house_settle(house);
    expect_lines(sink, docker.id, 0, 20);
    for (unsigned n = 0; n < 3; n++) { /* also when nothing new comes between */
        house_kill(house);
        house_start(house);
        house_settle(house);
        assert_int_equal(sink->count, 20);
    }
    docker_lines(&docker, 20, 30);
    sink_await(house, sink, 30);
    house_settle(house);
    house_kill(house);
    house_start(house);
    docker_piece(&docker, "stderr", 'e', 100, true);
    docker_lines(&docker, 30, 31);
    sink_await(house, sink, 32);
    house_settle(house);
    assert_int_equal(sink->count, 32);
    expect_fill(&sink->taken[30], "stderr", 'e', 2 * PIECE + 100);
    expect_no_repeat(house, sink);
    docker_remove(&docker);
}

static void a_waiting_line_survives_rotations(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    house_start(house);
    docker_lines(&docker, 0, 5);
    docker_piece(&docker, "stderr", 'e', PIECE, false);
    docker_lines(&docker, 5, 10);
    docker_rotate(&docker, 5);
    docker_lines(&docker, 10, 20);
    docker_piece(&docker, "stderr", 'e', PIECE, false);
    sink_await(house, sink, 20);
    house_settle(house);
    house_kill(house);
    docker_rotate(&docker, 5);
    docker_compress(&docker, 2);
    docker_lines(&docker, 20, 25);
    house_start(house);
    sink_await(house, sink, 25);
    docker_piece(&docker, "stderr", 'e', 7, true);
    sink_await(house, sink, 26);
    house_settle(house);
    assert_int_equal(sink->count, 26);
    expect_fill(&sink->taken[25], "stderr", 'e', 2 * PIECE + 7);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, NULL), 0);
    docker_remove(&docker);
}

/* Both streams wait at the same time, and are killed at each step. */
static void both_streams_wait(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_write(&docker, "stdout", "one");
    for (int step = 0; step < 4; step++) {
        docker_piece(&docker, step % 2 == 0 ? "stdout" : "stderr", step % 2 == 0 ? 'o' : 'e', PIECE,
                     false);
        house_start(house);
        house_settle(house);
        house_kill(house);
        assert_int_equal(sink->count, 1);
    }
    docker_piece(&docker, "stderr", 'e', 1, true);
    house_start(house);
    sink_await(house, sink, 2);
    house_settle(house);
    house_kill(house);
    docker_piece(&docker, "stdout", 'o', 2, true);
    docker_write(&docker, "stdout", "two");
    house_start(house);
    sink_await(house, sink, 4);
    house_settle(house);
    assert_int_equal(sink->count, 4);
    expect_fill(&sink->taken[1], "stderr", 'e', 2 * PIECE + 1);
    expect_fill(&sink->taken[2], "stdout", 'o', 2 * PIECE + 2);
    assert_string_equal(sink->taken[3].log, "two");
    docker_remove(&docker);
}

/* All of the deleted file was delivered, and the next one, empty when it was found, is there. */
static void killed_behind_a_rotation(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 10);
    house_start(house);
    sink_await(house, sink, 10);
    house_settle(house);
    docker_rotate(&docker, 1);
    house_settle(house);
    sink_set(sink, SINK_HOLDS);
    docker_lines(&docker, 10, 20);
    sink_await(house, sink, 20);
    house_kill(house); /* before it hears of the last lines */
    sink_cut(sink, 10);
    sink->mode = SINK_ACKS;
    house_start(house);
    expect_whole(house, sink, docker.id, 20);
    docker_remove(&docker);
}

/* While the destination has no room, a file of which all is delivered is left all the same. */
/* What was rotated away and cannot be opened for want of a descriptor is looked for again. */
static void rotated_without_descriptors(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 100);
    house_start(house);
    sink_await(house, sink, 100);
    house_settle(house);
    for (unsigned spare = 0; spare < 4; spare++) {
        for (unsigned times = 0; times < 2; times++) {
            docker_rotate(&docker, 4);
            docker_lines(&docker, 100 + 20 * spare + 10 * times, 110 + 20 * spare + 10 * times);
        }
        struct rlimit whole = descriptors_leave(spare);
        house_settle(house);
        descriptors_restore(&whole);
        house_ticks(house, 1);
        expect_whole(house, sink, docker.id, 120 + 20 * spare);
    }
    expect_no_repeat(house, sink);
    docker_remove(&docker);
}

static void rotated_while_full(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker quiet;
    struct docker busy;
    house->limits = (struct tly_destination_limits){
        .chunk_age_ms = 5, .chunk_bytes_max = 8192, .bytes_max = 32768};
    docker_create(house, &quiet, 1);
    docker_create(house, &busy, 2);
    docker_lines(&quiet, 0, 10);
    house_start(house);
    sink_await(house, sink, 10);
    house_settle(house);
    sink_set(sink, SINK_RESTS);
    docker_lines(&busy, 0, 3000);
    house_settle(house);
    docker_rotate(&quiet, 1);
    house_settle(house);
    docker_lines(&quiet, 10, 20);
    house_settle(house);
    house_kill(house);
    sink->mode = SINK_ACKS;
    house_start(house);
    sink_await(house, sink, 3020);
    house_settle(house);
    assert_int_equal(house_gaps(house, quiet.id), 0);
    docker_remove(&quiet);
    docker_remove(&busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ROW(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)
        ROW(unacknowledged_lines_come_again),
        ROW(a_gap_in_acknowledgements_holds_the_position),
        ROW(a_full_destination_is_waited_for),
        ROW(who_waits_alone_leaves),
        ROW(killed_while_full),
        ROW(destinations_are_independent),
        ROW(destinations_have_their_own_positions),
        ROW(destinations_take_what_they_select),
        ROW(a_new_name_moves_a_container),
        ROW(a_new_destination_begins_as_configured),
        ROW(a_first_destination_by_a_reload_gets_no_history),
        ROW(killed_at_an_empty_file),
        ROW(rotated_away_while_down_is_counted),
        ROW(killed_behind_a_rotation),
        ROW(rotated_while_full),
        ROW(rotated_without_descriptors),
        ROW(a_waiting_line_survives_a_restart),
        ROW(a_waiting_line_survives_rotations),
        ROW(both_streams_wait),
#undef ROW
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
