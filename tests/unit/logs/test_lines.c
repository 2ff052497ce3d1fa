/*
 * What becomes of the lines: pieces joined, long ones split, torn and foreign ones passed on as
 * they are, and every field as Docker's own fluentd driver would send it.
 */
#include "tests/unit/logs/house.h"

#include <unistd.h>

#define PIECE 16384 /* bytes, as Docker cuts them */
#define KIB   ((size_t)1024)

static void raw(struct docker *docker, const char *text)
{
    docker_raw(docker, text, strlen(text));
}

static void rows_of_lines(void **state)
{
    static const struct {
        const char *line;
        const char *source, *log, *extra;
        int64_t time_ns;
    } rows[] = {
        {"{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20Z\"}", "stdout",
         "a", NULL, 1700000000000000000LL},
        {"{\"log\":\"b\\n\",\"stream\":\"stderr\",\"time\":\"2023-11-14T22:13:20.5Z\"}", "stderr",
         "b", NULL, 1700000000500000000LL},
        {"{\"log\":\"\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:21Z\"}", "stdout", "",
         NULL, 1700000001000000000LL},
        {"{\"log\":\"tty\\r\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:21Z\"}",
         "stdout", "tty\r", NULL, 1700000001000000000LL},
        {"{\"log\":\"\\u001b[1m\\\"q\\\\ \\u003c\\u2028 \xc3\xa9 \xff\\n\",\"stream\":\"stdout\","
         "\"time\":\"2023-11-14T22:13:21Z\"}",
         "stdout", "\x1b[1m\"q\\ <\xe2\x80\xa8 \xc3\xa9 \xff", NULL, 1700000001000000000LL},
        {"{\"log\":\"c\\n\",\"stream\":\"stdout\",\"attrs\":{\"env\":\"prod\",\"tag\":\"t\"},"
         "\"time\":\"2023-11-14T22:13:21Z\"}",
         "stdout", "c", "env=prod;tag=t;", 1700000001000000000LL},
        {"{\"log\":\"d\\n\",\"stream\":\"stderr\",\"attrs\":{\"log\":\"x\",\"source\":\"y\","
         "\"a\":\"\\\"\"},\"time\":\"2023-11-14T22:13:21Z\"}",
         "stderr", "d", "a=\";", 1700000001000000000LL},
        {"{\"log\":\"e\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:22Z\"}", "stdout",
         "e", NULL, 1700000002000000000LL},
        /* a third stream, members in another order, a member that nobody knows */
        {"{\"log\":\"f\\n\",\"stream\":\"console\",\"time\":\"2023-11-14T22:13:22Z\"}", "console",
         "f", NULL, 1700000002000000000LL},
        {"{ \"time\":\"2023-11-14T22:13:22Z\", \"stream\":\"stderr\", \"x\":[1], \"log\":\"g\\n\" "
         "}",
         "stderr", "g", NULL, 1700000002000000000LL},
        /* no time of its own: the last one's */
        {"{\"log\":\"h\\n\",\"stream\":\"stdout\"}", "stdout", "h", NULL, 1700000002000000000LL},
        {"plain text", "unknown", "plain text", "malformed=true;", 1700000002000000000LL},
        {"{\"log\":\"cut", "unknown", "{\"log\":\"cut", "malformed=true;", 1700000002000000000LL},
    };
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    house_start(house);
    for (size_t i = 0; i < ROWS(rows); i++) {
        raw(&docker, rows[i].line);
        raw(&docker, "\n");
    }
    sink_await(house, sink, ROWS(rows));
    house_settle(house);
    assert_int_equal(sink->count, ROWS(rows));
    for (size_t i = 0; i < ROWS(rows); i++) {
        const struct taken *taken = &sink->taken[i];
        assert_string_equal(taken->log, rows[i].log);
        assert_string_equal(taken->source, rows[i].source);
        assert_int_equal(taken->time_ns, rows[i].time_ns);
        assert_string_equal(taken->extra ? taken->extra : "", rows[i].extra ? rows[i].extra : "");
        assert_int_equal(taken->malformed, strcmp(rows[i].source, "unknown") == 0);
    }
    docker_remove(&docker);
}

