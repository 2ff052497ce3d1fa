/*
 * The frame around every view: what is wrong, the host, the tabs, the lowest line. See screen.h.
 */
#include "agent/top/draw.h"

#include "agent/top/glyph.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX    512
#define WIDE        150 /* columns, in which both lines of figures fit into one */
#define SIGN_WIDTH  2
#define LIVE_S      6.0 /* an answer so young is the present */
#define LAG_LEAST_S 2.0
#define LAG_WARN_S  60.0
#define LAG_BAD_S   600.0
#define NAME_BYTES  48

static size_t put(struct tly_grid *grid, size_t row, size_t column, unsigned style,
                  const char *text)
{
    return tly_grid_put(grid, row, column, grid->width, style, tly_text_of(text));
}

/* ---- above ---- */

static void draw_title(const struct tly_screen *screen, const struct tly_top_model *model,
                       struct tly_grid *grid)
{
    char text[TEXT_MAX];
    const struct tly_contact *contact = &screen->contact;
    bool lost = contact->failed[0] != '\0';
    size_t at = put(grid, 0, 0, TLY_STYLE_STRONG, "Tallyman ");
    (void)snprintf(text, sizeof(text), "%.*s", TLY_SHOW(model->host_name)); /* cut is fine */
    at += tly_grid_put(grid, 0, at, grid->width / 2, TLY_STYLE_PLAIN, tly_text_of(text));
    const struct tly_amount age = tly_amount_span(contact->age_s);
    if (lost && contact->answered) {
        (void)snprintf(text, sizeof(text), "!! No answer for %s, trying again",
                       age.text); /* fits, as all of these */
    } else if (lost) {
        (void)snprintf(text, sizeof(text), "!! No answer, trying again");
    } else if (!contact->answered) {
        (void)snprintf(text, sizeof(text), "Connecting");
    } else if (screen->held) {
        (void)snprintf(text, sizeof(text), "! Held for %s", age.text);
    } else if (contact->age_s >= LIVE_S) {
        (void)snprintf(text, sizeof(text), "Updated %s ago", age.text);
    } else {
        (void)snprintf(text, sizeof(text), "Live");
    }
    tly_grid_put_right(grid, 0, at + 1, grid->width - at - 1,
                       lost           ? TLY_STYLE_BAD
                       : screen->held ? TLY_STYLE_WARN
                                      : TLY_STYLE_GOOD,
                       tly_text_of(text));
}

static void draw_banner(const struct tly_screen *screen, struct tly_grid *grid, size_t row)
{
    char text[TEXT_MAX];
    const struct tly_contact *contact = &screen->contact;
    (void)snprintf(text, sizeof(text), "The agent does not answer: %.256s",
                   contact->failed); /* cut is fine */
    (void)put(grid, row, SIGN_WIDTH + 1, TLY_STYLE_BAD, text);
}

static void draw_verdict(const struct tly_screen *screen, const struct tly_top_model *model,
                         struct tly_grid *grid)
{
    struct tly_verdict_text verdict;
    if (!model->overview) {
        (void)put(grid, 1, 0, TLY_STYLE_PLAIN, "Nothing is known yet.");
    } else {
        tly_top_verdict(model, &verdict);
        unsigned style = verdict.level == TLY_LEVEL_OK ? TLY_STYLE_GOOD
                                                       : tly_level_style(verdict.level);
        (void)put(grid, 1, 0, style,
                  verdict.level == TLY_LEVEL_OK ? "ok" : tly_level_sign(verdict.level));
        (void)put(grid, 1, SIGN_WIDTH + 1, style, verdict.text);
        if (screen->contact.failed[0] == '\0') {
            (void)put(grid, 2, SIGN_WIDTH + 1, TLY_STYLE_DIM, verdict.more);
        }
    }
    if (screen->contact.failed[0] != '\0') {
        draw_banner(screen, grid, 2);
    }
}

/* "Name value", with a gap before it; where the next one goes. */
static size_t draw_figure(struct tly_grid *grid, size_t row, size_t column, const char *name,
                          unsigned style, const char *value)
{
    column += column > 0 ? 2 : 0;
    column += put(grid, row, column, TLY_STYLE_DIM, name) + 1;
    return column + put(grid, row, column, style, value);
}

