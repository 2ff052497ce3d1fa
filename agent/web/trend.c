/*
 * Rates and history; see trend.h. Points lie in rings that all have the same head, so that all
 * histories end at the same moment.
 */
#include "agent/web/trend.h"

#include "agent/base/clock.h"
#include "agent/base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_DIGITS 16
#define ID_DIGITS  64

/* Closer readings make rates of mere noise. */
#define APART_MS_MIN 200

/* A point is 11 bits and a power of two. */
#define POINT_NONE     UINT16_MAX
#define MANTISSA_BITS  11
#define MANTISSA_MAX   ((1 << MANTISSA_BITS) - 1)
#define EXPONENT_MAX   30 /* 31 stands for no value */
#define BYTES_PER_UNIT 1024

#define PARTS     10000 /* of a CPU */
#define MS_PER_S  1000
#define US_PER_MS 1000

const char *const tly_trend_names[TLY_TREND_SERIES] = {"cpu", "memory", "network", "disk"};

const struct tly_rates tly_rates_unknown = {
    .cpu = TLY_UNKNOWN,
    .throttled = TLY_UNKNOWN,
    .received = TLY_UNKNOWN,
    .sent = TLY_UNKNOWN,
    .read = TLY_UNKNOWN,
    .written = TLY_UNKNOWN,
};

/* Counters at one moment. */
struct base {
    int64_t seen_ms, cpu_us, throttled_us, received, sent, read, written;
};

struct course {
    struct base last, point; /* of the last reading, and of the last point; seen_ms 0: none yet */
    struct tly_rates rates;
    unsigned generation; /* of the last snapshot that it was in */
    uint16_t ring[TLY_TREND_SERIES][TLY_TREND_POINTS];
};

struct tly_trend {
    struct tly_map *courses; /* by key */
    size_t containers_max;
    unsigned generation;
    size_t head, points; /* where the next point goes; how many there are */
};

/* ---- points ---- */

static uint16_t point_pack(int64_t value)
{
    unsigned exponent = 0;
    if (value < 0) {
        return POINT_NONE;
    }
    while (value > MANTISSA_MAX && exponent < EXPONENT_MAX) {
        value = (value + 1) / 2;
        exponent++;
    }
    return value > MANTISSA_MAX ? POINT_NONE
                                : (uint16_t)(exponent << MANTISSA_BITS | (unsigned)value);
}

static int64_t point_unpack(uint16_t point)
{
    return point == POINT_NONE ? TLY_UNKNOWN
                               : (int64_t)(point & MANTISSA_MAX) << (point >> MANTISSA_BITS);
}

/* ---- rates ---- */

static struct base base_of(const struct tly_reading *reading)
{
    return (struct base){
        .seen_ms = reading->seen_ms,
        .cpu_us = reading->cpu_us,
        .throttled_us = reading->throttled_us,
        .received = reading->received_bytes,
        .sent = reading->sent_bytes,
        .read = reading->read_bytes,
        .written = reading->written_bytes,
    };
}

/* A counter's growth, times `scale`, for each millisecond. A counter that was there before or that
 * begins anew has none. */
static int64_t rate(int64_t before, int64_t now, int64_t ms, int64_t scale)
{
    if (before == TLY_UNKNOWN || now == TLY_UNKNOWN || now < before) {
        return TLY_UNKNOWN;
    }
    return (int64_t)((double)(now - before) * (double)scale / (double)ms + 0.5);
}

static struct tly_rates rates_between(const struct base *before, const struct base *now)
{
    int64_t ms = now->seen_ms - before->seen_ms;
    if (before->seen_ms <= 0 || now->seen_ms == TLY_UNKNOWN || ms <= 0) {
        return tly_rates_unknown;
    }
    return (struct tly_rates){
        .cpu = rate(before->cpu_us, now->cpu_us, ms, PARTS / US_PER_MS),
        .throttled = rate(before->throttled_us, now->throttled_us, ms, PARTS / US_PER_MS),
        .received = rate(before->received, now->received, ms, MS_PER_S),
        .sent = rate(before->sent, now->sent, ms, MS_PER_S),
        .read = rate(before->read, now->read, ms, MS_PER_S),
        .written = rate(before->written, now->written, ms, MS_PER_S),
    };
}

static int64_t both(int64_t a, int64_t b)
{
    return a == TLY_UNKNOWN ? b : b == TLY_UNKNOWN ? a : a + b;
}

static void course_point(struct course *course, const struct base *now,
                         const struct tly_reading *reading, size_t head)
{
    struct tly_rates rates = rates_between(&course->point, now);
    course->ring[TLY_TREND_CPU][head] = point_pack(rates.cpu);
    course->ring[TLY_TREND_MEMORY][head] = point_pack(reading->memory_bytes == TLY_UNKNOWN
                                                          ? TLY_UNKNOWN
                                                          : reading->memory_bytes / BYTES_PER_UNIT);
    course->ring[TLY_TREND_NETWORK][head] = point_pack(both(rates.received, rates.sent));
    course->ring[TLY_TREND_DISK][head] = point_pack(both(rates.read, rates.written));
    course->point = *now;
}

