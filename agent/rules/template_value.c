/*
 * Values of templates as Go treats them: truth, types, and the texts that fmt makes of them.
 */
#include "agent/rules/labels.h"
#include "agent/rules/number.h"
#include "agent/rules/template_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool tly_template_truth(const struct tly_template_value *value)
{
    switch (value->kind) {
    case TLY_VALUE_BOOL:
        return value->boolean;
    case TLY_VALUE_INT:
        return value->integer != 0;
    case TLY_VALUE_FLOAT:
        return value->number != 0; /* NaN is true, as in Go */
    case TLY_VALUE_STRING:
        return value->string.len > 0;
    case TLY_VALUE_LABELS:
        return value->labels.count > 0;
    case TLY_VALUE_VECTOR:
        return value->vector.count > 0;
    case TLY_VALUE_ARGS:
        return value->args.count > 0;
    case TLY_VALUE_SAMPLE:
    case TLY_VALUE_DATA:
        return true;
    case TLY_VALUE_NIL:
        break;
    }
    return false;
}

const char *tly_template_type(const struct tly_template_value *value)
{
    static const char *const names[] = {
        [TLY_VALUE_NIL] = "nil",
        [TLY_VALUE_BOOL] = "bool",
        [TLY_VALUE_INT] = "int",
        [TLY_VALUE_FLOAT] = "float64",
        [TLY_VALUE_STRING] = "string",
        [TLY_VALUE_LABELS] = "map[string]string",
        [TLY_VALUE_SAMPLE] = "*template.sample",
        [TLY_VALUE_VECTOR] = "template.queryResult",
        [TLY_VALUE_DATA] = "struct",
        [TLY_VALUE_ARGS] = "map[string]interface {}",
    };
    return names[value->kind];
}

static int print_labels(struct tly_buf *buf, const struct tly_alert_pair *pairs, size_t count)
{
    int rc = tly_buf_append_text(buf, TLY_TEXT("map["));
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = i > 0 ? tly_buf_append(buf, " ", 1) : 0;
        rc = rc < 0 ? rc : tly_buf_append_text(buf, pairs[i].name);
        rc = rc < 0 ? rc : tly_buf_append(buf, ":", 1);
        rc = rc < 0 ? rc : tly_buf_append_text(buf, pairs[i].value);
    }
    return rc < 0 ? rc : tly_buf_append(buf, "]", 1);
}

static int print_sample(struct tly_buf *buf, const struct tly_template_sample *sample)
{
    char number[TLY_NUMBER_TEXT_MAX];
    int rc = tly_buf_append(buf, "{", 1);
    rc = rc < 0 ? rc : print_labels(buf, sample->labels, sample->label_count);
    size_t len = tly_number_format_general(sample->value, number);
    rc = rc < 0 ? rc : tly_buf_append(buf, " ", 1);
    rc = rc < 0 ? rc : tly_buf_append(buf, number, len);
    return rc < 0 ? rc : tly_buf_append(buf, "}", 1);
}

int tly_template_print(struct tly_buf *buf, const struct tly_template_value *value)
{
    char number[TLY_NUMBER_TEXT_MAX];
    int rc = 0;
    switch (value->kind) {
    case TLY_VALUE_NIL:
        return tly_buf_append_text(buf, TLY_TEXT("<no value>"));
    case TLY_VALUE_BOOL:
        return tly_buf_append_text(buf, value->boolean ? TLY_TEXT("true") : TLY_TEXT("false"));
    case TLY_VALUE_INT:
        return tly_buf_printf(buf, "%lld", (long long)value->integer);
    case TLY_VALUE_FLOAT:
        return tly_buf_append(buf, number, tly_number_format_general(value->number, number));
    case TLY_VALUE_STRING:
        return tly_buf_append_text(buf, value->string);
    case TLY_VALUE_LABELS:
        return print_labels(buf, value->labels.at, value->labels.count);
    case TLY_VALUE_SAMPLE:
        return print_sample(buf, value->sample);
    case TLY_VALUE_VECTOR:
        rc = tly_buf_append(buf, "[", 1);
        for (size_t i = 0; rc == 0 && i < value->vector.count; i++) {
            rc = i > 0 ? tly_buf_append(buf, " ", 1) : 0;
            rc = rc < 0 ? rc : print_sample(buf, &value->vector.at[i]);
        }
        return rc < 0 ? rc : tly_buf_append(buf, "]", 1);
    case TLY_VALUE_DATA:
    case TLY_VALUE_ARGS:
        break;
    }
    return tly_buf_append_text(buf, TLY_TEXT("{...}"));
}

/* ---- Sprintf ---- */

struct verb {
    bool plus, minus, sharp, space, zero;
    int width, precision; /* -1: none */
    char letter;
};

