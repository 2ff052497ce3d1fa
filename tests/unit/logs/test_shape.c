/*
 * Shaping: which containers are read, which of their lines go on, what is covered in them, and what
 * is added. On the whole collector, because a line that is dropped has to move its position, too.
 */
#include "collectors/logs/shape.h"
#include "tests/unit/logs/house.h"

static void options(struct house *house, const char *text)
{
    int len = snprintf(house->options, sizeof(house->options), "from: beginning, %s", text);
    assert_in_range(len, 1, sizeof(house->options) - 1);
}

static void describe(const struct docker *docker, const char *labels)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/config.v2.json", docker->dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fprintf(file,
                        "{\"ID\":\"%s\",\"Name\":\"/shaped\",\"State\":{\"Running\":true},"
                        "\"Config\":{\"Image\":\"nginx:1\",\"Labels\":{%s}}}",
                        docker->id, labels) > 0);
    assert_int_equal(fclose(file), 0);
}

static void patterns_keep_and_drop(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    options(house, "shape: [{keep: ['line', 'error']}, {drop: ['GET /healthz']},"
                   " {match: {images: ['other*']}, drop: ['.']}]");
    docker_create(house, &docker, 1);
    describe(&docker, "");
    house_start(house);
    docker_write(&docker, "stdout", "line GET /healthz");
    docker_write(&docker, "stdout", "a line");
    docker_write(&docker, "stderr", "nothing of worth");
    docker_write(&docker, "stderr", "an error");
    sink_await(house, sink, 2);
    house_settle(house);
    assert_int_equal(sink->count, 2);
    assert_string_equal(sink->taken[0].log, "a line");
    assert_string_equal(sink->taken[1].log, "an error");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_dropped_lines_total, "keep"), 1);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_dropped_lines_total, "drop"), 1);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_lines_total, NULL), 4);
    docker_remove(&docker);
}

/* Else they would be read again after each restart, and their file counted as lost when it goes. */
static void a_dropped_line_is_passed(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    options(house, "shape: [{drop: ['noise']}]");
    docker_create(house, &docker, 1);
    describe(&docker, "");
    house_start(house);
    docker_write(&docker, "stdout", "first");
    sink_await(house, sink, 1);
    for (int i = 0; i < 10; i++) {
        docker_write(&docker, "stdout", "noise");
    }
    house_settle(house);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_dropped_lines_total, "drop"), 10);
    house_kill(house);
    house_start(house);
    docker_write(&docker, "stdout", "last");
    sink_await(house, sink, 2);
    assert_string_equal(sink->taken[1].log, "last");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_dropped_lines_total, "drop"), 0);
    docker_remove(&docker);
}

static void secrets_are_covered(void **state)
{
    static const struct {
        const char *line, *sent;
    } rows[] = {
        {"plain", "plain"},
        {"key AKIAIOSFODNN7EXAMPLE end", "key [redacted] end"},
        {"AKIAIOSFODNN7EXAMPLE,ASIAIOSFODNN7EXAMPLE", "[redacted],[redacted]"},
        {"t=ghp_0123456789abcdefghijABCDEFGHIJ012345", "t=[redacted]"},
        {"db postgres://user:hunter2@db/x", "db postgres://user:[redacted]@db/x"},
        {"Authorization: Bearer abcdef.123456", "Authorization: Bearer [redacted]"},
        {"j eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "j [redacted]"},
        {"pin=1234 pin=5678", "pin=[redacted] pin=[redacted]"},
        {"\xff\xfe pin=9 \xc3\xa9", "\xff\xfe pin=[redacted] \xc3\xa9"},
        {"", ""},
    };
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    options(house, "shape: [{redact_tokens: true, redact: ['pin=(\\d+)']}]");
    docker_create(house, &docker, 1);
    describe(&docker, "");
    house_start(house);
    for (size_t i = 0; i < ROWS(rows); i++) {
        docker_write(&docker, "stdout", rows[i].line);
    }
    sink_await(house, sink, ROWS(rows));
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_string_equal(sink->taken[i].log, rows[i].sent);
    }
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_redactions_total, NULL), 10);
    docker_remove(&docker);
}

static void a_costly_pattern_covers_all(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    char line[80] = {0};
    memset(line, 'a', sizeof(line) - 2);
    line[sizeof(line) - 2] = 'b';
    options(house, "shape: [{redact: ['(a+)+$'], drop: ['(a+)+$'], replacement: X}]");
    docker_create(house, &docker, 1);
    describe(&docker, "");
    house_start(house);
    docker_write(&docker, "stdout", line);
    sink_await(house, sink, 1);
    assert_string_equal(sink->taken[0].log, "X");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_pattern_failures_total, NULL), 2);
    docker_remove(&docker);
}

