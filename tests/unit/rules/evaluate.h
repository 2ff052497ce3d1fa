/*
 * What the tests of the evaluator share: series in promtool's notation, and results as text, their
 * elements in the order of their labels: `up{a="1"} 5; up{a="2"} 7`.
 */
#ifndef TLY_TESTS_UNIT_RULES_EVALUATE_H
#define TLY_TESTS_UNIT_RULES_EVALUATE_H

#include "agent/rules/evaluator.h"
#include "agent/rules/number.h"
#include "tests/promql/memory_storage.h"
#include "tests/unit/unit.h"

#define BENCH_SYMBOLS_MAX ((size_t)16 << 20)
#define RESULT_TEXT_MAX   8192

struct bench {
    struct tly_symbols *symbols;
    struct memory_storage *storage;
    struct tly_evaluator *evaluator;
};

/* Series start at 0, a step apart. */
static inline void bench_init(struct bench *bench, int64_t step_ms, const char *const *series)
{
    bench->symbols = tly_symbols_new(BENCH_SYMBOLS_MAX);
    assert_non_null(bench->symbols);
    bench->storage = memory_storage_new(bench->symbols);
    for (; *series; series++) {
        memory_storage_load(bench->storage, 0, step_ms, *series);
    }
    bench->evaluator = tly_evaluator_new(bench->symbols, (struct tly_evaluator_bounds){0, 0, 0});
    assert_non_null(bench->evaluator);
}

static inline void bench_done(struct bench *bench)
{
    tly_evaluator_free(bench->evaluator);
    memory_storage_free(bench->storage);
    tly_symbols_free(bench->symbols);
}

static inline void result_number(struct tly_buf *buf, double value)
{
    char text[TLY_NUMBER_TEXT_MAX];
    (void)tly_number_format_general(value, text);
    assert_int_equal(tly_buf_append(buf, text, strlen(text)), 0);
}

static inline void result_vector(const struct bench *bench, const struct tly_vector *vector,
                                 bool ordered, struct tly_buf *buf)
{
    bool taken[64] = {false};
    assert_true(vector->count <= ROWS(taken));
    for (size_t done = 0; done < vector->count; done++) {
        size_t next = vector->count;
        for (size_t i = 0; i < vector->count; i++) {
            if (!taken[i] && (next == vector->count ||
                              (!ordered && tly_labels_compare(bench->symbols, vector->at[i].labels,
                                                              vector->at[next].labels) < 0))) {
                next = i;
            }
        }
        taken[next] = true;
        assert_int_equal(tly_buf_append(buf, "; ", done > 0 ? 2 : 0), 0);
        assert_int_equal(tly_labels_append(bench->symbols, vector->at[next].labels, buf), 0);
        assert_int_equal(tly_buf_append(buf, " ", 1), 0);
        result_number(buf, vector->at[next].value);
    }
}

static inline void result_range(const struct bench *bench, const struct tly_value *value,
                                struct tly_buf *buf)
{
    for (size_t i = 0; i < value->range.count; i++) {
        assert_int_equal(tly_buf_append(buf, "; ", i > 0 ? 2 : 0), 0);
        assert_int_equal(tly_labels_append(bench->symbols, value->range.at[i].labels, buf), 0);
        for (size_t k = 0; k < value->range.at[i].window.count; k++) {
            const struct tly_point *point = &value->range.at[i].window.at[k];
            assert_int_equal(tly_buf_printf(buf, " %lld:", (long long)point->t_ms), 0);
            result_number(buf, point->value);
        }
    }
}

/* Evaluates; the result, or the error, must read as expected. sort's and topk's order is kept. */
static inline void expect_result(struct bench *bench, int64_t at_ms, const char *text,
                                 const char *expected)
{
    struct tly_expr *expr = NULL;
    struct tly_error err = {.code = 0};
    struct tly_value value;
    struct tly_buf buf;
    tly_buf_init(&buf, RESULT_TEXT_MAX);
    int rc = tly_expr_parse(tly_text_of(text), &expr, NULL, &err);
    rc = rc < 0 ? rc
                : tly_evaluate(bench->evaluator, expr, memory_storage_view(bench->storage), at_ms,
                               &value, &err);
    if (rc < 0) {
        assert_int_equal(tly_buf_printf(&buf, "%s", err.text), 0);
    } else if (value.type == TLY_TYPE_SCALAR) {
        result_number(&buf, value.scalar);
    } else if (value.type == TLY_TYPE_STRING) {
        assert_int_equal(tly_buf_append_text(&buf, value.string), 0);
    } else if (value.type == TLY_TYPE_VECTOR) {
        bool ordered = strncmp(text, "sort", 4) == 0 || strstr(text, "topk") == text ||
                       strstr(text, "bottomk") == text;
        result_vector(bench, &value.vector, ordered, &buf);
    } else {
        result_range(bench, &value, &buf);
    }
    struct tly_text result = tly_buf_text(&buf);
    if (!tly_text_equal(result, tly_text_of(expected))) {
        print_error("%s at %lld\n", text, (long long)at_ms);
    }
    expect_text(result, expected);
    tly_buf_done(&buf);
    tly_expr_free(expr);
    static unsigned evaluated;
    if (++evaluated % 2 == 0) { /* every other one has memory that is used again */
        tly_evaluator_trim(bench->evaluator);
    }
}

struct result_row {
    int64_t at_ms;
    const char *text, *expected;
};

static inline void expect_rows(int64_t step_ms, const char *const *series,
                               const struct result_row *rows, size_t count)
{
    struct bench bench;
    bench_init(&bench, step_ms, series);
    for (size_t i = 0; i < count; i++) {
        expect_result(&bench, rows[i].at_ms, rows[i].text, rows[i].expected);
    }
    bench_done(&bench);
}

#endif
