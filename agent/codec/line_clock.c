/*
 * The slow half of reading the times of log lines: once per second of the log.
 */
#include "agent/codec/line_clock.h"

/* Where the zone begins: behind the digits of the fraction, if there is one. */
static size_t zone_start(struct tly_text text, size_t second_len)
{
    size_t at = second_len;
    if (at < text.len && text.at[at] == '.') {
        at++;
        while (at < text.len && (unsigned char)(text.at[at] - '0') <= 9) {
            at++;
        }
    }
    return at;
}

int tly_line_clock_turn(struct tly_line_clock *clock, struct tly_text text, int64_t *ret_ns)
{
    const size_t second_len = sizeof(clock->second_text);
    int64_t ns;
    int rc = tly_time_parse(text, &ns);
    if (rc < 0) {
        return rc;
    }
    size_t zone = zone_start(text, second_len);
    size_t zone_len = text.len - zone;
    if (ns > 0 && zone < text.len && zone_len <= sizeof(clock->zone_text)) {
        memcpy(clock->second_text, text.at, second_len);
        memcpy(clock->zone_text, text.at + zone, zone_len);
        clock->zone_len = (uint8_t)zone_len;
        clock->second_ns = ns - ns % TLY_NS_PER_S; /* zones are whole minutes */
    }
    *ret_ns = ns;
    return 0;
}
