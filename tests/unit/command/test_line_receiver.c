/*
 * The receiver behind `tallyman receive`, over real sockets and with a real file: every kind of
 * frame, when answers come, what broken and hostile clients leave behind, and the ways to end.
 */
#include "agent/base/file.h"
#include "agent/codec/forward.h"
#include "agent/codec/gzip.h"
#include "agent/codec/record.h"
#include "agent/command/line_receiver.h"
#include "agent/loop/log.h"

#include "tests/unit/loop/ends.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define FRAME_BYTES_MAX (16UL << 20)
#define CLIENTS         64

/* 2026-01-02T03:04:05.000000006Z, as an EventTime and as it is printed. */
#define TIME_NS   1767323045000000006LL
#define TIME_TEXT "2026-01-02T03:04:05.000000006Z"

static char folder[TEMP_DIR_MAX];
static int output;
static struct tly_line_receiver *receiver;
static struct tly_line_receiver_spec spec;
static struct tly_address address;
static struct tly_buf frame; /* what the test is about to send */
static bool ended;
static int ended_code;

static void receiver_ended(void *arg, int code)
{
    (void)arg;
    assert_false(ended);
    ended = true;
    ended_code = code;
    tly_loop_stop(loop);
}

static int set_up(void **state)
{
    char path[TEMP_DIR_MAX + sizeof("/lines")];
    temp_dir_make(folder);
    (void)snprintf(path, sizeof(path), "%s/lines", folder);
    output = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (output < 0 || make_loop(state) < 0) {
        return -1;
    }
    tly_log_set_level(TLY_LOG_ERROR); /* what clients do wrong would fill the test's output */
    tly_buf_init(&frame, FRAME_BYTES_MAX);
    ended = false;
    ended_code = 1;
    spec = (struct tly_line_receiver_spec){.loop = loop, .fd = output, .ended = receiver_ended};
    return 0;
}

static int tear_down(void **state)
{
    tly_line_receiver_free(receiver);
    receiver = NULL;
    tly_buf_done(&frame);
    tly_fd_close(&output);
    temp_dir_remove(folder);
    return free_loop(state);
}

/* Starts the receiver that `spec` describes. */
static void listen_now(void)
{
    struct tly_error err;
    address = address_of("127.0.0.1:0");
    assert_int_equal(tly_line_receiver_new(&spec, &receiver), 0);
    assert_int_equal(tly_line_receiver_listen(receiver, &address, &err), 0);
    assert_int_not_equal(address.port, 0);
}

static void connect_client(struct end *client)
{
    end_init(client);
    end_connect(client, &address, 5000);
    while (!client->connected) {
        run();
    }
}

static void send_bytes(struct end *client, struct tly_text bytes)
{
    assert_int_equal(tly_stream_write(client->stream, bytes, (struct tly_text){0}, NULL, NULL), 0);
}

static void send_frame(struct end *client)
{
    send_bytes(client, tly_buf_text(&frame));
}

/* Runs until the client has been sent so many bytes in all. */
static void await_bytes(struct end *client, size_t count)
{
    client->stop_at = count;
    while (client->received.len < count) {
        assert_int_equal(client->ended, 0);
        run();
    }
    client->stop_at = 0;
}

static void await_end(const struct end *client)
{
    while (!client->ended) {
        run();
    }
}

static void stop_now(int code)
{
    if (!ended) {
        tly_line_receiver_stop(receiver);
    }
    while (!ended) {
        run();
    }
    assert_int_equal(ended_code, code);
}

static void expect_lines(const char *expected)
{
    struct tly_buf lines;
    tly_buf_init(&lines, FRAME_BYTES_MAX);
    assert_int_equal(lseek(output, 0, SEEK_SET), 0);
    assert_int_equal(tly_file_read_fd(output, &lines), 0);
    expect_text(tly_buf_text(&lines), expected);
    tly_buf_done(&lines);
}

static void expect_answers(const struct end *client, struct tly_text expected)
{
    assert_int_equal(client->received.len, expected.len);
    assert_true(expected.len == 0 || !memcmp(client->received.at, expected.at, expected.len));
}

#define ACK(letter)                                                                                \
    "\x81\xa3"                                                                                     \
    "ack\xa1" letter
#define ACK_BYTES (sizeof(ACK("A")) - 1)

