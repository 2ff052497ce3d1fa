/*
 * Functions over the samples of one series in a window: rates with their extrapolation,
 * aggregations over time, regression. Pure; the samples are the storage's, and there is at least
 * one.
 */
#include "agent/rules/evaluation.h"
#include "agent/rules/functions.h"

/* A first or last sample farther from the window's edge than this many average distances means that
 * the series began or ended there. */
#define EXTRAPOLATION_REACH 1.1

#define MS_PER_S 1000.0

static double seconds(int64_t ms)
{
    return (double)ms / MS_PER_S;
}

/* How far the samples are taken to reach towards an edge of the window. */
static double reach(double to_edge, double average)
{
    return to_edge >= average * EXTRAPOLATION_REACH ? average / 2 : to_edge;
}

/* rate, increase and delta, before the division by the window: the difference between last and
 * first sample, counter resets undone, stretched to the window's edges. */
static bool extrapolated(const struct tly_window_call *call, struct tly_window window, bool counter,
                         double *ret_value)
{
    if (window.count < 2) {
        return false;
    }
    struct tly_point first = window.at[0];
    struct tly_point last = window.at[window.count - 1];
    double result = last.value - first.value;
    for (size_t i = 1; counter && i < window.count; i++) {
        if (window.at[i].value < window.at[i - 1].value) {
            result += window.at[i - 1].value;
        }
    }
    double sampled = seconds(last.t_ms - first.t_ms);
    double average = sampled / (double)(window.count - 1);
    double to_start = reach(seconds(first.t_ms - call->after_ms), average);
    double to_end = reach(seconds(call->to_ms - last.t_ms), average);
    if (counter && result > 0 && first.value >= 0) {
        /* A counter does not reach back beyond where it was zero. */
        double to_zero = sampled * (first.value / result);
        to_start = to_zero < to_start ? to_zero : to_start;
    }
    *ret_value = sampled != 0 ? result * ((sampled + to_start + to_end) / sampled) : result;
    return true;
}

bool tly_function_delta(const struct tly_window_call *call, struct tly_window window,
                        double *ret_value)
{
    return extrapolated(call, window, false, ret_value);
}

bool tly_function_increase(const struct tly_window_call *call, struct tly_window window,
                           double *ret_value)
{
    return extrapolated(call, window, true, ret_value);
}

bool tly_function_rate(const struct tly_window_call *call, struct tly_window window,
                       double *ret_value)
{
    if (!extrapolated(call, window, true, ret_value)) {
        return false;
    }
    *ret_value /= seconds(call->to_ms - call->after_ms);
    return true;
}

/* The last two samples; false if there are none, or both have one time. */
static bool last_two(struct tly_window window, const struct tly_point **ret_pair)
{
    if (window.count < 2) {
        return false;
    }
    *ret_pair = &window.at[window.count - 2];
    return (*ret_pair)[0].t_ms != (*ret_pair)[1].t_ms;
}

bool tly_function_idelta(const struct tly_window_call *call, struct tly_window window,
                         double *ret_value)
{
    (void)call;
    const struct tly_point *pair;
    if (!last_two(window, &pair)) {
        return false;
    }
    *ret_value = pair[1].value - pair[0].value;
    return true;
}

bool tly_function_irate(const struct tly_window_call *call, struct tly_window window,
                        double *ret_value)
{
    (void)call;
    const struct tly_point *pair;
    if (!last_two(window, &pair)) {
        return false;
    }
    double grown = pair[1].value < pair[0].value ? pair[1].value : pair[1].value - pair[0].value;
    *ret_value = grown / seconds(pair[1].t_ms - pair[0].t_ms);
    return true;
}

bool tly_function_resets(const struct tly_window_call *call, struct tly_window window,
                         double *ret_value)
{
    (void)call;
    size_t resets = 0;
    for (size_t i = 1; i < window.count; i++) {
        resets += window.at[i].value < window.at[i - 1].value;
    }
    *ret_value = (double)resets;
    return true;
}

bool tly_function_changes(const struct tly_window_call *call, struct tly_window window,
                          double *ret_value)
{
    (void)call;
    size_t changes = 0;
    for (size_t i = 1; i < window.count; i++) {
        double before = window.at[i - 1].value;
        double after = window.at[i].value;
        changes += before != after && !(isnan(before) && isnan(after));
    }
    *ret_value = (double)changes;
    return true;
}

/* ---- aggregations over time ---- */

/* The sum of all values, in lanes, since each addition has to await the one before it. */
static struct tly_sum sum_of(struct tly_window window)
{
    struct tly_sum lanes[4] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
    size_t i = 0;
    for (; i + 4 <= window.count; i += 4) {
        tly_sum_add(&lanes[0], window.at[i].value);
        tly_sum_add(&lanes[1], window.at[i + 1].value);
        tly_sum_add(&lanes[2], window.at[i + 2].value);
        tly_sum_add(&lanes[3], window.at[i + 3].value);
    }
    for (; i < window.count; i++) {
        tly_sum_add(&lanes[0], window.at[i].value);
    }
    struct tly_sum sum = lanes[0];
    for (int lane = 1; lane < 4; lane++) {
        tly_sum_add(&sum, lanes[lane].sum);
        sum.lost += lanes[lane].lost;
    }
    return sum;
}

