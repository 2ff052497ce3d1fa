/*
 * The splitter of JSON streams; see json_split.h. It knows strings and nesting and nothing else of
 * JSON: whether a value is well formed is for the parser behind it to say.
 */
#include "agent/codec/json_split.h"

#include <string.h>

enum { ARRAY_AWAITED, ARRAY_INSIDE, ARRAY_ENDED };

#define RECORD_SEPARATOR 0x1e

void tly_json_split_init(struct tly_json_split *split, enum tly_json_split_form form,
                         size_t value_max)
{
    *split = (struct tly_json_split){.form = form};
    tly_buf_init(&split->held, value_max);
}

void tly_json_split_done(struct tly_json_split *split)
{
    tly_buf_done(&split->held);
}

/* Back to between values. */
static void settle(struct tly_json_split *split)
{
    tly_buf_clear(&split->held);
    split->depth = 0;
    split->value_len = 0;
    split->in_string = split->escaped = split->skipping = split->garbage = false;
}

void tly_json_split_clear(struct tly_json_split *split)
{
    if (split->depth > 0 && !split->skipping) {
        split->malformed++;
    }
    settle(split);
    split->array = ARRAY_AWAITED;
}

bool tly_json_split_complete(const struct tly_json_split *split)
{
    return split->depth == 0 && (split->form == TLY_JSON_VALUES || split->array == ARRAY_ENDED);
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == RECORD_SEPARATOR;
}

/* One byte between values. Garbage is counted once per run. */
static void step_between(struct tly_json_split *split, char byte)
{
    bool elements = split->form == TLY_JSON_ELEMENTS;
    if (is_space(byte) || (elements && split->array == ARRAY_INSIDE && byte == ',')) {
        split->garbage = false;
        return;
    }
    if (elements && split->array == ARRAY_AWAITED && byte == '[') {
        split->array = ARRAY_INSIDE;
        return;
    }
    if (elements && split->array == ARRAY_INSIDE && byte == ']') {
        split->array = ARRAY_ENDED;
        return;
    }
    bool welcome = !elements || split->array == ARRAY_INSIDE;
    if (welcome && (byte == '{' || byte == '[')) {
        split->depth = 1;
        split->garbage = false;
        return;
    }
    if (!split->garbage) {
        split->garbage = true;
        split->malformed++;
    }
}

/* One byte inside a value. False: the value broke off before this byte, which belongs to no value
 * or to the next. */
static bool step_inside(struct tly_json_split *split, char byte)
{
    if (byte == RECORD_SEPARATOR || (split->in_string && byte == '\n')) {
        return false; /* neither can stand in a value: its end got lost */
    }
    if (split->escaped) {
        split->escaped = false;
    } else if (split->in_string) {
        split->escaped = byte == '\\';
        split->in_string = byte != '"';
    } else if (byte == '"') {
        split->in_string = true;
    } else if (byte == '{' || byte == '[') {
        split->depth++;
    } else if (byte == '}' || byte == ']') {
        split->depth--;
    }
    return true;
}

/* Runs from `at` to the end of the value or of the input; the count of bytes that belong to it. */
static size_t scan(struct tly_json_split *split, const char *at, size_t len, bool *ret_broken)
{
    *ret_broken = false;
    for (size_t i = 0; i < len; i++) {
        if (!step_inside(split, at[i])) {
            *ret_broken = true;
            return i;
        }
        if (split->depth == 0) {
            return i + 1;
        }
    }
    return len;
}

/* Keeps `part` of a value for later; what finds no room is skipped from here on. */
static void hold(struct tly_json_split *split, struct tly_text part)
{
    if (split->skipping) {
        return;
    }
    if (tly_buf_append_text(&split->held, part) < 0) {
        split->skipping = true;
        split->oversized++;
        tly_buf_clear(&split->held);
    }
}

/* A value ended with `part`. */
static int give(struct tly_json_split *split, struct tly_text part,
                int (*value)(void *arg, struct tly_text json), void *arg)
{
    int rc = 0;
    if (split->held.len > 0 || split->skipping || part.len > split->held.max) {
        hold(split, part);
        if (!split->skipping) {
            rc = value(arg, tly_buf_text(&split->held));
        }
    } else {
        rc = value(arg, part); /* whole in one piece: no copy */
    }
    settle(split);
    return rc;
}

int tly_json_split_feed(struct tly_json_split *split, struct tly_text bytes,
                        int (*value)(void *arg, struct tly_text json), void *arg)
{
    const char *at = bytes.at;
    size_t left = bytes.len;
    while (left > 0) {
        bool began = split->depth == 0;
        if (began) {
            step_between(split, *at);
            if (split->depth == 0) {
                at++;
                left--;
                continue;
            }
        }
        /* The opening bracket of a value that begins here was counted already. */
        size_t first = began ? 1 : 0;
        bool broken = false;
        size_t used = first + scan(split, at + first, left - first, &broken);
        if (broken) {
            split->malformed += split->skipping ? 0 : 1; /* counted as oversized already */
            settle(split);
        } else if (split->depth == 0) {
            int rc = give(split, (struct tly_text){at, used}, value, arg);
            if (rc != 0) {
                return rc;
            }
        } else {
            hold(split, (struct tly_text){at, used});
            split->value_len += used;
            if (split->value_len / TLY_JSON_SPLIT_RUNAWAY > split->held.max) {
                return TLY_E_LIMIT;
            }
        }
        at += used;
        left -= used;
    }
    return 0;
}