static size_t draw_host(const struct tly_top_model *model, struct tly_grid *grid, size_t row)
{
    char text[TEXT_MAX];
    size_t running = tly_list_count(model, TLY_SHOW_RUNNING);
    (void)snprintf(text, sizeof(text), "%s running, %s stopped",
                   tly_amount_count((double)running).text,
                   tly_amount_count((double)(model->container_count - running)).text); /* fits */
    size_t at = draw_figure(grid, row, 0, "Containers", TLY_STYLE_PLAIN, text);
    if (tly_known(model->host_cpu) && model->host_cpu_max > 0) {
        (void)snprintf(text, sizeof(text), "%s of %s",
                       tly_amount_percent(model->host_cpu / model->host_cpu_max).text,
                       tly_amount_count(model->host_cpu_max).text); /* fits */
    } else {
        (void)snprintf(text, sizeof(text), "not known"); /* fits */
    }
    at = draw_figure(grid, row, at, "CPU", TLY_STYLE_PLAIN, text);
    if (model->host_memory_max > 0) {
        (void)snprintf(text, sizeof(text), "%s of %s",
                       tly_amount_percent(model->host_memory / model->host_memory_max).text,
                       tly_amount_bytes(model->host_memory_max).text); /* fits */
    } else {
        (void)snprintf(text, sizeof(text), "%s",
                       tly_amount_bytes(model->host_memory).text); /* fits */
    }
    return draw_figure(grid, row, at, "Memory", TLY_STYLE_PLAIN, text);
}

static size_t draw_delivery(const struct tly_top_model *model, struct tly_grid *grid, size_t row,
                            size_t at)
{
    char text[TEXT_MAX];
    const struct tly_top_sample *one;
    struct tly_text name = {NULL, 0};
    struct tly_text cut_off;
    size_t destinations = 0;
    const size_t cut_off_count = tly_top_cut_off(model, &cut_off);
    const double worst = tly_top_worst_lag(model);
    for (size_t i = 0;
         (one = tly_top_samples_next(model, "tallyman_destination_queued_records", &i)) != NULL;) {
        name = tly_top_label(one, "destination");
        destinations++;
    }
    unsigned style = worst > LAG_BAD_S                         ? TLY_STYLE_BAD
                     : worst > LAG_WARN_S || cut_off_count > 0 ? TLY_STYLE_WARN
                                                               : TLY_STYLE_PLAIN;
    if (destinations == 0) {
        (void)snprintf(text, sizeof(text), "stay here"); /* fits, as all of these */
    } else if (worst >= LAG_LEAST_S) {
        (void)snprintf(text, sizeof(text), "%s%s behind%s", worst > LAG_WARN_S ? "! " : "",
                       tly_amount_span(worst).text, cut_off_count > 0 ? ", not connected" : "");
    } else if (cut_off_count == 1) {
        (void)snprintf(text, sizeof(text), "! not connected to %.*s",
                       cut_off.len < NAME_BYTES ? (int)cut_off.len : NAME_BYTES,
                       cut_off.at ? cut_off.at : "");
    } else if (cut_off_count > 1) {
        (void)snprintf(text, sizeof(text), "! not connected to %s",
                       tly_amount_many((double)cut_off_count, "destination").text);
    } else if (destinations == 1) {
        (void)snprintf(text, sizeof(text), "up to date to %.*s",
                       name.len < NAME_BYTES ? (int)name.len : NAME_BYTES, name.at ? name.at : "");
    } else {
        (void)snprintf(text, sizeof(text), "up to date to %s",
                       tly_amount_many((double)destinations, "destination").text);
    }
    return draw_figure(grid, row, at, "Logs", style, text);
}

static void draw_house(const struct tly_top_model *model, struct tly_grid *grid, size_t row,
                       size_t at)
{
    const struct tly_text none = {NULL, 0};
    char text[TEXT_MAX];
    const double score = tly_top_sample(model, "posture_score", NULL, none);
    const double high = tly_top_failed(model, "critical,high");
    at = draw_delivery(model, grid, row, at);
    if (!tly_known(score)) {
        (void)snprintf(text, sizeof(text), "nothing judged yet"); /* fits */
    } else {
        (void)snprintf(text, sizeof(text), "%s of 100, %s grave", tly_amount_figures(score).text,
                       high > 0 ? tly_amount_count(high).text : "none"); /* fits */
    }
    at = draw_figure(grid, row, at, "Audit", high > 0 ? TLY_STYLE_WARN : TLY_STYLE_PLAIN, text);
    (void)snprintf(text, sizeof(text), "%s, %s", tly_amount_percent(model->agent_cpu).text,
                   tly_amount_bytes(model->agent_memory).text); /* fits */
    (void)draw_figure(grid, row, at, "Agent", TLY_STYLE_PLAIN, text);
}

