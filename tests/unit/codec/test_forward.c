/*
 * Forward frames and acknowledgements: both directions, every mode, every split, and what hostile
 * or broken peers send.
 */
#include "agent/base/clock.h"
#include "agent/codec/forward.h"
#include "agent/codec/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gzip_member.h"

#define BUF_MAX (4UL << 20)

#define BYTES(literal)                                                                             \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* Bytes at the end of an allocation of their own, so that a sanitizer sees a read beyond them. */
static char *own_copy(struct tly_text text)
{
    char *copy = malloc(text.len > 0 ? text.len : 1);
    assert_non_null(copy);
    if (text.len > 0) {
        memcpy(copy, text.at, text.len);
    }
    return copy;
}

/* ---- the sender's side ---- */

static void test_head_and_tail(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, BUF_MAX);
    assert_int_equal(tly_forward_head(&buf, TLY_TEXT("docker.1"), 3), 0);
    assert_int_equal(tly_buf_append_text(&buf, TLY_TEXT("xyz")), 0);
    assert_int_equal(tly_forward_tail(&buf, TLY_TEXT("AAA="), 200), 0);
    const struct tly_text frame = TLY_TEXT("\x93\xa8"
                                           "docker.1\xc4\x03xyz\x82\xa5"
                                           "chunk\xa4"
                                           "AAA=\xa4size\xcc\xc8");
    assert_int_equal(buf.len, frame.len);
    assert_memory_equal(buf.at, frame.at, frame.len);

    tly_buf_clear(&buf);
    assert_int_equal(tly_forward_tail(&buf, (struct tly_text){0}, 1), 0);
    assert_int_equal(buf.len, 7);
    assert_memory_equal(buf.at, "\x81\xa4size\x01", 7);

    tly_buf_clear(&buf);
    assert_int_equal(tly_forward_head(&buf, TLY_TEXT(""), 70000), 0);
    assert_memory_equal(buf.at, "\x93\xa0\xc6\x00\x01\x11\x70", 7);
    assert_int_equal(tly_forward_head(&buf, TLY_TEXT(""), 1UL << 32), -EMSGSIZE);
    tly_buf_done(&buf);

    tly_buf_init(&buf, 4);
    assert_int_equal(tly_forward_head(&buf, TLY_TEXT("tag"), 1), TLY_E_LIMIT);
    assert_int_equal(tly_forward_tail(&buf, TLY_TEXT("id"), 1), TLY_E_LIMIT);
    assert_int_equal(buf.len, 0);
    tly_buf_done(&buf);
}

struct acked {
    struct tly_buf ids;
    int answer;
};

static int note_ack(void *arg, struct tly_text id)
{
    struct acked *acked = arg;
    assert_int_equal(tly_buf_append_text(&acked->ids, id), 0);
    assert_int_equal(tly_buf_append_text(&acked->ids, TLY_TEXT("|")), 0);
    return acked->answer;
}

static void test_acks(void **state)
{
    (void)state;
    static const struct {
        struct tly_text bytes;
        int rc;
        struct tly_text ids;
    } rows[] = {
        {BYTES("\x81\xa3"
               "ack\xa2id"),
         0, BYTES("id|")},
        {BYTES("\x81\xa3"
               "ack\xc4\x02id\x81\xa3"
               "ack\xd9\x02ok"),
         0, BYTES("id|ok|")},
        {BYTES("\x83\xa1x\x92\x01\x80\xa3"
               "ack\xa1i\x05\xc0"),
         0, BYTES("i|")}, /* other keys, also such as are no text */
        {BYTES("\xde\x00\x01\xa3"
               "ack\xa0"),
         0, BYTES("|")},
        {BYTES("\x80"), TLY_E_REFUSED, BYTES("")},
        {BYTES("\x81\xa3nak\xa2id"), TLY_E_REFUSED, BYTES("")},
        {BYTES("\x81\xa3"
               "ack\x05"),
         TLY_E_MALFORMED, BYTES("")},
        {BYTES("\x81\xa3"
               "ack\xc0"),
         TLY_E_MALFORMED, BYTES("")},
        {BYTES("\x93\xa4HELO"), TLY_E_MALFORMED, BYTES("")},
        {BYTES("HTTP/1.1 400 Bad Request"), TLY_E_MALFORMED, BYTES("")},
        {BYTES("\x81\xc1"), TLY_E_MALFORMED, BYTES("")},
        {BYTES("\x81\xa3"
               "ack\xda\x10\x00"),
         TLY_E_LIMIT, BYTES("")},
        {BYTES("\xdf\xff\xff\xff\xff"), 0, BYTES("")}, /* only the beginning; takes no memory */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct acked acked = {0};
        struct tly_value_feed acks;
        struct tly_error err = {0};
        tly_buf_init(&acked.ids, BUF_MAX);
        tly_forward_acks_init(&acks);
        char *copy = own_copy(rows[i].bytes);
        struct tly_text bytes = {copy, rows[i].bytes.len};
        assert_int_equal(tly_forward_acks_read(&acks, bytes, note_ack, &acked, &err), rows[i].rc);
        assert_int_equal(acked.ids.len, rows[i].ids.len);
        assert_true(rows[i].ids.len == 0 || !memcmp(acked.ids.at, rows[i].ids.at, acked.ids.len));
        assert_true((err.code < 0) == (rows[i].rc < 0));
        free(copy);
        tly_value_feed_done(&acks);
        tly_buf_done(&acked.ids);
    }
}

