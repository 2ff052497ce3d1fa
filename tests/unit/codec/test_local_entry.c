/*
 * Entries of the local driver: those that a real engine wrote, others made by hand, and what is
 * torn, damaged or none.
 */
#include "agent/codec/local_entry.h"

#include "agent/base/buf.h"
#include "agent/base/file.h"
#include "tests/unit/local_entry.h"
#include "tests/unit/unit.h"

#include <fcntl.h>

static struct tly_text bytes_of(const char *at, size_t len)
{
    return (struct tly_text){at, len};
}

/* Docker 20.10.24; the long line has 16400 times y. */
static void reads_what_an_engine_wrote(void **state)
{
    static const struct {
        const char *source;
        struct tly_text line; /* of long ones, the beginning */
        size_t len;
        bool partial, last;
        int32_t ordinal;
    } rows[] = {
        {"stdout", {"plain", 5}, 5, false, false, 0},
        {"stderr", {"oops", 4}, 4, false, false, 0},
        {"stdout", {"\xff\0\x01 bytes", 9}, 9, false, false, 0},
        {"stdout", {"", 0}, 0, false, false, 0},
        {"stdout", {"yyyy", 4}, 16384, true, false, 1},
        {"stdout", {"yyyy", 4}, 16, true, true, 2},
        {"stdout", {"tail", 4}, 4, true, false, 1},
    };
    (void)state;
    struct tly_buf buf;
    struct tly_local_entry entry;
    char id[128] = "";
    tly_buf_init(&buf, 1 << 20);
    assert_int_equal(tly_file_read(AT_FDCWD, TLY_FIXTURES "/docker/local-20.10.log", &buf), 0);
    struct tly_text rest = tly_buf_text(&buf);
    assert_int_equal(tly_local_entry_last_end(rest), rest.len);
    for (size_t i = 0; i < ROWS(rows); i++) {
        ssize_t len = tly_local_entry_parse(rest, &entry);
        assert_true(len > 0);
        assert_true(tly_text_equal(entry.source, tly_text_of(rows[i].source)));
        assert_int_equal(entry.line.len, rows[i].len);
        assert_memory_equal(entry.line.at, rows[i].line.at, rows[i].line.len);
        assert_int_equal(entry.time_ns / 1000000000, 1795524303);
        assert_int_equal(entry.partial, rows[i].partial);
        assert_int_equal(entry.partial_last, rows[i].last);
        assert_int_equal(entry.partial_ordinal, rows[i].ordinal);
        assert_int_equal(entry.partial_id.len, rows[i].partial ? 64 : 0);
        if (rows[i].ordinal == 1) {
            (void)snprintf(id, sizeof(id), "%.64s", entry.partial_id.at);
        } else if (rows[i].partial) {
            assert_memory_equal(entry.partial_id.at, id, 64); /* of one line */
        }
        assert_int_equal(entry.attrs.len, 0);
        rest = bytes_of(rest.at + len, rest.len - (size_t)len);
    }
    assert_int_equal(rest.len, 0);
    tly_buf_done(&buf);
}

static size_t write_plain(char *to, const char *line)
{
    const struct tly_local_entry entry = {
        .source = TLY_TEXT("stdout"), .time_ns = 1, .line = tly_text_of(line)};
    return local_entry_write(to, &entry);
}

static void told(void *arg, struct tly_text key, struct tly_text value)
{
    char *text = arg;
    (void)snprintf(text + strlen(text), 64, "%.*s=%.*s;", (int)key.len, key.at, (int)value.len,
                   value.at);
}

static void tells_attributes(void **state)
{
    static const char attrs[] = "2\x08\n\x03"
                                "app\x12\x01s"
                                "2\x05\n\x03tag";
    (void)state;
    char to[256];
    char text[256] = "";
    struct tly_local_entry entry = {.source = TLY_TEXT("stderr"),
                                    .time_ns = INT64_MAX,
                                    .line = TLY_TEXT("x"),
                                    .attrs = bytes_of(attrs, sizeof(attrs) - 1)};
    size_t len = local_entry_write(to, &entry);
    assert_int_equal(tly_local_entry_parse(bytes_of(to, len), &entry), len);
    assert_int_equal(entry.time_ns, INT64_MAX);
    assert_int_equal(entry.attrs.len, sizeof(attrs) - 1);
    assert_memory_equal(entry.attrs.at, attrs, sizeof(attrs) - 1);
    assert_int_equal(tly_local_entry_attrs(entry.attrs, NULL, told, text), 0);
    assert_string_equal(text, "app=s;tag=;");
    assert_int_equal(tly_local_entry_attrs(bytes_of(attrs, sizeof(attrs) - 3), NULL, told, text),
                     TLY_E_MALFORMED);
}

