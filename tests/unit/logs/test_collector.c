/*
 * The collector as a whole on a real directory, with a pretended engine: nothing that was written
 * is missing, nothing that was acknowledged comes twice.
 */
#include "collectors/logs/file.h"
#include "collectors/logs/gzip.h"
#include "tests/unit/logs/house.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* Which inflation of a reader, counted from 1, fails for want of memory, and with it all further
 * ones of its inflater. 0: none. */
static unsigned inflation_fails;
static unsigned inflations;
static const struct tly_log_gzip *broken;

int __real_tly_log_gzip_new(int fd, struct tly_log_gzip **ret_gzip);
int __wrap_tly_log_gzip_new(int fd, struct tly_log_gzip **ret_gzip);
ssize_t __real_tly_log_gzip_read(struct tly_log_gzip *gzip, char *to, size_t cap);
ssize_t __wrap_tly_log_gzip_read(struct tly_log_gzip *gzip, char *to, size_t cap);

int __wrap_tly_log_gzip_new(int fd, struct tly_log_gzip **ret_gzip)
{
    int rc = __real_tly_log_gzip_new(fd, ret_gzip);
    broken = rc == 0 && *ret_gzip == broken ? NULL : broken; /* it was freed */
    return rc;
}

ssize_t __wrap_tly_log_gzip_read(struct tly_log_gzip *gzip, char *to, size_t cap)
{
    bool head = cap <= TLY_LOG_HEAD_MAX; /* a look at what file it is */
    if (inflation_fails > 0 && !head && ++inflations == inflation_fails) {
        broken = gzip;
    }
    return gzip == broken ? -ENOMEM : __real_tly_log_gzip_read(gzip, to, cap);
}

static void what_stands_there_and_what_comes(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 10);
    house_start(house);
    sink_await(house, sink, 10);
    docker_lines(&docker, 10, 1000);
    sink_await(house, sink, 1000);
    house_settle(house);
    expect_lines(sink, docker.id, 0, 1000);
    assert_string_equal(sink->taken[0].tag, "docker.000000000000");
    assert_string_equal(sink->taken[0].name, "/box1");
    assert_int_equal(sink->taken[1].time_ns, 1700000000000001000LL);
    assert_null(sink->taken[0].extra);
    docker_remove(&docker);
}

static void from_now_begins_at_the_end(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker old;
    struct docker young;
    (void)snprintf(house->options, sizeof(house->options), "from: now");
    docker_create(house, &old, 1);
    docker_lines(&old, 0, 10);
    docker_raw(&old, "{\"log\":\"10: the qu", 18); /* being written */
    house_start(house);
    house_settle(house);
    docker_raw(&old,
               "ick brown fox\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:21Z\"}\n", 66);
    docker_lines(&old, 11, 20);
    docker_create(house, &young, 2); /* all of it is new */
    docker_lines(&young, 0, 5);
    sink_await(house, sink, 15);
    house_settle(house);
    expect_lines(sink, old.id, 10, 20);
    expect_lines(sink, young.id, 0, 5);
    docker_remove(&old);
    docker_remove(&young);
}

static void what_came_while_away_is_no_history(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    (void)snprintf(house->options, sizeof(house->options), "from: now");
    house_start(house); /* the first run sees no container at all */
    house_settle(house);
    house_kill(house);
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 10);
    house_start(house);
    sink_await(house, sink, 10);
    house_settle(house);
    expect_lines(sink, docker.id, 0, 10);
    docker_remove(&docker);
}

static void rotation_by_rename(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    house_start(house);
    for (unsigned n = 0; n < 20; n++) {
        docker_lines(&docker, n * 50, n * 50 + 50);
        docker_rotate(&docker, 3);
        house_settle(house);
    }
    docker_lines(&docker, 1000, 1010);
    expect_whole(house, sink, docker.id, 1010);
    docker_remove(&docker);
}

/* With max-file 1 the engine unlinks the log that we still read. */
static void rotation_by_unlink(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 1);
    house_start(house);
    house_settle(house);
    for (unsigned n = 0; n < 20; n++) {
        docker_lines(&docker, n * 50 + 1, n * 50 + 51);
        docker_rotate(&docker, 1);
        house_settle(house);
    }
    sink_await(house, sink, 1001);
    expect_lines(sink, docker.id, 0, 1001);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, NULL), 0);
    docker_remove(&docker);
}

static void several_rotations_between_two_looks(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 10);
    house_start(house);
    sink_await(house, sink, 10);
    for (unsigned n = 1; n < 5; n++) {
        docker_rotate(&docker, 10);
        docker_lines(&docker, n * 10, n * 10 + 10);
    }
    expect_whole(house, sink, docker.id, 50);
    docker_remove(&docker);
}

