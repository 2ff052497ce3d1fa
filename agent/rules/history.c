/*
 * The history: series found by their labels and by their names, blocks behind each, one line of
 * times for all. The newest sample of a series stands in the series itself, which is all that there
 * is for those of which no rule wants more.
 */
#include "agent/rules/history.h"

#include "agent/base/map.h"
#include "agent/rules/history_block.h"
#include "agent/rules/number.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BUCKETS_FIRST 1024
/* Forgetting goes through the series in this many ticks. */
#define SWEEP_TURNS 8
#define HEAP_HEADER 8
/* Up to here an integer is a double, and so is its quotient by a power of ten. */
#define EXACT_MAX ((int64_t)1 << 53)

struct need {
    const struct tly_matcher *matchers; /* borrowed */
    size_t count;
    int64_t keep_ms;
    bool ranged;
};

struct tly_history_series {
    struct tly_history_series *next; /* in its bucket */
    struct tly_labels labels;        /* kept */
    struct tly_block *first, *last;  /* NULL where the newest sample is enough */
    int64_t keep_ms;
    int64_t raw;     /* of the newest sample */
    uint32_t tick;   /* its tick */
    int8_t exponent; /* its kind */
    bool any;        /* there is one */
    bool ranged;     /* more than the newest sample is needed */
    uint32_t holds;
    uint32_t position; /* in the list of its name */
};

/* The series of one name, ready to be handed out. */
struct name_list {
    struct tly_series *at;
    size_t count, cap;
};

struct tly_history {
    struct tly_symbols *symbols; /* borrowed */
    struct tly_storage storage;
    bool keep_all;
    struct need *needs;
    size_t need_count, need_cap;
    struct tly_history_series **buckets;
    size_t bucket_count, series_count;
    size_t sweep;                           /* the next bucket to look through */
    uint32_t sweep_tick;                    /* the oldest one that was seen in this round */
    struct tly_map *names;                  /* of struct name_list, by symbol */
    int64_t *times;                         /* of the ticks from `first_tick` on */
    size_t time_count, time_cap, time_skip; /* the first `time_skip` entries are forgotten */
    uint32_t first_tick;                    /* of times[time_skip] */
    size_t bytes, bytes_max;
    uint64_t refused, shortened;
    /* The tick of a time, for the many series that are asked the same. */
    int64_t asked_ms;
    uint32_t asked_tick;
    bool asked_found;
};

/* ---- ticks ---- */

static uint32_t tick_now(const struct tly_history *history)
{
    return history->first_tick + (uint32_t)(history->time_count - history->time_skip) - 1;
}

static int64_t tick_time(const struct tly_history *history, uint32_t tick)
{
    return history->times[history->time_skip + (tick - history->first_tick)];
}

/* The last tick at or before a time; false if there is none. Ticks stand at nearly equal distances,
 * and most questions are about now. */
static bool tick_at(struct tly_history *history, int64_t at_ms, uint32_t *ret_tick)
{
    if (history->asked_ms == at_ms) {
        *ret_tick = history->asked_tick;
        return history->asked_found;
    }
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
    history->asked_ms = at_ms;
    history->asked_found = low > history->time_skip;
    history->asked_tick = history->first_tick + (uint32_t)(low - history->time_skip) - 1;
    *ret_tick = history->asked_tick;
    return history->asked_found;
}

/* ---- series ---- */

static size_t series_bytes(const struct tly_history_series *series)
{
    return sizeof(*series) + HEAP_HEADER + series->labels.count * sizeof(*series->labels.at) +
           HEAP_HEADER + sizeof(struct tly_series);
}

static struct name_list *list_of(const struct tly_history *history, uint32_t name)
{
    return tly_map_get(history->names, (struct tly_text){(const char *)&name, sizeof(name)});
}

