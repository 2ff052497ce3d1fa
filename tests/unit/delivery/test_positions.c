/*
 * Positions on disk: kept over a restart, over a kill (the object is simply left without a last
 * write), over torn and damaged lines, over rewriting, and not in the way when the disk refuses.
 */
#include "agent/delivery/delivery.h"

#include "agent/base/file.h"
#include "agent/delivery/position_line.h"
#include "agent/delivery/positions.h"
#include "tests/unit/delivery/syncs.h"
#include "tests/unit/delivery/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    struct tly_loop *loop;
    char dir[64];
    int dir_fd;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    assert_non_null(place);
    assert_int_equal(tly_loop_new(&place->loop), 0);
    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/tly-positions-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    place->dir_fd = open(place->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(place->dir_fd >= 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    (void)turns_few(place->loop);
    tly_loop_free(place->loop);
    (void)unlinkat(place->dir_fd, "positions", 0); /* may be gone or a directory by now */
    (void)unlinkat(place->dir_fd, "positions", AT_REMOVEDIR);
    (void)unlinkat(place->dir_fd, "positions.new", 0);
    (void)unlinkat(place->dir_fd, "positions.new", AT_REMOVEDIR);
    assert_int_equal(rmdir(place->dir), 0);
    close(place->dir_fd);
    free(place);
    return 0;
}

static struct tly_positions *open_positions(struct place *place)
{
    struct tly_positions *positions;
    assert_int_equal(tly_positions_new(place->loop, place->dir_fd, &positions), 0);
    return positions;
}

static void keep(struct tly_positions *positions, const char *destination, const char *key,
                 uint64_t offset)
{
    struct tly_position position = {.device = 1, .inode = 2, .head_len = 3, .offset = offset};
    assert_int_equal(
        tly_positions_keep(positions, tly_text_of(destination), tly_text_of(key), &position), 0);
}

/* The offset, or -1. */
static int64_t offset_of(const struct tly_positions *positions, const char *destination,
                         const char *key)
{
    struct tly_position position;
    if (!tly_positions_get(positions, tly_text_of(destination), tly_text_of(key), &position)) {
        return -1;
    }
    return (int64_t)position.offset;
}

static struct tly_positions_counts counts_of(const struct tly_positions *positions)
{
    struct tly_positions_counts counts;
    tly_positions_counts(positions, &counts);
    return counts;
}

static void they_survive_a_restart(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions = open_positions(place);
    assert_int_equal(offset_of(positions, "central", "docker/a"), -1);
    keep(positions, "central", "docker/a", 10);
    keep(positions, "central", "docker/b", 20);
    keep(positions, "second", "docker/a", 30);
    keep(positions, "central", "docker/a", 11);
    tly_positions_drop(positions, TLY_TEXT("central"), TLY_TEXT("docker/b"));
    assert_int_equal(offset_of(positions, "central", "docker/b"), -1);
    assert_int_equal(counts_of(positions).entries, 2);
    tly_positions_free(positions);

    positions = open_positions(place);
    assert_int_equal(offset_of(positions, "central", "docker/a"), 11);
    assert_int_equal(offset_of(positions, "central", "docker/b"), -1);
    assert_int_equal(offset_of(positions, "second", "docker/a"), 30);
    assert_int_equal(counts_of(positions).entries, 2);
    tly_positions_free(positions);
}

static int count_lines(const struct place *place, const char *name)
{
    struct tly_buf buf;
    tly_buf_init(&buf, SIZE_MAX / 2);
    int lines = 0;
    assert_int_equal(tly_file_read(place->dir_fd, name, &buf), 0);
    for (size_t i = 0; i < buf.len; i++) {
        lines += buf.at[i] == '\n';
    }
    tly_buf_done(&buf);
    return lines;
}

/* One turn of the loop, and all of it stands in the file: a kill then loses nothing. */
static void the_changes_of_a_turn_are_written_together(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions = open_positions(place);
    for (uint64_t i = 0; i < 100; i++) {
        keep(positions, "central", "docker/a", i);
        keep(positions, "central", "docker/b", i);
    }
    assert_int_equal(counts_of(positions).unwritten, 2);
    assert_true(turns_few(place->loop));
    assert_int_equal(counts_of(positions).unwritten, 0);
    assert_int_equal(count_lines(place, "positions"), 3); /* the head and one line each */

    struct tly_positions *after_kill = open_positions(place);
    assert_int_equal(offset_of(after_kill, "central", "docker/b"), 99);
    tly_positions_free(after_kill);
    tly_positions_free(positions);
    struct stat st;
    assert_int_equal(fstatat(place->dir_fd, "positions", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_torn_tail_costs_one_line(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions = open_positions(place);
    keep(positions, "central", "docker/a", 1);
    assert_true(turns_few(place->loop));
    keep(positions, "central", "docker/a", 2);
    tly_positions_free(positions);

    struct stat st;
    assert_int_equal(fstatat(place->dir_fd, "positions", &st, 0), 0);
    TLY_AUTO_FD fd = openat(place->dir_fd, "positions", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, st.st_size - 5), 0);
    positions = open_positions(place);
    assert_int_equal(offset_of(positions, "central", "docker/a"), 1);
    assert_int_equal(counts_of(positions).lines_damaged, 1);
    keep(positions, "central", "docker/a", 3); /* must not be glued to the torn line */
    tly_positions_free(positions);

    positions = open_positions(place);
    assert_int_equal(offset_of(positions, "central", "docker/a"), 3);
    tly_positions_free(positions);
}

static void garbage_in_the_middle_costs_only_itself(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions = open_positions(place);
    keep(positions, "central", "docker/a", 1);
    keep(positions, "central", "docker/b", 2);
    tly_positions_free(positions);
    TLY_AUTO_FD fd = openat(place->dir_fd, "positions", O_WRONLY | O_APPEND | O_CLOEXEC);
    static const char garbage[] = "\0\0\0\0\n\nkeep central docker/a 1 2 0 0 9 0 0 12345678\n\xff";
    assert_int_equal(tly_file_write_fd(fd, garbage, sizeof(garbage)), 0);
    positions = open_positions(place);
    assert_int_equal(offset_of(positions, "central", "docker/a"), 1);
    assert_int_equal(offset_of(positions, "central", "docker/b"), 2);
    assert_int_equal(counts_of(positions).lines_damaged, 3);
    tly_positions_free(positions);
}

static bool journal_is_sound(void *arg)
{
    struct tly_positions *after_kill = open_positions(arg);
    bool sound = counts_of(after_kill).lines_damaged == 0;
    tly_positions_free(after_kill);
    return sound;
}

/* What damaged lines were is lost once, not again at each start. */
static void damaged_lines_go_with_the_first_write(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions = open_positions(place);
    keep(positions, "central", "docker/a", 1);
    tly_positions_free(positions);
    TLY_AUTO_FD fd = openat(place->dir_fd, "positions", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(tly_file_write_fd(fd, "keep central\n", 13), 0);
    positions = open_positions(place);
    assert_false(tly_positions_whole(positions));
    keep(positions, "central", "docker/b", 2);
    assert_true(turns_until(place->loop, journal_is_sound, place));
    tly_positions_free(positions);
    positions = open_positions(place);
    assert_true(tly_positions_whole(positions));
    assert_int_equal(offset_of(positions, "central", "docker/a"), 1);
    assert_int_equal(offset_of(positions, "central", "docker/b"), 2);
    tly_positions_free(positions);
}

static bool journal_is_short(void *arg)
{
    return counts_of(arg).journal_bytes < 100 * 1024;
}

/* Whether a rewrite is due, or, on a fast disk, was made already. Goes by the size before, which it
 * replaces. */
static bool rewrite_began(const struct tly_positions *positions, uint64_t *before)
{
    uint64_t bytes = counts_of(positions).journal_bytes;
    bool began = bytes >= 256 * 1024 || bytes < *before;
    *before = bytes;
    return began;
}

static void a_grown_journal_is_rewritten(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions = open_positions(place);
    uint64_t turns = 0;
    uint64_t bytes = 0;
    while (!rewrite_began(positions, &bytes)) {
        char key[32];
        turns++;
        for (uint64_t i = 0; i < 50; i++) {
            (void)snprintf(key, sizeof(key), "docker/%u", (unsigned)i);
            keep(positions, "central", key, turns);
        }
        assert_true(turns_few(place->loop));
    }
    keep(positions, "central", "docker/meanwhile", 5); /* while the worker writes, or just after */
    tly_positions_drop(positions, TLY_TEXT("central"), TLY_TEXT("docker/49"));
    assert_true(turns_until(place->loop, journal_is_short, positions));
    keep(positions, "central", "docker/after", 6);
    assert_true(turns_few(place->loop));

    struct tly_positions *after_kill = open_positions(place);
    assert_int_equal(counts_of(after_kill).lines_damaged, 0);
    assert_int_equal(counts_of(after_kill).entries, 51);
    assert_int_equal(offset_of(after_kill, "central", "docker/48"), (int64_t)turns);
    assert_int_equal(offset_of(after_kill, "central", "docker/49"), -1);
    assert_int_equal(offset_of(after_kill, "central", "docker/meanwhile"), 5);
    assert_int_equal(offset_of(after_kill, "central", "docker/after"), 6);
    tly_positions_free(after_kill);
    tly_positions_free(positions);
    assert_int_equal(faccessat(place->dir_fd, "positions.new", F_OK, 0), -1);
}

/* The object may go while the worker is still rewriting. */
static void a_rewrite_under_way_does_not_outlive_its_owner(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions = open_positions(place);
    uint64_t turn = 0;
    uint64_t bytes = 0;
    while (!rewrite_began(positions, &bytes)) {
        turn++;
        for (uint64_t i = 0; i < 100; i++) {
            char key[200];
            (void)snprintf(key, sizeof(key), "docker/%0190u", (unsigned)i);
            keep(positions, "central", key, turn);
        }
        assert_true(turns_few(place->loop)); /* the last of these starts the rewrite */
    }
    tly_positions_free(positions);
    positions = open_positions(place);
    assert_int_equal(counts_of(positions).lines_damaged, 0);
    assert_int_equal(counts_of(positions).entries, 100);
    tly_positions_free(positions);
}

/* However long it has grown while no other file could be made, it is read at the next start. */
static void a_journal_that_only_grows_is_read(void **state)
{
    struct place *place = *state;
    enum { KEYS = 1000 };
    const uint64_t grown = (uint64_t)65 << 20;
    char long_name[TLY_POSITION_NAME_MAX + 1];
    memset(long_name, '%', sizeof(long_name)); /* each is three bytes in a line */
    long_name[TLY_POSITION_NAME_MAX] = '\0';
    assert_int_equal(mkdirat(place->dir_fd, "positions.new", 0700), 0);
    struct tly_positions *positions = open_positions(place);
    keep(positions, "central", "docker/once", 1);
    for (uint64_t turn = 1; counts_of(positions).journal_bytes < grown; turn++) {
        for (unsigned i = 0; i < KEYS; i++) {
            char key[TLY_POSITION_NAME_MAX + 1];
            memcpy(key, long_name, sizeof(key));
            (void)snprintf(key, sizeof(key), "%u", i);
            key[strlen(key)] = '%';
            keep(positions, long_name, key, turn);
        }
        assert_true(turns_few(place->loop));
    }
    tly_positions_free(positions);

    positions = open_positions(place);
    assert_int_equal(counts_of(positions).entries, KEYS + 1);
    assert_int_equal(counts_of(positions).lines_damaged, 0);
    assert_int_equal(offset_of(positions, "central", "docker/once"), 1);
    assert_true(tly_positions_whole(positions));
    tly_positions_free(positions);
}

/* No line is so long: it costs itself, and the agent's memory nothing. */
static void a_line_without_an_end(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions = open_positions(place);
    assert_false(tly_positions_whole(positions)); /* none is there yet */
    keep(positions, "central", "docker/a", 1);
    tly_positions_free(positions);
    TLY_AUTO_FD fd = openat(place->dir_fd, "positions", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)1 << 20), 0);
    positions = open_positions(place);
    assert_int_equal(offset_of(positions, "central", "docker/a"), 1);
    assert_true(counts_of(positions).lines_damaged > 0);
    assert_false(tly_positions_whole(positions));
    keep(positions, "central", "docker/a", 2);
    tly_positions_free(positions);
    positions = open_positions(place);
    assert_int_equal(offset_of(positions, "central", "docker/a"), 2);
    tly_positions_free(positions);
}

/* A directory in the journal's place refuses writes even to root, as a full disk would. */
static void a_disk_that_refuses_stops_nothing(void **state)
{
    struct place *place = *state;
    assert_int_equal(mkdirat(place->dir_fd, "positions", 0700), 0);
    struct tly_positions *positions = open_positions(place);
    keep(positions, "central", "docker/a", 1);
    keep(positions, "central", "docker/b", 1);
    assert_true(turns_few(place->loop));
    keep(positions, "central", "docker/a", 2);
    tly_positions_drop(positions, TLY_TEXT("central"), TLY_TEXT("docker/b"));
    assert_true(turns_few(place->loop));
    assert_int_equal(counts_of(positions).write_errors, 1);
    assert_int_equal(counts_of(positions).unwritten, 2);
    assert_int_equal(offset_of(positions, "central", "docker/a"), 2);
    assert_int_equal(unlinkat(place->dir_fd, "positions", AT_REMOVEDIR), 0);
    tly_positions_free(positions); /* the last write */
    positions = open_positions(place);
    assert_int_equal(offset_of(positions, "central", "docker/a"), 2);
    assert_int_equal(offset_of(positions, "central", "docker/b"), -1);
    tly_positions_free(positions);
}

static bool synced_again(void *arg)
{
    (void)arg;
    return atomic_load(&syncs_of_files) > 1 && atomic_load(&syncs_of_folder) > 1;
}

/* Of the file and of its name. */
static void a_sync_that_fails_is_tried_again(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions = open_positions(place);
    syncs_begin(place->dir_fd);
    atomic_store(&syncs_failing, 2);
    keep(positions, "central", "docker/a", 1);
    assert_true(turns_until(place->loop, synced_again, NULL));
    tly_positions_free(positions);
}

static void the_last_sync_has_the_name(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions = open_positions(place);
    syncs_begin(place->dir_fd);
    keep(positions, "central", "docker/a", 1);
    tly_positions_free(positions);
    assert_int_equal(atomic_load(&syncs_of_files), 1);
    assert_int_equal(atomic_load(&syncs_of_folder), 1);
    positions = open_positions(place);
    keep(positions, "central", "docker/a", 2);
    tly_positions_free(positions);
    assert_int_equal(atomic_load(&syncs_of_files), 2);
    assert_int_equal(atomic_load(&syncs_of_folder), 1);
}

static void without_a_directory_they_live_in_memory(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions;
    assert_int_equal(tly_positions_new(place->loop, -1, &positions), 0);
    keep(positions, "central", "docker/a", 1);
    assert_int_equal(offset_of(positions, "central", "docker/a"), 1);
    tly_positions_drop(positions, TLY_TEXT("central"), TLY_TEXT("docker/a"));
    assert_int_equal(offset_of(positions, "central", "docker/a"), -1);
    assert_int_equal(counts_of(positions).unwritten, 0);
    tly_positions_free(positions);
}

static bool is_not_a(void *arg, struct tly_text key)
{
    (void)arg;
    return !tly_text_ends(key, TLY_TEXT("a"));
}

static void pruning_reaches_all_destinations(void **state)
{
    struct place *place = *state;
    struct tly_positions *positions = open_positions(place);
    keep(positions, "central", "docker/a", 1);
    keep(positions, "gone", "docker/a", 1);
    keep(positions, "gone", "docker/b", 1);
    keep(positions, "gone", "journal/a", 1);
    assert_int_equal(tly_positions_prune(positions, TLY_TEXT("docker/"), is_not_a, NULL), 2);
    tly_positions_free(positions);
    positions = open_positions(place);
    assert_int_equal(counts_of(positions).entries, 2);
    assert_int_equal(offset_of(positions, "gone", "journal/a"), 1);
    tly_positions_free(positions);
}

static void count_key(void *arg, struct tly_text key, const struct tly_position *position)
{
    (void)key;
    *(uint64_t *)arg += position->offset;
}

/* What an ended source had not delivered yet keeps its position when the agent stops. */
static void stopping_keeps_what_is_not_delivered(void **state)
{
    struct place *place = *state;
    struct tly_delivery *delivery;
    struct tly_destination *destination;
    struct tly_destination_limits limits = {.chunk_bytes_max = 0};
    struct tly_error err;
    assert_int_equal(tly_delivery_new(place->loop, place->dir_fd, &delivery, &err), 0);
    assert_int_equal(tly_delivery_add(delivery, "central", &limits, &destination), 0);
    struct tly_cursor *cursor;
    assert_int_equal(tly_cursor_new(destination, TLY_TEXT("docker/a"), &cursor), 0);
    for (uint64_t i = 1; i <= 3; i++) {
        struct tly_chunk *chunk;
        struct tly_position position = {.offset = i};
        assert_int_equal(tly_destination_open(destination, TLY_TEXT("t"), 1, &chunk), 0);
        chunk->payload.at[chunk->payload.len++] = 'x';
        assert_int_equal(tly_destination_commit(destination, chunk, 1, cursor, &position), 0);
        tly_delivery_flush(delivery);
    }
    tly_cursor_end(cursor);
    tly_destination_ack(destination, tly_destination_take(destination));
    assert_non_null(tly_destination_take(destination)); /* under way when the agent stops */
    tly_delivery_free(delivery);

    assert_int_equal(tly_delivery_new(place->loop, place->dir_fd, &delivery, &err), 0);
    assert_int_equal(tly_delivery_add(delivery, "central", &limits, &destination), 0);
    struct tly_position position;
    assert_true(tly_delivery_position(delivery, destination, TLY_TEXT("docker/a"), &position));
    assert_int_equal(position.offset, 1);
    uint64_t sum = 0;
    tly_delivery_each_position(delivery, destination, count_key, &sum);
    assert_int_equal(sum, 1);
    tly_delivery_drop(delivery, destination, TLY_TEXT("docker/a"));
    tly_delivery_free(delivery);
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLACE(they_survive_a_restart),
        WITH_PLACE(the_changes_of_a_turn_are_written_together),
        WITH_PLACE(a_torn_tail_costs_one_line),
        WITH_PLACE(garbage_in_the_middle_costs_only_itself),
        WITH_PLACE(damaged_lines_go_with_the_first_write),
        WITH_PLACE(a_grown_journal_is_rewritten),
        WITH_PLACE(a_rewrite_under_way_does_not_outlive_its_owner),
        WITH_PLACE(a_journal_that_only_grows_is_read),
        WITH_PLACE(a_line_without_an_end),
        WITH_PLACE(a_disk_that_refuses_stops_nothing),
        WITH_PLACE(a_sync_that_fails_is_tried_again),
        WITH_PLACE(the_last_sync_has_the_name),
        WITH_PLACE(without_a_directory_they_live_in_memory),
        WITH_PLACE(pruning_reaches_all_destinations),
        WITH_PLACE(stopping_keeps_what_is_not_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
