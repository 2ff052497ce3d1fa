/*
 * Samples from a file, for tests and benchmarks: lines `name{labels}<tab>t_ms value<tab>t_ms
 * value...`, where `stale` as a value ends the series. Failures end the program.
 */
#ifndef TLY_TESTS_PROMQL_SAMPLE_FILE_H
#define TLY_TESTS_PROMQL_SAMPLE_FILE_H

#include "agent/rules/history.h"
#include "tests/promql/memory_storage.h"

struct sample {
    struct tly_labels labels; /* kept by the storage that gave them */
    int64_t t_ms;
    double value;
    int64_t raw;  /* as the history has it: a decimal number as an integer and an exponent, */
    int exponent; /* others as their bits */
    bool ends;
};

struct samples {
    struct sample *at; /* owned */
    size_t count, cap;
};

/* Reads a file. `names` keeps the labels. */
void samples_load(struct samples *samples, struct memory_storage *names, const char *path);
void samples_done(struct samples *samples);

/* By time; for the history. */
void samples_sort(struct samples *samples);
/* Adds those of one time, from `first` on, at the history's present tick. The first one behind. */
size_t samples_add(const struct samples *samples, size_t first, struct tly_history *history);

#endif