/* One entry, `[time, {"log": text}]`. */
static void put_entry(struct tly_buf *to, const char *text)
{
    assert_int_equal(tly_record_array(to, 2), 0);
    assert_int_equal(tly_record_time(to, TIME_NS), 0);
    assert_int_equal(tly_record_map(to, 1), 0);
    assert_int_equal(tly_record_str(to, TLY_TEXT("log")), 0);
    assert_int_equal(tly_record_str(to, tly_text_of(text)), 0);
}

/* Appends a PackedForward frame of one record to what will be sent; `chunk` NULL: no answer. */
static void put_packed(const char *text, const char *chunk)
{
    struct tly_buf entries;
    tly_buf_init(&entries, FRAME_BYTES_MAX);
    put_entry(&entries, text);
    assert_int_equal(tly_forward_head(&frame, TLY_TEXT("t"), entries.len), 0);
    assert_int_equal(tly_buf_append_text(&frame, tly_buf_text(&entries)), 0);
    assert_int_equal(tly_forward_tail(&frame, tly_text_of(chunk), 1), 0);
    tly_buf_done(&entries);
}

#define LINE(text) "{\"tag\":\"t\",\"time\":\"" TIME_TEXT "\",\"record\":{\"log\":\"" text "\"}}\n"

/* ---- what is taken ---- */

static void put_option(const char *compressed, const char *chunk)
{
    assert_int_equal(tly_record_map(&frame, compressed ? 2 : 1), 0);
    if (compressed) {
        assert_int_equal(tly_record_str(&frame, TLY_TEXT("compressed")), 0);
        assert_int_equal(tly_record_str(&frame, tly_text_of(compressed)), 0);
    }
    assert_int_equal(tly_record_str(&frame, TLY_TEXT("chunk")), 0);
    assert_int_equal(tly_record_str(&frame, tly_text_of(chunk)), 0);
}

static void put_every_mode(void)
{
    put_packed("packed", "A");

    assert_int_equal(tly_record_array(&frame, 4), 0); /* Message: tag, time, record, option */
    assert_int_equal(tly_record_str(&frame, TLY_TEXT("t")), 0);
    assert_int_equal(tly_record_time(&frame, TIME_NS), 0);
    assert_int_equal(tly_record_map(&frame, 1), 0);
    assert_int_equal(tly_record_str(&frame, TLY_TEXT("log")), 0);
    assert_int_equal(tly_record_str(&frame, TLY_TEXT("message")), 0);
    put_option(NULL, "B");

    assert_int_equal(tly_record_array(&frame, 3), 0); /* Forward: tag, entries, option */
    assert_int_equal(tly_record_str(&frame, TLY_TEXT("t")), 0);
    assert_int_equal(tly_record_array(&frame, 2), 0);
    put_entry(&frame, "first");
    put_entry(&frame, "second");
    put_option(NULL, "C");

    struct tly_buf plain;
    struct tly_buf packed;
    tly_buf_init(&plain, FRAME_BYTES_MAX);
    tly_buf_init(&packed, FRAME_BYTES_MAX);
    put_entry(&plain, "gzip");
    assert_int_equal(tly_gzip_append(&packed, tly_buf_text(&plain), 1), 0);
    tly_buf_clear(&plain);
    put_entry(&plain, "of two members");
    assert_int_equal(tly_gzip_append(&packed, tly_buf_text(&plain), 1), 0);
    assert_int_equal(tly_record_array(&frame, 3), 0);
    assert_int_equal(tly_record_str(&frame, TLY_TEXT("t")), 0);
    assert_int_equal(tly_record_bin(&frame, tly_buf_text(&packed)), 0);
    put_option("gzip", "D");
    tly_buf_done(&plain);
    tly_buf_done(&packed);
}

static const char every_line[] = LINE("packed") LINE("message") LINE("first") LINE("second")
    LINE("gzip") LINE("of two members");
static const struct tly_text every_ack = TLY_TEXT(ACK("A") ACK("B") ACK("C") ACK("D"));

static void test_every_mode(void **state)
{
    (void)state;
    struct end client;
    listen_now();
    connect_client(&client);
    put_every_mode();
    send_frame(&client);
    await_bytes(&client, every_ack.len);
    expect_answers(&client, every_ack);
    expect_lines(every_line); /* as soon as they are acknowledged, not only at the end */
    stop_now(0);
    struct tly_line_receiver_counts counts = tly_line_receiver_counts(receiver);
    assert_int_equal(counts.records, 6);
    assert_int_equal(counts.frames, 4);
    assert_int_equal(counts.connections, 1);
    end_done(&client);
}

