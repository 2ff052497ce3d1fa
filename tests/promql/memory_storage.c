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
    struct series *next; /* of the same name */
};

struct name_list {
    struct series *first, *last;
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

static int add_if_accepted(const struct memory_storage *storage, struct series *series,
                           const struct tly_matcher *matchers, size_t count,
                           struct tly_series_list *list)
{
    if (!tly_matchers_accept(matchers, count, storage->symbols, series->labels)) {
        return 0;
    }
    return tly_series_list_add(list, series->labels, series);
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
    int rc = 0;
    (void)from_ms;
    (void)to_ms;
    if (!name) {
        for (size_t i = 0; rc == 0 && i < storage->count; i++) {
            rc = add_if_accepted(storage, storage->at[i], matchers, count, list);
        }
        return rc;
    }
    uint32_t symbol;
    if (!tly_symbols_find(storage->symbols, name->value, &symbol) || symbol >= storage->name_cap) {
        return 0;
    }
    for (struct series *at = storage->names[symbol].first; rc == 0 && at; at = at->next) {
        rc = count == 1 ? tly_series_list_add(list, at->labels, at)
                        : add_if_accepted(storage, at, matchers, count, list);
    }
    return rc;
}

/* How many points have a time of at most `t_ms`. */
static size_t points_until(const struct tly_points *points, int64_t t_ms)
{
    size_t low = 0;
    size_t high = points->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (points->at[middle].t_ms <= t_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool latest(void *arg, const struct tly_series *handle, int64_t at_ms,
                   struct tly_point *ret_point)
{
    (void)arg;
    const struct series *series = handle->handle;
    size_t count = points_until(&series->points, at_ms);
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
    size_t from = points_until(&series->points, after_ms);
    size_t to = points_until(&series->points, to_ms);
    *ret_window = (struct tly_window){series->points.at + from, to > from ? to - from : 0};
    return 0;
}

/* ---- building ---- */

struct memory_storage *memory_storage_new(struct tly_symbols *symbols)
{
    struct memory_storage *storage = checked(calloc(1, sizeof(*storage)));
    storage->symbols = symbols;
    storage->view = (struct tly_storage){storage, select_series, latest, window};
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
    if (list->last && tly_labels_equal(list->last->labels, labels)) {
        return list->last; /* samples usually come series by series */
    }
    for (struct series *at = list->first; at; at = at->next) {
        if (tly_labels_equal(at->labels, labels)) {
            return at;
        }
    }
    struct series *series = checked(calloc(1, sizeof(*series)));
    if (tly_labels_keep(storage->symbols, labels, &series->labels) < 0) {
        die("out of memory", "");
    }
    if (list->last) {
        list->last->next = series;
    } else {
        list->first = series;
    }
    list->last = series;
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
