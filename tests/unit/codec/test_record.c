/*
 * The msgpack writer: every form at both ends of its range, byte for byte as the specification has
 * it, and msgpack-c as an independent reader of the same bytes.
 */
#include "agent/base/clock.h"
#include "agent/codec/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <msgpack.h>

#define BUF_MAX (1UL << 20)

static void assert_bytes(const struct tly_buf *buf, const char *expected, size_t len)
{
    assert_int_equal(buf->len, len);
    assert_memory_equal(buf->at, expected, len);
}

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *bytes;
        size_t len;
    } rows[] = {
        {0, "\x00", 1},
        {127, "\x7f", 1},
        {128, "\xcc\x80", 2},
        {255, "\xcc\xff", 2},
        {256, "\xcd\x01\x00", 3},
        {65535, "\xcd\xff\xff", 3},
        {65536, "\xce\x00\x01\x00\x00", 5},
        {4294967295, "\xce\xff\xff\xff\xff", 5},
        {4294967296, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 9},
        {INT64_MAX, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9},
        {-1, "\xff", 1},
        {-32, "\xe0", 1},
        {-33, "\xd0\xdf", 2},
        {-128, "\xd0\x80", 2},
        {-129, "\xd1\xff\x7f", 3},
        {-32768, "\xd1\x80\x00", 3},
        {-32769, "\xd2\xff\xff\x7f\xff", 5},
        {INT32_MIN, "\xd2\x80\x00\x00\x00", 5},
        {INT32_MIN - 1LL, "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff", 9},
        {INT64_MIN, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_buf buf;
        tly_buf_init(&buf, BUF_MAX);
        assert_int_equal(tly_record_int(&buf, rows[i].value), 0);
        assert_bytes(&buf, rows[i].bytes, rows[i].len);
        tly_buf_done(&buf);
    }
}

