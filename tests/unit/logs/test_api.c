/*
 * Logs that the engine tells, because their driver keeps no file that is read: a pretended engine
 * that forgets, breaks off, refuses and goes away, and the collector with its real positions.
 */
#include "tests/unit/logs/api_house.h"

#include "agent/base/clock.h"
#include "agent/loop/log.h"
#include "collectors/logs/source.h"
#include "collectors/logs/state.h"

#include <unistd.h>

/* ---- waiting ---- */

struct state_awaited {
    const struct house *house;
    unsigned number;
    size_t target;
    enum tly_log_feed_state state;
};

static bool is_in_state(void *arg)
{
    const struct state_awaited *awaited = arg;
    const struct tly_log_feed *feed = api_feed(awaited->house, awaited->number, awaited->target);
    return feed && feed->state == awaited->state;
}

static void await_state(struct house *house, unsigned number, size_t target,
                        enum tly_log_feed_state state)
{
    struct state_awaited awaited = {house, number, target, state};
    assert_true(turns_until(house->loop, is_in_state, &awaited));
}

static bool is_forgotten(void *arg)
{
    const struct house *house = arg;
    const struct tly_logs *logs = house->collector;
    return tly_map_count(logs->sources) == 0;
}

struct metric_awaited {
    const struct house *house;
    enum tly_family_id family;
    const char *label;
    int64_t least;
};

static bool is_so_much(void *arg)
{
    const struct metric_awaited *awaited = arg;
    return house_metric(awaited->house, awaited->family, awaited->label) >= awaited->least;
}

static void await_metric(struct house *house, enum tly_family_id family, const char *label,
                         int64_t least)
{
    struct metric_awaited awaited = {house, family, label, least};
    assert_true(turns_until(house->loop, is_so_much, &awaited));
}

static void expect_log(const struct sink *sink, size_t at, const char *source, const char *log)
{
    assert_true(at < sink->count);
    assert_string_equal(sink->taken[at].source, source);
    assert_string_equal(sink->taken[at].log, log);
}

/* ---- lines ---- */

static void lines_of_both_streams(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    log_engine_run(&api_engine, 1);
    api_line(1, 1, 5, "one");
    api_start(house);
    sink_await(house, sink, 1);
    api_line(1, 2, 7, "two");
    api_line(1, 1, 6, "");
    api_line(1, 1, 9, "a\tb\xff\r");
    sink_await(house, sink, 4);
    expect_log(sink, 0, "stdout", "one");
    expect_log(sink, 1, "stderr", "two");
    expect_log(sink, 2, "stdout", "");
    expect_log(sink, 3, "stdout", "a\tb\xff\r");
    assert_string_equal(sink->taken[0].id, api_id(1));
    assert_string_equal(sink->taken[0].name, "/box1");
    assert_string_equal(sink->taken[0].tag, "docker.000000000000");
    assert_int_equal(sink->taken[1].time_ns, START_NS + 7);
    assert_null(sink->taken[0].extra);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_api_streams, NULL), 1);
    assert_int_equal(house_metric(house, TLY_F_tallyman_docker_api_requests_total, "logs"), 1);
}

/* Of 16 KiB each but the last, with another stream between; cut anywhere on the wire. */
static void pieces_of_long_lines(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    for (int terminal = 0; terminal < 2; terminal++) {
        unsigned number = 1 + (unsigned)terminal;
        api_engine.containers[number].terminal = terminal;
        api_engine.piece = 7001;
        log_engine_run(&api_engine, number);
        api_piece(number, 1, 1, 'a', TLY_ENGINE_PIECE_BYTES, false);
        if (!terminal) { /* which has one stream */
            api_line(number, 2, 2, "between");
        }
        api_piece(number, 1, 1, 'a', TLY_ENGINE_PIECE_BYTES, false);
        api_piece(number, 1, 1, 'a', 10, true);
    }
    api_start(house);
    sink_await(house, sink, 3);
    for (size_t i = 0, whole = 0; i < 3; i++) {
        if (sink->taken[i].log[0] == 'a') {
            assert_int_equal(sink->taken[i].log_len, 2 * TLY_ENGINE_PIECE_BYTES + 10);
            assert_null(sink->taken[i].partial_id);
            whole++;
        }
        assert_true(i < 2 || whole == 2);
    }
}

