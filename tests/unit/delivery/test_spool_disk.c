/*
 * The spool and its disk: files that are torn, damaged, gone or can't be read, a disk that refuses,
 * and what is synced.
 */
#include "agent/delivery/delivery.h"

#include "agent/base/file.h"
#include "tests/unit/delivery/spool_place.h"
#include "tests/unit/delivery/syncs.h"
#include "tests/unit/delivery/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The host went down in the middle of a write. */
static void a_torn_end_is_cut_off(void **state)
{
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    char path[256];
    struct stat st;
    sink->rests = true;
    place_start(place);
    place_append_all(place, "a", 0, 10);
    place_append_all(place, "b", 10, 20);
    place_settle(place);
    place_stop(place);
    place_file(place, true, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 1), 0);
    place_start(place);
    place_append_all(place, "c", 20, 30);
    sink->rests = false;
    place_await(place, 20);
    assert_int_equal(sink->count, 20);
    assert_int_equal(sink->numbers[9], 9);
    assert_int_equal(sink->numbers[10], 20);
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_damaged_bytes_total), 0);
}

/* A file that is cut at any byte never keeps the agent from starting, nor loses what comes then. */
static void torn_anywhere(void **state)
{
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    char path[256];
    place->record_len = 20;
    for (off_t size = 0; size < 120; size += 7) {
        sink->rests = true;
        sink->count = 0;
        place_start(place);
        place_append_all(place, "a", 0, 1);
        place_append_all(place, "b", 1, 2);
        place_append_all(place, "c", 2, 3);
        place_settle(place);
        place_stop(place);
        place_file(place, true, path);
        assert_int_equal(truncate(path, size), 0);
        place_start(place);
        place_append_all(place, "d", 3, 4);
        sink->rests = false;
        /* 8 bytes of file head; each entry has 16 of its own, 1 of tag and 20 of record */
        size_t whole = size < 45 ? 0 : size < 82 ? 1 : size < 119 ? 2 : 3;
        place_await(place, whole + 1);
        assert_int_equal(sink->count, whole + 1);
        assert_int_equal(sink->numbers[whole], 3);
        place_stop(place);
    }
}

/* Changes one byte of a file. */
static void spoil(const char *path, off_t at)
{
    char byte;
    TLY_AUTO_FD fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (char)~byte;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* Whichever byte of the last file goes bad: its entry is lost and counted, those behind it are not
 * taken for an unfinished write. */
static void damage_in_the_last_file(void **state)
{
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    char path[256];
    place->record_len = 20;
    enum { ENTRY_LEN = 37, FILE_HEAD_LEN = 8 }; /* 16 of head, 1 of tag, 20 of record */
    for (off_t byte = 0; byte < FILE_HEAD_LEN + ENTRY_LEN; byte += 3) {
        static const char *const tags[] = {"a", "b", "c"};
        sink->rests = true;
        sink->count = 0;
        place_start(place);
        for (uint32_t number = 0; number < 3; number++) {
            place_append_all(place, tags[number], number, number + 1);
        }
        place_settle(place);
        place_stop(place);
        place_file(place, true, path);
        spoil(path, byte);
        place_start(place);
        place_append_all(place, "d", 3, 4);
        sink->rests = false;
        bool harmless = byte < FILE_HEAD_LEN; /* of the file, not of an entry */
        place_await(place, harmless ? 4 : 3);
        assert_int_equal(sink->count, harmless ? 4 : 3);
        assert_int_equal(sink->numbers[0], harmless ? 0 : 1);
        assert_int_equal(place_metric(place, TLY_F_tallyman_spool_damaged_bytes_total),
                         harmless ? 0 : ENTRY_LEN);
        assert_int_equal(place_metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
        place_stop(place);
    }
}

/* Entries behind damage of any length are found, also a torn end behind that is counted. */
static void damage_of_any_length(void **state)
{
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    char path[256];
    char *zeroes = calloc(1, 500 * KIB);
    assert_non_null(zeroes);
    sink->rests = true;
    place->spec.disk_bytes_max = 64 * MIB;
    place->spec.memory_bytes_max = 2 * MIB;
    place_start(place);
    place_append_all(place, "a", 0, 10000);
    place_settle(place);
    place_stop(place);
    place_file(place, true, path);
    TLY_AUTO_FD fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, zeroes, 500 * KIB, 100 * KIB), 500 * KIB);
    free(zeroes);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(ftruncate(fd, st.st_size - 1), 0);
    place_start(place);
    sink->rests = false;
    /* 163 records and a head make an entry; 5120 were in what is gone */
    place_await(place, 10000 - 5120 - 3 * 163);
    assert_in_range(place_metric(place, TLY_F_tallyman_spool_damaged_bytes_total), 500 * KIB,
                    548 * KIB);
    while (place_metric(place, TLY_F_tallyman_spool_lag_bytes) > 0) {
        place_await(place, sink->count); /* what comes last goes through, too */
    }
    for (size_t i = 1; i < sink->count; i++) {
        assert_true(sink->numbers[i] > sink->numbers[i - 1]);
    }
}