static void test_ack_splits(void **state)
{
    (void)state;
    const struct tly_text bytes = TLY_TEXT("\x81\xa3"
                                           "ack\xa2id\x82\xa1k\x91\x01\xa3"
                                           "ack\xc4\x03"
                                           "two");
    struct acked acked = {0};
    struct tly_value_feed acks;
    struct tly_error err;
    tly_buf_init(&acked.ids, BUF_MAX);
    tly_forward_acks_init(&acks);
    for (size_t i = 0; i < bytes.len; i++) {
        struct tly_text byte = {bytes.at + i, 1};
        assert_int_equal(tly_forward_acks_read(&acks, byte, note_ack, &acked, &err), 0);
    }
    assert_int_equal(acked.ids.len, 7);
    assert_memory_equal(acked.ids.at, "id|two|", 7);

    acked.answer = TLY_E_CLOSED;
    assert_int_equal(tly_forward_acks_read(&acks, bytes, note_ack, &acked, &err), TLY_E_CLOSED);
    tly_value_feed_done(&acks);
    tly_buf_done(&acked.ids);
}

/* ---- the receiver's side ---- */

/* What came out, as text: "tag@ns:fields;" for each record, "[tag records/skipped chunk]" for each
 * frame. */
struct heard {
    struct tly_buf text;
    int record_answer, frame_answer;
};

static int hear_record(void *arg, const struct tly_forward_record *record)
{
    struct heard *heard = arg;
    assert_int_equal(tly_buf_append_text(&heard->text, record->tag), 0);
    assert_int_equal(tly_buf_printf(&heard->text, "@%lld:", (long long)record->time_ns), 0);
    assert_int_equal(tly_buf_append_text(&heard->text, record->fields), 0);
    assert_int_equal(tly_buf_append_text(&heard->text, TLY_TEXT(";")), 0);
    return heard->record_answer;
}

static int hear_frame(void *arg, const struct tly_forward_frame *frame)
{
    struct heard *heard = arg;
    assert_int_equal(tly_buf_append_text(&heard->text, TLY_TEXT("[")), 0);
    assert_int_equal(tly_buf_append_text(&heard->text, frame->tag), 0);
    assert_int_equal(tly_buf_printf(&heard->text, " %zu/%zu ", frame->records, frame->skipped), 0);
    assert_int_equal(tly_buf_append_text(&heard->text, frame->chunk), 0);
    assert_int_equal(tly_buf_append_text(&heard->text, TLY_TEXT("]")), 0);
    return heard->frame_answer;
}

static const struct tly_forward_limits limits = {.frame_bytes_max = 4096,
                                                 .inflated_bytes_max = 65536};

