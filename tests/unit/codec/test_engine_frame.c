/*
 * Frames of the engine's log streams: with headers and of a terminal, in pieces, cut anywhere, and
 * what is none.
 */
#include "agent/codec/engine_frame.h"

#include "tests/unit/unit.h"

#include <string.h>

#define TIME       "2026-08-23T00:28:30.123456789Z "
#define TIME_NS    1787444910123456789LL
#define ZONED      "2026-08-23T02:28:30.123456789+02:00 "
#define HEAD(t, n) t "\0\0\0\0\0\0" n

/* A literal's bytes, without the NUL at its end. */
#define BYTES(literal)                                                                             \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

struct expected {
    enum tly_engine_frame_stream stream;
    const char *text;
    bool timed, whole;
};

static void expect_frame(const struct tly_engine_frame *frame, const struct expected *expected)
{
    assert_int_equal(frame->stream, expected->stream);
    expect_text(frame->text, expected->text);
    assert_int_equal(frame->timed, expected->timed);
    assert_int_equal(frame->whole, expected->whole);
    assert_int_equal(frame->time_ns, expected->timed ? TIME_NS : 0);
}

static void reads_one(void **state)
{
    static const struct {
        struct tly_text bytes;
        ssize_t taken; /* or why not */
        bool ended;
        struct expected frame;
    } rows[] = {
        {BYTES(HEAD("\x01", "\x24") TIME "hello"), 8 + 36, false, {0, "hello", true, false}},
        {BYTES(HEAD("\x01", "\x25") TIME "hello\n"), 8 + 37, false, {0, "hello", true, true}},
        {BYTES(HEAD("\x02", "\x20") TIME "\n"), 8 + 32, false, {1, "", true, true}},
        {BYTES(HEAD("\x00", "\x20") TIME "\n"), 8 + 32, false, {0, "", true, true}},
        {BYTES(HEAD("\x01", "\x26") ZONED "x\n"), 8 + 38, false, {0, "x", true, true}},
        {BYTES(HEAD("\x01", "\x25") TIME "a\r\nb\r\n"
                                         "and more"),
         8 + 37,
         false,
         {0, "a\r\nb\r", true, true}},
        /* What the engine says of itself has no time. */
        {BYTES(HEAD("\x03", "\x07") "Error:\n"), 8 + 7, false, {2, "Error:", false, true}},
        /* No time, or none of the engine's form. */
        {BYTES(HEAD("\x01", "\x06") "hello\n"), 8 + 6, false, {0, "hello", false, true}},
        {BYTES(HEAD("\x01", "\x0A") "2026-08-23"), 8 + 10, false, {0, "2026-08-23", false, false}},
        {BYTES(HEAD("\x01", "\x22") "2026-13-23T00:28:30.123456789Z xx\n"),
         8 + 34,
         false,
         {0, "2026-13-23T00:28:30.123456789Z xx", false, true}},
        {BYTES(HEAD("\x01", "\x00")), 8, false, {0, "", false, false}},
        /* Not all there. */
        {BYTES(""), TLY_E_MORE, false, {0}},
        {BYTES(HEAD("\x01", "\x25")), TLY_E_MORE, false, {0}},
        {BYTES(HEAD("\x01", "\x25") TIME "hell"), TLY_E_MORE, true, {0}},
        {BYTES("\x01\0\0"), TLY_E_MORE, true, {0}},
        /* No header. */
        {BYTES("\x01\0\0\x01\0\0\0\x20" TIME "\n"), TLY_E_MALFORMED, false, {0}},
        {BYTES("\x01\x01"), TLY_E_MALFORMED, false, {0}},
        {BYTES("\x01\0\0\0\0\x10\0\x01" TIME "\n"), TLY_E_MALFORMED, false, {0}},
        {BYTES("\x01\0\0\0\xff\xff\xff\xff" TIME "\n"), TLY_E_MALFORMED, false, {0}},
        /* Of a terminal. */
        {BYTES(TIME "hello\r\n" TIME "next"), 38, false, {0, "hello\r", true, true}},
        {BYTES(TIME "\n"), 32, false, {0, "", true, true}},
        {BYTES(ZONED "x\n"), 38, false, {0, "x", true, true}},
        {BYTES(TIME "hello"), TLY_E_MORE, false, {0}},
        {BYTES(TIME "hello"), 36, true, {0, "hello", true, false}},
        {BYTES("Error grabbing logs\n"), 20, false, {0, "Error grabbing logs", false, true}},
        {BYTES("\n"), 1, false, {0, "", false, true}},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_engine_frames frames = {.kind = TLY_ENGINE_FRAME_UNTOLD};
        struct tly_engine_frame frame;
        ssize_t taken = tly_engine_frame_next(&frames, rows[i].bytes, rows[i].ended, &frame);
        if (taken != rows[i].taken) {
            fail_msg("row %zu: %zd instead of %zd", i, taken, rows[i].taken);
        }
        if (taken > 0) {
            expect_frame(&frame, &rows[i].frame);
        }
    }
}

