/*
 * The msgpack reader and scanner: what the writer and msgpack-c wrote comes back, in any pieces;
 * what is no msgpack, cut short, too deep or too large is told apart.
 */
#include "agent/base/clock.h"
#include "agent/codec/record.h"
#include "agent/codec/record_reader.h"
#include "agent/codec/value_feed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BUF_MAX (1UL << 20)

#define BYTES(literal)                                                                             \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static void test_scalars(void **state)
{
    (void)state;
    static const struct {
        struct tly_text bytes;
        enum tly_value_type type;
        int64_t integer;
    } rows[] = {
        {BYTES("\x00"), TLY_VALUE_INT, 0},
        {BYTES("\x7f"), TLY_VALUE_INT, 127},
        {BYTES("\xe0"), TLY_VALUE_INT, -32},
        {BYTES("\xff"), TLY_VALUE_INT, -1},
        {BYTES("\xcc\xff"), TLY_VALUE_INT, 255},
        {BYTES("\xcd\xff\xff"), TLY_VALUE_INT, 65535},
        {BYTES("\xce\xff\xff\xff\xff"), TLY_VALUE_INT, 4294967295},
        {BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), TLY_VALUE_INT, INT64_MAX},
        {BYTES("\xd0\x80"), TLY_VALUE_INT, -128},
        {BYTES("\xd1\x80\x00"), TLY_VALUE_INT, -32768},
        {BYTES("\xd2\x80\x00\x00\x00"), TLY_VALUE_INT, INT32_MIN},
        {BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), TLY_VALUE_INT, INT64_MIN},
        {BYTES("\xd3\x00\x00\x00\x00\x00\x00\x00\x05"), TLY_VALUE_INT, 5},
        {BYTES("\xc0"), TLY_VALUE_NIL, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_text rest = rows[i].bytes;
        struct tly_value value;
        assert_int_equal(tly_value_next(&rest, &value), 0);
        assert_int_equal(rest.len, 0);
        assert_int_equal(value.type, rows[i].type);
        assert_int_equal(value.integer, rows[i].integer);
        /* Any beginning of it is incomplete, and leaves the input alone. */
        for (size_t len = 0; len < rows[i].bytes.len; len++) {
            struct tly_text cut = {rows[i].bytes.at, len};
            assert_int_equal(tly_value_next(&cut, &value), TLY_E_MORE);
            assert_int_equal(cut.len, len);
        }
    }
}

static void test_other_scalars(void **state)
{
    (void)state;
    struct tly_text rest = TLY_TEXT(
        "\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc2\xc3\xca\x3f\xc0\x00\x00"
        "\xcb\xbf\xf0\x00\x00\x00\x00\x00\x00\xa2hi\xc4\x01\xff"
        "\xd4\x05x\xc7\x02\xfbyz\xdc\x00\x02\xdf\x00\x00\x00\x07\xc1");
    struct tly_value value;
    assert_int_equal(tly_value_next(&rest, &value), 0);
    assert_int_equal(value.type, TLY_VALUE_UINT);
    assert_true(value.natural == UINT64_MAX);
    assert_int_equal(tly_value_next(&rest, &value), 0);
    assert_true(value.type == TLY_VALUE_BOOL && !value.truth);
    assert_int_equal(tly_value_next(&rest, &value), 0);
    assert_true(value.type == TLY_VALUE_BOOL && value.truth);
    assert_int_equal(tly_value_next(&rest, &value), 0);
    assert_true(value.type == TLY_VALUE_FLOAT && value.single && value.real == 1.5);
    assert_int_equal(tly_value_next(&rest, &value), 0);
    assert_true(value.type == TLY_VALUE_FLOAT && !value.single && value.real == -1);
    assert_int_equal(tly_value_next(&rest, &value), 0);
    assert_true(value.type == TLY_VALUE_STR && tly_value_is(&value, "hi"));
    assert_int_equal(tly_value_next(&rest, &value), 0);
    assert_true(value.type == TLY_VALUE_BIN && tly_value_is(&value, "\xff"));
    assert_int_equal(tly_value_next(&rest, &value), 0);
    assert_true(value.type == TLY_VALUE_EXT && value.ext_type == 5 && value.bytes.len == 1);
    assert_int_equal(tly_value_next(&rest, &value), 0);
    assert_true(value.type == TLY_VALUE_EXT && value.ext_type == -5 && value.bytes.len == 2);
    assert_memory_equal(value.bytes.at, "yz", 2);
    assert_int_equal(tly_value_next(&rest, &value), 0);
    assert_true(value.type == TLY_VALUE_ARRAY && value.count == 2);
    assert_int_equal(tly_value_next(&rest, &value), 0);
    assert_true(value.type == TLY_VALUE_MAP && value.count == 7);
    assert_int_equal(tly_value_next(&rest, &value), TLY_E_MALFORMED);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        struct tly_text bytes;
        int rc;
        int64_t ns;
    } rows[] = {
        {BYTES("\x05"), 0, 5000000000},
        {BYTES("\xff"), 0, -1000000000},
        {BYTES("\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02"), 0, 1000000002},
        {BYTES("\xc7\x08\x00\x00\x00\x00\x01\x00\x00\x00\x02"), 0, 1000000002},
        {BYTES("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"), 0, 1500000000},
        {BYTES("\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00"), 0, -1500000000},
        {BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), TLY_E_MALFORMED, 0}, /* not a number */
        {BYTES("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), TLY_E_MALFORMED, 0}, /* infinite */
        {BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), TLY_E_MALFORMED, 0},
        {BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), TLY_E_MALFORMED, 0},
        {BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), TLY_E_MALFORMED, 0},
        {BYTES("\xd7\x01\x00\x00\x00\x01\x00\x00\x00\x02"), TLY_E_MALFORMED, 0}, /* type 1 */
        {BYTES("\xd6\x00\x00\x00\x00\x01"), TLY_E_MALFORMED, 0},                 /* 4 bytes */
        {BYTES("\xa1x"), TLY_E_MALFORMED, 0},
        {BYTES("\xc0"), TLY_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_text rest = rows[i].bytes;
        struct tly_value value;
        int64_t ns = 0;
        assert_int_equal(tly_value_next(&rest, &value), 0);
        assert_int_equal(tly_value_time(&value, &ns), rows[i].rc);
        assert_int_equal(ns, rows[i].ns);
    }
}

