/*
 * Functions of values and dates, and the small ones that turn scalars into vectors and back.
 */
#include "agent/rules/evaluation.h"
#include "agent/rules/functions.h"

#define SECONDS_PER_DAY 86400
/* What is farther from 1970 than this many seconds (some 30 million years) is no date. */
#define SECONDS_MOST 1e15

double tly_function_deg(double value)
{
    return value * 180 / M_PI;
}

double tly_function_rad(double value)
{
    return value * M_PI / 180;
}

double tly_function_sgn(double value)
{
    return value < 0 ? -1 : value > 0 ? 1 : value;
}

/* ---- dates ---- */

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool tly_date_of(double seconds, struct tly_date *ret_date)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    if (!(fabs(seconds) <= SECONDS_MOST)) {
        return false;
    }
    int64_t whole = (int64_t)seconds;
    int64_t days = whole / SECONDS_PER_DAY - (whole % SECONDS_PER_DAY < 0);
    int64_t rest = whole - days * SECONDS_PER_DAY;
    /* Days since 0000-03-01, in eras of 400 years: the leap day ends each year then. */
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * of_year + 2) / 153;
    struct tly_date date = {
        .month = (int)(march_month < 10 ? march_month + 3 : march_month - 9),
        .day = (int)(of_year - (153 * march_month + 2) / 5 + 1),
        .weekday = (int)(((days + 4) % 7 + 7) % 7), /* 1970 began on a Thursday */
        .hour = (int)(rest / 3600),
        .minute = (int)(rest % 3600 / 60),
    };
    date.year = year_of_era + era * 400 + (date.month <= 2);
    bool leap = is_leap(date.year);
    date.yearday = before[date.month - 1] + (leap && date.month > 2) + date.day;
    date.month_days = before[date.month] - before[date.month - 1] + (leap && date.month == 2);
    *ret_date = date;
    return true;
}

double tly_function_day_of_month(const struct tly_date *date)
{
    return date->day;
}

double tly_function_day_of_week(const struct tly_date *date)
{
    return date->weekday;
}

double tly_function_day_of_year(const struct tly_date *date)
{
    return date->yearday;
}

double tly_function_days_in_month(const struct tly_date *date)
{
    return date->month_days;
}

double tly_function_hour(const struct tly_date *date)
{
    return date->hour;
}

double tly_function_minute(const struct tly_date *date)
{
    return date->minute;
}

double tly_function_month(const struct tly_date *date)
{
    return date->month;
}

double tly_function_year(const struct tly_date *date)
{
    return (double)date->year;
}

/* ---- scalars and vectors ---- */

int tly_function_time(struct tly_evaluation *eval, const struct tly_node *node,
                      struct tly_value *ret_value)
{
    (void)node;
    ret_value->scalar = (double)eval->at_ms / 1000;
    return 0;
}

int tly_function_pi(struct tly_evaluation *eval, const struct tly_node *node,
                    struct tly_value *ret_value)
{
    (void)eval;
    (void)node;
    ret_value->scalar = M_PI;
    return 0;
}

int tly_function_scalar(struct tly_evaluation *eval, const struct tly_node *node,
                        struct tly_value *ret_value)
{
    struct tly_vector vector;
    int rc = tly_eval_vector(eval, node->call.args[0], &vector);
    if (rc == 0) {
        ret_value->scalar = vector.count == 1 ? vector.at[0].value : NAN;
    }
    return rc;
}

int tly_function_vector(struct tly_evaluation *eval, const struct tly_node *node,
                        struct tly_value *ret_value)
{
    double value;
    int rc = tly_eval_scalar(eval, node->call.args[0], &value);
    rc = rc != 0 ? rc : tly_eval_room(eval, node, 1, &ret_value->vector);
    if (rc == 0) {
        ret_value->vector.at[ret_value->vector.count++] = (struct tly_element){.value = value};
    }
    return rc;
}

/* Of a selector the samples' own times; of anything else the evaluation's. */
int tly_function_timestamp(struct tly_evaluation *eval, const struct tly_node *node,
                           struct tly_value *ret_value)
{
    const struct tly_node *arg = tly_node_bare(node->call.args[0]);
    bool selector = arg->kind == TLY_NODE_SELECTOR;
    int rc = selector ? tly_eval_selector(eval, arg, true, &ret_value->vector)
                      : tly_eval_vector(eval, arg, &ret_value->vector);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; !selector && i < ret_value->vector.count; i++) {
        ret_value->vector.at[i].value = (double)eval->at_ms / 1000;
    }
    return tly_eval_drop_names(eval, node, &ret_value->vector);
}

/* ---- clamping and rounding ---- */

/* Go's minimum and maximum: NaN wins, except over the infinity that nothing can pass. */
static double least(double a, double b)
{
    if (isinf(a) && a < 0) {
        return a;
    }
    return isnan(a) || isnan(b) ? (isinf(b) && b < 0 ? b : NAN) : fmin(a, b);
}

static double most(double a, double b)
{
    return -least(-a, -b);
}

static int clamp(struct tly_evaluation *eval, const struct tly_node *node, double low, double high,
                 struct tly_vector *vector)
{
    if (high < low) {
        vector->count = 0;
    }
    for (size_t i = 0; i < vector->count; i++) {
        vector->at[i].value = most(low, least(high, vector->at[i].value));
    }
    return tly_eval_drop_names(eval, node, vector);
}

int tly_function_clamp(struct tly_evaluation *eval, const struct tly_node *node,
                       struct tly_value *ret_value)
{
    double low;
    double high;
    int rc = tly_eval_vector(eval, node->call.args[0], &ret_value->vector);
    rc = rc != 0 ? rc : tly_eval_scalar(eval, node->call.args[1], &low);
    rc = rc != 0 ? rc : tly_eval_scalar(eval, node->call.args[2], &high);
    return rc != 0 ? rc : clamp(eval, node, low, high, &ret_value->vector);
}

int tly_function_clamp_max(struct tly_evaluation *eval, const struct tly_node *node,
                           struct tly_value *ret_value)
{
    double high;
    int rc = tly_eval_vector(eval, node->call.args[0], &ret_value->vector);
    rc = rc != 0 ? rc : tly_eval_scalar(eval, node->call.args[1], &high);
    return rc != 0 ? rc : clamp(eval, node, -INFINITY, high, &ret_value->vector);
}

int tly_function_clamp_min(struct tly_evaluation *eval, const struct tly_node *node,
                           struct tly_value *ret_value)
{
    double low;
    int rc = tly_eval_vector(eval, node->call.args[0], &ret_value->vector);
    rc = rc != 0 ? rc : tly_eval_scalar(eval, node->call.args[1], &low);
    return rc != 0 ? rc : clamp(eval, node, low, INFINITY, &ret_value->vector);
}

/* To the nearest multiple, halves upwards; by the inverse, as Prometheus does, which keeps 0.1 and
 * its like exact. */
int tly_function_round(struct tly_evaluation *eval, const struct tly_node *node,
                       struct tly_value *ret_value)
{
    double nearest = 1;
    int rc = tly_eval_vector(eval, node->call.args[0], &ret_value->vector);
    if (rc == 0 && node->call.count > 1) {
        rc = tly_eval_scalar(eval, node->call.args[1], &nearest);
    }
    if (rc != 0) {
        return rc;
    }
    double inverse = 1 / nearest;
    for (size_t i = 0; i < ret_value->vector.count; i++) {
        double *value = &ret_value->vector.at[i].value;
        *value = floor(*value * inverse + 0.5) / inverse;
    }
    return tly_eval_drop_names(eval, node, &ret_value->vector);
}
