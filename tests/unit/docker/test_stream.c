/*
 * Events from bytes: cut wherever the network cut them, queued up to a bound, repeats told apart.
 * What engines of several versions send was recorded, see tests/fixtures/docker.
 */
#include "collectors/docker/stream.h"

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <string.h>

#define FIXTURE_MAX ((size_t)1 << 20)
/* Of a fixture that is cut at each byte: the time goes by the square. */
#define CUT_MAX 2500

/* 2026-08-23T00:28:30Z, when the tests' first events are. */
#define T0_S 1787444910LL

struct taken {
    struct tly_loop *loop;
    struct tly_docker_counts counts;
    struct tly_docker_stream *stream;
    struct tly_buf events; /* "type action id;" */
    size_t count;
    unsigned lost;
};

static void on_event(void *arg, const struct tly_docker_event *event)
{
    struct taken *taken = arg;
    taken->count++;
    assert_int_equal(tly_buf_printf(&taken->events, "%.*s %.*s %.*s;", (int)event->type.len,
                                    event->type.at, (int)event->action.len, event->action.at,
                                    (int)event->id.len, event->id.at),
                     0);
}

static void on_lost(void *arg)
{
    struct taken *taken = arg;
    taken->lost++;
}

static void make(struct taken *taken, size_t bytes_max)
{
    static const struct tly_docker_stream_events events = {.event = on_event, .lost = on_lost};
    assert_int_equal(tly_docker_stream_new(taken->loop, &taken->counts, bytes_max, &events, taken,
                                           &taken->stream),
                     0);
    tly_docker_stream_begin(taken->stream);
}

static int set_up(void **state)
{
    static struct taken taken;
    memset(&taken, 0, sizeof(taken));
    assert_int_equal(tly_loop_new(&taken.loop), 0);
    tly_buf_init(&taken.events, FIXTURE_MAX);
    make(&taken, TLY_DOCKER_STREAM_BYTES_MAX);
    *state = &taken;
    return 0;
}

static int tear_down(void **state)
{
    struct taken *taken = *state;
    tly_docker_stream_free(taken->stream);
    tly_buf_done(&taken->events);
    tly_loop_free(taken->loop);
    return 0;
}

/* Until nothing is left to do. */
static void settle(struct taken *taken)
{
    tly_loop_run(taken->loop);
    assert_int_equal(taken->counts.queued_bytes, 0);
}

static void feed(struct taken *taken, const char *text)
{
    assert_int_equal(tly_docker_stream_feed(taken->stream, tly_text_of(text)), 0);
}

/* An event of a container, so many nanoseconds after T0. */
static void feed_event(struct taken *taken, const char *action, const char *id, int64_t after_ns)
{
    char json[256];
    (void)snprintf(json, sizeof(json),
                   "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\"},"
                   "\"timeNano\":%lld}\n",
                   action, id, (long long)(T0_S * TLY_NS_PER_S + after_ns));
    feed(taken, json);
}

static void expect_events(struct taken *taken, const char *expected)
{
    settle(taken);
    expect_text(tly_buf_text(&taken->events), expected);
    tly_buf_clear(&taken->events);
}

/* ---- cutting ---- */

static struct tly_buf load(const char *name)
{
    struct tly_buf buf;
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/docker/%s", TLY_FIXTURES, name);
    tly_buf_init(&buf, FIXTURE_MAX);
    if (tly_file_read(AT_FDCWD, path, &buf) < 0) {
        fail_msg("%s can't be read", path);
    }
    return buf;
}

/* Whole, and in two pieces cut at each byte, and byte by byte: always the same events. */
static void test_split_at_every_byte(void **state)
{
    static const char *const names[] = {"events-1.24.json", "events-1.41.json", "events-1.52.json",
                                        "events-podman-4.3.json"};
    struct taken *taken = *state;
    for (size_t i = 0; i < ROWS(names); i++) {
        struct tly_buf fixture = load(names[i]);
        while (fixture.len > CUT_MAX || fixture.at[fixture.len - 1] != '\n') {
            fixture.len--; /* to the end of an event */
        }
        char *whole = NULL;
        for (size_t at = 0; at <= fixture.len + 1; at++) {
            tly_docker_stream_free(taken->stream); /* a new one knows of no repeats */
            make(taken, TLY_DOCKER_STREAM_BYTES_MAX);
            size_t step = at > fixture.len ? 1 : fixture.len;
            size_t cut = at > fixture.len ? 0 : at;
            assert_int_equal(
                tly_docker_stream_feed(taken->stream, (struct tly_text){fixture.at, cut}), 0);
            for (size_t from = cut; from < fixture.len; from += step) {
                size_t left = fixture.len - from;
                struct tly_text piece = {fixture.at + from, step < left ? step : left};
                assert_int_equal(tly_docker_stream_feed(taken->stream, piece), 0);
            }
            settle(taken);
            assert_true(taken->events.len > 0);
            whole = whole ? whole : tly_text_dup(tly_buf_text(&taken->events));
            assert_non_null(whole);
            expect_text(tly_buf_text(&taken->events), whole);
            tly_buf_clear(&taken->events);
        }
        free(whole);
        tly_buf_done(&fixture);
    }
    assert_int_equal(taken->counts.malformed, 0);
}

