/* The journal's lines: what is written is read back, and whatever is torn or bent is refused. */
#include "agent/delivery/position_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct tly_position sample = {.device = 2049,
                                           .inode = UINT64_MAX,
                                           .head_hash = 0x00ab12cd34ef5678,
                                           .head_len = 1024,
                                           .held = 2,
                                           .offset = 123456789012345,
                                           .ahead = 77};

static void assert_position_equal(const struct tly_position *a, const struct tly_position *b)
{
    assert_true(a->device == b->device && a->inode == b->inode);
    assert_true(a->head_hash == b->head_hash && a->head_len == b->head_len);
    assert_true(a->held == b->held && a->offset == b->offset && a->ahead == b->ahead);
}

static void reads_back_what_it_wrote(void **state)
{
    (void)state;
    static const struct {
        struct tly_text destination, key;
    } rows[] = {
        {TLY_TEXT("central"), TLY_TEXT("docker/0123456789ab")},
        {TLY_TEXT("with blank and %"), TLY_TEXT("docker/\x01\n\xff\x00tail")},
        {TLY_TEXT("\xc3\xa9"), TLY_TEXT("x")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int drop = 0; drop < 2; drop++) {
            struct tly_buf buf;
            tly_buf_init(&buf, 4096);
            assert_int_equal(tly_position_line_write(&buf, rows[i].destination, rows[i].key,
                                                     drop ? NULL : &sample),
                             0);
            assert_int_equal(buf.at[buf.len - 1], '\n');
            assert_null(memchr(buf.at, '\n', buf.len - 1));
            struct tly_position_line line;
            assert_int_equal(tly_position_line_parse((struct tly_text){buf.at, buf.len - 1}, &line),
                             0);
            assert_true(tly_text_equal((struct tly_text){line.destination, line.destination_len},
                                       rows[i].destination));
            assert_true(tly_text_equal((struct tly_text){line.key, line.key_len}, rows[i].key));
            assert_int_equal(line.drop, drop);
            if (!drop) {
                assert_position_equal(&line.position, &sample);
            }
            tly_buf_done(&buf);
        }
    }
}

static void refuses_every_torn_and_altered_line(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, 4096);
    assert_int_equal(
        tly_position_line_write(&buf, TLY_TEXT("central"), TLY_TEXT("docker/abc"), &sample), 0);
    size_t len = buf.len - 1;
    struct tly_position_line line;
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(tly_position_line_parse((struct tly_text){buf.at, cut}, &line),
                         TLY_E_MALFORMED);
        assert_int_equal(
            tly_position_line_parse((struct tly_text){buf.at + cut + 1, len - cut - 1}, &line),
            TLY_E_MALFORMED);
    }
    for (size_t bit = 0; bit < len * 8; bit++) {
        buf.at[bit / 8] = (char)(buf.at[bit / 8] ^ (1 << bit % 8));
        assert_int_equal(tly_position_line_parse((struct tly_text){buf.at, len}, &line),
                         TLY_E_MALFORMED);
        buf.at[bit / 8] = (char)(buf.at[bit / 8] ^ (1 << bit % 8));
    }
    assert_int_equal(tly_position_line_parse((struct tly_text){buf.at, len}, &line), 0);
    tly_buf_done(&buf);
}

/* A right checksum makes nonsense no better. */
static void refuses_wrong_fields_under_a_right_checksum(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "keep a b 1 2 0f 4 5 6 0a4eb84e",
        "keep a b 1 2 0f 4294967296 5 0 7 e938b1ec",
        "keep a b 1 2 xyz 4 5 0 7 8934b87a",
        "keep a b 1 2 0f 4 5 0 7 8 ac3de198",
        "drop a b c 09d0bae8",
        "drop a 3930a529",
        "lose a b 9ce3fb3c",
        "keep a%4 b 1 2 0f 4 5 0 7 c7be8f69",
        "keep a b 1 2 0123456789abcdef0 4 5 0 7 6b01a4a6",
        "keep a b -1 2 0f 4 5 0 7 ad409257",
        "00000000",
        " 00000000",
    };
    struct tly_position_line line;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(tly_position_line_parse(tly_text_of(rows[i]), &line), TLY_E_MALFORMED);
    }
}

static void refuses_names_over_the_maximum(void **state)
{
    (void)state;
    char name[TLY_POSITION_NAME_MAX + 1];
    memset(name, 'n', sizeof(name));
    struct tly_buf buf;
    tly_buf_init(&buf, 4096);
    struct tly_text longest = {name, TLY_POSITION_NAME_MAX};
    struct tly_text over = {name, TLY_POSITION_NAME_MAX + 1};
    assert_int_equal(tly_position_line_write(&buf, longest, over, NULL), TLY_E_LIMIT);
    assert_int_equal(tly_position_line_write(&buf, over, longest, NULL), TLY_E_LIMIT);
    assert_int_equal(buf.len, 0);
    assert_int_equal(tly_position_line_write(&buf, longest, longest, NULL), 0);
    buf.max = buf.len + 10;
    size_t len = buf.len;
    assert_int_equal(tly_position_line_write(&buf, longest, longest, &sample), TLY_E_LIMIT);
    assert_int_equal(buf.len, len);
    tly_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_it_wrote),
        cmocka_unit_test(refuses_every_torn_and_altered_line),
        cmocka_unit_test(refuses_wrong_fields_under_a_right_checksum),
        cmocka_unit_test(refuses_names_over_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
