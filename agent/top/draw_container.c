/*
 * One container: its figures with their history, alerts, recent events, findings, limits and
 * labels; see draw.h. And the help. Words as on the status page.
 */
#include "agent/top/draw.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define INDENT      3
#define TEXT_MAX    1024
#define FIGURE_AT   10 /* columns */
#define PLOT_AT     22
#define PLOT_LEAST  20
#define MORE_ROOM   48
#define MORE_GAP    2
#define TWO_COLUMNS 120
#define PERIOD_US   100000.0 /* of a CPU quota, where none is told */
#define KIB         1024.0
#define MIB         (1024.0 * 1024)

/* ---- head ---- */

static void draw_head(const struct tly_screen *screen, const struct tly_top_container *container,
                      struct tly_page *page)
{
    char words[TLY_CELL_MAX];
    char text[TEXT_MAX];
    const struct tly_text name = tly_top_name(container);
    size_t len = 0;
    tly_state_words(container, words);
    tly_page_line(page, 0, TLY_STYLE_STRONG, "%s %.*s", tly_level_sign(container->level),
                  TLY_SHOW(name));
    len = (size_t)snprintf(text, sizeof(text), "%s%s%.*s", words,
                           container->health.len > 0 ? ", " : "", TLY_SHOW(container->health));
    tly_page_wrap(page, INDENT, TLY_STYLE_PLAIN, tly_text_of(len < sizeof(text) ? text : words));
    for (size_t i = 0; i < container->trouble_count; i++) {
        tly_page_line(page, 0, tly_level_style(container->troubles[i].level), "%s %s",
                      tly_level_sign(container->troubles[i].level), container->troubles[i].text);
    }
    const double since = container->figures[TLY_FIGURE_SINCE];
    bool runs = tly_top_runs(container);
    int shown = container->id.len < 12 ? (int)container->id.len : 12;
    (void)snprintf(text, sizeof(text), "Image %.*s%s%.*s \u00b7 Id %.*s \u00b7 %s%s \u00b7 %s%s%s",
                   TLY_SHOW(container->image), container->project.len > 0 ? " \u00b7 Project " : "",
                   TLY_SHOW(container->project), shown, container->id.at, runs ? "Up " : "Since ",
                   runs ? tly_amount_span(screen->now - since).text
                        : tly_amount_ago(screen->now - since).text,
                   tly_amount_many(container->figures[TLY_FIGURE_RESTARTS], "restart").text,
                   tly_known(container->figures[TLY_FIGURE_LAYER]) ? " \u00b7 Writable layer " : "",
                   tly_known(container->figures[TLY_FIGURE_LAYER])
                       ? tly_amount_bytes(container->figures[TLY_FIGURE_LAYER]).text
                       : ""); /* cut is fine */
    tly_page_wrap(page, INDENT, TLY_STYLE_DIM, tly_text_of(text));
}

/* ---- figures and their history ---- */

struct plot {
    const char *name, *value;
    enum tly_series series;
    double present, floor;
};

static void draw_plot(const struct tly_top_model *model, const struct plot *plot, const char *more,
                      struct tly_page *page)
{
    const struct tly_top_history *history = &model->history;
    const size_t room = page->width > PLOT_AT ? page->width - PLOT_AT : 0;
    size_t wide = room > PLOT_LEAST + MORE_ROOM ? room - MORE_ROOM : PLOT_LEAST;
    wide = wide < TLY_HISTORY_MAX + 1 ? wide : TLY_HISTORY_MAX + 1;
    size_t row = page->row;
    tly_page_line(page, 0, TLY_STYLE_DIM, "%s", plot->name);
    (void)tly_grid_put(&page->grid, row, FIGURE_AT, PLOT_AT - FIGURE_AT, TLY_STYLE_STRONG,
                       tly_text_of(plot->value)); /* cut is fine */
    tly_draw_plot(&page->grid, row, PLOT_AT, wide, TLY_STYLE_GOOD, history->points[plot->series],
                  history->count, plot->present, plot->floor);
    if (PLOT_AT + wide + MORE_GAP + strlen(more) > page->width) {
        tly_page_line(page, PLOT_AT, TLY_STYLE_DIM, "%s", more);
    } else {
        (void)tly_grid_put(&page->grid, row, PLOT_AT + wide + MORE_GAP, page->width, TLY_STYLE_DIM,
                           tly_text_of(more)); /* fits */
    }
}