/* Reads `bytes` in pieces of `step` and compares what came out. */
static void assert_heard(struct tly_text bytes, size_t step, int rc, struct tly_text expected)
{
    struct heard heard = {0};
    struct tly_forward_reader reader;
    struct tly_error err = {0};
    const struct tly_forward_sink sink = {
        .record = hear_record, .frame = hear_frame, .arg = &heard};
    tly_buf_init(&heard.text, BUF_MAX);
    tly_forward_reader_init(&reader, &limits);
    int outcome = 0;
    for (size_t at = 0; outcome == 0 && at < bytes.len; at += step) {
        struct tly_text part = {bytes.at + at, bytes.len - at < step ? bytes.len - at : step};
        char *copy = own_copy(part);
        outcome = tly_forward_read(&reader, (struct tly_text){copy, part.len}, &sink, &err);
        free(copy);
    }
    assert_int_equal(outcome, rc);
    assert_true((err.code < 0) == (rc < 0));
    assert_int_equal(heard.text.len, expected.len);
    assert_true(expected.len == 0 || !memcmp(heard.text.at, expected.at, expected.len));
    tly_forward_reader_done(&reader);
    tly_buf_done(&heard.text);
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        struct tly_text bytes;
        struct tly_text heard;
    } rows[] = {
        /* Message: integer time, no option; then an ack asked for; nil and {} as options. */
        {BYTES("\x93\xa1t\x05\x80"), BYTES("t@5000000000:\x80;[t 1/0 ]")},
        {BYTES("\x94\xa1t\x05\x81\xa1k\x01\x81\xa5"
               "chunk\xa2id"),
         BYTES("t@5000000000:\x81\xa1k\x01;[t 1/0 \xa2id]")},
        {BYTES("\x94\xa1t\x05\x80\xc0"), BYTES("t@5000000000:\x80;[t 1/0 ]")},
        {BYTES("\x94\xa1t\x05\x80\x80"), BYTES("t@5000000000:\x80;[t 1/0 ]")},
        /* EventTime in both forms, a float, none, a tag as bin. */
        {BYTES("\x93\xa1t\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02\x80"),
         BYTES("t@1000000002:\x80;[t 1/0 ]")},
        {BYTES("\x93\xc4\x01t\xc7\x08\x00\x00\x00\x00\x01\x00\x00\x00\x02\x80"),
         BYTES("t@1000000002:\x80;[t 1/0 ]")},
        {BYTES("\x93\xa1t\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x80"),
         BYTES("t@1500000000:\x80;[t 1/0 ]")},
        {BYTES("\x93\xa1t\xc0\x80"), BYTES("t@0:\x80;[t 1/0 ]")},
        /* Forward: none, two, with metadata, with options that are not ours. */
        {BYTES("\x92\xa1t\x90"), BYTES("[t 0/0 ]")},
        {BYTES("\x93\xa1t\x92\x92\x01\x80\x92\x02\x81\xa1k\xc0\x82\xa4size\x02\xa5"
               "chunk\xc4\x01\xff"),
         BYTES("t@1000000000:\x80;t@2000000000:\x81\xa1k\xc0;[t 2/0 \xc4\x01\xff]")},
        {BYTES("\x93\xa1t\x91\x92\x92\x01\x81\xa1m\x91\x02\x80\x81\xad"
               "fluent_signal\x00"),
         BYTES("t@1000000000:\x80;[t 1/0 ]")},
        {BYTES("\x93\xa1t\x91\x92\x92\x01\x80\x80\x81\xa5"
               "chunk\xc0"),
         BYTES("t@1000000000:\x80;[t 1/0 ]")},
        /* PackedForward as bin and as str, and empty; "text" is Fluentd's word for none. */
        {BYTES("\x92\xa1t\xc4\x06\x92\x01\x80\x92\x02\x80"),
         BYTES("t@1000000000:\x80;t@2000000000:\x80;[t 2/0 ]")},
        {BYTES("\x93\xa1t\xdb\x00\x00\x00\x03\x92\x01\x80\x82\xaa"
               "compressed\xa4text\xa5"
               "chunk\xa1"
               "c"),
         BYTES("t@1000000000:\x80;[t 1/0 \xa1"
               "c]")},
        {BYTES("\x92\xa1t\xa0"), BYTES("[t 0/0 ]")},
        /* A heartbeat, and two frames in a row with one between them. */
        {BYTES("\xc0"), BYTES("")},
        {BYTES("\x93\xa1t\x05\x80\xc0\x93\xa1u\x06\x80"),
         BYTES("t@5000000000:\x80;[t 1/0 ]u@6000000000:\x80;[u 1/0 ]")},
        /* Entries that are no records are counted: no map, no time, marks of groups. */
        {BYTES("\x92\xa1t\x94\x92\x01\x05\x92\xa1x\x80\x92\x92\xd7\x00\xff\xff\xff\xff\x00\x00\x00"
               "\x00\x80\x80\x92\x01\x80"),
         BYTES("t@1000000000:\x80;[t 1/3 ]")},
        {BYTES("\x93\xa1t\x05\xa3str"), BYTES("[t 0/1 ]")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t step = 1; step <= rows[i].bytes.len; step++) {
            assert_heard(rows[i].bytes, step, 0, rows[i].heard);
        }
    }
}

