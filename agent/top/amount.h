/*
 * Amounts as text for people, in the words and to the figures of the status page
 * (dashboards/status/status.js). What is not known is NAN, and shown as a dash. Pure.
 */
#ifndef TLY_TOP_AMOUNT_H
#define TLY_TOP_AMOUNT_H

#include <math.h>
#include <stdbool.h>

#define TLY_AMOUNT_MAX 48

/* By value, so that it can be an argument: tly_amount_bytes(4096).text */
struct tly_amount {
    char text[TLY_AMOUNT_MAX];
};

static inline bool tly_known(double number)
{
    return !isnan(number);
}

/* Three figures, at most two of them behind the point: "1.23", "12.3", "123". */
struct tly_amount tly_amount_figures(double number);
struct tly_amount tly_amount_bytes(double bytes);      /* "1.23 MiB" */
struct tly_amount tly_amount_rate(double bytes_per_s); /* "1.23 MiB/s" */
struct tly_amount tly_amount_percent(double share);    /* "12 %", "0.3 %" */
struct tly_amount tly_amount_cpus(double cpus);        /* "1.5 CPUs" */
struct tly_amount tly_amount_count(double number);     /* "12,345" */
/* "1 alert", "2 alerts"; `word` is the singular. */
struct tly_amount tly_amount_many(double number, const char *word);
struct tly_amount tly_amount_span(double seconds); /* "2 h 5 min" */
struct tly_amount tly_amount_ago(double seconds);  /* "5 min ago", "just now" */

#endif