static struct course *course_get(struct tly_trend *trend, struct tly_text who)
{
    struct course *course = tly_map_get(trend->courses, who);
    if (course != NULL || tly_map_count(trend->courses) >= trend->containers_max + 2) {
        return course;
    }
    course = calloc(1, sizeof(*course));
    if (course == NULL || tly_map_put(trend->courses, who, course, NULL) < 0) {
        free(course);
        return NULL;
    }
    course->rates = tly_rates_unknown;
    memset(course->ring, UINT8_MAX, sizeof(course->ring)); /* POINT_NONE */
    return course;
}

static void course_take(struct tly_trend *trend, struct tly_text who,
                        const struct tly_reading *reading, bool point)
{
    struct course *course = course_get(trend, who);
    if (course == NULL) {
        return;
    }
    struct base now = base_of(reading);
    course->generation = trend->generation;
    if (now.cpu_us == TLY_UNKNOWN && now.received == TLY_UNKNOWN && now.read == TLY_UNKNOWN) {
        /* It does not run. */
        course->rates = tly_rates_unknown;
        course->last = now;
    } else if (course->last.seen_ms <= 0 || now.seen_ms < course->last.seen_ms ||
               now.seen_ms - course->last.seen_ms >= APART_MS_MIN) {
        /* A clock that was set back makes a new base: there are no rates between the two. */
        course->rates = rates_between(&course->last, &now);
        course->last = now;
    } /* else it was not read anew, and the rates still hold */
    if (point) {
        course_point(course, &now, reading, trend->head);
    }
}

/* ---- all ---- */

int tly_trend_new(size_t containers_max, struct tly_trend **ret_trend)
{
    struct tly_trend *trend = calloc(1, sizeof(*trend));
    if (trend != NULL) {
        trend->courses = tly_map_new();
    }
    if (trend == NULL || trend->courses == NULL) {
        free(trend);
        return -ENOMEM;
    }
    trend->containers_max = containers_max;
    *ret_trend = trend;
    return 0;
}

void tly_trend_free(struct tly_trend *trend)
{
    if (trend != NULL) {
        tly_map_free(trend->courses, free);
        free(trend);
    }
}

static void forget_gone(struct tly_trend *trend)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(trend->courses, &at, &entry);) {
        const struct course *course = entry.value;
        if (course->generation != trend->generation) {
            free(tly_map_remove(trend->courses, entry.key));
        }
    }
}

void tly_trend_take(struct tly_trend *trend, const struct tly_snapshot *snapshot, bool point)
{
    struct tly_reading reading;
    trend->generation++;
    bool host = true; /* the first of the two rows without a container */
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct tly_snapshot_row *row = &snapshot->rows[i];
        if (row->container != NULL) {
            tly_reading_take(row, snapshot->slots, &reading);
            course_take(trend, tly_trend_key(row->container->id), &reading, point);
        } else if (host) {
            tly_reading_take_host(row, snapshot->slots, &reading);
            course_take(trend, TLY_TREND_HOST, &reading, point);
            host = false;
        } else {
            tly_reading_take_agent(row, snapshot->slots, snapshot->taken_ns / TLY_NS_PER_MS,
                                   &reading);
            course_take(trend, TLY_TREND_AGENT, &reading, point);
        }
    }
    forget_gone(trend);
    if (point) {
        trend->head = (trend->head + 1) % TLY_TREND_POINTS;
        trend->points += trend->points < TLY_TREND_POINTS ? 1 : 0;
    }
}

struct tly_rates tly_trend_rates(const struct tly_trend *trend, struct tly_text who)
{
    const struct course *course = tly_map_get(trend->courses, who);
    return course != NULL ? course->rates : tly_rates_unknown;
}

size_t tly_trend_history(const struct tly_trend *trend, struct tly_text who,
                         enum tly_trend_series series, int64_t to[TLY_TREND_POINTS])
{
    const struct course *course = tly_map_get(trend->courses, who);
    for (size_t i = 0; course != NULL && i < trend->points; i++) {
        size_t at = (trend->head + TLY_TREND_POINTS - trend->points + i) % TLY_TREND_POINTS;
        to[i] = point_unpack(course->ring[series][at]);
    }
    return course != NULL ? trend->points : 0;
}

struct tly_text tly_trend_key(const char *id)
{
    struct tly_text text = tly_text_of(id);
    if (text.len == ID_DIGITS && strspn(id, "0123456789abcdef") == ID_DIGITS) {
        text.len = KEY_DIGITS;
    }
    return text;
}