/* What stands behind a tab's name, and how grave it is. */
static enum tly_level tab_count(const struct tly_top_model *model, enum tly_view view,
                                char to[TLY_AMOUNT_MAX])
{
    double count = NAN;
    struct tly_text cut_off;
    enum tly_level level = TLY_LEVEL_OK;
    const double worst = tly_top_worst_lag(model);
    switch (view) {
    case TLY_VIEW_CONTAINERS:
        count = (double)model->container_count;
        break;
    case TLY_VIEW_ALERTS:
        count = 0;
        for (size_t i = 0; i < model->alert_count && model->alerts[i].firing; i++) {
            bool grave = tly_severity_grave(model->alerts[i].severity);
            level = grave ? TLY_LEVEL_BAD : level == TLY_LEVEL_OK ? TLY_LEVEL_WARN : level;
            count++;
        }
        break;
    case TLY_VIEW_FINDINGS:
        count = tly_top_failed(model, "critical,high");
        level = tly_top_failed(model, "critical") > 0 ? TLY_LEVEL_BAD
                : count > 0                           ? TLY_LEVEL_WARN
                                                      : TLY_LEVEL_OK;
        break;
    case TLY_VIEW_LOGS:
        level = worst > LAG_BAD_S                                            ? TLY_LEVEL_BAD
                : worst > LAG_WARN_S || tly_top_cut_off(model, &cut_off) > 0 ? TLY_LEVEL_WARN
                                                                             : TLY_LEVEL_OK;
        (void)snprintf(to, TLY_AMOUNT_MAX, "%s", level > TLY_LEVEL_OK ? " !" : ""); /* fits */
        return level;
    case TLY_VIEW_AGENT:
        count = (double)tly_top_lack_count(model);
        level = count > 0 ? TLY_LEVEL_WARN : TLY_LEVEL_OK;
        if (count == 0) {
            to[0] = '\0';
            return level;
        }
        break;
    case TLY_VIEW_CONTAINER: /* also how many have a number */
    case TLY_VIEW_HELP:
        break;
    }
    (void)snprintf(to, TLY_AMOUNT_MAX, " %.40s", tly_amount_count(count).text); /* fits */
    return level;
}

static void draw_tabs(const struct tly_screen *screen, const struct tly_top_model *model,
                      struct tly_grid *grid, size_t row)
{
    static const char *const names[] = {"Containers", "Alerts", "Findings", "Logs", "Agent"};
    enum tly_view current = screen->view < TLY_VIEW_TABS ? screen->view : screen->before;
    size_t at = 0;
    for (enum tly_view view = 0; view < TLY_VIEW_TABS; view++) {
        char count[TLY_AMOUNT_MAX];
        char text[TEXT_MAX];
        enum tly_level level = tab_count(model, view, count);
        (void)snprintf(text, sizeof(text), "%c%d %s%s%c", view == current ? '[' : ' ',
                       (int)view + 1, names[view], count, view == current ? ']' : ' '); /* fits */
        unsigned style = level > TLY_LEVEL_OK ? tly_level_style(level)
                         : view == current    ? TLY_STYLE_STRONG
                                              : TLY_STYLE_PLAIN;
        at += put(grid, row, at, style, text) + 1;
    }
}

/* ---- below ---- */

/* The order, if not all are shown which are, and the filter. */
static void choice_write(const struct tly_choice *choice, char *to, size_t cap)
{
    bool only = choice->show != TLY_SHOW_ALL;
    (void)snprintf(to, cap, "by %s%s%s%s%s%s", tly_sort_names[choice->sort],
                   choice->reverse ? ", reversed" : "", only ? ", only " : "",
                   only ? tly_show_names[choice->show] : "", *choice->filter ? ", /" : "",
                   choice->filter); /* cut is fine */
}