/* Widths in fmt are characters. */
static size_t runes(struct tly_text text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += ((unsigned char)text.at[i] & 0xc0) != 0x80;
    }
    return count;
}

static int pad(struct tly_buf *buf, const struct verb *verb, struct tly_text text, bool zero)
{
    size_t len = runes(text);
    size_t width = verb->width > 0 ? (size_t)verb->width : 0;
    size_t fill = width > len ? width - len : 0;
    int rc = 0;
    if (zero && fill > 0 && text.len > 0 && (text.at[0] == '-' || text.at[0] == '+')) {
        rc = tly_buf_append(buf, text.at, 1);
        text = (struct tly_text){text.at + 1, text.len - 1};
    }
    for (size_t i = 0; rc == 0 && !verb->minus && i < fill; i++) {
        rc = tly_buf_append(buf, zero ? "0" : " ", 1);
    }
    rc = rc < 0 ? rc : tly_buf_append_text(buf, text);
    for (size_t i = 0; rc == 0 && verb->minus && i < fill; i++) {
        rc = tly_buf_append(buf, " ", 1);
    }
    return rc;
}

/* `%!d(string=hi)` */
static int wrong(struct tly_buf *buf, const struct verb *verb,
                 const struct tly_template_value *value)
{
    int rc = tly_buf_printf(buf, "%%!%c(%s=", verb->letter, tly_template_type(value));
    rc = rc < 0 ? rc : tly_template_print(buf, value);
    return rc < 0 ? rc : tly_buf_append(buf, ")", 1);
}

static int put_float(struct tly_buf *buf, const struct verb *verb, double value)
{
    char text[512];
    char general[TLY_NUMBER_TEXT_MAX];
    const char letter = verb->letter == 'v' ? 'g' : verb->letter;
    bool odd = isnan(value) || isinf(value);
    if (odd) {
        (void)snprintf(text, sizeof(text), "%s",
                       isnan(value) ? (verb->plus ? "+NaN" : "NaN")
                       : value > 0  ? "+Inf"
                                    : "-Inf");
    } else if (verb->precision < 0 && (letter == 'g' || letter == 'G')) {
        size_t len = tly_number_format_general(value, general);
        (void)snprintf(text, sizeof(text), "%s%.*s", verb->plus && !signbit(value) ? "+" : "",
                       (int)len, general);
    } else {
        int precision = verb->precision < 0 ? 6 : verb->precision;
        char format[16];
        (void)snprintf(format, sizeof(format), "%%%s.*%c", verb->plus ? "+" : "", letter);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(text, sizeof(text), format, precision, value); /* cut is fine */
#pragma GCC diagnostic pop
    }
    return pad(buf, verb, tly_text_of(text), verb->zero && !odd);
}

static int put_int(struct tly_buf *buf, const struct verb *verb, int64_t value)
{
    char text[80];
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    const char *sign = value < 0 ? "-" : verb->plus ? "+" : verb->space ? " " : "";
    switch (verb->letter) {
    case 'x':
        (void)snprintf(text, sizeof(text), "%s%s%llx", sign, verb->sharp ? "0x" : "",
                       (unsigned long long)size);
        break;
    case 'X':
        (void)snprintf(text, sizeof(text), "%s%s%llX", sign, verb->sharp ? "0X" : "",
                       (unsigned long long)size);
        break;
    case 'o':
        (void)snprintf(text, sizeof(text), "%s%llo", sign, (unsigned long long)size);
        break;
    default:
        (void)snprintf(text, sizeof(text), "%s%llu", sign, (unsigned long long)size);
        break;
    }
    return pad(buf, verb, tly_text_of(text), verb->zero);
}

/* As many characters as the precision allows. */
static struct tly_text cut(struct tly_text text, int precision)
{
    size_t i = 0;
    for (int count = 0; i < text.len; i++) {
        bool start = ((unsigned char)text.at[i] & 0xc0) != 0x80;
        if (start && count++ == precision) {
            break;
        }
    }
    return (struct tly_text){text.at, i};
}

static int put_text(struct tly_buf *buf, const struct verb *verb,
                    const struct tly_template_value *value)
{
    struct tly_buf text;
    tly_buf_init(&text, TLY_TEMPLATE_OUT_MAX);
    int rc = 0;
    if (verb->letter == 'q') {
        rc = tly_quoted_append(&text, value->string);
    } else if (verb->letter == 'x' || verb->letter == 'X') {
        for (size_t i = 0; rc == 0 && i < value->string.len; i++) {
            rc = tly_buf_printf(&text, verb->letter == 'x' ? "%02x" : "%02X",
                                (unsigned char)value->string.at[i]);
        }
    } else {
        rc = tly_template_print(&text, value);
    }
    struct tly_text whole = text.at ? tly_buf_text(&text) : TLY_TEXT("");
    if (verb->precision >= 0 && value->kind == TLY_VALUE_STRING) {
        whole = cut(whole, verb->precision);
    }
    rc = rc < 0 ? rc : pad(buf, verb, whole, false);
    tly_buf_done(&text);
    return rc;
}

