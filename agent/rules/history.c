/*
 * The history: series found by their labels and by their names, blocks behind each, one line of
 * times for all. The newest sample of a series stands in the series itself, which is all that there
 * is for those of which no rule wants more.
 */
#include "agent/rules/history_state.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS_FIRST 1024
/* Forgetting goes through the series in this many ticks. */
#define SWEEP_TURNS  8
#define HEAP_HEADER  8
#define PRESSURE_MAX 16

/* Times have come or gone. */
static void forget_asked(struct tly_history *history)
{
    for (size_t i = 0; i < sizeof(history->asked) / sizeof(history->asked[0]); i++) {
        history->asked[i].at_ms = INT64_MIN;
    }
}

/* ---- series ---- */

static size_t used(const struct tly_history *history)
{
    return history->bytes + tly_symbols_bytes(history->symbols);
}

static size_t series_bytes(const struct tly_history_series *series)
{
    return sizeof(*series) + HEAP_HEADER + series->labels.count * sizeof(*series->labels.at) +
           HEAP_HEADER;
}

static void block_drop_first(struct tly_history *history, struct tly_history_series *series)
{
    struct tly_block *block = series->first;
    history->bytes -= tly_block_bytes(block);
    series->first = block->next;
    if (series->first) {
        series->first->before = NULL;
    } else {
        series->last = NULL;
    }
    free(block);
}

