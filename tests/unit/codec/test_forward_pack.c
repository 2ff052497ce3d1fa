/*
 * Compressed frames: what goes out can be read again by another implementation and by our own
 * reader, what comes in is bounded, and damage is seen.
 */
#include "agent/codec/forward.h"
#include "agent/codec/gunzip.h"
#include "tests/unit/unit.h"

#define PLAIN_BYTES 300000

static char *make_plain(void)
{
    char *plain = malloc(PLAIN_BYTES);
    assert_non_null(plain);
    uint32_t state = 1;
    for (size_t i = 0; i < PLAIN_BYTES; i++) {
        state = state * 1664525 + 1013904223;
        plain[i] = (char)('a' + (state >> 24) % 20);
    }
    return plain;
}

static int unpack(enum tly_forward_compression compression, struct tly_text packed,
                  struct tly_buf *buf)
{
    return compression == TLY_FORWARD_GZIP ? tly_gunzip(packed, buf)
                                           : tly_forward_unpack_zstd(packed, buf);
}

/* Each packs several things, one after the other. */
static struct tly_forward_packer *packers[TLY_FORWARD_ZSTD + 1];

static int make_packers(void **state)
{
    (void)state;
    assert_int_equal(tly_forward_packer_new(TLY_FORWARD_GZIP, &packers[TLY_FORWARD_GZIP]), 0);
    assert_int_equal(tly_forward_packer_new(TLY_FORWARD_ZSTD, &packers[TLY_FORWARD_ZSTD]), 0);
    return 0;
}

static int free_packers(void **state)
{
    (void)state;
    tly_forward_packer_free(NULL);
    tly_forward_packer_free(packers[TLY_FORWARD_GZIP]);
    tly_forward_packer_free(packers[TLY_FORWARD_ZSTD]);
    return 0;
}

static int pack(enum tly_forward_compression compression, struct tly_text plain,
                struct tly_buf *buf)
{
    return tly_forward_pack(packers[compression], plain, buf);
}

static const enum tly_forward_compression both[] = {TLY_FORWARD_GZIP, TLY_FORWARD_ZSTD};

static void test_there_and_back(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 100, PLAIN_BYTES};
    char *plain = make_plain();
    for (size_t i = 0; i < ROWS(both); i++) {
        for (size_t j = 0; j < ROWS(lens); j++) {
            struct tly_buf packed;
            struct tly_buf again;
            tly_buf_init(&packed, 2UL * PLAIN_BYTES);
            tly_buf_init(&again, PLAIN_BYTES);
            const struct tly_text text = {plain, lens[j]};
            assert_int_equal(pack(both[i], text, &packed), 0);
            assert_int_equal(tly_forward_is_zstd(tly_buf_text(&packed)),
                             both[i] == TLY_FORWARD_ZSTD);
            assert_int_equal(tly_gunzip_sniff(tly_buf_text(&packed)), both[i] == TLY_FORWARD_GZIP);
            assert_int_equal(unpack(both[i], tly_buf_text(&packed), &again), 0);
            assert_int_equal(again.len, lens[j]);
            if (lens[j] > 0) {
                assert_memory_equal(again.at, plain, lens[j]);
            }
            assert_true(lens[j] < PLAIN_BYTES || packed.len < lens[j] * 3 / 4);
            tly_buf_done(&packed);
            tly_buf_done(&again);
        }
    }
    free(plain);
}

/* gzip goes over to another compressor and back, by what came last. The second of each kind was
 * made by the one that suits it; all are read alike, the longest matches and no match among them.
 */
static void test_change_of_compressor(void **state)
{
    (void)state;
    static const bool repetitive[] = {false, true, true, true, false, false, true, false};
    struct tly_forward_packer *packer;
    char *plain = make_plain();
    char *same = malloc(PLAIN_BYTES);
    assert_non_null(same);
    for (size_t i = 0; i < PLAIN_BYTES; i++) {
        same[i] = plain[i % 700];
    }
    assert_int_equal(tly_forward_packer_new(TLY_FORWARD_GZIP, &packer), 0);
    size_t last = 0;
    for (size_t i = 0; i < ROWS(repetitive); i++) {
        struct tly_buf packed;
        struct tly_buf again;
        tly_buf_init(&packed, 2UL * PLAIN_BYTES);
        tly_buf_init(&again, PLAIN_BYTES);
        const struct tly_text text = {repetitive[i] ? same : plain, PLAIN_BYTES};
        assert_int_equal(tly_buf_append(&packed, "before", 6), 0);
        assert_int_equal(tly_forward_pack(packer, text, &packed), 0);
        assert_memory_equal(packed.at, "before", 6);
        const struct tly_text body = {packed.at + 6, packed.len - 6};
        assert_true(repetitive[i] == (body.len < PLAIN_BYTES / 16));
        assert_int_equal(tly_gunzip(body, &again), 0);
        assert_int_equal(again.len, PLAIN_BYTES);
        assert_memory_equal(again.at, text.at, PLAIN_BYTES);
        if (i == 2) { /* of the same text: another compressor's output */
            assert_int_not_equal(body.len, last);
        }
        last = body.len;
        tly_buf_done(&packed);
        tly_buf_init(&packed, 16); /* no room, for either */
        assert_int_equal(tly_forward_pack(packer, text, &packed), TLY_E_LIMIT);
        assert_int_equal(packed.len, 0);
        tly_buf_done(&packed);
        tly_buf_done(&again);
    }
    tly_forward_packer_free(packer);
    free(same);
    free(plain);
}

