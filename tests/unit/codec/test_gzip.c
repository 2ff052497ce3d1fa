/*
 * What was compressed comes back by zlib's own decompression, at any size and up to the maximum.
 */
#include "agent/base/random.h"
#include "agent/codec/gzip.h"
#include "tests/unit/unit.h"

#include <errno.h>

#define ZLIB_CONST
#include <zlib.h>

#define WINDOW_BITS_GZIP (15 + 16)

static void assert_comes_back(const char *packed, size_t packed_len, struct tly_text plain)
{
    char *out = malloc(plain.len + 1);
    assert_non_null(out);
    z_stream stream = {.next_in = (const Bytef *)packed,
                       .avail_in = (uInt)packed_len,
                       .next_out = (Bytef *)out,
                       .avail_out = (uInt)plain.len + 1};
    assert_int_equal(inflateInit2(&stream, WINDOW_BITS_GZIP), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, plain.len);
    assert_int_equal(stream.avail_in, 0);
    if (plain.len > 0) {
        assert_memory_equal(out, plain.at, plain.len);
    }
    assert_int_equal(inflateEnd(&stream), Z_OK);
    free(out);
}

static int pack(struct tly_buf *buf, struct tly_text plain, size_t piece, int level)
{
    struct tly_gzip *gzip;
    int rc = tly_gzip_new(buf, level, &gzip);
    if (rc < 0) {
        return rc;
    }
    while (plain.len > 0 && rc == 0) {
        size_t len = piece < plain.len ? piece : plain.len;
        rc = tly_gzip_add(gzip, (struct tly_text){plain.at, len});
        plain = (struct tly_text){plain.at + len, plain.len - len};
    }
    if (rc == 0) {
        rc = tly_gzip_finish(gzip);
    }
    tly_gzip_free(gzip);
    return rc;
}

static void test_round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 4096, 100000, 3000000};
    for (size_t i = 0; i < ROWS(sizes); i++) {
        char *plain = malloc(sizes[i] + 1);
        assert_non_null(plain);
        for (int random = 0; random < 2; random++) {
            if (random) {
                tly_random_fill(plain, sizes[i]); /* does not shrink: the output grows in steps */
            } else {
                memset(plain, 'x', sizes[i]);
            }
            struct tly_buf buf;
            tly_buf_init(&buf, SIZE_MAX);
            assert_int_equal(tly_buf_append(&buf, "head", 4), 0);
            struct tly_text text = {plain, sizes[i]};
            assert_int_equal(pack(&buf, text, 10007, 1), 0);
            assert_memory_equal(buf.at, "head", 4);
            assert_comes_back(buf.at + 4, buf.len - 4, text);
            tly_buf_done(&buf);
        }
        free(plain);
    }
}

static void test_limit(void **state)
{
    (void)state;
    char plain[20000];
    tly_random_fill(plain, sizeof(plain));
    struct tly_buf buf;
    tly_buf_init(&buf, 10000);
    assert_int_equal(pack(&buf, (struct tly_text){plain, sizeof(plain)}, SIZE_MAX, 6), TLY_E_LIMIT);
    assert_true(buf.len <= 10000);
    tly_buf_clear(&buf);
    assert_int_equal(tly_buf_append(&buf, "head", 4), 0);
    assert_int_equal(tly_gzip_append(&buf, (struct tly_text){plain, sizeof(plain)}, 6),
                     TLY_E_LIMIT);
    assert_int_equal(buf.len, 4);
    assert_int_equal(tly_gzip_append(&buf, TLY_TEXT("short"), 6), 0);
    assert_comes_back(buf.at + 4, buf.len - 4, TLY_TEXT("short"));
    tly_buf_done(&buf);
    assert_int_equal(pack(&buf, TLY_TEXT("x"), SIZE_MAX, 100), -EINVAL);
    tly_buf_done(&buf);
    tly_gzip_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