static void expect_fill(const struct taken *taken, char fill, size_t len)
{
    assert_int_equal(taken->log_len, len);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(taken->log[i], fill);
    }
}

static void pieces_are_joined(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    house_start(house);
    docker_piece(&docker, "stdout", 'a', PIECE, false);
    docker_write(&docker, "stderr", "between");
    docker_piece(&docker, "stdout", 'a', PIECE, false);
    docker_piece(&docker, "stdout", 'a', 10, true);
    /* a line of exactly one piece ends in an empty one */
    docker_piece(&docker, "stdout", 'b', PIECE, false);
    docker_piece(&docker, "stdout", 'b', 0, true);
    /* both streams at once */
    docker_piece(&docker, "stdout", 'c', PIECE, false);
    docker_piece(&docker, "stderr", 'd', PIECE, false);
    docker_piece(&docker, "stdout", 'c', 1, true);
    docker_piece(&docker, "stderr", 'd', 2, true);
    sink_await(house, sink, 5);
    house_settle(house);
    assert_int_equal(sink->count, 5);
    assert_string_equal(sink->taken[0].log, "between");
    expect_fill(&sink->taken[1], 'a', 2 * PIECE + 10);
    expect_fill(&sink->taken[2], 'b', PIECE);
    expect_fill(&sink->taken[3], 'c', PIECE + 1);
    expect_fill(&sink->taken[4], 'd', PIECE + 2);
    assert_string_equal(sink->taken[4].source, "stderr");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_join_bytes, NULL), 0);
    docker_remove(&docker);
}

/* The last words of a process, without a newline: sent after a second; not joined with the next
 * run's first line. */
static void a_last_piece_is_not_kept_for_ever(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    house_start(house);
    docker_piece(&docker, "stdout", 'x', 5, false);
    docker_piece(&docker, "stderr", 'y', PIECE, false); /* full: its rest is under way */
    house_settle(house);
    assert_int_equal(sink->count, 0);
    sink_await(house, sink, 1);
    assert_string_equal(sink->taken[0].log, "xxxxx");
    docker.now_ns += 1000;
    docker_piece(&docker, "stdout", 'z', 5, false);
    docker.now_ns += 1000; /* the next run */
    docker_write(&docker, "stdout", "begins");
    sink_await(house, sink, 3);
    assert_string_equal(sink->taken[1].log, "zzzzz");
    assert_string_equal(sink->taken[2].log, "begins");
    docker_remove(&docker); /* now nothing follows any more */
    sink_await(house, sink, 4);
    expect_fill(&sink->taken[3], 'y', PIECE);
}

static void mebibyte_lines(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    house_start(house);
    for (int line = 0; line < 3; line++) {
        for (int piece = 0; piece < 63; piece++) {
            docker_piece(&docker, "stdout", (char)('a' + line), PIECE, false);
        }
        docker_piece(&docker, "stdout", (char)('a' + line), PIECE - 1, true);
    }
    docker_write(&docker, "stdout", "end");
    sink_await(house, sink, 4);
    house_settle(house);
    for (int line = 0; line < 3; line++) {
        expect_fill(&sink->taken[line], (char)('a' + line), 1024 * KIB - 1);
        assert_null(sink->taken[line].partial_id);
    }
    assert_string_equal(sink->taken[3].log, "end");
    docker_remove(&docker);
}

/* Puts the parts of a line together again, by their fields, and returns the next record. */
static size_t reassemble(const struct sink *sink, size_t at, char fill, size_t len)
{
    size_t sum = 0;
    int ordinal = 1;
    const char *id = sink->taken[at].partial_id;
    assert_non_null(id);
    for (;; at++, ordinal++) {
        char text[16];
        const struct taken *part = &sink->taken[at];
        (void)snprintf(text, sizeof(text), "%d", ordinal);
        assert_true(at < sink->count);
        assert_string_equal(part->partial_id, id);
        assert_string_equal(part->partial_ordinal, text);
        expect_fill(part, fill, part->log_len);
        sum += part->log_len;
        if (strcmp(part->partial_last, "true") == 0) {
            break;
        }
    }
    assert_int_equal(sum, len);
    return at + 1;
}