/* What the engine made and deleted before anybody could open it is a gap that shows. */
static void rotation_faster_than_looks_is_counted(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 10);
    house_start(house);
    sink_await(house, sink, 10);
    house_ticks(house, 2); /* the events of the first file have come */
    docker_rotate(&docker, 2);
    docker_lines(&docker, 10, 20);
    docker_rotate(&docker, 2);
    docker_lines(&docker, 20, 30);
    docker_rotate(&docker, 2); /* now 10 to 19 are gone */
    docker_lines(&docker, 30, 40);
    sink_await(house, sink, 30);
    house_settle(house);
    assert_int_equal(sink->count, 30);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, "reason=\"rotated\""), 1);
    docker_remove(&docker);
}

static void compressed_rotations_after_downtime(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 200);
    house_start(house);
    sink_await(house, sink, 200);
    house_settle(house);
    house_kill(house);
    for (unsigned n = 1; n < 6; n++) {
        docker_lines(&docker, n * 200, n * 200 + 100); /* also into the file that was half read */
        docker_rotate(&docker, 10);
        if (n > 1) {
            docker_compress(&docker, 2);
        }
        docker_lines(&docker, n * 200 + 100, n * 200 + 200);
    }
    docker_compress(&docker, 1);
    house_start(house);
    expect_whole(house, sink, docker.id, 1200);
    docker_remove(&docker);
}

/* As zlib: an inflater for which memory was out once is of no use any more. */
static void compressed_rotations_without_memory(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 200);
    house_start(house);
    sink_await(house, sink, 200);
    house_settle(house);
    house_kill(house);
    for (unsigned n = 1; n < 3; n++) {
        docker_lines(&docker, n * 200, n * 200 + 100);
        docker_rotate(&docker, 10);
        docker_lines(&docker, n * 200 + 100, n * 200 + 200);
    }
    docker_compress(&docker, 1);
    docker_compress(&docker, 2);
    for (unsigned fails = 1; fails < 6; fails++) {
        inflations = 0;
        inflation_fails = fails;
        sink_clear(sink);
        sink->mode = SINK_HOLDS; /* so that each run begins at the same place */
        house_start(house);
        sink_await(house, sink, 400);
        house_settle(house);
        expect_lines(sink, docker.id, 200, 600);
        assert_true(inflations >= fails);
        assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, NULL), 0);
        house_kill(house);
    }
    inflation_fails = 0;
    docker_remove(&docker);
}

/* The file under our eyes becomes .1, then .1.gz; and the next ones too, while the receiver rests.
 */
static void compression_while_reading_waits(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    house_fill_soon(house);
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 1000);
    house_start(house);
    house_settle(house);
    for (unsigned n = 1; n < 5; n++) {
        docker_rotate(&docker, 10);
        if (n > 1) {
            docker_compress(&docker, 2);
        }
        docker_lines(&docker, n * 1000, n * 1000 + 1000);
        house_settle(house);
    }
    docker_compress(&docker, 1);
    sink_set(sink, SINK_ACKS);
    expect_whole(house, sink, docker.id, 5000);
    docker_remove(&docker);
}

static void deletion_while_held(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    house_fill_soon(house);
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 2000);
    house_start(house);
    house_settle(house);
    docker_rotate(&docker, 1);
    docker_lines(&docker, 2000, 4000);
    house_settle(house);
    docker_remove(&docker);
    house_settle(house);
    house_ticks(house, 1);
    assert_true(house_metric(house, TLY_F_tallyman_logs_held_bytes, NULL) > 0);
    sink_set(sink, SINK_ACKS);
    expect_whole(house, sink, docker.id, 4000);
    /* Delivered to the last line, the container is forgotten, and its position with it. */
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_containers, NULL), 0);
    struct tly_position position;
    char key[128];
    (void)snprintf(key, sizeof(key), "docker/%s", docker.id);
    assert_false(
        tly_delivery_position(house->delivery, sink->destination, tly_text_of(key), &position));
}

