/*
 * The columns of the table of containers, in the status page's order; see list.h.
 */
#include "agent/top/grid.h"
#include "agent/top/list.h"

#include <stdio.h>
#include <string.h>

#define MEMORY_WARN 0.9 /* as in attention.c */
#define MEMORY_BAD  0.97
#define LAG_LEAST_S 2.0 /* a line that was just written is not late */
#define LAG_WARN_S  60.0
#define LAG_BAD_S   600.0

static unsigned put(char to[TLY_CELL_MAX], struct tly_amount amount)
{
    memcpy(to, amount.text, sizeof(amount.text));
    return TLY_STYLE_PLAIN;
}

static unsigned put_text(char to[TLY_CELL_MAX], struct tly_text text)
{
    size_t len = text.len < TLY_CELL_MAX ? text.len : TLY_CELL_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        to[i] = text.at[i] != '\0' ? text.at[i] : '\1'; /* shown as what it is: no character */
    }
    to[len] = '\0';
    return TLY_STYLE_PLAIN;
}

static unsigned write_name(const struct tly_top_model *model,
                           const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    (void)put_text(to, tly_top_name(container)); /* the style is another one */
    return tly_top_runs(container) ? TLY_STYLE_STRONG : TLY_STYLE_DIM;
}

static unsigned write_troubles(const struct tly_top_model *model,
                               const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    static const unsigned styles[] = {TLY_STYLE_PLAIN, TLY_STYLE_WARN, TLY_STYLE_BAD};
    size_t len = 0;
    (void)model;
    to[0] = '\0';
    for (size_t i = 0; i < container->trouble_count; i++) {
        int more = snprintf(to + len, TLY_CELL_MAX - len, "%s%s", i > 0 ? ", " : "",
                            container->troubles[i].text);
        len += (size_t)more; /* eight of 48 bytes fit */
    }
    return styles[container->level];
}

void tly_state_words(const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    const double code = container->figures[TLY_FIGURE_EXIT_CODE];
    if (container->state.len == 0) {
        (void)snprintf(to, TLY_CELL_MAX, "Unknown"); /* fits */
        return;
    }
    (void)put_text(to, container->state); /* plain */
    if (to[0] >= 'a' && to[0] <= 'z') {
        to[0] = (char)(to[0] - 'a' + 'A');
    }
    size_t len = strlen(to);
    if (tly_text_equal(container->state, TLY_TEXT("exited")) && tly_known(code)) {
        (void)snprintf(to + len, TLY_CELL_MAX - len, " (%.0f)", code); /* fits */
    }
}

static unsigned write_state(const struct tly_top_model *model,
                            const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    tly_state_words(container, to);
    return TLY_STYLE_PLAIN;
}

static unsigned write_health(const struct tly_top_model *model,
                             const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    (void)put_text(to, container->health); /* the style is another one */
    return tly_text_equal(container->health, TLY_TEXT("healthy"))     ? TLY_STYLE_GOOD
           : tly_text_equal(container->health, TLY_TEXT("unhealthy")) ? TLY_STYLE_BAD
                                                                      : TLY_STYLE_PLAIN;
}

static unsigned write_since(const struct tly_top_model *model,
                            const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)put(to, tly_amount_span(model->time - container->figures[TLY_FIGURE_SINCE]));
    return TLY_STYLE_DIM;
}

static unsigned write_cpu(const struct tly_top_model *model,
                          const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    return put(to, tly_amount_percent(container->figures[TLY_FIGURE_CPU]));
}

static unsigned write_memory(const struct tly_top_model *model,
                             const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    return put(to, tly_amount_bytes(container->figures[TLY_FIGURE_MEMORY]));
}

static unsigned write_share(const struct tly_top_model *model,
                            const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    const double max = container->figures[TLY_FIGURE_MEMORY_MAX];
    const double share = max > 0 ? container->figures[TLY_FIGURE_MEMORY] / max : NAN;
    (void)model;
    (void)put(to, tly_amount_percent(share)); /* the style is another one */
    return share >= MEMORY_BAD    ? TLY_STYLE_BAD
           : share >= MEMORY_WARN ? TLY_STYLE_WARN
                                  : TLY_STYLE_PLAIN;
}

static unsigned write_limit(const struct tly_top_model *model,
                            const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    const double max = container->figures[TLY_FIGURE_MEMORY_MAX];
    (void)model;
    return put(to, max == 0 ? (struct tly_amount){"none"} : tly_amount_bytes(max));
}