/* What began with headers goes on with headers. */
static void a_reply_is_of_one_kind(void **state)
{
    static const struct tly_text headed = BYTES(HEAD("\x01", "\x20") TIME "\n");
    static const struct tly_text raw = BYTES(TIME "\n");
    struct tly_engine_frames frames = {.kind = TLY_ENGINE_FRAME_UNTOLD};
    struct tly_engine_frame frame;
    (void)state;
    assert_int_equal(tly_engine_frame_next(&frames, headed, false, &frame), headed.len);
    assert_int_equal(tly_engine_frame_next(&frames, raw, false, &frame), TLY_E_MALFORMED);
}

/* ---- long lines of a terminal ---- */

struct built {
    char *at;
    size_t len;
};

static void add(struct built *built, const char *text)
{
    memcpy(built->at + built->len, text, strlen(text));
    built->len += strlen(text);
}

static void fill(struct built *built, char with, size_t count)
{
    memset(built->at + built->len, with, count);
    built->len += count;
}

/* Reads all, giving at most `step` bytes more each time; returns how many frames there were. */
static size_t read_all(const struct built *built, size_t step, struct tly_engine_frame *frames,
                       size_t most)
{
    struct tly_engine_frames state = {.kind = TLY_ENGINE_FRAME_UNTOLD};
    size_t count = 0;
    size_t from = 0;
    size_t until = 0;
    while (from < built->len) {
        struct tly_text bytes = {built->at + from, until - from};
        assert_true(count < most);
        ssize_t taken = tly_engine_frame_next(&state, bytes, until == built->len, &frames[count]);
        if (taken == TLY_E_MORE) {
            assert_true(until < built->len);
            until = until + step < built->len ? until + step : built->len;
            continue;
        }
        assert_true(taken > 0);
        from += (size_t)taken;
        count++;
    }
    return count;
}

static void pieces_of_a_terminal(void **state)
{
    static const size_t steps[] = {1, 7, 4096, 1 << 20};
    const size_t larger = 262144; /* another driver's buffer */
    struct built built = {malloc((size_t)1 << 20), 0};
    (void)state;
    assert_non_null(built.at);
    add(&built, TIME);
    fill(&built, 'a', TLY_ENGINE_PIECE_BYTES);
    add(&built, "2026-08-23T00:28:31.000000000Z "); /* older engines: each piece has its own */
    fill(&built, 'b', TLY_ENGINE_PIECE_BYTES);
    add(&built, TIME "rest\r\n" TIME);
    fill(&built, 'c', larger);
    add(&built, TIME "\n" TIME);
    fill(&built, 'd', TLY_ENGINE_PIECE_BYTES + 5); /* no piece: nothing tells of an end */
    add(&built, "\n" TIME "$ ");
    const struct {
        size_t len;
        char first;
        bool whole;
    } expected[] = {{TLY_ENGINE_PIECE_BYTES, 'a', false},
                    {TLY_ENGINE_PIECE_BYTES, 'b', false},
                    {5, 'r', true},
                    {larger, 'c', false},
                    {0, 0, true},
                    {TLY_ENGINE_PIECE_BYTES + 5, 'd', true},
                    {2, '$', false}};
    for (size_t s = 0; s < ROWS(steps); s++) {
        struct tly_engine_frame frames[16];
        /* Byte by byte only the beginning: a terminal's piece is looked at from its start. */
        struct built part = {built.at,
                             steps[s] == 1 ? (size_t)TLY_ENGINE_PIECE_BYTES + 200 : built.len};
        size_t count = read_all(&part, steps[s], frames, ROWS(frames));
        assert_int_equal(count, steps[s] == 1 ? 2 : ROWS(expected));
        for (size_t i = 0; i < (steps[s] == 1 ? 1 : count); i++) {
            assert_int_equal(frames[i].text.len, expected[i].len);
            assert_int_equal(frames[i].whole, expected[i].whole);
            assert_true(frames[i].timed);
            assert_true(frames[i].text.len == 0 || frames[i].text.at[0] == expected[i].first);
        }
    }
    free(built.at);
}