static void block_drop_first(struct tly_history *history, struct tly_history_series *series)
{
    struct tly_block *block = series->first;
    history->bytes -= tly_block_bytes(block);
    series->first = block->next;
    if (!series->first) {
        series->last = NULL;
    }
    free(block);
}

static void list_remove(struct tly_history *history, struct tly_history_series *series)
{
    uint32_t name = tly_labels_get(series->labels, TLY_SYMBOL_NAME);
    struct name_list *list = list_of(history, name);
    list->count--;
    if (series->position < list->count) {
        list->at[series->position] = list->at[list->count];
        struct tly_history_series *moved = list->at[series->position].handle;
        moved->position = series->position;
    }
    if (list->count == 0) {
        (void)tly_map_remove(history->names,
                             (struct tly_text){(const char *)&name, sizeof(name)}); /* `list` */
        free(list->at);
        free(list);
    }
}

/* Frees a series that stands at `*place` of its bucket. */
static void series_free(struct tly_history *history, struct tly_history_series **place)
{
    struct tly_history_series *series = *place;
    *place = series->next;
    while (series->first) {
        block_drop_first(history, series);
    }
    list_remove(history, series);
    history->bytes -= series_bytes(series);
    history->series_count--;
    tly_labels_drop(history->symbols, &series->labels);
    free(series);
}

static int list_add(struct tly_history *history, struct tly_history_series *series)
{
    uint32_t name = tly_labels_get(series->labels, TLY_SYMBOL_NAME);
    struct name_list *list = list_of(history, name);
    if (!list) {
        list = calloc(1, sizeof(*list));
        if (!list) {
            return -ENOMEM;
        }
        int rc = tly_map_put(history->names, (struct tly_text){(const char *)&name, sizeof(name)},
                             list, NULL);
        if (rc < 0) {
            free(list);
            return rc;
        }
    }
    if (list->count == list->cap) {
        size_t cap = list->cap > 0 ? list->cap * 2 : 4;
        struct tly_series *at = reallocarray(list->at, cap, sizeof(*at));
        if (!at) {
            return -ENOMEM; /* an empty list stays, which does no harm */
        }
        list->at = at;
        list->cap = cap;
    }
    series->position = (uint32_t)list->count;
    list->at[list->count++] = (struct tly_series){series->labels, series};
    return 0;
}

static int buckets_grow(struct tly_history *history)
{
    size_t count = history->bucket_count > 0 ? history->bucket_count * 2 : BUCKETS_FIRST;
    struct tly_history_series **buckets = calloc(count, sizeof(struct tly_history_series *));
    if (!buckets) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < history->bucket_count; i++) {
        for (struct tly_history_series *at = history->buckets[i]; at;) {
            struct tly_history_series *next = at->next;
            struct tly_history_series **place = &buckets[at->labels.hash & (count - 1)];
            at->next = *place;
            *place = at;
            at = next;
        }
    }
    free(history->buckets);
    history->buckets = buckets;
    history->bucket_count = count;
    history->sweep = 0; /* series have changed places: the round begins anew */
    return 0;
}

/* ---- what is needed ---- */

struct adding {
    struct tly_history *history;
    int64_t lag_ms;
};

static int need_add(void *arg, const struct tly_need *need)
{
    const struct adding *adding = arg;
    struct tly_history *history = adding->history;
    if (history->need_count == history->need_cap) {
        size_t cap = history->need_cap > 0 ? history->need_cap * 2 : 64;
        struct need *needs = reallocarray(history->needs, cap, sizeof(*needs));
        if (!needs) {
            return -ENOMEM;
        }
        history->needs = needs;
        history->need_cap = cap;
    }
    /* What is pinned to a fixed time can't be promised: it finds what happens to be there. */
    int64_t keep_ms = (need->pinned ? TLY_LOOKBACK_MS : need->from_ms) + adding->lag_ms;
    history->needs[history->need_count++] = (struct need){
        .matchers = need->matchers,
        .count = need->matcher_count,
        .keep_ms = keep_ms > TLY_LOOKBACK_MS ? keep_ms : TLY_LOOKBACK_MS,
        .ranged = need->ranged || need->pinned || adding->lag_ms > 0,
    };
    return 0;
}

