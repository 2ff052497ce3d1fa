/*
 * The storage for tests. Series are found by their metric's name through an array indexed by
 * symbol; points by binary search. Everything is freed with the storage.
 */
#include "tests/promql/memory_storage.h"

#include "agent/rules/expr.h"
#include "agent/rules/number.h"

#include <stdio.h>
#include <stdlib.h>

#define VALUE_LEN_MAX 400

struct series {
    struct tly_labels labels; /* kept */
    struct tly_points points;
    int64_t first_ms, last_ms; /* of the points, which may be far away in memory */
};

/* The series of one name, ready to be handed out. */
struct name_list {
    struct tly_series *at;
    size_t count, cap;
};

struct memory_storage {
    struct tly_symbols *symbols;
    struct series **at; /* each on the heap, so that lists may point to it */
    size_t count, cap;
    struct name_list *names; /* by symbol */
    size_t name_cap;
    struct tly_labels *kept; /* handed out by memory_storage_labels */
    size_t kept_count;
    struct tly_storage view;
};

static void die(const char *what, const char *text)
{
    (void)fprintf(stderr, "memory storage: %s: %s\n", what, text);
    abort();
}

static void *checked(void *at)
{
    if (!at) {
        die("out of memory", "");
    }
    return at;
}

/* ---- reading ---- */

static int add_if_accepted(const struct tly_bound_matchers *bound, struct tly_labels labels,
                           void *handle, struct tly_series_list *list)
{
    return tly_matchers_accept(bound, labels) ? tly_series_list_add(list, labels, handle) : 0;
}

/* The one matcher that names the metric, if there is one. */
static const struct tly_matcher *name_matcher(const struct tly_matcher *matchers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (matchers[i].kind == TLY_MATCH_EQUAL &&
            tly_text_equal(matchers[i].name, TLY_TEXT("__name__"))) {
            return &matchers[i];
        }
    }
    return NULL;
}

static int select_series(void *arg, const struct tly_matcher *matchers, size_t count,
                         int64_t from_ms, int64_t to_ms, struct tly_series_list *list)
{
    const struct memory_storage *storage = arg;
    const struct tly_matcher *name = name_matcher(matchers, count);
    struct tly_bound_matchers bound;
    tly_matchers_bind(matchers, count, storage->symbols, &bound);
    int rc = 0;
    (void)from_ms;
    (void)to_ms;
    if (!name) {
        for (size_t i = 0; rc == 0 && i < storage->count; i++) {
            rc = add_if_accepted(&bound, storage->at[i]->labels, storage->at[i], list);
        }
        return rc;
    }
    uint32_t symbol;
    if (!tly_symbols_find(storage->symbols, name->value, &symbol) || symbol >= storage->name_cap) {
        return 0;
    }
    const struct name_list *named = &storage->names[symbol];
    for (size_t i = 0; rc == 0 && i < named->count; i++) {
        const struct tly_series *at = &named->at[i];
        rc = count == 1 ? tly_series_list_add(list, at->labels, at->handle)
                        : add_if_accepted(&bound, at->labels, at->handle, list);
    }
    return rc;
}

/* How many points have a time of at most `t_ms`. Points mostly stand at equal distances: the guess
 * is right or next to right. */
static size_t points_until(const struct series *series, int64_t t_ms)
{
    const struct tly_points *points = &series->points;
    size_t count = points->count;
    if (count == 0 || t_ms < series->first_ms) {
        return 0;
    }
    if (t_ms >= series->last_ms) {
        return count;
    }
    double share = (double)(t_ms - series->first_ms) / (double)(series->last_ms - series->first_ms);
    size_t guess = (size_t)(share * (double)(count - 1));
    while (guess > 0 && points->at[guess].t_ms > t_ms) {
        guess--;
    }
    while (guess + 1 < count && points->at[guess + 1].t_ms <= t_ms) {
        guess++;
    }
    return guess + 1;
}

static bool latest(void *arg, const struct tly_series *handle, int64_t at_ms,
                   struct tly_point *ret_point)
{
    (void)arg;
    const struct series *series = handle->handle;
    size_t count = points_until(series, at_ms);
    if (count == 0) {
        return false;
    }
    *ret_point = series->points.at[count - 1];
    return true;
}

static int window(void *arg, const struct tly_series *handle, int64_t after_ms, int64_t to_ms,
                  struct tly_points *scratch, struct tly_window *ret_window)
{
    (void)arg;
    (void)scratch;
    const struct series *series = handle->handle;
    size_t from = points_until(series, after_ms);
    size_t to = points_until(series, to_ms);
    *ret_window = (struct tly_window){series->points.at + from, to > from ? to - from : 0};
    return 0;
}

/* ---- building ---- */

struct memory_storage *memory_storage_new(struct tly_symbols *symbols)
{
    struct memory_storage *storage = checked(calloc(1, sizeof(*storage)));
    storage->symbols = symbols;
    storage->view = (struct tly_storage){storage, select_series, latest, window, NULL};
    return storage;
}

void memory_storage_free(struct memory_storage *storage)
{
    for (size_t i = 0; i < storage->count; i++) {
        tly_labels_drop(storage->symbols, &storage->at[i]->labels);
        tly_points_done(&storage->at[i]->points);
        free(storage->at[i]);
    }
    for (size_t i = 0; i < storage->kept_count; i++) {
        tly_labels_drop(storage->symbols, &storage->kept[i]);
    }
    for (size_t i = 0; i < storage->name_cap; i++) {
        free(storage->names[i].at);
    }
    free(storage->at);
    free(storage->names);
    free(storage->kept);
    free(storage);
}

