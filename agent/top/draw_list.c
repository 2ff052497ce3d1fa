/*
 * The table of containers: as many of its columns as there is room for, the most important first,
 * and always the one that it is sorted by. See list.h.
 */
#include "agent/top/draw.h"
#include "agent/top/glyph.h"

#include <stdio.h>
#include <string.h>

#define SIGN_WIDTH   3
#define GAP          1
#define LESSER_ORDER 8 /* from here on columns come after longer names */
#define COMFORT      9

struct shown {
    size_t widths[TLY_COLUMN_COUNT]; /* 0: it is not shown */
};

/* ---- which columns ---- */

static bool is_sorted_by(const struct tly_screen *screen, size_t column)
{
    return tly_columns[column].sort == (int)screen->choice.sort;
}

/* The next column by importance: one that is sorted by before all but the name. */
static size_t next_column(const struct tly_screen *screen, const bool done[TLY_COLUMN_COUNT])
{
    size_t best = TLY_COLUMN_COUNT;
    int best_order = 0;
    for (size_t i = 0; i < TLY_COLUMN_COUNT; i++) {
        int order = is_sorted_by(screen, i) && tly_columns[i].order > 0 ? 1 : tly_columns[i].order;
        if (!done[i] && (best == TLY_COLUMN_COUNT || order < best_order)) {
            best = i;
            best_order = order;
        }
    }
    return best;
}

/* Lets those that may grow take `more` columns each, as far as there are any. */
static size_t widths_grow(struct shown *shown, size_t left, size_t more_max)
{
    for (size_t i = 0; i < TLY_COLUMN_COUNT && left > 0; i++) {
        const struct tly_column *column = &tly_columns[i];
        if (shown->widths[i] > 0 && column->most > shown->widths[i]) {
            size_t more = column->most - shown->widths[i];
            more = more < more_max ? more : more_max;
            more = more < left ? more : left;
            shown->widths[i] += more;
            left -= more;
        }
    }
    return left;
}

static void widths_choose(const struct tly_screen *screen, const bool empty[TLY_COLUMN_COUNT],
                          size_t width, struct shown *shown)
{
    bool done[TLY_COLUMN_COUNT] = {false};
    size_t left = width > SIGN_WIDTH ? width - SIGN_WIDTH : 0;
    *shown = (struct shown){{0}};
    for (size_t n = 0; n < TLY_COLUMN_COUNT; n++) {
        size_t i = next_column(screen, done);
        size_t need = tly_columns[i].width + GAP;
        if (tly_columns[i].order == LESSER_ORDER) {
            left = widths_grow(shown, left, COMFORT); /* names before what is of less interest */
        }
        done[i] = true;
        if (n == 0 && need > left) {
            need = left; /* the name alone, as far as it goes */
        }
        if ((!empty[i] || is_sorted_by(screen, i)) && need <= left && need > GAP) {
            shown->widths[i] = need - GAP;
            left -= need;
        }
    }
    (void)widths_grow(shown, left, width); /* the rest stays blank */
}

/* ---- drawing ---- */

static void draw_cell(struct tly_grid *grid, size_t row, size_t at, size_t width, bool right,
                      unsigned style, const char *text)
{
    if (right) {
        tly_grid_put_right(grid, row, at, width, style, tly_text_of(text));
    } else {
        (void)tly_grid_put(grid, row, at, width, style, tly_text_of(text)); /* cut is fine */
    }
}

static void draw_head(const struct tly_screen *screen, const struct shown *shown,
                      struct tly_grid *grid, size_t row)
{
    size_t at = SIGN_WIDTH;
    tly_grid_paint(grid, row, 0, grid->width, TLY_STYLE_BAR);
    for (size_t i = 0; i < TLY_COLUMN_COUNT; i++) {
        size_t width = shown->widths[i];
        if (width == 0) {
            continue;
        }
        draw_cell(grid, row, at, width, tly_columns[i].right, TLY_STYLE_BAR, tly_columns[i].title);
        if (is_sorted_by(screen, i)) {
            size_t wide = strlen(tly_columns[i].title);
            size_t mark = tly_columns[i].right && wide < width ? at + width - wide - 1 : at + wide;
            (void)tly_grid_put(grid, row, mark, 1, TLY_STYLE_BAR,
                               screen->choice.reverse ? TLY_TEXT("\u2191") : TLY_TEXT("\u2193"));
        }
        at += width + GAP;
    }
}

static void draw_row(const struct tly_top_model *model, const struct tly_top_container *container,
                     const struct shown *shown, struct tly_grid *grid, size_t row)
{
    size_t at = SIGN_WIDTH;
    (void)tly_grid_put(grid, row, 0, SIGN_WIDTH, tly_level_style(container->level),
                       tly_text_of(tly_level_sign(container->level))); /* it fits */
    for (size_t i = 0; i < TLY_COLUMN_COUNT; i++) {
        char text[TLY_CELL_MAX];
        size_t width = shown->widths[i];
        if (width > 0) {
            unsigned style = tly_columns[i].write(model, container, text);
            draw_cell(grid, row, at, width, tly_columns[i].right, style, text);
            at += width + GAP;
        }
    }
}

/* So that the chosen row is in sight, and no row is empty that need not be. */
static void first_choose(struct tly_screen *screen, size_t rows)
{
    if (screen->cursor < screen->first) {
        screen->first = screen->cursor;
    }
    if (screen->cursor >= screen->first + rows) {
        screen->first = screen->cursor + 1 - rows;
    }
    if (screen->first + rows > screen->order_count) {
        screen->first = screen->order_count > rows ? screen->order_count - rows : 0;
    }
}

static void draw_nothing(const struct tly_top_model *model, struct tly_grid *grid, size_t row)
{
    struct tly_text text =
        model->container_count > 0
            ? TLY_TEXT("No container fits. Change the filter, or show all (Esc).")
            : TLY_TEXT("No containers yet. The first one that starts on this host appears here by "
                       "itself.");
    if (model->overview) {
        (void)tly_grid_put(grid, row, SIGN_WIDTH, grid->width, TLY_STYLE_PLAIN,
                           text); /* cut is fine */
    }
}

void tly_draw_containers(struct tly_screen *screen, const struct tly_top_model *model,
                         struct tly_grid *grid, size_t row, size_t rows)
{
    bool empty[TLY_COLUMN_COUNT];
    struct shown shown;
    if (rows < 2) {
        return;
    }
    tly_columns_empty(model, empty);
    widths_choose(screen, empty, grid->width, &shown);
    draw_head(screen, &shown, grid, row);
    screen->page = rows - 1;
    first_choose(screen, screen->page);
    if (screen->order_count == 0) {
        draw_nothing(model, grid, row + 1);
    }
    for (size_t i = 0; i < screen->page && screen->first + i < screen->order_count; i++) {
        size_t index = screen->order[screen->first + i];
        draw_row(model, &model->containers[index], &shown, grid, row + 1 + i);
        if (screen->first + i == screen->cursor) {
            tly_grid_flag(grid, row + 1 + i, 0, grid->width, TLY_STYLE_CHOSEN);
        }
    }
}