static double sum(double a, double b)
{
    return (tly_known(a) ? a : 0) + (tly_known(b) ? b : 0);
}

static void draw_pair(const struct tly_top_model *model, const char *name, enum tly_series series,
                      double one, double two, const char *one_word, const char *two_word,
                      struct tly_page *page)
{
    char more[TEXT_MAX];
    bool known = tly_known(one) || tly_known(two);
    const double all = known ? sum(one, two) : NAN;
    const struct tly_amount value = tly_amount_rate(all);
    if (known) {
        (void)snprintf(more, sizeof(more), "%s %s, %s %s", one_word, tly_amount_rate(one).text,
                       two_word, tly_amount_rate(two).text); /* fits */
    } else {
        (void)snprintf(more, sizeof(more), "not known for this container"); /* fits */
    }
    draw_plot(model, &(struct plot){name, value.text, series, all, KIB}, more, page);
}

static void draw_plots(const struct tly_top_model *model, const struct tly_top_container *container,
                       struct tly_page *page)
{
    const double cpu_floor = 0.05;
    const double throttled_least = 0.001;
    const double *figures = container->figures;
    char more[TEXT_MAX];
    const struct tly_amount cpu = tly_amount_percent(figures[TLY_FIGURE_CPU]);
    const struct tly_amount memory = tly_amount_bytes(figures[TLY_FIGURE_MEMORY]);
    bool throttled = figures[TLY_FIGURE_THROTTLED] > throttled_least;
    if (model->history.count > 0) {
        tly_page_title(page, "Now, and the last %s",
                       tly_amount_span((double)model->history.count * model->history.period).text);
    } else {
        tly_page_title(page, "Now");
    }
    (void)snprintf(more, sizeof(more), "can use %s%s%s%s",
                   tly_amount_cpus(figures[TLY_FIGURE_CPU_MAX]).text,
                   throttled ? ", throttled " : "",
                   throttled ? tly_amount_percent(figures[TLY_FIGURE_THROTTLED]).text : "",
                   throttled ? " of the time" : ""); /* fits */
    draw_plot(model,
              &(struct plot){"CPU", cpu.text, TLY_SERIES_CPU, figures[TLY_FIGURE_CPU], cpu_floor},
              more, page);
    const double max = figures[TLY_FIGURE_MEMORY_MAX];
    if (max > 0) {
        (void)snprintf(more, sizeof(more), "%s of its limit of %s",
                       tly_amount_percent(figures[TLY_FIGURE_MEMORY] / max).text,
                       tly_amount_bytes(max).text); /* fits */
    } else {
        (void)snprintf(more, sizeof(more), "no limit"); /* fits */
    }
    draw_plot(
        model,
        &(struct plot){"Memory", memory.text, TLY_SERIES_MEMORY, figures[TLY_FIGURE_MEMORY], MIB},
        more, page);
    draw_pair(model, "Network", TLY_SERIES_NETWORK, figures[TLY_FIGURE_RECEIVED],
              figures[TLY_FIGURE_SENT], "received", "sent", page);
    draw_pair(model, "Disk", TLY_SERIES_DISK, figures[TLY_FIGURE_READ], figures[TLY_FIGURE_WRITTEN],
              "read", "written", page);
    if (tly_known(figures[TLY_FIGURE_LAG_SECONDS])) {
        tly_page_line(page, 0, TLY_STYLE_DIM, "Log lag");
        (void)tly_grid_put(&page->grid, page->row - 1, FIGURE_AT, page->width, TLY_STYLE_STRONG,
                           tly_text_of(tly_amount_span(figures[TLY_FIGURE_LAG_SECONDS]).text));
    }
}

/* ---- events ---- */