/* In a file that went bad on disk, what can't be believed is passed. */
static void damage_is_passed_and_counted(void **state)
{
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    char path[256];
    sink->rests = true;
    place->limits.bytes_max = 64 * KIB;
    place->limits.chunk_bytes_max = 8 * KIB;
    place_start(place);
    for (uint32_t number = 0; number < 5000; number += 100) {
        place_append_all(place, number % 200 ? "a" : "b", number, number + 100);
        place_settle(place);
    }
    place_stop(place);
    place_file(place, false, path);
    spoil(path, 30000);
    place_start(place);
    sink->rests = false;
    place_await(place, 4900);
    assert_int_equal(sink->count, 4900);
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_damaged_bytes_total), 10017);
    assert_int_equal(sink->numbers[sink->count - 1], 4999);
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
}

/* A link in the file's place can't be followed, whoever reads. */
static void hide(const char *path)
{
    char aside[300];
    (void)snprintf(aside, sizeof(aside), "%s.aside", path);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(symlink(aside, path), 0);
}

static void bring_back(const char *path)
{
    char aside[300];
    (void)snprintf(aside, sizeof(aside), "%s.aside", path);
    assert_int_equal(rename(aside, path), 0);
}

/* A file that can't be read for a while costs nothing; one that never can gives way to the next. */
static void reading_fails(void **state)
{
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    char path[256];
    sink->rests = true;
    place_start(place);
    place_append_all(place, "a", 0, 100);
    place_settle(place);
    place_stop(place);
    sink->rests = false;
    place_start(place);
    place_file(place, false, path);
    hide(path);
    place_append_all(place, "a", 100, 110);
    place_settle(place);
    assert_true(turns_few(place->loop));
    place_run(place, sink);
    assert_int_equal(sink->count, 0);
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_damaged_bytes_total), 0);
    bring_back(path);
    place_await(place, 110);
    sink_expect(sink, 0, 110);

    sink->rests = true;
    place_append_all(place, "a", 110, 120);
    place_settle(place);
    place_stop(place);
    place->spec.read_patience_ms = 1;
    sink->rests = false;
    sink->count = 0;
    place_start(place);
    place_file(place, true, path);
    hide(path);
    place_append_all(place, "a", 120, 130);
    place_await(place, 10);
    sink_expect(sink, 120, 130);
    assert_true(place_metric(place, TLY_F_tallyman_spool_damaged_bytes_total) >= 1000);
}

/* All files vanish, and the positions stay: nothing that is written then is taken for delivered. */
static void the_folder_is_emptied(void **state)
{
    struct place *place = *state;
    char command[TEMP_DIR_MAX + 32];
    place_start(place);
    place_append_all(place, "a", 0, 100);
    place_await(place, 100);
    place_stop(place);
    (void)snprintf(command, sizeof(command), "rm -r -- %s/spool", place->dir);
    assert_int_equal(system(command), 0);
    place->sinks[0].count = 0;
    place_start(place);
    place_append_all(place, "a", 100, 110);
    place_await(place, 10);
    sink_expect(&place->sinks[0], 100, 110);
}

