/*
 * Numbers and durations, in Go's forms. C's strtod and printf do the arithmetic, which is exact in
 * both directions; what is done here is the syntax around it. The locale's decimal point does not
 * matter: the process never calls setlocale.
 */
#include "agent/rules/number.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* The longest number that is looked at: more digits than that are no sensible number. */
#define NUMBER_LEN_MAX 400
/* Digits that always suffice to read a double back. */
#define DIGITS_MOST 17
/* Exponents that Go's %v writes without one: C's %g has the same bounds. */
#define GENERAL_LEAST (-4)
#define GENERAL_MOST  6

static bool is_word(struct tly_text text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.at, word, text.len) == 0;
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)(c - 'a') + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return (unsigned)(c - 'A') + 10;
    }
    return UINT_MAX;
}

/* Go's rule: an underscore stands between two digits, or between a prefix and a digit. */
static bool underscores_fit(struct tly_text text, unsigned base, bool prefixed)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '_') {
            continue;
        }
        bool before = i > 0 ? digit_value(text.at[i - 1]) < base : prefixed;
        bool after = i + 1 < text.len && digit_value(text.at[i + 1]) < base;
        if (!before || !after) {
            return false;
        }
    }
    return true;
}

/* Digits of `base` as an integer that fits into 63 bits; false if they are not. */
static bool integer_parse(struct tly_text digits, unsigned base, bool prefixed, double *ret_value)
{
    if (digits.len == 0 || !underscores_fit(digits, base, prefixed)) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] == '_') {
            continue;
        }
        unsigned digit = digit_value(digits.at[i]);
        if (digit >= base || value > ((uint64_t)INT64_MAX - digit) / base) {
            return false;
        }
        value = value * base + digit;
    }
    *ret_value = (double)value;
    return true;
}

int tly_float_parse(struct tly_text text, double *ret_value)
{
    struct tly_text body = text;
    bool negative = body.len > 0 && body.at[0] == '-';
    if (body.len > 0 && (body.at[0] == '+' || negative)) {
        body = (struct tly_text){body.at + 1, body.len - 1};
    }
    if (is_word(body, "inf") || is_word(body, "infinity")) {
        *ret_value = negative ? -INFINITY : INFINITY;
        return 0;
    }
    if (is_word(text, "nan")) {
        *ret_value = NAN;
        return 0;
    }
    bool hex = body.len > 2 && body.at[0] == '0' && (body.at[1] | 0x20) == 'x';
    char copy[NUMBER_LEN_MAX + 1];
    size_t len = 0;
    bool exponent = false;
    /* What strtod takes and Go does not: words, blanks, hexadecimal without an exponent. */
    if (body.len == 0 || body.len > NUMBER_LEN_MAX) {
        return TLY_E_MALFORMED;
    }
    for (size_t i = 0; i < body.len; i++) {
        char c = body.at[i];
        char lower = (char)(c | 0x20);
        exponent = exponent || lower == (hex ? 'p' : 'e');
        bool fits = (c >= '0' && c <= '9') || c == '.' || c == '+' || c == '-' || lower == 'e' ||
                    c == '_' || (hex && (digit_value(c) < 16 || lower == 'x' || lower == 'p'));
        if (!fits) {
            return TLY_E_MALFORMED;
        }
        if (c != '_') {
            copy[len++] = c;
        }
    }
    struct tly_text digits = {body.at + (hex ? 2 : 0), body.len - (hex ? 2 : 0)};
    if ((hex && !exponent) || !underscores_fit(digits, hex ? 16 : 10, hex)) {
        return TLY_E_MALFORMED;
    }
    copy[len] = '\0';
    char *end;
    double value = strtod(copy, &end);
    if (*end != '\0' || end == copy || copy[0] == '+' || copy[0] == '-') {
        return TLY_E_MALFORMED;
    }
    if (isinf(value)) {
        return -ERANGE;
    }
    *ret_value = negative ? -value : value;
    return 0;
}

int tly_number_parse(struct tly_text text, double *ret_value)
{
    unsigned base = 10;
    size_t prefix = 0;
    if (text.len > 1 && text.at[0] == '0') {
        char letter = (char)(text.at[1] | 0x20);
        base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
        prefix = letter == 'x' || letter == 'b' || letter == 'o' ? 2 : 1;
    }
    struct tly_text digits = {text.at + prefix, text.len - prefix};
    if (integer_parse(digits, base, prefix > 0, ret_value)) {
        return 0;
    }
    return tly_float_parse(text, ret_value);
}

/* ---- writing ---- */

/* The shortest decimal digits of a finite number, without point and sign; `*ret_exponent` is that
 * of the first digit. */
