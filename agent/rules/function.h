/*
 * The functions of the language: names, arguments and results, and what computes them.
 */
#ifndef TLY_RULES_FUNCTION_H
#define TLY_RULES_FUNCTION_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/rules/expr.h"
#include "agent/rules/storage.h"

#include <stddef.h>

#define TLY_FUNCTION_ARGS_MAX 5

struct tly_evaluation; /* agent/rules/evaluation.h */
struct tly_value;

/* What a function over a window is given besides the samples. */
struct tly_window_call {
    int64_t after_ms, to_ms; /* the window, its begin excluded */
    int64_t at_ms;           /* the time of the evaluation */
    double param;            /* the scalar argument, if there is one */
    double *values;          /* room for a copy of the samples' values */
};

/* A day and time in UTC. */
struct tly_date {
    int64_t year;
    int month, day, weekday, yearday; /* from 1, weekday from 0: Sunday */
    int month_days;
    int hour, minute;
};

/* One of the last five functions is set. */
struct tly_function {
    const char *name;
    enum tly_type returns;
    enum tly_type args[TLY_FUNCTION_ARGS_MAX];
    int arg_count;
    /* 0: exactly arg_count; n: the last one may be left out or stand up to n times; -1: any number
     * of times. */
    int variadic;
    /* Over the digest of each series' samples, with that part of it, or over the samples; false: no
     * result. Never called without samples. */
    bool (*of_digest)(const struct tly_window_call *call, const struct tly_digest *digest,
                      double *ret_value);
    enum tly_digest_part part;
    bool (*over_window)(const struct tly_window_call *call, struct tly_window window,
                        double *ret_value);
    double (*of_value)(double value);
    double (*of_date)(const struct tly_date *date);
    int (*call)(struct tly_evaluation *eval, const struct tly_node *node,
                struct tly_value *ret_value);
};

/* NULL if there is none of that name. */
const struct tly_function *tly_function_find(struct tly_text name);

/* Why a function that Prometheus knows is left out, or NULL. */
const char *tly_function_refusal(struct tly_text name);

#endif
