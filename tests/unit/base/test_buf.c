/*
 * The bounded buffer: its maximum, what a failed call leaves, and decimal numbers against a slow
 * and plain reference.
 */
#include "agent/base/buf.h"
#include "agent/base/random.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <inttypes.h>

/* Under a sanitizer too, memory that no machine has is an answer and no reason to abort. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void appends_and_grows(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, 100000);
    size_t grown = 0;
    size_t cap = 0;
    for (int i = 0; i < 100000; i++) {
        char byte = (char)('a' + i % 26);
        assert_int_equal(tly_buf_append(&buf, &byte, 1), 0);
        if (buf.cap != cap) {
            grown++;
            cap = buf.cap;
        }
    }
    assert_int_equal(buf.len, 100000);
    assert_in_range(grown, 1, 13); /* 64, 128, ... : doubling, not one byte at a time */
    for (size_t i = 0; i < buf.len; i++) {
        assert_int_equal(buf.at[i], 'a' + i % 26);
    }
    assert_int_equal(tly_buf_append(&buf, "x", 1), TLY_E_LIMIT);
    tly_buf_done(&buf);
    assert_null(buf.at);
    assert_int_equal(tly_buf_append(&buf, "again", 5), 0);
    tly_buf_done(&buf);
}

static void never_passes_the_maximum(void **state)
{
    (void)state;
    struct tly_buf buf;
    char *at;
    tly_buf_init(&buf, 10);
    assert_int_equal(tly_buf_append(&buf, "0123456", 7), 0);
    assert_int_equal(tly_buf_append(&buf, "xxxx", 4), TLY_E_LIMIT);
    assert_int_equal(tly_buf_reserve(&buf, 4, &at), TLY_E_LIMIT);
    assert_int_equal(tly_buf_reserve(&buf, SIZE_MAX, &at), TLY_E_LIMIT);
    assert_int_equal(tly_buf_printf(&buf, "%d", 1234), TLY_E_LIMIT);
    expect_text(tly_buf_text(&buf), "0123456");
    assert_int_equal(tly_buf_append(&buf, "789", 3), 0);
    expect_text(tly_buf_text(&buf), "0123456789");
    assert_int_equal(tly_buf_append(&buf, "", 0), 0);
    assert_int_equal(tly_buf_printf(&buf, "%s", ""), 0);
    tly_buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    assert_non_null(buf.at);
    tly_buf_done(&buf);

    tly_buf_init(&buf, 0);
    assert_int_equal(tly_buf_append(&buf, "x", 1), TLY_E_LIMIT);
    assert_int_equal(tly_buf_reserve(&buf, 0, &at), 0);
    assert_non_null(at);
    tly_buf_done(&buf);

    /* No maximum to speak of: the sum must not wrap, and what no machine has is -ENOMEM. */
    tly_buf_init(&buf, SIZE_MAX);
    assert_int_equal(tly_buf_append(&buf, "abc", 3), 0);
    assert_int_equal(tly_buf_reserve(&buf, SIZE_MAX - 1, &at), TLY_E_LIMIT);
    assert_int_equal(tly_buf_reserve(&buf, SIZE_MAX / 2, &at), -ENOMEM);
    expect_text(tly_buf_text(&buf), "abc");
    tly_buf_done(&buf);
}

static void prints_up_to_the_last_byte(void **state)
{
    (void)state;
    for (size_t max = 1; max < 200; max++) {
        struct tly_buf buf;
        tly_buf_init(&buf, max);
        assert_int_equal(tly_buf_printf(&buf, "%0*d", (int)max, 7), 0);
        assert_int_equal(buf.len, max);
        assert_int_equal(buf.at[max - 1], '7');
        assert_int_equal(tly_buf_printf(&buf, "%c", 'x'), TLY_E_LIMIT);
        assert_int_equal(buf.len, max);
        tly_buf_done(&buf);
    }
    struct tly_buf buf;
    tly_buf_init(&buf, 1000);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(tly_buf_printf(&buf, "%d,", i % 10), 0);
    }
    assert_int_equal(buf.len, 100);
    assert_memory_equal(buf.at, "0,1,2,3,4,", 10);
    tly_buf_done(&buf);
}

static void reserves_for_the_writer(void **state)
{
    (void)state;
    struct tly_buf buf;
    char *at;
    tly_buf_init(&buf, 64);
    assert_int_equal(tly_buf_append(&buf, "ab", 2), 0);
    assert_int_equal(tly_buf_reserve(&buf, 3, &at), 0);
    assert_int_equal(buf.len, 2);
    at[0] = 'c';
    at[1] = 'd';
    at[2] = 'e';
    buf.len += 3;
    expect_text(tly_buf_text(&buf), "abcde");
    tly_buf_done(&buf);
}