static int put(struct tly_buf *buf, const struct verb *verb, const struct tly_template_value *value)
{
    char letter = verb->letter;
    if (letter == 'T') {
        const struct tly_template_value name = tly_template_string(
            tly_text_of(tly_template_type(value)));
        return put_text(buf, verb, &name);
    }
    if (value->kind == TLY_VALUE_FLOAT && strchr("veEfFgG", letter)) {
        return put_float(buf, verb, value->number);
    }
    if (value->kind == TLY_VALUE_INT && strchr("vdxXo", letter)) {
        return put_int(buf, verb, value->integer);
    }
    if (value->kind == TLY_VALUE_STRING && strchr("vsqxX", letter)) {
        return put_text(buf, verb, value);
    }
    if (value->kind == TLY_VALUE_BOOL && strchr("vt", letter)) {
        return put_text(buf, verb, value);
    }
    if (value->kind > TLY_VALUE_STRING && letter == 'v') {
        return put_text(buf, verb, value);
    }
    if (value->kind == TLY_VALUE_NIL) {
        return tly_buf_append_text(buf, letter == 'v' ? TLY_TEXT("<nil>") : TLY_TEXT("%!s(<nil>)"));
    }
    return wrong(buf, verb, value);
}

/* A number of the format, small enough to be a width. */
static int read_count(struct tly_text format, size_t *at)
{
    int count = 0;
    while (*at < format.len && format.at[*at] >= '0' && format.at[*at] <= '9') {
        count = count < 1000 ? count * 10 + (format.at[*at] - '0') : 1000;
        (*at)++;
    }
    return count;
}

static struct verb read_verb(struct tly_text format, size_t *at)
{
    struct verb verb = {.precision = -1};
    for (; *at < format.len && strchr("+-# 0", format.at[*at]); (*at)++) {
        verb.plus = verb.plus || format.at[*at] == '+';
        verb.minus = verb.minus || format.at[*at] == '-';
        verb.sharp = verb.sharp || format.at[*at] == '#';
        verb.space = verb.space || format.at[*at] == ' ';
        verb.zero = verb.zero || format.at[*at] == '0';
    }
    verb.zero = verb.zero && !verb.minus;
    verb.width = read_count(format, at);
    if (*at < format.len && format.at[*at] == '.') {
        (*at)++;
        verb.precision = read_count(format, at);
        verb.precision = verb.precision > 100 ? 100 : verb.precision;
    }
    verb.letter = *at < format.len ? format.at[(*at)++] : '\0';
    return verb;
}

/* What fmt says of arguments that no verb took. */
static int put_extra(struct tly_buf *buf, const struct tly_template_value *args, size_t count)
{
    int rc = count > 0 ? tly_buf_append_text(buf, TLY_TEXT("%!(EXTRA ")) : 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = tly_buf_printf(buf, "%s%s=", i > 0 ? ", " : "", tly_template_type(&args[i]));
        rc = rc < 0 ? rc : tly_template_print(buf, &args[i]);
    }
    return rc < 0 || count == 0 ? rc : tly_buf_append(buf, ")", 1);
}

int tly_template_printf(struct tly_template_run *run, struct tly_text format,
                        const struct tly_template_value *args, size_t count, struct tly_buf *buf)
{
    size_t next = 0;
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < format.len;) {
        const char *percent = memchr(format.at + at, '%', format.len - at);
        size_t plain = percent ? (size_t)(percent - format.at) - at : format.len - at;
        rc = tly_buf_append(buf, format.at + at, plain);
        at += plain;
        if (rc < 0 || !percent) {
            break;
        }
        at++;
        struct verb verb = read_verb(format, &at);
        if (verb.letter == '%') {
            rc = tly_buf_append(buf, "%", 1);
        } else if (verb.letter == '\0') {
            rc = tly_buf_append_text(buf, TLY_TEXT("%!(NOVERB)"));
        } else if (verb.letter == '*') {
            return tly_template_fail(run, TLY_E_REFUSED, "printf: a width of `*` is left out");
        } else if (next >= count) {
            rc = tly_buf_printf(buf, "%%!%c(MISSING)", verb.letter);
        } else {
            rc = put(buf, &verb, &args[next++]);
        }
    }
    rc = rc < 0 ? rc : put_extra(buf, args + next, count - next);
    return rc < 0 ? tly_template_fail(run, rc, "printf: the result is too long") : 0;
}
