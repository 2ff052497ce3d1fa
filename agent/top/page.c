/*
 * Pages longer than the screen; see draw.h.
 */
#include "agent/top/draw.h"
#include "agent/top/glyph.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 2048
#define FACT_NAME      22 /* columns */
#define GROW_ROWS      64

void tly_page_init(struct tly_page *page, size_t width, bool ascii)
{
    *page = (struct tly_page){.width = width};
    if (tly_grid_init(&page->grid, width, GROW_ROWS, ascii) < 0) {
        tly_grid_done(&page->grid);
    }
}

void tly_page_done(struct tly_page *page)
{
    tly_grid_done(&page->grid);
}

const char *tly_level_sign(enum tly_level level)
{
    static const char *const signs[] = {"  ", "! ", "!!"};
    return signs[level];
}

unsigned tly_level_style(enum tly_level level)
{
    static const unsigned styles[] = {TLY_STYLE_PLAIN, TLY_STYLE_WARN, TLY_STYLE_BAD};
    return styles[level];
}

size_t tly_page_row(struct tly_page *page)
{
    if (page->row >= page->grid.height &&
        tly_grid_grow(&page->grid, page->grid.height + GROW_ROWS) < 0) {
        return page->grid.height; /* nowhere */
    }
    return page->row++;
}

static void put(struct tly_page *page, size_t row, size_t indent, unsigned style,
                struct tly_text text)
{
    if (indent < page->width) {
        (void)tly_grid_put(&page->grid, row, page->left + indent, page->width - indent, style,
                           text); /* cut is fine */
    }
}

void tly_page_line(struct tly_page *page, size_t indent, unsigned style, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args); /* cut is fine */
    va_end(args);
    put(page, tly_page_row(page), indent, style, tly_text_of(text));
}

void tly_page_blank(struct tly_page *page)
{
    (void)tly_page_row(page); /* nothing is written there */
}

void tly_page_title(struct tly_page *page, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args); /* cut is fine */
    va_end(args);
    if (page->row > 0) {
        tly_page_blank(page);
    }
    put(page, tly_page_row(page), 0, TLY_STYLE_STRONG, tly_text_of(text));
}

/* As many bytes of `text` as fit into `width` columns, whole words if one fits. */
static struct tly_text take_line(struct tly_text *text, size_t width, bool ascii)
{
    struct tly_text rest = *text;
    size_t used = 0;
    size_t good = 0; /* bytes up to the last blank that fits */
    while (rest.len > 0) {
        size_t at = text->len - rest.len;
        size_t wide = 0;
        if (*rest.at == ' ') {
            good = at;
        }
        (void)tly_glyph_next(&rest, ascii, &wide); /* its width is what matters */
        if (used + wide > width) {
            good = good > 0 ? good : at > 0 ? at : text->len - rest.len;
            break;
        }
        used += wide;
        good = rest.len == 0 ? text->len : good;
    }
    struct tly_text line = {text->at, good};
    text->at += good;
    text->len -= good;
    *text = tly_text_trim(*text);
    return line;
}

void tly_page_wrap(struct tly_page *page, size_t indent, unsigned style, struct tly_text text)
{
    size_t width = page->width > indent ? page->width - indent : 1;
    text = tly_text_trim(text);
    while (text.len > 0) {
        struct tly_text line = take_line(&text, width, page->grid.ascii);
        put(page, tly_page_row(page), indent, style, line);
    }
}

void tly_page_fact(struct tly_page *page, const char *name, unsigned style, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args); /* cut is fine */
    va_end(args);
    size_t row = page->row;
    tly_page_wrap(page, FACT_NAME, style, tly_text_of(text));
    if (page->row == row) {
        tly_page_blank(page);
    }
    (void)tly_grid_put(&page->grid, row, page->left, FACT_NAME - 1, TLY_STYLE_DIM,
                       tly_text_of(name)); /* cut is fine */
}

void tly_page_column(struct tly_page *page, size_t row, size_t left, size_t width)
{
    page->row = row;
    page->left = left;
    page->width = width > 0 ? width : page->grid.width;
}

/* ---- plots ---- */

static double top_of(const double *points, size_t count, double present, double floor)
{
    const double air = 1.05;
    double top = tly_known(present) ? fmax(present, floor) : floor;
    for (size_t i = 0; i < count; i++) {
        top = fmax(top, points[i]); /* what is not known does not count */
    }
    return top * air;
}

void tly_draw_plot(struct tly_grid *grid, size_t row, size_t column, size_t width, unsigned style,
                   const double *points, size_t count, double present, double floor)
{
    static const char *const bars[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                       "\u2585", "\u2586", "\u2587", "\u2588"};
    const size_t levels = sizeof(bars) / sizeof(bars[0]);
    if (width == 0) {
        return;
    }
    size_t shown = count < width - 1 ? count : width - 1;
    const double *from = points + (count - shown);
    const double top = top_of(from, shown, present, floor);
    size_t at = column + width - 1 - shown;
    for (size_t i = 0; i <= shown; i++) {
        double value = i < shown ? from[i] : present;
        if (tly_known(value) && top > 0) {
            double share = fmin(fmax(value / top, 0), 1);
            size_t level = (size_t)(share * (double)levels);
            level = level < levels ? level : levels - 1;
            (void)tly_grid_put(grid, row, at + i, 1, style, tly_text_of(bars[level]));
        }
    }
}
