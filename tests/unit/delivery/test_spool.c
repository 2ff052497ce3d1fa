/*
 * The spool: what was appended reaches every destination once it is acknowledged, over restarts,
 * torn and damaged files, a disk that refuses, and at its bound, where the books say what went.
 */
#include "agent/delivery/delivery.h"

#include "agent/base/file.h"
#include "agent/model/sample.h"
#include "tests/unit/delivery/syncs.h"
#include "tests/unit/delivery/turns.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)

#define NUMBER_LEN 8 /* of each record, then filling */
#define SINKS_MAX  2

struct place;

struct sink {
    struct tly_destination *destination;
    bool rests; /* takes nothing */
    bool holds; /* acknowledges nothing */
    uint32_t *numbers;
    size_t count, cap;
    char last_tag[32];
};

struct place {
    char dir[TEMP_DIR_MAX];
    int dir_fd;
    struct tly_loop *loop;
    struct tly_delivery *delivery; /* NULL: stopped */
    struct tly_spool_spec spec;
    struct tly_destination_limits limits;
    size_t record_len;
    size_t sink_count;
    struct sink sinks[SINKS_MAX];
    struct tly_selection selections[SINKS_MAX];
    uint64_t ticket; /* of what was appended last */
    uint64_t safe;   /* the highest that was */
    size_t awaited;
};

/* ---- sinks ---- */

static uint32_t number_of(const char *record)
{
    char digits[NUMBER_LEN + 1];
    memcpy(digits, record, NUMBER_LEN);
    digits[NUMBER_LEN] = '\0';
    return (uint32_t)strtoul(digits, NULL, 10);
}

static void sink_take(const struct place *place, struct sink *sink, const struct tly_chunk *chunk)
{
    assert_int_equal(chunk->payload.len, chunk->records * place->record_len);
    if (sink->count + chunk->records > sink->cap) {
        sink->cap = 2 * (sink->count + chunk->records);
        sink->numbers = realloc(sink->numbers, sink->cap * sizeof(*sink->numbers));
        assert_non_null(sink->numbers);
    }
    for (size_t at = 0; at < chunk->payload.len; at += place->record_len) {
        sink->numbers[sink->count++] = number_of(chunk->payload.at + at);
    }
    (void)snprintf(sink->last_tag, sizeof(sink->last_tag), "%s", chunk->tag);
}

static void sinks_run(const struct place *place, struct sink *sink)
{
    struct tly_chunk *chunk;
    while (!sink->rests && (chunk = tly_destination_take(sink->destination))) {
        sink_take(place, sink, chunk);
        if (!sink->holds) {
            tly_destination_ack(sink->destination, chunk);
        }
    }
}

static bool sinks_have(void *arg)
{
    struct place *place = arg;
    bool all = true;
    for (size_t i = 0; i < place->sink_count; i++) {
        sinks_run(place, &place->sinks[i]);
        all = all && (place->sinks[i].rests || place->sinks[i].count >= place->awaited);
    }
    return all;
}

static void await(struct place *place, size_t count)
{
    place->awaited = count;
    if (!turns_until(place->loop, sinks_have, place)) {
        fail_msg("%zu and %zu records came, %zu were awaited", place->sinks[0].count,
                 place->sinks[1].count, count);
    }
}

/* The sink has taken from <= n < until, each once and in order. */
static void expect_numbers(const struct sink *sink, uint32_t from, uint32_t until)
{
    assert_int_equal(sink->count, until - from);
    for (uint32_t i = 0; i < until - from; i++) {
        assert_int_equal(sink->numbers[i], from + i);
    }
}

/* ---- the place ---- */

static void note_safe(void *arg, uint64_t ticket)
{
    struct place *place = arg;
    assert_true(ticket > place->safe);
    place->safe = ticket;
}

static void sink_add(struct place *place, size_t index)
{
    static const char *const names[SINKS_MAX] = {"first", "second"};
    struct sink *sink = &place->sinks[index];
    assert_int_equal(
        tly_delivery_add(place->delivery, names[index], &place->limits, &sink->destination), 0);
    tly_destination_select(sink->destination, &place->selections[index]);
}

/* One more, while the others are at work. */
static void add_destination(struct place *place)
{
    assert_true(place->sink_count < SINKS_MAX);
    sink_add(place, place->sink_count++);
}

