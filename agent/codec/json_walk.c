/*
 * A JSON tokenizer that is fed in pieces; see json_walk.h. One state for each place at which a
 * piece may end. Strings are not checked for valid UTF-8: who shows them has to.
 */
#include "agent/codec/json_walk.h"

#include <string.h>

enum state {
    VALUE,       /* a value has to come */
    FIRST_VALUE, /* a value or the end of the array */
    FIRST_KEY,   /* a key or the end of the object */
    KEY,         /* a key has to come */
    COLON,       /* behind a key */
    NEXT,        /* behind a value: a comma or an end */
    STRING,
    ESCAPE,
    UNICODE,
    NUMBER,
    WORD,
    OVER,
    BROKEN,
};

void tly_json_walk_init(struct tly_json_walk *walk, tly_json_walk_fn tell, void *arg)
{
    *walk = (struct tly_json_walk){.tell = tell, .arg = arg, .state = VALUE};
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool in_object(const struct tly_json_walk *walk)
{
    return walk->depth > 0 && (walk->objects >> (walk->depth - 1) & 1);
}

static void tell(struct tly_json_walk *walk, enum tly_json_walk_type type)
{
    const struct tly_json_walk_event event = {
        .type = type,
        .depth = walk->depth,
        .text = {walk->text, walk->len},
        .cut = walk->cut,
    };
    walk->tell(walk->arg, &event);
}

static void begin_text(struct tly_json_walk *walk, int state, bool is_key)
{
    walk->state = state;
    walk->is_key = is_key;
    walk->len = 0;
    walk->cut = false;
    walk->surrogate = 0;
}

static void keep(struct tly_json_walk *walk, const char *bytes, size_t len)
{
    size_t room = sizeof(walk->text) - walk->len;
    if (walk->cut || len > room) {
        walk->cut = true; /* no half of a character */
        return;
    }
    memcpy(walk->text + walk->len, bytes, len);
    walk->len += len;
}

static void value_over(struct tly_json_walk *walk)
{
    walk->state = walk->depth == 0 ? OVER : NEXT;
}

/* ---- objects and arrays ---- */

static int begin_container(struct tly_json_walk *walk, bool object)
{
    if (walk->depth == TLY_JSON_WALK_DEPTH_MAX) {
        return TLY_E_LIMIT;
    }
    walk->len = 0;
    tell(walk, object ? TLY_JSON_WALK_OBJECT : TLY_JSON_WALK_ARRAY);
    uint64_t bit = UINT64_C(1) << walk->depth;
    walk->objects = object ? walk->objects | bit : walk->objects & ~bit;
    walk->depth++;
    walk->state = object ? FIRST_KEY : FIRST_VALUE;
    return 0;
}

static int end_container(struct tly_json_walk *walk, char byte)
{
    bool object = in_object(walk);
    if (byte != (object ? '}' : ']')) {
        return TLY_E_MALFORMED;
    }
    walk->depth--;
    walk->len = 0;
    tell(walk, object ? TLY_JSON_WALK_OBJECT_END : TLY_JSON_WALK_ARRAY_END);
    value_over(walk);
    return 0;
}

/* ---- values ---- */

static int begin_word(struct tly_json_walk *walk, const char *word)
{
    walk->word = word;
    walk->word_at = 1;
    walk->state = WORD;
    return 0;
}

static int begin_value(struct tly_json_walk *walk, char byte)
{
    switch (byte) {
    case '{':
        return begin_container(walk, true);
    case '[':
        return begin_container(walk, false);
    case '"':
        begin_text(walk, STRING, false);
        return 0;
    case 't':
        return begin_word(walk, "true");
    case 'f':
        return begin_word(walk, "false");
    case 'n':
        return begin_word(walk, "null");
    default:
        if (byte != '-' && (byte < '0' || byte > '9')) {
            return TLY_E_MALFORMED;
        }
        begin_text(walk, NUMBER, false);
        keep(walk, &byte, 1);
        return 0;
    }
}

static int take_word(struct tly_json_walk *walk, char byte)
{
    if (byte != walk->word[walk->word_at]) {
        return TLY_E_MALFORMED;
    }
    if (walk->word[++walk->word_at] == '\0') {
        walk->len = 0;
        tell(walk, walk->word[0] == 't'   ? TLY_JSON_WALK_TRUE
                   : walk->word[0] == 'f' ? TLY_JSON_WALK_FALSE
                                          : TLY_JSON_WALK_NULL);
        value_over(walk);
    }
    return 0;
}

static bool is_number_byte(char byte)
{
    return (byte >= '0' && byte <= '9') || byte == '.' || byte == 'e' || byte == 'E' ||
           byte == '+' || byte == '-';
}

/* ---- strings ---- */

static void string_over(struct tly_json_walk *walk)
{
    tell(walk, walk->is_key ? TLY_JSON_WALK_KEY : TLY_JSON_WALK_STRING);
    if (walk->is_key) {
        walk->state = COLON;
    } else {
        value_over(walk);
    }
}

static void keep_code(struct tly_json_walk *walk, unsigned code)
{
    char bytes[4];
    size_t len = 0;
    if (code < 0x80) {
        bytes[len++] = (char)code;
    } else if (code < 0x800) {
        bytes[len++] = (char)(0xc0 | code >> 6);
        bytes[len++] = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        bytes[len++] = (char)(0xe0 | code >> 12);
        bytes[len++] = (char)(0x80 | (code >> 6 & 0x3f));
        bytes[len++] = (char)(0x80 | (code & 0x3f));
    } else {
        bytes[len++] = (char)(0xf0 | code >> 18);
        bytes[len++] = (char)(0x80 | (code >> 12 & 0x3f));
        bytes[len++] = (char)(0x80 | (code >> 6 & 0x3f));
        bytes[len++] = (char)(0x80 | (code & 0x3f));
    }
    keep(walk, bytes, len);
}

/* Half a pair without the other half becomes U+FFFD. */
static void take_code(struct tly_json_walk *walk, unsigned code)
{
    bool low = code >= 0xdc00 && code < 0xe000;
    if (walk->surrogate && low) {
        keep_code(walk, 0x10000 + ((walk->surrogate - 0xd800) << 10) + (code - 0xdc00));
        walk->surrogate = 0;
        return;
    }
    if (walk->surrogate) {
        keep_code(walk, 0xfffd);
        walk->surrogate = 0;
    }
    if (code >= 0xd800 && code < 0xdc00) {
        walk->surrogate = code;
    } else {
        keep_code(walk, low ? 0xfffd : code);
    }
}

static void drop_half(struct tly_json_walk *walk)
{
    if (walk->surrogate) {
        keep_code(walk, 0xfffd);
        walk->surrogate = 0;
    }
}

static int take_escape(struct tly_json_walk *walk, char byte)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    const char *at = byte ? strchr(letters, byte) : NULL;
    if (byte == 'u') {
        walk->unicode = walk->unicode_digits = 0;
        walk->state = UNICODE;
        return 0;
    }
    if (!at) {
        return TLY_E_MALFORMED;
    }
    drop_half(walk);
    keep(walk, &meanings[at - letters], 1);
    walk->state = STRING;
    return 0;
}

