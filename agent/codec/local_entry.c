/*
 * The parser of local-driver entries, and how to find the next one behind bytes that are none.
 * Pure.
 */
#include "agent/codec/local_entry.h"

#include <string.h>

#define LENGTH_BYTES 4

/* A varint has seven bits a byte: ten for 64 bits. */
#define VARINT_BYTES_MAX 10

/* Tags of Protocol Buffers: the field's number and the encoding of its value. */
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };
#define TAG(field, wire) ((uint64_t)(field) << 3 | (wire))

enum {
    ENTRY_SOURCE = TAG(1, WIRE_BYTES),
    ENTRY_TIME = TAG(2, WIRE_VARINT),
    ENTRY_LINE = TAG(3, WIRE_BYTES),
    ENTRY_PARTIAL = TAG(4, WIRE_VARINT),
    ENTRY_METADATA = TAG(5, WIRE_BYTES),
    ENTRY_ATTR = TAG(6, WIRE_BYTES),
    PARTIAL_LAST = TAG(1, WIRE_VARINT),
    PARTIAL_ID = TAG(2, WIRE_BYTES),
    PARTIAL_ORDINAL = TAG(3, WIRE_VARINT),
    ATTR_KEY = TAG(1, WIRE_BYTES),
    ATTR_VALUE = TAG(2, WIRE_BYTES),
};

struct field {
    uint64_t tag;
    uint64_t number;       /* of a varint */
    struct tly_text bytes; /* of bytes */
};

