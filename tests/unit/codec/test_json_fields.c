/*
 * JSON lines as packed fields, read back as JSON: every kind of value, names that are taken, what
 * is no object, and the bounds.
 */
#include "agent/codec/json_fields.h"
#include "agent/codec/record.h"
#include "agent/codec/record_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define BUF_MAX (1UL << 20)

static bool is_taken(const void *arg, struct tly_text name)
{
    return tly_text_equal(name, tly_text_of(arg));
}

/* What the line is packed to, as JSON. */
static void packed_as_json(struct tly_text line, const char *taken, struct tly_buf *json,
                           struct tly_json_fields *ret_fields)
{
    struct tly_buf pairs;
    struct tly_buf map;
    tly_buf_init(&pairs, BUF_MAX);
    tly_buf_init(&map, BUF_MAX);
    assert_int_equal(tly_json_fields_pack(line, taken ? is_taken : NULL, taken, &pairs, ret_fields),
                     0);
    assert_int_equal(tly_record_map(&map, ret_fields->count), 0);
    assert_int_equal(tly_buf_append_text(&map, tly_buf_text(&pairs)), 0);
    assert_int_equal(tly_record_json(json, tly_buf_text(&map), (struct tly_json_style){0}), 0);
    tly_buf_done(&pairs);
    tly_buf_done(&map);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *line, *packed;
    } rows[] = {
        {"{}", NULL},
        {" {\t} \r\n", "{}"},
        {"{\"a\":1}", NULL},
        {"{\"a\":\"\",\"b\":\"x\"}", NULL},
        {" { \"a\" : [ 1 , { \"b\" : null } , [ ] , { } ] , \"c\" : true , \"d\" : false } ",
         "{\"a\":[1,{\"b\":null},[],{}],\"c\":true,\"d\":false}"},
        {"{\"n\":[0,-1,127,128,255,256,65535,65536,4294967295,4294967296]}", NULL},
        {"{\"n\":[-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649]}", NULL},
        {"{\"n\":[9223372036854775807,18446744073709551615,-9223372036854775808]}", NULL},
        {"{\"n\":[0.5,1e3,-1.25E-2,1.0,-0,18446744073709551616]}",
         "{\"n\":[0.5,1000,-0.0125,1,-0,1.8446744073709552e+19]}"},
        {"{\"a\":\"\\u00e9\\ud83d\\ude00\\n\\\"\\\\\\/\"}",
         "{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\\n\\\"\\\\/\"}"},
        {"{\"\\u0061\":\"\\ud800\"}", "{\"a\":\"\xef\xbf\xbd\"}"},
        {"{\"a\":1,\"a\":2}", NULL},
        /* 32 escaped bytes are a text of 16, which has the shorter head. */
        {"{\"a\":\"\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\",\"b\":2}", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_json_fields fields;
        struct tly_buf json;
        tly_buf_init(&json, BUF_MAX);
        packed_as_json(tly_text_of(rows[i].line), NULL, &json, &fields);
        assert_int_equal(tly_buf_append(&json, "", 1), 0);
        assert_string_equal(json.at, rows[i].packed ? rows[i].packed : rows[i].line);
        tly_buf_done(&json);
    }
}

static void test_taken_names_are_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *line, *packed;
        uint32_t left_out;
    } rows[] = {
        {"{\"log\":1}", "{}", 1},
        {"{\"log\":{\"log\":[1,2]},\"b\":{\"log\":3}}", "{\"b\":{\"log\":3}}", 1},
        {"{\"a\":1,\"log\":[],\"b\":2,\"log\":\"x\"}", "{\"a\":1,\"b\":2}", 2},
        {"{\"logs\":1,\"lo\\u0067\":2}", "{\"logs\":1}", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_json_fields fields;
        struct tly_buf json;
        tly_buf_init(&json, BUF_MAX);
        packed_as_json(tly_text_of(rows[i].line), "log", &json, &fields);
        assert_int_equal(tly_buf_append(&json, "", 1), 0);
        assert_string_equal(json.at, rows[i].packed);
        assert_int_equal(fields.left_out, rows[i].left_out);
        tly_buf_done(&json);
    }
}