/* As engine 20.10 tells the last piece of a long line of a terminal. */
static void forgotten_newlines(void **state)
{
    static const char *const tails[] = {"tail\r", "", "a\rb\r"};
    (void)state;
    for (size_t i = 0; i < ROWS(tails); i++) {
        struct built built = {malloc((size_t)1 << 20), 0};
        struct tly_engine_frame frames[8];
        assert_non_null(built.at);
        for (int n = 0; n < 2; n++) {
            add(&built, TIME);
            fill(&built, 'a', TLY_ENGINE_PIECE_BYTES);
        }
        add(&built, TIME);
        add(&built, tails[i]);
        add(&built, "2026-08-23T00:28:31.000000000Z \r\n");
        /* What stands in a line is of the line. */
        add(&built, TIME "x\r" TIME "y\r\n");
        assert_int_equal(read_all(&built, 1 + i * 1000, frames, ROWS(frames)), 5);
        assert_int_equal(frames[1].text.len, TLY_ENGINE_PIECE_BYTES);
        expect_text(frames[2].text, tails[i]);
        assert_false(frames[2].whole);
        expect_text(frames[3].text, "\r");
        assert_true(frames[3].whole);
        expect_text(frames[4].text, "x\r" TIME "y\r");
        free(built.at);
    }
}

static void a_line_without_end_is_bounded(void **state)
{
    const size_t most = TLY_ENGINE_FRAME_MAX + 100;
    struct built built = {malloc(most), 0};
    struct tly_engine_frames frames = {.kind = TLY_ENGINE_FRAME_UNTOLD};
    struct tly_engine_frame frame;
    (void)state;
    assert_non_null(built.at);
    add(&built, TIME);
    fill(&built, 'x', most - built.len);
    struct tly_text bytes = {built.at, TLY_ENGINE_FRAME_MAX - 1};
    assert_int_equal(tly_engine_frame_next(&frames, bytes, false, &frame), TLY_E_MORE);
    bytes.len = most;
    assert_int_equal(tly_engine_frame_next(&frames, bytes, false, &frame), TLY_ENGINE_FRAME_MAX);
    assert_false(frame.whole);
    free(built.at);
}

static void stamps(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } rows[] = {
        {TIME "x", 31},
        {TIME, 31},
        {ZONED, 36},
        {"2026-08-23T00:28:30.123456789-05:30 ", 36},
        {"2026-08-23T00:28:30.123456789Z", 0},
        {"2026-08-23T00:28:30.123456789Zx", 0},
        {"2026-08-23T00:28:30.12345678Z  ", 0},
        {"2026-08-23T00:28:30.123456789+02:00", 0},
        {"2026-08-23T00:28:30.123456789+02:0", 0},
        {"2026-08-23 00:28:30.123456789Z ", 0},
        {"", 0},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(tly_engine_stamp_len(tly_text_of(rows[i].text)), rows[i].len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_one),
        cmocka_unit_test(a_reply_is_of_one_kind),
        cmocka_unit_test(pieces_of_a_terminal),
        cmocka_unit_test(forgotten_newlines),
        cmocka_unit_test(a_line_without_end_is_bounded),
        cmocka_unit_test(stamps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
