/*
 * The history against plain arrays: what goes in comes out, value by value, as long as it is
 * needed; and its bounds.
 */
#include "agent/rules/history.h"

#include "agent/rules/digest.h"
#include "agent/rules/number.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <math.h>

#define STEP_MS  10000
#define START_MS 1700000000000

static struct tly_expr *parse(const char *text)
{
    struct tly_expr *expr = NULL;
    struct tly_error err = {0};
    if (tly_expr_parse(tly_text_of(text), &expr, NULL, &err) < 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return expr;
}

static struct tly_labels labels_of(struct tly_symbols *symbols, const char *metric, const char *id,
                                   struct tly_label_pair pairs[2])
{
    pairs[0].name = TLY_SYMBOL_NAME;
    assert_int_equal(tly_symbols_add(symbols, tly_text_of(metric), &pairs[0].value), 0);
    assert_int_equal(tly_symbols_add(symbols, TLY_TEXT("id"), &pairs[1].name), 0);
    assert_int_equal(tly_symbols_add(symbols, tly_text_of(id), &pairs[1].value), 0);
    return tly_labels_make(pairs, 2);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return *state >> 33;
}

/* Kinds of series: constant, steady counter, noisy, jumping over all of int64, doubles. */
static int64_t next_raw(unsigned kind, int64_t before, uint64_t *state)
{
    switch (kind) {
    case 0:
        return 42;
    case 1:
        return before + 1000000000 + (int64_t)(next_random(state) % 1000000);
    case 2:
        return before + (int64_t)(next_random(state) % 2001) - 1000;
    case 3:
        return (int64_t)(next_random(state) << 33 | next_random(state) << 2);
    default: {
        double value = (double)next_random(state) / 7;
        int64_t raw;
        memcpy(&raw, &value, sizeof(raw));
        return raw;
    }
    }
}

static double expected_value(unsigned kind, int64_t raw)
{
    if (kind == 4) {
        double value;
        memcpy(&value, &raw, sizeof(value));
        return value;
    }
    char text[64];
    (void)snprintf(text, sizeof(text), "%llde%d", (long long)raw, kind == 0 ? 0 : -6);
    return strtod(text, NULL);
}

static void assert_near(double got, double expected, double scale)
{
    if (fabs(got - expected) > 1e-9 * scale && !(isnan(got) && isnan(expected))) {
        fail_msg("%.17g is not %.17g", got, expected);
    }
}

/* What the history says of a window without reading it, against what its samples say. */
static void check_digests(const struct tly_storage *storage, const struct tly_series *row,
                          unsigned kind, struct tly_window window, int64_t after_ms, int64_t to_ms)
{
    static struct tly_point kept[1000];
    struct tly_window bare = {kept, 0};
    double scale = 0;
    for (size_t i = 0; i < window.count; i++) {
        if (!tly_is_stale(window.at[i].value)) {
            assert_true(bare.count < sizeof(kept) / sizeof(kept[0]));
            kept[bare.count++] = window.at[i];
            scale = fmax(scale, fabs(window.at[i].value));
        }
    }
    for (enum tly_digest_part part = TLY_DIGEST_ENDS; part <= TLY_DIGEST_LINE; part++) {
        struct tly_digest digest = {0};
        struct tly_digest expected;
        tly_digest_window(bare, part, &expected);
        int rc = storage->digest(storage->arg, row, 1, after_ms, to_ms, part, &digest);
        /* Of doubles and of integers that no double holds it knows nothing. */
        assert_int_equal(rc, kind >= 3 && bare.count > 0 ? 1 : 0);
        if (rc != 0) {
            continue;
        }
        assert_int_equal(digest.count, expected.count);
        if (digest.count == 0) {
            continue;
        }
        assert_memory_equal(&digest.first, &expected.first, sizeof(digest.first));
        assert_memory_equal(&digest.last, &expected.last, sizeof(digest.last));
        if (digest.count > 1) {
            assert_memory_equal(&digest.last_but_one, &expected.last_but_one,
                                sizeof(digest.last_but_one));
        }
        if (part == TLY_DIGEST_TURNS) {
            assert_near(digest.lost, expected.lost, scale);
            assert_int_equal(digest.resets, expected.resets);
            assert_int_equal(digest.changes, expected.changes);
        } else if (part == TLY_DIGEST_EXTREMES) {
            assert_near(digest.least, expected.least, 0);
            assert_near(digest.most, expected.most, 0);
        } else if (part == TLY_DIGEST_SUM) {
            assert_near(digest.sum, expected.sum, scale);
            assert_near(digest.mean, expected.mean, scale);
        } else if (part == TLY_DIGEST_SPREAD) {
            assert_near(digest.variance, expected.variance, expected.variance);
        } else if (part == TLY_DIGEST_LINE && digest.count > 1) {
            assert_near(digest.mean, expected.mean, scale);
            assert_near(digest.mean_s, expected.mean_s, expected.mean_s);
            double seconds = (double)(digest.last.t_ms - digest.first.t_ms) / 1000;
            assert_near(digest.slope * seconds, expected.slope * seconds, scale);
        }
    }
}

/* So long a fall that every sample is a reset, and a rise, in blocks that are straight lines. */
static void test_lines(void **state)
{
    (void)state;
    struct tly_symbols *symbols = tly_symbols_new(1 << 20);
    struct tly_history *history = tly_history_new(symbols, 1 << 24);
    tly_history_keep_all(history);
    struct tly_label_pair pairs[2];
    struct tly_history_series *series = NULL;
    assert_int_equal(tly_history_series(history, labels_of(symbols, "x", "a", pairs), &series), 0);
    static struct tly_point plain[600];
    int64_t value = 1000000;
    for (int i = 0; i < 600; i++) {
        value += i < 200 ? -300 : i < 400 ? 7 : i == 450 ? -5 : 0;
        assert_int_equal(tly_history_tick(history, START_MS + i * STEP_MS), 0);
        assert_true(tly_history_add(history, series, value, -3));
        plain[i] = (struct tly_point){START_MS + i * STEP_MS, (double)value / 1000};
    }
    const struct tly_storage *storage = tly_history_storage(history);
    struct tly_series row = {.handle = series};
    for (int first = 0; first < 600; first += 37) {
        for (int end = first; end <= 600; end += 41) {
            check_digests(storage, &row, 0,
                          (struct tly_window){plain + first, (size_t)(end - first)},
                          START_MS + first * STEP_MS - 1, START_MS + (end - 1) * STEP_MS);
        }
    }
    tly_history_free(history);
    tly_symbols_free(symbols);
}

#define KINDS 5
#define TICKS 500
static void test_equal(void **state)
{
    (void)state;
    struct tly_symbols *symbols = tly_symbols_new(1 << 20);
    struct tly_history *history = tly_history_new(symbols, 1 << 24);
    struct tly_expr *need = parse("rate(x[1h])");
    tly_history_needs_begin(history);
    assert_int_equal(tly_history_needs_add(history, need, 0), 0);
    tly_history_needs_end(history);
    static struct tly_point plain[KINDS][TICKS];
    size_t counts[KINDS] = {0};
    struct tly_history_series *series[KINDS];
    const char *const ids[KINDS] = {"a", "b", "c", "d", "e"};
    for (unsigned i = 0; i < KINDS; i++) {
        struct tly_label_pair pairs[2];
        assert_int_equal(
            tly_history_series(history, labels_of(symbols, "x", ids[i], pairs), &series[i]), 0);
        assert_non_null(series[i]);
        tly_history_hold(series[i]);
    }
    uint64_t random = 7;
    int64_t raws[KINDS] = {0};
    const struct tly_storage *storage = tly_history_storage(history);
    int64_t at_ms = START_MS;
    for (unsigned tick = 0; tick < TICKS; tick++) {
        at_ms += STEP_MS + (int64_t)(next_random(&random) % 50);
        assert_int_equal(tly_history_tick(history, at_ms), 0);
        for (unsigned i = 0; i < KINDS; i++) {
            if (next_random(&random) % 20 == 0) {
                continue; /* a gap */
            }
            bool ends = next_random(&random) % 50 == 0;
            raws[i] = next_raw(i, raws[i], &random);
            int exponent = i == 4 ? TLY_HISTORY_FLOAT : i == 0 ? 0 : -6;
            struct tly_point *point = &plain[i][counts[i]];
            bool ended = counts[i] == 0 || tly_is_stale(point[-1].value);
            if (ends) {
                tly_history_end(history, series[i]);
            } else {
                assert_true(tly_history_add(history, series[i], raws[i], exponent));
                assert_false(tly_history_add(history, series[i], 1, exponent));
            }
            if (!ends || !ended) {
                *point = (struct tly_point){at_ms,
                                            ends ? tly_stale_nan() : expected_value(i, raws[i])};
                counts[i]++;
            }
        }
    }
    struct tly_series_list list = {.max = 100};
    const struct tly_selector *all = &need->root->call.args[0]->selector;
    assert_int_equal(
        storage->select(storage->arg, all->matchers, all->matcher_count, 0, at_ms, &list), 0);
    assert_int_equal(list.count, KINDS);
    for (unsigned i = 0; i < KINDS; i++) {
        struct tly_series handle = {.handle = series[i]};
        for (int64_t length_ms = STEP_MS; length_ms < 3100000; length_ms += 333333) {
            int64_t to_ms = at_ms - length_ms / 7;
            struct tly_points scratch = {NULL, 0, 0};
            struct tly_window window;
            assert_int_equal(
                storage->window(storage->arg, &handle, to_ms - length_ms, to_ms, &scratch, &window),
                0);
            size_t k = 0;
            struct tly_point last = {0, 0};
            for (size_t n = 0; n < counts[i]; n++) {
                last = plain[i][n].t_ms <= to_ms ? plain[i][n] : last;
                if (plain[i][n].t_ms > to_ms - length_ms && plain[i][n].t_ms <= to_ms) {
                    assert_true(k < window.count);
                    assert_int_equal(window.at[k].t_ms, plain[i][n].t_ms);
                    assert_memory_equal(&window.at[k].value, &plain[i][n].value, sizeof(double));
                    k++;
                }
            }
            assert_int_equal(k, window.count);
            check_digests(storage, &handle, i, window, to_ms - length_ms, to_ms);
            struct tly_point latest;
            assert_true(storage->latest(storage->arg, &handle, to_ms, &latest));
            assert_int_equal(latest.t_ms, last.t_ms);
            assert_memory_equal(&latest.value, &last.value, sizeof(double));
            tly_points_done(&scratch);
        }
        tly_history_release(series[i]);
    }
    /* What is older than an hour has gone, but for what shares a block with younger samples. */
    struct tly_points scratch = {NULL, 0, 0};
    struct tly_window window;
    struct tly_series handle = {.handle = series[0]};
    assert_int_equal(storage->window(storage->arg, &handle, 0, at_ms, &scratch, &window), 0);
    assert_true(window.count < counts[0]);
    assert_true(window.at[0].t_ms > at_ms - 3600000 - (64 + 8 + 1) * (STEP_MS + 50));
    assert_true(tly_history_stats(history).oldest_ms > at_ms - 3600000 - 100 * (STEP_MS + 50));
    tly_points_done(&scratch);
    free(list.at);
    tly_history_free(history);
    tly_expr_free(need);
    tly_symbols_free(symbols);
}

/* Series go when nobody has use for them, and others are never made. */
static void test_needs(void **state)
{
    (void)state;
    struct tly_symbols *symbols = tly_symbols_new(1 << 20);
    struct tly_history *history = tly_history_new(symbols, 1 << 24);
    struct tly_expr *expr = parse("x{id=\"a\"} > 1 or rate(y[10m])");
    tly_history_needs_begin(history);
    assert_int_equal(tly_history_needs_add(history, expr, 0), 0);
    tly_history_needs_end(history);
    assert_true(tly_history_wants(history, TLY_TEXT("x")));
    assert_false(tly_history_wants(history, TLY_TEXT("z")));
    struct tly_label_pair pairs[2];
    struct tly_history_series *series = NULL;
    assert_int_equal(tly_history_series(history, labels_of(symbols, "x", "b", pairs), &series), 0);
    assert_null(series);
    assert_int_equal(tly_history_series(history, labels_of(symbols, "x", "a", pairs), &series), 0);
    assert_non_null(series);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(tly_history_tick(history, START_MS + i * STEP_MS), 0);
        if (i < 100) {
            if (i == 0) {
                (void)tly_history_add(history, series, 1, 0);
            } else if (i == 1) {
                assert_int_equal(tly_history_tick(history, START_MS), -ERANGE);
            }
        }
    }
    assert_int_equal(tly_history_stats(history).series, 0); /* forgotten, five minutes later */
    assert_int_equal(tly_history_series(history, labels_of(symbols, "y", "a", pairs), &series), 0);
    assert_true(tly_history_add_value(history, series, 0.5));
    assert_int_equal(tly_history_stats(history).series, 1);
    tly_history_needs_begin(history);
    tly_history_needs_end(history);
    assert_int_equal(tly_history_stats(history).series, 0);
    tly_history_free(history);
    tly_expr_free(expr);
    tly_symbols_free(symbols);
}