static void consumes_and_is_taken(void **state)
{
    (void)state;
    struct tly_buf buf;
    size_t len = 99;
    tly_buf_init(&buf, 64);
    assert_null(tly_buf_take(&buf, &len));
    assert_int_equal(len, 0);
    tly_buf_consume(&buf, 0);
    assert_int_equal(tly_buf_append_text(&buf, TLY_TEXT("0123456789")), 0);
    tly_buf_consume(&buf, 0);
    tly_buf_consume(&buf, 4);
    expect_text(tly_buf_text(&buf), "456789");
    char *taken = tly_buf_take(&buf, &len);
    assert_int_equal(len, 6);
    assert_memory_equal(taken, "456789", 6);
    free(taken);
    assert_null(buf.at);
    assert_int_equal(tly_buf_append(&buf, "new", 3), 0);
    tly_buf_consume(&buf, 3);
    expect_text(tly_buf_text(&buf), "");
    tly_buf_done(&buf);
}

static void writes_decimals(void **state)
{
    (void)state;
    static const struct {
        int64_t raw;
        int exponent;
        const char *text;
    } rows[] = {
        {0, 0, "0"},
        {5, 0, "5"},
        {-5, 0, "-5"},
        {10, 0, "10"},
        {99, 0, "99"},
        {100, 0, "100"},
        {12345, 0, "12345"},
        {INT64_MAX, 0, "9223372036854775807"},
        {INT64_MIN, 0, "-9223372036854775808"},
        {1234567, -6, "1.234567"},
        {1500000, -6, "1.5"},
        {1000000, -6, "1"},
        {0, -6, "0"},
        {1, -9, "0.000000001"},
        {-1, -9, "-0.000000001"},
        {10, -9, "0.00000001"},
        {-1000000000, -9, "-1"},
        {100, -1, "10"},
        {105, -1, "10.5"},
        {5, -1, "0.5"},
        {INT64_MAX, -1, "922337203685477580.7"},
        {INT64_MAX, -9, "9223372036.854775807"},
        {INT64_MIN, -9, "-9223372036.854775808"},
        {INT64_MIN, -3, "-9223372036854775.808"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char to[TLY_DECIMAL_MAX];
        size_t len = tly_decimal_write(to, rows[i].raw, rows[i].exponent);
        expect_text((struct tly_text){to, len}, rows[i].text);
    }
}

/* The same by printf and by hand. */
static void slow_decimal(char *to, size_t cap, int64_t raw, int exponent)
{
    uint64_t scale = 1;
    for (int i = exponent; i < 0; i++) {
        scale *= 10;
    }
    uint64_t magnitude = raw < 0 ? 0 - (uint64_t)raw : (uint64_t)raw;
    int len = snprintf(to, cap, "%s%" PRIu64 ".%0*" PRIu64, raw < 0 ? "-" : "", magnitude / scale,
                       -exponent, magnitude % scale);
    assert_in_range(len, 1, cap - 1);
    while (to[len - 1] == '0') {
        to[--len] = '\0';
    }
    if (to[len - 1] == '.') {
        to[--len] = '\0';
    }
}

static void check_decimal(int64_t raw)
{
    for (int exponent = 0; exponent >= -9; exponent--) {
        char expected[64];
        if (exponent == 0) {
            (void)snprintf(expected, sizeof(expected), "%" PRId64, raw);
        } else {
            slow_decimal(expected, sizeof(expected), raw, exponent);
        }
        /* Exactly the room that is promised, where a sanitizer sees the byte after it. */
        char *to = malloc(TLY_DECIMAL_MAX);
        assert_non_null(to);
        size_t len = tly_decimal_write(to, raw, exponent);
        expect_text((struct tly_text){to, len}, expected);
        free(to);
    }
}

static void decimals_agree_with_the_reference(void **state)
{
    (void)state;
    check_decimal(INT64_MIN);
    check_decimal(INT64_MAX);
    for (int64_t power = 1; power <= INT64_MAX / 10; power *= 10) {
        for (int64_t near = -2; near <= 2; near++) {
            check_decimal(power + near);
            check_decimal(-(power + near));
        }
    }
    for (int64_t small = -12000; small <= 12000; small++) {
        check_decimal(small);
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = tly_random_u64();
        check_decimal((int64_t)(bits >> (bits & 63)));
        check_decimal(-(int64_t)(bits >> 1 >> (bits & 63)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_grows),
        cmocka_unit_test(never_passes_the_maximum),
        cmocka_unit_test(prints_up_to_the_last_byte),
        cmocka_unit_test(reserves_for_the_writer),
        cmocka_unit_test(consumes_and_is_taken),
        cmocka_unit_test(writes_decimals),
        cmocka_unit_test(decimals_agree_with_the_reference),
    };
    return cmocka_run_group_tests_name("base:buf", tests, NULL, NULL);
}