static void list_remove(struct tly_history *history, struct tly_history_series *series)
{
    uint32_t name = tly_labels_get(series->labels, TLY_SYMBOL_NAME);
    struct tly_name_list *list = tly_history_list(history, name);
    list->count--;
    if (series->position < list->count) {
        list->at[series->position] = list->at[list->count];
        struct tly_history_series *moved = list->at[series->position].handle;
        moved->position = series->position;
    }
    if (list->count == 0) {
        (void)tly_map_remove(history->names,
                             (struct tly_text){(const char *)&name, sizeof(name)}); /* `list` */
        history->bytes -= list->cap * sizeof(*list->at);
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

#define LIST_FIRST 4

/* How many bytes the list of the name is to grow by for one more series. */
static size_t list_growth(const struct tly_history *history, struct tly_labels labels)
{
    const struct tly_name_list *list = tly_history_list(history,
                                                        tly_labels_get(labels, TLY_SYMBOL_NAME));
    size_t cap = list && list->cap > 0 ? list->cap : LIST_FIRST;
    return !list || list->count == list->cap ? cap * sizeof(*list->at) : 0;
}

static int list_add(struct tly_history *history, struct tly_history_series *series)
{
    uint32_t name = tly_labels_get(series->labels, TLY_SYMBOL_NAME);
    struct tly_name_list *list = tly_history_list(history, name);
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
        size_t cap = list->cap > 0 ? list->cap * 2 : LIST_FIRST;
        struct tly_series *at = reallocarray(list->at, cap, sizeof(*at));
        if (!at) {
            return -ENOMEM; /* an empty list stays, which does no harm */
        }
        history->bytes += (cap - list->cap) * sizeof(*at);
        list->at = at;
        list->cap = cap;
    }
    series->position = (uint32_t)list->count;
    list->at[list->count++] = (struct tly_series){series->labels, series};
    return 0;
}

/* Whether there is room for twice as many; else chains become longer. */
static bool buckets_fit(const struct tly_history *history)
{
    return used(history) + history->bucket_count * sizeof(struct tly_history_series *) <=
           history->bytes_max;
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
    history->bytes += (count - history->bucket_count) * sizeof(struct tly_history_series *);
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
        struct tly_history_need *needs = reallocarray(history->needs, cap, sizeof(*needs));
        if (!needs) {
            return -ENOMEM;
        }
        history->needs = needs;
        history->need_cap = cap;
    }
    /* What is pinned to a fixed time can't be promised: it finds what happens to be there. */
    int64_t keep_ms = (need->pinned ? TLY_LOOKBACK_MS : need->from_ms) + adding->lag_ms;
    history->needs[history->need_count++] = (struct tly_history_need){
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
        const struct tly_history_need *need = &history->needs[i];
        /* The name rules nearly all of them out. */
        if (!tly_matchers_allow_name(need->matchers, need->count, name) ||
            (keep_ms >= need->keep_ms && (*ret_ranged || !need->ranged))) {
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
        wanted = tly_matchers_allow_name(history->needs[i].matchers, history->needs[i].count, name);
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

struct tly_history *tly_history_new(struct tly_symbols *symbols, size_t bytes_max)
{
    struct tly_history *history = calloc(1, sizeof(*history));
    if (!history) {
        return NULL;
    }
    history->symbols = symbols;
    history->bytes_max = bytes_max;
    history->storage = (struct tly_storage){history, tly_history_select, tly_history_latest,
                                            tly_history_window, tly_history_digest};
    forget_asked(history);
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
        tly_map_free(history->names, free); /* empty by now, but for lists without any series */
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
        .bytes = used(history),
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

/* Drops what is too old of a series. true: nothing of it is left, and nobody holds it. Where room
 * is wanting, those that nobody adds to any more make it before their time: with the series of all
 * containers that went, others would find none for hours. */
static bool series_forget(struct tly_history *history, struct tly_history_series *series,
                          int64_t now_ms)
{
    int64_t due_ms = now_ms - series->keep_ms;
    bool living = series->holds > 0 || history->rehold;
    int64_t since_ms = living ? due_ms : now_ms - (series->keep_ms >> history->pressure);
    while (series->first) {
        int64_t last_ms = tly_history_time(history, tly_block_last_tick(series->first));
        if (last_ms > since_ms) {
            break;
        }
        history->shortened += last_ms > due_ms;
        block_drop_first(history, series);
    }
    series->any = series->any && tly_history_time(history, series->tick) > since_ms;
    uint32_t oldest = series->first ? series->first->tick : series->any ? series->tick : UINT32_MAX;
    history->sweep_tick = oldest < history->sweep_tick ? oldest : history->sweep_tick;
    return !series->any && !series->first && series->holds == 0;
}

/* After each round: more room is to be made, or less. */
static void press(struct tly_history *history)
{
    if (history->wanting != history->wanting_before) {
        history->pressure += history->pressure < PRESSURE_MAX;
    } else {
        history->pressure -= history->pressure > 0;
    }
    history->wanting_before = history->wanting;
}

/* Forgets what is too old, in one part of the series. When all were looked at, the times go that
 * none of them has a sample of: whatever came meanwhile is newer. */
static void sweep(struct tly_history *history, int64_t now_ms)
{
    size_t part = history->bucket_count / SWEEP_TURNS;
    for (size_t i = 0; i < part; i++) {
        if (history->sweep == 0) {
            history->sweep_tick = tly_history_now(history);
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
            press(history);
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
        history->bytes += (cap - history->time_cap) * sizeof(*times);
        history->times = times;
        history->time_cap = cap;
    }
    history->times[history->time_count++] = at_ms;
    forget_asked(history);
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

void tly_history_refuse(struct tly_history *history)
{
    history->refused++;
    history->wanting++;
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
    if (used(history) + series_bytes(&made) + list_growth(history, labels) > history->bytes_max) {
        tly_history_refuse(history);
        return TLY_E_LIMIT;
    }
    if (history->series_count >= history->bucket_count && buckets_fit(history) &&
        buckets_grow(history) < 0) {
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

void tly_history_rehold(struct tly_history *history, bool awaited)
{
    history->rehold = awaited;
}

/* Appends to the blocks. At the bound the series' own oldest samples make room; without any, or
 * without memory, the sample is only the newest one. */
static void blocks_add(struct tly_history *history, struct tly_history_series *series, int64_t raw,
                       int exponent)
{
    uint32_t tick = tly_history_now(history);
    if (used(history) >= history->bytes_max && series->first) {
        block_drop_first(history, series);
        history->shortened++;
        history->wanting++;
    }
    if (series->last) {
        struct tly_block *before = series->last;
        struct tly_block *block = before;
        size_t bytes = tly_block_bytes(block);
        if (tly_block_append(&block, tick, raw, exponent) == 1) {
            history->bytes += tly_block_bytes(block) - bytes;
            if (block != before) { /* it has moved: whoever pointed to it follows */
                *(block->before ? &block->before->next : &series->first) = block;
                series->last = block;
            }
            return;
        }
    }
    struct tly_block *block = used(history) < history->bytes_max
                                  ? tly_block_new(tick, raw, exponent)
                                  : NULL;
    if (!block) {
        history->shortened++;
        history->wanting++;
        return;
    }
    history->bytes += tly_block_bytes(block);
    block->before = series->last;
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
    uint32_t tick = tly_history_now(history);
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
