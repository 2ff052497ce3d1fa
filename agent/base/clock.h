/*
 * Time. Two clocks, never mixed: monotonic for durations, realtime for what people and protocols
 * read. Nanoseconds since the clock's epoch, in int64_t (good until 2262).
 */
#ifndef TLY_BASE_CLOCK_H
#define TLY_BASE_CLOCK_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdint.h>

#define TLY_NS_PER_S  1000000000LL
#define TLY_NS_PER_MS 1000000LL
#define TLY_NS_PER_US 1000LL

int64_t tly_clock_monotonic_ns(void);
int64_t tly_clock_realtime_ns(void);

/*
 * RFC 3339 date-time with 0 to 9 fraction digits, `Z` or a numeric offset: Docker's timestamps.
 * Years 1970 to 2261; a leap second counts as the next second. TLY_E_MALFORMED. Docker's zero time
 * "0001-01-01T00:00:00Z" yields 0.
 */
int tly_time_parse(struct tly_text text, int64_t *ret_ns) TLY_CHECK;

/* Writes "2026-08-23T00:28:30.123456789Z" and a NUL. */
#define TLY_TIME_TEXT_MAX 40
void tly_time_format(int64_t ns, char to[TLY_TIME_TEXT_MAX]);

#endif