static void pieces_are_shaped_as_a_line(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    options(house, "shape: [{drop: ['xy']}]");
    docker_create(house, &docker, 1);
    describe(&docker, "");
    house_start(house);
    docker_piece(&docker, "stdout", 'x', 16384, false);
    docker_piece(&docker, "stdout", 'y', 10, true);
    docker_piece(&docker, "stdout", 'x', 16384, false);
    docker_piece(&docker, "stdout", 'z', 10, true);
    sink_await(house, sink, 1);
    assert_int_equal(sink->taken[0].log_len, 16394);
    assert_int_equal(sink->taken[0].log[16393], 'z');
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_dropped_lines_total, "drop"), 1);
    docker_remove(&docker);
}

static void a_label_leaves_a_container_out(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker quiet;
    struct docker loud;
    docker_create(house, &quiet, 1);
    docker_create(house, &loud, 2);
    describe(&quiet, "\"tallyman.logs\":\"false\"");
    describe(&loud, "\"tallyman.logs\":\"true\"");
    house_start(house);
    docker_write(&quiet, "stdout", "unread");
    docker_write(&loud, "stdout", "read");
    sink_await(house, sink, 1);
    house_settle(house);
    assert_int_equal(sink->count, 1);
    assert_string_equal(sink->taken[0].log, "read");
    docker_remove(&quiet);
    docker_remove(&loud);
}

static void containers_are_chosen(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker left_out;
    struct docker read;
    options(house, "match: {images: ['nginx*']}, exclude: {labels: ['team=x']}, label: ''");
    docker_create(house, &left_out, 1);
    docker_create(house, &read, 2);
    describe(&left_out, "\"team\":\"x\"");
    describe(&read, "\"tallyman.logs\":\"false\"");
    house_start(house);
    docker_write(&left_out, "stdout", "unread");
    docker_write(&read, "stdout", "read");
    sink_await(house, sink, 1);
    house_settle(house);
    assert_int_equal(sink->count, 1);
    assert_string_equal(sink->taken[0].log, "read");
    docker_remove(&left_out);
    docker_remove(&read);
}

static void fields_are_added(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    const char with_attrs[] = "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"attrs\":{\"image\":\"no\","
                              "\"b\":\"c\"},\"time\":\"2023-11-14T22:13:20Z\"}\n";
    options(house, "fields: [{name: image, value: '{image}'}, {name: t, value: '{label:team}'},"
                   " {name: none, value: '{label:absent}'}]");
    docker_create(house, &docker, 1);
    describe(&docker, "\"team\":\"x\"");
    house_start(house);
    docker_raw(&docker, with_attrs, sizeof(with_attrs) - 1);
    docker_raw(&docker, "torn\n", 5);
    sink_await(house, sink, 2);
    assert_string_equal(sink->taken[0].extra, "b=c;image=nginx:1;t=x;none=;");
    assert_string_equal(sink->taken[1].extra, "b=c;image=nginx:1;t=x;none=;malformed=true;");
    docker_remove(&docker);
}

static void ids_are_the_same_when_sent_again(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    options(house, "record_id: true");
    docker_create(house, &docker, 1);
    describe(&docker, "");
    sink->mode = SINK_HOLDS;
    house_start(house);
    docker_write(&docker, "stdout", "same");
    docker_write(&docker, "stdout", "same");
    sink_await(house, sink, 2);
    house_kill(house); /* none of them was acknowledged */
    docker_rotate(&docker, 3);
    docker_write(&docker, "stdout", "other");
    sink->mode = SINK_ACKS;
    house_start(house);
    sink_await(house, sink, 5);
    const struct taken *taken = sink->taken;
    assert_int_equal(strlen(taken[0].extra), strlen("record_id=;") + 32);
    assert_string_not_equal(taken[0].extra, taken[1].extra);
    assert_string_equal(taken[0].extra, taken[2].extra);
    assert_string_equal(taken[1].extra, taken[3].extra);
    assert_string_not_equal(taken[4].extra, taken[0].extra);
    assert_string_not_equal(taken[4].extra, taken[1].extra);
    docker_remove(&docker);
}

struct json_row {
    const char *line;
    const char *log;   /* NULL: the record has none */
    const char *extra; /* NULL: no other fields */
};

/* A line with quotes in it, as Docker writes them. */
static void write_quoted(struct docker *docker, const char *line)
{
    char text[512];
    char *to = text;
    for (const char *at = line; *at; at++) {
        if (*at == '"') {
            *to++ = '\\';
        }
        *to++ = *at;
    }
    *to = '\0';
    docker_write(docker, "stdout", text);
}