static void held_files_are_bounded(void **state)
{
    static const char held_max[] = "reason=\"held_max\"";
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    house->limits = (struct tly_destination_limits){
        .chunk_age_ms = 5, .chunk_bytes_max = 8192, .bytes_max = 32768};
    (void)snprintf(house->options, sizeof(house->options), "from: beginning, held_max: 100KiB");
    sink->mode = SINK_RESTS;
    docker_create(house, &docker, 1);
    house_start(house);
    for (unsigned n = 0; n < 4; n++) {
        docker_lines(&docker, n * 1000, n * 1000 + 1000); /* 97 KB each */
        house_settle(house);
        docker_rotate(&docker, 1);
        house_settle(house);
    }
    house_ticks(house, 1);
    assert_true(house_metric(house, TLY_F_tallyman_logs_held_bytes, NULL) <= 100 << 10);
    /* Counted although the destination has no room still, and not once more when it has. */
    int64_t gaps = house_metric(house, TLY_F_tallyman_logs_gaps_total, held_max);
    int64_t bytes = house_metric(house, TLY_F_tallyman_logs_lost_bytes_total, held_max);
    assert_int_equal(gaps, 3);
    assert_true(bytes > 200000);
    sink_set(sink, SINK_ACKS);
    docker_lines(&docker, 4000, 4001);
    house_settle(house);
    house_ticks(house, 1);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, NULL), gaps);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_lost_bytes_total, NULL), bytes);
    assert_string_equal(sink->taken[sink->count - 1].log, "4000: the quick brown fox");
    docker_remove(&docker);
}

static void container_gone_before_it_was_seen(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    house_start(house);
    house_settle(house);
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 10);
    docker_remove(&docker);
    house_settle(house);
    assert_int_equal(sink->count, 0);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, "reason=\"removed\""), 1);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_containers, NULL), 0);
}

static void short_lived_containers(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    house_start(house);
    for (unsigned n = 1; n <= 50; n++) {
        struct docker docker;
        docker_create(house, &docker, n);
        docker_lines(&docker, 0, 20);
        assert_true(turns_few(house->loop)); /* so long it lives */
        docker_remove(&docker);
    }
    sink_await(house, sink, 1000);
    house_settle(house);
    assert_int_equal(sink->count, 1000);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, NULL), 0);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_containers, NULL), 0);
}

/* A container that never wrote, and one whose directory came before its log. */
static void removed_without_a_line(void **state)
{
    struct house *house = *state;
    struct docker docker;
    docker_create(house, &docker, 1);
    house_start(house);
    house_settle(house);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_containers, NULL), 1);
    docker_remove(&docker);
    house_settle(house);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_containers, NULL), 0);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, NULL), 0);
}

/* ---- the books ---- */

static void note_done(void *arg)
{
    bool *done = arg;
    *done = true;
}

/* A container's figure in a fresh snapshot; -1: it has none. */
static int64_t figure(struct house *house, enum tly_family_id family, const char *label)
{
    bool done = false;
    int64_t value = -1;
    assert_int_equal(tly_inventory_refresh(house->inventory, 0, note_done, &done), 0);
    assert_true(done);
    struct tly_snapshot *snapshot = tly_inventory_snapshot(house->inventory);
    assert_non_null(snapshot);
    for (size_t slot = 0; slot < snapshot->slots; slot++) {
        const struct tly_sample_set *set = snapshot->rows[0].sets[slot];
        for (size_t i = 0; set && i < tly_sample_set_count(set); i++) {
            const struct tly_sample *sample = &tly_sample_set_at(set)[i];
            struct tly_text dim = tly_sample_set_dim(set, sample->dim);
            if (sample->family == family && memmem(dim.at, dim.len, label, strlen(label))) {
                value = sample->raw;
            }
        }
    }
    tly_snapshot_unref(snapshot);
    return value;
}

static void figures_of_a_container(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    house->limits = (struct tly_destination_limits){
        .chunk_age_ms = 5, .chunk_bytes_max = 8192, .bytes_max = 32768};
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 10);
    docker_write(&docker, "stderr", "oh");
    house_start(house);
    sink_await(house, sink, 11);
    house_settle(house);
    /* The inventory hears of it only now: nothing new was written, the figures come all the same.
     */
    assert_int_equal(figure(house, TLY_F_container_log_lines_total, "stream"), -1);
    struct tly_container *container = tly_container_new(tly_text_of(docker.id));
    assert_non_null(container);
    assert_int_equal(tly_inventory_put(house->inventory, TLY_SOURCE_FILES, container, 1), 0);
    house_settle(house);
    assert_int_equal(figure(house, TLY_F_container_log_lines_total, "stream=\"stdout\""), 10);
    assert_int_equal(figure(house, TLY_F_container_log_lines_total, "stream=\"stderr\""), 1);
    assert_int_equal(figure(house, TLY_F_container_log_bytes_total, "stream=\"stderr\""), 2);
    assert_int_equal(figure(house, TLY_F_container_log_lag_bytes, "destination=\"central\""), 0);
    /* The receiver rests: what is not read is the lag, over all files. */
    sink_set(sink, SINK_RESTS);
    docker_lines(&docker, 10, 2000);
    house_settle(house);
    docker_rotate(&docker, 3);
    docker_lines(&docker, 2000, 4000);
    house_settle(house);
    int64_t lag = figure(house, TLY_F_container_log_lag_bytes, "destination=\"central\"");
    int64_t lines = figure(house, TLY_F_container_log_lines_total, "stream=\"stdout\"");
    assert_true(lines > 10 && lines < 4000);
    assert_in_range(lag / (4000 - lines), 85, 100); /* a line is about that long */
    sink_set(sink, SINK_ACKS);
    sink_await(house, sink, 4001);
    house_settle(house);
    assert_int_equal(figure(house, TLY_F_container_log_lines_total, "stream=\"stdout\""), 4000);
    assert_int_equal(figure(house, TLY_F_container_log_lag_bytes, "destination=\"central\""), 0);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_lines_total, NULL), 4001);
    docker_remove(&docker);
    house_settle(house);
    assert_int_equal(figure(house, TLY_F_container_log_lines_total, "stream"), -1);
}

