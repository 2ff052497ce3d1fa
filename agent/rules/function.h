/*
 * The functions of the language: names, arguments and results, and the way to what computes them.
 */
#ifndef TLY_RULES_FUNCTION_H
#define TLY_RULES_FUNCTION_H

#include "agent/base/text.h"
#include "agent/rules/expr.h"

#include <stddef.h>

#define TLY_FUNCTION_ARGS_MAX 5

struct tly_function {
    const char *name;
    enum tly_type returns;
    enum tly_type args[TLY_FUNCTION_ARGS_MAX];
    int arg_count;
    /* 0: exactly arg_count; n: the last one may be left out or stand up to n times; -1: any number
     * of times. */
    int variadic;
};

/* NULL if there is none of that name. */
const struct tly_function *tly_function_find(struct tly_text name);

/* Why a function that Prometheus knows is left out, or NULL. */
const char *tly_function_refusal(struct tly_text name);

#endif
