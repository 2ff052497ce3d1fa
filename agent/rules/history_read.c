/*
 * Reading the history: series by their matchers, values at a time, the samples of a window.
 */
#include "agent/rules/history_state.h"
#include "agent/rules/number.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const double tly_decimal_powers[10] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

/* An integer over a power of ten as the double nearest to it. */
static double decimal(int64_t raw, int exponent)
{
    if (exponent == 0 || (raw <= TLY_EXACT_MAX && raw >= -TLY_EXACT_MAX)) {
        return (double)raw / tly_decimal_powers[-exponent];
    }
    char text[48];
    (void)snprintf(text, sizeof(text), "%llde%d", (long long)raw, exponent); /* fits */
    return strtod(text, NULL);
}

double tly_history_value(int64_t raw, int exponent)
{
    if (exponent == TLY_BLOCK_MARKER) {
        return tly_stale_nan();
    }
    if (exponent == TLY_HISTORY_FLOAT) {
        double value;
        memcpy(&value, &raw, sizeof(value));
        return value;
    }
    return decimal(raw, exponent);
}

static int list_select(const struct tly_name_list *named, const struct tly_bound_matchers *bound,
                       bool all, struct tly_series_list *list)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < named->count; i++) {
        const struct tly_series *at = &named->at[i];
        const struct tly_history_series *series = at->handle;
        if (series->any && (all || tly_matchers_accept(bound, at->labels))) {
            rc = tly_series_list_add(list, at->labels, at->handle);
        }
    }
    return rc;
}

int tly_history_select(void *arg, const struct tly_matcher *matchers, size_t count, int64_t from_ms,
                       int64_t to_ms, struct tly_series_list *list)
{
    const struct tly_history *history = arg;
    struct tly_bound_matchers bound;
    (void)from_ms;
    (void)to_ms;
    tly_matchers_bind(matchers, count, history->symbols, &bound);
    for (size_t i = 0; i < count; i++) {
        if (matchers[i].kind == TLY_MATCH_EQUAL &&
            tly_text_equal(matchers[i].name, TLY_TEXT("__name__"))) {
            uint32_t name;
            const struct tly_name_list *named = tly_symbols_find(history->symbols,
                                                                 matchers[i].value, &name)
                                                    ? tly_history_list(history, name)
                                                    : NULL;
            return named ? list_select(named, &bound, count == 1, list) : 0;
        }
    }
    int rc = 0;
    struct tly_map_entry entry;
    for (void *at = NULL; rc == 0 && tly_map_next(history->names, &at, &entry);) {
        rc = list_select(entry.value, &bound, false, list);
    }
    return rc;
}

