/*
 * What the views share when they draw: a page longer than the screen, its lines and facts, small
 * plots. For the files of this room that draw.
 */
#ifndef TLY_TOP_DRAW_H
#define TLY_TOP_DRAW_H

#include "agent/base/error.h"
#include "agent/top/screen.h"

#include <stdarg.h>

/* A view's lines; those that the screen has room for are copied from it. */
struct tly_page {
    struct tly_grid grid;
    size_t row;         /* of the next line */
    size_t left, width; /* of the column that is written */
};

/* Without memory it stays empty, and lines go nowhere. */
void tly_page_init(struct tly_page *page, size_t width, bool ascii);
void tly_page_done(struct tly_page *page);

/* A sign for a level, which is never told by colour alone; two columns wide. */
const char *tly_level_sign(enum tly_level level);
unsigned tly_level_style(enum tly_level level);

/* One line, cut at the column's end. */
void tly_page_line(struct tly_page *page, size_t indent, unsigned style, const char *format, ...)
    TLY_PRINTF(4, 5);
/* Several, broken between words. */
void tly_page_wrap(struct tly_page *page, size_t indent, unsigned style, struct tly_text text);
void tly_page_blank(struct tly_page *page);
/* A title over what follows, with a blank line before it unless it is the first. */
void tly_page_title(struct tly_page *page, const char *format, ...) TLY_PRINTF(2, 3);
/* "Name      value", broken between words. */
void tly_page_fact(struct tly_page *page, const char *name, unsigned style, const char *format, ...)
    TLY_PRINTF(4, 5);
/* Room for one more line: where it goes. */
size_t tly_page_row(struct tly_page *page);
/* A column begins beside what was written since `row`; with width 0 both end. */
void tly_page_column(struct tly_page *page, size_t row, size_t left, size_t width);

/* A text for printf: "%.*s", TLY_SHOW(text) */
#define TLY_SHOW(text) (int)((text).len), (text).at ? (text).at : ""

/* Bars of a series, oldest first and the present last, in `width` columns; `floor` keeps what is
 * hardly anything from looking like much. */
void tly_draw_plot(struct tly_grid *grid, size_t row, size_t column, size_t width, unsigned style,
                   const double *points, size_t count, double present, double floor);

void tly_draw_containers(struct tly_screen *screen, const struct tly_top_model *model,
                         struct tly_grid *grid, size_t row, size_t rows);
void tly_draw_alerts(const struct tly_screen *screen, const struct tly_top_model *model,
                     struct tly_page *page);
/* One alert's lines; `own`: they stand beside the container that it is about. */
void tly_draw_alert(const struct tly_screen *screen, const struct tly_top_model *model,
                    const struct tly_top_alert *alert, bool own, struct tly_page *page);
/* Those that fit the filter; `own`: of the container beside which they stand. */
void tly_draw_findings(const struct tly_top_model *model, const struct tly_top_model *house,
                       bool own, const char *filter, struct tly_page *page);
void tly_draw_logs(const struct tly_top_model *model, struct tly_page *page);
void tly_draw_agent(const struct tly_screen *screen, const struct tly_top_model *model,
                    struct tly_page *page);
void tly_draw_container(const struct tly_screen *screen, const struct tly_top_model *model,
                        struct tly_page *page);
void tly_draw_help(struct tly_page *page);

#endif