static void start(struct place *place)
{
    struct tly_error err;
    assert_int_equal(tly_delivery_new(place->loop, place->dir_fd, &place->delivery, &err), 0);
    assert_int_equal(tly_delivery_spool(place->delivery, &place->spec, &err), 0);
    tly_delivery_on_safe(place->delivery, note_safe, place);
    place->safe = 0;
    place->ticket = 0;
    for (size_t i = 0; i < place->sink_count && i < SINKS_MAX; i++) {
        sink_add(place, i);
    }
}

static void stop(struct place *place)
{
    tly_delivery_free(place->delivery);
    place->delivery = NULL;
    /* To the end of what a worker still writes: nobody else may begin before, as no process does.
     */
    tly_loop_run(place->loop);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    assert_non_null(place);
    temp_dir_make(place->dir);
    place->dir_fd = open(place->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(place->dir_fd >= 0);
    assert_int_equal(tly_loop_new(&place->loop), 0);
    place->spec = (struct tly_spool_spec){.disk_bytes_max = MIB, .memory_bytes_max = 64 * KIB};
    place->limits = (struct tly_destination_limits){.chunk_age_ms = 1};
    place->record_len = 100;
    place->sink_count = 1;
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    tly_delivery_free(place->delivery);
    tly_loop_free(place->loop);
    close(place->dir_fd);
    temp_dir_remove(place->dir);
    for (size_t i = 0; i < SINKS_MAX; i++) {
        free(place->sinks[i].numbers);
    }
    free(place);
    return 0;
}

static int append(struct place *place, const char *tag, uint32_t number)
{
    char *record;
    assert_true(asprintf(&record, "%0*u%*s", NUMBER_LEN, number,
                         (int)(place->record_len - NUMBER_LEN), "") > 0);
    int rc = tly_delivery_append(place->delivery, tly_text_of(tag),
                                 (struct tly_text){record, place->record_len});
    place->ticket = tly_delivery_ticket(place->delivery);
    free(record);
    return rc;
}

static void append_all(struct place *place, const char *tag, uint32_t from, uint32_t until)
{
    for (uint32_t number = from; number < until; number++) {
        assert_int_equal(append(place, tag, number), 0);
    }
}

static bool all_safe(void *arg)
{
    const struct place *place = arg;
    return place->safe >= place->ticket;
}

/* All that was appended so far is on disk. */
static void settle(struct place *place)
{
    assert_true(turns_until(place->loop, all_safe, place));
}

/* The sum of a family over its labels. */
static int64_t metric(const struct place *place, enum tly_family_id family)
{
    struct tly_samples samples;
    int64_t sum = 0;
    tly_samples_init(&samples);
    tly_delivery_meter(place->delivery, &samples);
    struct tly_sample_set *set = tly_samples_take(&samples);
    assert_non_null(set);
    const struct tly_sample *all = tly_sample_set_at(set);
    for (size_t i = 0; i < tly_sample_set_count(set); i++) {
        sum += all[i].family == (uint16_t)family ? all[i].raw : 0;
    }
    tly_sample_set_unref(set);
    tly_samples_done(&samples);
    return sum;
}

/* The file with the lowest or the highest number. */
static void file_at(const struct place *place, bool last, char to[256])
{
    char path[128];
    char name[64] = "";
    (void)snprintf(path, sizeof(path), "%s/spool", place->dir);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        int order = strcmp(entry->d_name, name);
        if (entry->d_name[0] != '.' && (!*name || (last ? order > 0 : order < 0))) {
            (void)snprintf(name, sizeof(name), "%.60s", entry->d_name);
        }
    }
    closedir(dir);
    assert_true(*name);
    (void)snprintf(to, 256, "%s/%s", path, name);
}

/* ---- tests ---- */

static void what_is_not_acknowledged_comes_again(void **state)
{
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    start(place);
    append_all(place, "a", 0, 100);
    await(place, 100);
    expect_numbers(sink, 0, 100);
    assert_string_equal(sink->last_tag, "a");
    sink->holds = true;
    append_all(place, "b", 100, 200);
    await(place, 200);
    append_all(place, "b", 200, 210); /* not even written yet */
    stop(place);
    sink->holds = false;
    sink->count = 0;
    start(place);
    await(place, 110);
    expect_numbers(sink, 100, 210);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
    stop(place);
    sink->count = 0;
    start(place);
    append_all(place, "b", 210, 211);
    await(place, 1);
    expect_numbers(sink, 210, 211);
}

