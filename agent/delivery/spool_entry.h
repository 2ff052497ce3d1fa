/*
 * One entry of a spool's file: a run of packed records with one tag, and a checksum over all of it.
 *
 *   length of what follows the head, 32 bits    CRC-32 of all behind this field, 32 bits
 *   records, 32 bits    length of the tag, 16 bits    mark, 16 bits    tag    records' bytes
 *
 * Numbers are big-endian. A file begins with TLY_SPOOL_FILE_HEAD. Pure.
 */
#ifndef TLY_DELIVERY_SPOOL_ENTRY_H
#define TLY_DELIVERY_SPOOL_ENTRY_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/delivery/destination.h"

#include <stddef.h>
#include <stdint.h>

#define TLY_SPOOL_FILE_HEAD     "TLYSPL1\n"
#define TLY_SPOOL_FILE_HEAD_LEN (sizeof(TLY_SPOOL_FILE_HEAD) - 1)

#define TLY_SPOOL_HEAD_LEN ((size_t)16)
#define TLY_SPOOL_TAG_MAX  UINT16_MAX

/* The longest entry: one record alone. */
#define TLY_SPOOL_ENTRY_MAX (TLY_SPOOL_HEAD_LEN + TLY_SPOOL_TAG_MAX + TLY_RECORD_BYTES_MAX)

struct tly_spool_entry {
    struct tly_text tag, payload; /* borrowed */
    uint32_t records;
    size_t size; /* with its head */
};

/* Writes the head over the first bytes of an entry of which all else is in place. */
void tly_spool_entry_seal(char *entry, size_t size, size_t tag_len, uint32_t records);

/* The size of the entry that begins here. TLY_E_MORE for less than a head, TLY_E_MALFORMED. */
int tly_spool_entry_size(struct tly_text bytes, size_t *ret_size) TLY_CHECK;

/* TLY_E_MORE where the bytes end within the entry, TLY_E_MALFORMED also for a wrong checksum. */
int tly_spool_entry_parse(struct tly_text bytes, struct tly_spool_entry *ret_entry) TLY_CHECK;

/* How many bytes stand before the first whole entry, as it is looked for behind damage: one of up
 * to TLY_SPOOL_SOUGHT_MAX, since each place where one might begin costs a checksum. Only a long
 * record is longer, which has an entry alone. All of them, if there is none. */
#define TLY_SPOOL_SOUGHT_MAX ((size_t)64 << 10)
size_t tly_spool_entry_seek(struct tly_text bytes);

#endif
