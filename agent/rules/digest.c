/*
 * Digests of windows whose samples are at hand: sums with compensation, in the order of the
 * samples.
 */
#include "agent/rules/digest.h"

#include "agent/rules/evaluation.h"

#define MS_PER_S 1000.0

static void turns(struct tly_window window, struct tly_digest *digest)
{
    for (size_t i = 1; i < window.count; i++) {
        double before = window.at[i - 1].value;
        double after = window.at[i].value;
        if (after < before) {
            digest->lost += before;
            digest->resets++;
        }
        digest->changes += before != after && !(isnan(before) && isnan(after));
    }
}

static void extremes(struct tly_window window, struct tly_digest *digest)
{
    double least = window.at[0].value;
    double most = least;
    for (size_t i = 1; i < window.count; i++) {
        double value = window.at[i].value;
        least = value < least || isnan(least) ? value : least;
        most = value > most || isnan(most) ? value : most;
    }
    digest->least = least;
    digest->most = most;
}

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

static void sums(struct tly_window window, struct tly_digest *digest)
{
    struct tly_sum sum = sum_of(window);
    double n = (double)window.count;
    digest->sum = isinf(sum.sum) ? sum.sum : sum.sum + sum.lost;
    if (isfinite(sum.sum)) {
        digest->mean = sum.sum / n + sum.lost / n;
        return;
    }
    struct tly_mean mean = {.count = 0};
    for (size_t i = 0; i < window.count; i++) {
        tly_mean_add(&mean, window.at[i].value);
    }
    digest->mean = tly_mean_value(&mean);
}

/* Welford's variance with compensated sums. */
static void spread(struct tly_window window, struct tly_digest *digest)
{
    struct tly_sum mean = {0, 0};
    struct tly_sum squares = {0, 0};
    for (size_t i = 0; i < window.count; i++) {
        double value = window.at[i].value;
        double delta = value - (mean.sum + mean.lost);
        tly_sum_add(&mean, delta / (double)(i + 1));
        tly_sum_add(&squares, delta * (value - (mean.sum + mean.lost)));
    }
    digest->variance = (squares.sum + squares.lost) / (double)window.count;
}

static void line(struct tly_window window, struct tly_digest *digest)
{
    struct tly_sum x = {0, 0};
    struct tly_sum y = {0, 0};
    struct tly_sum xy = {0, 0};
    struct tly_sum xx = {0, 0};
    bool constant = true;
    for (size_t i = 0; i < window.count; i++) {
        double time = (double)(window.at[i].t_ms - window.at[0].t_ms) / MS_PER_S;
        double value = window.at[i].value;
        constant = constant && value == window.at[0].value;
        tly_sum_add(&x, time);
        tly_sum_add(&y, value);
        tly_sum_add(&xy, time * value);
        tly_sum_add(&xx, time * time);
    }
    double n = (double)window.count;
    double sum_x = x.sum + x.lost;
    double sum_y = y.sum + y.lost;
    double covariance = xy.sum + xy.lost - sum_x * sum_y / n;
    double variance = xx.sum + xx.lost - sum_x * sum_x / n;
    digest->mean_s = sum_x / n;
    digest->mean = sum_y / n;
    digest->slope = covariance / variance;
    if (constant) {
        bool endless = isinf(window.at[0].value);
        digest->mean = endless ? NAN : window.at[0].value;
        digest->slope = endless ? NAN : 0;
    }
}

void tly_digest_window(struct tly_window window, enum tly_digest_part part,
                       struct tly_digest *ret_digest)
{
    *ret_digest = (struct tly_digest){.count = window.count};
    if (window.count == 0) {
        return;
    }
    ret_digest->first = window.at[0];
    ret_digest->last = window.at[window.count - 1];
    if (window.count > 1) {
        ret_digest->last_but_one = window.at[window.count - 2];
    }
    switch (part) {
    case TLY_DIGEST_TURNS:
        turns(window, ret_digest);
        break;
    case TLY_DIGEST_EXTREMES:
        extremes(window, ret_digest);
        break;
    case TLY_DIGEST_SUM:
        sums(window, ret_digest);
        break;
    case TLY_DIGEST_SPREAD:
        spread(window, ret_digest);
        break;
    case TLY_DIGEST_LINE:
        line(window, ret_digest);
        break;
    case TLY_DIGEST_ENDS:
        break;
    }
}
