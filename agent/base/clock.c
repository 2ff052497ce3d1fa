/*
 * The two clocks, and date-times as RFC 3339 writes them. The parser reads every log line's
 * timestamp, so it knows the places of the fields instead of searching for them. Stateless.
 */
#include "agent/base/clock.h"

#include <stdbool.h>
#include <time.h>

enum { YEAR_FIRST = 1970, SECONDS_PER_DAY = 86400, FRACTION_DIGITS = 9 };
/* 2262-01-01T00:00:00Z: the last whole year that fits in nanoseconds has ended. */
#define SECONDS_END 9214646400LL

static int64_t clock_ns(clockid_t id)
{
    struct timespec now = {0};
    (void)clock_gettime(id, &now); /* cannot fail for the two clocks of this file */
    return (int64_t)now.tv_sec * TLY_NS_PER_S + now.tv_nsec;
}

int64_t tly_clock_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t tly_clock_realtime_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

/* Reads exactly `count` digits. */
static bool digits(const char *at, unsigned count, int *ret_value)
{
    int value = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned digit = (unsigned)(unsigned char)at[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = value * 10 + (int)digit;
    }
    *ret_value = value;
    return true;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, exact from YEAR_FIRST on
 * and negative before. */
static int64_t days_from_date(int year, int month, int day)
{
    static const short before_month[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int last = year - 1; /* the last whole year; leap days up to it, less those up to 1969 */
    int leap_days = last / 4 - last / 100 + last / 400 - 477;
    return (int64_t)(year - YEAR_FIRST) * 365 + leap_days + before_month[month - 1] +
           (month > 2 && is_leap(year)) + day - 1;
}

struct fields {
    int year, month, day, hour, minute, second;
};

/* The 19 bytes "2026-08-23T00:28:30", each field in its range. */
static bool parse_fields(const char *at, struct fields *ret_fields)
{
    static const unsigned char month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct fields f;
    if (!digits(at, 4, &f.year) || at[4] != '-' || !digits(at + 5, 2, &f.month) || at[7] != '-' ||
        !digits(at + 8, 2, &f.day) || (at[10] != 'T' && at[10] != 't') ||
        !digits(at + 11, 2, &f.hour) || at[13] != ':' || !digits(at + 14, 2, &f.minute) ||
        at[16] != ':' || !digits(at + 17, 2, &f.second)) {
        return false;
    }
    if (f.month < 1 || f.month > 12 || f.day < 1 || f.day > month_days[f.month - 1] ||
        (f.month == 2 && f.day == 29 && !is_leap(f.year)) || f.hour > 23 || f.minute > 59 ||
        f.second > 60) {
        return false;
    }
    *ret_fields = f;
    return true;
}

/* "Z" or "+hh:mm"; all of `text`. */
static bool parse_offset(struct tly_text text, int *ret_seconds)
{
    if (text.len == 1 && (text.at[0] == 'Z' || text.at[0] == 'z')) {
        *ret_seconds = 0;
        return true;
    }
    int hours;
    int minutes;
    if (text.len != 6 || (text.at[0] != '+' && text.at[0] != '-') ||
        !digits(text.at + 1, 2, &hours) || text.at[3] != ':' || !digits(text.at + 4, 2, &minutes) ||
        hours > 23 || minutes > 59) {
        return false;
    }
    int seconds = hours * 3600 + minutes * 60;
    *ret_seconds = text.at[0] == '-' ? -seconds : seconds;
    return true;
}

int tly_time_parse(struct tly_text text, int64_t *ret_ns)
{
    const size_t fields_len = sizeof("2026-08-23T00:28:30") - 1;
    struct fields f;
    if (text.len <= fields_len || !parse_fields(text.at, &f)) {
        return TLY_E_MALFORMED;
    }
    struct tly_text rest = {text.at + fields_len, text.len - fields_len};

    int64_t fraction_ns = 0;
    if (rest.at[0] == '.') {
        int64_t unit = TLY_NS_PER_S / 10;
        size_t i = 1;
        for (; i < rest.len && (unsigned char)(rest.at[i] - '0') <= 9; i++) {
            fraction_ns += (rest.at[i] - '0') * unit;
            unit /= 10;
        }
        if (i == 1 || i > FRACTION_DIGITS + 1) {
            return TLY_E_MALFORMED;
        }
        rest.at += i;
        rest.len -= i;
    }
    int offset;
    if (!parse_offset(rest, &offset)) {
        return TLY_E_MALFORMED;
    }
    if (f.year == 1) {
        /* Go's zero time, which the engine writes for "never". */
        bool zero = f.month == 1 && f.day == 1 && f.hour == 0 && f.minute == 0 && f.second == 0 &&
                    fraction_ns == 0 && offset == 0;
        if (!zero) {
            return TLY_E_MALFORMED;
        }
        *ret_ns = 0;
        return 0;
    }
    int64_t seconds = days_from_date(f.year, f.month, f.day) * SECONDS_PER_DAY + f.hour * 3600 +
                      f.minute * 60 + f.second - offset;
    /* A leap second is the last one of a day in UTC, which by now counts as the next midnight. */
    if (seconds < 0 || seconds >= SECONDS_END ||
        (f.second == 60 && seconds % SECONDS_PER_DAY != 0)) {
        return TLY_E_MALFORMED;
    }
    *ret_ns = seconds * TLY_NS_PER_S + fraction_ns;
    return 0;
}

static char *put_digits(char *to, unsigned count, int64_t value)
{
    for (unsigned i = count; i-- > 0;) {
        to[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return to + count;
}

void tly_time_format(int64_t ns, char to[TLY_TIME_TEXT_MAX])
{
    /* Rounded down, so that the fraction counts forward before 1970 too. */
    int64_t fraction = ns % TLY_NS_PER_S;
    int64_t seconds = ns / TLY_NS_PER_S;
    if (fraction < 0) {
        fraction += TLY_NS_PER_S;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm utc = {0};
    (void)gmtime_r(&when, &utc); /* fails only beyond the years of an int; these are 1677 to 2262 */

    const int fields[] = {utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec};
    const char before[] = "--T::";
    to = put_digits(to, 4, utc.tm_year + 1900);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        *to++ = before[i];
        to = put_digits(to, 2, fields[i]);
    }
    *to++ = '.';
    to = put_digits(to, FRACTION_DIGITS, fraction);
    *to++ = 'Z';
    *to = '\0';
}