void tly_history_needs_begin(struct tly_history *history)
{
    history->need_count = 0;
}

int tly_history_needs_add(struct tly_history *history, const struct tly_expr *expr, int64_t lag_ms)
{
    struct adding adding = {history, lag_ms};
    return tly_expr_needs(expr, need_add, &adding);
}

void tly_history_keep_all(struct tly_history *history)
{
    history->keep_all = true;
}

/* How long the series is needed, in ms, and whether more than its newest sample; -1: not at all. */
static int64_t need_of(const struct tly_history *history, struct tly_labels labels,
                       bool *ret_ranged)
{
    int64_t keep_ms = -1;
    *ret_ranged = history->keep_all;
    if (history->keep_all) {
        return INT64_MAX / 4;
    }
    struct tly_text name = tly_symbols_text(history->symbols,
                                            tly_labels_get(labels, TLY_SYMBOL_NAME));
    for (size_t i = 0; i < history->need_count; i++) {
        const struct need *need = &history->needs[i];
        bool named = true;
        /* The name rules nearly all of them out. */
        for (size_t k = 0; k < need->count && named; k++) {
            const struct tly_matcher *matcher = &need->matchers[k];
            named = !tly_text_equal(matcher->name, TLY_TEXT("__name__")) ||
                    tly_matcher_accepts(matcher, name);
        }
        if (!named || (keep_ms >= need->keep_ms && (*ret_ranged || !need->ranged))) {
            continue;
        }
        struct tly_bound_matchers bound;
        tly_matchers_bind(need->matchers, need->count, history->symbols, &bound);
        if (tly_matchers_accept(&bound, labels)) {
            keep_ms = need->keep_ms > keep_ms ? need->keep_ms : keep_ms;
            *ret_ranged = *ret_ranged || need->ranged;
        }
    }
    return keep_ms;
}

bool tly_history_wants(const struct tly_history *history, struct tly_text name)
{
    bool wanted = history->keep_all;
    for (size_t i = 0; i < history->need_count && !wanted; i++) {
        const struct need *need = &history->needs[i];
        wanted = true;
        for (size_t k = 0; k < need->count && wanted; k++) {
            wanted = !tly_text_equal(need->matchers[k].name, TLY_TEXT("__name__")) ||
                     tly_matcher_accepts(&need->matchers[k], name);
        }
    }
    return wanted;
}

void tly_history_needs_end(struct tly_history *history)
{
    for (size_t i = 0; i < history->bucket_count; i++) {
        for (struct tly_history_series **place = &history->buckets[i]; *place;) {
            struct tly_history_series *series = *place;
            series->keep_ms = need_of(history, series->labels, &series->ranged);
            while (!series->ranged && series->first) {
                block_drop_first(history, series);
            }
            if (series->keep_ms < 0 && series->holds == 0) {
                series_free(history, place);
            } else {
                place = &series->next;
            }
        }
    }
}

/* ---- the object ---- */

static int select_series(void *arg, const struct tly_matcher *matchers, size_t count,
                         int64_t from_ms, int64_t to_ms, struct tly_series_list *list);
static bool latest(void *arg, const struct tly_series *handle, int64_t at_ms,
                   struct tly_point *ret_point);
static int window(void *arg, const struct tly_series *handle, int64_t after_ms, int64_t to_ms,
                  struct tly_points *scratch, struct tly_window *ret_window);

struct tly_history *tly_history_new(struct tly_symbols *symbols, size_t bytes_max)
{
    struct tly_history *history = calloc(1, sizeof(*history));
    if (!history) {
        return NULL;
    }
    history->symbols = symbols;
    history->bytes_max = bytes_max;
    history->storage = (struct tly_storage){history, select_series, latest, window};
    history->asked_ms = INT64_MIN;
    history->names = tly_map_new();
    if (!history->names || buckets_grow(history) < 0) {
        tly_history_free(history);
        return NULL;
    }
    return history;
}

