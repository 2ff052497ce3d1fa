/*
 * Parsers of cgroup v2 files. They run for every file of every container at each tick, so they walk
 * the text once and allocate nothing.
 */
#include "agent/codec/cgroup.h"

#include <string.h>

/* The digits at the front of `text`; returns how many bytes they took. Saturates. */
static size_t digits_parse(struct tly_text text, int64_t *ret_value)
{
    int64_t value = 0;
    size_t at = 0;
    for (; at < text.len; at++) {
        unsigned digit = (unsigned char)text.at[at] - (unsigned)'0';
        if (digit > 9) {
            break;
        }
        if (value > (INT64_MAX - 9) / 10) {
            value = INT64_MAX;
        } else {
            value = value * 10 + digit;
        }
    }
    if (at > 0) {
        *ret_value = value;
    }
    return at;
}

static struct tly_text skip(struct tly_text text, size_t count)
{
    return (struct tly_text){text.at + count, text.len - count};
}

/* ---- flat keyed files ---- */

/* Looks for a key, first at `cursor`: where the kernel's order puts it. */
static const struct tly_cgroup_key *
key_find(struct tly_text name, const struct tly_cgroup_key *keys, size_t count, size_t *cursor)
{
    for (size_t i = 0, at = *cursor; i < count; i++, at++) {
        if (at >= count) {
            at = 0;
        }
        if (keys[at].len == name.len && memcmp(keys[at].name, name.at, name.len) == 0) {
            *cursor = at + 1;
            return &keys[at];
        }
    }
    return NULL;
}

size_t tly_cgroup_flat_parse(struct tly_text text, const struct tly_cgroup_key *keys, size_t count,
                             void *to)
{
    size_t found = 0;
    size_t cursor = 0;
    const char *at = text.at;
    const char *end = text.at + text.len;
    while (at < end && found < count) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        line_end = line_end == NULL ? end : line_end;
        const char *space = memchr(at, ' ', (size_t)(line_end - at));
        if (space != NULL) {
            const struct tly_cgroup_key *key = key_find((struct tly_text){at, (size_t)(space - at)},
                                                        keys, count, &cursor);
            int64_t value = 0;
            if (key != NULL &&
                digits_parse((struct tly_text){space + 1, (size_t)(line_end - space - 1)}, &value) >
                    0) {
                memcpy((char *)to + key->offset, &value, sizeof(value));
                found++;
            }
        }
        at = line_end + 1;
    }
    return found;
}

/* ---- single values ---- */

/* A limit at the front of `text`; returns how many bytes it took, 0 if there is none. */
static size_t limit_parse(struct tly_text text, int64_t *ret_value)
{
    if (tly_text_starts(text, TLY_TEXT("max"))) {
        *ret_value = TLY_CGROUP_MAX;
        return 3;
    }
    return digits_parse(text, ret_value);
}

int tly_cgroup_value_parse(struct tly_text text, int64_t *ret_value)
{
    struct tly_text trimmed = tly_text_trim(text);
    int64_t value = 0;
    size_t used = limit_parse(trimmed, &value);
    if (used == 0 || used != trimmed.len) {
        return TLY_E_MALFORMED;
    }
    *ret_value = value;
    return 0;
}

int tly_cgroup_cpu_max_parse(struct tly_text text, int64_t *ret_quota_us, int64_t *ret_period_us)
{
    struct tly_text trimmed = tly_text_trim(text);
    int64_t quota = 0;
    int64_t period = 0;
    size_t used = limit_parse(trimmed, &quota);
    if (used == 0 || used >= trimmed.len || trimmed.at[used] != ' ') {
        return TLY_E_MALFORMED;
    }
    struct tly_text rest = skip(trimmed, used + 1);
    used = digits_parse(rest, &period);
    if (used == 0 || used != rest.len) {
        return TLY_E_MALFORMED;
    }
    *ret_quota_us = quota;
    *ret_period_us = period;
    return 0;
}