static void test_refused_frames(void **state)
{
    (void)state;
    static const struct {
        struct tly_text bytes;
        int rc;
    } rows[] = {
        {BYTES("GET / HTTP/1.1\r\n\r\n"), TLY_E_MALFORMED},
        {BYTES("\x16\x03\x01"), TLY_E_MALFORMED},
        {BYTES("{\"tag\":1}"), TLY_E_MALFORMED},
        {BYTES("\x81\xa1t\x05"), TLY_E_MALFORMED},
        {BYTES("\xdb\xff\xff\xff\xff"), TLY_E_MALFORMED}, /* refused before it comes */
        {BYTES("\x90"), TLY_E_MALFORMED},
        {BYTES("\x91\xa1t"), TLY_E_MALFORMED},
        {BYTES("\x92\x05\x90"), TLY_E_MALFORMED},
        {BYTES("\x92\xa1t\x05"), TLY_E_MALFORMED},
        {BYTES("\x95\xa1t\x05\x80\xc0\xc0"), TLY_E_MALFORMED},
        {BYTES("\x94\xa1t\x90\x80\x80"), TLY_E_MALFORMED},
        {BYTES("\x94\xa1t\x05\x80\x05"), TLY_E_MALFORMED},
        {BYTES("\x94\xa1t\x05\x80\x81\xa5"
               "chunk\x05"),
         TLY_E_MALFORMED},
        {BYTES("\x92\xa1t\x91\x05"), TLY_E_MALFORMED},
        {BYTES("\x92\xa1t\x91\x93\x01\x80\x80"), TLY_E_MALFORMED},
        {BYTES("\x92\xa1t\x91\x92\x90\x80"), TLY_E_MALFORMED},
        /* Packed records that end within one, or are broken behind a good one. */
        {BYTES("\x92\xa1t\xc4\x05\x92\x01\x80\x92\x02"), TLY_E_MALFORMED},
        {BYTES("\x92\xa1t\xc4\x04\x92\x01\x80\xc1"), TLY_E_MALFORMED},
        {BYTES("\x93\xa1t\xc4\x00\x81\xaa"
               "compressed\xa4lzma"),
         -ENOTSUP},
        {BYTES("\x93\xa1t\xc4\x00\x81\xaa"
               "compressed\xa4zstd"),
         TLY_E_MALFORMED},
        {BYTES("\x92\xa1t\xc4\x04\x28\xb5\x2f\xfd"), TLY_E_MALFORMED},
        {BYTES("\x93\xa1t\xc4\x01\x90\x81\xaa"
               "compressed\xa4gzip"),
         TLY_E_MALFORMED},
        {BYTES("\x92\xa1t\xc4\x02\x1f\x8b"), TLY_E_MALFORMED},
        {BYTES("\x92\xa1t\xc5\x10\x00"), TLY_E_LIMIT},
        {BYTES("\x93\xa1t\x05\xc1"), TLY_E_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_heard(rows[i].bytes, rows[i].bytes.len, rows[i].rc, (struct tly_text){0});
        assert_heard(rows[i].bytes, 1, rows[i].rc, (struct tly_text){0});
    }
}

static void append_packed(struct tly_buf *frame, const struct tly_buf *entries)
{
    assert_int_equal(tly_record_array(frame, 3), 0);
    assert_int_equal(tly_record_str(frame, TLY_TEXT("t")), 0);
    assert_int_equal(tly_record_bin(frame, tly_buf_text(entries)), 0);
}

static void test_gzip(void **state)
{
    (void)state;
    struct tly_buf entries;
    struct tly_buf frame;
    const struct tly_text expected = TLY_TEXT("t@1000000000:\x80;t@2000000000:\x80;[t 2/0 \xa1"
                                              "c]");
    tly_buf_init(&entries, BUF_MAX);
    tly_buf_init(&frame, BUF_MAX);
    gzip_member(&entries, TLY_TEXT("\x92\x01\x80"));
    gzip_member(&entries, TLY_TEXT("\x92\x02\x80"));
    append_packed(&frame, &entries);
    assert_int_equal(tly_buf_append_text(&frame, TLY_TEXT("\x82\xa5"
                                                          "chunk\xa1"
                                                          "c\xaa"
                                                          "compressed\xa4gzip")),
                     0);
    for (size_t step = 1; step <= frame.len; step++) {
        assert_heard(tly_buf_text(&frame), step, 0, expected);
    }
    /* Known by its magic too, as Fluent Bit does it. */
    tly_buf_clear(&frame);
    append_packed(&frame, &entries);
    assert_int_equal(tly_buf_append_text(&frame, TLY_TEXT("\x81\xa5"
                                                          "chunk\xa1"
                                                          "c")),
                     0);
    assert_heard(tly_buf_text(&frame), frame.len, 0, expected);
    tly_buf_done(&entries);
    tly_buf_done(&frame);
}

/* A frame of little more than a kilobyte that would become a megabyte. */
static void test_bomb(void **state)
{
    (void)state;
    enum { BOMB_BYTES = 1 << 20 };
    char *zeros = calloc(1, BOMB_BYTES);
    assert_non_null(zeros);
    struct tly_buf entries;
    struct tly_buf frame;
    tly_buf_init(&entries, BUF_MAX);
    tly_buf_init(&frame, BUF_MAX);
    gzip_member(&entries, (struct tly_text){zeros, BOMB_BYTES});
    append_packed(&frame, &entries);
    assert_int_equal(tly_record_nil(&frame), 0);
    assert_heard(tly_buf_text(&frame), frame.len, TLY_E_LIMIT, (struct tly_text){0});
    tly_buf_done(&entries);
    tly_buf_done(&frame);
    free(zeros);
}

static void test_depth(void **state)
{
    (void)state;
    struct tly_buf frame;
    tly_buf_init(&frame, BUF_MAX);
    assert_int_equal(tly_buf_append_text(&frame, TLY_TEXT("\x93\xa1t\x05\x81\xa1k")), 0);
    for (unsigned i = 0; i < TLY_RECORD_DEPTH_MAX; i++) {
        assert_int_equal(tly_record_array(&frame, 1), 0);
    }
    assert_int_equal(tly_record_nil(&frame), 0);
    assert_heard(tly_buf_text(&frame), frame.len, TLY_E_LIMIT, (struct tly_text){0});
    tly_buf_done(&frame);
}

/* Whoever asks with a chunk whose answer no sender would read is refused: answers take memory until
 * they are read. */
static void test_long_chunks(void **state)
{
    (void)state;
    enum { ANSWER_HEAD_BYTES = 5, STR_HEAD_BYTES = 3 };
    const struct tly_forward_limits wide = {.frame_bytes_max = BUF_MAX,
                                            .inflated_bytes_max = BUF_MAX};
    char chunk[TLY_FORWARD_ACK_BYTES_MAX] = {0};
    size_t longest = sizeof(chunk) - ANSWER_HEAD_BYTES - STR_HEAD_BYTES;
    for (size_t over = 0; over <= 1; over++) {
        struct heard heard = {0};
        struct tly_forward_sink sink = {.record = hear_record, .frame = hear_frame, .arg = &heard};
        struct tly_forward_reader reader;
        struct tly_error err = {0};
        struct tly_buf frame;
        tly_buf_init(&heard.text, BUF_MAX);
        tly_buf_init(&frame, BUF_MAX);
        assert_int_equal(tly_buf_append_text(&frame, TLY_TEXT("\x93\xa1t\x91\x92\x01\x80\x81\xa5"
                                                              "chunk")),
                         0);
        assert_int_equal(tly_record_str(&frame, (struct tly_text){chunk, longest + over}), 0);
        tly_forward_reader_init(&reader, &wide);
        assert_int_equal(tly_forward_read(&reader, tly_buf_text(&frame), &sink, &err),
                         over > 0 ? TLY_E_LIMIT : 0);
        assert_int_equal(heard.text.len == 0, over > 0);
        tly_forward_reader_done(&reader);
        tly_buf_done(&frame);
        tly_buf_done(&heard.text);
    }
}

static void test_sink_stops(void **state)
{
    (void)state;
    const struct tly_text two = TLY_TEXT("\x92\xa1t\x92\x92\x01\x80\x92\x02\x80");
    struct tly_forward_reader reader;
    struct tly_error err;
    struct heard heard = {.record_answer = -EPIPE};
    struct tly_forward_sink sink = {.record = hear_record, .frame = hear_frame, .arg = &heard};
    tly_buf_init(&heard.text, BUF_MAX);
    tly_forward_reader_init(&reader, &limits);
    assert_int_equal(tly_forward_read(&reader, two, &sink, &err), -EPIPE);
    assert_int_equal(heard.text.len, 15); /* one record, no frame */
    tly_forward_reader_done(&reader);

    heard.record_answer = 0;
    heard.frame_answer = -ENOSPC;
    tly_forward_reader_init(&reader, &limits);
    assert_int_equal(tly_forward_read(&reader, two, &sink, &err), -ENOSPC);
    tly_forward_reader_done(&reader);
    tly_buf_done(&heard.text);
}

static int refuse_frame(void *arg, const struct tly_forward_frame *frame)
{
    assert_int_equal(hear_frame(arg, frame), 0);
    return -ENOBUFS;
}

/* What a frame asks for and how much is in it is known before its records, in every mode. */
static void test_refused_at_the_beginning(void **state)
{
    (void)state;
    static const struct tly_text rows[] = {
        BYTES("\x94\xa1t\x05\x80\x81\xa5"
              "chunk\xa2id"),
        BYTES("\x93\xa1t\x91\x92\x01\x80\x81\xa5"
              "chunk\xa2id"),
        BYTES("\x93\xa1t\xc4\x03\x92\x01\x80\x81\xa5"
              "chunk\xa2id"),
    };
    const struct tly_text expected = TLY_TEXT("[t 1/0 \xa2id]");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_forward_reader reader;
        struct tly_error err;
        struct heard heard = {0};
        struct tly_forward_sink sink = {
            .begin = refuse_frame, .record = hear_record, .frame = hear_frame, .arg = &heard};
        tly_buf_init(&heard.text, BUF_MAX);
        tly_forward_reader_init(&reader, &limits);
        assert_int_equal(tly_forward_read(&reader, rows[i], &sink, &err), -ENOBUFS);
        assert_true(tly_text_equal(tly_buf_text(&heard.text), expected));
        tly_forward_reader_done(&reader);
        tly_buf_done(&heard.text);
    }
}