/* What is no file of the spool has its number all the same: nothing is written over it. */
static void numbers_that_are_taken(void **state)
{
    struct place *place = *state;
    char path[256];
    place_start(place);
    place_append_all(place, "a", 0, 10);
    place_await(place, 10);
    place_stop(place);
    assert_int_equal(mkdirat(place->dir_fd, "spool/0000000000000003", 0700), 0);
    place_start(place);
    place_append_all(place, "a", 10, 20);
    place_await(place, 20);
    place_append_all(place, "a", 20, 30);
    place_await(place, 30);
    sink_expect(&place->sinks[0], 0, 30);
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_write_errors_total), 0);
    place_file(place, true, path);
    assert_string_equal(strrchr(path, '/'), "/0000000000000004");
}

static bool has_failed(void *arg)
{
    return place_metric(arg, TLY_F_tallyman_spool_write_errors_total) > 0;
}

/* While the disk takes nothing, memory is bounded; when it does again, all that was taken comes. */
static void a_disk_that_refuses(void **state)
{
    struct place *place = *state;
    struct rlimit old;
    struct rlimit small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 2 * KIB, .rlim_max = old.rlim_max};
    place->spec.disk_bytes_max = 2 * MIB;
    place_start(place);
    place_append_all(place, "a", 0, 10);
    place_await(place, 10);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    place_append_all(place, "a", 10, 100);
    uint64_t safe = place->safe;
    assert_true(turns_until(place->loop, has_failed, place));
    uint32_t number = 100;
    int rc;
    while ((rc = place_append(place, "a", number)) == 0) {
        number++;
        assert_true(number * place->record_len < 4 * place->spec.memory_bytes_max);
    }
    assert_int_equal(rc, TLY_E_LIMIT);
    assert_false(tly_delivery_has_room(place->delivery));
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_refused_records_total), 1);
    assert_int_equal(place->safe, safe);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    place->sinks[0].count = 10;
    place_await(place, number);
    sink_expect(&place->sinks[0], 0, number);
    assert_true(tly_delivery_has_room(place->delivery));
}

#define WORKERS_MAX 16 /* more than the pool has */

static void wait_work(void *arg)
{
    sem_t *go = arg;
    while (sem_wait(go) < 0) {
        assert_int_equal(errno, EINTR);
    }
}

static void wait_done(void *arg)
{
    (void)arg;
}

/* A batch is on its way to the disk when the agent stops, and fails then: another file has room. */
static void the_last_batch_is_tried_again(void **state)
{
    struct place *place = *state;
    struct rlimit old;
    struct rlimit small;
    sem_t go;
    assert_int_equal(sem_init(&go, 0, 0), 0);
    place->sinks[0].rests = true;
    place_start(place);
    place_append_all(place, "a", 0, 30);
    place_settle(place);
    for (int i = 0; i < WORKERS_MAX; i++) {
        assert_int_equal(tly_worker_submit(place->loop, wait_work, wait_done, &go), 0);
    }
    place_append_all(place, "a", 30, 50);
    assert_true(turns_few(place->loop));  /* it waits for a worker */
    place_append_all(place, "a", 50, 60); /* gathers */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 4 * KIB, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    tly_delivery_free(place->delivery);
    place->delivery = NULL;
    for (int i = 0; i < WORKERS_MAX; i++) {
        assert_int_equal(sem_post(&go), 0);
    }
    tly_loop_run(place->loop);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(sem_destroy(&go), 0);
    place->sinks[0].rests = false;
    place_start(place);
    place_await(place, 60);
    sink_expect(&place->sinks[0], 0, 60);
}

/* The folder's own name is safe before any file in it is told so. */
static void the_folder_is_safe_first(void **state)
{
    struct place *place = *state;
    syncs_begin(place->dir_fd);
    place_start(place);
    assert_int_equal(atomic_load(&syncs_of_folder), 1);
    place_stop(place);
    syncs_begin(place->dir_fd);
    place->sink_count = 0;
    place_start(place);
    assert_int_equal(atomic_load(&syncs_of_folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLACE(a_torn_end_is_cut_off),        WITH_PLACE(torn_anywhere),
        WITH_PLACE(damage_in_the_last_file),      WITH_PLACE(damage_of_any_length),
        WITH_PLACE(damage_is_passed_and_counted), WITH_PLACE(reading_fails),
        WITH_PLACE(the_folder_is_emptied),        WITH_PLACE(numbers_that_are_taken),
        WITH_PLACE(a_disk_that_refuses),          WITH_PLACE(the_last_batch_is_tried_again),
        WITH_PLACE(the_folder_is_safe_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
