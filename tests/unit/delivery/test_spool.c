/*
 * The spool: what was appended reaches every destination once it is acknowledged, over restarts and
 * reloads, also where positions are lost, and at its bound, where the books say what went.
 */
#include "agent/delivery/delivery.h"

#include "agent/base/file.h"
#include "tests/unit/delivery/spool_place.h"
#include "tests/unit/delivery/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void what_is_not_acknowledged_comes_again(void **state)
{
    struct place *place = *state;
    struct sink *sink = &place->sinks[0];
    place_start(place);
    place_append_all(place, "a", 0, 100);
    place_await(place, 100);
    sink_expect(sink, 0, 100);
    assert_string_equal(sink->last_tag, "a");
    sink->holds = true;
    place_append_all(place, "b", 100, 200);
    place_await(place, 200);
    place_append_all(place, "b", 200, 210); /* not even written yet */
    place_stop(place);
    sink->holds = false;
    sink->count = 0;
    place_start(place);
    place_await(place, 110);
    sink_expect(sink, 100, 210);
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
    place_stop(place);
    sink->count = 0;
    place_start(place);
    place_append_all(place, "b", 210, 211);
    place_await(place, 1);
    sink_expect(sink, 210, 211);
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
    place_start(place);
    for (uint32_t i = 0; i < 40; i++) {
        place_append_all(place, i % 2 ? "b" : "a", i * 100, i * 100 + 100);
        place_settle(place);
    }
    place_await(place, 4000);
    sink_expect(&place->sinks[0], 0, 4000);
    assert_int_equal(place->sinks[1].count, 0);
    place->sinks[1].rests = false;
    place_await(place, 2000);
    assert_int_equal(place->sinks[1].count, 2000);
    for (uint32_t i = 0; i < 2000; i++) {
        assert_int_equal(place->sinks[1].numbers[i], i / 100 * 200 + i % 100);
    }
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_dropped_records_total), 0);
}

static void a_new_destination_gets_what_is_new(void **state)
{
    struct place *place = *state;
    place_start(place);
    place_append_all(place, "a", 0, 10);
    place_await(place, 10);
    place_stop(place);
    place->sink_count = 2;
    place_start(place);
    place_append_all(place, "a", 10, 20);
    place->sinks[0].count = 0;
    place_await(place, 10);
    sink_expect(&place->sinks[0], 10, 20);
    sink_expect(&place->sinks[1], 10, 20);
}

/* ... also in a file that is being written: its end is where the new one begins. */
static void a_new_destination_while_it_runs(void **state)
{
    struct place *place = *state;
    place_start(place);
    place_append_all(place, "a", 0, 10);
    place_await(place, 10);
    place_add_destination(place);
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
    place_append_all(place, "a", 10, 20);
    place->sinks[0].count = 0;
    place_await(place, 10);
    sink_expect(&place->sinks[0], 10, 20);
    sink_expect(&place->sinks[1], 10, 20);
}

/* What a renamed destination has not taken goes with its old name, and what comes then goes to the
 * new one. */
static void the_only_destination_is_renamed(void **state)
{
    struct place *place = *state;
    place_start(place);
    place_append_all(place, "a", 0, 10);
    place_await(place, 10);
    place->sinks[0].rests = true;
    place_add_destination(place);
    tly_delivery_leave(place->delivery, place->sinks[0].destination);
    tly_delivery_settle(place->delivery);
    place_append_all(place, "a", 10, 20);
    place_settle(place);
    place_await(place, 10);
    sink_expect(&place->sinks[1], 10, 20);
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
        place_start(place);
        place_append_all(place, "a", from, from + 1000);
        place_settle(place);
        place_stop(place);
        ways[way](place);
        sink->rests = false;
        sink->count = 0;
        place_start(place);
        /* what was delivered at the ways before may stand in the last file still, and come again */
        while (sink->count == 0 || sink->numbers[sink->count - 1] != from + 999) {
            place_await(place, sink->count + 1);
        }
        assert_int_equal(sink->numbers[sink->count - 1000], from);
        place_stop(place);
    }
}