static size_t shortest_digits(double value, char digits[DIGITS_MOST + 1], int *ret_exponent)
{
    char text[DIGITS_MOST + 16];
    for (int precision = 0; precision < DIGITS_MOST; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    size_t count = 0;
    const char *at = text;
    for (; *at != 'e' && *at != '\0'; at++) {
        if (*at != '.') {
            digits[count++] = *at;
        }
    }
    *ret_exponent = *at == 'e' ? (int)strtol(at + 1, NULL, 10) : 0;
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    digits[count] = '\0';
    return count;
}

static size_t special_format(double value, char *to)
{
    const char *word = isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
    memcpy(to, word, strlen(word) + 1);
    return strlen(word);
}

/* Digits with the point behind the first `exponent` + 1 of them, filled with zeros. */
static size_t plain_write(const char *digits, size_t count, int exponent, char *to)
{
    size_t len = 0;
    if (exponent < 0) {
        to[len++] = '0';
        to[len++] = '.';
        for (int i = -1; i > exponent; i--) {
            to[len++] = '0';
        }
        memcpy(to + len, digits, count);
        return len + count;
    }
    size_t whole = (size_t)exponent + 1;
    for (size_t i = 0; i < whole || i < count; i++) {
        if (i == whole) {
            to[len++] = '.';
        }
        to[len++] = i < count ? digits[i] : '0';
    }
    return len;
}

size_t tly_number_format(double value, char to[TLY_NUMBER_TEXT_MAX])
{
    if (!isfinite(value)) {
        return special_format(value, to);
    }
    char digits[DIGITS_MOST + 1];
    int exponent;
    size_t len = signbit(value) ? 1 : 0;
    to[0] = '-';
    size_t count = shortest_digits(fabs(value), digits, &exponent);
    len += plain_write(digits, count, exponent, to + len);
    to[len] = '\0';
    return len;
}

size_t tly_number_format_general(double value, char to[TLY_NUMBER_TEXT_MAX])
{
    if (!isfinite(value)) {
        return special_format(value, to);
    }
    char digits[DIGITS_MOST + 1];
    int exponent;
    size_t count = shortest_digits(fabs(value), digits, &exponent);
    if (exponent >= GENERAL_LEAST && exponent < GENERAL_MOST) {
        return tly_number_format(value, to);
    }
    size_t len = signbit(value) ? 1 : 0;
    to[0] = '-';
    to[len++] = digits[0];
    if (count > 1) {
        to[len++] = '.';
        memcpy(to + len, digits + 1, count - 1);
        len += count - 1;
    }
    len += (size_t)snprintf(to + len, 8, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    return len;
}

/* ---- durations ---- */

static const struct unit {
    const char *name;
    int64_t ms;
    bool only_whole; /* written only if it divides the duration */
} units[] = {
    {"y", 365LL * 24 * 3600 * 1000, true},
    {"w", 7LL * 24 * 3600 * 1000, true},
    {"d", 24LL * 3600 * 1000, false},
    {"h", 3600LL * 1000, false},
    {"m", 60LL * 1000, false},
    {"s", 1000, false},
    {"ms", 1, false},
};
#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))
/* Go keeps durations in nanoseconds. */
#define DURATION_MS_MAX (INT64_MAX / 1000000)

int tly_duration_parse(struct tly_text text, int64_t *ret_ms)
{
    if (tly_text_equal(text, TLY_TEXT("0"))) {
        *ret_ms = 0;
        return 0;
    }
    int64_t total = 0;
    size_t unit = 0;
    size_t at = 0;
    while (at < text.len) {
        size_t end = at;
        while (end < text.len && text.at[end] >= '0' && text.at[end] <= '9') {
            end++;
        }
        uint64_t number;
        int rc = tly_text_u64((struct tly_text){text.at + at, end - at}, &number);
        if (rc < 0) {
            return rc;
        }
        at = end;
        while (end < text.len && text.at[end] >= 'a' && text.at[end] <= 'z') {
            end++;
        }
        struct tly_text name = {text.at + at, end - at};
        while (unit < UNIT_COUNT && !tly_text_equal(name, tly_text_of(units[unit].name))) {
            unit++;
        }
        if (unit == UNIT_COUNT) {
            return TLY_E_MALFORMED;
        }
        if (number > (uint64_t)(DURATION_MS_MAX - total) / (uint64_t)units[unit].ms) {
            return -ERANGE;
        }
        total += (int64_t)number * units[unit].ms;
        unit++;
        at = end;
    }
    if (text.len == 0) {
        return TLY_E_MALFORMED;
    }
    *ret_ms = total;
    return 0;
}

size_t tly_duration_format(int64_t ms, char to[TLY_DURATION_TEXT_MAX])
{
    size_t len = 0;
    if (ms <= 0) {
        len = 2;
        memcpy(to, "0s", 3);
        return len;
    }
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        int64_t number = ms / units[i].ms;
        if (number == 0 || (units[i].only_whole && ms % units[i].ms != 0)) {
            continue;
        }
        len += (size_t)snprintf(to + len, TLY_DURATION_TEXT_MAX - len, "%lld%s", (long long)number,
                                units[i].name);
        ms -= number * units[i].ms;
    }
    return len;
}
