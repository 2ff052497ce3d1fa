/*
 * Parsers for the few files of /proc and /sys that tell of the host and of a process.
 */
#include "agent/codec/machine.h"

#include <string.h>

int64_t tly_meminfo_bytes(struct tly_text text, struct tly_text key)
{
    while (text.at != NULL) {
        struct tly_text line = tly_text_cut(&text, '\n');
        if (tly_text_starts(line, TLY_TEXT("Node "))) {
            (void)tly_text_cut(&line, ' ');
            if (line.at != NULL) {
                (void)tly_text_cut(&line, ' ');
            }
        }
        if (line.at == NULL || !tly_text_starts(line, key) || line.len <= key.len ||
            line.at[key.len] != ':') {
            continue;
        }
        struct tly_text rest = {line.at + key.len + 1, line.len - key.len - 1};
        rest = tly_text_trim(rest);
        const struct tly_text unit = TLY_TEXT(" kB");
        int64_t kilobytes = 0;
        if (!tly_text_ends(rest, unit)) {
            continue;
        }
        rest.len -= unit.len;
        if (tly_text_i64(rest, &kilobytes) == 0 && kilobytes >= 0 &&
            kilobytes <= INT64_MAX / 1024) {
            return kilobytes * 1024;
        }
    }
    return -1;
}

bool tly_cpu_list_next(struct tly_text *rest, uint32_t *ret_first, uint32_t *ret_last)
{
    if (rest->at == NULL) {
        return false;
    }
    struct tly_text after = *rest;
    struct tly_text last = tly_text_trim(tly_text_cut(&after, ','));
    struct tly_text first = tly_text_cut(&last, '-');
    uint64_t from = 0;
    if (tly_text_u64(first, &from) < 0 || from > UINT32_MAX) {
        return false;
    }
    uint64_t to = from;
    if (last.at != NULL && (tly_text_u64(last, &to) < 0 || to > UINT32_MAX || to < from)) {
        return false;
    }
    *rest = after;
    *ret_first = (uint32_t)from;
    *ret_last = (uint32_t)to;
    return true;
}

int tly_cpu_list_count(struct tly_text text, int64_t *ret_count)
{
    int64_t count = 0;
    uint32_t first = 0;
    uint32_t last = 0;
    while (tly_cpu_list_next(&text, &first, &last)) {
        count += (int64_t)last - first + 1;
    }
    if (count == 0 || text.at != NULL) {
        return TLY_E_MALFORMED;
    }
    *ret_count = count;
    return 0;
}

#define FIELD_START     22
#define FIELD_AFTER_CMD 3

int tly_process_start_parse(struct tly_text stat, int64_t *ret_ticks)
{
    /* Field 2 is in parentheses and may hold some itself: the last one closes it. */
    const char *close = stat.len == 0 ? NULL : memrchr(stat.at, ')', stat.len);
    size_t before = close == NULL ? stat.len : (size_t)(close - stat.at) + 2;
    if (before >= stat.len) {
        return TLY_E_MALFORMED;
    }
    struct tly_text rest = {stat.at + before, stat.len - before};
    for (int field = FIELD_AFTER_CMD; rest.at != NULL; field++) {
        struct tly_text word = tly_text_cut(&rest, ' ');
        if (field == FIELD_START) {
            return tly_text_i64(word, ret_ticks) < 0 ? TLY_E_MALFORMED : 0;
        }
    }
    return TLY_E_MALFORMED;
}

/* The next word of a line whose words stand apart by one or more blanks; empty at its end. */
static struct tly_text word_cut(struct tly_text *line)
{
    struct tly_text word = {NULL, 0};
    while (word.len == 0 && line->at != NULL) {
        word = tly_text_cut(line, ' ');
    }
    return word;
}

static int number_cut(struct tly_text *line, int64_t *ret_number)
{
    int64_t number = 0;
    if (tly_text_i64(word_cut(line), &number) < 0 || number < 0) {
        return TLY_E_MALFORMED;
    }
    *ret_number = number;
    return 0;
}

/* "cpu" for the sum, "cpu12" for one. */
static bool cpu_name_parse(struct tly_text word, int64_t *ret_cpu)
{
    const struct tly_text prefix = TLY_TEXT("cpu");
    if (!tly_text_starts(word, prefix)) {
        return false;
    }
    struct tly_text number = {word.at + prefix.len, word.len - prefix.len};
    if (number.len == 0) {
        *ret_cpu = -1;
        return true;
    }
    return tly_text_i64(number, ret_cpu) == 0 && *ret_cpu >= 0;
}

bool tly_cpu_times_next(struct tly_text *rest, struct tly_cpu_times *ret_times)
{
    while (rest->at != NULL) {
        struct tly_text line = tly_text_cut(rest, '\n');
        struct tly_cpu_times times;
        if (!cpu_name_parse(word_cut(&line), &times.cpu)) {
            continue;
        }
        for (int mode = 0; mode < TLY_CPU_MODES; mode++) {
            if (number_cut(&line, &times.ticks[mode]) < 0) {
                times.ticks[mode] = -1;
            }
        }
        *ret_times = times;
        return true;
    }
    return false;
}

bool tly_disk_next(struct tly_text *rest, struct tly_disk *ret_disk)
{
    while (rest->at != NULL) {
        struct tly_text line = tly_text_cut(rest, '\n');
        struct tly_disk disk = {0};
        int64_t major = 0;
        int64_t minor = 0;
        int rc = number_cut(&line, &major);
        rc = rc < 0 ? rc : number_cut(&line, &minor);
        disk.name = word_cut(&line);
        int64_t *const numbers[] = {
            &disk.reads,       &disk.reads_merged,  &disk.sectors_read,    &disk.read_ms,
            &disk.writes,      &disk.writes_merged, &disk.sectors_written, &disk.write_ms,
            &disk.in_progress, &disk.busy_ms,       &disk.weighted_ms,
        };
        for (size_t i = 0; rc == 0 && i < sizeof(numbers) / sizeof(numbers[0]); i++) {
            rc = number_cut(&line, numbers[i]);
        }
        if (rc == 0 && disk.name.len > 0 && major <= UINT32_MAX && minor <= UINT32_MAX) {
            disk.major = (uint32_t)major;
            disk.minor = (uint32_t)minor;
            *ret_disk = disk;
            return true;
        }
    }
    return false;
}

int tly_cache_size_parse(struct tly_text text, int64_t *ret_bytes)
{
    static const struct {
        char letter;
        int64_t factor;
    } units[] = {{'K', 1024}, {'M', 1024 * 1024}};
    text = tly_text_trim(text);
    int64_t factor = 1;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (text.len > 0 && text.at[text.len - 1] == units[i].letter) {
            factor = units[i].factor;
            text.len--;
            break;
        }
    }
    int64_t size = 0;
    if (tly_text_i64(text, &size) < 0 || size < 0 || size > INT64_MAX / factor) {
        return TLY_E_MALFORMED;
    }
    *ret_bytes = size * factor;
    return 0;
}
