/*
 * The times of log lines: RFC 3339 with up to nine digits of fraction, one per line, of which
 * nearly all in a row lie in the same second. So the second that was parsed last is remembered, and
 * only the fraction is read. Pure; the reader of a log owns one.
 */
#ifndef TLY_CODEC_LINE_CLOCK_H
#define TLY_CODEC_LINE_CLOCK_H

#include "agent/base/clock.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Zero-initialise. */
struct tly_line_clock {
    char second_text[19]; /* "2026-08-23T00:28:30" */
    char zone_text[6];    /* "Z", "+02:00" */
    uint8_t zone_len;
    int64_t second_ns;
};

/* For a second, or a zone, that is not the last one. TLY_E_MALFORMED. */
int tly_line_clock_turn(struct tly_line_clock *clock, struct tly_text text,
                        int64_t *ret_ns) TLY_CHECK;

/* The value of eight digits: of neighbours two, then four, then all of them become one number. The
 * first digit is the word's lowest byte, as all of these machines are little-endian. */
static inline bool tly_line_clock_eight(const char *at, int64_t *ret_value)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    const uint64_t high = 0xf0f0f0f0f0f0f0f0U;
    const uint64_t zeros = 0x3030303030303030U;
    const uint64_t over_nine = 0x0606060606060606U;
    if ((word & high) != zeros || ((word + over_nine) & high) != zeros) {
        return false;
    }
    word = (word & 0x0f0f0f0f0f0f0f0fU) * (10 * (1U << 8) + 1) >> 8;
    word = (word & 0x00ff00ff00ff00ffU) * (100 * (1U << 16) + 1) >> 16;
    word = (word & 0x0000ffff0000ffffU) * (10000 * (1ULL << 32) + 1) >> 32;
    *ret_value = (int64_t)word;
    return true;
}

/* Passes the digits of a fraction, the first nine of which count, and returns its nanoseconds. */
static inline int64_t tly_line_clock_fraction(const char **at, const char *end)
{
    int64_t fraction = 0;
    const char *digit = *at;
    if (end - digit >= 9 && (unsigned char)(digit[8] - '0') <= 9 &&
        tly_line_clock_eight(digit, &fraction)) {
        *at = digit + 9;
        return fraction * 10 + (digit[8] - '0');
    }
    int64_t unit = TLY_NS_PER_S / 10;
    for (; digit < end && unit > 0 && (unsigned char)(*digit - '0') <= 9; digit++) {
        fraction += (*digit - '0') * unit;
        unit /= 10;
    }
    *at = digit;
    return fraction;
}

/* Reads a time as tly_time_parse does. TLY_E_MALFORMED. */
static inline int tly_line_clock_parse(struct tly_line_clock *clock, struct tly_text text,
                                       int64_t *ret_ns)
{
    const size_t second_len = sizeof(clock->second_text);
    if (text.len <= second_len || memcmp(text.at, clock->second_text, second_len) != 0) {
        return tly_line_clock_turn(clock, text, ret_ns);
    }
    int64_t fraction = 0;
    const char *at = text.at + second_len;
    const char *end = text.at + text.len;
    if (*at == '.' && end - at >= 3 && (unsigned char)(at[1] - '0') <= 9) {
        at++;
        fraction = tly_line_clock_fraction(&at, end);
    }
    if (end - at != clock->zone_len || *at != clock->zone_text[0] ||
        (clock->zone_len > 1 && memcmp(at, clock->zone_text, clock->zone_len) != 0)) {
        return tly_line_clock_turn(clock, text, ret_ns);
    }
    *ret_ns = clock->second_ns + fraction;
    return 0;
}

#endif
