/*
 * Plain text as roff: what groff or mandoc would take for something else is escaped.
 */
#include "agent/config/roff.h"
#include "tests/unit/unit.h"

#include <string.h>

static const struct {
    const char *text;
    const char *roff;
} rows[] = {
    {"", ""},
    {"A word.", "A word.\n"},
    {"One. Two! Three? Four", "One.\nTwo!\nThree?\nFour\n"},
    {"The end (of it.) More.", "The end (of it.)\nMore.\n"},
    {"a `b-c` d-e", "a \\fBb\\-c\\fP d-e\n"},
    {"a `b. c` d", "a \\fBb. c\\fP d\n"},
    {"`it's` it's", "\\fBit\\(aqs\\fP it's\n"},
    {".dot 'quote", "\\&.dot 'quote\n"},
    {"end. .dot", "end.\n\\&.dot\n"},
    {"'quote", "\\&'quote\n"},
    {"back\\slash ~ ^", "back\\eslash \\(ti \\(ha\n"},
    {"µs … \xf0\x9f\x90\xb3", "\\[u00B5]s \\[u2026] \\[u1F433]\n"},
    {"cut short: \xe2", "cut short: \xe2\n"},
    {"two\nlines", "two lines\n"},
    {"one\n\ntwo\n\n\nthree\n", "one\n.Pp\ntwo\n.Pp\nthree\n"},
    {"a  b", "a b\n"},
};

static void texts_become_roff(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_buf buf;
        tly_buf_init(&buf, 1024);
        assert_int_equal(tly_roff_text(&buf, tly_text_of(rows[i].text)), 0);
        assert_int_equal(tly_buf_append(&buf, "", 1), 0);
        assert_string_equal(buf.at, rows[i].roff);
        tly_buf_done(&buf);
    }
}

static void lines_are_short(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, 4096);
    char text[1000];
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i += 7) {
        text[i] = ' ';
    }
    assert_int_equal(tly_roff_text(&buf, (struct tly_text){text, sizeof(text)}), 0);
    size_t words = 0;
    for (struct tly_text rest = tly_buf_text(&buf); rest.at;) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        assert_true(line.len <= 80);
        for (size_t i = 0; i < line.len; i++) {
            words += line.at[i] == 'x' && (i == 0 || line.at[i - 1] == ' ');
        }
    }
    assert_int_equal(words, (sizeof(text) + 6) / 7);
    tly_buf_done(&buf);
}

static void there_may_be_no_room(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, 8);
    assert_int_not_equal(tly_roff_text(&buf, tly_text_of("longer than eight bytes")), 0);
    tly_buf_done(&buf);
}

static void a_literal_keeps_its_signs(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, 64);
    assert_int_equal(tly_roff_literal(&buf, tly_text_of("fail-on")), 0);
    assert_int_equal(buf.len, strlen("fail\\-on"));
    assert_memory_equal(buf.at, "fail\\-on", buf.len);
    tly_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_roff),
        cmocka_unit_test(lines_are_short),
        cmocka_unit_test(there_may_be_no_room),
        cmocka_unit_test(a_literal_keeps_its_signs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