/* At the bound new series are refused, and old ones become shorter; both are counted. */
static void test_bound(void **state)
{
    (void)state;
    struct tly_symbols *symbols = tly_symbols_new(1 << 20);
    struct tly_history *history = tly_history_new(symbols, 20000);
    struct tly_expr *expr = parse("rate(x[1d])");
    tly_history_needs_begin(history);
    assert_int_equal(tly_history_needs_add(history, expr, 0), 0);
    tly_history_needs_end(history);
    struct tly_history_series *series[1000] = {NULL};
    size_t count = 0;
    for (int rc = 0; rc == 0 && count < 20; count++) {
        char id[16];
        struct tly_label_pair pairs[2];
        (void)snprintf(id, sizeof(id), "%zu", count);
        rc = tly_history_series(history, labels_of(symbols, "x", id, pairs), &series[count]);
        assert_int_equal(rc, 0);
        tly_history_hold(series[count]);
    }
    uint64_t random = 1;
    for (int i = 0; i < 500; i++) {
        assert_int_equal(tly_history_tick(history, START_MS + i * STEP_MS), 0);
        for (size_t k = 0; k < count; k++) {
            assert_true(tly_history_add_value(history, series[k], (double)next_random(&random)));
        }
        struct tly_history_stats stats = tly_history_stats(history);
        assert_true(stats.bytes < 20000 + 1000);
    }
    assert_true(tly_history_stats(history).shortened > 0);
    struct tly_label_pair pairs[2];
    struct tly_history_series *more = NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < 1000; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "more%zu", i);
        rc = tly_history_series(history, labels_of(symbols, "x", id, pairs), &more);
    }
    assert_int_equal(rc, TLY_E_LIMIT);
    assert_int_equal(tly_history_stats(history).refused, 1);
    for (size_t k = 0; k < count; k++) {
        tly_history_release(series[k]);
    }
    tly_history_free(history);
    tly_expr_free(expr);
    tly_symbols_free(symbols);
}