static void lines_become(struct house *house, const char *shape, const struct json_row *rows,
                         size_t count)
{
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    options(house, shape);
    docker_create(house, &docker, 1);
    describe(&docker, "");
    house_start(house);
    for (size_t i = 0; i < count; i++) {
        write_quoted(&docker, rows[i].line);
    }
    sink_await(house, sink, count);
    for (size_t i = 0; i < count; i++) {
        const struct taken *taken = &sink->taken[i];
        assert_string_equal(taken->log ? taken->log : "none", rows[i].log ? rows[i].log : "none");
        assert_string_equal(taken->extra ? taken->extra : "", rows[i].extra ? rows[i].extra : "");
        assert_string_equal(taken->name, "/shaped");
        assert_string_equal(taken->source, "stdout");
    }
    docker_remove(&docker);
}

static void json_becomes_fields(void **state)
{
    static const struct json_row rows[] = {
        {"{\"level\":\"info\",\"n\":[1,{\"a\":null}]}",
         "{\"level\":\"info\",\"n\":[1,{\"a\":null}]}", "level=info;n=[1,{\"a\":null}];"},
        {"plain", "plain", NULL},
        {"{\"broken\":", "{\"broken\":", NULL},
        {"{}", "{}", NULL},
        {"", "", NULL},
    };
    struct house *house = *state;
    lines_become(house, "shape: [{parse_json: true}]", rows, ROWS(rows));
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_parsed_lines_total, NULL), 2);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_not_parsed_lines_total, NULL), 3);
}

/* Docker's own fields mean what they mean, whatever a container writes; nothing is lost for it. */
static void json_takes_no_name_that_is_taken(void **state)
{
    static const struct json_row rows[] = {
        {"{\"a\":1}", NULL, "team=blue;a=1;"},
        {"{\"container_name\":\"/other\",\"a\":1}", "{\"container_name\":\"/other\",\"a\":1}",
         "team=blue;a=1;"},
        {"{\"team\":\"red\"}", "{\"team\":\"red\"}", "team=blue;"},
        {"{\"log\":\"inner\"}", "{\"log\":\"inner\"}", "team=blue;"},
        {"plain", "plain", "team=blue;"},
    };
    lines_become(*state,
                 "fields: [{name: team, value: blue}],"
                 " shape: [{parse_json: true, json_keep_log: false}]",
                 rows, ROWS(rows));
}

static void json_becomes_one_field(void **state)
{
    static const struct json_row rows[] = {
        {"{\"log\":\"inner\",\"token\":\"AKIAIOSFODNN7EXAMPLE\"}", NULL,
         "json={\"log\":\"inner\",\"token\":\"[redacted]\"};"},
        {"[1]", "[1]", NULL},
    };
    lines_become(*state,
                 "shape: [{parse_json: true, json_key: json, json_keep_log: false,"
                 " redact_tokens: true}]",
                 rows, ROWS(rows));
}

static void a_rate_is_held(void **state)
{
    (void)state;
    enum { SECOND = 1000000000 };
    const struct tly_log_rate rate = {.interval_ns = SECOND / 10, .ahead_ns = SECOND / 2};
    int64_t until = 0;
    int64_t now = 1700000000LL * SECOND;
    int passed = 0;
    for (int i = 0; i < 100; i++) {
        passed += tly_log_rate_pass(&rate, now, &until);
    }
    assert_int_equal(passed, 6); /* five ahead, and the one that is due */
    for (int i = 0; i < 100; i++) {
        passed += tly_log_rate_pass(&rate, now + SECOND, &until);
    }
    assert_int_equal(passed, 12);
    /* a clock that was set back by a day does not silence the container for a day */
    assert_true(tly_log_rate_pass(&rate, now - 86400LL * SECOND, &until));
}

static void too_many_lines_are_dropped(void **state)
{
    struct house *house = *state;
    struct sink *sink = &house->sinks[0];
    struct docker docker;
    options(house, "shape: [{rate_max: 1, rate_burst: 2}]");
    docker_create(house, &docker, 1);
    describe(&docker, "");
    house_start(house);
    const char line[] =
        "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20Z\"}\n";
    const char later[] =
        "{\"log\":\"later\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:14:20Z\"}\n";
    for (int i = 0; i < 10; i++) {
        docker_raw(&docker, line, sizeof(line) - 1);
    }
    docker_raw(&docker, later, sizeof(later) - 1);
    sink_await(house, sink, 4);
    assert_string_equal(sink->taken[3].log, "later");
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_dropped_lines_total, "rate_max"), 7);
    docker_remove(&docker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ROW(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)
        ROW(patterns_keep_and_drop),
        ROW(a_dropped_line_is_passed),
        ROW(secrets_are_covered),
        ROW(a_costly_pattern_covers_all),
        ROW(pieces_are_shaped_as_a_line),
        ROW(a_label_leaves_a_container_out),
        ROW(containers_are_chosen),
        ROW(fields_are_added),
        ROW(ids_are_the_same_when_sent_again),
        ROW(json_becomes_fields),
        ROW(json_takes_no_name_that_is_taken),
        ROW(json_becomes_one_field),
        ROW(too_many_lines_are_dropped),
#undef ROW
        cmocka_unit_test(a_rate_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