void tly_history_free(struct tly_history *history)
{
    if (!history) {
        return;
    }
    for (size_t i = 0; i < history->bucket_count; i++) {
        while (history->buckets[i]) {
            series_free(history, &history->buckets[i]);
        }
    }
    if (history->names) {
        tly_map_free(history->names,
                     NULL); /* empty by now, but for lists that never had a series */
    }
    free(history->buckets);
    free(history->needs);
    free(history->times);
    free(history);
}

const struct tly_storage *tly_history_storage(struct tly_history *history)
{
    return &history->storage;
}

struct tly_history_stats tly_history_stats(const struct tly_history *history)
{
    bool any = history->time_count > history->time_skip;
    return (struct tly_history_stats){
        .series = history->series_count,
        .bytes = history->bytes + tly_symbols_bytes(history->symbols),
        .bytes_max = history->bytes_max,
        .refused = history->refused,
        .shortened = history->shortened,
        .oldest_ms = any ? history->times[history->time_skip] : 0,
    };
}

/* ---- writing ---- */

/* Forgets the times before a tick. */
static void forget_times(struct tly_history *history, uint32_t tick)
{
    history->time_skip += tick - history->first_tick;
    history->first_tick = tick;
    if (history->time_skip > 1024 && history->time_skip > history->time_count / 2) {
        history->time_count -= history->time_skip;
        memmove(history->times, history->times + history->time_skip,
                history->time_count * sizeof(*history->times));
        history->time_skip = 0;
    }
}

/* Drops what is too old of a series. true: nothing of it is left, and nobody holds it. */
static bool series_forget(struct tly_history *history, struct tly_history_series *series,
                          int64_t now_ms)
{
    int64_t since_ms = now_ms - series->keep_ms;
    while (series->first && tick_time(history, tly_block_last_tick(series->first)) <= since_ms) {
        block_drop_first(history, series);
    }
    series->any = series->any && tick_time(history, series->tick) > since_ms;
    uint32_t oldest = series->first ? series->first->tick : series->any ? series->tick : UINT32_MAX;
    history->sweep_tick = oldest < history->sweep_tick ? oldest : history->sweep_tick;
    return !series->any && !series->first && series->holds == 0;
}

/* Forgets what is too old, in one part of the series. When all were looked at, the times go that
 * none of them has a sample of: whatever came meanwhile is newer. */
static void sweep(struct tly_history *history, int64_t now_ms)
{
    size_t part = history->bucket_count / SWEEP_TURNS;
    for (size_t i = 0; i < part; i++) {
        if (history->sweep == 0) {
            history->sweep_tick = tick_now(history);
        }
        for (struct tly_history_series **place = &history->buckets[history->sweep]; *place;) {
            if (series_forget(history, *place, now_ms)) {
                series_free(history, place);
            } else {
                place = &(*place)->next;
            }
        }
        history->sweep = (history->sweep + 1) & (history->bucket_count - 1);
        if (history->sweep == 0) {
            forget_times(history, history->sweep_tick);
        }
    }
}

int tly_history_tick(struct tly_history *history, int64_t at_ms)
{
    if (history->time_count > history->time_skip &&
        history->times[history->time_count - 1] >= at_ms) {
        return -ERANGE;
    }
    if (history->time_count == history->time_cap) {
        size_t cap = history->time_cap > 0 ? history->time_cap * 2 : 256;
        int64_t *times = reallocarray(history->times, cap, sizeof(*times));
        if (!times) {
            return -ENOMEM;
        }
        history->times = times;
        history->time_cap = cap;
    }
    history->times[history->time_count++] = at_ms;
    history->asked_ms = INT64_MIN;
    if (!history->keep_all) {
        sweep(history, at_ms);
    }
    return 0;
}