/* Fields that are not known yet are passed over. */
static void passes_unknown_fields(void **state)
{
    static const char bytes[] = "\0\0\0\x1e\n\x06stdout\x10\x05\x38\x7f\x41"
                                "12345678\x4d"
                                "1234\x1a\x02hi\0\0\0\x1e";
    (void)state;
    struct tly_local_entry entry;
    assert_int_equal(tly_local_entry_parse(bytes_of(bytes, sizeof(bytes) - 1), &entry),
                     sizeof(bytes) - 1);
    assert_int_equal(entry.time_ns, 5);
    assert_true(tly_text_equal(entry.line, TLY_TEXT("hi")));
}

static void asks_for_more_of_an_unfinished_entry(void **state)
{
    (void)state;
    char to[256];
    struct tly_local_entry entry;
    size_t len = write_plain(to, "a line");
    for (size_t have = 1; have < len; have++) {
        assert_int_equal(tly_local_entry_parse(bytes_of(to, have), &entry), TLY_E_MORE);
    }
    assert_int_equal(tly_local_entry_parse(bytes_of(to, len), &entry), len);
}

static void refuses_what_is_no_entry(void **state)
{
    static const struct tly_text rows[] = {
        {"\0\0\0\0\0\0\0\0", 8},                               /* zeros of a file system */
        {"\0\x10\0\x01\n\x06std", 9},                          /* longer than any */
        {"text", 4},                                           /* a length of 1.9 GB */
        {"{\"log", 5},                                         /* another format */
        {"\0\0\0\x05\x10", 5},                                 /* does not begin with the source */
        {"\0\0\0\x08\n\x06stdout\0\0\0\x07", 16},              /* lengths disagree */
        {"\0\0\0\x08\n\x07stdout\0\0\0\x08", 16},              /* a text beyond the end */
        {"\0\0\0\x09\n\x06stdout\x10\0\0\0\x09", 17},          /* a number without its end */
        {"\0\0\0\x09\n\x06stdout\x0b\0\0\0\x09", 17},          /* an encoding that was given up */
        {"\0\0\0\x0c\n\x06stdout*\x02\x08\x80\0\0\0\x0c", 20}, /* damage further in */
    };
    (void)state;
    struct tly_local_entry entry;
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(tly_local_entry_parse(rows[i], &entry), TLY_E_MALFORMED);
    }
}

static void finds_the_next_entry(void **state)
{
    (void)state;
    char to[512];
    struct tly_local_entry entry;
    size_t torn = write_plain(to, "this one was torn") - 9;
    size_t zeros = 21;
    memset(to + torn, 0, zeros);
    size_t good = torn + zeros;
    size_t len = good + write_plain(to + good, "and this one is whole");
    struct tly_text all = bytes_of(to, len);
    assert_int_equal(tly_local_entry_parse(all, &entry), TLY_E_MALFORMED);
    assert_int_equal(tly_local_entry_pass(all, true), good);
    /* Half of it looks like one to come; but it is not complete. */
    struct tly_text half = bytes_of(to, len - 6);
    size_t pass = tly_local_entry_pass(half, false);
    assert_true(pass <= good && pass > torn);
    assert_int_equal(tly_local_entry_pass(half, true), half.len);
    assert_int_equal(tly_local_entry_pass(bytes_of("garbage", 7), false), 7);
    assert_int_equal(tly_local_entry_pass(bytes_of("garbage\0\0", 9), false), 7);
}

static void finds_the_last_whole_entry(void **state)
{
    (void)state;
    char to[512];
    size_t first = write_plain(to, "first");
    size_t second = first + write_plain(to + first, "second");
    size_t third = second + write_plain(to + second, "third");
    for (size_t len = 0; len <= third; len++) {
        size_t expected = len >= third ? third : len >= second ? second : len >= first ? first : 0;
        assert_int_equal(tly_local_entry_last_end(bytes_of(to, len)), expected);
    }
    /* A tail that begins inside an entry. */
    assert_int_equal(tly_local_entry_last_end(bytes_of(to + 3, third - 3 - 2)), second - 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_an_engine_wrote),
        cmocka_unit_test(tells_attributes),
        cmocka_unit_test(passes_unknown_fields),
        cmocka_unit_test(asks_for_more_of_an_unfinished_entry),
        cmocka_unit_test(refuses_what_is_no_entry),
        cmocka_unit_test(finds_the_next_entry),
        cmocka_unit_test(finds_the_last_whole_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