/* API 1.52 may put each in a line, Docker's others put nothing between; RFC 7464 a separator. */
static void test_separators(void **state)
{
    struct taken *taken = *state;
    feed(taken, "{\"Type\":\"a\",\"Action\":\"b\"}{\"Type\":\"a\",\"Action\":\"c\"}\r\n\n"
                "\x1e{\"Type\":\"a\",\"Action\":\"d\"}\n\x1e{\"Type\":\"a\",\"Action\":\"e\"}\n");
    expect_events(taken, "a b ;a c ;a d ;a e ;");
}

static void test_bad_events(void **state)
{
    struct taken *taken = *state;
    feed(taken, "{\"Type\":\"a\"}"                     /* without an action */
                "{\"Type\":7,\"Action\":\"b\"}"        /* not a word */
                "{nonsense}"                           /* cut as one, and not JSON */
                "garbage \n"                           /* none at all */
                "{\"Type\":\"a\",\"Action\":\"\xff\"}" /* no UTF-8 */
                "{\"Type\":\"a\",\"Action\":\"good\"}");
    expect_events(taken, "a good ;");
    assert_int_equal(taken->counts.malformed, 5);
    assert_int_equal(taken->counts.events, 1);
    assert_int_equal(taken->lost, 0);
}

/* One of more than 1 MiB is skipped, what never ends is no stream of events. */
static void test_oversized(void **state)
{
    static char block[1 << 20];
    struct taken *taken = *state;
    memset(block, 'x', sizeof(block));
    feed(taken, "{\"Type\":\"a\",\"Action\":\"b");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            tly_docker_stream_feed(taken->stream, (struct tly_text){block, sizeof(block)}), 0);
    }
    feed(taken, "\"}{\"Type\":\"a\",\"Action\":\"c\"}");
    expect_events(taken, "a c ;");
    assert_int_equal(taken->counts.oversized, 1);

    int rc = 0;
    size_t fed = 0;
    feed(taken, "{\"");
    while (rc == 0 && fed < 100) {
        rc = tly_docker_stream_feed(taken->stream, (struct tly_text){block, sizeof(block)});
        fed++;
    }
    assert_int_equal(rc, TLY_E_LIMIT);
    assert_true(fed < 100);
    /* The next connection starts anew. */
    tly_docker_stream_begin(taken->stream);
    feed(taken, "{\"Type\":\"a\",\"Action\":\"d\"}");
    expect_events(taken, "a d ;");
}

/* ---- the queue ---- */

static void test_many_at_once(void **state)
{
    struct taken *taken = *state;
    for (int i = 0; i < 2000; i++) {
        feed_event(taken, "start", "ab", i);
    }
    assert_int_equal(taken->count, 0); /* nothing is handled while bytes come in */
    assert_true(taken->counts.queued_bytes > 0);
    settle(taken);
    assert_int_equal(taken->count, 2000);
    assert_int_equal(taken->counts.events, 2000);
}

static void test_overflow(void **state)
{
    struct taken *taken = *state;
    tly_docker_stream_free(taken->stream);
    make(taken, 250); /* two events */
    for (int i = 0; i < 5; i++) {
        feed_event(taken, "start", "ab", i);
    }
    assert_int_equal(taken->lost, 3);
    assert_int_equal(taken->counts.overflowed, 3);
    settle(taken);
    assert_int_equal(taken->count, 2);
    /* There is room again. */
    feed_event(taken, "die", "ab", 5);
    settle(taken);
    assert_int_equal(taken->count, 3);
}

/* ---- repeats ---- */

static void expect_path(struct taken *taken, const char *expected)
{
    char path[TLY_DOCKER_EVENTS_PATH_MAX];
    tly_docker_stream_path(taken->stream, path);
    assert_string_equal(path, expected);
}