static void lines_over_the_maximum_are_split(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    (void)snprintf(house->options, sizeof(house->options), "from: beginning, line_max: 64KiB");
    docker_create(house, &docker, 1);
    house_start(house);
    for (int piece = 0; piece < 10; piece++) { /* of pieces */
        docker_piece(&docker, "stdout", 'p', PIECE, piece == 9);
    }
    docker_piece(&docker, "stdout", 'w', 200 * KIB, true); /* in one entry, as other engines do */
    docker_write(&docker, "stdout", "end");
    sink_await(house, sink, 3 + 4 + 1);
    house_settle(house);
    size_t at = reassemble(sink, 0, 'p', 10 * PIECE);
    at = reassemble(sink, at, 'w', 200 * KIB);
    assert_string_equal(sink->taken[at].log, "end");
    assert_null(sink->taken[at].partial_id);
    assert_int_equal(at + 1, sink->count);
    docker_remove(&docker);
}

/* Split lines at a destination that has room for one part at a time. */
static void split_lines_wait_for_room(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    (void)snprintf(house->options, sizeof(house->options), "from: beginning, line_max: 64KiB");
    house->limits = (struct tly_destination_limits){
        .chunk_age_ms = 5, .chunk_bytes_max = 70 * KIB, .bytes_max = 160 * KIB};
    sink->mode = SINK_RESTS;
    docker_create(house, &docker, 1);
    for (int line = 0; line < 3; line++) {
        docker_piece(&docker, "stdout", (char)('a' + line), 400 * KIB, true);
    }
    docker_write(&docker, "stdout", "end");
    house_start(house);
    house_settle(house);
    sink_set(sink, SINK_ACKS);
    sink_await(house, sink, 3 * 7 + 1);
    house_settle(house);
    size_t at = 0;
    for (int line = 0; line < 3; line++) {
        at = reassemble(sink, at, (char)('a' + line), 400 * KIB);
    }
    assert_string_equal(sink->taken[at].log, "end");
    assert_int_equal(at + 1, sink->count);
    docker_remove(&docker);
}

/* When the memory for pieces is used up, lines are split earlier, and none is lost. */
static void joining_is_bounded(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker dockers[8];
    (void)snprintf(house->options, sizeof(house->options),
                   "from: beginning, line_max: 128KiB, join_max: 128KiB");
    house_start(house);
    for (unsigned i = 0; i < ROWS(dockers); i++) {
        docker_create(house, &dockers[i], i + 1);
    }
    for (int piece = 0; piece < 6; piece++) {
        for (unsigned i = 0; i < ROWS(dockers); i++) {
            docker_piece(&dockers[i], "stdout", 'j', PIECE, piece == 5);
        }
        house_settle(house);
        assert_true(house_metric(house, TLY_F_tallyman_logs_join_bytes, NULL) <= 128 << 10);
    }
    house_settle(house);
    size_t sum = 0;
    for (size_t i = 0; i < sink->count; i++) {
        sum += sink->taken[i].log_len;
    }
    assert_int_equal(sum, ROWS(dockers) * 6 * PIECE);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_join_bytes, NULL), 0);
    for (unsigned i = 0; i < ROWS(dockers); i++) {
        docker_remove(&dockers[i]);
    }
}

/* The engine died within a line; its next run appended right behind. */
static void a_torn_line_spares_the_next(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    house_start(house);
    docker_lines(&docker, 0, 1);
    raw(&docker, "{\"log\":\"to");
    house_settle(house);
    docker_reopen(&docker);
    docker_lines(&docker, 1, 2);
    sink_await(house, sink, 3);
    house_settle(house);
    assert_string_equal(sink->taken[1].log, "{\"log\":\"to");
    assert_true(sink->taken[1].malformed);
    assert_string_equal(sink->taken[2].log, "1: the quick brown fox");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_malformed_lines_total, NULL), 1);
    docker_remove(&docker);
}

