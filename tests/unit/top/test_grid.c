/*
 * Cells: what is cut, what is wide, and that no text can steer the terminal.
 */
#include "agent/top/glyph.h"
#include "agent/top/grid.h"
#include "tests/unit/unit.h"

#include <locale.h>

static void expect_row(const struct tly_grid *grid, size_t row, const char *expected)
{
    struct tly_buf buf;
    tly_buf_init(&buf, 4096);
    assert_int_equal(tly_grid_text(grid, row, &buf), 0);
    expect_text(tly_buf_text(&buf), expected);
    tly_buf_done(&buf);
}

static void test_glyphs(void **state)
{
    const struct {
        struct tly_text text;
        const char *shown, *ascii;
    } rows[] = {
        {TLY_TEXT("plain-1_2.3"), "plain-1_2.3", "plain-1_2.3"},
        {TLY_TEXT("\x1b[31mred\x1b[0m"), "?[31mred?[0m", "?[31mred?[0m"},
        {TLY_TEXT("\x1b]0;title\x07"), "?]0;title?", "?]0;title?"},
        {TLY_TEXT("a\tb\nc\rd\x7f"), "a?b?c?d?", "a?b?c?d?"},
        {TLY_TEXT("\xc2\x9b"
                  "31m"),
         "?31m", "?31m"}, /* CSI as one character of C1 */
        {TLY_TEXT("\x9b"
                  "31m"),
         "?31m", "?31m"}, /* and as a byte */
        {TLY_TEXT("a\0b"), "a?b", "a?b"},
        {TLY_TEXT("\xe2\x80\xae"
                  "gnp.exe"),
         "?gnp.exe", "?gnp.exe"},
        {TLY_TEXT("zero\xe2\x80\x8bwidth"), "zero?width", "zero?width"},
        {TLY_TEXT("e\xcc\x81"), "e?", "e?"}, /* a mark without a width of its own */
        {TLY_TEXT("\xe6\xbc\xa2\xe5\xad\x97"), "\xe6\xbc\xa2\xe5\xad\x97", "??"},
        {TLY_TEXT("caf\xc3\xa9"), "caf\xc3\xa9", "caf?"},
        {TLY_TEXT("\xff\xfe"
                  "ok"),
         "??ok", "??ok"},
        {TLY_TEXT("\xe2\x82"), "??", "??"},       /* cut in the middle */
        {TLY_TEXT("\xed\xa0\x80"), "???", "???"}, /* a surrogate */
        {TLY_TEXT("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80", "?"},
        {TLY_TEXT("\u2013 \u2026 \u00b7"), "\u2013 \u2026 \u00b7", "- ~ |"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_buf buf;
        tly_buf_init(&buf, 4096);
        assert_int_equal(tly_glyph_append(&buf, rows[i].text, false, false), 0);
        expect_text(tly_buf_text(&buf), rows[i].shown);
        tly_buf_clear(&buf);
        assert_int_equal(tly_glyph_append(&buf, rows[i].text, true, false), 0);
        expect_text(tly_buf_text(&buf), rows[i].ascii);
        tly_buf_done(&buf);
    }
}

static void test_joined(void **state)
{
    struct tly_buf buf;
    (void)state;
    tly_buf_init(&buf, 100);
    assert_int_equal(tly_glyph_append(&buf,
                                      TLY_TEXT("a b\xc2\xa0"
                                               "c"),
                                      false, true),
                     0);
    expect_text(tly_buf_text(&buf), "a_b_c");
    tly_buf_done(&buf);
}

static void test_put(void **state)
{
    struct tly_grid grid;
    (void)state;
    assert_int_equal(tly_grid_init(&grid, 10, 8, false), 0);
    assert_int_equal(tly_grid_put(&grid, 0, 0, 10, TLY_STYLE_BAD, TLY_TEXT("0123456789")), 10);
    assert_int_equal(tly_grid_put(&grid, 1, 0, 9, 0, TLY_TEXT("0123456789")), 9);
    assert_int_equal(tly_grid_put(&grid, 2, 8, 10, 0, TLY_TEXT("abc")), 2);
    assert_int_equal(tly_grid_put(&grid, 3, 10, 10, 0, TLY_TEXT("abc")), 0);
    assert_int_equal(tly_grid_put(&grid, 8, 0, 10, 0, TLY_TEXT("abc")), 0);
    assert_int_equal(tly_grid_put(&grid, 4, 0, 4, 0, TLY_TEXT("\u6f22\u5b57\u6f22")), 3);
    assert_int_equal(tly_grid_put(&grid, 5, 0, 4, 0, TLY_TEXT("\u6f22\u5b57")), 4);
    tly_grid_put_right(&grid, 6, 2, 6, 0, TLY_TEXT("12 %"));
    tly_grid_put_right(&grid, 7, 2, 3, 0, TLY_TEXT("12 %"));
    expect_row(&grid, 0, "0123456789");
    expect_row(&grid, 1, "01234567\u2026");
    expect_row(&grid, 2, "        a\u2026");
    expect_row(&grid, 3, "");
    expect_row(&grid, 4, "\u6f22\u2026");
    expect_row(&grid, 5, "\u6f22\u5b57");
    expect_row(&grid, 6, "    12 %");
    expect_row(&grid, 7, "  12\u2026");
    assert_int_equal(grid.at[0].style, TLY_STYLE_BAD);
    tly_grid_flag(&grid, 0, 0, 100, TLY_STYLE_CHOSEN);
    assert_int_equal(grid.at[9].style, TLY_STYLE_BAD | TLY_STYLE_CHOSEN);
    tly_grid_done(&grid);
}

static void test_grow_and_copy(void **state)
{
    struct tly_grid page;
    struct tly_grid grid;
    (void)state;
    assert_int_equal(tly_grid_init(&page, 8, 1, false), 0);
    assert_int_equal(tly_grid_init(&grid, 6, 2, false), 0);
    assert_int_equal(tly_grid_grow(&page, 3), 0);
    (void)tly_grid_put(&page, 1, 0, 8, 0, TLY_TEXT("second"));
    (void)tly_grid_put(&page, 2, 0, 8, 0, TLY_TEXT("the third"));
    tly_grid_copy(&grid, 0, &page, 1, 100);
    expect_row(&grid, 0, "second");
    expect_row(&grid, 1, "the th");
    tly_grid_done(&page);
    tly_grid_done(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glyphs),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_grow_and_copy),
    };
    if (!setlocale(LC_CTYPE, "C.UTF-8")) {
        return 77; /* a skip: this system has no UTF-8 */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