static void test_resumed_with_overlap(void **state)
{
    struct taken *taken = *state;
    expect_path(taken, "/events");
    assert_true(tly_docker_stream_resumed(taken->stream)); /* nothing to miss */
    feed_event(taken, "create", "ab", 7);
    feed_event(taken, "start", "ab", TLY_NS_PER_S);
    feed_event(taken, "start", "cd", TLY_NS_PER_S); /* at the same moment, another */
    expect_events(taken, "container create ab;container start ab;container start cd;");
    expect_path(taken, "/events?since=1787444909.000000000");

    tly_docker_stream_begin(taken->stream);
    assert_false(tly_docker_stream_resumed(taken->stream));
    feed_event(taken, "create", "ab", 7);
    feed_event(taken, "start", "ab", TLY_NS_PER_S);
    settle(taken);
    assert_false(tly_docker_stream_resumed(taken->stream)); /* not the last one yet */
    feed_event(taken, "start", "cd", TLY_NS_PER_S);
    feed_event(taken, "die", "ab", TLY_NS_PER_S + 1);
    expect_events(taken, "container die ab;");
    assert_true(tly_docker_stream_resumed(taken->stream));
    assert_int_equal(taken->counts.repeated, 3);
    assert_int_equal(taken->counts.events, 4);
    expect_path(taken, "/events?since=1787444909.000000001"); /* always nine digits */
}

/* The engine was restarted, or had so many events that it forgot the last one that came here. */
static void test_gap(void **state)
{
    struct taken *taken = *state;
    feed_event(taken, "create", "ab", 0);
    settle(taken);
    tly_docker_stream_begin(taken->stream);
    feed_event(taken, "start", "ab", 9);
    expect_events(taken, "container create ab;container start ab;");
    assert_false(tly_docker_stream_resumed(taken->stream));
    /* From there on it is another matter. */
    tly_docker_stream_begin(taken->stream);
    feed_event(taken, "start", "ab", 9);
    settle(taken);
    assert_true(tly_docker_stream_resumed(taken->stream));
}

/* The half of an event at the end of one connection is no part of the next one. */
static void test_half_event(void **state)
{
    struct taken *taken = *state;
    feed(taken, "{\"Type\":\"container\",\"Action\":\"start\",\"Ac");
    tly_docker_stream_begin(taken->stream);
    feed_event(taken, "die", "ab", 0);
    expect_events(taken, "container die ab;");
    assert_int_equal(taken->counts.malformed, 1);
}

/* As many as any engine remembers, all of them again. */
static void test_all_repeated(void **state)
{
    struct taken *taken = *state;
    for (int round = 0; round < 2; round++) {
        tly_docker_stream_begin(taken->stream);
        for (int i = 0; i < 1000; i++) {
            feed_event(taken, "exec_die", "ab", i);
        }
        settle(taken);
        assert_true(tly_docker_stream_resumed(taken->stream));
    }
    assert_int_equal(taken->count, 1000);
    assert_int_equal(taken->counts.repeated, 1000);
}

static void test_times_of_others(void **state)
{
    struct taken *taken = *state;
    feed_event(taken, "start", "ab", TLY_NS_PER_S);
    /* A swarm's manager has its own clock. */
    feed(taken, "{\"Type\":\"service\",\"Action\":\"update\",\"scope\":\"swarm\","
                "\"timeNano\":1999999999000000000}");
    /* Without a time nothing can be told, so all of them count. */
    feed(taken, "{\"Type\":\"a\",\"Action\":\"b\"}{\"Type\":\"a\",\"Action\":\"b\"}");
    /* Seconds alone, as from old engines. */
    expect_events(taken, "container start ab;service update ;a b ;a b ;");
    expect_path(taken, "/events?since=1787444909.000000000");
    feed(taken, "{\"Type\":\"a\",\"Action\":\"c\",\"time\":1787444920}");
    settle(taken);
    expect_path(taken, "/events?since=1787444918.000000000");
}

/* A detail that differs makes another event: two commands at one moment. */
static void test_details_differ(void **state)
{
    struct taken *taken = *state;
    feed_event(taken, "exec_create: one", "ab", 0);
    feed_event(taken, "exec_create: two", "ab", 0);
    expect_events(taken, "container exec_create ab;container exec_create ab;");
}

int main(void)
{
#define STREAM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STREAM(test_split_at_every_byte),  STREAM(test_separators),
        STREAM(test_bad_events),           STREAM(test_oversized),
        STREAM(test_many_at_once),         STREAM(test_overflow),
        STREAM(test_resumed_with_overlap), STREAM(test_gap),
        STREAM(test_half_event),           STREAM(test_all_repeated),
        STREAM(test_times_of_others),      STREAM(test_details_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