static struct tly_history_series *series_find(const struct tly_history *history,
                                              struct tly_labels labels)
{
    struct tly_history_series *series = history->buckets[labels.hash & (history->bucket_count - 1)];
    while (series && !tly_labels_equal(series->labels, labels)) {
        series = series->next;
    }
    return series;
}

int tly_history_series(struct tly_history *history, struct tly_labels labels,
                       struct tly_history_series **ret_series)
{
    *ret_series = series_find(history, labels);
    if (*ret_series) {
        return 0;
    }
    bool ranged = false;
    int64_t keep_ms = need_of(history, labels, &ranged);
    if (keep_ms < 0) {
        return 0;
    }
    struct tly_history_series made = {.keep_ms = keep_ms, .ranged = ranged};
    made.labels.count = labels.count;
    if (history->bytes + series_bytes(&made) > history->bytes_max) {
        history->refused++;
        return TLY_E_LIMIT;
    }
    if (history->series_count >= history->bucket_count && buckets_grow(history) < 0) {
        return -ENOMEM;
    }
    struct tly_history_series *series = malloc(sizeof(*series));
    int rc = series ? tly_labels_keep(history->symbols, labels, &made.labels) : -ENOMEM;
    if (rc < 0) {
        free(series);
        return rc;
    }
    *series = made;
    rc = list_add(history, series);
    if (rc < 0) {
        tly_labels_drop(history->symbols, &series->labels);
        free(series);
        return rc;
    }
    struct tly_history_series **place =
        &history->buckets[labels.hash & (history->bucket_count - 1)];
    series->next = *place;
    *place = series;
    history->series_count++;
    history->bytes += series_bytes(series);
    *ret_series = series;
    return 0;
}

void tly_history_hold(struct tly_history_series *series)
{
    series->holds++;
}

void tly_history_release(struct tly_history_series *series)
{
    series->holds--;
}

/* Appends to the blocks. At the bound the series' own oldest samples make room; without any, or
 * without memory, the sample is only the newest one. */
static void blocks_add(struct tly_history *history, struct tly_history_series *series, int64_t raw,
                       int exponent)
{
    uint32_t tick = tick_now(history);
    if (history->bytes >= history->bytes_max && series->first) {
        block_drop_first(history, series);
        history->shortened++;
    }
    if (series->last) {
        struct tly_block *before = series->last;
        struct tly_block *block = before;
        size_t bytes = tly_block_bytes(block);
        if (tly_block_append(&block, tick, raw, exponent) == 1) {
            history->bytes += tly_block_bytes(block) - bytes;
            if (block != before) { /* it has moved: whoever pointed to it follows */
                struct tly_block **place = &series->first;
                while (*place != before) {
                    assert(*place != NULL); /* it is one of them */
                    place = &(*place)->next;
                }
                *place = block;
                series->last = block;
            }
            return;
        }
    }
    struct tly_block *block = history->bytes < history->bytes_max
                                  ? tly_block_new(tick, raw, exponent)
                                  : NULL;
    if (!block) {
        history->shortened++;
        return;
    }
    history->bytes += tly_block_bytes(block);
    if (series->last) {
        series->last->next = block;
    } else {
        series->first = block;
    }
    series->last = block;
}

bool tly_history_add(struct tly_history *history, struct tly_history_series *series, int64_t raw,
                     int exponent)
{
    uint32_t tick = tick_now(history);
    if (series->any && series->tick == tick) {
        return false;
    }
    if (series->ranged) {
        blocks_add(history, series, raw, exponent);
    }
    series->any = true;
    series->tick = tick;
    series->raw = raw;
    series->exponent = (int8_t)exponent;
    return true;
}

