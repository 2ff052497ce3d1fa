/*
 * Text for pipes; see plain.h. Lines of the summary begin with a number sign.
 */
#include "agent/top/plain.h"

#include "agent/top/draw.h"
#include "agent/top/glyph.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX  1024
#define PAD_MAX   64 /* a longer name pushes its own row aside, and no other */
#define ALERT_MAX 20 /* that are told; the rest is counted */

struct out {
    struct tly_buf *buf;
    bool ascii;
    int rc;
};

/* "# text", made safe. */
static void say(struct out *out, const char *format, ...) TLY_PRINTF(2, 3);
static void say(struct out *out, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args); /* cut is fine */
    va_end(args);
    int rc = out->rc < 0 ? out->rc : tly_buf_append(out->buf, "# ", 2);
    rc = rc < 0 ? rc : tly_glyph_append(out->buf, tly_text_of(text), out->ascii, false);
    out->rc = rc < 0 ? rc : tly_buf_append(out->buf, "\n", 1);
}

/* ---- the summary ---- */

static void say_alerts(struct out *out, const struct tly_top_model *model)
{
    size_t told = 0;
    size_t firing = 0;
    for (size_t i = 0; i < model->alert_count && model->alerts[i].firing; i++) {
        const struct tly_top_alert *alert = &model->alerts[i];
        firing++;
        if (told < ALERT_MAX) {
            say(out, "alert %.*s %.*s %.*s", TLY_SHOW(alert->name), TLY_SHOW(alert->severity),
                TLY_SHOW(alert->summary.len > 0 ? alert->summary : alert->description));
            told++;
        }
    }
    if (firing > told) {
        say(out, "alerts left out: %zu", firing - told);
    }
}

static void say_destinations(struct out *out, const struct tly_top_model *model)
{
    const struct tly_top_sample *one;
    for (size_t at = 0;
         (one = tly_top_samples_next(model, "tallyman_destination_queued_records", &at)) != NULL;) {
        const struct tly_text name = tly_top_label(one, "destination");
        const struct tly_top_behind behind = tly_top_behind(model, name);
        say(out, "logs to %.*s: %s behind, %s waiting%s", TLY_SHOW(name),
            tly_amount_span(behind.seconds).text, tly_amount_bytes(behind.bytes).text,
            tly_top_is_cut_off(model, name) ? ", not connected" : "");
    }
}

static void say_lacks(struct out *out, const struct tly_top_model *model)
{
    struct tly_top_lack lack;
    for (size_t i = 0; tly_top_lack(model, i, &lack); i++) {
        say(out, "lacking: %s. %s", lack.what, lack.lost);
    }
}

static void say_summary(struct out *out, const struct tly_top_model *model)
{
    const struct tly_text none = {NULL, 0};
    struct tly_verdict_text verdict;
    const struct tly_text time = tly_json_text_at(model->overview, "time");
    const double score = tly_top_sample(model, "posture_score", NULL, none);
    const size_t running = tly_list_count(model, TLY_SHOW_RUNNING);
    tly_top_verdict(model, &verdict);
    say(out, "Tallyman %.*s  %.*s  %.*s", TLY_SHOW(model->version), TLY_SHOW(model->host_name),
        TLY_SHOW(time));
    say(out, "%s: %s", verdict.text, verdict.more);
    say(out, "containers: %s running, %s stopped", tly_amount_count((double)running).text,
        tly_amount_count((double)(model->container_count - running)).text);
    say(out, "host: CPU %s of %s, memory %s of %s",
        tly_amount_percent(model->host_cpu / model->host_cpu_max).text,
        tly_amount_cpus(model->host_cpu_max).text, tly_amount_bytes(model->host_memory).text,
        tly_amount_bytes(model->host_memory_max).text);
    say_destinations(out, model);
    say(out, "audit: score %s of 100, %s high or critical", tly_amount_figures(score).text,
        tly_amount_many(tly_top_failed(model, "critical,high"), "finding").text);
    say(out, "agent: %s of a CPU, %s", tly_amount_percent(model->agent_cpu).text,
        tly_amount_bytes(model->agent_memory).text);
    say_alerts(out, model);
    say_lacks(out, model);
}

/* ---- the table ---- */

