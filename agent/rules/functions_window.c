/*
 * Functions over the samples of one series in a window, from the window's digest: rates with their
 * extrapolation, aggregations over time, regression. Pure. There is at least one sample.
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
static bool extrapolated(const struct tly_window_call *call, const struct tly_digest *digest,
                         bool counter, double *ret_value)
{
    if (digest->count < 2) {
        return false;
    }
    struct tly_point first = digest->first;
    struct tly_point last = digest->last;
    double result = last.value - first.value;
    if (counter && digest->resets > 0) {
        result += digest->lost;
    }
    double sampled = seconds(last.t_ms - first.t_ms);
    double average = sampled / (double)(digest->count - 1);
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

bool tly_function_delta(const struct tly_window_call *call, const struct tly_digest *digest,
                        double *ret_value)
{
    return extrapolated(call, digest, false, ret_value);
}

bool tly_function_increase(const struct tly_window_call *call, const struct tly_digest *digest,
                           double *ret_value)
{
    return extrapolated(call, digest, true, ret_value);
}

bool tly_function_rate(const struct tly_window_call *call, const struct tly_digest *digest,
                       double *ret_value)
{
    if (!extrapolated(call, digest, true, ret_value)) {
        return false;
    }
    *ret_value /= seconds(call->to_ms - call->after_ms);
    return true;
}

/* Whether there are two last samples at different times. */
static bool last_two(const struct tly_digest *digest)
{
    return digest->count >= 2 && digest->last_but_one.t_ms != digest->last.t_ms;
}

bool tly_function_idelta(const struct tly_window_call *call, const struct tly_digest *digest,
                         double *ret_value)
{
    (void)call;
    if (!last_two(digest)) {
        return false;
    }
    *ret_value = digest->last.value - digest->last_but_one.value;
    return true;
}

bool tly_function_irate(const struct tly_window_call *call, const struct tly_digest *digest,
                        double *ret_value)
{
    (void)call;
    if (!last_two(digest)) {
        return false;
    }
    double before = digest->last_but_one.value;
    double after = digest->last.value;
    *ret_value = (after < before ? after : after - before) /
                 seconds(digest->last.t_ms - digest->last_but_one.t_ms);
    return true;
}

bool tly_function_resets(const struct tly_window_call *call, const struct tly_digest *digest,
                         double *ret_value)
{
    (void)call;
    *ret_value = (double)digest->resets;
    return true;
}

bool tly_function_changes(const struct tly_window_call *call, const struct tly_digest *digest,
                          double *ret_value)
{
    (void)call;
    *ret_value = (double)digest->changes;
    return true;
}

bool tly_function_sum(const struct tly_window_call *call, const struct tly_digest *digest,
                      double *ret_value)
{
    (void)call;
    *ret_value = digest->sum;
    return true;
}

bool tly_function_avg(const struct tly_window_call *call, const struct tly_digest *digest,
                      double *ret_value)
{
    (void)call;
    *ret_value = digest->mean;
    return true;
}

bool tly_function_count(const struct tly_window_call *call, const struct tly_digest *digest,
                        double *ret_value)
{
    (void)call;
    *ret_value = (double)digest->count;
    return true;
}

bool tly_function_present(const struct tly_window_call *call, const struct tly_digest *digest,
                          double *ret_value)
{
    (void)call;
    (void)digest;
    *ret_value = 1;
    return true;
}

bool tly_function_last(const struct tly_window_call *call, const struct tly_digest *digest,
                       double *ret_value)
{
    (void)call;
    *ret_value = digest->last.value;
    return true;
}

bool tly_function_first(const struct tly_window_call *call, const struct tly_digest *digest,
                        double *ret_value)
{
    (void)call;
    *ret_value = digest->first.value;
    return true;
}

bool tly_function_min(const struct tly_window_call *call, const struct tly_digest *digest,
                      double *ret_value)
{
    (void)call;
    *ret_value = digest->least;
    return true;
}

bool tly_function_max(const struct tly_window_call *call, const struct tly_digest *digest,
                      double *ret_value)
{
    (void)call;
    *ret_value = digest->most;
    return true;
}

bool tly_function_stdvar(const struct tly_window_call *call, const struct tly_digest *digest,
                         double *ret_value)
{
    (void)call;
    *ret_value = digest->variance;
    return true;
}

bool tly_function_stddev(const struct tly_window_call *call, const struct tly_digest *digest,
                         double *ret_value)
{
    (void)call;
    *ret_value = sqrt(digest->variance);
    return true;
}

bool tly_function_deriv(const struct tly_window_call *call, const struct tly_digest *digest,
                        double *ret_value)
{
    (void)call;
    *ret_value = digest->slope;
    return digest->count >= 2;
}

bool tly_function_predict_linear(const struct tly_window_call *call,
                                 const struct tly_digest *digest, double *ret_value)
{
    double since_mean_s = seconds(call->at_ms - digest->first.t_ms) - digest->mean_s;
    double now = digest->mean + digest->slope * since_mean_s;
    *ret_value = digest->slope * call->param + now;
    return digest->count >= 2;
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
