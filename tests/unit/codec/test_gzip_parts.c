/*
 * gzip by parts: what was put together comes back by zlib's own decompression, whatever changed
 * since the text before; and what did not change was not compressed again.
 */
#include "agent/base/random.h"
#include "agent/codec/gzip_parts.h"
#include "tests/unit/unit.h"

#include <errno.h>

#define ZLIB_CONST
#include <zlib.h>

#define WINDOW_BITS_GZIP (15 + 16)
#define PARTS            40
#define PART_MAX         6000
#define TEXT_MAX         ((size_t)PARTS * PART_MAX)

static struct tly_gzip_parts *parts;
static struct tly_buf packed;

struct piece {
    uint64_t key;
    size_t len;
    char at[PART_MAX];
};

static struct piece pieces[PARTS];

static int make(void **state)
{
    (void)state;
    tly_buf_init(&packed, SIZE_MAX);
    for (size_t i = 0; i < PARTS; i++) {
        pieces[i].key = i * 1000;
        pieces[i].len = i % 5 == 0 ? i : PART_MAX - i; /* the first is empty */
        for (size_t at = 0; at < pieces[i].len; at++) {
            pieces[i].at[at] = (char)('a' + at * i % 23);
        }
    }
    return tly_gzip_parts_new(1, 1U << 20, &parts);
}

static int unmake(void **state)
{
    (void)state;
    tly_gzip_parts_free(parts);
    tly_buf_done(&packed);
    return 0;
}

static int pack(size_t from, size_t to)
{
    tly_buf_clear(&packed);
    int rc = tly_gzip_parts_begin(parts, &packed);
    for (size_t i = from; i < to && rc == 0; i++) {
        rc = tly_gzip_parts_add(parts, pieces[i].key,
                                (struct tly_text){pieces[i].at, pieces[i].len});
    }
    return rc < 0 ? rc : tly_gzip_parts_finish(parts);
}

/* Packs the pieces `from` up to `to`, looks whether they come back, and how many bytes were the
 * same as before. */
static void expect(size_t from, size_t to, size_t same_bytes)
{
    static char plain[TEXT_MAX], out[TEXT_MAX + 1];
    size_t len = 0;
    for (size_t i = from; i < to; i++) {
        memcpy(plain + len, pieces[i].at, pieces[i].len);
        len += pieces[i].len;
    }
    assert_int_equal(pack(from, to), 0);
    z_stream stream = {.next_in = (const Bytef *)packed.at,
                       .avail_in = (uInt)packed.len,
                       .next_out = (Bytef *)out,
                       .avail_out = sizeof(out)};
    assert_int_equal(inflateInit2(&stream, WINDOW_BITS_GZIP), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END); /* checks sum and length, too */
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(stream.total_out, len);
    assert_memory_equal(out, plain, len);
    assert_int_equal(inflateEnd(&stream), Z_OK);
    assert_int_equal(tly_gzip_parts_stats(parts).same_bytes, same_bytes);
}

static size_t bytes_of(size_t from, size_t to)
{
    size_t len = 0;
    for (size_t i = from; i < to; i++) {
        len += pieces[i].len;
    }
    return len;
}

static void only_what_changed_is_compressed(void **state)
{
    (void)state;
    expect(0, PARTS, 0);
    size_t remembered = tly_gzip_parts_stats(parts).remembered_bytes;
    assert_true(remembered > 0 && remembered < bytes_of(0, PARTS));
    expect(0, PARTS, bytes_of(0, PARTS));
    pieces[7].at[pieces[7].len - 1] ^= 1; /* in the last, shorter word */
    expect(0, PARTS, bytes_of(0, PARTS) - pieces[7].len);
    pieces[8].at[0] ^= 1;
    pieces[9].at[9] ^= 1; /* in the other lane */
    pieces[11].len--;
    expect(0, PARTS, bytes_of(0, PARTS) - pieces[8].len - pieces[9].len - pieces[11].len);
    expect(0, PARTS, bytes_of(0, PARTS));
}

/* Every single byte of a part is told apart. */
static void each_byte_counts(void **state)
{
    (void)state;
    pieces[6].len = 50;
    expect(6, 7, 0);
    for (size_t i = 0; i < pieces[6].len; i++) {
        pieces[6].at[i] ^= 0x20;
        expect(6, 7, 0);
    }
    expect(6, 7, 50);
    pieces[6].at[50] = '\0';
    pieces[6].len = 51; /* a NUL is not nothing */
    expect(6, 7, 0);
}

static void parts_come_and_go(void **state)
{
    (void)state;
    expect(10, 20, 0);
    expect(5, 15, bytes_of(10, 15));
    expect(0, PARTS, bytes_of(5, 15));
    expect(0, 0, 0);
    assert_int_equal(tly_gzip_parts_stats(parts).remembered_bytes, 0);
    expect(0, 10, 0);
    for (size_t i = 0; i < 10; i++) {
        pieces[i].key++; /* the same text at another place */
    }
    expect(0, 10, 0);
}

static void a_text_that_is_given_up_does_no_harm(void **state)
{
    (void)state;
    expect(0, PARTS, 0);
    struct tly_buf small;
    tly_buf_init(&small, packed.len / 2);
    assert_int_equal(tly_gzip_parts_begin(parts, &small), 0);
    int rc = 0;
    for (size_t i = 0; i < PARTS && rc == 0; i++) {
        rc = tly_gzip_parts_add(parts, pieces[i].key,
                                (struct tly_text){pieces[i].at, pieces[i].len});
    }
    assert_int_equal(rc, TLY_E_LIMIT);
    tly_buf_done(&small);
    /* What it had taken out of the memory is compressed again. */
    assert_int_equal(pack(0, PARTS), 0);
    assert_true(tly_gzip_parts_stats(parts).same_bytes < bytes_of(0, PARTS));
    expect(0, PARTS, bytes_of(0, PARTS));
}

static void remembers_no_more_than_it_may(void **state)
{
    (void)state;
    tly_gzip_parts_free(parts);
    assert_int_equal(tly_gzip_parts_new(1, 500, &parts), 0);
    expect(0, PARTS, 0);
    assert_true(tly_gzip_parts_stats(parts).remembered_bytes <= 500);
    assert_int_equal(pack(0, PARTS), 0);
    size_t same = tly_gzip_parts_stats(parts).same_bytes;
    assert_true(same > 0 && same < bytes_of(0, PARTS));
    tly_gzip_parts_free(parts);
    assert_int_equal(tly_gzip_parts_new(1, 0, &parts), 0);
    expect(0, PARTS, 0);
    expect(0, PARTS, 0);
}

/* What does not compress, in many sizes. */
static void noise_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARTS; i++) {
        pieces[i].len = i * 149;
        tly_random_fill(pieces[i].at, pieces[i].len);
    }
    expect(0, PARTS, 0);
    expect(0, PARTS, bytes_of(0, PARTS));
    struct tly_gzip_parts *none = NULL;
    assert_int_equal(tly_gzip_parts_new(10, 0, &none), -EINVAL);
    tly_gzip_parts_free(none);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(only_what_changed_is_compressed),
        TEST(each_byte_counts),
        TEST(parts_come_and_go),
        TEST(a_text_that_is_given_up_does_no_harm),
        TEST(remembers_no_more_than_it_may),
        TEST(noise_comes_back),
    };
    return cmocka_run_group_tests_name("gzip parts", tests, NULL, NULL);
}