static void an_unfinished_line_ends_with_its_container(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    log_engine_run(&api_engine, 1);
    api_piece(1, 1, 1, 'a', TLY_ENGINE_PIECE_BYTES, false);
    api_start(house);
    await_metric(house, TLY_F_tallyman_logs_join_bytes, NULL, TLY_ENGINE_PIECE_BYTES);
    assert_int_equal(sink->count, 0);
    log_engine_stop(&api_engine, 1);
    api_tell(house, 1);
    sink_await(house, sink, 1);
    assert_int_equal(sink->taken[0].log_len, TLY_ENGINE_PIECE_BYTES);
}

/* The unfinished last line of a run and the first of the next stand in one row. */
static void a_terminal_that_is_started_again(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    api_engine.containers[1].terminal = true;
    log_engine_run(&api_engine, 1);
    api_line(1, 1, 1, "first\r");
    log_engine_write(&api_engine, 1, 1, START_NS + 2, "$ ", 2);
    log_engine_stop(&api_engine, 1);
    api_start(house);
    sink_await(house, sink, 2);
    await_state(house, 1, 0, TLY_FEED_DRAINED);
    log_engine_run(&api_engine, 1);
    api_line(1, 1, 3, "second\r");
    api_line(1, 1, 4, "third\r");
    api_tell(house, 1);
    sink_await(house, sink, 4);
    house_settle(house);
    expect_log(sink, 0, "stdout", "first\r");
    expect_log(sink, 1, "stdout", "$ ");
    expect_log(sink, 2, "stdout", "second\r");
    expect_log(sink, 3, "stdout", "third\r");
    assert_int_equal(sink->count, 4);
    assert_int_equal(api_gaps(house), 0);
}

static void shapes_as_of_files(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    (void)snprintf(house->options, sizeof(house->options),
                   "from: beginning, record_id: true, shape: [{drop: [noise], redact: [secret], "
                   "traces: [java]}]");
    log_engine_run(&api_engine, 1);
    api_line(1, 1, 1, "noise");
    api_line(1, 1, 2, "a secret here");
    api_line(1, 1, 3, "java.lang.IllegalStateException: x");
    api_line(1, 1, 4, "\tat a.b.C(D.java:1)");
    api_line(1, 1, 5, "end");
    api_start(house);
    sink_await(house, sink, 3);
    expect_log(sink, 0, "stdout", "a [redacted] here");
    expect_log(sink, 1, "stdout", "java.lang.IllegalStateException: x\n\tat a.b.C(D.java:1)");
    expect_log(sink, 2, "stdout", "end");
    char *id = strdup(sink->taken[2].extra);
    assert_non_null(id);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_dropped_lines_total, "drop"), 1);

    /* A record that comes again has the id that it had. */
    house_kill(house);
    sink_clear(sink);
    assert_int_equal(unlinkat(house->state_fd, "positions", 0), 0);
    api_start(house);
    sink_await(house, sink, 3);
    assert_string_equal(sink->taken[2].extra, id);
    free(id);
}

/* ---- taking up ---- */

static void nothing_comes_twice(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    log_engine_run(&api_engine, 1);
    api_start(house);
    for (unsigned round = 0; round < 20; round++) {
        api_lines(1, round * 10, round * 10 + 10);
        sink_await(house, sink, (size_t)round * 10 + 10);
        house_settle(house);
        if (round % 3 == 0) {
            log_engine_cut(&api_engine);
        } else if (round % 3 == 1) {
            log_engine_down(&api_engine);
            assert_true(turns_few(house->loop));
            log_engine_up(&api_engine);
        } else {
            house_kill(house);
            pthread_mutex_lock(&api_engine.lock); /* old streams may still be at it */
            api_engine.since_once = !api_engine.since_once;
            pthread_mutex_unlock(&api_engine.lock);
            api_start(house);
        }
    }
    expect_lines(sink, api_id(1), 0, 200);
    assert_int_equal(api_gaps(house), 0);
}

