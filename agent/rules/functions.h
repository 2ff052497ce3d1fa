/*
 * What the table of functions points to. Private to function.c and the files that compute.
 */
#ifndef TLY_RULES_FUNCTIONS_H
#define TLY_RULES_FUNCTIONS_H

#include "agent/rules/function.h"

/* ---- functions_window.c ---- */
#define TLY_DIGEST_FUNCTION(name)                                                                  \
    bool tly_function_##name(const struct tly_window_call *call, const struct tly_digest *digest,  \
                             double *ret_value)
TLY_DIGEST_FUNCTION(avg);
TLY_DIGEST_FUNCTION(changes);
TLY_DIGEST_FUNCTION(count);
TLY_DIGEST_FUNCTION(delta);
TLY_DIGEST_FUNCTION(deriv);
TLY_DIGEST_FUNCTION(first);
TLY_DIGEST_FUNCTION(idelta);
TLY_DIGEST_FUNCTION(increase);
TLY_DIGEST_FUNCTION(irate);
TLY_DIGEST_FUNCTION(last);
TLY_DIGEST_FUNCTION(max);
TLY_DIGEST_FUNCTION(min);
TLY_DIGEST_FUNCTION(predict_linear);
TLY_DIGEST_FUNCTION(present);
TLY_DIGEST_FUNCTION(rate);
TLY_DIGEST_FUNCTION(resets);
TLY_DIGEST_FUNCTION(stddev);
TLY_DIGEST_FUNCTION(stdvar);
TLY_DIGEST_FUNCTION(sum);
bool tly_function_quantile(const struct tly_window_call *call, struct tly_window window,
                           double *ret_value);

/* ---- functions_value.c ---- */
double tly_function_deg(double value);
double tly_function_rad(double value);
double tly_function_sgn(double value);
double tly_function_day_of_month(const struct tly_date *date);
double tly_function_day_of_week(const struct tly_date *date);
double tly_function_day_of_year(const struct tly_date *date);
double tly_function_days_in_month(const struct tly_date *date);
double tly_function_hour(const struct tly_date *date);
double tly_function_minute(const struct tly_date *date);
double tly_function_month(const struct tly_date *date);
double tly_function_year(const struct tly_date *date);
/* The date of seconds since 1970; false where there is none: NaN, infinities, aeons away. */
bool tly_date_of(double seconds, struct tly_date *ret_date);

#define TLY_CALL_FUNCTION(name)                                                                    \
    int tly_function_##name(struct tly_evaluation *eval, const struct tly_node *node,              \
                            struct tly_value *ret_value)
TLY_CALL_FUNCTION(clamp);
TLY_CALL_FUNCTION(clamp_max);
TLY_CALL_FUNCTION(clamp_min);
TLY_CALL_FUNCTION(pi);
TLY_CALL_FUNCTION(round);
TLY_CALL_FUNCTION(scalar);
TLY_CALL_FUNCTION(time);
TLY_CALL_FUNCTION(timestamp);
TLY_CALL_FUNCTION(vector);

/* ---- functions_label.c ---- */
TLY_CALL_FUNCTION(absent);
TLY_CALL_FUNCTION(absent_over_time);
TLY_CALL_FUNCTION(label_join);
TLY_CALL_FUNCTION(label_replace);
TLY_CALL_FUNCTION(sort);
TLY_CALL_FUNCTION(sort_desc);

/* ---- functions_histogram.c ---- */
TLY_CALL_FUNCTION(histogram_fraction);
TLY_CALL_FUNCTION(histogram_quantile);

#endif
