/*
 * Numbers and times for people, by the same steps as Prometheus's functions of these names: up to
 * four significant digits with a prefix, durations as days to seconds, times as Go prints them.
 */
#include "agent/rules/functions.h"
#include "agent/rules/number.h"
#include "agent/rules/template_functions.h"

#include <stdio.h>

#define PREFIXES_COUNT 8
static const char *const prefixes_up[PREFIXES_COUNT] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
static const char *const prefixes_down[PREFIXES_COUNT] = {"m", "u", "n", "p", "f", "a", "z", "y"};
static const char *const prefixes_binary[PREFIXES_COUNT] = {"ki", "Mi", "Gi", "Ti",
                                                            "Pi", "Ei", "Zi", "Yi"};

static int want_number(struct tly_template_run *run, const char *function,
                       const struct tly_template_value *value, double *ret_number)
{
    if (value->kind == TLY_VALUE_FLOAT) {
        *ret_number = value->number;
        return 0;
    }
    if (value->kind == TLY_VALUE_INT) {
        *ret_number = (double)value->integer;
        return 0;
    }
    if (value->kind == TLY_VALUE_STRING && tly_float_parse(value->string, ret_number) == 0) {
        return 0;
    }
    return tly_template_fail(run, TLY_E_REFUSED, "%s: can't convert %s to float", function,
                             tly_template_type(value));
}

/* Go's %.4g, which differs from C's in infinities and NaN alone. */
static int number_take(struct tly_template_run *run, const char *sign, double value,
                       const char *prefix, const char *unit, struct tly_template_value *ret_value)
{
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_TEMPLATE_OUT_MAX);
    int rc;
    if (isnan(value) || isinf(value)) {
        rc = tly_buf_printf(&buf, "%s%s%s",
                            isnan(value) ? "NaN"
                            : value > 0  ? "+Inf"
                                         : "-Inf",
                            prefix, unit);
    } else {
        rc = tly_buf_printf(&buf, "%s%.4g%s%s", sign, value, prefix, unit);
    }
    return tly_template_take(run, &buf, rc, ret_value);
}

static bool plain(double value)
{
    return value == 0 || isnan(value) || isinf(value);
}

/* Divides by `by` while it is at least that, or multiplies while it is below 1. */
static const char *scale(double *value, double by, const char *const prefixes[PREFIXES_COUNT])
{
    const char *prefix = "";
    bool down = prefixes == prefixes_down;
    for (size_t i = 0; i < PREFIXES_COUNT; i++) {
        if (down ? fabs(*value) >= 1 : fabs(*value) < by) {
            break;
        }
        prefix = prefixes[i];
        *value = down ? *value * by : *value / by;
    }
    return prefix;
}

TLY_TEMPLATE_CALL(humanize)
{
    double value = 0;
    (void)count;
    int rc = want_number(run, "humanize", &args[0], &value);
    if (rc < 0) {
        return rc;
    }
    const char *prefix = "";
    if (!plain(value)) {
        prefix = scale(&value, 1000, fabs(value) >= 1 ? prefixes_up : prefixes_down);
    }
    return number_take(run, "", value, prefix, "", ret_value);
}

TLY_TEMPLATE_CALL(humanize1024)
{
    double value = 0;
    (void)count;
    int rc = want_number(run, "humanize1024", &args[0], &value);
    if (rc < 0) {
        return rc;
    }
    const char *prefix = "";
    if (!plain(value) && fabs(value) > 1) {
        prefix = scale(&value, 1024, prefixes_binary);
    }
    return number_take(run, "", value, prefix, "", ret_value);
}

TLY_TEMPLATE_CALL(humanize_percentage)
{
    double value = 0;
    (void)count;
    int rc = want_number(run, "humanizePercentage", &args[0], &value);
    return rc < 0 ? rc : number_take(run, "", value * 100, "", "%", ret_value);
}

