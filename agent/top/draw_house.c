/*
 * Where logs go and how far behind they are, and what the agent itself costs; see draw.h. Words as
 * on the status page.
 */
#include "agent/top/draw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDENT       3
#define TEXT_MAX     1024
#define LATE_MAX     10 /* containers that are told as furthest behind */
#define LAG_LEAST_S  2.0
#define LAG_WARN_S   60.0
#define LAG_BAD_S    600.0
#define PLOT_MAX     (TLY_HISTORY_MAX + 1)
#define CPU_FLOOR    0.01
#define MEMORY_FLOOR (4.0 * 1024 * 1024)
#define NAME_WIDTH   32
#define MS_PER_S     1e3

static const struct tly_text none = {NULL, 0};

struct line {
    char text[TEXT_MAX];
    size_t len;
};

/* Adds to a list with commas; cut is fine. */
static void list_add(struct line *line, const char *format, ...) TLY_PRINTF(2, 3);
static void list_add(struct line *line, const char *format, ...)
{
    char one[TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(one, sizeof(one), format, args); /* cut is fine */
    va_end(args);
    if (line->len < sizeof(line->text)) {
        int more = snprintf(line->text + line->len, sizeof(line->text) - line->len, "%s%s",
                            line->len > 0 ? ", " : "", one); /* cut is fine */
        line->len += more > 0 ? (size_t)more : 0;
    }
}

/* ---- one destination ---- */

/* Its servers, with those that are down. */
static void servers_of(const struct tly_top_model *model, struct tly_text name, struct line *line)
{
    const struct tly_top_sample *one;
    for (size_t at = 0;
         (one = tly_top_samples_next(model, "tallyman_forward_connected", &at)) != NULL;) {
        struct tly_text server = tly_top_label(one, "server");
        if (tly_text_equal(tly_top_label(one, "destination"), name)) {
            list_add(line, "%.*s%s", TLY_SHOW(server), one->value == 1 ? "" : " (down)");
        }
    }
}

static void errors_of(const struct tly_top_model *model, struct tly_text name, struct line *line)
{
    const struct tly_top_sample *one;
    for (size_t at = 0;
         (one = tly_top_samples_next(model, "tallyman_forward_errors_total", &at)) != NULL;) {
        struct tly_text reason = tly_top_label(one, "reason");
        if (tly_text_equal(tly_top_label(one, "destination"), name) && one->value > 0) {
            list_add(line, "%.*s %s", TLY_SHOW(reason), tly_amount_count(one->value).text);
        }
    }
}

static void draw_acknowledged(const struct tly_top_model *model, struct tly_text name,
                              struct tly_page *page)
{
    const double acked = tly_top_sample(model, "tallyman_destination_records_acked_total",
                                        "destination", name);
    for (size_t i = 0; i < model->rate_count; i++) {
        if (tly_text_equal(tly_text_of(model->rates[i].destination), name) &&
            tly_known(model->rates[i].rate)) {
            tly_page_fact(page, "Acknowledged", TLY_STYLE_PLAIN, "%s, %s a second",
                          tly_amount_count(acked).text,
                          tly_amount_figures(model->rates[i].rate).text);
            return;
        }
    }
    tly_page_fact(page, "Acknowledged", TLY_STYLE_PLAIN, "%s", tly_amount_count(acked).text);
}

static double or_zero(double number)
{
    return tly_known(number) ? number : 0;
}

static void draw_queue(const struct tly_top_model *model, struct tly_text name,
                       const struct tly_top_behind *behind, struct tly_page *page)
{
    const double spool = tly_top_sample(model, "tallyman_spool_lag_bytes", "destination", name);
    tly_page_fact(page, "Waiting on disk", TLY_STYLE_PLAIN, "%s%s%s",
                  tly_amount_bytes(behind->bytes + or_zero(spool)).text,
                  behind->containers > 0 ? ", of " : "",
                  behind->containers > 0 ? tly_amount_many(behind->containers, "container").text
                                         : "");
    tly_page_fact(page, "Under way", TLY_STYLE_PLAIN, "%s, %s of %s",
                  tly_amount_many(tly_top_sample(model, "tallyman_destination_queued_records",
                                                 "destination", name),
                                  "record")
                      .text,
                  tly_amount_bytes(tly_top_sample(model, "tallyman_destination_memory_bytes",
                                                  "destination", name))
                      .text,
                  tly_amount_bytes(tly_top_sample(model, "tallyman_destination_memory_max_bytes",
                                                  "destination", name))
                      .text);
    tly_page_fact(
        page, "Sent again", TLY_STYLE_PLAIN, "%s",
        tly_amount_many(tly_top_sample(model, "tallyman_destination_chunks_returned_total",
                                       "destination", name),
                        "chunk")
            .text);
}

static void draw_losses(const struct tly_top_model *model, struct tly_text name,
                        struct tly_page *page)
{
    struct line errors = {.len = 0};
    const double dropped = or_zero(
        tly_top_sum(model, "tallyman_destination_records_dropped_total", "destination", name));
    const double gaps = or_zero(
        tly_top_sum(model, "tallyman_logs_gaps_total", "destination", name));
    if (dropped > 0 || gaps > 0) {
        tly_page_fact(page, "Lost or dropped", TLY_STYLE_BAD, "!! %s dropped, %s",
                      tly_amount_many(dropped, "record").text, tly_amount_many(gaps, "gap").text);
    } else {
        tly_page_fact(page, "Lost or dropped", TLY_STYLE_PLAIN, "nothing");
    }
    errors_of(model, name, &errors);
    tly_page_fact(page, "Errors", TLY_STYLE_PLAIN, "%s", errors.len > 0 ? errors.text : "none");
}

static void draw_destination(const struct tly_top_model *model, struct tly_text name,
                             struct tly_page *page)
{
    struct line servers = {.len = 0};
    const struct tly_top_behind behind = tly_top_behind(model, name);
    servers_of(model, name, &servers);
    const bool cut_off = tly_top_is_cut_off(model, name);
    const bool late = behind.seconds >= LAG_LEAST_S;
    enum tly_level level = behind.seconds > LAG_BAD_S || cut_off ? TLY_LEVEL_BAD
                           : behind.seconds > LAG_WARN_S         ? TLY_LEVEL_WARN
                                                                 : TLY_LEVEL_OK;
    tly_page_title(page, "%.*s", TLY_SHOW(name));
    tly_page_fact(page, "Lag", level == TLY_LEVEL_OK ? TLY_STYLE_GOOD : tly_level_style(level),
                  "%s%s%s%s%s",
                  level == TLY_LEVEL_OK     ? ""
                  : level == TLY_LEVEL_WARN ? "! "
                                            : "!! ",
                  late      ? tly_amount_span(behind.seconds).text
                  : cut_off ? ""
                            : "up to date",
                  late ? " behind" : "", late && cut_off ? ", " : "",
                  cut_off           ? "not connected"
                  : servers.len > 0 ? ", connected"
                                    : "");
    tly_page_fact(page, "Servers", TLY_STYLE_PLAIN, "%s",
                  servers.len > 0 ? servers.text : "\u2013");
    draw_acknowledged(model, name, page);
    draw_queue(model, name, &behind, page);
    draw_losses(model, name, page);
}

/* ---- all destinations ---- */

static void draw_late(const struct tly_top_model *model, struct tly_page *page)
{
    struct tly_choice all = {.sort = TLY_SORT_LAG};
    size_t *order = calloc(model->container_count + 1, sizeof(*order));
    size_t count = order ? tly_list_make(model, &all, order) : 0;
    for (size_t i = 0; i < count && i < LATE_MAX; i++) {
        const struct tly_top_container *one = &model->containers[order[i]];
        if (!(one->figures[TLY_FIGURE_LAG_SECONDS] >= LAG_LEAST_S)) {
            break;
        }
        if (i == 0) {
            tly_page_title(page, "Furthest behind");
        }
        size_t row = page->row;
        tly_page_line(page, NAME_WIDTH + 1, TLY_STYLE_PLAIN, "%s behind, %s not read yet",
                      tly_amount_span(one->figures[TLY_FIGURE_LAG_SECONDS]).text,
                      tly_amount_bytes(one->figures[TLY_FIGURE_LAG_BYTES]).text);
        (void)tly_grid_put(&page->grid, row, 0, NAME_WIDTH, TLY_STYLE_PLAIN,
                           tly_top_name(one)); /* cut is fine */
    }
    free(order);
}

static void draw_peers(const struct tly_top_model *model, struct tly_page *page)
{
    const struct tly_top_sample *one;
    bool first = true;
    for (size_t at = 0;
         (one = tly_top_samples_next(model, "tallyman_notifications_sent_total", &at)) != NULL;) {
        struct tly_text peer = tly_top_label(one, "peer");
        if (first) {
            tly_page_title(page, "Who is told of alerts");
            first = false;
        }
        tly_page_line(page, 0, TLY_STYLE_PLAIN, "%.*s: sent %s, errors %s, dropped %s, waiting %s",
                      TLY_SHOW(peer), tly_amount_count(one->value).text,
                      tly_amount_count(tly_top_sample(model, "tallyman_notifications_errors_total",
                                                      "peer", peer))
                          .text,
                      tly_amount_count(tly_top_sample(model, "tallyman_notifications_dropped_total",
                                                      "peer", peer))
                          .text,
                      tly_amount_count(tly_top_sample(model, "tallyman_notifications_queue_length",
                                                      "peer", peer))
                          .text);
    }
}

void tly_draw_logs(const struct tly_top_model *model, struct tly_page *page)
{
    const struct tly_top_sample *one;
    bool any = false;
    for (size_t at = 0;
         (one = tly_top_samples_next(model, "tallyman_destination_queued_records", &at)) != NULL;) {
        draw_destination(model, tly_top_label(one, "destination"), page);
        any = true;
    }
    if (!any && model->overview) {
        tly_page_line(page, INDENT, TLY_STYLE_PLAIN,
                      "Logs stay on this host: `forward` names those that lines go to.");
    }
    draw_late(model, page);
    draw_peers(model, page);
}

/* ---- the agent ---- */

static void draw_lacks(const struct tly_top_model *model, struct tly_page *page)
{
    struct tly_top_lack lack;
    struct line off = {.len = 0};
    const json_t *groups = tly_json_at(model->overview, "off");
    tly_page_title(page, "Lacking or switched off");
    for (size_t i = 0; tly_top_lack(model, i, &lack); i++) {
        tly_page_line(page, 0, TLY_STYLE_WARN, "!  %s", lack.what);
        tly_page_wrap(page, INDENT, TLY_STYLE_PLAIN, tly_text_of(lack.lost));
    }
    if (tly_top_lack_count(model) == 0) {
        tly_page_line(page, 0, TLY_STYLE_GOOD,
                      "Nothing is lacking: every right is there, every collector works.");
    }
    for (size_t i = 0; i < tly_json_count(groups); i++) {
        struct tly_text name = tly_json_string(tly_json_item(groups, i));
        list_add(&off, "%.*s", TLY_SHOW(name));
    }
    if (off.len > 0) {
        tly_page_line(page, 0, TLY_STYLE_DIM, "Groups of metrics that are off: %s.", off.text);
    }
}

static void draw_plots(const struct tly_top_model *model, struct tly_page *page)
{
    const struct tly_top_history *history = &model->agent_history;
    const double spent = tly_top_sample(model, "process_cpu_seconds_total", NULL, none);
    const size_t wide = page->width / 2 < PLOT_MAX ? page->width / 2 : PLOT_MAX;
    const size_t plot_at = 22;
    size_t row = page->row;
    tly_page_fact(page, "CPU", TLY_STYLE_STRONG, "%s", tly_amount_percent(model->agent_cpu).text);
    tly_draw_plot(&page->grid, row, plot_at + 10, wide, TLY_STYLE_GOOD,
                  history->points[TLY_SERIES_CPU], history->count, model->agent_cpu, CPU_FLOOR);
    row = page->row;
    tly_page_fact(page, "Memory", TLY_STYLE_STRONG, "%s",
                  tly_amount_bytes(model->agent_memory).text);
    tly_draw_plot(&page->grid, row, plot_at + 10, wide, TLY_STYLE_GOOD,
                  history->points[TLY_SERIES_MEMORY], history->count, model->agent_memory,
                  MEMORY_FLOOR);
    tly_page_fact(page, "CPU time", TLY_STYLE_PLAIN, "%s s since its start",
                  tly_amount_figures(spent).text);
}

static void draw_process(const struct tly_screen *screen, const struct tly_top_model *model,
                         struct tly_page *page)
{
    const double started = tly_top_sample(model, "process_start_time_seconds", NULL, none);
    tly_page_title(page, "Process");
    draw_plots(model, page);
    tly_page_fact(page, "Version", TLY_STYLE_PLAIN, "%.*s", TLY_SHOW(model->version));
    tly_page_fact(page, "Running for", TLY_STYLE_PLAIN, "%s",
                  tly_amount_span(screen->now - started).text);
    tly_page_fact(page, "Threads", TLY_STYLE_PLAIN, "%s",
                  tly_amount_count(tly_top_sample(model, "process_threads", NULL, none)).text);
    tly_page_fact(page, "Open descriptors", TLY_STYLE_PLAIN, "%s of %s",
                  tly_amount_count(tly_top_sample(model, "process_open_fds", NULL, none)).text,
                  tly_amount_count(tly_top_sample(model, "process_max_fds", NULL, none)).text);
    tly_page_fact(
        page, "Virtual memory", TLY_STYLE_PLAIN, "%s",
        tly_amount_bytes(tly_top_sample(model, "process_virtual_memory_bytes", NULL, none)).text);
    tly_page_fact(
        page, "Spool on disk", TLY_STYLE_PLAIN, "%s of %s",
        tly_amount_bytes(tly_top_sample(model, "tallyman_spool_bytes", NULL, none)).text,
        tly_amount_bytes(tly_top_sample(model, "tallyman_spool_max_bytes", NULL, none)).text);
    tly_page_fact(page, "Reads every", TLY_STYLE_PLAIN, "%s",
                  tly_amount_span(model->interval).text);
}

static void draw_engine(const struct tly_top_model *model, struct tly_page *page)
{
    size_t at = 0;
    const double up = tly_top_sample(model, "tallyman_docker_up", NULL, none);
    const struct tly_top_sample *info = tly_top_samples_next(model, "tallyman_docker_info", &at);
    const struct tly_text version = tly_top_label(info, "version");
    const struct tly_text api = tly_top_label(info, "api_version");
    if (up == 1) {
        tly_page_fact(page, "Docker engine", TLY_STYLE_PLAIN, "up%s%.*s%s%.*s", info ? ", " : "",
                      TLY_SHOW(version), info ? ", API " : "", TLY_SHOW(api));
    } else {
        tly_page_fact(page, "Docker engine", up == 0 ? TLY_STYLE_BAD : TLY_STYLE_PLAIN, "%s",
                      up == 0 ? "!! does not answer" : "not used: its files are read");
    }
    bool streamed = tly_top_sample(model, "tallyman_docker_events_connected", NULL, none) == 1;
    tly_page_fact(page, "Events", TLY_STYLE_PLAIN, "%s", streamed ? "streamed" : "\u2013");
}

static void draw_watched(const struct tly_top_model *model, struct tly_page *page)
{
    const double failures = tly_top_sum(model, "tallyman_rule_evaluation_failures_total", NULL,
                                        none);
    tly_page_title(page, "What it watches");
    draw_engine(model, page);
    tly_page_fact(
        page, "Containers", TLY_STYLE_PLAIN, "%s of %s at most",
        tly_amount_count(tly_top_sample(model, "tallyman_inventory_containers", NULL, none)).text,
        tly_amount_count(tly_top_sample(model, "tallyman_inventory_containers_max", NULL, none))
            .text);
    tly_page_fact(
        page, "Logs followed", TLY_STYLE_PLAIN, "%s",
        tly_amount_count(tly_top_sample(model, "tallyman_logs_containers", NULL, none)).text);
    tly_page_fact(page, "Rules", failures > 0 ? TLY_STYLE_WARN : TLY_STYLE_PLAIN, "%s%s%s",
                  tly_amount_count(tly_top_sum(model, "tallyman_rules", NULL, none)).text,
                  failures > 0 ? ", " : "",
                  failures > 0 ? tly_amount_many(failures, "failure").text : "");
    tly_page_fact(
        page, "Audit waits for", TLY_STYLE_PLAIN, "%s",
        tly_amount_many(tly_top_sample(model, "tallyman_posture_pending", NULL, none), "subject")
            .text);
}

static void draw_collectors(const struct tly_top_model *model, struct tly_page *page)
{
    const struct tly_top_sample *one;
    tly_page_title(page, "Collectors");
    for (size_t at = 0;
         (one = tly_top_samples_next(model, "tallyman_collector_success", &at)) != NULL;) {
        char name[TLY_AMOUNT_MAX];
        struct tly_text label = tly_top_label(one, "collector");
        bool failed = tly_top_collector_failed(model, one);
        (void)snprintf(name, sizeof(name), "%.*s", TLY_SHOW(label)); /* cut is fine */
        tly_page_fact(page, name, failed ? TLY_STYLE_WARN : TLY_STYLE_PLAIN,
                      "%s, took %.1f ms, errors %s",
                      one->value == 1 ? "good"
                      : failed        ? "! failed"
                                      : "not yet",
                      or_zero(tly_top_sample(model, "tallyman_collector_duration_seconds",
                                             "collector", label)) *
                          MS_PER_S,
                      tly_amount_count(tly_top_sample(model, "tallyman_collector_errors_total",
                                                      "collector", label))
                          .text);
    }
}

void tly_draw_agent(const struct tly_screen *screen, const struct tly_top_model *model,
                    struct tly_page *page)
{
    const size_t two_columns = 120;
    const bool beside = page->grid.width >= two_columns;
    const size_t half = page->grid.width / 2;
    if (!model->overview) {
        return;
    }
    tly_page_column(page, 0, 0, beside ? half - 2 : 0);
    draw_process(screen, model, page);
    size_t left = page->row;
    if (beside) {
        tly_page_column(page, 0, half, page->grid.width - half);
    }
    draw_watched(model, page);
    size_t end = page->row > left ? page->row : left;
    tly_page_column(page, end, 0, 0);
    draw_lacks(model, page);
    draw_collectors(model, page);
}