/* The range of cpu.weight and of CPU shares, and what the kernel and the engine start from. */
#define WEIGHT_MIN     1
#define WEIGHT_MAX     10000
#define WEIGHT_DEFAULT 100
#define SHARES_MIN     2
#define SHARES_MAX     262144
#define SHARES_DEFAULT 1024

int64_t tly_cgroup_shares_from_weight(int64_t weight)
{
    const int64_t weights = WEIGHT_MAX - WEIGHT_MIN;
    const int64_t shares = SHARES_MAX - SHARES_MIN;
    if (weight == WEIGHT_DEFAULT) {
        return SHARES_DEFAULT;
    }
    if (weight <= WEIGHT_MIN) {
        return SHARES_MIN; /* what Kubernetes gives to best-effort pods */
    }
    weight = weight > WEIGHT_MAX ? WEIGHT_MAX : weight;
    /* The first number that the runtime turns into this weight, and the last one. */
    int64_t first = ((weight - WEIGHT_MIN) * shares + weights - 1) / weights + SHARES_MIN;
    int64_t last = ((weight - WEIGHT_MIN + 1) * shares - 1) / weights + SHARES_MIN;
    last = last > SHARES_MAX ? SHARES_MAX : last;
    for (int64_t step = SHARES_MAX; step > 1; step /= 2) {
        int64_t round = last - last % step;
        if (round >= first) {
            return round;
        }
    }
    return last;
}

/* ---- pressure files ---- */

/* The number behind `total=` in a line, or TLY_CGROUP_ABSENT. */
static int64_t total_parse(struct tly_text line)
{
    static const char key[] = " total=";
    int64_t value = TLY_CGROUP_ABSENT;
    const char *at = memmem(line.at, line.len, key, sizeof(key) - 1);
    if (at != NULL) {
        at += sizeof(key) - 1;
        (void)digits_parse((struct tly_text){at, (size_t)(line.at + line.len - at)}, &value);
    }
    return value;
}

int tly_cgroup_pressure_parse(struct tly_text text, struct tly_cgroup_pressure *ret_pressure)
{
    struct tly_cgroup_pressure pressure = {TLY_CGROUP_ABSENT, TLY_CGROUP_ABSENT};
    while (text.at != NULL) {
        struct tly_text line = tly_text_cut(&text, '\n');
        if (tly_text_starts(line, TLY_TEXT("some "))) {
            pressure.some_us = total_parse(line);
        } else if (tly_text_starts(line, TLY_TEXT("full "))) {
            pressure.full_us = total_parse(line);
        }
    }
    *ret_pressure = pressure;
    return pressure.some_us == TLY_CGROUP_ABSENT && pressure.full_us == TLY_CGROUP_ABSENT
               ? TLY_E_MALFORMED
               : 0;
}

/* ---- io.stat ---- */

static const struct tly_cgroup_key io_keys[] = {
    TLY_CGROUP_KEY("rbytes", struct tly_cgroup_io, rbytes),
    TLY_CGROUP_KEY("wbytes", struct tly_cgroup_io, wbytes),
    TLY_CGROUP_KEY("rios", struct tly_cgroup_io, rios),
    TLY_CGROUP_KEY("wios", struct tly_cgroup_io, wios),
    TLY_CGROUP_KEY("dbytes", struct tly_cgroup_io, dbytes),
    TLY_CGROUP_KEY("dios", struct tly_cgroup_io, dios),
    TLY_CGROUP_KEY("cost.usage", struct tly_cgroup_io, cost_usage_us),
    TLY_CGROUP_KEY("cost.wait", struct tly_cgroup_io, cost_wait_us),
    TLY_CGROUP_KEY("cost.indebt", struct tly_cgroup_io, cost_indebt_us),
    TLY_CGROUP_KEY("cost.indelay", struct tly_cgroup_io, cost_indelay_us),
};
#define IO_KEYS (sizeof(io_keys) / sizeof(io_keys[0]))

/* The next word of `rest`, which it is cut off; empty at the end. Words end at blanks and at the
 * end of a line alike: what belongs to which device follows from the words. */