static int take_unicode(struct tly_json_walk *walk, char byte)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = byte ? strchr(digits, byte >= 'A' && byte <= 'F' ? byte | 0x20 : byte) : NULL;
    if (!at) {
        return TLY_E_MALFORMED;
    }
    walk->unicode = walk->unicode << 4 | (unsigned)(at - digits);
    if (++walk->unicode_digits == 4) {
        take_code(walk, walk->unicode);
        walk->state = STRING;
    }
    return 0;
}

/* As many bytes of a string as there are before something of meaning; how many were taken. */
static size_t take_plain(struct tly_json_walk *walk, struct tly_text bytes)
{
    size_t len = 0;
    while (len < bytes.len && bytes.at[len] != '"' && bytes.at[len] != '\\' &&
           (unsigned char)bytes.at[len] >= ' ') {
        len++;
    }
    if (len > 0) {
        size_t room = sizeof(walk->text) - walk->len;
        drop_half(walk);
        if (len > room && !walk->cut) {
            keep(walk, bytes.at, room);
            walk->cut = true;
        } else {
            keep(walk, bytes.at, len);
        }
    }
    return len;
}

/* ---- one byte ---- */

static int take_between(struct tly_json_walk *walk, char byte)
{
    switch ((enum state)walk->state) {
    case VALUE:
        return begin_value(walk, byte);
    case FIRST_VALUE:
        return byte == ']' ? end_container(walk, byte) : begin_value(walk, byte);
    case FIRST_KEY:
        if (byte == '}') {
            return end_container(walk, byte);
        }
        /* fall through */
    case KEY:
        if (byte != '"') {
            return TLY_E_MALFORMED;
        }
        begin_text(walk, STRING, true);
        return 0;
    case COLON:
        walk->state = VALUE;
        return byte == ':' ? 0 : TLY_E_MALFORMED;
    case NEXT:
        if (byte == ',') {
            walk->state = in_object(walk) ? KEY : VALUE;
            return 0;
        }
        return end_container(walk, byte);
    default:
        return TLY_E_MALFORMED; /* more behind the end */
    }
}

static int take_byte(struct tly_json_walk *walk, char byte)
{
    switch ((enum state)walk->state) {
    case STRING:
        if (byte == '"') {
            drop_half(walk);
            string_over(walk);
            return 0;
        }
        if (byte == '\\') {
            walk->state = ESCAPE;
            return 0;
        }
        return TLY_E_MALFORMED; /* a control character */
    case ESCAPE:
        return take_escape(walk, byte);
    case UNICODE:
        return take_unicode(walk, byte);
    case WORD:
        return take_word(walk, byte);
    case BROKEN:
        return TLY_E_MALFORMED;
    default:
        return is_blank(byte) ? 0 : take_between(walk, byte);
    }
}

int tly_json_walk_feed(struct tly_json_walk *walk, struct tly_text bytes)
{
    size_t at = 0;
    while (at < bytes.len) {
        if (walk->state == STRING) {
            size_t len = take_plain(walk, (struct tly_text){bytes.at + at, bytes.len - at});
            at += len;
            walk->offset += len;
            if (at == bytes.len) {
                break;
            }
        } else if (walk->state == NUMBER) {
            if (!is_number_byte(bytes.at[at])) {
                tell(walk, TLY_JSON_WALK_NUMBER);
                value_over(walk);
                continue; /* the byte belongs to what follows */
            }
            keep(walk, &bytes.at[at++], 1);
            walk->offset++;
            continue;
        }
        int rc = take_byte(walk, bytes.at[at]);
        if (rc < 0) {
            walk->state = BROKEN;
            return rc;
        }
        at++;
        walk->offset++;
    }
    return 0;
}

int tly_json_walk_end(struct tly_json_walk *walk)
{
    if (walk->state == NUMBER && walk->depth == 0) {
        tell(walk, TLY_JSON_WALK_NUMBER);
        walk->state = OVER;
    }
    return walk->state == OVER ? 0 : walk->state == BROKEN ? TLY_E_MALFORMED : TLY_E_MORE;
}
