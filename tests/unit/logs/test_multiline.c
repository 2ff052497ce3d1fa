/*
 * Messages of several lines: which lines the rules join, and that joining loses and repeats none,
 * whatever happens in the middle of a message.
 */
#include "collectors/logs/multiline.h"
#include "tests/unit/logs/house.h"

static void options(struct house *house, const char *text)
{
    int len = snprintf(house->options, sizeof(house->options), "from: beginning, %s", text);
    assert_in_range(len, 1, sizeof(house->options) - 1);
}

/* ---- the rules ---- */

/* In a row, `|` begins a message and `+` goes on with it. */
static void expect_joined(const char *language, const char *const *lines)
{
    char *names[] = {NULL};
    struct tly_strings traces = {names, 1};
    struct tly_log_multiline *rules = NULL;
    struct tly_error err;
    int state = TLY_MULTILINE_NONE;
    names[0] = strdup(language);
    assert_non_null(names[0]);
    assert_int_equal(tly_log_multiline_new(NULL, &traces, 1000, &rules, &err), 0);
    for (size_t i = 0; lines[i]; i++) {
        bool follows = tly_log_multiline_follows(rules, state, tly_text_of(lines[i] + 1), &state);
        if (follows != (lines[i][0] == '+')) {
            fail_msg("%s, line %zu: %s", language, i, lines[i]);
        }
    }
    tly_log_multiline_free(rules);
    free(names[0]);
}

static void traces_are_joined(void **state)
{
    (void)state;
    static const char *const java[] = {
        "|INFO starting",
        "|Exception in thread \"main\" java.lang.IllegalStateException: no",
        "+\tat com.example.A.run(A.java:10)",
        "+\tat java.base/java.lang.Thread.run(Thread.java:833)",
        "+Caused by: java.io.IOException: disk",
        "+\tat com.example.B.read(B.java:7)",
        "+\t... 2 more",
        "+\tSuppressed: java.lang.RuntimeException: x\r",
        "+\t\tat com.example.C.close(C.java:3)\r",
        "|INFO next",
        "|\tat a line that follows nothing",
        NULL};
    static const char *const python[] = {
        "|before",
        "|Traceback (most recent call last):",
        "+  File \"a.py\", line 1, in <module>",
        "+    f()",
        "+    ^^^",
        "+ValueError: bad",
        "+",
        "+During handling of the above exception, another exception occurred:",
        "+",
        "+Traceback (most recent call last):",
        "+  File \"a.py\", line 3, in <module>",
        "+KeyError: 'x'",
        "|after",
        "|Traceback (most recent call last):",
        "|Traceback (most recent call last):",
        "+  File \"b.py\", line 1, in <module>",
        "+SystemExit",
        "|Traceback (most recent call last):",
        NULL};
    static const char *const go[] = {
        "|listening",
        "|panic: runtime error: invalid memory address or nil pointer dereference",
        "+[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48f4a0]",
        "+",
        "+goroutine 1 [running]:",
        "+main.(*server).handle(0xc000012345, {0x1, 0x2})",
        "+\t/app/main.go:12 +0x1d",
        "+main.main()",
        "+\t/app/main.go:5 +0x25",
        "+created by net/http.(*Server).Serve in goroutine 1",
        "+\t/usr/lib/go/src/net/http/server.go:3086 +0x5cb",
        "+",
        "+goroutine 18 [IO wait]:",
        "+internal/poll.runtime_pollWait(0x7f, 0x72)",
        "+exit status 2",
        "|an ordinary line (with brackets)",
        NULL};
    static const char *const node[] = {"|/app/index.js:3",
                                       "+  throw new TypeError('no');",
                                       "+  ^",
                                       "+",
                                       "+TypeError: no",
                                       "+    at Object.<anonymous> (/app/index.js:3:9)",
                                       "+    at node:internal/main/run_main_module:23:47 {",
                                       "+  code: 'E_NO',",
                                       "+  errno: -2",
                                       "+}",
                                       "|listening on localhost:3000",
                                       "|Error: again",
                                       "+    at async run (file:///app/a.mjs:1:1)",
                                       "+    [cause]: Error: deep",
                                       "+        at async deep (file:///app/a.mjs:2:1)",
                                       "|done",
                                       NULL};
    expect_joined("java", java);
    expect_joined("python", python);
    expect_joined("go", go);
    expect_joined("node", node);
}

static void unknown_names_are_refused(void **state)
{
    (void)state;
    struct tly_error err;
    assert_int_equal(tly_log_traces_verify("go", &err), 0);
    assert_true(tly_log_traces_verify("cobol", &err) < 0);
    assert_non_null(strstr(err.text, "there are no rules for `cobol`"));
}

/* ---- the collector ---- */

static void expect_log(const struct sink *sink, size_t at, const char *source, const char *log)
{
    assert_in_range(at, 0, sink->count - 1);
    assert_string_equal(sink->taken[at].source, source);
    assert_string_equal(sink->taken[at].log, log);
}