/* One destination waits, the other does not; each gets what it selects. */
static void destinations_are_independent(void **state)
{
    static char name_a[] = "a";
    static char *const only_a[] = {name_a};
    struct place *place = *state;
    place->sink_count = 2;
    place->selections[1].match.tags = (struct tly_patterns){only_a, 1};
    place->sinks[1].rests = true;
    place->limits.bytes_max = 64 * KIB;
    place->limits.chunk_bytes_max = 8 * KIB;
    start(place);
    for (uint32_t i = 0; i < 40; i++) {
        append_all(place, i % 2 ? "b" : "a", i * 100, i * 100 + 100);
        settle(place);
    }
    await(place, 4000);
    expect_numbers(&place->sinks[0], 0, 4000);
    assert_int_equal(place->sinks[1].count, 0);
    place->sinks[1].rests = false;
    await(place, 2000);
    assert_int_equal(place->sinks[1].count, 2000);
    for (uint32_t i = 0; i < 2000; i++) {
        assert_int_equal(place->sinks[1].numbers[i], i / 100 * 200 + i % 100);
    }
    assert_int_equal(metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_dropped_records_total), 0);
}

static void a_new_destination_gets_what_is_new(void **state)
{
    struct place *place = *state;
    start(place);
    append_all(place, "a", 0, 10);
    await(place, 10);
    stop(place);
    place->sink_count = 2;
    start(place);
    append_all(place, "a", 10, 20);
    place->sinks[0].count = 0;
    await(place, 10);
    expect_numbers(&place->sinks[0], 10, 20);
    expect_numbers(&place->sinks[1], 10, 20);
}

/* ... also in a file that is being written: its end is where the new one begins. */
static void a_new_destination_while_it_runs(void **state)
{
    struct place *place = *state;
    start(place);
    append_all(place, "a", 0, 10);
    await(place, 10);
    add_destination(place);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
    append_all(place, "a", 10, 20);
    place->sinks[0].count = 0;
    await(place, 10);
    expect_numbers(&place->sinks[0], 10, 20);
    expect_numbers(&place->sinks[1], 10, 20);
}

/* What a renamed destination has not taken goes with its old name, and what comes then goes to the
 * new one. */
static void the_only_destination_is_renamed(void **state)
{
    struct place *place = *state;
    start(place);
    append_all(place, "a", 0, 10);
    await(place, 10);
    place->sinks[0].rests = true;
    add_destination(place);
    tly_delivery_leave(place->delivery, place->sinks[0].destination);
    tly_delivery_settle(place->delivery);
    append_all(place, "a", 10, 20);
    settle(place);
    await(place, 10);
    expect_numbers(&place->sinks[1], 10, 20);
}

static void positions_removed(struct place *place)
{
    assert_int_equal(unlinkat(place->dir_fd, "positions", 0), 0);
}

/* A folder can't be read as a file, whoever reads. */
static void positions_unreadable(struct place *place)
{
    positions_removed(place);
    assert_int_equal(mkdirat(place->dir_fd, "positions", 0700), 0);
}

/* Its last sectors were never written, and it had only those. */
static void positions_zeroed(struct place *place)
{
    TLY_AUTO_FD fd = openat(place->dir_fd, "positions", O_WRONLY | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(ftruncate(fd, size), 0);
}

/* Where positions are lost, what waits was promised to somebody all the same: it is sent. */
static void lost_positions_lose_no_records(void **state)
{
    static void (*const ways[])(struct place *) = {positions_removed, positions_zeroed,
                                                   positions_unreadable};
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        uint32_t from = 1000 * (uint32_t)way;
        sink->rests = true;
        start(place);
        append_all(place, "a", from, from + 1000);
        settle(place);
        stop(place);
        ways[way](place);
        sink->rests = false;
        sink->count = 0;
        start(place);
        /* what was delivered at the ways before may stand in the last file still, and come again */
        while (sink->count == 0 || sink->numbers[sink->count - 1] != from + 999) {
            await(place, sink->count + 1);
        }
        assert_int_equal(sink->numbers[sink->count - 1000], from);
        stop(place);
    }
}

/* ... and who comes later is new. */
static void lost_positions_are_of_the_start(void **state)
{
    struct place *place = *state;
    place->sinks[0].rests = true;
    start(place);
    append_all(place, "a", 0, 10);
    settle(place);
    stop(place);
    positions_removed(place);
    start(place);
    append_all(place, "a", 10, 20);
    settle(place);
    add_destination(place);
    append_all(place, "a", 20, 30);
    await(place, 10);
    expect_numbers(&place->sinks[1], 20, 30);
}