const struct tly_storage *memory_storage_view(struct memory_storage *storage)
{
    return &storage->view;
}

static struct name_list *name_list(struct memory_storage *storage, uint32_t name)
{
    if (name >= storage->name_cap) {
        size_t cap = ((size_t)name + 1) * 2;
        storage->names = checked(realloc(storage->names, cap * sizeof(*storage->names)));
        memset(storage->names + storage->name_cap, 0,
               (cap - storage->name_cap) * sizeof(*storage->names));
        storage->name_cap = cap;
    }
    return &storage->names[name];
}

static struct series *series_of(struct memory_storage *storage, struct tly_labels labels)
{
    struct name_list *list = name_list(storage, tly_labels_get(labels, TLY_SYMBOL_NAME));
    /* Backwards, since samples usually come series by series. */
    for (size_t i = list->count; i > 0; i--) {
        if (tly_labels_equal(list->at[i - 1].labels, labels)) {
            return list->at[i - 1].handle;
        }
    }
    struct series *series = checked(calloc(1, sizeof(*series)));
    if (tly_labels_keep(storage->symbols, labels, &series->labels) < 0) {
        die("out of memory", "");
    }
    if (list->count == list->cap) {
        list->cap = list->cap > 0 ? list->cap * 2 : 16;
        list->at = checked(realloc(list->at, list->cap * sizeof(*list->at)));
    }
    list->at[list->count++] = (struct tly_series){series->labels, series};
    if (storage->count == storage->cap) {
        storage->cap = storage->cap > 0 ? storage->cap * 2 : 64;
        struct series **at = realloc(storage->at, storage->cap * sizeof(struct series *));
        storage->at = checked(at);
    }
    storage->at[storage->count++] = series;
    return series;
}

void memory_storage_add(struct memory_storage *storage, struct tly_labels labels, int64_t t_ms,
                        double value)
{
    struct series *series = series_of(storage, labels);
    if (tly_points_add(&series->points, (struct tly_point){t_ms, value}) < 0) {
        die("out of memory", "");
    }
    series->first_ms = series->points.at[0].t_ms;
    series->last_ms = t_ms;
}

struct tly_labels memory_storage_labels(struct memory_storage *storage, const char *selector)
{
    struct tly_expr *expr = NULL;
    struct tly_error err = {.code = 0};
    if (tly_expr_parse(tly_text_of(selector), &expr, NULL, &err) < 0 ||
        expr->root->kind != TLY_NODE_SELECTOR) {
        die(err.text, selector);
        return (struct tly_labels){NULL, 0, 0};
    }
    const struct tly_selector *parsed = &expr->root->selector;
    struct tly_label_pair *pairs = checked(calloc(parsed->matcher_count, sizeof(*pairs)));
    for (size_t i = 0; i < parsed->matcher_count; i++) {
        if (tly_symbols_add(storage->symbols, parsed->matchers[i].name, &pairs[i].name) < 0 ||
            tly_symbols_add(storage->symbols, parsed->matchers[i].value, &pairs[i].value) < 0) {
            die("too many symbols", selector);
        }
    }
    size_t bytes = (storage->kept_count + 1) * sizeof(*storage->kept);
    storage->kept = checked(realloc(storage->kept, bytes));
    struct tly_labels *kept = &storage->kept[storage->kept_count++];
    if (tly_labels_keep(storage->symbols, tly_labels_make(pairs, parsed->matcher_count), kept) <
        0) {
        die("out of memory", selector);
    }
    free(pairs);
    tly_expr_free(expr);
    return *kept;
}

/* ---- promtool's notation ---- */

static double value_of(struct tly_text text)
{
    double value;
    if (tly_text_equal(text, TLY_TEXT("stale"))) {
        return tly_stale_nan();
    }
    if (tly_float_parse(text, &value) < 0) {
        die("not a value", text.at);
    }
    return value;
}

/* Where the increment of `a+bxn` starts: a sign that is neither the first nor an exponent's. */
static size_t sign_in(struct tly_text item)
{
    for (size_t i = 1; i < item.len; i++) {
        if ((item.at[i] == '+' || item.at[i] == '-') && item.at[i - 1] != 'e') {
            return i;
        }
    }
    return item.len;
}

void memory_storage_load(struct memory_storage *storage, int64_t start_ms, int64_t step_ms,
                         const char *line)
{
    struct tly_text rest = tly_text_of(line);
    /* The labels end at the last brace, or at the first blank. */
    const char *brace = strrchr(line, '}');
    size_t end = brace ? (size_t)(brace - line) + 1 : strcspn(line, " ");
    char *selector = checked(tly_text_dup((struct tly_text){line, end}));
    struct tly_labels labels = memory_storage_labels(storage, selector);
    free(selector);
    rest = tly_text_trim((struct tly_text){rest.at + end, rest.len - end});
    int64_t at_ms = start_ms;
    while (rest.at) {
        struct tly_text item = tly_text_cut(&rest, ' ');
        struct tly_text times = item;
        struct tly_text body = tly_text_cut(&times, 'x');
        uint64_t more = 0;
        if (item.len == 0 || (times.at && tly_text_u64(times, &more) < 0)) {
            continue;
        }
        bool none = body.at[0] == '_';
        if (none) {
            at_ms += step_ms * (int64_t)(times.at ? more : 1);
            continue;
        }
        size_t sign = sign_in(body);
        double value = value_of((struct tly_text){body.at, sign});
        double by = sign < body.len ? value_of((struct tly_text){body.at + sign, body.len - sign})
                                    : 0;
        for (uint64_t i = 0; i <= more; i++, at_ms += step_ms, value += by) {
            memory_storage_add(storage, labels, at_ms, value);
        }
    }
}
