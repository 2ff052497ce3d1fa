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

/* A bit for names of that length and first letter, by which nearly all lines that nobody asked for
 * are told without a search. */
static uint64_t name_bit(const char *name, size_t len)
{
    return 1ULL << (((size_t)(unsigned char)name[0] * 7 + len) % 64);
}

static uint64_t names_mask(const struct tly_cgroup_key *keys, size_t count)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < count; i++) {
        mask |= name_bit(keys[i].name, keys[i].len);
    }
    return mask;
}

/* The key of the line at `at`, first the one that the kernel's order puts there; its name and the
 * blank behind it end at `*ret_value`. */
static const struct tly_cgroup_key *line_key(const char *at, const char *end,
                                             const struct tly_cgroup_key *keys, size_t count,
                                             uint64_t mask, size_t *cursor, const char **ret_value)
{
    const struct tly_cgroup_key *next = *cursor < count ? &keys[*cursor] : &keys[0];
    if ((size_t)(end - at) > next->len && at[next->len] == ' ' &&
        memcmp(at, next->name, next->len) == 0) {
        *cursor = (size_t)(next - keys) + 1;
        *ret_value = at + next->len + 1;
        return next;
    }
    const char *space = at;
    while (space < end && *space != ' ' && *space != '\n') {
        space++;
    }
    size_t len = (size_t)(space - at);
    *ret_value = space < end && *space == ' ' ? space + 1 : space;
    if (space == end || *space != ' ' || len == 0 || (mask & name_bit(at, len)) == 0) {
        return NULL;
    }
    return key_find((struct tly_text){at, len}, keys, count, cursor);
}

size_t tly_cgroup_flat_parse(struct tly_text text, const struct tly_cgroup_key *keys, size_t count,
                             void *to)
{
    size_t found = 0;
    size_t cursor = 0;
    if (text.len == 0) {
        return 0; /* `at` may be NULL */
    }
    const uint64_t mask = names_mask(keys, count);
    const char *at = text.at;
    const char *end = text.at + text.len;
    while (at < end && found < count) {
        const char *value_at = at;
        const struct tly_cgroup_key *key = line_key(at, end, keys, count, mask, &cursor, &value_at);
        at = value_at;
        int64_t value = 0;
        if (key != NULL) {
            size_t used = digits_parse((struct tly_text){at, (size_t)(end - at)}, &value);
            if (used > 0) {
                memcpy((char *)to + key->offset, &value, sizeof(value));
                found++;
            }
            at += used;
        }
        if (at < end && *at != '\n') {
            at = memchr(at, '\n', (size_t)(end - at));
        }
        at = at == NULL || at == end ? end : at + 1;
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
    /* It is the last word of the line in every kernel so far. */
    const char *at = line.len == 0 ? NULL : memrchr(line.at, ' ', line.len);
    if (at == NULL || (size_t)(line.at + line.len - at) < sizeof(key) ||
        memcmp(at, key, sizeof(key) - 1) != 0) {
        at = memmem(line.at, line.len, key, sizeof(key) - 1);
    }
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