/* From a minute on; `seconds` is not negative. */
static int long_duration(struct tly_template_run *run, const char *sign, double seconds,
                         struct tly_template_value *ret_value)
{
    long long whole = seconds < 9e18 ? (long long)seconds : 9000000000000000000LL;
    long long days = whole / 86400;
    long long hours = whole / 3600 % 24;
    long long minutes = whole / 60 % 60;
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_TEMPLATE_OUT_MAX);
    int rc;
    if (days != 0) {
        rc = tly_buf_printf(&buf, "%s%lldd %lldh %lldm %llds", sign, days, hours, minutes,
                            whole % 60);
    } else if (hours != 0) {
        rc = tly_buf_printf(&buf, "%s%lldh %lldm %llds", sign, hours, minutes, whole % 60);
    } else {
        rc = tly_buf_printf(&buf, "%s%lldm %llds", sign, minutes, whole % 60);
    }
    return tly_template_take(run, &buf, rc, ret_value);
}

TLY_TEMPLATE_CALL(humanize_duration)
{
    double value = 0;
    (void)count;
    int rc = want_number(run, "humanizeDuration", &args[0], &value);
    if (rc < 0) {
        return rc;
    }
    if (plain(value)) {
        return number_take(run, "", value, "", value == 0 ? "s" : "", ret_value);
    }
    if (fabs(value) >= 1) {
        const char *sign = value < 0 ? "-" : "";
        value = fabs(value);
        return value >= 60 ? long_duration(run, sign, value, ret_value)
                           : number_take(run, sign, value, "", "s", ret_value);
    }
    const char *prefix = scale(&value, 1000, prefixes_down);
    return number_take(run, "", value, prefix, "s", ret_value);
}

TLY_TEMPLATE_CALL(humanize_timestamp)
{
    double value = 0;
    (void)count;
    int rc = want_number(run, "humanizeTimestamp", &args[0], &value);
    if (rc < 0) {
        return rc;
    }
    if (isnan(value) || isinf(value)) {
        return number_take(run, "", value, "", "", ret_value);
    }
    struct tly_date date;
    if (fabs(value) > 9.2e9 || !tly_date_of(floor(trunc(value * 1000) / 1000), &date)) {
        return tly_template_fail(run, TLY_E_REFUSED,
                                 "humanizeTimestamp: %g is no time between 1678 and 2262", value);
    }
    long long ms = (long long)trunc(value * 1000);
    long long second = ((ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000)) % 60 + 60) % 60;
    long long fraction = (ms % 1000 + 1000) % 1000;
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_TEMPLATE_OUT_MAX);
    rc = tly_buf_printf(&buf, "%04lld-%02d-%02d %02d:%02d:%02lld", (long long)date.year, date.month,
                        date.day, date.hour, date.minute, second);
    if (rc == 0 && fraction > 0) {
        int digits = fraction % 100 == 0 ? 1 : fraction % 10 == 0 ? 2 : 3;
        rc = tly_buf_printf(&buf, ".%0*lld", digits,
                            fraction / (digits == 1   ? 100
                                        : digits == 2 ? 10
                                                      : 1));
    }
    rc = rc < 0 ? rc : tly_buf_append_text(&buf, TLY_TEXT(" +0000 UTC"));
    return tly_template_take(run, &buf, rc, ret_value);
}

TLY_TEMPLATE_CALL(parse_duration)
{
    struct tly_text text;
    int64_t ms = 0;
    (void)count;
    int rc = tly_template_want_text(run, "parseDuration", &args[0], &text);
    if (rc == 0 && !tly_text_equal(text, TLY_TEXT("0")) && tly_duration_parse(text, &ms) < 0) {
        rc = tly_template_fail(run, TLY_E_MALFORMED, "parseDuration: `%.*s` is no duration",
                               (int)(text.len < 60 ? text.len : 60), text.at);
    }
    *ret_value = (struct tly_template_value){.kind = TLY_VALUE_FLOAT, .number = (double)ms / 1000};
    return rc;
}

TLY_TEMPLATE_CALL(now)
{
    (void)args;
    (void)count;
    *ret_value = (struct tly_template_value){.kind = TLY_VALUE_FLOAT,
                                             .number = (double)run->data->at_ms / 1000};
    return 0;
}