static struct tly_text word_cut(struct tly_text *rest)
{
    size_t start = 0;
    while (start < rest->len && (rest->at[start] == ' ' || rest->at[start] == '\n')) {
        start++;
    }
    size_t end = start;
    while (end < rest->len && rest->at[end] != ' ' && rest->at[end] != '\n') {
        end++;
    }
    struct tly_text word = {rest->at + start, end - start};
    *rest = skip(*rest, end);
    return word;
}

/* "N1=4096" */
static bool node_parse(struct tly_text word, int64_t *ret_node, int64_t *ret_bytes)
{
    if (word.len < 2 || word.at[0] != 'N') {
        return false;
    }
    struct tly_text rest = skip(word, 1);
    size_t used = digits_parse(rest, ret_node);
    if (used == 0 || used + 1 >= rest.len || rest.at[used] != '=') {
        return false;
    }
    rest = skip(rest, used + 1);
    return digits_parse(rest, ret_bytes) == rest.len;
}

size_t tly_cgroup_numa_parse(struct tly_text text, struct tly_text key, int64_t *to, size_t cap)
{
    size_t count = 0;
    for (size_t i = 0; i < cap; i++) {
        to[i] = TLY_CGROUP_ABSENT;
    }
    while (text.at != NULL && count == 0) {
        struct tly_text line = tly_text_cut(&text, '\n');
        if (!tly_text_equal(tly_text_cut(&line, ' '), key)) {
            continue;
        }
        while (line.at != NULL) {
            int64_t node = 0;
            int64_t bytes = 0;
            if (node_parse(tly_text_cut(&line, ' '), &node, &bytes) && node < (int64_t)cap) {
                to[node] = bytes;
                count = (size_t)node >= count ? (size_t)node + 1 : count;
            }
        }
    }
    return count;
}

/* "8:16" */
static bool device_parse(struct tly_text word, struct tly_cgroup_io *io)
{
    int64_t major = 0;
    int64_t minor = 0;
    size_t used = digits_parse(word, &major);
    if (used == 0 || used >= word.len || word.at[used] != ':') {
        return false;
    }
    struct tly_text rest = skip(word, used + 1);
    used = digits_parse(rest, &minor);
    if (used == 0 || used != rest.len || major > UINT32_MAX || minor > UINT32_MAX) {
        return false;
    }
    *io = (struct tly_cgroup_io){(uint32_t)major,   (uint32_t)minor,   TLY_CGROUP_ABSENT,
                                 TLY_CGROUP_ABSENT, TLY_CGROUP_ABSENT, TLY_CGROUP_ABSENT,
                                 TLY_CGROUP_ABSENT, TLY_CGROUP_ABSENT, TLY_CGROUP_ABSENT,
                                 TLY_CGROUP_ABSENT, TLY_CGROUP_ABSENT, TLY_CGROUP_ABSENT};
    return true;
}

bool tly_cgroup_io_next(struct tly_text *rest, struct tly_cgroup_io *ret_io)
{
    struct tly_cgroup_io io;
    bool device = false;
    size_t numbers = 0;
    size_t cursor = 0;
    while (rest->len > 0) {
        struct tly_text before = *rest;
        struct tly_text word = word_cut(rest);
        const char *equals = word.len == 0 ? NULL : memchr(word.at, '=', word.len);
        if (equals == NULL) {
            if (numbers > 0 && word.len > 0) {
                *rest = before; /* the next device */
                break;
            }
            device = device_parse(word, &io) || (device && word.len == 0);
            cursor = 0;
            continue;
        }
        struct tly_text name = {word.at, (size_t)(equals - word.at)};
        const struct tly_cgroup_key *key = device ? key_find(name, io_keys, IO_KEYS, &cursor)
                                                  : NULL;
        int64_t value = 0;
        if (key != NULL && digits_parse(skip(word, name.len + 1), &value) > 0) {
            memcpy((char *)&io + key->offset, &value, sizeof(value));
            numbers++;
        }
    }
    if (numbers == 0) {
        return false;
    }
    *ret_io = io;
    return true;
}