static unsigned write_received(const struct tly_top_model *model,
                               const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    return put(to, tly_amount_rate(container->figures[TLY_FIGURE_RECEIVED]));
}

static unsigned write_sent(const struct tly_top_model *model,
                           const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    return put(to, tly_amount_rate(container->figures[TLY_FIGURE_SENT]));
}

static unsigned write_read(const struct tly_top_model *model,
                           const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    return put(to, tly_amount_rate(container->figures[TLY_FIGURE_READ]));
}

static unsigned write_written(const struct tly_top_model *model,
                              const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    return put(to, tly_amount_rate(container->figures[TLY_FIGURE_WRITTEN]));
}

static unsigned write_restarts(const struct tly_top_model *model,
                               const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    (void)put(to, tly_amount_count(container->figures[TLY_FIGURE_RESTARTS]));
    return container->figures[TLY_FIGURE_RESTARTS] > 0 ? TLY_STYLE_PLAIN : TLY_STYLE_DIM;
}

static unsigned write_lag(const struct tly_top_model *model,
                          const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    const double lag = container->figures[TLY_FIGURE_LAG_SECONDS];
    (void)model;
    (void)put(to, lag < LAG_LEAST_S ? (struct tly_amount){"0 s"} : tly_amount_span(lag));
    return lag > LAG_BAD_S ? TLY_STYLE_BAD : lag > LAG_WARN_S ? TLY_STYLE_WARN : TLY_STYLE_DIM;
}

static unsigned write_failed(const struct tly_top_model *model,
                             const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    (void)put(to, tly_amount_count(container->figures[TLY_FIGURE_FAILED]));
    return container->figures[TLY_FIGURE_FAILED_HIGH] > 0 ? TLY_STYLE_WARN : TLY_STYLE_DIM;
}

static unsigned write_image(const struct tly_top_model *model,
                            const struct tly_top_container *container, char to[TLY_CELL_MAX])
{
    (void)model;
    (void)put_text(to, container->image); /* the style is another one */
    return TLY_STYLE_DIM;
}

/* clang-format off */
const struct tly_column tly_columns[TLY_COLUMN_COUNT] = {
    {"CONTAINER", 20, 48, false, false,  0, TLY_SORT_NAME,      write_name},
    {"ATTENTION", 14, 44, false, true,   4, TLY_SORT_ATTENTION, write_troubles},
    {"STATE",     12,  0, false, false,  3, TLY_SORT_STATE,     write_state},
    {"HEALTH",     9,  0, false, true,  15, -1,                 write_health},
    {"SINCE",     10,  0, true,  false, 13, -1,                 write_since},
    {"CPU",        6,  0, true,  false,  1, TLY_SORT_CPU,       write_cpu},
    {"MEMORY",     8,  0, true,  false,  2, TLY_SORT_MEMORY,    write_memory},
    {"OF LIMIT",   8,  0, true,  true,   5, -1,                 write_share},
    {"LIMIT",      8,  0, true,  true,  14, -1,                 write_limit},
    {"RECEIVED",  10,  0, true,  true,   8, TLY_SORT_NET,       write_received},
    {"SENT",      10,  0, true,  true,   9, TLY_SORT_NET,       write_sent},
    {"READ",      10,  0, true,  true,  10, TLY_SORT_DISK,      write_read},
    {"WRITTEN",   10,  0, true,  true,  11, TLY_SORT_DISK,      write_written},
    {"RESTARTS",   8,  0, true,  true,   6, TLY_SORT_RESTARTS,  write_restarts},
    {"LOG LAG",   10,  0, true,  true,   7, TLY_SORT_LAG,       write_lag},
    {"FINDINGS",   8,  0, true,  true,  12, TLY_SORT_FAILED,    write_failed},
    {"IMAGE",     20, 60, false, true,  16, -1,                 write_image},
};
/* clang-format on */

void tly_columns_empty(const struct tly_top_model *model, bool ret_empty[TLY_COLUMN_COUNT])
{
    for (size_t i = 0; i < TLY_COLUMN_COUNT; i++) {
        char text[TLY_CELL_MAX];
        ret_empty[i] = tly_columns[i].optional;
        for (size_t k = 0; k < model->container_count && ret_empty[i]; k++) {
            (void)tly_columns[i].write(model, &model->containers[k], text); /* a text counts */
            ret_empty[i] = text[0] == '\0' || strcmp(text, "\u2013") == 0;
        }
    }
}