static const char *action_word(struct tly_text action)
{
    static const struct {
        const char *action, *word;
    } words[] = {
        {"die", "ended"},
        {"oom", "out of memory"},
        {"exec_start", "exec"},
        {"connect", "joined network"},
        {"mount", "mounted"},
        {"disconnect", "left network"},
        {"unmount", "unmounted"},
        {"kill", "was sent a signal"},
        {"health_status", "health"},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (tly_text_equal(action, tly_text_of(words[i].action))) {
            return words[i].word;
        }
    }
    return NULL;
}

static unsigned event_style(struct tly_text action, struct tly_text detail, struct tly_text code)
{
    bool health = tly_text_equal(action, TLY_TEXT("health_status"));
    if (tly_text_equal(action, TLY_TEXT("oom")) ||
        (health && tly_text_equal(detail, TLY_TEXT("unhealthy")))) {
        return TLY_STYLE_BAD;
    }
    if (tly_text_equal(action, TLY_TEXT("die"))) {
        return code.len > 0 && !tly_text_equal(code, TLY_TEXT("0")) ? TLY_STYLE_BAD
                                                                    : TLY_STYLE_PLAIN;
    }
    return tly_text_equal(action, TLY_TEXT("start")) || tly_text_equal(detail, TLY_TEXT("healthy"))
               ? TLY_STYLE_GOOD
               : TLY_STYLE_PLAIN;
}

static void draw_event(const struct tly_screen *screen, const json_t *event, struct tly_page *page)
{
    const struct tly_text type = tly_json_text_at(event, "type");
    const struct tly_text action = tly_json_text_at(event, "action");
    const struct tly_text detail = tly_json_text_at(event, "detail");
    const struct tly_text code = tly_json_text_at(event, "exit_code");
    const struct tly_text sent = tly_json_text_at(event, "signal");
    const struct tly_text name = tly_json_text_at(event, "name");
    const char *word = action_word(action);
    const struct tly_text shown = word ? tly_text_of(word) : action;
    bool network = tly_text_equal(type, TLY_TEXT("network"));
    bool known_type = network || tly_text_equal(type, TLY_TEXT("volume")) ||
                      tly_text_equal(type, TLY_TEXT("container"));
    bool told = tly_text_equal(action, TLY_TEXT("health_status")) ||
                (detail.len > 0 && tly_text_equal(action, TLY_TEXT("exec_start")));
    const struct tly_text nothing = {"", 0};
    const struct tly_text extra = !told ? nothing : detail.len > 0 ? detail : TLY_TEXT("unknown");
    tly_page_fact(page, tly_amount_ago(screen->now - tly_top_time(event, "time")).text,
                  event_style(action, detail, code), "%.*s%s%.*s%s%.*s%s%.*s%s%.*s%s%.*s",
                  known_type ? 0 : (int)type.len, type.at ? type.at : "", known_type ? "" : " ",
                  TLY_SHOW(shown), told ? ": " : "", TLY_SHOW(extra),
                  code.len > 0 ? ", exit code " : "", TLY_SHOW(code), sent.len > 0 ? " " : "",
                  TLY_SHOW(sent), network ? " " : "", network ? (int)name.len : 0,
                  name.at ? name.at : "");
}

static void draw_events(const struct tly_screen *screen, const struct tly_top_model *model,
                        struct tly_page *page)
{
    const json_t *events = tly_json_at(model->events, "events");
    tly_page_title(page, "Recent events");
    for (size_t i = 0; i < tly_json_count(events); i++) {
        draw_event(screen, tly_json_item(events, i), page);
    }
    if (tly_json_count(events) == 0) {
        tly_page_line(page, 0, TLY_STYLE_DIM, "%s",
                      model->events ? "What happens from now on is listed here."
                                    : "Not known yet.");
    }
}

/* ---- set-up ---- */

static void limit(struct tly_page *page, const char *name, double value, struct tly_amount amount)
{
    tly_page_fact(page, name, TLY_STYLE_PLAIN, "%s", value == 0 ? "none" : amount.text);
}

