/*
 * Samples from a file.
 */
#include "tests/promql/sample_file.h"

#include "agent/base/file.h"
#include "agent/rules/number.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX ((size_t)1 << 30)
/* Decimals that all numbers of a file are given, so that a series has one exponent. */
#define DECIMALS 6

static void fail(const char *what)
{
    (void)fprintf(stderr, "samples: %s\n", what);
    exit(2);
}

static void add(struct samples *samples, struct sample sample)
{
    if (samples->count == samples->cap) {
        samples->cap = samples->cap > 0 ? samples->cap * 2 : 1024;
        samples->at = realloc(samples->at, samples->cap * sizeof(*samples->at));
        if (!samples->at) {
            fail("out of memory");
        }
    }
    samples->at[samples->count++] = sample;
}

/* A decimal number as the kernel's are kept, an integer and an exponent; else the double's bits. */
static void set_raw(struct sample *sample, struct tly_text text)
{
    char digits[32];
    size_t len = 0;
    int decimals = 0;
    bool point = false;
    for (size_t i = 0; i < text.len && len < sizeof(digits) - 1; i++) {
        point = point || text.at[i] == '.';
        if (text.at[i] != '.') {
            digits[len++] = text.at[i];
            decimals += point;
        }
    }
    struct tly_text plain = {digits, len};
    if (len == sizeof(digits) - 1 || decimals > DECIMALS || tly_text_i64(plain, &sample->raw) < 0 ||
        (sample->raw == 0 && signbit(sample->value))) {
        memcpy(&sample->raw, &sample->value, sizeof(sample->raw));
        sample->exponent = TLY_HISTORY_FLOAT;
        return;
    }
    for (; decimals < DECIMALS && llabs(sample->raw) < INT64_MAX / 10; decimals++) {
        sample->raw *= 10;
    }
    sample->exponent = -decimals;
}

static void load_line(struct samples *samples, struct memory_storage *names, struct tly_text line)
{
    char *selector = tly_text_dup(tly_text_cut(&line, '\t'));
    struct tly_labels labels = memory_storage_labels(names, selector);
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
        add(samples, sample);
    }
}

void samples_load(struct samples *samples, struct memory_storage *names, const char *path)
{
    struct tly_buf buf;
    tly_buf_init(&buf, FILE_MAX);
    if (tly_file_read(AT_FDCWD, path, &buf) < 0) {
        fail("the file can't be read");
    }
    struct tly_text rest = tly_buf_text(&buf);
    while (rest.at) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        if (line.len > 0) {
            load_line(samples, names, line);
        }
    }
    tly_buf_done(&buf);
}

void samples_done(struct samples *samples)
{
    free(samples->at);
    *samples = (struct samples){NULL, 0, 0};
}

static int by_time(const void *a, const void *b)
{
    const struct sample *left = a;
    const struct sample *right = b;
    return (left->t_ms > right->t_ms) - (left->t_ms < right->t_ms);
}

void samples_sort(struct samples *samples)
{
    qsort(samples->at, samples->count, sizeof(*samples->at), by_time);
}

size_t samples_add(const struct samples *samples, size_t first, struct tly_history *history)
{
    size_t i = first;
    for (; i < samples->count && samples->at[i].t_ms == samples->at[first].t_ms; i++) {
        const struct sample *sample = &samples->at[i];
        struct tly_history_series *series;
        if (tly_history_series(history, sample->labels, &series) < 0) {
            fail("the history takes no more series");
        }
        if (series && sample->ends) {
            tly_history_end(history, series);
        } else if (series) {
            (void)tly_history_add(history, series, sample->raw, sample->exponent);
        }
    }
    return i;
}
