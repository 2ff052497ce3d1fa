/*
 * msgpack to JSON, straight from the reader's parts to text. Strings are the bulk: they are copied
 * in runs between the bytes that JSON wants escaped.
 */
#include "agent/codec/record_json.h"

#include "agent/base/clock.h"
#include "agent/base/random.h"
#include "agent/codec/record_reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The most that one byte can become: a \u escape. Room is made for so much, but only for a slice of
 * a long text at a time. */
#define ESCAPED_BYTES_MAX 6
#define SLICE_BYTES       16384

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* What stands behind the backslash, 'u' for the long form; 0: the byte stands for itself. */
static const char escapes[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b',         't',           'n', 'u',
    'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u',         'u',           'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\',
};

static char *put_escape(char *to, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    char letter = escapes[byte];
    *to++ = '\\';
    *to++ = letter;
    if (letter == 'u') {
        *to++ = '0';
        *to++ = '0';
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 0xf];
    }
    return to;
}

static char *put_escaped(char *to, const char *at, const char *end)
{
    while (at < end) {
        const char *run = at;
        while (at < end && escapes[(unsigned char)*at] == 0) {
            at++;
        }
        memcpy(to, run, (size_t)(at - run));
        to += at - run;
        if (at < end) {
            to = put_escape(to, (unsigned char)*at++);
        }
    }
    return to;
}

static int append_escaped(struct tly_buf *buf, struct tly_text text)
{
    while (text.len > 0) {
        size_t slice = text.len < SLICE_BYTES ? text.len : SLICE_BYTES;
        char *at;
        int rc = tly_buf_reserve(buf, slice * ESCAPED_BYTES_MAX, &at);
        if (rc < 0) {
            return rc;
        }
        buf->len = (size_t)(put_escaped(at, text.at, text.at + slice) - buf->at);
        text.at += slice;
        text.len -= slice;
    }
    return 0;
}

int tly_record_json_text(struct tly_buf *buf, struct tly_text text, struct tly_json_style style)
{
    int rc = tly_buf_append_text(buf, TLY_TEXT("\""));
    while (rc == 0 && text.len > 0) {
        struct tly_text good = text;
        good.len = style.raw_bytes ? text.len : tly_text_utf8_prefix(text);
        rc = append_escaped(buf, good);
        text.at += good.len;
        text.len -= good.len;
        if (rc == 0 && text.len > 0) {
            rc = tly_buf_append(buf, replacement, sizeof(replacement) - 1);
            text.at++;
            text.len--;
        }
    }
    return rc < 0 ? rc : tly_buf_append_text(buf, TLY_TEXT("\""));
}

int tly_record_json_time(struct tly_buf *buf, int64_t ns)
{
    char text[TLY_TIME_TEXT_MAX];
    tly_time_format(ns, text);
    return tly_buf_printf(buf, "\"%s\"", text);
}

/* The fewest digits that read back as the same number. */
static int append_real(struct tly_buf *buf, const struct tly_value *value)
{
    enum { DIGITS_SINGLE = 6, DIGITS_DOUBLE = 15, DIGITS_EXACT = 17, TEXT_MAX = 40 };
    char text[TEXT_MAX];
    if (!isfinite(value->real)) {
        return tly_buf_append_text(buf, TLY_TEXT("null"));
    }
    for (int digits = value->single ? DIGITS_SINGLE : DIGITS_DOUBLE; digits <= DIGITS_EXACT;
         digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value->real);
        double back = strtod(text, NULL);
        if (value->single ? (float)back == (float)value->real : back == value->real) {
            break;
        }
    }
    return tly_buf_append_text(buf, tly_text_of(text));
}

static int append_integer(struct tly_buf *buf, int64_t value)
{
    char *at;
    int rc = tly_buf_reserve(buf, TLY_DECIMAL_MAX, &at);
    if (rc == 0) {
        buf->len += tly_decimal_write(at, value, 0);
    }
    return rc;
}