/* At the bound the oldest goes, and the books say how many that were. */
static void the_oldest_goes_at_the_bound(void **state)
{
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    enum { RECORDS = 30000 };
    sink->rests = true;
    place->limits.bytes_max = 64 * KIB;
    place->limits.chunk_bytes_max = 8 * KIB;
    start(place);
    for (uint32_t number = 0; number < RECORDS; number += 100) {
        append_all(place, "a", number, number + 100);
        settle(place);
        assert_true(metric(place, TLY_F_tallyman_spool_bytes) <= (int64_t)MIB);
    }
    int64_t dropped = metric(place, TLY_F_tallyman_spool_dropped_records_total);
    assert_true(dropped > RECORDS / 2);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_records_total), RECORDS);
    sink->rests = false;
    await(place, RECORDS - (size_t)dropped);
    assert_int_equal(sink->count, RECORDS - dropped);
    for (size_t i = 1; i < sink->count; i++) {
        assert_true(sink->numbers[i] > sink->numbers[i - 1]);
    }
    assert_int_equal(sink->numbers[sink->count - 1], RECORDS - 1);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
}

/* The host went down in the middle of a write. */
static void a_torn_end_is_cut_off(void **state)
{
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    char path[256];
    struct stat st;
    sink->rests = true;
    start(place);
    append_all(place, "a", 0, 10);
    append_all(place, "b", 10, 20);
    settle(place);
    stop(place);
    file_at(place, true, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 1), 0);
    start(place);
    append_all(place, "c", 20, 30);
    sink->rests = false;
    await(place, 20);
    assert_int_equal(sink->count, 20);
    assert_int_equal(sink->numbers[9], 9);
    assert_int_equal(sink->numbers[10], 20);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_damaged_bytes_total), 0);
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
        start(place);
        append_all(place, "a", 0, 1);
        append_all(place, "b", 1, 2);
        append_all(place, "c", 2, 3);
        settle(place);
        stop(place);
        file_at(place, true, path);
        assert_int_equal(truncate(path, size), 0);
        start(place);
        append_all(place, "d", 3, 4);
        sink->rests = false;
        /* 8 bytes of file head; each entry has 16 of its own, 1 of tag and 20 of record */
        size_t whole = size < 45 ? 0 : size < 82 ? 1 : size < 119 ? 2 : 3;
        await(place, whole + 1);
        assert_int_equal(sink->count, whole + 1);
        assert_int_equal(sink->numbers[whole], 3);
        stop(place);
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
        start(place);
        for (uint32_t number = 0; number < 3; number++) {
            append_all(place, tags[number], number, number + 1);
        }
        settle(place);
        stop(place);
        file_at(place, true, path);
        spoil(path, byte);
        start(place);
        append_all(place, "d", 3, 4);
        sink->rests = false;
        bool harmless = byte < FILE_HEAD_LEN; /* of the file, not of an entry */
        await(place, harmless ? 4 : 3);
        assert_int_equal(sink->count, harmless ? 4 : 3);
        assert_int_equal(sink->numbers[0], harmless ? 0 : 1);
        assert_int_equal(metric(place, TLY_F_tallyman_spool_damaged_bytes_total),
                         harmless ? 0 : ENTRY_LEN);
        assert_int_equal(metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
        stop(place);
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
    start(place);
    append_all(place, "a", 0, 10000);
    settle(place);
    stop(place);
    file_at(place, true, path);
    TLY_AUTO_FD fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, zeroes, 500 * KIB, 100 * KIB), 500 * KIB);
    free(zeroes);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(ftruncate(fd, st.st_size - 1), 0);
    start(place);
    sink->rests = false;
    /* 163 records and a head make an entry; 5120 were in what is gone */
    await(place, 10000 - 5120 - 3 * 163);
    assert_in_range(metric(place, TLY_F_tallyman_spool_damaged_bytes_total), 500 * KIB, 548 * KIB);
    while (metric(place, TLY_F_tallyman_spool_lag_bytes) > 0) {
        await(place, sink->count); /* what comes last goes through, too */
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
    start(place);
    for (uint32_t number = 0; number < 5000; number += 100) {
        append_all(place, number % 200 ? "a" : "b", number, number + 100);
        settle(place);
    }
    stop(place);
    file_at(place, false, path);
    spoil(path, 30000);
    start(place);
    sink->rests = false;
    await(place, 4900);
    assert_int_equal(sink->count, 4900);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_damaged_bytes_total), 10017);
    assert_int_equal(sink->numbers[sink->count - 1], 4999);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
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
    start(place);
    append_all(place, "a", 0, 100);
    settle(place);
    stop(place);
    sink->rests = false;
    start(place);
    file_at(place, false, path);
    hide(path);
    append_all(place, "a", 100, 110);
    settle(place);
    assert_true(turns_few(place->loop));
    sinks_run(place, sink);
    assert_int_equal(sink->count, 0);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_damaged_bytes_total), 0);
    bring_back(path);
    await(place, 110);
    expect_numbers(sink, 0, 110);

    sink->rests = true;
    append_all(place, "a", 110, 120);
    settle(place);
    stop(place);
    place->spec.read_patience_ms = 1;
    sink->rests = false;
    sink->count = 0;
    start(place);
    file_at(place, true, path);
    hide(path);
    append_all(place, "a", 120, 130);
    await(place, 10);
    expect_numbers(sink, 120, 130);
    assert_true(metric(place, TLY_F_tallyman_spool_damaged_bytes_total) >= 1000);
}