/* What a frame in pieces took is given back. */
static void test_memory_returns(void **state)
{
    (void)state;
    enum { ENTRIES = 100000 };
    const struct tly_forward_limits wide = {.frame_bytes_max = BUF_MAX,
                                            .inflated_bytes_max = BUF_MAX};
    struct heard heard = {0};
    struct tly_forward_sink sink = {.record = hear_record, .frame = hear_frame, .arg = &heard};
    struct tly_forward_reader reader;
    struct tly_error err;
    struct tly_buf entries;
    struct tly_buf frame;
    tly_buf_init(&heard.text, BUF_MAX);
    tly_buf_init(&entries, BUF_MAX);
    tly_buf_init(&frame, BUF_MAX);
    for (int i = 0; i < ENTRIES; i++) {
        assert_int_equal(tly_buf_append_text(&entries, TLY_TEXT("\x92\x01\x80")), 0);
    }
    append_packed(&frame, &entries);
    assert_int_equal(tly_record_nil(&frame), 0);
    tly_forward_reader_init(&reader, &wide);
    struct tly_text part = {frame.at, frame.len - 1};
    assert_int_equal(tly_forward_read(&reader, part, &sink, &err), 0);
    assert_true(reader.frames.kept.cap >= part.len);
    assert_int_equal(heard.text.len, 0);
    part = (struct tly_text){frame.at + frame.len - 1, 1};
    assert_int_equal(tly_forward_read(&reader, part, &sink, &err), 0);
    assert_int_equal(reader.frames.kept.cap, 0);
    assert_memory_equal(heard.text.at + heard.text.len - 14, ";[t 100000/0 ]", 14);
    tly_forward_reader_done(&reader);
    tly_buf_done(&entries);
    tly_buf_done(&frame);
    tly_buf_done(&heard.text);
}

static void test_ack_written(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, BUF_MAX);
    assert_int_equal(tly_forward_ack(&buf, TLY_TEXT("\xc4\x02\xff\n")), 0);
    assert_int_equal(buf.len, 9);
    assert_memory_equal(buf.at,
                        "\x81\xa3"
                        "ack\xc4\x02\xff\n",
                        9);
    tly_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_and_tail),
        cmocka_unit_test(test_acks),
        cmocka_unit_test(test_ack_splits),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_refused_frames),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_chunks),
        cmocka_unit_test(test_sink_stops),
        cmocka_unit_test(test_refused_at_the_beginning),
        cmocka_unit_test(test_memory_returns),
        cmocka_unit_test(test_ack_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
