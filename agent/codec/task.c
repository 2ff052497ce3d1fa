/*
 * Parsers for the files of processes and threads.
 */
#include "agent/codec/task.h"

#include <string.h>

int tly_task_state_parse(struct tly_text stat, char *ret_state)
{
    /* Field 2 is in parentheses and may hold some itself: the last one closes it. */
    const char *close = stat.len == 0 ? NULL : memrchr(stat.at, ')', stat.len);
    size_t left = close == NULL ? 0 : (size_t)(stat.at + stat.len - close);
    if (left < 3 || close[1] != ' ') {
        return TLY_E_MALFORMED;
    }
    *ret_state = close[2];
    return 0;
}

int tly_task_schedule_parse(struct tly_text text, struct tly_task_schedule *ret_schedule)
{
    int64_t numbers[3];
    text = tly_text_trim(text);
    for (size_t i = 0; i < 3; i++) {
        if (text.at == NULL || tly_text_i64(tly_text_cut(&text, ' '), &numbers[i]) < 0 ||
            numbers[i] < 0) {
            return TLY_E_MALFORMED;
        }
    }
    *ret_schedule = (struct tly_task_schedule){numbers[0], numbers[1], numbers[2]};
    return 0;
}

/* The columns of /proc/<pid>/limits, which the kernel writes with "%-25s %-20s %-20s". */
#define NAME_WIDTH  25
#define VALUE_WIDTH 20
#define SOFT_AT     (NAME_WIDTH + 1)
#define HARD_AT     (SOFT_AT + VALUE_WIDTH + 1)

static struct tly_text column(struct tly_text line, size_t at, size_t width)
{
    if (line.len <= at) {
        return (struct tly_text){NULL, 0};
    }
    size_t left = line.len - at;
    return tly_text_trim((struct tly_text){line.at + at, left < width ? left : width});
}

static int limit_parse(struct tly_text text, int64_t *ret_limit)
{
    if (tly_text_equal(text, TLY_TEXT("unlimited"))) {
        *ret_limit = TLY_TASK_UNLIMITED;
        return 0;
    }
    return tly_text_i64(text, ret_limit) < 0 || *ret_limit < 0 ? TLY_E_MALFORMED : 0;
}

bool tly_task_limit_next(struct tly_text *rest, struct tly_task_limit *ret_limit)
{
    while (rest->at != NULL) {
        struct tly_text line = tly_text_cut(rest, '\n');
        struct tly_task_limit limit = {.name = column(line, 0, NAME_WIDTH)};
        if (limit.name.len > 0 &&
            limit_parse(column(line, SOFT_AT, VALUE_WIDTH), &limit.soft) == 0 &&
            limit_parse(column(line, HARD_AT, VALUE_WIDTH), &limit.hard) == 0) {
            *ret_limit = limit;
            return true;
        }
    }
    return false;
}