/* Leaves out blanks that are not needed to read it: all of figures ("1.2MiB"), of our own words
 * those beside signs ("Exited(137)"). Of names none. */
static void blanks_drop(const struct tly_column *column, char *text)
{
    size_t to = 0;
    char before = '\0';
    if (column->most > 0 && column->sort != TLY_SORT_ATTENTION) {
        return;
    }
    for (size_t i = 0; text[i] != '\0'; i++) {
        bool beside = text[i + 1] == '(' || text[i + 1] == '%' || before == ',';
        before = text[i];
        if (text[i] != ' ' || !(column->right || beside)) {
            text[to++] = text[i];
        }
    }
    text[to] = '\0';
}

/* A cell without blanks; nothing as a dash. */
static void cell_write(const struct tly_column *column, const struct tly_top_model *model,
                       const struct tly_top_container *container, bool ascii, struct tly_buf *buf)
{
    char text[TLY_CELL_MAX];
    (void)column->write(model, container, text); /* its style is for terminals */
    blanks_drop(column, text);
    if (text[0] == '\0' || strcmp(text, "\u2013") == 0) {
        (void)snprintf(text, sizeof(text), "-"); /* fits */
    }
    tly_buf_clear(buf);
    if (tly_glyph_append(buf, tly_text_of(text), ascii, true) < 0) {
        tly_buf_clear(buf); /* never: its room is larger than any cell */
    }
}

static void put_cell(struct out *out, struct tly_text text, size_t width, bool right, bool last)
{
    size_t wide = tly_glyph_width(text, out->ascii);
    size_t pad = width > wide ? width - wide : 0;
    int rc = out->rc;
    for (size_t i = 0; right && rc == 0 && i < pad; i++) {
        rc = tly_buf_append(out->buf, " ", 1);
    }
    rc = rc < 0 ? rc : tly_buf_append_text(out->buf, text);
    for (size_t i = 0; !right && !last && rc == 0 && i < pad; i++) {
        rc = tly_buf_append(out->buf, " ", 1);
    }
    rc = rc < 0 ? rc : tly_buf_append(out->buf, last ? "\n" : "  ", last ? 1 : 2);
    out->rc = rc;
}

static void put_table(struct out *out, const struct tly_screen *screen,
                      const struct tly_top_model *model)
{
    size_t widths[TLY_COLUMN_COUNT];
    struct tly_buf cell;
    tly_buf_init(&cell, (size_t)TLY_CELL_MAX * TLY_GLYPH_BYTES_MAX);
    for (size_t k = 0; k < TLY_COLUMN_COUNT; k++) {
        widths[k] = strlen(tly_columns[k].title);
        for (size_t i = 0; i < screen->order_count; i++) {
            cell_write(&tly_columns[k], model, &model->containers[screen->order[i]], out->ascii,
                       &cell);
            size_t wide = tly_glyph_width(tly_buf_text(&cell), out->ascii);
            wide = wide < PAD_MAX ? wide : PAD_MAX;
            widths[k] = wide > widths[k] ? wide : widths[k];
        }
    }
    for (size_t k = 0; k < TLY_COLUMN_COUNT; k++) {
        tly_buf_clear(&cell);
        if (tly_glyph_append(&cell, tly_text_of(tly_columns[k].title), out->ascii, true) < 0) {
            break; /* never */
        }
        put_cell(out, tly_buf_text(&cell), widths[k], tly_columns[k].right,
                 k + 1 == TLY_COLUMN_COUNT);
    }
    for (size_t i = 0; i < screen->order_count && out->rc == 0; i++) {
        for (size_t k = 0; k < TLY_COLUMN_COUNT; k++) {
            cell_write(&tly_columns[k], model, &model->containers[screen->order[i]], out->ascii,
                       &cell);
            put_cell(out, tly_buf_text(&cell), widths[k], tly_columns[k].right,
                     k + 1 == TLY_COLUMN_COUNT);
        }
    }
    tly_buf_done(&cell);
}

int tly_top_plain(const struct tly_screen *screen, const struct tly_top_model *model, bool ascii,
                  struct tly_buf *buf)
{
    struct out out = {.buf = buf, .ascii = ascii};
    say_summary(&out, model);
    put_table(&out, screen, model);
    return out.rc;
}
