/*
 * JSON written piece by piece, and what is left of it after a failure.
 */
#include "agent/codec/json_writer.h"
#include "agent/model/container.h"
#include "tests/unit/unit.h"

#include <string.h>

#define WHOLE "{\"a\\\"\xef\xbf\xbd\":[0.25,null,\"\",\"1970-01-01T00:00:01.000000000Z\"]}"

static void write_all(struct tly_json_writer *writer)
{
    tly_json_put(writer, "{");
    tly_json_put_text(writer, TLY_TEXT("a\"\xff"));
    tly_json_put(writer, ":[");
    tly_json_put_decimal(writer, 25, -2);
    tly_json_put(writer, ",");
    tly_json_put_decimal(writer, TLY_UNKNOWN, 0);
    tly_json_put(writer, ",");
    tly_json_put_text(writer, (struct tly_text){NULL, 0});
    tly_json_put(writer, ",");
    tly_json_put_time(writer, 1000000000);
    tly_json_put(writer, "]}");
}

static void test_kinds(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, SIZE_MAX);
    struct tly_json_writer writer = {.buf = &buf};
    write_all(&writer);
    assert_int_equal(writer.rc, 0);
    assert_true(tly_text_equal(tly_buf_text(&buf), TLY_TEXT(WHOLE)));
    tly_buf_done(&buf);
}

static void test_nothing_follows_a_failure(void **state)
{
    (void)state;
    for (size_t max = 0; max < strlen(WHOLE); max++) {
        struct tly_buf buf;
        tly_buf_init(&buf, max);
        struct tly_json_writer writer = {.buf = &buf};
        write_all(&writer);
        assert_int_equal(writer.rc, TLY_E_LIMIT);
        if (buf.len > 0) {
            assert_memory_equal(buf.at, WHOLE, buf.len);
        }
        tly_buf_done(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_nothing_follows_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