/* A piece waits while the other stream goes on: of neither is anything lost, or told twice. */
static void killed_within_a_line(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    log_engine_run(&api_engine, 1);
    api_start(house);
    api_line(1, 1, 1, "before");
    api_piece(1, 2, 2, 'e', TLY_ENGINE_PIECE_BYTES, false);
    api_line(1, 1, 3, "ahead");
    sink_await(house, sink, 2);
    house_settle(house);
    house_kill(house);
    api_piece(1, 2, 2, 'e', 5, true);
    api_line(1, 1, 4, "after");
    api_start(house);
    sink_await(house, sink, 4);
    house_settle(house);
    assert_int_equal(sink->count, 4);
    expect_log(sink, 1, "stdout", "ahead");
    assert_int_equal(sink->taken[2].log_len, TLY_ENGINE_PIECE_BYTES + 5);
    expect_log(sink, 3, "stdout", "after");
}

static void from_now(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    char text[] = "new\n";
    house->options[0] = '\0';
    (void)snprintf(house->options, sizeof(house->options), "from: now");
    log_engine_run(&api_engine, 1);
    api_line(1, 1, 1, "old");
    api_start(house);
    log_engine_write(&api_engine, 1, 1, tly_clock_realtime_ns(), text, 4);
    sink_await(house, sink, 1);
    expect_log(sink, 0, "stdout", "new");
    house_kill(house);

    /* It was known before: what was written meanwhile is new. */
    log_engine_run(&api_engine, 2);
    api_line(2, 1, 1, "of a container that is new");
    log_engine_write(&api_engine, 1, 1, tly_clock_realtime_ns(), text, 4);
    api_start(house);
    sink_await(house, sink, 3);
    house_settle(house);
    assert_int_equal(sink->count, 3);
}

/* ---- destinations ---- */

static void a_slow_destination_delays_nobody(void **state)
{
    struct house *house = *state;
    house->sink_count = 2;
    house->limits.bytes_max = 64 << 10;
    house->limits.chunk_bytes_max = 16 << 10;
    house->sinks[1].mode = SINK_RESTS;
    log_engine_run(&api_engine, 1);
    api_start(house);
    api_lines(1, 0, 20000);
    sink_await(house, &house->sinks[0], 20000);
    /* The other one's connection is given up, and what it had with it. */
    await_state(house, 1, 1, TLY_FEED_PARKED);
    assert_int_equal(api_feed(house, 1, 1)->carry.cap, 0);
    assert_int_equal(house->sinks[1].count, 0);
    sink_set(&house->sinks[1], SINK_ACKS);
    sink_await(house, &house->sinks[1], 20000);
    house_settle(house);
    expect_lines(&house->sinks[0], api_id(1), 0, 20000);
    expect_lines(&house->sinks[1], api_id(1), 0, 20000);
    assert_int_equal(api_gaps(house), 0);
}

static void unacknowledged_lines_come_again(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    log_engine_run(&api_engine, 1);
    api_lines(1, 0, 10);
    api_start(house);
    sink_await(house, sink, 10);
    house_settle(house);
    sink_set(sink, SINK_HOLDS);
    api_lines(1, 10, 20);
    sink_await(house, sink, 20);
    house_kill(house);
    sink_cut(sink, 10);
    sink->mode = SINK_ACKS;
    api_start(house);
    sink_await(house, sink, 20);
    house_settle(house);
    expect_lines(sink, api_id(1), 0, 20);
}

/* More logs than connections: they take turns. */
static void connections_are_bounded(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    (void)snprintf(house->options, sizeof(house->options), "from: beginning, api_streams_max: 3");
    for (unsigned i = 1; i <= 20; i++) {
        log_engine_run(&api_engine, i);
        api_lines(i, 0, 10);
    }
    tly_log_set_level(TLY_LOG_ERROR);
    api_start(house);
    for (size_t round = 1; round <= 3; round++) {
        sink_await(house, sink, 200 * round);
        assert_int_equal(house_metric(house, TLY_F_tallyman_logs_api_streams, NULL), 3);
        assert_int_equal(house_metric(house, TLY_F_tallyman_logs_api_waiting, NULL), 17);
        for (unsigned i = 1; round < 3 && i <= 20; i++) {
            api_lines(i, (unsigned)round * 10, (unsigned)round * 10 + 10);
        }
    }
    for (unsigned i = 1; i <= 20; i++) {
        expect_lines(sink, api_id(i), 0, 30);
    }
    assert_int_equal(api_gaps(house), 0);
}

/* ---- the life of a container ---- */

