/*
 * Writes entries as Docker's local driver does, for tests and benchmarks of reading them: its
 * encoder's order of fields, zeros and empty texts left out.
 */
#ifndef TLY_TESTS_LOCAL_ENTRY_H
#define TLY_TESTS_LOCAL_ENTRY_H

#include "agent/codec/local_entry.h"

#include <string.h>

/* All fields but the texts fit into this. */
#define LOCAL_ENTRY_EXTRA 128

static inline char *local_put_number(char *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (char)(value | 0x80);
        value >>= 7;
    }
    *to++ = (char)value;
    return to;
}

static inline char *local_put_varint(char *to, unsigned field, uint64_t value)
{
    if (value != 0) {
        to = local_put_number(to, field << 3);
        to = local_put_number(to, value);
    }
    return to;
}

static inline char *local_put_text(char *to, unsigned field, struct tly_text text)
{
    if (text.len > 0) {
        to = local_put_number(to, field << 3 | 2);
        to = local_put_number(to, text.len);
        memcpy(to, text.at, text.len);
        to += text.len;
    }
    return to;
}

static inline void local_put_length(char *to, size_t len)
{
    to[0] = (char)(len >> 24);
    to[1] = (char)(len >> 16);
    to[2] = (char)(len >> 8);
    to[3] = (char)len;
}

/* Its length; `to` has room for the texts and LOCAL_ENTRY_EXTRA. */
static inline size_t local_entry_write(char *to, const struct tly_local_entry *entry)
{
    char metadata[LOCAL_ENTRY_EXTRA];
    char *end = local_put_text(to + 4, 1, entry->source);
    end = local_put_varint(end, 2, (uint64_t)entry->time_ns);
    end = local_put_text(end, 3, entry->line);
    end = local_put_varint(end, 4, entry->partial);
    if (entry->partial) {
        char *at = local_put_varint(metadata, 1, entry->partial_last);
        at = local_put_text(at, 2, entry->partial_id);
        at = local_put_varint(at, 3, (uint32_t)entry->partial_ordinal);
        end = local_put_text(end, 5, (struct tly_text){metadata, (size_t)(at - metadata)});
    }
    if (entry->attrs.len > 0) {
        memcpy(end, entry->attrs.at, entry->attrs.len);
        end += entry->attrs.len;
    }
    size_t len = (size_t)(end - to) - 4;
    local_put_length(to, len);
    local_put_length(end, len);
    return len + 8;
}

#endif
