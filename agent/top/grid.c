/*
 * A screen as cells; see grid.h.
 */
#include "agent/top/grid.h"

#include "agent/top/glyph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ELLIPSIS TLY_TEXT("\u2026")
#define SIDE_MAX 10000 /* no terminal is so large */

static void blank(struct tly_cell *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cells[i] = (struct tly_cell){' ', TLY_STYLE_PLAIN};
    }
}

int tly_grid_init(struct tly_grid *grid, size_t width, size_t height, bool ascii)
{
    *grid = (struct tly_grid){.ascii = ascii};
    width = width < SIDE_MAX ? width : SIDE_MAX;
    grid->width = width > 0 ? width : 1;
    return tly_grid_grow(grid, height > 0 ? height : 1);
}

void tly_grid_done(struct tly_grid *grid)
{
    free(grid->at);
    *grid = (struct tly_grid){0};
}

int tly_grid_grow(struct tly_grid *grid, size_t height)
{
    height = height < SIDE_MAX ? height : SIDE_MAX;
    if (height <= grid->height) {
        return 0;
    }
    struct tly_cell *at = reallocarray(grid->at, grid->width * height, sizeof(*at));
    if (!at) {
        return -ENOMEM;
    }
    blank(at + grid->width * grid->height, grid->width * (height - grid->height));
    grid->at = at;
    grid->height = height;
    return 0;
}

/* How many of `width` columns at `column` there are. */
static size_t room(const struct tly_grid *grid, size_t row, size_t column, size_t width)
{
    if (row >= grid->height || column >= grid->width) {
        return 0;
    }
    return width < grid->width - column ? width : grid->width - column;
}

static struct tly_cell *cell_at(struct tly_grid *grid, size_t row, size_t column)
{
    return &grid->at[row * grid->width + column];
}

size_t tly_grid_put(struct tly_grid *grid, size_t row, size_t column, size_t width, unsigned style,
                    struct tly_text text)
{
    width = room(grid, row, column, width);
    if (width == 0) {
        return 0;
    }
    bool cut = tly_glyph_width(text, grid->ascii) > width;
    size_t end = cut ? width - 1 : width; /* of what is taken from the text */
    size_t at = 0;
    while (text.len > 0) {
        size_t wide = 0;
        uint32_t code = tly_glyph_next(&text, grid->ascii, &wide);
        if (at + wide > end) {
            break;
        }
        for (size_t i = 0; i < wide; i++) {
            *cell_at(grid, row, column + at++) = (struct tly_cell){i == 0 ? code : 0,
                                                                   (uint8_t)style};
        }
    }
    if (cut) {
        struct tly_text mark = ELLIPSIS;
        size_t wide = 0;
        uint32_t code = tly_glyph_next(&mark, grid->ascii, &wide);
        *cell_at(grid, row, column + at++) = (struct tly_cell){code, (uint8_t)style};
    }
    return at;
}

void tly_grid_put_right(struct tly_grid *grid, size_t row, size_t column, size_t width,
                        unsigned style, struct tly_text text)
{
    width = room(grid, row, column, width);
    size_t wide = tly_glyph_width(text, grid->ascii);
    size_t before = wide < width ? width - wide : 0;
    (void)tly_grid_put(grid, row, column + before, width - before, style,
                       text); /* it fits, or is cut */
}

void tly_grid_flag(struct tly_grid *grid, size_t row, size_t column, size_t width, unsigned flag)
{
    width = room(grid, row, column, width);
    for (size_t i = 0; i < width; i++) {
        cell_at(grid, row, column + i)->style |= (uint8_t)flag;
    }
}

void tly_grid_paint(struct tly_grid *grid, size_t row, size_t column, size_t width, unsigned style)
{
    width = room(grid, row, column, width);
    for (size_t i = 0; i < width; i++) {
        cell_at(grid, row, column + i)->style = (uint8_t)style;
    }
}

void tly_grid_copy(struct tly_grid *grid, size_t row, const struct tly_grid *from, size_t from_row,
                   size_t rows)
{
    size_t width = from->width < grid->width ? from->width : grid->width;
    for (size_t i = 0; i < rows && row + i < grid->height && from_row + i < from->height; i++) {
        memcpy(cell_at(grid, row + i, 0), &from->at[(from_row + i) * from->width],
               width * sizeof(*from->at));
    }
}

int tly_grid_text(const struct tly_grid *grid, size_t row, struct tly_buf *buf)
{
    const struct tly_cell *cells = &grid->at[row * grid->width];
    size_t end = row < grid->height ? grid->width : 0;
    int rc = 0;
    while (end > 0 && cells[end - 1].code == ' ') {
        end--;
    }
    for (size_t i = 0; i < end && rc == 0; i++) {
        char bytes[TLY_GLYPH_BYTES_MAX];
        if (cells[i].code != 0) {
            rc = tly_buf_append(buf, bytes, tly_glyph_write(cells[i].code, bytes));
        }
    }
    return rc;
}
