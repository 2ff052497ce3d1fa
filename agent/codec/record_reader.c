/*
 * The msgpack reader and scanner. Both stand on `read_head`, which understands one prefix with the
 * length, count or number behind it; lengths are compared with the bytes there, never added to a
 * pointer first.
 */
#include "agent/codec/record_reader.h"

#include "agent/base/clock.h"

/* A prefix with what belongs to it, apart from the `payload` bytes of a str, bin or ext. */
struct head {
    struct tly_value value;
    size_t size;      /* of the head itself */
    uint64_t payload; /* bytes that follow it */
};

static uint64_t big_endian(const unsigned char *at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static void set_natural(struct tly_value *value, uint64_t natural)
{
    if (natural > INT64_MAX) {
        value->type = TLY_VALUE_UINT;
        value->natural = natural;
    } else {
        value->type = TLY_VALUE_INT;
        value->integer = (int64_t)natural;
    }
}

/* Sign extension of a number of `len` bytes. */
static void set_integer(struct tly_value *value, uint64_t bits, size_t len)
{
    unsigned unused = (unsigned)(64 - 8 * len);
    value->type = TLY_VALUE_INT;
    value->integer = (int64_t)(bits << unused) >> unused;
}

static void set_real(struct tly_value *value, uint64_t bits, size_t len)
{
    value->type = TLY_VALUE_FLOAT;
    value->single = len == sizeof(float);
    if (value->single) {
        uint32_t half = (uint32_t)bits;
        float single;
        memcpy(&single, &half, sizeof(single));
        value->real = (double)single;
    } else {
        memcpy(&value->real, &bits, sizeof(value->real));
    }
}

/* The forms whose number stands in the prefix itself. */
static bool read_short(unsigned prefix, struct head *head)
{
    if (prefix <= 0x7f || prefix >= 0xe0) {
        head->value.type = TLY_VALUE_INT;
        head->value.integer = prefix <= 0x7f ? (int64_t)prefix : (int64_t)prefix - 256;
    } else if (prefix <= 0x8f) {
        head->value.type = TLY_VALUE_MAP;
        head->value.count = prefix & 0x0f;
    } else if (prefix <= 0x9f) {
        head->value.type = TLY_VALUE_ARRAY;
        head->value.count = prefix & 0x0f;
    } else if (prefix <= 0xbf) {
        head->value.type = TLY_VALUE_STR;
        head->payload = prefix & 0x1f;
    } else if (prefix == 0xc0) {
        head->value.type = TLY_VALUE_NIL;
    } else if (prefix == 0xc2 || prefix == 0xc3) {
        head->value.type = TLY_VALUE_BOOL;
        head->value.truth = prefix == 0xc3;
    } else {
        return false;
    }
    head->size = 1;
    return true;
}

/* What the prefixes from 0xc4 to 0xdf mean, and how many bytes of number follow each. */
enum form {
    FORM_BIN,
    FORM_EXT,
    FORM_REAL,
    FORM_NATURAL,
    FORM_INTEGER,
    FORM_FIXEXT,
    FORM_STR,
    FORM_ARRAY,
    FORM_MAP
};
static const struct {
    uint8_t form;
    uint8_t number_size;
} long_forms[] = {
    {FORM_BIN, 1},     {FORM_BIN, 2},     {FORM_BIN, 4},     {FORM_EXT, 1},     {FORM_EXT, 2},
    {FORM_EXT, 4},     {FORM_REAL, 4},    {FORM_REAL, 8},    {FORM_NATURAL, 1}, {FORM_NATURAL, 2},
    {FORM_NATURAL, 4}, {FORM_NATURAL, 8}, {FORM_INTEGER, 1}, {FORM_INTEGER, 2}, {FORM_INTEGER, 4},
    {FORM_INTEGER, 8}, {FORM_FIXEXT, 0},  {FORM_FIXEXT, 0},  {FORM_FIXEXT, 0},  {FORM_FIXEXT, 0},
    {FORM_FIXEXT, 0},  {FORM_STR, 1},     {FORM_STR, 2},     {FORM_STR, 4},     {FORM_ARRAY, 2},
    {FORM_ARRAY, 4},   {FORM_MAP, 2},     {FORM_MAP, 4},
};

static void set_long(struct head *head, enum form form, uint64_t number, size_t number_size)
{
    switch (form) {
    case FORM_BIN:
        head->value.type = TLY_VALUE_BIN;
        head->payload = number;
        break;
    case FORM_EXT:
    case FORM_FIXEXT:
        head->value.type = TLY_VALUE_EXT;
        head->payload = number;
        break;
    case FORM_REAL:
        set_real(&head->value, number, number_size);
        break;
    case FORM_NATURAL:
        set_natural(&head->value, number);
        break;
    case FORM_INTEGER:
        set_integer(&head->value, number, number_size);
        break;
    case FORM_STR:
        head->value.type = TLY_VALUE_STR;
        head->payload = number;
        break;
    case FORM_ARRAY:
        head->value.type = TLY_VALUE_ARRAY;
        head->value.count = (uint32_t)number;
        break;
    case FORM_MAP:
        head->value.type = TLY_VALUE_MAP;
        head->value.count = (uint32_t)number;
        break;
    }
}

static int read_head(struct tly_text bytes, struct head *ret_head)
{
    *ret_head = (struct head){0};
    if (bytes.len == 0) {
        return TLY_E_MORE;
    }
    const unsigned char *at = (const unsigned char *)bytes.at;
    unsigned prefix = at[0];
    if (read_short(prefix, ret_head)) {
        return 0;
    }
    if (prefix == 0xc1) {
        return TLY_E_MALFORMED;
    }
    enum form form = (enum form)long_forms[prefix - 0xc4].form;
    size_t number_size = long_forms[prefix - 0xc4].number_size;
    bool extended = form == FORM_EXT || form == FORM_FIXEXT;
    size_t size = 1 + number_size + (extended ? 1 : 0);
    if (bytes.len < size) {
        return TLY_E_MORE;
    }
    uint64_t number = form == FORM_FIXEXT ? 1ULL << (prefix - 0xd4)
                                          : big_endian(at + 1, number_size);
    set_long(ret_head, form, number, number_size);
    if (extended) {
        ret_head->value.ext_type = (int8_t)at[size - 1];
    }
    ret_head->size = size;
    return 0;
}

int tly_value_next(struct tly_text *rest, struct tly_value *ret_value)
{
    struct head head;
    int rc = read_head(*rest, &head);
    if (rc < 0) {
        return rc;
    }
    if (head.payload > rest->len - head.size) {
        return TLY_E_MORE;
    }
    bool has_bytes = head.value.type == TLY_VALUE_STR || head.value.type == TLY_VALUE_BIN ||
                     head.value.type == TLY_VALUE_EXT;
    if (has_bytes) {
        head.value.bytes = (struct tly_text){rest->at + head.size, (size_t)head.payload};
    }
    rest->at += head.size + head.payload;
    rest->len -= head.size + (size_t)head.payload;
    *ret_value = head.value;
    return 0;
}

int tly_value_whole(struct tly_text *rest, struct tly_value *ret_value, struct tly_text *ret_bytes)
{
    struct tly_value_scan scan;
    struct tly_text whole = *rest;
    tly_value_scan_clear(&scan);
    int rc = tly_value_scan(&scan, *rest, &whole.len);
    if (rc < 0) {
        return rc;
    }
    struct tly_text start = whole;
    rc = tly_value_next(&start, ret_value);
    if (rc < 0) {
        return rc;
    }
    rest->at += whole.len;
    rest->len -= whole.len;
    *ret_bytes = whole;
    return 0;
}

int tly_value_time(const struct tly_value *value, int64_t *ret_ns)
{
    const int64_t seconds_max = INT64_MAX / TLY_NS_PER_S;
    if (value->type == TLY_VALUE_INT) {
        if (value->integer > seconds_max || value->integer < -seconds_max) {
            return TLY_E_MALFORMED;
        }
        *ret_ns = value->integer * TLY_NS_PER_S;
        return 0;
    }
    if (value->type == TLY_VALUE_FLOAT) {
        const double most = (double)seconds_max;
        if (!(value->real < most && value->real > -most)) { /* not a number fails here too */
            return TLY_E_MALFORMED;
        }
        int64_t whole = (int64_t)value->real;
        double fraction = value->real - (double)whole; /* of the sign of the number */
        *ret_ns = whole * TLY_NS_PER_S + (int64_t)(fraction * (double)TLY_NS_PER_S);
        return 0;
    }
    if (value->type == TLY_VALUE_EXT && value->ext_type == 0 && value->bytes.len == 8) {
        const unsigned char *at = (const unsigned char *)value->bytes.at;
        int64_t ns = (int64_t)big_endian(at + 4, 4);
        *ret_ns = (int64_t)big_endian(at, 4) * TLY_NS_PER_S + ns;
        return 0;
    }
    return TLY_E_MALFORMED;
}

/* One member is read: true when that closed the outermost value. */
static bool close_member(struct tly_value_scan *scan)
{
    while (scan->depth > 0) {
        if (--scan->left[scan->depth - 1] > 0) {
            return false;
        }
        scan->depth--;
    }
    return true;
}

void tly_value_scan_clear(struct tly_value_scan *scan)
{
    scan->at = 0;
    scan->depth = 0;
    scan->closed = false;
}

/* How many values belong directly to this one: the members of an array, keys and values of a map.
 */
static uint64_t member_count(const struct tly_value *value)
{
    if (value->type == TLY_VALUE_ARRAY) {
        return value->count;
    }
    return value->type == TLY_VALUE_MAP ? 2ULL * value->count : 0;
}

int tly_value_scan(struct tly_value_scan *scan, struct tly_text bytes, size_t *ret_len)
{
    while (!scan->closed && scan->at < bytes.len) {
        struct head head;
        int rc = read_head((struct tly_text){bytes.at + scan->at, bytes.len - scan->at}, &head);
        if (rc < 0) {
            return rc;
        }
        uint64_t members = member_count(&head.value);
        if (members > 0 && scan->depth == TLY_RECORD_DEPTH_MAX) {
            return TLY_E_LIMIT;
        }
        /* The payload has at most 4 GiB and what lies before it is in memory: no overflow. */
        scan->at += head.size + (size_t)head.payload;
        if (members > 0) {
            scan->left[scan->depth++] = members;
        } else {
            scan->closed = close_member(scan);
        }
    }
    if (!scan->closed || scan->at > bytes.len) {
        return TLY_E_MORE;
    }
    *ret_len = scan->at;
    return 0;
}
