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

/* Reads a time as tly_time_parse does. TLY_E_MALFORMED. */
static inline int tly_line_clock_parse(struct tly_line_clock *clock, struct tly_text text,
                                       int64_t *ret_ns)
{
    const size_t second_len = sizeof(clock->second_text);
    if (text.len <= second_len || memcmp(text.at, clock->second_text, second_len) != 0) {
        return tly_line_clock_turn(clock, text, ret_ns);
    }
    int64_t fraction = 0;
    int64_t unit = TLY_NS_PER_S / 10;
    const char *at = text.at + second_len;
    const char *end = text.at + text.len;
    if (*at == '.' && end - at >= 3 && (unsigned char)(at[1] - '0') <= 9) {
        for (at++; at < end && unit > 0 && (unsigned char)(*at - '0') <= 9; at++) {
            fraction += (*at - '0') * unit;
            unit /= 10;
        }
    }
    if (end - at != clock->zone_len || *at != clock->zone_text[0] ||
        (clock->zone_len > 1 && memcmp(at, clock->zone_text, clock->zone_len) != 0)) {
        return tly_line_clock_turn(clock, text, ret_ns);
    }
    *ret_ns = clock->second_ns + fraction;
    return 0;
}

#endif