/* A torn line at the end of a file that nobody will write to any more; also of a removed one. */
static void a_torn_end_is_passed_on(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    docker_create(house, &docker, 1);
    house_start(house);
    docker_lines(&docker, 0, 1);
    raw(&docker, "{\"log\":\"rotated");
    docker_rotate(&docker, 2);
    docker_lines(&docker, 1, 2);
    raw(&docker, "{\"log\":\"removed");
    house_settle(house);
    assert_int_equal(sink->count, 3);
    docker_remove(&docker);
    sink_await(house, sink, 4);
    assert_string_equal(sink->taken[1].log, "{\"log\":\"rotated");
    assert_string_equal(sink->taken[2].log, "1: the quick brown fox");
    assert_string_equal(sink->taken[3].log, "{\"log\":\"removed");
}

/* Megabytes of no line at all: passed on in parts, in bounded memory. */
static void bytes_without_an_end(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    const size_t len = 2048 * KIB;
    char *junk = malloc(len);
    assert_non_null(junk);
    memset(junk, 'j', len);
    (void)snprintf(house->options, sizeof(house->options), "from: beginning, line_max: 64KiB");
    docker_create(house, &docker, 1);
    docker_raw(&docker, junk, len);
    raw(&docker, "\n");
    docker_lines(&docker, 0, 3);
    house_start(house);
    size_t sum = 0;
    sink_await(house, sink, len / (64 * KIB) + 3);
    house_settle(house);
    for (size_t i = 0; i + 3 < sink->count; i++) {
        assert_true(sink->taken[i].malformed);
        expect_fill(&sink->taken[i], 'j', sink->taken[i].log_len);
        sum += sink->taken[i].log_len;
    }
    assert_int_equal(sum, len);
    assert_string_equal(sink->taken[sink->count - 3].log, "0: the quick brown fox");
    assert_string_equal(sink->taken[sink->count - 1].log, "2: the quick brown fox");
    free(junk);
    docker_remove(&docker);
}

/* Lines written a byte at a time are taken when they are whole. */
static void lines_in_the_making(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    static const char line[] =
        "{\"log\":\"slow\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20Z\"}\n";
    docker_create(house, &docker, 1);
    house_start(house);
    for (size_t i = 0; i < sizeof(line) - 1; i++) {
        assert_int_equal(sink->count, 0);
        docker_raw(&docker, line + i, 1);
        house_settle(house);
    }
    sink_await(house, sink, 1);
    assert_string_equal(sink->taken[0].log, "slow");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_malformed_lines_total, NULL), 0);
    docker_remove(&docker);
}

/* `docker rename`: the records that follow have the new name, also in their tag. */
static void a_rename_is_seen(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    (void)snprintf(house->options, sizeof(house->options),
                   "from: beginning, tag: \"c.{name}.{label:app}\"");
    docker_create(house, &docker, 1);
    docker_lines(&docker, 0, 1);
    house_start(house);
    sink_await(house, sink, 1);
    assert_string_equal(sink->taken[0].tag, "c.box1.shop");
    char from[512];
    char to[512];
    (void)snprintf(from, sizeof(from), "%s/.new", docker.dir);
    (void)snprintf(to, sizeof(to), "%s/config.v2.json", docker.dir);
    FILE *file = fopen(from, "we");
    assert_non_null(file);
    assert_true(fprintf(file,
                        "{\"ID\":\"%s\",\"Name\":\"/other\",\"State\":{\"Running\":true},"
                        "\"Config\":{\"Image\":\"busybox\",\"Labels\":{}}}",
                        docker.id) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(from, to), 0);
    house_settle(house);
    docker_lines(&docker, 1, 2);
    sink_await(house, sink, 2);
    assert_string_equal(sink->taken[1].tag, "c.other.");
    assert_string_equal(sink->taken[1].name, "/other");
    docker_remove(&docker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ROW(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)
        ROW(rows_of_lines),
        ROW(pieces_are_joined),
        ROW(a_last_piece_is_not_kept_for_ever),
        ROW(mebibyte_lines),
        ROW(lines_over_the_maximum_are_split),
        ROW(split_lines_wait_for_room),
        ROW(joining_is_bounded),
        ROW(a_torn_line_spares_the_next),
        ROW(a_torn_end_is_passed_on),
        ROW(bytes_without_an_end),
        ROW(lines_in_the_making),
        ROW(a_rename_is_seen),
#undef ROW
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
