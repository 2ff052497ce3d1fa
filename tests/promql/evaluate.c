/*
 * Evaluates expressions on given samples, for tests that compare with Prometheus.
 *
 * Usage: promql_evaluate [--history] SERIES < EXPRESSIONS
 *
 * The samples stand in plain arrays, or in the history as the agent keeps it.
 * SERIES has lines `name{labels}<tab>t_ms value<tab>t_ms value...`; a line of EXPRESSIONS is
 * `t_ms<tab>expression`. For each expression it prints `error<tab>message`, or the type and then
 * for each element a tab, its labels, a blank and its value (or t_ms=value, ... of a range).
 */
#include "agent/base/file.h"
#include "agent/rules/evaluator.h"
#include "agent/rules/history.h"
#include "agent/rules/number.h"
#include "tests/promql/memory_storage.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SYMBOLS_MAX ((size_t)64 << 20)
#define FILE_MAX    ((size_t)512 << 20)
#define LABELS_MAX  ((size_t)1 << 20)

static void fail(const char *what)
{
    (void)fprintf(stderr, "promql_evaluate: %s\n", what);
    exit(2);
}

struct sample {
    struct tly_labels labels; /* kept by the storage */
    int64_t t_ms;
    double value;
    int64_t raw; /* as the history has it */
    int exponent;
    bool ends;
};

static struct {
    struct sample *at;
    size_t count, cap;
} samples;

static void sample_add(struct sample sample)
{
    if (samples.count == samples.cap) {
        samples.cap = samples.cap > 0 ? samples.cap * 2 : 1024;
        samples.at = realloc(samples.at, samples.cap * sizeof(*samples.at));
        if (!samples.at) {
            fail("out of memory");
        }
    }
    samples.at[samples.count++] = sample;
}

/* A decimal number as the kernel's are kept, an integer and an exponent; else the double's bits. */
static void set_raw(struct sample *sample, struct tly_text text)
{
    char digits[32];
    size_t len = 0;
    size_t decimals = 0;
    bool point = false;
    for (size_t i = 0; i < text.len && len < sizeof(digits) - 1; i++) {
        point = point || text.at[i] == '.';
        if (text.at[i] != '.') {
            digits[len++] = text.at[i];
            decimals += point;
        }
    }
    struct tly_text plain = {digits, len};
    if (len == sizeof(digits) - 1 || decimals > 6 || tly_text_i64(plain, &sample->raw) < 0 ||
        (sample->raw == 0 && signbit(sample->value))) {
        memcpy(&sample->raw, &sample->value, sizeof(sample->raw));
        sample->exponent = TLY_HISTORY_FLOAT;
        return;
    }
    for (; decimals < 6 && llabs(sample->raw) < INT64_MAX / 10; decimals++) {
        sample->raw *= 10; /* so that a series has one exponent */
    }
    sample->exponent = -(int)decimals;
}

static void load(struct memory_storage *storage, struct tly_text rest)
{
    while (rest.at) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        if (line.len == 0) {
            continue;
        }
        char *selector = tly_text_dup(tly_text_cut(&line, '\t'));
        struct tly_labels labels = memory_storage_labels(storage, selector);
        free(selector);
        while (line.at) {
            struct tly_text value = tly_text_cut(&line, '\t');
            struct tly_text time = tly_text_cut(&value, ' ');
            struct sample sample = {.labels = labels, .value = tly_stale_nan()};
            sample.ends = tly_text_equal(value, TLY_TEXT("stale"));
            if (tly_text_i64(time, &sample.t_ms) < 0 ||
                (!sample.ends && tly_float_parse(value, &sample.value) < 0)) {
                fail("a sample is malformed");
            }
            set_raw(&sample, value);
            memory_storage_add(storage, labels, sample.t_ms, sample.value);
            sample_add(sample);
        }
    }
}

static int by_time(const void *a, const void *b)
{
    const struct sample *left = a;
    const struct sample *right = b;
    return (left->t_ms > right->t_ms) - (left->t_ms < right->t_ms);
}

