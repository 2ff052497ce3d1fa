/*
 * What gzip packed comes back; several members follow each other; damage and bombs are refused.
 */
#include "agent/codec/gunzip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gzip_member.h"

#define BUF_MAX (8UL << 20)

static void test_members(void **state)
{
    (void)state;
    struct tly_buf packed;
    struct tly_buf plain;
    tly_buf_init(&packed, BUF_MAX);
    tly_buf_init(&plain, BUF_MAX);
    gzip_member(&packed, TLY_TEXT("one "));
    assert_true(tly_gunzip_sniff(tly_buf_text(&packed)));
    gzip_member(&packed, TLY_TEXT(""));
    gzip_member(&packed, TLY_TEXT("two"));
    assert_int_equal(tly_gunzip(tly_buf_text(&packed), &plain), 0);
    assert_int_equal(plain.len, 7);
    assert_memory_equal(plain.at, "one two", 7);

    /* It is appended, and no beginning of it is complete but at the ends of members. */
    assert_int_equal(tly_gunzip(tly_buf_text(&packed), &plain), 0);
    assert_memory_equal(plain.at, "one twoone two", 14);
    unsigned complete = 0;
    for (size_t len = 0; len < packed.len; len++) {
        tly_buf_clear(&plain);
        int rc = tly_gunzip((struct tly_text){packed.at, len}, &plain);
        assert_true(rc == 0 || rc == TLY_E_MALFORMED);
        complete += rc == 0;
    }
    assert_int_equal(complete, 2);
    tly_buf_done(&packed);
    tly_buf_done(&plain);
}

static void test_damage(void **state)
{
    (void)state;
    struct tly_buf packed;
    struct tly_buf plain;
    tly_buf_init(&packed, BUF_MAX);
    tly_buf_init(&plain, BUF_MAX);
    gzip_member(&packed, TLY_TEXT("what is to be kept"));
    packed.at[packed.len - 6] ^= 1; /* the checksum */
    assert_int_equal(tly_gunzip(tly_buf_text(&packed), &plain), TLY_E_MALFORMED);
    packed.at[packed.len - 6] ^= 1;
    assert_int_equal(tly_buf_append_text(&packed, TLY_TEXT("and then something else")), 0);
    assert_int_equal(tly_gunzip(tly_buf_text(&packed), &plain), TLY_E_MALFORMED);
    assert_int_equal(tly_gunzip(TLY_TEXT("no gzip"), &plain), TLY_E_MALFORMED);
    assert_false(tly_gunzip_sniff(TLY_TEXT("\x1f")));
    assert_false(tly_gunzip_sniff(TLY_TEXT("\x1f\x8c")));
    tly_buf_done(&packed);
    tly_buf_done(&plain);
}

/* A small input that becomes a large output, against the maximum of the buffer. */
static void test_bound(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 16383, 16384, 16385, 1000000, 4000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *zeros = calloc(1, sizes[i]);
        assert_non_null(zeros);
        struct tly_buf packed;
        struct tly_buf plain;
        tly_buf_init(&packed, BUF_MAX);
        gzip_member(&packed, (struct tly_text){zeros, sizes[i]});
        tly_buf_init(&plain, sizes[i]);
        assert_int_equal(tly_gunzip(tly_buf_text(&packed), &plain), 0);
        assert_int_equal(plain.len, sizes[i]);
        tly_buf_done(&plain);
        tly_buf_init(&plain, sizes[i] - 1);
        assert_int_equal(tly_gunzip(tly_buf_text(&packed), &plain), TLY_E_LIMIT);
        assert_true(plain.cap <= sizes[i]);
        tly_buf_done(&plain);
        tly_buf_done(&packed);
        free(zeros);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