static void test_what_is_no_object(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int rc;
    } rows[] = {
        {"", TLY_E_MALFORMED},
        {"plain text", TLY_E_MALFORMED},
        {"[1]", TLY_E_MALFORMED},
        {"\"a\"", TLY_E_MALFORMED},
        {"{", TLY_E_MALFORMED},
        {"{\"a\"", TLY_E_MALFORMED},
        {"{\"a\":", TLY_E_MALFORMED},
        {"{\"a\":1", TLY_E_MALFORMED},
        {"{\"a\":1,", TLY_E_MALFORMED},
        {"{\"a\":1,}", TLY_E_MALFORMED},
        {"{\"a\":1]", TLY_E_MALFORMED},
        {"{\"a\":[1}", TLY_E_MALFORMED},
        {"{\"a\":1}}", TLY_E_MALFORMED},
        {"{\"a\":1} behind", TLY_E_MALFORMED},
        {"{a:1}", TLY_E_MALFORMED},
        {"{\"a\" 1}", TLY_E_MALFORMED},
        {"{\"a\":\"open}", TLY_E_MALFORMED},
        {"{\"a\":\"\\", TLY_E_MALFORMED},
        {"{\"a\":\"\\x41\"}", TLY_E_MALFORMED},
        {"{\"a\":01}", TLY_E_MALFORMED},
        {"{\"a\":1.}", TLY_E_MALFORMED},
        {"{\"a\":.5}", TLY_E_MALFORMED},
        {"{\"a\":-}", TLY_E_MALFORMED},
        {"{\"a\":1e}", TLY_E_MALFORMED},
        {"{\"a\":+1}", TLY_E_MALFORMED},
        {"{\"a\":NaN}", TLY_E_MALFORMED},
        {"{\"a\":tru}", TLY_E_MALFORMED},
        {"{\"n\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[0,-0]}",
         TLY_E_MALFORMED}, /* more heads than text */
        {"{\"a\":1e999}", TLY_E_LIMIT},
        {"{\"a\":1111111111222222222233333333334444444444555555555566666666667777}", TLY_E_LIMIT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_json_fields fields;
        struct tly_buf pairs;
        tly_buf_init(&pairs, BUF_MAX);
        assert_int_equal(tly_buf_append(&pairs, "kept", 4), 0);
        assert_int_equal(
            tly_json_fields_pack(tly_text_of(rows[i].line), NULL, NULL, &pairs, &fields),
            rows[i].rc);
        assert_true(tly_text_equal(tly_buf_text(&pairs), TLY_TEXT("kept")));
        tly_buf_done(&pairs);
    }
}

/* An object in an object and so on, `depth` of them. */
static int pack_deep(size_t depth)
{
    char line[8 * TLY_JSON_FIELDS_DEPTH_MAX];
    char *to = line;
    for (size_t i = 0; i + 1 < depth; i++) {
        to = memcpy(to, "{\"a\":", 5);
        to += 5;
    }
    *to++ = '{';
    memset(to, '}', depth);
    struct tly_json_fields fields;
    struct tly_buf pairs;
    tly_buf_init(&pairs, BUF_MAX);
    int rc = tly_json_fields_pack((struct tly_text){line, (size_t)(to - line) + depth}, NULL, NULL,
                                  &pairs, &fields);
    tly_buf_done(&pairs);
    return rc;
}

static void test_bounds(void **state)
{
    (void)state;
    struct tly_json_fields fields;
    struct tly_buf pairs;
    assert_int_equal(pack_deep(TLY_JSON_FIELDS_DEPTH_MAX), 0);
    assert_int_equal(pack_deep(TLY_JSON_FIELDS_DEPTH_MAX + 1), TLY_E_LIMIT);
    tly_buf_init(&pairs, 8);
    assert_int_equal(tly_json_fields_pack(TLY_TEXT("{\"a\":1}"), NULL, NULL, &pairs, &fields),
                     TLY_E_LIMIT);
    assert_int_equal(pairs.len, 0);
    tly_buf_done(&pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_taken_names_are_left_out),
        cmocka_unit_test(test_what_is_no_object),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
