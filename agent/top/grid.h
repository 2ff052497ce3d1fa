/*
 * A screen as cells: what the views draw into, and what a terminal or a test reads. Knows no
 * terminal. Rows and columns count from 0; what is drawn outside is not drawn. Embedded.
 */
#ifndef TLY_TOP_GRID_H
#define TLY_TOP_GRID_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a text means; the terminal decides how it looks. */
enum tly_style {
    TLY_STYLE_PLAIN,
    TLY_STYLE_STRONG,
    TLY_STYLE_DIM,
    TLY_STYLE_GOOD,
    TLY_STYLE_WARN,
    TLY_STYLE_BAD,
    TLY_STYLE_BAR, /* heads of tables, the lowest line */
    TLY_STYLE_COUNT,
    TLY_STYLE_CHOSEN = 0x80, /* a flag besides: the row that keys work on */
};

struct tly_cell {
    uint32_t code; /* 0: the right half of a wide character */
    uint8_t style;
};

struct tly_grid {
    struct tly_cell *at; /* owned; row by row */
    size_t width, height;
    bool ascii; /* see glyph.h */
};

/* All blank. -ENOMEM, and then it is empty. */
int tly_grid_init(struct tly_grid *grid, size_t width, size_t height, bool ascii) TLY_CHECK;
void tly_grid_done(struct tly_grid *grid);
/* Adds blank rows until it has that many. -ENOMEM, and then it is as it was. */
int tly_grid_grow(struct tly_grid *grid, size_t height) TLY_CHECK;

/* Writes text into at most `width` columns, cut with an ellipsis where it is longer; how many
 * columns it took. */
size_t tly_grid_put(struct tly_grid *grid, size_t row, size_t column, size_t width, unsigned style,
                    struct tly_text text);
/* The same, at the right edge of these columns. */
void tly_grid_put_right(struct tly_grid *grid, size_t row, size_t column, size_t width,
                        unsigned style, struct tly_text text);
/* Adds a style's flag to, or sets the style of, a whole stretch. */
void tly_grid_flag(struct tly_grid *grid, size_t row, size_t column, size_t width, unsigned flag);
void tly_grid_paint(struct tly_grid *grid, size_t row, size_t column, size_t width, unsigned style);
/* Copies `rows` rows of `from`, beginning at `from_row`, to the left edge at `row`. */
void tly_grid_copy(struct tly_grid *grid, size_t row, const struct tly_grid *from, size_t from_row,
                   size_t rows);

/* Appends the text of one row, without blanks at its end. */
int tly_grid_text(const struct tly_grid *grid, size_t row, struct tly_buf *buf) TLY_CHECK;

#endif