bool tly_function_sum(const struct tly_window_call *call, struct tly_window window,
                      double *ret_value)
{
    (void)call;
    struct tly_sum sum = sum_of(window);
    *ret_value = isinf(sum.sum) ? sum.sum : sum.sum + sum.lost;
    return true;
}

bool tly_function_avg(const struct tly_window_call *call, struct tly_window window,
                      double *ret_value)
{
    (void)call;
    struct tly_sum sum = sum_of(window);
    if (isfinite(sum.sum)) {
        *ret_value = sum.sum / (double)window.count + sum.lost / (double)window.count;
        return true;
    }
    struct tly_mean mean = {.count = 0};
    for (size_t i = 0; i < window.count; i++) {
        tly_mean_add(&mean, window.at[i].value);
    }
    *ret_value = tly_mean_value(&mean);
    return true;
}

bool tly_function_count(const struct tly_window_call *call, struct tly_window window,
                        double *ret_value)
{
    (void)call;
    *ret_value = (double)window.count;
    return true;
}

bool tly_function_present(const struct tly_window_call *call, struct tly_window window,
                          double *ret_value)
{
    (void)call;
    (void)window;
    *ret_value = 1;
    return true;
}

bool tly_function_last(const struct tly_window_call *call, struct tly_window window,
                       double *ret_value)
{
    (void)call;
    *ret_value = window.at[window.count - 1].value;
    return true;
}

bool tly_function_first(const struct tly_window_call *call, struct tly_window window,
                        double *ret_value)
{
    (void)call;
    *ret_value = window.at[0].value;
    return true;
}

bool tly_function_min(const struct tly_window_call *call, struct tly_window window,
                      double *ret_value)
{
    (void)call;
    double least = window.at[0].value;
    for (size_t i = 1; i < window.count; i++) {
        least = window.at[i].value < least || isnan(least) ? window.at[i].value : least;
    }
    *ret_value = least;
    return true;
}

bool tly_function_max(const struct tly_window_call *call, struct tly_window window,
                      double *ret_value)
{
    (void)call;
    double most = window.at[0].value;
    for (size_t i = 1; i < window.count; i++) {
        most = window.at[i].value > most || isnan(most) ? window.at[i].value : most;
    }
    *ret_value = most;
    return true;
}

/* Welford's variance with compensated sums. */
bool tly_function_stdvar(const struct tly_window_call *call, struct tly_window window,
                         double *ret_value)
{
    (void)call;
    struct tly_sum mean = {0, 0};
    struct tly_sum squares = {0, 0};
    for (size_t i = 0; i < window.count; i++) {
        double value = window.at[i].value;
        double delta = value - (mean.sum + mean.lost);
        tly_sum_add(&mean, delta / (double)(i + 1));
        tly_sum_add(&squares, delta * (value - (mean.sum + mean.lost)));
    }
    *ret_value = (squares.sum + squares.lost) / (double)window.count;
    return true;
}

bool tly_function_stddev(const struct tly_window_call *call, struct tly_window window,
                         double *ret_value)
{
    if (!tly_function_stdvar(call, window, ret_value)) {
        return false;
    }
    *ret_value = sqrt(*ret_value);
    return true;
}

bool tly_function_quantile(const struct tly_window_call *call, struct tly_window window,
                           double *ret_value)
{
    for (size_t i = 0; i < window.count; i++) {
        call->values[i] = window.at[i].value;
    }
    *ret_value = tly_quantile(call->param, call->values, window.count);
    return true;
}

/* ---- regression ---- */

/* The line through the samples by least squares: its slope, and its value at a time. */
static bool regression(struct tly_window window, int64_t at_ms, double *ret_slope,
                       double *ret_value)
{
    if (window.count < 2) {
        return false;
    }
    struct tly_sum x = {0, 0};
    struct tly_sum y = {0, 0};
    struct tly_sum xy = {0, 0};
    struct tly_sum xx = {0, 0};
    bool constant = true;
    for (size_t i = 0; i < window.count; i++) {
        double time = seconds(window.at[i].t_ms - at_ms);
        double value = window.at[i].value;
        constant = constant && value == window.at[0].value;
        tly_sum_add(&x, time);
        tly_sum_add(&y, value);
        tly_sum_add(&xy, time * value);
        tly_sum_add(&xx, time * time);
    }
    if (constant) {
        bool endless = isinf(window.at[0].value);
        *ret_slope = endless ? NAN : 0;
        *ret_value = endless ? NAN : window.at[0].value;
        return true;
    }
    double n = (double)window.count;
    double sum_x = x.sum + x.lost;
    double sum_y = y.sum + y.lost;
    double covariance = xy.sum + xy.lost - sum_x * sum_y / n;
    double variance = xx.sum + xx.lost - sum_x * sum_x / n;
    *ret_slope = covariance / variance;
    *ret_value = sum_y / n - *ret_slope * sum_x / n;
    return true;
}

bool tly_function_deriv(const struct tly_window_call *call, struct tly_window window,
                        double *ret_value)
{
    (void)call;
    double there;
    return regression(window, window.at[0].t_ms, ret_value, &there);
}

bool tly_function_predict_linear(const struct tly_window_call *call, struct tly_window window,
                                 double *ret_value)
{
    double slope;
    double now;
    if (!regression(window, call->at_ms, &slope, &now)) {
        return false;
    }
    *ret_value = slope * call->param + now;
    return true;
}