/* All files vanish, and the positions stay: nothing that is written then is taken for delivered. */
static void the_folder_is_emptied(void **state)
{
    struct place *place = *state;
    char command[TEMP_DIR_MAX + 32];
    start(place);
    append_all(place, "a", 0, 100);
    await(place, 100);
    stop(place);
    (void)snprintf(command, sizeof(command), "rm -r -- %s/spool", place->dir);
    assert_int_equal(system(command), 0);
    place->sinks[0].count = 0;
    start(place);
    append_all(place, "a", 100, 110);
    await(place, 10);
    expect_numbers(&place->sinks[0], 100, 110);
}

/* What is no file of the spool has its number all the same: nothing is written over it. */
static void numbers_that_are_taken(void **state)
{
    struct place *place = *state;
    char path[256];
    start(place);
    append_all(place, "a", 0, 10);
    await(place, 10);
    stop(place);
    assert_int_equal(mkdirat(place->dir_fd, "spool/0000000000000003", 0700), 0);
    start(place);
    append_all(place, "a", 10, 20);
    await(place, 20);
    append_all(place, "a", 20, 30);
    await(place, 30);
    expect_numbers(&place->sinks[0], 0, 30);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_write_errors_total), 0);
    file_at(place, true, path);
    assert_string_equal(strrchr(path, '/'), "/0000000000000004");
}

static bool has_failed(void *arg)
{
    return metric(arg, TLY_F_tallyman_spool_write_errors_total) > 0;
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
    start(place);
    append_all(place, "a", 0, 10);
    await(place, 10);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    append_all(place, "a", 10, 100);
    uint64_t safe = place->safe;
    assert_true(turns_until(place->loop, has_failed, place));
    uint32_t number = 100;
    int rc;
    while ((rc = append(place, "a", number)) == 0) {
        number++;
        assert_true(number * place->record_len < 4 * place->spec.memory_bytes_max);
    }
    assert_int_equal(rc, TLY_E_LIMIT);
    assert_false(tly_delivery_has_room(place->delivery));
    assert_int_equal(metric(place, TLY_F_tallyman_spool_refused_records_total), 1);
    assert_int_equal(place->safe, safe);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    place->sinks[0].count = 10;
    await(place, number);
    expect_numbers(&place->sinks[0], 0, number);
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
    start(place);
    append_all(place, "a", 0, 30);
    settle(place);
    for (int i = 0; i < WORKERS_MAX; i++) {
        assert_int_equal(tly_worker_submit(place->loop, wait_work, wait_done, &go), 0);
    }
    append_all(place, "a", 30, 50);
    assert_true(turns_few(place->loop)); /* it waits for a worker */
    append_all(place, "a", 50, 60);      /* gathers */
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
    start(place);
    await(place, 60);
    expect_numbers(&place->sinks[0], 0, 60);
}

static void tickets_are_safe_in_order(void **state)
{
    struct place *place = *state;
    place->spec.sync = true;
    start(place);
    uint64_t first = tly_delivery_ticket(place->delivery);
    append_all(place, "a", 0, 10);
    assert_int_equal(tly_delivery_ticket(place->delivery), first);
    settle(place);
    assert_true(place->safe >= first);
    assert_true(tly_delivery_ticket(place->delivery) > place->safe);
    append_all(place, "a", 10, 20);
    await(place, 20);
}

