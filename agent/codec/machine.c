/*
 * Parsers for the few files of /proc and /sys that tell of the host and of a process.
 */
#include "agent/codec/machine.h"

#include <string.h>

int64_t tly_meminfo_bytes(struct tly_text text, struct tly_text key)
{
    while (text.at != NULL) {
        struct tly_text line = tly_text_cut(&text, '\n');
        if (!tly_text_starts(line, key) || line.len <= key.len || line.at[key.len] != ':') {
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

int tly_cpu_list_count(struct tly_text text, int64_t *ret_count)
{
    int64_t count = 0;
    text = tly_text_trim(text);
    if (text.len == 0) {
        return TLY_E_MALFORMED;
    }
    while (text.at != NULL) {
        struct tly_text last = tly_text_cut(&text, ',');
        struct tly_text first = tly_text_cut(&last, '-');
        uint64_t from = 0;
        uint64_t to = 0;
        if (tly_text_u64(first, &from) < 0 || from > UINT32_MAX) {
            return TLY_E_MALFORMED;
        }
        to = from;
        if (last.at != NULL && (tly_text_u64(last, &to) < 0 || to > UINT32_MAX || to < from)) {
            return TLY_E_MALFORMED;
        }
        count += (int64_t)(to - from + 1);
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
