/*
 * Entries of the spool, written and read. What a head claims is believed only as far as its
 * checksum goes: the length alone decides how much has to be there before that can be looked at.
 */
#include "agent/delivery/spool_entry.h"

#include <stdbool.h>
#include <zlib.h>

/* Tells at a glance that this is no head: a hole in a file is full of zeroes. */
#define MARK 0x5453

enum { AT_LENGTH = 0, AT_CHECKSUM = 4, AT_RECORDS = 8, AT_TAG_LEN = 12, AT_MARK = 14 };

static void put_u16(char *to, uint16_t value)
{
    to[0] = (char)(value >> 8);
    to[1] = (char)value;
}

static void put_u32(char *to, uint32_t value)
{
    put_u16(to, (uint16_t)(value >> 16));
    put_u16(to + 2, (uint16_t)value);
}

static uint16_t get_u16(const char *from)
{
    return (uint16_t)((unsigned char)from[0] << 8 | (unsigned char)from[1]);
}

static uint32_t get_u32(const char *from)
{
    return (uint32_t)get_u16(from) << 16 | get_u16(from + 2);
}

static uint32_t checksum(const char *entry, size_t size)
{
    return (uint32_t)crc32_z(0, (const unsigned char *)entry + AT_RECORDS, size - AT_RECORDS);
}

void tly_spool_entry_seal(char *entry, size_t size, size_t tag_len, uint32_t records)
{
    put_u32(entry + AT_LENGTH, (uint32_t)(size - TLY_SPOOL_HEAD_LEN));
    put_u32(entry + AT_RECORDS, records);
    put_u16(entry + AT_TAG_LEN, (uint16_t)tag_len);
    put_u16(entry + AT_MARK, MARK);
    put_u32(entry + AT_CHECKSUM, checksum(entry, size));
}

int tly_spool_entry_size(struct tly_text bytes, size_t *ret_size)
{
    if (bytes.len < TLY_SPOOL_HEAD_LEN) {
        return TLY_E_MORE;
    }
    size_t size = TLY_SPOOL_HEAD_LEN + get_u32(bytes.at + AT_LENGTH);
    size_t tag_len = get_u16(bytes.at + AT_TAG_LEN);
    if (get_u16(bytes.at + AT_MARK) != MARK || size > TLY_SPOOL_ENTRY_MAX ||
        size < TLY_SPOOL_HEAD_LEN + tag_len) {
        return TLY_E_MALFORMED;
    }
    *ret_size = size;
    return 0;
}

int tly_spool_entry_parse(struct tly_text bytes, struct tly_spool_entry *ret_entry)
{
    size_t size;
    int rc = tly_spool_entry_size(bytes, &size);
    if (rc < 0) {
        return rc;
    }
    if (bytes.len < size) {
        return TLY_E_MORE;
    }
    if (get_u32(bytes.at + AT_CHECKSUM) != checksum(bytes.at, size)) {
        return TLY_E_MALFORMED;
    }
    size_t tag_len = get_u16(bytes.at + AT_TAG_LEN);
    const char *body = bytes.at + TLY_SPOOL_HEAD_LEN;
    *ret_entry = (struct tly_spool_entry){
        .tag = {body, tag_len},
        .payload = {body + tag_len, size - TLY_SPOOL_HEAD_LEN - tag_len},
        .records = get_u32(bytes.at + AT_RECORDS),
        .size = size,
    };
    return 0;
}

static bool begins_entry(struct tly_text bytes)
{
    size_t size;
    struct tly_spool_entry entry;
    return tly_spool_entry_size(bytes, &size) == 0 && size <= TLY_SPOOL_SOUGHT_MAX &&
           tly_spool_entry_parse(bytes, &entry) == 0;
}

size_t tly_spool_entry_seek(struct tly_text bytes)
{
    size_t at = 0;
    while (at < bytes.len && !begins_entry((struct tly_text){bytes.at + at, bytes.len - at})) {
        at++;
    }
    return at;
}