/* One round of a container that lives for a few ticks: true if it found room. */
static bool come_and_go(struct tly_history *history, struct tly_symbols *symbols, size_t number)
{
    struct tly_history_series *series = NULL;
    struct tly_label_pair pairs[2];
    char id[80];
    (void)snprintf(id, sizeof(id), "%064zu", number);
    struct tly_labels labels = labels_of(symbols, "x", id, pairs);
    if (tly_history_series(history, labels, &series) < 0) {
        return false;
    }
    assert_true(tly_history_add(history, series, (int64_t)number, 0));
    return true;
}

/* Containers that come and go by the thousand: the bound holds for the texts of their labels, too,
 * those that are gone make room for those to come, and in the end nothing of them is left. */
static void test_churn(void **state)
{
    (void)state;
    enum { MOST = 1000000, CONTAINERS = 40000, MINUTE_MS = 60000 };
    struct tly_symbols *symbols = tly_symbols_new(MOST);
    struct tly_history *history = tly_history_new(symbols, MOST);
    struct tly_expr *expr = parse("rate(x[10d])");
    tly_history_needs_begin(history);
    assert_int_equal(tly_history_needs_add(history, expr, 0), 0);
    tly_history_needs_end(history);
    size_t empty = tly_history_stats(history).bytes;
    size_t found = 0;
    size_t lately = 0;
    int64_t now_ms = START_MS;
    for (size_t i = 0; i < CONTAINERS; i++) {
        now_ms += MINUTE_MS;
        assert_int_equal(tly_history_tick(history, now_ms), 0);
        bool room = come_and_go(history, symbols, i);
        found += room;
        lately += room && i >= CONTAINERS / 2;
        tly_symbols_trim(symbols);
        assert_true(tly_history_stats(history).bytes <= MOST);
    }
    assert_true(tly_history_stats(history).shortened > 0);
    if (found < CONTAINERS * 9 / 10 || lately < CONTAINERS / 2 * 9 / 10) {
        fail_msg("%zu of %d found room, %zu of the second half", found, CONTAINERS, lately);
    }
    for (int i = 0; i < 20; i++) { /* weeks without any */
        now_ms += (int64_t)24 * 3600 * 1000;
        assert_int_equal(tly_history_tick(history, now_ms), 0);
    }
    tly_symbols_trim(symbols);
    struct tly_history_stats stats = tly_history_stats(history);
    assert_int_equal(stats.series, 0);
    assert_true(stats.bytes < empty + 400000); /* tables, of times and of buckets */
    tly_history_free(history);
    tly_expr_free(expr);
    tly_symbols_free(symbols);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal), cmocka_unit_test(test_lines), cmocka_unit_test(test_needs),
        cmocka_unit_test(test_bound), cmocka_unit_test(test_churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
