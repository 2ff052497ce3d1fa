/*
 * Expressions of any bytes: what parses prints as something that parses again and prints the same,
 * and evaluates within its bounds to label sets that differ; what does not has a message and a
 * place within the text.
 */
#include "agent/rules/evaluator.h"
#include "agent/rules/expr.h"
#include "tests/promql/memory_storage.h"

#include <stdlib.h>

/* Quoting makes a byte up to four characters, and numbers grow to hundreds. */
#define PRINTED_MAX ((size_t)TLY_EXPR_LEN_MAX * 400)
#define SYMBOLS_MAX ((size_t)16 << 20)
#define SAMPLES_MAX 20000
#define BYTES_MAX   ((size_t)4 << 20)
#define STEP_MS     15000
#define NOW_MS      (20 * STEP_MS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void printed(const struct tly_expr *expr, struct tly_buf *buf)
{
    tly_buf_init(buf, PRINTED_MAX);
    if (tly_expr_print(expr, buf) < 0) {
        abort();
    }
}

static int count(void *arg, const struct tly_need *need)
{
    *(uint32_t *)arg += need->matcher_count > 0;
    return 0;
}

static const char *const series[] = {
    "a{x=\"1\",y=\"p\"} 0+3x20",   "a{x=\"2\",y=\"p\"} 10-1x10 stale 5 NaN Inf -Inf 0",
    "b{x=\"1\"} 1 5 2 8 _x5 9x10", "h_bucket{le=\"1\"} 0+1x20",
    "h_bucket{le=\"2\"} 0+2x20",   "h_bucket{le=\"+Inf\"} 0+3x20",
};

static struct tly_symbols *symbols; /* these three live as long as the process */
static struct memory_storage *storage;
static struct tly_evaluator *evaluator;

static void prepare(void)
{
    symbols = tly_symbols_new(SYMBOLS_MAX);
    evaluator = tly_evaluator_new(
        symbols, (struct tly_evaluator_bounds){.samples = SAMPLES_MAX, .bytes = BYTES_MAX});
    storage = symbols ? memory_storage_new(symbols) : NULL;
    if (!evaluator || !storage) {
        abort();
    }
    for (size_t i = 0; i < sizeof(series) / sizeof(series[0]); i++) {
        memory_storage_load(storage, 0, STEP_MS, series[i]);
    }
}

static void evaluate(const struct tly_expr *expr)
{
    if (!symbols) {
        prepare();
    }
    struct tly_value value;
    struct tly_error err = {.code = 0};
    int rc = tly_evaluate(evaluator, expr, memory_storage_view(storage), NOW_MS, &value, &err);
    if (rc < 0 && (err.text[0] == '\0' || err.code != rc)) {
        abort();
    }
    for (size_t i = 0; rc == 0 && value.type == TLY_TYPE_VECTOR && i < value.vector.count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (tly_labels_equal(value.vector.at[i].labels, value.vector.at[k].labels)) {
                abort();
            }
        }
    }
    tly_symbols_trim(symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_text text = {(const char *)data, size};
    struct tly_expr *expr;
    struct tly_error err = {.code = 0};
    struct tly_place place = {0, 0};
    if (tly_expr_parse(text, &expr, &place, &err) < 0) {
        if (err.text[0] == '\0' || (size <= TLY_EXPR_LEN_MAX && place.line == 0)) {
            abort();
        }
        return 0;
    }
    uint32_t selectors = 0;
    if (tly_expr_needs(expr, count, &selectors) != 0 || selectors > expr->selector_count) {
        abort();
    }
    struct tly_buf first;
    printed(expr, &first);
    struct tly_expr *again;
    int rc = tly_expr_parse(tly_buf_text(&first), &again, NULL, &err);
    if (rc == 0) {
        struct tly_buf second;
        printed(again, &second);
        if (!tly_text_equal(tly_buf_text(&first), tly_buf_text(&second))) {
            abort();
        }
        tly_buf_done(&second);
        tly_expr_free(again);
    } else if (rc != TLY_E_LIMIT) {
        abort();
    }
    tly_buf_done(&first);
    evaluate(expr);
    tly_expr_free(expr);
    return 0;
}