/* The same samples in a history, tick by tick. */
static struct tly_history *load_history(struct tly_symbols *symbols)
{
    struct tly_history *history = tly_history_new(symbols, SIZE_MAX);
    if (!history) {
        fail("out of memory");
    }
    tly_history_keep_all(history);
    qsort(samples.at, samples.count, sizeof(*samples.at), by_time);
    for (size_t i = 0; i < samples.count; i++) {
        const struct sample *sample = &samples.at[i];
        struct tly_history_series *series;
        if (((i == 0 || sample[-1].t_ms != sample->t_ms) &&
             tly_history_tick(history, sample->t_ms) < 0) ||
            tly_history_series(history, sample->labels, &series) < 0 || !series) {
            fail("the history takes no sample");
        }
        if (sample->ends) {
            tly_history_end(history, series);
        } else {
            (void)tly_history_add(history, series, sample->raw, sample->exponent);
        }
    }
    return history;
}

static void print_labels(const struct tly_symbols *symbols, struct tly_labels labels)
{
    struct tly_buf buf;
    tly_buf_init(&buf, LABELS_MAX);
    if (tly_labels_append(symbols, labels, &buf) < 0) {
        fail("labels are too long");
    }
    (void)printf("\t%.*s", (int)buf.len, buf.at);
    tly_buf_done(&buf);
}

static void print_value(const struct tly_symbols *symbols, const struct tly_value *value)
{
    switch (value->type) {
    case TLY_TYPE_SCALAR:
        (void)printf("scalar\t%.17g", value->scalar);
        break;
    case TLY_TYPE_STRING:
        (void)printf("string\t%.*s", (int)value->string.len, value->string.at);
        break;
    case TLY_TYPE_VECTOR:
        (void)printf("vector");
        for (size_t i = 0; i < value->vector.count; i++) {
            print_labels(symbols, value->vector.at[i].labels);
            (void)printf(" %.17g", value->vector.at[i].value);
        }
        break;
    case TLY_TYPE_RANGE:
        (void)printf("matrix");
        for (size_t i = 0; i < value->range.count; i++) {
            const struct tly_window *window = &value->range.at[i].window;
            print_labels(symbols, value->range.at[i].labels);
            (void)printf(" ");
            for (size_t k = 0; k < window->count; k++) {
                (void)printf("%s%lld=%.17g", k > 0 ? "," : "", (long long)window->at[k].t_ms,
                             window->at[k].value);
            }
        }
        break;
    }
    (void)printf("\n");
}

static void evaluate(struct tly_evaluator *evaluator, struct tly_symbols *symbols,
                     const struct tly_storage *storage, struct tly_text line)
{
    int64_t t_ms;
    struct tly_expr *expr = NULL;
    struct tly_error err = {.code = 0};
    struct tly_value value;
    if (tly_text_i64(tly_text_cut(&line, '\t'), &t_ms) < 0 || !line.at) {
        fail("an expression is malformed");
    }
    int rc = tly_expr_parse(line, &expr, NULL, &err);
    rc = rc < 0 ? rc : tly_evaluate(evaluator, expr, storage, t_ms, &value, &err);
    if (rc < 0) {
        (void)printf("error\t%s\n", err.text);
    } else {
        print_value(symbols, &value);
    }
    tly_expr_free(expr);
}

int main(int argc, char **argv)
{
    struct tly_symbols *symbols = tly_symbols_new(SYMBOLS_MAX);
    struct tly_evaluator *evaluator = tly_evaluator_new(symbols,
                                                        (struct tly_evaluator_bounds){0, 0, 0});
    struct tly_buf series;
    struct tly_buf expressions;
    tly_buf_init(&series, FILE_MAX);
    tly_buf_init(&expressions, FILE_MAX);
    bool keeps = argc == 3 && strcmp(argv[1], "--history") == 0;
    if (argc != 2 + keeps || tly_file_read(AT_FDCWD, argv[argc - 1], &series) < 0 ||
        tly_file_read_fd(STDIN_FILENO, &expressions) < 0) {
        fail("usage: promql_evaluate [--history] SERIES < EXPRESSIONS");
    }
    struct memory_storage *memory = memory_storage_new(symbols);
    load(memory, tly_buf_text(&series));
    struct tly_history *history = keeps ? load_history(symbols) : NULL;
    const struct tly_storage *storage = keeps ? tly_history_storage(history)
                                              : memory_storage_view(memory);
    struct tly_text rest = tly_buf_text(&expressions);
    while (rest.at) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        if (line.len > 0) {
            evaluate(evaluator, symbols, storage, line);
        }
    }
    tly_evaluator_free(evaluator);
    tly_history_free(history);
    memory_storage_free(memory);
    free(samples.at);
    tly_symbols_free(symbols);
    tly_buf_done(&series);
    tly_buf_done(&expressions);
    return 0;
}