static void test_heads(void **state)
{
    (void)state;
    static const struct {
        char *(*put)(char *at, uint32_t count);
        uint32_t count;
        const char *bytes;
        size_t len;
    } rows[] = {
        {tly_record_put_array, 0, "\x90", 1},
        {tly_record_put_array, 15, "\x9f", 1},
        {tly_record_put_array, 16, "\xdc\x00\x10", 3},
        {tly_record_put_array, 65535, "\xdc\xff\xff", 3},
        {tly_record_put_array, 65536, "\xdd\x00\x01\x00\x00", 5},
        {tly_record_put_map, 0, "\x80", 1},
        {tly_record_put_map, 15, "\x8f", 1},
        {tly_record_put_map, 16, "\xde\x00\x10", 3},
        {tly_record_put_map, UINT32_MAX, "\xdf\xff\xff\xff\xff", 5},
        {tly_record_put_str_head, 0, "\xa0", 1},
        {tly_record_put_str_head, 31, "\xbf", 1},
        {tly_record_put_str_head, 32, "\xd9\x20", 2},
        {tly_record_put_str_head, 255, "\xd9\xff", 2},
        {tly_record_put_str_head, 256, "\xda\x01\x00", 3},
        {tly_record_put_str_head, 65536, "\xdb\x00\x01\x00\x00", 5},
        {tly_record_put_str32_head, 1, "\xdb\x00\x00\x00\x01", 5},
        {tly_record_put_bin_head, 0, "\xc4\x00", 2},
        {tly_record_put_bin_head, 255, "\xc4\xff", 2},
        {tly_record_put_bin_head, 256, "\xc5\x01\x00", 3},
        {tly_record_put_bin_head, 65535, "\xc5\xff\xff", 3},
        {tly_record_put_bin_head, 65536, "\xc6\x00\x01\x00\x00", 5},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char to[TLY_RECORD_HEAD_MAX];
        size_t len = (size_t)(rows[i].put(to, rows[i].count) - to);
        assert_int_equal(len, rows[i].len);
        assert_memory_equal(to, rows[i].bytes, len);
    }
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *bytes;
    } rows[] = {
        {0, "\xd7\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
        {-5, "\xd7\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
        {1 * TLY_NS_PER_S + 2, "\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02"},
        {1787444910123456789, "\xd7\x00\x6a\x8a\x3e\xae\x07\x5b\xcd\x15"},
        /* The last that is no mark of Fluent Bit's, and what is later. */
        {0xfffffffdLL * TLY_NS_PER_S + 999999999, "\xd7\x00\xff\xff\xff\xfd\x3b\x9a\xc9\xff"},
        {0xfffffffeLL * TLY_NS_PER_S, "\xd7\x00\xff\xff\xff\xfd\x00\x00\x00\x00"},
        {INT64_MAX, "\xd7\x00\xff\xff\xff\xfd\x00\x00\x00\x00"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_buf buf;
        tly_buf_init(&buf, BUF_MAX);
        assert_int_equal(tly_record_time(&buf, rows[i].ns), 0);
        assert_bytes(&buf, rows[i].bytes, TLY_RECORD_TIME_MAX);
        tly_buf_done(&buf);
    }
}

/* A record with every kind of value, as msgpack-c reads it. */
static void test_independent_reader(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, BUF_MAX);
    assert_int_equal(tly_record_array(&buf, 2), 0);
    assert_int_equal(tly_record_time(&buf, 7 * TLY_NS_PER_S), 0);
    assert_int_equal(tly_record_map(&buf, 5), 0);
    assert_int_equal(tly_record_str(&buf, TLY_TEXT("log")), 0);
    assert_int_equal(tly_record_str(&buf, TLY_TEXT("a line\0with a zero")), 0);
    assert_int_equal(tly_record_str(&buf, TLY_TEXT("bin")), 0);
    assert_int_equal(tly_record_bin(&buf, TLY_TEXT("\xff\x00")), 0);
    assert_int_equal(tly_record_str(&buf, TLY_TEXT("float")), 0);
    assert_int_equal(tly_record_float(&buf, -0.25), 0);
    assert_int_equal(tly_record_str(&buf, TLY_TEXT("bool")), 0);
    assert_int_equal(tly_record_bool(&buf, true), 0);
    assert_int_equal(tly_record_str(&buf, (struct tly_text){0}), 0);
    assert_int_equal(tly_record_nil(&buf), 0);

    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t at = 0;
    assert_int_equal(msgpack_unpack_next(&unpacked, buf.at, buf.len, &at), MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(at, buf.len);
    msgpack_object root = unpacked.data;
    assert_int_equal(root.type, MSGPACK_OBJECT_ARRAY);
    assert_int_equal(root.via.array.size, 2);
    assert_int_equal(root.via.array.ptr[0].type, MSGPACK_OBJECT_EXT);
    assert_int_equal(root.via.array.ptr[0].via.ext.type, 0);
    assert_int_equal(root.via.array.ptr[0].via.ext.size, 8);
    msgpack_object map = root.via.array.ptr[1];
    assert_int_equal(map.type, MSGPACK_OBJECT_MAP);
    assert_int_equal(map.via.map.size, 5);
    const msgpack_object_kv *pairs = map.via.map.ptr;
    assert_int_equal(pairs[0].val.via.str.size, 18);
    assert_memory_equal(pairs[0].val.via.str.ptr, "a line\0with a zero", 18);
    assert_int_equal(pairs[1].val.type, MSGPACK_OBJECT_BIN);
    assert_int_equal(pairs[1].val.via.bin.size, 2);
    assert_true(pairs[2].val.via.f64 == -0.25);
    assert_true(pairs[3].val.via.boolean);
    assert_int_equal(pairs[4].key.via.str.size, 0);
    assert_int_equal(pairs[4].val.type, MSGPACK_OBJECT_NIL);
    msgpack_unpacked_destroy(&unpacked);
    tly_buf_done(&buf);
}

static void test_no_room(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, 8);
    assert_int_equal(tly_record_str(&buf, TLY_TEXT("abc")), 0);
    assert_int_equal(tly_record_str(&buf, TLY_TEXT("abcde")), TLY_E_LIMIT);
    assert_int_equal(tly_record_int(&buf, 1), TLY_E_LIMIT);
    assert_int_equal(tly_record_map(&buf, 1), TLY_E_LIMIT);
    assert_int_equal(tly_record_array(&buf, 1), TLY_E_LIMIT);
    assert_int_equal(tly_record_time(&buf, 1), TLY_E_LIMIT);
    assert_int_equal(tly_record_float(&buf, 1), TLY_E_LIMIT);
    assert_bytes(&buf,
                 "\xa3"
                 "abc",
                 4);
    assert_int_equal(tly_record_nil(&buf), 0);
    assert_bytes(&buf,
                 "\xa3"
                 "abc\xc0",
                 5);
    tly_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers), cmocka_unit_test(test_heads),
        cmocka_unit_test(test_times),    cmocka_unit_test(test_independent_reader),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