static void fact_text(struct tly_page *page, const char *name, const json_t *one, const char *key,
                      const char *empty)
{
    const struct tly_text text = tly_json_text_at(one, key);
    tly_page_fact(page, name, TLY_STYLE_PLAIN, "%.*s",
                  TLY_SHOW(text.len > 0 ? text : tly_text_of(text.at ? empty : "\u2013")));
}

/* In the time zone of whoever looks. */
static void fact_time(struct tly_page *page, const char *name, const json_t *one, const char *key)
{
    const double seconds = tly_top_time(one, key);
    char text[TLY_AMOUNT_MAX] = "\u2013";
    struct tm parts;
    time_t time = tly_known(seconds) ? (time_t)seconds : 0;
    if (time > 0 && localtime_r(&time, &parts)) {
        (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %Z", &parts); /* fits */
    }
    tly_page_fact(page, name, TLY_STYLE_PLAIN, "%s", text);
}

static void draw_limits(const json_t *one, struct tly_page *page)
{
    const double memory = tly_top_number(one, "memory_limit");
    const double reserved = tly_top_number(one, "memory_reservation");
    const double swap = tly_top_number(one, "memory_swap_limit");
    const double quota = tly_top_number(one, "cpu_quota");
    const double told_period = tly_top_number(one, "cpu_period");
    const double period = told_period > 0 ? told_period : PERIOD_US;
    const double shares = tly_top_number(one, "cpu_shares");
    const double pids = tly_top_number(one, "pids_limit");
    tly_page_title(page, "Limits and set-up");
    limit(page, "Memory limit", memory, tly_amount_bytes(memory));
    limit(page, "Memory reservation", reserved, tly_amount_bytes(reserved));
    limit(page, "Swap limit", swap, tly_amount_bytes(swap));
    limit(page, "CPU quota", quota, tly_amount_cpus(quota / period));
    tly_page_fact(page, "CPU shares", TLY_STYLE_PLAIN, "%s",
                  shares == 0 ? "as all others" : tly_amount_count(shares).text);
    limit(page, "Processes, threads", pids, tly_amount_count(pids));
    fact_text(page, "Restart policy", one, "restart_policy", "\u2013");
    fact_text(page, "User", one, "user", "root");
    fact_text(page, "Network", one, "network_mode", "\u2013");
    tly_page_fact(page, "Published ports", TLY_STYLE_PLAIN, "%s",
                  tly_amount_count(tly_top_number(one, "published_ports")).text);
    fact_text(page, "Log driver", one, "log_driver", "\u2013");
    const double pid = tly_top_number(one, "pid");
    if (pid > 0) {
        tly_page_fact(page, "Process id", TLY_STYLE_PLAIN, "%.0f", pid);
    }
    fact_time(page, "Created", one, "created");
    fact_time(page, "Started", one, "started");
    fact_time(page, "Ended", one, "finished");
    fact_text(page, "Image", one, "image_id", "\u2013");
}

static void draw_labels(const json_t *one, struct tly_page *page)
{
    const char *key = NULL;
    const json_t *value = NULL;
    bool first = true;
    for (void *at = NULL; tly_json_next(tly_json_at(one, "container_labels"), &at, &key, &value);) {
        const struct tly_text text = tly_json_string(value);
        char line[TEXT_MAX];
        if (first) {
            tly_page_title(page, "Labels");
            first = false;
        }
        (void)snprintf(line, sizeof(line), "%s=%.*s", key, TLY_SHOW(text)); /* cut is fine */
        tly_page_wrap(page, 0, TLY_STYLE_PLAIN, tly_text_of(line));
    }
}

/* What the agent knows in the words of its metrics, beyond the container's own labels. */
static void draw_figures(const json_t *one, struct tly_page *page)
{
    const json_t *samples = tly_json_at(one, "samples");
    if (tly_json_count(samples) > 0) {
        tly_page_title(page, "All figures");
    }
    for (size_t i = 0; i < tly_json_count(samples); i++) {
        const json_t *sample = tly_json_item(samples, i);
        const struct tly_text name = tly_json_text_at(sample, "name");
        const char *key = NULL;
        const json_t *value = NULL;
        char line[TEXT_MAX];
        size_t len = (size_t)snprintf(line, sizeof(line), "%.*s", TLY_SHOW(name));
        for (void *at = NULL; tly_json_next(tly_json_at(sample, "labels"), &at, &key, &value);) {
            const struct tly_text text = tly_json_string(value);
            if (len < sizeof(line)) {
                len += (size_t)snprintf(line + len, sizeof(line) - len, " %s=%.*s", key,
                                        TLY_SHOW(text)); /* cut is fine */
            }
        }
        if (len < sizeof(line)) {
            (void)snprintf(line + len, sizeof(line) - len, "  %.10g",
                           tly_top_number(sample, "value")); /* cut is fine */
        }
        tly_page_wrap(page, 0, TLY_STYLE_DIM, tly_text_of(line));
    }
}

/* ---- everything ---- */

static void draw_alerts(const struct tly_screen *screen, const struct tly_top_model *model,
                        size_t index, struct tly_page *page)
{
    bool first = true;
    for (size_t i = 0; i < model->alert_count; i++) {
        if (model->alerts[i].container == index) {
            if (first) {
                tly_page_title(page, "Alerts");
                first = false;
            }
            tly_draw_alert(screen, model, &model->alerts[i], true, page);
        }
    }
}

void tly_draw_container(const struct tly_screen *screen, const struct tly_top_model *model,
                        struct tly_page *page)
{
    const size_t index = tly_top_find(model, tly_text_of(screen->looked_at));
    const bool beside = page->grid.width >= TWO_COLUMNS;
    const size_t half = page->grid.width / 2;
    const json_t *one = tly_json_item(tly_json_at(model->detail, "containers"), 0);
    if (index == TLY_NOWHERE) {
        tly_page_line(page, INDENT, TLY_STYLE_WARN,
                      "This container is not here any more: it was removed.");
        return;
    }
    draw_head(screen, &model->containers[index], page);
    draw_plots(model, &model->containers[index], page);
    draw_alerts(screen, model, index, page);
    const size_t top = page->row;
    tly_page_column(page, top, 0, beside ? half - 2 : 0);
    draw_events(screen, model, page);
    tly_page_title(page, "Findings of the audit");
    tly_draw_findings(model->detail_findings, model, true, "", page);
    if (!one) {
        return;
    }
    const size_t left = page->row;
    if (beside) {
        tly_page_column(page, top, half, page->grid.width - half);
    }
    draw_limits(one, page);
    draw_labels(one, page);
    tly_page_column(page, page->row > left ? page->row : left, 0, 0);
    draw_figures(one, page);
}

/* ---- help ---- */

void tly_draw_help(struct tly_page *page)
{
    static const char *const rows[][2] = {
        {"1 2 3 4 5, Tab", "containers, alerts, findings, logs, agent"},
        {"up, down, k, j", "the row above, below"},
        {"PgUp PgDn Home End", "a page up, a page down, the first, the last"},
        {"Enter", "everything of the chosen container: history, events, findings, limits"},
        {"Esc, Backspace", "back; in a list: all of it again"},
        {"/", "filter by words in name, image, project, id, state or health; findings by "
              "words in check, severity, name, image or message"},
        {"a", "show all, those that need attention, running, stopped, unhealthy"},
        {"s S, right left", "sort by the next, the previous column"},
        {"A N T C M", "sort by attention, name, state, CPU, memory"},
        {"E D R L F", "sort by network, disk, restarts, log lag, findings"},
        {"r", "the other way round"},
        {"Space", "hold: ask nothing until it is pressed again"},
        {"Ctrl-L", "draw everything anew"},
        {"q, Ctrl-C", "quit"},
        {"", ""},
        {"!! and !", "bad, and a warning; the words behind say what"},
        {"\u2013", "not known"},
        {"CPU", "100 % is one CPU"},
        {"MEMORY", "the working set; OF LIMIT its share of what it may have"},
    };
    tly_page_title(page, "Keys and words");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tly_page_fact(page, rows[i][0], TLY_STYLE_PLAIN, "%s", rows[i][1]);
    }
}