/* The last tick at or before a time; false if there is none. `slot` is where the answer is kept. */
static bool tick_at(struct tly_history *history, unsigned slot, int64_t at_ms, uint32_t *ret_tick)
{
    struct tly_asked_tick *asked = &history->asked[slot];
    if (asked->at_ms != at_ms) {
        size_t low = history->time_skip;
        size_t high = history->time_count;
        while (low < high) { /* the first one that is later */
            size_t middle = low + (high - low) / 2;
            if (history->times[middle] <= at_ms) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        *asked = (struct tly_asked_tick){
            .at_ms = at_ms,
            .tick = history->first_tick + (uint32_t)(low - history->time_skip) - 1,
            .found = low > history->time_skip,
        };
    }
    *ret_tick = asked->tick;
    return asked->found;
}

bool tly_history_span(struct tly_history *history, int64_t after_ms, int64_t to_ms,
                      uint32_t *ret_from, uint32_t *ret_to)
{
    if (!tick_at(history, 0, to_ms, ret_to)) {
        return false;
    }
    *ret_from = tick_at(history, 1, after_ms, ret_from) ? *ret_from + 1 : history->first_tick;
    return true;
}

/* From the newest block backwards, since most windows end now and reach back less than all. */
const struct tly_block *tly_history_seek(const struct tly_history_series *series, uint32_t from,
                                         uint32_t to)
{
    const struct tly_block *found = NULL;
    for (const struct tly_block *block = series->last; block && tly_block_last_tick(block) >= from;
         block = block->before) {
        found = block->tick <= to ? block : found;
    }
    return found;
}

bool tly_history_latest(void *arg, const struct tly_series *handle, int64_t at_ms,
                        struct tly_point *ret_point)
{
    struct tly_history *history = arg;
    const struct tly_history_series *series = handle->handle;
    uint32_t tick;
    if (!series->any || !tick_at(history, 0, at_ms, &tick)) {
        return false;
    }
    if (tick >= series->tick) {
        *ret_point = (struct tly_point){tly_history_time(history, series->tick),
                                        tly_history_value(series->raw, series->exponent)};
        return true;
    }
    const struct tly_block *block = series->last;
    while (block && block->tick > tick) {
        block = block->before;
    }
    if (!block) {
        return false;
    }
    unsigned index = block->count == 1 ? 0 : (tick - block->tick) / block->stride;
    index = index < block->count ? index : block->count - 1U;
    *ret_point = (struct tly_point){
        tly_history_time(history, block->tick + (uint32_t)block->stride * index),
        tly_history_value(tly_block_at(block, index), block->exponent)};
    return true;
}

static int points_room(struct tly_points *points, size_t more)
{
    if (points->cap - points->count >= more) {
        return 0;
    }
    size_t cap = points->cap * 2 > points->count + more ? points->cap * 2 : points->count + more;
    struct tly_point *at = reallocarray(points->at, cap, sizeof(*at));
    if (!at) {
        return -ENOMEM;
    }
    points->at = at;
    points->cap = cap;
    return 0;
}

/* The values of many raw ones of a kind; nearly always they are all small enough to be exact. */
static void values_of(const int64_t *raws, unsigned count, int exponent, struct tly_point *to)
{
    uint64_t large = 0;
    for (unsigned i = 0; i < count; i++) {
        large |= (uint64_t)(raws[i] < 0 ? ~raws[i] : raws[i]);
    }
    if (exponent > 0 || large >= (uint64_t)TLY_EXACT_MAX) {
        for (unsigned i = 0; i < count; i++) {
            to[i].value = tly_history_value(raws[i], exponent);
        }
    } else if (exponent == 0) {
        for (unsigned i = 0; i < count; i++) {
            to[i].value = (double)raws[i];
        }
    } else {
        double power = tly_decimal_powers[-exponent];
        for (unsigned i = 0; i < count; i++) {
            to[i].value = (double)raws[i] / power;
        }
    }
}

/* Appends the samples of a block from the ticks `from` to `to`. */
static int block_points(const struct tly_history *history, const struct tly_block *block,
                        uint32_t from, uint32_t to, struct tly_points *points)
{
    unsigned stride = block->count == 1 ? 1 : block->stride;
    unsigned first;
    unsigned end;
    tly_block_part(block, from, to, &first, &end);
    if (first >= end) {
        return 0;
    }
    int rc = points_room(points, end - first);
    if (rc < 0) {
        return rc;
    }
    int64_t raws[TLY_BLOCK_SAMPLES];
    tly_block_read(block, first, end, raws);
    struct tly_point *point = points->at + points->count;
    size_t time = history->time_skip + (block->tick + stride * first - history->first_tick);
    for (unsigned i = 0; i < end - first; i++) {
        point[i].t_ms = history->times[time + (size_t)i * stride];
    }
    values_of(raws, end - first, block->exponent, point);
    points->count += end - first;
    return 0;
}

int tly_history_window(void *arg, const struct tly_series *handle, int64_t after_ms, int64_t to_ms,
                       struct tly_points *scratch, struct tly_window *ret_window)
{
    struct tly_history *history = arg;
    const struct tly_history_series *series = handle->handle;
    uint32_t from;
    uint32_t to;
    int rc = 0;
    if (tly_history_span(history, after_ms, to_ms, &from, &to)) {
        for (const struct tly_block *block = tly_history_seek(series, from, to);
             rc == 0 && block && block->tick <= to; block = block->next) {
            rc = block_points(history, block, from, to, scratch);
        }
    }
    *ret_window = (struct tly_window){scratch->at, scratch->count};
    return rc;
}