/* A packet for each byte: no frame may depend on where packets end. */
static void test_bytewise(void **state)
{
    (void)state;
    struct end client;
    spec.sync = true;
    listen_now();
    connect_client(&client);
    put_every_mode();
    for (size_t i = 0; i < frame.len; i++) {
        send_bytes(&client, (struct tly_text){frame.at + i, 1});
        if (i % 16 == 0) {
            run_briefly();
        }
    }
    await_bytes(&client, every_ack.len);
    expect_answers(&client, every_ack);
    expect_lines(every_line);
    stop_now(0);
    end_done(&client);
}

static void test_unix_socket(void **state)
{
    (void)state;
    char text[TEMP_DIR_MAX + sizeof("unix:///socket")];
    struct end client;
    struct tly_error err;
    listen_now();
    (void)snprintf(text, sizeof(text), "unix://%s/socket", folder);
    address = address_of(text);
    assert_int_equal(tly_line_receiver_listen(receiver, &address, &err), 0);
    connect_client(&client);
    put_packed("here too", "A");
    send_frame(&client);
    await_bytes(&client, ACK_BYTES);
    expect_lines(LINE("here too"));
    stop_now(0);
    end_done(&client);
}

static void test_no_answer_is_asked_for(void **state)
{
    (void)state;
    struct end client;
    listen_now();
    connect_client(&client);
    put_packed("silent", NULL);
    put_packed("last", "Z");
    send_frame(&client);
    await_bytes(&client, ACK_BYTES);
    expect_answers(&client, TLY_TEXT(ACK("Z")));
    expect_lines(LINE("silent") LINE("last"));
    stop_now(0);
    end_done(&client);
}

static void test_quiet_and_no_ack(void **state)
{
    (void)state;
    struct end client;
    spec.quiet = true;
    listen_now();
    connect_client(&client);
    put_packed("unseen", "A");
    send_frame(&client);
    await_bytes(&client, ACK_BYTES);
    stop_now(0);
    expect_lines("");
    end_done(&client);
    tly_line_receiver_free(receiver);

    ended = false;
    spec.quiet = false;
    spec.no_ack = true;
    spec.count = 1;
    listen_now();
    connect_client(&client);
    send_frame(&client);
    await_end(&client);
    expect_answers(&client, TLY_TEXT(""));
    stop_now(0);
    expect_lines(LINE("unseen"));
    end_done(&client);
}

/* Bytes that JSON has no room for: each line stays one line, whatever stands in the record. */
static void test_hostile_bytes(void **state)
{
    (void)state;
    struct end client;
    listen_now();
    connect_client(&client);
    put_packed("\n\"\\\x01\x1b[2J\xff\xc3", "A");
    send_frame(&client);
    await_bytes(&client, ACK_BYTES);
    expect_lines(LINE("\\n\\\"\\\\\\u0001\\u001b[2J\xef\xbf\xbd\xef\xbf\xbd"));
    stop_now(0);
    end_done(&client);
}

/* ---- clients that break off or speak something else ---- */

static void test_broken_frames(void **state)
{
    (void)state;
    static const struct tly_text rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\x16\x03\x01\x02", 4},
        {"\xc1", 1},
        {"\x92\xa1t\xc4\x05\x92\x01\x80\x92\x01", 10}, /* the second record ends too early */
        {"\x93\xa1t\xc4\x02\x1f\x8b\x81\xaa"
         "compressed\xa4gzip",
         25},                         /* gzip of two bytes */
        {"\x94\xa1t\x90\x80\x80", 6}, /* two options */
    };
    listen_now();
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct end client;
        connect_client(&client);
        tly_buf_clear(&frame);
        put_packed("good", NULL);
        assert_int_equal(tly_buf_append_text(&frame, rows[i]), 0);
        send_frame(&client);
        await_end(&client);
        end_done(&client);
    }
    stop_now(0);
    /* What was whole before each of them was taken. */
    expect_lines(LINE("good") LINE("good") LINE("good") LINE("good") LINE("good") LINE("good"));
    assert_int_equal(tly_line_receiver_counts(receiver).connections, ROWS(rows));
}

/* At every place where a client can break off, the records of the frame are not there. */
static void test_half_frames(void **state)
{
    (void)state;
    listen_now();
    put_packed("half", "A");
    for (size_t len = 0; len < frame.len; len++) {
        struct end client;
        connect_client(&client);
        send_bytes(&client, (struct tly_text){frame.at, len});
        run_briefly();
        end_done(&client);
    }
    run_briefly();
    stop_now(0);
    expect_lines("");
    assert_int_equal(tly_line_receiver_counts(receiver).frames, 0);
}