static void the_books_of_a_container(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    (void)snprintf(house->options, sizeof(house->options),
                   "from: beginning, shape: [{multiline_start: '^begin', drop: ['noise']}]");
    docker_create(house, &docker, 1);
    docker_write(&docker, "stdout", "begin 1");
    docker_write(&docker, "stdout", " goes on");
    docker_write(&docker, "stdout", "begin noise");
    docker_write(&docker, "stdout", " goes on");
    docker_raw(&docker, "no line\n", sizeof("no line\n") - 1);
    docker_write(&docker, "stdout", "begin 2");
    sink->mode = SINK_HOLDS;
    house_start(house);
    struct tly_container *container = tly_container_new(tly_text_of(docker.id));
    assert_non_null(container);
    assert_int_equal(tly_inventory_put(house->inventory, TLY_SOURCE_FILES, container, 1), 0);
    house_settle(house);
    const struct {
        enum tly_family_id family;
        int64_t value;
    } rows[] = {
        {TLY_F_container_log_lines_total, 5},
        {TLY_F_container_log_joined_lines_total, 1},
        {TLY_F_container_log_malformed_records_total, 1},
        {TLY_F_container_log_partial_records_total, 0},
        {TLY_F_container_log_waiting_lines, 1},
        {TLY_F_container_log_records_total, 2},
        {TLY_F_container_log_pending_records, 2},
        {TLY_F_container_log_acknowledged_records_total, 0},
        {TLY_F_container_log_resent_records_total, 0},
        {TLY_F_container_log_gaps_total, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const char *label = i == 0 ? "stream=\"stdout\"" : "destination";
        assert_int_equal(figure(house, rows[i].family, label), rows[i].value);
    }
    assert_int_equal(figure(house, TLY_F_container_log_dropped_lines_total, "\"drop\""), 2);
    house_ticks(house, 3); /* the last message is no longer waited for */
    assert_in_range(figure(house, TLY_F_container_log_lag_seconds, "destination"), 1000, 60000);
    assert_int_equal(figure(house, TLY_F_container_log_pending_records, "destination"), 3);
    sink_lose(sink, 0);
    house_settle(house);
    assert_int_equal(figure(house, TLY_F_container_log_resent_records_total, "destination"), 3);
    assert_int_equal(figure(house, TLY_F_container_log_pending_records, "destination"), 3);
    sink_refuse(sink);
    house_settle(house);
    assert_int_equal(figure(house, TLY_F_container_log_rejected_records_total, "destination"), 3);
    docker_write(&docker, "stdout", "begin 3");
    docker_write(&docker, "stdout", "begin 4");
    sink_set(sink, SINK_ACKS);
    house_settle(house);
    assert_int_equal(figure(house, TLY_F_container_log_acknowledged_records_total, "destination"),
                     1);
    assert_int_equal(figure(house, TLY_F_container_log_pending_records, "destination"), 0);
    house_ticks(house, 3);
    assert_int_equal(figure(house, TLY_F_container_log_acknowledged_records_total, "destination"),
                     2);
    assert_int_equal(figure(house, TLY_F_container_log_lag_seconds, "destination"), 0);
    docker_remove(&docker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ROW(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)
        ROW(what_stands_there_and_what_comes),
        ROW(from_now_begins_at_the_end),
        ROW(what_came_while_away_is_no_history),
        ROW(rotation_by_rename),
        ROW(rotation_by_unlink),
        ROW(several_rotations_between_two_looks),
        ROW(rotation_faster_than_looks_is_counted),
        ROW(compressed_rotations_after_downtime),
        ROW(compressed_rotations_without_memory),
        ROW(compression_while_reading_waits),
        ROW(deletion_while_held),
        ROW(held_files_are_bounded),
        ROW(container_gone_before_it_was_seen),
        ROW(short_lived_containers),
        ROW(removed_without_a_line),
        ROW(figures_of_a_container),
        ROW(the_books_of_a_container),
#undef ROW
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
