/*
 * From JSON text to msgpack. The heads of objects and arrays stand before their members, so each
 * takes its widest form and is filled in at the end; the head of a string is chosen by the length
 * of its escaped form, which the text never passes. Pure; owns nothing.
 */
#include "agent/codec/json_fields.h"

#include "agent/codec/json_text.h"
#include "agent/codec/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* No value grows more under packing than `[]`, which becomes five bytes; as many arrays as can be
 * open may never be closed. */
#define ROOM(len) (3 * (len) + TLY_JSON_FIELDS_DEPTH_MAX * TLY_RECORD_HEAD_MAX + TLY_RECORD_INT_MAX)

struct level {
    char *head; /* of the array or map, to be filled in */
    uint32_t count;
    bool is_map;
};

struct packer {
    const char *at;
    const char *end;
    char *to;
    struct level levels[TLY_JSON_FIELDS_DEPTH_MAX]; /* the first is the object itself */
    size_t depth;
    tly_json_taken_fn taken;
    const void *arg;
    char *member; /* where the member of the object itself began that is being read */
    bool leave_out;
    uint32_t left_out;
};

static void skip_blanks(struct packer *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\t' || *in->at == '\r' || *in->at == '\n')) {
        in->at++;
    }
}

static bool eat(struct packer *in, char c)
{
    if (in->at == in->end || *in->at != c) {
        return false;
    }
    in->at++;
    return true;
}

static bool eat_word(struct packer *in, struct tly_text word)
{
    if (!tly_text_starts((struct tly_text){in->at, (size_t)(in->end - in->at)}, word)) {
        return false;
    }
    in->at += word.len;
    return true;
}

/* ---- scalars ---- */

/* Length of the string from here to its closing quote, as it stands in the line. */
static size_t escaped_len(const struct packer *in)
{
    const char *at = in->at;
    while ((at = memchr(at, '"', (size_t)(in->end - at))) != NULL) {
        const char *before = at;
        while (before > in->at && before[-1] == '\\') {
            before--;
        }
        if ((at - before) % 2 == 0) {
            return (size_t)(at - in->at);
        }
        at++;
    }
    return (size_t)(in->end - in->at);
}

/* From behind the opening quote. */
static int put_string(struct packer *in, struct tly_text *ret_text)
{
    size_t head = (size_t)(tly_record_put_str_head(in->to, (uint32_t)escaped_len(in)) - in->to);
    char *text = in->to + head;
    char *end = tly_json_unescape(&in->at, in->end, text);
    if (!end) {
        return TLY_E_MALFORMED;
    }
    size_t len = (size_t)(end - text);
    char *behind = tly_record_put_str_head(in->to, (uint32_t)len);
    if (behind != text) { /* escapes took so much of it that a shorter head does */
        memmove(behind, text, len);
    }
    in->to = behind + len;
    *ret_text = (struct tly_text){behind, len};
    return 0;
}

/* -0 is no whole number: its sign would be lost. */
static bool is_whole(struct tly_text number)
{
    return !memchr(number.at, '.', number.len) && !memchr(number.at, 'e', number.len) &&
           !memchr(number.at, 'E', number.len) && !tly_text_equal(number, TLY_TEXT("-0"));
}

static int digits(struct packer *in)
{
    const char *from = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9') {
        in->at++;
    }
    return in->at > from ? 0 : TLY_E_MALFORMED;
}

/* RFC 8259, section 6. */
static int scan_number(struct packer *in)
{
    (void)eat(in, '-'); /* there may be one */
    int rc = eat(in, '0') ? 0 : digits(in);
    if (rc == 0 && eat(in, '.')) {
        rc = digits(in);
    }
    if (rc == 0 && (eat(in, 'e') || eat(in, 'E'))) {
        (void)(eat(in, '+') || eat(in, '-')); /* there may be one */
        rc = digits(in);
    }
    return rc;
}

static int put_number(struct packer *in)
{
    char text[TLY_JSON_FIELDS_NUMBER_MAX + 1];
    struct tly_text number = {in->at, 0};
    int64_t integer;
    uint64_t natural;
    int rc = scan_number(in);
    number.len = (size_t)(in->at - number.at);
    if (rc < 0) {
        return rc;
    }
    if (number.len > TLY_JSON_FIELDS_NUMBER_MAX) {
        return TLY_E_LIMIT;
    }
    if (is_whole(number) && tly_text_i64(number, &integer) == 0) {
        in->to = tly_record_put_int(in->to, integer);
    } else if (is_whole(number) && tly_text_u64(number, &natural) == 0) {
        in->to = tly_record_put_uint(in->to, natural);
    } else {
        memcpy(text, number.at, number.len);
        text[number.len] = '\0';
        double real = strtod(text, NULL);
        in->to = tly_record_put_float(in->to, real);
        return isfinite(real) ? 0 : TLY_E_LIMIT;
    }
    return 0;
}