static uint32_t read_be32(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool take_varint(struct tly_text *rest, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t most = rest->len < VARINT_BYTES_MAX ? rest->len : VARINT_BYTES_MAX;
    for (size_t i = 0; i < most; i++) {
        unsigned char byte = (unsigned char)rest->at[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            rest->at += i + 1;
            rest->len -= i + 1;
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct tly_text *rest, uint64_t len, struct tly_text *ret_bytes)
{
    if (len > rest->len) {
        return false;
    }
    *ret_bytes = (struct tly_text){rest->at, (size_t)len};
    rest->at += len;
    rest->len -= (size_t)len;
    return true;
}

static bool take_field(struct tly_text *rest, struct field *field)
{
    if (!take_varint(rest, &field->tag)) {
        return false;
    }
    switch (field->tag & 7) {
    case WIRE_VARINT:
        return take_varint(rest, &field->number);
    case WIRE_BYTES:
        return take_varint(rest, &field->number) && take_bytes(rest, field->number, &field->bytes);
    case WIRE_FIXED64:
        return take_bytes(rest, sizeof(uint64_t), &field->bytes);
    case WIRE_FIXED32:
        return take_bytes(rest, sizeof(uint32_t), &field->bytes);
    default:
        return false;
    }
}

static bool read_metadata(struct tly_text rest, struct tly_local_entry *entry)
{
    struct field field;
    while (rest.len > 0) {
        if (!take_field(&rest, &field)) {
            return false;
        }
        if (field.tag == PARTIAL_LAST) {
            entry->partial_last = field.number != 0;
        } else if (field.tag == PARTIAL_ID) {
            entry->partial_id = field.bytes;
        } else if (field.tag == PARTIAL_ORDINAL) {
            entry->partial_ordinal = (int32_t)field.number;
        }
    }
    return true;
}

static bool read_message(struct tly_text rest, struct tly_local_entry *entry)
{
    struct field field;
    *entry = (struct tly_local_entry){.line = {rest.at, 0}};
    while (rest.len > 0) {
        const char *from = rest.at;
        if (!take_field(&rest, &field)) {
            return false;
        }
        if (field.tag == ENTRY_SOURCE) {
            entry->source = field.bytes;
        } else if (field.tag == ENTRY_TIME) {
            entry->time_ns = (int64_t)field.number;
        } else if (field.tag == ENTRY_LINE) {
            entry->line = field.bytes;
        } else if (field.tag == ENTRY_PARTIAL) {
            entry->partial = field.number != 0;
        } else if (field.tag == ENTRY_METADATA) {
            if (!read_metadata(field.bytes, entry)) {
                return false;
            }
        } else if (field.tag == ENTRY_ATTR) {
            /* Docker's encoder writes fields in order, so that these stand together. */
            from = entry->attrs.len > 0 ? entry->attrs.at : from;
            entry->attrs = (struct tly_text){from, (size_t)(rest.at - from)};
        }
    }
    return true;
}

/* Whether bytes that are too few for an entry look like the beginning of one: a length that may be,
 * and the source, which Docker always writes first. */
static bool may_begin(struct tly_text bytes)
{
    if (bytes.len < LENGTH_BYTES) {
        char head[LENGTH_BYTES] = {0};
        for (size_t i = 0; i < bytes.len; i++) {
            head[i] = bytes.at[i];
        }
        return read_be32(head) <= TLY_LOCAL_MESSAGE_MAX;
    }
    uint32_t message = read_be32(bytes.at);
    if (message > TLY_LOCAL_MESSAGE_MAX || message == 0) {
        return false;
    }
    return bytes.len == LENGTH_BYTES || (unsigned char)bytes.at[LENGTH_BYTES] == ENTRY_SOURCE;
}

ssize_t tly_local_entry_parse(struct tly_text bytes, struct tly_local_entry *ret_entry)
{
    struct tly_local_entry entry;
    if (!may_begin(bytes)) {
        return TLY_E_MALFORMED;
    }
    if (bytes.len < LENGTH_BYTES) {
        return TLY_E_MORE;
    }
    size_t message = read_be32(bytes.at);
    if (bytes.len < message + (size_t)(2 * LENGTH_BYTES)) {
        return TLY_E_MORE;
    }
    struct tly_text body = {bytes.at + LENGTH_BYTES, message};
    if (read_be32(body.at + message) != message || !read_message(body, &entry)) {
        return TLY_E_MALFORMED;
    }
    *ret_entry = entry;
    return (ssize_t)(message + (size_t)(2 * LENGTH_BYTES));
}

size_t tly_local_entry_pass(struct tly_text bytes, bool complete)
{
    struct tly_local_entry entry;
    for (size_t at = 1; at < bytes.len; at++) {
        ssize_t rc = tly_local_entry_parse((struct tly_text){bytes.at + at, bytes.len - at},
                                           &entry);
        if (rc > 0 || (rc == TLY_E_MORE && !complete)) {
            return at;
        }
    }
    return bytes.len;
}

size_t tly_local_entry_last_end(struct tly_text tail)
{
    struct tly_local_entry entry;
    for (size_t end = tail.len; end > (size_t)(2 * LENGTH_BYTES); end--) {
        size_t len = read_be32(tail.at + end - LENGTH_BYTES) + (size_t)(2 * LENGTH_BYTES);
        if (len <= end && tly_local_entry_parse((struct tly_text){tail.at + end - len, len},
                                                &entry) == (ssize_t)len) {
            return end;
        }
    }
    return 0;
}

int tly_local_entry_attrs(struct tly_text attrs, char *scratch,
                          void (*member)(void *arg, struct tly_text key, struct tly_text value),
                          void *arg)
{
    struct field field;
    (void)scratch; /* nothing has to be unescaped */
    while (attrs.len > 0) {
        struct tly_text key = {attrs.at, 0};
        struct tly_text value = {attrs.at, 0};
        if (!take_field(&attrs, &field)) {
            return TLY_E_MALFORMED;
        }
        if (field.tag != ENTRY_ATTR) {
            continue;
        }
        struct tly_text rest = field.bytes;
        while (rest.len > 0) {
            if (!take_field(&rest, &field)) {
                return TLY_E_MALFORMED;
            }
            key = field.tag == ATTR_KEY ? field.bytes : key;
            value = field.tag == ATTR_VALUE ? field.bytes : value;
        }
        member(arg, key, value);
    }
    return 0;
}