/* `depth` arrays, one in the other. */
static void nest(struct tly_buf *buf, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        assert_int_equal(tly_record_array(buf, 1), 0);
    }
    assert_int_equal(tly_record_nil(buf), 0);
}

static void test_scan(void **state)
{
    (void)state;
    static const struct {
        struct tly_text bytes;
        int rc;
    } rows[] = {
        {BYTES("\xc0"), 0},
        {BYTES("\x90"), 0},
        {BYTES("\x82\xa1k\x92\x01\x02\xc0\x80"), 0},
        {BYTES("\x93\x90\x90\x91\x91\xa3xyz"), 0},
        {BYTES("\xc1"), TLY_E_MALFORMED},
        {BYTES("\x92\x01\xc1"), TLY_E_MALFORMED},
        {BYTES("\xdf\xff\xff\xff\xff\x01"), TLY_E_MORE},
        {BYTES("\xdb\xff\xff\xff\xff\x01"), TLY_E_MORE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_value_scan scan = {0};
        size_t len = 0;
        assert_int_equal(tly_value_scan(&scan, rows[i].bytes, &len), rows[i].rc);
        if (rows[i].rc == 0) {
            assert_int_equal(len, rows[i].bytes.len);
        }
        /* Byte by byte the same, and never an end before the last. */
        scan = (struct tly_value_scan){0};
        for (size_t there = 0; rows[i].rc == 0 && there < rows[i].bytes.len; there++) {
            struct tly_text cut = {rows[i].bytes.at, there};
            assert_int_equal(tly_value_scan(&scan, cut, &len), TLY_E_MORE);
        }
        assert_int_equal(tly_value_scan(&scan, rows[i].bytes, &len), rows[i].rc);
    }
}

static void test_depth(void **state)
{
    (void)state;
    struct tly_text whole;
    struct tly_value first;
    struct tly_buf buf;
    tly_buf_init(&buf, BUF_MAX);
    nest(&buf, TLY_RECORD_DEPTH_MAX);
    struct tly_text rest = tly_buf_text(&buf);
    assert_int_equal(tly_value_whole(&rest, &first, &whole), 0);
    assert_int_equal(first.type, TLY_VALUE_ARRAY);
    assert_int_equal(whole.len, buf.len);
    tly_buf_clear(&buf);
    nest(&buf, TLY_RECORD_DEPTH_MAX + 1);
    rest = tly_buf_text(&buf);
    assert_int_equal(tly_value_whole(&rest, &first, &whole), TLY_E_LIMIT);
    assert_int_equal(rest.len, buf.len);
    tly_buf_done(&buf);
}

/* ---- the feed ---- */

static bool any_start(unsigned char first)
{
    return first != 'G';
}

struct seen {
    struct tly_buf all;
    unsigned values;
    int answer;
};

static int see(void *arg, struct tly_text value, struct tly_error *err)
{
    struct seen *seen = arg;
    (void)err;
    seen->values++;
    assert_int_equal(tly_buf_append_text(&seen->all, value), 0);
    assert_int_equal(tly_buf_append_text(&seen->all, TLY_TEXT("|")), 0);
    return seen->answer;
}

static void test_feed_splits(void **state)
{
    (void)state;
    const struct tly_text input = TLY_TEXT("\x92\x01\xa3xyz\xc0\xda\x00\x05hello\x81\x01\x02");
    const struct tly_text expected = TLY_TEXT(
        "\x92\x01\xa3xyz|\xc0|\xda\x00\x05hello|\x81\x01\x02|");
    for (size_t first = 0; first <= input.len; first++) {
        for (size_t second = first; second <= input.len; second++) {
            struct tly_value_feed feed;
            struct seen seen = {0};
            struct tly_error err;
            tly_buf_init(&seen.all, BUF_MAX);
            tly_value_feed_init(&feed, "value", any_start, 16);
            const struct tly_text parts[] = {{input.at, first},
                                             {input.at + first, second - first},
                                             {input.at + second, input.len - second}};
            for (size_t i = 0; i < 3; i++) {
                /* At the end of memory of its own, so that a sanitizer sees a read beyond. */
                char *copy = malloc(parts[i].len + 1);
                assert_non_null(copy);
                memcpy(copy + 1, parts[i].at, parts[i].len);
                struct tly_text part = {copy + 1, parts[i].len};
                assert_int_equal(tly_value_feed_read(&feed, part, see, &seen, &err), 0);
                free(copy);
            }
            assert_int_equal(seen.values, 4);
            assert_int_equal(seen.all.len, expected.len);
            assert_memory_equal(seen.all.at, expected.at, expected.len);
            assert_int_equal(feed.kept.len, 0);
            tly_buf_done(&seen.all);
            tly_value_feed_done(&feed);
        }
    }
}

static void test_feed_failures(void **state)
{
    (void)state;
    static const struct {
        struct tly_text bytes;
        int answer, rc;
        const char *says;
    } rows[] = {
        {BYTES("GET / HTTP/1.1\r\n"), 0, TLY_E_MALFORMED, "HTTP"},
        {BYTES("\x91\xc1"), 0, TLY_E_MALFORMED, "not valid msgpack"},
        {BYTES("\xd9\x0fxxxxxxxxxxxxxxx"), 0, TLY_E_LIMIT, "longer than 16 bytes"},
        {BYTES("\xdb\x7f\xff\xff\xff"), 0, TLY_E_LIMIT, "longer than 16 bytes"},
        {BYTES("\x01\x02"), -EPIPE, -EPIPE, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_value_feed feed;
        struct seen seen = {.answer = rows[i].answer};
        struct tly_error err = {0};
        tly_buf_init(&seen.all, BUF_MAX);
        tly_value_feed_init(&feed, "value", any_start, 16);
        assert_int_equal(tly_value_feed_read(&feed, rows[i].bytes, see, &seen, &err), rows[i].rc);
        assert_non_null(strstr(err.text, rows[i].says));
        tly_buf_done(&seen.all);
        tly_value_feed_done(&feed);
    }
}

/* What a sender claims takes no memory: only what it has sent. */
static void test_feed_memory(void **state)
{
    (void)state;
    struct tly_value_feed feed;
    struct seen seen = {0};
    struct tly_error err;
    tly_buf_init(&seen.all, BUF_MAX);
    tly_value_feed_init(&feed, "value", any_start, 1UL << 30);
    assert_int_equal(
        tly_value_feed_read(&feed, TLY_TEXT("\xdb\x3f\x00\x00\x00 begins"), see, &seen, &err), 0);
    assert_true(feed.kept.cap < 1024);
    tly_value_feed_done(&feed);
    tly_buf_done(&seen.all);
}

/* Between values nothing is kept, and of a value that has begun not much more than what is there,
 * however large the one before was. */
static void test_feed_gives_back(void **state)
{
    (void)state;
    enum { VALUE_BYTES = 100000, PIECE_BYTES = 4096 };
    struct tly_value_feed feed;
    struct seen seen = {0};
    struct tly_error err;
    struct tly_buf value;
    tly_buf_init(&seen.all, BUF_MAX);
    tly_buf_init(&value, BUF_MAX);
    char *bytes = calloc(1, VALUE_BYTES);
    assert_non_null(bytes);
    assert_int_equal(tly_record_bin(&value, (struct tly_text){bytes, VALUE_BYTES}), 0);
    tly_value_feed_init(&feed, "value", any_start, BUF_MAX);
    for (size_t behind = 0; behind <= 1; behind++) {
        struct tly_text head = {value.at, value.len - 1};
        assert_int_equal(tly_value_feed_read(&feed, head, see, &seen, &err), 0);
        assert_true(feed.kept.cap >= head.len);
        /* The last byte, and a first one of the next value. */
        bytes[1] = '\x92';
        assert_int_equal(
            tly_value_feed_read(&feed, (struct tly_text){bytes, 1 + behind}, see, &seen, &err), 0);
        assert_int_equal(seen.values, 1 + behind);
        assert_int_equal(feed.kept.len, behind);
        assert_true(feed.kept.cap <= behind * PIECE_BYTES);
    }
    tly_value_feed_done(&feed);
    tly_buf_done(&value);
    tly_buf_done(&seen.all);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),         cmocka_unit_test(test_other_scalars),
        cmocka_unit_test(test_times),           cmocka_unit_test(test_scan),
        cmocka_unit_test(test_depth),           cmocka_unit_test(test_feed_splits),
        cmocka_unit_test(test_feed_failures),   cmocka_unit_test(test_feed_memory),
        cmocka_unit_test(test_feed_gives_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