/* Sends without end and never reads an answer: the receiver must stop to listen to it, and serve
 * others meanwhile. */
static void test_client_that_takes_no_answers(void **state)
{
    (void)state;
    enum { FRAMES = 60000 };
    struct end deaf;
    struct end other;
    spec.quiet = true;
    listen_now();
    connect_client(&deaf);
    tly_stream_pause(deaf.stream);
    for (int i = 0; i < FRAMES; i++) {
        put_packed("x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    }
    /* Far more answers than sockets hold in both directions. */
    for (int i = 0; i < 4; i++) {
        send_frame(&deaf);
    }
    connect_client(&other);
    struct tly_buf kept = frame;
    tly_buf_init(&frame, FRAME_BYTES_MAX);
    put_packed("y", "A");
    send_frame(&other);
    await_bytes(&other, ACK_BYTES);
    assert_true(tly_stream_queued(deaf.stream) > 0); /* nobody reads it any more */

    /* It listens again: everything goes on, and nothing was lost. */
    const size_t answer = sizeof("\x81\xa3"
                                 "ack\xd9\x20") -
                          1 + 32;
    assert_int_equal(tly_stream_resume(deaf.stream), 0);
    await_bytes(&deaf, 4UL * FRAMES * answer);
    assert_int_equal(tly_line_receiver_counts(receiver).records, 4 * FRAMES + 1);
    stop_now(0);
    end_done(&deaf);
    end_done(&other);
    tly_buf_done(&kept);
}

static void test_many_connections(void **state)
{
    (void)state;
    enum { ROUNDS = 20 };
    static struct end clients[CLIENTS];
    listen_now();
    put_packed("many", "A");
    for (size_t i = 0; i < CLIENTS; i++) {
        connect_client(&clients[i]);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < CLIENTS; i++) {
            send_frame(&clients[i]);
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        await_bytes(&clients[i], ROUNDS * ACK_BYTES);
    }
    struct stat status;
    assert_int_equal(fstat(output, &status), 0);
    assert_int_equal(status.st_size, (off_t)(ROUNDS * CLIENTS * (sizeof(LINE("many")) - 1)));
    assert_int_equal(tly_line_receiver_counts(receiver).connections, CLIENTS);
    stop_now(0);
    for (size_t i = 0; i < CLIENTS; i++) {
        end_done(&clients[i]);
    }
}

static void test_too_many_connections(void **state)
{
    (void)state;
    struct end first;
    struct end second;
    struct end third;
    spec.connections_max = 2;
    listen_now();
    connect_client(&first);
    connect_client(&second);
    put_packed("here", "A");
    send_frame(&second);
    await_bytes(&second, ACK_BYTES);
    connect_client(&third);
    await_end(&third);
    end_done(&third);
    end_done(&second);
    run_briefly();
    connect_client(&third); /* there is room again */
    send_frame(&third);
    await_bytes(&third, ACK_BYTES);
    send_frame(&first); /* and nobody else was disturbed */
    await_bytes(&first, ACK_BYTES);
    stop_now(0);
    assert_int_equal(tly_line_receiver_counts(receiver).connections, 3);
    end_done(&first);
    end_done(&third);
}

static void test_too_many_addresses(void **state)
{
    (void)state;
    struct tly_error err;
    listen_now();
    for (int i = 1; i < TLY_LINE_RECEIVER_LISTEN_MAX; i++) {
        address.port = 0;
        assert_int_equal(tly_line_receiver_listen(receiver, &address, &err), 0);
    }
    assert_int_equal(tly_line_receiver_listen(receiver, &address, &err), TLY_E_LIMIT);
}

/* ---- slow and broken outputs ---- */

/* A pipe that nobody reads: answers wait for the lines, and so does the client. */
static void test_slow_output(void **state)
{
    (void)state;
    enum { TEXT_BYTES = 300000 };
    struct end client;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    spec.fd = ends[1];
    listen_now();
    connect_client(&client);
    char *text = malloc(TEXT_BYTES + 1);
    assert_non_null(text);
    memset(text, 'x', TEXT_BYTES);
    text[TEXT_BYTES] = '\0';
    put_packed(text, "A");
    send_frame(&client);
    run_briefly();
    expect_answers(&client, TLY_TEXT(""));

    size_t left = TEXT_BYTES + sizeof(LINE("")) - 1;
    while (left > 0) {
        ssize_t got = read(ends[0], text, left < TEXT_BYTES ? left : TEXT_BYTES);
        if (got < 0 && errno == EAGAIN) {
            run_briefly(); // the frame need not have been here for the worker yet
            continue;
        }
        assert_true(got > 0);
        left -= (size_t)got;
    }
    await_bytes(&client, ACK_BYTES);
    free(text);
    stop_now(0);
    end_done(&client);
    tly_fd_close(&ends[0]);
    tly_fd_close(&ends[1]);
}

/* The disk is full in the middle of a line: it is not acknowledged, and the receiver gives up. */
static void test_full_disk(void **state)
{
    (void)state;
    struct end client;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small = {.rlim_cur = sizeof(LINE("one")) - 1 + 10,
                                 .rlim_max = before.rlim_max};
    listen_now();
    connect_client(&client);
    put_packed("one", "A");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    send_frame(&client);
    await_bytes(&client, ACK_BYTES);
    send_frame(&client);
    while (!ended) {
        run();
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(ended_code, -EFBIG);
    await_end(&client);
    expect_answers(&client, TLY_TEXT(ACK("A")));
    expect_lines(LINE("one") "{\"tag\":\"t\"");
    end_done(&client);
}

static void test_output_without_reader(void **state)
{
    (void)state;
    struct end client;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    tly_fd_close(&ends[0]);
    spec.fd = ends[1];
    listen_now();
    connect_client(&client);
    put_packed("one", "A");
    send_frame(&client);
    while (!ended) {
        run();
    }
    assert_int_equal(ended_code, -EPIPE);
    await_end(&client);
    expect_answers(&client, TLY_TEXT(""));
    end_done(&client);
    tly_fd_close(&ends[1]);
}

/* ---- the end ---- */

/* A stop in the middle of a frame: what was whole is written and answered, the rest is not. */
static void test_stop_within_a_frame(void **state)
{
    (void)state;
    struct end client;
    listen_now();
    connect_client(&client);
    put_packed("whole", "A");
    send_frame(&client);
    send_bytes(&client, (struct tly_text){frame.at, frame.len - 1});
    await_bytes(&client, ACK_BYTES);
    stop_now(0);
    await_end(&client);
    expect_answers(&client, TLY_TEXT(ACK("A")));
    expect_lines(LINE("whole"));
    end_done(&client);
}

/* A stop while the worker writes: `ended` comes when it is through. */
static void test_stop_while_writing(void **state)
{
    (void)state;
    struct end client;
    int ends[2];
    char lines[sizeof(LINE("one"))];
    enum { FILL_BYTES = 65536 };
    static char fill[FILL_BYTES];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, FILL_BYTES) == FILL_BYTES);
    assert_int_equal(write(ends[1], fill, FILL_BYTES), FILL_BYTES);
    spec.fd = ends[1];
    listen_now();
    connect_client(&client);
    put_packed("one", "A");
    send_frame(&client);
    run_briefly();
    tly_line_receiver_stop(receiver);
    run_briefly();
    assert_false(ended);
    assert_int_equal(read(ends[0], fill, FILL_BYTES), FILL_BYTES);
    stop_now(0);
    assert_int_equal(read(ends[0], lines, sizeof(lines)), sizeof(lines) - 1);
    assert_memory_equal(lines, LINE("one"), sizeof(lines) - 1);
    await_end(&client);
    expect_answers(&client, TLY_TEXT(ACK("A")));
    end_done(&client);
    tly_fd_close(&ends[0]);
    tly_fd_close(&ends[1]);
}

/* The frame with the record that was counted to is taken whole; the next one is not. */
static void test_count(void **state)
{
    (void)state;
    struct end client;
    spec.count = 3;
    listen_now();
    connect_client(&client);
    put_every_mode(); /* the third record is the first of two in one frame */
    send_frame(&client);
    await_end(&client);
    stop_now(0);
    assert_true(tly_line_receiver_counts(receiver).records >= 4);
    end_done(&client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_mode),
        TEST(test_bytewise),
        TEST(test_unix_socket),
        TEST(test_no_answer_is_asked_for),
        TEST(test_quiet_and_no_ack),
        TEST(test_hostile_bytes),
        TEST(test_broken_frames),
        TEST(test_half_frames),
        TEST(test_client_that_takes_no_answers),
        TEST(test_many_connections),
        TEST(test_too_many_connections),
        TEST(test_too_many_addresses),
        TEST(test_slow_output),
        TEST(test_full_disk),
        TEST(test_output_without_reader),
        TEST(test_stop_within_a_frame),
        TEST(test_stop_while_writing),
        TEST(test_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