static void draw_foot(const struct tly_screen *screen, struct tly_grid *grid)
{
    const size_t row = grid->height - 1;
    size_t width = grid->width > 1 ? grid->width - 1 : 1;
    char text[TEXT_MAX];
    char part[TEXT_MAX];
    tly_grid_paint(grid, row, 0, grid->width, TLY_STYLE_BAR);
    if (screen->typing) {
        (void)snprintf(text, sizeof(text), "Filter: %s_   Enter keeps it, Esc does not",
                       screen->view == TLY_VIEW_FINDINGS ? screen->findings_filter
                                                         : screen->choice.filter); /* fits */
    } else if (screen->view == TLY_VIEW_FINDINGS) {
        const char *filter = screen->findings_filter;
        (void)snprintf(text, sizeof(text), "%s%s%s  up/down scroll  ? help  q quit",
                       *filter ? "/" : "1-5 views  / filter", filter,
                       *filter ? "  Esc all" : ""); /* fits */
    } else if (screen->view != TLY_VIEW_CONTAINERS) {
        (void)snprintf(text, sizeof(text), "%s  up/down scroll  ? help  q quit",
                       screen->view < TLY_VIEW_TABS ? "1-5 views" : "Esc back"); /* fits */
    } else {
        size_t last = screen->first + screen->page;
        last = last < screen->order_count ? last : screen->order_count;
        (void)snprintf(part, sizeof(part), "%s\u2013%s of %s",
                       tly_amount_count(last > 0 ? (double)screen->first + 1 : 0).text,
                       tly_amount_count((double)last).text,
                       tly_amount_count((double)screen->order_count).text); /* fits */
        tly_grid_put_right(grid, row, 0, width, TLY_STYLE_BAR, tly_text_of(part));
        size_t taken = tly_glyph_width(tly_text_of(part), grid->ascii) + 2;
        width = width > taken ? width - taken : 1;
        choice_write(&screen->choice, part, sizeof(part));
        (void)snprintf(text, sizeof(text),
                       "%.200s   / filter  s sort  a show  Enter open  ? help  q quit",
                       part); /* fits */
    }
    (void)tly_grid_put(grid, row, 1, width, TLY_STYLE_BAR, tly_text_of(text)); /* cut is fine */
}

/* ---- everything ---- */

static void draw_page(struct tly_screen *screen, const struct tly_top_model *model,
                      struct tly_grid *grid, size_t row, size_t rows)
{
    struct tly_page page;
    tly_page_init(&page, grid->width, grid->ascii);
    switch (screen->view) {
    case TLY_VIEW_ALERTS:
        tly_draw_alerts(screen, model, &page);
        break;
    case TLY_VIEW_FINDINGS:
        tly_draw_findings(model, model, false, screen->findings_filter, &page);
        break;
    case TLY_VIEW_LOGS:
        tly_draw_logs(model, &page);
        break;
    case TLY_VIEW_AGENT:
        tly_draw_agent(screen, model, &page);
        break;
    case TLY_VIEW_CONTAINER:
        tly_draw_container(screen, model, &page);
        break;
    case TLY_VIEW_HELP:
    case TLY_VIEW_CONTAINERS: /* never: it has a way of its own */
        tly_draw_help(&page);
        break;
    }
    size_t last = page.row > rows ? page.row - rows : 0;
    screen->scroll = screen->scroll < last ? screen->scroll : last;
    tly_grid_copy(grid, row, &page.grid, screen->scroll, rows);
    if (last > 0) {
        char text[TEXT_MAX];
        (void)snprintf(text, sizeof(text), "%zu\u2013%zu of %zu lines", screen->scroll + 1,
                       screen->scroll + rows, page.row); /* fits */
        tly_grid_put_right(grid, grid->height - 1, 0, grid->width - 1, TLY_STYLE_BAR,
                           tly_text_of(text));
    }
    tly_page_done(&page);
}

void tly_screen_draw(struct tly_screen *screen, const struct tly_top_model *model,
                     struct tly_grid *grid)
{
    size_t row = 3;
    draw_title(screen, model, grid);
    draw_verdict(screen, model, grid);
    if (model->overview) {
        size_t at = draw_host(model, grid, row);
        if (grid->width < WIDE) {
            row++;
            at = 0;
        }
        draw_house(model, grid, row, at);
    } else {
        row++;
    }
    draw_tabs(screen, model, grid, row + 1);
    row += 2;
    const size_t rows = grid->height > row + 1 ? grid->height - row - 1 : 0;
    screen->page = rows > 0 ? rows : 1;
    if (screen->view == TLY_VIEW_CONTAINERS) {
        tly_draw_containers(screen, model, grid, row, rows);
        draw_foot(screen, grid);
    } else {
        draw_foot(screen, grid);
        if (rows > 0) {
            draw_page(screen, model, grid, row, rows);
        }
    }
}
