/*
 * The table of functions. What Prometheus has and this evaluator leaves out stands in a table of
 * its own, so that a rule that needs it is refused with the reason.
 */
#include "agent/rules/functions.h"

#include <math.h>

#define V TLY_TYPE_VECTOR
#define R TLY_TYPE_RANGE
#define S TLY_TYPE_SCALAR
#define T TLY_TYPE_STRING

static const struct tly_function functions[] = {
    {"abs", V, {V}, 1, 0, .of_value = fabs},
    {"absent", V, {V}, 1, 0, .call = tly_function_absent},
    {"absent_over_time", V, {R}, 1, 0, .call = tly_function_absent_over_time},
    {"acos", V, {V}, 1, 0, .of_value = acos},
    {"acosh", V, {V}, 1, 0, .of_value = acosh},
    {"asin", V, {V}, 1, 0, .of_value = asin},
    {"asinh", V, {V}, 1, 0, .of_value = asinh},
    {"atan", V, {V}, 1, 0, .of_value = atan},
    {"atanh", V, {V}, 1, 0, .of_value = atanh},
    {"avg_over_time", V, {R}, 1, 0, .of_digest = tly_function_avg, TLY_DIGEST_SUM},
    {"ceil", V, {V}, 1, 0, .of_value = ceil},
    {"changes", V, {R}, 1, 0, .of_digest = tly_function_changes, TLY_DIGEST_TURNS},
    {"clamp", V, {V, S, S}, 3, 0, .call = tly_function_clamp},
    {"clamp_max", V, {V, S}, 2, 0, .call = tly_function_clamp_max},
    {"clamp_min", V, {V, S}, 2, 0, .call = tly_function_clamp_min},
    {"cos", V, {V}, 1, 0, .of_value = cos},
    {"cosh", V, {V}, 1, 0, .of_value = cosh},
    {"count_over_time", V, {R}, 1, 0, .of_digest = tly_function_count, TLY_DIGEST_ENDS},
    {"day_of_month", V, {V}, 1, 1, .of_date = tly_function_day_of_month},
    {"day_of_week", V, {V}, 1, 1, .of_date = tly_function_day_of_week},
    {"day_of_year", V, {V}, 1, 1, .of_date = tly_function_day_of_year},
    {"days_in_month", V, {V}, 1, 1, .of_date = tly_function_days_in_month},
    {"deg", V, {V}, 1, 0, .of_value = tly_function_deg},
    {"delta", V, {R}, 1, 0, .of_digest = tly_function_delta, TLY_DIGEST_ENDS},
    {"deriv", V, {R}, 1, 0, .of_digest = tly_function_deriv, TLY_DIGEST_LINE},
    {"exp", V, {V}, 1, 0, .of_value = exp},
    {"first_over_time", V, {R}, 1, 0, .of_digest = tly_function_first, TLY_DIGEST_ENDS},
    {"floor", V, {V}, 1, 0, .of_value = floor},
    {"histogram_fraction", V, {S, S, V}, 3, 0, .call = tly_function_histogram_fraction},
    {"histogram_quantile", V, {S, V}, 2, 0, .call = tly_function_histogram_quantile},
    {"hour", V, {V}, 1, 1, .of_date = tly_function_hour},
    {"idelta", V, {R}, 1, 0, .of_digest = tly_function_idelta, TLY_DIGEST_ENDS},
    {"increase", V, {R}, 1, 0, .of_digest = tly_function_increase, TLY_DIGEST_TURNS},
    {"irate", V, {R}, 1, 0, .of_digest = tly_function_irate, TLY_DIGEST_ENDS},
    {"label_join", V, {V, T, T, T}, 4, -1, .call = tly_function_label_join},
    {"label_replace", V, {V, T, T, T, T}, 5, 0, .call = tly_function_label_replace},
    {"last_over_time", V, {R}, 1, 0, .of_digest = tly_function_last, TLY_DIGEST_ENDS},
    {"ln", V, {V}, 1, 0, .of_value = log},
    {"log10", V, {V}, 1, 0, .of_value = log10},
    {"log2", V, {V}, 1, 0, .of_value = log2},
    {"max_over_time", V, {R}, 1, 0, .of_digest = tly_function_max, TLY_DIGEST_EXTREMES},
    {"min_over_time", V, {R}, 1, 0, .of_digest = tly_function_min, TLY_DIGEST_EXTREMES},
    {"minute", V, {V}, 1, 1, .of_date = tly_function_minute},
    {"month", V, {V}, 1, 1, .of_date = tly_function_month},
    {"pi", S, {S}, 0, 0, .call = tly_function_pi},
    {"predict_linear", V, {R, S}, 2, 0, .of_digest = tly_function_predict_linear, TLY_DIGEST_LINE},
    {"present_over_time", V, {R}, 1, 0, .of_digest = tly_function_present, TLY_DIGEST_ENDS},
    {"quantile_over_time", V, {S, R}, 2, 0, .over_window = tly_function_quantile},
    {"rad", V, {V}, 1, 0, .of_value = tly_function_rad},
    {"rate", V, {R}, 1, 0, .of_digest = tly_function_rate, TLY_DIGEST_TURNS},
    {"resets", V, {R}, 1, 0, .of_digest = tly_function_resets, TLY_DIGEST_TURNS},
    {"round", V, {V, S}, 2, 1, .call = tly_function_round},
    {"scalar", S, {V}, 1, 0, .call = tly_function_scalar},
    {"sgn", V, {V}, 1, 0, .of_value = tly_function_sgn},
    {"sin", V, {V}, 1, 0, .of_value = sin},
    {"sinh", V, {V}, 1, 0, .of_value = sinh},
    {"sort", V, {V}, 1, 0, .call = tly_function_sort},
    {"sort_desc", V, {V}, 1, 0, .call = tly_function_sort_desc},
    {"sqrt", V, {V}, 1, 0, .of_value = sqrt},
    {"stddev_over_time", V, {R}, 1, 0, .of_digest = tly_function_stddev, TLY_DIGEST_SPREAD},
    {"stdvar_over_time", V, {R}, 1, 0, .of_digest = tly_function_stdvar, TLY_DIGEST_SPREAD},
    {"sum_over_time", V, {R}, 1, 0, .of_digest = tly_function_sum, TLY_DIGEST_SUM},
    {"tan", V, {V}, 1, 0, .of_value = tan},
    {"tanh", V, {V}, 1, 0, .of_value = tanh},
    {"time", S, {S}, 0, 0, .call = tly_function_time},
    {"timestamp", V, {V}, 1, 0, .call = tly_function_timestamp},
    {"vector", V, {S}, 1, 0, .call = tly_function_vector},
    {"year", V, {V}, 1, 1, .of_date = tly_function_year},
};

static const char native[] = "it works on native histograms, which are not supported";
static const char experimental[] = "it is experimental in Prometheus";

static const struct refusal {
    const char *name, *reason;
} refusals[] = {
    {"double_exponential_smoothing", experimental},
    {"histogram_avg", native},
    {"histogram_count", native},
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