/* The folder's own name is safe before any file in it is told so. */
static void the_folder_is_safe_first(void **state)
{
    struct place *place = *state;
    syncs_begin(place->dir_fd);
    start(place);
    assert_int_equal(atomic_load(&syncs_of_folder), 1);
    stop(place);
    syncs_begin(place->dir_fd);
    place->sink_count = 0;
    start(place);
    assert_int_equal(atomic_load(&syncs_of_folder), 0);
}

static void records_too_long_are_refused(void **state)
{
    struct place *place = *state;
    start(place);
    place->record_len = TLY_RECORD_BYTES_MAX + 1;
    assert_int_equal(append(place, "a", 0), -EMSGSIZE);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_refused_records_total), 1);
    place->record_len = 2 * MIB; /* longer than all the spool may be: it comes all the same */
    assert_int_equal(append(place, "a", 1), 0);
    await(place, 1);
    expect_numbers(&place->sinks[0], 1, 2);
}

/* Random appends, pauses and restarts: each record comes, none twice but after a restart. */
static void random_histories(void **state)
{
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    unsigned seed = (unsigned)getpid();
    print_message("seed %u\n", seed);
    place->spec.disk_bytes_max = 64 * MIB;
    place->spec.memory_bytes_max = 8 * MIB;
    uint32_t number = 0;
    static const char *const tags[] = {"a", "b", "c"};
    start(place);
    for (int round = 0; round < 200; round++) {
        switch (rand_r(&seed) % 8) {
        case 0:
            sink->rests = !sink->rests;
            break;
        case 1:
            sink->holds = !sink->holds;
            break;
        case 2:
            stop(place);
            start(place);
            break;
        case 3:
            settle(place);
            break;
        default: {
            const char *tag = tags[rand_r(&seed) % 3];
            uint32_t count = (uint32_t)rand_r(&seed) % 300;
            append_all(place, tag, number, number + count);
            number += count;
            place->awaited = 0;
            assert_true(turns_until(place->loop, sinks_have, place));
        }
        }
    }
    stop(place); /* what is held comes again */
    sink->rests = false;
    sink->holds = false;
    start(place);
    append_all(place, "a", number, number + 1);
    char *seen = calloc(number + 1, 1);
    assert_non_null(seen);
    for (size_t missing = 1; missing > 0;) {
        await(place, sink->count + 1 > number ? sink->count : sink->count + 1);
        missing = 0;
        for (size_t i = 0; i < sink->count; i++) {
            seen[sink->numbers[i]] = 1;
        }
        for (uint32_t i = 0; i <= number; i++) {
            missing += !seen[i];
        }
        assert_true(turns_few(place->loop));
    }
    free(seen);
    assert_int_equal(metric(place, TLY_F_tallyman_spool_dropped_records_total), 0);
}

static void no_directory(void **state)
{
    struct place *place = *state;
    struct tly_error err;
    assert_int_equal(tly_delivery_new(place->loop, -1, &place->delivery, &err), 0);
    assert_int_equal(tly_delivery_spool(place->delivery, &place->spec, &err), -ENOTSUP);
    assert_int_equal(tly_delivery_append(place->delivery, TLY_TEXT("a"), TLY_TEXT("x")), -ENOTSUP);
    assert_false(tly_delivery_has_room(place->delivery));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        ROW(what_is_not_acknowledged_comes_again),
        ROW(destinations_are_independent),
        ROW(a_new_destination_gets_what_is_new),
        ROW(a_new_destination_while_it_runs),
        ROW(the_only_destination_is_renamed),
        ROW(lost_positions_lose_no_records),
        ROW(lost_positions_are_of_the_start),
        ROW(the_oldest_goes_at_the_bound),
        ROW(a_torn_end_is_cut_off),
        ROW(torn_anywhere),
        ROW(damage_in_the_last_file),
        ROW(damage_of_any_length),
        ROW(damage_is_passed_and_counted),
        ROW(reading_fails),
        ROW(the_folder_is_emptied),
        ROW(numbers_that_are_taken),
        ROW(a_disk_that_refuses),
        ROW(the_last_batch_is_tried_again),
        ROW(tickets_are_safe_in_order),
        ROW(the_folder_is_safe_first),
        ROW(records_too_long_are_refused),
        ROW(random_histories),
        ROW(no_directory),
#undef ROW
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