static int put_scalar(struct packer *in)
{
    struct tly_text text;
    if (eat(in, '"')) {
        return put_string(in, &text);
    }
    if (eat_word(in, TLY_TEXT("true"))) {
        in->to = tly_record_put_bool(in->to, true);
    } else if (eat_word(in, TLY_TEXT("false"))) {
        in->to = tly_record_put_bool(in->to, false);
    } else if (eat_word(in, TLY_TEXT("null"))) {
        in->to = tly_record_put_nil(in->to);
    } else {
        return put_number(in);
    }
    return 0;
}

/* ---- objects and arrays ---- */

/* The next member's name, through its colon. */
static int put_name(struct packer *in)
{
    struct tly_text name;
    char *member = in->to;
    skip_blanks(in);
    if (!eat(in, '"')) {
        return TLY_E_MALFORMED;
    }
    int rc = put_string(in, &name);
    if (rc < 0) {
        return rc;
    }
    if (in->depth == 1) {
        in->member = member;
        in->leave_out = in->taken && in->taken(in->arg, name);
    }
    skip_blanks(in);
    return eat(in, ':') ? 0 : TLY_E_MALFORMED;
}

/* Behind the opening bracket. 1: nothing is in it, and it is closed already. */
static int open_level(struct packer *in, bool is_map)
{
    if (in->depth == TLY_JSON_FIELDS_DEPTH_MAX) {
        return TLY_E_LIMIT;
    }
    in->levels[in->depth++] = (struct level){in->to, 0, is_map};
    if (in->depth > 1) {
        in->to += TLY_RECORD_HEAD_MAX;
    }
    skip_blanks(in);
    if (eat(in, is_map ? '}' : ']')) {
        return 1;
    }
    return is_map ? put_name(in) : 0;
}

static void close_level(struct packer *in)
{
    const struct level *level = &in->levels[--in->depth];
    if (in->depth > 0) {
        tly_record_put_wide_head(level->head, level->is_map, level->count);
    }
}

static void count_value(struct packer *in)
{
    if (in->depth == 1 && in->leave_out) {
        in->to = in->member;
        in->left_out++;
        return;
    }
    in->levels[in->depth - 1].count++;
}

/* Behind a value: through what follows it, up to the next value. 1: the object is at its end. */
static int go_on(struct packer *in)
{
    for (;;) {
        const struct level *level = &in->levels[in->depth - 1];
        count_value(in);
        skip_blanks(in);
        if (eat(in, ',')) {
            return level->is_map ? put_name(in) : 0;
        }
        if (!eat(in, level->is_map ? '}' : ']')) {
            return TLY_E_MALFORMED;
        }
        close_level(in);
        if (in->depth == 0) {
            return 1;
        }
    }
}

/* One value with all that is in it may take several calls. 1: the object is at its end. */
static int step(struct packer *in)
{
    skip_blanks(in);
    bool is_map = eat(in, '{');
    if (!is_map && !eat(in, '[')) {
        int rc = put_scalar(in);
        return rc < 0 ? rc : go_on(in);
    }
    int rc = open_level(in, is_map);
    if (rc == 1) {
        close_level(in);
        rc = go_on(in);
    }
    return rc;
}

int tly_json_fields_pack(struct tly_text line, tly_json_taken_fn taken, const void *arg,
                         struct tly_buf *to, struct tly_json_fields *ret_fields)
{
    struct packer in = {.at = line.at, .end = line.at + line.len, .taken = taken, .arg = arg};
    skip_blanks(&in);
    if (!eat(&in, '{')) {
        return TLY_E_MALFORMED;
    }
    int rc = tly_buf_reserve(to, ROOM(line.len), &in.to);
    if (rc < 0) {
        return rc;
    }
    for (rc = open_level(&in, true); rc == 0;) {
        rc = step(&in);
    }
    skip_blanks(&in);
    if (rc < 0 || in.at < in.end) {
        return rc < 0 ? rc : TLY_E_MALFORMED;
    }
    to->len = (size_t)(in.to - to->at);
    *ret_fields = (struct tly_json_fields){in.levels[0].count, in.left_out};
    return 0;
}