static void stops_starts_and_goes(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct tly_position position;
    struct tly_text key = TLY_TEXT(
        "docker/0000000000000000000000000000000000000000000000000000000000000001");
    log_engine_run(&api_engine, 1);
    api_lines(1, 0, 3);
    api_start(house);
    sink_await(house, sink, 3);
    log_engine_stop(&api_engine, 1);
    api_tell(house, 1);
    await_state(house, 1, 0, TLY_FEED_DRAINED);
    size_t requests = log_engine_requests(&api_engine, 1);
    house_ticks(house, 30);
    assert_int_equal(log_engine_requests(&api_engine, 1), requests); /* nobody asks again */

    log_engine_run(&api_engine, 1);
    api_tell(house, 1);
    api_lines(1, 3, 6);
    sink_await(house, sink, 6);
    assert_true(tly_delivery_position(house->delivery, sink->destination, key, &position));

    log_engine_remove(&api_engine, 1);
    tly_inventory_forget(house->inventory, tly_text_of(api_id(1)), tly_clock_monotonic_ns());
    assert_true(turns_until(house->loop, is_forgotten, house));
    expect_lines(sink, api_id(1), 0, 6);
    assert_int_equal(api_gaps(house), 0);
    assert_false(tly_delivery_position(house->delivery, sink->destination, key, &position));
}

/* The inventory may lose sight of a container that is still there. */
static void only_the_engine_says_that_it_is_gone(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    log_engine_run(&api_engine, 1);
    api_lines(1, 0, 3);
    log_engine_stop(&api_engine, 1);
    api_start(house);
    sink_await(house, sink, 3);
    await_state(house, 1, 0, TLY_FEED_DRAINED);
    size_t requests = log_engine_requests(&api_engine, 1);
    tly_inventory_withdraw(house->inventory, TLY_SOURCE_API, tly_text_of(api_id(1)));
    house_ticks(house, 5);
    assert_true(log_engine_requests(&api_engine, 1) > requests);
    assert_non_null(api_feed(house, 1, 0));
    api_lines(1, 3, 6);
    log_engine_run(&api_engine, 1);
    api_tell(house, 1);
    sink_await(house, sink, 6);
    house_settle(house);
    expect_lines(sink, api_id(1), 0, 6);
}

static void gone_before_it_was_read(void **state)
{
    struct house *house = *state;
    api_start(house);
    api_tell(house, 1); /* the engine knows it not yet, or no more */
    house_ticks(house, 20);
    assert_true(log_engine_requests(&api_engine, 1) > 1);
    assert_int_equal(api_gaps(house), 0);
    tly_inventory_forget(house->inventory, tly_text_of(api_id(1)), tly_clock_monotonic_ns());
    await_metric(house, TLY_F_tallyman_logs_gaps_total, "removed", 1);
    assert_true(turns_until(house->loop, is_forgotten, house));
    assert_int_equal(api_gaps(house), 1);
}

/* ---- what is lost ---- */

static void lines_that_the_engine_forgot(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct tly_log_pace hasty = api_pace;
    hasty.quiet = 100;
    house->pace = &hasty;
    log_engine_run(&api_engine, 1);
    api_lines(1, 0, 10);
    api_start(house);
    sink_await(house, sink, 10);
    house_settle(house);
    house_kill(house);
    api_lines(1, 10, 40);
    log_engine_forget(&api_engine, 1, 15);
    api_start(house);
    sink_await(house, sink, 25);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, "rotated"), 1);
    assert_int_equal(api_gaps(house), 1);
    assert_memory_equal(sink->taken[10].log, "25: ", 4);

    /* Again while nothing new is there: that shows only in the silence. */
    house_settle(house);
    house_kill(house);
    log_engine_write(&api_engine, 1, 1, START_NS + 12, "odd\n", 4); /* the clock was set back */
    log_engine_forget(&api_engine, 1, 1);
    api_start(house);
    sink_await(house, sink, 26);
    expect_log(sink, 25, "stdout", "odd");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, "rotated"), 1);
}

static void an_error_of_the_engine(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    static const char word[] = "Error grabbing logs: unexpected EOF\n";
    log_engine_run(&api_engine, 1);
    api_line(1, 1, 1, "one");
    log_engine_write(&api_engine, 1, 3, 0, word, sizeof(word) - 1);
    api_start(house);
    await_metric(house, TLY_F_tallyman_logs_gaps_total, "unreadable", 1);
    api_line(1, 1, 2, "two");
    sink_await(house, sink, 2);
    expect_log(sink, 1, "stdout", "two");
}