/* ... and who comes later is new. */
static void lost_positions_are_of_the_start(void **state)
{
    struct place *place = *state;
    place->sinks[0].rests = true;
    place_start(place);
    place_append_all(place, "a", 0, 10);
    place_settle(place);
    place_stop(place);
    positions_removed(place);
    place_start(place);
    place_append_all(place, "a", 10, 20);
    place_settle(place);
    place_add_destination(place);
    place_append_all(place, "a", 20, 30);
    place_await(place, 10);
    sink_expect(&place->sinks[1], 20, 30);
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
    place_start(place);
    for (uint32_t number = 0; number < RECORDS; number += 100) {
        place_append_all(place, "a", number, number + 100);
        place_settle(place);
        assert_true(place_metric(place, TLY_F_tallyman_spool_bytes) <= (int64_t)MIB);
    }
    int64_t dropped = place_metric(place, TLY_F_tallyman_spool_dropped_records_total);
    assert_true(dropped > RECORDS / 2);
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_records_total), RECORDS);
    sink->rests = false;
    place_await(place, RECORDS - (size_t)dropped);
    assert_int_equal(sink->count, RECORDS - dropped);
    for (size_t i = 1; i < sink->count; i++) {
        assert_true(sink->numbers[i] > sink->numbers[i - 1]);
    }
    assert_int_equal(sink->numbers[sink->count - 1], RECORDS - 1);
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_lag_bytes), 0);
}

static void tickets_are_safe_in_order(void **state)
{
    struct place *place = *state;
    place->spec.sync = true;
    place_start(place);
    uint64_t first = tly_delivery_ticket(place->delivery);
    place_append_all(place, "a", 0, 10);
    assert_int_equal(tly_delivery_ticket(place->delivery), first);
    place_settle(place);
    assert_true(place->safe >= first);
    assert_true(tly_delivery_ticket(place->delivery) > place->safe);
    place_append_all(place, "a", 10, 20);
    place_await(place, 20);
}

static void records_too_long_are_refused(void **state)
{
    struct place *place = *state;
    place_start(place);
    place->record_len = TLY_RECORD_BYTES_MAX + 1;
    assert_int_equal(place_append(place, "a", 0), -EMSGSIZE);
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_refused_records_total), 1);
    place->record_len = 2 * MIB; /* longer than all the spool may be: it comes all the same */
    assert_int_equal(place_append(place, "a", 1), 0);
    place_await(place, 1);
    sink_expect(&place->sinks[0], 1, 2);
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
    place_start(place);
    for (int round = 0; round < 200; round++) {
        switch (rand_r(&seed) % 8) {
        case 0:
            sink->rests = !sink->rests;
            break;
        case 1:
            sink->holds = !sink->holds;
            break;
        case 2:
            place_stop(place);
            place_start(place);
            break;
        case 3:
            place_settle(place);
            break;
        default: {
            const char *tag = tags[rand_r(&seed) % 3];
            uint32_t count = (uint32_t)rand_r(&seed) % 300;
            place_append_all(place, tag, number, number + count);
            number += count;
            place->awaited = 0;
            assert_true(turns_until(place->loop, place_sinks_have, place));
        }
        }
    }
    place_stop(place); /* what is held comes again */
    sink->rests = false;
    sink->holds = false;
    place_start(place);
    place_append_all(place, "a", number, number + 1);
    char *seen = calloc(number + 1, 1);
    assert_non_null(seen);
    for (size_t missing = 1; missing > 0;) {
        place_await(place, sink->count + 1 > number ? sink->count : sink->count + 1);
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
    assert_int_equal(place_metric(place, TLY_F_tallyman_spool_dropped_records_total), 0);
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
        WITH_PLACE(what_is_not_acknowledged_comes_again),
        WITH_PLACE(destinations_are_independent),
        WITH_PLACE(a_new_destination_gets_what_is_new),
        WITH_PLACE(a_new_destination_while_it_runs),
        WITH_PLACE(the_only_destination_is_renamed),
        WITH_PLACE(lost_positions_lose_no_records),
        WITH_PLACE(lost_positions_are_of_the_start),
        WITH_PLACE(the_oldest_goes_at_the_bound),
        WITH_PLACE(tickets_are_safe_in_order),
        WITH_PLACE(records_too_long_are_refused),
        WITH_PLACE(random_histories),
        WITH_PLACE(no_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