bool tly_history_add_value(struct tly_history *history, struct tly_history_series *series,
                           double value)
{
    int64_t raw;
    memcpy(&raw, &value, sizeof(raw));
    return tly_history_add(history, series, raw, TLY_HISTORY_FLOAT);
}

void tly_history_end(struct tly_history *history, struct tly_history_series *series)
{
    if (series->any && series->exponent != TLY_BLOCK_MARKER) {
        (void)tly_history_add(history, series, 0, TLY_BLOCK_MARKER); /* false: it lives on */
    }
}

/* ---- reading ---- */

static const double decimal_powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

/* An integer over a power of ten as the double nearest to it. */
static double decimal(int64_t raw, int exponent)
{
    if (exponent == 0 || (raw <= EXACT_MAX && raw >= -EXACT_MAX)) {
        return (double)raw / decimal_powers[-exponent];
    }
    char text[48];
    (void)snprintf(text, sizeof(text), "%llde%d", (long long)raw, exponent); /* fits */
    return strtod(text, NULL);
}

static double value_of(int64_t raw, int exponent)
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

static int list_select(const struct name_list *named, const struct tly_bound_matchers *bound,
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

static int select_series(void *arg, const struct tly_matcher *matchers, size_t count,
                         int64_t from_ms, int64_t to_ms, struct tly_series_list *list)
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
            const struct name_list *named = tly_symbols_find(history->symbols, matchers[i].value,
                                                             &name)
                                                ? list_of(history, name)
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

static bool latest(void *arg, const struct tly_series *handle, int64_t at_ms,
                   struct tly_point *ret_point)
{
    struct tly_history *history = arg;
    const struct tly_history_series *series = handle->handle;
    uint32_t tick;
    if (!series->any || !tick_at(history, at_ms, &tick)) {
        return false;
    }
    if (tick >= series->tick) {
        *ret_point = (struct tly_point){tick_time(history, series->tick),
                                        value_of(series->raw, series->exponent)};
        return true;
    }
    const struct tly_block *found = NULL;
    for (const struct tly_block *block = series->first; block && block->tick <= tick;
         block = block->next) {
        found = block;
    }
    if (!found) {
        return false;
    }
    unsigned index = found->count == 1 ? 0 : (tick - found->tick) / found->stride;
    index = index < found->count ? index : found->count - 1U;
    int64_t raw;
    tly_block_read(found, index, index + 1, &raw);
    *ret_point = (struct tly_point){
        tick_time(history, found->tick + (uint32_t)found->stride * index),
        value_of(raw, found->exponent)};
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
    if (exponent > 0 || large >= (uint64_t)EXACT_MAX) {
        for (unsigned i = 0; i < count; i++) {
            to[i].value = value_of(raws[i], exponent);
        }
    } else if (exponent == 0) {
        for (unsigned i = 0; i < count; i++) {
            to[i].value = (double)raws[i];
        }
    } else {
        double power = decimal_powers[-exponent];
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
    unsigned first = from > block->tick ? (from - block->tick + stride - 1) / stride : 0;
    unsigned end = to >= tly_block_last_tick(block) ? block->count
                                                    : (to - block->tick) / stride + 1;
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

static int window(void *arg, const struct tly_series *handle, int64_t after_ms, int64_t to_ms,
                  struct tly_points *scratch, struct tly_window *ret_window)
{
    struct tly_history *history = arg;
    const struct tly_history_series *series = handle->handle;
    uint32_t from = 0;
    uint32_t to = 0;
    int rc = 0;
    if (tick_at(history, to_ms, &to)) {
        from = tick_at(history, after_ms, &from) ? from + 1 : history->first_tick;
        for (const struct tly_block *block = series->first; rc == 0 && block && block->tick <= to;
             block = block->next) {
            if (tly_block_last_tick(block) >= from) {
                rc = block_points(history, block, from, to, scratch);
            }
        }
    }
    *ret_window = (struct tly_window){scratch->at, scratch->count};
    return rc;
}