/* ---- refusals ---- */

static void a_driver_that_cannot_be_read(void **state)
{
    struct house *house = *state;
    log_engine_run(&api_engine, 1);
    log_engine_behave(&api_engine, 1, LOG_REFUSES);
    api_start(house);
    await_metric(house, TLY_F_tallyman_logs_api_unreadable, NULL, 1);
    house_ticks(house, 30);
    assert_int_equal(log_engine_requests(&api_engine, 1), 1);
    assert_int_equal(api_gaps(house), 0);
    log_engine_remove(&api_engine, 1);
    tly_inventory_forget(house->inventory, tly_text_of(api_id(1)), tly_clock_monotonic_ns());
    assert_true(turns_until(house->loop, is_forgotten, house));
    assert_int_equal(api_gaps(house), 0);
}

struct requests_awaited {
    unsigned number;
    size_t least;
};

static bool is_asked_so_often(void *arg)
{
    const struct requests_awaited *awaited = arg;
    return log_engine_requests(&api_engine, awaited->number) >= awaited->least;
}

static void failures_are_tried_again(void **state)
{
    static const enum log_manner manners[] = {LOG_FAILS, LOG_DENIES, LOG_GARBLES};
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    tly_log_set_level(TLY_LOG_ERROR);
    log_engine_run(&api_engine, 1);
    api_start(house);
    for (unsigned i = 0; i < ROWS(manners); i++) {
        size_t requests = log_engine_requests(&api_engine, 1);
        log_engine_behave(&api_engine, 1, manners[i]);
        log_engine_cut(&api_engine);
        api_lines(1, i * 5, i * 5 + 5);
        struct requests_awaited awaited = {1, requests + 3};
        assert_true(turns_until(house->loop, is_asked_so_often, &awaited));
        log_engine_behave(&api_engine, 1, LOG_TELLS);
        sink_await(house, sink, (size_t)i * 5 + 5);
    }
    expect_lines(sink, api_id(1), 0, 15);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, "rotated"), 0);
}

static void an_older_engine(void **state)
{
    struct house *house = *state;
    api_engine.newest = 24;
    log_engine_run(&api_engine, 1);
    api_lines(1, 0, 3);
    api_start(house);
    sink_await(house, &house->sinks[0], 3);
    assert_int_equal(log_engine_requests(&api_engine, 1), 2);
}

static void whose_log_is_not_asked_for(void **state)
{
    static const struct {
        const char *driver, *options;
        bool asked;
    } rows[] = {
        {"journald", "from: beginning", true},   {"syslog", "from: beginning", true},
        {"journald", "api: false", false},       {"fluentd", "from: beginning", false},
        {"fluentd", "api_except: []", true},     {"gelf", "api_except: [gelf, syslog]", false},
        {"json-file", "from: beginning", false}, {"local", "from: beginning", false},
        {"none", "from: beginning", false},
    };
    struct house *house = *state;
    log_engine_run(&api_engine, 1);
    for (size_t i = 0; i < ROWS(rows); i++) {
        (void)snprintf(house->options, sizeof(house->options), "%s", rows[i].options);
        house_start(house);
        api_tell_as(house, 1, rows[i].driver);
        house_settle(house);
        assert_int_equal(api_feed(house, 1, 0) != NULL, rows[i].asked);
        house_kill(house);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, api_set_up, api_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(lines_of_both_streams),
        TEST(pieces_of_long_lines),
        TEST(an_unfinished_line_ends_with_its_container),
        TEST(a_terminal_that_is_started_again),
        TEST(shapes_as_of_files),
        TEST(nothing_comes_twice),
        TEST(killed_within_a_line),
        TEST(from_now),
        TEST(a_slow_destination_delays_nobody),
        TEST(unacknowledged_lines_come_again),
        TEST(connections_are_bounded),
        TEST(stops_starts_and_goes),
        TEST(only_the_engine_says_that_it_is_gone),
        TEST(gone_before_it_was_read),
        TEST(lines_that_the_engine_forgot),
        TEST(an_error_of_the_engine),
        TEST(a_driver_that_cannot_be_read),
        TEST(failures_are_tried_again),
        TEST(an_older_engine),
        TEST(whose_log_is_not_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