/* At the bound all is well, a byte below nothing is; a bomb costs no more than the bound. */
static void test_bounds(void **state)
{
    (void)state;
    char *plain = calloc(1, PLAIN_BYTES);
    assert_non_null(plain);
    const struct tly_text text = {plain, PLAIN_BYTES};
    for (size_t i = 0; i < ROWS(both); i++) {
        struct tly_buf packed;
        struct tly_buf again;
        tly_buf_init(&packed, 2UL * PLAIN_BYTES);
        assert_int_equal(pack(both[i], text, &packed), 0);
        assert_true(packed.len < 2000);
        tly_buf_init(&again, PLAIN_BYTES);
        assert_int_equal(unpack(both[i], tly_buf_text(&packed), &again), 0);
        tly_buf_done(&again);
        tly_buf_init(&again, PLAIN_BYTES - 1);
        assert_int_equal(unpack(both[i], tly_buf_text(&packed), &again), TLY_E_LIMIT);
        tly_buf_done(&again);
        tly_buf_init(&again, 0);
        assert_int_equal(unpack(both[i], tly_buf_text(&packed), &again), TLY_E_LIMIT);
        tly_buf_done(&again);
        tly_buf_done(&packed);
        tly_buf_init(&packed, 16); /* no room for what comes out */
        assert_int_equal(pack(both[i], text, &packed), TLY_E_LIMIT);
        assert_int_equal(packed.len, 0);
        tly_buf_done(&packed);
    }
    free(plain);
}

static void test_damage(void **state)
{
    (void)state;
    char *plain = make_plain();
    for (size_t i = 0; i < ROWS(both); i++) {
        struct tly_buf packed;
        struct tly_buf again;
        tly_buf_init(&packed, 2UL * PLAIN_BYTES);
        tly_buf_init(&again, 2UL * PLAIN_BYTES);
        const struct tly_text text = {plain, PLAIN_BYTES};
        assert_int_equal(pack(both[i], text, &packed), 0);
        for (size_t cut = 0; cut < packed.len; cut += 1 + packed.len / 50) {
            const struct tly_text part = {packed.at, cut};
            tly_buf_clear(&again);
            assert_int_equal(unpack(both[i], part, &again), TLY_E_MALFORMED);
        }
        /* Two in a row are one. */
        struct tly_buf twice;
        tly_buf_init(&twice, 4UL * PLAIN_BYTES);
        assert_int_equal(tly_buf_append_text(&twice, tly_buf_text(&packed)), 0);
        assert_int_equal(tly_buf_append_text(&twice, tly_buf_text(&packed)), 0);
        tly_buf_clear(&again);
        assert_int_equal(unpack(both[i], tly_buf_text(&twice), &again), 0);
        assert_int_equal(again.len, 2 * PLAIN_BYTES);
        assert_memory_equal(again.at + PLAIN_BYTES, plain, PLAIN_BYTES);
        twice.at[packed.len] = 'x'; /* something else behind the first */
        tly_buf_clear(&again);
        assert_int_equal(unpack(both[i], tly_buf_text(&twice), &again), TLY_E_MALFORMED);
        tly_buf_done(&twice);
        tly_buf_done(&packed);
        tly_buf_done(&again);
    }
    free(plain);
}

static int count_record(void *arg, const struct tly_forward_record *record)
{
    (void)record;
    ++*(size_t *)arg;
    return 0;
}

static int see_frame(void *arg, const struct tly_forward_frame *frame)
{
    (void)arg;
    assert_int_equal(frame->chunk.len, 3);
    return 0;
}

static void test_frames(void **state)
{
    (void)state;
    static const char *const names[] = {"gzip", "zstd"};
    const struct tly_forward_limits limits = {.frame_bytes_max = 4096, .inflated_bytes_max = 4096};
    for (size_t i = 0; i < ROWS(both); i++) {
        struct tly_buf packed;
        struct tly_buf frame;
        struct tly_forward_reader reader;
        struct tly_error err = {0};
        size_t records = 0;
        const struct tly_forward_sink sink = {
            .record = count_record, .frame = see_frame, .arg = &records};
        tly_buf_init(&packed, 4096);
        tly_buf_init(&frame, 4096);
        assert_int_equal(pack(both[i], TLY_TEXT("\x92\x01\x80\x92\x02\x80"), &packed), 0);
        assert_int_equal(tly_forward_head(&frame, TLY_TEXT("t"), packed.len), 0);
        assert_int_equal(tly_buf_append_text(&frame, tly_buf_text(&packed)), 0);
        size_t tail = frame.len;
        assert_int_equal(tly_forward_packed_tail(&frame, TLY_TEXT("id"), 2, both[i]), 0);
        char wanted[64];
        int len = snprintf(wanted, sizeof(wanted), "\x83\xa5%s\xa2%s\xa4%s\x02\xaa%s\xa4%s",
                           "chunk", "id", "size", "compressed", names[i]);
        assert_int_equal(frame.len - tail, len);
        assert_memory_equal(frame.at + tail, wanted, (size_t)len);
        tly_forward_reader_init(&reader, &limits);
        if (tly_forward_read(&reader, tly_buf_text(&frame), &sink, &err) < 0) {
            fail_msg("%s: %s", names[i], err.text);
        }
        assert_int_equal(records, 2);
        tly_forward_reader_done(&reader);
        tly_buf_done(&packed);
        tly_buf_done(&frame);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_change_of_compressor),
        cmocka_unit_test(test_bounds),         cmocka_unit_test(test_damage),
        cmocka_unit_test(test_frames),
    };
    return cmocka_run_group_tests(tests, make_packers, free_packers);
}