static void lines_become_messages(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    options(house, "shape: [{multiline_start: '^M'}]");
    docker_create(house, &docker, 1);
    house_start(house);
    docker_write(&docker, "stdout", "M one");
    docker_write(&docker, "stderr", "M err");
    docker_write(&docker, "stdout", " two");
    docker_write(&docker, "stdout", "");
    docker_write(&docker, "stdout", "M three");
    docker_write(&docker, "stderr", "more");
    sink_await(house, sink, 1);
    expect_log(sink, 0, "stdout", "M one\n two\n");
    sink_await(house, sink, 3); /* by the time-out */
    house_settle(house);
    assert_int_equal(sink->count, 3);
    expect_log(sink, 1, "stdout", "M three");
    expect_log(sink, 2, "stderr", "M err\nmore");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_joined_lines_total, NULL), 3);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_join_bytes, NULL), 0);
    docker_remove(&docker);
}

static void ordinary_lines_wait_for_nothing(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    options(house, "shape: [{traces: [java, python, go, node], multiline_wait: 60s}]");
    docker_create(house, &docker, 1);
    house_start(house);
    docker_write(&docker, "stdout", "plain");
    sink_await(house, sink, 1);
    docker_write(&docker, "stderr", "panic: x");
    docker_write(&docker, "stdout", "also plain");
    sink_await(house, sink, 2);
    house_settle(house);
    assert_int_equal(sink->count, 2);
    expect_log(sink, 1, "stdout", "also plain");
    docker_remove(&docker); /* which ends the message */
    sink_await(house, sink, 3);
    expect_log(sink, 2, "stderr", "panic: x");
}

/* The agent dies while a message waits: it is joined again from its first line, and what the other
 * stream had is not sent twice. */
static void a_message_survives_a_kill(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    options(house, "shape: [{multiline_start: '^M', multiline_wait: 60s}]");
    docker_create(house, &docker, 1);
    house_start(house);
    docker_write(&docker, "stdout", "M zero");
    docker_write(&docker, "stderr", "M a");
    docker_write(&docker, "stdout", "M one");
    docker_write(&docker, "stderr", "M b");
    docker_write(&docker, "stdout", "two");
    docker_write(&docker, "stderr", "M c");
    sink_await(house, sink, 3);
    house_settle(house);
    assert_int_equal(sink->count, 3); /* zero, a, b */
    house_kill(house);
    docker_rotate(&docker, 3);
    docker_write(&docker, "stdout", "three");
    docker_write(&docker, "stdout", "M four");
    house_start(house);
    sink_await(house, sink, 4);
    house_settle(house);
    assert_int_equal(sink->count, 4);
    expect_log(sink, 3, "stdout", "M one\ntwo\nthree");
    docker_remove(&docker);
    sink_await(house, sink, 6);
    house_settle(house);
    assert_int_equal(sink->count, 6);
}

static void pieces_and_bounds(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    options(house, "line_max: 64KiB, shape: [{multiline_start: '^M', multiline_wait: 60s}]");
    docker_create(house, &docker, 1);
    house_start(house);
    docker_write(&docker, "stdout", "M");
    for (int i = 0; i < 5; i++) { /* lines of some 20 KiB, of which three have room beside M */
        docker_piece(&docker, "stdout", 'x', 16384, false);
        docker_piece(&docker, "stdout", 'y', 4000, true);
    }
    docker_write(&docker, "stdout", "M end");
    sink_await(house, sink, 2);
    assert_int_equal(sink->taken[0].log_len, 1 + 3 * (1 + 20384));
    assert_int_equal(sink->taken[1].log_len, 2 * 20384 + 1);
    assert_null(sink->taken[0].partial_id);
    docker_remove(&docker);
    sink_await(house, sink, 3);
    expect_log(sink, 2, "stdout", "M end");
}

/* A destination without room stops joining anywhere, and nothing comes twice or not at all. */
static void messages_wait_for_room(void **state)
{
    enum { MESSAGES = 500 };
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    char line[1024];
    options(house, "shape: [{multiline_start: '^M', multiline_wait: 60s}]");
    house->limits = (struct tly_destination_limits){
        .chunk_age_ms = 5, .chunk_bytes_max = 70 << 10, .bytes_max = 160 << 10};
    sink->mode = SINK_RESTS;
    docker_create(house, &docker, 1);
    memset(line, 'l', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    for (int i = 0; i < MESSAGES; i++) {
        char first[32];
        (void)snprintf(first, sizeof(first), "M %d", i);
        docker_write(&docker, "stdout", first);
        docker_write(&docker, "stdout", line);
    }
    house_start(house);
    house_settle(house);
    docker_remove(&docker); /* the file is held: its end ends the last message */
    house_settle(house);
    assert_in_range(house_metric(house, TLY_F_tallyman_logs_lines_total, NULL), 1,
                    2 * MESSAGES - 1);
    sink_set(sink, SINK_ACKS);
    sink_await(house, sink, MESSAGES);
    house_settle(house);
    assert_int_equal(sink->count, MESSAGES);
    for (int i = 0; i < MESSAGES; i++) {
        char first[32];
        int len = snprintf(first, sizeof(first), "M %d\n", i);
        assert_int_equal(strncmp(sink->taken[i].log, first, (size_t)len), 0);
        assert_int_equal(sink->taken[i].log_len, (size_t)len + sizeof(line) - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traces_are_joined), cmocka_unit_test(unknown_names_are_refused),
#define ROW(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)
        ROW(lines_become_messages),          ROW(ordinary_lines_wait_for_nothing),
        ROW(a_message_survives_a_kill),      ROW(pieces_and_bounds),
        ROW(messages_wait_for_room),
#undef ROW
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
