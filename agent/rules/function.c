/*
 * The table of functions. What Prometheus has and this evaluator leaves out stands in a table of
 * its own, so that a rule that needs it is refused with the reason.
 */
#include "agent/rules/function.h"

#define V TLY_TYPE_VECTOR
#define R TLY_TYPE_RANGE
#define S TLY_TYPE_SCALAR
#define T TLY_TYPE_STRING

static const struct tly_function functions[] = {
    {"abs", V, {V}, 1, 0},
    {"absent", V, {V}, 1, 0},
    {"absent_over_time", V, {R}, 1, 0},
    {"acos", V, {V}, 1, 0},
    {"acosh", V, {V}, 1, 0},
    {"asin", V, {V}, 1, 0},
    {"asinh", V, {V}, 1, 0},
    {"atan", V, {V}, 1, 0},
    {"atanh", V, {V}, 1, 0},
    {"avg_over_time", V, {R}, 1, 0},
    {"ceil", V, {V}, 1, 0},
    {"changes", V, {R}, 1, 0},
    {"clamp", V, {V, S, S}, 3, 0},
    {"clamp_max", V, {V, S}, 2, 0},
    {"clamp_min", V, {V, S}, 2, 0},
    {"cos", V, {V}, 1, 0},
    {"cosh", V, {V}, 1, 0},
    {"count_over_time", V, {R}, 1, 0},
    {"day_of_month", V, {V}, 1, 1},
    {"day_of_week", V, {V}, 1, 1},
    {"day_of_year", V, {V}, 1, 1},
    {"days_in_month", V, {V}, 1, 1},
    {"deg", V, {V}, 1, 0},
    {"delta", V, {R}, 1, 0},
    {"deriv", V, {R}, 1, 0},
    {"exp", V, {V}, 1, 0},
    {"floor", V, {V}, 1, 0},
    {"histogram_quantile", V, {S, V}, 2, 0},
    {"hour", V, {V}, 1, 1},
    {"idelta", V, {R}, 1, 0},
    {"increase", V, {R}, 1, 0},
    {"irate", V, {R}, 1, 0},
    {"label_join", V, {V, T, T, T}, 4, -1},
    {"label_replace", V, {V, T, T, T, T}, 5, 0},
    {"last_over_time", V, {R}, 1, 0},
    {"ln", V, {V}, 1, 0},
    {"log10", V, {V}, 1, 0},
    {"log2", V, {V}, 1, 0},
    {"max_over_time", V, {R}, 1, 0},
    {"min_over_time", V, {R}, 1, 0},
    {"minute", V, {V}, 1, 1},
    {"month", V, {V}, 1, 1},
    {"pi", S, {S}, 0, 0},
    {"predict_linear", V, {R, S}, 2, 0},
    {"present_over_time", V, {R}, 1, 0},
    {"quantile_over_time", V, {S, R}, 2, 0},
    {"rad", V, {V}, 1, 0},
    {"rate", V, {R}, 1, 0},
    {"resets", V, {R}, 1, 0},
    {"round", V, {V, S}, 2, 1},
    {"scalar", S, {V}, 1, 0},
    {"sgn", V, {V}, 1, 0},
    {"sin", V, {V}, 1, 0},
    {"sinh", V, {V}, 1, 0},
    {"sort", V, {V}, 1, 0},
    {"sort_desc", V, {V}, 1, 0},
    {"sqrt", V, {V}, 1, 0},
    {"stddev_over_time", V, {R}, 1, 0},
    {"stdvar_over_time", V, {R}, 1, 0},
    {"sum_over_time", V, {R}, 1, 0},
    {"tan", V, {V}, 1, 0},
    {"tanh", V, {V}, 1, 0},
    {"time", S, {S}, 0, 0},
    {"timestamp", V, {V}, 1, 0},
    {"vector", V, {S}, 1, 0},
    {"year", V, {V}, 1, 1},
};

static const char native[] = "it works on native histograms, which are not supported";
static const char experimental[] = "it is experimental in Prometheus";

static const struct refusal {
    const char *name, *reason;
} refusals[] = {
    {"double_exponential_smoothing", experimental},
    {"first_over_time", experimental},
    {"histogram_avg", native},
    {"histogram_count", native},
    {"histogram_fraction", native},
    {"histogram_quantiles", experimental},
    {"histogram_stddev", native},
    {"histogram_stdvar", native},
    {"histogram_sum", native},
    {"holt_winters", "Prometheus 3 has renamed it, and it is experimental there"},
    {"info", experimental},
    {"mad_over_time", experimental},
    {"sort_by_label", experimental},
    {"sort_by_label_desc", experimental},
    {"ts_of_first_over_time", experimental},
    {"ts_of_last_over_time", experimental},
    {"ts_of_max_over_time", experimental},
    {"ts_of_min_over_time", experimental},
};

const struct tly_function *tly_function_find(struct tly_text name)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (tly_text_equal(name, tly_text_of(functions[i].name))) {
            return &functions[i];
        }
    }
    return NULL;
}

const char *tly_function_refusal(struct tly_text name)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (tly_text_equal(name, tly_text_of(refusals[i].name))) {
            return refusals[i].reason;
        }
    }
    return NULL;
}