static int append_ext(struct tly_buf *buf, const struct tly_value *value)
{
    int64_t ns;
    if (tly_value_time(value, &ns) == 0) {
        return tly_record_json_time(buf, ns);
    }
    int rc = tly_buf_printf(buf, "{\"type\":%d,\"data\":\"", value->ext_type);
    char *at;
    size_t len = 4 * ((value->bytes.len + 2) / 3);
    rc = rc < 0 ? rc : tly_buf_reserve(buf, len + 1, &at);
    if (rc < 0) {
        return rc;
    }
    tly_base64_write(value->bytes.at, value->bytes.len, at);
    buf->len += len;
    return tly_buf_append_text(buf, TLY_TEXT("\"}"));
}

static int append_scalar(struct tly_buf *buf, const struct tly_value *value,
                         struct tly_json_style style)
{
    switch (value->type) {
    case TLY_VALUE_NIL:
        return tly_buf_append_text(buf, TLY_TEXT("null"));
    case TLY_VALUE_BOOL:
        return tly_buf_append_text(buf, value->truth ? TLY_TEXT("true") : TLY_TEXT("false"));
    case TLY_VALUE_INT:
        return append_integer(buf, value->integer);
    case TLY_VALUE_UINT:
        return tly_buf_printf(buf, "%" PRIu64, value->natural);
    case TLY_VALUE_FLOAT:
        return append_real(buf, value);
    case TLY_VALUE_STR:
    case TLY_VALUE_BIN:
        return tly_record_json_text(buf, value->bytes, style);
    case TLY_VALUE_EXT:
        return append_ext(buf, value);
    case TLY_VALUE_ARRAY:
    case TLY_VALUE_MAP:
        break; /* the caller's, as they have members */
    }
    return TLY_E_MALFORMED;
}

/* A map's key and the colon. JSON has only strings there. */
static int append_key(struct tly_buf *buf, struct tly_text *rest, struct tly_json_style style)
{
    struct tly_text bytes;
    struct tly_value key;
    int rc = tly_value_whole(rest, &key, &bytes);
    if (rc < 0) {
        return rc;
    }
    if (key.type == TLY_VALUE_ARRAY || key.type == TLY_VALUE_MAP) {
        rc = tly_buf_append_text(buf, key.type == TLY_VALUE_MAP ? TLY_TEXT("\"{}\"")
                                                                : TLY_TEXT("\"[]\""));
    } else if (tly_value_is_text(&key)) {
        rc = append_scalar(buf, &key, style);
    } else {
        struct tly_buf text;
        tly_buf_init(&text, buf->max);
        rc = append_scalar(&text, &key, style);
        rc = rc < 0 ? rc : tly_record_json_text(buf, tly_buf_text(&text), style);
        tly_buf_done(&text);
    }
    return rc < 0 ? rc : tly_buf_append_text(buf, TLY_TEXT(":"));
}

static int append_value(struct tly_buf *buf, struct tly_text *rest, struct tly_json_style style,
                        unsigned depth)
{
    struct tly_value value;
    int rc = tly_value_next(rest, &value);
    bool is_map = rc == 0 && value.type == TLY_VALUE_MAP;
    if (rc < 0 || (!is_map && value.type != TLY_VALUE_ARRAY)) {
        return rc < 0 ? rc : append_scalar(buf, &value, style);
    }
    if (depth == TLY_RECORD_DEPTH_MAX) {
        return TLY_E_LIMIT;
    }
    rc = tly_buf_append_text(buf, is_map ? TLY_TEXT("{") : TLY_TEXT("["));
    for (uint32_t i = 0; rc == 0 && i < value.count; i++) {
        if (i > 0) {
            rc = tly_buf_append_text(buf, TLY_TEXT(","));
        }
        if (rc == 0 && is_map) {
            rc = append_key(buf, rest, style);
        }
        rc = rc < 0 ? rc : append_value(buf, rest, style, depth + 1);
    }
    return rc < 0 ? rc : tly_buf_append_text(buf, is_map ? TLY_TEXT("}") : TLY_TEXT("]"));
}

int tly_record_json(struct tly_buf *buf, struct tly_text value, struct tly_json_style style)
{
    return append_value(buf, &value, style, 0);
}
