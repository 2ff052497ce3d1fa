/*
 * Records as JSON: every kind of value, hostile text, both styles, and the bounds.
 */
#include "agent/codec/record.h"
#include "agent/codec/record_json.h"
#include "agent/codec/record_reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define BUF_MAX (1UL << 20)

#define BYTES(literal)                                                                             \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static void test_values(void **state)
{
    (void)state;
    static const struct {
        struct tly_text value;
        struct tly_text json;
    } rows[] = {
        {BYTES("\xc0"), BYTES("null")},
        {BYTES("\xc3"), BYTES("true")},
        {BYTES("\xc2"), BYTES("false")},
        {BYTES("\xe0"), BYTES("-32")},
        {BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), BYTES("18446744073709551615")},
        {BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), BYTES("-9223372036854775808")},
        {BYTES("\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a"), BYTES("0.1")},
        {BYTES("\xcb\x3f\xd5\x55\x55\x55\x55\x55\x55"), BYTES("0.3333333333333333")},
        {BYTES("\xca\x3d\xcc\xcc\xcd"), BYTES("0.1")},
        {BYTES("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), BYTES("null")},
        {BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), BYTES("null")},
        {BYTES("\xcb\x7e\x37\xe4\x3c\x88\x00\x75\x9c"), BYTES("1e+300")},
        {BYTES("\xa0"), BYTES("\"\"")},
        {BYTES("\xc4\x02ok"), BYTES("\"ok\"")},
        {BYTES("\x90"), BYTES("[]")},
        {BYTES("\x80"), BYTES("{}")},
        {BYTES("\x93\x01\xc0\x91\xa1x"), BYTES("[1,null,[\"x\"]]")},
        {BYTES("\x82\xa1k\x81\xa1m\x02\xa1n\x90"), BYTES("{\"k\":{\"m\":2},\"n\":[]}")},
        /* Keys that JSON does not have. */
        {BYTES("\x83\x05\x01\xc3\x02\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x03"),
         BYTES("{\"5\":1,\"true\":2,\"1.5\":3}")},
        {BYTES("\x82\x92\x01\x02\x01\x81\xa1x\x01\x02"), BYTES("{\"[]\":1,\"{}\":2}")},
        {BYTES("\x81\xd4\x05\x00\x01"),
         BYTES("{\"{\\\"type\\\":5,\\\"data\\\":\\\"AA==\\\"}\":1}")},
        {BYTES("\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02"),
         BYTES("\"1970-01-01T00:00:01.000000002Z\"")},
        {BYTES("\xc7\x03\xfe\x01\x02\x03"), BYTES("{\"type\":-2,\"data\":\"AQID\"}")},
        {BYTES("\xc7\x00\x07"), BYTES("{\"type\":7,\"data\":\"\"}")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_buf buf;
        tly_buf_init(&buf, BUF_MAX);
        assert_int_equal(tly_record_json(&buf, rows[i].value, (struct tly_json_style){0}), 0);
        assert_int_equal(buf.len, rows[i].json.len);
        assert_memory_equal(buf.at, rows[i].json.at, buf.len);
        tly_buf_done(&buf);
    }
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        struct tly_text text;
        bool raw_bytes;
        struct tly_text json;
    } rows[] = {
        {BYTES("plain"), false, BYTES("\"plain\"")},
        {BYTES("q\"b\\s/"), false, BYTES("\"q\\\"b\\\\s/\"")},
        {BYTES("\0\b\t\n\v\f\r\x1b\x1f\x7f"), false,
         BYTES("\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001b\\u001f\x7f\"")},
        {BYTES("Gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\xa2"), false,
         BYTES("\"Gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\xa2\"")},
        {BYTES("\xff"), false, BYTES("\"\xef\xbf\xbd\"")},
        {BYTES("a\xc3"), false, BYTES("\"a\xef\xbf\xbd\"")},
        {BYTES("\xed\xa0\x80z"), false, BYTES("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"")},
        {BYTES("\xff\xc3\n"), true, BYTES("\"\xff\xc3\\n\"")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_buf buf;
        tly_buf_init(&buf, BUF_MAX);
        struct tly_json_style style = {.raw_bytes = rows[i].raw_bytes};
        assert_int_equal(tly_record_json_text(&buf, rows[i].text, style), 0);
        assert_int_equal(buf.len, rows[i].json.len);
        assert_memory_equal(buf.at, rows[i].json.at, buf.len);
        tly_buf_done(&buf);
    }
}

/* Longer than one slice, with an escape at every place around the cut. */
static void test_long_text(void **state)
{
    (void)state;
    enum { SLICE = 16384, AROUND = 8, LEN = 2 * SLICE + 100 };
    char *text = malloc(LEN);
    assert_non_null(text);
    for (size_t place = SLICE - AROUND; place < SLICE + AROUND; place++) {
        memset(text, 'x', LEN);
        text[place] = '\x01';
        struct tly_buf buf;
        tly_buf_init(&buf, BUF_MAX);
        assert_int_equal(
            tly_record_json_text(&buf, (struct tly_text){text, LEN}, (struct tly_json_style){0}),
            0);
        assert_int_equal(buf.len, LEN + 2 + 5);
        assert_memory_equal(buf.at + 1 + place, "\\u0001", 6);
        tly_buf_done(&buf);
    }
    free(text);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        struct tly_text value;
        int rc;
    } rows[] = {
        {BYTES(""), TLY_E_MORE},
        {BYTES("\x91"), TLY_E_MORE},
        {BYTES("\x81\xa1k"), TLY_E_MORE},
        {BYTES("\x81\xa5k"), TLY_E_MORE},
        {BYTES("\x91\xc1"), TLY_E_MALFORMED},
        {BYTES("\xdd\xff\xff\xff\xff\x01"), TLY_E_MORE},
    };
    struct tly_buf buf;
    tly_buf_init(&buf, BUF_MAX);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(tly_record_json(&buf, rows[i].value, (struct tly_json_style){0}),
                         rows[i].rc);
        tly_buf_clear(&buf);
    }
    struct tly_buf deep;
    tly_buf_init(&deep, BUF_MAX);
    for (unsigned i = 0; i <= TLY_RECORD_DEPTH_MAX; i++) {
        assert_int_equal(tly_record_array(&deep, 1), 0);
    }
    assert_int_equal(tly_record_nil(&deep), 0);
    assert_int_equal(tly_record_json(&buf, tly_buf_text(&deep), (struct tly_json_style){0}),
                     TLY_E_LIMIT);
    tly_buf_done(&deep);
    tly_buf_done(&buf);

    tly_buf_init(&buf, 4);
    assert_int_equal(tly_record_json(&buf, TLY_TEXT("\xa5hello"), (struct tly_json_style){0}),
                     TLY_E_LIMIT);
    assert_true(buf.len <= 4);
    tly_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
