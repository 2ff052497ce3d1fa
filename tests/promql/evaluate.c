/*
 * Evaluates expressions on given samples, for tests that compare with Prometheus.
 *
 * Usage: promql_evaluate [--history] SERIES < EXPRESSIONS
 *
 * The samples stand in plain arrays, or in the history as the agent keeps it.
 * SERIES is a file of samples (sample_file.h); a line of EXPRESSIONS is `t_ms<tab>expression`. For
 * each expression it prints `error<tab>message`, or the type and then for each element a tab, its
 * labels, a blank and its value (or t_ms=value, ... of a range).
 */
#include "agent/base/file.h"
#include "agent/rules/evaluator.h"
#include "tests/promql/sample_file.h"

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

/* The samples in a history, tick by tick. */
static struct tly_history *history_of(const struct samples *samples, struct tly_symbols *symbols)
{
    struct tly_history *history = tly_history_new(symbols, SIZE_MAX);
    if (!history) {
        fail("out of memory");
    }
    tly_history_keep_all(history);
    for (size_t i = 0; i < samples->count;) {
        if (tly_history_tick(history, samples->at[i].t_ms) < 0) {
            fail("the history takes no tick");
        }
        i = samples_add(samples, i, history);
    }
    return history;
}

int main(int argc, char **argv)
{
    struct tly_symbols *symbols = tly_symbols_new(SYMBOLS_MAX);
    struct tly_evaluator *evaluator = tly_evaluator_new(symbols,
                                                        (struct tly_evaluator_bounds){0, 0, 0});
    struct tly_buf expressions;
    tly_buf_init(&expressions, FILE_MAX);
    bool keeps = argc == 3 && strcmp(argv[1], "--history") == 0;
    if (argc != 2 + keeps || tly_file_read_fd(STDIN_FILENO, &expressions) < 0) {
        fail("usage: promql_evaluate [--history] SERIES < EXPRESSIONS");
    }
    struct memory_storage *memory = memory_storage_new(symbols);
    struct samples samples = {NULL, 0, 0};
    samples_load(&samples, memory, argv[argc - 1]);
    struct tly_history *history = NULL;
    if (keeps) {
        samples_sort(&samples);
        history = history_of(&samples, symbols);
    }
    for (size_t i = 0; !keeps && i < samples.count; i++) {
        memory_storage_add(memory, samples.at[i].labels, samples.at[i].t_ms, samples.at[i].value);
    }
    const struct tly_storage *storage = keeps ? tly_history_storage(history)
                                              : memory_storage_view(memory);
    struct tly_text rest = tly_buf_text(&expressions);
    while (rest.at) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        if (line.len > 0) {
            evaluate(evaluator, symbols, storage, line);
        }
    }
    samples_done(&samples);
    tly_evaluator_free(evaluator);
    tly_history_free(history);
    memory_storage_free(memory);
    tly_symbols_free(symbols);
    tly_buf_done(&expressions);
    return 0;
}
